//! Judges an answer by what is expected of it.
//!
//! Pure: an answer and its expectations in, a verdict and one line of reasons out.
//! Must not send anything.

use std::time::Duration;

use serde_json::Value;

use super::duration::show_duration;
use super::probe::Observation;
use super::spec::{Expect, JsonExpectation, StatusRange, TextMatch};
use super::verdict::{Verdict, worst};
use crate::text;

/// As much of a foreign value as is shown in one line.
const SHOWN: usize = 80;
/// As long as a line of reasons gets.
const LONGEST_DETAIL: usize = 400;

/// Judges an answer; the text names each expectation that does not hold, or says what came.
pub(super) fn judge(expect: &Expect, answer: &Observation) -> (Verdict, String) {
    let mut complaints: Vec<(Verdict, String)> = Vec::new();
    if !expect.status.iter().any(|range| range.holds(answer.status)) {
        let wanted = show_statuses(&expect.status);
        complaints.push((Verdict::Fail, format!("status {}, expected {wanted}", answer.status)));
    }
    for (name, wanted) in &expect.headers {
        complaints.extend(judge_header(name.as_str(), wanted, answer));
    }
    judge_body(expect, answer, &mut complaints);
    if let Some(limit) = expect.latency.filter(|limit| answer.latency > *limit) {
        let (took, limit) = (show_duration(answer.latency), show_duration(limit));
        complaints.push((Verdict::Fail, format!("took {took}, expected at most {limit}")));
    }
    if complaints.is_empty() {
        return (Verdict::Pass, format!("status {} in {}", answer.status, show_duration(answer.latency)));
    }
    let verdict = worst(complaints.iter().map(|(verdict, _)| *verdict));
    let reasons: Vec<String> = complaints.into_iter().map(|(_, reason)| reason).collect();
    (verdict, text::short(&reasons.join("; "), LONGEST_DETAIL))
}

fn show_statuses(ranges: &[StatusRange]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn judge_header(name: &str, wanted: &TextMatch, answer: &Observation) -> Option<(Verdict, String)> {
    let values: Vec<String> = answer
        .headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let (holds, wanted) = match wanted {
        TextMatch::Contains(text) => {
            let lower = text.to_lowercase();
            (values.iter().any(|value| value.to_lowercase().contains(&lower)), format!("\"{text}\" in it"))
        }
        TextMatch::Pattern(pattern) => {
            (values.iter().any(|value| pattern.is_match(value)), format!("a match for /{pattern}/"))
        }
    };
    let complaint = match values.first() {
        _ if holds => return None,
        None => format!("no header {name}, expected {}", text::short(&wanted, SHOWN)),
        Some(value) => {
            format!(
                "header {name} is \"{}\", expected {}",
                text::short(value, SHOWN),
                text::short(&wanted, SHOWN)
            )
        }
    };
    Some((Verdict::Fail, complaint))
}

fn judge_body(expect: &Expect, answer: &Observation, complaints: &mut Vec<(Verdict, String)>) {
    if expect.body_contains.is_empty() && expect.body_matches.is_empty() && expect.json.is_empty() {
        return;
    }
    let body = String::from_utf8_lossy(&answer.body);
    // What is missing in the part that was read may stand in the part that was not.
    let (verdict, place) = match answer.body_cut {
        true => (Verdict::Error, "the first 1 MiB of the body, the rest was not read"),
        false => (Verdict::Fail, "the body"),
    };
    for wanted in expect.body_contains.iter().filter(|wanted| !body.contains(wanted.as_str())) {
        complaints.push((verdict, format!("no \"{}\" in {place}", text::short(wanted, SHOWN))));
    }
    for pattern in expect.body_matches.iter().filter(|pattern| !pattern.is_match(&body)) {
        complaints
            .push((verdict, format!("no match for /{}/ in {place}", text::short(pattern.as_str(), SHOWN))));
    }
    if expect.json.is_empty() {
        return;
    }
    if answer.body_cut {
        complaints.push((Verdict::Error, "the body is longer than 1 MiB, too long for its JSON".to_owned()));
        return;
    }
    match serde_json::from_str::<Value>(&body) {
        Ok(document) => complaints.extend(
            expect.json.iter().filter_map(|one| judge_json(one, &document)).map(|text| (Verdict::Fail, text)),
        ),
        Err(_) => {
            let start = text::short(&body.chars().take(200).collect::<String>(), 40);
            complaints.push((Verdict::Fail, format!("the body is no JSON, it begins \"{start}\"")));
        }
    }
}

fn judge_json(expectation: &JsonExpectation, document: &Value) -> Option<String> {
    let selected: Vec<&Value> = expectation.path.query(document).all();
    let holds = match (&selected[..], &expectation.value) {
        ([one], wanted) if equal(one, wanted) => true,
        (many, Value::Array(wanted)) => {
            many.len() == wanted.len() && many.iter().zip(wanted).all(|(a, b)| equal(a, b))
        }
        _ => false,
    };
    if holds {
        return None;
    }
    let found = match &selected[..] {
        [] => "selects nothing".to_owned(),
        [one] => format!("is {}", text::short(&one.to_string(), SHOWN)),
        many => {
            let list = Value::Array(many.iter().take(20).map(|value| (*value).clone()).collect());
            format!("selects {} values {}", many.len(), text::short(&list.to_string(), SHOWN))
        }
    };
    let wanted = text::short(&expectation.value.to_string(), SHOWN);
    Some(format!("{} {found}, expected {wanted}", text::short(&expectation.text, SHOWN)))
}

/// Equal as JSON, where 1 and 1.0 are the same number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(a, b)| equal(a, b)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, a)| y.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// A word for an answer that came, for those who only ask whether one comes.
pub(super) fn status_line(status: u16, latency: Duration) -> String {
    format!("status {status} in {}", show_duration(latency))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::file::read;
    use crate::checks::spec::Action;

    fn expectation(yaml: &str) -> Expect {
        let text = format!("checks: [{{path: /, expect: {yaml}}}]\n");
        let config = read(&text, "test", &[]).expect("well formed");
        match config.checks.into_iter().next().map(|check| check.action) {
            Some(Action::Request(request)) => request.expect,
            other => panic!("no request: {other:?}"),
        }
    }

    fn answer(status: u16, body: &str) -> Observation {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("content-type", "Text/HTML; charset=utf-8".parse().expect("header"));
        let latency = Duration::from_millis(34);
        Observation { status, headers, body: body.as_bytes().to_vec(), body_cut: false, latency }
    }

    #[test]
    fn a_good_answer_is_told_with_its_status_and_latency() {
        let told = judge(&Expect::default(), &answer(204, ""));
        assert_eq!(told, (Verdict::Pass, "status 204 in 34 ms".to_owned()));
    }

    #[test]
    fn each_expectation_that_does_not_hold_is_named() {
        for (yaml, detail) in [
            ("{status: [200, 300-399]}", "status 500, expected 200, 300-399"),
            (
                "{status: 5xx, headers: {content-type: json}}",
                "header content-type is \"Text/HTML; charset=utf-8\", expected \"json\" in it",
            ),
            ("{status: 5xx, headers: {etag: /x/}}", "no header etag, expected a match for /x/"),
            ("{status: 5xx, body-contains: [v, Welcome]}", "no \"Welcome\" in the body"),
            ("{status: 5xx, body-matches: v3}", "no match for /v3/ in the body"),
            ("{status: 5xx, latency: 10ms}", "took 34 ms, expected at most 10 ms"),
            ("{status: 5xx, json: {$.v: \"2\"}}", "$.v is 2, expected \"2\""),
            ("{status: 5xx, json: {$.w: 2}}", "$.w selects nothing, expected 2"),
            (
                "{status: 5xx, json: {\"$.items[*].id\": [1]}}",
                "$.items[*].id selects 2 values [1,2], expected [1]",
            ),
        ] {
            let told = judge(&expectation(yaml), &answer(500, r#"{"v":2,"items":[{"id":1},{"id":2}]}"#));
            assert_eq!(told, (Verdict::Fail, detail.to_owned()), "{yaml}");
        }
    }

    #[test]
    fn what_holds_passes() {
        let yaml = r#"{status: 5xx, headers: {content-type: text/html}, body-contains: items, body-matches: "v.:2",
            json: {$.v: 2.0, "$.items[*].id": [1, 2], $.items: [{id: 1}, {id: 2}]}, latency: 1s}"#;
        let told = judge(&expectation(yaml), &answer(500, r#"{"v":2,"items":[{"id":1},{"id":2}]}"#));
        assert_eq!(told.0, Verdict::Pass, "{}", told.1);
    }

    #[test]
    fn a_body_that_was_cut_is_not_measured_rather_than_bad() {
        let cut = Observation { body_cut: true, ..answer(200, "abc") };
        assert_eq!(judge(&expectation("{body-contains: abc}"), &cut).0, Verdict::Pass);
        assert_eq!(judge(&expectation("{body-contains: xyz}"), &cut).0, Verdict::Error);
        assert_eq!(judge(&expectation("{json: {$.a: 1}}"), &cut).0, Verdict::Error);
    }

    #[test]
    fn foreign_text_becomes_one_harmless_line() {
        let (_, detail) = judge(&expectation("{json: {$.a: 1}}"), &answer(200, "\u{1b}[31m<html>\n##vso[x]"));
        assert_eq!(detail, "the body is no JSON, it begins \"[31m<html> ##vso[x]\"");
    }
}
