//! The last reads of a run: what production is found to serve, and what is said of it.
//!
//! Owns how an outcome is confirmed and what a run that was asked to stop still reads.
//! Must not send anything but reads and the closing of this run's own marks.

use std::time::Duration;

use super::journal::{Event, Journal};
use super::machine::{Event as Step, Outcome, Serving};
use super::observe::{self, Observation, Until};
use super::{Release, State, marks};
use crate::facts::Build;

/// How long the last read of a cancelled run may take.
const LAST_READ: Duration = Duration::from_millis(1500);
/// How long a mark that is being written when the run is asked to stop may take.
const LAST_MARK: Duration = Duration::from_millis(500);
/// How long Azure is read before an outcome is said, until it says what production serves.
const CONFIRMING: Duration = Duration::from_secs(30);

/// Said where the build that is named at the end is told by the content id alone.
pub const BY_CONTENT_ALONE: &str = "production's deployment record could not be read: which build it serves is told by Azure's content id alone, which does not show whether somebody has deployed to it since";

/// Said of an outcome that the next run does not find in the release's record.
const STOPPED_BEFORE_THE_RECORD: &str = "asked to stop before the release's record was closed: close it with slotway settle, which proves production once more";

/// The last read before an outcome is said: somebody else may have acted meanwhile.
pub(super) async fn confirm(
    release: &Release<'_>,
    state: &mut State,
    outcome: Outcome,
    journal: &mut Journal<'_>,
) -> Step {
    let wanted = if outcome == Outcome::Released { Serving::New } else { Serving::Old };
    // Where it could not be read just before the swap either, waiting for it is no use.
    let was_recorded = !matches!(state.before.old, Build::Unreadable(_));
    let until = if was_recorded { Until::Recorded } else { Until::Told };
    let observation = observe::observe(release, &state.before, until, CONFIRMING).await;
    let deploying = observation.deploying_here.clone();
    let serving = note(state, observation, journal);
    if let Some(id) = deploying.filter(|_| matches!(outcome, Outcome::Released | Outcome::RolledBack)) {
        journal.fail(
            format!("at the end the deployment {id} was found under way in production's content"),
            vec!["let one pipeline at a time deploy to this slot".to_owned()],
        );
        return Step::Observed(Serving::Other);
    }
    let refused_unread = outcome == Outcome::Refused && serving == Serving::Unknown;
    if serving != wanted && !refused_unread {
        journal.fail(
            format!("at the end production was found to serve {}", words(serving)),
            vec!["look at both slots: slotway status".to_owned()],
        );
    }
    Step::Observed(serving)
}

pub(super) async fn leave(release: &Release<'_>, state: &mut State, journal: &mut Journal<'_>) -> Step {
    journal.warn("a swap may still be under way; it cannot be called back");
    last_read(release, state, journal).await
}

/// The one quick read of a run that has been asked to stop.
pub(super) async fn last_read(release: &Release<'_>, state: &mut State, journal: &mut Journal<'_>) -> Step {
    match tokio::time::timeout(LAST_READ, observe::read_both(release, &state.before)).await {
        Ok(observation) => Step::Observed(note(state, observation, journal)),
        Err(_) => {
            journal.warn("Azure did not say in time what production serves");
            Step::Observed(Serving::Unknown)
        }
    }
}

/// Closes the marks of this run. A cancelled one leaves them open: it is for settle to finish.
pub(super) async fn mark_end(
    release: &Release<'_>,
    state: &mut State,
    outcome: Outcome,
    journal: &mut Journal<'_>,
) {
    let serving = state.last.as_ref().map(|seen| seen.serving);
    // Borrowed no longer than it takes to look: a signal that comes meanwhile would wait for it.
    let mut cancelled = *release.cancelled.borrow();
    if let (Some(serving), false) = (serving, cancelled) {
        let mut signal = release.cancelled.clone();
        let stopped = async {
            match signal.wait_for(|stop| *stop).await {
                Ok(_) => {}
                // Nobody is left who could ask for it.
                Err(_) => std::future::pending().await,
            }
            tokio::time::sleep(LAST_MARK).await;
        };
        cancelled = tokio::select! {
            biased;
            () = marks::ended(release, &mut state.note, outcome, serving, journal) => false,
            () = stopped => true,
        };
    }
    if cancelled && state.note.is_some() && matches!(outcome, Outcome::Released | Outcome::RolledBack) {
        journal.warn(STOPPED_BEFORE_THE_RECORD);
    }
}

pub(super) fn note(state: &mut State, observation: Observation, journal: &mut Journal<'_>) -> Serving {
    if let Some(trouble) = &observation.trouble {
        journal.warn(trouble);
    }
    let serving = observation.serving;
    journal.add(Event::Observed {
        serving,
        production: production_words(state, &observation),
        staging: observation.staging.to_string(),
    });
    state.last = Some(observation);
    serving
}

/// Where the record could not be read, ARM's content id may still have told which build it is.
fn production_words(state: &State, observation: &Observation) -> String {
    match (&observation.production, observation.serving) {
        (Build::Unreadable(_), Serving::New) => state.before.new.to_string(),
        (Build::Unreadable(_), Serving::Old) => state.before.old.to_string(),
        (build, _) => build.to_string(),
    }
}

/// Says it where the build that will be named is told by the content id alone.
pub(super) fn warn_of_silence(state: &State, journal: &mut Journal<'_>) {
    let by_content =
        |seen: &Observation| !seen.is_recorded() && matches!(seen.serving, Serving::New | Serving::Old);
    if state.last.as_ref().is_some_and(by_content) {
        journal.warn(BY_CONTENT_ALONE);
    }
}

pub(super) fn last_seen(release: &Release<'_>, state: &State) -> (String, String) {
    if let Some(observation) = &state.last {
        return (production_words(state, observation), observation.staging.to_string());
    }
    let staging = state.release.as_ref().map(ToString::to_string);
    let was = release.facts.staging.as_ref().map(|slot| slot.build.to_string());
    (release.facts.production.build.to_string(), staging.or(was).unwrap_or_default())
}

pub(super) fn words(serving: Serving) -> &'static str {
    match serving {
        Serving::New => "the new build",
        Serving::Old => "the old build",
        Serving::Other => "neither the old nor the new build: somebody else was at work",
        Serving::Unknown => "a build that Azure does not tell",
    }
}
