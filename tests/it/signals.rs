//! SIGINT and SIGTERM at any point: the run ends soon, says what it leaves, and leaves no
//! file. What a killed process leaves, the next one clears.

#![cfg(unix)]

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Finished, Place};
use crate::service::Service;

/// Two seconds are promised; the rest is for a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(4);

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal).expect("a signal");
}

/// Signals and waits for the end, which has to come soon.
fn ended(child: Child, signal: Signal) -> Finished {
    let signalled = Instant::now();
    send(&child, signal);
    let finished = Finished::from(child.wait_with_output().expect("it ends"));
    let took = signalled.elapsed();
    assert!(took < SOON, "took {took:?}: {}", finished.stderr);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    finished
}

/// A folder whose packing takes long: sparse, so that it costs no disk.
fn large_folder(place: &Place) -> String {
    place.write("large/index.html", "x");
    let file = std::fs::File::create(place.path().join("large/data.bin")).expect("a file");
    file.set_len(2_000_000_000).expect("a sparse file");
    place.path().join("large").display().to_string()
}

fn is_packing(place: &Place) -> bool {
    place.leftovers().iter().any(|name| place.path().join("tmp").join(name).join("package.zip").exists())
}

const OFFLINE: [&str; 9] = [
    "release",
    "--app-name",
    "contoso-web",
    "--subscription-id",
    "00000000-0000-0000-0000-000000000001",
    "--tenant-id",
    "00000000-0000-0000-0000-000000000001",
    "--client-id",
    "00000000-0000-0000-0000-000000000002",
];

fn packing(place: &Place) -> Child {
    let folder = large_folder(place);
    let mut command = place.slotway(&OFFLINE);
    let child = start(command.args(["--package", &folder]).env("AZURE_CLIENT_SECRET", "not-used"));
    wait_for("the packed file", || is_packing(place));
    child
}

#[test]
fn cancelled_while_packing_it_leaves_no_file() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let place = Place::new();
        let finished = ended(packing(&place), signal);
        assert_eq!(finished.code, 3, "{}", finished.stderr);
        assert!(finished.stdout.contains("cancelled before anything was touched"), "{}", finished.stdout);
        assert_eq!(place.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn what_a_killed_run_left_is_cleared_by_the_next() {
    let place = Place::new();
    let mut child = packing(&place);
    send(&child, Signal::SIGKILL);
    child.wait().expect("it ends");
    assert_eq!(place.leftovers().len(), 1, "a killed process clears nothing");
    place.write("small/index.html", "x");
    let finished = place.run(&["rehearse", "plan", "--package", "small"]);
    assert_eq!((finished.code, place.leftovers()), (0, Vec::new()), "{}", finished.stderr);
}

#[test]
fn what_a_killed_emulator_left_is_cleared_by_the_next_and_a_living_ones_is_not() {
    let place = Place::new();
    let begin = || {
        let mut child = start(place.slotway(&["emulator", "--ready-file", "ready.json"]).process_group(0));
        wait_for("the ready file", || {
            assert!(child.try_wait().expect("a status").is_none(), "it ended");
            place.path().join("ready.json").exists()
        });
        std::fs::remove_file(place.path().join("ready.json")).expect("a ready file");
        child
    };
    let mut killed = begin();
    send(&killed, Signal::SIGKILL);
    killed.wait().expect("it ends");
    let left = place.leftovers();
    assert_eq!(left.len(), 1, "a killed process clears nothing");
    let living = begin();
    let now = place.leftovers();
    assert!(now.len() == 1 && now != left, "{left:?} then {now:?}");
    let finished = place.run(&["rehearse", "plan"]);
    assert_eq!((finished.code, place.leftovers()), (0, now), "the living one's folder stays");
    assert_eq!(ended(living, Signal::SIGTERM).code, 0);
    assert_eq!(place.leftovers(), Vec::<String>::new());
}

/// Every stage of a release that can hang on somebody else: what hangs, how a run is seen to
/// have come there, and how it ends when it is told to.
const STAGES: [(&str, &str, &str, i32, &str); 8] = [
    ("signing in", "{service: authority, path: token}, do: stall", "token", 3, "refused"),
    (
        "reading the facts",
        "{service: resource-manager, path: 'sites/[^/]+$'}, do: stall",
        "sites",
        3,
        "refused",
    ),
    ("uploading", "{service: scm, path: publish}, do: stall", "publish", 3, "refused"),
    (
        "polling the deployment",
        "{service: scm, path: 'deployments/'}, do: {status: {code: 202, body: {status: 1}}}",
        "deployments/",
        3,
        "refused",
    ),
    ("checking staging", "{service: app, slot: staging}, do: stall", "/", 3, "refused"),
    (
        "swapping, not carried out",
        "{service: resource-manager, path: 'slotsswap$'}, do: stall",
        "slotsswap",
        5,
        "stuck",
    ),
    (
        "swapping, carried out",
        "{service: resource-manager, path: 'slotsswap$'}, do: {stall: {act: true}}",
        "slotsswap",
        5,
        "stuck",
    ),
    (
        "polling the swap",
        "{service: resource-manager, path: operationresults}, do: stall",
        "operationresults",
        5,
        "stuck",
    ),
];

fn cancelled_at(stage: (&str, &str, &str, i32, &str), signal: Signal) {
    let (what, fault, path, code, outcome) = stage;
    let service = Service::start(&format!(
        "durations: {{swap-switch: 20s, retry-after: 1s}}\nfaults:\n- {{times: 0, on: {fault}}}\n"
    ));
    let child = start(&mut service.command("release", &["--package", &service.package("2")]));
    wait_for(what, || {
        let requests = service.control("GET", "requests", &Value::Null);
        let is_there = |request: &Value| {
            let seen = request["path"].as_str().is_some_and(|seen| seen.contains(path));
            seen && request["service"] != "control"
                && fault.contains(request["service"].as_str().unwrap_or("?"))
        };
        requests.as_array().expect("a list").iter().any(is_there)
    });
    let finished = ended(child, signal);
    service.assert_quiet(&finished);
    let report = finished.json();
    assert_eq!(
        (finished.code, &report["outcome"]),
        (code, &Value::from(outcome)),
        "{what}: {}",
        finished.stderr
    );
    assert!(finished.stderr.contains("cancel"), "{what}: {}", finished.stderr);
    assert!(service.swaps() <= 1, "{what}");
    if outcome == "refused" {
        assert_eq!(service.swaps(), 0, "{what}");
    }
    let left: Vec<String> = service.place.leftovers();
    assert_eq!(left.len(), 1, "{what}: the emulator's own folder only, not {left:?}");
}

#[test]
fn sigint_ends_every_stage_soon() {
    for stage in STAGES {
        cancelled_at(stage, Signal::SIGINT);
    }
}

#[test]
fn sigterm_ends_every_stage_soon() {
    for stage in STAGES {
        cancelled_at(stage, Signal::SIGTERM);
    }
}
