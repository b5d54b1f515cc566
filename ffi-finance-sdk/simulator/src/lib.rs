//! A library with the C ABI of WeCom's session archive SDK that plays a tape.
//!
//! It exports the 17 functions of `WeWorkFinanceSdk_C.h` and nothing else, and behaves as
//! the real one is documented and measured to (wecom-sdk 1 to 3 and 14); where users of the
//! real one crash, it aborts with a message. It contacts nobody.
//!
//! The ABI has no room for configuration: the folder of the tape is read from the
//! environment variable `FINANCE_SDK_TAPE`, once, when the first call needs it. A file
//! `faults.json` in that folder makes calls fail (see `faults.rs`).
//!
//! The ciphertext on a tape is **not** WeCom's. This library knows nothing of its callers.

mod abi;
mod faults;
mod live;
mod play;
