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
use crate::http::{Http, Network, NetworkError, Proxies};
use crate::inputs::{self, Connection, INPUTS, Inputs, Kind, Needs, Problem, Raw, Source};
use crate::report::json;

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
    /// What signing in may look at; nothing in a rehearsal, whose connection is its own.
    variables: inputs::Environment,
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
        refuse_secret_flags(matches)?;
        let mut raw = Raw::default();
        let environment = read_environment();
        offer_flags(&mut raw, matches);
        offer_environment(&mut raw, &environment);
        let mut context = Self::new(raw, matches, cancelled)?;
        let variables: inputs::Environment = environment.into_iter().collect();
        context.network.certificates = read_certificates(&context.raw, &variables)?;
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
        let config = read_config(&raw)?;
        for (name, value) in &config.inputs {
            if let Some(input) = inputs::find(name) {
                raw.offer(input.name, value.clone(), Source::File);
            }
        }
        read_secrets(&mut raw)?;
        check_report_folders(&raw)?;
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
        out: Box<dyn Write + Send>,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let config = file::read(config, "slotway.yml", &[])
            .map_err(|problems| problem("config", format!("{problems:?}")))?;
        let host = Host::Terminal;
        let context = Self {
            host,
            network,
            output: Output::Text,
            terminal: Screen::new(host, out, false),
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
            self.terminal.say(&self.host.masks(secret.reveal()));
        }
        Ok(inputs)
    }

    /// Signs in and finds the app's place.
    pub(super) async fn connect(
        &self,
        connection: &Connection,
    ) -> Result<(ResourceManager, SitePath), Error> {
        let http = Http::new(&self.network)?;
        let endpoints = Endpoints::find(&connection.cloud, &http).await?;
        let credential = Credential::new(connection.sign_in.clone(), endpoints.clone(), http.clone())?
            .because(&connection.sign_in_reason);
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

/// A report that cannot be written is better known before a release than after it.
fn check_report_folders(raw: &Raw) -> Result<(), Error> {
    for input in ["summary", "report-file"] {
        let Some(path) = raw.get(input) else { continue };
        let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(problem(input, format!("{path} cannot be written: its folder is not there")));
        }
    }
    Ok(())
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

/// A secret on a command line is in every process list. It is refused without being
/// repeated.
fn refuse_secret_flags(matches: &clap::ArgMatches) -> Result<(), Error> {
    let secrets = INPUTS.iter().filter(|input| input.kind == Kind::Secret);
    let given = secrets.filter(|input| matches.try_contains_id(input.name).is_ok_and(|given| given));
    let problems: Vec<Problem> = given
        .map(|input| Problem {
            input: input.name.to_owned(),
            message: "was given as a flag; a secret is never taken from a flag".to_owned(),
            help: format!("set {}, or give --client-secret-file", input.variable()),
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Inputs(problems)) }
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
        if let Some(value) = from_host {
            raw.offer(input.name, value.clone(), Source::Step);
        }
        if let Some(value) = environment.get(&input.variable()) {
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

/// Secrets that lie in files, by the input that names the file.
fn read_secrets(raw: &mut Raw) -> Result<(), Error> {
    for (input, holds) in [("client-secret-file", "client-secret"), ("certificate-file", "certificate")] {
        let Some(path) = raw.get(input).map(str::to_owned) else { continue };
        let ambient = raw.is_ambient(input);
        let source = if ambient { Source::Environment } else { Source::File };
        match std::fs::read_to_string(&path) {
            Ok(secret) => raw.prefer(holds, secret, source),
            // Other tools' variable, perhaps in a form of theirs: it matters only if it is chosen.
            Err(error) if ambient => tracing::debug!(input, %error, "the file could not be read"),
            Err(error) => return Err(problem(input, format!("{path} could not be read: {error}"))),
        }
    }
    Ok(())
}

/// The certificates of `ca-file` and of the agent, one after the other
/// (tasklib node/task.ts getHttpCertConfiguration).
fn read_certificates(raw: &Raw, variables: &inputs::Environment) -> Result<Option<Vec<u8>>, Error> {
    let paths = raw.get("ca-file").into_iter().chain(variables.get("AGENT_CAINFO"));
    let mut certificates: Option<Vec<u8>> = None;
    for path in paths {
        let pem = std::fs::read(path)
            .map_err(|error| Error::Network(NetworkError::Certificates(format!("{path}: {error}"))))?;
        let all = certificates.get_or_insert_default();
        all.extend(pem);
        all.push(b'\n');
    }
    Ok(certificates)
}

/// Everything but what looks like a secret: a check needs its tools, not our keys.
fn environment_for_checks(environment: &Environment) -> Vec<(String, String)> {
    let is_secret = |name: &str| {
        let name = name.to_ascii_uppercase();
        [
            "SECRET",
            "PASSWORD",
            "PASSWD",
            "TOKEN",
            "CREDENTIAL",
            "CONNECTION",
            "_KEY",
            "_PAT",
            "_PWD",
            "_SAS",
            "INPUT_",
            "ENDPOINT_AUTH",
            "CREDS",
            "PRINCIPALKEY",
        ]
        .iter()
        .any(|part| name.contains(part))
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
