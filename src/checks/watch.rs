//! Watches production around the swap: a background probe at a steady rate.
//!
//! Owns the sending and its pace. Must not add up what it sees (that is `tally`)
//! nor judge it: the release does.

use std::time::Duration;

use reqwest::Method;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use url::Url;

use super::probe::{Probe, observe, url_at};
use super::spec::{Body, Watch};
use super::tally::Tally;
pub use super::tally::{PhaseReport, Sample, WatchPhase, WatchReport};
use crate::http::Wire;

/// As many requests as may be without an answer at once, whatever rate and timeout are.
const MOST_OUTSTANDING: usize = 1024;

/// A running watch; dropping it ends the watch without a report.
#[derive(Debug)]
pub struct WatchHandle {
    phase: watch::Sender<WatchPhase>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<WatchReport>,
}

impl WatchHandle {
    /// Says that what is sent from now on belongs to this phase.
    pub fn mark(&self, phase: WatchPhase) {
        self.phase.send_replace(phase);
    }

    /// Ends the watch: waits for the answers still under way (at most the watch's timeout), then reports.
    pub async fn stop(mut self) -> WatchReport {
        if let Some(stop) = self.stop.take() {
            // A task that has ended by itself needs no telling.
            let _ = stop.send(());
        }
        (&mut self.task).await.unwrap_or_default()
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts watching; begins in [`WatchPhase::Before`]. A rate of zero sends nothing and reports nothing.
///
/// Must be called within a tokio runtime.
pub fn start_watch(wire: &Wire, base_url: &Url, settings: &Watch) -> WatchHandle {
    let (phase, phases) = watch::channel(WatchPhase::Before);
    let (stop, stopped) = oneshot::channel();
    let (wire, base_url, settings) = (wire.clone(), base_url.clone(), settings.clone());
    let task = tokio::spawn(async move {
        let wire = &wire;
        let url = &url_at(&base_url, &settings.path);
        let timeout = settings.timeout;
        keep_watch(&settings, phases, stopped, || ask(wire.clone(), url.clone(), timeout)).await
    });
    WatchHandle { phase, stop: Some(stop), task }
}

async fn ask(wire: Wire, url: Url, timeout: Duration) -> Result<u16, String> {
    let probe = Probe { method: Method::GET, url, headers: &[], body: &Body::Empty, instance: None, timeout };
    match observe(&wire, &probe).await {
        Ok(answer) => Ok(answer.status),
        Err(error) => Err(error.to_string()),
    }
}

/// Sends on each tick whether or not earlier requests have been answered, until it is stopped.
async fn keep_watch<F>(
    settings: &Watch,
    phases: watch::Receiver<WatchPhase>,
    mut stopped: oneshot::Receiver<()>,
    ask: impl Fn() -> F,
) -> WatchReport
where
    F: Future<Output = Result<u16, String>> + Send + 'static,
{
    let mut tally = Tally::new(Instant::now());
    if settings.rate == 0 {
        let _ = stopped.await;
        return tally.finish(Instant::now());
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / settings.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(done) = under_way.join_next() => note(&mut tally, done),
            _ = ticks.tick() => {
                if under_way.len() >= MOST_OUTSTANDING {
                    tally.skipped();
                    continue;
                }
                let number = tally.sent(*phases.borrow(), Instant::now());
                let request = ask();
                under_way.spawn(async move {
                    let outcome = request.await;
                    (number, Instant::now(), outcome)
                });
            }
        }
    }
    while let Some(done) = under_way.join_next().await {
        note(&mut tally, done);
    }
    tally.finish(Instant::now())
}

type Done = (u64, Instant, Result<u16, String>);

fn note(tally: &mut Tally, done: Result<Done, tokio::task::JoinError>) {
    // The task of a request is aborted only together with the watch, and nobody asks then.
    if let Ok((number, at, outcome)) = done {
        tally.answered(number, at, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{Server, client};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, Ordering};

    fn settings(rate: u32) -> Watch {
        Watch { path: "/health".to_owned(), rate, timeout: Duration::from_secs(5) }
    }

    /// Waits until the server has seen so many requests.
    async fn seen(server: &Server, count: usize) {
        let enough = async {
            while server.requests().len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), enough).await.expect("the watch sends");
    }

    #[tokio::test]
    async fn the_watch_counts_what_each_phase_lost() {
        let status = Arc::new(AtomicU16::new(200));
        let shared = status.clone();
        let server = Server::start(move |_| (shared.load(Ordering::SeqCst), String::new())).await;
        let watch = start_watch(&client(), &server.url("/"), &settings(100));
        seen(&server, 3).await;
        watch.mark(WatchPhase::During);
        status.store(503, Ordering::SeqCst);
        let so_far = server.requests().len();
        seen(&server, so_far + 3).await;
        status.store(200, Ordering::SeqCst);
        watch.mark(WatchPhase::After);
        let so_far = server.requests().len();
        seen(&server, so_far + 3).await;
        let report = watch.stop().await;
        assert_eq!(report.requests(), server.requests().len() as u64);
        assert!(report.during.server_errors >= 2 && report.after.requests >= 2, "{report:?}");
        assert!(report.longest_gap > Duration::ZERO && report.longest_gap < report.elapsed, "{report:?}");
        assert_eq!(report.first_loss.as_deref(), Some("status 503"));
        assert!(server.requests().iter().all(|seen| seen.line == "GET /health"));
    }

    #[tokio::test]
    async fn requests_go_out_whether_or_not_earlier_ones_were_answered() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let url = Url::parse(&format!("http://{}/", silent.local_addr().expect("address"))).expect("url");
        let short = Watch { timeout: Duration::from_millis(300), ..settings(100) };
        let watch = start_watch(&client(), &url, &short);
        let mut connections = Vec::new();
        for _ in 0..5 {
            connections.push(silent.accept().await.expect("a connection"));
        }
        let report = watch.stop().await;
        assert!(report.before.no_answer >= 5, "{report:?}");
        assert_eq!(report.before.no_answer, report.before.requests);
        assert_eq!(report.first_loss.as_deref(), Some("no complete answer within 300 ms"));
    }

    #[tokio::test]
    async fn a_rate_of_zero_sends_nothing() {
        let server = Server::start(|_| (200, String::new())).await;
        let report = start_watch(&client(), &server.url("/"), &settings(0)).stop().await;
        assert_eq!((report.requests(), server.requests().len()), (0, 0));
    }

    #[tokio::test]
    async fn dropping_the_handle_ends_the_watch() {
        let server = Server::start(|_| (200, String::new())).await;
        let watch = start_watch(&client(), &server.url("/"), &settings(100));
        let task = watch.task.abort_handle();
        drop(watch);
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}
