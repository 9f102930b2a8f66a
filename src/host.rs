//! Who runs us: the door at both ends of the data's way.
//!
//! Owns which host it is, what it hands in, and the commands by which it is spoken
//! to. Must not decide anything about a release, nor word an event: the words come
//! from [`crate::report`], already deaf to commands.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub mod azure_pipelines;
pub mod github;
pub mod github_api;
mod github_client;
pub mod history;
pub mod origin;
mod outputs;
pub mod screen;

pub use outputs::OUTPUTS;

use crate::secret::spellings;

/// The environment, read once by the composition root. Prints the names of the variables only:
/// any value may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Without any variable.
    pub fn new() -> Self {
        Self::default()
    }
}

impl std::ops::Deref for Environment {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl IntoIterator for Environment {
    type Item = (String, String);
    type IntoIter = std::collections::btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Who runs this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// A terminal, or anything that is none of the others.
    Terminal,
    /// GitHub Actions.
    GitHub,
    /// Azure Pipelines.
    AzurePipelines,
}

/// A line that the host is meant to obey. Only the two functions that escape whatever is
/// put into a command make one, and only [`screen::Screen::order`] writes it; all other
/// text passes the sanitiser on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order(String);

impl Order {
    /// The line itself, without its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a run hands on to later steps: name and value, empty where there is none.
pub type Outputs = Vec<(&'static str, String)>;

/// How grave an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// Good news.
    Notice,
    /// Odd, and decides nothing.
    Warning,
    /// The cause of a failure.
    Error,
}

impl Host {
    /// By the variables that the runner or agent always sets (github-actions §4,
    /// azure-pipelines §6).
    pub fn detect(environment: &Environment) -> Self {
        let is = |name: &str| environment.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is("TF_BUILD") {
            Self::AzurePipelines
        } else if is("GITHUB_ACTIONS") {
            Self::GitHub
        } else {
            Self::Terminal
        }
    }

    /// The variable in which this host hands an input in.
    pub fn variable(self, input: &str) -> Option<String> {
        match self {
            Self::Terminal => None,
            // Hyphens stay (github-actions §1).
            Self::GitHub => Some(format!("INPUT_{}", input.to_ascii_uppercase())),
            // Names have no hyphens there: `app-name` is `appName` (azure-pipelines §2.1, §4).
            Self::AzurePipelines => Some(format!("INPUT_{}", input.replace('-', "").to_ascii_uppercase())),
        }
    }

    /// An input's name as it stands in this host's pipeline files.
    pub fn spelling(self, input: &str) -> String {
        match self {
            Self::Terminal | Self::GitHub => input.to_owned(),
            Self::AzurePipelines => azure_pipelines::output_name(input),
        }
    }

    /// Which run of which pipeline this is, the same in a step and in its post hook
    /// (github-actions §4, azure-pipelines §6).
    pub fn run(self, environment: &Environment) -> Option<String> {
        let names: &[&str] = match self {
            Self::Terminal => return None,
            Self::GitHub => &["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"],
            Self::AzurePipelines => {
                &["SYSTEM_TEAMPROJECT", "BUILD_BUILDID", "SYSTEM_JOBID", "SYSTEM_JOBATTEMPT"]
            }
        };
        let values = names.iter().filter_map(|name| environment.get(*name));
        let values: Vec<&str> = values.map(String::as_str).collect();
        Some(values.join("/")).filter(|run| !run.is_empty())
    }

    /// A folder for files that later steps may read, gone with the job.
    pub fn folder(self, environment: &Environment) -> Option<PathBuf> {
        let name = match self {
            Self::Terminal => return None,
            Self::GitHub => "RUNNER_TEMP",
            Self::AzurePipelines => "AGENT_TEMPDIRECTORY",
        };
        environment.get(name).map(|folder| PathBuf::from(folder).join("slotway"))
    }

    /// The lines that open a group.
    pub fn group(self, title: &str) -> Option<Order> {
        match self {
            Self::Terminal => None,
            Self::GitHub => Some(github::command("group", &[], title)),
            Self::AzurePipelines => Some(azure_pipelines::format_command("group", title)),
        }
    }

    /// The line that closes a group.
    pub fn end_group(self) -> Option<Order> {
        match self {
            Self::Terminal => None,
            Self::GitHub => Some(github::command("endgroup", &[], "")),
            Self::AzurePipelines => Some(azure_pipelines::format_command("endgroup", "")),
        }
    }

    /// The lines that make an annotation on the run's page.
    pub fn annotation(self, grade: Grade, title: &str, text: &str) -> Option<Order> {
        match self {
            Self::Terminal => None,
            Self::GitHub => {
                let name = match grade {
                    Grade::Notice => "notice",
                    Grade::Warning => "warning",
                    Grade::Error => "error",
                };
                Some(github::command(name, &[("title", title)], text))
            }
            Self::AzurePipelines => {
                let kind = match grade {
                    // There is no issue for good news there.
                    Grade::Notice => return None,
                    Grade::Warning => "warning",
                    Grade::Error => "error",
                };
                Some(azure_pipelines::command(
                    "task.logissue",
                    &[("type", kind)],
                    &format!("{title}: {text}"),
                ))
            }
        }
    }

    /// The lines that keep a secret out of everything that is printed later, in each
    /// form in which it could be printed.
    pub fn masks(self, secret: &str) -> Vec<Order> {
        let mask = |form: &String| match self {
            Self::Terminal => None,
            Self::GitHub => Some(github::command("add-mask", &[], form)),
            Self::AzurePipelines => Some(azure_pipelines::command("task.setsecret", &[], form)),
        };
        spellings(secret).iter().filter_map(mask).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_host_is_known_by_its_variables() {
        assert_eq!(Host::detect(&environment(&[("GITHUB_ACTIONS", "true")])), Host::GitHub);
        assert_eq!(Host::detect(&environment(&[("TF_BUILD", "True")])), Host::AzurePipelines);
        assert_eq!(Host::detect(&environment(&[("CI", "true")])), Host::Terminal);
    }

    #[test]
    fn an_environment_prints_no_value() {
        let environment = environment(&[("DB_PASSWORD", "hunter2")]);
        assert_eq!(format!("{environment:?}"), r#"{"DB_PASSWORD"}"#);
    }

    #[test]
    fn inputs_are_read_under_each_hosts_own_spelling() {
        assert_eq!(Host::GitHub.variable("app-name").as_deref(), Some("INPUT_APP-NAME"));
        assert_eq!(Host::AzurePipelines.variable("app-name").as_deref(), Some("INPUT_APPNAME"));
        assert_eq!(Host::Terminal.variable("app-name"), None);
    }

    #[test]
    fn a_secret_is_masked_in_each_form_that_could_be_printed() {
        let masks = Host::GitHub.masks("p\"w/ rd1");
        for form in ["p\"w/ rd1", "p%2522w%252F%2520rd1", "p\\\"w/ rd1", "cCJ3LyByZDE="] {
            assert!(
                masks.iter().any(|mask| mask.as_str().ends_with(&format!("::{form}"))),
                "{form} in {masks:?}"
            );
        }
        assert!(Host::GitHub.masks("abc").iter().all(|mask| !mask.as_str().ends_with("::abc")));
    }
}
