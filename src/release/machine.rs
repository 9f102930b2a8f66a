//! The release as a table: which event leads from which phase to which.
//!
//! Pure and total over what may happen; whatever is not in the table is refused, so
//! the loop around it cannot wander. Must not know how an event comes about.

use serde::Serialize;

use crate::plan::Start;

/// Which way a swap goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The new build to production.
    Forward,
    /// The old build back to production.
    Back,
}

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The plan is made, nothing is touched.
    Planned,
    /// The package goes to staging.
    Deploying,
    /// Staging is proven: it serves this build, every instance answers, checks pass.
    CheckingStaging,
    /// A swap request is out. The number counts how often Azure was asked: it is asked
    /// again only after it refused because something else was under way.
    Swapping(u8),
    /// Azure refused the swap for now: it is read until both slots are as they were and idle.
    AwaitingTurn(Direction, u8),
    /// Azure is read until it says which build production serves; what the swap's
    /// answer claimed decides what seeing the old build means.
    Observing(Direction, Claim),
    /// Production is proven.
    CheckingProduction,
    /// Production failed: before anything is undone, Azure is read.
    LookingBack,
    /// The other slot, where the old build lies, is looked at.
    LookingAtOtherSlot,
    /// The same, back.
    RollingBack(u8),
    /// The old build is proven in production.
    CheckingRollback,
    /// About to end like this: production is read once more, because others act too.
    Confirming(Outcome),
    /// Cancelled while production might be moving: one last read.
    Leaving,
    /// Over.
    Ended(Outcome),
}

/// How a release ends. What production serves is said beside it, as read from Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Production serves the new build, verified.
    Released,
    /// Staging serves the new build, verified; production is untouched.
    Staged,
    /// There was nothing to roll back, or to settle.
    NothingToDo,
    /// Production is untouched and serves the old build.
    Refused,
    /// Production serves the old build again, verified.
    RolledBack,
    /// A person is needed.
    Stuck,
}

/// Which build production serves, as far as Azure tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serving {
    /// This release's build.
    New,
    /// The build from before.
    Old,
    /// Neither: somebody else was at work.
    Other,
    /// Azure did not say until the deadline.
    Unknown,
}

/// What the answer to a swap request claimed. Only a claim: what counts is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// The operation ended well.
    Finished,
    /// The request was refused: nothing was begun.
    Refused,
    /// The operation was begun, and failed.
    Failed,
    /// Nobody can say.
    Unclear,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The plan allows the release and says where it begins.
    Began(Start),
    /// The plan found something that forbids it.
    PlanRefused,
    /// The plan found nothing to do.
    NothingToDo,
    /// The package lies in staging.
    Deployed,
    /// It does not.
    DeployFailed,
    /// Staging serves this build and passed; the swap is wanted.
    StagingPassed,
    /// The same, and the swap is somebody else's.
    StagingPassedAndStop,
    /// Staging failed, or could not be measured.
    StagingFailed,
    /// The swap request, or its operation, came to an end of whatever kind.
    SwapEnded(Claim),
    /// Azure refused the swap for now, or would: nothing of it was carried out.
    SwapPutOff,
    /// Both slots are as they were, and nothing is under way.
    TurnCame,
    /// They are not, or not in time.
    TurnLost,
    /// Azure was read.
    Observed(Serving),
    /// Azure was read until the limit, and what claims to have failed is under way still.
    StillMoving,
    /// Production passed its checks.
    ProductionPassed,
    /// Production failed, or could not be measured.
    ProductionFailed,
    /// The other slot answers on every instance.
    OtherSlotGood,
    /// It does not, or could not be measured.
    OtherSlotBad,
    /// The old build answers in production.
    RollbackPassed,
    /// It does not.
    RollbackFailed,
    /// The runner or a person asked to stop.
    Cancelled,
}

/// An event that has no row in its phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bug: the event {event:?} cannot happen in the phase {phase:?}; please report it")]
pub struct IllegalEvent {
    phase: Phase,
    event: Event,
}

/// How often Azure is asked for one swap, as long as it answers that something else is under way.
pub const MOST_TURNS: u8 = 20;

/// The table.
///
/// # Errors
///
/// [`IllegalEvent`] for every pair that has no row.
pub fn next(phase: Phase, event: Event) -> Result<Phase, IllegalEvent> {
    use Event as E;
    use Phase as P;
    Ok(match (phase, event) {
        (P::Planned, E::Began(Start::Deploy)) => P::Deploying,
        (P::Planned, E::Began(Start::CheckStaging)) => P::CheckingStaging,
        (P::Planned, E::Began(Start::CheckProduction)) => P::CheckingProduction,
        (P::Planned, E::Began(Start::RollBack)) => P::LookingBack,
        (P::Planned, E::PlanRefused | E::Cancelled) => P::Ended(Outcome::Refused),
        (P::Planned, E::NothingToDo) => P::Ended(Outcome::NothingToDo),

        (P::Deploying, E::Deployed) => P::CheckingStaging,
        (P::Deploying, E::DeployFailed | E::Cancelled) => P::Confirming(Outcome::Refused),

        (P::CheckingStaging, E::StagingPassed) => P::Swapping(1),
        (P::CheckingStaging, E::SwapPutOff) => P::AwaitingTurn(Direction::Forward, 0),
        (P::CheckingStaging, E::StagingPassedAndStop) => P::Ended(Outcome::Staged),
        (P::CheckingStaging, E::StagingFailed | E::Cancelled) => P::Confirming(Outcome::Refused),

        // Whatever a swap's answer claims, the next call is a read.
        (P::Swapping(_), E::SwapEnded(claim)) => P::Observing(Direction::Forward, claim),
        (P::Swapping(asked), E::SwapPutOff) if asked < MOST_TURNS => {
            P::AwaitingTurn(Direction::Forward, asked)
        }
        (P::AwaitingTurn(Direction::Forward, asked), E::TurnCame) => P::Swapping(asked + 1),
        (P::AwaitingTurn(direction, _), E::TurnLost) => P::Observing(direction, Claim::Refused),
        (P::AwaitingTurn(Direction::Forward, _), E::Cancelled) => P::Confirming(Outcome::Refused),
        (P::Observing(Direction::Forward, _), E::Observed(Serving::New)) => P::CheckingProduction,
        // Only a swap that was refused, or failed, cannot happen any more.
        (P::Observing(Direction::Forward, Claim::Refused | Claim::Failed), E::Observed(Serving::Old)) => {
            P::Confirming(Outcome::Refused)
        }
        (P::Observing(Direction::Forward, _), E::Observed(Serving::Old)) => P::Ended(Outcome::Stuck),
        (P::Observing(..), E::Observed(Serving::Other | Serving::Unknown) | E::StillMoving) => {
            P::Ended(Outcome::Stuck)
        }

        (P::CheckingProduction, E::ProductionPassed) => P::Confirming(Outcome::Released),
        (P::CheckingProduction, E::ProductionFailed) => P::LookingBack,
        // Production serves the new build, and nobody has proven it.
        (P::CheckingProduction, E::Cancelled) => P::Ended(Outcome::Stuck),

        (P::LookingBack, E::Observed(Serving::New)) => P::LookingAtOtherSlot,
        (P::LookingBack, E::Observed(Serving::Old)) => P::CheckingRollback,
        (P::LookingBack, E::Observed(Serving::Other | Serving::Unknown)) => P::Ended(Outcome::Stuck),
        (P::LookingAtOtherSlot, E::OtherSlotGood) => P::RollingBack(1),
        (P::LookingAtOtherSlot, E::OtherSlotBad) => P::Ended(Outcome::Stuck),
        (P::LookingBack | P::LookingAtOtherSlot, E::Cancelled) => P::Ended(Outcome::Stuck),

        (P::RollingBack(_), E::SwapEnded(claim)) => P::Observing(Direction::Back, claim),
        (P::RollingBack(asked), E::SwapPutOff) if asked < MOST_TURNS => {
            P::AwaitingTurn(Direction::Back, asked)
        }
        (P::AwaitingTurn(Direction::Back, asked), E::TurnCame) => P::RollingBack(asked + 1),
        (P::AwaitingTurn(Direction::Back, _), E::Cancelled) => P::Ended(Outcome::Stuck),
        (P::Observing(Direction::Back, _), E::Observed(Serving::Old)) => P::CheckingRollback,
        (P::Observing(Direction::Back, _), E::Observed(Serving::New)) => P::Ended(Outcome::Stuck),

        (P::CheckingRollback, E::RollbackPassed) => P::Confirming(Outcome::RolledBack),
        (P::CheckingRollback, E::RollbackFailed | E::Cancelled) => P::Ended(Outcome::Stuck),

        (P::Confirming(outcome), E::Observed(serving)) if outcome.agrees_with(serving) => P::Ended(outcome),
        // Nothing that was sent could have changed production, whether or not it can be read once more.
        (P::Confirming(Outcome::Refused), E::Observed(Serving::Unknown) | E::Cancelled) => {
            P::Ended(Outcome::Refused)
        }
        (P::Confirming(_), E::Observed(_) | E::Cancelled) => P::Ended(Outcome::Stuck),

        // A swap under way cannot be called back: say what is seen, and that it may move.
        (P::Swapping(_) | P::RollingBack(_) | P::Observing(..), E::Cancelled) => P::Leaving,
        (P::Leaving, E::Observed(_) | E::Cancelled) => P::Ended(Outcome::Stuck),

        (phase, event) => return Err(IllegalEvent { phase, event }),
    })
}

impl Phase {
    /// The outcome, once it is over.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The words a reader sees.
    pub fn words(self) -> &'static str {
        match self {
            Self::Planned => "plan",
            Self::Deploying => "deploy",
            Self::CheckingStaging => "check staging",
            Self::Swapping(_) => "swap",
            Self::AwaitingTurn(..) => "wait for the turn",
            Self::Observing(Direction::Forward, _) => "verify the swap",
            Self::Observing(Direction::Back, _) => "verify the rollback",
            Self::CheckingProduction => "check production",
            Self::LookingBack => "look before rolling back",
            Self::LookingAtOtherSlot => "look at the other slot",
            Self::RollingBack(_) => "roll back",
            Self::CheckingRollback => "check the rollback",
            Self::Confirming(_) => "confirm",
            Self::Leaving => "leave",
            Self::Ended(_) => "end",
        }
    }
}

impl Outcome {
    /// Whether production must serve this for the outcome to be true.
    fn agrees_with(self, serving: Serving) -> bool {
        match self {
            Self::Released => serving == Serving::New,
            Self::Refused | Self::RolledBack | Self::Staged => serving == Serving::Old,
            Self::NothingToDo | Self::Stuck => true,
        }
    }

    /// The word in reports and outputs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Staged => "staged",
            Self::NothingToDo => "nothing-to-do",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Stuck => "stuck",
        }
    }
}

#[cfg(test)]
mod tests;
