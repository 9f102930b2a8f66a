//! GitHub's runner: the environment of a step, its files, and what the runner reads
//! afterwards (github-actions §1 to §4).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::cloud::Cloud;
use super::example::{GitHubJob, Values, document};
use super::started::{HostCommand, Started, machine};
use crate::harness::Place;

/// The commands that the runner knows (github-actions §3).
const KNOWN: [&str; 8] =
    ["debug", "notice", "warning", "error", "group", "endgroup", "add-mask", "stop-commands"];

/// A machine that runs one job in a workspace of its own.
pub(super) struct Runner<'a> {
    cloud: &'a Cloud,
    pub(super) place: Place,
    /// What the job's `env:` adds, and what the runner gives beside.
    pub(super) environment: Values,
    steps: std::cell::Cell<usize>,
}

/// A step that has run.
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) log: String,
    pub(super) commands: Vec<HostCommand>,
    pub(super) outputs: Values,
    pub(super) summary: String,
    pub(super) state: Values,
    /// The report that it left for later steps.
    pub(super) report: serde_json::Value,
}

impl Ran {
    /// Title and text of each annotation of a kind.
    pub(super) fn annotations(&self, kind: &str) -> Vec<(String, String)> {
        let ours = self.commands.iter().filter(|command| command.name == kind);
        ours.map(|command| (command.property("title").to_owned(), command.data.clone())).collect()
    }

    pub(super) fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output {name}\n{}", self.log))
    }
}

impl<'a> Runner<'a> {
    /// A runner for a job of an example; OIDC tokens are offered if the job's permissions say so.
    pub(super) fn of(cloud: &'a Cloud, job: &GitHubJob, place: Place) -> Self {
        let mut runner = Self::bare(cloud, place);
        if job.may_ask_for_tokens() {
            runner.offer_tokens(&format!("repo:contoso/shop:environment:{}", job.environment()));
        }
        runner.set("GITHUB_JOB", &job.id);
        runner.set("GITHUB_WORKFLOW", &job.workflow);
        runner
    }

    /// A runner for any job, without OIDC tokens. The emulator is reached by `env:` of the job, as a cloud of
    /// one's own would be.
    pub(super) fn bare(cloud: &'a Cloud, place: Place) -> Self {
        let folder = place.path().to_owned();
        let mut runner = Self { cloud, environment: machine(&folder), place, steps: std::cell::Cell::new(0) };
        let temp = folder.join("_temp");
        std::fs::create_dir_all(temp.join("_runner_file_commands")).expect("a folder");
        let path = |path: &Path| path.display().to_string();
        for (name, value) in [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_ACTION", "slotwayslotway"),
            ("GITHUB_ACTION_REF", "v0.1.0"),
            ("GITHUB_ACTION_REPOSITORY", "slotway/slotway"),
            ("GITHUB_ACTOR", "octocat"),
            ("GITHUB_API_URL", "https://api.github.com"),
            ("GITHUB_BASE_REF", ""),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_HEAD_REF", ""),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_REF_TYPE", "branch"),
            ("GITHUB_REPOSITORY", "contoso/shop"),
            ("GITHUB_REPOSITORY_OWNER", "contoso"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_RUN_ID", "4711"),
            ("GITHUB_RUN_NUMBER", "7"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_SHA", "5c1e0ffb5d3ab7c8a1c6d1f3a0e8e0b4c2d6f7a9"),
            ("GITHUB_STEP_SUMMARY", ""),
            ("RUNNER_ARCH", "X64"),
            ("RUNNER_ENVIRONMENT", "github-hosted"),
            ("RUNNER_NAME", "GitHub Actions 1"),
            ("RUNNER_OS", "Linux"),
            ("SLOTWAY_BINARY", env!("CARGO_BIN_EXE_slotway")),
            ("SLOTWAY_ENVIRONMENT", "AzureStack"),
            ("SLOTWAY_RESOURCE_MANAGER_URL", cloud.get("resource_manager")),
            ("SLOTWAY_CA_FILE", &path(&cloud.trust(&temp))),
            ("GITHUB_WORKSPACE", &path(&folder)),
            ("RUNNER_TEMP", &path(&temp)),
            ("RUNNER_TOOL_CACHE", &path(&folder.join("_tool"))),
            ("GITHUB_EVENT_PATH", &path(&runner.place.write("_temp/event.json", "{}"))),
            ("GITHUB_ACTION_PATH", env!("CARGO_MANIFEST_DIR")),
        ] {
            runner.set(name, value);
        }
        runner
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// What a job gets with `permissions: id-token: write` (sign-in §2).
    pub(super) fn offer_tokens(&mut self, subject: &str) {
        let bearer = format!("request-token-{}", uuid::Uuid::new_v4().simple());
        self.cloud.issuer.grant(&bearer, "", subject);
        self.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &bearer);
        let url = format!("{}/github/idtoken?run=1", self.cloud.issuer.base);
        self.set("ACTIONS_ID_TOKEN_REQUEST_URL", &url);
    }

    /// Runs a step that uses the action, to its end.
    pub(super) fn run(&self, with: &Values) -> Ran {
        let (started, files) = self.start(with);
        read(started, &files)
    }

    /// Starts the action's main hook.
    pub(super) fn start(&self, with: &Values) -> (Started, Files) {
        let action = document("action.yml");
        self.start_hook(&action, "main", with, &Values::new()).expect("an action has a main hook")
    }

    /// Runs the action's post hook, as the runner does at the end of the job whatever became of it, with the
    /// state that the main hook saved.
    pub(super) fn post(&self, with: &Values, state: &Values) -> Option<Ran> {
        let action = document("action.yml");
        let (started, files) = self.start_hook(&action, "post", with, state)?;
        Some(read(started, &files))
    }

    fn start_hook(
        &self,
        action: &serde_json::Value,
        hook: &str,
        with: &Values,
        state: &Values,
    ) -> Option<(Started, Files)> {
        let script = action["runs"][hook].as_str()?;
        let mut environment = self.environment.clone();
        let inputs = action["inputs"].as_object().expect("inputs");
        for name in with.keys() {
            assert!(inputs.contains_key(name), "the action has no input {name}");
        }
        for (name, input) in inputs {
            // Every input is there, an empty one too; hyphens stay (actions/runner Handler.cs).
            let value = with.get(name).map(String::as_str).or_else(|| input["default"].as_str());
            let name = format!("INPUT_{}", name.replace(' ', "_").to_uppercase());
            environment.insert(name, value.unwrap_or_default().to_owned());
        }
        for (name, value) in state {
            environment.insert(format!("STATE_{name}"), value.clone());
        }
        self.steps.set(self.steps.get() + 1);
        let files = Files::make(self.place.path(), self.steps.get());
        files.tell(&mut environment);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        Some((Started::node(&script, self.place.path(), &environment), files))
    }
}

/// The files by which a step speaks to the runner, new for every step.
pub(super) struct Files(BTreeMap<&'static str, PathBuf>);

impl Files {
    fn make(folder: &Path, step: usize) -> Self {
        let folder = folder.join("_temp/_runner_file_commands");
        let names = ["OUTPUT", "STATE", "ENV", "PATH", "STEP_SUMMARY"];
        let path = |name: &str| folder.join(format!("{}_{step}", name.to_lowercase()));
        let files = Self(names.into_iter().map(|name| (name, path(name))).collect());
        for path in files.0.values() {
            std::fs::write(path, "").expect("a file");
        }
        files
    }

    fn tell(&self, environment: &mut Values) {
        for (name, path) in &self.0 {
            environment.insert(format!("GITHUB_{name}"), path.display().to_string());
        }
    }

    pub(super) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(&self.0[name]).expect("a file")
    }
}

/// Waits for a hook's end and reads what it left.
pub(super) fn read(started: Started, files: &Files) -> Ran {
    let (code, log) = started.end();
    assert_eq!(files.text("ENV"), "", "nothing is set for later steps");
    assert_eq!(files.text("PATH"), "");
    let commands = commands(&log);
    let outputs = values(&files.text("OUTPUT"));
    let report = outputs.get("report-file").filter(|path| !path.is_empty());
    let report = report.map_or(serde_json::Value::Null, |path| {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&text).expect("JSON")
    });
    Ran {
        code,
        commands,
        outputs,
        report,
        summary: files.text("STEP_SUMMARY"),
        state: values(&files.text("STATE")),
        log,
    }
}

/// The values of an environment file, by the runner's rules (FileCommandManager.cs): whichever of `=` and `<<`
/// comes first decides; a heredoc without its end fails the step.
fn values(text: &str) -> Values {
    let mut values = Values::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        let (name, value) = match (equals, heredoc) {
            (equals, Some(at)) if equals.is_none_or(|equals| at < equals) => {
                let (name, delimiter) = (&line[..at], &line[at + 2..]);
                assert!(!delimiter.is_empty(), "a delimiter in {line}");
                let mut value = Vec::new();
                loop {
                    match lines.next() {
                        Some(line) if line == delimiter => break,
                        Some(line) => value.push(line),
                        None => panic!("{name} has no end"),
                    }
                }
                (name, value.join("\n"))
            }
            (Some(at), _) => (&line[..at], line[at + 1..].to_owned()),
            (None, _) => panic!("unable to process the line {line:?}"),
        };
        assert!(!name.is_empty(), "a name in {line}");
        // The last one counts.
        values.insert(name.to_owned(), value);
    }
    values
}

/// The commands in a log: `::name …::data` at the beginning of a line, and the old form `##[name …]data`
/// anywhere in one (ActionCommand.cs).
fn commands(log: &str) -> Vec<HostCommand> {
    let mut found = Vec::new();
    for line in log.lines() {
        let command = match line.trim_start().strip_prefix("::") {
            Some(rest) => rest.split_once("::").map(|(head, data)| new_form(head, data)),
            None => {
                assert!(!line.contains("##["), "the old form of a command: {line}");
                None
            }
        };
        if let Some(command) = command {
            assert!(KNOWN.contains(&command.name.as_str()), "no such command: {line}");
            found.push(command);
        }
    }
    found
}

fn new_form(head: &str, data: &str) -> HostCommand {
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let plain = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n");
    let pairs = properties.split(',').filter_map(|pair| pair.split_once('='));
    let properties = pairs.map(|(key, value)| {
        let value = plain(value).replace("%3A", ":").replace("%2C", ",").replace("%25", "%");
        (key.trim().to_owned(), value)
    });
    HostCommand::new(name, properties.collect(), plain(data).replace("%25", "%"))
}

#[test]
fn the_stand_in_reads_files_and_commands_by_the_runners_rules() {
    let read = values("a=b<<c\n\nlong<<END\nx=y\n::error::z\nEND\n");
    assert_eq!(read, Values::from([("a".into(), "b<<c".into()), ("long".into(), "x=y\n::error::z".into())]));
    let found = commands("text ::error::no\n  ::error title=a%3Ab%2C,line=1::100%25%0Aof it\n::endgroup::\n");
    assert_eq!((found[0].property("title"), found[0].data.as_str()), ("a:b,", "100%\nof it"));
    assert_eq!((found[1].name.as_str(), found.len()), ("endgroup", 2));
}
