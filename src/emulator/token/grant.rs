//! Who gets a token: the client credentials grant with a secret or an assertion.
//!
//! Owns the checks and their AADSTS numbers (sign-in.md §1). Pure: no clock, no key
//! but those given.

use super::jwt::{Jwt, PublicKey};
use super::{Application, Directory, Refused};
use crate::emulator::wire::Query;
use crate::emulator::world::Timestamp;

/// The one assertion type there is.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far clocks may be apart.
const SKEW_SECONDS: i64 = 300;

/// A request for a token.
pub(super) struct TokenRequest<'a> {
    /// The form.
    pub(super) form: &'a Query,
    /// The tenant in the path.
    pub(super) tenant: &'a str,
    /// Whether it came to the second endpoint.
    pub(super) second: bool,
}

/// Checks a request and gives the audience of its token.
pub(super) fn audience(
    directory: &Directory,
    request: &TokenRequest<'_>,
    clock: Timestamp,
) -> Result<String, Refused> {
    let field = |name: &str| request.form.get(name).filter(|value| !value.is_empty());
    let missing = |number, name: &str| {
        Refused::new(
            400,
            "invalid_request",
            number,
            format!("The request body must contain the following parameter: '{name}'."),
        )
    };
    let grant_type = field("grant_type").ok_or_else(|| missing(900_144, "grant_type"))?;
    if grant_type != "client_credentials" {
        let text = format!("The app requested an unsupported grant type '{grant_type}'.");
        return Err(Refused::new(400, "unsupported_grant_type", 70_003, text));
    }
    let client = field("client_id").ok_or_else(|| missing(900_144, "client_id"))?;
    let application = &directory.application;
    if !client.eq_ignore_ascii_case(&application.client_id) {
        let text = format!(
            "Application with identifier '{client}' was not found in the directory '{}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.",
            request.tenant
        );
        return Err(Refused::new(400, "unauthorized_client", 700_016, text));
    }
    match (field("client_secret"), field("client_assertion")) {
        (Some(secret), _) => check_secret(application, secret)?,
        (None, Some(assertion)) => {
            if field("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err(missing(900_144, "client_assertion_type"));
            }
            check_assertion(directory, request.tenant, assertion, clock)?;
        }
        (None, None) => {
            let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            return Err(Refused::new(401, "invalid_client", 7_000_218, text));
        }
    }
    if request.second {
        let scope = field("scope").ok_or_else(|| missing(900_144, "scope"))?;
        resource_of_scope(directory, scope)
    } else {
        let resource = field("resource").ok_or_else(|| missing(900_144, "resource"))?;
        known_resource(directory, resource)
    }
}

fn check_secret(application: &Application, secret: &str) -> Result<(), Refused> {
    if secret == application.secret {
        return Ok(());
    }
    let text = format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'.",
        application.client_id
    );
    Err(Refused::new(401, "invalid_client", 7_000_215, text))
}

fn check_assertion(
    directory: &Directory,
    tenant: &str,
    assertion: &str,
    clock: Timestamp,
) -> Result<(), Refused> {
    let client = |number, text: String| Refused::new(401, "invalid_client", number, text);
    let jwt =
        Jwt::read(assertion).map_err(|_| client(50_027, "JWT token is invalid or malformed.".to_owned()))?;
    let application = &directory.application;
    // A certificate's assertion names the application on both sides (sign-in.md §3).
    let own = |claim| jwt.text(claim).eq_ignore_ascii_case(&application.client_id);
    if own("iss") && own("sub") {
        check_certificate_audience(directory, tenant, &jwt)?;
        let known = application.certificates.iter().any(|key| jwt.verify(key).is_ok());
        if !known {
            let text = "The certificate with identifier used to sign the client assertion is not registered on application.";
            return Err(client(700_027, text.to_owned()));
        }
    } else {
        check_federated(directory, &jwt)?;
    }
    check_lifetime(&jwt, clock)
}

fn check_certificate_audience(directory: &Directory, tenant: &str, jwt: &Jwt) -> Result<(), Refused> {
    let base = format!("{}/{tenant}", directory.authority);
    let accepted = [
        format!("{base}/oauth2/v2.0/token"),
        format!("{base}/oauth2/token"),
        format!("{base}/v2.0"),
        directory.issuer(),
    ];
    if accepted.iter().any(|one| one.eq_ignore_ascii_case(jwt.text("aud"))) {
        return Ok(());
    }
    let text = format!(
        "Client assertion audience claim does not match Realm issuer. Review the documentation. Audience: '{}'.",
        jwt.text("aud")
    );
    Err(Refused::new(401, "invalid_client", 50_012, text))
}

/// Issuer, subject and audience must be those of one credential, letter by letter; the number says which of them
/// matches nothing (sign-in.md §1).
fn check_federated(directory: &Directory, jwt: &Jwt) -> Result<(), Refused> {
    let credentials = &directory.application.federated;
    let refuse = |number, what: &str, value: &str| {
        let text = format!(
            "No matching federated identity record found for presented assertion {what} '{value}'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
        );
        Refused::new(401, "invalid_client", number, text)
    };
    let (issuer, subject, audience) = (jwt.text("iss"), jwt.text("sub"), jwt.text("aud"));
    let issued: Vec<_> = credentials.iter().filter(|one| one.issuer == issuer).collect();
    if issued.is_empty() {
        return Err(refuse(700_211, "issuer", issuer));
    }
    let subjects: Vec<_> = issued.into_iter().filter(|one| one.subject == subject).collect();
    if subjects.is_empty() {
        return Err(refuse(700_213, "subject", subject));
    }
    let Some(credential) = subjects.into_iter().find(|one| one.audience == audience) else {
        return Err(refuse(700_212, "audience", audience));
    };
    let own: [PublicKey; 1] = [directory.key.public()];
    let keys = if credential.keys.is_empty() { &own[..] } else { &credential.keys };
    if keys.iter().any(|key| jwt.verify(key).is_ok()) {
        return Ok(());
    }
    let text = "Assertion failed signature validation.";
    Err(Refused::new(401, "invalid_client", 50_013, text))
}

fn check_lifetime(jwt: &Jwt, clock: Timestamp) -> Result<(), Refused> {
    let now = clock.unix_timestamp();
    let from = jwt.seconds("nbf").or_else(|| jwt.seconds("iat")).unwrap_or(i64::MIN);
    let until = jwt.seconds("exp").unwrap_or(i64::MIN);
    if from <= now.saturating_add(SKEW_SECONDS) && until > now.saturating_sub(SKEW_SECONDS) {
        return Ok(());
    }
    let text = format!(
        "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {from}, expiry time of assertion {until}."
    );
    Err(Refused::new(401, "invalid_client", 700_024, text))
}

/// One scope, an audience with `/.default` behind it; the audience keeps a slash of its own
/// (arm-app-service.md §1).
fn resource_of_scope(directory: &Directory, scope: &str) -> Result<String, Refused> {
    let mut scopes = scope.split_whitespace();
    let resource = scopes.next().and_then(|one| one.strip_suffix("/.default"));
    match (resource, scopes.next()) {
        (Some(resource), None) => known_resource(directory, resource),
        (_, Some(_)) => {
            let text = format!(
                "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope {scope} is not valid."
            );
            Err(Refused::new(400, "invalid_scope", 28_000, text))
        }
        (None, None) => {
            let text = format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
            );
            Err(Refused::new(400, "invalid_scope", 1_002_012, text))
        }
    }
}

fn known_resource(directory: &Directory, resource: &str) -> Result<String, Refused> {
    if super::bearer::Audience::of(directory, resource).is_some() {
        return Ok(resource.to_owned());
    }
    let text = format!(
        "The resource principal named {resource} was not found in the tenant named {}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
        directory.tenant
    );
    Err(Refused::new(400, "invalid_resource", 500_011, text))
}
