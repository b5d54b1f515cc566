//! `[group_activity]`: when a group and its customers are active (群活跃度, semantics 10.6).

use huicun_semantics::activity as law;
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

/// `measure` of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Messages in that group.
    Messages,
    /// Views of material.
    MaterialViews,
    /// Shares of material.
    MaterialShares,
    /// Seconds spent on material.
    MaterialDwellSeconds,
    /// Orders.
    Orders,
}

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// More.
    #[serde(rename = ">")]
    Gt,
    /// As much or more.
    #[serde(rename = ">=")]
    Ge,
    /// Less.
    #[serde(rename = "<")]
    Lt,
    /// As much or less.
    #[serde(rename = "<=")]
    Le,
    /// As much.
    #[serde(rename = "=")]
    Eq,
}

impl Default for GroupActivity {
    fn default() -> Self {
        Self {
            window_days: 7,
            conditions: vec![Condition {
                measure: Measure::Messages,
                op: Op::Ge,
                value: 1.0,
            }],
            activity_ratio: Threshold {
                op: Op::Ge,
                value: 0.14,
            },
            speech_ratio: Threshold {
                op: Op::Gt,
                value: 0.01,
            },
        }
    }
}

impl GroupActivity {
    /// The conditions as the law takes them.
    pub fn law_conditions(&self) -> Vec<law::Condition> {
        let conditions = self.conditions.iter();
        conditions
            .map(|condition| law::Condition {
                measure: condition.measure.into(),
                op: condition.op.into(),
                value: condition.value,
            })
            .collect()
    }
}

impl Threshold {
    /// Whether a ratio keeps it; one that cannot be computed does not.
    pub fn holds(&self, ratio: Option<f64>) -> bool {
        ratio.is_some_and(|ratio| self.op.holds(ratio, self.value))
    }
}

impl Op {
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

impl From<Op> for law::Op {
    fn from(op: Op) -> Self {
        match op {
            Op::Gt => Self::Gt,
            Op::Ge => Self::Ge,
            Op::Lt => Self::Lt,
            Op::Le => Self::Le,
            Op::Eq => Self::Eq,
        }
    }
}

impl From<Measure> for law::Measure {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::Messages => Self::Messages,
            Measure::MaterialViews => Self::MaterialViews,
            Measure::MaterialShares => Self::MaterialShares,
            Measure::MaterialDwellSeconds => Self::MaterialDwellSeconds,
            Measure::Orders => Self::Orders,
        }
    }
}
