//! Reads the parts of a configuration tree and gathers what is wrong with them.
//!
//! Owns the messages about kinds of values and unknown keys. Must not know which
//! keys exist: the readers of `file` and `request` say so.

use std::time::Duration;

use super::duration::parse_duration;
use super::tree::{Node, Step};

/// A value of the file and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Field<'n> {
    pub(super) node: &'n Node,
    pub(super) steps: Vec<Step>,
    pub(super) path: String,
}

/// Something wrong, not yet turned into line and column.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) steps: Vec<Step>,
    pub(super) path: String,
    pub(super) message: String,
}

/// All that was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) found: Vec<Found>,
}

impl Problems {
    /// Notes a problem with a value; always none, so that a reader can end with it.
    pub(super) fn at<T>(&mut self, field: &Field<'_>, message: impl Into<String>) -> Option<T> {
        self.found.push(Found {
            steps: field.steps.clone(),
            path: field.path.clone(),
            message: message.into(),
        });
        None
    }
}

/// A mapping whose keys are known.
#[derive(Debug)]
pub(super) struct Section<'n> {
    pub(super) whole: Field<'n>,
    entries: &'n [(String, Node)],
}

impl<'n> Section<'n> {
    /// The entry with this key.
    pub(super) fn get(&self, key: &str) -> Option<Field<'n>> {
        let position = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.whole.part(Step::Entry(position), key, &self.entries[position].1))
    }

    /// All entries with their keys.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'n str, Field<'n>)> {
        self.entries
            .iter()
            .enumerate()
            .map(|(position, (key, node))| (key.as_str(), self.whole.part(Step::Entry(position), key, node)))
    }

    /// Notes a problem with an entry's key.
    pub(super) fn key_problem(&self, key: &str, message: impl Into<String>, problems: &mut Problems) {
        let Some(position) = self.entries.iter().position(|(name, _)| name == key) else { return };
        let mut field = self.whole.part(Step::Entry(position), key, &self.entries[position].1);
        field.steps.pop();
        field.steps.push(Step::Key(position));
        problems.at::<()>(&field, message);
    }

    /// Notes each key that is not one of the known ones; `elsewhere` says where a key would be right.
    pub(super) fn refuse_unknown(
        &self,
        known: &[&str],
        elsewhere: impl Fn(&str) -> Option<&'static str>,
        problems: &mut Problems,
    ) {
        for (key, _) in self.entries {
            if known.contains(&key.as_str()) {
                continue;
            }
            let message = match elsewhere(key) {
                Some(place) => format!("unknown key here; it belongs {place}"),
                None => format!("unknown key; {}", did_you_mean(key, known)),
            };
            self.key_problem(key, message, problems);
        }
    }
}

/// "did you mean" or, where nothing is near, the choices.
pub(super) fn did_you_mean(given: &str, known: &[&str]) -> String {
    let flat = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = flat(given);
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(&flat(known), &wanted), known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, known)) if likeness > 0.8 => format!("did you mean \"{known}\"?"),
        _ => format!("known here: {}", known.join(", ")),
    }
}

impl<'n> Field<'n> {
    /// The file as a whole.
    pub(super) fn root(node: &'n Node) -> Self {
        Self { node, steps: Vec::new(), path: String::new() }
    }

    fn part(&self, step: Step, name: &str, node: &'n Node) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let path = match step {
            Step::Item(position) => format!("{}[{position}]", self.path),
            _ if self.path.is_empty() => name,
            _ => format!("{}.{name}", self.path),
        };
        Self { node, steps, path }
    }

    fn wrong_kind<T>(&self, wanted: &str, problems: &mut Problems) -> Option<T> {
        problems.at(self, format!("is {}; {wanted} is wanted", self.node.kind()))
    }

    /// The value as a mapping.
    pub(super) fn section(&self, problems: &mut Problems) -> Option<Section<'n>> {
        match self.node {
            Node::Map(entries) => Some(Section { whole: self.clone(), entries }),
            _ => self.wrong_kind("a mapping (key: value)", problems),
        }
    }

    /// The items of a list.
    pub(super) fn items(&self, problems: &mut Problems) -> Option<Vec<Field<'n>>> {
        match self.node {
            Node::List(_) => Some(self.one_or_many()),
            _ => self.wrong_kind("a list (- item)", problems),
        }
    }

    /// The items of a list, or the value itself.
    pub(super) fn one_or_many(&self) -> Vec<Field<'n>> {
        match self.node {
            Node::List(items) => {
                items.iter().enumerate().map(|(at, node)| self.part(Step::Item(at), "", node)).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// The value as text, in the spelling of the file.
    pub(super) fn text(&self, problems: &mut Problems) -> Option<&'n str> {
        match self.node {
            node if node.is_null() => problems.at(self, "has no value; write one or remove the key"),
            Node::Scalar { raw, .. } => Some(raw),
            _ => self.wrong_kind("a text", problems),
        }
    }

    /// The value as text with something in it.
    pub(super) fn full_text(&self, problems: &mut Problems) -> Option<&'n str> {
        match self.text(problems)? {
            text if text.trim().is_empty() => problems.at(self, "is empty; write a value or remove the key"),
            text => Some(text),
        }
    }

    /// The value as true or false.
    pub(super) fn flag(&self, problems: &mut Problems) -> Option<bool> {
        match self.node {
            Node::Scalar { value: serde_json::Value::Bool(flag), .. } => Some(*flag),
            _ => self.wrong_kind("true or false", problems),
        }
    }

    /// The value as a whole number in a range.
    pub(super) fn count(&self, from: u32, to: u32, problems: &mut Problems) -> Option<u32> {
        let number = match self.node {
            Node::Scalar { value, .. } => value.as_u64().and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        match number {
            Some(number) if (from..=to).contains(&number) => Some(number),
            _ => problems.at(self, format!("a whole number from {from} to {to} is wanted")),
        }
    }

    /// The value as a duration of at least `shortest`.
    pub(super) fn duration(&self, shortest: Duration, problems: &mut Problems) -> Option<Duration> {
        let text = self.text(problems)?;
        match parse_duration(text) {
            Ok(duration) if duration >= shortest => Some(duration),
            Ok(_) => problems.at(self, format!("is too short; at least {} ms", shortest.as_millis())),
            Err(error) => {
                let shown: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
                problems.at(self, format!("\"{shown}\" {error}"))
            }
        }
    }
}
