//! The one table of metrics: key, unit, names, definition. Reports, headings and docs read it.

use std::fmt;

/// What a metric's number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A whole number of things.
    Count,
    /// Seconds; the JSON key ends in `_seconds`.
    Seconds,
    /// A fraction of 1.
    Ratio,
    /// A mean count.
    Number,
}

/// One value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// Milliseconds, shown as seconds.
    Millis(f64),
    /// A fraction or mean.
    Number(f64),
    /// Nothing to divide by.
    Null,
}

impl Value {
    /// A fraction, null without a denominator (semantics 1).
    pub fn ratio(numerator: u64, denominator: u64) -> Self {
        huicun_semantics::ratio::ratio(numerator, denominator).map_or(Self::Null, Self::Number)
    }

    /// A mean of milliseconds, null over nothing.
    pub fn mean_millis(sum: f64, n: u64) -> Self {
        if n == 0 {
            Self::Null
        } else {
            Self::Millis(sum / n as f64)
        }
    }

    /// The JSON number: durations in seconds.
    pub fn to_json(self) -> serde_json::Value {
        match self {
            Self::Count(n) => n.into(),
            Self::Millis(ms) => serde_json::Number::from_f64(ms / 1000.0)
                .map_or(serde_json::Value::Null, Into::into),
            Self::Number(f) => {
                serde_json::Number::from_f64(f).map_or(serde_json::Value::Null, Into::into)
            }
            Self::Null => serde_json::Value::Null,
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The law's key.
    pub key: &'static str,
    /// What its number is.
    pub unit: Unit,
    /// The manual's name.
    pub zh: &'static str,
    /// In English.
    pub en: &'static str,
    /// What it counts, in one sentence.
    pub definition: &'static str,
    /// The same in Chinese.
    pub definition_zh: &'static str,
}

impl Metric {
    /// The key in answers: durations end in `_seconds`.
    pub fn json_key(&self) -> String {
        match self.unit {
            Unit::Seconds => format!("{}_seconds", self.key),
            _ => self.key.to_string(),
        }
    }
}

/// A metric that no report has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMetric {
    /// What was asked for.
    pub name: String,
}

impl fmt::Display for UnknownMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = EMPLOYEES.iter().map(|m| m.key).collect();
        write!(
            f,
            "unknown metric `{}`; there are: {}",
            self.name,
            known.join(", ")
        )
    }
}

impl std::error::Error for UnknownMetric {}

/// The metrics that `names` pick from a report, in its order of columns; all when empty.
///
/// # Errors
/// The first name that the report does not have.
pub fn pick(names: &[String]) -> Result<Vec<usize>, UnknownMetric> {
    if names.is_empty() {
        return Ok((0..EMPLOYEES.len()).collect());
    }
    names
        .iter()
        .map(|name| {
            EMPLOYEES
                .iter()
                .position(|m| m.key == name || m.json_key() == *name)
                .ok_or_else(|| UnknownMetric { name: name.clone() })
        })
        .collect()
}

const fn metric(
    key: &'static str,
    unit: Unit,
    zh: &'static str,
    en: &'static str,
    definition: &'static str,
    definition_zh: &'static str,
) -> Metric {
    Metric {
        key,
        unit,
        zh,
        en,
        definition,
        definition_zh,
    }
}

use Unit::{Count, Number, Ratio, Seconds};

/// Metrics of `report employees`, in the order of its columns (semantics 10.1, 10.9).
pub const EMPLOYEES: &[Metric] = &[
    metric(
        "customers_total",
        Count,
        "客户总数",
        "Customers",
        "customers whose first adder as of the end of the period is the employee",
        "截至时段末，首个添加人为该员工的客户数",
    ),
    metric(
        "customers_new",
        Count,
        "新增客户数",
        "New customers",
        "distinct customers that the employee added in the period",
        "时段内该员工新添加的客户数（去重）",
    ),
    metric(
        "dialogues",
        Count,
        "员工对话总数",
        "Dialogues",
        "single dialogues started in the period in which the employee takes part",
        "时段内开始且该员工参与的单聊对话数",
    ),
    metric(
        "dialogues_opened",
        Count,
        "员工发起对话数",
        "Dialogues opened",
        "of those, the ones that the employee opened",
        "其中由该员工发起的对话数",
    ),
    metric(
        "dialogues_replied",
        Count,
        "员工回复对话数",
        "Dialogues replied",
        "of those, the ones that the customer opened and the employee wrote in",
        "其中由客户发起且该员工有回复的对话数",
    ),
    metric(
        "messages_sent",
        Count,
        "发送消息数",
        "Messages sent",
        "counted messages that the employee sent in the period in single external chats",
        "时段内该员工在与客户的单聊中发送的计入消息数",
    ),
    metric(
        "reply_time_total",
        Seconds,
        "回复总时长",
        "Total reply time",
        "sum of the reply intervals of the dialogues",
        "上述对话中各次回复时长之和",
    ),
    metric(
        "dialogue_time_total",
        Seconds,
        "对话总时长",
        "Total dialogue time",
        "sum of the durations of the dialogues",
        "上述对话的时长之和",
    ),
    metric(
        "call_time_total",
        Seconds,
        "语音总时长",
        "Total call time",
        "sum of audio and video call durations in the employee's single external chats, calls dated in the period",
        "时段内该员工与客户单聊中的音视频通话时长之和",
    ),
    metric(
        "opened_share",
        Ratio,
        "员工发起对话占比",
        "Opened share",
        "dialogues opened / dialogues",
        "员工发起对话数 / 员工对话总数",
    ),
    metric(
        "reply_rate",
        Ratio,
        "员工回复率",
        "Reply rate",
        "dialogues replied / customer-opened single dialogues of the employee, answered or not",
        "员工回复对话数 / 客户发起的单聊对话数（含未回复）",
    ),
    metric(
        "first_reply_avg",
        Seconds,
        "平均首次回复时长",
        "Mean first reply time",
        "sum of the first reply times of the dialogues replied / dialogues replied",
        "员工回复对话的首次回复时长之和 / 员工回复对话数",
    ),
    metric(
        "reply_avg",
        Seconds,
        "平均回复时长",
        "Mean reply time",
        "per dialogue with a reply the mean of its reply intervals; the mean of those that are not zero",
        "先求每个有回复的对话的平均回复时长，再对其中不为零者求平均",
    ),
    metric(
        "dialogue_time_avg",
        Seconds,
        "平均对话时长",
        "Mean dialogue time",
        "total dialogue time / dialogues",
        "对话总时长 / 员工对话总数",
    ),
    metric(
        "messages_avg",
        Number,
        "平均对话消息数",
        "Messages per dialogue",
        "messages of both sides in the dialogues / dialogues",
        "上述对话中双方消息数 / 员工对话总数",
    ),
    metric(
        "resolved_once_24h",
        Ratio,
        "24h 一次性解决率",
        "Resolved at once, 24 h",
        "effective dialogues that are the only effective one of the pair started on their day / dialogues",
        "当天与该客户仅有的一个有效对话数 / 员工对话总数",
    ),
    metric(
        "resolved_once_48h",
        Ratio,
        "48h 一次性解决率",
        "Resolved at once, 48 h",
        "effective dialogues that are the only effective one of the pair started on their day or the next / dialogues",
        "当天及次日与该客户仅有的一个有效对话数 / 员工对话总数",
    ),
    metric(
        "first_reply_1m",
        Ratio,
        "1min 内首次回复率",
        "First reply within 1 min",
        "effective dialogues with a first reply within 60 s / effective dialogues",
        "首次回复不超过 60 秒的有效对话数 / 有效对话数",
    ),
    metric(
        "first_reply_3m",
        Ratio,
        "3min 内首次回复率",
        "First reply within 3 min",
        "effective dialogues with a first reply within 180 s / effective dialogues",
        "首次回复不超过 180 秒的有效对话数 / 有效对话数",
    ),
    metric(
        "unanswered",
        Count,
        "未回复对话数",
        "Unanswered dialogues",
        "customer-opened single dialogues without a message of the employee",
        "客户发起而该员工没有任何消息的单聊对话数",
    ),
    metric(
        "first_reply_p50",
        Seconds,
        "首次回复时长中位数",
        "First reply time, median",
        "nearest rank over the first reply times of the dialogues replied",
        "员工回复对话首次回复时长的中位数（最近秩）",
    ),
    metric(
        "first_reply_p90",
        Seconds,
        "首次回复时长 P90",
        "First reply time, P90",
        "nearest rank over the first reply times of the dialogues replied",
        "员工回复对话首次回复时长的第 90 百分位（最近秩）",
    ),
    metric(
        "first_reply_p99",
        Seconds,
        "首次回复时长 P99",
        "First reply time, P99",
        "nearest rank over the first reply times of the dialogues replied",
        "员工回复对话首次回复时长的第 99 百分位（最近秩）",
    ),
    metric(
        "reply_p50",
        Seconds,
        "回复时长中位数",
        "Reply time, median",
        "nearest rank over all reply intervals of the dialogues",
        "上述对话全部回复时长的中位数（最近秩）",
    ),
    metric(
        "reply_p90",
        Seconds,
        "回复时长 P90",
        "Reply time, P90",
        "nearest rank over all reply intervals of the dialogues",
        "上述对话全部回复时长的第 90 百分位（最近秩）",
    ),
    metric(
        "reply_p99",
        Seconds,
        "回复时长 P99",
        "Reply time, P99",
        "nearest rank over all reply intervals of the dialogues",
        "上述对话全部回复时长的第 99 百分位（最近秩）",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_both_spellings_are_found() {
        let mut keys: Vec<_> = EMPLOYEES.iter().map(|m| m.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), EMPLOYEES.len());
        let both = pick(&["reply_avg".into(), "reply_avg_seconds".into()]).unwrap();
        assert_eq!(both[0], both[1]);
        assert!(pick(&["reply_average".into()]).is_err());
    }
}
