//! The job summary, in GitHub-flavoured Markdown that both hosts render.

use std::fmt::Write;

use super::lines::{headline, lost, serving_words, short};
use super::words::{bytes, duration, milliseconds};
use crate::checks::verdict::Verdict;
use crate::checks::watch::{PhaseReport, WatchReport};
use crate::release::journal::{Conclusion, Entry, Event};
use crate::release::machine::Outcome;
use crate::text;

/// The whole summary.
pub fn summary(entries: &[Entry], next: Option<&str>) -> String {
    let conclusion = Conclusion::of(entries);
    let mut out = String::new();
    title(&mut out, &conclusion, entries);
    if let Some((cause, help)) = &conclusion.cause {
        let _ = writeln!(out, "**Cause:** {}\n", cell(cause));
        for further in &conclusion.further {
            let _ = writeln!(out, "- then: {}", cell(further));
        }
        for help in help {
            let _ = writeln!(out, "- → {}", cell(help));
        }
        out.push('\n');
    }
    if let Some(next) = next {
        let _ = writeln!(out, "**Next:** {}\n", cell(next));
    }
    builds(&mut out, &conclusion);
    timeline(&mut out, entries);
    checks(&mut out, entries);
    if let Some(watch) = conclusion.watch.as_ref().filter(|watch| watch.requests() > 0) {
        watched(&mut out, watch);
    }
    out
}

fn title(out: &mut String, conclusion: &Conclusion, entries: &[Entry]) {
    let mark = match conclusion.outcome {
        Some(Outcome::Released | Outcome::Staged | Outcome::NothingToDo) => "✅",
        Some(Outcome::RolledBack) => "↩️",
        Some(Outcome::Refused) => "⛔",
        Some(Outcome::Stuck) | None => "🆘",
    };
    let what = entries.iter().find_map(|entry| match &entry.event {
        Event::Started { verb, site, .. } => Some(format!("{verb} {site}")),
        _ => None,
    });
    let word = conclusion.outcome.map_or("unfinished", Outcome::word);
    let _ = writeln!(out, "## {mark} {}: {word}\n", cell(&what.unwrap_or_else(|| "slotway".to_owned())));
    let _ = writeln!(out, "{}.\n", cell(&headline(conclusion)));
}

fn builds(out: &mut String, conclusion: &Conclusion) {
    let before = |view: &Option<crate::release::journal::SlotView>| {
        view.as_ref().map_or("–".to_owned(), |view| format!("`{}`", cell(&view.build)))
    };
    let after = |build: &Option<String>| {
        build.as_ref().map_or("–".to_owned(), |build| format!("`{}`", cell(build)))
    };
    out.push_str("| | before | after |\n|---|---|---|\n");
    let _ =
        writeln!(out, "| production | {} | {} |", before(&conclusion.before), after(&conclusion.production));
    let _ = writeln!(
        out,
        "| other slot | {} | {} |",
        before(&conclusion.staging_before),
        after(&conclusion.staging)
    );
    out.push('\n');
}

fn timeline(out: &mut String, entries: &[Entry]) {
    out.push_str("### Timeline\n\n| at | what |\n|---:|---|\n");
    for entry in entries {
        let what = match &entry.event {
            Event::Moved { phase, .. } if phase.outcome().is_none() => format!("**{}**", phase.words()),
            Event::PackageReady { package_type, size_bytes, sha256, .. } => {
                format!("package {package_type}, {}, sha256 `{}`", bytes(*size_bytes), short(sha256))
            }
            Event::Configured { slot, what } => format!("{slot}: new {what}"),
            Event::Uploaded { size_bytes, elapsed } => {
                format!("uploaded {} in {}", bytes(*size_bytes), duration(*elapsed))
            }
            Event::Deployed { release, .. } => format!("deployed as `{release}`"),
            Event::Ready { slot, instances } => format!(
                "{slot}: {} of {} instances ready",
                instances.iter().filter(|instance| instance.verdict == Verdict::Pass).count(),
                instances.len()
            ),
            Event::SwapEnded { claim, elapsed, .. } => {
                format!("swap ended ({}) after {}", format!("{claim:?}").to_lowercase(), duration(*elapsed))
            }
            Event::Observed { serving, production, .. } => {
                format!("read back: production serves `{production}` ({})", serving_words(*serving))
            }
            Event::Warned { text } => format!("warning: {text}"),
            Event::Failed { cause, .. } => format!("failed: {cause}"),
            _ => continue,
        };
        let _ = writeln!(out, "| {} | {} |", duration(entry.elapsed), cell(&what));
    }
    out.push('\n');
}

fn checks(out: &mut String, entries: &[Entry]) {
    let mut rows = String::new();
    for entry in entries {
        let Event::Checked { slot, outcomes } = &entry.event else { continue };
        for outcome in outcomes {
            let mark = match outcome.verdict {
                Verdict::Pass => "✅ pass",
                Verdict::Inconclusive => "❔ inconclusive",
                Verdict::Error => "⚠️ not measured",
                Verdict::Fail => "❌ fail",
            };
            let latency = outcome.latency.map_or("–".to_owned(), milliseconds);
            let _ = writeln!(
                rows,
                "| {} | {} | {mark} | {} | {latency} | {} |",
                cell(slot.as_str()),
                cell(&outcome.name),
                outcome.tries,
                cell(&outcome.detail)
            );
        }
    }
    if !rows.is_empty() {
        out.push_str("### Checks\n\n| slot | check | verdict | tries | latency | detail |\n|---|---|---|---:|---:|---|\n");
        out.push_str(&rows);
        out.push('\n');
    }
}

fn watched(out: &mut String, watch: &WatchReport) {
    let _ = writeln!(out, "### Production around the swap\n\n{}.\n", cell(&lost(watch)));
    out.push_str("| | requests | lost | median | 95 % | slowest |\n|---|---:|---:|---:|---:|---:|\n");
    for (name, phase) in [("before", &watch.before), ("during", &watch.during), ("after", &watch.after)] {
        let _ = writeln!(out, "| {name} | {} |", phase_row(phase));
    }
    let _ = writeln!(out, "\n```text\n{}\n```", chart(watch));
}

fn phase_row(phase: &PhaseReport) -> String {
    let latency = |latency: Option<std::time::Duration>| latency.map_or("–".to_owned(), milliseconds);
    format!(
        "{} | {} | {} | {} | {}",
        phase.requests,
        phase.lost,
        latency(phase.latency_p50),
        latency(phase.latency_p95),
        latency(phase.latency_max)
    )
}

/// Latency over time as a line of bars, `✗` for a lost request: text, because both
/// hosts show text.
fn chart(watch: &WatchReport) -> String {
    const WIDTH: usize = 72;
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let slowest = watch.samples.iter().filter_map(|sample| sample.latency_ms).max().unwrap_or(1).max(1);
    let per_bar = watch.samples.len().div_ceil(WIDTH).max(1);
    let bars: String = watch
        .samples
        .chunks(per_bar)
        .map(|samples| {
            if samples.iter().any(|sample| sample.latency_ms.is_none()) {
                return '✗';
            }
            let worst = samples.iter().filter_map(|sample| sample.latency_ms).max().unwrap_or(0);
            BARS[((worst * 7).div_ceil(slowest) as usize).min(7)]
        })
        .collect();
    format!("latency {bars}\n        0 … {}, full bar = {slowest} ms", duration(watch.elapsed))
}

/// Text that is safe in a table cell and in a sentence: harmless for the runner, one
/// line, and no Markdown or HTML of its own but code spans that we set.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for character in text::lines(text).join(" ⏎ ").chars() {
        match character {
            '|' => out.push_str("\\|"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '[' => out.push_str("\\["),
            '!' => out.push_str("\\!"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_break_out_of_a_cell() {
        assert_eq!(
            cell("a|b <img src=x> ![x](y)\n##[error]z"),
            "a\\|b &lt;img src=x&gt; \\!\\[x](y) ⏎ ## \\[error]z"
        );
    }

    #[test]
    fn a_lost_request_shows_in_the_chart() {
        let sample = |latency_ms| crate::checks::watch::Sample { offset_ms: 0, latency_ms };
        let watch = WatchReport {
            samples: vec![sample(Some(1)), sample(None), sample(Some(8))],
            ..Default::default()
        };
        assert!(chart(&watch).starts_with("latency ▂✗█"), "{}", chart(&watch));
    }
}
