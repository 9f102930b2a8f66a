//! Every fault that the emulator can play, once, at a read, at the upload and at the swap:
//! the release ends, and what it says of production is so.

use crate::service::Service;
use crate::trouble::{QUICK, outcome};

/// All but `stall`, which ends with a time-out or a signal (signals.rs).
const FAULTS: [&str; 13] = [
    "refuse",
    "reset-before",
    "garbage",
    "{status: {code: 503, headers: {retry-after: nonsense}}}",
    "reset-after",
    "cut-body",
    "{garbage: {act: true}}",
    "html",
    "not-utf8",
    "{html: {status: 502, act: true}}",
    "endless",
    "{status: {code: 504, act: true}}",
    "{delay: {by: 300ms}}",
];
/// The first of them lose a request before it is carried out and leave that unclear.
const UNSEEN: usize = 4;

/// Plays each fault once at a kind of request, side by side: most of the time is waiting.
fn at_each_fault(faults: &[&str], on: &str, outcomes: &[&str]) {
    std::thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || at(on, fault, outcomes));
        }
    });
}

fn at(on: &str, fault: &str, outcomes: &[&str]) {
    let service = Service::start(&format!("faults:\n- {{on: {on}, do: {fault}}}\n"));
    service.place.write("slotway.yml", QUICK.replace("swap: 20s", "swap: 4s"));
    let finished = service.run("release", &["--package", &service.package("2")]);
    let report = finished.json();
    let said = outcome(&report);
    let production = &report["production"]["after"];
    let unread = said == "refused" && production == "could not be read";
    assert!(unread || *production == service.serves("production"), "{fault} at {on}: {production}");
    assert!(outcomes.contains(&said), "{fault} at {on}: {said}: {}", finished.stderr);
    assert!(service.swaps() <= 1, "{fault} at {on}");
    assert_eq!(said == "released", service.swaps() == 1 && finished.code == 0, "{fault} at {on}: {said}");
}

#[test]
fn each_fault_at_a_read_is_passed_over_or_refuses() {
    // A page that says 200 is no passing failure: something else answers there.
    at_each_fault(
        &FAULTS,
        "{service: resource-manager, method: GET, path: 'sites/[^/]+$'}",
        &["released", "refused"],
    );
}

#[test]
fn each_fault_at_the_upload_ends_in_a_true_outcome() {
    // An upload that was lost unseen is looked for during forty seconds, which only a stepped clock shortens.
    at_each_fault(&FAULTS[UNSEEN..], "{service: scm, method: POST, path: publish}", &["released", "refused"]);
}

#[test]
fn each_fault_at_the_swap_ends_in_a_true_outcome() {
    at_each_fault(
        &FAULTS,
        "{service: resource-manager, path: 'slotsswap$'}",
        &["released", "refused", "stuck"],
    );
}
