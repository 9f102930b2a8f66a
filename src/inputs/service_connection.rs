//! A service connection of Azure Pipelines, as the agent gives it to a step.
//!
//! Owns the `ENDPOINT_…` and `SYSTEM_…` variables (sign-in §3 and §4). Must not
//! decide whether the connection is what signs in.

use reqwest::Url;
use serde_json::Value;

use super::{Environment, Problem, undefined_macro};
use crate::azure::{SignIn, Signer};
use crate::names::{ClientId, NameError, TenantId};
use crate::secret::Secret;

/// The input that names a connection, to which all its problems are bound.
const INPUT: &str = "azure-subscription";

/// One connection that the step may use.
pub(super) struct ServiceConnection<'a> {
    id: &'a str,
    environment: &'a Environment,
    auth: Value,
    data: Value,
}

impl<'a> ServiceConnection<'a> {
    /// The connection of this id; nothing where the agent gave none of it.
    pub(super) fn read(id: &'a str, environment: &'a Environment) -> Option<Self> {
        let variable = |kind: &str| environment.get(&format!("ENDPOINT_{kind}_{id}"));
        let document = |kind: &str| {
            variable(kind).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
        };
        let given = ["URL", "AUTH", "AUTH_SCHEME", "DATA"].into_iter().any(|kind| variable(kind).is_some());
        given.then(|| Self { id, environment, auth: document("AUTH"), data: document("DATA") })
    }

    fn scheme(&self) -> String {
        let alone = self.environment.get(&format!("ENDPOINT_AUTH_SCHEME_{}", self.id)).map(str::to_owned);
        let inside = || self.auth.get("scheme").and_then(Value::as_str).map(str::to_owned);
        // A missing scheme means ServicePrincipal (ado-rest azure-arm-endpoint.js).
        alone.or_else(inside).unwrap_or_else(|| "ServicePrincipal".to_owned())
    }

    /// A parameter of the authorisation.
    fn parameter(&self, key: &str) -> Option<String> {
        self.value("AUTH_PARAMETER", key, self.auth.get("parameters"))
    }

    /// A datum of the connection.
    fn datum(&self, key: &str) -> Option<String> {
        self.value("DATA", key, Some(&self.data))
    }

    /// The variable of its own, else the entry of the JSON. Keys are in capitals, with
    /// full stops and spaces as underscores (agent src/Agent.Worker/Handlers/Handler.cs).
    fn value(&self, kind: &str, key: &str, document: Option<&Value>) -> Option<String> {
        let name = key.to_ascii_uppercase().replace(['.', ' '], "_");
        let alone = self.environment.get(&format!("ENDPOINT_{kind}_{}_{name}", self.id)).map(str::to_owned);
        alone.or_else(|| {
            let entries = document?.as_object()?;
            let (_, value) = entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
            value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        })
    }

    /// The subscription that the connection is for; some are for a management group.
    pub(super) fn subscription(&self) -> Option<String> {
        self.datum("subscriptionid")
    }

    /// The tenant of its identity.
    pub(super) fn tenant(&self) -> Option<String> {
        self.parameter("tenantid")
    }

    /// The application of its identity.
    pub(super) fn client(&self) -> Option<String> {
        self.parameter("serviceprincipalid").or_else(|| self.datum("msiclientId"))
    }

    /// The resource manager's address, which says more than the environment's name:
    /// a connection may point anywhere.
    pub(super) fn resource_manager(&self) -> Option<&str> {
        self.environment.get(&format!("ENDPOINT_URL_{}", self.id))
    }

    /// The environment's name.
    pub(super) fn environment_name(&self) -> Option<String> {
        self.datum("environment")
    }

    /// How the connection signs in.
    pub(super) fn sign_in(&self) -> Result<SignIn, Vec<Problem>> {
        match self.scheme().as_str() {
            "ServicePrincipal" => self.service_principal(),
            "WorkloadIdentityFederation" => self.federated(),
            // The agent's machine signs in; the user asked for it by naming the connection.
            "ManagedServiceIdentity" => {
                let client = self.datum("msiclientId").map(ClientId::new).transpose();
                let client =
                    client.map_err(|error| vec![problem(format!("names an identity whose {error}"), "")])?;
                Ok(SignIn::ManagedIdentity { client })
            }
            "PublishProfile" => Err(vec![problem(
                "signs in with a publish profile, which opens the SCM site only: it cannot read slots nor swap",
                "use a service connection with workload identity federation",
            )]),
            other => Err(vec![problem(
                format!("signs in by \"{other}\", which is not supported"),
                "use a service connection with workload identity federation",
            )]),
        }
    }

    fn service_principal(&self) -> Result<SignIn, Vec<Problem>> {
        let identity = self.identity();
        let certificate = self
            .parameter("authenticationType")
            .is_some_and(|word| word.eq_ignore_ascii_case("spnCertificate"));
        let key = if certificate { "servicePrincipalCertificate" } else { "serviceprincipalkey" };
        let secret = self.parameter(key).map(Secret::new).ok_or_else(|| vec![lacks(key)]);
        let ((client, tenant), secret) = both(identity, secret)?;
        if !certificate {
            return Ok(SignIn::ClientSecret { tenant, client, secret });
        }
        if let Err(error) = Signer::from_pem(&secret) {
            return Err(vec![problem(
                format!("has a certificate that {error}"),
                "renew it in the connection",
            )]);
        }
        Ok(SignIn::Certificate { tenant, client, pem: secret })
    }

    fn federated(&self) -> Result<SignIn, Vec<Problem>> {
        let (client, tenant) = self.identity()?;
        let job = job(self.environment);
        // The token that the server may have bound to the connection ages: only without the API.
        if let (Err(_), Some(assertion)) = (&job, self.parameter("idToken")) {
            return Ok(SignIn::IdToken { tenant, client, assertion: Secret::new(assertion) });
        }
        let (request_uri, access_token) = job?;
        Ok(SignIn::AzurePipelines {
            request_uri,
            access_token,
            connection: self.id.to_owned(),
            client,
            tenant,
        })
    }

    fn identity(&self) -> Result<(ClientId, TenantId), Vec<Problem>> {
        both(
            named(self.parameter("serviceprincipalid"), "serviceprincipalid", ClientId::new),
            named(self.parameter("tenantid"), "tenantid", TenantId::new),
        )
    }
}

/// Where the job asks for OIDC tokens, and what it asks with.
pub(super) fn job(environment: &Environment) -> Result<(Url, Secret), Vec<Problem>> {
    both(request_uri(environment), access_token(environment))
}

/// `SYSTEM_OIDCREQUESTURI`; older servers do not set it, and it is made of its parts
/// (ado-rest azCliUtility.js; the path comes partly from the API's route values).
fn request_uri(environment: &Environment) -> Result<Url, Vec<Problem>> {
    const NAME: &str = "SYSTEM_OIDCREQUESTURI";
    let bound = |message: String, help: &str| vec![bound_to(NAME, message, help)];
    let made = || {
        let get = |name: &str| environment.get(name);
        let collection = get("SYSTEM_COLLECTIONURI").or_else(|| get("SYSTEM_TEAMFOUNDATIONSERVERURI"))?;
        Some(format!(
            "{}/{}/_apis/distributedtask/hubs/{}/plans/{}/jobs/{}/oidctoken",
            collection.trim_end_matches('/'),
            get("SYSTEM_TEAMPROJECTID")?,
            get("SYSTEM_HOSTTYPE")?,
            get("SYSTEM_PLANID")?,
            get("SYSTEM_JOBID")?,
        ))
    };
    let text = environment.get(NAME).map(str::to_owned).or_else(made).ok_or_else(|| {
        bound("is not set".to_owned(), "a step of an Azure Pipelines job has it: run this there")
    })?;
    match Url::parse(&text) {
        Ok(url) if url.scheme() == "https" => Ok(url),
        Ok(_) => Err(bound("is not an https URL".to_owned(), "tokens travel over TLS only")),
        Err(error) => Err(bound(format!("is no URL: {error}"), "")),
    }
}

/// A task has the job's token always, a script step only when it is mapped (sign-in §4).
fn access_token(environment: &Environment) -> Result<Secret, Vec<Problem>> {
    let inside = || {
        let document: Value =
            serde_json::from_str(environment.get("ENDPOINT_AUTH_SYSTEMVSSCONNECTION")?).ok()?;
        Some(document.get("parameters")?.get("AccessToken")?.as_str()?.to_owned())
    };
    let task = environment.get("ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN").map(str::to_owned);
    let token = task.or_else(inside).or_else(|| environment.get("SYSTEM_ACCESSTOKEN").map(str::to_owned));
    let help = "map it in the step: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)";
    match token {
        Some(token) if undefined_macro(&token).is_none() => Ok(Secret::new(token)),
        Some(_) => {
            Err(vec![bound_to("SYSTEM_ACCESSTOKEN", "is a macro that is not defined".to_owned(), help)])
        }
        None => Err(vec![bound_to("SYSTEM_ACCESSTOKEN", "is not set".to_owned(), help)]),
    }
}

fn named<T>(
    value: Option<String>,
    key: &str,
    new: fn(String) -> Result<T, NameError>,
) -> Result<T, Vec<Problem>> {
    let value = value.ok_or_else(|| vec![lacks(key)])?;
    new(value).map_err(|error| vec![problem(format!("has a {key} that is wrong: {error}"), "")])
}

/// Both values, or the problems of both.
pub(super) fn both<A, B>(
    first: Result<A, Vec<Problem>>,
    second: Result<B, Vec<Problem>>,
) -> Result<(A, B), Vec<Problem>> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(mut first), Err(second)) => {
            first.extend(second);
            Err(first)
        }
        (Err(problems), Ok(_)) | (Ok(_), Err(problems)) => Err(problems),
    }
}

fn lacks(key: &str) -> Problem {
    problem(format!("names a service connection without {key}"), "check the service connection")
}

fn problem(message: impl Into<String>, help: &str) -> Problem {
    bound_to(INPUT, message.into(), help)
}

fn bound_to(input: &str, message: String, help: &str) -> Problem {
    Problem { input: input.to_owned(), message, help: help.to_owned() }
}
