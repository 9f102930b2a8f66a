//! A run that is killed in the middle, and what `settle`, from a process that knows
//! nothing of it and has none of its folders, makes of what it left. Production in the
//! emulator's world is the judge.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Finished, Place, wait_for};
use crate::service::Service;

const QUICK: &str =
    "limits: {settle: 1s, no-progress: 2s, swap: 20s, ready: 10s}\nproduction: {for: 0s, passes: 1}\n";
const BREAKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/apps/breaks-in-production");
const BREAKS_CHECKS: &str = "checks: [{path: /health, retry-for: 1s, every: 100ms}]\n";

/// Starts a verb and kills it, as the kernel would, once the emulator has seen so many
/// requests of this kind.
fn killed_at(service: &Service, verb: &str, more: &[&str], method: &str, path: &str, count: usize) {
    kill_at(service, service.command(verb, more), method, path, count);
}

fn kill_at(service: &Service, mut command: Command, method: &str, path: &str, count: usize) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    wait_for(&format!("{method} {path}"), || {
        let seen = service.has_seen(method, path, count);
        assert!(seen || child.try_wait().expect("a child").is_none(), "it ended before {method} {path}");
        seen
    });
    child.kill().expect("a kill");
    child.wait().expect("an end");
}

/// As on another machine: of the killed run's folders it has none.
fn settle_with(service: &Service, config: &str) -> (Finished, Value) {
    let finished = service.run_elsewhere(config, "settle", &[]);
    let report = finished.json();
    assert_eq!(report["production"]["after"], service.serves("production"), "{}", finished.stderr);
    (finished, report)
}

fn settle(service: &Service) -> (Finished, Value) {
    settle_with(service, QUICK)
}

/// `settle` once more finds nothing: it has finished.
fn assert_settled(service: &Service) {
    let (finished, report) = settle(service);
    assert_eq!((finished.code, &report["outcome"]), (0, &json!("nothing-to-do")), "{}", finished.stderr);
}

#[test]
fn a_run_killed_before_the_swap_leaves_nothing_to_settle() {
    let service = Service::start("durations: {deploy: 1s}\n");
    service.place.write("slotway.yml", QUICK);
    let old = service.serves("production");
    killed_at(&service, "release", &["--package", &service.package("2")], "POST", "/api/publish", 1);
    assert_settled(&service);
    assert_eq!((service.serves("production"), service.swaps()), (old, 0));
}

#[test]
fn a_swap_whose_run_was_killed_is_awaited_and_proven() {
    let service = Service::start("durations: {swap-switch: 2s}\n");
    service.place.write("slotway.yml", QUICK);
    let old = service.serves("production");
    killed_at(&service, "release", &["--package", &service.package("2")], "POST", "slotsswap", 1);
    let (finished, report) = settle(&service);
    assert_eq!((finished.code, &report["outcome"]), (0, &json!("released")), "{}", finished.stderr);
    assert_eq!(service.swaps(), 1);
    assert_ne!(service.serves("production"), old);
    assert_settled(&service);
}

#[test]
fn a_killed_run_whose_release_fails_in_production_is_taken_back() {
    let service = Service::start(
        "durations: {swap-switch: 2s}\nslots: {production: {slot-settings: {PAYMENTS: live}}}\n",
    );
    service.place.write("slotway.yml", format!("{QUICK}{BREAKS_CHECKS}"));
    let old = service.serves("production");
    killed_at(&service, "release", &["--package", BREAKS], "POST", "slotsswap", 1);
    let (finished, report) = settle_with(&service, &format!("{QUICK}{BREAKS_CHECKS}"));
    assert_eq!((finished.code, &report["outcome"]), (4, &json!("rolled-back")), "{}", finished.stderr);
    assert_eq!((service.serves("production"), service.swaps()), (old, 2));
    assert_settled(&service);
}

#[test]
fn a_rollback_whose_run_was_killed_is_awaited_and_not_sent_again() {
    let service = Service::start(
        "durations: {swap-switch: 2s}\nslots: {production: {slot-settings: {PAYMENTS: live}}}\n",
    );
    service.place.write("slotway.yml", format!("{QUICK}{BREAKS_CHECKS}"));
    let old = service.serves("production");
    killed_at(&service, "release", &["--package", BREAKS], "POST", "slotsswap", 2);
    let (finished, report) = settle_with(&service, &format!("{QUICK}{BREAKS_CHECKS}"));
    assert_eq!((finished.code, &report["outcome"]), (4, &json!("rolled-back")), "{}", finished.stderr);
    assert_eq!((service.serves("production"), service.swaps()), (old, 2));
    assert_settled(&service);
}

#[test]
fn a_swap_that_never_came_is_forgotten_once_its_time_is_over() {
    let service =
        Service::start("faults:\n- {on: {service: resource-manager, path: slotsswap$}, do: reset-before}\n");
    service.place.write("slotway.yml", QUICK.replace("swap: 20s", "swap: 2s"));
    let old = service.serves("production");
    killed_at(&service, "release", &["--package", &service.package("2")], "POST", "slotsswap", 1);
    let (finished, report) = settle_with(&service, &QUICK.replace("swap: 20s", "swap: 2s"));
    assert_eq!((finished.code, &report["outcome"]), (0, &json!("nothing-to-do")), "{}", finished.stderr);
    assert!(finished.stderr.contains("it did not happen"), "{}", finished.stderr);
    assert_eq!((service.serves("production"), service.swaps()), (old, 0));
    let again = service.run("release", &["--package", &service.package("3")]);
    assert_eq!((again.code, again.json()["outcome"].clone()), (0, json!("released")), "{}", again.stderr);
    assert!(!again.stderr.contains("shows no end"), "nobody waits for it again: {}", again.stderr);
}

#[test]
fn the_same_release_again_does_not_destroy_the_way_back_from_an_unproven_one() {
    let service = Service::start("durations: {swap-switch: 1s}\n");
    service.place.write("slotway.yml", QUICK);
    let package = service.package("2");
    killed_at(&service, "release", &["--package", &package], "POST", "slotsswap", 1);
    let again = service.run("release", &["--package", &package]);
    let report = again.json();
    assert_eq!((again.code, &report["outcome"]), (3, &json!("refused")), "{}", again.stderr);
    assert_eq!(report["production"]["after"], service.serves("production"));
    assert!(report["cause"].as_str().expect("a cause").contains("proven by nobody"), "{report:#}");
    assert!(report["help"].to_string().contains("slotway settle"), "{report:#}");
    let (_, settled) = settle(&service);
    assert_eq!(settled["outcome"], "released");
    let once_more = service.run("release", &["--package", &service.package("3")]);
    assert_eq!(once_more.code, 0, "{}", once_more.stderr);
}

#[test]
fn a_post_hook_settles_only_what_its_own_run_left() {
    let service = Service::start("durations: {swap-switch: 1s}\n");
    service.place.write("slotway.yml", QUICK);
    let package = service.package("2");
    let mut command = service.command("release", &["--package", &package]);
    command.envs([("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "contoso/shop"), ("GITHUB_RUN_ID", "7")]);
    kill_at(&service, command, "POST", "slotsswap", 1);
    let elsewhere = Place::new();
    elsewhere.write("slotway.yml", QUICK);
    let hook = |run: &str| {
        let mut command = elsewhere.slotway(&["run", "--settle", "--output", "json"]);
        for (input, name) in [
            ("RESOURCE-MANAGER-URL", "resource_manager"),
            ("CA-FILE", "ca_file"),
            ("TENANT-ID", "tenant_id"),
            ("CLIENT-ID", "client_id"),
            ("CLIENT-SECRET", "client_secret"),
            ("SUBSCRIPTION-ID", "subscription_id"),
            ("APP-NAME", "app_name"),
        ] {
            command.env(format!("INPUT_{input}"), service.get(name));
        }
        command.envs([("INPUT_ENVIRONMENT", "AzureStack"), ("INPUT_COMMAND", "release")]);
        command.envs([
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "contoso/shop"),
            ("GITHUB_RUN_ID", run),
        ]);
        Finished::from(command.output().expect("the binary runs")).json()
    };
    assert_eq!(hook("8")["outcome"], "nothing-to-do");
    assert_eq!(hook("7")["outcome"], "released");
    assert_settled(&service);
}
