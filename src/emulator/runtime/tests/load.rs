//! Production under load through many swaps: no request is lost, and each client sees each version once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::watch;

use super::*;

/// What one client saw.
#[derive(Default)]
struct Seen {
    requests: usize,
    changes: usize,
    lost: Vec<String>,
    slowest: Duration,
}

/// Asks for the version at a pace until told to stop.
async fn hammer(
    mut client: Client,
    pace: Duration,
    latest: Arc<[AtomicUsize; 2]>,
    stop: watch::Receiver<bool>,
) -> Seen {
    let mut seen = Seen::default();
    let mut last = String::new();
    let mut ticks = tokio::time::interval(pace);
    while !*stop.borrow() {
        ticks.tick().await;
        let began = Instant::now();
        match client.get("/", &[]).await {
            Ok(answer) if answer.status == 200 => {
                seen.changes += usize::from(answer.text != last && !last.is_empty());
                if answer.text != last {
                    latest[usize::from(answer.text == "two")].fetch_add(1, Ordering::SeqCst);
                }
                last = answer.text;
            }
            Ok(answer) => seen.lost.push(format!("{}: {}", answer.status, answer.text)),
            Err(error) => seen.lost.push(error.to_string()),
        }
        seen.requests += 1;
        seen.slowest = seen.slowest.max(began.elapsed());
    }
    seen
}

#[expect(clippy::print_stderr, reason = "the measurement, for who runs it with --nocapture")]
async fn swaps_under_load(stand: &Stand, swaps: usize, clients: usize, rate: usize) {
    let (production, staging) = (slot("production"), slot("staging"));
    stand.ready(&production).await;
    stand.ready(&staging).await;
    let pace = Duration::from_secs_f64(clients as f64 / rate as f64);
    let latest: Arc<[AtomicUsize; 2]> = Arc::default();
    let (stop, stopped) = watch::channel(false);
    let mut running = Vec::new();
    for _ in 0..clients {
        let client = stand.client(&production).await;
        running.push(tokio::spawn(hammer(client, pace, Arc::clone(&latest), stopped.clone())));
    }
    let began = Instant::now();
    // Every client sees one version before the next swap begins.
    let all_saw = |which: usize, times: usize| {
        let latest = Arc::clone(&latest);
        async move {
            let give_up = tokio::time::Instant::now() + LIMIT;
            while latest[which].load(Ordering::SeqCst) < clients * times {
                assert!(tokio::time::Instant::now() < give_up, "not every client sees version {which}");
                tokio::time::sleep(pace).await;
            }
        }
    };
    all_saw(0, 1).await;
    for swap in 1..=swaps {
        stand.swapped(&stand.begin_swap()).await;
        all_saw(swap % 2, swap / 2 + 1).await;
        stand.ready(&staging).await;
    }
    stop.send_replace(true);
    let (mut requests, mut slowest) = (0, Duration::ZERO);
    for client in running {
        let seen = client.await.expect("no panic");
        assert_eq!(seen.lost, Vec::<String>::new());
        assert_eq!(seen.changes, swaps, "one change per swap");
        requests += seen.requests;
        slowest = slowest.max(seen.slowest);
    }
    let took = began.elapsed();
    eprintln!(
        "{requests} requests in {took:?}, {:.0}/s, slowest {slowest:?}",
        requests as f64 / took.as_secs_f64()
    );
    assert!(requests > 10 * swaps);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_a_second_through_twenty_swaps_lose_none() {
    let stand = Stand::new(
        "durations: {start: 20ms, swap-apply: 10ms, swap-switch: 20ms, swap-finish: 50ms}\n\
         slots: {production: {package: '{base}/one', slot-settings: {A: live}}, staging: {package: '{base}/two', slot-settings: {A: test}}}",
        |base| {
            app(base, "one", &[("index.html", "one")]);
            app(base, "two", &[("index.html", "two")]);
        },
    )
    .await;
    swaps_under_load(&stand, 20, 20, 1000).await;
    stand.shared.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_lose_none_either() {
    let command = serde_json::to_string(&super::apps::server_command()).expect("text");
    let stand = Stand::new(
        &format!(
            "slots: {{production: {{package: '{{base}}/one', slot-settings: {{A: live}}, web-config: {{appCommandLine: {command}}}}},\
             staging: {{package: '{{base}}/two', slot-settings: {{A: test}}, web-config: {{appCommandLine: {command}}}}}}}"
        ),
        |base| {
            app(base, "one", &[("version.txt", "one")]);
            app(base, "two", &[("version.txt", "two")]);
        },
    )
    .await;
    swaps_under_load(&stand, 6, 10, 400).await;
    stand.shared.shutdown().await;
}
