//! Why the world says no.
//!
//! Owns the status, code and text of every refusal, each with its source. Must not
//! know how a skin writes them: Resource Manager's gateway, the resource provider
//! and Kudu each have a shape of their own, which [`Refusal::origin`] names.

use time::macros::format_description;

use super::Timestamp;
use crate::names::{ResourceGroup, SiteName, SlotName};

/// Who refuses, and so in which shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Resource Manager itself: `{error:{code,message}}` and `x-ms-failure-cause: gateway`
    /// (seen-in-recordings.md 18).
    Gateway,
    /// The resource provider: `{Code,Message,Target,Details,Innererror}`
    /// (seen-in-recordings.md 18).
    Provider,
    /// Kudu: a plain text (kudu-deploy.md §3).
    Scm,
}

/// A command that was not carried out; nothing has changed. Also how a failed operation ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such site. Text ends as seen-in-recordings.md 18 has it.
    #[error(
        "The Resource 'Microsoft.Web/sites/{site}' under resource group '{resource_group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )]
    SiteNotFound {
        /// The name asked for.
        site: String,
        /// The group asked in.
        resource_group: String,
    },
    /// There is no such slot. Text ends as seen-in-recordings.md 18 has it.
    #[error(
        "The Resource 'Microsoft.Web/sites/{site}/slots/{slot}' under resource group '{resource_group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )]
    SlotNotFound {
        /// The site, which exists.
        site: SiteName,
        /// The slot asked for.
        slot: SlotName,
        /// The site's group.
        resource_group: ResourceGroup,
    },
    /// The slot named in the body of a swap is not there: 404 from the provider
    /// (real-clients.md, "unknown target"; the words are unconfirmed).
    #[error("Site slot '{slot}' of site '{site}' was not found.")]
    TargetSlotNotFound {
        /// The site.
        site: SiteName,
        /// The slot named in the body.
        slot: SlotName,
    },
    /// Something else is not there: a plan, a deployment, an instance.
    #[error("{what} was not found.")]
    NotFound {
        /// What was asked for, as the start of a sentence.
        what: String,
    },
    /// 409 while an operation runs (arm-app-service.md §9).
    #[error(
        "Cannot modify this site because another operation is in progress. Details: Id: {id}, OperationName: SwapSiteSlots, CreatedTime: {created}, RequestId: {id}, EntityType: 3, SiteName: {site}, SlotName: {slot}",
        created = american(*created)
    )]
    OperationInProgress {
        /// The running operation.
        id: String,
        /// When it was accepted.
        created: Timestamp,
        /// Its site.
        site: SiteName,
        /// Its source slot.
        slot: SlotName,
    },
    /// 409 for a configuration write while a preview is pending (arm-app-service.md §8, §9).
    #[error("The slot cannot be changed because its configuration settings have been prepared for swap.")]
    PreparedForSwap,
    /// A second preview, or a swap of another pair (arm-app-service.md §9; code unconfirmed).
    #[error(
        "Cannot apply configuration from slot '{slot}' because this slot has already been prepared for swap with slot '{with}'."
    )]
    AlreadyPrepared {
        /// The slot that gives the configuration.
        slot: String,
        /// The slot it is prepared for.
        with: String,
    },
    /// Preview with App Service authentication (arm-app-service.md §8, §9).
    #[error("Swap with Preview cannot be used when one of the slots has site authentication enabled.")]
    AuthenticationEnabled,
    /// 400 for a request that makes no sense.
    #[error("{message}")]
    BadRequest {
        /// The whole text.
        message: String,
    },
    /// 400: a source instance did not start (arm-app-service.md §9; Windows).
    #[error(
        "Cannot swap site slots for site '{site}' because the worker process for '{slot}' slot could not be started."
    )]
    WorkerNotStarted {
        /// The site.
        site: SiteName,
        /// The source slot.
        slot: String,
    },
    /// 400: scaled during the swap (arm-app-service.md §9).
    #[error(
        "Cannot swap site slots for site '{site}' because the allocation of VM instances for '{slot}' slot has changed during the swap process. Please retry the swap operation."
    )]
    AllocationChanged {
        /// The site.
        site: SiteName,
        /// The source slot.
        slot: String,
    },
    /// 417: the warm-up failed, or on Linux the container never started
    /// (arm-app-service.md §7 last lines, §9).
    #[error(
        "Cannot swap site slots for site '{site}' because the '{slot}' slot did not respond to http ping."
    )]
    PingFailed {
        /// The site.
        site: SiteName,
        /// The source slot.
        slot: String,
    },
    /// 409: a management lock (arm-app-service.md §9; code unconfirmed).
    #[error(
        "The scope '{scope}' cannot perform {action} operation because following scope(s) are locked: '{scope}'. Please remove the lock and try again."
    )]
    ScopeLocked {
        /// The resource as a path below the resource group.
        scope: String,
        /// "write" or "delete".
        action: &'static str,
    },
    /// 409: the tier has no room for another slot (arm-app-service.md §4; text unconfirmed).
    #[error(
        "Cannot complete the operation because the site will exceed the number of slots allowed for the '{tier}' SKU."
    )]
    TooManySlots {
        /// The plan's tier.
        tier: String,
    },
    /// Kudu's 409 under its deployment lock (kudu-deploy.md §3, §5).
    #[error("There is a deployment currently in progress. Please try again when it completes.")]
    DeploymentInProgress,
    /// Kudu's 409 for a record whose id is taken (kudu-deploy.md §7).
    #[error("Deployment with id '{id}' exists.")]
    DeploymentExists {
        /// The id.
        id: String,
    },
    /// Kudu's 409 when the package comes from a URL (kudu-deploy.md §3, §10).
    #[error(
        "Run-From-Zip is set to a remote URL using WEBSITE_RUN_FROM_PACKAGE or WEBSITE_USE_ZIP app setting. Deployment is not supported in this configuration."
    )]
    RunFromPackageUrl,
    /// 503 while the SCM site restarts (seen-in-recordings.md 25).
    #[error("The service is unavailable.")]
    ScmRestarting,
    /// 403 of a stopped site's SCM (kudu-deploy.md §3).
    #[error("Error 403 - This web app is stopped.")]
    SiteStopped,
}

impl Refusal {
    /// The HTTP status, of the answer or of the last poll of an operation.
    pub fn status(&self) -> u16 {
        match self {
            Self::SiteNotFound { .. }
            | Self::SlotNotFound { .. }
            | Self::TargetSlotNotFound { .. }
            | Self::NotFound { .. } => 404,
            Self::OperationInProgress { .. }
            | Self::PreparedForSwap
            | Self::AlreadyPrepared { .. }
            | Self::AuthenticationEnabled
            | Self::ScopeLocked { .. }
            | Self::TooManySlots { .. }
            | Self::DeploymentInProgress
            | Self::DeploymentExists { .. }
            | Self::RunFromPackageUrl => 409,
            Self::BadRequest { .. } | Self::WorkerNotStarted { .. } | Self::AllocationChanged { .. } => 400,
            Self::PingFailed { .. } => 417,
            Self::ScmRestarting => 503,
            Self::SiteStopped => 403,
        }
    }

    /// The `code` / `Code` of the body; empty for Kudu's plain texts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SiteNotFound { .. } | Self::SlotNotFound { .. } => "ResourceNotFound",
            Self::TargetSlotNotFound { .. } | Self::NotFound { .. } => "NotFound",
            Self::OperationInProgress { .. }
            | Self::PreparedForSwap
            | Self::AlreadyPrepared { .. }
            | Self::AuthenticationEnabled
            | Self::TooManySlots { .. } => "Conflict",
            Self::ScopeLocked { .. } => "ScopeLocked",
            Self::BadRequest { .. } | Self::WorkerNotStarted { .. } | Self::AllocationChanged { .. } => {
                "BadRequest"
            }
            Self::PingFailed { .. } => "ExpectationFailed",
            Self::DeploymentInProgress
            | Self::DeploymentExists { .. }
            | Self::RunFromPackageUrl
            | Self::ScmRestarting
            | Self::SiteStopped => "",
        }
    }

    /// The `ExtendedCode` of the provider's shape. Only 59206 and 59207 are confirmed
    /// (seen-in-recordings.md 19), and neither belongs to a refusal of this world; these are unconfirmed.
    pub fn extended_code(&self) -> &'static str {
        match self {
            Self::OperationInProgress { .. } => "59203",
            Self::TargetSlotNotFound { .. } | Self::NotFound { .. } => "51004",
            _ => "01003",
        }
    }

    /// Who refuses.
    pub fn origin(&self) -> Origin {
        match self {
            Self::SiteNotFound { .. } | Self::SlotNotFound { .. } | Self::ScopeLocked { .. } => {
                Origin::Gateway
            }
            Self::DeploymentInProgress
            | Self::DeploymentExists { .. }
            | Self::RunFromPackageUrl
            | Self::ScmRestarting
            | Self::SiteStopped => Origin::Scm,
            _ => Origin::Provider,
        }
    }
}

/// The way in which the 409 text of a real service gives its time (azure-pipelines-tasks issue 11384).
fn american(time: Timestamp) -> String {
    let format = format_description!(
        "[month padding:none]/[day padding:none]/[year] [hour repr:12 padding:none]:[minute]:[second] [period]"
    );
    time.format(format).unwrap_or_default()
}
