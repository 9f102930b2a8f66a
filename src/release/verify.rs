//! What a swap came to: Azure is read until it says which build production serves.
//!
//! Owns the reading after a swap, and the one before going back. Must not believe what the
//! swap's own answers claimed, and must not send anything but reads and the run's own marks.

use std::time::Duration;

use super::journal::{Event, Journal};
use super::machine::{Claim, Direction, Event as Step, Serving};
use super::observe::{self, Observation, Until};
use super::reading::{note, words};
use super::{Release, State, marks};
use crate::checks::watch::WatchPhase;

/// How long Azure is read after a swap's end until it says what production serves.
const READ_BACK: Duration = Duration::from_secs(120);
/// The same for a swap that was refused, or whose fate is unclear: it has been waited for.
const REFUSED_READ_BACK: Duration = Duration::from_secs(30);
const LOOK_AT_BOTH: &str = "look at both slots: slotway status";
const LOOK_UNTIL: &str = "look at both slots until one of them tells: slotway status";

/// Reads what the swap came to.
pub(super) async fn swapped(
    release: &Release<'_>,
    state: &mut State,
    direction: Direction,
    claim: Claim,
    journal: &mut Journal<'_>,
) -> Step {
    let wanted = match direction {
        Direction::Forward => Serving::New,
        Direction::Back => Serving::Old,
    };
    let observation = read_back(release, state, wanted, claim, journal).await;
    state.mark(WatchPhase::After);
    let moves_still = claim == Claim::Failed && observation.busy;
    let serving = note(state, observation, journal);
    match (claim, serving) {
        (_, serving) if serving == wanted => {}
        (Claim::Failed, _) if moves_still => {
            let cause =
                "the swap may still happen: it is said to have failed, and an operation is under way still";
            journal.fail(cause, vec![LOOK_UNTIL.to_owned()]);
            return Step::StillMoving;
        }
        (Claim::Finished, serving) => {
            let cause = format!("the swap was reported to be done, but production serves {}", words(serving));
            journal.fail(cause, vec![LOOK_AT_BOTH.to_owned()]);
        }
        (Claim::Unclear, Serving::Old) => {
            let cause = "the swap may still happen: nobody can say whether it was carried out";
            journal.fail(cause, vec![LOOK_UNTIL.to_owned()]);
        }
        (Claim::Refused | Claim::Failed, serving) => {
            withdraw(release, state, direction, serving, journal).await;
        }
        _ => {}
    }
    Step::Observed(serving)
}

/// What certainly failed need not be waited for by the next run.
async fn withdraw(
    release: &Release<'_>,
    state: &mut State,
    direction: Direction,
    serving: Serving,
    journal: &mut Journal<'_>,
) {
    let slot = match (direction, serving) {
        (Direction::Forward, Serving::Old) => release.facts.staging.as_ref(),
        (Direction::Back, Serving::New) => Some(&release.facts.production),
        _ => return,
    };
    marks::withdrawn(release.azure, slot, &mut state.note, direction, journal).await;
}

/// Whether a swap that is said to have failed, and that Azure would take again, shows no sign of
/// going on: only then may it be asked for again.
pub(super) async fn is_over(
    release: &Release<'_>,
    state: &State,
    direction: Direction,
    journal: &mut Journal<'_>,
) -> bool {
    let (wanted, was) = match direction {
        Direction::Forward => (Serving::New, Serving::Old),
        Direction::Back => (Serving::Old, Serving::New),
    };
    let seen = read_back(release, state, wanted, Claim::Failed, journal).await;
    !seen.busy && seen.serving == was
}

/// A swap that claims to have ended well is given time to show. One that claims to have
/// failed is believed only when it has not shown for a while, and nothing is under way.
async fn read_back(
    release: &Release<'_>,
    state: &State,
    wanted: Serving,
    claim: Claim,
    journal: &mut Journal<'_>,
) -> Observation {
    let settle = release.config.limits.settle;
    let (until, limit) = match claim {
        Claim::Finished => (Until::Serves(wanted), READ_BACK),
        Claim::Failed => (Until::Serves(wanted), state.watch_failed.min(settle)),
        Claim::Refused | Claim::Unclear => (Until::Told, REFUSED_READ_BACK),
    };
    if claim == Claim::Failed {
        let what = "a sign of the swap that is said to have failed".to_owned();
        journal.add(Event::Waiting { what, limit });
    }
    let observation = observe::observe(release, &state.before, until, limit).await;
    if claim != Claim::Failed || !observation.busy || observation.serving == wanted {
        return observation;
    }
    journal.warn("the swap is said to have failed, and an operation is under way still");
    let limit = release.config.limits.swap;
    journal.add(Event::Waiting { what: "its end".to_owned(), limit });
    observe::observe(release, &state.before, Until::Told, limit).await
}

/// Before anything is undone: what does production serve now?
pub(super) async fn look_back(release: &Release<'_>, state: &mut State, journal: &mut Journal<'_>) -> Step {
    let observation = observe::observe(release, &state.before, Until::Told, READ_BACK).await;
    // The swap back must be told from the one before it.
    state.before.last_swap.clone_from(&observation.last_swap);
    let serving = note(state, observation, journal);
    if matches!(serving, Serving::Other | Serving::Unknown) {
        journal.fail(
            format!("before rolling back, production was found to serve {}", words(serving)),
            vec![LOOK_AT_BOTH.to_owned()],
        );
    }
    Step::Observed(serving)
}
