//! Raw values as they were given, with where each came from.
//!
//! Owns which source wins. Must not judge a value, nor print one.

use std::collections::BTreeMap;

use super::list::find;

/// Where a raw value came from, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A command-line flag.
    Flag,
    /// An environment variable.
    Environment,
    /// `slotway.yml`.
    File,
    /// The rehearsal's own emulator.
    Rehearsal,
    /// An input of the pipeline step.
    Step,
    /// The JSON of `creds`.
    Login,
    /// The service connection of Azure Pipelines.
    ServiceConnection,
}

/// Raw values by input name; the first to set a name wins. Beside the inputs it
/// holds `certificate`, the text of `certificate-file`. Prints no values: some are secrets.
#[derive(Clone, Default)]
pub struct Raw {
    values: BTreeMap<&'static str, (String, Source)>,
}

impl Raw {
    /// Sets a value unless an earlier source did; blank counts as not given.
    pub fn offer(&mut self, name: &'static str, value: impl Into<String>, source: Source) {
        let value = value.into();
        if !value.trim().is_empty() {
            self.values.entry(name).or_insert((value, source));
        }
    }

    /// Takes a value back: what it stood for is done.
    pub fn withdraw(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// The trimmed value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.trim())
    }

    /// Where it came from.
    pub fn source(&self, name: &str) -> Option<Source> {
        self.values.get(name).map(|(_, source)| *source)
    }

    /// Whether it comes from a variable that other tools read too, such as
    /// `AZURE_CLIENT_ID`: that is less than being told.
    pub fn is_ambient(&self, name: &str) -> bool {
        let shared = find(name).is_some_and(|input| input.also.is_some());
        shared && self.source(name) == Some(Source::Environment)
    }

    /// Sets a value unless it is set already by something that tells more than a
    /// shared variable.
    pub fn prefer(&mut self, name: &'static str, value: impl Into<String>, source: Source) {
        if self.is_ambient(name) {
            self.values.remove(name);
        }
        self.offer(name, value, source);
    }
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.values.iter().map(|(name, (_, source))| (name, source))).finish()
    }
}
