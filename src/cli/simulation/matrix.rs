//! Every request of a good course × every fault, run again.
//!
//! Owns the table of docs/FAULTS.md: which outcome each fault of each request leads to.
//! Whatever is in a cell, it ends, and what it says is true ([`truth`]). A new request of
//! a verb is covered by being made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::door::{Seen, Stage, Target};
use super::fault::{self, Fault};
use super::{Client, Finished, Order, Simulation, packages, scenario, simulate, truth};
use crate::names::SlotName;
use crate::release::machine::Outcome;

mod table;

/// All runs of the matrix happen in worlds of this seed.
const SEED: u64 = 7;
/// How long a world goes on after a run before it is looked at again: longer than any swap.
pub(super) const AFTERWARDS: Duration = Duration::from_secs(20 * 60);
const STACK: usize = 16 * 1024 * 1024;
/// Of so many cells one is run every day; a prime, so that no fault is left out of them all.
const ONE_OF: usize = 37;
/// More than a run sends of one kind.
const FOR_EVER: usize = 100_000;

/// What is done without trouble first, and what is then done in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Course {
    Release,
    ReleaseOfBad,
    Deploy,
    Swap,
    Rollback,
}

pub(super) const COURSES: [Course; 5] =
    [Course::Release, Course::ReleaseOfBad, Course::Deploy, Course::Swap, Course::Rollback];

impl Course {
    fn title(self) -> &'static str {
        match self {
            Self::Release => "`release` of a good build",
            Self::ReleaseOfBad => "`release` of a build that fails in production",
            Self::Deploy => "`deploy`",
            Self::Swap => "`swap`, after a deploy",
            Self::Rollback => "`rollback`, after a release",
        }
    }

    /// How it ends without trouble.
    pub(super) fn good_end(self) -> Outcome {
        match self {
            Self::Release | Self::Swap => Outcome::Released,
            Self::ReleaseOfBad | Self::Rollback => Outcome::RolledBack,
            Self::Deploy => Outcome::Staged,
        }
    }

    /// Brings the world to where the course begins, and says what is to be run.
    pub(super) async fn prepare(self, simulation: &Simulation) -> Order {
        let first = match self {
            Self::Release => return Order::release("2"),
            Self::ReleaseOfBad => return Order::release("bad"),
            Self::Deploy => return Order::deploy("2"),
            Self::Swap => Order::deploy("2"),
            Self::Rollback => Order::release("2"),
        };
        let mut helper = simulation.client(1);
        helper.watches = false;
        let done = simulation.run(&helper, &first).await.finished();
        let release = done.conclusion.release.expect("a release id").to_string();
        if self == Self::Swap { Order::swap(&release) } else { Order::rollback(&release) }
    }
}

/// Which requests of a course a cell is about.
#[derive(Debug, Clone)]
struct Place {
    stage: Stage,
    kind: String,
    number: usize,
    lasting: bool,
    /// Whether it is the first of its kind, which stands in the table.
    first: bool,
}

struct Cell {
    course: Course,
    place: Place,
    fault: Fault,
}

/// What a cell came to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Result {
    outcome: &'static str,
    serves: &'static str,
}

/// Runs a course in which one thing goes wrong, and gives what contradicts the world.
async fn run(
    course: Course,
    trouble: Option<(&Place, &Fault)>,
) -> (Finished, Vec<Seen>, Result, Vec<String>) {
    let simulation = Simulation::start(scenario(SEED)).await;
    let before = truth::serves(&simulation, &SlotName::production()).await;
    let order = course.prepare(&simulation).await;
    let began = truth::serves(&simulation, &SlotName::production()).await;
    let switches = truth::switches(&simulation);
    let mut client = simulation.client(0);
    client.watches = course == Course::Release;
    if let Some((place, fault)) = trouble {
        let target = if place.lasting {
            Target::Kind { kind: place.kind.clone(), from: place.number, times: FOR_EVER }
        } else {
            Target::Number(place.number)
        };
        client.door.plan(target, fault.trouble.clone());
    }
    let finished = simulation.run(&client, &order).await.finished();
    let mut problems = truth::problems(&simulation, &client, &finished);
    let now = truth::serves(&simulation, &SlotName::production()).await;
    problems.extend(about_the_outcome(course, trouble.map(|(place, _)| place), &finished, &began, &now));
    problems.extend(afterwards(&simulation, &finished, &now).await);
    let switched = truth::switches(&simulation) - switches;
    if switched > truth::directions(&finished) {
        problems.push(format!("{switched} swaps were carried out"));
    }
    let serves = if now == before {
        "v1"
    } else if now.versions == ["2"] {
        "v2"
    } else {
        "bad"
    };
    let result = Result { outcome: finished.outcome.word(), serves };
    let log = client.door.log();
    end(simulation, client).await;
    (finished, log, result, problems)
}

async fn end(simulation: Simulation, client: Client) {
    drop(client);
    simulation.end().await;
}

/// What the outcome's name promises of production.
fn about_the_outcome(
    course: Course,
    place: Option<&Place>,
    finished: &Finished,
    began: &truth::Serves,
    now: &truth::Serves,
) -> Vec<String> {
    let mut problems = Vec::new();
    let untouched = matches!(finished.outcome, Outcome::Refused | Outcome::Staged | Outcome::NothingToDo);
    if untouched && now != began {
        problems.push(format!("{:?}, and production changed from {began:?} to {now:?}", finished.outcome));
    }
    if finished.outcome == Outcome::Released && now == began {
        problems.push(format!("released, and production still serves {began:?}"));
    }
    if course != Course::Rollback && finished.outcome == Outcome::RolledBack && now != began {
        problems.push(format!("rolled back, and production serves {now:?} instead of {began:?}"));
    }
    let app_said_so = place.is_some_and(|place| place.kind == "app production GET /health");
    if finished.outcome == Outcome::Released && course == Course::ReleaseOfBad && !app_said_so {
        problems.push("a build that fails in production was released".to_owned());
    }
    if now.versions.len() != 1 {
        problems.push(format!("production serves {:?} at once", now.versions));
    }
    problems
}

/// What shows only later: a swap that nobody spoke of, something that stays prepared.
async fn afterwards(simulation: &Simulation, finished: &Finished, now: &truth::Serves) -> Vec<String> {
    tokio::time::sleep(AFTERWARDS).await;
    let mut problems = truth::leftovers(simulation);
    let later = truth::serves(simulation, &SlotName::production()).await;
    if finished.outcome != Outcome::Stuck && later != *now {
        problems.push(format!("{:?} with {now:?}, and later production serves {later:?}", finished.outcome));
    }
    problems
}

/// Each kind of request of each stage at its first time, once and for ever; then, where
/// asked for, each other request there is, once.
fn places(log: &[Seen], every: bool) -> Vec<Place> {
    let mut known = BTreeSet::new();
    let mut places = Vec::new();
    for seen in log {
        let first = known.insert((seen.stage, seen.kind.clone()));
        if !first && seen.kind.ends_with("/watch") {
            continue;
        }
        let lastings: &[bool] = if first { &[false, true] } else { &[false] };
        for &lasting in lastings.iter().filter(|_| first || every) {
            let (stage, kind, number) = (seen.stage, seen.kind.clone(), seen.number);
            places.push(Place { stage, kind, number, lasting, first });
        }
    }
    places
}

/// Whether everything is to be run that there is, and not the choice for every day.
pub(super) fn is_full() -> bool {
    is_table() || std::env::var("SLOTWAY_MATRIX").is_ok_and(|value| value == "full")
}

/// Whether of that only what stands in the table.
fn is_table() -> bool {
    std::env::var("SLOTWAY_MATRIX").is_ok_and(|value| value == "table")
}

/// All cells of the table; every later request of a kind, once, behind them where asked for.
fn cells(every: bool) -> Vec<Cell> {
    let mut cells = Vec::new();
    for course in COURSES {
        let (finished, log, _, problems) = simulate(run(course, None));
        assert!(problems.is_empty(), "{course:?}: {problems:#?}\n{}", finished.shown);
        assert_eq!(finished.outcome, course.good_end(), "{course:?}\n{}", finished.shown);
        for place in places(&log, every) {
            for fault in fault::all() {
                cells.push(Cell { course, place: place.clone(), fault });
            }
        }
    }
    cells
}

/// Works through a list on all processors; the results come in the list's order.
pub(super) fn on_all_processors<T: Sync, R: Send>(list: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let one_after_the_other = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = list.get(index) else { return };
            let result = work(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            // Futures are large where nothing is optimised.
            let thread = std::thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, one_after_the_other).expect("a thread");
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn every_request_of_every_verb_may_fail_in_every_way_and_what_is_said_is_true() {
    let files = packages::all_files();
    let mut cells = cells(is_full() && !is_table());
    if !is_full() {
        // An even choice, another for each fault of a request.
        let mut number = 0_usize;
        cells.retain(|_| {
            number += 1;
            number.is_multiple_of(ONE_OF)
        });
    }
    let done = on_all_processors(&cells, |cell| {
        let (finished, _, result, problems) = simulate(run(cell.course, Some((&cell.place, &cell.fault))));
        (result, problems, finished.shown)
    });
    let mut wrong = Wrong::default();
    for (Cell { course, place, fault }, (_, problems, shown)) in cells.iter().zip(&done) {
        wrong.add(format!("{course:?} {place:?}: {}", fault.name), problems, shown);
    }
    wrong.assert_none(cells.len());
    if is_full() {
        let results: Vec<&Result> = done.iter().map(|(result, ..)| result).collect();
        table::assert_current(&cells, &results);
    }
    assert_eq!(packages::all_files(), files, "a user's file changed");
}

/// Contradictions, gathered by what they say, so that a thousand of one sort can be read.
#[derive(Default)]
pub(super) struct Wrong {
    sorts: BTreeMap<String, Vec<(String, String)>>,
}

impl Wrong {
    /// Adds what was wrong in a run.
    pub(super) fn add(&mut self, run: String, problems: &[String], shown: &str) {
        for problem in problems {
            let sort: String = problem.chars().filter(|c| !c.is_ascii_hexdigit() && *c != '-').collect();
            self.sorts.entry(sort).or_default().push((run.clone(), format!("{problem}\n{shown}")));
        }
    }

    /// Fails with each sort: where it is, and one run of it in full.
    pub(super) fn assert_none(&self, of: usize) {
        let mut text = String::new();
        for runs in self.sorts.values() {
            let (run, example) = &runs[0];
            let _ = writeln!(text, "\n=== {} of {of} runs, as: {example}\nin {run}", runs.len());
            for (run, _) in runs.iter().skip(1).take(40) {
                let _ = writeln!(text, "and {run}");
            }
        }
        assert!(self.sorts.is_empty(), "{text}");
    }
}
