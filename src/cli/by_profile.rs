//! `deploy` and `check` by publish profile: the SCM site and the app, without Resource Manager.

use std::sync::Arc;

use super::context::Context;
use super::record::Record;
use super::run::{self, Done};
use super::{check, run::Handover};
use crate::azure::Scm;
use crate::checks::run::Target;
use crate::error::Error;
use crate::host::origin;
use crate::http::Http;
use crate::inputs::ProfileInputs;
use crate::plan::Verb;
use crate::release::Package;
use crate::release::by_profile::{self, ProfileDeployment};
use crate::release::journal::{Event, Journal};

/// One of the two verbs.
pub(super) async fn perform(verb: &str, context: &Context, inputs: &ProfileInputs) -> Result<u8, Error> {
    if verb == "deploy" {
        return deploy(context, inputs).await;
    }
    super::unless_cancelled(context, look(context, inputs)).await
}

async fn deploy(context: &Context, inputs: &ProfileInputs) -> Result<u8, Error> {
    let record = Record::begin(context).await;
    let done = journaled(context, inputs).await;
    let (site, slot) = (inputs.profile.site.clone(), inputs.profile.slot.clone());
    run::finish(context, Verb::Deploy, record, done, &Handover { site, slot, release: None }).await
}

/// Deploys and gives back what happened.
pub(super) async fn journaled(context: &Context, inputs: &ProfileInputs) -> Result<Done, Error> {
    let show = |entry: &_| context.terminal.show(entry);
    let mut journal = Journal::new(&show);
    let profile = &inputs.profile;
    journal.add(Event::Started {
        verb: Verb::Deploy.word(),
        site: profile.site.to_string(),
        staging: profile.slot.clone(),
    });
    let prepared = run::prepare_package(context, inputs.package.as_deref(), inputs.package_type.as_deref());
    let Some(artifact) = run::unless_cancelled(context, prepared).await else {
        let outcome = run::cancelled(Verb::Deploy, &mut journal);
        return Ok(Done::new(outcome, journal));
    };
    let Some(artifact) = artifact? else {
        return Err(super::context::problem("package", "is missing"));
    };
    journal.add(Event::SignedIn { how: format!("{} (publish-profile is given)", profile.describe()) });
    run::note_package(&artifact, &mut journal);
    let package = Package {
        target_path: inputs.target_path.clone(),
        clean: inputs.clean,
        restart: inputs.restart,
        ..run::package(&artifact, origin::source(context.host, &context.process))
    };
    let http = Http::new(&context.network)?;
    let scm = Scm::with_profile(http.clone(), Arc::new(profile.clone()))?;
    let progress = |progress| context.terminal.progress(progress);
    let deployment = ProfileDeployment {
        scm: &scm,
        wire: http.wire(),
        slot: profile.slot.clone(),
        url: profile.app_url.clone(),
        config: &context.config,
        package: &package,
        environment: context.environment.clone(),
        cancelled: context.cancelled.clone(),
        progress: &progress,
    };
    let outcome = by_profile::run(&deployment, &mut journal).await?;
    Ok(Done::new(outcome, journal))
}

async fn look(context: &Context, inputs: &ProfileInputs) -> Result<u8, Error> {
    let http = Http::new(&context.network)?;
    let scm = Scm::with_profile(http.clone(), Arc::new(inputs.profile.clone()))?;
    let mut warnings =
        vec!["a publish profile does not tell the instances: one request stands for all".to_owned()];
    // The checks ask the app; which build it is only tells `run:` checks more.
    let release_id = by_profile::active(&scm).await.unwrap_or_else(|error| {
        warnings.push(format!("{error}; {}", error.help().join("; ")));
        None
    });
    let target = Target {
        base_url: inputs.profile.app_url.clone(),
        slot: inputs.profile.slot.clone(),
        release_id,
        instances: Vec::new(),
        environment: context.environment.clone(),
        working_directory: None,
    };
    check::run(context, &http, &target, &warnings).await
}
