//! `huicun demo`: a made-up company to try things on.

use huicun_testdata::demo::{DemoOptions, write_company};

use crate::arguments::DemoCommand;
use crate::failure::Failure;

pub fn demo(what: DemoCommand) -> Result<(), Failure> {
    let DemoCommand::Make {
        output,
        messages,
        employees,
        days,
        seed,
    } = what;
    let options = DemoOptions {
        seed,
        n_messages: messages,
        n_employees: employees,
        days,
        ..DemoOptions::default()
    };
    std::fs::create_dir_all(&output)
        .map_err(|e| Failure::failed(format!("cannot create `{}`: {e}", output.display())))?;
    let summary = write_company(&options, &output)
        .map_err(|e| Failure::failed(format!("cannot write `{}`: {e}", output.display())))?;
    println!("{}", serde_json::to_string(&summary)?);
    Ok(())
}
