//! What every run must leave true, whatever happened to it.
//!
//! Owns the comparison of what a run says with what the world is. Gives the
//! contradictions in words, so that a test can show all of them at once.

use std::time::Duration;

use hyper::Request;

use super::door::Stage;
use super::{Client, Finished, SECRET, Simulation};
use crate::emulator::cloud::Service;
use crate::emulator::scenario::Milestone;
use crate::emulator::wire;
use crate::emulator::world::{OperationState, SlotRef, World};
use crate::names::{SiteName, SlotName};
use crate::release::journal::Event;
use crate::release::machine::{Direction, Event as Step, Outcome};

/// No run may take longer than this, by the simulated clock: the sum of all limits, twice.
const LONGEST: Duration = Duration::from_secs(40 * 60);

/// What a slot serves, as the world has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Serves {
    /// The active deployment.
    pub(super) build: String,
    /// The version that every instance answers; several where they differ.
    pub(super) versions: Vec<String>,
}

/// Everything about a finished run that contradicts the world.
pub(super) async fn problems(simulation: &Simulation, client: &Client, finished: &Finished) -> Vec<String> {
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
    let serves = serves(simulation, &SlotName::production()).await;
    match finished.outcome {
        // Nobody could tell, and it says so.
        Outcome::Stuck if said == "could not be read" => {}
        Outcome::Refused if said == "could not be read" => {}
        _ => claim(
            said == serves.build,
            format!("it says that production serves {said}, and it serves {serves:?}"),
        ),
    }
    for problem in about_swaps(simulation, client, finished) {
        claim(false, problem);
    }
    claim(
        matches!(finished.outcome, Outcome::Released | Outcome::Staged | Outcome::NothingToDo)
            || finished.conclusion.cause.is_some()
            || finished.code == 0,
        "no cause is given".to_owned(),
    );
    problems
}

/// One swap in each direction at most, and none that undoes a success.
fn about_swaps(_simulation: &Simulation, client: &Client, finished: &Finished) -> Vec<String> {
    let mut problems = Vec::new();
    let sent = |direction: Direction| {
        let wanted =
            |event: &&Event| matches!(event, Event::SwapSent { direction: way } if *way == direction);
        finished.entries.iter().map(|entry| &entry.event).filter(wanted).count()
    };
    let (forward, back) = (sent(Direction::Forward), sent(Direction::Back));
    if forward > 1 || back > 1 {
        problems.push(format!("{forward} swaps and {back} swaps back were sent"));
    }
    let posts = client.door.log().iter().filter(|seen| seen.kind == "arm POST staging slotsswap").count();
    // One that certainly never left is sent again.
    let begun = client.door.log().iter().filter(|seen| seen.began.is_some()).count();
    if begun > forward + back {
        problems.push(format!("{begun} swaps began, of {posts} that were sent"));
    }
    let proven = finished
        .entries
        .iter()
        .any(|entry| matches!(&entry.event, Event::Moved { because: Step::ProductionPassed, .. }));
    if proven && back > 0 {
        problems.push("a production that had passed was swapped away".to_owned());
    }
    if finished.outcome == Outcome::Released && back > 0 {
        problems.push("a release that was taken back is called released".to_owned());
    }
    if client.door.log().iter().any(|seen| seen.stage == Stage::SwappedBack) && back == 0 {
        problems.push("a second swap was sent that the journal does not know".to_owned());
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

/// Whether a swap is under way.
pub(super) fn is_swapping(simulation: &Simulation) -> bool {
    let running =
        |world: &World| world.operations().iter().any(|operation| operation.state == OperationState::Running);
    simulation.inside.cloud().shared.read(running)
}

/// What a slot serves, by its record and by asking each of its instances.
pub(super) async fn serves(simulation: &Simulation, slot: &SlotName) -> Serves {
    let site = SiteName::new("shop").expect("four letters are an app's name");
    let place = SlotRef::new(site, slot.clone());
    let shared = &simulation.inside.cloud().shared;
    let (build, workers) = shared.read(|world| {
        let slot = world.slot(&place).expect("the slot is there");
        let build = slot.side.active_deployment().map(|record| record.id.clone()).unwrap_or_default();
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
        let (status, body) = crate::emulator::cloud::body_of(answer.expect("no fault is asked for")).await;
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
