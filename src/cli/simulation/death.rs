//! A run is killed at every request, or asked to stop, and somebody else who knows nothing
//! of it comes after: with `settle`, with the same command, with `rollback`.
//!
//! Owns what must have come of it by then. Everything that a later run knows of the dead
//! one is in the world.

use super::door::{Boundary, End, Seen};
use super::matrix::{AFTERWARDS, COURSES, Course, Wrong, on_all_processors};
use super::{Finished, Order, Ran, Simulation, scenario, simulate, truth};
use crate::names::SlotName;
use crate::plan::Verb;
use crate::release::machine::Outcome;

const SEED: u64 = 11;
/// What a run that is asked to stop may take to end.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// Who comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Settle,
    TheSame,
    Rollback,
}

#[derive(Debug, Clone)]
struct Cell {
    course: Course,
    seen: Seen,
    boundary: Boundary,
    end: End,
    after: After,
}

/// What is wrong, and what was shown.
type Report = (Vec<String>, String);

async fn run(cell: &Cell) -> Report {
    let simulation = Simulation::start(scenario(SEED)).await;
    let order = cell.course.prepare(&simulation).await;
    let client = simulation.client(0);
    client.door.plan_end(cell.seen.number, cell.boundary, cell.end, &client.cancel);
    let mut problems = Vec::new();
    let mut shown = String::new();
    match simulation.run(&client, &order).await {
        Ran::Died => shown.push_str(&client.shown.text()),
        Ran::Finished(finished) => {
            problems.extend(truth::problems(&simulation, &client, &finished));
            if let Some(signalled) = client.door.signalled() {
                let after = (finished.began + finished.took).saturating_duration_since(signalled);
                if after > GRACE {
                    problems.push(format!("asked to stop, it took {after:?}"));
                }
            }
            shown.push_str(&finished.shown);
        }
        Ran::Failed(error) => problems.push(format!("it failed: {error}")),
    }
    let came_after = follow(&simulation, cell, &order, &mut shown).await;
    problems.extend(came_after);
    tokio::time::sleep(AFTERWARDS).await;
    problems.extend(truth::leftovers(&simulation));
    problems.extend(at_last(&simulation, cell).await);
    // There and back for the dead one, there and back for the same command.
    if truth::switches(&simulation) > 4 {
        problems.push(format!("{} swaps were carried out", truth::switches(&simulation)));
    }
    drop(client);
    simulation.end().await;
    (problems, shown)
}

/// Somebody else comes, perhaps several times.
async fn follow(simulation: &Simulation, cell: &Cell, order: &Order, shown: &mut String) -> Vec<String> {
    let mut problems = Vec::new();
    let mut salt = 10;
    let mut next = async |order: &Order, problems: &mut Vec<String>| {
        salt += 1;
        let client = simulation.client(salt);
        let finished = simulation.run(&client, order).await.finished();
        problems.extend(truth::problems(simulation, &client, &finished));
        shown.push_str(&format!("\n---- {:?}\n{}", order.verb, finished.shown));
        finished
    };
    match cell.after {
        After::Settle => {
            let settled = next(&Order::settle(), &mut problems).await;
            problems.extend(about_settling(cell, &settled));
            let again = next(&Order::settle(), &mut problems).await;
            if again.outcome != Outcome::NothingToDo {
                problems.push(format!("settled again it comes to {:?}", again.outcome));
            }
        }
        After::TheSame => {
            let mut last = next(order, &mut problems).await;
            if last.outcome == Outcome::Refused {
                next(&Order::settle(), &mut problems).await;
                last = next(order, &mut problems).await;
            }
            let fine = last.outcome == cell.course.good_end()
                || (cell.course == Course::Rollback && last.outcome == Outcome::NothingToDo);
            if !fine {
                problems.push(format!("run again it comes to {:?}", last.outcome));
            }
        }
        After::Rollback => {
            let back = next(&Order::bare(Verb::Rollback), &mut problems).await;
            if !matches!(back.outcome, Outcome::RolledBack | Outcome::Refused | Outcome::NothingToDo) {
                problems.push(format!("rolled back it comes to {:?}", back.outcome));
            }
        }
    }
    problems
}

/// Without any more trouble, settling comes to an end that needs no person.
fn about_settling(cell: &Cell, settled: &Finished) -> Vec<String> {
    let ends = [Outcome::NothingToDo, Outcome::Released, Outcome::RolledBack];
    let mut problems = Vec::new();
    if !ends.contains(&settled.outcome) {
        problems.push(format!("settled it comes to {:?}", settled.outcome));
    }
    if cell.course == Course::ReleaseOfBad && settled.outcome == Outcome::Released {
        problems.push("a build that fails in production was settled as released".to_owned());
    }
    problems
}

/// In the end production serves a build that may serve there.
async fn at_last(simulation: &Simulation, cell: &Cell) -> Vec<String> {
    let serves = truth::serves(simulation, &SlotName::production()).await;
    let may_serve: &[&str] = match (cell.course, cell.after) {
        (Course::ReleaseOfBad | Course::Deploy, _) => &["1"],
        (Course::Release | Course::Swap, After::TheSame) => &["2"],
        (Course::Rollback, After::TheSame) => &["1"],
        (Course::Release | Course::Swap | Course::Rollback, _) => &["1", "2"],
    };
    match serves.versions.as_slice() {
        [one] if may_serve.contains(&one.as_str()) => Vec::new(),
        versions => vec![format!("in the end production serves {versions:?}")],
    }
}

/// Every request but those of the watch, which are like one another.
fn points(course: Course) -> Vec<Seen> {
    let log = simulate(async {
        let simulation = Simulation::start(scenario(SEED)).await;
        let order = course.prepare(&simulation).await;
        let client = simulation.client(0);
        let finished = simulation.run(&client, &order).await.finished();
        assert_eq!(finished.outcome, course.good_end(), "{}", finished.shown);
        client.door.log()
    });
    log.into_iter().filter(|seen| !seen.kind.ends_with("/watch")).collect()
}

fn cells(end: End, boundaries: &[Boundary], afters: &[After]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for course in COURSES {
        for seen in points(course) {
            for &boundary in boundaries {
                for &after in afters {
                    cells.push(Cell { course, seen: seen.clone(), boundary, end, after });
                }
            }
        }
    }
    cells
}

/// All of them where asked for, else an even choice.
fn chosen(cells: Vec<Cell>, one_of: usize) -> Vec<Cell> {
    let every = super::matrix::is_full();
    cells.into_iter().enumerate().filter(|(at, _)| every || at % one_of == 0).map(|(_, cell)| cell).collect()
}

fn assert_all(cells: &[Cell]) {
    let reports = on_all_processors(cells, |cell| {
        std::panic::catch_unwind(|| simulate(run(cell)))
            .unwrap_or_else(|_| (vec!["it panicked".to_owned()], String::new()))
    });
    let mut wrong = Wrong::default();
    for (cell, (problems, shown)) in cells.iter().zip(&reports) {
        let Cell { course, seen, boundary, end, after } = cell;
        let words = format!(
            "{course:?} {end:?} {boundary:?} {after:?} {} {:?} {}",
            seen.number, seen.stage, seen.kind
        );
        wrong.add(words, problems, shown);
    }
    wrong.assert_none(cells.len());
}

#[test]
fn whoever_comes_after_a_run_that_was_killed_anywhere_brings_it_to_a_true_end() {
    let boundaries = [Boundary::BeforeSent, Boundary::CarriedOut, Boundary::Answered];
    let cells = cells(End::Death, &boundaries, &[After::Settle, After::TheSame, After::Rollback]);
    assert_all(&chosen(cells, 17));
}

#[test]
fn a_run_that_is_asked_to_stop_anywhere_ends_at_once_and_settle_finishes_what_it_left() {
    let cells = cells(End::Signal, &[Boundary::BeforeSent, Boundary::CarriedOut], &[After::Settle]);
    assert_all(&chosen(cells, 7));
}
