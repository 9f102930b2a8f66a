//! Secrets taken out of text, however they are spelt there.
//!
//! Owns the list of spellings, for those who mask a secret in a host's log and for those who
//! take it out of what a server said. Must not decide what is a secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in a secret's place.
const STARS: &str = "***";
/// Shorter texts are left alone: without them every line would be garbled.
const SHORTEST: usize = 4;
/// Characters of a spelling that are looked for first.
const LOOKED_FOR: usize = 16;
/// So much of a secret's beginning may stand at the end of a text that was cut off.
const SHORTEST_BEGINNING: usize = 8;

/// Secrets, in every form in which they could be repeated. Prints none of them.
#[derive(Clone, Default)]
pub struct Redaction {
    /// The longest first, so that no part of it is replaced before the whole.
    spellings: Vec<String>,
    /// How they begin. Every answer of a run is searched, and short texts are found much faster;
    /// most spellings of a token begin alike.
    beginnings: Vec<String>,
}

impl Redaction {
    /// Of these secrets.
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all: Vec<String> = secrets.into_iter().flat_map(spellings).collect();
        all.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        all.dedup();
        let mut beginnings: Vec<String> =
            all.iter().map(|spelling| spelling.chars().take(LOOKED_FOR).collect()).collect();
        beginnings.sort();
        beginnings.dedup();
        Self { spellings: all, beginnings }
    }

    /// Whether one of the secrets is in the text.
    pub fn is_in(&self, text: &str) -> bool {
        self.beginnings.iter().any(|beginning| text.contains(beginning))
            && self.spellings.iter().any(|spelling| text.contains(spelling))
    }

    /// The text with stars in the place of every secret.
    pub fn text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        if self.is_in(text) {
            for spelling in &self.spellings {
                clean = clean.replace(spelling, STARS);
            }
        }
        clean
    }

    /// As [`Redaction::text`], of a text whose end is missing: a secret may be cut there as well.
    pub fn cut_text(&self, text: &str) -> String {
        let mut clean = self.text(text);
        let half = self.spellings.iter().filter_map(|spelling| beginning_at_end(&clean, spelling)).max();
        if let Some(length) = half {
            clean.truncate(clean.len() - length);
            clean.push_str(STARS);
        }
        clean
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Redaction({} spellings)", self.spellings.len())
    }
}

/// How many of the last bytes of a text are the beginning of a secret.
fn beginning_at_end(text: &str, secret: &str) -> Option<usize> {
    let longest = text.len().min(secret.len());
    (SHORTEST_BEGINNING..=longest).rev().find(|&length| {
        secret.is_char_boundary(length)
            && text.as_bytes()[text.len() - length..] == secret.as_bytes()[..length]
    })
}

/// A secret as it is, line by line, and as it looks in a URL, in a form, in JSON by both
/// habits of escaping, in HTML and in base64, alone or amid other text.
pub fn spellings(secret: &str) -> Vec<String> {
    let whole = secret.trim();
    let mut forms: Vec<String> = secret.lines().map(|line| line.trim().to_owned()).collect();
    for encoded in [utf8_percent_encode(whole, NON_ALPHANUMERIC).to_string(), in_form(whole)] {
        forms.push(lower_hex(&encoded));
        forms.push(encoded);
    }
    // Tokens look the same everywhere, and most secrets are tokens.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~=/".contains(&byte);
    if !whole.bytes().all(is_plain) {
        forms.extend([in_json(whole), in_json_of_dotnet(whole), in_html(whole)]);
    }
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(whole));
    }
    forms.extend((0..3).filter_map(|skipped| amid_base64(whole, skipped)));
    forms.retain(|form| form.len() >= SHORTEST && !form.contains(['\n', '\r']));
    forms.sort();
    forms.dedup();
    forms
}

/// As a browser sends it: a space is `+`, and more characters than in a path stay.
fn in_form(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// System.Text.Json escapes what HTML could read, and all beyond ASCII
/// (dotnet/runtime JavaScriptEncoder.Default).
fn in_json_of_dotnet(text: &str) -> String {
    let mut out = String::new();
    for character in in_json(text).replace("\\\"", "\\u0022").chars() {
        if matches!(character, '&' | '\'' | '+' | '<' | '>' | '`' | '\u{7f}') || !character.is_ascii() {
            let mut units = [0; 2];
            out.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}")));
        } else {
            out.push(character);
        }
    }
    out
}

fn in_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;").replace('\'', "&#39;")
}

/// `%2F` as `%2f`: both are right.
fn lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        out.push('%');
        out.push_str(&digits.to_ascii_lowercase());
        out.push_str(rest);
    }
    out
}

/// What every base64 text has in common in which the secret follows so many other bytes.
fn amid_base64(secret: &str, skipped: usize) -> Option<String> {
    let text = STANDARD_NO_PAD.encode(format!("{}{secret}", &"\0\0"[..skipped]));
    let begin = if skipped == 0 { 0 } else { 4 };
    let end = (skipped + secret.len()) / 3 * 4;
    // Few groups of letters stand in many a text.
    (end >= begin + 12).then(|| text[begin..end].to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "p\"w/ rd+1&\u{e9}~x";

    #[test]
    fn a_secret_is_taken_out_in_every_form() {
        let redaction = Redaction::of([SECRET]);
        for form in [
            SECRET.to_owned(),
            json!(SECRET).to_string(),
            r"p\u0022w/ rd\u002B1\u0026\u00E9~x".to_owned(),
            "p%22w%2F%20rd%2B1%26%C3%A9%7Ex".to_owned(),
            "p%22w%2f+rd%2b1%26%c3%a9%7ex".to_owned(),
            "p&quot;w/ rd+1&amp;\u{e9}~x".to_owned(),
            STANDARD.encode(SECRET),
        ] {
            let shown = redaction.text(&format!("before {form} after"));
            assert!(shown.starts_with("before ") && shown.ends_with(" after"), "{shown}");
            assert!(shown.contains(STARS) && !shown.contains("rd"), "{form} became {shown}");
        }
        assert_eq!(redaction.text("nothing of it"), "nothing of it");
        assert!(!format!("{redaction:?}").contains("rd"));
    }

    #[test]
    fn a_secret_amid_base64_or_at_the_end_of_a_cut_text_is_taken_out() {
        let redaction = Redaction::of(["planted-Secret-value-1"]);
        for user in ["u", "us", "use", "$app"] {
            let text = STANDARD.encode(format!("{user}:planted-Secret-value-1"));
            let shown = redaction.text(&text);
            assert!(shown.contains(STARS) && shown.len() < 16, "{text} became {shown}");
        }
        assert_eq!(redaction.cut_text("you sent planted-Sec"), "you sent ***");
        assert_eq!(redaction.cut_text("you sent plant"), "you sent plant");
        assert_eq!(Redaction::of(["abc"]).text("abc"), "abc", "too short to be told from text");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_secret_stays(secret in "\\PC{4,40}", before in ".{0,20}", cut in 0_usize..80) {
            let redaction = Redaction::of([secret.as_str()]);
            let whole = format!("{before}{secret}{before}");
            let kept = secret.trim().len() >= SHORTEST && redaction.is_in(&whole) && redaction.text(&whole).contains(secret.trim());
            prop_assert!(!kept || STARS.contains(secret.trim()) || secret.contains(STARS), "{}", redaction.text(&whole));
            let end = (0..=cut.min(whole.len())).rev().find(|end| whole.is_char_boundary(*end)).unwrap_or_default();
            redaction.cut_text(&whole[..end]);
        }
    }
}
