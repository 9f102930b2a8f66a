//! What staging is given: its start command, then a package or an image.
//!
//! Owns the order of these and what is noted beside a package. Must not touch
//! production, nor decide what a failure leads to.

use std::collections::BTreeSet;

use super::journal::Journal;
use super::upload::{self, Sending};
use super::{Deliverable, Package, Release, configure, marks};
use crate::azure::Scm;
use crate::azure::error::AzureError;
use crate::facts::{self, Build, Note};
use crate::names::ReleaseId;

/// Lines of a log that go into an error.
pub(super) const LOG_LINES: usize = 30;

/// Why the package or the image is not in the slot.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// There is nothing to deploy: the plan and the inputs disagree.
    #[error("bug: the plan deploys, and there is nothing to deploy")]
    Nothing,
    /// A call failed.
    #[error(transparent)]
    Azure(#[from] AzureError),
    /// The upload's answer was lost, twice; whatever appeared may be anybody's.
    #[error("could not upload the package: {why}, and so it was before: what arrived cannot be told")]
    Lost {
        /// What became of the request.
        why: String,
    },
    /// Several records could be ours.
    #[error(
        "several deployments appeared on the slot at once: {ids}; which of them is this one cannot be told"
    )]
    Ambiguous {
        /// Their ids.
        ids: String,
    },
    /// The slot's content was exchanged with another's in the middle of the deployment.
    #[error(
        "somebody swapped the slot while the package was deployed: none of its deployments from before is there"
    )]
    Exchanged,
    /// The deployment ended badly.
    #[error("the deployment {id} {how}{}", log_text(.log))]
    Failed {
        /// Its id.
        id: String,
        /// In which way.
        how: String,
        /// The end of its log; foreign text.
        log: Vec<String>,
    },
    /// It takes too long.
    #[error("the deployment {what}{}", log_text(.log))]
    TooLong {
        /// Which limit.
        what: String,
        /// The end of its log; foreign text.
        log: Vec<String>,
    },
    /// The slot's configuration does not show what was written.
    #[error("{slot} was given {wanted}, and its configuration says {has}")]
    NotTaken {
        /// Which slot.
        slot: String,
        /// What was written.
        wanted: String,
        /// What was read back.
        has: String,
    },
    /// The SCM site did not come back after a change of the configuration.
    #[error("the SCM site did not come back after the change of the configuration: {why}")]
    ScmGone {
        /// Its last answer.
        why: String,
    },
    /// Kudu's id is none.
    #[error("the deployment's id cannot be used: {0}")]
    BadId(#[from] crate::names::NameError),
}

impl DeployError {
    /// What to do about it.
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::Azure(error) => error.help(),
            Self::Lost { .. } => vec!["run again; production is untouched".to_owned()],
            Self::Ambiguous { .. } | Self::Exchanged => {
                vec!["let one pipeline at a time deploy to this slot".to_owned()]
            }
            Self::Failed { .. } => vec!["the log above says why; production is untouched".to_owned()],
            Self::TooLong { .. } => {
                vec![
                    "raise limits.deploy or limits.no-progress in slotway.yml if this is usual; a change of \
                      settings restarts the SCM site and kills a running deployment"
                        .to_owned(),
                ]
            }
            Self::NotTaken { .. } => {
                vec![
                    "somebody else changes the slot's configuration, or a policy forbids it: run again"
                        .to_owned(),
                ]
            }
            Self::ScmGone { .. } => vec!["run again; production is untouched".to_owned()],
            Self::Nothing | Self::BadId(_) => Vec::new(),
        }
    }
}

/// A log below the error that it explains.
pub(super) fn log_text(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  | {line}")).collect()
}

/// What staging serves now.
pub struct Staged {
    /// Which build.
    pub build: Build,
    /// What was noted beside it.
    pub note: Option<Note>,
}

/// Gives staging what is to be released.
///
/// # Errors
///
/// [`DeployError`]; production is untouched in every case.
pub async fn deploy(release: &Release<'_>, journal: &mut Journal<'_>) -> Result<Staged, DeployError> {
    match release.deliverable {
        Some(Deliverable::Package(package)) => {
            configure::startup_command(release, journal).await?;
            let note = deploy_package(release, package, journal).await?;
            Ok(Staged { build: Build::Deployment(note.release_id.clone()), note: Some(note) })
        }
        Some(Deliverable::Image(image)) => {
            let build = Build::Image(configure::image(release, image, journal).await?);
            Ok(Staged { build, note: None })
        }
        None => Err(DeployError::Nothing),
    }
}

async fn deploy_package(
    release: &Release<'_>,
    package: &Package,
    journal: &mut Journal<'_>,
) -> Result<Note, DeployError> {
    let scm = staging_scm(release)?;
    let here: BTreeSet<String> = scm.deployments().await?.into_iter().map(|record| record.id).collect();
    let elsewhere = production_records(release).await;
    let (limits, progress) = (&release.config.limits, release.progress);
    let sending = Sending { scm: &scm, package, limits, here, elsewhere, progress };
    let id = upload::send(sending, journal).await?;
    let previous = release.facts.production.build.release_id();
    Ok(write_note(&scm, &id, package, previous, journal).await)
}

/// The SCM site of staging.
///
/// # Errors
///
/// [`AzureError`] when it has none.
pub(super) fn staging_scm(release: &Release<'_>) -> Result<Scm, AzureError> {
    let slot = release.facts.staging.as_ref();
    let host = slot.and_then(|slot| slot.scm_host.as_deref());
    let instance = slot.and_then(|slot| slot.instances.first()).map(String::as_str);
    facts::scm(release.azure, host, instance)
}

/// Production's records, which somebody else's swap could bring to the slot.
async fn production_records(release: &Release<'_>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let production = &release.facts.production;
    if matches!(production.build, Build::Unreadable(_)) {
        // It was waited for once, and may be out of reach for good.
        return known;
    }
    if let Ok(other) = facts::scm(release.azure, production.scm_host.as_deref(), None) {
        known.extend(other.deployments().await.unwrap_or_default().into_iter().map(|record| record.id));
    }
    known.extend(production.build.release_id().map(ToString::to_string));
    known
}

/// The note tells later runs what this build is and what was before it. Its failure
/// is a warning: nothing that is checked depends on it.
pub(super) async fn write_note(
    scm: &Scm,
    id: &ReleaseId,
    package: &Package,
    previous: Option<&ReleaseId>,
    journal: &mut Journal<'_>,
) -> Note {
    let note = Note {
        slotway: 1,
        release_id: id.clone(),
        sha256: Some(package.sha256.clone()),
        size_bytes: Some(package.size_bytes),
        previous: previous.map(ToString::to_string),
        source: package.source.clone(),
        written: marks::now(),
        swap: None,
        rollback: None,
    };
    let written = match serde_json::to_string(&note) {
        Ok(text) => scm.write_note(id.as_str(), &text).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(reason) = written {
        journal.warn(format!("{reason}; a later rollback will not know which build was before"));
    }
    note
}
