//! What an earlier run left, read from the marks that it wrote beside its build.
//!
//! Pure. A mark is written before a swap is sent, and again once its end is proven, so
//! whatever a killed process leaves can be told from Azure alone.

use crate::facts::{End, Facts, Mark, Note, SlotFacts};
use crate::names::ReleaseId;

/// What is left of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfinished {
    /// A swap to production was sent, and Azure shows no end of it.
    SwapSent {
        /// The release that staging serves still.
        release: ReleaseId,
        /// When and by whom.
        mark: Mark,
    },
    /// Production serves a release that nobody has proven.
    Unproven {
        /// The release.
        release: ReleaseId,
        /// When and by whom it was sent there.
        mark: Mark,
    },
    /// The swap back was sent, and Azure shows no end of it.
    RollbackSent {
        /// The release that production serves still.
        release: ReleaseId,
        /// When and by whom.
        mark: Mark,
    },
    /// The version before is back, and nobody has proven it.
    RollbackUnproven {
        /// The release that was taken back.
        release: ReleaseId,
        /// When and by whom.
        mark: Mark,
    },
}

impl Unfinished {
    /// The mark that tells of it.
    pub fn mark(&self) -> &Mark {
        match self {
            Self::SwapSent { mark, .. }
            | Self::Unproven { mark, .. }
            | Self::RollbackSent { mark, .. }
            | Self::RollbackUnproven { mark, .. } => mark,
        }
    }

    /// The release that it is about.
    pub fn release(&self) -> &ReleaseId {
        match self {
            Self::SwapSent { release, .. }
            | Self::Unproven { release, .. }
            | Self::RollbackSent { release, .. }
            | Self::RollbackUnproven { release, .. } => release,
        }
    }

    /// Whether the earlier run had taken its release back, or was about to.
    pub fn goes_back(&self) -> bool {
        matches!(self, Self::RollbackSent { .. } | Self::RollbackUnproven { .. })
    }

    /// Whether a swap may still change production.
    pub fn may_move(&self) -> bool {
        matches!(self, Self::SwapSent { .. } | Self::RollbackSent { .. })
    }
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (release, sent) = (self.release(), &self.mark().sent);
        match self {
            Self::SwapSent { .. } => {
                write!(formatter, "the swap of {release}, sent at {sent}, shows no end on Azure")?;
            }
            Self::Unproven { .. } => {
                write!(formatter, "production serves {release}, swapped in at {sent} and proven by nobody")?;
            }
            Self::RollbackSent { .. } => {
                write!(formatter, "the rollback of {release}, sent at {sent}, shows no end on Azure")?;
            }
            Self::RollbackUnproven { .. } => {
                write!(formatter, "{release} was taken back at {sent}, and nobody proved what serves now")?;
            }
        }
        match &self.mark().by {
            Some(by) => write!(formatter, " (by {by})"),
            None => Ok(()),
        }
    }
}

/// What an earlier run left in the two slots, if anything.
pub fn unfinished(facts: &Facts) -> Option<Unfinished> {
    // A swap that ended since shows in production's status; the same status means none has.
    let last = facts.production.last_swap.as_ref().map(|status| status.timestamp_utc.as_str());
    let pending = |mark: &Mark| mark.last_swap.as_deref() == last;
    if let Some((release, note)) = noted(&facts.production) {
        return match (&note.swap, &note.rollback) {
            (_, Some(mark)) if open(mark) && pending(mark) => {
                Some(Unfinished::RollbackSent { release, mark: mark.clone() })
            }
            (Some(mark), _) if open(mark) => Some(Unfinished::Unproven { release, mark: mark.clone() }),
            _ => other_slot(facts, &pending),
        };
    }
    other_slot(facts, &pending)
}

fn other_slot(facts: &Facts, pending: &dyn Fn(&Mark) -> bool) -> Option<Unfinished> {
    let (release, note) = noted(facts.staging.as_ref()?)?;
    let is_previous = note.previous.as_deref() == Some(facts.production.build.to_string().as_str());
    match (&note.swap, &note.rollback) {
        // The mark was written in production: that it lies here says that the swap back has switched,
        // though its end may not show yet.
        (_, Some(mark)) if open(mark) && is_previous => {
            Some(Unfinished::RollbackUnproven { release, mark: mark.clone() })
        }
        (_, Some(_)) => None,
        (Some(mark), None) if mark.end.is_none() && pending(mark) => {
            Some(Unfinished::SwapSent { release, mark: mark.clone() })
        }
        _ => None,
    }
}

/// A run that ended and told a person leaves its mark open: only a proof closes it.
fn open(mark: &Mark) -> bool {
    mark.end != Some(End::Proven)
}

fn noted(slot: &SlotFacts) -> Option<(ReleaseId, &Note)> {
    let note = slot.note.as_ref()?;
    Some((note.release_id.clone(), note))
}
