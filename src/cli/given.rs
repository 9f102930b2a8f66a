//! What the process was given: flags, environment, `slotway.yml`, and the files that these name.
//!
//! The one place that reads the environment. Owns the order in which these count, and that
//! no secret comes by a flag. Must not judge a value: that is for the inputs' room.

use std::path::{Path, PathBuf};

use super::context::problem;
use crate::checks::file::{self, ConfigFile};
use crate::error::Error;
use crate::host::{Environment, Host};
use crate::http::NetworkError;
use crate::inputs::{self, INPUTS, Kind, Problem, Raw, Source};

/// The name of the configuration that is read when none is named.
const DEFAULT_CONFIG: &str = "slotway.yml";

/// A report that cannot be written is better known before a release than after it.
pub(super) fn check_report_folders(raw: &Raw) -> Result<(), Error> {
    for input in ["summary", "report-file"] {
        let Some(path) = raw.get(input) else { continue };
        let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(problem(input, format!("{path} cannot be written: its folder is not there")));
        }
    }
    Ok(())
}

/// A secret on a command line is in every process list. It is refused without being
/// repeated.
pub(super) fn refuse_secret_flags(matches: &clap::ArgMatches) -> Result<(), Error> {
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

pub(super) fn offer_flags(raw: &mut Raw, matches: &clap::ArgMatches) {
    for input in INPUTS {
        if let Ok(Some(value)) = matches.try_get_one::<String>(input.name) {
            raw.offer(input.name, value.clone(), Source::Flag);
        }
    }
}

/// The host's own inputs first, then the variables of a laptop.
pub(super) fn offer_environment(raw: &mut Raw, environment: &Environment) {
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
pub(super) fn read_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads `slotway.yml`, or the file that is named.
pub(super) fn read_config(raw: &Raw) -> Result<ConfigFile, Error> {
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
pub(super) fn read_secrets(raw: &mut Raw) -> Result<(), Error> {
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
pub(super) fn read_certificates(
    raw: &Raw,
    variables: &inputs::Environment,
) -> Result<Option<Vec<u8>>, Error> {
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
