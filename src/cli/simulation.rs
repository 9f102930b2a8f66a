//! Whole runs under simulated time: the verbs on one side, the emulator's services on the
//! other, and between them a [`door`] that loses answers, breaks connections and kills.
//!
//! Owns the making of such worlds and what every run must leave true ([`truth`]). No
//! socket is opened and no second is waited for: the runtime has no I/O, and its clock
//! jumps to the next timer whenever nothing is left to do. The same seed comes to the same end.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::context::Context;
use super::{hook, run};
use crate::emulator::inside::Inside;
use crate::emulator::scenario::{Durations, Scenario};
use crate::error::exit_code;
use crate::host::Host;
use crate::http::Network;
use crate::inputs::Needs;
use crate::plan::Verb;
use crate::release::journal::{Conclusion, Entry};
use crate::release::machine::Outcome;

mod cases;
mod chance;
mod death;
mod door;
mod fault;
mod hooked;
mod left;
mod matrix;
mod order;
mod others;
mod packages;
mod quiet;
mod random;
mod rival;
mod single;
mod truth;

use chance::Chance;
use door::Door;
use order::Order;

/// Longer than any course.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What no output may show.
const SECRET: &str = "s3cr3t-Of-The-Simulation";

/// The configuration of every simulated run: all limits short enough to be seen ending.
const CONFIG: &str = "
checks: [{path: /health, retry-for: 10s, every: 1s}]
watch: {path: /watch, rate: 1}
production: {for: 2s, passes: 2, every: 1s}
limits: {ready: 2m, checks: 1m, deploy: 4m, no-progress: 2m, swap: 5m, settle: 1m}
";

/// An emulated service under simulated time.
struct Simulation {
    inside: Arc<Inside>,
    folder: tempfile::TempDir,
    seed: u64,
    began: Instant,
    history: truth::History,
}

/// One who runs verbs: a pipeline, with a network of its own.
struct Client {
    door: Arc<Door>,
    cancel: watch::Sender<bool>,
    shown: Shown,
    /// Whether its releases watch production.
    watches: bool,
    /// The pipeline run that it is part of, if it is.
    part_of: Option<&'static str>,
    /// Whether what it runs is the post hook of that.
    is_hook: bool,
    /// In whose form it shows things.
    host: Host,
}

/// How a run ended.
#[derive(Debug)]
struct Finished {
    verb: Verb,
    outcome: Outcome,
    code: u8,
    conclusion: Conclusion,
    entries: Vec<Entry>,
    /// All that it showed.
    shown: String,
    /// Which of the client's requests were its own.
    requests: std::ops::Range<usize>,
    /// When it began, by the simulated clock.
    began: Instant,
    /// By the simulated clock.
    took: Duration,
}

/// What came of a run.
#[derive(Debug)]
enum Ran {
    Finished(Box<Finished>),
    /// It ended before it began anything, with an error.
    Failed(Box<crate::error::Error>),
    /// It was killed.
    Died,
}

impl Ran {
    fn finished(self) -> Finished {
        match self {
            Self::Finished(finished) => *finished,
            Self::Failed(error) => panic!("the run came to no outcome: {error}"),
            Self::Died => panic!("the run was killed"),
        }
    }
}

/// Runs a course on a runtime of its own, whose time is simulated.
fn simulate<T>(course: impl Future<Output = T>) -> T {
    simulate_with_clock(*BEGINNING, course)
}

/// As [`simulate`], and the clients' clock shows this time at the beginning.
fn simulate_with_clock<T>(clock: time::OffsetDateTime, course: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1)
        .build();
    runtime.expect("a runtime without sockets").block_on(async {
        let _clock = crate::clock::simulated::begin(clock);
        // Whoever waits for nothing any more is found here, because the clock jumps.
        let limited = tokio::time::timeout(DAY, Box::pin(course));
        limited.await.expect("the course hangs: it waits for something that never comes")
    })
}

/// A scenario with the durations that Azure shows, two workers, and sticky settings that
/// restart the app at a swap.
fn scenario(seed: u64) -> Scenario {
    let text = format!(
        "app: shop\nseed: {seed}\nworkers: 2\nslots:\n  production: {{package: {}, slot-settings: {{PLACE: live}}}}\n  staging: {{package: {}, slot-settings: {{PLACE: test}}}}\n",
        packages::path("1").display(),
        packages::path("0").display(),
    );
    let scenario = Scenario::from_yaml(&text).expect("a well-formed scenario");
    Scenario { durations: brisk(), ..scenario }
}

/// Shorter than Azure's by a few times, in the same order: a run then costs fewer polls.
fn brisk() -> Durations {
    let s = Duration::from_secs;
    Durations {
        deploy: s(5),
        start: s(3),
        swap_apply: s(2),
        swap_switch: s(1),
        swap_finish: s(5),
        scm_restart: s(4),
        // So that the operation is asked before the site tells its end.
        retry_after: s(1),
        ..Durations::realistic()
    }
}

impl Simulation {
    async fn start(scenario: Scenario) -> Self {
        // In memory where the system has such a place: thousands of worlds come and go.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("a temporary folder");
        let (seed, began) = (scenario.seed, Instant::now());
        let inside = Inside::start(scenario, folder.path(), SECRET, *BEGINNING).await.expect("a world");
        let history = truth::History::keep(&inside);
        Self { inside: Arc::new(inside), folder, seed, began, history }
    }

    /// Somebody who runs verbs; the salt tells their chance from others'.
    fn client(&self, salt: u64) -> Client {
        let door = Door::new(Arc::clone(&self.inside), Chance::new(self.seed ^ salt.rotate_left(32)));
        Client {
            door,
            cancel: watch::Sender::new(false),
            shown: Shown::default(),
            watches: true,
            part_of: None,
            is_hook: false,
            host: Host::Terminal,
        }
    }

    /// Runs a verb to its end, or to the death that the client's door has in store.
    async fn run(&self, client: &Client, order: &Order) -> Ran {
        let death = client.door.death();
        let running = Box::pin(self.perform(client, order));
        let ran = tokio::select! {
            biased;
            ran = running => ran,
            () = death.cancelled() => Ran::Died,
        };
        // The poll in which the kill came goes on to its next wait, which may be the run's end.
        if death.is_cancelled() { Ran::Died } else { ran }
    }

    async fn perform(&self, client: &Client, order: &Order) -> Ran {
        let (began, first_request) = (Instant::now(), client.door.log().len());
        let network = Network { simulated: Some(client.door.wire()), ..Network::default() };
        let out = Box::new(client.shown.clone());
        let rate = if client.watches { "rate: 1" } else { "rate: 0" };
        let config = order.config.as_deref().unwrap_or(CONFIG).replace("rate: 1", rate);
        let cancelled = client.cancel.subscribe();
        let made = Context::simulated(
            order.raw(self.inside.ready()),
            &config,
            network,
            (client.host, out),
            cancelled,
        );
        let mut context = match made {
            Ok(context) => context,
            Err(error) => return Ran::Failed(error.into()),
        };
        if let Some(run) = client.part_of {
            context.host = Host::GitHub;
            context.process = [("GITHUB_RUN_ID".to_owned(), run.to_owned())].into_iter().collect();
        }
        if client.is_hook {
            hook::settle_only_its_own(&mut context);
        }
        let done = match order.profile {
            Some(_) => by_profile(&context).await,
            None => by_token(&context, order.verb).await,
        };
        let done = match done {
            Ok(done) => done,
            Err(error) => return Ran::Failed(error.into()),
        };
        let code = if done.bug { run::INTERNAL_ERROR } else { exit_code(done.outcome, order.verb) };
        let took = began.elapsed();
        context.report(&done.entries, code, None);
        Ran::Finished(Box::new(Finished {
            verb: order.verb,
            outcome: done.outcome,
            code,
            conclusion: Conclusion::of(&done.entries),
            entries: done.entries,
            shown: client.shown.take(),
            requests: first_request..client.door.log().len(),
            began,
            took,
        }))
    }

    async fn end(self) {
        if let Ok(inside) = Arc::try_unwrap(self.inside) {
            inside.shutdown().await;
        }
        self.history.end();
        drop(self.folder);
    }
}

async fn by_token(context: &Context, verb: Verb) -> Result<run::Done, crate::error::Error> {
    let inputs = context.inputs(Needs::Change(verb))?;
    run::journaled(context, verb, &inputs).await
}

async fn by_profile(context: &Context) -> Result<run::Done, crate::error::Error> {
    let inputs = context.profile("deploy")?.expect("a profile was given");
    super::by_profile::journaled(context, &inputs).await
}

/// When every world begins.
static BEGINNING: LazyLock<time::OffsetDateTime> =
    LazyLock::new(|| time::macros::datetime!(2026-11-21 12:00 UTC));

/// Standard output of a simulated run.
#[derive(Debug, Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    /// What has been shown since this was last asked.
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Files come from a real thread, so the instants of a course may differ by a few simulated
/// milliseconds; what happens does not.
#[test]
fn the_same_seed_comes_to_the_same_end() {
    let course = |seed| {
        simulate(async {
            let simulation = Simulation::start(scenario(seed)).await;
            let client = simulation.client(0);
            let finished = simulation.run(&client, &Order::release("bad")).await.finished();
            let problems = truth::problems(&simulation, &client, &finished);
            assert!(problems.is_empty(), "{problems:#?}\n{}", finished.shown);
            assert_eq!(finished.outcome, Outcome::RolledBack, "{}", finished.shown);
            let Conclusion { cause, further, production, staging, .. } = finished.conclusion;
            (cause, further, production, staging)
        })
    };
    for seed in 0..20 {
        assert_eq!(course(seed), course(seed), "seed {seed}");
    }
}

#[test]
fn a_good_release_takes_minutes_of_simulated_time_and_is_true() {
    let wall = std::time::Instant::now();
    let finished = simulate(async {
        let simulation =
            Simulation::start(Scenario { durations: Durations::realistic(), ..scenario(1) }).await;
        let client = simulation.client(0);
        let finished = simulation.run(&client, &Order::release("2")).await.finished();
        let problems = truth::problems(&simulation, &client, &finished);
        assert!(problems.is_empty(), "{problems:#?}\n{}", finished.shown);
        drop(client);
        simulation.end().await;
        finished
    });
    assert_eq!(finished.outcome, Outcome::Released, "{}", finished.shown);
    assert!(finished.took > Duration::from_secs(60) && wall.elapsed() < finished.took, "{:?}", finished.took);
}
