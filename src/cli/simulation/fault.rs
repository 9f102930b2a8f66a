//! The catalogue of what a network, a gateway and a service may do to one request.
//!
//! Owns the names that the table of docs/FAULTS.md uses, and the words by which a run
//! that fails for such a fault may be expected to tell it. Must not know a verb.

use std::time::Duration;

use serde_json::{Value, json};

use super::door::Trouble;
use crate::emulator::fault::Kind;

/// One of the catalogue.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// What is done.
    pub(super) trouble: Trouble,
}

/// The catalogue.
pub(super) fn all() -> Vec<Fault> {
    let mut faults = connection();
    faults.extend(statuses());
    faults.extend(bodies());
    faults.extend(operations());
    faults
}

fn fault(name: &'static str, trouble: Trouble) -> Fault {
    Fault { name, trouble }
}

fn kind(name: &'static str, kind: Kind) -> Fault {
    fault(name, Trouble::Kind(kind))
}

/// What happens below HTTP.
fn connection() -> Vec<Fault> {
    vec![
        fault("connection refused", Trouble::Refused),
        fault("no such host", Trouble::NoName),
        kind("reset before it is read", Kind::ResetBefore {}),
        kind("reset after it was carried out", Kind::ResetAfter {}),
        kind("answer cut in the middle", Kind::CutBody {}),
        kind("stall", Kind::Stall { act: false }),
        kind("stall after it was carried out", Kind::Stall { act: true }),
        kind("not HTTP", Kind::Garbage { act: false }),
        kind("not HTTP after it was carried out", Kind::Garbage { act: true }),
    ]
}

fn status(name: &'static str, code: u16, headers: &[(&str, &str)], body: Value, act: bool) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    kind(name, Kind::Status { code, headers, body, act })
}

/// What gateways and services answer instead (arm-app-service.md §9, §15; kudu-deploy.md §4;
/// seen-in-recordings.md 18, 19, 25).
fn statuses() -> Vec<Fault> {
    let arm = |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
    let site = |code: &str, message: &str| json!({"Code": code, "Message": message, "Details": []});
    let locked = json!("There is a deployment currently in progress. Please try again when it completes.");
    let busy = site(
        "Conflict",
        "Cannot modify this site because another operation is in progress. Details: Id: 3fb7c1f6, OperationName: SwapSiteSlots, CreatedTime: 11/21/2026 12:00:00 PM",
    );
    vec![
        status("400", 400, &[], arm("BadRequest", "The request is not valid."), false),
        fault("tokens end", Trouble::TokensEnd),
        status("401", 401, &[], arm("ExpiredAuthenticationToken", "The access token has expired."), false),
        status("403", 403, &[], arm("AuthorizationFailed", "No authorization to do this."), false),
        status("404", 404, &[], arm("ResourceNotFound", "It was not found."), false),
        status("409 deployment lock", 409, &[], locked, false),
        status("409 other operation", 409, &[], busy, false),
        status("417", 417, &[], site("ExpectationFailed", "Cannot swap site slots for site 'shop'."), false),
        status("429 for 5 s", 429, &[("retry-after", "5")], site("429", "Too many requests."), false),
        status(
            "429 until a past date",
            429,
            &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")],
            Value::Null,
            false,
        ),
        fault("429 until a date", Trouble::UntilDate(Duration::from_secs(7))),
        status("429 for ages", 429, &[("retry-after", "99999999999")], Value::Null, false),
        status("429 until nonsense", 429, &[("retry-after", "soon")], Value::Null, false),
        status("500", 500, &[], arm("InternalServerError", "There was an error."), false),
        status("500 after it was carried out", 500, &[], Value::Null, true),
        kind("502", Kind::Html { status: 502, act: false }),
        kind("503", Kind::Html { status: 503, act: false }),
        kind("504", Kind::Html { status: 504, act: false }),
        kind("504 after it was carried out", Kind::Html { status: 504, act: true }),
        status("redirect elsewhere", 302, &[("location", "https://elsewhere.test/")], Value::Null, false),
    ]
}

/// Answers of the right status with the wrong content.
fn bodies() -> Vec<Fault> {
    vec![
        kind("HTML", Kind::Html { status: 200, act: false }),
        kind("HTML after it was carried out", Kind::Html { status: 200, act: true }),
        kind("endless body", Kind::Endless { act: true }),
        status("empty body", 200, &[], Value::Null, true),
        status("JSON null", 200, &[], json!([null]), true),
        status("other JSON", 200, &[], json!({"x": 1}), true),
    ]
}

/// What the answers of long-running operations may say wrongly (arm-app-service.md §6; peers R3).
fn operations() -> Vec<Fault> {
    let failed =
        json!({"status": "Failed", "error": {"code": "Conflict", "message": "The operation failed."}});
    vec![
        status("200 but Failed", 200, &[], failed.clone(), false),
        status("200 but Failed, carried out", 200, &[], failed, true),
        status("200 but Succeeded, not carried out", 200, &[], json!({"status": "Succeeded"}), false),
        status("unknown status word", 200, &[], json!({"status": "Marvellous"}), true),
        status("202 without Location", 202, &[], Value::Null, true),
        status(
            "202, Running, elsewhere",
            202,
            &[("location", "https://elsewhere.test/operationresults/1"), ("retry-after", "1")],
            json!({"status": "Running"}),
            true,
        ),
    ]
}
