//! A deployment by publish profile: to staging, and no further.
//!
//! Owns the order of its phases, by the same table. Speaks to the SCM site and the app
//! only: without Resource Manager there is no slot to read, no instance to name and no
//! swap, and what could not be looked at is said.

use std::collections::BTreeSet;

use reqwest::Url;
use tokio::sync::watch as signal;

use super::check::Proving;
use super::deploy::{self, DeployError};
use super::journal::{Event, Journal, SlotView};
use super::machine::{self, Event as Step, IllegalEvent, Outcome, Phase, Serving};
use super::upload::{self, Sending};
use super::{Package, Progress};
use crate::azure::{AzureError, Scm};
use crate::checks::file::ConfigFile;
use crate::checks::run::Target;
use crate::http::Wire;
use crate::names::{ReleaseId, SlotName};
use crate::plan::Start;

/// What cannot be read by a publish profile, for the log.
const UNSEEN: &str = "a publish profile opens the SCM site only: the slots, their settings, auto swap, running \
                      operations and production could not be looked at, and one request stands for all instances";
/// What is said of production at the end.
const NOT_READ: &str = "a build that was not looked at";

/// Everything such a deployment needs.
pub struct ProfileDeployment<'a> {
    /// The SCM site, signed in to.
    pub scm: &'a Scm,
    /// What asks the app.
    pub wire: &'a Wire,
    /// The slot.
    pub slot: SlotName,
    /// Where it answers.
    pub url: Url,
    /// Checks and limits.
    pub config: &'a ConfigFile,
    /// The package.
    pub package: &'a Package,
    /// The environment of `run:` checks.
    pub environment: Vec<(String, String)>,
    /// Becomes true when the run is asked to stop.
    pub cancelled: signal::Receiver<bool>,
    /// Where progress goes.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

/// Carries it out.
///
/// # Errors
///
/// [`IllegalEvent`] for a bug in the loop.
pub async fn run(
    deployment: &ProfileDeployment<'_>,
    journal: &mut Journal<'_>,
) -> Result<Outcome, IllegalEvent> {
    journal.warn(UNSEEN);
    let steps = [
        format!("deploy the package to {}", deployment.slot),
        format!("check {}, without knowing its instances", deployment.slot),
    ];
    journal.add(Event::Planned { steps: steps.to_vec(), release: None });
    let mut release = None;
    let mut phase = Phase::Planned;
    let mut event = Step::Began(Start::Deploy);
    let outcome = loop {
        phase = machine::next(phase, event)?;
        journal.add(Event::Moved { because: event, phase });
        if let Some(outcome) = phase.outcome() {
            break outcome;
        }
        event = step(deployment, &mut release, phase, journal).await;
    };
    let unknown = || "could not be read".to_owned();
    let staging = release.as_ref().map_or_else(unknown, ToString::to_string);
    journal.add(Event::Ended { outcome, production: NOT_READ.to_owned(), staging });
    Ok(outcome)
}

async fn step(
    deployment: &ProfileDeployment<'_>,
    release: &mut Option<ReleaseId>,
    phase: Phase,
    journal: &mut Journal<'_>,
) -> Step {
    let work = async {
        match phase {
            Phase::Deploying => send(deployment, release, journal).await,
            Phase::CheckingStaging => prove(deployment, release.as_ref(), journal).await,
            // Nothing was sent to production, and nothing can be read of it.
            _ => Step::Observed(Serving::Unknown),
        }
    };
    let mut cancelled = deployment.cancelled.clone();
    let stopped = tokio::select! {
        biased;
        _ = cancelled.wait_for(|stop| *stop), if !matches!(phase, Phase::Confirming(_)) => None,
        event = work => Some(event),
    };
    stopped.unwrap_or_else(|| {
        journal.fail(format!("cancelled in the phase \"{}\"", phase.words()), Vec::new());
        Step::Cancelled
    })
}

async fn send(
    deployment: &ProfileDeployment<'_>,
    release: &mut Option<ReleaseId>,
    journal: &mut Journal<'_>,
) -> Step {
    match deploy(deployment, journal).await {
        Ok(id) => {
            *release = Some(id);
            Step::Deployed
        }
        Err(error) => {
            journal.fail(&error, error.help());
            Step::DeployFailed
        }
    }
}

async fn deploy(
    deployment: &ProfileDeployment<'_>,
    journal: &mut Journal<'_>,
) -> Result<ReleaseId, DeployError> {
    let ProfileDeployment { scm, package, progress, .. } = *deployment;
    let records = scm.deployments().await?;
    let build = records.iter().find(|record| record.active).map(|record| record.id.clone());
    journal.add(Event::FactsRead {
        production: None,
        staging: Some(SlotView {
            slot: deployment.slot.clone(),
            url: deployment.url.to_string(),
            release: build.as_ref().and_then(|id| ReleaseId::new(id).ok()),
            build: build.unwrap_or_else(|| "nothing deployed".to_owned()),
            sha256: None,
        }),
    });
    let here: BTreeSet<String> = records.into_iter().map(|record| record.id).collect();
    let elsewhere = BTreeSet::new();
    let limits = &deployment.config.limits;
    let id = upload::send(Sending { scm, package, limits, here, elsewhere, progress }, journal).await?;
    // Which build production serves is not known, so a later rollback has to be told.
    deploy::write_note(scm, &id, package, None, journal).await;
    Ok(id)
}

/// The slot answers and passes, and last of all it still serves this build.
async fn prove(
    deployment: &ProfileDeployment<'_>,
    release: Option<&ReleaseId>,
    journal: &mut Journal<'_>,
) -> Step {
    let ProfileDeployment { wire, config, progress, .. } = *deployment;
    let target = Target {
        base_url: deployment.url.clone(),
        slot: deployment.slot.clone(),
        release_id: release.cloned(),
        instances: Vec::new(),
        environment: deployment.environment.clone(),
        working_directory: None,
    };
    let scm = deployment.scm;
    let proving = Proving { wire, config, progress, scm: Box::new(|_| Some(scm.clone())) };
    if !proving.staging(&target, journal).await {
        return Step::StagingFailed;
    }
    match active(deployment.scm).await {
        Ok(serves) if serves.as_ref() == release => Step::StagingPassedAndStop,
        Ok(serves) => {
            let serves = serves.map_or("nothing".to_owned(), |id| id.to_string());
            journal.fail(
                format!("{} serves {serves} now: somebody else was at work", deployment.slot),
                vec!["run again".to_owned()],
            );
            Step::StagingFailed
        }
        Err(error) => {
            journal.fail(&error, error.help());
            Step::StagingFailed
        }
    }
}

/// The build that the slot serves.
///
/// # Errors
///
/// [`AzureError`] when the SCM site does not tell.
pub async fn active(scm: &Scm) -> Result<Option<ReleaseId>, AzureError> {
    let records = scm.deployments().await?;
    Ok(records.iter().find(|record| record.active).and_then(|record| ReleaseId::new(&record.id).ok()))
}
