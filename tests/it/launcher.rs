//! What the launcher says by itself is held to the same rules of the hosts as the binary's
//! words: its sanitiser is a second one, in another language.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use slotway::text;

use crate::{host_rules, orders};

const SCRIPT: &str = "
const { plain } = require(process.argv[1]);
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(texts.map(plain)));
";

/// What the launcher makes of texts, all in one start of node.
fn said(texts: &[String]) -> Vec<String> {
    let host = concat!(env!("CARGO_MANIFEST_DIR"), "/launcher/host.js");
    let mut node = Command::new("node")
        .args(["-e", SCRIPT, host])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs node on PATH: {error}"));
    let mut stdin = node.stdin.take().expect("a pipe");
    stdin.write_all(serde_json::to_string(texts).expect("JSON").as_bytes()).expect("node reads");
    drop(stdin);
    let output = node.wait_with_output().expect("node ends");
    assert!(output.status.success(), "node ends well");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_launcher_lets_no_order_through() {
    let mut runner = TestRunner::deterministic();
    let hostile = prop::collection::vec(prop::sample::select(orders::PIECES.to_vec()), 0..24);
    let mut texts: Vec<String> =
        ["###vso[task.complete result=Failed;]x", "####[group]", "::add-mask::x", "a\r::error::b\n::c::d"]
            .map(str::to_owned)
            .into();
    texts.extend((0..3000).map(|_| hostile.new_tree(&mut runner).expect("a text").current().concat()));
    let shown = said(&texts);
    for (foreign, shown) in texts.iter().zip(&shown) {
        assert_eq!(host_rules::order_in(shown), None, "{foreign:?} became {shown:?}");
        assert!(!shown.chars().any(char::is_control), "{foreign:?} became {shown:?}");
        // The binary's own sanitiser finds nothing left to do.
        assert_eq!(&text::line(shown), shown, "{foreign:?}");
    }
    assert_eq!(shown[0], "### vso[task.complete result=Failed;]x");
    assert_eq!(shown[3], "a : :error: :b : :c: :d");
    assert_eq!(said(&shown), shown, "what was made harmless stays as it is");
}
