//! Readers of foreign bytes, fed with damaged ones: none panics, none is let through that
//! should not be. Seeded, so that a failure is found again; `SLOTWAY_FUZZ` says how many
//! inputs each reader gets, `SLOTWAY_FUZZ_SEED` where the sequence begins.

use std::io::{Cursor, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use slotway::http::{Answer, Refusal, retry_after};
use slotway::inputs::{self, Environment, Needs, Raw, Source};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::orders;

mod documents;

/// No input of a few kilobytes keeps a reader busy for longer, on however slow a machine.
const LONGEST: Duration = Duration::from_secs(10);

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => default,
    }
}

/// SplitMix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("below a usize")
    }
}

/// One to six changes: bytes flipped, overwritten by edges, doubled, dropped, moved, cut.
fn mutated(random: &mut Random, seed: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let length = random.below(1 + (bytes.len() - at).min(32));
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'.'][random.below(8)],
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let part = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len() + 1);
                drop(bytes.splice(to..to, part));
            }
            4 if !words.is_empty() => {
                let word = words[random.below(words.len())].as_bytes().to_vec();
                drop(bytes.splice(at..at + length, word));
            }
            5 => bytes[at..at + length].fill(0xff),
            6 => bytes[at..at + length].reverse(),
            7 if random.below(4) == 0 => bytes.truncate(at),
            _ => bytes.insert(at, u8::try_from(random.below(256)).expect("a byte")),
        }
    }
    bytes
}

/// Feeds a reader; on a panic the input and the seed are told.
fn feed(what: &str, share: u64, seeds: &[Vec<u8>], words: &[&str], read: impl Fn(&[u8])) {
    let (count, first) = (number("SLOTWAY_FUZZ", 2000) / share, number("SLOTWAY_FUZZ_SEED", 1));
    for round in first..first + count.max(1) {
        let mut random = Random(round);
        let seed = &seeds[random.below(seeds.len())];
        let bytes = mutated(&mut random, seed, words);
        let begun = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        let again = format!("SLOTWAY_FUZZ_SEED={round} SLOTWAY_FUZZ={share}");
        let took = begun.elapsed();
        assert!(took < LONGEST, "{what} took {took:?}: {again}: {:?}", String::from_utf8_lossy(&bytes));
        assert!(result.is_ok(), "{what}: {again}: {:?}", String::from_utf8_lossy(&bytes));
    }
}

fn texts(seeds: &[&str]) -> Vec<Vec<u8>> {
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

const ORDERS: [&str; 14] = [
    "::",
    "##[",
    "##vso[",
    "##",
    ":",
    "\u{1b}[",
    "\u{200b}",
    "\u{34f}",
    "\u{feff}",
    "\r",
    "\n::error::",
    "]",
    "\u{2028}",
    "vso[",
];

#[test]
fn damaged_orders_stay_no_orders() {
    let seeds = texts(&[
        "##vso[task.setvariable variable=a;isOutput=true;]value",
        "npm warn x\n::add-mask::secret\n  ::stop-commands::token\nrest ##[set-env name=A;]b",
        "plain words with std::io, 10:30 and C# ## heading [x] v1",
        "\u{1b}[31m#\u{200d}#[group]\u{1b}]0;title\u{7}:\u{ad}:error::",
    ]);
    feed("text", 1, &seeds, &ORDERS, |bytes| orders::assert_clean(&String::from_utf8_lossy(bytes)));
    feed("renderers", 4, &seeds, &ORDERS, |bytes| orders::assert_deaf(&String::from_utf8_lossy(bytes)));
}

fn zipped(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    write(&mut writer);
    writer.finish().expect("an archive").into_inner()
}

/// Small archives of each kind: plain, wide, with links, with a comment.
fn archives() -> Vec<Vec<u8>> {
    let plain = SimpleFileOptions::default();
    let file = |writer: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, options| {
        writer.start_file(name, options).expect("an entry");
        writer.write_all(b"content content content").expect("content");
    };
    vec![
        zipped(|writer| {
            file(writer, "index.html", plain);
            file(writer, "a/b/c.js", plain);
        }),
        zipped(|writer| file(writer, "large", plain.large_file(true))),
        zipped(|writer| {
            file(writer, "a/file", plain);
            writer.add_symlink("a/link", "file", plain).expect("a link");
            writer.add_symlink("b", "a/file", plain).expect("a link");
        }),
        zipped(|writer| {
            file(writer, "b", plain);
            writer.add_symlink("a/b/c/d/link", "../../../../b", plain).expect("a link");
        }),
        zipped(|writer| {
            writer.add_directory("empty/", plain).expect("a folder");
            file(writer, "x", plain);
            writer.set_comment("PK\u{5}\u{6} not the end").expect("a comment");
        }),
    ]
}

#[test]
fn damaged_archives_are_refused_or_stay_inside() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("app.zip");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let words = [
        "../",
        "..\\",
        "/",
        "./",
        "C:",
        "PK\u{1}\u{2}",
        "PK\u{5}\u{6}",
        "PK\u{6}\u{6}",
        "PK\u{6}\u{7}",
        "\0",
    ];
    feed("archive", 2, &archives(), &words, |bytes| {
        std::fs::write(&path, bytes).expect("written");
        let result = runtime.block_on(slotway::artifact::prepare(&path, None, &|_| {}));
        if result.is_ok() {
            assert_inside(bytes);
        }
    });
}

/// Whole archives of links and files with names that damage at random hardly ever makes.
#[test]
fn links_with_odd_names_stay_inside_or_are_refused() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("app.zip");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let (mut passed, mut refused) = (0, 0);
    for round in 0..number("SLOTWAY_FUZZ", 2000) / 4 {
        let mut random = Random(round);
        let mut name = |most: usize, parts: &[&str]| {
            let length = 1 + random.below(most);
            (0..length).map(|_| parts[random.below(parts.len())]).collect::<Vec<&str>>().join("/")
        };
        let parts = ["a", "b", ".", "", "A", "a"];
        let (link, file) = (name(4, &parts), name(3, &parts));
        let target = name(5, &["..", "..", ".", "", "b"]);
        let bytes = zipped(|writer| {
            let plain = SimpleFileOptions::default();
            // The writer takes no name twice: then there is only one of the two.
            let _ = writer.add_symlink(format!("{link}/z"), target, plain);
            let _ = writer.start_file(format!("{file}/f"), plain);
        });
        std::fs::write(&path, &bytes).expect("written");
        match runtime.block_on(slotway::artifact::prepare(&path, None, &|_| {})) {
            Ok(_) => {
                assert_inside(&bytes);
                passed += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(passed > 20 && refused > 20, "{passed} passed, {refused} refused");
}

/// An independent reader finds no name that leaves, no link that does, and nothing behind a link.
fn assert_inside(bytes: &[u8]) {
    let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) else { return };
    let (mut names, mut links) = (Vec::new(), Vec::new());
    for position in 0..archive.len() {
        let Ok(mut entry) = archive.by_index(position) else { continue };
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let leaves = name.split(['/', '\\']).any(|part| part == "..") || name.starts_with(['/', '\\']);
        assert!(!leaves, "{name:?} was let through");
        let path: PathBuf = Path::new("/root").join(&name).components().collect();
        if entry.is_symlink() {
            let mut target = Vec::new();
            // A wrong checksum comes after the bytes; some do not look at it.
            let _ = entry.read_to_end(&mut target);
            let target = String::from_utf8(target).expect("a link that was let through is text");
            assert_stays_inside(&path, &target);
            links.push(path.clone());
        }
        names.push(path);
    }
    for link in &links {
        let behind = names.iter().find(|name| *name != link && name.starts_with(link));
        assert!(behind.is_none(), "{behind:?} lies behind the link {link:?}");
    }
}

/// Follows a link from where it lies, as a system does it.
fn assert_stays_inside(link: &Path, target: &str) {
    let mut place = link.parent().expect("a parent").to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            part => place.push(part),
        }
        assert!(place.starts_with("/root"), "the link {link:?} to {target:?} was let through");
    }
}

#[test]
fn a_damaged_configuration_is_read_or_refused() {
    let seeds = texts(&[
        include_str!("../../examples/storefront/slotway.yml"),
        "app-name: a\nchecks:\n- name: x\n  path: /\n  expect: {status: [200, 3xx], json: {'$.a[?@.b>1]': 1}}\n  retry-for: 1m30s\n",
        "base: &a {path: /, every: 1s}\nchecks: [*a, {<<: *a}]\nlimits: {swap: 1h}\n",
        "checks:\n  - run: |\n      multi\n      line\n    exits: {pass: [0, 1]}\nwatch: {rate: 1e3}\n",
    ]);
    let words = [
        "&a ",
        "*a",
        "[",
        "{",
        "- ",
        ": ",
        "\t",
        "!!binary ",
        "? ",
        "|",
        ">",
        "~",
        "\u{feff}",
        "\0",
        "---\n",
        "'",
        "9e99",
    ];
    feed("slotway.yml", 1, &seeds, &words, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Err(problems) = slotway::checks::read(&text, "slotway.yml", &["app-name", "package"]) {
            // YAML 1.1 ends lines at these (libyaml's own list).
            let lines = text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() + 2;
            for problem in problems {
                assert!(problem.line >= 1 && problem.line <= lines, "{problem} of {lines} lines");
                assert!(!problem.message.is_empty());
            }
        }
    });
    let scenario = texts(&[
        "slots: {staging: {settings: {A: b}}}\nfaults:\n- {on: {service: scm, path: x$}, do: {status: {code: 503}}}\n",
        "durations: {swap-switch: 1s}\nactors: [{after: swap-finished, do: swap, source: staging}]\n",
        "actors:\n- {after: deployed, skip: 1, delay: 2s, do: deploy, slot: staging, package: ../v2}\n- {after: swap-accepted, do: settings, slot: production, set: {A: b}}\n- {after: swap-switched, do: scale, workers: 3}\n- {after: deployed, do: stop, slot: staging}\n",
    ]);
    let words =
        [&words[..], &["do: ", "after: ", "workers: ", "-1", "99999999999999999999", "skip: ", "1e9h"]]
            .concat();
    feed("scenario", 4, &scenario, &words, |bytes| {
        let _ = slotway::emulator::scenario::Scenario::from_yaml(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn damaged_durations_and_waits_are_bounded() {
    let seeds =
        texts(&["1h30m", "250ms", "90s", "0.5m", "Thu, 01 Jan 1970 00:00:07 GMT", "15", "99999999999"]);
    let words = ["9", ".", "h", "m", "ms", "-", "e", "GMT", "+0000", "60", "25:61:61"];
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    feed("duration", 1, &seeds, &words, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        assert!(slotway::checks::parse_duration(&text).map_or(true, |read| read <= day), "{text}");
        let Ok(value) = reqwest::header::HeaderValue::from_bytes(bytes) else { return };
        for name in ["retry-after", "retryafter", "retry-after-ms", "x-ms-retry-after-ms"] {
            let headers = reqwest::header::HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static(name),
                value.clone(),
            )]);
            let wait = retry_after(&headers, std::time::SystemTime::UNIX_EPOCH);
            assert!(wait.is_none_or(|wait| wait <= std::time::Duration::from_secs(600)), "{wait:?}");
        }
    });
}

#[test]
fn a_damaged_answer_is_told_in_one_short_line() {
    let seeds = texts(&[
        r#"{"error":{"code":"Conflict","message":"busy","details":[{"code":"x"}]}}"#,
        r#"{"Code":"429","Message":"Cannot acquire","Details":[{"ErrorEntity":{"ExtendedCode":"59206"}}]}"#,
        "<html><body>\n<h1>503 ##vso[task.x]</h1></body></html>",
    ]);
    feed("answer", 1, &seeds, &ORDERS, |bytes| {
        let answer = Answer {
            status: 500,
            headers: reqwest::header::HeaderMap::new(),
            body: bytes.to_vec().into(),
            complete: true,
        };
        let said = Refusal::read(&answer).to_string();
        assert!(said.len() < 4000 && !said.chars().any(char::is_control), "{said:?}");
    });
}

#[test]
fn a_damaged_service_connection_is_refused_and_its_secrets_are_not_repeated() {
    const SECRET: &str = "planted-Secret-value-1";
    let auth = format!(
        r#"{{"scheme":"ServicePrincipal","parameters":{{"tenantid":"00000000-0000-0000-0000-000000000001","serviceprincipalid":"00000000-0000-0000-0000-000000000002","serviceprincipalkey":"{SECRET}","authenticationType":"spnKey"}}}}"#
    );
    let creds = format!(
        r#"{{"clientId":"00000000-0000-0000-0000-000000000002","clientSecret":"{SECRET}","tenantId":"x","subscriptionId":"y"}}"#
    );
    let words = [
        "null",
        "[]",
        "{}",
        "\"",
        "workloadidentityfederation",
        "ManagedServiceIdentity",
        "spnCertificate",
        "$(x)",
    ];
    feed("service connection", 1, &[auth.into_bytes(), creds.into_bytes()], &words, |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let variables = [
            ("ENDPOINT_AUTH_c", text.as_str()),
            ("ENDPOINT_DATA_c", text.as_str()),
            ("ENDPOINT_URL_c", "https://management.azure.com/"),
        ];
        let environment: Environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for input in [("azure-subscription", "c"), ("creds", text.as_str())] {
            let mut raw = Raw::default();
            raw.offer(input.0, input.1, Source::Step);
            raw.offer("app-name", "app", Source::Step);
            if let Err(problems) = inputs::resolve(&raw, &environment, Needs::Reading) {
                let said = format!("{problems:?}");
                // Damage may have made the value another one's, such as the client's id.
                let is_secret = ["serviceprincipalkey", "clientSecret"]
                    .iter()
                    .any(|key| text.contains(&format!("\"{key}\":\"{SECRET}\"")));
                assert!(!is_secret || text.matches(SECRET).count() > 1 || !said.contains(SECRET), "{said}");
            }
        }
    });
}
