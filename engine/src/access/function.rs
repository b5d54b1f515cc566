//! What a caller may do (功能权限). The names are part of tokens, JWTs and the audit log: they never
//! change their meaning.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One thing that a role may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Function {
    /// Find messages.
    MessagesSearch,
    /// Read the messages of a conversation.
    MessagesRead,
    /// List and read the files of messages.
    MediaRead,
    /// Make and fetch exports.
    Exports,
    /// Run SELECTs.
    Sql,
    /// Reports, what is behind their cells, dialogues, timeouts, rankings, portraits.
    FiguresRead,
    /// List behaviours.
    BehavioursRead,
    /// Review behaviours.
    BehavioursReview,
    /// Read the rules.
    RulesRead,
    /// Change the rules.
    RulesWrite,
    /// Feed the directory.
    DirectoryWrite,
    /// Read the completeness ledger.
    LedgerRead,
    /// Read figures about the running program; nothing about people is in them.
    OperationsRead,
    /// Read the audit log.
    AuditRead,
    /// Make, list and revoke tokens.
    TokensManage,
}

/// No function has this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no function `{0}`; there are {list}", list = Function::ALL.map(Function::as_str).join(", "))]
pub struct UnknownFunction(String);

impl Function {
    /// All functions.
    pub const ALL: [Self; 15] = [
        Self::MessagesSearch,
        Self::MessagesRead,
        Self::MediaRead,
        Self::Exports,
        Self::Sql,
        Self::FiguresRead,
        Self::BehavioursRead,
        Self::BehavioursReview,
        Self::RulesRead,
        Self::RulesWrite,
        Self::DirectoryWrite,
        Self::LedgerRead,
        Self::OperationsRead,
        Self::AuditRead,
        Self::TokensManage,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessagesSearch => "messages.search",
            Self::MessagesRead => "messages.read",
            Self::MediaRead => "media.read",
            Self::Exports => "exports",
            Self::Sql => "sql",
            Self::FiguresRead => "figures.read",
            Self::BehavioursRead => "behaviours.read",
            Self::BehavioursReview => "behaviours.review",
            Self::RulesRead => "rules.read",
            Self::RulesWrite => "rules.write",
            Self::DirectoryWrite => "directory.write",
            Self::LedgerRead => "ledger.read",
            Self::OperationsRead => "operations.read",
            Self::AuditRead => "audit.read",
            Self::TokensManage => "tokens.manage",
        }
    }

    /// The Chinese name.
    pub fn zh(self) -> &'static str {
        match self {
            Self::MessagesSearch => "搜索消息",
            Self::MessagesRead => "查看会话",
            Self::MediaRead => "查看媒体文件",
            Self::Exports => "导出",
            Self::Sql => "执行 SQL",
            Self::FiguresRead => "查看报表",
            Self::BehavioursRead => "查看敏感行为",
            Self::BehavioursReview => "审核敏感行为",
            Self::RulesRead => "查看规则",
            Self::RulesWrite => "修改规则",
            Self::DirectoryWrite => "写入通讯录",
            Self::LedgerRead => "查看完整性台账",
            Self::OperationsRead => "查看运行指标",
            Self::AuditRead => "查看审计日志",
            Self::TokensManage => "管理令牌",
        }
    }

    /// Whether it changes something that others rely on: such a request is in the audit log before
    /// it is carried out, and once more with what came of it.
    pub fn changes(self) -> bool {
        matches!(
            self,
            Self::BehavioursReview
                | Self::RulesWrite
                | Self::DirectoryWrite
                | Self::Exports
                | Self::TokensManage
        )
    }

    /// What a token opens for which no functions are named: everything but handing on power.
    pub fn of_new_tokens() -> BTreeSet<Self> {
        let mut all = BTreeSet::from(Self::ALL);
        all.remove(&Self::TokensManage);
        all
    }

    /// What a token of before there were functions opens: what there was then.
    pub fn of_old_tokens() -> BTreeSet<Self> {
        let mut all = Self::of_new_tokens();
        all.remove(&Self::AuditRead);
        all
    }
}

impl From<Function> for &'static str {
    fn from(function: Function) -> Self {
        function.as_str()
    }
}

impl TryFrom<String> for Function {
    type Error = UnknownFunction;

    fn try_from(name: String) -> Result<Self, UnknownFunction> {
        name.parse()
    }
}

impl std::str::FromStr for Function {
    type Err = UnknownFunction;

    fn from_str(name: &str) -> Result<Self, UnknownFunction> {
        let found = Self::ALL.into_iter().find(|f| f.as_str() == name);
        found.ok_or_else(|| UnknownFunction(name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_read_back_from_its_name() {
        for function in Function::ALL {
            assert_eq!(function.as_str().parse::<Function>().unwrap(), function);
            let json = serde_json::to_string(&function).unwrap();
            assert_eq!(json, format!("\"{}\"", function.as_str()));
            assert_eq!(serde_json::from_str::<Function>(&json).unwrap(), function);
        }
        assert!("messages".parse::<Function>().is_err());
        assert_eq!(BTreeSet::from(Function::ALL).len(), Function::ALL.len());
    }
}
