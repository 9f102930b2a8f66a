//! Operations: what a swap's poll reads.
//!
//! Owns their states and the names of their steps. The steps themselves are `swap`'s.

use std::collections::BTreeSet;

use super::agenda::EventKey;
use super::{Refusal, SlotRef, Timestamp, WorkerId};
use crate::names::{SiteName, SlotName};

/// The GUID of an operation, last segment of its `operationresults` URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct OperationId(pub String);

impl std::fmt::Display for OperationId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where a swap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapStep {
    /// Answered with 202; nothing has happened.
    Accepted,
    /// The source has the target's sticky settings and comes back from its restart (§7, 1 and 2).
    RestartingSource,
    /// Local cache: one request to `/` on each source instance (§7, 3).
    FillingCache,
    /// The restart after local cache (§7, 3).
    RestartingAfterCache,
    /// Warm-up requests (§7, 4).
    WarmingUp,
    /// All warm; the routing is about to be exchanged (§7, 5).
    Switching,
    /// Exchanged; what was the target's content still runs as it did.
    Switched,
    /// The old production restarts with the settings of the slot it is in now (§7, 6).
    RestartingOther,
    /// Over.
    Finished,
}

/// How an operation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationState {
    /// 202 on its poll.
    Running,
    /// 200 on its poll.
    Succeeded,
    /// The refusal's status and body on its poll (arm-app-service.md §6, poll rule 2).
    Failed(Refusal),
}

/// A swap under way or ended.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// The site.
    pub site: SiteName,
    /// The slot in the path of the request.
    pub source: SlotName,
    /// The slot in its body.
    pub target: SlotName,
    /// The `x-ms-client-request-id` of the request that began it, by which Azure's logs tell clients apart.
    pub asked_by: Option<String>,
    /// Whether the target keeps its VNet connection.
    pub preserve_vnet: bool,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it stands.
    pub state: OperationState,
    /// Where it is.
    pub step: SwapStep,
    /// Every step with its time, in order.
    pub steps: Vec<(SwapStep, Timestamp)>,
    /// The event that will take the step further, if it does not wait for answers.
    pub(super) due: Option<EventKey>,
    /// The workers whose ping has not been answered well.
    pub(super) cold: BTreeSet<WorkerId>,
}

impl Operation {
    /// The 409 that others get while this one runs.
    pub(super) fn in_progress(&self) -> Refusal {
        Refusal::OperationInProgress {
            id: self.id.to_string(),
            created: self.created,
            site: self.site.clone(),
            slot: self.source.clone(),
        }
    }

    /// The source slot.
    pub fn source_ref(&self) -> SlotRef {
        SlotRef::new(self.site.clone(), self.source.clone())
    }

    /// The target slot.
    pub fn target_ref(&self) -> SlotRef {
        SlotRef::new(self.site.clone(), self.target.clone())
    }

    /// When it exchanged the two slots, if it has.
    pub fn switched(&self) -> Option<Timestamp> {
        self.steps.iter().find(|(step, _)| *step == SwapStep::Switched).map(|(_, at)| *at)
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.state == OperationState::Running
    }
}
