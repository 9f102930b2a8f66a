//! Microsoft's own clients drive the emulator (`tests/clients`), and the document's table says
//! of each command and method what these scripts check.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Tells on the terminal, past the capture of passing tests' output.
fn notice(text: &str) {
    let _ = writeln!(std::io::stderr(), "clients: skipped, {text}");
}

#[test]
fn the_clients_that_are_installed_work() {
    if std::env::var_os("SLOTWAY_TEST_CLIENTS").is_some_and(|value| value == "no") {
        return notice("SLOTWAY_TEST_CLIENTS is \"no\"");
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.arg(root().join("tests/clients/run")).args(arguments);
        command
    };
    match run(&["--installed"]).status() {
        Ok(status) if status.success() => {}
        Ok(_) => return notice("they are not installed; tests/clients/run installs and runs them"),
        Err(_) => return notice("there is no python3"),
    }
    let done = run(&[env!("CARGO_BIN_EXE_slotway")]).output().expect("python3 runs");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(told.contains("checks passed, 0 failed"), "{told}");
}

/// The names of all checks, as the scripts write them.
fn checks() -> BTreeSet<String> {
    let pattern = Regex::new(r#"check\("([a-z]+\.[a-z-]+)""#).expect("a pattern");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("tests/clients")).expect("the scripts") {
        let path = entry.expect("an entry").path();
        if !path.extension().is_some_and(|extension| extension == "py" || extension == "mjs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a script");
        for found in pattern.captures_iter(&text) {
            assert!(names.insert(found[1].to_owned()), "{} names {} again", path.display(), &found[1]);
        }
    }
    names
}

#[test]
fn the_table_of_the_document_is_what_the_scripts_check() {
    let text = std::fs::read_to_string(root().join("docs/EMULATOR.md")).expect("the document");
    let section = text.split("\n## Real clients\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| command"));
    let mut told = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [command, result, names] = cells.as_slice() else { panic!("three cells: {row}") };
        assert!(!command.is_empty() && !result.is_empty(), "{row}");
        let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no check: {row}");
        for name in names {
            assert!(told.insert(name.to_owned()), "{name} stands in two rows");
        }
    }
    let checks = checks();
    assert!(checks.len() > 50, "the reading of the scripts is broken: {checks:?}");
    let missing: Vec<_> = checks.difference(&told).collect();
    let unknown: Vec<_> = told.difference(&checks).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "not in the table: {missing:?}; no such check: {unknown:?}"
    );
}

#[test]
fn versions_are_exact_and_no_registry_is_named() {
    let read = |name: &str| std::fs::read_to_string(Path::new(&root()).join("tests/clients").join(name));
    let python = read("requirements.txt").expect("the pins of Python");
    assert!(python.lines().all(|line| line.split("==").count() == 2), "{python}");
    let node: serde_json::Value =
        serde_json::from_str(&read("package.json").expect("the pins of Node")).expect("JSON");
    for (name, version) in node["dependencies"].as_object().expect("the packages") {
        let exact =
            version.as_str().is_some_and(|text| text.split('.').all(|part| part.parse::<u32>().is_ok()));
        assert!(exact, "{name} {version}");
    }
    let lock: serde_json::Value =
        serde_json::from_str(&read("package-lock.json").expect("the lock")).expect("JSON");
    assert_eq!(lock["packages"][""]["dependencies"], node["dependencies"], "the lock follows");
    for (name, package) in lock["packages"].as_object().expect("packages") {
        assert!(package.get("resolved").is_none(), "{name} names where it came from");
    }
}
