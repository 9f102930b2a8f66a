//! What a verb works with: raw inputs, network, terminal, and where results go.
//!
//! The one place that reads the environment and writes to the standard streams.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::azure::credential::Hears;
use crate::azure::{Credential, Endpoints, PublishProfile, ResourceManager, SitePath};
use crate::checks::file::{self, ConfigFile};
use crate::error::Error;
use crate::host::screen::Screen;
use crate::host::{Environment, Grade, Host};
use crate::http::{Http, Network, NetworkError, Proxies};
use crate::inputs::{self, Connection, INPUTS, Inputs, Kind, Needs, Problem, ProfileInputs, Raw, Source};
use crate::report::json;

/// The name of the configuration that is read when none is named.
const DEFAULT_CONFIG: &str = "slotway.yml";

/// Shorter ones would be found in values that have nothing to do with them.
const SHORTEST_SECRET: usize = 6;

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
            terminal: Arc::new(Screen::new(host, out, watched, cannot_write)),
            cancelled,
            environment: environment_for_checks(&environment, &raw),
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
        // Not every problem is bound to an input: some name a file or a variable.
        let spelling = |name: &str| inputs::find(name).map_or(name.to_owned(), |_| self.host.spelling(name));
        let title = if verb == "run" { "slotway".to_owned() } else { format!("slotway {verb}") };
        self.terminal.annotate(Grade::Error, &title, &error.annotation(spelling));
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
            help: match input.name {
                "client-secret" => format!("set {}, or give --client-secret-file", input.variable()),
                _ => format!("set {}", input.variable()),
            },
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
    let text = match read_text(&path) {
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

/// Reads a text file that is a few pages long: never more of it than is allowed, and with
/// the line where it stops being text.
pub(super) fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::{Error as IoError, ErrorKind, Read};
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(file::LONGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > file::LONGEST_FILE {
        return Err(IoError::new(ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = bytes[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let what = if is_wide { "it is UTF-16".to_owned() } else { format!("line {line} is no valid UTF-8") };
        IoError::new(ErrorKind::InvalidData, format!("{what}; save it as UTF-8"))
    })
}

/// Secrets that lie in files, by the input that names the file.
fn read_secrets(raw: &mut Raw) -> Result<(), Error> {
    for (input, holds) in [("client-secret-file", "client-secret"), ("certificate-file", "certificate")] {
        let Some(path) = raw.get(input).map(str::to_owned) else { continue };
        let ambient = raw.is_ambient(input);
        let source = if ambient { Source::Environment } else { Source::File };
        match read_text(Path::new(&path)) {
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

/// Everything but what looks like a secret, or holds one that was given to us: a check needs
/// its tools, not our keys.
fn environment_for_checks(environment: &Environment, raw: &Raw) -> Vec<(String, String)> {
    let secrets: Vec<&str> = INPUTS
        .iter()
        .filter(|input| input.kind == Kind::Secret)
        .filter_map(|input| raw.get(input.name))
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
        .collect();
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
            "PUBLISH_PROFILE",
            "PRINCIPALKEY",
            "PASSPHRASE",
            "PRIVATE",
            "APIKEY",
            "COOKIE",
            // A managed identity's, an agent's for secure files, and what tasks keep.
            "IDENTITY_HEADER",
            "SECUREFILE_",
            "VSTS_TASKVARIABLE_",
        ]
        .iter()
        .any(|part| name.contains(part))
    };
    let holds_one = |value: &str| secrets.iter().any(|secret| value.contains(secret));
    let kept = environment.iter().filter(|(name, value)| !is_secret(name) && !holds_one(value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
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
