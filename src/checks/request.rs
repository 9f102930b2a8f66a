//! Reads one check of the configuration file.
//!
//! Owns the keys of a check and of its `expect`, and compiles what has to be
//! compiled: methods, header names, patterns, JSONPaths.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json_path::JsonPath;

use super::field::{Field, Problems, Section, did_you_mean};
use super::spec::{
    Action, Body, Check, CommandLine, Expect, JsonExpectation, On, Request, StatusRange, TextMatch,
};
use super::verdict::Verdict;
use crate::text;

const COMMON_KEYS: [&str; 9] =
    ["name", "timeout", "retry-for", "every", "passes", "critical", "on", "path", "run"];
const REQUEST_KEYS: [&str; 6] = ["method", "headers", "body", "json", "expect", "every-instance"];
const COMMAND_KEYS: [&str; 1] = ["exits"];
const EXPECT_KEYS: [&str; 6] = ["status", "headers", "body-contains", "body-matches", "json", "latency"];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// A longer name or path is a mistake, and nobody could read the report.
const LONGEST_LINE: usize = 2000;
/// The pause between tries is never shorter, so that no check turns into a load test.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// Reads one item of `checks`.
pub(super) fn read_check(field: &Field<'_>, problems: &mut Problems) -> Option<Check> {
    let before = problems.found.len();
    let section = field.section(problems)?;
    let known: Vec<&str> = COMMON_KEYS.iter().chain(&REQUEST_KEYS).chain(&COMMAND_KEYS).copied().collect();
    section.refuse_unknown(&known, belongs_elsewhere, problems);
    let is_command = section.get("run").is_some();
    let action = match (section.get("path"), section.get("run")) {
        (Some(_), Some(_)) => {
            section.key_problem("run", "a check has either path or run, not both", problems);
            None
        }
        (Some(path), None) => read_request(&section, &path, problems).map(Action::Request),
        (None, Some(run)) => read_command(&section, &run, problems).map(Action::Command),
        (None, None) => problems.at(field, "says neither path nor run; one of them is needed"),
    };
    let mut check = Check {
        name: String::new(),
        action: action
            .unwrap_or(Action::Command(CommandLine { line: String::new(), exits: BTreeMap::new() })),
        timeout: Duration::from_secs(if is_command { 120 } else { 10 }),
        retry_for: Duration::ZERO,
        every: Duration::from_secs(1),
        passes: 1,
        critical: true,
        on: On::default(),
        every_instance: false,
    };
    read_tries(&section, &mut check, problems);
    check.name = match section.get("name") {
        Some(name) => read_line(&name, problems)?,
        None => default_name(&check.action),
    };
    (problems.found.len() == before).then_some(check)
}

fn belongs_elsewhere(key: &str) -> Option<&'static str> {
    match key {
        "url" => Some("to the slot itself: write path, relative to the slot's own URL"),
        "inconclusive" | "fail" | "pass" | "error" => Some("under exits"),
        key if EXPECT_KEYS.contains(&key) => Some("under expect"),
        _ => None,
    }
}

fn default_name(action: &Action) -> String {
    match action {
        Action::Request(request) => format!("{} {}", request.method, request.path),
        Action::Command(command) => text::short(&command.line, 80),
    }
}

fn read_tries(section: &Section<'_>, check: &mut Check, problems: &mut Problems) {
    let mut duration = |key: &str, shortest: Duration, place: &mut Duration| {
        if let Some(value) = section.get(key).and_then(|field| field.duration(shortest, problems)) {
            *place = value;
        }
    };
    duration("timeout", Duration::from_millis(1), &mut check.timeout);
    duration("retry-for", Duration::ZERO, &mut check.retry_for);
    duration("every", SHORTEST_PAUSE, &mut check.every);
    if let Some(passes) = section.get("passes").and_then(|field| field.count(1, 1000, problems)) {
        check.passes = passes;
    }
    if let Some(critical) = section.get("critical").and_then(|field| field.flag(problems)) {
        check.critical = critical;
    }
    if let Some(every) = section.get("every-instance").and_then(|field| field.flag(problems)) {
        check.every_instance = every;
    }
    if let Some(on) = section.get("on").and_then(|field| read_on(&field, problems)) {
        check.on = on;
    }
}

fn read_on(field: &Field<'_>, problems: &mut Problems) -> Option<On> {
    let mut on = On { staging: false, production: false };
    for item in field.one_or_many() {
        match item.text(problems)? {
            "staging" => on.staging = true,
            "production" => on.production = true,
            other => {
                let advice = did_you_mean(other, &["staging", "production"]);
                return problems.at(&item, format!("is neither staging nor production; {advice}"));
            }
        }
    }
    if on.staging || on.production {
        Some(on)
    } else {
        problems.at(field, "is empty; write staging, production or both")
    }
}

/// A text of one line, short enough to be shown.
fn read_line(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.full_text(problems)?;
    if text.len() > LONGEST_LINE {
        problems.at(field, format!("is longer than {LONGEST_LINE} bytes"))
    } else if text.chars().any(char::is_control) {
        problems.at(field, "holds a line break or another control character")
    } else {
        Some(text.to_owned())
    }
}

/// A path with its query, relative to the slot's own URL.
pub(super) fn read_path(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let path = read_line(field, problems)?;
    if path.contains("://") && !path.starts_with('/') {
        problems.at(field, "is a full URL; write only the path, relative to the slot's own URL")
    } else if !path.starts_with('/') || path.starts_with("//") || path.contains('\\') {
        problems.at(field, "has to begin with one / and hold no backslash")
    } else if path.contains('#') {
        problems.at(field, "holds a #; what follows it is never sent to a server")
    } else {
        Some(path)
    }
}

fn read_command(section: &Section<'_>, run: &Field<'_>, problems: &mut Problems) -> Option<CommandLine> {
    for key in REQUEST_KEYS {
        if section.get(key).is_some() {
            section.key_problem(key, "goes with path, not with run", problems);
        }
    }
    let mut exits = BTreeMap::new();
    if let Some(section) = section.get("exits").and_then(|field| field.section(problems)) {
        section.refuse_unknown(&["pass", "inconclusive", "error", "fail"], |_| None, problems);
        for (key, field) in section.all() {
            let verdict = match key {
                "pass" => Verdict::Pass,
                "inconclusive" => Verdict::Inconclusive,
                "error" => Verdict::Error,
                "fail" => Verdict::Fail,
                _ => continue,
            };
            for item in field.one_or_many() {
                let Some(code) = item.count(0, 255, problems) else { continue };
                if exits.insert(code as i32, verdict).is_some() {
                    problems.at::<()>(&item, format!("exit code {code} is given twice"));
                }
            }
        }
    }
    let line = run.full_text(problems)?;
    if line.contains('\0') {
        return problems.at(run, "holds a zero byte");
    }
    Some(CommandLine { line: line.trim().to_owned(), exits })
}

fn read_request(section: &Section<'_>, path: &Field<'_>, problems: &mut Problems) -> Option<Request> {
    for key in COMMAND_KEYS {
        if section.get(key).is_some() {
            section.key_problem(key, "goes with run, not with path", problems);
        }
    }
    let path = read_path(path, problems);
    let method = match section.get("method") {
        Some(field) => read_method(&field, problems),
        None => Some(Method::GET),
    };
    let mut headers = Vec::new();
    if let Some(section) = section.get("headers").and_then(|field| field.section(problems)) {
        for (name, field) in section.all() {
            headers.extend(read_header(&section, name, &field, problems));
        }
    }
    let body = read_body(section, problems);
    let expect = match section.get("expect") {
        Some(field) => read_expect(&field, problems),
        None => Some(Expect::default()),
    };
    Some(Request { method: method?, path: path?, headers, body, expect: expect? })
}

fn read_method(field: &Field<'_>, problems: &mut Problems) -> Option<Method> {
    let text = field.full_text(problems)?;
    let upper = text.to_ascii_uppercase();
    match Method::from_bytes(upper.as_bytes()) {
        Ok(method) if METHODS.contains(&upper.as_str()) => Some(method),
        _ => problems.at(field, format!("is no method a check can send; {}", did_you_mean(&upper, &METHODS))),
    }
}

fn header_name(section: &Section<'_>, name: &str, problems: &mut Problems) -> Option<HeaderName> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(name) => Some(name),
        Err(_) => {
            section.key_problem(name, "is no header name", problems);
            None
        }
    }
}

fn read_header(
    section: &Section<'_>,
    name: &str,
    field: &Field<'_>,
    problems: &mut Problems,
) -> Option<(HeaderName, HeaderValue)> {
    let header = header_name(section, name, problems)?;
    if matches!(header.as_str(), "content-length" | "transfer-encoding" | "connection" | "upgrade") {
        section.key_problem(name, "is set by the transport and cannot be given", problems);
        return None;
    }
    match HeaderValue::from_str(field.text(problems)?) {
        Ok(mut value) => {
            // A header may carry a key: keep it out of every debug output.
            value.set_sensitive(true);
            Some((header, value))
        }
        Err(_) => problems.at(field, "holds a character that a header cannot carry"),
    }
}

fn read_body(section: &Section<'_>, problems: &mut Problems) -> Body {
    match (section.get("body"), section.get("json")) {
        (Some(_), Some(_)) => {
            section.key_problem("json", "a check has either body or json, not both", problems);
            Body::Empty
        }
        (Some(body), None) => body.text(problems).map_or(Body::Empty, |text| Body::Text(text.to_owned())),
        (None, Some(json)) => Body::Json(json.node.to_json()),
        (None, None) => Body::Empty,
    }
}

fn read_expect(field: &Field<'_>, problems: &mut Problems) -> Option<Expect> {
    let section = field.section(problems)?;
    section.refuse_unknown(&EXPECT_KEYS, |_| None, problems);
    let mut expect = Expect::default();
    if let Some(field) = section.get("status") {
        expect.status = field.one_or_many().iter().filter_map(|item| read_status(item, problems)).collect();
        if field.one_or_many().is_empty() {
            problems.at::<()>(&field, "names no status; write 200, 200-299, 2xx or a list of them");
        }
    }
    if let Some(headers) = section.get("headers").and_then(|field| field.section(problems)) {
        for (name, field) in headers.all() {
            let (header, wanted) = (header_name(&headers, name, problems), field.text(problems));
            let (Some(header), Some(wanted)) = (header, wanted) else { continue };
            expect.headers.extend(read_text_match(&field, wanted, problems).map(|wanted| (header, wanted)));
        }
    }
    for item in section.get("body-contains").iter().flat_map(Field::one_or_many) {
        expect.body_contains.extend(item.full_text(problems).map(str::to_owned));
    }
    for item in section.get("body-matches").iter().flat_map(Field::one_or_many) {
        let pattern = item.full_text(problems);
        expect.body_matches.extend(pattern.and_then(|pattern| read_pattern(&item, pattern, problems)));
    }
    if let Some(paths) = section.get("json").and_then(|field| field.section(problems)) {
        for (path, field) in paths.all() {
            expect.json.extend(read_json_expectation(&paths, path, &field, problems));
        }
    }
    if let Some(field) = section.get("latency") {
        expect.latency = field.duration(Duration::from_millis(1), problems);
    }
    Some(expect)
}

fn read_status(field: &Field<'_>, problems: &mut Problems) -> Option<StatusRange> {
    let text = field.full_text(problems)?.trim();
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let range = match (text.split_once('-'), text.to_ascii_lowercase().strip_suffix("xx")) {
        (Some((from, to)), _) => number(from).zip(number(to)),
        (None, Some(hundreds)) => number(hundreds)
            .filter(|hundreds| (1..=5).contains(hundreds))
            .map(|hundreds| (hundreds * 100, hundreds * 100 + 99)),
        (None, None) => number(text).map(|status| (status, status)),
    };
    match range {
        Some((from, to)) if from <= to && from >= 100 && to <= 599 => Some(StatusRange { from, to }),
        _ => problems.at(field, "is no status; write 200, 200-299, 2xx or a list of them (100 to 599)"),
    }
}

fn read_text_match(field: &Field<'_>, wanted: &str, problems: &mut Problems) -> Option<TextMatch> {
    match wanted.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(pattern) if !pattern.is_empty() => {
            read_pattern(field, pattern, problems).map(TextMatch::Pattern)
        }
        _ => Some(TextMatch::Contains(wanted.to_owned())),
    }
}

fn read_pattern(field: &Field<'_>, pattern: &str, problems: &mut Problems) -> Option<Regex> {
    match Regex::new(pattern) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            // The library draws the pattern over several lines; its last line says what is wrong.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            problems.at(field, format!("is no regular expression: {}", text::short(last, 200)))
        }
    }
}

fn read_json_expectation(
    section: &Section<'_>,
    path: &str,
    field: &Field<'_>,
    problems: &mut Problems,
) -> Option<JsonExpectation> {
    // The bound on brackets keeps the path parser's recursion small.
    let brackets = path.matches(['(', '[', '!']).count();
    if path.len() > LONGEST_LINE || brackets > 30 {
        section.key_problem(path, "is too long or too deep for a JSONPath", problems);
        return None;
    }
    match JsonPath::parse(path) {
        Ok(parsed) => {
            Some(JsonExpectation { text: path.to_owned(), path: parsed, value: field.node.to_json() })
        }
        Err(error) => {
            let message = format!(
                "is no JSONPath (wrong at character {}); write \"$.version\" or \"$.items[*].id\"",
                error.position() + 1
            );
            section.key_problem(path, message, problems);
            None
        }
    }
}
