//! `[group_activity]`: when a group and its customers are active (群活跃度, semantics 10.6).

use huicun_semantics::activity::{self as law, Measure, Op};
use serde::{Deserialize, Serialize};

/// `[group_activity]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupActivity {
    /// Days of the window when no period is asked for.
    pub window_days: u32,
    /// A customer is active if all of these hold.
    pub conditions: Vec<Condition>,
    /// What the share of active customers must be for a group to be active.
    pub activity_ratio: Threshold,
    /// What customers' messages a day and member must be.
    pub speech_ratio: Threshold,
}

/// A condition on what a customer did in the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// What is counted.
    pub measure: Measure,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub value: f64,
}

/// A bound that a ratio must keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// How it is compared.
    pub op: Op,
    /// With what, as a fraction.
    pub value: f64,
}

impl Default for GroupActivity {
    fn default() -> Self {
        Self {
            window_days: 7,
            conditions: vec![of_law(law::DEFAULT_CONDITION)],
            activity_ratio: threshold(law::DEFAULT_ACTIVITY),
            speech_ratio: threshold(law::DEFAULT_SPEECH),
        }
    }
}

fn of_law(law::Condition { measure, op, value }: law::Condition) -> Condition {
    Condition { measure, op, value }
}

fn threshold(law::Threshold { op, value }: law::Threshold) -> Threshold {
    Threshold { op, value }
}

impl GroupActivity {
    /// The conditions as the law takes them.
    pub fn law_conditions(&self) -> Vec<law::Condition> {
        let conditions = self.conditions.iter();
        conditions
            .map(|&Condition { measure, op, value }| law::Condition { measure, op, value })
            .collect()
    }
}

impl Threshold {
    /// The threshold as the law takes it.
    pub fn law(&self) -> law::Threshold {
        law::Threshold {
            op: self.op,
            value: self.value,
        }
    }

    /// Whether a ratio keeps it; one over nothing does not.
    pub fn holds(&self, ratio: Option<f64>) -> bool {
        self.law().holds(ratio)
    }
}
