//! What a server says back of the secrets that it was sent is taken out of its answer.
//!
//! Owns which parts of a request are secret, and the one place where answers are cleaned: each,
//! whatever its status, before anything reads it. No server should repeat a token or a password;
//! debug pages, proxies and tracing middleware do.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};

use super::Body;
use crate::secret::Redaction;

/// Headers whose value nobody else may learn; the last opens App Service's token endpoint
/// (sign-in §5).
const SECRET_HEADERS: [HeaderName; 3] =
    [AUTHORIZATION, PROXY_AUTHORIZATION, HeaderName::from_static("x-identity-header")];

/// Fields of a request for a token (RFC 6749 §2.3.1, RFC 7523 §2.2).
const SECRET_FIELDS: [&str; 5] =
    ["client_secret", "client_assertion", "assertion", "password", "refresh_token"];

/// The spellings of the secrets of the last request. Nearly all requests of a run carry the same
/// token, and to spell it in every way for each would cost more than to look for it.
#[derive(Clone, Default)]
pub(super) struct Known(Arc<Mutex<Option<Spelt>>>);

/// The secrets as they are, and in every spelling.
type Spelt = (Vec<String>, Arc<Redaction>);

impl Known {
    /// The secrets of a request, in every spelling.
    pub(super) fn secrets(&self, headers: &HeaderMap, body: &Body) -> Arc<Redaction> {
        let secrets = carried(headers, body);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, redaction)) if *known == secrets => Arc::clone(redaction),
            _ => {
                let redaction = Arc::new(Redaction::of(secrets.iter().map(String::as_str)));
                *last = Some((secrets, Arc::clone(&redaction)));
                redaction
            }
        }
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Known")
    }
}

/// The secrets that a request carries.
pub(super) fn secrets(headers: &HeaderMap, body: &Body) -> Redaction {
    Redaction::of(carried(headers, body).iter().map(String::as_str))
}

fn carried(headers: &HeaderMap, body: &Body) -> Vec<String> {
    let mut all = Vec::new();
    for value in SECRET_HEADERS.iter().flat_map(|name| headers.get_all(name)) {
        add_credentials(&String::from_utf8_lossy(value.as_bytes()), &mut all);
    }
    // A token is asked for with a form; other bodies in memory are documents and begin otherwise.
    if let Body::Bytes(bytes) = body {
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if SECRET_FIELDS.contains(&name.as_ref()) {
                all.push(value.into_owned());
            }
        }
    }
    all
}

/// `Bearer {token}`, `Basic {base64 of user:password}`, or the bare value.
fn add_credentials(value: &str, all: &mut Vec<String>) {
    use base64::Engine as _;
    let (scheme, credentials) = value.split_once(' ').unwrap_or(("", value));
    all.push(credentials.to_owned());
    if !scheme.eq_ignore_ascii_case("basic") {
        return;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(credentials.trim()).unwrap_or_default();
    if let Some((_, password)) = String::from_utf8_lossy(&decoded).split_once(':') {
        all.push(password.to_owned());
    }
}

/// The body without the secrets; one that has none of them stays as it is, byte by byte.
pub(super) fn clean_body(body: Bytes, complete: bool, secrets: &Redaction) -> Bytes {
    let text = String::from_utf8_lossy(&body);
    if complete && !secrets.is_in(&text) {
        return body;
    }
    let clean = if complete { secrets.text(&text) } else { secrets.cut_text(&text) };
    if clean == text { body } else { clean.into() }
}

/// The headers without the secrets: an id that is shown may be an echo, too.
pub(super) fn clean_headers(headers: &mut HeaderMap, secrets: &Redaction) {
    for value in headers.values_mut() {
        let text = String::from_utf8_lossy(value.as_bytes());
        if secrets.is_in(&text) {
            *value = HeaderValue::from_str(&secrets.text(&text)).unwrap_or(HeaderValue::from_static("***"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn tokens_passwords_and_form_secrets_are_known_and_nothing_else() {
        // "$app:hunter2hunter2"
        let basic =
            headers(&[("authorization", "Basic JGFwcDpodW50ZXIyaHVudGVyMg=="), ("accept", "text/html")]);
        let all = secrets(&basic, &Body::Empty);
        assert_eq!(all.text("JGFwcDpodW50ZXIyaHVudGVyMg== or hunter2hunter2"), "*** or ***");
        assert_eq!(all.text("text/html of $app"), "text/html of $app");
        let bearer = secrets(&headers(&[("authorization", &format!("Bearer {TOKEN}"))]), &Body::Empty);
        assert_eq!(bearer.text(&format!("you sent Bearer {TOKEN}")), "you sent Bearer ***");
        let form =
            Body::Bytes("grant_type=client_credentials&client_id=an-id&client_secret=a%2Fb%26c%7Ed".into());
        let form = secrets(&HeaderMap::new(), &form);
        assert_eq!(form.text("a/b&c~d, a%2Fb%26c%7Ed, an-id"), "***, ***, an-id");
    }

    #[test]
    fn another_token_is_not_taken_for_the_last_one() {
        let known = Known::default();
        for token in ["first-token-0123", "first-token-0123", "second-token-0123"] {
            let carried = headers(&[("authorization", &format!("Bearer {token}"))]);
            assert_eq!(known.secrets(&carried, &Body::Empty).text(token), "***");
        }
        assert_eq!(
            known.secrets(&HeaderMap::new(), &Body::Empty).text("second-token-0123"),
            "second-token-0123"
        );
        assert_eq!(format!("{known:?}"), "Known");
    }

    #[test]
    fn an_answer_is_cleaned_and_an_honest_one_stays_as_it_is() {
        let all = secrets(&headers(&[("authorization", &format!("Bearer {TOKEN}"))]), &Body::Empty);
        let honest = Bytes::from_static(b"\xff\x00 {}");
        assert_eq!(clean_body(honest.clone(), true, &all), honest);
        let echo = Bytes::from(format!("{{\"seen\":\"Bearer {TOKEN}\"}}"));
        assert_eq!(clean_body(echo.clone(), true, &all), r#"{"seen":"Bearer ***"}"#);
        assert_eq!(clean_body(echo.slice(..30), false, &all), r#"{"seen":"Bearer ***"#);
        let mut told = headers(&[("x-ms-request-id", TOKEN), ("etag", "w")]);
        clean_headers(&mut told, &all);
        assert_eq!((told["x-ms-request-id"].as_bytes(), told["etag"].as_bytes()), (&b"***"[..], &b"w"[..]));
    }
}
