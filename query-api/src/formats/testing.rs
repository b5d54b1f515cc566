//! A small answer with one column of every kind, for the tests of the formats.

use crate::answer::{Column, ColumnKind, Table};
use serde_json::{Value, json};

use super::About;

/// Two rows: one with every value, one with none.
pub fn table() -> Table {
    let mut missing = vec![Value::Null; 9];
    missing[0] = json!("lisi");
    missing[7] = json!([]);
    Table {
        columns: vec![
            Column::new("userid", "员工", "Employee", ColumnKind::Text),
            Column::new("messages", "消息数", "Messages", ColumnKind::Integer),
            Column::new("average", "平均", "Average", ColumnKind::Number),
            Column::new(
                "reply_seconds",
                "首次响应",
                "First reply",
                ColumnKind::Seconds,
            ),
            Column::new("ratio", "占比", "Share", ColumnKind::Ratio),
            Column::new("at", "时间", "Time", ColumnKind::Instant),
            Column::new("active", "活跃", "Active", ColumnKind::Boolean),
            Column::new("tags", "标签", "Tags", ColumnKind::TextList),
            Column::new("sources", "来源", "Sources", ColumnKind::Json),
        ],
        rows: vec![
            vec![
                json!("zhangsan"),
                json!(12),
                json!(-1.5),
                json!(90_061.25),
                json!(0.1234),
                json!("2024-10-01T09:00:00.123+08:00"),
                json!(true),
                json!(["新客", "重点"]),
                json!({"扫码": 2}),
            ],
            missing,
        ],
    }
}

/// What the sample is about.
pub fn about() -> About {
    About {
        title_zh: "员工报表".into(),
        title_en: "Employees".into(),
        notes: vec![("期间".into(), "2024-10-01".into())],
        definitions: vec![("首次响应".into(), "首次响应的口径".into())],
        ..About::default()
    }
}
