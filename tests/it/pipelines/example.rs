//! The example files, read as their host reads them: expressions are looked up in a small
//! table, and one that is not there fails the test.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Values by name.
pub(super) type Values = BTreeMap<String, String>;

/// What expressions mean, by their text.
#[derive(Debug, Clone, Default)]
pub(super) struct Table(Values);

impl Table {
    pub(super) fn new(entries: &[(&str, &str)]) -> Self {
        Self(entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    pub(super) fn set(&mut self, expression: impl Into<String>, value: impl Into<String>) {
        self.0.insert(expression.into(), value.into());
    }

    pub(super) fn get(&self, expression: &str) -> &str {
        self.0.get(expression).unwrap_or_else(|| panic!("nothing is known of {expression}"))
    }

    /// A text with each expression between the marks replaced.
    fn resolve(&self, text: &str, open: &str, close: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(open) {
            let (expression, after) = after.split_once(close).unwrap_or_else(|| panic!("no end in {text}"));
            let value = self.0.get(expression.trim());
            out.push_str(before);
            out.push_str(value.unwrap_or_else(|| panic!("{text}: nothing is known of {expression}")));
            rest = after;
        }
        out + rest
    }

    /// A variable's value, which is one runtime expression as a whole.
    fn runtime(&self, text: &str) -> String {
        let inner = text.strip_prefix("$[").and_then(|rest| rest.strip_suffix(']'));
        let inner = inner.unwrap_or_else(|| panic!("{text} is no runtime expression"));
        self.get(inner.trim()).to_owned()
    }

    /// A mapping of texts, each resolved.
    fn resolve_all(&self, mapping: &Value, open: &str, close: &str) -> Values {
        let entries = mapping.as_object().into_iter().flatten();
        entries.map(|(name, value)| (name.clone(), self.resolve(&scalar(value), open, close))).collect()
    }
}

/// A scalar as the hosts hand it on: every input is a text.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The document of a file of this project.
pub(super) fn document(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A job of a GitHub workflow.
pub(super) struct GitHubJob {
    pub(super) workflow: String,
    pub(super) id: String,
    job: Value,
}

impl GitHubJob {
    /// A job of an example under `examples/github`.
    pub(super) fn of(workflow: &str, id: &str) -> Self {
        let job = document(&format!("examples/github/{workflow}"))["jobs"][id].clone();
        assert!(job.is_object(), "{workflow} has a job {id}");
        Self { workflow: workflow.to_owned(), id: id.to_owned(), job }
    }

    /// The one step that uses the action, and what it hands to it.
    fn step(&self) -> &Value {
        let steps = self.job["steps"].as_array().expect("steps");
        let ours =
            |step: &&Value| step["uses"].as_str().is_some_and(|uses| uses.starts_with("slotway/slotway@"));
        let ours: Vec<&Value> = steps.iter().filter(ours).collect();
        assert_eq!(ours.len(), 1, "{} {}: one step is ours", self.workflow, self.id);
        ours[0]
    }

    pub(super) fn step_id(&self) -> &str {
        self.step()["id"].as_str().unwrap_or_default()
    }

    /// What the step's `with:` comes to.
    pub(super) fn with(&self, table: &Table) -> Values {
        table.resolve_all(&self.step()["with"], "${{", "}}")
    }

    /// What the job hands on: `needs.{id}.outputs.…` for other jobs, when its step's outputs are these.
    pub(super) fn hand_on(&self, outputs: &Values, table: &mut Table) {
        let mut inner = table.clone();
        for (name, value) in outputs {
            inner.set(format!("steps.{}.outputs.{name}", self.step_id()), value);
        }
        for (name, value) in inner.resolve_all(&self.job["outputs"], "${{", "}}") {
            table.set(format!("needs.{}.outputs.{name}", self.id), value);
        }
    }

    /// The condition under which the job runs.
    pub(super) fn condition(&self) -> &str {
        self.job["if"].as_str().unwrap_or_default()
    }

    /// Whether its steps may ask for OIDC tokens.
    pub(super) fn may_ask_for_tokens(&self) -> bool {
        self.job["permissions"]["id-token"] == "write"
    }

    /// The environment, which the subject of its OIDC tokens names (sign-in §2).
    pub(super) fn environment(&self) -> &str {
        let environment = &self.job["environment"];
        environment.as_str().or_else(|| environment["name"].as_str()).expect("an environment")
    }
}

/// A job of an Azure Pipelines file.
pub(super) struct AzureJob {
    file: String,
    stage: Option<String>,
    id: String,
    job: Value,
}

impl AzureJob {
    /// A job or deployment of an example under `examples/azure-pipelines`.
    pub(super) fn of(file: &str, id: &str) -> Self {
        let document = document(&format!("examples/azure-pipelines/{file}"));
        let no_stage = Vec::new();
        let stages = document["stages"].as_array().unwrap_or(&no_stage);
        let places = stages
            .iter()
            .map(|stage| (stage["stage"].as_str().map(str::to_owned), &stage["jobs"]))
            .chain([(None, &document["jobs"])]);
        for (stage, jobs) in places {
            for job in jobs.as_array().into_iter().flatten() {
                if job["job"] == id || job["deployment"] == id {
                    return Self { file: file.to_owned(), stage, id: id.to_owned(), job: job.clone() };
                }
            }
        }
        panic!("{file} has no job {id}");
    }

    fn steps(&self) -> &Vec<Value> {
        let deploy = &self.job["strategy"]["runOnce"]["deploy"]["steps"];
        self.job["steps"].as_array().or_else(|| deploy.as_array()).expect("steps")
    }

    fn step(&self) -> &Value {
        let ours: Vec<&Value> = self.steps().iter().filter(|step| step["task"] == "Slotway@0").collect();
        assert_eq!(ours.len(), 1, "{} {}: one step is ours", self.file, self.id);
        ours[0]
    }

    /// What the task's inputs come to: template expressions first, then the job's variables, each of which
    /// is a runtime expression, then macros (azure-pipelines §4).
    pub(super) fn inputs(&self, table: &Table) -> Values {
        let mut macros = Table::default();
        for (name, value) in self.job["variables"].as_object().into_iter().flatten() {
            macros.set(name, table.runtime(&scalar(value)));
        }
        let inputs = table.resolve_all(&self.step()["inputs"], "${{", "}}");
        inputs.into_iter().map(|(name, value)| (name, macros.resolve(&value, "$(", ")"))).collect()
    }

    /// What other jobs and stages see of the step's output variables (azure-pipelines §5.4).
    pub(super) fn hand_on(&self, outputs: &Values, table: &mut Table) {
        let Some(step) = self.step()["name"].as_str() else { return };
        for (name, value) in outputs {
            table.set(format!("dependencies.{}.outputs['{step}.{name}']", self.id), value);
            if let Some(stage) = &self.stage {
                let id = &self.id;
                table.set(format!("stageDependencies.{stage}.{id}.outputs['{step}.{name}']"), value);
            }
        }
    }

    /// The condition under which the job runs.
    pub(super) fn condition(&self) -> &str {
        self.job["condition"].as_str().unwrap_or_default()
    }
}
