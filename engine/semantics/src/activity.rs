//! How lively a group is, and which of its customers are (semantics 10.6, manual 4.2.2).

use crate::ratio::ratio;

/// What is measured of a customer in a window (semantics 10.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Counted messages in that group.
    Messages,
    /// Views of material, anywhere.
    MaterialViews,
    /// Shares of material, anywhere.
    MaterialShares,
    /// Time spent on material, seconds.
    MaterialDwellSeconds,
    /// Orders.
    Orders,
}

/// How a measure or a ratio is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Op {
    /// More than.
    #[serde(rename = ">")]
    Gt,
    /// At least.
    #[serde(rename = ">=")]
    Ge,
    /// Less than.
    #[serde(rename = "<")]
    Lt,
    /// At most.
    #[serde(rename = "<=")]
    Le,
    /// Exactly.
    #[serde(rename = "=")]
    Eq,
}

impl Op {
    /// The sign: `>`, `>=`, `<`, `<=` or `=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Eq => "=",
        }
    }

    /// Whether `left op right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Gt => left > right,
            Self::Ge => left >= right,
            Self::Lt => left < right,
            Self::Le => left <= right,
            Self::Eq => left == right,
        }
    }
}

/// One condition for an active customer.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Condition {
    /// What is measured.
    pub measure: Measure,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub value: f64,
}

/// The condition where none is set: messages >= 1.
pub const DEFAULT_CONDITION: Condition = Condition {
    measure: Measure::Messages,
    op: Op::Ge,
    value: 1.0,
};

/// What a customer did in a window, as far as conditions ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Counted messages in the group.
    pub messages: u64,
    /// Views of material.
    pub material_views: u64,
    /// Shares of material.
    pub material_shares: u64,
    /// Seconds spent on material.
    pub material_dwell_seconds: f64,
    /// Orders.
    pub orders: u64,
}

impl Measured {
    /// The value of a measure.
    pub fn value(&self, measure: Measure) -> f64 {
        match measure {
            Measure::Messages => self.messages as f64,
            Measure::MaterialViews => self.material_views as f64,
            Measure::MaterialShares => self.material_shares as f64,
            Measure::MaterialDwellSeconds => self.material_dwell_seconds,
            Measure::Orders => self.orders as f64,
        }
    }
}

/// Whether a customer, a member at the window's end, is active: all conditions hold.
///
/// There is at least one: where none is given it is [`DEFAULT_CONDITION`].
pub fn is_active_customer(conditions: &[Condition], did: &Measured) -> bool {
    let conditions = match conditions {
        [] => &[DEFAULT_CONDITION],
        given => given,
    };
    conditions.iter().all(|condition| {
        condition
            .op
            .holds(did.value(condition.measure), condition.value)
    })
}

/// The activity ratio (群活跃率): active customers by all members, employees included, both as of
/// the window's end; `None` of a group without members.
pub fn activity_ratio(n_active_customers: u64, n_members: u64) -> Option<f64> {
    ratio(n_active_customers, n_members)
}

/// The speech ratio: customers' messages in the window, a day, a member; `None` of a group without
/// members or a window without days.
///
/// Divided once, so that a value that is exactly the threshold on paper is so here as well.
pub fn speech_ratio(n_customer_messages: u64, n_days: u64, n_members: u64) -> Option<f64> {
    ratio(n_customer_messages, n_days.saturating_mul(n_members))
}

/// A threshold that a group's ratio must pass, as a fraction: 14 % is 0.14.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Threshold {
    /// How the ratio is compared.
    pub op: Op,
    /// With what.
    pub value: f64,
}

/// The threshold of the activity ratio where none is set: >= 14 %.
pub const DEFAULT_ACTIVITY: Threshold = Threshold {
    op: Op::Ge,
    value: 0.14,
};

/// The threshold of the speech ratio where none is set: > 1 %.
pub const DEFAULT_SPEECH: Threshold = Threshold {
    op: Op::Gt,
    value: 0.01,
};

impl Threshold {
    /// Whether a ratio passes. One over nothing never does.
    pub fn holds(&self, ratio: Option<f64>) -> bool {
        ratio.is_some_and(|ratio| self.op.holds(ratio, self.value))
    }
}

/// Whether a group is active: every threshold that is configured holds for its ratio.
pub fn is_active_group(thresholds: &[(Threshold, Option<f64>)]) -> bool {
    thresholds
        .iter()
        .all(|(threshold, ratio)| threshold.holds(*ratio))
}

#[cfg(test)]
mod tests;
