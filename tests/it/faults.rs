//! Every fault that the emulator can play, once, at a read, at the upload and at the swap:
//! the release ends, and what it says of production is so.

use crate::service::Service;
use crate::trouble::{outcome, release};

/// All but `stall`, which ends with a time-out or a signal (signals.rs).
const FAULTS: [&str; 12] = [
    "refuse",
    "reset-before",
    "reset-after",
    "cut-body",
    "garbage",
    "{garbage: {act: true}}",
    "html",
    "{html: {status: 502, act: true}}",
    "endless",
    "{status: {code: 503, headers: {retry-after: nonsense}}}",
    "{status: {code: 504, act: true}}",
    "{delay: {by: 300ms}}",
];

/// Plays each fault once at a kind of request.
fn at_each_fault(on: &str, outcomes: &[&str]) {
    for fault in FAULTS {
        let service = Service::start(&format!("faults:\n- {{on: {on}, do: {fault}}}\n"));
        let (finished, report) = release(&service);
        let said = outcome(&report);
        assert!(outcomes.contains(&said), "{fault} at {on}: {said}: {}", finished.stderr);
        assert!(service.swaps() <= 1, "{fault} at {on}");
        assert_eq!(said == "released", service.swaps() == 1 && finished.code == 0, "{fault} at {on}: {said}");
    }
}

#[test]
fn each_fault_at_a_read_is_passed_over() {
    at_each_fault("{service: resource-manager, method: GET, path: 'sites/[^/]+$'}", &["released"]);
}

#[test]
fn each_fault_at_the_upload_ends_in_a_true_outcome() {
    at_each_fault("{service: scm, method: POST, path: publish}", &["released", "refused"]);
}

#[test]
fn each_fault_at_the_swap_ends_in_a_true_outcome() {
    at_each_fault("{service: resource-manager, path: 'slotsswap$'}", &["released", "refused", "stuck"]);
}
