//! What every run must leave true, whatever happened to it.
//!
//! Owns the comparison of what a run says with what the world is and was. Gives the
//! contradictions in words, so that a test can show all of them at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Request;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Client, Finished, SECRET, Simulation};
use crate::emulator::cloud::Service;
use crate::emulator::inside::Inside;
use crate::emulator::scenario::Milestone;
use crate::emulator::wire;
use crate::emulator::world::{OperationId, OperationState, Slot, SlotRef, World};
use crate::names::{SiteName, SlotName};
use crate::release::journal::{Entry, Event};
use crate::release::machine::{Event as Step, Outcome, Phase};
use crate::release::reading::BY_CONTENT_ALONE;

/// No run may take longer than this, by the simulated clock: the sum of all limits, twice.
const LONGEST: Duration = Duration::from_secs(40 * 60);
/// A reading of both slots takes a while where an SCM site restarts: so much before it was
/// noted, it was true.
const READING: Duration = Duration::from_secs(15);
/// The words for a build that no reading told.
const UNREAD: &str = "could not be read";

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
    claim(!finished.shown.contains(SECRET), "the secret is in the output".to_owned());
    claim(!finished.shown.contains("eyJ"), "a token is in the output".to_owned());
    claim(finished.code != 1, format!("bug: {:?}", finished.conclusion.cause));
    let said = finished.conclusion.production.clone().unwrap_or_default();
    let end = finished.began + finished.took;
    let served = simulation.history.between(last_reading(finished), end);
    claim(
        served.contains(&said) || may_be_unread(finished, &said) || by_content_alone(finished),
        format!("it says that production serves {said}, and since its last reading it served {served:?}"),
    );
    problems.extend(about_swaps(simulation, client, finished));
    problems.extend(about_the_cause(finished));
    problems
}

/// When the run last read production, or what it took over from before.
fn last_reading(finished: &Finished) -> Instant {
    let is_reading = |event: &Event| matches!(event, Event::Observed { .. } | Event::FactsRead { .. });
    let last = finished.entries.iter().rev().find(|entry| is_reading(&entry.event));
    let moment = finished.began + last.map(|entry| entry.elapsed).unwrap_or_default();
    moment.checked_sub(READING).unwrap_or(moment)
}

/// What was never read has no name. An outcome that rests on a reading may still be told
/// without one: Azure's content id says that production is the old one.
fn may_be_unread(finished: &Finished, said: &str) -> bool {
    said == UNREAD && finished.outcome != Outcome::Released
}

/// Whether it says that nothing but the content id told it, so that it need not know who deployed.
fn by_content_alone(finished: &Finished) -> bool {
    let says_so = |entry: &Entry| matches!(&entry.event, Event::Warned { text } if text == BY_CONTENT_ALONE);
    finished.entries.iter().any(says_so) && finished.shown.contains(BY_CONTENT_ALONE)
}

/// One swap carried out in each direction at most, and none that undoes a success.
fn about_swaps(simulation: &Simulation, client: &Client, finished: &Finished) -> Vec<String> {
    let mut problems = Vec::new();
    let log = client.door.log();
    let names = log[finished.requests.clone()].iter().filter_map(|seen| seen.began.clone());
    // One that failed has changed nothing, and may be asked for again.
    let failed = |world: &World, name: &String| {
        let found = world.operation(&OperationId(name.clone()));
        found.is_some_and(|operation| matches!(operation.state, OperationState::Failed(_)))
    };
    let shared = &simulation.inside.cloud().shared;
    let begun = names.filter(|name| !shared.read(|world| failed(world, name))).count();
    if begun > directions(finished) {
        problems.push(format!("{begun} swaps began"));
    }
    let went_back = passed(finished, |phase| matches!(phase, Phase::RollingBack(_)));
    let proven = finished
        .entries
        .iter()
        .any(|entry| matches!(&entry.event, Event::Moved { because: Step::ProductionPassed, .. }));
    if proven && went_back {
        problems.push("a production that had passed was swapped away".to_owned());
    }
    if finished.outcome == Outcome::Released && went_back {
        problems.push("a release that was taken back is called released".to_owned());
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
    // Going back is what was asked for, or what was left to be finished.
    let went_back = finished.outcome == Outcome::RolledBack && first.is_none();
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
    let switched = |world: &World| {
        world.milestones().iter().filter(|(milestone, _)| *milestone == Milestone::SwapSwitched).count()
    };
    simulation.inside.cloud().shared.read(switched)
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
