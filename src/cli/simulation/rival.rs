//! Two pipelines release the same app, one a little later than the other: at every offset from
//! the same moment to after the other's end, without trouble and with one.
//!
//! Owns what may come of two: each says the truth, and production serves one of the two builds,
//! whole and proven, or both went in one after the other.

use std::time::Duration;

use super::door::Target;
use super::fault::{self, Fault};
use super::left::Left;
use super::matrix::{AFTERWARDS, Wrong, is_full, on_all_processors};
use super::{Finished, Order, Simulation, scenario, simulate, truth};
use crate::names::SlotName;
use crate::release::machine::Outcome;

const SEED: u64 = 5;
/// From one offset to the next.
const STEP: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Cell {
    offset: Duration,
    /// Whose package is which.
    versions: [&'static str; 2],
    /// What one request of the first one meets.
    fault: Option<(usize, Fault)>,
}

type Report = (Vec<String>, String);

/// How long a release takes that is alone.
fn alone() -> (Duration, usize) {
    simulate(async {
        let simulation = Simulation::start(scenario(SEED)).await;
        let client = simulation.client(0);
        let finished = simulation.run(&client, &Order::release("2")).await.finished();
        assert_eq!(finished.outcome, Outcome::Released, "{}", finished.shown);
        (finished.took, finished.requests.end)
    })
}

async fn run(cell: &Cell) -> Report {
    let simulation = Simulation::start(scenario(SEED)).await;
    let old = truth::serves(&simulation, &SlotName::production()).await;
    let clients = [simulation.client(0), simulation.client(2)];
    if let Some((number, fault)) = &cell.fault {
        clients[0].door.plan(Target::Number(*number), fault.trouble.clone());
    }
    let [first, second] = cell.versions.map(Order::release);
    let later = async {
        tokio::time::sleep(cell.offset).await;
        simulation.run(&clients[1], &second).await
    };
    let (one, other) = tokio::join!(simulation.run(&clients[0], &first), later);
    let both = [one.finished(), other.finished()];
    let mut problems = Vec::new();
    let mut shown = String::new();
    for (client, finished) in clients.iter().zip(&both) {
        problems.extend(truth::problems(&simulation, client, finished));
        shown.push_str(&format!("\n---- {:?}\n{}", finished.outcome, finished.shown));
    }
    problems.extend(about_both(cell, &both));
    tokio::time::sleep(AFTERWARDS).await;
    let left = Left::read(&simulation);
    shown.push_str(&format!("\n---- {left:?}"));
    problems.extend(about_the_end(cell, &simulation, &both, &old).await);
    problems.extend(truth::leftovers(&simulation));
    drop(clients);
    simulation.end().await;
    (problems, shown)
}

/// One is released, or both, each on top of another build; never does each wait for a person.
fn about_both(cell: &Cell, both: &[Finished; 2]) -> Vec<String> {
    let mut problems = Vec::new();
    let outcomes = [both[0].outcome, both[1].outcome];
    let released: Vec<&Finished> = both.iter().filter(|one| one.outcome == Outcome::Released).collect();
    let on_top = |one: &Finished| one.conclusion.before.as_ref().map(|view| view.build.clone());
    if let [one, other] = released.as_slice()
        && on_top(one) == on_top(other)
    {
        problems.push("both say that they released on top of the same build".to_owned());
    }
    if outcomes == [Outcome::Stuck; 2] {
        problems.push("both are stuck".to_owned());
    }
    let both_good = !cell.versions.contains(&"bad");
    if cell.fault.is_none() && both_good && released.is_empty() && !both.iter().any(was_mixed) {
        problems.push(format!("nobody released a good build: {outcomes:?}"));
    }
    let bad = cell.versions.iter().zip(outcomes).find(|(version, _)| **version == "bad");
    if bad.is_some_and(|(_, outcome)| outcome == Outcome::Released) {
        problems.push("a bad build is called released".to_owned());
    }
    problems
}

/// A deployment that begins between the last look and the switch comes to production with it:
/// Azure has no lock against that. Then the one goes back, for what it serves is not whole, and
/// the other one's deployment has come to nothing.
fn was_mixed(finished: &Finished) -> bool {
    let cause = finished.conclusion.cause.as_ref();
    finished.outcome == Outcome::RolledBack
        && cause.is_some_and(|(cause, _)| cause.contains("has begun in production's content"))
}

/// What production serves when all is over is what the words add up to.
async fn about_the_end(
    cell: &Cell,
    simulation: &Simulation,
    both: &[Finished; 2],
    old: &truth::Serves,
) -> Vec<String> {
    let serves = truth::serves(simulation, &SlotName::production()).await;
    let said: Vec<(&str, Option<&str>)> = both
        .iter()
        .zip(cell.versions)
        .filter(|(one, _)| one.outcome == Outcome::Released)
        .map(|(one, version)| (version, one.conclusion.production.as_deref()))
        .collect();
    let stuck = both.iter().any(|one| one.outcome == Outcome::Stuck);
    let fits = match said.as_slice() {
        [] => serves == *old || stuck,
        said => said
            .iter()
            .any(|(version, build)| serves.versions == [*version] && *build == Some(serves.build.as_str())),
    };
    if fits { Vec::new() } else { vec![format!("released were {said:?}, and production serves {serves:?}")] }
}

fn assert_all(cells: &[Cell]) {
    let reports = on_all_processors(cells, |cell| {
        std::panic::catch_unwind(|| simulate(run(cell)))
            .unwrap_or_else(|_| (vec!["it panicked".to_owned()], String::new()))
    });
    let mut wrong = Wrong::default();
    for (Cell { offset, versions, fault }, (problems, shown)) in cells.iter().zip(&reports) {
        let fault = fault.as_ref().map(|(number, fault)| format!(", {} at {number}", fault.name));
        let words = format!("{versions:?}, {offset:?} later{}", fault.unwrap_or_default());
        wrong.add(words, problems, shown);
    }
    wrong.assert_none(cells.len());
}

/// From the same moment to a little after the end, in steps; of so many of them one.
fn offsets(of: usize) -> impl Iterator<Item = Duration> {
    let (length, _) = alone();
    let steps = u32::try_from(length.as_millis() / STEP.as_millis()).unwrap_or(u32::MAX) + 4;
    (0..steps).step_by(of).map(|step| STEP * step)
}

#[test]
fn of_two_releases_one_comes_in_or_both_do_one_after_the_other() {
    let mut cells = Vec::new();
    for versions in [["2", "3"], ["bad", "3"], ["2", "bad"]] {
        let every = if is_full() || versions == ["2", "3"] { 1 } else { 3 };
        cells.extend(offsets(every).map(|offset| Cell { offset, versions, fault: None }));
    }
    assert_all(&cells);
}

/// Once each of these made a release call the other one's build its own: an answer to the upload
/// that nobody carried out, and a failing look for deployments that came to production with the swap.
const ONCE_LIES: [(u64, &str, usize); 6] = [
    (18_500, "200 but Succeeded, not carried out", 19),
    (4500, "HTML", 19),
    (15_000, "200 but Failed", 19),
    (4000, "404", 99),
    (3500, "stall after it was carried out", 102),
    (8500, "redirect elsewhere", 99),
];

#[test]
fn a_fault_in_one_of_two_releases_makes_neither_lie() {
    let (_, requests) = alone();
    let faults = fault::all();
    let versions = ["2", "3"];
    let known = ONCE_LIES.map(|(offset, name, at)| {
        let fault = faults.iter().find(|fault| fault.name == name).expect("a fault's name").clone();
        Cell { offset: Duration::from_millis(offset), versions, fault: Some((at, fault)) }
    });
    // Primes, so that every offset meets every fault and every request at some time.
    let offsets: Vec<Duration> = offsets(1).collect();
    let drawn = (0..if is_full() { 1500 } else { 80 }).map(|number| {
        let fault = faults[number * 7 % faults.len()].clone();
        let offset = offsets[number * 13 % offsets.len()];
        Cell { offset, versions, fault: Some((number * 31 % requests, fault)) }
    });
    assert_all(&known.into_iter().chain(drawn).collect::<Vec<_>>());
}
