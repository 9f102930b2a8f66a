//! `docs/FAILURES.md` tells the truth: every test that it names exists, every row names one,
//! and every fault that the emulator can play stands in it.

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests_of(&read(&path), found);
        }
    }
}

/// The functions that are marked as tests, and those inside of `proptest!`.
fn tests_of(code: &str, found: &mut BTreeSet<String>) {
    for mark in ["#[test]", "#[tokio::test", "#[test_case"] {
        for rest in code.split(mark).skip(1) {
            let Some(name) = rest.split("fn ").nth(1) else { continue };
            found.insert(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
}

fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&root().join("src"), &mut found);
    collect(&root().join("tests"), &mut found);
    found
}

/// The rows of the tables, without their heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let is_row =
        |line: &&str| line.starts_with('|') && !line.starts_with("|-") && !line.starts_with("| what happens");
    text.lines()
        .filter(is_row)
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_row_names_tests_that_exist() {
    let tests = tests();
    assert!(tests.contains("every_row_names_tests_that_exist"), "the search for tests is broken");
    let text = read(&root().join("docs/FAILURES.md"));
    let rows = rows(&text);
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in rows {
        let proof = row.last().expect("a cell");
        let named: Vec<&str> = quoted(proof).collect();
        assert!(!named.is_empty(), "no test proves: {}", row[0]);
        for name in named {
            assert!(tests.contains(name), "no test is called {name}, which shall prove: {}", row[0]);
        }
    }
}

#[test]
fn every_fault_of_the_emulator_stands_in_it() {
    let source = read(&root().join("src/emulator/fault.rs"));
    let names = source.split("pub fn name(&self)").nth(1).and_then(|rest| rest.split("\n    }\n").next());
    let names: Vec<&str> = names.expect("the names").split('"').skip(1).step_by(2).collect();
    assert!(
        names.len() >= 10 && names.contains(&"reset-after"),
        "the search for faults is broken: {names:?}"
    );
    let text = read(&root().join("docs/FAILURES.md"));
    let told: BTreeSet<&str> = quoted(&text).collect();
    for name in names {
        assert!(told.contains(name), "the fault {name} does not stand in docs/FAILURES.md");
    }
}
