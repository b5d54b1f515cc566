//! Which function (功能权限) each route asks for: the one table. A route that is not in it answers
//! nobody, and a test compares it with the OpenAPI document.

use axum::http::Method;
use huicun_engine::access::Function;

/// What answers without a token: it tells nothing of anybody. The callback's caller is WeCom, whose
/// signature is checked there.
pub const OPEN_PATHS: [&str; 6] = [
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/docs/style.css",
    super::callback::PATH,
];

/// Method, path as the router has it, function.
pub const ROUTES: &[(Method, &str, Function)] = &[
    (Method::GET, "/v1/search", Function::MessagesSearch),
    (Method::GET, "/v1/search/counts", Function::MessagesSearch),
    (Method::GET, "/v1/conversations", Function::MessagesSearch),
    (Method::GET, "/v1/searches", Function::MessagesSearch),
    (Method::POST, "/v1/searches", Function::MessagesSearch),
    (Method::GET, "/v1/searches/{id}", Function::MessagesSearch),
    (Method::PUT, "/v1/searches/{id}", Function::MessagesSearch),
    (
        Method::DELETE,
        "/v1/searches/{id}",
        Function::MessagesSearch,
    ),
    (
        Method::GET,
        "/v1/conversations/{id}/messages",
        Function::MessagesRead,
    ),
    (Method::GET, "/v1/kf/sessions", Function::MessagesRead),
    (
        Method::GET,
        "/v1/kf/sessions/{id}/messages",
        Function::MessagesRead,
    ),
    (Method::GET, "/v1/media", Function::MediaRead),
    (Method::GET, "/v1/media/{msgid}", Function::MediaRead),
    (Method::GET, "/v1/exports", Function::Exports),
    (Method::POST, "/v1/exports", Function::Exports),
    (Method::GET, "/v1/exports/{id}", Function::Exports),
    (Method::POST, "/v1/exports/{id}/cancel", Function::Exports),
    (Method::GET, "/v1/exports/{id}/file", Function::Exports),
    (Method::GET, "/v1/dialogues", Function::FiguresRead),
    (Method::GET, "/v1/timeouts", Function::FiguresRead),
    (Method::GET, "/v1/contacts", Function::FiguresRead),
    (
        Method::GET,
        "/v1/groups/{id}/portrait",
        Function::FiguresRead,
    ),
    (Method::GET, "/v1/reports/employees", Function::FiguresRead),
    (
        Method::GET,
        "/v1/reports/departments",
        Function::FiguresRead,
    ),
    (Method::GET, "/v1/reports/guides", Function::FiguresRead),
    (Method::GET, "/v1/reports/stores", Function::FiguresRead),
    (Method::GET, "/v1/reports/customers", Function::FiguresRead),
    (Method::GET, "/v1/reports/groups", Function::FiguresRead),
    (
        Method::GET,
        "/v1/explain/{report}/{metric}",
        Function::FiguresRead,
    ),
    (Method::GET, "/v1/ranking/{report}", Function::FiguresRead),
    (Method::GET, "/v1/metrics", Function::FiguresRead),
    (Method::GET, "/v1/behaviours", Function::BehavioursRead),
    (
        Method::GET,
        "/v1/behaviours/{id}/reviews",
        Function::BehavioursRead,
    ),
    (
        Method::POST,
        "/v1/behaviours/{id}/reviews",
        Function::BehavioursReview,
    ),
    (
        Method::POST,
        "/v1/behaviours/backtest",
        Function::BehavioursRead,
    ),
    (Method::POST, "/v1/behaviours/rescans", Function::RulesWrite),
    (Method::POST, "/v1/sql", Function::Sql),
    (Method::GET, "/v1/rules", Function::RulesRead),
    (Method::PUT, "/v1/rules", Function::RulesWrite),
    (Method::POST, "/v1/rules/diff", Function::RulesRead),
    (Method::GET, "/v1/rules/history", Function::RulesRead),
    (
        Method::GET,
        "/v1/rules/history/{version}",
        Function::RulesRead,
    ),
    (
        Method::PUT,
        "/v1/directory/{table}",
        Function::DirectoryWrite,
    ),
    (Method::GET, "/v1/ledger", Function::LedgerRead),
    (Method::GET, "/v1/audit", Function::AuditRead),
    (Method::GET, "/v1/tokens", Function::TokensManage),
    (Method::POST, "/v1/tokens", Function::TokensManage),
    (Method::DELETE, "/v1/tokens/{id}", Function::TokensManage),
    (Method::GET, "/metrics", Function::OperationsRead),
];

/// What the table says about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// It needs this function.
    Function(Function),
    /// The route has only these methods.
    OtherMethods(Vec<&'static str>),
    /// The table does not have the route: nobody may use it.
    Unlisted,
}

/// Looks a route up.
pub fn asked(method: &Method, path: &str) -> Asked {
    // A HEAD is answered by what answers the GET.
    let method = match *method {
        Method::HEAD => &Method::GET,
        _ => method,
    };
    let mut others = Vec::new();
    for (known, _, function) in ROUTES.iter().filter(|(_, known, _)| *known == path) {
        if known == method {
            return Asked::Function(*function);
        }
        others.push(known.as_str());
    }
    match others.is_empty() {
        true => Asked::Unlisted,
        false => Asked::OtherMethods(others),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::server::document;

    #[test]
    fn every_route_of_the_description_asks_for_a_function_or_is_open() {
        let document = serde_json::to_value(document()).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                if !OPEN_PATHS.contains(&path.as_str()) {
                    described.insert((method.to_uppercase(), path.clone()));
                }
            }
        }
        let listed = ROUTES.iter();
        let listed = listed.map(|(method, path, _)| (method.to_string(), path.to_string()));
        assert_eq!(described, listed.collect());
    }

    #[test]
    fn a_route_that_is_not_listed_is_nobodys() {
        assert_eq!(asked(&Method::GET, "/v1/secrets"), Asked::Unlisted);
        let expected = Asked::OtherMethods(vec!["GET", "PUT"]);
        assert_eq!(asked(&Method::DELETE, "/v1/rules"), expected);
        let expected = Asked::Function(Function::RulesRead);
        assert_eq!(asked(&Method::HEAD, "/v1/rules"), expected);
    }
}
