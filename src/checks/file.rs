//! Reads `slotway.yml`: inputs, checks, watch, production, limits.
//!
//! Owns the keys of the file and reports all that is wrong with it at once, each
//! problem with line, column and key path. Must not read the file itself nor know
//! which inputs exist: the caller brings the text and the names.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::field::{Field, Problems, Section};
use super::request::read_check;
use super::spec::{Check, Limits, Soak, Watch};
use super::tree;

/// More checks than anybody waits for.
const MOST_CHECKS: usize = 256;
/// Beyond this many the rest is only counted: the first ones are what is read.
const MOST_PROBLEMS: usize = 40;
/// A watch is a probe, not a load test.
const HIGHEST_RATE: u32 = 100;
/// The end of a watch waits this long for the answers still under way.
const LONGEST_WATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// A file longer than this is refused; who reads one need not read on.
pub const LONGEST_FILE: usize = tree::LONGEST_TEXT;

/// What `slotway.yml` says.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// Step inputs given in the file, by their names, in the spelling of the file.
    pub inputs: BTreeMap<String, String>,
    /// The checks in the order of the file.
    pub checks: Vec<Check>,
    /// How production is watched around the swap.
    pub watch: Watch,
    /// How long production has to keep passing.
    pub production: Soak,
    /// How long each stage may take.
    pub limits: Limits,
}

/// One thing that is wrong with the file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The file, as the caller called it.
    pub source_name: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// The key path, such as `checks[0].expect.status`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: ", self.source_name, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ConfigProblem {}

/// Reads the text of a configuration file; an empty text gives the defaults.
///
/// `known_inputs` are the names that may stand at the top level beside Slotway's own keys.
///
/// # Errors
///
/// All problems that could be found, in the order of the file.
pub fn read(text: &str, source_name: &str, known_inputs: &[&str]) -> Result<ConfigFile, Vec<ConfigProblem>> {
    // Editors on Windows put a byte order mark in front, which the YAML library takes for a document.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let problem = |line, column, path, message| ConfigProblem {
        source_name: source_name.to_owned(),
        line,
        column,
        path,
        message,
    };
    let node = tree::parse(text)
        .map_err(|error| vec![problem(error.line, error.column, String::new(), error.message)])?;
    let mut problems = Problems::default();
    let config = match Field::root(&node) {
        root if root.node.is_null() => ConfigFile::default(),
        root => read_top(&root, known_inputs, &mut problems),
    };
    if problems.found.is_empty() {
        return Ok(config);
    }
    let count = problems.found.len();
    let mut located: Vec<_> = problems
        .found
        .into_iter()
        .take(MOST_PROBLEMS)
        .map(|found| {
            let (line, column) = tree::locate(text, &found.steps);
            problem(line, column, found.path, found.message)
        })
        .collect();
    located.sort_by_key(|problem| (problem.line, problem.column));
    if count > MOST_PROBLEMS {
        located.push(problem(1, 1, String::new(), format!("and {} more problems", count - MOST_PROBLEMS)));
    }
    Err(located)
}

fn read_top(root: &Field<'_>, known_inputs: &[&str], problems: &mut Problems) -> ConfigFile {
    let mut config = ConfigFile::default();
    let Some(section) = root.section(problems) else { return config };
    let own = ["checks", "watch", "production", "limits"];
    let known: Vec<&str> = own.iter().chain(known_inputs).copied().collect();
    section.refuse_unknown(&known, |_| None, problems);
    for (key, field) in section.all() {
        match key {
            "checks" => config.checks = read_checks(&field, problems),
            "watch" => config.watch = read_watch(&field, problems),
            "production" => config.production = read_soak(&field, problems),
            "limits" => config.limits = read_limits(&field, problems),
            input if known_inputs.contains(&input) => {
                if let Some(text) = field.text(problems) {
                    config.inputs.insert(input.to_owned(), text.to_owned());
                }
            }
            _ => {}
        }
    }
    config
}

fn read_checks(field: &Field<'_>, problems: &mut Problems) -> Vec<Check> {
    let Some(items) = field.items(problems) else { return Vec::new() };
    if items.len() > MOST_CHECKS {
        problems.at::<()>(field, format!("{} checks; at most {MOST_CHECKS} are read", items.len()));
        return Vec::new();
    }
    items.iter().filter_map(|item| read_check(item, problems)).collect()
}

/// Reads a duration of at least one millisecond into its place.
fn set_duration(section: &Section<'_>, key: &str, place: &mut Duration, problems: &mut Problems) {
    let shortest = Duration::from_millis(1);
    if let Some(duration) = section.get(key).and_then(|field| field.duration(shortest, problems)) {
        *place = duration;
    }
}

fn read_watch(field: &Field<'_>, problems: &mut Problems) -> Watch {
    let mut watch = Watch::default();
    let Some(section) = field.section(problems) else { return watch };
    section.refuse_unknown(&["path", "rate", "timeout"], |_| None, problems);
    if let Some(path) = section.get("path").and_then(|field| super::request::read_path(&field, problems)) {
        watch.path = path;
    }
    if let Some(rate) = section.get("rate").and_then(|field| field.count(0, HIGHEST_RATE, problems)) {
        watch.rate = rate;
    }
    set_duration(&section, "timeout", &mut watch.timeout, problems);
    if let Some(field) = section.get("timeout").filter(|_| watch.timeout > LONGEST_WATCH_TIMEOUT) {
        problems.at::<()>(&field, "is too long for the watch; at most 1m");
    }
    watch
}

fn read_soak(field: &Field<'_>, problems: &mut Problems) -> Soak {
    let mut soak = Soak::default();
    let Some(section) = field.section(problems) else { return soak };
    section.refuse_unknown(&["for", "passes", "every"], |_| None, problems);
    if let Some(lasting) = section.get("for").and_then(|field| field.duration(Duration::ZERO, problems)) {
        soak.lasting = lasting;
    }
    if let Some(passes) = section.get("passes").and_then(|field| field.count(1, 1000, problems)) {
        soak.passes = passes;
    }
    set_duration(&section, "every", &mut soak.every, problems);
    soak
}

fn read_limits(field: &Field<'_>, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let Some(section) = field.section(problems) else { return limits };
    section.refuse_unknown(
        &["ready", "checks", "deploy", "no-progress", "swap", "settle"],
        |_| None,
        problems,
    );
    set_duration(&section, "ready", &mut limits.ready, problems);
    set_duration(&section, "checks", &mut limits.checks, problems);
    set_duration(&section, "deploy", &mut limits.deploy, problems);
    set_duration(&section, "no-progress", &mut limits.no_progress, problems);
    set_duration(&section, "swap", &mut limits.swap, problems);
    set_duration(&section, "settle", &mut limits.settle, problems);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::spec::{Action, Body, On, StatusRange, TextMatch};
    use crate::checks::verdict::Verdict;

    const INPUTS: [&str; 4] = ["app-name", "package", "type", "clean"];

    fn problems(text: &str) -> Vec<String> {
        match read(text, "slotway.yml", &INPUTS) {
            Ok(config) => panic!("accepted: {config:?}"),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        for text in ["", "# nothing\n", "---\n", "{}"] {
            let config = read(text, "slotway.yml", &INPUTS).expect("empty");
            assert!(config.checks.is_empty() && config.inputs.is_empty());
            assert_eq!((config.watch.rate, config.production.passes), (10, 3));
        }
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
app-name: contoso-web
type: 1.10
clean: true
checks:
  - name: home page
    path: /a?b=c
    method: post
    headers: {X-Probe: yes}
    json: {a: [1, null]}
    expect:
      status: [204, 300-399, "2xx"]
      headers: {content-type: text/html, X-Id: "/^[0-9]+$/"}
      body-contains: Welcome
      body-matches: ["a+", "b+"]
      json: {"$.version": "2", "$.items[*].id": [1, 2]}
      latency: 2s
    timeout: 11s
    retry-for: 30s
    every: 250ms
    passes: 3
    critical: false
    on: production
    every-instance: true
  - run: npx playwright test
    exits: {inconclusive: [75], pass: 3}
watch: {path: /healthz, rate: 0, timeout: 1s}
production: {for: 0s, passes: 2, every: 2s}
limits: {ready: 1m, checks: 2m, deploy: 3m, no-progress: 4m, swap: 1h, settle: 6m}
"#;
        let config = read(text, "slotway.yml", &INPUTS).expect("well formed");
        assert_eq!(config.inputs["type"], "1.10");
        assert_eq!(config.inputs["clean"], "true");
        let [home, browser] = &config.checks[..] else { panic!("two checks") };
        assert_eq!(
            (home.name.as_str(), home.passes, home.critical, home.every_instance),
            ("home page", 3, false, true)
        );
        assert_eq!(home.on, On { staging: false, production: true });
        assert_eq!(home.every, Duration::from_millis(250));
        let Action::Request(request) = &home.action else { panic!("a request") };
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a?b=c"));
        assert_eq!(request.headers[0].1, "yes");
        assert_eq!(request.body, Body::Json(serde_json::json!({"a": [1, null]})));
        let range = |from, to| StatusRange { from, to };
        assert_eq!(request.expect.status, [range(204, 204), range(300, 399), range(200, 299)]);
        assert!(matches!(&request.expect.headers[0].1, TextMatch::Contains(text) if text == "text/html"));
        assert!(matches!(&request.expect.headers[1].1, TextMatch::Pattern(_)));
        assert_eq!((request.expect.body_matches.len(), request.expect.json.len()), (2, 2));
        assert_eq!(request.expect.latency, Some(Duration::from_secs(2)));
        let Action::Command(command) = &browser.action else { panic!("a command") };
        assert_eq!((browser.name.as_str(), browser.timeout.as_secs()), ("npx playwright test", 120));
        assert_eq!(command.exits, BTreeMap::from([(75, Verdict::Inconclusive), (3, Verdict::Pass)]));
        assert_eq!((config.watch.path.as_str(), config.watch.rate), ("/healthz", 0));
        assert_eq!((config.limits.swap.as_secs(), config.limits.no_progress.as_secs()), (3600, 240));
    }

    #[test]
    fn all_problems_are_reported_at_once_with_place_and_advice() {
        let text = r#"appname: x
checks:
  - path: /
    expcet: {status: 200}
    retry-for: 30
  - path: http://elsewhere/
    run: true
  - path: /a
    status: 200
    expect:
      status: 20x
      body-matches: "(("
      json: {"$.[": 1}
    headers: {"a b": c}
  - {}
limits: {redy: 5m}
"#;
        assert_eq!(
            problems(text),
            [
                "slotway.yml:1:1: appname: unknown key; did you mean \"app-name\"?",
                "slotway.yml:4:5: checks[0].expcet: unknown key; did you mean \"expect\"?",
                "slotway.yml:5:16: checks[0].retry-for: \"30\" says no unit; write 30s, 30m or 30ms",
                "slotway.yml:7:5: checks[1].run: a check has either path or run, not both",
                "slotway.yml:9:5: checks[2].status: unknown key here; it belongs under expect",
                "slotway.yml:11:15: checks[2].expect.status: is no status; write 200, 200-299, 2xx or a list of them (100 to 599)",
                "slotway.yml:12:21: checks[2].expect.body-matches: is no regular expression: unclosed group",
                "slotway.yml:13:14: checks[2].expect.json.$.[: is no JSONPath (wrong at character 3); write \"$.version\" or \"$.items[*].id\"",
                "slotway.yml:14:15: checks[2].headers.a b: is no header name",
                "slotway.yml:15:5: checks[3]: says neither path nor run; one of them is needed",
                "slotway.yml:16:10: limits.redy: unknown key; did you mean \"ready\"?",
            ]
        );
    }

    #[test]
    fn what_is_no_yaml_is_refused_where_it_breaks() {
        assert_eq!(problems("a: [1\nb: 2\n").len(), 1);
        assert!(problems("checks: [\n")[0].starts_with("slotway.yml:2:1: "), "{:?}", problems("checks: [\n"));
        assert_eq!(problems("- a\n"), ["slotway.yml:1:1: is a list; a mapping (key: value) is wanted"]);
        assert_eq!(
            problems("app-name:\n")[0],
            "slotway.yml:1:10: app-name: has no value; write one or remove the key"
        );
    }

    #[test]
    fn too_many_checks_and_too_many_problems_are_bounded() {
        let many = format!("checks:\n{}", "  - path: /\n".repeat(257));
        assert_eq!(problems(&many), ["slotway.yml:2:3: checks: 257 checks; at most 256 are read"]);
        let wrong = format!("checks:\n{}", "  - path: x\n".repeat(200));
        let found = problems(&wrong);
        assert_eq!(found.len(), MOST_PROBLEMS + 1);
        assert!(found[MOST_PROBLEMS].ends_with("and 160 more problems"));
    }

    #[test]
    fn a_deep_json_path_ends_soon() {
        let started = std::time::Instant::now();
        for path in [
            format!("$[?{}@.a{}]", "(".repeat(28), ")".repeat(28)),
            "$[?(((((((((((((((((((((((((((".to_owned(),
        ] {
            let text = format!("checks:\n  - path: /\n    expect: {{json: {{'{path}': 1}}}}\n");
            let _ = read(&text, "f", &INPUTS);
        }
        assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn no_value_anywhere_makes_it_panic(
            key in "(path|run|expect|headers|json|exits|on|every|status)",
            value in "[-a-c:{}\\[\\],&*\"$.?@()!/ ~0-9é]{0,40}",
        ) {
            let _ = read(&format!("checks:\n  - path: /\n    {key}: {value}\n"), "f", &INPUTS);
            let _ = read(&format!("checks:\n  - path: /\n    expect:\n      json:\n        '{value}': 1\n"), "f", &INPUTS);
            let _ = read(&format!("{key}: {value}\nlimits: {value}\n"), "f", &["path"]);
        }
    }
}
