//! The marks that a release leaves beside its build: “a swap is about to be sent”, and
//! how it ended. Whoever comes after a killed run learns from them what it left.
//!
//! Owns what is written when. Must not decide anything: a mark that cannot be written
//! is a warning, because it must not keep anybody from releasing or going back.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::Release;
use super::journal::Journal;
use super::machine::{Direction, Outcome, Serving};
use super::observe::Before;
use crate::azure::ResourceManager;
use crate::clock;
use crate::facts::{self, Build, End, Mark, Note, SlotFacts};
use crate::names::ReleaseId;

/// How long a mark may hold a swap up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Marks that the swap is about to be sent. The note lies where the new build lies:
/// in staging before the swap, in production before the swap back.
pub(super) async fn sending(
    release: &Release<'_>,
    note: &mut Option<Note>,
    before: &Before,
    direction: Direction,
    journal: &mut Journal<'_>,
) {
    // Beside an image there is no place for a note.
    let Build::Deployment(id) = &before.new else { return };
    let note = note.get_or_insert_with(|| bare(id));
    let mark = Mark {
        sent: now(),
        by: release.run.clone(),
        last_swap: before.last_swap.as_ref().map(|status| status.timestamp_utc.clone()),
        end: None,
    };
    let slot = match direction {
        Direction::Forward => {
            // An approval may have taken days: what counts is what production serves now.
            note.previous = before.old.release_id().map(ToString::to_string).or(note.previous.take());
            note.swap = Some(mark);
            note.rollback = None;
            release.facts.staging.as_ref()
        }
        Direction::Back => {
            note.rollback = Some(mark);
            Some(&release.facts.production)
        }
    };
    if let Err(reason) = write(release.azure, slot, note).await {
        journal.warn(format!("{reason}; should this run be killed now, settle will not know of its swap"));
    }
}

/// Takes the mark of a swap back, in whichever direction, that did not happen and will not: it
/// failed for certain, or its time is over. The note lies in this slot.
pub async fn withdrawn(
    azure: &ResourceManager,
    slot: Option<&SlotFacts>,
    note: &mut Option<Note>,
    direction: Direction,
    journal: &mut Journal<'_>,
) {
    let Some(note) = note else { return };
    match direction {
        Direction::Forward => note.swap = None,
        Direction::Back => note.rollback = None,
    }
    if let Err(reason) = write(azure, slot, note).await {
        journal.warn(format!("{reason}; the next run will wait for a swap that does not come"));
    }
}

/// Marks how the run ended, where that closes what it began.
pub(super) async fn ended(
    release: &Release<'_>,
    note: &mut Option<Note>,
    outcome: Outcome,
    serving: Serving,
    journal: &mut Journal<'_>,
) {
    let Some(note) = note else { return };
    let (mark, end, slot) = match (outcome, serving) {
        (Outcome::Released, Serving::New) => (&mut note.swap, End::Proven, Some(&release.facts.production)),
        // The build that was taken back lies in the other slot again.
        (Outcome::RolledBack, Serving::Old) => {
            (&mut note.rollback, End::Proven, release.facts.staging.as_ref())
        }
        (Outcome::Stuck, Serving::New) => (&mut note.swap, End::Stuck, Some(&release.facts.production)),
        _ => return,
    };
    let Some(mark) = mark else { return };
    mark.end = Some(end);
    if let Err(reason) = write(release.azure, slot, note).await {
        journal.warn(format!("{reason}; a later settle will prove production once more"));
    }
}

/// The note of a build that somebody else deployed.
fn bare(id: &ReleaseId) -> Note {
    Note {
        slotway: 1,
        release_id: id.clone(),
        sha256: None,
        size_bytes: None,
        previous: None,
        source: None,
        written: now(),
        swap: None,
        rollback: None,
    }
}

async fn write(azure: &ResourceManager, slot: Option<&SlotFacts>, note: &Note) -> Result<(), String> {
    // No slot is left where somebody deleted it: then there is nothing to mark either.
    let Some(slot) = slot else { return Ok(()) };
    let instance = slot.instances.first().map(String::as_str);
    let scm = facts::scm(azure, slot.scm_host.as_deref(), instance).map_err(|error| error.to_string())?;
    let text = serde_json::to_string(note).map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, scm.write_note(note.release_id.as_str(), &text)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err(format!("could not write the release's record within {} s", PATIENCE.as_secs())),
    }
}

/// The moment, as it stands in notes.
pub(super) fn now() -> String {
    clock::now().format(&Rfc3339).unwrap_or_default()
}
