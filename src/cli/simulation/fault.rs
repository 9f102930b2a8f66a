//! The catalogue of what a network, a gateway and a service may do to one request.
//!
//! Owns the names that the table of docs/FAULTS.md uses, and the words by which a run
//! that fails for such a fault may be expected to tell it. Must not know a verb.

use std::time::Duration;

use serde_json::{Value, json};

use super::door::Trouble;
use super::others::{self, Deed};
use crate::emulator::fault::Kind;

/// One of the catalogue.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// What is done.
    pub(super) trouble: Trouble,
    /// Words of which one tells it, in small letters; none where it is no failure by itself.
    pub(super) words: &'static [&'static str],
}

impl Fault {
    /// What somebody else does, where it is that.
    pub(super) fn deed(&self) -> Option<&Deed> {
        match &self.trouble {
            Trouble::Deed(deed) => Some(deed),
            _ => None,
        }
    }

    /// Whether it differs from another of the list only in that the service did its work, which
    /// for a read is no difference.
    pub(super) fn is_another_for_reads(&self) -> bool {
        self.name.contains("carried out") && !self.name.contains("not carried out")
    }

    /// Whether a text tells it.
    pub(super) fn is_told_by(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.words.is_empty() || self.words.iter().any(|words| text.contains(words))
    }
}

/// The catalogue of what happens to a request itself.
pub(super) fn all() -> Vec<Fault> {
    let mut faults = connection();
    faults.extend(statuses());
    faults.extend(bodies());
    faults.extend(operations());
    faults
}

/// What others may do at a request, which itself is answered well.
pub(super) fn by_others() -> Vec<Fault> {
    let deeds = others::all().into_iter();
    deeds.map(|(name, deed)| fault(name, Trouble::Deed(deed), &[])).collect()
}

fn fault(name: &'static str, trouble: Trouble, words: &'static [&'static str]) -> Fault {
    Fault { name, trouble, words }
}

fn kind(name: &'static str, kind: Kind, words: &'static [&'static str]) -> Fault {
    fault(name, Trouble::Kind(kind), words)
}

const RESET: &[&str] = &["connection reset"];
/// The words at the end are the emulator's for a body that ends too soon.
const CUT: &[&str] = &["cut off", "no json", "makes no sense", "no progress", "dropped on purpose"];
const STALL: &[&str] = &["answer within", "timed out", "in time"];
const NOT_HTTP: &[&str] = &["invalid http"];
/// An answer that is none, or that claims what has not happened.
const NO_JSON: &[&str] =
    &["makes no sense", "json", "no progress", "reported to be done", "its configuration says"];
/// The same, of an operation that is said to have failed.
const SAID_TO_FAIL: &[&str] =
    &["the operation failed", "makes no sense", "no progress", "its configuration says"];

/// What happens below HTTP.
fn connection() -> Vec<Fault> {
    let late = |act| Kind::Delay { by: Duration::from_secs(8), act };
    vec![
        fault("connection refused", Trouble::Refused, &["connection refused"]),
        fault("no such host", Trouble::NoName, &["no such host", "no address"]),
        kind("reset before it is read", Kind::ResetBefore {}, RESET),
        kind("reset after it was carried out", Kind::ResetAfter {}, RESET),
        kind("answer cut in the middle", Kind::CutBody {}, CUT),
        kind("carried out late", late(false), &["in time", "within"]),
        kind("answered late", late(true), &["in time", "within"]),
        kind("stall", Kind::Stall { act: false }, STALL),
        kind("stall after it was carried out", Kind::Stall { act: true }, STALL),
        kind("not HTTP", Kind::Garbage { act: false }, NOT_HTTP),
        kind("not HTTP after it was carried out", Kind::Garbage { act: true }, NOT_HTTP),
    ]
}

fn status(
    name: &'static str,
    code: u16,
    headers: &[(&str, &str)],
    body: Value,
    act: bool,
    words: &'static [&'static str],
) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    kind(name, Kind::Status { code, headers, body, act }, words)
}

/// What gateways and services answer instead (arm-app-service.md §9, §15; kudu-deploy.md §4;
/// seen-in-recordings.md 18, 19, 25).
fn statuses() -> Vec<Fault> {
    let mut faults = refusals();
    faults.extend(throttling());
    faults.extend(gateways());
    faults
}

fn arm(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

fn site(code: &str, message: &str) -> Value {
    json!({"Code": code, "Message": message, "Details": []})
}

fn refusals() -> Vec<Fault> {
    let refused = |name, code, body, words| status(name, code, &[], body, false, words);
    let locked = json!("There is a deployment currently in progress. Please try again when it completes.");
    let busy = site(
        "Conflict",
        "Cannot modify this site because another operation is in progress. Details: Id: 3fb7c1f6, OperationName: SwapSiteSlots, CreatedTime: 11/21/2026 12:00:00 PM",
    );
    vec![
        refused("400", 400, arm("BadRequest", "The request is not valid."), &["400"]),
        fault("tokens end", Trouble::TokensEnd, &["401"]),
        refused("401", 401, arm("ExpiredAuthenticationToken", "The access token has expired."), &["401"]),
        refused("403", 403, arm("AuthorizationFailed", "No authorization to do this."), &["403"]),
        refused("404", 404, arm("ResourceNotFound", "It was not found."), &["404"]),
        refused("409 deployment lock", 409, locked, &["409"]),
        refused("409 other operation", 409, busy, &["409", "another operation"]),
        refused("417", 417, site("ExpectationFailed", "Cannot swap site slots for site 'shop'."), &["417"]),
        status(
            "redirect elsewhere",
            302,
            &[("location", "https://elsewhere.test/")],
            Value::Null,
            false,
            &["302"],
        ),
    ]
}

fn throttling() -> Vec<Fault> {
    let told: &[&str] = &["429"];
    let until =
        |name, retry_after| status(name, 429, &[("retry-after", retry_after)], Value::Null, false, told);
    vec![
        status("429 for 5 s", 429, &[("retry-after", "5")], site("429", "Too many requests."), false, told),
        until("429 until a past date", "Wed, 21 Oct 2015 07:28:00 GMT"),
        fault("429 until a date", Trouble::UntilDate(Duration::from_secs(7)), told),
        until("429 for ages", "99999999999"),
        until("429 until nonsense", "soon"),
    ]
}

fn gateways() -> Vec<Fault> {
    let page = |name, status, act, words| kind(name, Kind::Html { status, act }, words);
    vec![
        status("500", 500, &[], arm("InternalServerError", "There was an error."), false, &["500"]),
        status("500 after it was carried out", 500, &[], Value::Null, true, &["500"]),
        page("502", 502, false, &["502"]),
        page("502 after it was carried out", 502, true, &["502"]),
        page("503", 503, false, &["503"]),
        page("503 after it was carried out", 503, true, &["503"]),
        page("504", 504, false, &["504"]),
        page("504 after it was carried out", 504, true, &["504"]),
    ]
}

/// Answers of the right status with the wrong content.
fn bodies() -> Vec<Fault> {
    let text = |name, body: &str, act| status(name, 200, &[], json!(body), act, NO_JSON);
    vec![
        kind("HTML", Kind::Html { status: 200, act: false }, NO_JSON),
        kind("HTML after it was carried out", Kind::Html { status: 200, act: true }, NO_JSON),
        kind("endless body", Kind::Endless { act: true }, CUT),
        kind("endless body, not carried out", Kind::Endless { act: false }, CUT),
        status("empty body", 200, &[], Value::Null, true, NO_JSON),
        text("garbage text", "\u{1}%PDF-1.7 }{ 42 \u{fffd}", true),
        text("JSON cut", "{\"value\": [{\"id\": \"/subscr", true),
        text("JSON null", "null", true),
        kind("bytes that are no text", Kind::NotUtf8 { act: true }, NO_JSON),
        status("JSON [null]", 200, &[], json!([null]), true, NO_JSON),
        status("other JSON", 200, &[], json!({"x": 1}), true, NO_JSON),
    ]
}

/// What the answers of long-running operations may say wrongly (arm-app-service.md §6; peers R3).
fn operations() -> Vec<Fault> {
    let failed =
        json!({"status": "Failed", "error": {"code": "Conflict", "message": "The operation failed."}});
    let body = |name, body, act| status(name, 200, &[], body, act, NO_JSON);
    let fails = |name, act| status(name, 200, &[], failed.clone(), act, SAID_TO_FAIL);
    vec![
        fails("200 but Failed", false),
        fails("200 but Failed, carried out", true),
        body("200 but Succeeded, not carried out", json!({"status": "Succeeded"}), false),
        body("unknown status word", json!({"status": "Marvellous"}), true),
        status("202 without Location", 202, &[], Value::Null, true, NO_JSON),
        fault("202, Running, same place", Trouble::StillRunning, NO_JSON),
        status(
            "202, Running, elsewhere",
            202,
            &[("location", "https://elsewhere.test/operationresults/1"), ("retry-after", "1")],
            json!({"status": "Running"}),
            true,
            NO_JSON,
        ),
    ]
}
