//! The table of docs/FAULTS.md: request × fault → outcome, and what production serves.
//!
//! Owns its form. Rows that are alike are one row; what most faults lead to is said once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use super::{Cell, Result, STORIES, Story};
use crate::cli::simulation::door::Stage;
use crate::cli::simulation::fault;

const HEAD: &str = "# Every request fails in every way

This file is written by a test; `SLOTWAY_MATRIX=table SLOTWAY_BLESS=1 cargo test --lib every_request` writes it anew.
Each verb runs under simulated time against the emulator's services, once for every request that it sends and every fault
of the list, and after each run the emulator's world is compared with what the run said: it ended in bounded time, its
outcome is true of production, production serves one whole build, no swap was carried out twice, no preview is left,
no secret was shown, and nothing changes afterwards that was called settled. All cells hold; the tables say
which outcome each leads to, with the version that production serves then. `v1` is the build from before, `v2` the
new one, `bad` one that fails its checks with production's settings.

A read changes nothing, so that a fault after a read was carried out stands for the same fault before. Until its swap a build
that fails in production is released like any other.

\"Once\" is the first request of its kind at that stage; \"from then on\" is that one and every later one of its kind.
";

/// Compares the table with the file, or writes the file where that is asked for.
pub(super) fn assert_current(cells: &[Cell], results: &[&Result]) {
    let text = text(cells, results);
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FAULTS.md"));
    if std::env::var_os("SLOTWAY_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the file is written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(there.lines()).find(|(new, old)| new != old);
    assert!(text == there, "docs/FAULTS.md is not what the matrix says, first here: {differs:#?}");
}

/// Prints every cell in a line of its own to standard output, whatever keeps a test's output back.
pub(super) fn print(cells: &[Cell], results: &[&Result]) {
    let mut text = String::new();
    for (cell, result) in cells.iter().zip(results) {
        let super::Place { stage, kind, lasting, .. } = &cell.place;
        let times = if *lasting { "from then on" } else { "once" };
        let (story, fault) = (cell.story, cell.fault.name);
        let Result { outcome, serves } = result;
        let _ = writeln!(text, "{story:?} | {stage:?} | {kind} | {times} | {fault} | {outcome} | {serves}");
    }
    std::io::stdout().write_all(text.as_bytes()).expect("standard output takes the table");
}

fn text(cells: &[Cell], results: &[&Result]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\nThe faults: ");
    let names: Vec<&str> = fault::all().iter().map(|fault| fault.name).collect();
    let others: Vec<&str> = fault::by_others().iter().map(|fault| fault.name).collect();
    let _ = writeln!(
        text,
        "{}. Once only, just before the request arrives: {}.",
        names.join("; "),
        others.join("; ")
    );
    for story in STORIES {
        let _ = writeln!(text, "\n## {}\n", story.title());
        text.push_str("| stage | requests | once | from then on |\n|---|---|---|---|\n");
        for (stage, kinds, once, lasting) in rows(story, cells, results) {
            let _ = writeln!(text, "| {} | {} | {once} | {lasting} |", words(stage), kinds.join("<br>"));
        }
    }
    text
}

/// Stage, kind, and whether the fault lasts.
type Spot = (Stage, String, bool);
type Row = (Stage, Vec<String>, String, String);

/// The rows of a story in the order of their first requests, alike ones of a stage put together.
fn rows(story: Story, cells: &[Cell], results: &[&Result]) -> Vec<Row> {
    let mut kinds: Vec<(Stage, String)> = Vec::new();
    let mut found: BTreeMap<Spot, Vec<(&str, &Result)>> = BTreeMap::new();
    for (cell, result) in
        cells.iter().zip(results).filter(|(cell, _)| cell.story == story && cell.place.first)
    {
        let key = (cell.place.stage, cell.place.kind.clone());
        if !kinds.contains(&key) {
            kinds.push(key.clone());
        }
        found.entry((key.0, key.1, cell.place.lasting)).or_default().push((cell.fault.name, result));
    }
    let mut rows: Vec<Row> = Vec::new();
    for (stage, kind) in kinds {
        let said = |lasting| {
            let results = found.get(&(stage, kind.clone(), lasting));
            results.map(|results| summary(results)).unwrap_or_default()
        };
        let (once, lasting) = (said(false), said(true));
        let like = rows.iter_mut().find(|row| (row.0, &row.2, &row.3) == (stage, &once, &lasting));
        match like {
            Some(row) => row.1.push(kind),
            None => rows.push((stage, vec![kind], once, lasting)),
        }
    }
    rows
}

/// What most lead to, then each other result with its faults.
fn summary(results: &[(&str, &Result)]) -> String {
    let mut groups: BTreeMap<&Result, Vec<&str>> = BTreeMap::new();
    for (fault, result) in results {
        groups.entry(result).or_default().push(fault);
    }
    let mut groups: Vec<(&Result, Vec<&str>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, faults)| std::cmp::Reverse(faults.len()));
    let mut parts = Vec::new();
    for (place, (result, faults)) in groups.iter().enumerate() {
        let outcome = format!("**{}, {}**", result.outcome, result.serves);
        parts.push(match (place, groups.len()) {
            (0, 1) => outcome,
            (0, _) => format!("{outcome} but for"),
            _ => format!("{outcome}: {}", faults.join("; ")),
        });
    }
    parts.join("<br>")
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Reading => "before anything is changed",
        Stage::Deploying => "the package or the configuration has been sent",
        Stage::Staged => "the deployment has been noted",
        Stage::Swapped => "the swap has been sent",
        Stage::SwappedBack => "the swap back has been sent",
    }
}
