//! A run is killed at every request, or asked to stop, and somebody else comes after: with
//! `settle`, with the same command, with `rollback`.
//!
//! Owns where runs end and what must have come of it by then ([`left`](super::left)). Who comes
//! after is a client of its own: of the dead one it has the package and nothing else, no memory,
//! no connection, no file; everything it knows of it is in the world. That a second process gets
//! by without the first one's folders is for tests/it/settle.rs to show.

use super::door::{Boundary, End, Point, SWAP, Seen, Target, Trouble};
use super::left::{Left, Open};
use super::matrix::{AFTERWARDS, COURSES, Course, Wrong, on_all_processors};
use super::{Client, Finished, Order, Ran, Simulation, scenario, simulate, truth};
use crate::emulator::fault::Kind;
use crate::names::SlotName;
use crate::plan::Verb;
use crate::release::journal::Event;
use crate::release::machine::{Event as Step, Outcome, Phase};

const SEED: u64 = 11;
/// What a run that is asked to stop may take to end.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);
const BOUNDARIES: [Boundary; 3] = [Boundary::BeforeSent, Boundary::CarriedOut, Boundary::Answered];

/// Which run ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dying {
    /// That of a verb.
    Of(Course),
    /// `settle` after a release that was killed when it had sent the swap.
    Settle,
    /// The same, where the release fails in production.
    SettleOfBad,
}

impl Dying {
    fn all() -> impl Iterator<Item = Self> {
        COURSES.into_iter().map(Self::Of).chain([Self::Settle, Self::SettleOfBad])
    }

    async fn prepare(self, simulation: &Simulation) -> Order {
        let version = match self {
            Self::Of(course) => return course.prepare(simulation).await,
            Self::Settle => "2",
            Self::SettleOfBad => "bad",
        };
        let client = simulation.client(1);
        let swap = Point::Kind { kind: SWAP.to_owned(), nth: 0 };
        client.door.plan_end(swap, Boundary::CarriedOut, End::Death, &client.cancel);
        let ran = simulation.run(&client, &Order::release(version)).await;
        assert!(matches!(ran, Ran::Died), "{ran:?}");
        Order::settle()
    }

    fn good_end(self) -> Outcome {
        match self {
            Self::Of(course) => course.good_end(),
            Self::Settle => Outcome::Released,
            Self::SettleOfBad => Outcome::RolledBack,
        }
    }

    fn is_of_bad(self) -> bool {
        matches!(self, Self::Of(Course::ReleaseOfBad) | Self::SettleOfBad)
    }

    fn deploys(self) -> bool {
        matches!(self, Self::Of(Course::Release | Course::ReleaseOfBad | Course::Deploy))
    }
}

/// Who comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Settle,
    TheSame,
    Rollback,
}

const AFTERS: [After; 3] = [After::Settle, After::TheSame, After::Rollback];

/// A request at which a run ends.
#[derive(Debug, Clone)]
struct Place {
    seen: Seen,
    point: Point,
}

#[derive(Debug, Clone)]
struct Cell {
    dying: Dying,
    place: Place,
    boundary: Boundary,
    end: End,
    after: After,
}

/// What is wrong, and what was shown.
#[derive(Default)]
struct Report {
    /// Whether the planned end came.
    came: bool,
    problems: Vec<String>,
    shown: String,
}

impl Report {
    fn claim(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(words());
        }
    }
}

async fn run(cell: &Cell) -> Report {
    let mut report = Report::default();
    let simulation = Simulation::start(scenario(SEED)).await;
    let old = truth::serves(&simulation, &SlotName::production()).await.build;
    let order = cell.dying.prepare(&simulation).await;
    let client = simulation.client(0);
    client.door.plan_end(cell.place.point.clone(), cell.boundary, cell.end, &client.cancel);
    let ran = simulation.run(&client, &order).await;
    about_the_end(cell, &client, &mut report);
    match (cell.end, ran) {
        (End::Death, Ran::Died) => {
            let shown = client.shown.take();
            report.problems.extend(truth::secrets(&shown));
            report.shown.push_str(&shown);
        }
        (End::Signal, Ran::Finished(finished)) => {
            report.problems.extend(truth::problems(&simulation, &client, &finished));
            let left = Left::read(&simulation);
            about_stopping(cell, &client, &finished, &left, left.open(&old), &mut report);
            report.shown.push_str(&finished.shown);
        }
        (end, ran) => report.problems.push(format!("{end:?} was planned, and it came to {ran:?}")),
    }
    let left = Left::read(&simulation);
    report.shown.push_str(&format!("\n---- {:?}, {left:?}\n", left.open(&old)));
    follow(&simulation, cell, &order, (&left, &old), &mut report).await;
    tokio::time::sleep(AFTERWARDS).await;
    report.problems.extend(truth::leftovers(&simulation));
    let at_last = Left::read(&simulation);
    report.claim(!at_last.busy, || "a swap runs without end".to_owned());
    drop(client);
    simulation.end().await;
    report
}

/// Two readings that fall on the same instant may come in another order in another run, so that the
/// last of a kind is not made any more: then the end comes at the one before it.
fn run_to_the_end(cell: &Cell) -> Report {
    let report = simulate(run(cell));
    match &cell.place.point {
        Point::Nth { stage, kind, nth } if !report.came && *nth > 0 => {
            let point = Point::Nth { stage: *stage, kind: kind.clone(), nth: nth - 1 };
            let place = Place { seen: cell.place.seen.clone(), point };
            simulate(run(&Cell { place, ..cell.clone() }))
        }
        _ => report,
    }
}

/// A cell whose end did not come proves nothing.
fn about_the_end(cell: &Cell, client: &Client, report: &mut Report) {
    let log = client.door.log();
    let came = client.door.ended_at().map(|number| &log[number]);
    let planned = &cell.place.seen;
    report.came = came.is_some();
    report.claim(came.is_some_and(|came| came.kind == planned.kind && came.stage == planned.stage), || {
        format!("{:?} was planned at {planned:?}, and came at {came:?}", cell.end)
    });
}

/// A run that is asked to stop ends in time and says what it left.
fn about_stopping(
    cell: &Cell,
    client: &Client,
    finished: &Finished,
    left: &Left,
    open: Open,
    report: &mut Report,
) {
    let end = finished.began + finished.took;
    let after = client.door.signalled().map(|signalled| end.saturating_duration_since(signalled));
    report.claim(after.is_some_and(|after| after <= GRACE), || format!("asked to stop, it took {after:?}"));
    let shown = &finished.shown;
    let stopped_in = finished.entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Moved { because: Step::Cancelled, .. } => None,
        Event::Moved { phase, .. } if phase.outcome().is_none() && *phase != Phase::Leaving => Some(*phase),
        _ => None,
    });
    if finished.outcome != cell.dying.good_end() {
        let said = match stopped_in {
            Some(phase) => format!("cancelled in the phase \"{}\"", phase.words()),
            None => "cancelled before anything was touched".to_owned(),
        };
        report.claim(shown.contains(&said), || format!("it does not say: {said}"));
    }
    let may_move = shown.contains("may still be under way") || shown.contains("shows no end on Azure");
    report.claim(!left.busy || may_move, || "it does not say that a swap is under way".to_owned());
    let command = shown.contains("slotway settle");
    report.claim(open == Open::Nothing || command, || format!("{open:?}, and it names no way on"));
    let production = finished.conclusion.production.clone().unwrap_or_default();
    report.claim(!production.is_empty() && shown.contains(&production), || {
        format!("it does not say that production served {production}")
    });
}

/// Somebody else runs something; it says the truth, and swaps no more than it says.
async fn next(simulation: &Simulation, order: &Order, report: &mut Report) -> Finished {
    let before = Left::read(simulation);
    // Whoever it is has chances of its own.
    let salt = 10 + u64::try_from(report.shown.len()).unwrap_or_default();
    let client = simulation.client(salt);
    let finished = simulation.run(&client, order).await.finished();
    report.problems.extend(truth::problems(simulation, &client, &finished));
    let words = format!("\n---- {:?}: {:?}\n{}", order.verb, finished.outcome, finished.shown);
    report.shown.push_str(&words);
    let swaps = truth::switches(simulation).saturating_sub(before.switches);
    report.claim(swaps <= truth::directions(&finished), || format!("{swaps} swaps by {:?}", order.verb));
    finished
}

/// Runs an order that must come to this, and to this build in production.
async fn must(simulation: &Simulation, order: &Order, wanted: Outcome, report: &mut Report) -> Finished {
    let done = next(simulation, order, report).await;
    report.claim(done.outcome == wanted, || {
        format!("{:?} comes to {:?} instead of {wanted:?}", order.verb, done.outcome)
    });
    done
}

async fn settle(simulation: &Simulation, cell: &Cell, old: &str, report: &mut Report) {
    let left = Left::read(simulation);
    let wanted = left.open(old).settled(cell.dying.is_of_bad());
    must(simulation, &Order::settle(), wanted, report).await;
    let now = Left::read(simulation);
    report.claim(now.open(old) == Open::Nothing, || format!("settled, {:?} is left", now.open(old)));
    let serves_new = match wanted {
        Outcome::Released => true,
        Outcome::RolledBack => false,
        _ => left.production.build != old,
    };
    report.claim((now.production.build != old) == serves_new, || {
        format!("settled as {wanted:?}, and production serves {}", now.production.build)
    });
}

/// Somebody else comes, perhaps several times, to the end that the world holds for them.
async fn follow(
    simulation: &Simulation,
    cell: &Cell,
    order: &Order,
    (left, old): (&Left, &str),
    report: &mut Report,
) {
    let open = left.open(old);
    match cell.after {
        After::Settle => {
            settle(simulation, cell, old, report).await;
            must(simulation, &Order::settle(), Outcome::NothingToDo, report).await;
            let expected: &[&str] = match (cell.dying, left.production.build == old, open) {
                (dying, false, Open::Unproven) if dying.is_of_bad() => &["1"],
                (_, true, _) | (_, false, Open::BackNeverSent) => &["1"],
                _ => &["2"],
            };
            serves_at_last(simulation, expected[0], report).await;
        }
        After::TheSame => the_same(simulation, cell, order, (left, old), report).await,
        After::Rollback => {
            let leads_back = left.leads_back_to(old);
            let back = next(simulation, &Order::bare(Verb::Rollback), report).await;
            if leads_back {
                report.claim(back.outcome == Outcome::RolledBack, || {
                    format!("the way back lies in staging, and rollback comes to {:?}", back.outcome)
                });
            } else {
                let cause = back.conclusion.cause.as_ref().map(|(cause, _)| cause.as_str());
                let is_named = cause.is_some_and(|cause| NO_WAY_BACK.iter().any(|why| cause.contains(why)));
                let is_fine =
                    back.outcome == Outcome::NothingToDo || back.outcome == Outcome::Refused && is_named;
                report.claim(is_fine, || {
                    format!("without a way back rollback comes to {:?}: {cause:?}", back.outcome)
                });
            }
            serves_at_last(simulation, "1", report).await;
            settle(simulation, cell, old, report).await;
        }
    }
}

/// Why a rollback is refused where production serves what it served before.
const NO_WAY_BACK: [&str; 1] = ["nothing tells which build production served before"];

async fn the_same(
    simulation: &Simulation,
    cell: &Cell,
    order: &Order,
    (left, old): (&Left, &str),
    report: &mut Report,
) {
    let open = left.open(old);
    if cell.dying.deploys() && open.forbids_a_deployment() {
        let refused = must(simulation, order, Outcome::Refused, report).await;
        let cause = refused.conclusion.cause.map(|(cause, _)| cause).unwrap_or_default();
        let is_named = cause.contains("destroy the way back");
        report.claim(is_named, || format!("run again it is refused because of {cause}"));
        settle(simulation, cell, old, report).await;
    }
    let now = Left::read(simulation);
    let wanted = match cell.dying {
        Dying::Settle | Dying::SettleOfBad => now.open(old).settled(cell.dying.is_of_bad()),
        Dying::Of(Course::Rollback) if now.production.build == old => Outcome::NothingToDo,
        dying => dying.good_end(),
    };
    must(simulation, order, wanted, report).await;
    let version = match cell.dying {
        Dying::Of(Course::Release | Course::Swap) | Dying::Settle => "2",
        _ => "1",
    };
    serves_at_last(simulation, version, report).await;
}

/// Every instance of production serves this.
async fn serves_at_last(simulation: &Simulation, version: &str, report: &mut Report) {
    let serves = truth::serves(simulation, &SlotName::production()).await;
    report.claim(serves.versions == [version], || {
        format!("production serves {:?} instead of {version}", serves.versions)
    });
}

/// Every request but those of the watch, which are like one another.
fn places(dying: Dying) -> Vec<Place> {
    let log = simulate(async {
        let simulation = Simulation::start(scenario(SEED)).await;
        let order = dying.prepare(&simulation).await;
        let client = simulation.client(0);
        let finished = simulation.run(&client, &order).await.finished();
        assert_eq!(finished.outcome, dying.good_end(), "{}", finished.shown);
        client.door.log()
    });
    let place = |seen: &Seen| {
        let alike = |other: &&Seen| other.stage == seen.stage && other.kind == seen.kind;
        let nth = log[..seen.number].iter().filter(alike).count();
        Place { seen: seen.clone(), point: Point::Nth { stage: seen.stage, kind: seen.kind.clone(), nth } }
    };
    log.iter().filter(|seen| !seen.kind.ends_with("/watch")).map(place).collect()
}

/// Who comes after a killed run may be anybody, at every boundary; after a run that was asked to
/// stop each comes after one boundary of a request, in turn.
fn cells(end: End) -> Vec<Cell> {
    let mut cells = Vec::new();
    for dying in Dying::all() {
        for (number, place) in places(dying).into_iter().enumerate() {
            for (at, boundary) in BOUNDARIES.into_iter().enumerate() {
                let turn = AFTERS[(number + at) % AFTERS.len()];
                for after in AFTERS.into_iter().filter(|after| end == End::Death || *after == turn) {
                    cells.push(Cell { dying, place: place.clone(), boundary, end, after });
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
        std::panic::catch_unwind(|| run_to_the_end(cell))
            .unwrap_or_else(|_| Report { problems: vec!["it panicked".to_owned()], ..Report::default() })
    });
    let mut wrong = Wrong::default();
    for (cell, Report { problems, shown, .. }) in cells.iter().zip(&reports) {
        let Cell { dying, place: Place { seen, .. }, boundary, end, after } = cell;
        let words = format!(
            "{dying:?} {end:?} {boundary:?} {after:?} {} {:?} {}",
            seen.number, seen.stage, seen.kind
        );
        wrong.add(words, problems, shown);
    }
    wrong.assert_none(cells.len());
}

#[test]
fn whoever_comes_after_a_run_that_was_killed_anywhere_brings_it_to_a_true_end() {
    assert_all(&chosen(cells(End::Death), 17));
}

#[test]
fn a_run_that_is_asked_to_stop_anywhere_ends_at_once_and_settle_finishes_what_it_left() {
    assert_all(&chosen(cells(End::Signal), 17));
}

#[test]
fn a_signal_while_the_last_record_hangs_ends_the_run_and_it_says_how_to_close_it() {
    simulate(async {
        let simulation = Simulation::start(scenario(SEED)).await;
        let old = truth::serves(&simulation, &SlotName::production()).await.build;
        let client = simulation.client(0);
        let record = "scm production PUT note".to_owned();
        let silent = Trouble::Kind(Kind::Stall { act: false });
        client.door.plan(Target::Kind { kind: record.clone(), from: 0, times: 1 }, silent);
        let point = Point::Kind { kind: record, nth: 0 };
        client.door.plan_end(point, Boundary::BeforeSent, End::Signal, &client.cancel);
        let finished = simulation.run(&client, &Order::release("2")).await.finished();
        let problems = truth::problems(&simulation, &client, &finished);
        assert!(problems.is_empty(), "{problems:#?}\n{}", finished.shown);
        assert_eq!(finished.outcome, Outcome::Released, "{}", finished.shown);
        let end = finished.began + finished.took;
        let after = end - client.door.signalled().expect("the signal came");
        assert!(after <= GRACE, "{after:?}\n{}", finished.shown);
        assert!(finished.shown.contains("close it with slotway settle"), "{}", finished.shown);
        assert_eq!(Left::read(&simulation).open(&old), Open::Unproven);
        drop(client);
        simulation.end().await;
    });
}
