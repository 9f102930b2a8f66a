//! The upload of a package and its deployment by Kudu, followed to its end.
//!
//! Owns how our deployment is found among others' and the limits of waiting. An upload
//! whose answer was lost is sent again, once, when whatever arrived has ended: before
//! that a second one collides with the first (peers R1, R14), and a record does not tell
//! whose it is, so that somebody else's could be taken for ours. Knows no resource manager: whoever signs
//! in, by token or by publish profile, sends in the same way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::deploy::{DeployError, LOG_LINES};
use super::journal::{Event, Journal};
use super::{Package, Progress};
use crate::azure::Scm;
use crate::azure::error::AzureError;
use crate::azure::kudu::Upload;
use crate::azure::model::{DeploymentRecord, DeploymentStatus};
use crate::checks::spec::Limits;
use crate::http::{Refusal, SendError};
use crate::names::ReleaseId;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a record may take to appear after an upload whose answer was lost.
const RECORD_APPEARS: Duration = Duration::from_secs(45);
/// Pause before an upload that met another deployment's lock is sent again.
const LOCK_PAUSE: Duration = Duration::from_secs(5);

/// What sending a package needs.
pub struct Sending<'a> {
    /// The SCM site of the slot.
    pub scm: &'a Scm,
    /// The package.
    pub package: &'a Package,
    /// How long it may take.
    pub limits: &'a Limits,
    /// Records that the slot had before ours.
    pub here: BTreeSet<String>,
    /// Records that somebody else's swap could bring here.
    pub elsewhere: BTreeSet<String>,
    /// Where progress goes.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

/// Sends the package and follows the deployment to its end.
///
/// # Errors
///
/// [`DeployError`]; production is untouched in every case.
pub async fn send(sending: Sending<'_>, journal: &mut Journal<'_>) -> Result<ReleaseId, DeployError> {
    let Sending { scm, package, limits, here, elsewhere, progress } = sending;
    let limit = limits.deploy;
    journal.add(Event::Waiting { what: "the upload and the deployment".to_owned(), limit });
    let started = Instant::now();
    let known = here.union(&elsewhere).cloned().collect();
    let follow = Follow { scm, limits, progress, here, known, deadline: started + limit, tracking: None };
    let follow = upload(follow, package, journal).await?;
    journal.add(Event::Uploaded { size_bytes: package.size_bytes, elapsed: started.elapsed() });
    let uploaded = Instant::now();
    let record = follow.to_the_end().await?;
    let id = ReleaseId::new(&record.id)?;
    journal.add(Event::Deployed { release: id.clone(), elapsed: uploaded.elapsed() });
    Ok(id)
}

async fn upload<'a>(
    mut follow: Follow<'a>,
    package: &Package,
    journal: &mut Journal<'_>,
) -> Result<Follow<'a>, DeployError> {
    let (mut waited_for_lock, mut renewed, mut lost) = (false, false, false);
    loop {
        let error = match send_once(&follow, package).await {
            Ok(answer) => {
                follow.tracking = answer.header("scm-deployment-id").map(str::to_owned);
                // Asked to go on behind its answer, Kudu says 202 (kudu-deploy §3). Anything else may
                // be a gateway's word, and the next record somebody else's.
                if lost || answer.status == 202 || follow.tracking.is_some() {
                    return Ok(follow);
                }
                lost = true;
                let why = format!("HTTP {} without a deployment's id", answer.status);
                follow.after_a_loss(&why, journal).await;
                continue;
            }
            Err(error) => error,
        };
        match &error {
            AzureError::Call { source: SendError::Unclear(why), .. } => {
                if lost {
                    return Err(DeployError::Lost { why: why.to_string() });
                }
                lost = true;
                follow.after_a_loss(&why.to_string(), journal).await;
            }
            // Refused is not carried out: a token that has just ended may be renewed, once.
            AzureError::Call { source: SendError::Refused(refusal), .. }
                if refusal.status == 401 && !renewed =>
            {
                renewed = true;
                follow.scm.forget();
            }
            AzureError::Call { source: SendError::Refused(refusal), .. }
                if is_put_off(refusal) && Instant::now() + LOCK_PAUSE < follow.deadline =>
            {
                if !waited_for_lock {
                    journal.warn(format!("waiting until the package is taken: {refusal}"));
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

/// Refused for now, and not carried out: another deployment holds the lock (kudu-deploy §5), or
/// there were too many requests.
fn is_put_off(refusal: &Refusal) -> bool {
    let words = refusal.message.as_deref().unwrap_or_default();
    refusal.status == 429 || refusal.status == 409 && words.contains("in progress")
}

/// Sends the package once, passing the count of bytes on as it goes.
async fn send_once(follow: &Follow<'_>, package: &Package) -> Result<crate::http::Answer, AzureError> {
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
                (follow.progress)(Progress::Uploading { sent, total: package.size_bytes });
            }
        }
    }
}

struct Follow<'a> {
    scm: &'a Scm,
    limits: &'a Limits,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    here: BTreeSet<String>,
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
        // Records move with the content: where none is left of those from before, this is another.
        let is_here = self.here.is_empty() || records.iter().any(|record| self.here.contains(&record.id));
        if !is_here && !records.is_empty() {
            return Err(DeployError::Exchanged);
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

    async fn after_a_loss(&mut self, why: &str, journal: &mut Journal<'_>) {
        journal.warn(format!(
            "the upload's answer was lost ({why}); it is sent again when what may have arrived has ended"
        ));
        self.until_what_arrived_has_ended().await;
    }

    /// Waits for what may have arrived to show and to end; whosever it is, it is not what comes next.
    async fn until_what_arrived_has_ended(&mut self) {
        let appears = (Instant::now() + RECORD_APPEARS).min(self.deadline);
        loop {
            if let Ok(records) = self.scm.deployments().await {
                let fresh: Vec<&DeploymentRecord> =
                    records.iter().filter(|record| !self.known.contains(&record.id)).collect();
                let ended = fresh.iter().all(|record| record.complete && !record.is_provisional());
                if ended && !fresh.is_empty() {
                    self.known.extend(records.into_iter().map(|record| record.id));
                    return;
                }
                if fresh.is_empty() && Instant::now() >= appears {
                    return;
                }
            }
            if Instant::now() + LONGEST_PAUSE / 2 >= self.deadline {
                return;
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
                    (self.progress)(Progress::Deploying(record.status_text.clone()));
                    seen = picture;
                    changed = Instant::now();
                }
            }
            let limit = self.limits.no_progress;
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
