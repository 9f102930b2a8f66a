//! What the verbs of a simulation are asked for.
//!
//! Owns the making of their inputs.

use std::path::PathBuf;

use super::packages;
use crate::cli::rehearse;
use crate::emulator::Ready;
use crate::inputs::{Raw, Source};
use crate::plan::Verb;

/// What a verb is asked for.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) verb: Verb,
    pub(super) package: Option<PathBuf>,
    pub(super) release: Option<String>,
    pub(super) previous: Option<String>,
    /// Instead of a package.
    pub(super) image: Option<String>,
    pub(super) startup_command: Option<String>,
    /// What signs in instead of the usual.
    pub(super) profile: Option<String>,
    /// Another configuration than the usual.
    pub(super) config: Option<String>,
}

impl Order {
    pub(super) fn release(version: &str) -> Self {
        Self { package: Some(packages::path(version)), ..Self::bare(Verb::Release) }
    }

    pub(super) fn deploy(version: &str) -> Self {
        Self { package: Some(packages::path(version)), ..Self::bare(Verb::Deploy) }
    }

    pub(super) fn swap(release: &str) -> Self {
        Self { release: Some(release.to_owned()), ..Self::bare(Verb::Swap) }
    }

    pub(super) fn rollback(release: &str) -> Self {
        Self { release: Some(release.to_owned()), ..Self::bare(Verb::Rollback) }
    }

    pub(super) fn settle() -> Self {
        Self::bare(Verb::Settle)
    }

    pub(super) fn bare(verb: Verb) -> Self {
        let (package, release, previous) = (None, None, None);
        Self {
            verb,
            package,
            release,
            previous,
            image: None,
            startup_command: None,
            profile: None,
            config: None,
        }
    }

    /// The same as inputs, with a connection to this service unless it brings a profile.
    pub(super) fn raw(&self, ready: &Ready) -> Raw {
        let mut raw = Raw::default();
        if self.profile.is_none() {
            rehearse::offer_connection(&mut raw, ready);
        }
        let package = self.package.as_ref().map(|path| path.display().to_string());
        let given = [
            ("package", &package),
            ("release-id", &self.release),
            ("previous-build", &self.previous),
            ("images", &self.image),
            ("startup-command", &self.startup_command),
            ("publish-profile", &self.profile),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                raw.offer(name, value.clone(), Source::Flag);
            }
        }
        raw
    }
}
