//! Deploying: one upload, then following its record to the end.
//!
//! Owns the search for our own record among others' and the limits of waiting. An
//! upload is not sent again unless the server refused it for a lock: a second one
//! collides with the first (peers R1, R14).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::journal::{Event, Journal};
use super::{Package, Progress, Release, marks};
use crate::azure::Scm;
use crate::azure::error::AzureError;
use crate::azure::kudu::Upload;
use crate::azure::model::{DeploymentRecord, DeploymentStatus};
use crate::facts::{self, Note};
use crate::http::SendError;
use crate::names::ReleaseId;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a record may take to appear after an upload whose answer was lost.
const RECORD_APPEARS: Duration = Duration::from_secs(45);
/// Pause before an upload that met another deployment's lock is sent again.
const LOCK_PAUSE: Duration = Duration::from_secs(5);
/// Lines of a failed deployment's log that go into the error.
const LOG_LINES: usize = 30;

/// Why the package is not in the slot.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// There is nothing to deploy: the plan and the inputs disagree.
    #[error("bug: the plan deploys, and there is no package")]
    NoPackage,
    /// A call failed.
    #[error(transparent)]
    Azure(#[from] AzureError),
    /// The upload's answer was lost and nothing tells that it arrived.
    #[error("could not upload the package: {why}; no deployment appeared on the slot within {} s", RECORD_APPEARS.as_secs())]
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
            Self::Ambiguous { .. } => vec!["let one pipeline at a time deploy to this slot".to_owned()],
            Self::Failed { .. } => vec!["the log above says why; production is untouched".to_owned()],
            Self::TooLong { .. } => {
                vec![
                    "raise limits.deploy or limits.no-progress in slotway.yml if this is usual; a change of \
                      settings restarts the SCM site and kills a running deployment"
                        .to_owned(),
                ]
            }
            Self::NoPackage | Self::BadId(_) => Vec::new(),
        }
    }
}

fn log_text(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  | {line}")).collect()
}

/// Sends the package and follows the deployment to its end; gives what was noted beside it.
///
/// # Errors
///
/// [`DeployError`]; production is untouched in every case.
pub async fn deploy(release: &Release<'_>, journal: &mut Journal<'_>) -> Result<Note, DeployError> {
    let package = release.package.ok_or(DeployError::NoPackage)?;
    let slot = release.facts.staging.as_ref();
    let host = slot.and_then(|slot| slot.scm_host.as_deref());
    let instance = slot.and_then(|slot| slot.instances.first()).map(String::as_str);
    let scm = facts::scm(release.azure, host, instance)?;
    let known = known_before(release, &scm).await?;
    let limit = release.config.limits.deploy;
    journal.add(Event::Waiting { what: "the upload and the deployment".to_owned(), limit });
    let started = Instant::now();
    let follow = Follow { release, scm: &scm, known, deadline: started + limit, tracking: None };
    let follow = upload(follow, package, journal).await?;
    journal.add(Event::Uploaded { size_bytes: package.size_bytes, elapsed: started.elapsed() });
    let uploaded = Instant::now();
    let record = follow.to_the_end().await?;
    let id = ReleaseId::new(&record.id)?;
    let note = write_note(release, &scm, &id, package, journal).await;
    journal.add(Event::Deployed { release: id, elapsed: uploaded.elapsed() });
    Ok(note)
}

/// Every record that was there before ours: the slot's own, and production's, which
/// somebody else's swap could bring here.
async fn known_before(release: &Release<'_>, scm: &Scm) -> Result<BTreeSet<String>, DeployError> {
    let mut known: BTreeSet<String> = scm.deployments().await?.into_iter().map(|record| record.id).collect();
    let production = &release.facts.production;
    if let Ok(other) = facts::scm(release.azure, production.scm_host.as_deref(), None) {
        known.extend(other.deployments().await.unwrap_or_default().into_iter().map(|record| record.id));
    }
    known.extend(production.build.release_id().map(ToString::to_string));
    Ok(known)
}

async fn upload<'a>(
    mut follow: Follow<'a>,
    package: &Package,
    journal: &mut Journal<'_>,
) -> Result<Follow<'a>, DeployError> {
    let (mut waited_for_lock, mut renewed) = (false, false);
    loop {
        let error = match send(&follow, package).await {
            Ok(answer) => {
                follow.tracking = answer.header("scm-deployment-id").map(str::to_owned);
                return Ok(follow);
            }
            Err(error) => error,
        };
        match &error {
            AzureError::Call { source: SendError::Unclear(why), .. } => {
                // It may have arrived: ask before anything else.
                let appears = (Instant::now() + RECORD_APPEARS).min(follow.deadline);
                if follow.appears_until(appears).await? {
                    journal
                        .warn(format!("the upload's answer was lost ({why}), but the deployment is there"));
                    return Ok(follow);
                }
                return Err(DeployError::Lost { why: why.to_string() });
            }
            // Refused is not carried out: a token that has just ended may be renewed, once.
            AzureError::Call { source: SendError::Refused(refusal), .. }
                if refusal.status == 401 && !renewed =>
            {
                renewed = true;
                follow.release.azure.credential().forget();
            }
            AzureError::Call { source: SendError::Refused(refusal), .. }
                if refusal.status == 409
                    && refusal.message.as_deref().unwrap_or_default().contains("in progress")
                    && Instant::now() + LOCK_PAUSE < follow.deadline =>
            {
                if !waited_for_lock {
                    journal.warn(format!("waiting for another deployment to end: {refusal}"));
                }
                waited_for_lock = true;
                tokio::time::sleep(LOCK_PAUSE).await;
                // What the other deployment left is not ours.
                follow.known.extend(follow.scm.deployments().await?.into_iter().map(|record| record.id));
            }
            _ => return Err(error.into()),
        }
    }
}

/// Sends the package once, passing the count of bytes on as it goes.
async fn send(follow: &Follow<'_>, package: &Package) -> Result<crate::http::Answer, AzureError> {
    let (counted, mut counts) = mpsc::unbounded_channel();
    let upload = Upload {
        path: package.path.clone(),
        size_bytes: package.size_bytes,
        sha256: package.sha256.clone(),
        package_type: package.package_type.clone(),
        target_path: package.target_path.clone(),
        clean: package.clean,
        restart: package.restart,
        timeout: follow.deadline.saturating_duration_since(Instant::now()),
        sent: Arc::new(move |bytes| {
            // The receiver is gone only when the upload is.
            let _ = counted.send(bytes);
        }),
    };
    let publish = follow.scm.publish(&upload);
    tokio::pin!(publish);
    loop {
        tokio::select! {
            biased;
            answer = &mut publish => return answer,
            Some(sent) = counts.recv() => {
                (follow.release.progress)(Progress::Uploading { sent, total: package.size_bytes });
            }
        }
    }
}

struct Follow<'a> {
    release: &'a Release<'a>,
    scm: &'a Scm,
    known: BTreeSet<String>,
    deadline: Instant,
    tracking: Option<String>,
}

impl Follow<'_> {
    /// Our record among those that were not there before.
    fn ours<'r>(&self, records: &'r [DeploymentRecord]) -> Result<Option<&'r DeploymentRecord>, DeployError> {
        if let Some(tracking) = &self.tracking
            && let Some(record) = records.iter().find(|record| record.id == *tracking)
        {
            return Ok(Some(record));
        }
        let fresh: Vec<&DeploymentRecord> =
            records.iter().filter(|record| !self.known.contains(&record.id)).collect();
        // A temporary record and its final one are the same deployment (kudu-deploy §5).
        let lasting: Vec<&DeploymentRecord> =
            fresh.iter().copied().filter(|record| !record.is_provisional()).collect();
        match (lasting.as_slice(), fresh.as_slice()) {
            ([one], _) | ([], [one]) => Ok(Some(one)),
            ([], []) => Ok(None),
            (several, _) => {
                let ids: Vec<&str> = several.iter().map(|record| record.id.as_str()).collect();
                Err(DeployError::Ambiguous { ids: ids.join(", ") })
            }
        }
    }

    async fn appears_until(&self, deadline: Instant) -> Result<bool, DeployError> {
        loop {
            if let Ok(records) = self.scm.deployments().await
                && self.ours(&records)?.is_some()
            {
                return Ok(true);
            }
            if Instant::now() + LONGEST_PAUSE / 2 >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(LONGEST_PAUSE / 2).await;
        }
    }

    async fn to_the_end(&self) -> Result<DeploymentRecord, DeployError> {
        let mut pause = FIRST_PAUSE;
        let mut seen = String::new();
        let mut changed = Instant::now();
        let mut last_id = None;
        loop {
            // A failing read is no verdict: the SCM site may be restarting.
            let records = self.scm.deployments().await.unwrap_or_default();
            if let Some(record) = self.ours(&records)? {
                last_id = Some(record.id.clone());
                if let Some(end) = self.judge(record).await {
                    return end;
                }
                let picture = self.picture(record).await;
                if picture != seen {
                    (self.release.progress)(Progress::Deploying(record.status_text.clone()));
                    seen = picture;
                    changed = Instant::now();
                }
            }
            let limit = self.release.config.limits.no_progress;
            if changed.elapsed() >= limit {
                let what = format!("made no progress for {} s", limit.as_secs());
                return Err(DeployError::TooLong { what, log: self.log(last_id.as_deref()).await });
            }
            if Instant::now() + pause >= self.deadline {
                let what = "had not ended when limits.deploy was over".to_owned();
                return Err(DeployError::TooLong { what, log: self.log(last_id.as_deref()).await });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// The end, if the record is at its end. Success counts only under the final id
    /// and once the content is the slot's active one.
    async fn judge(&self, record: &DeploymentRecord) -> Option<Result<DeploymentRecord, DeployError>> {
        let how = match record.status() {
            DeploymentStatus::Succeeded if record.is_provisional() || !record.active => return None,
            DeploymentStatus::Succeeded => return Some(Ok(record.clone())),
            DeploymentStatus::UnderWay => return None,
            DeploymentStatus::Unknown(_) if !record.complete => return None,
            DeploymentStatus::Unknown(number) => format!("ended with the unknown status {number}"),
            DeploymentStatus::Failed => "failed".to_owned(),
            DeploymentStatus::Cancelled => "was cancelled".to_owned(),
            DeploymentStatus::Conflict => "was cancelled by another deployment".to_owned(),
            DeploymentStatus::PartlySucceeded => "succeeded only in part".to_owned(),
        };
        let log = self.log(Some(&record.id)).await;
        Some(Err(DeployError::Failed { id: record.id.clone(), how, log }))
    }

    /// What must change for the deployment to count as alive. Linux keeps its status
    /// at 0 for the whole build, so the log's length belongs to it (seen-in-recordings 24).
    async fn picture(&self, record: &DeploymentRecord) -> String {
        let lines = self.scm.log(&record.id).await.map(|log| log.len()).unwrap_or_default();
        format!("{} {:?} {} {lines}", record.id, record.status, record.status_text)
    }

    async fn log(&self, id: Option<&str>) -> Vec<String> {
        let Some(id) = id else { return Vec::new() };
        let mut lines = self.scm.log(id).await.unwrap_or_default();
        lines.split_off(lines.len().saturating_sub(LOG_LINES))
    }
}

/// The note tells later runs what this build is and what was before it. Its failure
/// is a warning: nothing that is checked depends on it.
async fn write_note(
    release: &Release<'_>,
    scm: &Scm,
    id: &ReleaseId,
    package: &Package,
    journal: &mut Journal<'_>,
) -> Note {
    let note = Note {
        slotway: 1,
        release_id: id.clone(),
        sha256: Some(package.sha256.clone()),
        size_bytes: Some(package.size_bytes),
        previous: release.facts.production.build.release_id().map(ToString::to_string),
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
