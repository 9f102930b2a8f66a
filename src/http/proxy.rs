//! Which requests go through which proxy.
//!
//! Owns the reading of proxy settings as curl and the Azure Pipelines agent write
//! them, and the rule that this machine is never reached through a proxy. Must not
//! read the environment: whoever starts the client hands the settings in.

use hyper_util::client::proxy::matcher::Matcher;
use regex::{Regex, RegexBuilder};
use reqwest::Url;

use super::NetworkError;
use crate::secret::Secret;

/// Never through a proxy: this machine, and the metadata service of a virtual machine
/// (sign-in §5).
const HERE: &str = "localhost,127.0.0.0/8,::1,169.254.169.254";

/// The memory that one pattern of the agent's list may take, compiled.
const LARGEST_PATTERN: usize = 1 << 20;

/// Proxy settings. Their URLs may hold passwords, so they never print.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Secret>,
    https: Option<Secret>,
    agent: Option<Secret>,
    /// Hosts that are reached without a proxy, as curl reads `NO_PROXY`.
    direct: String,
    /// URLs that are reached without the agent's proxy.
    bypass: Vec<Regex>,
}

impl Proxies {
    /// Reads the settings by variable name.
    ///
    /// `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` are meant for this very process
    /// and win over the agent's proxy, which is meant for every job
    /// (tasklib node/task.ts getHttpProxyConfiguration). `NO_PROXY` holds for both.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Proxy`] where a proxy is set that cannot be used.
    pub fn read<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Result<Self, NetworkError> {
        // Both spellings are in use; curl knows the small one first.
        let either = |small: &str, capital: &str| variable(small).or_else(|| variable(capital));
        let all = either("all_proxy", "ALL_PROXY");
        let proxy = |value: Option<&str>, name: &'static str| {
            value.or(all).map(|value| parse(name, value)).transpose()
        };
        let direct = either("no_proxy", "NO_PROXY").unwrap_or_default();
        Ok(Self {
            http: proxy(either("http_proxy", "HTTP_PROXY"), "HTTP_PROXY")?,
            https: proxy(either("https_proxy", "HTTPS_PROXY"), "HTTPS_PROXY")?,
            agent: agent(&variable)?,
            direct: format!("{HERE},{direct}"),
            bypass: variable("AGENT_PROXYBYPASSLIST").map(bypass).unwrap_or_default(),
        })
    }

    /// Whether any proxy is set here.
    pub fn any(&self) -> bool {
        self.http.is_some() || self.https.is_some() || self.agent.is_some()
    }

    /// The proxy for a URL, with user and password in it; nothing where there is none.
    pub(super) fn choose(&self, url: &Url) -> Option<Url> {
        let explicit = if url.scheme() == "https" { &self.https } else { &self.http };
        let (proxy, bypass) = match (explicit, &self.agent) {
            (Some(proxy), _) => (proxy, &[][..]),
            (None, Some(proxy)) => (proxy, &self.bypass[..]),
            (None, None) => return None,
        };
        let target: hyper::Uri = url.as_str().parse().ok()?;
        let through = Matcher::builder().all(proxy.reveal()).no(self.direct.as_str()).build();
        let bypassed = bypass.iter().any(|pattern| pattern.is_match(url.as_str()));
        // The matcher answers with a URL that lacks the password: only its "whether" counts.
        if bypassed || through.intercept(&target).is_none() {
            return None;
        }
        Url::parse(proxy.reveal()).ok()
    }
}

/// `AGENT_PROXYURL` with its user and password, which come apart (azure-pipelines §4).
fn agent<'a>(variable: &impl Fn(&str) -> Option<&'a str>) -> Result<Option<Secret>, NetworkError> {
    let Some(value) = variable("AGENT_PROXYURL") else { return Ok(None) };
    let proxy = parse("AGENT_PROXYURL", value)?;
    let (user, password) = (
        variable("AGENT_PROXYUSERNAME").unwrap_or_default(),
        // A variable marked as secret reaches a task under this prefix (azure-pipelines §4).
        variable("AGENT_PROXYPASSWORD")
            .or_else(|| variable("SECRET_AGENT_PROXYPASSWORD"))
            .unwrap_or_default(),
    );
    if user.is_empty() {
        return Ok(Some(proxy));
    }
    let unusable =
        || NetworkError::Proxy { variable: "AGENT_PROXYURL", reason: "takes no user name".to_owned() };
    let mut url = Url::parse(proxy.reveal()).map_err(|_| unusable())?;
    url.set_username(user).map_err(|()| unusable())?;
    url.set_password(Some(password)).map_err(|()| unusable())?;
    Ok(Some(Secret::new(url)))
}

/// A proxy's URL; curl's habit of leaving `http://` out is honoured.
fn parse(variable: &'static str, value: &str) -> Result<Secret, NetworkError> {
    let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let wrong = |reason: &str| NetworkError::Proxy { variable, reason: reason.to_owned() };
    let url = Url::parse(&text).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(Secret::new(url)),
        _ => Err(wrong("is no http or https proxy; no other kind is supported")),
    }
}

/// A JSON list of regular expressions, each tried on the whole URL without regard to
/// case (tasklib node/task.ts). One that does not parse bypasses nothing.
fn bypass(list: &str) -> Vec<Regex> {
    let patterns: Vec<String> = serde_json::from_str(list).unwrap_or_else(|_| {
        tracing::warn!("AGENT_PROXYBYPASSLIST is no JSON list and bypasses nothing");
        Vec::new()
    });
    let compiled =
        |pattern: &str| RegexBuilder::new(pattern).case_insensitive(true).size_limit(LARGEST_PATTERN).build();
    let compile = |pattern: String| match compiled(&pattern) {
        Ok(regex) => Some(regex),
        Err(_) => {
            tracing::warn!(pattern, "a pattern of AGENT_PROXYBYPASSLIST cannot be read and bypasses nothing");
            None
        }
    };
    patterns.into_iter().filter_map(compile).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Proxies, NetworkError> {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Proxies::read(|name| variables.get(name).map(String::as_str))
    }

    fn chosen(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let proxies = read(variables).expect("usable settings");
        proxies.choose(&Url::parse(url).expect("a URL")).map(String::from)
    }

    const ARM: &str = "https://management.azure.com/";

    #[test]
    fn each_setting_chooses_its_proxy() {
        let agent = [("AGENT_PROXYURL", "http://agent:1")];
        let both = [agent[0], ("HTTPS_PROXY", "process:2")];
        for (variables, url, wanted) in [
            (&[][..], ARM, None),
            (&agent[..], ARM, Some("http://agent:1/")),
            (&both, ARM, Some("http://process:2/")),
            (&both, "http://contoso.example/", Some("http://agent:1/")),
            (&[("ALL_PROXY", "https://all:3")], ARM, Some("https://all:3/")),
            (
                &[("https_proxy", "http://small:4"), ("HTTPS_PROXY", "http://capital:4")],
                ARM,
                Some("http://small:4/"),
            ),
            (&[agent[0], ("NO_PROXY", "azure.com")], ARM, None),
            (&[agent[0], ("NO_PROXY", "10.0.0.0/8")], "https://10.1.2.3/", None),
        ] {
            assert_eq!(chosen(variables, url).as_deref(), wanted, "{variables:?} {url}");
        }
    }

    #[test]
    fn the_agents_password_and_bypass_list_are_honoured() {
        let variables = [
            ("AGENT_PROXYURL", "http://agent:1"),
            ("AGENT_PROXYUSERNAME", "user"),
            ("AGENT_PROXYPASSWORD", "p@ss:word"),
            ("AGENT_PROXYBYPASSLIST", r#"["MANAGEMENT\\.azure", "*.broken", "internal$"]"#),
        ];
        assert_eq!(chosen(&variables, ARM), None);
        let through = chosen(&variables, "https://login.microsoftonline.com/").expect("a proxy");
        assert_eq!(through, "http://user:p%40ss%3Aword@agent:1/");
        let proxies = read(&variables).expect("usable settings");
        assert!(!format!("{proxies:?}").contains("word"), "{proxies:?}");
    }

    #[test]
    fn this_machine_and_the_metadata_service_are_never_behind_a_proxy() {
        let variables = [("AGENT_PROXYURL", "http://agent:1"), ("ALL_PROXY", "http://all:3")];
        for url in [
            "http://169.254.169.254/metadata/identity/oauth2/token",
            "http://127.0.0.1:42356/msi/token",
            "https://localhost:8443/",
            "https://[::1]:8443/",
        ] {
            assert_eq!(chosen(&variables, url), None, "{url}");
        }
    }

    #[test]
    fn an_unusable_proxy_is_said_by_its_variable_and_without_its_password() {
        let error = read(&[("HTTPS_PROXY", "socks5://u:hunter2@x:1")]).expect_err("no socks");
        assert_eq!(error.to_string(), "HTTPS_PROXY is no http or https proxy; no other kind is supported");
        assert!(read(&[("AGENT_PROXYURL", "http://")]).is_err());
    }
}
