//! The routes about people: contacts with customers, and the portrait of a group.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::auth::Caller;
use super::format::Format;
use super::listed::{Rows, asking, pages};
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::answer::Table;
use crate::queries::archive::AsOf;
use crate::queries::contacts::{ContactItem, ContactPage, ContactParams, contacts as ask_contacts};
use crate::queries::portrait::{PortraitItem, PortraitParams, Texts, portrait as ask_portrait};

/// A page of contacts.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ContactList {
    /// The contacts.
    items: Vec<ContactItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl Rows for ContactPage {
    fn json(self) -> impl Serialize + Send {
        ContactList {
            items: self.items,
            next: self.next,
            as_of: self.as_of,
        }
    }

    fn table(self) -> Table {
        self.into_table()
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    fn as_of(&self) -> &AsOf {
        &self.as_of
    }
}

/// When customers and employees last wrote to each other in single chats, and how much, by customer.
#[utoipa::path(get, path = "/v1/contacts", tag = "figures", params(
    ("from" = Option<String>, Query, description = "first day of the window, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day of the window, as of whose end everything is told; today if missing"),
    ("per" = Option<String>, Query, description = "customer, or employee for a row per customer and employee"),
    ("employee" = Option<Vec<String>>, Query, description = "only contacts of this employee; repeatable"),
    ("customer" = Option<Vec<String>>, Query, description = "only this customer; repeatable"),
    ("department" = Option<Vec<String>>, Query, description = "only contacts of employees who were in it or below in the window; repeatable"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = ContactList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn contacts(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = ContactParams {
        from: params.one("from")?,
        to: params.one("to")?,
        per: params.one("per")?,
        employees: params.list("employee"),
        customers: params.list("customer"),
        departments: params.list("department"),
        ..ContactParams::default()
    };
    params.end()?;
    pages(wanted, asking!(api, caller, question, ask_contacts)).await
}

/// The portrait of a group.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PortraitDocument {
    /// The group and the parts of its portrait.
    #[serde(flatten)]
    portrait: PortraitItem,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// The portrait of a group with customers (群画像): messages and customers by day, keywords, tags,
/// members, those who left.
#[utoipa::path(get, path = "/v1/groups/{id}/portrait", tag = "figures", params(
    ("id" = String, Path, description = "the group"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD; so many days before the last that they are `group_activity.window_days` if missing"),
    ("to" = Option<String>, Query, description = "last day; today if missing"),
), responses(
    (status = 200, body = PortraitDocument),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn group_portrait(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Json<PortraitDocument>, Problem> {
    let question = PortraitParams {
        id,
        from: params.one("from")?,
        to: params.one("to")?,
        texts: Texts::Read,
    };
    params.end()?;
    let answer = ask_portrait(&caller.scope, &api.archive, &question).await?;
    Ok(Json(PortraitDocument {
        portrait: answer.item,
        as_of: answer.as_of,
    }))
}
