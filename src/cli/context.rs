//! What a verb works with: raw inputs, network, terminal, and where results go.
//!
//! The one place that reads the environment and writes to the standard streams.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tokio::sync::watch;

use crate::azure::{Credential, Endpoints, ResourceManager, SitePath};
use crate::checks::file::{self, ConfigFile};
use crate::error::Error;
use crate::host::screen::Screen;
use crate::host::{Environment, Grade, Host};
use crate::http::{Http, Network, NetworkError};
use crate::inputs::{self, Connection, INPUTS, Inputs, Kind, Needs, Problem, Raw, Source};

/// The name of the configuration that is read when none is named.
const DEFAULT_CONFIG: &str = "slotway.yml";

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
    pub(super) config: ConfigFile,
    pub(super) network: Network,
    pub(super) output: Output,
    pub(super) host: Host,
    pub(super) terminal: Screen,
    pub(super) cancelled: watch::Receiver<bool>,
    /// The environment of `run:` checks: this process's, without secrets.
    pub(super) environment: Vec<(String, String)>,
    /// What a `check` of a bare URL goes to.
    pub(super) url: Option<String>,
    said: Mutex<bool>,
    /// Where files for later steps go, if the host has such a place.
    pub(super) files: Option<PathBuf>,
    /// This process's whole environment, for the host's own variables.
    pub(super) process: Environment,
}

impl Context {
    /// From flags, environment and `slotway.yml`, in this order.
    pub(super) fn from_process(
        matches: &clap::ArgMatches,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let mut raw = Raw::default();
        let environment = read_environment();
        offer_flags(&mut raw, matches);
        offer_environment(&mut raw, &environment);
        let mut context = Self::new(raw, matches, cancelled)?;
        context.network.certificates = read_certificates(&context.raw)?;
        context.url = matches.try_get_one::<String>("url").ok().flatten().cloned();
        Ok(context)
    }

    /// From what a rehearsal has gathered.
    pub(super) fn new(
        mut raw: Raw,
        matches: &clap::ArgMatches,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let config = read_config(&raw)?;
        for (name, value) in &config.inputs {
            if let Some(input) = inputs::find(name) {
                raw.offer(input.name, value.clone(), Source::File);
            }
        }
        read_secret(&mut raw)?;
        let environment = read_environment();
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
            terminal: Screen::new(host, out, watched),
            cancelled,
            environment: environment_for_checks(&environment),
            url: None,
            said: Mutex::new(false),
            files: host.folder(&environment),
            process: environment,
            raw,
            config,
        };
        context.mask_secrets();
        Ok(context)
    }

    /// The checked inputs.
    pub(super) fn inputs(&self, needs: Needs) -> Result<Inputs, Error> {
        inputs::resolve(&self.raw, needs).map_err(Error::Inputs)
    }

    /// Signs in and finds the app's place.
    pub(super) async fn connect(
        &self,
        connection: &Connection,
    ) -> Result<(ResourceManager, SitePath), Error> {
        let http = Http::new(&self.network)?;
        let endpoints = Endpoints::find(&connection.cloud, &http).await?;
        let credential = Credential::new(connection.sign_in.clone(), endpoints.clone(), http.clone())?;
        let azure = ResourceManager::new(http, endpoints, credential.into());
        let subscription = connection.subscription.clone();
        let group = match &connection.group {
            Some(group) => group.clone(),
            None => find_group(&azure, connection).await?,
        };
        Ok((azure, SitePath { subscription, group, site: connection.site.clone() }))
    }

    /// Secrets are kept out of everything that follows, before anything follows.
    fn mask_secrets(&self) {
        let secrets = INPUTS.iter().filter(|input| input.kind == Kind::Secret);
        for secret in secrets.filter_map(|input| self.raw.get(input.name)) {
            self.terminal.say(&self.host.masks(secret));
        }
    }

    /// Writes the one JSON document, where JSON is asked for.
    pub(super) fn document(&self, document: &serde_json::Value) {
        *self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        if self.output == Output::Json {
            write_out(&format!("{document:#}\n"));
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
        let text: Vec<String> = std::iter::once(error.to_string()).chain(error.details()).collect();
        self.terminal.annotate(Grade::Error, &format!("slotway {verb}"), &text.join("\n"));
        if !said {
            self.hand_on(&[("outcome", error.outcome_word().to_owned())]);
        }
        if !said {
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

fn offer_flags(raw: &mut Raw, matches: &clap::ArgMatches) {
    for input in INPUTS {
        if let Ok(Some(value)) = matches.try_get_one::<String>(input.name) {
            raw.offer(input.name, value.clone(), Source::Flag);
        }
    }
}

/// The host's own inputs first, then the variables of a laptop.
fn offer_environment(raw: &mut Raw, environment: &Environment) {
    let host = Host::detect(environment);
    for input in INPUTS {
        let from_host = host.variable(input.name).and_then(|name| environment.get(&name));
        for value in from_host.into_iter().chain(environment.get(&input.variable())) {
            raw.offer(input.name, value.clone(), Source::Environment);
        }
    }
}

/// What is not text cannot be an input, so it is left out.
fn read_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads `slotway.yml`, or the file that is named.
fn read_config(raw: &Raw) -> Result<ConfigFile, Error> {
    let named = raw.get("config").map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(ConfigFile::default());
        }
        Err(error) => {
            return Err(Error::Inputs(vec![Problem {
                input: "config".to_owned(),
                message: format!("{} could not be read: {error}", path.display()),
                help: String::new(),
            }]));
        }
    };
    let known: Vec<&str> = INPUTS
        .iter()
        .filter(|input| input.kind != Kind::Secret && input.name != "config")
        .map(|input| input.name)
        .collect();
    file::read(&text, &path.display().to_string(), &known).map_err(|problems| {
        let problem = |problem: file::ConfigProblem| Problem {
            input: format!("{}:{}:{}", problem.source_name, problem.line, problem.column),
            message: if problem.path.is_empty() {
                problem.message
            } else {
                format!("{}: {}", problem.path, problem.message)
            },
            help: String::new(),
        };
        Error::Inputs(problems.into_iter().map(problem).collect())
    })
}

fn read_secret(raw: &mut Raw) -> Result<(), Error> {
    let Some(path) = raw.get("client-secret-file").map(str::to_owned) else { return Ok(()) };
    match std::fs::read_to_string(&path) {
        Ok(secret) => {
            raw.offer("client-secret", secret, Source::File);
            Ok(())
        }
        Err(error) => Err(Error::Inputs(vec![Problem {
            input: "client-secret-file".to_owned(),
            message: format!("{path} could not be read: {error}"),
            help: String::new(),
        }])),
    }
}

fn read_certificates(raw: &Raw) -> Result<Option<Vec<u8>>, Error> {
    let Some(path) = raw.get("ca-file") else { return Ok(None) };
    std::fs::read(path)
        .map(Some)
        .map_err(|error| Error::Network(NetworkError::Certificates(format!("{path}: {error}"))))
}

/// Everything but what looks like a secret: a check needs its tools, not our keys.
fn environment_for_checks(environment: &Environment) -> Vec<(String, String)> {
    let is_secret = |name: &str| {
        let name = name.to_ascii_uppercase();
        ["SECRET", "PASSWORD", "TOKEN", "INPUT_", "ENDPOINT_AUTH"].iter().any(|part| name.contains(part))
    };
    let kept = environment.iter().filter(|(name, _)| !is_secret(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

pub(super) fn write_file(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text)
        .map_err(|error| Error::Write { path: path.display().to_string(), reason: error.to_string() })
}

/// Writes to standard output; a closed one is no reason to fail.
pub(super) fn write_out(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes to standard error; a closed one is no reason to fail.
pub(super) fn write_error_out(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says an error on standard error: the message, then every detail.
pub(super) fn say_error(error: &Error) {
    let mut lines = vec![format!("error: {error}")];
    lines.extend(error.details().into_iter().map(|detail| format!("  → {detail}")));
    let mut out = std::io::stderr().lock();
    for line in lines.iter().flat_map(|line| crate::text::lines(line)) {
        let _ = writeln!(out, "{line}");
    }
}

/// The error of a rehearsal that cannot be set up.
pub(super) fn problem(input: &str, message: impl std::fmt::Display) -> Error {
    Error::Inputs(vec![Problem {
        input: input.to_owned(),
        message: message.to_string(),
        help: String::new(),
    }])
}
