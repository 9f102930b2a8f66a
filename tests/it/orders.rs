//! No text from outside is an order to a host, whichever renderer it goes through; and it
//! stays readable.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use slotway::checks::{CheckOutcome, InstanceReady, Verdict, WatchReport};
use slotway::host::screen::Screen;
use slotway::host::{Grade, Host, azure_pipelines, github};
use slotway::names::SlotName;
use slotway::release::journal::{Conclusion, Entry, Event, Journal, SlotView};
use slotway::release::machine::{Outcome, Serving};
use slotway::report::next::Next;
use slotway::source::{Changes, Commit, Commits, History, Source};
use slotway::{report, text};

use crate::host_rules;

/// What attackers put together: pieces of commands of every form, what could hide or splice
/// them, ends of lines of every kind, and what Markdown, JSON, XML and heredocs obey.
pub(crate) const PIECES: [&str; 73] = [
    "::",
    ":",
    "error",
    "add-mask",
    "stop-commands",
    "::add-mask::",
    "::stop-commands::x",
    "set-output name=a",
    "##",
    "#",
    "#\u{200d}#[group]",
    ":\u{ad}:error::",
    "##[",
    "[",
    "]",
    "##vso[",
    "##VSO[",
    "##vSo[task.setvariable variable=a]",
    "vso[",
    "v",
    "V",
    "so[",
    "task.complete result=Succeeded;",
    "##[command]",
    "##[group]",
    "%0A",
    "%0D",
    "%25",
    "%AZP25",
    "\n",
    "\r",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{b}",
    "\u{c}",
    "\0",
    "\u{8}",
    "\u{7f}",
    "\u{9b}",
    "\u{1b}",
    "\u{1b}[31m",
    "\u{1b}]8;;",
    "\u{7}",
    "\u{feff}",
    "\u{200b}",
    "\u{200d}",
    "\u{ad}",
    "\u{34f}",
    "\u{61c}",
    "\u{fe0f}",
    "\u{e0001}",
    "\u{180e}",
    "\u{3164}",
    "\u{640}",
    "\u{591}",
    "\u{488}",
    "\u{7fa}",
    "\u{1cd3}",
    "\u{fe21}",
    "##\u{640}vso[task.complete]x",
    "#\u{5bd}#[add-path]",
    ":\u{a8e0}:error::x",
    "é",
    "👩\u{200d}💻",
    " ",
    "\t",
    "<<EOF\n",
    "EOF\n",
    "a=b\n",
    "]]>",
    "`|<img src=x>",
];

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..24).prop_map(|parts| parts.concat()),
        1 => "\\PC{0,60}",
        1 => prop::collection::vec(any::<char>(), 0..60).prop_map(|all| all.into_iter().collect()),
    ]
}

/// A journal whose every foreign word is this text.
pub(crate) fn entries(foreign: &str) -> Vec<Entry> {
    let slot = SlotName::new("staging").expect("a name");
    let words = || foreign.to_owned();
    let view =
        SlotView { slot: slot.clone(), url: words(), build: words(), release: None, sha256: Some(words()) };
    let check = CheckOutcome {
        name: words(),
        critical: true,
        verdict: Verdict::Fail,
        tries: 2,
        passes_in_a_row: 0,
        detail: words(),
        latency: None,
        elapsed: Duration::from_secs(1),
        instance: Some(words()),
        output_tail: Some(words()),
    };
    let instance = InstanceReady {
        instance: Some(words()),
        status: None,
        verdict: Verdict::Error,
        detail: words(),
        tries: 1,
        elapsed: Duration::ZERO,
    };
    let mut watched = WatchReport { first_loss: Some(words()), ..WatchReport::default() };
    (watched.during.requests, watched.during.lost) = (2, 1);
    let mut journal = Journal::new(&|_| {});
    journal.add(Event::Started { verb: "release", site: words(), staging: slot.clone() });
    journal.add(Event::SignedIn { how: words() });
    journal.add(Event::FactsRead { production: Some(view.clone()), staging: Some(view) });
    journal.add(Event::Planned { steps: vec![words(), words()], release: None });
    journal.add(Event::Compared(Box::new(changes(foreign))));
    journal.add(Event::Waiting { what: words(), limit: Duration::from_secs(1) });
    journal.add(Event::PackageReady { package_type: words(), size_bytes: 1, files: None, sha256: words() });
    journal.add(Event::Ready { slot: slot.clone(), instances: vec![instance] });
    journal.add(Event::Checked { slot, outcomes: vec![check] });
    journal.add(Event::Observed { serving: Serving::Other, production: words(), staging: words() });
    journal.add(Event::Watched(Box::new(watched)));
    journal.warn(foreign);
    journal.fail(foreign, vec![words()]);
    journal.fail(foreign, vec![words()]);
    journal.add(Event::Ended { outcome: Outcome::Stuck, production: words(), staging: words() });
    journal.into_entries()
}

/// Commits whose every text is somebody else's.
fn changes(foreign: &str) -> Changes {
    let words = || foreign.to_owned();
    let source =
        || Source { repository: words(), commit: words(), reference: Some(words()), run_url: Some(words()) };
    let commit = || Commit { sha: words(), message: words(), author: words() };
    let commits = || Commits { shown: vec![commit()], total: 2 };
    let history = Some(History { added: commits(), removed: commits() });
    Changes { from: Some(source()), to: source(), history, link: Some(words()) }
}

/// A next step in these words.
fn next(foreign: &str) -> Next {
    Next { words: foreign.to_owned(), command: None, on_host: Some(foreign.to_owned()) }
}

/// Every text that is made of a journal.
fn rendered(foreign: &str) -> Vec<(&'static str, String)> {
    let entries = entries(foreign);
    let conclusion = Conclusion::of(&entries);
    let mut all = vec![
        ("summary", report::markdown::summary(&entries, Some(&next(foreign)))),
        ("report", report::json::text(&report::json::report(&entries, 5, Some(&next(foreign))))),
        ("conclusion", report::lines::conclusion(&conclusion, Some(&next(foreign))).join("\n")),
        ("test results", report::junit::report(&entries).expect("checks ran")),
    ];
    all.extend(entries.iter().map(|entry| ("log", report::lines::of(entry).join("\n"))));
    all
}

/// Asserts that no renderer lets an order through.
pub(crate) fn assert_deaf(foreign: &str) {
    for (what, shown) in rendered(foreign) {
        let order = host_rules::order_in(&shown);
        assert!(order.is_none(), "{what} of {foreign:?} orders {order:?}");
    }
}

/// Asserts what holds for the sanitiser alone: deaf, one line, stable, and nothing lost.
pub(crate) fn assert_clean(foreign: &str) {
    let shown = text::line(foreign);
    assert_eq!(host_rules::order_in(&shown), None, "{foreign:?} became {shown:?}");
    assert!(!shown.chars().any(|c| c.is_control()), "{foreign:?} became {shown:?}");
    assert_eq!(text::line(&shown), shown, "not stable for {foreign:?}");
    let is_plain = foreign.len() < 1900 && !foreign.chars().any(|c| c.is_control() || is_invisible(c));
    if is_plain {
        let words = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
        assert_eq!(words(&shown), words(foreign), "something was lost");
        let beyond = |c: char| !c.is_ascii() && !is_invisible(c);
        let joined = foreign.split_inclusive(['#', ':']).skip(1).any(|rest| rest.starts_with(beyond));
        if !joined && !["##[", "##v", "##V", "::"].iter().any(|order| foreign.contains(order)) {
            assert_eq!(shown, foreign, "nothing in it is an order");
        }
    }
}

/// Over-careful: what the sanitiser may drop.
fn is_invisible(character: char) -> bool {
    host_rules::is_weightless(character) || matches!(character, '\u{2028}' | '\u{2029}')
}

/// A place to write to that can be read afterwards.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("lock").clone()).expect("text")
    }
}

/// All that a screen writes of a journal, and of words that a careless caller gives it as they are.
fn screened(host: Host, foreign: &str) -> String {
    let paper = Paper::default();
    let screen = Screen::new(host, Box::new(paper.clone()), false, |_| {});
    for entry in entries(foreign) {
        screen.show(&entry);
    }
    screen.say(&[foreign.to_owned()]);
    screen.annotate(Grade::Error, foreign, foreign);
    screen.close_group();
    paper.text()
}

/// The commands that Slotway itself gives while it shows a journal.
const OURS: [&str; 7] =
    ["group", "endgroup", "error", "warning", "notice", "task.setprogress", "task.logissue"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_sanitiser_lets_no_order_through_and_loses_nothing(foreign in hostile()) {
        assert_clean(&foreign);
        for line in text::lines(&foreign) {
            assert_clean(&line);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_renderer_lets_an_order_through(foreign in hostile()) {
        assert_deaf(&foreign);
    }

    #[test]
    fn the_screen_gives_only_its_own_orders(foreign in hostile()) {
        let obeyed = |host, read: fn(&str) -> Option<host_rules::Command>| {
            let shown = screened(host, &foreign);
            host_rules::lines(&shown).filter_map(read).collect::<Vec<_>>()
        };
        prop_assert_eq!(obeyed(Host::Terminal, host_rules::github), []);
        prop_assert_eq!(obeyed(Host::Terminal, host_rules::azure_pipelines), []);
        // The rules drop what has no weight from data too, where the hosts keep it.
        let weighty = |text: &str| host_rules::weighty(text);
        let shown = weighty(&text::lines(&foreign).join("\n"));
        let github = obeyed(Host::GitHub, host_rules::github);
        let pipelines = obeyed(Host::AzurePipelines, host_rules::azure_pipelines);
        for command in github.iter().chain(&pipelines) {
            prop_assert!(OURS.contains(&command.name.as_str()), "{:?}", command);
        }
        prop_assert_eq!(github.iter().filter(|command| command.name == "error").count(), 1);
        prop_assert!(github.iter().any(|command| command.name == "error" && command.data == shown));
        let issue = pipelines.iter().find(|command| command.name == "task.logissue").expect("an issue");
        prop_assert_eq!(&issue.data, &format!("{}: {shown}", weighty(&text::line(&foreign))));
    }

    #[test]
    fn a_panic_in_any_words_gives_no_order(foreign in hostile()) {
        // As `cli` writes them to standard error.
        let shown = text::lines(&slotway::error::panic_lines(&foreign, Some(&foreign)).join("\n")).join("\n");
        prop_assert_eq!(host_rules::order_in(&shown), None);
        prop_assert!(shown.starts_with("error: bug: ") && host_rules::lines(&shown).count() == 3, "{}", shown);
    }

    #[test]
    fn an_order_of_ours_carries_any_text_and_is_one_line(value in hostile()) {
        let order = azure_pipelines::command("task.setvariable", &[("variable", "a"), ("isOutput", &value)], &value);
        prop_assert_eq!(host_rules::lines(order.as_str()).count(), 1);
        prop_assert!(order.as_str().starts_with("##vso[task.setvariable variable=a;"));
        let order = github::command("add-mask", &[], &value);
        prop_assert_eq!(host_rules::lines(order.as_str()).count(), 1);
        prop_assert!(order.as_str().starts_with("::add-mask::"));
        for mask in Host::GitHub.masks(&value) {
            let name = host_rules::github(mask.as_str()).map(|command| command.name);
            prop_assert_eq!(name.as_deref(), Some("add-mask"));
        }
        for mask in Host::AzurePipelines.masks(&value) {
            let name = host_rules::azure_pipelines(mask.as_str()).map(|command| command.name);
            prop_assert_eq!(name.as_deref(), Some("task.setsecret"));
        }
    }

    #[test]
    fn a_value_never_ends_its_heredoc(values in prop::collection::vec(hostile(), 1..4)) {
        let names = ["outcome", "release-id", "production-build"];
        let outputs: Vec<(&str, String)> = names.iter().copied().zip(values).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("output");
        github::append_values(&path, &outputs).expect("written");
        let read = host_rules::environment_file(&std::fs::read_to_string(&path).expect("text")).expect("well formed");
        let given: Vec<(String, String)> = outputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        prop_assert_eq!(read, given);
    }

    #[test]
    fn the_report_on_a_host_gives_every_word_back(foreign in hostile()) {
        let document = report::json::report(&entries(&foreign), 5, Some(&next(&foreign)));
        let read: serde_json::Value = serde_json::from_str(&report::json::text(&document)).expect("JSON");
        prop_assert_eq!(&read["next"], &foreign);
        prop_assert_eq!(&read, &document);
    }
}

/// Text leaves the process in few places, so that the sanitiser can stand in all of them.
#[test]
fn only_three_places_write_to_the_standard_streams() {
    let allowed = ["cli/context.rs", "host/screen.rs", "cli.rs"];
    let mut seen = std::collections::BTreeSet::new();
    for (path, code) in crate::walls::product_sources() {
        let writes =
            ["stdout()", "stderr()", "println!", "print!", "eprint"].iter().any(|word| code.contains(word));
        if writes {
            assert!(allowed.iter().any(|name| path.ends_with(name)), "{path} writes to a standard stream");
            seen.insert(path);
        }
    }
    assert!(seen.iter().any(|path| path.ends_with("cli/context.rs")), "the search finds nothing: {seen:?}");
}

/// Standard output gets documents and exports; all else goes through the screen or the
/// harmless lines of standard error.
#[test]
fn what_goes_out_unsanitised_is_named() {
    let mut calls = Vec::new();
    for (_, code) in crate::walls::product_sources() {
        calls.extend(code.split("write_out(").skip(1).map(|rest| rest.chars().take(20).collect::<String>()));
    }
    calls.retain(|call| !call.starts_with("text: &str"));
    assert!(calls.len() >= 3, "{calls:?}");
    for call in calls {
        assert!(
            call.starts_with("&json::text(") || call.starts_with("&emulator.print_env("),
            "write_out({call}"
        );
    }
}
