//! SIGINT and SIGTERM at any point: the run ends soon, says what it leaves, and leaves no
//! file. What a killed process leaves, the next one clears.

#![cfg(unix)]

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Finished, Place, wait_for};
use crate::service::Service;

/// Two seconds are promised, and 1.8 of them may go by with waiting for an Azure that is silent;
/// the rest of this is for a binary that is not optimised, on two processors that other tests keep
/// busy. That the waiting alone stays within two seconds is shown by the simulated clock, at every
/// request (`cli/simulation/death.rs`).
const SOON: Duration = Duration::from_millis(2700);
/// Limits by which a swap that never comes is soon over.
const QUICK: &str =
    "limits: {settle: 1s, no-progress: 5s, swap: 12s, ready: 20s}\nproduction: {for: 0s, passes: 1}\n";

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

/// A stage of a release that can hang on somebody else.
struct Stage {
    name: &'static str,
    /// What hangs.
    fault: &'static str,
    /// The requests by which a run is seen to have come there: service, and a word of the path or the slot.
    seen: &'static [(&'static str, &'static str)],
    /// How it ends when it is told to.
    end: (i32, &'static str),
    /// The phase that it says.
    phase: &'static str,
    /// What settling it comes to.
    settled: &'static str,
}

const UNTOUCHED: (i32, &str) = (3, "refused");
const LEFT: (i32, &str) = (5, "stuck");

const BEFORE_THE_SWAP: [Stage; 5] = [
    Stage {
        name: "signing in",
        fault: "{service: authority, path: token}, do: stall",
        seen: &[("authority", "token")],
        end: UNTOUCHED,
        phase: "before anything was touched",
        settled: "nothing-to-do",
    },
    Stage {
        name: "reading the facts",
        fault: "{service: resource-manager, path: 'sites/[^/]+$'}, do: stall",
        seen: &[("resource-manager", "sites")],
        end: UNTOUCHED,
        phase: "before anything was touched",
        settled: "nothing-to-do",
    },
    Stage {
        name: "uploading",
        fault: "{service: scm, path: publish}, do: stall",
        seen: &[("scm", "publish")],
        end: UNTOUCHED,
        phase: "deploy",
        settled: "nothing-to-do",
    },
    Stage {
        name: "polling the deployment",
        fault: "{service: scm, path: 'deployments/'}, do: {status: {code: 202, body: {status: 1}}}",
        seen: &[("scm", "publish"), ("scm", "deployments")],
        end: UNTOUCHED,
        phase: "deploy",
        settled: "nothing-to-do",
    },
    Stage {
        name: "checking staging",
        fault: "{service: app, slot: staging}, do: stall",
        seen: &[("scm", "publish"), ("app", "staging")],
        end: UNTOUCHED,
        phase: "check staging",
        settled: "nothing-to-do",
    },
];

const SWAPPING: [Stage; 3] = [
    Stage {
        name: "swapping, not carried out",
        fault: "{service: resource-manager, path: 'slotsswap$'}, do: stall",
        seen: &[("resource-manager", "slotsswap")],
        end: LEFT,
        phase: "swap",
        settled: "nothing-to-do",
    },
    Stage {
        name: "swapping, carried out",
        fault: "{service: resource-manager, path: 'slotsswap$'}, do: {stall: {act: true}}",
        seen: &[("resource-manager", "slotsswap")],
        end: LEFT,
        phase: "swap",
        settled: "released",
    },
    Stage {
        name: "polling the swap",
        fault: "{service: resource-manager, path: operationresults}, do: stall",
        seen: &[("resource-manager", "operationresults")],
        end: LEFT,
        phase: "swap",
        settled: "released",
    },
];

/// Starts a release in which something hangs, and waits until it has come there.
fn hanging(stage: &Stage) -> (Service, Child) {
    let service = Service::start(&format!(
        "durations: {{swap-switch: 6s, retry-after: 1s}}\nfaults:\n- {{times: 0, on: {}}}\n",
        stage.fault
    ));
    service.place.write("slotway.yml", QUICK);
    let child = start(&mut service.command("release", &["--package", &service.package("2")]));
    wait_for(stage.name, || service.has_seen_in_order(stage.seen));
    (service, child)
}

/// It says what it left, and what production serves in the emulator's world.
fn assert_true(service: &Service, finished: &Finished, stage: &Stage) {
    let what = stage.name;
    service.assert_quiet(finished);
    let report = finished.json();
    let ended = (finished.code, report["outcome"].as_str().expect("an outcome"));
    assert_eq!(ended, stage.end, "{what}: {}", finished.stderr);
    let phase = match stage.phase.starts_with("before") {
        true => format!("cancelled {}", stage.phase),
        false => format!("cancelled in the phase \"{}\"", stage.phase),
    };
    assert!(finished.stderr.contains(&phase), "{what}: {phase}: {}", finished.stderr);
    let said = &report["production"]["after"];
    if stage.phase.starts_with("before") {
        assert!(said.is_null() || said == "could not be read", "{what}: {said}");
    } else {
        assert_eq!(*said, service.serves("production"), "{what}: {}", finished.stderr);
        assert!(finished.stderr.contains("slotway settle"), "{what}: {}", finished.stderr);
    }
    let moves = finished.stderr.contains("a swap may still be under way");
    assert_eq!(moves, stage.end == LEFT, "{what}: {}", finished.stderr);
    assert_eq!(service.swaps(), 0, "{what}: it was stopped before any switch");
    let left: Vec<String> = service.place.leftovers();
    assert_eq!(left.len(), 1, "{what}: the emulator's own folder only, not {left:?}");
}

/// What the stopped run left is brought to its end by a process of another machine.
fn assert_settled(service: &Service, stage: &Stage) {
    let old = service.serves("production");
    service.control("DELETE", "faults", &Value::Null);
    let settled = service.run_elsewhere(QUICK, "settle", &[]);
    let (what, report) = (stage.name, settled.json());
    assert_eq!(
        (settled.code, report["outcome"].as_str()),
        (0, Some(stage.settled)),
        "{what}: {}",
        settled.stderr
    );
    let now = service.serves("production");
    assert_eq!(report["production"]["after"], now, "{what}: {}", settled.stderr);
    assert_eq!(now != old, stage.settled == "released", "{what}: {}", settled.stderr);
    assert_eq!(service.swaps(), usize::from(now != old), "{what}");
}

fn stopped_in(stages: &[Stage], signal: Signal) {
    // They wait for others most of the time.
    std::thread::scope(|scope| {
        for stage in stages {
            scope.spawn(move || {
                let (service, child) = hanging(stage);
                let finished = ended(child, signal);
                assert_true(&service, &finished, stage);
                assert_settled(&service, stage);
            });
        }
    });
}

#[test]
fn sigint_ends_every_stage_soon() {
    stopped_in(&BEFORE_THE_SWAP, Signal::SIGINT);
}

#[test]
fn sigterm_ends_every_stage_soon() {
    stopped_in(&BEFORE_THE_SWAP, Signal::SIGTERM);
}

#[test]
fn sigint_in_a_swap_is_answered_by_what_may_still_move_and_settle_finishes_it() {
    stopped_in(&SWAPPING, Signal::SIGINT);
}

#[test]
fn sigterm_in_a_swap_is_answered_by_what_may_still_move_and_settle_finishes_it() {
    stopped_in(&SWAPPING, Signal::SIGTERM);
}

#[test]
fn a_run_that_is_asked_to_stop_while_azure_is_silent_ends_all_the_same() {
    let (service, child) = hanging(&SWAPPING[2]);
    let silence = serde_json::json!({"times": 0, "on": {"service": "resource-manager"}, "do": "stall"});
    service.control("POST", "faults", &silence);
    let finished = ended(child, Signal::SIGTERM);
    service.assert_quiet(&finished);
    assert_eq!(finished.code, 5, "{}", finished.stderr);
    for words in ["a swap may still be under way", "Azure did not say in time", "slotway settle"] {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
    assert_settled(&service, &SWAPPING[2]);
}
