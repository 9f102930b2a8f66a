//! What every run must leave true, whatever happened to it.
//!
//! Owns the comparison of what a run says with what the world is and was. Gives the
//! contradictions in words, so that a test can show all of them at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Request;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{BEGINNING, Client, Finished, SECRET, Simulation};
use crate::emulator::cloud::Service;
use crate::emulator::inside::Inside;
use crate::emulator::scenario::Milestone;
use crate::emulator::wire;
use crate::emulator::world::{Operation, OperationState, Slot, SlotRef, Timestamp, World};
use crate::names::{SiteName, SlotName};
use crate::plan::Verb;
use crate::release::journal::{Conclusion, Entry, Event};
use crate::release::machine::{Event as Step, Outcome, Phase};
use crate::release::reading::BY_CONTENT_ALONE;

/// No run may take longer than this, by the simulated clock: the sum of all limits, twice.
const LONGEST: Duration = Duration::from_secs(40 * 60);
/// A reading of both slots takes a while where an SCM site restarts: so much before it was
/// noted, it was true.
const READING: Duration = Duration::from_secs(15);
/// The words for a build that no reading told.
pub(super) const UNREAD: &str = "could not be read";

/// What production has served, by the ids of its builds, since the world began.
pub(super) struct History {
    builds: Arc<Mutex<Vec<(Instant, String)>>>,
    task: JoinHandle<()>,
}

impl History {
    /// Keeps it from now on.
    pub(super) fn keep(inside: &Inside) -> Self {
        let shared = inside.cloud().shared.clone();
        let builds: Arc<Mutex<Vec<(Instant, String)>>> = Arc::default();
        let list = Arc::clone(&builds);
        let task = tokio::spawn(async move {
            let mut changes = shared.changes();
            loop {
                changes.borrow_and_update();
                let now = shared.read(production_build);
                {
                    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
                    if list.last().is_none_or(|(_, last)| *last != now) {
                        list.push((Instant::now(), now));
                    }
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        Self { builds, task }
    }

    /// Everything that production has served between these moments.
    pub(super) fn between(&self, from: Instant, until: Instant) -> Vec<String> {
        let builds = self.builds.lock().unwrap_or_else(PoisonError::into_inner);
        let before = builds.iter().rposition(|(since, _)| *since <= from).unwrap_or_default();
        let then = builds[before..].iter().filter(|(since, _)| *since <= until);
        then.map(|(_, build)| build.clone()).collect()
    }

    pub(super) fn end(&self) {
        self.task.abort();
    }
}

fn production_build(world: &World) -> String {
    let production = SlotName::production();
    let slot = world.sites().find_map(|site| site.slots.get(&production));
    slot.map(build).unwrap_or_default()
}

/// A slot's build: its container's image, or its active deployment.
fn build(slot: &Slot) -> String {
    let deployment = || slot.side.active_deployment().map(|record| record.id.clone());
    slot.web_config.container().map(str::to_owned).or_else(deployment).unwrap_or_default()
}

/// What a slot serves, as the world has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Serves {
    /// The active deployment.
    pub(super) build: String,
    /// The version that every instance answers; several where they differ.
    pub(super) versions: Vec<String>,
}

/// Everything about a finished run that contradicts the world.
pub(super) fn problems(simulation: &Simulation, client: &Client, finished: &Finished) -> Vec<String> {
    let mut problems = Vec::new();
    let mut claim = |holds: bool, words: String| {
        if !holds {
            problems.push(words);
        }
    };
    claim(finished.took <= LONGEST, format!("it took {:?}", finished.took));
    claim(finished.code != 1, format!("bug: {:?}", finished.conclusion.cause));
    problems.extend(secrets(&finished.shown));
    problems.extend(about_production(simulation, client, finished));
    problems.extend(about_the_outcome(finished));
    problems.extend(about_swaps(simulation, client, finished));
    problems.extend(about_the_cause(finished));
    problems
}

/// The secrets that a run has shown, whether or not it came to its end.
pub(super) fn secrets(shown: &str) -> Vec<String> {
    let secrets = [("the secret", SECRET), ("a token", "eyJ")];
    // What a host is told to mask it does not show.
    let lines = || shown.lines().filter(|line| !line.starts_with("::add-mask::"));
    let shown = secrets.into_iter().filter(|(_, secret)| lines().any(|line| line.contains(secret)));
    shown.map(|(name, _)| format!("{name} is in the output")).collect()
}

/// What it says of production is so now. It may have been so at the last reading only, if
/// somebody else has changed it since; this run's own swap may not, unless it said that it may.
fn about_production(simulation: &Simulation, client: &Client, finished: &Finished) -> Vec<String> {
    let said = finished.conclusion.production.clone().unwrap_or_default();
    let (end, last) = (finished.began + finished.took, last_reading(finished));
    let now = simulation.history.between(end, end).join(", ");
    if said == now || may_be_unread(finished, &said) || by_content_alone(finished) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let own = own_ids(client, finished);
    let by_itself = own_switches(simulation, &own).iter().any(|at| (last..=end).contains(at));
    if by_itself && finished.outcome != Outcome::Stuck {
        problems.push(format!("it says that production serves {said}, and its own swap made it {now}"));
    }
    let served = simulation.history.between(last.checked_sub(READING).unwrap_or(last), end);
    if !served.contains(&said) {
        problems.push(format!(
            "it says that production serves {said}, and since its last reading it served {served:?}"
        ));
    }
    problems
}

/// What the outcome's word promises of what is said to be served.
fn about_the_outcome(finished: &Finished) -> Option<String> {
    let Conclusion { production, release, before, .. } = &finished.conclusion;
    let said = production.clone().unwrap_or_default();
    let release = release.as_ref().map(ToString::to_string);
    let before = before.as_ref().map(|slot| slot.build.clone());
    let was_unread = before.as_deref() == Some(UNREAD) || before.is_none();
    let taken_back = matches!(finished.verb, Verb::Rollback | Verb::Settle);
    let holds = match finished.outcome {
        Outcome::Released => release.as_deref() == Some(said.as_str()),
        Outcome::RolledBack if taken_back => release.as_deref() != Some(said.as_str()),
        Outcome::RolledBack => before.as_deref() == Some(said.as_str()) || was_unread,
        Outcome::Refused | Outcome::Staged => {
            before.as_deref() == Some(said.as_str()) || said == UNREAD || was_unread
        }
        Outcome::NothingToDo | Outcome::Stuck => true,
    };
    let (verb, outcome) = (finished.verb, finished.outcome);
    (!holds).then(|| {
        format!("{verb:?} is {outcome:?} of {release:?}, before was {before:?}, and production serves {said}")
    })
}

/// When the run last read production, or what it took over from before.
fn last_reading(finished: &Finished) -> Instant {
    let is_reading = |event: &Event| matches!(event, Event::Observed { .. } | Event::FactsRead { .. });
    let last = finished.entries.iter().rev().find(|entry| is_reading(&entry.event));
    finished.began + last.map(|entry| entry.elapsed).unwrap_or_default()
}

/// The ids that the run gave to its requests for a swap.
fn own_ids(client: &Client, finished: &Finished) -> Vec<String> {
    let log = client.door.log();
    log[finished.requests.clone()].iter().filter_map(|seen| seen.swap_id.clone()).collect()
}

/// The swaps that these requests began, whether or not their answers arrived.
fn own_swaps<'a>(world: &'a World, ids: &'a [String]) -> impl Iterator<Item = &'a Operation> {
    let is_own = |operation: &&Operation| operation.asked_by.as_ref().is_some_and(|id| ids.contains(id));
    world.operations().iter().filter(is_own)
}

/// When these swaps exchanged the slots, those that did.
fn own_switches(simulation: &Simulation, ids: &[String]) -> Vec<Instant> {
    let shared = &simulation.inside.cloud().shared;
    let times: Vec<_> = shared.read(|world| own_swaps(world, ids).filter_map(Operation::switched).collect());
    times.into_iter().map(|time| moment(simulation, time)).collect()
}

/// The world's clock and this one have run together since the world began.
fn moment(simulation: &Simulation, time: Timestamp) -> Instant {
    simulation.began + Duration::try_from(time - *BEGINNING).unwrap_or_default()
}

/// How many swaps of a client were carried out to the switch, by the world's own books.
pub(super) fn switches_by(simulation: &Simulation, client: &Client) -> usize {
    let ids: Vec<String> = client.door.log().into_iter().filter_map(|seen| seen.swap_id).collect();
    own_switches(simulation, &ids).len()
}

/// What was never read has no name. Going back may rest on Azure's content id alone, where the
/// old build's name could not be read before either.
fn may_be_unread(finished: &Finished, said: &str) -> bool {
    let before = finished.conclusion.before.as_ref().map(|slot| slot.build.as_str());
    let may_be = match finished.outcome {
        Outcome::Released => false,
        Outcome::RolledBack => before == Some(UNREAD),
        Outcome::Staged | Outcome::NothingToDo | Outcome::Refused | Outcome::Stuck => true,
    };
    said == UNREAD && may_be
}

/// Whether it says that nothing but the content id told it, so that it need not know who deployed.
fn by_content_alone(finished: &Finished) -> bool {
    let says_so = |entry: &Entry| matches!(&entry.event, Event::Warned { text } if text == BY_CONTENT_ALONE);
    finished.entries.iter().any(says_so) && finished.shown.contains(BY_CONTENT_ALONE)
}

/// One swap carried out in each direction at most, and none that undoes a success.
fn about_swaps(simulation: &Simulation, client: &Client, finished: &Finished) -> Vec<String> {
    let mut problems = Vec::new();
    let own = own_ids(client, finished);
    let shared = &simulation.inside.cloud().shared;
    // One that failed has changed nothing, and may be asked for again.
    let failed = |operation: &&Operation| matches!(operation.state, OperationState::Failed(_));
    let begun: Vec<Instant> = shared.read(|world| {
        let begun = own_swaps(world, &own).filter(|one| !failed(one));
        begun.map(|operation| moment(simulation, operation.created)).collect()
    });
    let back = finished.entries.iter().find_map(|entry| match &entry.event {
        Event::Moved { phase: Phase::RollingBack(_), .. } => Some(finished.began + entry.elapsed),
        _ => None,
    });
    let forward = begun.iter().filter(|at| back.is_none_or(|back| **at < back)).count();
    let (both, backward) = (directions(finished), begun.len() - forward);
    if forward > 1 || backward > 1 || begun.len() > both {
        problems.push(format!("{forward} swaps began forward and {backward} back, in {both} directions"));
    }
    let proven = finished
        .entries
        .iter()
        .find(|entry| matches!(&entry.event, Event::Moved { because: Step::ProductionPassed, .. }));
    if let Some(proven) = proven {
        let proven = finished.began + proven.elapsed;
        if own_switches(simulation, &own).iter().any(|at| *at >= proven) {
            problems.push("a production that had passed was swapped away".to_owned());
        }
    }
    problems
}

/// In how many directions a run swapped: forward, back, or neither.
pub(super) fn directions(finished: &Finished) -> usize {
    let forward = passed(finished, |phase| matches!(phase, Phase::Swapping(_)));
    let back = passed(finished, |phase| matches!(phase, Phase::RollingBack(_)));
    usize::from(forward) + usize::from(back)
}

fn passed(finished: &Finished, is: impl Fn(Phase) -> bool) -> bool {
    finished.entries.iter().any(|entry| matches!(&entry.event, Event::Moved { phase, .. } if is(*phase)))
}

/// The first failure is the cause, and what is shown tells it.
fn about_the_cause(finished: &Finished) -> Vec<String> {
    let mut problems = Vec::new();
    let first = finished.entries.iter().find_map(|entry| match &entry.event {
        Event::Failed { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    let told = finished.conclusion.cause.as_ref().map(|(cause, _)| cause.clone());
    let is_good = matches!(finished.outcome, Outcome::Released | Outcome::Staged | Outcome::NothingToDo);
    if !is_good && told != first {
        problems.push(format!("the first cause was {first:?}, and {told:?} is told"));
    }
    // Going back is what was asked for.
    let went_back = finished.outcome == Outcome::RolledBack && finished.verb == Verb::Rollback;
    if !is_good && !went_back && told.is_none() {
        problems.push("no cause is given".to_owned());
    }
    if let Some(cause) = told.filter(|_| !is_good)
        && !finished.shown.contains(cause.lines().next().unwrap_or_default())
    {
        problems.push(format!("the cause is not shown: {cause}"));
    }
    problems
}

/// What is left in the world that nobody asked for.
pub(super) fn leftovers(simulation: &Simulation) -> Vec<String> {
    simulation.inside.cloud().shared.read(|world| {
        let mut left = Vec::new();
        for slot in world.sites().flat_map(|site| site.slots.values()) {
            if slot.target_swap_slot.is_some() || slot.prepared.is_some() {
                left.push(format!("{} is prepared for a swap", slot.name));
            }
        }
        left
    })
}

/// How many swaps the world has carried out to the switch.
pub(super) fn switches(simulation: &Simulation) -> usize {
    simulation.inside.cloud().shared.read(switches_of)
}

/// The same, of a world.
pub(super) fn switches_of(world: &World) -> usize {
    world.milestones().iter().filter(|(milestone, _)| *milestone == Milestone::SwapSwitched).count()
}

/// What a slot serves, by its record and by asking each of its instances.
pub(super) async fn serves(simulation: &Simulation, slot: &SlotName) -> Serves {
    let site = SiteName::new("shop").expect("four letters are an app's name");
    let place = SlotRef::new(site, slot.clone());
    let shared = &simulation.inside.cloud().shared;
    let (build, workers) = shared.read(|world| {
        let slot = world.slot(&place).expect("the slot is there");
        let build = build(slot);
        let workers: Vec<String> =
            slot.side.instances.iter().map(|instance| instance.worker.0.clone()).collect();
        (build, workers)
    });
    let mut versions = Vec::new();
    for worker in workers {
        let request = Request::builder().uri("/").header("cookie", format!("ARRAffinity={worker}"));
        let request = request.body(wire::bytes("")).expect("a request");
        let service = Service::App(place.clone());
        let answer = simulation.inside.answer((service, wire::Path::new("/")), request, None).await;
        let answer = answer.expect("no fault is asked for");
        let status = answer.status();
        let body = wire::read(answer.into_body(), wire::BODY_LIMIT).await.expect("a whole body");
        let version = match status.as_u16() {
            200 => String::from_utf8_lossy(&body).trim().to_owned(),
            status => format!("HTTP {status}"),
        };
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    Serves { build, versions }
}
