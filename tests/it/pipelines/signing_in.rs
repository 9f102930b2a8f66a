//! Every way to sign in that the emulator can answer, with a whole release behind each:
//! the token must be good for Resource Manager and for Kudu.

use serde_json::{Value, json};

use super::agent::{Agent, Scheme};
use super::cloud::{Cloud, workspace};
use super::example::{AzureJob, GitHubJob, Table, Values};
use super::forms::{Shown, assert_quiet_azure, assert_quiet_github};
use super::issuer::{self, Server};
use super::one_step::variables;
use super::runner::Runner;
use super::started::machine;
use crate::harness::Finished;

/// What the release step of the example is given, with these inputs beside or instead; empty ones are not given.
fn inputs(cloud: &Cloud, more: &[(&str, &str)]) -> Values {
    let mut with = GitHubJob::of("release-step.yml", "release").with(&variables(cloud));
    with.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    with
}

/// Releases on a runner that offers no OIDC token.
fn release_on_github(cloud: &Cloud, runner: &Runner<'_>, with: &Values, how: &str) {
    let ran = runner.run(with);
    assert_quiet_github(cloud, runner, &ran);
    assert_eq!((ran.code, ran.output("outcome")), (0, "released"), "{}", ran.log);
    assert_eq!(cloud.service.swaps(), 1);
    assert!(ran.log.contains(&format!("sign-in: {how}")), "{}", ran.log);
    assert!(cloud.issuer.issued().is_empty(), "nothing else was tried");
}

fn release_on_azure(scheme: Scheme, how: &str) -> Cloud {
    let cloud = Cloud::start(json!({}));
    let agent = Agent::new(&cloud, workspace("sound")).connected_by(scheme);
    let ran = agent.run(&AzureJob::of("release-step.yml", "Release").inputs(&Table::default()));
    assert_quiet_azure(&cloud, &agent, &ran);
    assert!(ran.succeeded && ran.output("outcome") == "released", "{}", ran.log);
    assert!(ran.log.contains(&format!("sign-in: {how}")), "{}", ran.log);
    cloud
}

/// A token of the emulator, for what stands in for a machine's identity or the Azure CLI.
pub(super) fn token(cloud: &Cloud) -> String {
    let url = format!("{}/{}/oauth2/v2.0/token", cloud.get("authority"), cloud.get("tenant_id"));
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", cloud.get("client_id"))
        .append_pair("client_secret", cloud.get("client_secret"))
        .append_pair("scope", &format!("{}/.default", cloud.get("resource_manager")))
        .finish();
    let request =
        cloud.service.client().post(url).header("content-type", "application/x-www-form-urlencoded");
    let answer = cloud.service.block_on(async {
        request.body(form).send().await.expect("an answer").text().await.expect("a text")
    });
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The identity endpoint of a machine; it gives this token to whoever sends its header (sign-in §5).
fn identity(cloud: &Cloud) -> Server {
    let token = token(cloud);
    cloud.service.block_on(Server::start_plain(move |seen| {
        if seen.headers.get("x-identity-header").is_none_or(|header| header != "planted-identity-header") {
            return (401, String::new());
        }
        let body = json!({
            "access_token": token, "expires_on": "32503680000", "resource": "r", "token_type": "Bearer",
        });
        (200, body.to_string())
    }))
}

#[test]
fn github_with_oidc_asks_for_a_fresh_assertion_for_every_token() {
    let cloud = Cloud::start(json!({"durations": {"token-lifetime": "1s", "deploy": "1500ms"}}));
    let job = GitHubJob::of("release-step.yml", "release");
    let runner = Runner::of(&cloud, &job, workspace("sound"));
    let ran = runner.run(&job.with(&variables(&cloud)));
    assert_quiet_github(&cloud, &runner, &ran);
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert!(ran.log.contains("sign-in: GitHub OIDC as application"), "{}", ran.log);
    let issued = cloud.issuer.issued();
    assert!(issued.len() > 1, "{} assertions for a run that outlives a token", issued.len());
}

#[test]
fn github_with_a_client_secret() {
    let cloud = Cloud::start(json!({}));
    let runner = Runner::bare(&cloud, workspace("sound"));
    let with = inputs(&cloud, &[("client-secret", cloud.get("client_secret"))]);
    release_on_github(&cloud, &runner, &with, "client secret");
}

#[test]
fn github_with_the_json_of_azure_login() {
    let cloud = Cloud::start(json!({}));
    let runner = Runner::bare(&cloud, workspace("sound"));
    let creds = json!({
        "clientId": cloud.get("client_id"),
        "clientSecret": cloud.get("client_secret"),
        "tenantId": cloud.get("tenant_id"),
        "subscriptionId": cloud.get("subscription_id"),
    });
    let none = [("client-id", ""), ("tenant-id", ""), ("subscription-id", "")];
    let with = inputs(&cloud, &[&none[..], &[("creds", &creds.to_string())]].concat());
    release_on_github(&cloud, &runner, &with, "client secret");
}

#[test]
fn github_with_a_certificate() {
    let cloud = Cloud::start(json!({}));
    let runner = Runner::bare(&cloud, workspace("sound"));
    let pem = format!("{}{}", issuer::pem("certificate.pem"), issuer::pem("key-pkcs1.pem"));
    let path = runner.place.write("application.pem", pem);
    let with = inputs(&cloud, &[("certificate-file", path.to_str().expect("a path"))]);
    release_on_github(&cloud, &runner, &with, "certificate");
}

#[test]
fn github_with_a_federated_token_in_a_file() {
    let cloud = Cloud::start(json!({}));
    let runner = Runner::bare(&cloud, workspace("sound"));
    let assertion = cloud.service.control("POST", "assertions", &json!({}));
    let path = runner.place.write("token", assertion["value"].as_str().expect("a token"));
    let with = inputs(&cloud, &[("federated-token-file", path.to_str().expect("a path"))]);
    release_on_github(&cloud, &runner, &with, "federated token file");
}

#[test]
fn github_with_a_managed_identity_on_request() {
    let cloud = Cloud::start(json!({}));
    let machine = identity(&cloud);
    let mut runner = Runner::bare(&cloud, workspace("sound"));
    runner.set("IDENTITY_ENDPOINT", &format!("{}/msi/token", machine.base()));
    runner.set("IDENTITY_HEADER", "planted-identity-header");
    let with = inputs(&cloud, &[("auth", "managed-identity")]);
    release_on_github(&cloud, &runner, &with, "managed identity");
}

#[cfg(unix)]
#[test]
fn github_with_the_azure_cli_that_somebody_signed_in() {
    use std::os::unix::fs::PermissionsExt;
    let cloud = Cloud::start(json!({}));
    let mut runner = Runner::bare(&cloud, workspace("sound"));
    let answer =
        json!({"accessToken": token(&cloud), "expires_on": 32_503_680_000_u64, "tokenType": "Bearer"});
    let az = runner.place.write("bin/az", format!("#!/bin/sh\ncat <<'END'\n{answer}\nEND\n"));
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let folder = az.parent().expect("a folder").display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    runner.set("PATH", &path);
    let with = inputs(&cloud, &[("client-id", ""), ("tenant-id", "")]);
    release_on_github(&cloud, &runner, &with, "the Azure CLI's account");
}

#[test]
fn azure_pipelines_with_workload_identity_federation() {
    let cloud = release_on_azure(Scheme::Federated, "Azure Pipelines service connection");
    assert!(!cloud.issuer.issued().is_empty());
}

#[test]
fn azure_pipelines_with_a_connection_by_secret() {
    let cloud = release_on_azure(Scheme::Secret, "client secret");
    assert!(cloud.issuer.issued().is_empty());
}

#[test]
fn azure_pipelines_with_a_connection_by_certificate() {
    let cloud = release_on_azure(Scheme::Certificate, "certificate");
    assert!(cloud.issuer.issued().is_empty());
}

#[test]
fn azure_pipelines_with_a_connection_by_managed_identity() {
    let cloud = Cloud::start(json!({}));
    let machine = identity(&cloud);
    let mut agent = Agent::new(&cloud, workspace("sound")).connected_by(Scheme::ManagedIdentity);
    agent.set("IDENTITY_ENDPOINT", &format!("{}/msi/token", machine.base()));
    agent.set("IDENTITY_HEADER", "planted-identity-header");
    let ran = agent.run(&AzureJob::of("release-step.yml", "Release").inputs(&Table::default()));
    assert_quiet_azure(&cloud, &agent, &ran);
    assert!(ran.succeeded && ran.log.contains("sign-in: this machine's own managed identity"), "{}", ran.log);
}

/// A script inside AzureCLI@2 runs the binary itself, and its exit code is the step's. The task adds these
/// variables for the time of the step (azureclitask.ts); nothing of the connection's own is there.
fn release_in_a_script(cloud: &Cloud, variables: &[(&str, &str)], how: &str) {
    let place = workspace("sound");
    let mut environment = machine(place.path());
    let trust = cloud.trust(place.path());
    environment.insert("TF_BUILD".to_owned(), "True".to_owned());
    environment.insert("AGENT_TEMPDIRECTORY".to_owned(), place.path().join("_temp").display().to_string());
    environment.insert("AGENT_CAINFO".to_owned(), trust.display().to_string());
    environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut command = place.slotway(&["release", "--package", "dist", "--environment", "AzureStack"]);
    for (flag, name) in [
        ("--resource-manager-url", "resource_manager"),
        ("--subscription-id", "subscription_id"),
        ("--app-name", "app_name"),
    ] {
        command.arg(flag).arg(cloud.get(name));
    }
    let finished = Finished::from(command.envs(&environment).output().expect("the binary runs"));
    let mut shown = Shown::default();
    shown.add_log("standard output", &finished.stdout);
    shown.add_log("standard error", &finished.stderr);
    let mut secrets = cloud.issuer.issued();
    secrets.push(cloud.get("client_secret").to_owned());
    shown.assert_without(&secrets);
    assert_eq!((finished.code, cloud.service.swaps()), (0, 1), "{}{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains(&format!("sign-in: {how}")), "{}", finished.stdout);
    assert!(!finished.stdout.contains("task.complete"), "only the launcher says how a task ended");
}

#[test]
fn a_script_inside_azure_cli_with_a_secret() {
    let cloud = Cloud::start(json!({}));
    let variables = [
        ("servicePrincipalId", cloud.get("client_id")),
        ("servicePrincipalKey", cloud.get("client_secret")),
        ("tenantId", cloud.get("tenant_id")),
    ];
    release_in_a_script(&cloud, &variables, "client secret");
}

#[test]
fn a_script_inside_azure_cli_with_the_token_that_the_task_got() {
    let cloud = Cloud::start(json!({}));
    let assertion = cloud.service.control("POST", "assertions", &json!({}));
    let variables = [
        ("servicePrincipalId", cloud.get("client_id")),
        ("idToken", assertion["value"].as_str().expect("a token")),
        ("tenantId", cloud.get("tenant_id")),
    ];
    release_in_a_script(&cloud, &variables, "");
}

#[test]
fn a_script_inside_azure_cli_that_may_ask_for_fresh_tokens() {
    let cloud = Cloud::start(json!({}));
    let connection = "5a0b9c3e-0000-4000-8000-0000000000aa";
    cloud.issuer.grant("mapped-job-token", connection, "sc://contoso/shop/contoso-production");
    let request_uri = format!("{}/contoso/hubs/build/plans/1/jobs/2/oidctoken", cloud.issuer.base);
    let variables = [
        ("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", connection),
        ("AZURESUBSCRIPTION_CLIENT_ID", cloud.get("client_id")),
        ("AZURESUBSCRIPTION_TENANT_ID", cloud.get("tenant_id")),
        ("SYSTEM_OIDCREQUESTURI", &request_uri),
        ("SYSTEM_ACCESSTOKEN", "mapped-job-token"),
    ];
    release_in_a_script(&cloud, &variables, "Azure Pipelines service connection");
    assert!(!cloud.issuer.issued().is_empty());
}
