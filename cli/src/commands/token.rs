//! `huicun token`: API tokens, shown once and stored hashed.

use std::path::Path;

use huicun_engine::access::{DataScope, Function, Grant, Role, UnknownFunction};
use huicun_engine::archive::Home;
use huicun_engine::state::State;
use huicun_engine::state::tokens::{NewToken, Token};
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
            function,
            employee,
            expires_days,
        } => {
            let grant = granted(&scope, &function, employee)?;
            let state = State::open(&Home::open_or_create(data)?.state())?;
            let expires = expires_days.map(|days| now + i64::from(days) * 86_400_000);
            let new = NewToken {
                name: &name,
                grant: &grant,
                expires_at_ms: expires,
            };
            let (token, secret) = state.create_token(new, now)?;
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
                        json!(scopes(&t)),
                        json!(functions(&t)),
                        json!(t.employee),
                        at(Some(t.created_at_ms)),
                        at(t.expires_at_ms),
                        at(t.revoked_at_ms),
                    ]
                })
                .collect();
            let columns = vec![
                Column::new("id", "ID", "Id", ColumnKind::Text),
                Column::new("name", "名称", "Name", ColumnKind::Text),
                Column::new("scope", "数据范围", "Scope", ColumnKind::Text),
                Column::new("functions", "功能权限", "Functions", ColumnKind::TextList),
                Column::new("employee", "代表员工", "Employee", ColumnKind::Text),
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

/// The grant that the arguments name.
fn granted(scope: &str, names: &[String], employee: Option<String>) -> Result<Grant, Failure> {
    let scope: DataScope = scope.parse().map_err(|e: String| Failure::usage(e))?;
    if scope.needs_employee() && employee.is_none() {
        return Err(Failure::usage(format!(
            "the scope `{scope}` needs the employee for whom the token is"
        ))
        .hint("name one with --employee USERID"));
    }
    let functions = match names {
        [] => Function::of_new_tokens(),
        names => names
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_, _>>()
            .map_err(|e: UnknownFunction| Failure::usage(e.to_string()))?,
    };
    Ok(Grant {
        roles: vec![Role { functions, scope }],
        employee,
    })
}

/// The scopes of a token's roles.
fn scopes(token: &Token) -> String {
    let scopes: Vec<String> = token.roles.iter().map(|r| r.scope.to_string()).collect();
    scopes.join("; ")
}

/// The functions of a token; of several roles each with its scope.
fn functions(token: &Token) -> Vec<String> {
    let is_one = token.roles.len() == 1;
    let roles = token.roles.iter();
    roles
        .flat_map(|role| {
            role.functions.iter().map(move |function| match is_one {
                true => function.as_str().to_string(),
                false => format!("{}@{}", function.as_str(), role.scope),
            })
        })
        .collect()
}
