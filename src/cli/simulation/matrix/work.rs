//! Many runs on all processors, none of which may take the others with it, and what is
//! wrong with them in one readable text.
//!
//! Owns no run. Must not know what is run.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

const STACK: usize = 16 * 1024 * 1024;
/// A run that takes longer than this by the machine's own clock is named on standard error:
/// simulated time cannot end what never waits.
const TOO_LONG: Duration = Duration::from_secs(120);

/// Does something, and gives the words of its panic where it does not survive that. A course
/// that hangs panics, too: the simulated clock jumps to its limit.
pub(in crate::cli::simulation) fn unless_it_panics<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("it panicked: {}", words.unwrap_or("without a word"))
    })
}

/// Works through a list on all processors; the results come in the list's order.
///
/// # Panics
///
/// When any of the work does, after all of it, with every item that was fatal.
pub(in crate::cli::simulation) fn on_all_processors<T: Sync + Debug, R: Send>(
    list: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let watched = Watched::default();
    let one_after_the_other = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = list.get(index) else { return };
            watched.begin(index);
            let result = unless_it_panics(|| work(item));
            watched.end(index);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            // Futures are large where nothing is optimised.
            let thread = std::thread::Builder::new().stack_size(STACK);
            threads.push(thread.spawn_scoped(scope, one_after_the_other).expect("a thread"));
        }
        scope.spawn(|| watched.tell_until_the_end(|index| format!("{:?}", list[index])));
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>();
        watched.all_done();
        assert!(ended.iter().all(Result::is_ok), "a thread died outside of any work");
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    let mut fatal = String::new();
    for (index, result) in &results {
        if let Err(words) = result {
            let _ = writeln!(fatal, "{:?}: {words}", list[*index]);
        }
    }
    assert!(fatal.is_empty(), "{fatal}");
    results.into_iter().filter_map(|(_, result)| result.ok()).collect()
}

/// Which items are worked at, since when.
#[derive(Default)]
struct Watched {
    state: Mutex<(BTreeMap<usize, Instant>, bool)>,
    ended: Condvar,
}

impl Watched {
    fn begin(&self, index: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.insert(index, Instant::now());
    }

    fn end(&self, index: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.remove(&index);
    }

    fn all_done(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.ended.notify_all();
    }

    fn tell_until_the_end(&self, name: impl Fn(usize) -> String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.1 {
            let waited = self.ended.wait_timeout(state, TOO_LONG);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            for (index, since) in state.0.iter().filter(|(_, since)| since.elapsed() >= TOO_LONG) {
                let words =
                    format!("still at work after {} s: {}\n", since.elapsed().as_secs(), name(*index));
                // Nobody may be reading, which is no failure.
                let _ = std::io::stderr().write_all(words.as_bytes());
            }
        }
    }
}

/// Contradictions, gathered by what they say, so that a thousand of one sort can be read.
#[derive(Default)]
pub(in crate::cli::simulation) struct Wrong {
    sorts: BTreeMap<String, Vec<(String, String)>>,
}

impl Wrong {
    /// Adds what was wrong in a run.
    pub(in crate::cli::simulation) fn add(&mut self, run: String, problems: &[String], shown: &str) {
        for problem in problems {
            let sort: String = problem.chars().filter(|c| !c.is_ascii_hexdigit() && *c != '-').collect();
            self.sorts.entry(sort).or_default().push((run.clone(), format!("{problem}\n{shown}")));
        }
    }

    /// Fails with each sort: where it is, and one run of it in full.
    pub(in crate::cli::simulation) fn assert_none(&self, of: usize) {
        let mut text = String::new();
        for runs in self.sorts.values() {
            let (run, example) = &runs[0];
            let _ = writeln!(text, "\n=== {} of {of} runs, as: {example}\nin {run}", runs.len());
            for (run, _) in runs.iter().skip(1).take(40) {
                let _ = writeln!(text, "and {run}");
            }
        }
        assert!(self.sorts.is_empty(), "{text}");
    }
}

#[test]
fn work_that_panics_is_named_and_does_not_keep_the_rest_from_being_done() {
    let done = Mutex::new(Vec::new());
    let work = |number: &usize| {
        assert!(*number != 3, "three is bad");
        done.lock().unwrap_or_else(PoisonError::into_inner).push(*number);
    };
    let ended = unless_it_panics(|| on_all_processors(&[1, 2, 3, 4, 5], work));
    let words = ended.expect_err("one of them panicked");
    assert!(words.contains("3: it panicked: three is bad"), "{words}");
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable();
    assert_eq!(done, [1, 2, 4, 5]);
}
