//! Faults: which request is to be treated badly, how, and how often.
//!
//! Owns the rules and their counting. Must not touch a connection: `misbehave` carries
//! a misbehaviour out. A rule comes from the scenario or from the control endpoint:
//!
//! ```yaml
//! - on: {service: resource-manager, method: POST, path: slotsswap$}
//!   do: reset-after
//! - on: {service: scm, slot: staging}
//!   skip: 2
//!   times: 3
//!   do: {status: {code: 503, body: The service is unavailable.}}
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scenario::Milestone;
use crate::names::SlotName;

/// Which listener a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    /// Resource Manager.
    ResourceManager,
    /// Kudu.
    Scm,
    /// Entra.
    Authority,
    /// The front end.
    App,
    /// The control endpoint, which no rule reaches.
    #[serde(skip_deserializing)]
    Control,
}

/// A rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FaultRule {
    /// Which requests it matches; every one of all services unless said.
    #[serde(default)]
    pub on: Target,
    /// How many of them are let through first.
    #[serde(default)]
    pub skip: usize,
    /// How many are treated badly then; 0 for all that come.
    #[serde(default = "once")]
    pub times: usize,
    /// It sleeps until the world has reached this.
    #[serde(default)]
    pub after: Option<Milestone>,
    /// What happens.
    #[serde(rename = "do")]
    pub misbehaviour: Misbehaviour,
}

fn once() -> usize {
    1
}

/// Which requests a rule matches; what is left out matches all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Target {
    /// The listener.
    pub service: Option<ServiceName>,
    /// The slot: of the host for app and scm, of the path for resource-manager.
    pub slot: Option<SlotName>,
    /// The method.
    pub method: Option<String>,
    /// A pattern that is looked for in the path, without regard to case. The path is regular: no double
    /// slashes, none at its end, no query.
    pub path: Option<String>,
}

/// What is done to a request. `act: true` lets the service do its work first, which the client then does not
/// learn; otherwise it never sees the request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Misbehaviour(pub Kind);

/// The misbehaviours, by the names that rules use.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// The connection is reset before TLS; a request on an old connection, and any request of a rule with a method
    /// or a path, is reset unseen.
    Refuse {},
    /// The connection is reset; the service has not seen the request.
    ResetBefore {},
    /// The service acts, then the connection is reset without an answer.
    ResetAfter {},
    /// The service acts; the connection is reset in the middle of the answer's body.
    CutBody {},
    /// There is never an answer.
    Stall {
        /// Whether the service acts.
        #[serde(default)]
        act: bool,
    },
    /// Bytes that are not HTTP, then the end of the connection.
    Garbage {
        /// Whether the service acts.
        #[serde(default)]
        act: bool,
    },
    /// A page in HTML instead of the answer, as proxies and front ends give it (seen-in-recordings.md 19, 25).
    Html {
        /// The status.
        #[serde(default = "ok")]
        status: u16,
        /// Whether the service acts.
        #[serde(default)]
        act: bool,
    },
    /// 200 with bytes that are not UTF-8 where a JSON document belongs.
    NotUtf8 {
        /// Whether the service acts.
        #[serde(default)]
        act: bool,
    },
    /// A body without an end.
    Endless {
        /// Whether the service acts.
        #[serde(default)]
        act: bool,
    },
    /// Another answer.
    Status {
        /// The status.
        code: u16,
        /// Its headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Its body: a text, or anything else as JSON.
        #[serde(default)]
        body: Value,
        /// Whether the service acts.
        #[serde(default)]
        act: bool,
    },
    /// A refusal that says back what the request carried, secrets too, plain and encoded, as debug pages and
    /// careless proxies do; the service never sees the request.
    Echo {
        /// The status.
        #[serde(default = "bad_request")]
        code: u16,
    },
    /// The right answer, late, by the machine's clock.
    Delay {
        /// How late.
        #[serde(with = "super::scenario::duration")]
        by: Duration,
        /// Whether the service acts before the wait instead of after it.
        #[serde(default)]
        act: bool,
    },
}

fn ok() -> u16 {
    200
}

fn bad_request() -> u16 {
    400
}

impl TryFrom<Value> for Misbehaviour {
    type Error = String;

    /// Takes `do: stall` for `do: {stall: {}}`.
    fn try_from(value: Value) -> Result<Self, String> {
        let value = match value {
            Value::String(name) => serde_json::json!({ name: {} }),
            other => other,
        };
        let kind: Kind = serde_json::from_value(value).map_err(|error| error.to_string())?;
        match kind {
            Kind::Status { code, .. } | Kind::Html { status: code, .. } | Kind::Echo { code }
                if !(200..=599).contains(&code) =>
            {
                Err(format!("{code} is not a status from 200 to 599"))
            }
            kind => Ok(Self(kind)),
        }
    }
}

impl Kind {
    /// The name that rules use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refuse {} => "refuse",
            Self::ResetBefore {} => "reset-before",
            Self::ResetAfter {} => "reset-after",
            Self::CutBody {} => "cut-body",
            Self::Stall { .. } => "stall",
            Self::Garbage { .. } => "garbage",
            Self::Html { .. } => "html",
            Self::NotUtf8 { .. } => "not-utf8",
            Self::Endless { .. } => "endless",
            Self::Status { .. } => "status",
            Self::Echo { .. } => "echo",
            Self::Delay { .. } => "delay",
        }
    }
}

/// What is known of a request when rules are looked through.
#[derive(Debug, Clone, Copy)]
pub struct Approach<'a> {
    /// The listener.
    pub service: ServiceName,
    /// The slot, if the request is about one.
    pub slot: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The regular path.
    pub path: &'a str,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultError(String);

struct Armed {
    rule: FaultRule,
    pattern: Option<Regex>,
    seen: usize,
    struck: usize,
}

/// The rules with their counts.
#[derive(Default)]
pub struct Faults {
    rules: Mutex<Vec<Armed>>,
    any: AtomicBool,
}

impl Faults {
    /// Reads a rule as it stands in a scenario or in a request to the control endpoint.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(rule: &Value) -> Result<FaultRule, FaultError> {
        FaultRule::deserialize(rule).map_err(|error| FaultError(error.to_string()))
    }

    /// Adds a rule behind the others; the first that matches counts.
    ///
    /// # Errors
    ///
    /// The pattern is none.
    pub fn add(&self, rule: FaultRule) -> Result<(), FaultError> {
        let compile =
            |text: &String| RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build();
        let pattern = rule.on.path.as_ref().map(compile).transpose();
        let pattern = pattern.map_err(|error| FaultError(format!("path is not a pattern: {error}")))?;
        self.lock().push(Armed { rule, pattern, seen: 0, struck: 0 });
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.lock().clear();
        self.any.store(false, Ordering::Release);
    }

    /// Whether and how to misbehave to this request; counts it.
    pub fn strike(&self, approach: Approach<'_>, reached: impl Fn(Milestone) -> bool) -> Option<Kind> {
        self.find(reached, |armed| matches(armed, approach))
    }

    /// Whether to refuse a connection before anything of it is known but the listener.
    pub fn refuses(
        &self,
        service: ServiceName,
        slot: Option<&str>,
        reached: impl Fn(Milestone) -> bool,
    ) -> bool {
        let approach = Approach { service, slot, method: "", path: "" };
        let blind = |armed: &Armed| {
            armed.rule.misbehaviour.0 == Kind::Refuse {}
                && armed.rule.on.method.is_none()
                && armed.rule.on.path.is_none()
                && matches(armed, approach)
        };
        // What a connection to Resource Manager is about is not known yet.
        let slotless = |armed: &Armed| slot.is_some() || armed.rule.on.slot.is_none();
        self.find(reached, |armed| blind(armed) && slotless(armed)).is_some()
    }

    fn find(&self, reached: impl Fn(Milestone) -> bool, matches: impl Fn(&Armed) -> bool) -> Option<Kind> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        for armed in self.lock().iter_mut() {
            let spent = armed.rule.times != 0 && armed.struck >= armed.rule.times;
            if spent || !matches(armed) || !armed.rule.after.is_none_or(&reached) {
                continue;
            }
            armed.seen += 1;
            if armed.seen > armed.rule.skip {
                armed.struck += 1;
                return Some(armed.rule.misbehaviour.0.clone());
            }
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn matches(armed: &Armed, approach: Approach<'_>) -> bool {
    let on = &armed.rule.on;
    approach.service != ServiceName::Control
        && on.service.is_none_or(|service| service == approach.service)
        && on
            .slot
            .as_ref()
            .is_none_or(|slot| approach.slot.is_some_and(|named| named.eq_ignore_ascii_case(slot.as_str())))
        && on.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(approach.method))
        && armed.pattern.as_ref().is_none_or(|pattern| pattern.is_match(approach.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(rules: &[Value]) -> Faults {
        let faults = Faults::default();
        for rule in rules {
            faults.add(Faults::parse(rule).expect("well formed")).expect("a pattern");
        }
        faults
    }

    fn swap() -> Approach<'static> {
        Approach {
            service: ServiceName::ResourceManager,
            slot: Some("staging"),
            method: "POST",
            path: "/subscriptions/s/resourcegroups/g/providers/microsoft.web/sites/a/slots/staging/slotsswap",
        }
    }

    #[test]
    fn a_rule_skips_then_strikes_so_many_times() {
        let faults =
            faults(&[json!({"on": {"service": "resource-manager", "method": "post", "path": "SLOTSSWAP$"},
            "skip": 1, "times": 2, "do": "reset-after"})]);
        let other = Approach { method: "GET", ..swap() };
        let struck: Vec<bool> = (0..5)
            .map(|_| {
                assert_eq!(faults.strike(other, |_| true), None);
                faults.strike(swap(), |_| true).is_some()
            })
            .collect();
        assert_eq!(struck, [false, true, true, false, false]);
    }

    #[test]
    fn a_rule_sleeps_until_its_milestone_and_lasts_for_ever_with_zero() {
        let faults = faults(&[json!({"on": {"slot": "STAGING"}, "after": "swap-switched", "times": 0,
            "do": {"status": {"code": 503, "body": "busy"}}})]);
        assert_eq!(faults.strike(swap(), |_| false), None);
        for _ in 0..10 {
            let kind = faults.strike(swap(), |milestone| milestone == Milestone::SwapSwitched);
            assert_eq!(kind.map(|kind| kind.name()), Some("status"));
        }
        faults.clear();
        assert_eq!(faults.strike(swap(), |_| true), None);
    }

    #[test]
    fn only_a_rule_without_method_and_path_refuses_connections() {
        let refuse = |on: Value| faults(&[json!({"on": on, "do": "refuse"})]);
        let at = |faults: &Faults, slot| faults.refuses(ServiceName::Scm, slot, |_| true);
        assert!(at(&refuse(json!({"service": "scm", "slot": "staging"})), Some("staging")));
        assert!(!at(&refuse(json!({"service": "scm", "slot": "staging"})), Some("production")));
        assert!(!at(&refuse(json!({"service": "app"})), Some("staging")));
        assert!(!at(&refuse(json!({"path": "x"})), Some("staging")));
        assert!(!refuse(json!({})).refuses(ServiceName::Control, None, |_| true));
    }

    #[test]
    fn a_wrong_rule_says_what_is_wrong() {
        let wrong = |rule: Value| Faults::parse(&rule).expect_err("wrong").to_string();
        assert!(wrong(json!({"do": "explode"})).contains("unknown variant `explode`"));
        assert!(wrong(json!({"do": {"status": {"code": 42}}})).contains("42 is not a status"));
        assert!(wrong(json!({"do": "stall", "time": 1})).contains("unknown field `time`"));
        assert!(wrong(json!({"on": {"service": "control"}, "do": "stall"})).contains("unknown variant"));
        let rule = Faults::parse(&json!({"on": {"path": "("}, "do": "stall"})).expect("well formed");
        assert!(Faults::default().add(rule).expect_err("no pattern").to_string().contains("not a pattern"));
    }
}
