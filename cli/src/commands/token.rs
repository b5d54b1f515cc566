//! `huicun token`: API tokens, shown once and stored hashed.

use std::path::Path;

use huicun_engine::access::DataScope;
use huicun_engine::archive::Home;
use huicun_engine::state::State;
use huicun_query_api::answer::{Column, ColumnKind, Table};
use serde_json::json;

use super::ask::{about, target};
use crate::arguments::TokenCommand;
use crate::failure::Failure;
use crate::output;

pub fn token(data: &Path, what: TokenCommand) -> Result<(), Failure> {
    let now = chrono::Utc::now().timestamp_millis();
    match what {
        TokenCommand::Create {
            name,
            scope,
            expires_days,
        } => {
            let scope: DataScope = scope.parse().map_err(|e: String| Failure::usage(e))?;
            let state = State::open(&Home::open_or_create(data)?.state())?;
            let expires = expires_days.map(|days| now + i64::from(days) * 86_400_000);
            let (token, secret) = state.create_token(&name, &scope, now, expires)?;
            eprintln!(
                "token `{}` ({}); it is shown only now:",
                token.name, token.id
            );
            println!("{secret}");
        }
        TokenCommand::List { out } => {
            let target = target(&out)?;
            let state = State::open(&Home::open(data)?.state())?;
            let (_, rules) = state.rules()?;
            let zone = rules.zone()?;
            let at = |ms: Option<i64>| json!(ms.map(|ms| zone.rfc3339_ms(ms)));
            let rows = state
                .tokens()?
                .into_iter()
                .map(|t| {
                    vec![
                        json!(t.id),
                        json!(t.name),
                        json!(t.scope),
                        at(Some(t.created_at_ms)),
                        at(t.expires_at_ms),
                        at(t.revoked_at_ms),
                    ]
                })
                .collect();
            let columns = vec![
                Column::new("id", "ID", "Id", ColumnKind::Text),
                Column::new("name", "名称", "Name", ColumnKind::Text),
                Column::new("scope", "数据范围", "Scope", ColumnKind::Json),
                Column::new("created_at", "创建时间", "Created", ColumnKind::Instant),
                Column::new("expires_at", "到期时间", "Expires", ColumnKind::Instant),
                Column::new("revoked_at", "撤销时间", "Revoked", ColumnKind::Instant),
            ];
            output::write(&Table { columns, rows }, &about("令牌", "Tokens"), &target)?;
        }
        TokenCommand::Revoke { id } => {
            let state = State::open(&Home::open(data)?.state())?;
            if !state.revoke_token(&id, now)? {
                return Err(Failure::failed(format!("there is no live token `{id}`"))
                    .hint("huicun token list shows them"));
            }
        }
    }
    Ok(())
}
