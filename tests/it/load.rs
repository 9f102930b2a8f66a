//! Production's URL under load, through twenty swaps in a row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::service::Service;

const CLIENTS: usize = 20;
const REQUESTS_A_SECOND: u64 = 1000;
const SWAPS: usize = 20;

/// What one client saw.
#[derive(Default)]
struct Seen {
    requests: u64,
    lost: Vec<String>,
    /// Each change of the version, in the order of its requests.
    changes: usize,
}

async fn hammer(client: reqwest::Client, url: String, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut version = String::new();
    let mut tick =
        tokio::time::interval(Duration::from_micros(1_000_000 * CLIENTS as u64 / REQUESTS_A_SECOND));
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        seen.requests += 1;
        let answer = match client.get(&url).send().await {
            Ok(answer) if answer.status() == 200 => answer.text().await,
            Ok(answer) => {
                seen.lost.push(answer.status().to_string());
                continue;
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(text) if text == version => {}
            Ok(text) => {
                seen.changes += usize::from(!version.is_empty());
                version = text;
            }
            Err(error) => seen.lost.push(error.to_string()),
        }
    }
    seen
}

#[test]
fn no_request_is_lost_and_the_version_changes_once_a_swap() {
    let service = Service::start("durations: {swap-switch: 100ms}\n");
    for version in ["1", "2"] {
        let deployed = service.run("deploy", &["--package", &service.package(version)]);
        assert_eq!(deployed.code, 0, "{}", deployed.stderr);
        if version == "1" {
            service.act(&json!({"swap": {"source": "staging"}}));
            service.control("POST", "drain", &Value::Null);
        }
    }
    let url = format!("{}/version.json", service.url("production").trim_end_matches('/'));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| service.spawn(hammer(service.client().clone(), url.clone(), Arc::clone(&stop))))
        .collect();
    for _ in 0..SWAPS {
        service.act(&json!({"swap": {"source": "staging"}}));
        service.control("POST", "drain", &Value::Null);
    }
    // What the last swap did is seen by every client before it stops.
    let (mut requests, mut lost) = (0, Vec::new());
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let seen = service.block_on(client).expect("a client that ends");
        requests += seen.requests;
        lost.extend(seen.lost);
        assert!(
            [SWAPS - 1, SWAPS].contains(&seen.changes),
            "{} changes of the version in {SWAPS} swaps, the last of which it may not have met",
            seen.changes
        );
    }
    assert_eq!(service.swaps(), SWAPS + 1);
    assert!(requests > 1500, "{requests} requests are no load");
    assert_eq!(lost, Vec::<String>::new(), "of {requests}");
}
