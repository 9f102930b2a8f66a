//! The job summary, in GitHub-flavoured Markdown that both hosts render: no HTML, no
//! diagrams. What matters most comes first, so that a cut takes the least.

use std::fmt::Write;
use std::time::Duration;

use super::changes;
use super::chart::chart;
use super::lines::{headline, serving_words, short};
use super::markup::{block, code, cut, link, plain, whole};
use super::next::Next;
use super::words::{bytes, count, duration, milliseconds};
use crate::checks::run::CheckOutcome;
use crate::checks::verdict::Verdict;
use crate::checks::watch::{PhaseReport, WatchReport};
use crate::names::SlotName;
use crate::release::journal::{Conclusion, Entry, Event, SlotView};
use crate::release::machine::{Direction, Outcome};

/// GitHub takes 1 MiB a step, older servers of it 128 KiB (github-actions §2); Azure
/// Pipelines names no limit.
const MOST_BYTES: usize = 120 * 1024;
/// Rows of the checks' table and of the timeline.
const MOST_ROWS: usize = 100;
/// Failures after the first, and lines of a cause.
const MOST_LINES: usize = 40;

/// The whole summary.
pub fn summary(entries: &[Entry], next: Option<&Next>) -> String {
    let conclusion = Conclusion::of(entries);
    let mut out = String::new();
    title(&mut out, &conclusion, entries);
    causes(&mut out, &conclusion);
    let told = conclusion.changes.as_ref();
    let told = told.map(|found| changes::section(found, verb(entries), conclusion.outcome));
    let to_do = next.map(to_do);
    // After trouble a reader asks first what to do, else first what is new.
    let parts = if conclusion.cause.is_some() { [to_do, told] } else { [told, to_do] };
    out.extend(parts.into_iter().flatten());
    builds(&mut out, &conclusion);
    if let Some(watch) = conclusion.watch.as_ref().filter(|watch| watch.requests() > 0) {
        watched(&mut out, watch);
    }
    checks(&mut out, entries);
    timeline(&mut out, entries);
    cut(out, MOST_BYTES)
}

/// The summary of a run that ended with an error, before or beside any outcome: one line that
/// says what is wrong, and further ones. They quote names of files and words of servers.
pub fn of_error(what: &str, outcome: &str, error: &str) -> String {
    let mut lines = error.lines();
    let mut out = format!("## ⛔ {}: {}\n\n", plain(what), plain(outcome));
    let _ = writeln!(out, "**Cause:** {}\n", whole(lines.next().unwrap_or_default()));
    for line in lines.take(MOST_LINES) {
        let _ = writeln!(out, "- {}", whole(line));
    }
    cut(out, MOST_BYTES)
}

fn verb(entries: &[Entry]) -> Option<&'static str> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::Started { verb, .. } => Some(*verb),
        _ => None,
    })
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
    let _ = writeln!(out, "## {mark} {}: {word}\n", plain(&what.unwrap_or_else(|| "slotway".to_owned())));
    let _ = write!(out, "**{}.**", capital(&sentence(conclusion)));
    if let Some(exposed) = exposed(entries).filter(|_| conclusion.outcome == Some(Outcome::RolledBack)) {
        let _ = write!(out, " The build that was taken back served production for {}.", duration(exposed));
    }
    if let Some(watch) = conclusion.watch.as_ref().filter(|watch| watch.requests() > 0) {
        let (lost, all) = (watch.lost(), count(watch.requests(), "request"));
        let _ = match lost {
            0 => write!(out, " None of {all} to production was lost."),
            1 => write!(out, " 1 of {all} to production was lost."),
            lost => write!(out, " {lost} of {all} to production were lost."),
        };
    }
    out.push_str("\n\n");
}

/// The headline for people who read no build ids; the table of builds has them.
fn sentence(conclusion: &Conclusion) -> String {
    let new = conclusion.changes.as_ref().map(|changes| format!(" of commit {}", code(changes.to.short())));
    match conclusion.outcome {
        Some(Outcome::Released) => format!(
            "production serves the new build{}, verified, after {}",
            new.unwrap_or_default(),
            duration(conclusion.elapsed)
        ),
        Some(Outcome::Staged) => format!(
            "the new build{} is ready in the slot, verified; production is untouched",
            new.unwrap_or_default()
        ),
        Some(Outcome::RolledBack) => "production serves the old build again, verified".to_owned(),
        _ => plain(&headline(conclusion)),
    }
}

/// How long production served the build that was taken back: from the end of the swap to
/// the end of the swap back.
fn exposed(entries: &[Entry]) -> Option<Duration> {
    let end = |wanted: Direction| {
        entries.iter().find_map(|entry| match &entry.event {
            Event::SwapEnded { direction, .. } if *direction == wanted => Some(entry.elapsed),
            _ => None,
        })
    };
    end(Direction::Back)?.checked_sub(end(Direction::Forward)?)
}

fn capital(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

fn causes(out: &mut String, conclusion: &Conclusion) {
    let Some((cause, help)) = &conclusion.cause else { return };
    let mut lines = cause.lines();
    let _ = writeln!(out, "**Cause:** {}\n", plain(lines.next().unwrap_or_default()));
    // A log that came with the cause keeps its lines.
    let log: Vec<&str> =
        lines.map(|line| line.trim_start().trim_start_matches("| ")).take(MOST_LINES).collect();
    if !log.is_empty() {
        let _ = writeln!(out, "{}", block(log));
    }
    for further in conclusion.further.iter().take(MOST_LINES) {
        let _ = writeln!(out, "- then: {}", plain(further));
    }
    for help in help.iter().take(MOST_LINES) {
        let _ = writeln!(out, "- → {}", whole(help));
    }
    if !help.is_empty() || !conclusion.further.is_empty() {
        out.push('\n');
    }
}

fn to_do(next: &Next) -> String {
    let mut out = format!("### What to do next\n\n{}.\n\n", capital(&plain(&next.words)));
    if let Some(command) = &next.command {
        let _ = writeln!(out, "{}", block([command.as_str()]));
    }
    if let Some(on_host) = &next.on_host {
        let _ = writeln!(out, "Or {}.\n", plain(on_host));
    }
    out
}

fn builds(out: &mut String, conclusion: &Conclusion) {
    let Some(production) = &conclusion.before else { return };
    let row = |out: &mut String, view: &SlotView, after: &Option<String>| {
        let after = after.as_ref().map_or("–".to_owned(), |build| code(build));
        let name = link(&plain(view.slot.as_str()), &view.url);
        let _ = writeln!(out, "| {name} | {} | {after} |", code(&view.build));
    };
    out.push_str("### Builds\n\n| slot | before | now |\n|---|---|---|\n");
    row(out, production, &conclusion.production);
    if let Some(staging) = &conclusion.staging_before {
        row(out, staging, &conclusion.staging);
    }
    out.push('\n');
}

/// The rows that fit: first ones and last ones, and how many are left out between them.
fn shortened(rows: &[String], columns: usize) -> String {
    if rows.len() <= MOST_ROWS {
        return rows.concat();
    }
    let half = MOST_ROWS / 2;
    let (first, last) = (&rows[..half], &rows[rows.len() - half..]);
    let gap = format!("| … | {} more {}\n", rows.len() - 2 * half, "| ".repeat(columns - 1));
    format!("{}{gap}{}", first.concat(), last.concat())
}

fn timeline(out: &mut String, entries: &[Entry]) {
    let rows: Vec<String> = entries
        .iter()
        .filter_map(|entry| Some(format!("| {} | {} |\n", duration(entry.elapsed), moment(&entry.event)?)))
        .collect();
    let _ = writeln!(out, "### Timeline\n\n| at | what |\n|---:|---|\n{}", shortened(&rows, 2));
}

/// What the timeline says of an event; nothing of what other parts of the summary tell.
fn moment(event: &Event) -> Option<String> {
    Some(match event {
        Event::Moved { phase, .. } if phase.outcome().is_none() => format!("**{}**", phase.words()),
        Event::PackageReady { package_type, size_bytes, sha256, .. } => {
            format!("package {}, {}, sha256 {}", plain(package_type), bytes(*size_bytes), code(short(sha256)))
        }
        Event::Configured { slot, what } => format!("{slot}: new {what}"),
        Event::Uploaded { size_bytes, elapsed } => {
            format!("uploaded {} in {}", bytes(*size_bytes), duration(*elapsed))
        }
        Event::Deployed { release, .. } => format!("deployed as {}", code(release.as_str())),
        Event::Ready { slot, instances } => format!(
            "{}: {} of {} ready",
            plain(slot.as_str()),
            instances.iter().filter(|instance| instance.verdict == Verdict::Pass).count(),
            count(instances.len() as u64, "instance")
        ),
        Event::SwapEnded { claim, elapsed, .. } => {
            format!("swap ended ({}) after {}", format!("{claim:?}").to_lowercase(), duration(*elapsed))
        }
        Event::Observed { serving, production, .. } => {
            format!("read back: production serves {} ({})", code(production), serving_words(*serving))
        }
        Event::Warned { text } => format!("warning: {}", plain(text)),
        Event::Failed { cause, .. } => format!("failed: {}", plain(cause.lines().next().unwrap_or_default())),
        _ => return None,
    })
}

/// Those that did not pass first: a reader looks for them, and a cut keeps them.
fn checks(out: &mut String, entries: &[Entry]) {
    let mut all: Vec<(&SlotName, &CheckOutcome)> = Vec::new();
    for entry in entries {
        if let Event::Checked { slot, outcomes } = &entry.event {
            all.extend(outcomes.iter().map(|outcome| (slot, outcome)));
        }
    }
    if all.is_empty() {
        return;
    }
    let bad = all.iter().filter(|(_, outcome)| outcome.verdict != Verdict::Pass).count();
    all.sort_by_key(|(_, outcome)| outcome.verdict == Verdict::Pass);
    let rows: Vec<String> = all.iter().map(|(slot, outcome)| check_row(slot, outcome)).collect();
    let told = match bad {
        0 => format!("All {} passed.", all.len()),
        bad => format!("{bad} of {} did not pass.", all.len()),
    };
    let _ = writeln!(
        out,
        "### Checks\n\n{told}\n\n| slot | check | verdict | tries | latency | detail |\n|---|---|---|---:|---:|---|\n{}",
        shortened(&rows, 6)
    );
}

fn check_row(slot: &SlotName, outcome: &CheckOutcome) -> String {
    let mark = match outcome.verdict {
        Verdict::Pass => "✅ pass",
        Verdict::Inconclusive => "❔ inconclusive",
        Verdict::Error => "⚠️ not measured",
        Verdict::Fail => "❌ fail",
    };
    let latency = outcome.latency.map_or("–".to_owned(), milliseconds);
    let optional = if outcome.critical { "" } else { " (not critical)" };
    let instance =
        outcome.instance.as_deref().map(|name| format!(" on {}", code(short(name)))).unwrap_or_default();
    format!(
        "| {} | {}{instance}{optional} | {mark} | {} | {latency} | {} |\n",
        plain(slot.as_str()),
        plain(&outcome.name),
        outcome.tries,
        plain(&outcome.detail)
    )
}

fn watched(out: &mut String, watch: &WatchReport) {
    out.push_str("### Production during the swap\n\n");
    let lines = chart(watch);
    if !lines.is_empty() {
        let _ = writeln!(out, "{}", block(lines.iter().map(String::as_str)));
    }
    out.push_str("| | requests | lost | median | 95 % | slowest |\n|---|---:|---:|---:|---:|---:|\n");
    for (name, phase) in [("before", &watch.before), ("swap", &watch.during), ("after", &watch.after)] {
        if phase.requests > 0 {
            let _ = writeln!(out, "| {name} | {} |", phase_row(phase));
        }
    }
    if let Some(first) = &watch.first_loss {
        let _ = writeln!(out, "\nThe first lost request met: {}.", plain(first));
    }
    out.push('\n');
}

fn phase_row(phase: &PhaseReport) -> String {
    let latency = |latency: Option<Duration>| latency.map_or("–".to_owned(), milliseconds);
    format!(
        "{} | {} | {} | {} | {}",
        phase.requests,
        phase.lost,
        latency(phase.latency_p50),
        latency(phase.latency_p95),
        latency(phase.latency_max)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::journal::Journal;

    fn outcome(number: usize, verdict: Verdict) -> CheckOutcome {
        CheckOutcome {
            name: format!("check {number}"),
            critical: true,
            verdict,
            tries: 1,
            instance: None,
            passes_in_a_row: 1,
            detail: "|<&>`[]".repeat(200),
            output_tail: None,
            latency: Some(Duration::from_millis(1)),
            elapsed: Duration::from_millis(1),
        }
    }

    #[test]
    fn a_huge_run_stays_under_the_hosts_limits_and_keeps_what_matters() {
        let mut journal = Journal::new(&|_| {});
        let site = "contoso-web".to_owned();
        let slot = SlotName::new("staging").expect("a name");
        journal.add(Event::Started { verb: "release", site, staging: slot.clone() });
        for round in 0..50 {
            let outcomes = (0..100).map(|number| outcome(round * 100 + number, Verdict::Pass)).collect();
            journal.add(Event::Checked { slot: slot.clone(), outcomes });
            journal.warn("w".repeat(5000));
        }
        journal.add(Event::Checked { slot, outcomes: vec![outcome(9999, Verdict::Fail)] });
        journal.fail(format!("it failed\n{}", "  | a line of the log\n".repeat(2000)), Vec::new());
        for number in 0..500 {
            journal.fail(format!("failure {number} {}", "f".repeat(5000)), Vec::new());
        }
        let summary = summary(journal.entries(), None);
        assert!(summary.len() <= MOST_BYTES, "{}", summary.len());
        assert!(summary.contains("## 🆘 release contoso-web: unfinished"));
        assert!(summary.contains("**Cause:** it failed"));
        let failed = summary.find("| check 9999 | ❌ fail").expect("the check that failed");
        assert!(failed < summary.find("| check 0 |").expect("one that passed"));
        assert!(summary.contains("| … | 4901 more |"), "rows are left out and counted");
    }

    #[test]
    fn a_log_in_a_cause_keeps_its_lines() {
        let mut journal = Journal::new(&|_| {});
        journal.fail("staging is not ready\n  | Error: no *port*\n  | ```", vec!["look".to_owned()]);
        let summary = summary(journal.entries(), None);
        assert!(
            summary.contains("**Cause:** staging is not ready\n\n````text\nError: no *port*\n```\n````\n"),
            "{summary}"
        );
    }
}
