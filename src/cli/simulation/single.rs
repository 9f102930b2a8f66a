//! Single failures that deserve a course of their own: what is expected of each is known.
//!
//! Owns those courses. What must be true of any run is asserted in all of them.

use super::door::{Door, FOR_EVER, SWAP, Seen, Target, Trouble};
use super::fault;
use super::others::Deed;
use super::{Finished, Order, Simulation, scenario, simulate, truth};
use crate::emulator::fault::Kind;
use crate::emulator::scenario::{Action, Actor, Milestone, Scenario};
use crate::names::SlotName;
use crate::release::journal::Event;
use crate::release::machine::Outcome;

const SEED: u64 = 3;
const PUBLISH: &str = "scm staging POST publish";

/// What a course came to.
struct Came {
    finished: Finished,
    log: Vec<Seen>,
    serves: Vec<String>,
}

impl Came {
    fn cause(&self) -> &str {
        self.finished.conclusion.cause.as_ref().map_or("", |(cause, _)| cause)
    }

    fn count(&self, kind: &str) -> usize {
        self.log.iter().filter(|seen| seen.kind == kind).count()
    }

    fn warns(&self, words: &str) -> bool {
        let entries = &self.finished.entries;
        entries.iter().any(|entry| matches!(&entry.event, Event::Warned { text } if text.contains(words)))
    }

    fn assert(&self, outcome: Outcome, version: &str) {
        assert_eq!(
            (self.finished.outcome, self.serves.as_slice()),
            (outcome, [version.to_owned()].as_slice()),
            "{}",
            self.finished.shown
        );
    }
}

fn course(scenario: Scenario, order: &Order, plan: impl Fn(&Door)) -> Came {
    simulate(async {
        let simulation = Simulation::start(scenario).await;
        let client = simulation.client(0);
        plan(&client.door);
        let finished = simulation.run(&client, order).await.finished();
        let problems = truth::problems(&simulation, &client, &finished);
        assert!(problems.is_empty(), "{problems:#?}\n{}", finished.shown);
        let serves = truth::serves(&simulation, &SlotName::production()).await.versions;
        let log = client.door.log();
        drop(client);
        simulation.end().await;
        Came { finished, log, serves }
    })
}

fn at(kind: &str, nth: usize, times: usize) -> Target {
    Target::Kind { kind: kind.to_owned(), from: nth, times }
}

fn staging() -> SlotName {
    SlotName::new("staging").expect("seven letters are a slot's name")
}

fn named(name: &str) -> Trouble {
    let fault = fault::all().into_iter().find(|fault| fault.name == name);
    fault.expect("it stands in the catalogue").trouble
}

#[test]
fn one_instance_that_never_becomes_healthy_keeps_a_release_from_production() {
    for (version, outcome) in [("sick", Outcome::Refused), ("lame", Outcome::RolledBack)] {
        let config = super::CONFIG.replace("{path: /health,", "{path: /health, every-instance: true,");
        let order = Order { config: Some(config), ..Order::release(version) };
        let came = course(scenario(SEED), &order, |_| ());
        came.assert(outcome, "1");
        assert!(came.cause().contains("/health") && came.cause().contains("503"), "{}", came.cause());
    }
}

#[test]
fn an_scm_site_that_restarts_after_the_upload_ends_the_deployment_and_production_is_untouched() {
    let restart = Deed::World(Action::RestartScm { slot: staging() });
    let came = course(scenario(SEED), &Order::release("2"), |door| {
        // The list before the upload is the first but some.
        door.plan(Target::After { kind: PUBLISH.to_owned(), times: 1 }, Trouble::Deed(restart.clone()));
    });
    came.assert(Outcome::Refused, "1");
    assert!(came.cause().contains("no progress"), "{}", came.cause());
}

#[test]
fn a_202_without_a_location_is_followed_by_the_site_alone() {
    let came = course(scenario(SEED), &Order::release("2"), |door| {
        door.plan(at(SWAP, 0, 1), named("202 without Location"));
    });
    came.assert(Outcome::Released, "2");
    assert_eq!((came.count(SWAP), came.count("arm GET staging operationresults")), (1, 0));
}

#[test]
fn operation_results_that_vanish_or_run_for_ever_do_not_decide() {
    for name in ["404", "202, Running, same place", "202, Running, elsewhere", "unknown status word"] {
        let came = course(scenario(SEED), &Order::release("2"), |door| {
            door.plan(at("arm GET staging operationresults", 0, FOR_EVER), named(name));
        });
        came.assert(Outcome::Released, "2");
        let struck = came.log.iter().any(|seen| seen.troubled);
        assert!(struck && came.count(SWAP) == 1, "{name}: {:#?}", came.log);
    }
}

#[test]
fn a_401_at_any_single_request_is_met_with_a_new_token_and_a_404_is_said() {
    let good = course(scenario(SEED), &Order::release("2"), |_| ());
    let publish = good.log.iter().find(|seen| seen.kind == PUBLISH).expect("an upload");
    let reads = good.log[..publish.number].iter().filter(|seen| !seen.kind.starts_with("login"));
    for seen in reads.filter(|seen| seen.kind.starts_with("arm GET") && !seen.kind.contains("endpoints")) {
        let came = course(scenario(SEED), &Order::release("2"), |door| {
            door.plan(Target::Number(seen.number), named("401"));
        });
        came.assert(Outcome::Released, "2");
    }
    let came = course(scenario(SEED), &Order::release("2"), |door| {
        door.plan(at("arm GET production site", 0, 1), named("404"));
    });
    came.assert(Outcome::Refused, "1");
    assert!(came.cause().contains("404"), "{}", came.cause());
}

/// Kudu's own answer to the upload is lost, so that nothing tells which of two is ours.
#[test]
fn of_two_deployments_that_race_for_latest_none_is_taken_for_ours() {
    let rival = Action::Deploy { slot: staging(), package: super::packages::path("3") };
    let actor =
        Actor { after: Milestone::Deployed, skip: 0, delay: std::time::Duration::ZERO, action: rival };
    // They follow each other between two looks.
    let durations = super::Durations { deploy: std::time::Duration::from_millis(50), ..super::brisk() };
    let scenario = Scenario { actors: vec![actor], durations, ..scenario(SEED) };
    let anonymous =
        Kind::Status { code: 202, headers: Default::default(), body: serde_json::Value::Null, act: true };
    let came = course(scenario, &Order::release("2"), |door| {
        door.plan(at(PUBLISH, 0, 1), Trouble::Kind(anonymous.clone()));
    });
    came.assert(Outcome::Refused, "1");
    assert!(came.cause().contains("several deployments appeared"), "{}", came.cause());
    assert_eq!(came.count(SWAP), 0);
}

#[test]
fn settings_that_others_change_in_the_middle_leave_a_true_end() {
    for slot in [staging(), SlotName::production()] {
        let set = [("COLOUR".to_owned(), "blue".to_owned())].into();
        let settings = Deed::World(Action::Settings { slot: slot.clone(), set });
        let came = course(scenario(SEED), &Order::release("2"), |door| {
            door.plan(at("scm staging PUT note", 0, 1), Trouble::Deed(settings.clone()));
        });
        came.assert(Outcome::Released, "2");
    }
}

#[test]
fn a_preview_that_others_prepare_in_the_middle_is_not_swapped_away() {
    let came = course(scenario(SEED), &Order::release("2"), |door| {
        door.plan(at("scm staging PUT note", 0, 1), Trouble::Deed(Deed::Preview));
    });
    let previews = ["applyslotconfig", "resetslotconfig"];
    assert!(!came.log.iter().any(|seen| previews.iter().any(|word| seen.kind.contains(word))));
    assert!(came.count(SWAP) <= 1 && !came.warns("bug"), "{}", came.finished.shown);
}
