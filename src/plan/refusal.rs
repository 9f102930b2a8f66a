//! Why a release is refused, and what to do about it.

use crate::names::{ReleaseId, SlotName};

/// Why a release is refused before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The slot is not there.
    #[error("the app {site} has no slot \"{slot}\"; it has: {has}")]
    NoSuchSlot {
        /// The app.
        site: String,
        /// The slot asked for.
        slot: String,
        /// The slots that exist.
        has: String,
    },
    /// Production was named as the slot to go through.
    #[error("slot-name is production; a release goes through another slot")]
    SlotIsProduction,
    /// The plan has no slots.
    #[error("the App Service plan is {tier}, which has no deployment slots")]
    TierWithoutSlots {
        /// Its tier.
        tier: String,
    },
    /// Container Apps have no slots.
    #[error("the app runs on Container Apps, which has no deployment slots")]
    OnContainerApps,
    /// Stopped, switched off or over its quota.
    #[error("{slot} is {condition}")]
    NotRunning {
        /// Which slot.
        slot: SlotName,
        /// In which way.
        condition: String,
    },
    /// A swap with preview is pending.
    #[error(
        "{slot} has been prepared for a swap with \"{with}\" and waits for its completion or cancellation"
    )]
    PreviewPending {
        /// Which slot.
        slot: SlotName,
        /// The other slot.
        with: String,
    },
    /// Something else is at work.
    #[error("another operation is under way on {slot}: {operation}")]
    OperationUnderWay {
        /// Which slot.
        slot: SlotName,
        /// Its id.
        operation: String,
    },
    /// Kudu would swap by itself after the deployment.
    #[error("auto swap is on: {slot} swaps with \"{with}\" by itself after each deployment, unchecked")]
    AutoSwap {
        /// Which slot.
        slot: SlotName,
        /// With which.
        with: String,
    },
    /// A traffic rule names the slot and would point at the old version after the swap.
    #[error(
        "a traffic rule sends {percent} % of production's requests to {slot}; after the swap it would send them to the old version"
    )]
    TrafficRule {
        /// Which slot.
        slot: SlotName,
        /// How much.
        percent: String,
    },
    /// Staging serves something else than what was approved.
    #[error("staging serves {serves}, not the release {wanted}")]
    StagingMovedOn {
        /// What it serves.
        serves: String,
        /// What was asked for.
        wanted: ReleaseId,
    },
    /// Production serves something else than when the release was prepared.
    #[error("production serves {serves}, not {expected} as when this release was prepared")]
    ProductionMovedOn {
        /// What it serves.
        serves: String,
        /// What was expected.
        expected: String,
    },
    /// Staging has nothing that could be swapped in.
    #[error("staging serves no deployment that could be swapped: {why}")]
    NothingToSwap {
        /// Why.
        why: String,
    },
    /// The slot serves a container image, and a package was given.
    #[error("{slot} runs the container image {image}; a package cannot be deployed to it")]
    IsContainer {
        /// Which slot.
        slot: SlotName,
        /// Its image.
        image: String,
    },
    /// An image was given, and the slot runs code on a built-in stack.
    #[error("{slot} runs code, not a container; the image {image} cannot be deployed to it")]
    IsCode {
        /// Which slot.
        slot: SlotName,
        /// The image.
        image: ReleaseId,
    },
    /// The slot runs several containers, which one image would replace.
    #[error("{slot} runs several containers ({kind}); one image would take the place of them all")]
    SeveralContainers {
        /// Which slot.
        slot: SlotName,
        /// How they are described.
        kind: &'static str,
    },
    /// Production serves the very same image reference.
    #[error(
        "the image {image} would lie in both slots: after a swap nothing could tell which of the two production serves"
    )]
    SameImage {
        /// The image.
        image: ReleaseId,
    },
    /// Earlier runs are settled by their marks, and there is no place for one beside an image.
    #[error(
        "a slot runs the image {image}, beside which no run can leave a mark: what an earlier one left cannot be told"
    )]
    NoMarks {
        /// The image.
        image: ReleaseId,
    },
    /// What an earlier run noted beside its build could not be read.
    #[error("whether an earlier run left anything in {slot} could not be read: {why}")]
    MarksUnread {
        /// Which slot.
        slot: SlotName,
        /// Why.
        why: String,
    },
    /// A start command was given for an app that is not started by one.
    #[error("{slot} runs code on Windows, which has no startup command")]
    NoStartupCommand {
        /// Which slot.
        slot: SlotName,
    },
    /// The SCM site, which takes packages, does not answer.
    #[error("the SCM site of {slot} could not be read: {why}")]
    ScmUnreadable {
        /// Which slot.
        slot: SlotName,
        /// Why.
        why: String,
    },
    /// Neither the caller nor a record says which build was before.
    #[error(
        "nothing tells which build production served before the release that it serves now{}",
        .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
    )]
    ReleaseUnknown {
        /// Why the record could not be read, where it was tried.
        why: Option<String>,
    },
    /// An earlier run left production unproven, and a deployment would destroy the way back.
    #[error("{left}; a deployment to the other slot would destroy the way back")]
    Unfinished {
        /// What it left.
        left: String,
    },
    /// The version before is gone.
    #[error("the version before {release} was {wanted}, and staging now serves {serves}")]
    PreviousIsGone {
        /// The release to take back.
        release: ReleaseId,
        /// The build before it.
        wanted: String,
        /// What staging serves.
        serves: String,
    },
}

impl Refusal {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoSuchSlot { .. } => {
                "check slot-name, or create the slot: az webapp deployment slot create"
            }
            Self::SlotIsProduction => "give the name of the staging slot in slot-name",
            Self::TierWithoutSlots { .. } => {
                "scale the plan up to Standard or higher: az appservice plan update --sku S1"
            }
            Self::OnContainerApps => "use the revisions of Container Apps instead",
            Self::NotRunning { .. } => "start it (az webapp start), or look at its state in the portal",
            Self::PreviewPending { .. } => {
                "complete or cancel it: az webapp deployment slot swap --action swap | reset"
            }
            Self::OperationUnderWay { .. } => "wait until it has ended, then run again",
            Self::AutoSwap { .. } => "switch it off: az webapp deployment slot auto-swap --disable",
            Self::TrafficRule { .. } => "clear the rules first: az webapp traffic-routing clear",
            Self::StagingMovedOn { .. } => {
                "deploy again, and swap the release-id that this deployment hands on"
            }
            Self::ProductionMovedOn { .. } => "deploy again on top of what production serves now",
            Self::NothingToSwap { .. } => "run slotway deploy first",
            Self::IsContainer { .. } => "give the input images instead of package",
            Self::IsCode { .. } => {
                "give the input package instead of images, or make the slot a container first: az webapp config container set"
            }
            Self::SeveralContainers { .. } => {
                "deploy them with the tool that described them; Slotway deploys a single image"
            }
            Self::SameImage { .. } => {
                "give every build a tag of its own, or name it by its digest (registry/app@sha256:…)"
            }
            Self::NoMarks { .. } => {
                "look at both slots with slotway status and slotway check; slotway rollback with previous-build goes back"
            }
            Self::NoStartupCommand { .. } => {
                "leave startup-command out; web.config says how IIS starts the app"
            }
            Self::ScmUnreadable { .. } => {
                "check that this machine may reach the SCM site, and that the identity has Microsoft.Web/sites/publish/action"
            }
            Self::ReleaseUnknown { .. } => {
                "give previous-build, if the slot serves it: slotway status shows both"
            }
            Self::MarksUnread { .. } => "run it again; slotway status shows what both slots serve",
            Self::Unfinished { .. } => {
                "finish it first: slotway settle proves production, or brings the version before back"
            }
            Self::PreviousIsGone { .. } => {
                "release the earlier package again: instant rollback ends with the next deployment to staging"
            }
        }
    }
}
