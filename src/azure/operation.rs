//! Reading the poll of a long-running operation: what one answer says, and no more.
//!
//! Pure. The failure of an App Service operation is carried by the HTTP status of
//! the poll, but other shapes are understood too, and a word that nobody has
//! documented is never success (arm-app-service §6; peers R3).

use reqwest::Url;
use std::time::Duration;

use crate::http::{Answer, Refusal};

/// What one answer to a poll says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Still under way.
    Running {
        /// Where to ask next; App Service names a new place each time (seen-in-recordings 8).
        location: Option<Url>,
        /// How long to wait first.
        retry_after: Option<Duration>,
    },
    /// Ended well.
    Succeeded,
    /// Ended badly, in the server's words.
    Failed(Refusal),
    /// Its result is not kept any more.
    Gone,
    /// Says nothing that can be relied on: look at the site itself.
    Unclear(String),
}

impl Reading {
    /// In words, for one that ends nothing.
    pub fn words(&self) -> String {
        match self {
            Self::Running { .. } => "the operation is under way".to_owned(),
            Self::Succeeded => "the operation succeeded".to_owned(),
            Self::Failed(refusal) => refusal.to_string(),
            Self::Gone => "the operation's result is gone".to_owned(),
            Self::Unclear(reason) => reason.clone(),
        }
    }
}

/// Interprets one answer.
pub fn read(answer: &Answer) -> Reading {
    match answer.status {
        202 => running(answer),
        200 | 201 | 204 => by_body(answer),
        // Seen: a poll gave 503 with HTML and the operation went on (seen-in-recordings 19).
        408 | 429 | 500..=599 => Reading::Unclear(Refusal::read(answer).to_string()),
        // The result may be gone soon after the end (Azure/azure-sdk-for-net issue 624).
        404 | 410 => Reading::Gone,
        401 | 403 => Reading::Unclear(Refusal::read(answer).to_string()),
        400..=499 => Reading::Failed(Refusal::read(answer)),
        other => Reading::Unclear(format!("HTTP {other}")),
    }
}

fn running(answer: &Answer) -> Reading {
    Reading::Running {
        location: answer.header("location").and_then(|text| Url::parse(text).ok()),
        retry_after: answer.retry_after(),
    }
}

/// A finished operation answers with the site; an ARM operation resource with
/// `{status, error}`, whose word decides.
fn by_body(answer: &Answer) -> Reading {
    if answer.body.is_empty() && answer.complete {
        return Reading::Succeeded;
    }
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
        return Reading::Unclear("the poll's answer is no JSON document".to_owned());
    };
    let Some(status) = document.get("status").and_then(serde_json::Value::as_str) else {
        return if document.get("properties").is_some() {
            Reading::Succeeded
        } else {
            Reading::Unclear("the poll's answer is neither a site nor an operation".to_owned())
        };
    };
    match status.to_ascii_lowercase().as_str() {
        "succeeded" => Reading::Succeeded,
        "accepted" | "running" | "inprogress" | "created" | "updating" => running(answer),
        "failed" | "canceled" | "cancelled" | "timedout" => {
            let mut refusal = Refusal::read(answer);
            refusal.code.get_or_insert_with(|| status.to_owned());
            Reading::Failed(refusal)
        }
        _ => Reading::Unclear(format!("the operation's status is the unknown word \"{status}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("retry-after", "15".parse().expect("a header value"));
        headers.insert("location", "https://x/1".parse().expect("a header value"));
        Answer { status, headers, body: body.to_owned().into(), complete: true }
    }

    #[test]
    fn a_failed_operation_answered_with_200_is_a_failure() {
        let reading = read(&answer(200, r#"{"status":"Failed","error":{"code":"X","message":"no"}}"#));
        assert!(matches!(reading, Reading::Failed(refusal) if refusal.code.as_deref() == Some("X")));
    }

    #[test]
    fn an_unknown_word_garbage_and_html_are_unclear() {
        for body in [r#"{"status":"Marvellous"}"#, "garbage", "<html/>", "[]", "3"] {
            assert!(matches!(read(&answer(200, body)), Reading::Unclear(_)), "{body}");
        }
        assert!(matches!(read(&answer(503, "<html/>")), Reading::Unclear(_)));
        assert_eq!(read(&answer(404, "")), Reading::Gone);
    }

    #[test]
    fn the_usual_course_is_read() {
        assert!(matches!(
            read(&answer(202, "")),
            Reading::Running { location: Some(_), retry_after: Some(wait) } if wait.as_secs() == 15
        ));
        assert_eq!(read(&answer(200, r#"{"name":"app","properties":{}}"#)), Reading::Succeeded);
        assert_eq!(read(&answer(204, "")), Reading::Succeeded);
        assert!(matches!(read(&answer(417, r#"{"Code":"ExpectationFailed"}"#)), Reading::Failed(_)));
    }
}
