//! What Slotway writes beside a deployment, so that another machine can go on from there.
//!
//! Owns the document's shape. Must not read or write it.

use serde::{Deserialize, Serialize};

use crate::names::ReleaseId;
use crate::source::{self, Source};

/// What Slotway wrote beside a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Note {
    /// Version of this document: 1.
    pub slotway: u32,
    /// The deployment's id.
    pub release_id: ReleaseId,
    /// SHA-256 of the package, in hex; none where somebody else deployed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Length of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The build that production served before this one, by its release id.
    #[serde(default)]
    pub previous: Option<String>,
    /// The commit that it was built of, where the host said so.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "source::or_none")]
    pub source: Option<Source>,
    /// When it was first written, RFC 3339.
    pub written: String,
    /// The swap to production, from the moment before it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<Mark>,
    /// The swap back, from the moment before it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Mark>,
}

/// A swap that was about to be sent, and how it ended. Whoever comes later learns from
/// it what a killed run left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mark {
    /// When, RFC 3339, by the sender's clock.
    pub sent: String,
    /// By which pipeline run, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When production's last swap before it ended, in Azure's words: as long as that
    /// is the last one, this one has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_swap: Option<String>,
    /// How the run that sent it ended; nothing while it runs, or when it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// How the run that sent a swap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Production was proven to serve what it should.
    Proven,
    /// It could not be, and a person was told.
    Stuck,
}
