//! From raw strings to checked inputs, all problems at once.
//!
//! Owns the one list of inputs and what a well-formed value is. Pure: where the raw
//! strings come from (flags, environment, `slotway.yml`) is the caller's affair.

use std::path::PathBuf;

use reqwest::Url;

use crate::azure::{Cloud, SignIn};
use crate::names::{NameError, ReleaseId, ResourceGroup, SiteName, SlotName, SubscriptionId};
use crate::plan::Verb;

mod environment;
mod list;
mod login;
mod profile;
mod raw;
mod service_connection;
pub mod sign_in;
#[cfg(test)]
mod sign_in_tests;

pub use environment::Environment;
pub use list::{For, INPUTS, Input, Kind, find};
pub use login::secrets_of_login;
pub use profile::{ProfileInputs, profile};
pub use raw::{Raw, Source};

/// What is wrong with one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The input's name, or the file's place.
    pub input: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Whom to call, and as whom.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Which Azure.
    pub cloud: Cloud,
    /// How to sign in.
    pub sign_in: SignIn,
    /// Why this way, for the log.
    pub sign_in_reason: String,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The resource group; looked up by the app's name where not given.
    pub group: Option<ResourceGroup>,
    /// The app.
    pub site: SiteName,
}

/// What a verb that calls Azure needs.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Whom to call.
    pub connection: Connection,
    /// The slot to go through.
    pub slot: SlotName,
    /// The package.
    pub package: Option<PathBuf>,
    /// The image, for a container.
    pub image: Option<ReleaseId>,
    /// The start command that the slot is to have.
    pub startup_command: Option<String>,
    /// Its type, where it is not to be detected.
    pub package_type: Option<String>,
    /// Where it goes.
    pub target_path: Option<String>,
    /// Whether files that are not in the package are removed.
    pub clean: Option<bool>,
    /// Whether the app is restarted.
    pub restart: Option<bool>,
    /// The release to swap in or to take back.
    pub release_id: Option<ReleaseId>,
    /// The build that production serves before the swap.
    pub previous_build: Option<ReleaseId>,
}

/// Which inputs a verb cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// One of the verbs that change something.
    Change(Verb),
    /// Only whom to call.
    Reading,
}

/// Checks everything and reports everything.
///
/// # Errors
///
/// Every [`Problem`] there is.
pub fn resolve(raw: &Raw, environment: &Environment, needs: Needs) -> Result<Inputs, Vec<Problem>> {
    let (raw, problems) = sign_in::complete(raw, environment);
    let mut check = Check { raw: &raw, environment, problems };
    let connection = check.connection();
    let slot = check.slot();
    let release_id = check.name("release-id", ReleaseId::new);
    let previous_build = check.name("previous-build", ReleaseId::new);
    let image = check.image();
    let startup_command = check.text("startup-command");
    let (clean, restart) = (check.boolean("clean"), check.boolean("restart"));
    check.for_verb(needs);
    match (connection, slot) {
        (Some(connection), Some(slot)) if check.problems.is_empty() => Ok(Inputs {
            connection,
            slot,
            package: raw.get("package").map(PathBuf::from),
            image,
            startup_command,
            package_type: raw.get("type").map(str::to_owned),
            target_path: raw.get("target-path").map(str::to_owned),
            clean,
            restart,
            release_id,
            previous_build,
        }),
        _ => Err(check.problems),
    }
}

struct Check<'a> {
    raw: &'a Raw,
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, input: &str, message: impl Into<String>, help: impl Into<String>) {
        let problem = Problem { input: input.to_owned(), message: message.into(), help: help.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn missing(&mut self, name: &str) {
        let help = match find(name) {
            // A pipeline step always has a command, if only the one that goes without saying.
            Some(input) if self.raw.source("command") == Some(Source::Step) => {
                format!("give this input, or {name}: in slotway.yml; {}", input.help)
            }
            Some(input) => {
                format!("give --{name}, {} or {name}: in slotway.yml; {}", input.variable(), input.help)
            }
            None => String::new(),
        };
        self.problem(name, "is missing", help);
    }

    /// The value, if it is given and no macro that Azure Pipelines left as it stands.
    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.raw.get(name)?.to_owned();
        if let Some(help) = undefined_macro(&text) {
            self.problem(name, format!("is \"{text}\""), help);
            return None;
        }
        Some(text)
    }

    fn name<T>(&mut self, name: &str, new: fn(String) -> Result<T, NameError>) -> Option<T> {
        match new(self.text(name)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, error.to_string(), "");
                None
            }
        }
    }

    fn required<T>(&mut self, name: &str, new: fn(String) -> Result<T, NameError>) -> Option<T> {
        if self.raw.get(name).is_none() {
            self.missing(name);
            return None;
        }
        self.name(name, new)
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        let text = self.raw.get(name)?;
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                let message = format!("is \"{text}\"");
                self.problem(name, message, "write true or false");
                None
            }
        }
    }

    /// `staging` where none is given: the name that nearly every pipeline uses.
    fn slot(&mut self) -> Option<SlotName> {
        match self.raw.get("slot-name") {
            Some(_) => self.name("slot-name", SlotName::new),
            None => SlotName::new("staging").ok(),
        }
    }

    fn connection(&mut self) -> Option<Connection> {
        let cloud = self.cloud();
        let sign_in = self.sign_in(cloud.as_ref());
        let subscription = self.required("subscription-id", SubscriptionId::new);
        let site = self.required("app-name", SiteName::new);
        let group = self.name("resource-group-name", ResourceGroup::new);
        let sign_in::Chosen { sign_in, reason } = sign_in?;
        Some(Connection {
            cloud: cloud?,
            sign_in,
            sign_in_reason: reason,
            subscription: subscription?,
            site: site?,
            group,
        })
    }

    fn cloud(&mut self) -> Option<Cloud> {
        let url = self.text("resource-manager-url");
        let word = match self.raw.get("environment") {
            Some(_) => self.text("environment")?,
            None => "AzureCloud".to_owned(),
        };
        let known = match word.to_ascii_lowercase().as_str() {
            "azurecloud" => Cloud::Public,
            "azureusgovernment" => Cloud::UsGovernment,
            "azurechinacloud" => Cloud::China,
            "azurestack" | "custom" => return self.custom_cloud(url),
            _ => {
                self.problem(
                    "environment",
                    format!("is \"{word}\""),
                    "write AzureCloud, AzureUSGovernment, AzureChinaCloud or AzureStack",
                );
                return None;
            }
        };
        if url.is_some() {
            self.problem(
                "resource-manager-url",
                format!("contradicts environment {word}, whose address is known"),
                "give environment AzureStack for a resource manager of your own, or leave the URL out",
            );
            return None;
        }
        Some(known)
    }

    fn custom_cloud(&mut self, url: Option<String>) -> Option<Cloud> {
        let Some(url) = url else {
            if self.raw.get("resource-manager-url").is_none() {
                self.missing("resource-manager-url");
            }
            return None;
        };
        match Url::parse(&url) {
            Ok(url) if url.scheme() == "https" && url.has_host() => Some(Cloud::Custom(url)),
            Ok(_) => {
                self.problem("resource-manager-url", "is not an https URL", "tokens travel over TLS only");
                None
            }
            Err(error) => {
                self.problem("resource-manager-url", format!("is no URL: {error}"), "");
                None
            }
        }
    }

    /// The image: one line. Several are a docker-compose application in
    /// Azure/webapps-deploy (Validations.ts), which has no single build to prove.
    fn image(&mut self) -> Option<ReleaseId> {
        let text = self.text("images")?;
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if let [_, _, ..] = lines.as_slice() {
            let message = format!("names {} images", lines.len());
            let help = "give a single image; an app of several containers has no one build that could be proven and swapped";
            self.problem("images", message, help);
            return None;
        }
        self.name("images", ReleaseId::image)
    }

    /// A package or an image, not both and not neither.
    fn one_deliverable(&mut self) {
        match (self.raw.get("package").is_some(), self.raw.get("images").is_some()) {
            (true, false) => {}
            (false, false) => self.missing("package"),
            (true, true) => {
                let help = "give one of the two: package for code, images for a container";
                self.problem("images", "is given beside package", help);
            }
            (false, true) => {
                for name in ["type", "target-path", "clean"] {
                    if self.raw.get(name).is_some() {
                        self.problem(name, "is about a package, and images is given", "leave it out");
                    }
                }
            }
        }
    }

    fn for_verb(&mut self, needs: Needs) {
        let Needs::Change(verb) = needs else { return };
        let deploys = matches!(verb, Verb::Release | Verb::Deploy);
        if deploys {
            self.one_deliverable();
        }
        if !deploys && self.raw.source("package") == Some(Source::Flag) {
            let help = format!("{} works on what is in the slots already", verb.word());
            self.problem("package", "is given, and nothing is deployed", help);
        }
        if verb == Verb::Swap && self.raw.get("release-id").is_none() {
            self.missing("release-id");
        }
    }
}

/// Azure Pipelines leaves an undefined macro as it stands (azure-pipelines §4).
fn undefined_macro(text: &str) -> Option<String> {
    let name = text.strip_prefix("$(")?.strip_suffix(')')?;
    Some(format!("the pipeline variable {name} is not defined"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pairs: &[(&'static str, &str)]) -> Raw {
        let mut raw = Raw::default();
        for (name, value) in pairs {
            raw.offer(name, *value, Source::Flag);
        }
        raw
    }

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    #[test]
    fn every_problem_is_reported_at_once_and_bound_to_its_input() {
        let raw = raw(&[
            ("app-name", "a_b"),
            ("slot-name", "$(slot)"),
            ("environment", "Mars"),
            ("clean", "maybe"),
            ("client-id", "x"),
        ]);
        let problems = resolve(&raw, &Environment::default(), Needs::Change(Verb::Release))
            .expect_err("all of it is wrong");
        let mut inputs: Vec<&str> = problems.iter().map(|problem| problem.input.as_str()).collect();
        inputs.sort_unstable();
        assert_eq!(
            inputs,
            [
                "app-name",
                "clean",
                "client-id",
                "client-secret",
                "environment",
                "package",
                "slot-name",
                "subscription-id",
                "tenant-id"
            ]
        );
    }

    #[test]
    fn the_first_source_wins_and_blank_counts_as_not_given() {
        let mut raw = Raw::default();
        raw.offer("app-name", "  ", Source::Flag);
        raw.offer("app-name", " contoso ", Source::Environment);
        raw.offer("app-name", "other", Source::File);
        assert_eq!(raw.get("app-name"), Some("contoso"));
        assert_eq!(raw.source("app-name"), Some(Source::Environment));
    }

    #[test]
    fn a_secret_without_an_application_is_a_problem_and_nothing_is_tried_in_silence() {
        let raw = raw(&[("client-secret", "s"), ("app-name", "contoso"), ("subscription-id", ID)]);
        let problems = resolve(&raw, &Environment::default(), Needs::Reading).expect_err("no application");
        assert_eq!(
            problems.iter().map(|problem| &problem.input[..]).collect::<Vec<_>>(),
            ["client-id", "tenant-id"]
        );
        assert!(!format!("{problems:?}").contains("\"s\""));
    }

    #[test]
    fn a_resource_manager_beside_a_known_cloud_contradicts_it() {
        let raw = raw(&[
            ("app-name", "contoso"),
            ("subscription-id", ID),
            ("resource-manager-url", "https://localhost:1/"),
        ]);
        let problems = resolve(&raw, &Environment::default(), Needs::Reading).expect_err("a contradiction");
        assert_eq!(problems[0].input, "resource-manager-url");
    }
}
