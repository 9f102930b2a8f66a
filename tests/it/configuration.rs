//! A `slotway.yml` that is broken, or made to do harm: one clear error with its place, soon.

use std::time::{Duration, Instant};

use crate::harness::Place;

/// What the real binary says of a configuration.
fn said(text: &[u8]) -> String {
    let place = Place::new();
    place.write("slotway.yml", text);
    let began = Instant::now();
    let finished = place.run(&["check", "--url", "https://localhost:1"]);
    assert!(began.elapsed() < Duration::from_secs(20), "took {:?}", began.elapsed());
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    assert!(finished.stderr.len() < 10_000, "{} bytes are no clear error", finished.stderr.len());
    finished.stderr
}

fn bomb() -> String {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..20 {
        let alias = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(","));
    }
    text
}

#[test]
fn each_broken_configuration_is_told_with_its_line() {
    let huge = format!("a: 1\nb: {}\n", "x".repeat(2 << 20));
    let deep_block: String =
        "checks:\n".to_owned() + &(0..2000).map(|depth| " ".repeat(depth % 900) + "- \n").collect::<String>();
    let cases: [(&str, Vec<u8>, &str); 15] = [
        ("an anchor bomb", bomb().into(), "too many values, each use of an alias counted"),
        ("an alias of itself", "a: &a [*a]".into(), "slotway.yml:1:"),
        ("an unknown alias", "a: 1\nchecks: *nobody\n".into(), "slotway.yml:2:9"),
        (
            "a key twice",
            "watch: {rate: 1}\nlimits: {}\nwatch: {rate: 2}\n".into(),
            "slotway.yml:3:1: the key \"watch\" is given twice",
        ),
        ("a key twice inside", "watch:\n  rate: 1\n  rate: 2\n".into(), "slotway.yml:3:3"),
        (
            "deep brackets",
            format!("a: 1\nb: {}\n", "[".repeat(5000)).into(),
            "slotway.yml:2:104: more than 100 brackets are open here",
        ),
        ("deep lists", deep_block.into(), "slotway.yml:"),
        ("a huge text", huge.into(), "it is longer than 1 MiB"),
        (
            "a wrong type",
            "checks: 7\n".into(),
            "slotway.yml:1:9: checks: is a number; a list (- item) is wanted",
        ),
        ("wrong types inside", "limits: [1]\nwatch: text\n".into(), "slotway.yml:2:8: watch"),
        (
            "not UTF-8",
            b"app-name: x\nchecks:\n- name: caf\xe9\n".to_vec(),
            "line 3 is no valid UTF-8; save it as UTF-8",
        ),
        ("UTF-16", b"\xff\xfea\0:\0 \x001\0\n\0".to_vec(), "it is UTF-16; save it as UTF-8"),
        ("a tab for indentation", "watch:\n\trate: 1\n".into(), "slotway.yml:2:1"),
        ("a zero byte", "watch: {}\nlimits: \0\n".into(), "slotway.yml:"),
        ("two documents", "watch: {}\n---\nlimits: {}\n".into(), "slotway.yml:"),
    ];
    for (what, text, told) in cases {
        let error = said(&text);
        assert!(error.contains(told), "{what}: {error}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_lines_are_no_trouble() {
    let place = Place::new();
    place.write("slotway.yml", "\u{feff}watch: {rate: 1}\r\nlimits:\r\n  ready: 1s\r\n");
    let finished = place.run(&["check", "--url", "http://localhost:1"]);
    // Nothing listens there: the configuration was read, and the check came to its own verdict.
    assert_eq!(finished.code, 3, "{}{}", finished.stdout, finished.stderr);
}

#[cfg(unix)]
#[test]
fn a_device_or_a_folder_for_a_configuration_is_refused_soon() {
    let place = Place::new();
    for path in ["/dev/zero", "."] {
        let began = Instant::now();
        let finished = place.run(&["status", "--config", path]);
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        assert!(finished.stderr.contains(&format!("{path} could not be read")), "{}", finished.stderr);
        assert!(began.elapsed() < Duration::from_secs(10), "took {:?}", began.elapsed());
    }
}
