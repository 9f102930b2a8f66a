//! One line or a few for every entry: the live log, for people.

use super::changes;
use super::next::Next;
use super::words::{bytes, count, duration, milliseconds};
use crate::checks::ready::InstanceReady;
use crate::checks::run::CheckOutcome;
use crate::checks::verdict::Verdict;
use crate::checks::watch::WatchReport;
use crate::release::journal::{Conclusion, Entry, Event, Learnt, SlotView};
use crate::release::machine::{Claim, Direction, Outcome, Phase, Serving};
use crate::text;

/// The lines of one entry, made harmless; none where a reader gains nothing.
pub fn of(entry: &Entry) -> Vec<String> {
    let said = said(&entry.event);
    let time = format!("{:>9}", duration(entry.elapsed));
    let mut out = Vec::new();
    for (position, part) in said.iter().flat_map(|part| text::lines(part)).enumerate() {
        out.push(if position == 0 { format!("{time}  {part}") } else { format!("{:>9}  {part}", "") });
    }
    out
}

/// The same words without time and layout, for the machine-readable report.
pub(super) fn text_of(entry: &Entry) -> String {
    said(&entry.event).iter().flat_map(|part| text::lines(part)).collect::<Vec<_>>().join("\n")
}

fn said(event: &Event) -> Vec<String> {
    match event {
        Event::Started { verb, site, staging } => vec![format!("{verb} {site} through the slot {staging}")],
        Event::SignedIn { how } => vec![format!("sign-in: {how}")],
        Event::FactsRead { production, staging } => production.iter().chain(staging).map(serves).collect(),
        Event::Planned { steps, .. } => steps
            .iter()
            .enumerate()
            .map(|(position, step)| format!("plan {}. {step}", position + 1))
            .collect(),
        Event::Compared(found) => changes::lines(found),
        Event::Moved { phase: Phase::Ended(_), .. } => Vec::new(),
        Event::Moved { phase, .. } => vec![format!("── {}", phase.words())],
        Event::Waiting { what, limit } => vec![format!("waiting for {what}, at most {}", duration(*limit))],
        Event::PackageReady { package_type, size_bytes, files, sha256 } => {
            let files = files.map(|files| format!(", {}", count(files, "file"))).unwrap_or_default();
            vec![format!("package: {package_type}, {}{files}, sha256 {}", bytes(*size_bytes), short(sha256))]
        }
        Event::Configured { slot, what } => vec![format!("{slot} has its new {what}, as read back")],
        Event::Uploaded { size_bytes, elapsed } => {
            vec![format!("uploaded {} in {}", bytes(*size_bytes), duration(*elapsed))]
        }
        Event::Deployed { release, elapsed } => {
            vec![format!("deployed in {}; the release id is {release}", duration(*elapsed))]
        }
        Event::Ready { slot, instances } => {
            let mut lines = vec![format!(
                "{slot}: {} of {} ready",
                instances.iter().filter(|instance| instance.verdict == Verdict::Pass).count(),
                count(instances.len() as u64, "instance")
            )];
            lines
                .extend(instances.iter().filter(|instance| instance.verdict != Verdict::Pass).map(not_ready));
            lines
        }
        Event::Checked { outcomes, .. } => outcomes.iter().map(checked).collect(),
        Event::SwapSent { direction: Direction::Forward } => vec!["swap requested".to_owned()],
        Event::SwapSent { direction: Direction::Back } => vec!["swap back requested".to_owned()],
        Event::SwapEnded { claim, learnt, elapsed, .. } => vec![swap_ended(*claim, *learnt, *elapsed)],
        Event::Observed { serving, production, .. } => {
            vec![format!("read back: production serves {production} ({})", serving_words(*serving))]
        }
        Event::Watched(report) => watched(report),
        Event::Warned { text } => vec![format!("warning: {text}")],
        Event::Failed { cause, help } => {
            let mut lines = vec![format!("failed: {cause}")];
            lines.extend(help.iter().map(|help| format!("  → {help}")));
            lines
        }
        Event::Ended { .. } => Vec::new(),
    }
}

/// The last lines: the outcome first, then what both slots serve and what to do.
pub fn conclusion(conclusion: &Conclusion, next: Option<&Next>) -> Vec<String> {
    let mut lines = vec![String::new()];
    let word = conclusion.outcome.map_or("unfinished", Outcome::word).to_uppercase();
    lines.push(format!("{word}  {}", headline(conclusion)));
    let side = |name: &str, build: &Option<String>| {
        build.as_ref().map(|build| format!("  {name:<11} serves {build}"))
    };
    lines.extend(side("production", &conclusion.production));
    lines.extend(side("other slot", &conclusion.staging));
    if let Some(watch) = conclusion.watch.as_ref().filter(|watch| watch.requests() > 0) {
        lines.push(format!("  {}", lost(watch)));
    }
    if let Some((cause, help)) = &conclusion.cause {
        lines.push(format!("  cause: {cause}"));
        lines.extend(conclusion.further.iter().map(|further| format!("  then:  {further}")));
        lines.extend(help.iter().map(|help| format!("  → {help}")));
    }
    lines.extend(next.map(|next| format!("  next: {}", next.line())));
    lines.extend(next.and_then(|next| next.on_host.as_ref()).map(|way| format!("  or {way}")));
    lines
        .iter()
        .flat_map(|line| if line.is_empty() { vec![String::new()] } else { text::lines(line) })
        .collect()
}

/// One sentence that a manager understands.
pub fn headline(conclusion: &Conclusion) -> String {
    let build = |build: &Option<String>| match build.as_deref() {
        None => "an unknown build".to_owned(),
        Some("could not be read") => "a build that could not be read".to_owned(),
        Some(build) => build.to_owned(),
    };
    let took = duration(conclusion.elapsed);
    match conclusion.outcome {
        Some(Outcome::Released) => {
            format!(
                "production serves the new build {}, verified, after {took}",
                build(&conclusion.production)
            )
        }
        Some(Outcome::Staged) => {
            format!(
                "the new build {} is ready in the slot, verified; production is untouched",
                build(&conclusion.staging)
            )
        }
        Some(Outcome::NothingToDo) => "there was nothing to roll back; nothing was changed".to_owned(),
        Some(Outcome::Refused) if conclusion.before.is_none() => {
            "production is untouched; what it serves could not be read".to_owned()
        }
        Some(Outcome::Refused) => {
            format!("production is untouched and serves {}", build(&conclusion.production))
        }
        Some(Outcome::RolledBack) => {
            format!("production serves the old build {} again, verified", build(&conclusion.production))
        }
        Some(Outcome::Stuck) => {
            format!("a person is needed; production was last seen to serve {}", build(&conclusion.production))
        }
        None => "the run did not come to an end".to_owned(),
    }
}

/// `0 of 183 requests to production lost`.
pub(super) fn lost(watch: &WatchReport) -> String {
    let requests = count(watch.requests(), "request");
    if watch.lost() == 0 {
        return format!("0 of {requests} to production lost");
    }
    let first = watch.first_loss.as_deref().unwrap_or("no answer");
    format!(
        "{} of {requests} to production LOST, longest gap {}, first: {first}",
        watch.lost(),
        milliseconds(watch.longest_gap)
    )
}

fn watched(report: &WatchReport) -> Vec<String> {
    if report.requests() == 0 {
        return Vec::new();
    }
    let mut lines = vec![lost(report)];
    let median = |latency: Option<std::time::Duration>| latency.map_or("–".to_owned(), milliseconds);
    lines.push(format!(
        "median latency: {} before, {} during, {} after the swap",
        median(report.before.latency_p50),
        median(report.during.latency_p50),
        median(report.after.latency_p50)
    ));
    lines
}

fn serves(view: &SlotView) -> String {
    let digest =
        view.sha256.as_deref().map(|digest| format!(" (sha256 {})", short(digest))).unwrap_or_default();
    format!("{} serves {}{digest} at {}", view.slot, view.build, view.url)
}

fn not_ready(instance: &InstanceReady) -> String {
    match instance.instance.as_deref() {
        Some(name) => format!("  instance {}: {}", short(name), instance.detail),
        None => format!("  {}", instance.detail),
    }
}

fn checked(outcome: &CheckOutcome) -> String {
    let word = match outcome.verdict {
        Verdict::Pass => "passed",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Error => "NOT MEASURED",
        Verdict::Fail => "FAILED",
    };
    let instance = outcome.instance.as_deref().map(|name| format!(" on {}", short(name))).unwrap_or_default();
    let tries = if outcome.tries > 1 { format!(", {} tries", outcome.tries) } else { String::new() };
    let optional = if outcome.critical { "" } else { " (not critical)" };
    let mut line =
        format!("check \"{}\"{instance} {word}{optional}: {}{tries}", outcome.name, outcome.detail);
    if let Some(tail) = outcome.output_tail.as_deref().filter(|_| outcome.verdict != Verdict::Pass) {
        for part in tail.lines() {
            line.push_str("\n  | ");
            line.push_str(part);
        }
    }
    line
}

fn swap_ended(claim: Claim, learnt: Learnt, elapsed: std::time::Duration) -> String {
    let from = match learnt {
        Learnt::Answer => "the answer",
        Learnt::Operation => "the operation",
        Learnt::SiteStatus => "the site's swap status",
    };
    match claim {
        Claim::Finished => format!("swap done after {}, as {from} says", duration(elapsed)),
        Claim::Refused => format!("swap refused after {}, as {from} says", duration(elapsed)),
        Claim::Failed => format!("swap failed after {}, as {from} says", duration(elapsed)),
        Claim::Unclear => format!("after {} it is not clear whether the swap took place", duration(elapsed)),
    }
}

pub(super) fn serving_words(serving: Serving) -> &'static str {
    match serving {
        Serving::New => "the new build",
        Serving::Old => "the old build",
        Serving::Other => "neither the old nor the new build",
        Serving::Unknown => "not certain",
    }
}

pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
