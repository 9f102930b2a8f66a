//! What goes wrong when Azure is called, and what a person can do about it.

use super::credential::Presented;
use super::rights;
use crate::http::{self, Refusal, SendError};

/// A call that failed; the message reads after "could not".
#[derive(Debug, Clone, thiserror::Error)]
pub enum AzureError {
    /// Entra gave no token.
    #[error("could not sign in: {reason}")]
    SignIn {
        /// Entra's words, or the connection's.
        reason: String,
        /// The AADSTS numbers in them.
        codes: Vec<u32>,
        /// What the assertion said, where one was sent.
        sent: Option<Box<Presented>>,
    },
    /// The request failed or was refused.
    #[error("could not {doing}: {source}")]
    Call {
        /// What was being done, as "read the site contoso-web".
        doing: String,
        /// What became of the request.
        source: SendError,
    },
    /// The SCM site did not let the publish profile in.
    #[error("could not {doing}: the publish profile was refused: {refusal}")]
    ProfileRefused {
        /// What was being done.
        doing: String,
        /// The server's words.
        refusal: Box<Refusal>,
    },
    /// An answer came that cannot be understood.
    #[error("could not {doing}: the answer makes no sense: {reason}")]
    Shape {
        /// What was being done.
        doing: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl AzureError {
    pub(crate) fn call(doing: impl Into<String>, source: SendError) -> Self {
        Self::Call { doing: doing.into(), source }
    }

    pub(crate) fn shape(doing: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Shape { doing: doing.into(), reason: reason.to_string() }
    }

    /// The server's refusal, where there is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Call { source, .. } => source.refusal(),
            Self::ProfileRefused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// The HTTP status of the refusal.
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// What to do about it; empty where nothing better than the message is known.
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::SignIn { codes, sent, .. } => sign_in_advice(codes, sent.as_deref()),
            Self::Call { source: SendError::NotSent { reason }, .. } if reason.contains("certificate") => vec![
                "the server's certificate is not trusted here: for a private certificate authority give ca-file"
                    .to_owned(),
            ],
            Self::Call { source: SendError::NotSent { reason }, .. } if http::is_of_the_file(reason) => vec![
                "make sure that nothing writes to the package, or takes it away, once Slotway has started".to_owned(),
            ],
            Self::Call { doing, source } if doing.contains("metadata document") && source.refusal().is_some() => {
                vec!["check resource-manager-url: no resource manager answers there".to_owned()]
            }
            Self::Call { source: SendError::NotSent { reason }, .. } => vec![no_connection(reason).to_owned()],
            Self::ProfileRefused { refusal, .. } => profile_help(refusal),
            Self::Call { .. } => self.refusal().map(refusal_help).unwrap_or_default(),
            Self::Shape { .. } => vec!["check resource-manager-url: something else answers there".to_owned()],
        }
    }
}

/// What to do where no connection was made, by the words of hyper and its connectors.
fn no_connection(reason: &str) -> &'static str {
    if reason.contains("tunnel") {
        "the proxy made no connection: check HTTPS_PROXY or AGENT_PROXYURL and what the proxy lets through, or name the server in NO_PROXY"
    } else if reason.contains("dns error") {
        "the server's name cannot be found: check the address, environment and resource-manager-url, and this machine's name service"
    } else if reason.contains("refused") {
        "nothing accepts connections there: check the address and the firewalls in between"
    } else {
        "no connection could be made: check the address, the network and HTTPS_PROXY"
    }
}

/// A refused assertion: no federated credential with its subject, issuer or audience
/// (sign-in §1; the numbers are unconfirmed).
const NOT_FEDERATED: [u32; 4] = [70_021, 700_211, 700_212, 700_213];

fn sign_in_advice(codes: &[u32], sent: Option<&Presented>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for code in codes {
        let more = match sent {
            Some(sent) if NOT_FEDERATED.contains(code) => sent.advice(),
            _ => sign_in_help(*code).into_iter().collect(),
        };
        lines.extend(more.into_iter().filter(|line| !lines.contains(line)).collect::<Vec<_>>());
    }
    lines
}

/// Codes of Entra that have a known remedy (sign-in §1).
fn sign_in_help(code: u32) -> Option<String> {
    let help = match code {
        7_000_215 => {
            "the client secret is wrong: give the secret's value, not its id, in AZURE_CLIENT_SECRET"
        }
        7_000_222 => "the client secret has expired: make a new one in Entra",
        700_016 => "no application with this client-id exists in this tenant: check client-id and tenant-id",
        90_002 | 900_023 => "the tenant does not exist: check tenant-id",
        70_021 | 700_211 | 700_212 | 700_213 => {
            "no federated credential of the application matches the subject, issuer or audience that was sent"
        }
        700_027 => {
            "the application does not know the certificate: upload it in Entra under the application's certificates"
        }
        700_024 => "the assertion's lifetime has passed, or this machine's clock is wrong",
        500_011 => "the tenant does not know the audience: check environment and resource-manager-url",
        _ => return None,
    };
    Some(help.to_owned())
}

/// With basic authentication off the SCM site answers 401 to every password (kudu-deploy §2);
/// 403 is the network's or a stopped site's (§3), unless its text says otherwise.
fn profile_help(refusal: &Refusal) -> Vec<String> {
    let text = refusal.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut lines = Vec::new();
    if refusal.status == 403 && !text.contains("basic") {
        lines.push(
            "the app may be stopped, or its SCM site closed to this network by access restrictions"
                .to_owned(),
        );
    }
    lines.push(
        "basic authentication may be switched off for the slot's SCM site (basicPublishingCredentialsPolicies/scm; in the \
         portal: Configuration, General settings, SCM Basic Auth Publishing Credentials), or the profile was reset since it \
         was downloaded"
            .to_owned(),
    );
    lines.push(
        "better leave the password out: sign in with client-id and GitHub OIDC, or with a service connection"
            .to_owned(),
    );
    lines
}

fn refusal_help(refusal: &Refusal) -> Vec<String> {
    let code = refusal.code.as_deref().unwrap_or_default();
    let help = match (refusal.status, code) {
        (403, "AuthorizationFailed") => return rights::advice(refusal),
        (403, _) => {
            "access is refused: the app may be stopped, or its SCM site closed to this network by access restrictions"
        }
        (401, _) => {
            "the token was not accepted: check tenant-id, and that the identity may use this subscription"
        }
        (409, "ScopeLocked") => "a read-only lock on the app or above it forbids this: remove the lock",
        (404, "ResourceGroupNotFound") => "check resource-group-name and subscription-id",
        (404, _) => "check app-name, slot-name, resource-group-name and subscription-id",
        (429, _) => "Azure is throttling or holds an exclusive lock on the site: try again later",
        _ => return Vec::new(),
    };
    vec![help.to_owned()]
}
