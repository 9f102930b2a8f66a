//! The ways to sign in through the real binary, with the environment set as each
//! pipeline sets it: a server plays Entra, the OIDC providers and Resource Manager.

use std::path::Path;

use serde_json::json;

use crate::harness::{Finished, Place};
use crate::tls_server::{Answer, Seen, Server};

const CLIENT: &str = "00000000-0000-0000-0000-00000000000c";
const TENANT: &str = "00000000-0000-0000-0000-00000000000e";
const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000001";
const CONNECTION: &str = "5a0b9c3e-0000-4000-8000-0000000000aa";
const ACTION: &str = "Microsoft.Web/sites/read";

/// Everything that signing in needs; Resource Manager then refuses the first read,
/// so that a run ends after it has shown its token.
fn cloud(seen: &Seen) -> Answer {
    let host = &seen.headers["host"];
    let token = || json!({"token_type": "Bearer", "expires_in": 3600, "access_token": "planted-token"});
    match seen.path.as_str() {
        "/metadata/endpoints" => {
            let authentication = json!({
                "loginEndpoint": format!("https://{host}/"),
                "audiences": [format!("https://{host}")],
            });
            (200, json!({"authentication": authentication}).to_string())
        }
        "/github" => (200, json!({"value": "e30.e30.planted"}).to_string()),
        "/azure" => (200, json!({"oidcToken": "e30.e30.planted"}).to_string()),
        path if path.ends_with("/oauth2/v2.0/token") => (200, token().to_string()),
        path if path.starts_with("/subscriptions/") => {
            let message = format!(
                "The client 'x' with object id '{CLIENT}' does not have authorization to perform action \
                 '{ACTION}' over scope '/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Web/sites/contoso' \
                 or the scope is invalid."
            );
            (403, json!({"error": {"code": "AuthorizationFailed", "message": message}}).to_string())
        }
        _ => (404, String::new()),
    }
}

/// Runs `status` on a thread of its own, while the server answers on this one.
async fn status(place: &Place, server: &Server, flags: &[&str], variables: &[(&str, &str)]) -> Finished {
    let ca = place.write("ca.pem", &server.ca);
    let mut command = place.slotway(&["status", "--app-name", "contoso", "--resource-group-name", "rg"]);
    command.args(["--subscription-id", SUBSCRIPTION, "--ca-file"]).arg(ca).args(flags);
    command.env("SLOTWAY_LOG", "trace").envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().expect("the binary runs")).await;
    let finished = Finished::from(output.expect("a run"));
    // The commands that mask a secret are the only lines that hold one.
    let masks = ["::add-mask::", "##vso[task.setsecret]"];
    let shown = finished.stdout.lines().filter(|line| !masks.iter().any(|mask| line.starts_with(mask)));
    for line in shown.chain(finished.stderr.lines()) {
        assert!(!line.contains("planted"), "{line}");
    }
    finished
}

/// The run came as far as Resource Manager, with a token.
fn assert_signed_in(server: &Server, finished: &Finished, token: &str) {
    let calls: Vec<Seen> =
        server.requests().into_iter().filter(|seen| seen.path.starts_with("/subscriptions/")).collect();
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(!calls.is_empty(), "{}", finished.stderr);
    for call in calls {
        assert_eq!(call.headers["authorization"], format!("Bearer {token}"));
    }
}

#[tokio::test]
async fn github_signs_in_and_a_missing_right_is_named_with_the_role() {
    let server = Server::start(cloud).await;
    let place = Place::new();
    let request_url = format!("{}/github?run=1", server.base);
    let flags = ["--environment", "AzureStack", "--resource-manager-url", &server.base];
    let finished = status(
        &place,
        &server,
        &[&flags[..], &["--client-id", CLIENT, "--tenant-id", TENANT]].concat(),
        &[
            ("GITHUB_ACTIONS", "true"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", &request_url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "planted-request-token"),
        ],
    )
    .await;
    assert_signed_in(&server, &finished, "planted-token");
    assert_eq!(server.requests_to("/github")[0].query["audience"], "api://AzureADTokenExchange");
    assert!(finished.stdout.contains("::add-mask::planted-request-token\n"), "{}", finished.stdout);
    // What is obtained on the way is masked as soon as it is there.
    for obtained in ["e30.e30.planted", "planted-token"] {
        let mask = finished.stdout.find(&format!("::add-mask::{obtained}\n")).expect("a mask");
        let error = finished.stdout.find("::error").expect("an annotation");
        assert!(mask < error, "{}", finished.stdout);
    }
    assert!(finished.stderr.contains(&format!("the identity lacks the action {ACTION} over")));
    assert!(finished.stderr.contains("az role definition create --role-definition '{"));
}

#[tokio::test]
async fn a_service_connection_of_azure_pipelines_brings_cloud_and_tenant_along() {
    let server = Server::start(cloud).await;
    let variable = |kind: &str| format!("ENDPOINT_{kind}_{CONNECTION}");
    let url = format!("{}/", server.base);
    let request_uri = format!("{}/azure", server.base);
    let variables = [
        ("TF_BUILD", "True"),
        ("SYSTEM_OIDCREQUESTURI", request_uri.as_str()),
        ("ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN", "planted-job-token"),
        (&variable("URL"), &url),
        (&variable("AUTH_SCHEME"), "WorkloadIdentityFederation"),
        (&format!("{}_SERVICEPRINCIPALID", variable("AUTH_PARAMETER")), CLIENT),
        (&format!("{}_TENANTID", variable("AUTH_PARAMETER")), TENANT),
    ];
    let finished = status(&Place::new(), &server, &["--azure-subscription", CONNECTION], &variables).await;
    assert_signed_in(&server, &finished, "planted-token");
    let asked = server.requests_to("/azure");
    assert_eq!(asked[0].query["serviceConnectionId"], CONNECTION);
    assert_eq!(asked[0].headers["authorization"], "Bearer planted-job-token");
    assert_eq!(server.requests_to(&format!("/{TENANT}/oauth2/v2.0/token")).len(), 1);
}

#[tokio::test]
async fn a_managed_identity_is_asked_on_request_and_never_through_a_proxy() {
    let server = Server::start(cloud).await;
    let machine = Server::start_plain(|_| {
        // A time far away; the endpoint writes it as text (sign-in §5).
        let token = json!({
            "access_token": "planted-machine-token",
            "expires_on": "32503680000",
            "resource": "r",
            "token_type": "Bearer",
        });
        (200, token.to_string())
    })
    .await;
    let flags = ["--environment", "AzureStack", "--resource-manager-url", &server.base];
    let dead = "http://127.0.0.1:9";
    let endpoint = format!("{}/msi/token", machine.base);
    let variables = [
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
        ("IDENTITY_HEADER", "planted-header"),
        ("AZURE_CLIENT_ID", CLIENT),
        ("ALL_PROXY", dead),
        ("AGENT_PROXYURL", dead),
    ];
    let finished =
        status(&Place::new(), &server, &[&flags[..], &["--auth", "managed-identity"]].concat(), &variables)
            .await;
    assert_signed_in(&server, &finished, "planted-machine-token");
    let asked = machine.requests_to("/msi/token");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].headers["x-identity-header"], "planted-header");
    assert_eq!(asked[0].query["client_id"], CLIENT);
    assert_eq!(asked[0].query["resource"], server.base);
}

#[cfg(unix)]
#[tokio::test]
async fn the_azure_cli_is_asked_once_for_a_whole_run() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(cloud).await;
    let place = Place::new();
    let calls = place.path().join("calls");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{}'\necho '{{\"accessToken\":\"planted-cli-token\",\"expires_on\":32503680000,\"tokenType\":\"Bearer\"}}'\n",
        calls.display()
    );
    let az = place.write("bin/az", script);
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let folder = az.parent().and_then(Path::to_str).expect("a folder").to_owned();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let flags = ["--environment", "AzureStack", "--resource-manager-url", &server.base];
    let finished = status(&place, &server, &flags, &[("PATH", &path)]).await;
    assert_signed_in(&server, &finished, "planted-cli-token");
    let calls = std::fs::read_to_string(calls).expect("calls");
    assert_eq!(calls.lines().count(), 1, "{calls}");
    assert!(calls.starts_with("account get-access-token -o json --scope "), "{calls}");
}

#[tokio::test]
async fn nothing_switches_the_check_of_certificates_off() {
    let (server, other) = (Server::start(cloud).await, Server::start(cloud).await);
    let flags = ["--environment", "AzureStack", "--resource-manager-url", &other.base];
    let variables = [
        ("AGENT_SKIPCERTVALIDATION", "true"),
        ("VSTS_ARM_REST_IGNORE_SSL_ERRORS", "true"),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "0"),
        ("AZURE_CLI_DISABLE_CONNECTION_VERIFICATION", "1"),
        ("GIT_SSL_NO_VERIFY", "1"),
        ("AZURE_CLIENT_SECRET", "planted-secret"),
    ];
    let more = ["--client-id", CLIENT, "--tenant-id", TENANT];
    let started = std::time::Instant::now();
    // The file of `server`'s certificate is given, and `other` shows its own.
    let flags = [&flags[..], &more].concat();
    let finished = status(&Place::new(), &server, &flags, &variables).await;
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("certificate"), "{}", finished.stderr);
    assert!(other.requests().is_empty());
    // It will show the same certificate again: trying for two minutes would help nobody.
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_agents_ca_file_is_trusted_beside_the_others() {
    let (server, other) = (Server::start(cloud).await, Server::start(cloud).await);
    let place = Place::new();
    let agent = place.write("agent.pem", &other.ca);
    let flags = ["--environment", "AzureStack", "--resource-manager-url", &other.base];
    let more = ["--client-id", CLIENT, "--tenant-id", TENANT];
    let variables =
        [("AGENT_CAINFO", agent.to_str().expect("a path")), ("AZURE_CLIENT_SECRET", "planted-secret")];
    let finished = status(&place, &server, &[&flags[..], &more].concat(), &variables).await;
    assert_signed_in(&other, &finished, "planted-token");
}

#[test]
fn no_source_names_a_switch_for_the_check_of_certificates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                assert!(!text.contains("danger_"), "{}", path.display());
                assert!(!text.contains(".dangerous()"), "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 50, "only {read} sources were read");
}
