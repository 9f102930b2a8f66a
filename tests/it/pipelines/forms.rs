//! The forms in which a secret could be printed, and the search for them in everything
//! that a run leaves.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::agent::{self, Agent};
use super::cloud::Cloud;
use super::runner::{self, Runner};

/// The commands that keep a secret out of a log are the only lines that hold one.
const MASKS: [&str; 2] = ["::add-mask::", "##vso[task.setsecret]"];

/// A secret as it is, and as it looks in a URL, in JSON, in HTML, in base64 at each of the three places that
/// it can have in a longer text, and in hexadecimal digits.
pub(super) fn forms(secret: &str) -> Vec<String> {
    let mut forms: Vec<String> = secret.lines().map(|line| line.trim().to_owned()).collect();
    let bytes = secret.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    for (kept, space) in [("", "%20"), ("-._~", "%20"), ("-._*", "+"), ("-._~!*'()", "%20")] {
        let encode = |byte: &u8| match byte {
            b' ' => space.to_owned(),
            byte if plain(byte) || kept.as_bytes().contains(byte) => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        let encoded: String = bytes.iter().map(encode).collect();
        forms.push(lowercase_escapes(&encoded));
        forms.push(encoded);
    }
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    forms.push(json.replace('/', "\\/"));
    forms.push(json.chars().map(escaped_beyond_ascii).collect());
    forms.push(json);
    for apostrophe in ["&#39;", "&#x27;", "&apos;", "'"] {
        let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        forms.push(html.replace('"', "&quot;").replace('\'', apostrophe));
        forms.push(html.replace('\'', apostrophe));
    }
    forms.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    forms.push(bytes.iter().map(|byte| format!("{byte:02X}")).collect());
    for shift in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let shifted = [&[0; 2][..shift], bytes].concat();
            let encoded = engine.encode(&shifted);
            // The digits at both ends also hold bits of what stands beside.
            let begin = (shift * 8).div_ceil(6);
            let end = shifted.len() * 8 / 6;
            forms.push(encoded[begin..end].to_owned());
        }
    }
    forms.retain(|form| form.len() >= 6);
    forms.sort();
    forms.dedup();
    forms
}

fn lowercase_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push('%');
        out.push_str(&part[..2].to_lowercase());
        out.push_str(&part[2..]);
    }
    out
}

fn escaped_beyond_ascii(character: char) -> String {
    if character.is_ascii() { character.to_string() } else { format!("\\u{:04x}", u32::from(character)) }
}

/// Everything that a run has shown or left, by what it is.
#[derive(Default)]
pub(super) struct Shown(Vec<(String, String)>);

impl Shown {
    pub(super) fn add(&mut self, what: &str, text: &str) {
        self.0.push((what.to_owned(), text.to_owned()));
    }

    /// A log, but for the lines that mask.
    pub(super) fn add_log(&mut self, what: &str, log: &str) {
        let kept = log.lines().filter(|line| !MASKS.iter().any(|mask| line.starts_with(mask)));
        self.add(what, &kept.collect::<Vec<_>>().join("\n"));
    }

    /// Every file of a folder and of those in it.
    pub(super) fn add_folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.add_folder(&path);
            } else {
                let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
                self.add(&path.display().to_string(), &text);
            }
        }
    }

    /// No form of any of the secrets is in anything.
    pub(super) fn assert_without(&self, secrets: &[String]) {
        assert!(self.0.iter().any(|(_, text)| !text.is_empty()), "something was shown");
        for secret in secrets {
            for form in forms(secret) {
                for (what, text) in &self.0 {
                    if let Some(at) = text.find(&form) {
                        let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
                        panic!(
                            "{what} holds {secret:?} as {form:?}: {}",
                            text[from..].lines().next().unwrap_or("")
                        );
                    }
                }
            }
        }
    }
}

/// What no run may show: the application's secret and every token that was handed out.
pub(super) fn of_every_run(cloud: &Cloud, environment: &super::example::Values) -> Vec<String> {
    let mut secrets = cloud.issuer.issued();
    secrets.push(cloud.get("client_secret").to_owned());
    let names = ["ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN"];
    secrets.extend(names.iter().filter_map(|name| environment.get(*name).cloned()));
    secrets
}

pub(super) fn assert_quiet_github(cloud: &Cloud, runner: &Runner<'_>, ran: &runner::Ran) {
    let mut shown = Shown::default();
    shown.add_log("the log", &ran.log);
    shown.add_folder(&runner.place.path().join("_temp"));
    shown.assert_without(&of_every_run(cloud, &runner.environment));
    assert_no_token(&shown);
}

pub(super) fn assert_quiet_azure(cloud: &Cloud, agent: &Agent<'_>, ran: &agent::Ran) {
    let mut shown = Shown::default();
    shown.add_log("the log", &ran.log);
    shown.add_folder(&agent.place.path().join("_temp"));
    shown.assert_without(&of_every_run(cloud, &agent.environment));
    assert_no_token(&shown);
}

/// The emulator's own tokens are not known here, but every JSON web token begins like this.
fn assert_no_token(shown: &Shown) {
    for (what, text) in &shown.0 {
        assert!(!text.contains("eyJ"), "a token is in {what}");
        assert!(!text.contains("panicked"), "{what}: {text}");
    }
}

#[test]
fn every_form_is_found_wherever_it_stands() {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let secret = super::cloud::CLIENT_SECRET;
    let beside = |text: String| format!("before {text} after");
    let mut texts = vec![
        beside(secret.to_owned()),
        beside(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string()),
        url::form_urlencoded::Serializer::new(String::new()).append_pair("secret", secret).finish(),
        serde_json::json!({"secret": secret}).to_string(),
        beside(secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    for before in ["", "a", "ab", "user:"] {
        texts.push(STANDARD_NO_PAD.encode(format!("{before}{secret}and more")));
        texts.push(base64::engine::general_purpose::URL_SAFE.encode(format!("{before}{secret}")));
    }
    let forms = forms(secret);
    for text in texts {
        assert!(forms.iter().any(|form| text.contains(form)), "{text}");
    }
    assert!(!forms.iter().any(|form| "a text without it".contains(form)));
}
