//! Proves that a target keeps passing: rounds of checks, so many in a row, for so long.
//!
//! Owns when enough rounds have passed and when proving is given up. Must not
//! decide what follows: going back or not is the release's affair.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::duration::show_duration;
use super::run::{CheckOutcome, CheckProgress, Target, deciding_verdict, jobs, run_jobs};
use super::spec::{Check, Soak};
use super::verdict::Verdict;
use crate::http::Wire;

/// As many rounds in a row as may go by without a measurement before proving is given up.
const UNMEASURED_ROUNDS: u32 = 5;

/// Runs rounds of checks until they have kept passing for as long and as often as asked.
///
/// Gives the outcomes of the last round. A round that was measured bad ends it at once; a round that could
/// not be measured begins the count anew, and a few such rounds in a row end it too. A command that has
/// passed is not run again: a browser test takes minutes, and it may ask for more with its own `passes`.
pub async fn prove(
    wire: &Wire,
    checks: &[Check],
    target: &Target,
    soak: &Soak,
    deadline: Instant,
    progress: &(dyn Fn(CheckProgress) + Send + Sync),
) -> Vec<CheckOutcome> {
    let jobs = jobs(checks, target);
    let mut outcomes: BTreeMap<usize, CheckOutcome> = BTreeMap::new();
    let (mut passes, mut unmeasured) = (0, 0);
    let mut row_began = Instant::now();
    loop {
        let round_began = Instant::now();
        let is_done = |position: &usize| outcomes.get(position).is_some_and(|one| one.verdict.is_pass());
        let round =
            jobs.iter().filter(|job| !(job.is_command() && is_done(&job.position))).cloned().collect();
        outcomes.extend(run_jobs(wire, round, target, deadline, progress).await);
        let last: Vec<CheckOutcome> = outcomes.values().cloned().collect();
        match deciding_verdict(&last) {
            Verdict::Pass => {
                if passes == 0 {
                    row_began = round_began;
                }
                (passes, unmeasured) = (passes + 1, 0);
            }
            Verdict::Fail => return last,
            Verdict::Inconclusive | Verdict::Error => (passes, unmeasured) = (0, unmeasured + 1),
        }
        let is_proven = passes >= soak.passes && row_began.elapsed() >= soak.lasting;
        // Without requests there is nothing that another round could tell.
        let is_told = jobs.iter().all(|job| job.is_command()) && passes > 0;
        if is_proven || is_told || unmeasured >= UNMEASURED_ROUNDS {
            return last;
        }
        let next = Instant::now() + soak.every;
        if next >= deadline {
            return cut_short(last, passes, soak);
        }
        tokio::time::sleep_until(next).await;
    }
}

/// The last round passed, but there is no time for as many as were asked for.
fn cut_short(mut outcomes: Vec<CheckOutcome>, passes: u32, soak: &Soak) -> Vec<CheckOutcome> {
    for outcome in outcomes.iter_mut().filter(|outcome| outcome.verdict.is_pass()) {
        outcome.verdict = Verdict::Inconclusive;
        outcome.detail = format!(
            "no time left, passed {passes} rounds of the {} wanted over {}",
            soak.passes,
            show_duration(soak.lasting)
        );
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::run::tests::{bad_at_first, checks, soon, target};
    use crate::checks::testing::{Server, client};
    use std::time::Duration;

    #[tokio::test]
    async fn proof_takes_as_many_rounds_as_asked_and_ends_at_the_first_bad_one() {
        let soak = Soak { lasting: Duration::from_millis(20), passes: 3, every: Duration::from_millis(10) };
        let checks = checks("  - path: /\n");
        let server = Server::start(|_| (200, String::new())).await;
        let outcomes = prove(&client(), &checks, &target(&server, &[]), &soak, soon(), &|_| {}).await;
        assert_eq!(outcomes[0].verdict, Verdict::Pass);
        assert!(server.requests().len() >= 3);
        let failing = Server::start(bad_at_first(1)).await;
        let outcomes = prove(&client(), &checks, &target(&failing, &[]), &soak, soon(), &|_| {}).await;
        assert_eq!((outcomes[0].verdict, failing.requests().len()), (Verdict::Fail, 1));
    }

    #[tokio::test]
    async fn proof_that_cannot_be_measured_is_given_up_and_proof_cut_short_is_no_proof() {
        let soak = Soak { lasting: Duration::ZERO, passes: 3, every: Duration::from_millis(10) };
        let checks = checks("  - path: /\n");
        let silent = Server::start(|_| (0, String::new())).await;
        let outcomes = prove(&client(), &checks, &target(&silent, &[]), &soak, soon(), &|_| {}).await;
        assert_eq!((outcomes[0].verdict, silent.requests().len() >= 5), (Verdict::Error, true));
        let server = Server::start(|_| (200, String::new())).await;
        let long = Soak { every: Duration::from_secs(120), ..soak };
        let outcomes = prove(&client(), &checks, &target(&server, &[]), &long, soon(), &|_| {}).await;
        assert_eq!(outcomes[0].verdict, Verdict::Inconclusive);
        assert_eq!(outcomes[0].detail, "no time left, passed 1 rounds of the 3 wanted over 0 ms");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_that_has_passed_is_not_run_again() {
        let soak = Soak { lasting: Duration::ZERO, passes: 3, every: Duration::from_millis(10) };
        let log = tempfile::NamedTempFile::new().expect("a file");
        let yaml = format!("  - run: echo ran >> {}\n  - path: /\n", log.path().display());
        let server = Server::start(|_| (200, String::new())).await;
        let outcomes = prove(&client(), &checks(&yaml), &target(&server, &[]), &soak, soon(), &|_| {}).await;
        assert!(outcomes.len() == 2 && outcomes.iter().all(|one| one.verdict.is_pass()), "{outcomes:?}");
        assert_eq!(std::fs::read_to_string(log.path()).expect("the log"), "ran\n");
        assert_eq!(server.requests().len(), 3);
    }

    #[tokio::test]
    async fn all_of_it_can_be_run_on_another_thread() {
        let server = Server::start(|_| (200, String::new())).await;
        let target = target(&server, &[]);
        let task = tokio::spawn(async move {
            let soak = Soak { lasting: Duration::ZERO, passes: 1, every: Duration::from_millis(10) };
            prove(&client(), &checks("  - path: /\n"), &target, &soak, soon(), &|_| {}).await.len()
        });
        assert_eq!(task.await.expect("it ends"), 1);
    }
}
