//! Tables of what is given and what is chosen.

use super::sign_in::{Chosen, sign_in};
use super::*;

const CLIENT: &str = "00000000-0000-0000-0000-00000000000c";
const OTHER: &str = "00000000-0000-0000-0000-00000000000d";
const TENANT: &str = "00000000-0000-0000-0000-00000000000e";
const CONNECTION: &str = "5a0b9c3e-0000-4000-8000-0000000000aa";
const PEM: &str = concat!(
    include_str!("../azure/credential/testdata/certificate.pem"),
    include_str!("../azure/credential/testdata/key-pkcs8.pem")
);

const IDS: [(&str, &str); 2] = [("client-id", CLIENT), ("tenant-id", TENANT)];
const GITHUB: [(&str, &str); 2] = [
    ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://pipelines.example/token?api-version=2.0"),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "planted-request-token"),
];
const JOB: [(&str, &str); 2] = [
    ("SYSTEM_OIDCREQUESTURI", "https://dev.azure.com/o/p/_apis/oidctoken"),
    ("SYSTEM_ACCESSTOKEN", "planted-job-token"),
];
const CLI_TASK: [(&str, &str); 3] = [
    ("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", CONNECTION),
    ("AZURESUBSCRIPTION_CLIENT_ID", CLIENT),
    ("AZURESUBSCRIPTION_TENANT_ID", TENANT),
];

fn environment(lists: &[&[(&str, &str)]]) -> Environment {
    lists
        .iter()
        .flat_map(|list| list.iter())
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn raw(lists: &[&[(&'static str, &str)]], source: Source) -> Raw {
    let mut raw = Raw::default();
    for (name, value) in lists.iter().flat_map(|list| list.iter()) {
        raw.offer(name, *value, source);
    }
    raw
}

fn choose(given: &[&[(&'static str, &str)]], variables: &[&[(&str, &str)]]) -> Result<Chosen, Vec<Problem>> {
    sign_in(&raw(given, Source::Step), &environment(variables), &Cloud::Public)
}

/// The variant's name, which is how a way is told apart here.
fn way(chosen: &Chosen) -> String {
    let text = format!("{:?}", chosen.sign_in);
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// The variables of a connection with these parameters and data, as the agent writes them.
fn endpoint(scheme: &str, parameters: &[(&str, &str)], data: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut variables = vec![
        (format!("ENDPOINT_URL_{CONNECTION}"), "https://management.azure.com/".to_owned()),
        (format!("ENDPOINT_AUTH_SCHEME_{CONNECTION}"), scheme.to_owned()),
    ];
    for (key, value) in parameters {
        let key = key.to_ascii_uppercase();
        variables.push((format!("ENDPOINT_AUTH_PARAMETER_{CONNECTION}_{key}"), (*value).to_owned()));
    }
    for (key, value) in data {
        let key = key.to_ascii_uppercase();
        variables.push((format!("ENDPOINT_DATA_{CONNECTION}_{key}"), (*value).to_owned()));
    }
    variables
}

fn with_job(variables: Vec<(String, String)>) -> Environment {
    let job = JOB.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    variables.into_iter().chain(job).collect()
}

const APPLICATION: [(&str, &str); 2] = [("serviceprincipalid", CLIENT), ("tenantid", TENANT)];

#[test]
fn what_is_given_decides_in_the_documented_order() {
    let secret = [("client-secret", "planted-secret")];
    let file = [("federated-token-file", "/token")];
    let certificate = [("certificate-file", "/pem"), ("certificate", PEM)];
    let spn = [("servicePrincipalId", CLIENT), ("tenantId", TENANT)];
    let (key, id_token) = ([("servicePrincipalKey", "planted-key")], [("idToken", "planted-assertion")]);
    let creds = format!(r#"{{"clientId":"{CLIENT}","clientSecret":"planted-secret","tenantId":"{TENANT}"}}"#);
    let creds = [("creds", creds.as_str())];
    type Given<'a> = &'a [&'a [(&'static str, &'a str)]];
    type Variables<'a> = &'a [&'a [(&'a str, &'a str)]];
    let table: [(Given, Variables, &str, &str); 15] = [
        (&[], &[], "AzureCli", "nothing else is given"),
        (&[&IDS, &secret], &[], "ClientSecret", "client-secret is given"),
        (&[&IDS, &secret], &[&GITHUB], "ClientSecret", "client-secret is given"),
        (&[&IDS], &[&GITHUB], "GitHubOidc", "client-id and tenant-id are given"),
        (&[&creds], &[&GITHUB], "ClientSecret", "creds is given"),
        (&[&IDS, &certificate], &[], "Certificate", "certificate-file is given"),
        (&[&IDS, &file], &[&GITHUB], "FederatedTokenFile", "federated-token-file is given"),
        (&[&[("auth", "azure-cli")], &IDS, &secret], &[&GITHUB], "AzureCli", "auth says so"),
        (&[&[("auth", "managed-identity")]], &[], "ManagedIdentity", "auth says so"),
        (&[&[("auth", "github-oidc")], &IDS, &secret], &[&GITHUB], "GitHubOidc", "auth says so"),
        (&[], &[&CLI_TASK, &JOB], "AzurePipelines", "the AzureCLI task"),
        (&[], &[&CLI_TASK, &spn, &id_token], "IdToken", "the AzureCLI task"),
        (&[], &[&spn, &key], "ClientSecret", "the AzureCLI task"),
        (&[&IDS, &secret], &[&CLI_TASK, &JOB], "ClientSecret", "client-secret is given"),
        (
            &[&[("azure-subscription", CONNECTION)], &IDS],
            &[&JOB],
            "AzurePipelines",
            "azure-subscription is given",
        ),
    ];
    for (given, variables, wanted, reason) in table {
        let chosen = choose(given, variables).expect(wanted);
        assert_eq!(way(&chosen), wanted, "{given:?} {variables:?}");
        assert!(chosen.reason.starts_with(reason), "{} for {wanted}", chosen.reason);
        assert!(!format!("{chosen:?}").contains("planted"), "{chosen:?}");
    }
}

#[test]
fn variables_that_other_tools_share_come_after_what_the_pipeline_gives() {
    let ambient = |more: &[(&'static str, &str)]| raw(&[&IDS, more], Source::Environment);
    let secret = [("client-secret", "s")];
    for (given, variables, wanted) in [
        (ambient(&secret), environment(&[&GITHUB]), "GitHubOidc"),
        (ambient(&secret), environment(&[]), "ClientSecret"),
        (ambient(&[("federated-token-file", "/token")]), environment(&[]), "FederatedTokenFile"),
        (ambient(&[("certificate-file", "/p"), ("certificate", PEM)]), environment(&[]), "Certificate"),
    ] {
        let chosen = sign_in(&given, &variables, &Cloud::Public).expect(wanted);
        assert_eq!(way(&chosen), wanted);
    }
}

#[test]
fn every_scheme_of_a_service_connection_is_read() {
    let given = raw(&[&[("azure-subscription", CONNECTION)]], Source::Step);
    let with = |more: &'static [(&'static str, &'static str)]| [&APPLICATION[..], more].concat();
    let secret = with(&[("serviceprincipalkey", "planted-key")]);
    let certificate = with(&[("authenticationType", "spnCertificate"), ("servicePrincipalCertificate", PEM)]);
    for (variables, wanted) in [
        (endpoint("ServicePrincipal", &secret, &[]), "ClientSecret"),
        (endpoint("ServicePrincipal", &certificate, &[]), "Certificate"),
        (endpoint("WorkloadIdentityFederation", &APPLICATION, &[]), "AzurePipelines"),
        (endpoint("ManagedServiceIdentity", &[], &[("msiclientId", CLIENT)]), "ManagedIdentity"),
    ] {
        let chosen = sign_in(&given, &with_job(variables), &Cloud::Public).expect(wanted);
        assert_eq!(way(&chosen), wanted);
        if wanted != "AzurePipelines" {
            assert_eq!(chosen.sign_in.client().expect("an application").as_str(), CLIENT);
        }
    }
}

#[test]
fn a_connection_in_json_alone_is_read_and_its_bound_token_is_the_last_resort() {
    let given = raw(&[&[("azure-subscription", CONNECTION)]], Source::Step);
    let auth = serde_json::json!({
        "scheme": "WorkloadIdentityFederation",
        "parameters": {"serviceprincipalid": CLIENT, "tenantid": TENANT, "idToken": "planted-assertion"},
    });
    let variables = vec![(format!("ENDPOINT_AUTH_{CONNECTION}"), auth.to_string())];
    let alone: Environment = variables.clone().into_iter().collect();
    assert_eq!(way(&sign_in(&given, &alone, &Cloud::Public).expect("whole")), "IdToken");
    let chosen = sign_in(&given, &with_job(variables), &Cloud::Public).expect("whole");
    assert_eq!(way(&chosen), "AzurePipelines");
    assert!(chosen.sign_in.describe().contains(CONNECTION));
}

#[test]
fn a_connection_names_the_subscription_and_the_cloud_unless_inputs_do() {
    let subscription = "00000000-0000-0000-0000-000000000001";
    let mut variables = endpoint(
        "WorkloadIdentityFederation",
        &APPLICATION,
        &[("subscriptionid", subscription), ("environment", "AzureUSGovernment")],
    );
    variables[0].1 = "https://localhost:8443/".to_owned();
    let variables = with_job(variables);
    let mut given = raw(&[&[("azure-subscription", CONNECTION), ("app-name", "contoso")]], Source::Step);
    given.offer("subscription-id", OTHER, Source::Environment);
    let inputs = resolve(&given, &variables, Needs::Reading).expect("whole");
    assert_eq!(inputs.connection.subscription.as_str(), subscription);
    assert_eq!(inputs.connection.cloud, Cloud::Custom(Url::parse("https://localhost:8443/").expect("a URL")));
    given.offer("environment", "AzureChinaCloud", Source::Step);
    let inputs = resolve(&given, &variables, Needs::Reading).expect("whole");
    assert_eq!(inputs.connection.cloud, Cloud::China);
}

fn problems(given: &[&[(&'static str, &str)]], variables: &[&[(&str, &str)]]) -> Vec<String> {
    let problems = choose(given, variables).expect_err("a problem");
    let text = format!("{problems:?}");
    assert!(!text.contains("planted"), "{text}");
    problems.into_iter().map(|problem| format!("{}: {}", problem.input, problem.message)).collect()
}

#[test]
fn what_is_missing_or_contradicts_is_said_and_bound_to_its_input() {
    let subscription = [("azure-subscription", CONNECTION)];
    let creds = format!(r#"{{"clientId":"{CLIENT}","clientSecret":"planted-secret","tenantId":"{TENANT}"}}"#);
    let creds = [("creds", creds.as_str())];
    let secret = [("client-secret", "planted-secret")];
    type Given<'a> = &'a [&'a [(&'static str, &'a str)]];
    type Variables<'a> = &'a [&'a [(&'a str, &'a str)]];
    let table: [(Given, Variables, &[&str]); 13] = [
        (&[&[("auth", "magic")]], &[], &["auth: is \"magic\""]),
        (&[&IDS], &[], &["client-secret: is missing"]),
        (&[&[("client-secret", "$(key)")], &IDS], &[], &["client-secret: is \"$(key)\""]),
        (
            &[&[("auth", "github-oidc")], &IDS],
            &[],
            &["auth: needs an OIDC token, which GitHub does not offer to this step"],
        ),
        (&[&[("auth", "azure-pipelines")]], &[], &["azure-subscription: is missing"]),
        (&[&[("auth", "federated-token-file")], &IDS], &[], &["federated-token-file: is missing"]),
        (
            &[&subscription],
            &[],
            &[
                "client-id: is missing",
                "tenant-id: is missing",
                "SYSTEM_OIDCREQUESTURI: is not set",
                "SYSTEM_ACCESSTOKEN: is not set",
            ],
        ),
        (
            &[&subscription, &IDS],
            &[&[JOB[0], ("SYSTEM_ACCESSTOKEN", "$(System.AccessToken)")]],
            &["SYSTEM_ACCESSTOKEN: is a macro that is not defined"],
        ),
        (&[&[("azure-subscription", "$(connection)")]], &[], &["azure-subscription: is \"$(connection)\""]),
        (&[&creds, &[("client-id", OTHER)]], &[], &["client-id: contradicts creds, which names another"]),
        (&[&creds, &secret], &[], &["client-secret: is given beside creds"]),
        (&[&[("creds", "planted")]], &[], &["creds: is no JSON document (line 1, column 1)"]),
        (&[&[("creds", "$(login)")]], &[], &["creds: is \"$(login)\""]),
    ];
    for (given, variables, wanted) in table {
        assert_eq!(problems(given, variables), wanted, "{given:?}");
    }
}

#[test]
fn a_service_connection_that_cannot_release_says_why() {
    let given = raw(&[&[("azure-subscription", CONNECTION)]], Source::Step);
    for (variables, wanted) in [
        (
            endpoint("PublishProfile", &[], &[]),
            "signs in with a publish profile, which opens the SCM site only",
        ),
        (endpoint("Magic", &[], &[]), "signs in by \"Magic\", which is not supported"),
        (
            endpoint("ServicePrincipal", &APPLICATION, &[]),
            "names a service connection without serviceprincipalkey",
        ),
        (
            endpoint(
                "ServicePrincipal",
                &[
                    APPLICATION[0],
                    APPLICATION[1],
                    ("authenticationType", "spnCertificate"),
                    ("servicePrincipalCertificate", "planted"),
                ],
                &[],
            ),
            "has a certificate that holds no certificate in PEM form",
        ),
    ] {
        let problems = sign_in(&given, &with_job(variables), &Cloud::Public).expect_err(wanted);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].input, "azure-subscription");
        assert!(problems[0].message.starts_with(wanted), "{problems:?}");
        assert!(!format!("{problems:?}").contains("planted"));
    }
}

#[test]
fn an_old_server_without_the_request_uri_has_it_made_of_its_parts() {
    let given = raw(&[&[("azure-subscription", CONNECTION)], &IDS], Source::Step);
    let variables = environment(&[&[
        ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/o/"),
        ("SYSTEM_TEAMPROJECTID", "p"),
        ("SYSTEM_HOSTTYPE", "build"),
        ("SYSTEM_PLANID", "1"),
        ("SYSTEM_JOBID", "2"),
        JOB[1],
    ]]);
    let chosen = sign_in(&given, &variables, &Cloud::Public).expect("whole");
    let SignIn::AzurePipelines { request_uri, .. } = chosen.sign_in else { panic!("{chosen:?}") };
    assert_eq!(
        request_uri.as_str(),
        "https://dev.azure.com/o/p/_apis/distributedtask/hubs/build/plans/1/jobs/2/oidctoken"
    );
}

#[test]
fn the_audience_is_the_clouds_unless_it_is_given() {
    for (given, cloud, wanted) in [
        (raw(&[&IDS], Source::Step), Cloud::Public, "api://AzureADTokenExchange"),
        (raw(&[&IDS], Source::Step), Cloud::China, "api://AzureADTokenExchangeChina"),
        (raw(&[&IDS, &[("audience", "api://own")]], Source::Step), Cloud::Public, "api://own"),
    ] {
        let chosen = sign_in(&given, &environment(&[&GITHUB]), &cloud).expect("whole");
        let SignIn::GitHubOidc { audience, .. } = chosen.sign_in else { panic!("{chosen:?}") };
        assert_eq!(audience, wanted);
    }
}

#[test]
fn raw_values_and_variables_never_print() {
    let given = raw(&[&[("client-secret", "planted"), ("creds", "planted")]], Source::Step);
    let text = format!("{given:?} {:?}", environment(&[&GITHUB, &JOB]));
    assert!(text.contains("client-secret") && text.contains("SYSTEM_ACCESSTOKEN"), "{text}");
    assert!(!text.contains("planted"), "{text}");
}
