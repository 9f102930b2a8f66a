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
use crate::inputs::{Needs, Problem};
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
    let base_url = address(url)?;
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

/// What `--url` may be. It is shown, and handed on to commands, so it holds no password; what stands behind `?`
/// would be in no request, as each check has a path and a query of its own.
fn address(url: &str) -> Result<Url, Error> {
    let refused = |message: &str, help: &str| {
        let (input, message, help) = ("url".to_owned(), message.to_owned(), help.to_owned());
        Err(Error::Inputs(vec![Problem { input, message, help }]))
    };
    let address = Url::parse(url).map_err(|error| problem("url", format!("is no URL: {error}")))?;
    if !matches!(address.scheme(), "http" | "https") {
        return refused("is neither http nor https", "");
    }
    if !address.username().is_empty() || address.password().is_some() {
        return refused(
            "holds a user name or a password, which would be shown",
            "leave them out; a check that has to sign in is a run: check, which finds its secret in a variable",
        );
    }
    if address.query().is_some() || address.fragment().is_some() {
        return refused(
            "holds a query or a fragment, which no check would send",
            "give the address without it; each check's path may have a query of its own",
        );
    }
    Ok(address)
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
