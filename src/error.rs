//! The top error: what is said, what to do, and the exit code.

use crate::artifact::ArtifactError;
use crate::azure::AzureError;
use crate::http::{NetworkError, chain};
use crate::inputs::Problem;
use crate::plan::Verb;
use crate::release::machine::{IllegalEvent, Outcome};
use crate::text;

/// More of a panic's words than this are not said.
const LONGEST_PANIC: usize = 300;
/// The exit code of a bug.
pub const BUG: u8 = 1;

/// Why a run ended before or beside its outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The inputs are wrong; all of it is listed.
    #[error("{}", count(.0.len(), "problem with the inputs", "problems with the inputs"))]
    Inputs(Vec<Problem>),
    /// The package cannot be shipped.
    #[error("the package cannot be shipped: {}", chain(.0))]
    Artifact(#[from] ArtifactError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Azure could not be read, before anything was touched.
    #[error("{0}")]
    Azure(#[from] AzureError),
    /// The emulator did not start.
    #[error("the emulator did not start: {0}")]
    Emulator(String),
    /// A file that the run should write could not be written.
    #[error("could not write {path}: {reason}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A bug.
    #[error(transparent)]
    Bug(#[from] IllegalEvent),
    /// The async runtime did not start.
    #[error("could not start: {0}")]
    Runtime(#[from] std::io::Error),
}

fn count(number: usize, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}

/// A problem, under the name by which its input is known to the reader.
fn line(name: &str, problem: &Problem) -> String {
    let help = if problem.help.is_empty() { String::new() } else { format!("; {}", problem.help) };
    format!("{name}: {}{help}", problem.message)
}

impl Error {
    /// The lines below the message: every problem, and what to do.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Inputs(problems) => problems.iter().map(|problem| line(&problem.input, problem)).collect(),
            Self::Azure(error) => error.help(),
            Self::Artifact(error) => vec![error.help()].into_iter().filter(|help| !help.is_empty()).collect(),
            Self::Network(NetworkError::Certificates(_)) => vec!["check ca-file and AGENT_CAINFO".to_owned()],
            _ => Vec::new(),
        }
    }

    /// What an annotation says. Its first line is all that most pages show, so it names what is wrong;
    /// `spelling` gives an input's name as users of the host write it.
    pub fn annotation(&self, spelling: impl Fn(&str) -> String) -> String {
        let Self::Inputs(problems) = self else {
            return std::iter::once(self.to_string()).chain(self.details()).collect::<Vec<_>>().join("\n");
        };
        let mut names: Vec<String> = problems.iter().map(|problem| spelling(&problem.input)).collect();
        let lines = names.iter().zip(problems).map(|(name, problem)| line(name, problem));
        let lines = lines.collect::<Vec<_>>().join("\n");
        names.dedup();
        if problems.len() == 1 { lines } else { format!("{self}: {}\n{lines}", names.join(", ")) }
    }

    /// The outcome's word in the machine-readable report.
    pub fn outcome_word(&self) -> &'static str {
        match self.exit_code() {
            2 => "invalid-inputs",
            3 => "refused",
            _ => "internal-error",
        }
    }

    /// 1 bug or broken machine, 2 inputs, 3 refused with production untouched.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Inputs(_) | Self::Artifact(_) | Self::Network(_) => 2,
            Self::Azure(_) => 3,
            Self::Emulator(_) | Self::Write { .. } | Self::Bug(_) | Self::Runtime(_) => BUG,
        }
    }
}

/// What is said of a panic: that it is a bug, where, in its own words, and what to do. The words
/// may quote anything that was read, so they are cut short here and made harmless where they are
/// written.
pub fn panic_lines(message: &str, place: Option<&str>) -> Vec<String> {
    let message = text::short(message, LONGEST_PANIC);
    let place = place.map(|place| format!(" (at {})", text::short(place, LONGEST_PANIC))).unwrap_or_default();
    vec![
        format!("error: bug: {message}{place}"),
        "  → what production serves was not read again: run slotway settle, then slotway status".to_owned(),
        format!("  → please report this line at {}/issues", env!("CARGO_PKG_REPOSITORY")),
    ]
}

/// The exit code of an outcome. A rollback that was asked for is a success.
pub fn exit_code(outcome: Outcome, verb: Verb) -> u8 {
    match outcome {
        Outcome::Released | Outcome::Staged | Outcome::NothingToDo => 0,
        Outcome::RolledBack if verb == Verb::Rollback => 0,
        Outcome::Refused => 3,
        Outcome::RolledBack => 4,
        Outcome::Stuck => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_as_a_bug_in_short_lines() {
        let lines = panic_lines(
            "byte index 3 is not a char boundary; it is inside 'é'\nof `x`",
            Some("src/a.rs:7:1"),
        );
        assert_eq!(
            lines[0],
            "error: bug: byte index 3 is not a char boundary; it is inside 'é' of `x` (at src/a.rs:7:1)"
        );
        assert!(lines[1].contains("slotway settle") && lines[2].ends_with("/issues"), "{lines:?}");
        assert!(panic_lines(&"x".repeat(10_000), None)[0].len() < 400);
    }
}
