//! The heart: carries a plan out, phase by phase, and says how it ended.
//!
//! Owns the loop around the table in [`machine`] and the order of calls in every
//! phase. Speaks to Azure and to the app, never to the host that runs Slotway:
//! what happens goes into the [`journal`], what merely moves to a progress callback.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch as signal;

pub mod by_profile;
pub mod check;
mod configure;
pub mod deploy;
pub mod earlier;
pub mod journal;
pub mod last_look;
pub mod machine;
pub mod marks;
pub mod observe;
pub mod reading;
pub mod swap;
mod turn;
pub mod upload;
mod verify;

use crate::azure::{ResourceManager, SitePath};
use crate::checks::file::ConfigFile;
use crate::checks::ready::ReadyProgress;
use crate::checks::run::CheckProgress;
use crate::checks::watch::{WatchHandle, WatchPhase, start_watch};
use crate::facts::{Build, Facts, Note, SlotFacts};
use crate::names::{ReleaseId, SlotName};
use crate::plan::{Plan, Start};
use crate::source::Source;
use journal::{Event, Journal};
use machine::{Claim, Direction, Event as Step, IllegalEvent, MOST_TURNS, Outcome, Phase};
use observe::{Before, Observation};
use reading::{confirm, last_read, last_seen, leave, mark_end, warn_of_silence};

/// How long the mark of a swap may take before both slots are looked at once more.
const MARK_HURRY: Duration = Duration::from_secs(3);
/// How long the watch may wait for answers that are still out; it limits each request itself.
const WATCH_ANSWERS: Duration = Duration::from_secs(90);
/// The same for a cancelled run.
const WATCH_ENDS: Duration = Duration::from_millis(300);

/// The package, ready to be sent.
#[derive(Debug, Clone)]
pub struct Package {
    /// The file.
    pub path: PathBuf,
    /// OneDeploy's `type`.
    pub package_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its digest, in hex.
    pub sha256: String,
    /// Where it goes, below the app's root.
    pub target_path: Option<String>,
    /// Whether files that are not in it are removed.
    pub clean: Option<bool>,
    /// Whether the app is restarted.
    pub restart: Option<bool>,
    /// The commit that it was built of, where the host said so.
    pub source: Option<Source>,
}

/// What a release brings to staging.
#[derive(Debug, Clone)]
pub enum Deliverable {
    /// A package, which Kudu takes.
    Package(Package),
    /// An image, which the slot pulls from its registry.
    Image(ReleaseId),
}

/// What moves while something is waited for; not kept.
#[derive(Debug, Clone)]
pub enum Progress {
    /// Bytes handed to the connection.
    Uploading {
        /// So far.
        sent: u64,
        /// In all.
        total: u64,
    },
    /// Kudu's words about the deployment; foreign text.
    Deploying(String),
    /// Instances that are waited for.
    Ready(ReadyProgress),
    /// Checks that run.
    Checking(CheckProgress),
}

/// Everything a release needs, read and decided before it begins.
pub struct Release<'a> {
    /// The resource manager, signed in.
    pub azure: &'a ResourceManager,
    /// The app.
    pub path: &'a SitePath,
    /// The slot to go through.
    pub staging: SlotName,
    /// Checks, watch and limits.
    pub config: &'a ConfigFile,
    /// What was true at the beginning.
    pub facts: &'a Facts,
    /// What will be done.
    pub plan: &'a Plan,
    /// What is deployed, where anything is.
    pub deliverable: Option<&'a Deliverable>,
    /// The start command that staging is to have; left as it is where not given.
    pub startup_command: Option<&'a str>,
    /// Whether a slot that has the image already is restarted for it.
    pub restarts: bool,
    /// Which pipeline run this is, where one runs it.
    pub run: Option<String>,
    /// The environment of `run:` checks.
    pub environment: Vec<(String, String)>,
    /// Becomes true when the run is asked to stop.
    pub cancelled: signal::Receiver<bool>,
    /// Where progress goes.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

/// What the release learns on its way.
struct State {
    before: Before,
    release: Option<ReleaseId>,
    note: Option<Note>,
    watch: Option<WatchHandle>,
    last: Option<Observation>,
    /// How long a swap that is said to have failed is watched.
    watch_failed: Duration,
    /// Why a swap was put off, last.
    put_off: String,
    /// Until when it may be asked for again.
    turn_ends: Option<tokio::time::Instant>,
}

impl State {
    fn new(release: &Release<'_>) -> Self {
        let production = &release.facts.production;
        let staging = release.facts.staging.as_ref();
        let old = release.plan.old.clone();
        // A plan that begins in production finds the new build there already, unless a swap
        // back that nobody saw the end of has taken it away again.
        let lies_in_staging = release.plan.release.is_some()
            && staging.and_then(|slot| slot.build.release_id()) == release.plan.release.as_ref();
        let swapped = match release.plan.start {
            Start::Deploy | Start::CheckStaging => false,
            Start::CheckProduction => true,
            Start::RollBack => !lies_in_staging,
        };
        let (new_side, old_side) =
            if swapped { (Some(production), staging) } else { (staging, Some(production)) };
        let unknown = || Build::Unreadable("there is no such slot".to_owned());
        let new = new_side.map_or_else(unknown, |slot| slot.build.clone());
        let note = new_side.and_then(|slot| slot.note.clone());
        let content = |slot: Option<&SlotFacts>| slot.and_then(|slot| slot.content_id.clone());
        // Until the last look anybody may deploy to either side without its id telling.
        let new_content = content(new_side).filter(|_| swapped);
        // The content beside the new build is the old one only if the build says so.
        let is_old = swapped && old_side.is_some_and(|slot| slot.build.is(&old));
        let old_content = content(old_side).filter(|_| is_old);
        let before = Before { old, new, old_content, new_content, last_swap: production.last_swap.clone() };
        Self {
            before,
            release: release.plan.release.clone(),
            note,
            watch: None,
            last: None,
            watch_failed: Duration::ZERO,
            put_off: String::new(),
            turn_ends: None,
        }
    }

    fn mark(&self, phase: WatchPhase) {
        if let Some(watch) = &self.watch {
            watch.mark(phase);
        }
    }
}

/// Carries the plan out.
///
/// # Errors
///
/// [`IllegalEvent`] for a bug in the loop: the table has no row for what it did.
pub async fn run(release: &Release<'_>, journal: &mut Journal<'_>) -> Result<Outcome, IllegalEvent> {
    let mut state = State::new(release);
    if release.plan.swaps && release.config.watch.rate > 0 {
        let wire = release.azure.http().wire();
        state.watch = Some(start_watch(wire, &release.facts.production.url, &release.config.watch));
    }
    let mut phase = Phase::Planned;
    let mut event = Step::Began(release.plan.start);
    let outcome = loop {
        phase = machine::next(phase, event)?;
        journal.add(Event::Moved { because: event, phase });
        if let Some(outcome) = phase.outcome() {
            break outcome;
        }
        event = step(release, &mut state, phase, journal).await;
    };
    mark_end(release, &mut state, outcome, journal).await;
    if let Some(watch) = state.watch.take() {
        // A cancelled run has no time for answers that are still out.
        let limit = if *release.cancelled.borrow() { WATCH_ENDS } else { WATCH_ANSWERS };
        if let Ok(report) = tokio::time::timeout(limit, watch.stop()).await {
            journal.add(Event::Watched(Box::new(report)));
        }
    }
    warn_of_silence(&state, journal);
    let (production, staging) = last_seen(release, &state);
    journal.add(Event::Ended { outcome, production, staging });
    Ok(outcome)
}

/// One phase, or its interruption.
async fn step(release: &Release<'_>, state: &mut State, phase: Phase, journal: &mut Journal<'_>) -> Step {
    if phase == Phase::Leaving {
        return leave(release, state, journal).await;
    }
    // The read that ends a cancelled run must not be cancelled by the same signal.
    if matches!(phase, Phase::Confirming(_)) && *release.cancelled.borrow() {
        return last_read(release, state, journal).await;
    }
    let mut cancelled = release.cancelled.clone();
    tokio::select! {
        biased;
        _ = cancelled.wait_for(|stop| *stop) => {
            journal.fail(
                format!("cancelled in the phase \"{}\"", phase.words()),
                vec!["finish what is left with: slotway settle".to_owned()],
            );
            Step::Cancelled
        }
        event = work(release, state, phase, journal) => event,
    }
}

async fn work(release: &Release<'_>, state: &mut State, phase: Phase, journal: &mut Journal<'_>) -> Step {
    match phase {
        Phase::Deploying => deploy(release, state, journal).await,
        Phase::CheckingStaging => check_staging(release, state, journal).await,
        Phase::Swapping(asked) => swap(release, state, Direction::Forward, asked, journal).await,
        Phase::RollingBack(asked) => swap(release, state, Direction::Back, asked, journal).await,
        Phase::AwaitingTurn(direction, asked) => {
            if turn::came(release, state, direction, asked, journal).await {
                Step::TurnCame
            } else {
                Step::TurnLost
            }
        }
        Phase::Observing(direction, claim) => {
            verify::swapped(release, state, direction, claim, journal).await
        }
        Phase::Confirming(outcome) => confirm(release, state, outcome, journal).await,
        Phase::LookingBack => verify::look_back(release, state, journal).await,
        Phase::CheckingProduction => {
            if check::production(release, state.release.as_ref(), journal).await {
                Step::ProductionPassed
            } else {
                Step::ProductionFailed
            }
        }
        Phase::LookingAtOtherSlot => {
            if check::other_slot(release, &state.before, journal).await {
                Step::OtherSlotGood
            } else {
                Step::OtherSlotBad
            }
        }
        Phase::CheckingRollback => {
            if check::rolled_back(release, journal).await {
                Step::RollbackPassed
            } else {
                Step::RollbackFailed
            }
        }
        // The loop never works in these: the table would refuse whatever followed.
        Phase::Planned | Phase::Leaving | Phase::Ended(_) => Step::Cancelled,
    }
}

async fn deploy(release: &Release<'_>, state: &mut State, journal: &mut Journal<'_>) -> Step {
    match deploy::deploy(release, journal).await {
        Ok(deploy::Staged { build, note }) => {
            state.release = build.release_id().cloned();
            state.before.new = build;
            state.note = note;
            Step::Deployed
        }
        Err(error) => {
            journal.fail(&error, error.help());
            Step::DeployFailed
        }
    }
}

/// Proves staging, and last of all reads both slots again: an approval may have
/// taken hours, another pipeline a second.
async fn check_staging(release: &Release<'_>, state: &mut State, journal: &mut Journal<'_>) -> Step {
    if !check::staging(release, state.release.as_ref(), journal).await {
        return Step::StagingFailed;
    }
    match last_look::last_look(release, &state.before).await {
        Ok(before) => state.before = before,
        Err(last_look::Forbidden::Busy(cause)) if release.plan.swaps => {
            journal.warn(format!("waiting for the swap's turn: {cause}"));
            state.put_off = cause;
            return Step::SwapPutOff;
        }
        Err(cause) => {
            journal.fail(cause, vec!["run again".to_owned()]);
            return Step::StagingFailed;
        }
    }
    if release.plan.swaps { Step::StagingPassed } else { Step::StagingPassedAndStop }
}

async fn swap(
    release: &Release<'_>,
    state: &mut State,
    direction: Direction,
    asked: u8,
    journal: &mut Journal<'_>,
) -> Step {
    state.mark(WatchPhase::During);
    let began = tokio::time::Instant::now();
    marks::sending(release, &mut state.note, &state.before, direction, journal).await;
    // What was looked at before a mark that took its time may have moved meanwhile.
    if began.elapsed() > MARK_HURRY {
        match turn::look(release, &state.before, direction).await {
            Ok(before) => state.before = before,
            Err(cause) if asked < MOST_TURNS => {
                journal.warn(format!("waiting for the swap's turn: {cause}"));
                state.put_off = cause.to_string();
                return Step::SwapPutOff;
            }
            Err(cause) => {
                journal.fail(cause, vec!["run again".to_owned()]);
                return Step::SwapEnded(Claim::Refused);
            }
        }
    }
    let limit = release.config.limits.swap;
    journal.add(Event::Waiting { what: "the swap's end".to_owned(), limit });
    let ending = swap::swap(release, direction, &state.before, limit, journal).await;
    state.watch_failed = ending.watch;
    let mut again = asked < ending.turns.min(MOST_TURNS);
    if again && ending.claim == Claim::Failed {
        again = verify::is_over(release, state, direction, journal).await;
    }
    match ending.trouble {
        // It is the cause of nothing yet.
        Some((cause, _)) if again => {
            journal.warn(format!("waiting for the swap's turn: {cause}"));
            state.put_off = cause;
        }
        Some((cause, help)) => journal.fail(cause, help),
        None => {}
    }
    if again {
        return Step::SwapPutOff;
    }
    state.turn_ends = None;
    Step::SwapEnded(ending.claim)
}
