//! `huicun rules`: the rules in force, as a file.

use std::path::Path;

use huicun_engine::archive::Home;
use huicun_engine::rules::Rules;
use huicun_engine::state::{State, StateError};

use crate::arguments::RulesCommand;
use crate::failure::Failure;

pub fn rules(data: &Path, what: RulesCommand) -> Result<(), Failure> {
    match what {
        RulesCommand::Show => {
            let home = Home::open(data)?;
            let (_, rules) = State::open(&home.state())?.rules()?;
            print!("{}", rules.to_toml());
        }
        RulesCommand::Apply { file } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", file.display())))?;
            // Wrong rules make no data directory.
            Rules::default()
                .replaced_by(&text)
                .map_err(|e| StateError::BadRules(e.to_string()))?;
            let home = Home::open_or_create(data)?;
            let now = chrono::Utc::now().timestamp_millis();
            let version = State::open(&home.state())?.apply_rules(&text, now)?;
            eprintln!("rules version {version} is in force");
        }
    }
    Ok(())
}
