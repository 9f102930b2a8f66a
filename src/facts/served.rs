//! Which build a slot serves, read from its Kudu, or from its configuration where it runs images.
//!
//! Owns what of the deployment records counts. Must not judge: a record that cannot be read is
//! given as such.

use super::{Build, Note, scm};
use crate::azure::model::{DeploymentRecord, DeploymentStatus, Site, WebConfig};
use crate::azure::{AzureError, ResourceManager};
use crate::names::ReleaseId;

/// What a slot serves, and what is known of it.
pub(super) struct Served {
    pub(super) build: Build,
    pub(super) note: Option<Note>,
    pub(super) note_unread: Option<String>,
    pub(super) since: Option<String>,
    pub(super) deploying: Option<String>,
}

/// Which build a slot serves, and the deployment that is about to change it.
pub async fn read_build(
    azure: &ResourceManager,
    site: &Site,
    config: &WebConfig,
    instance: Option<&str>,
) -> (Build, Option<String>) {
    if let Some(containers) = config.containers() {
        return (Build::of(containers), None);
    }
    let records = match scm(azure, site.scm_host(), instance) {
        Ok(scm) => scm.deployments().await,
        Err(error) => Err(error),
    };
    match records {
        Ok(records) => (build_of(active(&records)), under_way(&records)),
        Err(error) => (Build::Unreadable(error.to_string()), None),
    }
}

/// Which build a slot serves, since when, and what was noted beside it.
pub(super) async fn read_served(
    azure: &ResourceManager,
    site: &Site,
    config: &WebConfig,
    instance: Option<&str>,
) -> Served {
    let bare = |build| Served { build, note: None, note_unread: None, since: None, deploying: None };
    if let Some(containers) = config.containers() {
        return bare(Build::of(containers));
    }
    let read = async {
        let scm = scm(azure, site.scm_host(), instance)?;
        let records = scm.deployments().await?;
        Ok::<_, AzureError>((scm, records))
    };
    let (scm, records) = match read.await {
        Ok(read) => read,
        Err(error) => return bare(Build::Unreadable(error.to_string())),
    };
    let (active, deploying) = (active(&records), under_way(&records));
    let build = build_of(active);
    let (Some(active), Some(id)) = (active, build.release_id()) else {
        return Served { deploying, ..bare(build) };
    };
    // A note is a comfort: its absence changes nothing, and why it could not be read is said
    // where it was needed.
    let (note, note_unread) = match scm.read_note(id.as_str()).await {
        Ok(None) => (None, None),
        Ok(Some(text)) => match serde_json::from_str::<Note>(&text) {
            Ok(note) => (Some(note).filter(|note| note.release_id == *id), None),
            Err(error) => (None, Some(format!("the release's record makes no sense: {error}"))),
        },
        Err(error) => (None, Some(error.to_string())),
    };
    let since = active.end_time.clone().or_else(|| active.received_time.clone());
    Served { note, note_unread, since, build, deploying }
}

fn active(records: &[DeploymentRecord]) -> Option<&DeploymentRecord> {
    records.iter().find(|record| record.active)
}

/// The newest record, if it has not ended: older ones that never end are leavings.
fn under_way(records: &[DeploymentRecord]) -> Option<String> {
    let newest = records.first().filter(|record| !record.complete)?;
    (newest.status() == DeploymentStatus::UnderWay).then(|| newest.id.clone())
}

fn build_of(active: Option<&DeploymentRecord>) -> Build {
    let Some(record) = active else { return Build::Nothing };
    match ReleaseId::new(&record.id) {
        Ok(id) => Build::Deployment(id),
        Err(error) => Build::Unreadable(error.to_string()),
    }
}
