//! Which way to sign in, decided by what is given.
//!
//! Owns the order (sign-in §6): `auth`, then an input that can mean one way only,
//! then what the pipeline gives, then `AZURE_…` variables, then the Azure CLI. Pure:
//! nothing is tried, so nothing can be tried in silence. A managed identity is
//! used on request only.

use std::path::PathBuf;

use reqwest::Url;

use super::login::{self, Login};
use super::service_connection::{self, ServiceConnection, both};
use super::{Check, Environment, Problem, Raw, Source, undefined_macro};
use crate::azure::{Cloud, SignIn, Signer};
use crate::names::{ClientId, TenantId};
use crate::secret::Secret;

/// What the input `auth` can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The OIDC tokens of GitHub Actions.
    GitHubOidc,
    /// A service connection of Azure Pipelines.
    AzurePipelines,
    /// A client secret.
    ClientSecret,
    /// A certificate with its key.
    Certificate,
    /// An assertion in a file.
    FederatedTokenFile,
    /// The Azure CLI's account.
    AzureCli,
    /// The machine's managed identity.
    ManagedIdentity,
}

/// The words of `auth`.
pub const METHODS: [(&str, Method); 7] = [
    ("github-oidc", Method::GitHubOidc),
    ("azure-pipelines", Method::AzurePipelines),
    ("client-secret", Method::ClientSecret),
    ("certificate", Method::Certificate),
    ("federated-token-file", Method::FederatedTokenFile),
    ("azure-cli", Method::AzureCli),
    ("managed-identity", Method::ManagedIdentity),
];

/// A way to sign in, and why it is this one.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The way.
    pub sign_in: SignIn,
    /// For the log, as "client-secret is given".
    pub reason: String,
}

/// Inputs that can mean one way only.
const TELLING: [(&str, Method); 5] = [
    ("creds", Method::ClientSecret),
    ("azure-subscription", Method::AzurePipelines),
    ("client-secret", Method::ClientSecret),
    ("certificate-file", Method::Certificate),
    ("federated-token-file", Method::FederatedTokenFile),
];

/// Chooses a way to sign in to a cloud.
///
/// # Errors
///
/// Every [`Problem`] there is with what is given for signing in.
pub fn sign_in(raw: &Raw, environment: &Environment, cloud: &Cloud) -> Result<Chosen, Vec<Problem>> {
    let (raw, problems) = complete(raw, environment);
    let mut check = Check { raw: &raw, environment, problems };
    let chosen = check.sign_in(Some(cloud));
    match chosen {
        Some(chosen) if check.problems.is_empty() => Ok(chosen),
        _ => Err(check.problems),
    }
}

/// Adds what `creds` and the service connection hold to the other inputs. They win
/// over `AZURE_…` variables, and contradict other inputs that say something else.
pub(super) fn complete(raw: &Raw, environment: &Environment) -> (Raw, Vec<Problem>) {
    let mut raw = raw.clone();
    let mut problems = Vec::new();
    if let Some(text) = raw.get("creds").filter(|text| undefined_macro(text).is_none()) {
        match Login::read(text) {
            Ok(login) => add_login(&mut raw, login, &mut problems),
            Err(message) => problems.push(problem(
                "creds",
                message,
                "write what Azure/login takes: {\"clientId\", \"clientSecret\", \"tenantId\", \"subscriptionId\"}",
            )),
        }
    }
    if let Some(id) = raw.get("azure-subscription").map(str::to_owned)
        && let Some(connection) = ServiceConnection::read(&id, environment)
    {
        add_connection(&mut raw, &connection, &mut problems);
    }
    (raw, problems)
}

fn add_login(raw: &mut Raw, login: Login, problems: &mut Vec<Problem>) {
    let source = Source::Login;
    agree(raw, "client-id", login.client, source, problems);
    agree(raw, "tenant-id", login.tenant, source, problems);
    prefer(raw, "subscription-id", login.subscription, source);
    if let Some(secret) = login.secret {
        raw.prefer("client-secret", secret.reveal(), source);
    }
    if let Some(address) = login.resource_manager {
        add_cloud(raw, login::cloud_words(&address), source);
    }
}

fn add_connection(raw: &mut Raw, connection: &ServiceConnection<'_>, problems: &mut Vec<Problem>) {
    let source = Source::ServiceConnection;
    agree(raw, "client-id", connection.client(), source, problems);
    agree(raw, "tenant-id", connection.tenant(), source, problems);
    prefer(raw, "subscription-id", connection.subscription(), source);
    match (connection.resource_manager(), connection.environment_name()) {
        (Some(address), _) => add_cloud(raw, login::cloud_words(address), source),
        (None, Some(name)) => prefer(raw, "environment", Some(name), source),
        (None, None) => {}
    }
}

/// The cloud of whoever signs in, unless the inputs name one.
fn add_cloud(raw: &mut Raw, (environment, address): (&str, Option<String>), source: Source) {
    if raw.get("environment").is_none() && raw.get("resource-manager-url").is_none() {
        raw.offer("environment", environment, source);
        prefer(raw, "resource-manager-url", address, source);
    }
}

fn prefer(raw: &mut Raw, name: &'static str, value: Option<String>, source: Source) {
    if let Some(value) = value {
        raw.prefer(name, value, source);
    }
}

fn agree(
    raw: &mut Raw,
    name: &'static str,
    value: Option<String>,
    source: Source,
    problems: &mut Vec<Problem>,
) {
    let Some(value) = value else { return };
    if !raw.is_ambient(name)
        && let Some(given) = raw.get(name)
        && !given.eq_ignore_ascii_case(&value)
    {
        let other = if source == Source::Login { "creds" } else { "azure-subscription" };
        problems.push(problem(
            name,
            format!("contradicts {other}, which names another"),
            "give one of the two",
        ));
    }
    raw.prefer(name, value, source);
}

fn problem(input: &str, message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem { input: input.to_owned(), message: message.into(), help: help.into() }
}

impl Check<'_> {
    /// The way to sign in; nothing, and problems, where it is not clear or not whole.
    pub(super) fn sign_in(&mut self, cloud: Option<&Cloud>) -> Option<Chosen> {
        let (method, reason) = self.method()?;
        let Some(method) = method else {
            let result = self.cli_task()?;
            return self.note(result).map(|sign_in| Chosen { sign_in, reason });
        };
        let sign_in = match method {
            Method::GitHubOidc => self.github_oidc(cloud)?,
            Method::AzurePipelines => self.azure_pipelines()?,
            Method::ClientSecret => self.client_secret()?,
            Method::Certificate => self.certificate()?,
            Method::FederatedTokenFile => {
                let path = self.given("federated-token-file").map(PathBuf::from);
                let (client, tenant) = self.application()?;
                SignIn::FederatedTokenFile { tenant, client, path: path? }
            }
            Method::AzureCli => SignIn::AzureCli { tenant: self.name("tenant-id", TenantId::new) },
            Method::ManagedIdentity => {
                SignIn::ManagedIdentity { client: self.name("client-id", ClientId::new) }
            }
        };
        Some(Chosen { sign_in, reason })
    }

    /// Which way, and why; no method means what the AzureCLI task gives its script.
    fn method(&mut self) -> Option<(Option<Method>, String)> {
        // Of a login that cannot be read nothing else is worth saying.
        if self.raw.get("creds").is_some()
            && (self.text("creds").is_none() || self.problems.iter().any(|problem| problem.input == "creds"))
        {
            return None;
        }
        if let Some(word) = self.text("auth") {
            return self.named_method(&word);
        }
        let given: Vec<(&str, Method)> = TELLING
            .into_iter()
            .filter(|(name, _)| self.raw.get(name).is_some() && !self.raw.is_ambient(name))
            .filter(|(name, _)| self.raw.source(name) != Some(Source::Login))
            .collect();
        if let [(first, method), others @ ..] = given.as_slice() {
            for (other, _) in others {
                let help = "give one of the two, or say with auth which one to use";
                self.problem(other, format!("is given beside {first}"), help);
            }
            return Some((Some(*method), format!("{first} is given")));
        }
        if self.raw.get("client-id").is_none() && self.cli_task().is_some() {
            return Some((None, "the AzureCLI task gives it to its script".to_owned()));
        }
        self.surrounding_method()
    }

    fn named_method(&mut self, word: &str) -> Option<(Option<Method>, String)> {
        let known = METHODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        if known.is_none() {
            let words: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
            self.problem("auth", format!("is \"{word}\""), format!("write one of {}", words.join(", ")));
        }
        known.map(|(_, method)| (Some(*method), "auth says so".to_owned()))
    }

    /// What GitHub and the `AZURE_…` variables give.
    fn surrounding_method(&mut self) -> Option<(Option<Method>, String)> {
        let named = |name| self.raw.get(name).is_some();
        let asks = |name: &str| self.environment.get(name).is_some();
        let github = asks("ACTIONS_ID_TOKEN_REQUEST_URL") && asks("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
        let (method, reason) = if named("client-id") && named("tenant-id") && github {
            (Method::GitHubOidc, "client-id and tenant-id are given and the job may ask for OIDC tokens")
        } else if named("client-secret") {
            (Method::ClientSecret, "AZURE_CLIENT_SECRET is set")
        } else if named("certificate-file") {
            (Method::Certificate, "AZURE_CLIENT_CERTIFICATE_PATH is set")
        } else if named("federated-token-file") {
            (Method::FederatedTokenFile, "AZURE_FEDERATED_TOKEN_FILE is set")
        } else if named("client-id") {
            // Somebody signs in, but with what? The secret is asked for, and the ways beside it are told.
            (Method::ClientSecret, "client-id is given")
        } else {
            (Method::AzureCli, "nothing else is given")
        };
        Some((Some(method), reason.to_owned()))
    }

    fn application(&mut self) -> Option<(ClientId, TenantId)> {
        let client = self.required("client-id", ClientId::new);
        let tenant = self.required("tenant-id", TenantId::new);
        Some((client?, tenant?))
    }

    fn client_secret(&mut self) -> Option<SignIn> {
        let application = self.application();
        let secret = self.text("client-secret").map(Secret::new);
        if self.raw.get("client-secret").is_none() {
            let github = if self.environment.get("GITHUB_ACTIONS").is_some() {
                ", or let the job ask GitHub for OIDC tokens (permissions: id-token: write; a pull request from a fork never gets one)"
            } else {
                ""
            };
            let help = format!(
                "set AZURE_CLIENT_SECRET, or give --client-secret-file; a secret is never taken from a flag{github}"
            );
            self.problem("client-secret", "is missing", help);
        }
        let (client, tenant) = application?;
        Some(SignIn::ClientSecret { tenant, client, secret: secret? })
    }

    fn certificate(&mut self) -> Option<SignIn> {
        let application = self.application();
        self.given("certificate-file")?;
        // The command line has read the file; here is no input and no output.
        let Some(pem) = self.raw.get("certificate").map(Secret::new) else {
            self.problem("certificate-file", "could not be read as text", "give a PEM file");
            return None;
        };
        if let Err(error) = Signer::from_pem(&pem) {
            let help = "write the certificate and its unencrypted RSA key into one PEM file";
            self.problem("certificate-file", error.to_string(), help);
            return None;
        }
        let (client, tenant) = application?;
        Some(SignIn::Certificate { tenant, client, pem })
    }

    fn github_oidc(&mut self, cloud: Option<&Cloud>) -> Option<SignIn> {
        let application = self.application();
        let url = self.environment.get("ACTIONS_ID_TOKEN_REQUEST_URL");
        let token = self.environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN").map(Secret::new);
        let (Some(url), Some(request_token)) = (url, token) else {
            let help =
                "add permissions: id-token: write to the job; a pull request from a fork never gets it";
            self.problem("auth", "needs an OIDC token, which GitHub does not offer to this step", help);
            return None;
        };
        let Some(request_url) = Url::parse(url).ok().filter(|url| url.scheme() == "https") else {
            self.problem(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                "is not an https URL",
                "tokens travel over TLS only",
            );
            return None;
        };
        let usual = || cloud.map_or("", Cloud::assertion_audience).to_owned();
        let audience = self.text("audience").unwrap_or_else(usual);
        let (client, tenant) = application?;
        Some(SignIn::GitHubOidc { request_url, request_token, audience, client, tenant })
    }

    fn azure_pipelines(&mut self) -> Option<SignIn> {
        let environment = self.environment;
        if self.raw.get("azure-subscription").is_none()
            && let Some(result) = self.cli_task()
        {
            return self.note(result);
        }
        let id = self.given("azure-subscription")?;
        if let Some(connection) = ServiceConnection::read(&id, environment) {
            return self.note(connection.sign_in());
        }
        // A script step gets nothing of the connection: its id is enough with the rest given by hand.
        let application = self.application();
        let job = service_connection::job(environment);
        let (request_uri, access_token) = self.note(job)?;
        let (client, tenant) = application?;
        Some(SignIn::AzurePipelines { request_uri, access_token, connection: id, client, tenant })
    }

    /// What AzureCLI@2 gives its script for the time of the step (sign-in §4): the
    /// connection's id, which can be asked for fresh tokens, else what
    /// `addSpnToEnvironment` adds.
    fn cli_task(&self) -> Option<Result<SignIn, Vec<Problem>>> {
        let environment = self.environment;
        let connection = environment.get("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID");
        if let (Some(connection), Ok((request_uri, access_token))) =
            (connection, service_connection::job(environment))
        {
            let names = ["AZURESUBSCRIPTION_CLIENT_ID", "AZURESUBSCRIPTION_TENANT_ID"];
            return Some(application_of(environment, names).map(|(client, tenant)| SignIn::AzurePipelines {
                request_uri,
                access_token,
                connection: connection.to_owned(),
                client,
                tenant,
            }));
        }
        let secret = environment.get("servicePrincipalKey").map(Secret::new);
        let assertion = environment.get("idToken").map(Secret::new);
        if environment.get("servicePrincipalId").is_none() || (secret.is_none() && assertion.is_none()) {
            return None;
        }
        let application = application_of(environment, ["servicePrincipalId", "tenantId"]);
        Some(application.and_then(|(client, tenant)| match (secret, assertion) {
            (Some(secret), _) => Ok(SignIn::ClientSecret { tenant, client, secret }),
            (None, Some(assertion)) => Ok(SignIn::IdToken { tenant, client, assertion }),
            (None, None) => Err(vec![problem("idToken", "is not set", "")]),
        }))
    }

    fn note<T>(&mut self, result: Result<T, Vec<Problem>>) -> Option<T> {
        result.map_err(|problems| self.problems.extend(problems)).ok()
    }

    /// A value that is there and no undefined macro.
    fn given(&mut self, name: &str) -> Option<String> {
        if self.raw.get(name).is_none() {
            self.missing(name);
        }
        self.text(name)
    }
}

/// An application and its tenant, each from a variable.
fn application_of(
    environment: &Environment,
    [client, tenant]: [&str; 2],
) -> Result<(ClientId, TenantId), Vec<Problem>> {
    let wrong = |name: &str, message: String| vec![problem(name, message, "")];
    let client_id = ClientId::new(environment.get(client).unwrap_or_default());
    let tenant_id = TenantId::new(environment.get(tenant).unwrap_or_default());
    both(
        client_id.map_err(|error| wrong(client, error.to_string())),
        tenant_id.map_err(|error| wrong(tenant, error.to_string())),
    )
}
