//! Two releases of the same app, by two processes that begin at the same moment. Production in
//! the emulator's world is the judge of what both say. Every other offset between the two is
//! simulated (`src/cli/simulation/rival.rs`).

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{Finished, Place};
use crate::service::Service;

const QUICK: &str =
    "limits: {settle: 2s, no-progress: 10s, swap: 30s, ready: 20s}\nproduction: {for: 0s, passes: 1}\n";

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn text<'a>(report: &'a Value, name: &str) -> &'a str {
    report[name].as_str().unwrap_or_default()
}

#[test]
fn of_two_processes_that_release_at_the_same_moment_one_comes_in_and_both_tell_the_truth() {
    let service = Service::start("durations: {deploy: 500ms, swap-switch: 500ms}\n");
    let old = service.serves("production");
    let places = [Place::new(), Place::new()];
    let children = ["2", "3"].map(|version| {
        let place = &places[usize::from(version == "3")];
        place.write("slotway.yml", QUICK);
        start(service.command_in(place, "release", &["--package", &service.package(version)]))
    });
    let both = children.map(|child| Finished::from(child.wait_with_output().expect("it ends")));
    let reports = both.each_ref().map(|finished| {
        service.assert_quiet(finished);
        finished.json()
    });
    let outcomes = reports.each_ref().map(|report| text(report, "outcome"));
    let said = format!("{outcomes:?}\n{}\n{}", both[0].stderr, both[1].stderr);
    assert_ne!(outcomes, ["stuck"; 2], "{said}");
    let released: Vec<&Value> = reports.iter().filter(|one| text(one, "outcome") == "released").collect();
    let now = service.serves("production");
    match released.as_slice() {
        // Azure has no lock against a deployment that begins between the last look and the switch.
        [] => {
            let mixed = |one: &Value| text(one, "cause").contains("has begun in production's content");
            assert!(reports.iter().any(mixed), "{said}");
            assert_eq!(now, old, "{said}");
        }
        [one] => assert_eq!(one["production"]["after"], now, "{said}"),
        [one, other, ..] => {
            assert_ne!(one["production"]["before"], other["production"]["before"], "{said}");
            assert!([one, other].iter().any(|one| one["production"]["after"] == now), "{said}");
        }
    }
    assert!(service.swaps() <= 2, "{said}");
    let settled = service.run_elsewhere(QUICK, "settle", &[]);
    assert_eq!(text(&settled.json(), "outcome"), "nothing-to-do", "{}\nafter {said}", settled.stderr);
}
