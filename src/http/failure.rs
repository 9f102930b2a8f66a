//! The three shapes in which a request can fail, and the reading of error bodies.

use std::time::Duration;

use super::Answer;
use crate::text;

/// What became of a request that did not succeed. The most important type in the
/// program: after anything but `NotSent` and `Refused`, only a read may follow.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// It never left this machine, or not to its end; sending it again is safe.
    #[error("not sent: {reason}")]
    NotSent {
        /// The connection's error, with its causes.
        reason: String,
    },
    /// The server answered that it did not do it.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// It may have been carried out.
    #[error("{0}")]
    Unclear(Unclear),
}

/// Why nobody can say whether a request was carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unclear {
    /// Sent, or partly sent, and no usable answer came.
    #[error("the answer was lost: {reason}")]
    Broken {
        /// The connection's error, with its causes.
        reason: String,
    },
    /// Nothing came within the request's limit.
    #[error("no answer within {} s", .after.as_secs())]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// A server or gateway answered in a way that says nothing of what was done.
    #[error("an answer that settles nothing: {0}")]
    Answered(Box<Refusal>),
}

impl SendError {
    /// The refusal inside, where an answer came at all.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::Unclear(Unclear::Answered(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

/// A server's answer outside 200 to 299.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The error code of the body, such as `Conflict`.
    pub code: Option<String>,
    /// The resource provider's own number, such as `59206`.
    pub extended_code: Option<String>,
    /// The body's message, or the first line of a body that is no error document.
    pub message: Option<String>,
    /// What Azure support asks for.
    pub correlation_id: Option<String>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "HTTP {}", self.status)?;
        if let Some(code) = &self.code {
            write!(formatter, " {code}")?;
        }
        if let Some(message) = &self.message {
            write!(formatter, ": {message}")?;
        }
        if let Some(id) = &self.correlation_id {
            write!(formatter, " (correlation id {id})")?;
        }
        Ok(())
    }
}

impl Refusal {
    /// Reads an error answer in every shape that is known: ARM's
    /// `{"error":{code,message}}`, App Service's `{"Code","Message","Details":[…]}`,
    /// Entra's `{"error","error_description"}`, plain text and HTML
    /// (arm-app-service §15, seen-in-recordings 18).
    pub fn read(answer: &Answer) -> Self {
        let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
        let mut refusal = Self {
            status: answer.status,
            code: None,
            extended_code: None,
            message: None,
            correlation_id: answer
                .header("x-ms-correlation-request-id")
                .or_else(|| answer.header("x-ms-request-id"))
                .map(sentence),
            retry_after: answer.retry_after(),
        };
        match document {
            Some(document) => refusal.read_document(&document),
            None => refusal.message = first_words(&answer.body),
        }
        refusal
    }

    fn read_document(&mut self, document: &serde_json::Value) {
        let inner = document.get("error").filter(|error| error.is_object()).unwrap_or(document);
        self.code = text_of(inner, &["code", "Code"]).or_else(|| text_of(document, &["error"]));
        self.message = text_of(inner, &["message", "Message"])
            .or_else(|| text_of(document, &["error_description"]))
            .or_else(|| document.as_str().map(sentence));
        self.extended_code = inner
            .get("Details")
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|detail| detail.get("ErrorEntity"))
            .find_map(|entity| text_of(entity, &["ExtendedCode"]));
    }
}

fn text_of(value: &serde_json::Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| value.get(name)).and_then(serde_json::Value::as_str).map(sentence)
}

fn first_words(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned();
    let bare = if text.trim_start().starts_with('<') { without_tags(&text) } else { text };
    let line = sentence(bare.trim());
    (!line.is_empty()).then_some(line)
}

fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(character),
            _ => {}
        }
    }
    text
}

/// One line, as long as messages of Azure get.
fn sentence(text: &str) -> String {
    text::short(text, 600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: reqwest::header::HeaderMap::new(),
            body: body.to_owned().into(),
            complete: true,
        }
    }

    #[test]
    fn every_known_error_shape_is_read() {
        let arm =
            Refusal::read(&answer(404, r#"{"error":{"code":"ResourceNotFound","message":"not here"}}"#));
        assert_eq!(arm.to_string(), "HTTP 404 ResourceNotFound: not here");
        let legacy = Refusal::read(&answer(
            429,
            r#"{"Code":"429","Message":"Cannot acquire exclusive lock","Details":[{"Message":"x"},{"ErrorEntity":{"ExtendedCode":"59206"}}]}"#,
        ));
        assert_eq!(legacy.extended_code.as_deref(), Some("59206"));
        let entra = Refusal::read(&answer(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: wrong"}"#,
        ));
        assert_eq!(entra.to_string(), "HTTP 401 invalid_client: AADSTS7000215: wrong");
        let html =
            Refusal::read(&answer(503, "<html><body><h1>The service is\nunavailable.</h1></body></html>"));
        assert_eq!(html.message.as_deref(), Some("The service is unavailable."));
        let text = Refusal::read(&answer(409, "There is a deployment currently in progress."));
        assert_eq!(text.message.as_deref(), Some("There is a deployment currently in progress."));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_reading_panic_or_speak_in_several_lines(body: Vec<u8>) {
            let refusal = Refusal::read(&Answer {
                status: 500, headers: reqwest::header::HeaderMap::new(), body: body.into(), complete: true,
            });
            assert!(!refusal.to_string().chars().any(char::is_control));
        }
    }
}
