//! The post hook of a pipeline whose run was killed: what it settles, whose, and that it ends
//! before the host ends it.

use std::time::Duration;

use super::door::{Boundary, End, Point, SWAP};
use super::left::{Left, Open};
use super::{CONFIG, Client, Finished, Order, Ran, Simulation, scenario, simulate, truth};
use crate::emulator::scenario::{Durations, Scenario};
use crate::names::SlotName;
use crate::release::machine::Outcome;

/// What both hosts give (see `cli::hook`).
const GRACE: Duration = Duration::from_secs(5 * 60);

/// One who runs as a part of a pipeline's run.
fn part_of(simulation: &Simulation, run: &'static str, salt: u64) -> Client {
    let mut client = simulation.client(salt);
    client.part_of = Some(run);
    client
}

/// With the limits that count where none are given.
fn by_default(order: Order) -> Order {
    Order { config: Some(CONFIG.replace("swap: 5m, settle: 1m", "swap: 30m, settle: 5m")), ..order }
}

/// A world in which run 7 was killed when it had sent the swap, which takes so long.
async fn killed(version: &str, swap: Duration) -> (Simulation, String) {
    let scenario = scenario(3);
    let durations = Durations { swap_switch: swap, ..scenario.durations.clone() };
    let simulation = Simulation::start(Scenario { durations, ..scenario }).await;
    let old = truth::serves(&simulation, &SlotName::production()).await.build;
    let client = part_of(&simulation, "7", 0);
    let swap = Point::Kind { kind: SWAP.to_owned(), nth: 0 };
    client.door.plan_end(swap, Boundary::CarriedOut, End::Death, &client.cancel);
    let ran = simulation.run(&client, &by_default(Order::release(version))).await;
    assert!(matches!(ran, Ran::Died), "{ran:?}");
    (simulation, old)
}

async fn hook(simulation: &Simulation, run: &'static str, salt: u64) -> Finished {
    let mut client = part_of(simulation, run, salt);
    client.is_hook = true;
    let finished = simulation.run(&client, &by_default(Order::settle())).await.finished();
    assert_true(simulation, &client, &finished);
    assert!(finished.took < GRACE, "{:?}\n{}", finished.took, finished.shown);
    finished
}

fn assert_true(simulation: &Simulation, client: &Client, finished: &Finished) {
    let problems = truth::problems(simulation, client, finished);
    assert!(problems.is_empty(), "{problems:#?}\n{}", finished.shown);
}

/// What somebody who settles without haste comes to, and that nothing is open then.
async fn at_last(simulation: &Simulation, old: &str) -> Outcome {
    let client = part_of(simulation, "9", 9);
    let finished = simulation.run(&client, &by_default(Order::settle())).await.finished();
    assert_true(simulation, &client, &finished);
    let left = Left::read(simulation);
    assert_eq!((left.open(old), left.busy), (Open::Nothing, false), "{}", finished.shown);
    finished.outcome
}

#[test]
fn a_hook_proves_what_its_own_run_left_and_leaves_other_runs_alone() {
    simulate(async {
        let (simulation, old) = killed("2", Duration::from_secs(60)).await;
        let others = hook(&simulation, "8", 1).await;
        assert_eq!(others.outcome, Outcome::NothingToDo, "{}", others.shown);
        assert!(others.took < Duration::from_secs(5), "it waits for nobody else's swap: {}", others.shown);
        let own = hook(&simulation, "7", 2).await;
        assert_eq!(own.outcome, Outcome::Released, "{}", own.shown);
        assert_eq!(Left::read(&simulation).open(&old), Open::Nothing);
        simulation.end().await;
    });
}

#[test]
fn a_hook_whose_swap_outlasts_the_hosts_grace_time_ends_before_it_and_says_what_is_left() {
    simulate(async {
        let (simulation, old) = killed("2", Duration::from_secs(20 * 60)).await;
        let left = hook(&simulation, "7", 1).await;
        assert!(matches!(left.outcome, Outcome::Refused | Outcome::Stuck), "{}", left.shown);
        for words in ["stopping after 4 min", "a swap may still be under way", "slotway settle", &old] {
            assert!(left.shown.contains(words), "{words}: {}", left.shown);
        }
        assert!(Left::read(&simulation).busy, "the swap goes on");
        assert_eq!(at_last(&simulation, &old).await, Outcome::Released);
        simulation.end().await;
    });
}

#[test]
fn a_hook_whose_rollback_outlasts_the_grace_time_leaves_it_to_the_next() {
    simulate(async {
        let (simulation, old) = killed("bad", Duration::from_secs(150)).await;
        let left = hook(&simulation, "7", 1).await;
        assert_eq!(left.outcome, Outcome::Stuck, "{}", left.shown);
        for words in ["stopping after 4 min", "cancelled in the phase \"roll back\"", "slotway settle"] {
            assert!(left.shown.contains(words), "{words}: {}", left.shown);
        }
        assert!(left.shown.contains("a swap may still be under way"), "{}", left.shown);
        assert_eq!(at_last(&simulation, &old).await, Outcome::RolledBack);
        assert_eq!((Left::read(&simulation).production.build, truth::switches(&simulation)), (old, 2));
        simulation.end().await;
    });
}
