//! What a check is: the settings of `slotway.yml` as types.
//!
//! Owns the types and their defaults. Everything in them is already compiled and
//! in range, so that no later stage can fail on them. Must not read YAML (that is
//! `file`) nor send anything.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json_path::JsonPath;

use super::verdict::Verdict;
use crate::names::SlotName;

/// One check: what is done, what is expected of it, how often it is tried.
#[derive(Debug, Clone)]
pub struct Check {
    /// What reports call it.
    pub name: String,
    /// What is done.
    pub action: Action,
    /// Limit for one try.
    pub timeout: Duration,
    /// How long a check that does not pass is tried again; zero for a single try.
    pub retry_for: Duration,
    /// The pause between two tries.
    pub every: Duration,
    /// How many tries in a row have to pass.
    pub passes: u32,
    /// Whether its verdict decides; otherwise it is only reported.
    pub critical: bool,
    /// Where it is run.
    pub on: On,
    /// Whether it is run on each instance, pinned to it, rather than through the front end's choice.
    pub every_instance: bool,
}

impl Check {
    /// The check that is run where no others are given: `GET path` answers below 500, on every instance.
    pub fn answers_below_500(path: &str) -> Self {
        Self {
            name: format!("GET {path}"),
            action: Action::Request(Request {
                method: Method::GET,
                path: path.to_owned(),
                headers: Vec::new(),
                body: Body::Empty,
                expect: Expect { status: vec![StatusRange { from: 100, to: 499 }], ..Expect::default() },
            }),
            timeout: Duration::from_secs(10),
            retry_for: Duration::ZERO,
            every: Duration::from_secs(1),
            passes: 1,
            critical: true,
            on: On::default(),
            every_instance: true,
        }
    }

    /// Whether the check is meant for this slot.
    pub fn applies_to(&self, slot: &SlotName) -> bool {
        if slot.is_production() { self.on.production } else { self.on.staging }
    }
}

/// On which side of the swap a check is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct On {
    /// On the slot that is deployed to.
    pub staging: bool,
    /// On production, after the swap.
    pub production: bool,
}

impl Default for On {
    fn default() -> Self {
        Self { staging: true, production: true }
    }
}

/// What a check does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Sends one HTTP request to the slot.
    Request(Request),
    /// Runs a command.
    Command(CommandLine),
}

/// One HTTP request and what its answer has to be like.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, relative to the slot's own URL; begins with one `/`.
    pub path: String,
    /// Headers beyond the usual ones.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is sent.
    pub body: Body,
    /// What is expected.
    pub expect: Expect,
}

/// The body of a check's request. Prints its kind only: a check may sign in with it.
#[derive(Clone, PartialEq)]
pub enum Body {
    /// None.
    Empty,
    /// Text as it stands.
    Text(String),
    /// A JSON value; `content-type: application/json` goes with it unless the check sets its own.
    Json(serde_json::Value),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "Empty",
            Self::Text(_) => "Text(***)",
            Self::Json(_) => "Json(***)",
        })
    }
}

/// A command for the system's shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The line given to `sh -c` (on Windows `cmd /C`).
    pub line: String,
    /// Exit codes that mean something else than "0 is pass, all others fail".
    pub exits: BTreeMap<i32, Verdict>,
}

/// What an answer has to be like; each part that is given has to hold.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The answer's status lies in one of these.
    pub status: Vec<StatusRange>,
    /// These headers are there and match.
    pub headers: Vec<(HeaderName, TextMatch)>,
    /// All of these occur in the body.
    pub body_contains: Vec<String>,
    /// All of these patterns are found in the body.
    pub body_matches: Vec<Regex>,
    /// The body is JSON, and these paths select these values.
    pub json: Vec<JsonExpectation>,
    /// The whole answer is there within this time.
    pub latency: Option<Duration>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            status: vec![StatusRange { from: 200, to: 399 }],
            headers: Vec::new(),
            body_contains: Vec::new(),
            body_matches: Vec::new(),
            json: Vec::new(),
            latency: None,
        }
    }
}

/// A range of HTTP statuses, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The lowest status.
    pub from: u16,
    /// The highest status.
    pub to: u16,
}

impl StatusRange {
    /// Whether the status lies in the range.
    pub fn holds(self, status: u16) -> bool {
        (self.from..=self.to).contains(&status)
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.from == self.to {
            write!(formatter, "{}", self.from)
        } else {
            write!(formatter, "{}-{}", self.from, self.to)
        }
    }
}

/// How a header's value is compared.
#[derive(Debug, Clone)]
pub enum TextMatch {
    /// The value holds this text, in any letter case.
    Contains(String),
    /// The value matches this pattern (written between slashes).
    Pattern(Regex),
}

/// What one JSONPath has to select.
#[derive(Debug, Clone)]
pub struct JsonExpectation {
    /// The path as it was written.
    pub text: String,
    /// The path, ready to be asked (RFC 9535).
    pub path: JsonPath,
    /// The one value it selects, or a list: all the values it selects.
    pub value: serde_json::Value,
}

/// How production is watched around the swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Path and query of the request.
    pub path: String,
    /// Requests per second; zero switches the watch off.
    pub rate: u32,
    /// After this long without an answer a request counts as lost.
    pub timeout: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self { path: "/".to_owned(), rate: 10, timeout: Duration::from_secs(5) }
    }
}

/// How long production has to keep passing after the swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soak {
    /// For at least this long (`for`).
    pub lasting: Duration,
    /// And at least this many rounds of all checks in a row.
    pub passes: u32,
    /// The pause between two rounds.
    pub every: Duration,
}

impl Default for Soak {
    fn default() -> Self {
        Self { lasting: Duration::from_secs(3), passes: 3, every: Duration::from_secs(1) }
    }
}

/// How long each stage of a release may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Until every instance of the slot answers.
    pub ready: Duration,
    /// All checks of one side together.
    pub checks: Duration,
    /// From the upload to the end of the deployment.
    pub deploy: Duration,
    /// Of a deployment that reports nothing new.
    pub no_progress: Duration,
    /// Until a swap has ended.
    pub swap: Duration,
    /// How long the site is watched for a sign of a swap whose answer was lost.
    pub settle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Self {
            ready: minutes(5),
            checks: minutes(10),
            deploy: minutes(15),
            no_progress: minutes(5),
            swap: minutes(30),
            settle: minutes(5),
        }
    }
}
