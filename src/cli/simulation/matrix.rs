//! Every request of a good course × every fault, run again.
//!
//! Owns the table of docs/FAULTS.md: which outcome each fault of each request leads to.
//! Whatever is in a cell, it ends, and what it says is true ([`truth`]). A new request of
//! a verb is covered by being made.

use std::collections::BTreeSet;
use std::time::Duration;

use super::door::{ELSEWHERE, FOR_EVER, SWAP, Seen, Stage, Target};
use super::fault::{self, Fault};
use super::{Client, Finished, Simulation, packages, simulate, truth};
use crate::names::SlotName;
use crate::release::machine::Outcome;

mod story;
mod table;
mod work;

pub(super) use story::{COURSES, Course};
use story::{STORIES, Story};
pub(super) use work::{Wrong, on_all_processors, unless_it_panics};

/// How long a world goes on after a run before it is looked at again: longer than any swap.
pub(super) const AFTERWARDS: Duration = Duration::from_secs(20 * 60);
/// Of so many cells one is run every day; a prime, so that no fault is left out of them all.
const ONE_OF: usize = 53;
/// Words for the end of a patience.
const GIVEN_UP: [&str; 3] = ["could not be read within", "in time", "made no progress"];
/// Kinds of requests that would prepare a preview or cancel one.
const PREVIEW: [&str; 2] = ["applyslotconfig", "resetslotconfig"];

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

#[derive(Debug)]
struct Cell {
    story: Story,
    place: Place,
    fault: Fault,
}

impl Cell {
    /// What SLOTWAY_CELL runs alone.
    fn name(&self) -> String {
        let Place { number, lasting, .. } = &self.place;
        format!("{:?} {number} {} {}", self.story, if *lasting { "on" } else { "once" }, self.fault.name)
    }

    fn target(&self) -> Target {
        let Place { kind, number, lasting, .. } = &self.place;
        if *lasting {
            Target::Kind { kind: kind.clone(), from: *number, times: FOR_EVER }
        } else {
            Target::Number(*number)
        }
    }
}

/// What a cell came to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Result {
    outcome: &'static str,
    serves: &'static str,
}

/// A run with all that can be said about it.
struct Run {
    finished: Finished,
    log: Vec<Seen>,
    result: Result,
    problems: Vec<String>,
}

/// Runs a course in which one thing goes wrong, and gives what contradicts the world.
async fn run(story: Story, cell: Option<&Cell>) -> Run {
    let simulation = Simulation::start(story.scenario()).await;
    let order = story.prepare(&simulation).await;
    let began = truth::serves(&simulation, &SlotName::production()).await;
    let switches = truth::switches(&simulation);
    let mut client = simulation.client(0);
    client.watches = story == Story::Usual(Course::Release);
    if let Some(cell) = cell {
        client.door.plan(cell.target(), cell.fault.trouble.clone());
    }
    let finished = simulation.run(&client, &order).await.finished();
    let log = client.door.log();
    let mut problems = truth::problems(&simulation, &client, &finished);
    if story == Story::Profile {
        // By publish profile production is not looked at, and that is said.
        problems.retain(|problem| !problem.contains("serves a build that was not looked at"));
    }
    let now = truth::serves(&simulation, &SlotName::production()).await;
    problems.extend(about_the_outcome(story, cell, &finished, &began, &now));
    problems.extend(about_the_requests(cell, &log));
    problems.extend(cell.and_then(|cell| about_the_words(cell, &finished, &log)));
    problems.extend(afterwards(&simulation, cell, &finished, &now).await);
    let others = usize::from(cell.and_then(|cell| cell.fault.deed()).is_some_and(|deed| deed.is_swap()));
    let switched = truth::switches(&simulation) - switches;
    if switched > truth::directions(&finished) + others {
        problems.push(format!("{switched} swaps were carried out"));
    }
    let result = Result { outcome: finished.outcome.word(), serves: served(&now) };
    end(simulation, client).await;
    Run { finished, log, result, problems }
}

async fn end(simulation: Simulation, client: Client) {
    drop(client);
    simulation.end().await;
}

/// The version that production serves, as the table calls it.
fn served(now: &truth::Serves) -> &'static str {
    match now.versions.as_slice() {
        [one] => match one.as_str() {
            "0" => "v0",
            "1" => "v1",
            "2" => "v2",
            "3" => "v3",
            "bad" => "bad",
            _ => "nothing",
        },
        _ => "several",
    }
}

/// What the outcome's name promises of production.
fn about_the_outcome(
    story: Story,
    cell: Option<&Cell>,
    finished: &Finished,
    began: &truth::Serves,
    now: &truth::Serves,
) -> Vec<String> {
    let mut problems = Vec::new();
    let deed = cell.and_then(|cell| cell.fault.deed());
    if deed.is_some_and(|deed| deed.reaches_production()) {
        // What production serves then is others' doing; that it is told is asked elsewhere.
        return problems;
    }
    let untouched = matches!(finished.outcome, Outcome::Refused | Outcome::Staged | Outcome::NothingToDo);
    if untouched && now != began {
        problems.push(format!("{:?}, and production changed from {began:?} to {now:?}", finished.outcome));
    }
    if finished.outcome == Outcome::Released && !matches!(served(now), "v2" | "bad") {
        problems.push(format!("released, and production serves {now:?}"));
    }
    if finished.outcome == Outcome::RolledBack && now.versions != ["1"] {
        problems.push(format!("rolled back, and production serves {now:?}"));
    }
    let app_said_so = cell.is_some_and(|cell| cell.place.kind == "app production GET /health");
    let is_bad = story.course() == Some(Course::ReleaseOfBad);
    if finished.outcome == Outcome::Released && is_bad && !app_said_so {
        problems.push("a build that fails in production was released".to_owned());
    }
    if now.versions.len() != 1 {
        problems.push(format!("production serves {:?} at once", now.versions));
    }
    problems
}

/// The planned fault has happened, and nothing was sent that no verb sends.
fn about_the_requests(cell: Option<&Cell>, log: &[Seen]) -> Vec<String> {
    let mut problems = Vec::new();
    let struck = log.iter().find(|seen| seen.troubled);
    if let Some(cell) = cell {
        match struck {
            None => problems.push("the fault never happened: the request was not made".to_owned()),
            Some(seen) if seen.kind != cell.place.kind || seen.number != cell.place.number => {
                problems.push(format!("the fault met {} {} instead", seen.number, seen.kind));
            }
            Some(_) => {}
        }
    }
    for seen in log {
        let lower = seen.kind.to_lowercase();
        if PREVIEW.iter().any(|word| lower.contains(word)) {
            problems.push(format!("{} was sent", seen.kind));
        }
        // An answer must not lead a request, and a token with it, to another host.
        if lower.starts_with(ELSEWHERE) {
            problems.push(format!("a request went {}", seen.kind));
        }
    }
    problems
}

/// Requests after which nothing but the fault can be the first cause: what is asked once, and
/// not until it comes right.
fn decides(kind: &str, stage: Stage) -> bool {
    let changes = ["POST publish", "PATCH", "slotsswap"].iter().any(|part| kind.contains(part));
    stage == Stage::Reading || changes
}

/// A run that ends otherwise than without the fault says why, in words that fit the fault.
fn about_the_words(cell: &Cell, finished: &Finished, log: &[Seen]) -> Option<String> {
    let Place { stage, kind, lasting, .. } = &cell.place;
    let ends_well = finished.outcome == cell.story.good_end();
    // By then production has failed its checks, which is the first cause.
    let comes_second = cell.story.course() == Some(Course::ReleaseOfBad) && *stage >= Stage::Swapped;
    let struck = log.iter().any(|seen| seen.troubled);
    if ends_well || comes_second || !struck || !decides(kind, *stage) {
        return None;
    }
    let (cause, _) = finished.conclusion.cause.as_ref()?;
    let sign_in = kind.starts_with("login") && cause.contains("could not sign in");
    // What never comes right is given up when its time is over.
    let given_up = *lasting && GIVEN_UP.iter().any(|words| cause.contains(words));
    // The record of a release may be absent.
    let absent = kind.ends_with("GET note") && cell.fault.name == "404";
    let told = absent || sign_in || given_up || cell.fault.is_told_by(cause);
    (!told).then(|| format!("the fault \"{}\" is not told by: {cause}", cell.fault.name))
}

/// What shows only later: a swap that nobody spoke of, something that stays prepared.
async fn afterwards(
    simulation: &Simulation,
    cell: Option<&Cell>,
    finished: &Finished,
    now: &truth::Serves,
) -> Vec<String> {
    tokio::time::sleep(AFTERWARDS).await;
    let deed = cell.and_then(|cell| cell.fault.deed());
    let mut problems = match deed {
        Some(super::others::Deed::Preview) => Vec::new(),
        _ => truth::leftovers(simulation),
    };
    let later = truth::serves(simulation, &SlotName::production()).await;
    let by_others = deed.is_some_and(|deed| deed.reaches_production());
    if finished.outcome != Outcome::Stuck && later != *now && !by_others {
        problems.push(format!("{:?} with {now:?}, and later production serves {later:?}", finished.outcome));
    }
    problems
}

/// Each kind of request of each stage at its first time, once and for ever; then, where
/// asked for, each other request there is, once.
fn places(story: Story, log: &[Seen], every: bool) -> Vec<Place> {
    let mut known = BTreeSet::new();
    let mut places = Vec::new();
    for seen in log.iter().filter(|seen| story.is_about(seen)) {
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

/// A good run, of which the cells are made.
fn good(story: Story) -> Vec<Seen> {
    let Run { finished, log, problems, .. } = simulate(run(story, None));
    assert!(problems.is_empty(), "{story:?}: {problems:#?}\n{}", finished.shown);
    assert_eq!(finished.outcome, story.good_end(), "{story:?}\n{}", finished.shown);
    let kinds: BTreeSet<&str> = log.iter().map(|seen| seen.kind.as_str()).collect();
    let polls = kinds.iter().any(|kind| kind.contains("operationresults"));
    assert_eq!(kinds.contains(SWAP), polls, "{story:?}: the end of each swap is asked for: {kinds:#?}");
    log
}

/// All cells of the table; every later request of a kind, once, behind them where asked for.
fn cells(every: bool) -> Vec<Cell> {
    let mut cells = Vec::new();
    for story in STORIES {
        for place in places(story, &good(story), every) {
            // Until its swap a build that fails in production is like any other.
            let twin = story == Story::Usual(Course::ReleaseOfBad) && place.stage < Stage::Swapped;
            if !every && twin && place.kind != SWAP {
                continue;
            }
            let mut faults = fault::all();
            if !every && place.kind.contains(" GET ") {
                faults.retain(|fault| !fault.is_another_for_reads());
            }
            if place.first && !place.lasting && matches!(story, Story::Usual(_)) {
                faults.extend(fault::by_others());
            }
            cells.extend(faults.into_iter().map(|fault| Cell { story, place: place.clone(), fault }));
        }
    }
    cells
}

/// One cell that is named, all, or an even choice, another for each fault of a request.
fn chosen(mut cells: Vec<Cell>) -> Vec<Cell> {
    if let Ok(name) = std::env::var("SLOTWAY_CELL") {
        cells.retain(|cell| cell.name() == name);
        assert!(!cells.is_empty(), "there is no cell {name}");
    } else if !is_full() {
        let mut number = 0_usize;
        cells.retain(|_| {
            number += 1;
            number.is_multiple_of(ONE_OF)
        });
    }
    cells
}

/// Whatever the machine is doing meanwhile: the files of a course come from another thread.
#[test]
fn the_same_course_sends_the_same_requests_at_the_same_moments() {
    let twice: Vec<Story> = STORIES.into_iter().flat_map(|story| [story; 4]).collect();
    let logs = on_all_processors(&twice, |story| {
        let mut log = good(*story);
        // Made anew each time, as on Azure.
        log.iter_mut().for_each(|seen| seen.swap_id = None);
        log
    });
    for (story, logs) in twice.chunks(4).map(|chunk| chunk[0]).zip(logs.chunks(4)) {
        let first = &logs[0];
        for log in &logs[1..] {
            let differs = first.iter().zip(log).find(|(one, other)| one != other);
            assert!(differs.is_none(), "{story:?}: {differs:#?}");
            assert_eq!(first.len(), log.len(), "{story:?}");
        }
    }
}

#[test]
fn every_request_of_every_verb_may_fail_in_every_way_and_what_is_said_is_true() {
    let files = packages::all_files();
    let alone = std::env::var_os("SLOTWAY_CELL").is_some();
    let cells = chosen(cells(alone || is_full() && !is_table()));
    let done = on_all_processors(&cells, |cell| {
        let ran = unless_it_panics(|| simulate(run(cell.story, Some(cell))));
        let nothing = Result { outcome: "panicked", serves: "nothing" };
        ran.map_or_else(
            |panic| (nothing, vec![panic], String::new()),
            |run| (run.result, run.problems, run.finished.shown),
        )
    });
    let mut wrong = Wrong::default();
    for (cell, (_, problems, shown)) in cells.iter().zip(&done) {
        let Place { stage, kind, .. } = &cell.place;
        let name = cell.name();
        let again =
            format!("{stage:?} {kind}, again with: SLOTWAY_CELL='{name}' cargo test --lib every_request");
        wrong.add(again, problems, shown);
    }
    let results: Vec<&Result> = done.iter().map(|(result, ..)| result).collect();
    if is_table() {
        table::print(&cells, &results);
    }
    wrong.assert_none(cells.len());
    if is_table() && !alone {
        table::assert_current(&cells, &results);
    }
    assert_eq!(packages::all_files(), files, "a user's file changed");
}
