//! The reference pages name what the code has: tables, columns, metrics, commands, flags and
//! settings. A page that falls behind fails here.

use std::path::Path;

use huicun_engine::archive::message::SCHEMA;
use huicun_engine::archive::verify::Kind;
use huicun_engine::directory::schema::TABLES;
use huicun_engine::jobs::columns;
use huicun_engine::metrics::catalogue;

use crate::support::Installation;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

#[track_caller]
fn assert_names(name: &str, page: &str, word: &str) {
    let is_named = page.contains(&format!("`{word}`")) || page.contains(&format!("`{word} "));
    assert!(is_named, "docs/{name} does not name `{word}`");
}

#[test]
fn every_column_of_messages_is_described() {
    let name = "reference/messages.md";
    let text = page(name);
    for field in SCHEMA.fields() {
        assert_names(name, &text, field.name());
    }
}

#[test]
fn every_directory_table_and_column_is_described() {
    let name = "reference/directory.md";
    let text = page(name);
    for table in TABLES {
        assert_names(name, &text, table.name);
        for column in table.columns {
            assert_names(name, &text, column.name);
        }
    }
}

#[test]
fn every_derived_table_and_column_is_described() {
    let name = "reference/derived-tables.md";
    let text = page(name);
    for table in huicun_engine::jobs::derive::schema::TABLES.iter() {
        assert_names(name, &text, table.name);
        for (column, _) in table.columns() {
            assert_names(name, &text, column);
        }
    }
    for (view, ..) in huicun_engine::jobs::derive::sql::VIEWS {
        assert_names(name, &text, view);
    }
    for column in columns() {
        if [
            "behaviours",
            "behaviour_reviews",
            "replies",
            "table_columns",
        ]
        .contains(&column.table.as_str())
        {
            assert_names(name, &text, &column.table);
            assert_names(name, &text, &column.name);
        }
    }
}

/// A cell of a page as plain text: no code, emphasis or links.
fn plain(cell: &str) -> String {
    let mut text = String::new();
    for (nth, part) in cell.replace("\\|", "|").split("](").enumerate() {
        // Behind the target of the link that the part before began.
        let rest = match nth {
            0 => part,
            _ => part.split_once(')').map_or("", |(_, rest)| rest),
        };
        text += rest;
    }
    text.replace(['`', '*', '['], "")
}

/// The pages of `messages` and of the directory say of each column what SQL says of it, and maybe
/// more.
#[test]
fn the_pages_of_tables_say_what_sql_says() {
    let (messages, directory) = (
        page("reference/messages.md"),
        page("reference/directory.md"),
    );
    for column in columns() {
        let text = match column.table.as_str() {
            "messages" => messages.as_str(),
            name if TABLES.iter().any(|table| table.name == name) => {
                let (_, section) = directory.split_once(&format!("## `{name}`")).unwrap();
                section.split("\n## ").next().unwrap()
            }
            _ => continue,
        };
        let start = format!("| `{}` |", column.name);
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap();
        assert!(
            plain(line).contains(&plain(&column.en)),
            "{}.{}: {line}\nSQL says: {}",
            column.table,
            column.name,
            column.en
        );
    }
}

/// What SQL says of its columns.
fn columns() -> Vec<columns::Column> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(columns::all()).unwrap()
}

/// The page's tables are the schema's, with the comments that SQL shows; where they are not, they
/// are written anew and the test fails once.
#[test]
fn the_page_of_derived_tables_is_the_schema() {
    let columns = columns();
    let mut sections = String::new();
    for table in huicun_engine::jobs::derive::schema::TABLES.iter() {
        let mut letters = table.comment.chars();
        let first: String = letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .collect();
        sections += &format!(
            "## `{}`\n\n{first}{}.\n\n| column | type | null | meaning |\n|---|---|---|---|\n",
            table.name,
            letters.as_str()
        );
        for (name, _) in table.columns() {
            let column = columns
                .iter()
                .find(|c| c.table == table.name && c.name == name);
            let column = column.unwrap();
            sections += &format!(
                "| `{name}` | {} | {} | {} |\n",
                column.kind,
                // The table's own: a view may say less.
                match table.schema().field_with_name(name).unwrap().is_nullable() {
                    true => "yes",
                    false => "no",
                },
                column.en.replace('|', "\\|"),
            );
        }
        sections += "\n";
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/derived-tables.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- tables -->\n", "<!-- end of tables -->\n");
    let (before, rest) = text.split_once(start).unwrap();
    let (found, after) = rest.split_once(end).unwrap();
    if found != sections {
        std::fs::write(&path, format!("{before}{start}{sections}{end}{after}")).unwrap();
        panic!("docs/reference/derived-tables.md had other tables; they are now written anew");
    }
}

/// The lines of the catalogue's table for one page, a family as one line with `N`.
fn catalogue_lines() -> String {
    let mut lines = String::from("| key | name | unit | better | reports | definition |\n");
    lines.push_str("|---|---|---|---|---|---|\n");
    for entry in catalogue::entries() {
        let unit = entry.unit.as_str();
        let key = match unit {
            "seconds" => format!("{}_seconds", entry.key),
            _ => entry.key.to_string(),
        };
        let reports: Vec<&str> = entry.reports.iter().map(|r| r.as_str()).collect();
        let line = format!(
            "| `{key}` | {}, {} | {unit} | {} | {} | {} ({}) |\n",
            entry.zh,
            entry.en,
            entry.better.as_str(),
            reports.join(", "),
            entry.definition,
            entry.section,
        );
        lines.push_str(&line.replace("{n}", "N"));
    }
    lines
}

/// The page's table is the catalogue's; where it is not, it is written anew and the test fails
/// once.
#[test]
fn the_page_of_metrics_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/metrics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- catalogue -->\n", "<!-- end of catalogue -->\n");
    let (before, rest) = text.split_once(start).unwrap();
    let (table, after) = rest.split_once(end).unwrap();
    if table != catalogue_lines() {
        let fresh = format!("{before}{start}{}{end}{after}", catalogue_lines());
        std::fs::write(&path, fresh).unwrap();
        panic!("docs/reference/metrics.md had another table; it is now written anew");
    }
}

/// The long flags that a help text shows.
fn flags(help: &str) -> Vec<String> {
    help.split_whitespace()
        .filter(|word| word.starts_with("--") && word.len() > 3)
        .map(|word| {
            let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
            word.chars().take_while(is_name).collect()
        })
        .collect()
}

#[test]
fn every_kind_of_finding_is_described() {
    let name = "reference/verify.md";
    let text = page(name);
    for kind in Kind::ALL {
        assert_names(name, &text, kind.as_str());
    }
}

#[test]
fn every_command_and_flag_is_described() {
    let name = "reference/commands.md";
    let text = page(name);
    let run = Installation::new();
    for command in [
        "pull",
        "keys list",
        "keys add",
        "keys new",
        "quarantine list",
        "quarantine retry",
        "import messages",
        "import directory",
        "search",
        "searches list",
        "searches save",
        "searches run",
        "searches delete",
        "conversation",
        "dialogues",
        "timeouts",
        "contacts",
        "portrait",
        "report employees",
        "report departments",
        "report guides",
        "report stores",
        "report customers",
        "report groups",
        "explain",
        "metrics",
        "sql",
        "verify",
        "compact",
        "vacuum",
        "reindex",
        "rebuild",
        "ledger",
        "doctor",
        "media status",
        "media list",
        "media fetch",
        "media retry",
        "media get",
        "export search",
        "export conversation",
        "export media",
        "serve",
        "run",
        "rules apply",
        "rules show",
        "rules diff",
        "rules history",
        "rules holidays",
        "behaviours",
        "behaviours review",
        "behaviours reviews",
        "behaviours rescan",
        "behaviours backtest",
        "token create",
        "token list",
        "token revoke",
        "audit",
        "tape make",
        "demo make",
    ] {
        assert!(
            text.contains(command),
            "docs/{name} does not name `huicun {command}`"
        );
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        for flag in flags(&run.run(&arguments).ok().stdout) {
            assert!(
                text.contains(&flag),
                "docs/{name} does not name {flag} of `{command}`"
            );
        }
    }
}
