//! The machine-readable report. Version 1: fields are added, never changed.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::changes;
use super::next::Next;
use crate::checks::watch::{PhaseReport, WatchReport};
use crate::release::journal::{Conclusion, Entry, Event, SlotView};
use crate::release::machine::Outcome;
use crate::text::is_hidden;

/// The report as a JSON object.
pub fn report(entries: &[Entry], exit_code: u8, next: Option<&Next>) -> Value {
    let conclusion = Conclusion::of(entries);
    json!({
        "version": 1,
        "outcome": conclusion.outcome.map(Outcome::word),
        "exit-code": exit_code,
        "release-id": conclusion.release.as_ref().map(ToString::to_string),
        "cause": conclusion.cause.as_ref().map(|(cause, _)| cause),
        "help": conclusion.cause.as_ref().map(|(_, help)| help),
        "further": conclusion.further,
        "next": next.map(Next::line),
        "next-on-host": next.and_then(|next| next.on_host.as_ref()),
        "production": side(conclusion.before.as_ref(), conclusion.production.as_deref()),
        "staging": side(conclusion.staging_before.as_ref(), conclusion.staging.as_deref()),
        "changes": conclusion.changes.as_ref().map(changes::document),
        "duration-ms": millis(conclusion.elapsed),
        "checks": checks(entries),
        "watch": conclusion.watch.as_ref().map(watch),
        "events": entries.iter().map(event).collect::<Vec<_>>(),
    })
}

/// The document as text. Nothing in it is a command for a pipeline's runner, and every
/// JSON reader gets the very words back: what would begin a command, could hide one, or could
/// be passed over in the midst of one (see [`crate::text`]), is written with escapes, which can
/// only stand inside of strings.
pub fn text(document: &Value) -> String {
    let plain = format!("{document:#}\n");
    let mut out = String::with_capacity(plain.len());
    let mut before = ' ';
    for character in plain.chars() {
        let opens = match before {
            '#' | ':' => character == before || !character.is_ascii(),
            _ => false,
        };
        if opens || (character != '\n' && is_hidden(character)) {
            let mut units = [0; 2];
            out.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            before = ' ';
        } else {
            out.push(character);
            before = character;
        }
    }
    out
}

fn side(before: Option<&SlotView>, after: Option<&str>) -> Value {
    json!({
        "slot": before.map(|view| view.slot.as_str()),
        "url": before.map(|view| &view.url),
        "before": before.map(|view| &view.build),
        "after": after,
    })
}

fn checks(entries: &[Entry]) -> Vec<Value> {
    let mut all = Vec::new();
    for entry in entries {
        let Event::Checked { slot, outcomes } = &entry.event else { continue };
        all.extend(outcomes.iter().map(|outcome| {
            json!({
                "slot": slot.as_str(),
                "name": outcome.name,
                "critical": outcome.critical,
                "verdict": outcome.verdict.as_str(),
                "tries": outcome.tries,
                "detail": outcome.detail,
                "instance": outcome.instance,
                "latency-ms": outcome.latency.map(millis),
                "duration-ms": millis(outcome.elapsed),
            })
        }));
    }
    all
}

fn watch(report: &WatchReport) -> Value {
    let phase = |phase: &PhaseReport| {
        json!({
            "requests": phase.requests,
            "lost": phase.lost,
            "no-answer": phase.no_answer,
            "server-errors": phase.server_errors,
            "latency-p50-ms": phase.latency_p50.map(millis),
            "latency-p95-ms": phase.latency_p95.map(millis),
            "latency-max-ms": phase.latency_max.map(millis),
        })
    };
    json!({
        "requests": report.requests(),
        "lost": report.lost(),
        "longest-gap-ms": millis(report.longest_gap),
        "first-loss": report.first_loss,
        "before": phase(&report.before),
        "during": phase(&report.during),
        "after": phase(&report.after),
    })
}

fn event(entry: &Entry) -> Value {
    json!({
        "at": entry.at.format(&Rfc3339).unwrap_or_default(),
        "elapsed-ms": millis(entry.elapsed),
        "event": name(&entry.event),
        "text": super::lines::text_of(entry),
    })
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Started { .. } => "started",
        Event::SignedIn { .. } => "signed-in",
        Event::FactsRead { .. } => "facts-read",
        Event::Planned { .. } => "planned",
        Event::Compared(_) => "compared",
        Event::Moved { .. } => "moved",
        Event::Waiting { .. } => "waiting",
        Event::PackageReady { .. } => "package-ready",
        Event::Configured { .. } => "configured",
        Event::Uploaded { .. } => "uploaded",
        Event::Deployed { .. } => "deployed",
        Event::Ready { .. } => "ready",
        Event::Checked { .. } => "checked",
        Event::SwapSent { .. } => "swap-sent",
        Event::SwapEnded { .. } => "swap-ended",
        Event::Observed { .. } => "observed",
        Event::Watched(_) => "watched",
        Event::Warned { .. } => "warned",
        Event::Failed { .. } => "failed",
        Event::Ended { .. } => "ended",
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_in_a_document_is_a_command_and_none_is_lost(words in "[#:\\[a-z\\]\\n\\r\u{ad}\u{200d}\u{e0001}\u{640}\u{591}é]*") {
            let document = json!({ "cause": format!("x{words}##vso[task.setvariable]::error::") });
            let shown = text(&document);
            let ascii: String = shown.chars().filter(char::is_ascii).collect();
            for text in [&shown, &ascii] {
                prop_assert!(!text.contains("##") && !text.contains("::"), "{}", text);
            }
            prop_assert!(!shown.chars().any(|character| character != '\n' && is_hidden(character)));
            let read: Value = serde_json::from_str(&shown).expect("it is JSON");
            prop_assert_eq!(read, document);
        }
    }
}
