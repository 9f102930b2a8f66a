//! What the documents show is true: their YAML is read by the code that they speak of,
//! and their links lead somewhere.

use std::path::Path;

use slotway::emulator::scenario::Scenario;
use slotway::inputs::INPUTS;

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "docs/EMULATOR.md",
    "docs/FAILURES.md",
];

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced YAML blocks of a document.
fn yaml(name: &str) -> Vec<String> {
    let text = read(name);
    let blocks = text.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_readmes_configuration_is_read() {
    let known: Vec<&str> = INPUTS.iter().map(|input| input.name).collect();
    let blocks: Vec<String> =
        yaml("README.md").into_iter().filter(|block| block.starts_with("checks:")).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let config = slotway::checks::read(&block, "README.md", &known);
        assert_eq!(
            config.map(|config| config.checks.len()).map_err(|problems| format!("{problems:?}")),
            Ok(3)
        );
    }
}

#[test]
fn the_scenario_of_the_emulators_document_is_read() {
    let blocks = yaml("docs/EMULATOR.md");
    let scenario = Scenario::from_yaml(&blocks[0]).expect("it is a scenario");
    assert_eq!((scenario.faults.len(), scenario.actors.len()), (2, 1));
}

#[test]
fn every_link_within_the_project_leads_to_a_file() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = Path::new(document).parent().expect("a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
            assert!(path.exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn every_file_and_test_that_a_document_names_is_there() {
    for document in DOCUMENTS {
        for name in read(document).split('`').skip(1).step_by(2) {
            let is_path =
                ["src/", "tests/", "docs/", "examples/"].iter().any(|start| name.starts_with(start));
            if is_path && !name.contains([' ', '*']) {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
                assert!(path.exists(), "{document} names {name}");
            }
        }
    }
}
