//! The walls between the rooms stand: which room may name which is read from the
//! source, so that a new arrow has to be drawn here first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which rooms a room may name. What is not listed may name no other room.
const MAY_NAME: [(&str, &[&str]); 15] = [
    ("artifact", &["names", "scratch", "text"]),
    ("azure", &["clock", "http", "names", "secret"]),
    ("checks", &["http", "names", "secret", "text"]),
    // Never azure: a shared wire type would let one mistake hide on both sides.
    ("emulator", &["names"]),
    ("facts", &["azure", "names", "secret", "source"]),
    ("plan", &["facts", "names"]),
    ("release", &["clock", "plan", "facts", "azure", "checks", "http", "names", "source"]),
    ("report", &["plan", "release", "checks", "names", "source", "text"]),
    ("host", &["report", "release", "checks", "artifact", "http", "secret", "source", "text"]),
    ("http", &["clock", "secret", "text"]),
    ("names", &["text"]),
    ("inputs", &["azure", "plan", "names", "secret"]),
    ("error", &["artifact", "azure", "http", "inputs", "plan", "release", "text"]),
    (
        "cli",
        &[
            "artifact", "azure", "checks", "clock", "emulator", "error", "facts", "host", "http", "inputs",
            "names", "plan", "release", "report", "scratch", "secret", "source", "text",
        ],
    ),
    ("main", &["cli"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The sources of the product, by their paths below `src`, without comments and tests.
pub(crate) fn product_sources() -> Vec<(String, String)> {
    let sources = rooms().into_iter().filter(|(_, path, _)| !is_test(path));
    sources
        .map(|(_, path, code)| {
            let product = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            (path.to_string_lossy().replace('\\', "/"), product)
        })
        // A whole file of tests is declared as one elsewhere; its tests stand at the margin.
        .filter(|(_, product)| !product.contains("\n#[test]\n"))
        .collect()
}

/// Every source with its room and its lines without comments.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("below src");
            let first = inside.components().next().expect("a component").as_os_str().to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).expect("a readable source");
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            (room, path.clone(), code.join("\n"))
        })
        .filter(|(room, ..)| room != "lib")
        .collect()
}

fn named(code: &str) -> BTreeSet<String> {
    let direct = code.split("crate::").skip(1);
    let mut names = BTreeSet::new();
    for rest in direct {
        if let Some(group) = rest.strip_prefix('{') {
            for part in group.split('}').next().unwrap_or_default().split(',') {
                names.insert(first_word(part.trim()));
            }
        } else {
            names.insert(first_word(rest));
        }
    }
    names.remove("");
    names
}

/// Tests of a room may reach further than the room; the emulator's may not.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        matches!(name.trim_end_matches(".rs"), "tests" | "testing" | "simulation")
    })
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn no_room_names_a_room_that_it_may_not() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_NAME.into_iter().collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (room, path, code) in rooms() {
        if room != "emulator" && is_test(&path) {
            continue;
        }
        for name in named(&code) {
            seen.insert((room.clone(), name.clone()));
            let may = allowed.get(room.as_str()).copied().unwrap_or_default();
            if name != room && !may.contains(&name.as_str()) {
                wrong.push(format!("{} names crate::{name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.contains(&("release".to_owned(), "azure".to_owned())), "the reading of names is broken");
}

#[test]
fn only_the_command_line_reads_the_environment() {
    let wrong: Vec<String> = rooms()
        .into_iter()
        .filter(|(room, path, _)| !["cli", "host"].contains(&room.as_str()) && !is_test(path))
        .filter(|(_, _, code)| {
            let outside_tests = code.split("#[cfg(test)]").next().unwrap_or_default();
            ["env::var", "env::vars", "env::args"].iter().any(|word| outside_tests.contains(word))
        })
        .map(|(_, path, _)| path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
