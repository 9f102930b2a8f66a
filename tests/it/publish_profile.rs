//! Sign-in by publish profile: `deploy` and `check`, and nothing beside them.

use serde_json::{Value, json};

use crate::harness::Finished;
use crate::service::Service;

/// Calls Resource Manager as a person would in the portal, and gives the text.
fn manage(service: &Service, method: &str, place: &str, body: &Value) -> String {
    service.block_on(async {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}.default",
            service.get("client_id"),
            service.get("client_secret"),
            service.get("resource_manager"),
        );
        let token_url = format!("{}/{}/oauth2/v2.0/token", service.get("authority"), service.get("tenant_id"));
        let request = service.client().post(token_url).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.expect("an answer").text().await.expect("a text");
        let token: Value = serde_json::from_str(&answer).expect("a token");
        let url = format!(
            "{}subscriptions/{}/resourceGroups/{}/providers/Microsoft.Web/sites/{}/{place}?api-version=2024-11-01",
            service.get("resource_manager"),
            service.get("subscription_id"),
            service.get("resource_group"),
            service.get("app_name"),
        );
        let request = service.client().request(method.parse().expect("a method"), url);
        let request = request.bearer_auth(token["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{place}: {}", answer.status());
        answer.text().await.expect("a text")
    })
}

fn allow(service: &Service, slot: &str, allow: bool) {
    let place = format!("{slot}basicPublishingCredentialsPolicies/scm");
    manage(service, "PUT", &place, &json!({"properties": {"allow": allow}}));
}

/// The profile as downloaded, after basic authentication was allowed.
fn profile(service: &Service, slot: &str) -> String {
    allow(service, slot, true);
    manage(service, "POST", &format!("{slot}publishxml"), &json!({}))
}

const STAGING: &str = "slots/staging/";

fn password(profile: &str) -> &str {
    profile.split("userPWD=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a password")
}

/// Runs a verb that knows nothing but the profile.
fn run(service: &Service, verb: &str, profile: &str, more: &[&str]) -> Finished {
    run_with(service, verb, profile, more, &[])
}

fn run_with(
    service: &Service,
    verb: &str,
    profile: &str,
    more: &[&str],
    variables: &[(&str, &str)],
) -> Finished {
    let mut command = service.place.slotway(&[verb, "--output", "json", "--ca-file", service.get("ca_file")]);
    command.args(more).env("SLOTWAY_PUBLISH_PROFILE", profile).env("SLOTWAY_LOG", "trace");
    command.envs(variables.iter().copied());
    let finished = Finished::from(command.output().expect("the binary runs"));
    service.assert_quiet(&finished);
    assert_hidden(&finished, profile);
    finished
}

/// No password in any form, but in the commands that mask it.
fn assert_hidden(finished: &Finished, profile: &str) {
    use base64::Engine as _;
    if !profile.contains("userPWD") || password(profile) == "REDACTED" {
        return;
    }
    let password = password(profile);
    let user = profile.split("userName=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a user");
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let forms = [password.to_owned(), encoded(password), encoded(&format!("{user}:{password}"))];
    let masks = ["::add-mask::", "##vso[task.setsecret]"];
    let lines = finished.stdout.lines().chain(finished.stderr.lines());
    for line in lines.filter(|line| !masks.iter().any(|mask| line.starts_with(mask))) {
        assert!(!forms.iter().any(|form| line.contains(form)), "{line}");
    }
}

fn problem(finished: &Finished) -> String {
    assert_eq!(
        (finished.code, &finished.json()["outcome"]),
        (2, &"invalid-inputs".into()),
        "{}",
        finished.stderr
    );
    finished.json()["help"].to_string()
}

#[test]
fn a_deployment_by_profile_ends_staged_and_says_what_it_could_not_see() {
    let service = Service::start("");
    let old = service.serves("production");
    let profile = profile(&service, STAGING);
    service
        .place
        .write("slotway.yml", "checks:\n  - {path: /version.json, expect: {json: {\"$.version\": \"2\"}}}\n");
    let finished = run(&service, "deploy", &profile, &["--package", &service.package("2")]);
    let report = finished.json();
    assert_eq!((finished.code, &report["outcome"]), (0, &"staged".into()), "{}", finished.stderr);
    assert_eq!(
        (&service.serves("staging"), service.serves("production")),
        (&report["release-id"], old.clone())
    );
    for said in
        ["publish profile of contoso-web, slot staging", "could not be looked at", "production is untouched"]
    {
        assert!(finished.stderr.contains(said), "{said}: {}", finished.stderr);
    }
    let requests = service.control("GET", "requests", &Value::Null);
    let requests = requests.as_array().expect("a list");
    let by_us = requests.iter().filter(|request| request["service"] == "scm").collect::<Vec<_>>();
    assert!(!by_us.is_empty() && by_us.iter().all(|request| request["slot"] == "staging"), "{by_us:#?}");
    // Whoever may swap takes the release id over.
    let id = report["release-id"].as_str().expect("an id");
    assert!(report["next"].to_string().contains("slotway swap"), "{report:#}");
    let swapped = service.run("swap", &["--release-id", id]);
    assert_eq!((swapped.code, service.serves("production")), (0, json!(id)), "{}", swapped.stderr);
}

#[test]
fn a_check_by_profile_asks_the_slot_that_the_profile_names() {
    let service = Service::start("");
    let profile = profile(&service, STAGING);
    run(&service, "deploy", &profile, &["--package", &service.package("2")]);
    service
        .place
        .write("slotway.yml", "checks:\n  - {path: /version.json, expect: {json: {\"$.version\": \"2\"}}}\n");
    let good = run(&service, "check", &profile, &[]);
    assert_eq!((good.code, &good.json()["verdict"]), (0, &"pass".into()), "{}", good.stderr);
    assert_eq!(good.json()["url"], format!("{}/", service.url("staging")));
    assert!(good.stderr.contains("one request stands for all"), "{}", good.stderr);
    service.place.write(
        "slotway.yml",
        "checks:\n  - {path: /version.json, retry-for: 0s, expect: {json: {\"$.version\": \"3\"}}}\n",
    );
    let bad = run(&service, "check", &profile, &[]);
    assert_eq!((bad.code, &bad.json()["verdict"]), (3, &"fail".into()), "{}", bad.stderr);
}

#[test]
fn a_staging_that_fails_its_checks_is_refused() {
    let service = Service::start("");
    let profile = profile(&service, STAGING);
    service.place.write(
        "slotway.yml",
        "checks:\n  - {path: /version.json, retry-for: 0s, expect: {json: {\"$.version\": \"3\"}}}\n",
    );
    let finished = run(&service, "deploy", &profile, &["--package", &service.package("2")]);
    assert_eq!((finished.code, &finished.json()["outcome"]), (3, &"refused".into()), "{}", finished.stderr);
    assert!(finished.json()["cause"].to_string().contains("version"), "{}", finished.stdout);
}

#[test]
fn every_other_verb_says_what_a_profile_cannot_do() {
    let service = Service::start("");
    let profile = profile(&service, STAGING);
    let package = service.package("2");
    let before = service.serves("staging");
    for (verb, flags) in [
        ("release", vec!["--package", package.as_str()]),
        ("swap", vec!["--release-id", "x"]),
        ("rollback", vec![]),
        ("settle", vec![]),
        ("plan", vec![]),
        ("status", vec![]),
    ] {
        let said = problem(&run(&service, verb, &profile, &flags));
        assert!(
            said.contains(&format!("cannot sign in for {verb}")) && said.contains("GitHub OIDC"),
            "{said}"
        );
    }
    assert_eq!(service.serves("staging"), before);
}

#[test]
fn productions_own_profile_and_wrong_ones_are_refused_untouched() {
    let service = Service::start("");
    let old = service.serves("production");
    let package = service.package("2");
    let flags = ["--package", package.as_str()];
    let own = profile(&service, "");
    assert!(problem(&run(&service, "deploy", &own, &flags)).contains("production itself"));
    let staging = profile(&service, STAGING);
    let other =
        problem(&run(&service, "deploy", &staging, &[&flags[..], &["--slot-name", "canary"]].concat()));
    assert!(other.contains("publish-profile is of staging"), "{other}");
    let both = run_with(&service, "deploy", &staging, &flags, &[("SLOTWAY_CREDS", "{}")]);
    assert!(problem(&both).contains("creds: is given beside publish-profile"));
    assert!(problem(&run(&service, "deploy", "planted", &flags)).contains("is no XML document"));
    allow(&service, STAGING, false);
    let redacted = manage(&service, "POST", &format!("{STAGING}publishxml"), &json!({}));
    assert!(problem(&run(&service, "deploy", &redacted, &flags)).contains("REDACTED"));
    assert_eq!(service.serves("production"), old);
}

#[test]
fn a_profile_that_is_not_let_in_gets_advice() {
    let service = Service::start("");
    let profile = profile(&service, STAGING);
    allow(&service, STAGING, false);
    let package = service.package("2");
    let finished = run(&service, "deploy", &profile, &["--package", &package]);
    assert_eq!((finished.code, &finished.json()["outcome"]), (3, &"refused".into()), "{}", finished.stderr);
    for said in
        ["the publish profile was refused: HTTP 401", "basicPublishingCredentialsPolicies/scm", "GitHub OIDC"]
    {
        assert!(finished.stderr.contains(said), "{said}: {}", finished.stderr);
    }
}

#[test]
fn on_github_every_form_of_the_password_is_masked() {
    let service = Service::start("");
    let profile = profile(&service, STAGING);
    let step = |arguments: &[&str]| {
        let mut command = service.place.slotway(arguments);
        let ca_file = service.get("ca_file");
        for (name, value) in [
            ("GITHUB_ACTIONS", "true"),
            ("INPUT_COMMAND", "deploy"),
            ("INPUT_PUBLISH-PROFILE", profile.as_str()),
            ("INPUT_PACKAGE", &service.package("2")),
            ("INPUT_CA-FILE", ca_file),
        ] {
            command.env(name, value);
        }
        Finished::from(command.output().expect("the binary runs"))
    };
    let finished = step(&["run"]);
    assert_eq!(finished.code, 0, "{}\n{}", finished.stdout, finished.stderr);
    let post = step(&["run", "--settle"]);
    assert_eq!((post.code, post.stderr.as_str()), (0, ""), "nothing is left to settle: {}", post.stdout);
    assert!(
        finished.stdout.contains(&format!("::add-mask::{}\n", password(&profile))),
        "the password is masked"
    );
    let pair = format!("$contoso-web__staging:{}", password(&profile));
    let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
    assert!(finished.stdout.contains(&format!("::add-mask::{pair}\n")), "and as it travels");
    assert_hidden(&finished, &profile);
}

#[test]
fn an_scm_site_that_echoes_the_password_is_not_repeated() {
    let service = Service::start("");
    let profile = profile(&service, STAGING);
    let rule = json!({"times": 0, "on": {"service": "scm", "path": "api/publish"}, "do": "echo"});
    service.control("POST", "faults", &rule);
    let package = service.package("2");
    // What hides the password in all its forms is asserted by `run`.
    let finished = run(&service, "deploy", &profile, &["--package", &package]);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    let told = finished.json()["cause"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains("you sent Basic ***"), "the echo is told: {told}");
}
