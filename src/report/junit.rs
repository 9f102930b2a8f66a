//! The checks as a JUnit report, for hosts that show test results.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::checks::verdict::Verdict;
use crate::release::journal::{Entry, Event};
use crate::text;

/// One suite a slot and round of checks; none when no checks ran, or when the report
/// cannot be written down.
pub fn report(entries: &[Entry]) -> Option<String> {
    let mut report = Report::new("Slotway checks");
    for entry in entries {
        let Event::Checked { slot, outcomes } = &entry.event else { continue };
        let mut suite = TestSuite::new(slot.as_str());
        for outcome in outcomes {
            let mut case = TestCase::new(text::line(&outcome.name), status(outcome.verdict));
            case.set_classname(format!("slotway.{slot}"));
            case.set_time(outcome.elapsed);
            case.status.set_message(text::line(&outcome.detail));
            if let Some(tail) = &outcome.output_tail {
                case.set_system_out(text::lines(tail).join("\n"));
            }
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    if report.test_suites.is_empty() {
        return None;
    }
    report.to_string().ok()
}

fn status(verdict: Verdict) -> TestCaseStatus {
    match verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Inconclusive => TestCaseStatus::skipped(),
        Verdict::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
    }
}
