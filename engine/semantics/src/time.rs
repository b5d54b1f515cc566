//! Instants, days and periods in the company's time zone (semantics 1).
//!
//! Instants are UTC milliseconds since 1970 (`at_ms`). A day is a calendar day of a [`Zone`], a
//! [`Period`] names days, both included. Working time is not here: it needs a calendar (section 6).

mod period;
mod zone;

pub use period::{By, Period, PeriodError, UnknownBy};
pub use zone::{AT_MS_MAX, AT_MS_MIN, UnknownZone, Zone};
pub(crate) use zone::{day_number, nth_day};
