//! The main job: rehearsals in one process, to each outcome.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Finished, Place};

fn scenario(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/scenarios").join(name).display().to_string()
}

/// Runs a rehearsal and asserts what holds for every one: it leaves nothing behind,
/// and the front end has lost no request.
fn rehearse(arguments: &[&str]) -> (Finished, Value) {
    let place = Place::new();
    let all: Vec<&str> =
        ["rehearse", "--output", "json"].into_iter().chain(arguments.iter().copied()).collect();
    let finished = place.run(&all);
    assert_eq!(place.leftovers(), Vec::<String>::new());
    let report = finished.json();
    if !report["watch"].is_null() {
        assert_eq!(report["watch"]["before"]["lost"], 0, "{}", finished.stderr);
        assert_eq!(report["watch"]["during"]["lost"], 0, "{}", finished.stderr);
    }
    (finished, report)
}

#[test]
fn the_main_job_releases_the_storefront_and_loses_no_request() {
    let (finished, report) = rehearse(&[]);
    assert_eq!((finished.code, &report["outcome"]), (0, &"released".into()), "{}", finished.stderr);
    assert_eq!(report["watch"]["lost"], 0);
    assert!(report["watch"]["requests"].as_u64() > Some(5), "{report:#}");
    assert_eq!(report["production"]["after"], report["release-id"]);
    assert_eq!(report["staging"]["after"], report["production"]["before"]);
    let checks = report["checks"].as_array().expect("a list");
    // Two checks of the front end and one on each of two instances, on both sides.
    assert!(checks.len() >= 8, "{checks:#?}");
    assert!(checks.iter().all(|check| check["verdict"] == "pass"));
}

#[test]
fn a_step_rehearses_without_an_account() {
    let place = Place::new();
    let output = place.write("output", "");
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/storefront/v2");
    let mut command = place.slotway(&["run"]);
    command.envs([("GITHUB_ACTIONS", "true"), ("INPUT_COMMAND", "rehearse"), ("INPUT_APP-NAME", "mine")]);
    command.env("INPUT_PACKAGE", package).env("GITHUB_OUTPUT", &output);
    let finished = Finished::from(command.output().expect("the binary runs"));
    assert_eq!(finished.code, 0, "{}{}", finished.stdout, finished.stderr);
    let told = std::fs::read_to_string(output).expect("text");
    assert!(told.contains("released"), "{told}");
    assert_eq!(place.leftovers(), Vec::<String>::new());
}

#[test]
fn a_release_that_fails_on_staging_is_refused() {
    let (finished, report) = rehearse(&["--scenario", &scenario("refused.yml")]);
    assert_eq!((finished.code, &report["outcome"]), (3, &"refused".into()), "{}", finished.stderr);
    assert_eq!(report["production"]["after"], report["production"]["before"]);
    assert!(report["cause"].as_str().expect("a cause").contains("health"), "{report:#}");
}

#[test]
fn a_release_that_fails_in_production_is_rolled_back() {
    let (finished, report) = rehearse(&["--scenario", &scenario("rolled-back.yml")]);
    assert_eq!((finished.code, &report["outcome"]), (4, &"rolled-back".into()), "{}", finished.stderr);
    assert_eq!(report["production"]["after"], report["production"]["before"]);
    assert_eq!(report["staging"]["after"], report["release-id"]);
    assert!(report["cause"].as_str().expect("a cause").starts_with("production"), "{report:#}");
}

#[test]
fn a_release_whose_way_back_is_bad_too_is_stuck() {
    let (finished, report) = rehearse(&["--scenario", &scenario("stuck.yml")]);
    assert_eq!((finished.code, &report["outcome"]), (5, &"stuck".into()), "{}", finished.stderr);
    assert_eq!(report["production"]["after"], report["release-id"]);
    assert!(report["cause"].as_str().expect("a cause").starts_with("production"), "{report:#}");
    assert!(report["next"].as_str().expect("a next command").contains("slotway status"));
}

#[test]
fn the_released_scenario_is_released() {
    let (finished, report) = rehearse(&["--scenario", &scenario("released.yml")]);
    assert_eq!((finished.code, &report["outcome"]), (0, &"released".into()), "{}", finished.stderr);
}

#[test]
fn every_verb_can_be_rehearsed() {
    for (verb, code, outcome) in
        [("deploy", 0, "staged"), ("swap", 0, "released"), ("rollback", 0, "rolled-back")]
    {
        let (finished, report) = rehearse(&[verb]);
        assert_eq!((finished.code, &report["outcome"]), (code, &outcome.into()), "{}", finished.stderr);
    }
    let (finished, report) = rehearse(&["status"]);
    assert_eq!(
        (finished.code, report["slots"].as_array().map(Vec::len)),
        (0, Some(2)),
        "{}",
        finished.stderr
    );
    let (finished, report) = rehearse(&["plan"]);
    assert_eq!((finished.code, &report["allowed"]), (0, &true.into()), "{}", finished.stderr);
    let (finished, report) = rehearse(&["check"]);
    assert_eq!((finished.code, &report["verdict"]), (0, &"pass".into()), "{}", finished.stderr);
}

#[test]
fn the_users_own_folder_is_swapped_in_a_rehearsal_too() {
    let place = Place::new();
    place.write("dist/index.html", "<h1>mine</h1>");
    let finished = place.run(&["rehearse", "swap", "--output", "json", "--package", "dist"]);
    assert_eq!((finished.code, &finished.json()["outcome"]), (0, &"released".into()), "{}", finished.stderr);
}

#[test]
fn a_rollback_brings_back_the_version_before() {
    let (_, report) = rehearse(&["rollback"]);
    assert_eq!(report["production"]["after"], report["staging"]["before"]);
    assert_eq!(report["staging"]["after"], report["production"]["before"]);
}

#[test]
fn the_users_own_folder_is_rehearsed_and_left_as_it_was() {
    let place = Place::new();
    let page = place.write("dist/index.html", "<h1>mine</h1>");
    let finished =
        place.run(&["rehearse", "--output", "json", "--package", "dist", "--summary", "summary.md"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(std::fs::read_to_string(page).expect("still there"), "<h1>mine</h1>");
    let summary = std::fs::read_to_string(place.path().join("summary.md")).expect("a summary");
    for part in [
        "## ✅ release contoso-web: released",
        "| [production](https://",
        "### Timeline",
        " to production was lost.",
    ] {
        assert!(summary.contains(part), "{part} is missing in:\n{summary}");
    }
}
