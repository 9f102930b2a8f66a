//! What is packaged for the hosts says the same as the code: `action.yml`, `task.json`,
//! `vss-extension.json`, the workflows and the examples. The launcher's own tests run here too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use slotway::host::OUTPUTS;
use slotway::host::azure_pipelines::output_name;
use slotway::inputs::{For, INPUTS, Kind};

/// What the service connection says instead, or GitHub alone has, so that the task does
/// not ask for it.
const NOT_OF_THE_TASK: [&str; 15] = [
    "tenant-id",
    "client-id",
    "client-secret",
    "client-secret-file",
    "environment",
    "resource-manager-url",
    "auth",
    "creds",
    "publish-profile",
    "certificate-file",
    "federated-token-file",
    "audience",
    "github-token",
    "github-environment",
    "pull-request-comment",
];

const VERBS: [&str; 8] = ["release", "deploy", "swap", "rollback", "settle", "check", "plan", "status"];

/// The names of the outputs.
fn outputs() -> Vec<&'static str> {
    OUTPUTS.iter().map(|(name, _)| *name).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("a mapping").keys().map(String::as_str).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    let items = value.as_array().expect("a list");
    items.iter().map(|item| item[key].as_str().expect("a text")).collect()
}

fn files(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| format!("{folder}/{}", entry.expect("an entry").file_name().to_string_lossy()))
        .collect();
    names.sort();
    names
}

/// Every mapping in a document that has a key.
fn having<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            if map.contains_key(key) {
                found.push(value);
            }
            map.values().for_each(|inner| having(inner, key, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| having(inner, key, found)),
        _ => {}
    }
}

#[test]
fn the_action_has_the_inputs_of_the_list_and_the_outputs() {
    let action = yaml("action.yml");
    let listed: BTreeSet<&str> = INPUTS.iter().map(|input| input.name).collect();
    assert_eq!(keys(&action["inputs"]), listed);
    assert_eq!(keys(&action["outputs"]), outputs().into_iter().collect());
    for (name, meaning) in OUTPUTS {
        assert_eq!(action["outputs"][name]["description"], meaning, "{name}");
    }
    for (name, input) in action["inputs"].as_object().expect("a mapping") {
        assert!(input["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        assert!(input["required"].is_boolean(), "{name}");
        let known = BTreeSet::from(["description", "required", "default"]);
        assert!(keys(input).is_subset(&known), "{name}");
    }
    assert_eq!(action["inputs"]["command"]["default"], "release");
    let command = action["inputs"]["command"]["description"].as_str().expect("a text");
    assert!(VERBS.iter().all(|verb| command.contains(verb)), "{command}");
}

#[test]
fn the_action_starts_the_launcher() {
    let action = yaml("action.yml");
    let known = BTreeSet::from(["name", "description", "author", "branding", "inputs", "outputs", "runs"]);
    assert_eq!(keys(&action), known);
    assert_eq!(
        action["runs"],
        serde_json::json!({"using": "node24", "main": "launch.js", "post": "launcher/settle.js"})
    );
    assert!(root().join("launch.js").is_file() && root().join("launcher/settle.js").is_file());
}

#[test]
fn the_task_has_the_inputs_of_the_list_but_those_of_its_connection() {
    let task = json("task.json");
    let expected: BTreeSet<String> = INPUTS
        .iter()
        .filter(|input| !NOT_OF_THE_TASK.contains(&input.name))
        .map(|input| output_name(input.name))
        .collect();
    let inputs = list(&task["inputs"], "name");
    let given: BTreeSet<String> = inputs.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(given, expected);
    assert_eq!(inputs.len(), given.len(), "none is there twice");
    assert!(NOT_OF_THE_TASK.iter().all(|name| INPUTS.iter().any(|input| input.name == *name)));
    let command = &task["inputs"].as_array().expect("a list")[1];
    assert_eq!(keys(&command["options"]), BTreeSet::from(VERBS));
    assert_eq!(command["defaultValue"], "release");
}

/// No input of the task is a secret in a variable of the pipeline, and none is of the type
/// filePath: the agent fills such an input with the sources' folder when it is left empty
/// (azure-pipelines §4), and a release without a package would ship the repository.
#[test]
fn the_task_asks_for_no_secret_and_no_path_that_fills_itself() {
    let task = json("task.json");
    assert!(!list(&task["inputs"], "type").contains(&"filePath"));
    for input in INPUTS.iter().filter(|input| input.kind == Kind::Secret) {
        assert!(NOT_OF_THE_TASK.contains(&input.name), "{}", input.name);
    }
}

/// What tasks.schema.json of azure-pipelines-task-lib asks of the parts that are used.
#[test]
fn the_task_keeps_to_its_schema() {
    let task = json("task.json");
    let known = "id name friendlyName description helpUrl helpMarkDown author category visibility runsOn version \
                 minimumAgentVersion instanceNameFormat groups inputs dataSourceBindings outputVariables restrictions \
                 execution postjobexecution $schema";
    assert!(keys(&task).is_subset(&known.split(' ').filter(|word| !word.is_empty()).collect()));
    let id = uuid::Uuid::try_parse(task["id"].as_str().expect("a text")).expect("a GUID");
    assert_eq!(id.to_string(), "6f0d7c5e-3c0b-4b7e-9a53-8d1f2c4e7ab9", "it never changes");
    assert_eq!(task["name"], "Slotway");
    assert!(task["friendlyName"].as_str().expect("a text").chars().count() <= 40);
    let types = BTreeSet::from(["string", "pickList", "connectedService:AzureRM"]);
    assert!(list(&task["inputs"], "type").iter().all(|kind| types.contains(kind)));
    let groups: BTreeSet<&str> = list(&task["groups"], "name").into_iter().collect();
    let inputs: BTreeSet<&str> = list(&task["inputs"], "name").into_iter().collect();
    let allowed =
        "name aliases type label defaultValue required helpMarkDown groupName visibleRule properties options";
    for input in task["inputs"].as_array().expect("a list") {
        let name = input["name"].as_str().expect("a text");
        assert!(name.starts_with(|first: char| first.is_ascii_alphabetic()), "{name}");
        assert!(name.chars().all(|character| character.is_ascii_alphanumeric()), "{name}");
        assert!(keys(input).is_subset(&allowed.split(' ').collect()), "{name}");
        assert!(input["groupName"].as_str().is_none_or(|group| groups.contains(group)), "{name}");
    }
    for rule in rules(&task) {
        let terms = rule.split(" || ").map(|term| term.split_once(" = ").expect("name = value"));
        for (name, value) in terms {
            assert!(name == "command" && VERBS.contains(&value), "{rule}");
        }
    }
    for target in list(&task["dataSourceBindings"], "target") {
        assert!(inputs.contains(target), "{target}");
    }
}

fn rules(task: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    having(task, "visibleRule", &mut found);
    found.iter().map(|holder| holder["visibleRule"].as_str().expect("a text")).collect()
}

/// The task may set its outputs and nothing else, whatever an app's log says. The mode
/// "restricted" would refuse task.uploadsummary and results.publish as well
/// (azure-pipelines-agent TaskCommandExtension.cs: neither has AllowedInRestrictedMode).
#[test]
fn the_task_may_set_its_outputs_only() {
    let task = json("task.json");
    let names: Vec<String> = outputs().into_iter().map(output_name).collect();
    assert_eq!(list(&task["outputVariables"], "name"), names);
    assert_eq!(task["restrictions"], serde_json::json!({"settableVariables": {"allowed": names}}));
    for node in ["Node20_1", "Node24"] {
        assert_eq!(task["execution"][node]["target"], "launch.js");
    }
}

#[test]
fn one_version_everywhere() {
    let parts: Vec<u64> =
        env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().expect("a number")).collect();
    let expected = serde_json::json!({"Major": parts[0], "Minor": parts[1], "Patch": parts[2]});
    assert_eq!(json("task.json")["version"], expected);
    assert_eq!(json("vss-extension.json")["version"], env!("CARGO_PKG_VERSION"));
    let manifest = json("dist/manifest.json");
    let released = manifest["binaries"].as_object().is_some_and(|binaries| !binaries.is_empty());
    assert_eq!(manifest["version"], if released { env!("CARGO_PKG_VERSION") } else { "dev" });
}

#[test]
fn the_extension_packs_what_the_task_needs() {
    let extension = json("vss-extension.json");
    let packed: BTreeMap<&str, &str> =
        list(&extension["files"], "packagePath").into_iter().zip(list(&extension["files"], "path")).collect();
    for needed in ["task.json", "icon.png", "launch.js", "launcher", "dist/manifest.json", "bin"] {
        let source = packed[format!("slotway/{needed}").as_str()];
        assert!(root().join(source).exists(), "{source}");
    }
    assert_eq!(extension["contributions"][0]["properties"]["name"], "slotway");
    let details = extension["content"]["details"]["path"].as_str().expect("a path");
    assert!(root().join(details).is_file());
    for (icon, size) in [("images/icon-128.png", 128), ("images/icon-32.png", 32)] {
        let bytes = std::fs::read(root().join(icon)).expect("an icon");
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n", "{icon}");
        let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert_eq!((side(16), side(20)), (size, size), "{icon}");
    }
}

#[test]
fn the_examples_use_inputs_and_outputs_that_there_are() {
    let action = yaml("action.yml");
    let task = json("task.json");
    let task_inputs: BTreeSet<&str> = list(&task["inputs"], "name").into_iter().collect();
    for name in files("examples/github").iter().chain(&files(".github/workflows")) {
        let document = yaml(name);
        let mut steps = Vec::new();
        having(&document, "uses", &mut steps);
        let ours = |step: &&Value| {
            step["uses"].as_str().is_some_and(|uses| uses == "./" || uses.starts_with("slotway/slotway@"))
        };
        let ours: Vec<&Value> = steps.into_iter().filter(ours).collect();
        assert!(!ours.is_empty() || name.starts_with(".github"), "{name}");
        for step in &ours {
            assert!(keys(&step["with"]).is_subset(&keys(&action["inputs"])), "{name}");
        }
        for output in ours.iter().filter_map(|step| step["id"].as_str()).flat_map(|id| outputs_of(name, id)) {
            assert!(outputs().contains(&output.as_str()), "{name}: {output}");
        }
    }
    for name in files("examples/azure-pipelines") {
        let document = yaml(&name);
        let mut steps = Vec::new();
        having(&document, "task", &mut steps);
        assert!(!steps.is_empty(), "{name}");
        for step in steps {
            assert_eq!(step["task"], format!("Slotway@{}", task["version"]["Major"]), "{name}");
            assert!(keys(&step["inputs"]).is_subset(&task_inputs), "{name}");
        }
    }
}

/// The README's tables are made from the lists in the code. Run with SLOTWAY_UPDATE_README=1
/// to write them anew.
#[test]
fn the_readme_has_the_tables_of_inputs_and_outputs() {
    let mut inputs = String::from("| input | meaning | Azure Pipelines | elsewhere |\n|---|---|---|---|\n");
    for input in INPUTS {
        let task = match NOT_OF_THE_TASK.contains(&input.name) {
            true => "–".to_owned(),
            false => format!("`{}`", output_name(input.name)),
        };
        // The command line has the verb as its first word, and GitHub's API is a step's matter.
        let variable = match input.verbs {
            For::Step => "–".to_owned(),
            _ => format!("`{}`", input.variable()),
        };
        let help = input.help.replace('|', "\\|");
        inputs.push_str(&format!("| `{}` | {help} | {task} | {variable} |\n", input.name));
    }
    let mut outputs = String::from("| output | meaning | Azure Pipelines |\n|---|---|---|\n");
    for (name, meaning) in OUTPUTS {
        outputs.push_str(&format!("| `{name}` | {meaning} | `{}` |\n", output_name(name)));
    }
    let readme = read("README.md");
    let wanted = with_part(&with_part(&readme, "inputs", &inputs), "outputs", &outputs);
    if std::env::var_os("SLOTWAY_UPDATE_README").is_some() {
        std::fs::write(root().join("README.md"), wanted).expect("written");
    } else {
        assert!(
            readme == wanted,
            "README.md differs from the lists; run this test with SLOTWAY_UPDATE_README=1"
        );
    }
}

/// A text with what is between two marks replaced.
fn with_part(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: made by a test -->\n"), format!("<!-- end of {name} -->"));
    let (head, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (_, tail) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no {end}"));
    format!("{head}{begin}\n{part}\n{end}{tail}")
}

#[test]
fn the_readmes_pipelines_are_parts_of_the_examples() {
    let readme = read("README.md");
    let trimmed = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    for example in ["examples/github/release-step.yml", "examples/azure-pipelines/release-step.yml"] {
        let (_, rest) =
            readme.split_once(&format!("]({example})")).unwrap_or_else(|| panic!("no link to {example}"));
        let block =
            rest.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
        let (block, whole) = (trimmed(block), trimmed(&read(example)));
        assert!((5..=25).contains(&block.len()), "{example}: {} lines", block.len());
        assert!(whole.windows(block.len()).any(|part| part == block), "{example}: {block:#?}");
    }
}

/// The outputs of a step that a workflow names.
fn outputs_of(name: &str, id: &str) -> Vec<String> {
    let text = read(name);
    let prefix = format!("steps.{id}.outputs.");
    text.split(&prefix)
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(|character| character.is_ascii_alphanumeric() || *character == '-')
                .collect()
        })
        .collect()
}

#[test]
fn workflows_are_pinned_and_grant_nothing_by_default() {
    for name in files(".github/workflows").iter().chain(&files("examples/github")) {
        let document = yaml(name);
        assert_eq!(document["permissions"], serde_json::json!({}), "{name}");
        assert!(document["concurrency"].is_object(), "{name}");
        let mut scripts = Vec::new();
        having(&document, "run", &mut scripts);
        for step in scripts {
            assert!(!step["run"].as_str().expect("a script").contains("${{"), "{name}: {step}");
        }
        let text = read(name);
        let uses =
            |line: &'_ str| line.trim_start_matches([' ', '-']).strip_prefix("uses: ").map(str::to_owned);
        for line in text.lines().filter_map(uses) {
            let ours = line.starts_with("./ ") || line.starts_with("slotway/slotway@v");
            assert!(ours || is_pinned(&line), "{name}: {line}");
        }
    }
}

/// `owner/name@<40 digits> # v1.2.3`
fn is_pinned(uses: &str) -> bool {
    let Some((_, reference)) = uses.split_once('@') else { return false };
    let Some((commit, version)) = reference.split_once(" # v") else { return false };
    commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit()) && version.contains('.')
}

#[test]
fn the_launcher_passes_its_own_tests() {
    let mut tests: Vec<String> = files("tests/launcher");
    tests.retain(|name| Path::new(name).to_string_lossy().ends_with(".test.js"));
    assert!(tests.len() >= 4, "{tests:?}");
    let output = match Command::new("node").arg("--test").args(&tests).current_dir(root()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            say("skipped: the launcher's tests need node on PATH");
            return;
        }
        Err(error) => panic!("node did not start: {error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[expect(clippy::print_stderr, reason = "that a test is skipped is said where a person reads it")]
fn say(text: &str) {
    eprintln!("{text}");
}
