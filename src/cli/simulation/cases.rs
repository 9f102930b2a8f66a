//! Courses that once ended in a lie or in a person's hands, each by its name.
//!
//! Owns nothing but them; what every run must leave true is [`truth`]'s.

use std::time::Duration;

use super::door::{SWAP, Target, Trouble};
use super::{Finished, Order, Simulation, fault, scenario, simulate, truth};
use crate::emulator::scenario::{Action, Scenario};
use crate::names::SlotName;
use crate::release::machine::Outcome;

const POLL: &str = "arm GET staging operationresults";
const FOR_EVER: usize = 100_000;

/// A world in which a swap is polled often, and takes long.
fn with_a_slow_swap() -> Scenario {
    let mut scenario = scenario(3);
    scenario.durations.retry_after = Duration::from_secs(1);
    scenario.durations.swap_switch = Duration::from_secs(90);
    scenario
}

fn named(name: &str) -> Trouble {
    let found = fault::all().into_iter().find(|fault| fault.name == name);
    found.unwrap_or_else(|| panic!("the catalogue has no {name}")).trouble
}

fn all(kind: &str, from: usize) -> Target {
    Target::Kind { kind: kind.to_owned(), from, times: FOR_EVER }
}

/// The first of its kind from a number on.
fn first(kind: &str, from: usize) -> Target {
    Target::Kind { kind: kind.to_owned(), from, times: 1 }
}

/// Runs a release in trouble, and asserts that all that it says is true, then and later.
fn release(scenario: Scenario, version: &str, troubles: &[(Target, &str)]) -> Finished {
    simulate(async {
        let simulation = Simulation::start(scenario).await;
        let client = simulation.client(0);
        for (target, name) in troubles {
            client.door.plan(target.clone(), named(name));
        }
        let finished = simulation.run(&client, &Order::release(version)).await.finished();
        let mut problems = truth::problems(&simulation, &client, &finished);
        let struck = client.door.log().iter().filter(|seen| seen.troubled).count();
        assert!(struck >= troubles.len(), "only {struck} requests were in trouble\n{}", finished.shown);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let later = truth::serves(&simulation, &SlotName::production()).await;
        if finished.outcome != Outcome::Stuck && finished.conclusion.production.as_ref() != Some(&later.build)
        {
            problems.push(format!("an hour later production serves {later:?}"));
        }
        assert!(problems.is_empty(), "{problems:#?}\n{}", finished.shown);
        finished
    })
}

#[test]
fn a_swap_that_is_said_to_have_failed_and_goes_on_is_waited_for() {
    let finished = release(with_a_slow_swap(), "2", &[(all(POLL, 0), "200 but Failed")]);
    assert_eq!(finished.outcome, Outcome::Released, "{}", finished.shown);
    assert!(finished.shown.contains("said to have failed"), "{}", finished.shown);
}

#[test]
fn one_word_of_failure_is_not_believed() {
    for name in ["200 but Failed", "417", "400"] {
        let finished = release(with_a_slow_swap(), "2", &[(first(POLL, 0), name)]);
        assert_eq!(finished.outcome, Outcome::Released, "{name}: {}", finished.shown);
        assert!(!finished.shown.contains("failed"), "{name}: {}", finished.shown);
    }
}

#[test]
fn a_token_that_is_not_accepted_for_a_swap_is_renewed_and_the_swap_asked_for_again() {
    for (version, outcome) in [("2", Outcome::Released), ("bad", Outcome::RolledBack)] {
        let finished = release(scenario(3), version, &[(first(SWAP, 0), "401")]);
        assert_eq!(finished.outcome, outcome, "{}", finished.shown);
    }
}

#[test]
fn a_swap_that_never_leaves_is_asked_for_again_when_both_slots_are_as_they_were() {
    for name in ["connection refused", "no such host"] {
        let finished = release(scenario(3), "2", &[(first(SWAP, 0), name)]);
        assert_eq!(finished.outcome, Outcome::Released, "{name}: {}", finished.shown);
        let never = release(scenario(3), "2", &[(all(SWAP, 0), name)]);
        assert_eq!(never.outcome, Outcome::Refused, "{name}: {}", never.shown);
    }
}

/// The way back from a bad build must not be held up by a mark of a swap back that was refused.
#[test]
fn after_a_swap_back_that_was_refused_the_next_one_waits_for_nothing() {
    simulate(async {
        let simulation = Simulation::start(scenario(3)).await;
        let client = simulation.client(0);
        let clean = simulation.client(1);
        let good = simulation.run(&clean, &Order::release("bad")).await.finished();
        assert_eq!(good.outcome, Outcome::RolledBack, "{}", good.shown);
        let log = clean.door.log();
        let back = log.iter().rfind(|seen| seen.kind == SWAP).expect("it swapped back").number;
        client.door.plan(all(SWAP, back - 2), named("403"));
        let stuck = simulation.run(&client, &Order::release("bad")).await.finished();
        assert_eq!(stuck.outcome, Outcome::Stuck, "{}", stuck.shown);
        let next = simulation.client(2);
        let settled = simulation.run(&next, &Order::settle()).await.finished();
        assert_eq!(settled.outcome, Outcome::RolledBack, "{}", settled.shown);
        assert!(settled.took < Duration::from_secs(60), "{:?}\n{}", settled.took, settled.shown);
    });
}

#[test]
fn a_swap_back_that_is_refused_for_a_moment_is_asked_for_again() {
    for name in ["400", "401", "tokens end", "403", "404", "409 deployment lock", "429 for 5 s"] {
        let finished = simulate(async {
            let simulation = Simulation::start(scenario(3)).await;
            let client = simulation.client(0);
            let good = simulation.client(1);
            let clean = simulation.run(&good, &Order::release("bad")).await.finished();
            let swaps: Vec<usize> =
                good.door.log().iter().filter(|seen| seen.kind == SWAP).map(|seen| seen.number).collect();
            assert_eq!((clean.outcome, swaps.len()), (Outcome::RolledBack, 2), "{}", clean.shown);
            client.door.plan(first(SWAP, swaps[1] - 2), named(name));
            let finished = simulation.run(&client, &Order::release("bad")).await.finished();
            let problems = truth::problems(&simulation, &client, &finished);
            assert!(problems.is_empty(), "{name}: {problems:#?}\n{}", finished.shown);
            assert!(client.door.log().iter().any(|seen| seen.troubled), "{name} was met by nobody");
            finished
        });
        assert_eq!(finished.outcome, Outcome::RolledBack, "{name}: {}", finished.shown);
    }
}

#[test]
fn an_upload_that_is_one_too_many_is_sent_again() {
    let finished = release(scenario(3), "2", &[(first("scm staging POST publish", 0), "429 for 5 s")]);
    assert_eq!(finished.outcome, Outcome::Released, "{}", finished.shown);
    assert!(finished.shown.contains("waiting until the package is taken"), "{}", finished.shown);
}

/// Found by seed 9056: production's build came to the slot, and was taken for the one just sent.
#[test]
fn a_build_that_a_swap_brings_to_the_slot_in_the_middle_of_a_deployment_is_not_taken_for_ours() {
    let finished = simulate(async {
        let mut scenario = scenario(3);
        scenario.durations.deploy = Duration::from_secs(10);
        let simulation = Simulation::start(scenario).await;
        let client = simulation.client(0);
        let target = Target::Service { beginning: "scm production".to_owned(), from: 0, times: FOR_EVER };
        client.door.plan(target, named("202 without Location"));
        let order = Order::release("bad");
        let run = simulation.run(&client, &order);
        let stranger = async {
            let sent = || client.door.log().iter().any(|seen| seen.kind == "scm staging POST publish");
            while !sent() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let staging = SlotName::new("staging").expect("seven letters");
            let action = Action::Swap { source: staging, target: SlotName::production() };
            simulation.inside.cloud().shared.act(|world| world.perform(action)).expect("it is accepted");
        };
        let (ran, ()) = tokio::join!(run, stranger);
        let finished = ran.finished();
        let problems = truth::problems(&simulation, &client, &finished);
        assert!(problems.is_empty(), "{problems:#?}\n{}", finished.shown);
        finished
    });
    assert!(matches!(finished.outcome, Outcome::Refused | Outcome::Stuck), "{}", finished.shown);
    let (cause, _) = finished.conclusion.cause.expect("a cause");
    assert!(cause.contains("somebody swapped the slot"), "{cause}");
}

/// Found by seed 5530: the content id stays what it is when somebody deploys straight to production.
#[test]
fn somebody_elses_build_in_production_is_not_called_ours_while_the_record_is_silent_for_a_moment() {
    let finished = simulate(async {
        let simulation = Simulation::start(scenario(3)).await;
        let client = simulation.client(0);
        let order = Order::release("2");
        let run = simulation.run(&client, &order);
        let stranger = async {
            // By then the swap is done, and production is being checked.
            let asked = || client.door.log().iter().any(|seen| seen.kind == "app production GET /health");
            while !asked() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let action = Action::Deploy { slot: SlotName::production(), package: super::packages::path("3") };
            simulation.inside.cloud().shared.act(|world| world.perform(action)).expect("it is accepted");
            let from = client.door.log().len();
            client.door.plan(
                Target::Service { beginning: "scm production".to_owned(), from, times: 12 },
                named("503"),
            );
        };
        let (ran, ()) = tokio::join!(run, stranger);
        let finished = ran.finished();
        let problems = truth::problems(&simulation, &client, &finished);
        assert!(problems.is_empty(), "{problems:#?}\n{}", finished.shown);
        finished
    });
    assert_eq!(finished.outcome, Outcome::Stuck, "{}", finished.shown);
}
