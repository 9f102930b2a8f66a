//! What a verb works with: raw inputs, network, terminal, and where results go.
//!
//! Owns the making of these and the writing to the standard streams. Must not carry out a verb.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::given;
use crate::azure::credential::Hears;
use crate::azure::{Credential, Endpoints, PublishProfile, ResourceManager, SitePath};
use crate::checks::file::ConfigFile;
use crate::error::Error;
use crate::host::screen::Screen;
use crate::host::{Environment, Grade, Host};
use crate::http::{Http, Network, Proxies};
use crate::inputs::{self, Connection, INPUTS, Inputs, Kind, Needs, Problem, ProfileInputs, Raw, Source};
use crate::report::{self, json};

/// In which form results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// For people.
    Text,
    /// One JSON document on standard output.
    Json,
}

/// What a verb works with.
pub(super) struct Context {
    pub(super) raw: Raw,
    /// What signing in may look at; nothing in a rehearsal, whose connection is its own.
    variables: inputs::Environment,
    pub(super) config: ConfigFile,
    pub(super) network: Network,
    pub(super) output: Output,
    pub(super) host: Host,
    pub(super) terminal: Arc<Screen>,
    pub(super) cancelled: watch::Receiver<bool>,
    /// The environment of `run:` checks: this process's, without secrets.
    pub(super) environment: Vec<(String, String)>,
    /// What a `check` of a bare URL goes to.
    pub(super) url: Option<String>,
    said: Mutex<bool>,
    /// Where files for later steps go, if the host has such a place.
    pub(super) files: Option<PathBuf>,
    /// The pipeline run whose leavings alone are settled; everybody's where none is named.
    pub(super) only_of: Option<String>,
    /// This process's whole environment, for the host's own variables.
    pub(super) process: Environment,
}

impl Context {
    /// From flags, environment and `slotway.yml`, in this order.
    pub(super) fn from_process(
        matches: &clap::ArgMatches,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        given::refuse_secret_flags(matches)?;
        let mut raw = Raw::default();
        let environment = given::read_environment();
        given::offer_flags(&mut raw, matches);
        given::offer_environment(&mut raw, &environment);
        let mut context = Self::new(raw, matches, cancelled)?;
        let variables: inputs::Environment = environment.into_iter().collect();
        context.network.certificates = given::read_certificates(&context.raw, &variables)?;
        context.network.proxies = Proxies::read(|name| variables.get(name))?;
        context.variables = variables;
        context.url = matches.try_get_one::<String>("url").ok().flatten().cloned();
        Ok(context)
    }

    /// From what a rehearsal has gathered.
    pub(super) fn new(
        mut raw: Raw,
        matches: &clap::ArgMatches,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let config = given::read_config(&raw)?;
        for (name, value) in &config.inputs {
            if let Some(input) = inputs::find(name) {
                raw.offer(input.name, value.clone(), Source::File);
            }
        }
        given::read_secrets(&mut raw)?;
        given::check_report_folders(&raw)?;
        Ok(Self::of(raw, config, matches, cancelled))
    }

    /// Without any input: enough to say an error in the form that was asked for.
    pub(super) fn bare(matches: &clap::ArgMatches, cancelled: watch::Receiver<bool>) -> Self {
        Self::of(Raw::default(), ConfigFile::default(), matches, cancelled)
    }

    fn of(
        raw: Raw,
        config: ConfigFile,
        matches: &clap::ArgMatches,
        cancelled: watch::Receiver<bool>,
    ) -> Self {
        let environment = given::read_environment();
        let host = Host::detect(&environment);
        let output = super::output(matches);
        let out: Box<dyn Write + Send> = match output {
            Output::Text => Box::new(std::io::stdout()),
            Output::Json => Box::new(std::io::stderr()),
        };
        let watched = host == Host::Terminal && std::io::stderr().is_terminal();
        let context = Self {
            host,
            network: Network::default(),
            output,
            terminal: Arc::new(Screen::new(host, out, watched, cannot_write)),
            cancelled,
            environment: super::for_checks::environment(&environment, &raw),
            url: None,
            said: Mutex::new(false),
            files: host.folder(&environment),
            only_of: None,
            process: environment,
            variables: inputs::Environment::default(),
            raw,
            config,
        };
        context.mask_secrets();
        context
    }

    /// For a simulation: no process, no network, and what is shown goes to a writer.
    #[cfg(test)]
    pub(super) fn simulated(
        raw: Raw,
        config: &str,
        network: Network,
        (host, out): (Host, Box<dyn Write + Send>),
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let config = crate::checks::file::read(config, "slotway.yml", &[])
            .map_err(|problems| problem("config", format!("{problems:?}")))?;
        let context = Self {
            host,
            network,
            output: Output::Text,
            terminal: Arc::new(Screen::new(host, out, false, cannot_write)),
            cancelled,
            environment: Vec::new(),
            url: None,
            said: Mutex::new(false),
            files: None,
            only_of: None,
            process: Environment::new(),
            variables: inputs::Environment::default(),
            raw,
            config,
        };
        context.mask_secrets();
        Ok(context)
    }

    /// The checked inputs.
    pub(super) fn inputs(&self, needs: Needs) -> Result<Inputs, Error> {
        let inputs = inputs::resolve(&self.raw, &self.variables, needs).map_err(Error::Inputs)?;
        // What was a part of a greater text, or came from a variable, is no input of its own.
        if let Some(secret) = inputs.connection.sign_in.secret() {
            self.terminal.order(&self.host.masks(secret.reveal()));
        }
        Ok(inputs)
    }

    /// The checked inputs of a step that signs in with a publish profile.
    pub(super) fn profile(&self, verb: &str) -> Result<Option<ProfileInputs>, Error> {
        // Nobody signs in to check a bare URL.
        if self.url.is_some() {
            return Ok(None);
        }
        inputs::profile(&self.raw, &self.variables, verb).map_err(Error::Inputs)
    }

    /// Signs in and finds the app's place.
    pub(super) async fn connect(
        &self,
        connection: &Connection,
    ) -> Result<(ResourceManager, SitePath), Error> {
        let http = Http::new(&self.network)?;
        let endpoints = Endpoints::find(&connection.cloud, &http).await?;
        let credential = Credential::new(connection.sign_in.clone(), endpoints.clone(), http.clone())?
            .because(&connection.sign_in_reason)
            .announcing(self.masking());
        let azure = ResourceManager::new(http, endpoints, credential.into());
        let subscription = connection.subscription.clone();
        let group = match &connection.group {
            Some(group) => group.clone(),
            None => find_group(&azure, connection).await?,
        };
        Ok((azure, SitePath { subscription, group, site: connection.site.clone() }))
    }

    /// Masks what it hears of, before it can be printed.
    fn masking(&self) -> Hears {
        let (host, terminal) = (self.host, Arc::clone(&self.terminal));
        Arc::new(move |secret| terminal.order(&host.masks(secret.reveal())))
    }

    /// Secrets are kept out of everything that follows, before anything follows.
    fn mask_secrets(&self) {
        let secrets = INPUTS.iter().filter(|input| input.kind == Kind::Secret);
        for secret in secrets.filter_map(|input| self.raw.get(input.name)) {
            self.terminal.order(&self.host.masks(secret));
        }
        let login = self.raw.get("creds").map(inputs::secrets_of_login).unwrap_or_default();
        let profile = PublishProfile::secrets(self.raw.get("publish-profile").unwrap_or_default());
        for secret in login.iter().chain(&profile) {
            self.terminal.order(&self.host.masks(secret.reveal()));
        }
    }

    /// Writes the one JSON document, where JSON is asked for.
    pub(super) fn document(&self, document: &serde_json::Value) {
        *self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        if self.output == Output::Json {
            write_out(&json::text(document));
        }
    }

    /// Says an error in the form that was asked for.
    pub(super) fn finish(&self, result: Result<u8, Error>, verb: &str) -> Result<u8, Error> {
        self.terminal.finish();
        let error = match result {
            Ok(code) => return Ok(code),
            Err(error) => error,
        };
        let said = *self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let title = if verb == "run" { "slotway".to_owned() } else { format!("slotway {verb}") };
        self.terminal.annotate(Grade::Error, &title, &self.words(&error));
        if !said {
            self.hand_on(&[("outcome", error.outcome_word().to_owned())]);
            self.summarise_error(&self.error_summary(&error, verb));
            self.document(&serde_json::json!({
                "version": 1,
                "verb": verb,
                "outcome": error.outcome_word(),
                "exit-code": error.exit_code(),
                "cause": error.to_string(),
                "help": error.details(),
            }));
        }
        Err(error)
    }
}

impl Context {
    /// What is wrong, with the inputs' names as users of the host write them.
    fn words(&self, error: &Error) -> String {
        // Not every problem is bound to an input: some name a file or a variable.
        error.annotation(|name| inputs::find(name).map_or(name.to_owned(), |_| self.host.spelling(name)))
    }

    /// The Markdown for a run that ended with an error instead of an outcome.
    pub(super) fn error_summary(&self, error: &Error, verb: &str) -> String {
        let what = format!("{verb} {}", self.raw.get("app-name").unwrap_or_default());
        report::markdown::of_error(what.trim_end(), error.outcome_word(), &self.words(error))
    }
}

async fn find_group(
    azure: &ResourceManager,
    connection: &Connection,
) -> Result<crate::names::ResourceGroup, Error> {
    let mut found = azure.groups_with_site(&connection.subscription, &connection.site).await?;
    let problem = |message: String| {
        Error::Inputs(vec![Problem {
            input: "app-name".to_owned(),
            message,
            help: "check app-name and subscription-id, or give resource-group-name".to_owned(),
        }])
    };
    match (found.pop(), found.len()) {
        (Some(group), 0) => Ok(group),
        (None, _) => Err(problem(format!("no app \"{}\" is visible in the subscription", connection.site))),
        (Some(_), others) => Err(problem(format!("{} apps are called \"{}\"", others + 1, connection.site))),
    }
}

pub(super) fn write_file(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text)
        .map_err(|error| Error::Write { path: path.display().to_string(), reason: error.to_string() })
}

/// Writes to standard output; a closed or full one is no reason to fail. What is written is
/// a JSON document, or shell exports that were asked for.
pub(super) fn write_out(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        cannot_write(&error);
    }
}

/// Says on standard error that nothing more is shown. Where that is full as well, the exit
/// code has to do.
fn cannot_write(error: &std::io::Error) {
    write_error_out(&format!(
        "warning: the output could not be written: {error}; nothing else is changed by that\n"
    ));
}

/// Writes lines to standard error, each made harmless; a closed one is no reason to fail.
pub(super) fn write_error_out(text: &str) {
    let mut out = std::io::stderr().lock();
    for line in crate::text::lines(text) {
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}

/// Says an error on standard error: the message, then every detail.
pub(super) fn say_error(error: &Error) {
    let mut lines = vec![format!("error: {error}")];
    lines.extend(error.details().into_iter().map(|detail| format!("  → {detail}")));
    write_error_out(&lines.join("\n"));
}

/// The error of a rehearsal that cannot be set up.
pub(super) fn problem(input: &str, message: impl std::fmt::Display) -> Error {
    Error::Inputs(vec![Problem {
        input: input.to_owned(),
        message: message.to_string(),
        help: String::new(),
    }])
}
