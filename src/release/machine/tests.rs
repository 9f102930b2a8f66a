//! The invariants of the table, over random courses through it.

use proptest::prelude::*;

use super::*;

/// Every event there is.
const EVENTS: [Event; 31] = [
    Event::Began(Start::Deploy),
    Event::Began(Start::CheckStaging),
    Event::Began(Start::CheckProduction),
    Event::Began(Start::RollBack),
    Event::PlanRefused,
    Event::NothingToDo,
    Event::Deployed,
    Event::DeployFailed,
    Event::StagingPassed,
    Event::StagingPassedAndStop,
    Event::StagingFailed,
    Event::SwapEnded(Claim::Finished),
    Event::SwapEnded(Claim::Refused),
    Event::SwapEnded(Claim::Failed),
    Event::SwapEnded(Claim::Unclear),
    Event::SwapPutOff,
    Event::TurnCame,
    Event::TurnLost,
    Event::Observed(Serving::New),
    Event::Observed(Serving::Old),
    Event::Observed(Serving::Other),
    Event::Observed(Serving::Unknown),
    Event::StillMoving,
    Event::ProductionPassed,
    Event::ProductionFailed,
    Event::OtherSlotGood,
    Event::OtherSlotBad,
    Event::RollbackPassed,
    Event::RollbackFailed,
    Event::Cancelled,
    Event::Cancelled,
];

/// The course that a sequence of events takes; illegal ones are passed over, as
/// the loop would never produce them.
fn course(choices: &[usize]) -> Vec<(Phase, Event, Phase)> {
    let mut phase = Phase::Planned;
    let mut steps = Vec::new();
    for choice in choices {
        let legal: Vec<Event> = EVENTS.iter().copied().filter(|event| next(phase, *event).is_ok()).collect();
        if legal.is_empty() {
            break;
        }
        let event = legal[choice % legal.len()];
        let after = next(phase, event).expect("it was just found legal");
        steps.push((phase, event, after));
        phase = after;
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_course_ends_soon(choices in prop::collection::vec(0_usize..31, 120)) {
        let steps = course(&choices);
        let last = steps.last().expect("Planned has rows").2;
        prop_assert!(last.outcome().is_some(), "still in {last:?}");
        prop_assert!(steps.len() < 20 + 4 * usize::from(MOST_TURNS));
    }

    /// Invariants 1 and 3: production changes by at most one swap and one undo, and
    /// the call after either is a read. Only a swap that Azure refused for now is asked
    /// for again, once a read has found both slots as they were.
    #[test]
    fn a_swap_goes_out_once_each_way_and_is_followed_by_a_read(
        choices in prop::collection::vec(0_usize..31, 120),
    ) {
        let steps = course(&choices);
        let one_way = |phase: &Phase| matches!(phase, Phase::Swapping(_));
        let other_way = |phase: &Phase| matches!(phase, Phase::RollingBack(_));
        for way in [&one_way as &dyn Fn(&Phase) -> bool, &other_way] {
            let sent = steps.iter().filter(|(_, _, after)| way(after)).count();
            let put_off = steps.iter().filter(|(before, event, _)| way(before) && *event == Event::SwapPutOff);
            prop_assert!(sent <= 1 + put_off.count());
        }
        for (before, event, after) in &steps {
            if one_way(before) || other_way(before) {
                prop_assert!(matches!(after, Phase::Observing(..) | Phase::AwaitingTurn(..) | Phase::Leaving));
            }
            if matches!(before, Phase::AwaitingTurn(..)) && (one_way(after) || other_way(after)) {
                prop_assert_eq!(*event, Event::TurnCame);
            }
        }
    }

    /// Invariant 2.
    #[test]
    fn no_swap_before_staging_passed(choices in prop::collection::vec(0_usize..31, 120)) {
        for (before, event, after) in course(&choices) {
            if after == Phase::Swapping(1) {
                let passed = (before, event) == (Phase::CheckingStaging, Event::StagingPassed);
                // There, staging had passed, and what it serves is read once more.
                let waited = (before, event) == (Phase::AwaitingTurn(Direction::Forward, 0), Event::TurnCame);
                prop_assert!(passed || waited);
            }
        }
    }

    /// Invariants 4 and 5: going back is preceded by a read that says the new build
    /// serves, and by a good look at the other slot.
    #[test]
    fn going_back_looks_first(choices in prop::collection::vec(0_usize..31, 120)) {
        let steps = course(&choices);
        for (position, (before, event, after)) in steps.iter().enumerate() {
            if *after == Phase::RollingBack(1) {
                prop_assert_eq!((*before, *event), (Phase::LookingAtOtherSlot, Event::OtherSlotGood));
                prop_assert_eq!(steps[position - 1].1, Event::Observed(Serving::New));
            }
        }
    }

    /// Invariant 6: an outcome that names a build rests on a read or a proof of it.
    #[test]
    fn an_outcome_rests_on_what_was_read(choices in prop::collection::vec(0_usize..31, 120)) {
        let steps = course(&choices);
        let outcome = steps.last().and_then(|(_, _, after)| after.outcome()).expect("it ends");
        let sent = |(phase, event, _): &(Phase, Event, Phase)| {
            matches!(phase, Phase::Swapping(_)) && *event != Event::SwapPutOff
        };
        let swapped = steps.iter().any(sent);
        let said = |event: Event| steps.iter().any(|step| step.1 == event);
        match outcome {
            Outcome::Released => {
                prop_assert!(said(Event::ProductionPassed));
                prop_assert_eq!(steps.last().map(|step| step.1), Some(Event::Observed(Serving::New)));
            }
            Outcome::RolledBack => {
                prop_assert!(said(Event::Observed(Serving::Old)) && said(Event::RollbackPassed));
            }
            // After a swap request only one that certainly failed leaves production untouched.
            Outcome::Refused => {
                let ended = |claim| said(Event::SwapEnded(claim));
                let cannot_happen = ended(Claim::Refused) || ended(Claim::Failed);
                prop_assert!(!swapped || said(Event::Observed(Serving::Old)) && cannot_happen);
                prop_assert!(!said(Event::StillMoving));
            }
            Outcome::Staged => prop_assert!(!swapped && said(Event::StagingPassedAndStop)),
            Outcome::NothingToDo => prop_assert!(!swapped),
            Outcome::Stuck => {}
        }
    }

    /// Invariant 8: there is always a row for being cancelled, until it is over.
    #[test]
    fn every_phase_can_be_cancelled(choices in prop::collection::vec(0_usize..31, 0..30)) {
        for (phase, ..) in course(&choices) {
            prop_assert!(next(phase, Event::Cancelled).is_ok());
        }
    }
}

#[test]
fn an_ended_release_refuses_every_event() {
    for event in EVENTS {
        assert!(next(Phase::Ended(Outcome::Released), event).is_err());
    }
}
