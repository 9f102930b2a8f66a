//! Secrets with a value of their own in every place where a step could find one: inputs,
//! variables of both hosts, files, app settings and connection strings. Whatever a run
//! does and however it ends, no form of any of them is in anything it leaves.

use serde_json::{Value, json};

use super::agent::{Agent, Scheme};
use super::cloud::{Cloud, workspace};
use super::example::{AzureJob, GitHubJob, Table, Values};
use super::forms::{Shown, of_every_run};
use super::issuer::Server;
use super::one_step::variables;
use super::runner::Runner;
use super::signing_in::token;
use crate::harness::Place;

/// A value that no other place has, with something in it for every encoding to change.
fn planted(place: &str) -> String {
    format!("Pl4nt~{place}/+=&<\"'>%\\\u{e9} end")
}

/// Checks that show everything that they can see, thirty lines each, and fail.
const NOSY: &str = "checks:
- {name: first, run: 'env | sort | sed -n 1,30p; exit 1'}
- {name: second, run: 'env | sort | sed -n 31,60p; exit 1'}
- {name: third, run: 'env | sort | sed -n 61,90p; exit 1'}
- {name: coded, run: 'env | base64 | head -n 40; exit 1'}
- {name: digits, run: 'env | od -A n -t x1 | tr -d \" \\n\"; exit 1'}
";

/// Settings and connection strings of both slots, each with a secret; the secrets.
fn plant_in_the_app(cloud: &Cloud) -> Vec<String> {
    let mut secrets = Vec::new();
    let bearer = format!("Bearer {}", token(cloud));
    for slot in ["production", "staging"] {
        let mut secret = |name: &str| {
            secrets.push(planted(&format!("{slot}-{name}")));
            secrets[secrets.len() - 1].clone()
        };
        let set = json!({"API_KEY": secret("setting"), "STORAGE_CONNECTION": secret("sticky")});
        cloud.service.act(&json!({"settings": {"slot": slot, "set": set}}));
        let site = format!(
            "{}subscriptions/{}/resourceGroups/{}/providers/Microsoft.Web/sites/{}",
            cloud.get("resource_manager"),
            cloud.get("subscription_id"),
            cloud.get("resource_group"),
            cloud.get("app_name")
        );
        let slot = if slot == "production" { String::new() } else { format!("/slots/{slot}") };
        let url = format!("{site}{slot}/config/connectionstrings?api-version=2024-11-01");
        let body = json!({"properties": {"Db": {"value": secret("string"), "type": "SQLAzure"}}});
        cloud.service.block_on(async {
            let request = cloud.service.client().put(url).header("authorization", &bearer);
            let answer =
                request.header("content-type", "application/json").body(body.to_string()).send().await;
            assert_eq!(answer.expect("an answer").status(), 200);
        });
    }
    cloud.service.control("POST", "drain", &json!({}));
    secrets
}

/// Variables that hosts, tasks and other tools set, each with a secret.
fn plant_in_the_environment(environment: &mut Values, names: &[&str]) -> Vec<String> {
    let plant = |name: &&str| {
        let secret = planted(name);
        environment.insert((*name).to_owned(), secret.clone());
        secret
    };
    names.iter().map(plant).collect()
}

/// The verbs one after the other, so that each finds something to do; the last fails in the slot.
const VERBS: [&str; 7] = ["plan", "deploy", "status", "swap", "rollback", "check", "settle"];

/// GitHub's API, as far as a deployment record and a comment need it.
fn github_api(cloud: &Cloud) -> Server {
    cloud.service.block_on(Server::start_plain(|asked| {
        let token =
            asked.headers.get("authorization").is_some_and(|header| header.contains("Pl4nt~github-token"));
        match (token, asked.method.as_str()) {
            (false, _) => (401, String::new()),
            (true, "GET") => (200, "[]".to_owned()),
            (true, _) => (200, json!({"id": 1}).to_string()),
        }
    }))
}

/// A runner with a secret in every secret input and in the variables that are there beside; the secrets.
fn runner<'a>(cloud: &'a Cloud, place: Place, api: &Server) -> (Runner<'a>, Values, Vec<String>) {
    let mut runner = Runner::bare(cloud, place);
    runner.offer_tokens("repo:contoso/shop:environment:production");
    runner.set("GITHUB_API_URL", api.base());
    runner.set("SLOTWAY_LOG", "trace");
    runner.place.write("_temp/event.json", r#"{"pull_request": {"number": 7, "head": {"sha": "5c1e0ff"}}}"#);
    let names =
        ["ACTIONS_RUNTIME_TOKEN", "GITHUB_TOKEN", "IDENTITY_HEADER", "AZURE_CLIENT_SECRET", "DB_PASSWORD"];
    let mut secrets = plant_in_the_environment(&mut runner.environment, &names);
    // The name gives nothing away.
    runner.set("HARMLESS", &format!("user:{}@server", cloud.get("client_secret")));
    let mut with = GitHubJob::of("release-step.yml", "release").with(&variables(cloud));
    // The token is ASCII, as every token is; what carries it is a header.
    let (github_token, other_secret) = ("Pl4nt~github-token/+=&<>%".to_owned(), planted("creds"));
    let creds = json!({
        "clientId": cloud.get("client_id"),
        "clientSecret": other_secret,
        "tenantId": cloud.get("tenant_id"),
    });
    for (name, value) in [
        ("auth", "client-secret"),
        ("client-secret", cloud.get("client_secret")),
        ("creds", &creds.to_string()),
        ("github-token", &github_token),
        ("github-environment", "production"),
        ("pull-request-comment", "true"),
    ] {
        with.insert(name.to_owned(), value.to_owned());
    }
    secrets.extend([github_token, other_secret, creds.to_string()]);
    (runner, with, secrets)
}

/// Everything that a job's steps have left: logs, files of the host and of the workspace.
fn assert_without(log: &str, folder: &std::path::Path, secrets: &[String]) {
    let mut shown = Shown::default();
    shown.add_log("the log", log);
    shown.add_folder(&folder.join("_temp"));
    shown.add_folder(&folder.join("tmp"));
    shown.add_folder(&folder.join("home"));
    shown.assert_without(secrets);
}

#[test]
fn no_secret_is_in_anything_that_a_step_leaves_on_github() {
    let cloud = Cloud::with_payments();
    let mut secrets = plant_in_the_app(&cloud);
    let api = github_api(&cloud);
    let (runner, mut with, planted) = runner(&cloud, workspace("sound"), &api);
    secrets.extend(planted);
    let mut log = String::new();
    for verb in VERBS {
        with.insert("command".to_owned(), verb.to_owned());
        let ran = runner.run(&with);
        assert_eq!(ran.code, 0, "{verb}: {}", ran.log);
        if verb == "deploy" {
            with.insert("release-id".to_owned(), ran.output("release-id").to_owned());
            with.insert("previous-build".to_owned(), ran.output("previous-build").to_owned());
        }
        log += &ran.log;
    }
    assert!(api.asked() > 0, "the token was used");
    secrets.extend(of_every_run(&cloud, &runner.environment));
    assert_without(&log, runner.place.path(), &secrets);
}

#[test]
fn no_secret_is_shown_by_a_check_that_prints_all_it_sees_on_github() {
    let cloud = Cloud::with_payments();
    let mut secrets = plant_in_the_app(&cloud);
    let api = github_api(&cloud);
    let place = workspace("sound");
    place.write("slotway.yml", NOSY);
    let (runner, with, planted) = runner(&cloud, place, &api);
    secrets.extend(planted);
    let ran = runner.run(&with);
    assert_eq!((ran.code, ran.output("outcome")), (3, "refused"), "{}", ran.log);
    assert!(ran.log.contains("SLOTWAY_SLOT=staging"), "the check's output is shown: {}", ran.log);
    secrets.extend(of_every_run(&cloud, &runner.environment));
    assert_without(&ran.log, runner.place.path(), &secrets);
}

/// What an agent has beside the connection's own values.
const AGENT_SECRETS: [&str; 6] = [
    "SECRET_DB_PASSWORD",
    "SECURE_PASSWORD",
    "VSTS_TASKVARIABLE_SECRET",
    "SECUREFILE_TICKET_A1B2",
    "ENDPOINT_AUTH_PARAMETER_OTHER_APITOKEN",
    "AGENT_PROXYPASSWORD",
];

fn on_azure(scheme: Scheme, config: Option<&str>) {
    let cloud = Cloud::with_payments();
    let mut secrets = plant_in_the_app(&cloud);
    let mut agent = Agent::new(&cloud, workspace("sound")).connected_by(scheme);
    if let Some(config) = config {
        agent.place.write("slotway.yml", config);
    }
    agent.set("SLOTWAY_LOG", "trace");
    secrets.extend(plant_in_the_environment(&mut agent.environment, &AGENT_SECRETS));
    let mut inputs = AzureJob::of("release-step.yml", "Release").inputs(&Table::default());
    let mut log = String::new();
    let verbs = if config.is_some() { &["release"][..] } else { &VERBS };
    for verb in verbs {
        inputs.insert("command".to_owned(), (*verb).to_owned());
        let ran = agent.run(&inputs);
        assert_eq!(ran.succeeded, config.is_none(), "{verb}: {}", ran.log);
        if *verb == "deploy" {
            inputs.insert("releaseId".to_owned(), ran.output("releaseId").to_owned());
            inputs.insert("previousBuild".to_owned(), ran.output("previousBuild").to_owned());
        }
        log += &ran.log;
    }
    assert_eq!(log.contains("SLOTWAY_SLOT=staging"), config.is_some(), "{log}");
    let key = super::issuer::pem("key-pkcs8.pem");
    secrets.extend(key.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
    secrets.extend(of_every_run(&cloud, &agent.environment));
    assert_without(&log, agent.place.path(), &secrets);
}

#[test]
fn no_secret_is_in_anything_that_a_task_leaves_on_azure_pipelines() {
    on_azure(Scheme::Secret, None);
    on_azure(Scheme::Certificate, None);
}

#[test]
fn no_secret_is_shown_by_a_check_that_prints_all_it_sees_on_azure_pipelines() {
    on_azure(Scheme::Secret, Some(NOSY));
    on_azure(Scheme::Federated, Some(NOSY));
}

/// An archive from elsewhere has an entry whose name is markup, and cannot be shipped for it: the name
/// is told in the comment under the bot's name, and calls nobody, shows nothing and links nowhere.
#[test]
fn an_errors_words_are_no_markup_in_the_comment_and_in_the_summary() {
    const NAME: &str = "../@org/team <img src=x> [a](https://b.example) | c | `d` <!-- -->";
    let cloud = Cloud::start(json!({}));
    let api = github_api(&cloud);
    let (runner, with, _) = runner(&cloud, workspace("sound"), &api);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(NAME, zip::write::SimpleFileOptions::default()).expect("an entry");
    runner.place.write("planted.zip", archive.finish().expect("an archive").into_inner());
    let ran = runner.run(&super::errors::with(&with, &[("package", "planted.zip"), ("command", "deploy")]));
    assert_eq!((ran.code, ran.output("outcome")), (2, "invalid-inputs"), "{}", ran.log);
    let heard = api.heard();
    let comment = heard.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let comment = comment.filter_map(|body| body["body"].as_str().map(str::to_owned)).next_back();
    let comment = comment.unwrap_or_else(|| panic!("a comment in {heard}"));
    for (place, text) in [("comment", &comment), ("summary", &ran.summary)] {
        assert!(
            text.contains("org/team &lt;img src=x&gt; \\[a\\]"),
            "the name is told in the {place}: {text}"
        );
        // Our own marker of the comment is a comment in HTML.
        let foreign = text.split_once("## ").expect("a heading").1;
        let bare = foreign.replace("\\]", "").replace("\\|", "").replace("\\`", "");
        for markup in ["@org", "<", "[", "]", "|", "`"] {
            assert!(!bare.replace("\\[", "").contains(markup), "{markup} lives in the {place}: {text}");
        }
    }
}

/// The secrets that the step knows are masked in every form before anything else is said.
#[test]
fn every_secret_is_masked_before_anything_is_said() {
    let cloud = Cloud::start(json!({}));
    let api = github_api(&cloud);
    let (runner, with, _) = runner(&cloud, workspace("sound"), &api);
    let ran = runner.run(&super::errors::with(&with, &[("command", "status")]));
    let masked: Vec<&str> = ran
        .commands
        .iter()
        .take_while(|command| command.name == "add-mask")
        .map(|command| command.data.as_str())
        .collect();
    let creds: Value = serde_json::from_str(&with["creds"]).expect("JSON");
    for secret in
        [&with["client-secret"], &with["github-token"], creds["clientSecret"].as_str().expect("a text")]
    {
        assert!(masked.contains(&secret), "{secret} in {masked:?}");
        let json = Value::from(secret).to_string();
        assert!(masked.contains(&json.trim_matches('"')), "{json}");
    }
}
