//! The layout shows the architecture: crates and the engine's modules import one way only
//! (ARCHITECTURE.md). This test reads the manifests and the `use` lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Our crates that a folder's manifest depends on; test-only dependencies left out.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let mut found = Vec::new();
    let mut is_inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_inside = line == "[dependencies]";
        } else if is_inside && line.starts_with("huicun-") {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            found.push(name.trim_start_matches("huicun-").to_string());
        }
    }
    found
}

#[test]
fn crates_import_one_way() {
    let allowed: [(&str, &[&str]); 8] = [
        ("ffi-finance-sdk", &[]),
        ("ffi-finance-sdk/simulator", &["tape"]),
        ("ffi-finance-sdk/simulator/tape", &[]),
        ("engine/semantics", &[]),
        ("engine", &["semantics"]),
        ("indexer", &["engine", "semantics", "ffi-finance-sdk"]),
        ("query-api", &["engine", "semantics", "indexer"]),
        ("testdata", &["semantics"]),
    ];
    for (folder, allowed) in allowed {
        for found in dependencies(folder) {
            assert!(
                allowed.contains(&found.as_str()),
                "`{folder}` imports `{found}`"
            );
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn modules_of_the_engine_use_only_those_before_them() {
    let src = root().join("engine/src");
    let library = std::fs::read_to_string(src.join("lib.rs")).unwrap();
    let order: BTreeMap<&str, usize> = library
        .lines()
        .find_map(|line| line.strip_prefix("//! access, ").map(|_| &line[4..]))
        .unwrap()
        .trim_end_matches('.')
        .split(", ")
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect();
    for module in library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
    {
        let module = module.trim_end_matches(';');
        assert!(
            order.contains_key(module),
            "`{module}` has no place in the order"
        );
    }
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files {
        let inside = file
            .strip_prefix(&src)
            .unwrap()
            .to_str()
            .unwrap()
            .to_string();
        let module = inside.split('/').next().unwrap().trim_end_matches(".rs");
        let Some(place) = order.get(module) else {
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        for used in text.split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let Some(other) = order.get(used.as_str()) else {
                continue;
            };
            assert!(
                other <= place,
                "`{inside}` uses `{used}`, which comes later"
            );
        }
    }
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    for folder in [
        "ffi-finance-sdk",
        "engine",
        "indexer",
        "query-api",
        "cli",
        "testdata",
        "benches",
    ] {
        let mut files = Vec::new();
        sources(&root().join(folder), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let opens = text.lines().take(5).any(|line| line.starts_with("//!"));
            assert!(opens, "{} has no `//!` opening", file.display());
        }
    }
}
