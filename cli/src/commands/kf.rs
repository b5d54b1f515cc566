//! `huicun kf`: sessions of WeChat customer service (微信客服), in the scope of the local operator.

use std::path::Path;

use huicun_engine::access::Scope;
use huicun_query_api::queries::kf_sessions::{KfSessionParams, kf_messages_of, kf_sessions};

use super::ask::{about, say_total, target, with_as_of, write};
use super::open_archive;
use crate::arguments::KfCommand;
use crate::failure::Failure;

pub async fn kf(data: &Path, what: KfCommand) -> Result<(), Failure> {
    let scope = Scope::local_operator();
    match what {
        KfCommand::Sessions {
            days,
            servicer,
            customer,
            session,
            limit,
            out,
        } => {
            let target = target(&out)?;
            let archive = open_archive(data).await?;
            let params = KfSessionParams {
                from: days.from,
                to: days.to,
                servicers: servicer,
                customers: customer,
                sessions: session,
                limit,
                cursor: None,
            };
            let page = kf_sessions(&scope, &archive, &params).await?;
            say_total(page.items.len(), page.total, "sessions");
            let about = about("微信客服会话", "Customer service sessions");
            let about = with_as_of(about, &page.as_of, target.language);
            write(&page.into_table(), &about, &target)
        }
        KfCommand::Messages { id, out } => {
            let target = target(&out)?;
            let archive = open_archive(data).await?;
            let list = kf_messages_of(&scope, &archive, &id).await?;
            let about = about("微信客服会话消息", "Messages of a session");
            let about = with_as_of(about, &list.as_of, target.language);
            write(&list.into_table(), &about, &target)
        }
    }
}
