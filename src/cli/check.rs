//! The verb `check`: the smoke checks against a slot or a URL; changes nothing.

use reqwest::Url;
use serde_json::json;
use tokio::time::Instant;

use super::context::{Context, problem};
use crate::checks::ready::ReadySettings;
use crate::checks::run::{Target, deciding_verdict};
use crate::checks::spec::Check;
use crate::checks::verdict::{Verdict, worst};
use crate::checks::{run_all, wait_ready};
use crate::error::Error;
use crate::facts;
use crate::http::Http;
use crate::inputs::Needs;
use crate::names::SlotName;
use crate::release::Progress;
use crate::release::journal::{Event, Journal};

/// Checks, reports, and gives 0 for passed and 3 for everything else.
pub(super) async fn check(context: &Context) -> Result<u8, Error> {
    let (http, target) = match &context.url {
        Some(url) => (Http::new(&context.network)?, bare(context, url)?),
        None => slot(context).await?,
    };
    run(context, &http, &target, &[]).await
}

/// The same for a target that is known.
pub(super) async fn run(
    context: &Context,
    http: &Http,
    target: &Target,
    warnings: &[String],
) -> Result<u8, Error> {
    let limits = &context.config.limits;
    let show = |entry: &_| context.terminal.show(entry);
    let mut journal = Journal::new(&show);
    for warning in warnings {
        journal.warn(warning);
    }
    journal.add(Event::Waiting { what: target.base_url.to_string(), limit: limits.ready });
    let progress = |progress| context.terminal.progress(Progress::Ready(progress));
    let deadline = Instant::now() + limits.ready;
    let instances = wait_ready(http.wire(), target, &ReadySettings::default(), deadline, &progress).await;
    let ready = worst(instances.iter().map(|instance| instance.verdict));
    let mut outcomes = Vec::new();
    if ready == Verdict::Pass {
        let checks: Vec<Check> = context.config.checks.clone();
        let progress = |progress| context.terminal.progress(Progress::Checking(progress));
        let deadline = Instant::now() + limits.checks;
        outcomes = run_all(http.wire(), &checks, target, deadline, &progress).await;
    }
    let verdict = worst([ready, deciding_verdict(&outcomes)]);
    journal.add(Event::Ready { slot: target.slot.clone(), instances });
    if outcomes.is_empty() && ready == Verdict::Pass {
        journal.warn("no checks apply; that every instance answers below 500 is all that was shown");
    }
    journal.add(Event::Checked { slot: target.slot.clone(), outcomes: outcomes.clone() });
    context.terminal.finish();
    context.terminal.say(&[format!("{}  {}", verdict.as_str().to_uppercase(), target.base_url)]);
    context.document(&json!({
        "version": 1,
        "verdict": verdict.as_str(),
        "url": target.base_url.as_str(),
        "checks": outcomes.iter().map(|outcome| json!({
            "name": outcome.name,
            "verdict": outcome.verdict.as_str(),
            "critical": outcome.critical,
            "detail": outcome.detail,
            "tries": outcome.tries,
        })).collect::<Vec<_>>(),
    }));
    Ok(if verdict == Verdict::Pass { 0 } else { 3 })
}

fn bare(context: &Context, url: &str) -> Result<Target, Error> {
    let base_url = Url::parse(url).map_err(|error| problem("url", format!("is no URL: {error}")))?;
    if !matches!(base_url.scheme(), "http" | "https") {
        return Err(problem("url", "is neither http nor https"));
    }
    let slot = match context.raw.get("slot-name") {
        Some(name) => SlotName::new(name).map_err(|error| problem("slot-name", error))?,
        None => SlotName::production(),
    };
    Ok(Target {
        base_url,
        slot,
        release_id: None,
        instances: Vec::new(),
        environment: context.environment.clone(),
        working_directory: None,
    })
}

async fn slot(context: &Context) -> Result<(Http, Target), Error> {
    let inputs = context.inputs(Needs::Reading)?;
    let (azure, path) = context.connect(&inputs.connection).await?;
    let slot = facts::read_slot(&azure, &path, &inputs.slot).await?;
    let target = Target {
        base_url: slot.url.clone(),
        slot: slot.slot.clone(),
        release_id: slot.build.release_id().cloned(),
        instances: slot.instances,
        environment: context.environment.clone(),
        working_directory: None,
    };
    Ok((azure.http().clone(), target))
}
