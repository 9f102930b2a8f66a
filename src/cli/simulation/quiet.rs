//! No output in any form holds a secret or a token: the host's log, the JSON report, the
//! summary, the annotations and the most talkative diagnostics of runs in trouble.
//!
//! Owns the search. What is said of production is asked elsewhere.

use std::io::Write;

use tracing_subscriber::EnvFilter;

use super::door::{SWAP, Target};
use super::fault::{self, Fault};
use super::{Order, SECRET, Shown, Simulation, scenario, simulate};
use crate::host::Host;
use crate::report;

const SEED: u64 = 13;
/// Where a request carries a secret or a token, or its answer brings one.
const KINDS: [&str; 6] = [
    "login POST token",
    "arm GET production site",
    "scm staging POST publish",
    "scm staging GET deployments",
    SWAP,
    "arm GET staging operationresults",
];

/// Everything that a run in trouble puts out, form by form.
fn outputs(host: Host, kind: &str, fault: &Fault) -> Vec<(&'static str, String)> {
    let diagnostics = Shown::default();
    let writer = diagnostics.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace"))
        .with_writer(move || Box::new(writer.clone()) as Box<dyn Write>)
        .with_ansi(false)
        .finish();
    let finished = tracing::subscriber::with_default(subscriber, || {
        simulate(async {
            let simulation = Simulation::start(scenario(SEED)).await;
            let mut client = simulation.client(0);
            client.host = host;
            let target = Target::Kind { kind: kind.to_owned(), from: 0, times: 3 };
            client.door.plan(target, fault.trouble.clone());
            let finished = simulation.run(&client, &Order::release("2")).await.finished();
            assert!(client.door.log().iter().any(|seen| seen.troubled), "{kind} was not made");
            drop(client);
            simulation.end().await;
            finished
        })
    });
    let document = report::json::report(&finished.entries, finished.code, None);
    vec![
        ("the log", without_masks(&finished.shown)),
        ("the JSON report", report::json::text(&document)),
        ("the summary", report::markdown::summary(&finished.entries, None)),
        ("the JUnit report", report::junit::report(&finished.entries).unwrap_or_default()),
        ("the diagnostics", diagnostics.take()),
    ]
}

/// A host learns a secret by being told to mask it.
fn without_masks(log: &str) -> String {
    let orders = ["::add-mask::", "##vso[task.setsecret"];
    let lines = log.lines().filter(|line| !orders.iter().any(|order| line.starts_with(order)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn no_form_of_output_tells_a_secret_or_a_token_whatever_fails() {
    let faults = fault::all();
    let chosen: Vec<&Fault> = faults.iter().step_by(9).collect();
    for host in [Host::Terminal, Host::GitHub, Host::AzurePipelines] {
        for (number, kind) in KINDS.iter().enumerate() {
            let fault = chosen[number % chosen.len()];
            for (form, text) in outputs(host, kind, fault) {
                let at = format!("{form} on {host:?}, {} at {kind}", fault.name);
                assert!(form == "the JUnit report" || !text.is_empty(), "{at}: nothing to search");
                // What every token of Entra's begins with, and what carries one.
                for word in [SECRET, "eyJ", "Bearer "] {
                    assert!(!text.contains(word), "{at}: {word} in {text}");
                }
            }
        }
    }
}
