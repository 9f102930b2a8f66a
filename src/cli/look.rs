//! The verbs that only read Azure: `status` and `plan`.

use serde_json::json;

use super::context::Context;
use super::run::{look, order, prepare};
use crate::azure::model::SlotDifference;
use crate::azure::{ResourceManager, SitePath};
use crate::error::Error;
use crate::facts::{self, Facts, SlotFacts};
use crate::inputs::Needs;
use crate::names::SlotName;
use crate::plan::movement::{Movement, movements};
use crate::plan::{self, Decision, Verb};
use crate::release::journal::Journal;
use crate::report;
use crate::text;

/// Which build each slot serves, since when, what is under way.
pub(super) async fn status(context: &Context) -> Result<u8, Error> {
    let inputs = context.inputs(Needs::Reading)?;
    let mut journal = Journal::new(&|_| {});
    let (azure, path, facts) = look(context, &inputs, &mut journal).await?;
    let others = others(&azure, &path, &facts).await;
    context.terminal.finish();
    let mut lines = vec![format!(
        "{} ({}{})",
        facts.path.site,
        facts.kind.join(","),
        facts.tier.as_deref().map(|tier| format!(", {tier} plan")).unwrap_or_default()
    )];
    for slot in sides(&facts).chain(&others) {
        lines.extend(slot_lines(slot));
    }
    if facts.staging.is_none() {
        let names: Vec<&str> = facts.slots.iter().map(SlotName::as_str).collect();
        lines.push(format!("there is no slot {}; slots: {}", inputs.slot, names.join(", ")));
    }
    say(context, &lines);
    context.document(&json!({
        "version": 1,
        "app-name": facts.path.site.as_str(),
        "resource-group-name": facts.path.group.as_str(),
        "tier": facts.tier,
        "slots": sides(&facts).chain(&others).map(slot_document).collect::<Vec<_>>(),
    }));
    Ok(0)
}

/// What `release` would do, or what forbids it, and which settings move or stay.
pub(super) async fn plan(context: &Context) -> Result<u8, Error> {
    let inputs = context.inputs(Needs::Reading)?;
    // A package that could not be shipped forbids a release as well.
    prepare(context, &inputs).await?;
    let mut journal = Journal::new(&|_| {});
    let (azure, path, facts) = look(context, &inputs, &mut journal).await?;
    let decision = plan::plan(&order(Verb::Release, &inputs), &facts);
    let (mut lines, code) = match &decision {
        Decision::Go(plan) => {
            let steps = plan.steps.iter().enumerate();
            let mut lines: Vec<String> = steps
                .map(|(position, step)| format!("{}. {} (changes {})", position + 1, step.what, step.changes))
                .collect();
            lines.extend(plan.warnings.iter().map(|warning| format!("warning: {warning}")));
            (lines, 0)
        }
        Decision::Nothing(reason) => (vec![reason.clone()], 0),
        Decision::Refused(refusals) => {
            (refusals.iter().map(|refusal| format!("refused: {refusal}; {}", refusal.help())).collect(), 3)
        }
    };
    let staging = facts.staging.as_ref().map(|staging| &staging.slot);
    let (movements, differences) = match staging {
        Some(slot) => settings(&azure, &path, slot, &mut lines).await,
        None => (None, Vec::new()),
    };
    context.terminal.finish();
    say(context, &lines);
    context.document(&json!({
        "version": 1,
        "allowed": code == 0,
        "lines": lines,
        "settings": movements,
        "differences": differences.iter().map(|difference| json!({
            "name": difference.properties.setting_name,
            "type": difference.properties.setting_type,
            "rule": difference.properties.diff_rule,
        })).collect::<Vec<_>>(),
    }));
    Ok(code)
}

/// What the swap does to settings, in words and for the document: by the settings
/// themselves, or where they may not be listed, by Azure's own comparison. A lock or a missing
/// right forbids both, and no release.
async fn settings(
    azure: &ResourceManager,
    path: &SitePath,
    slot: &SlotName,
    lines: &mut Vec<String>,
) -> (Option<Vec<Movement>>, Vec<SlotDifference>) {
    let production = SlotName::production();
    let (settings, differences) =
        tokio::join!(facts::settings(azure, path, slot), azure.slot_differences(path, slot, &production),);
    let settings = settings.map(|settings| movements(&settings));
    match (&settings, &differences) {
        (Ok(found), _) => lines.extend(report::movement::lines(found)),
        (Err(error), Ok(found)) => {
            lines.push(format!("warning: {error}; what follows is Azure's own comparison"));
            lines.extend(found.iter().map(|difference| {
                let difference = &difference.properties;
                let (kind, name) = (&difference.setting_type, &difference.setting_name);
                format!("differs: {kind} {name} ({})", difference.diff_rule)
            }));
        }
        (Err(error), Err(other)) => lines.push(format!("warning: {error}; {other}")),
    }
    (settings.ok(), differences.unwrap_or_default())
}

/// The slots beside production and the one that releases go through. One that cannot be
/// read is left out: it was deleted a moment ago.
async fn others(azure: &ResourceManager, path: &SitePath, facts: &Facts) -> Vec<SlotFacts> {
    let staging = facts.staging.as_ref().map(|slot| &slot.slot);
    let names = facts.slots.iter().filter(|name| Some(*name) != staging);
    let reads = names.map(|name| facts::read_slot(azure, path, name));
    futures_util::future::join_all(reads).await.into_iter().filter_map(Result::ok).collect()
}

fn sides(facts: &Facts) -> impl Iterator<Item = &SlotFacts> {
    std::iter::once(&facts.production).chain(facts.staging.as_ref())
}

fn slot_lines(slot: &SlotFacts) -> Vec<String> {
    let mut lines = vec![
        format!("{}: {}", slot.slot, slot.state),
        format!("  url       {}", slot.url),
        format!("  build     {}", slot.build),
    ];
    let digest = slot.note.as_ref().and_then(|note| note.sha256.as_ref());
    lines.extend(digest.map(|digest| format!("  sha256    {digest}")));
    lines.extend(slot.since.iter().map(|since| format!("  since     {since}")));
    if let Some(swap) = &slot.last_swap {
        lines.push(format!(
            "  last swap {} with {} at {}",
            swap.source_slot_name, swap.destination_slot_name, swap.timestamp_utc
        ));
    }
    lines.extend(slot.operation.iter().map(|id| format!("  under way {id}")));
    lines.extend(slot.prepared_with.iter().map(|with| format!("  prepared for a swap with {with}")));
    lines.extend(slot.auto_swap.iter().map(|with| format!("  auto swap with {with}")));
    lines.extend(slot.traffic.iter().map(|(name, percent)| format!("  traffic   {percent} % to {name}")));
    lines
}

fn slot_document(slot: &SlotFacts) -> serde_json::Value {
    json!({
        "slot": slot.slot.as_str(),
        "url": slot.url.as_str(),
        "state": slot.state,
        "build": slot.build.to_string(),
        "release-id": slot.build.release_id().map(ToString::to_string),
        "sha256": slot.note.as_ref().and_then(|note| note.sha256.as_ref()),
        "since": slot.since,
        "last-swap": slot.last_swap.as_ref().map(|swap| &swap.timestamp_utc),
        "operation": slot.operation,
        "prepared-with": slot.prepared_with,
        "auto-swap": slot.auto_swap,
        "instances": slot.instances.len(),
    })
}

fn say(context: &Context, lines: &[String]) {
    let lines: Vec<String> = lines.iter().flat_map(|line| text::lines(line)).collect();
    context.terminal.say(&lines);
}
