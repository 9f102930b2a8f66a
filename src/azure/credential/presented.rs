//! What an assertion said, for the advice after a refusal.
//!
//! Owns the reading of our own assertion without verifying it, and the line that
//! makes Entra trust its subject. Must not be used to decide anything.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use crate::secret::Secret;

/// The three claims by which Entra finds a federated credential, and whose it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Who wrote the assertion.
    pub issuer: String,
    /// What it was written about.
    pub subject: String,
    /// For whom it was written.
    pub audience: String,
    /// The application that signs in.
    pub client: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Presented {
    /// Reads the payload of an assertion; nothing where it is no JWT.
    pub fn read(assertion: &Secret, client: &str) -> Option<Self> {
        let payload = assertion.reveal().split('.').nth(1)?;
        let claims: Claims = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let audience = match claims.aud {
            Audience::One(audience) => audience,
            Audience::Several(audiences) => audiences.into_iter().next()?,
        };
        Some(Self { issuer: claims.iss, subject: claims.sub, audience, client: client.to_owned() })
    }

    /// What was sent, and the exact command that makes Entra accept it.
    pub fn advice(&self) -> Vec<String> {
        let Self { issuer, subject, audience, client } = self;
        let credential = json!({
            "name": self.credential_name(),
            "issuer": issuer,
            "subject": subject,
            "audiences": [audience],
        });
        // Inside JSON an apostrophe can be written so that a shell's quotes survive it.
        let credential = credential.to_string().replace('\'', "\\u0027");
        let mut lines = vec![
            format!(
                "application {client} has no federated credential for what was sent: \
                 subject \"{subject}\", issuer \"{issuer}\", audience \"{audience}\""
            ),
            format!(
                "add it, and give it some minutes to take effect: \
                 az ad app federated-credential create --id {client} --parameters '{credential}'"
            ),
        ];
        if has_immutable_ids(subject) {
            lines.push(
                "the subject carries GitHub's immutable ids, which repositories made, renamed or moved since \
                 15 July 2026 have: a credential for the subject without them matches no longer"
                    .to_owned(),
            );
        }
        lines
    }

    /// A name that an application can hold once per subject: letters, digits and
    /// hyphens, at most 120 characters.
    fn credential_name(&self) -> String {
        let mut name = String::from("slotway");
        for word in self.subject.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            name.push('-');
            name.push_str(word);
        }
        name.truncate(120);
        name.trim_end_matches('-').to_owned()
    }
}

/// `repo:ORG@ORGID/REPO@REPOID:…` (sign-in §2).
fn has_immutable_ids(subject: &str) -> bool {
    let Some(rest) = subject.strip_prefix("repo:") else { return false };
    let repository = rest.split(':').next().unwrap_or_default();
    repository.split('/').all(|part| {
        part.split_once('@').is_some_and(|(_, id)| !id.is_empty() && id.chars().all(|c| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assertion(claims: &serde_json::Value) -> Secret {
        Secret::new(format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())))
    }

    #[test]
    fn the_claims_of_an_assertion_are_read_without_verifying_it() {
        let claims =
            json!({"iss": "https://issuer", "sub": "repo:o/r:ref:refs/heads/main", "aud": ["api://A"]});
        let presented = Presented::read(&assertion(&claims), "app").expect("a JWT");
        assert_eq!(presented.subject, "repo:o/r:ref:refs/heads/main");
        assert_eq!(presented.audience, "api://A");
        assert_eq!(Presented::read(&Secret::new("not.a-jwt"), "app"), None);
    }

    #[test]
    fn the_advice_is_one_command_that_no_subject_can_break_out_of() {
        let presented = Presented {
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            subject: "repo:o/r:environment:it's; rm -rf \"x\"".to_owned(),
            audience: "api://AzureADTokenExchange".to_owned(),
            client: "00000000-0000-0000-0000-000000000001".to_owned(),
        };
        let lines = presented.advice();
        let command = lines[1].split_once("--parameters '").expect("the parameters").1;
        let document = command.strip_suffix('\'').expect("one closing quote");
        assert!(!document.contains('\''), "{document}");
        let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
        assert_eq!(document["subject"], presented.subject);
        assert_eq!(document["name"], "slotway-repo-o-r-environment-it-s-rm-rf-x");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn immutable_subjects_are_recognised() {
        assert!(has_immutable_ids("repo:octo@123/app@456:environment:production"));
        assert!(!has_immutable_ids("repo:octo/app:environment:a@1"));
        assert!(!has_immutable_ids("sc://octo@1/app@2"));
    }
}
