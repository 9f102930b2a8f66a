//! A publish profile, as the portal and `az webapp deployment list-publishing-profiles` give it.
//!
//! Owns its XML (kudu-deploy §2, arm-app-service §12, seen-in-recordings 13 and 14) and
//! which of its entries opens the SCM site. Must not repeat any of the text in an error:
//! it holds passwords.

use quick_xml::events::{BytesStart, Event};
use reqwest::Url;

use crate::names::{NameError, SiteName, SlotName};
use crate::secret::Secret;

/// What stands for user and password while basic authentication is off (seen-in-recordings 13).
const REDACTED: &str = "REDACTED";

/// The one entry that is used.
#[derive(Debug, Clone)]
pub struct PublishProfile {
    /// The app.
    pub site: SiteName,
    /// The slot; production where the profile is the app's own.
    pub slot: SlotName,
    /// Where the app answers.
    pub app_url: Url,
    /// The SCM host, with its port where it has one, as read.
    pub(super) scm_host: String,
    pub(super) user: String,
    pub(super) password: Secret,
}

/// Why a text is no usable publish profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No XML, or cut.
    #[error("is no XML document")]
    NotXml,
    /// No entry opens the SCM site.
    #[error("has no entry for Zip Deploy or Web Deploy")]
    NoEntry,
    /// The entry is not whole.
    #[error("has no usable {0} in its entry")]
    Lacks(&'static str),
    /// Azure handed it out without its credentials.
    #[error("holds the word REDACTED in place of its credentials: basic authentication is off for the slot")]
    Redacted,
    /// The user is no publishing user.
    #[error("is of a user whose name is not that of an app: {0}")]
    User(#[from] NameError),
}

impl ProfileError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Redacted => {
                "better sign in with client-id and GitHub OIDC, or a service connection; or allow it (basicPublishingCredentialsPolicies/scm) and download the profile anew"
            }
            _ => "give the whole file as downloaded with \"Get publish profile\" on the slot's page",
        }
    }
}

/// An entry, its texts unescaped.
#[derive(Default)]
struct Entry {
    method: String,
    publish_url: String,
    user: String,
    password: String,
    app_url: String,
}

impl PublishProfile {
    /// Reads a profile. Zip Deploy's entry is preferred, then Web Deploy's: both name the SCM
    /// site, FTP's does not (seen-in-recordings 14).
    ///
    /// # Errors
    ///
    /// [`ProfileError`], without any of the text.
    pub fn read(text: &str) -> Result<Self, ProfileError> {
        let entries = entries(text)?;
        let by = |method: &str| entries.iter().find(|entry| entry.method.eq_ignore_ascii_case(method));
        let entry = by("ZipDeploy").or_else(|| by("MSDeploy")).ok_or(ProfileError::NoEntry)?;
        if [&entry.user, &entry.password].contains(&&REDACTED.to_owned()) {
            return Err(ProfileError::Redacted);
        }
        if entry.password.is_empty() {
            return Err(ProfileError::Lacks("userPWD"));
        }
        // `$app`, or `$app__slot`; a name has no underscore of its own (kudu-deploy §2).
        let name = entry.user.trim_start_matches('$');
        let (site, slot) = match name.split_once("__") {
            Some((site, slot)) => (SiteName::new(site)?, SlotName::new(slot)?),
            None => (SiteName::new(name)?, SlotName::production()),
        };
        Ok(Self {
            site,
            slot,
            app_url: app_url(&entry.app_url).ok_or(ProfileError::Lacks("destinationAppUrl"))?,
            scm_host: scm_host(&entry.publish_url).ok_or(ProfileError::Lacks("publishUrl"))?,
            user: entry.user.clone(),
            password: Secret::new(&entry.password),
        })
    }

    /// Everything in a text that must never be printed: the passwords of all entries, as
    /// they are, as they stand in XML, and as they travel.
    pub fn secrets(text: &str) -> Vec<Secret> {
        use base64::Engine as _;
        let mut secrets: Vec<Secret> = Vec::new();
        for entry in entries(text).unwrap_or_default() {
            if entry.password.is_empty() || entry.password == REDACTED {
                continue;
            }
            let pair = format!("{}:{}", entry.user, entry.password);
            let travelling = base64::engine::general_purpose::STANDARD.encode(pair);
            let escaped = quick_xml::escape::escape(&entry.password).into_owned();
            for secret in [entry.password, escaped, travelling].map(Secret::new) {
                if !secrets.contains(&secret) {
                    secrets.push(secret);
                }
            }
        }
        secrets
    }

    /// For the log.
    pub fn describe(&self) -> String {
        format!("publish profile of {}, slot {}", self.site, self.slot)
    }
}

fn entries(text: &str) -> Result<Vec<Entry>, ProfileError> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut any = false;
    loop {
        match reader.read_event().map_err(|_| ProfileError::NotXml)? {
            Event::Start(element) => {
                (depth, any) = (depth + 1, true);
                found.extend(entry(&element)?);
            }
            Event::Empty(element) => {
                any = true;
                found.extend(entry(&element)?);
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof if any && depth == 0 => return Ok(found),
            Event::Eof => return Err(ProfileError::NotXml),
            _ => {}
        }
    }
}

fn entry(element: &BytesStart<'_>) -> Result<Option<Entry>, ProfileError> {
    if !element.name().as_ref().eq_ignore_ascii_case(b"publishProfile") {
        return Ok(None);
    }
    let mut entry = Entry::default();
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|_| ProfileError::NotXml)?;
        let raw = std::str::from_utf8(&attribute.value).map_err(|_| ProfileError::NotXml)?;
        let value = quick_xml::escape::unescape(raw).map_err(|_| ProfileError::NotXml)?.into_owned();
        match attribute.key.as_ref().to_ascii_lowercase().as_slice() {
            b"publishmethod" => entry.method = value,
            b"publishurl" => entry.publish_url = value,
            b"username" => entry.user = value,
            b"userpwd" => entry.password = value,
            b"destinationappurl" => entry.app_url = value,
            _ => {}
        }
    }
    Ok(Some(entry))
}

/// The profile says http (seen-in-recordings 14); every app answers https under the same name.
fn app_url(text: &str) -> Option<Url> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let url = Url::parse(&format!("https://{rest}")).ok()?;
    (url.has_host() && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// `host:443`; nothing but a host, for the password goes there.
fn scm_host(text: &str) -> Option<String> {
    let url = Url::parse(&format!("https://{text}")).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (url.has_host() && bare && url.username().is_empty() && url.password().is_none())
        .then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(method: &str, url: &str, user: &str, password: &str) -> String {
        format!(
            "<publishProfile profileName=\"x\" publishMethod=\"{method}\" publishUrl=\"{url}\" userName=\"{user}\" \
             userPWD=\"{password}\" destinationAppUrl=\"http://app-staging.azurewebsites.net\" webSystem=\"WebSites\">\
             <databases /></publishProfile>"
        )
    }

    fn profile(user: &str, password: &str) -> String {
        let host = "app-staging.scm.azurewebsites.net:443";
        let parts = [
            entry("MSDeploy", host, user, password),
            entry("FTP", "ftps://waws.ftp.azurewebsites.windows.net/site/wwwroot", user, password),
            entry("ZipDeploy", host, user, password),
        ];
        format!("<publishData>{}</publishData>", parts.concat())
    }

    #[test]
    fn the_host_the_slot_and_the_url_are_read_from_the_entry() {
        let read = PublishProfile::read(&profile("$app__staging", "a&amp;b")).expect("whole");
        assert_eq!((read.site.as_str(), read.slot.as_str()), ("app", "staging"));
        assert_eq!(read.scm_host, "app-staging.scm.azurewebsites.net:443");
        assert_eq!(read.app_url.as_str(), "https://app-staging.azurewebsites.net/");
        assert_eq!(read.password.reveal(), "a&b");
        assert!(PublishProfile::read(&profile("$app", "p")).expect("whole").slot.is_production());
    }

    #[test]
    fn what_is_wrong_is_said_without_any_of_the_text() {
        let error = |text: &str| {
            let error = PublishProfile::read(text).expect_err("unusable");
            assert!(!error.to_string().contains("hunter2"), "{error}");
            error
        };
        for text in ["hunter2", "<publishData", "<publishData><publishProfile userPWD='hunter2'", "", "<a>"] {
            assert_eq!(error(text), ProfileError::NotXml, "{text}");
        }
        assert_eq!(error("<publishData/>"), ProfileError::NoEntry);
        assert_eq!(error(&entry("FTP", "ftps://x", "$app", "hunter2")), ProfileError::NoEntry);
        assert_eq!(error(&profile("REDACTED", "REDACTED")), ProfileError::Redacted);
        assert_eq!(error(&profile("$app", "")), ProfileError::Lacks("userPWD"));
        assert!(matches!(error(&profile("$a_b", "hunter2")), ProfileError::User(_)));
        for url in ["", "evil@host", "host/path", "host?x=1", "a b"] {
            let text = entry("ZipDeploy", url, "$app__staging", "hunter2");
            assert_eq!(error(&text), ProfileError::Lacks("publishUrl"), "{url}");
        }
    }

    #[test]
    fn every_form_of_a_password_is_a_secret() {
        let secrets = PublishProfile::secrets(&profile("$app__staging", "a&amp;b"));
        let forms: Vec<&str> = secrets.iter().map(Secret::reveal).collect();
        // `$app__staging:a&b`
        assert_eq!(forms, ["a&b", "a&amp;b", "JGFwcF9fc3RhZ2luZzphJmI="]);
    }
}
