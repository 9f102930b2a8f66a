//! What goes wrong before anything happens is one error on the run's page, whose first
//! line tells what it is, and nothing in production or the slot has changed.

use serde_json::{Value, json};

use super::agent::Agent;
use super::cloud::{Cloud, workspace};
use super::example::{AzureJob, GitHubJob, Table, Values};
use super::forms::{assert_quiet_azure, assert_quiet_github};
use super::one_step::variables;
use super::runner::Runner;
use super::told::Words;

/// What both hosts show of a release that goes wrong.
fn errors(cloud: &Cloud, code: i32, github: &Values, azure: &Values) -> String {
    let before = cloud.builds();
    let mut words = Words::of(cloud);
    words.call(&before[0], "@OLD@");
    let job = GitHubJob::of("release-step.yml", "release");
    let runner = Runner::of(cloud, &job, workspace("sound"));
    let ran = runner.run(github);
    assert_quiet_github(cloud, &runner, &ran);
    assert_eq!(ran.code, code, "{}", ran.log);
    let on_github = ran.annotations("error");
    assert_eq!(on_github.len(), 1, "{on_github:?}");

    let agent = Agent::new(cloud, workspace("sound"));
    let ran = agent.run(azure);
    assert_quiet_azure(cloud, &agent, &ran);
    assert!(!ran.succeeded, "{}", ran.log);
    let on_azure = ran.issues("error");
    assert_eq!(on_azure.len(), 1, "{on_azure:?}");
    assert_eq!((cloud.builds(), cloud.service.swaps()), (before, 0));
    let (title, text) = &on_github[0];
    words.replace(&format!("GitHub: {title}\n{text}\n\nAzure Pipelines: {}", on_azure[0]))
}

fn examples(cloud: &Cloud) -> (Values, Values) {
    let github = GitHubJob::of("release-step.yml", "release").with(&variables(cloud));
    let azure = AzureJob::of("release-step.yml", "Release").inputs(&Table::default());
    (github, azure)
}

pub(super) fn with(values: &Values, more: &[(&str, &str)]) -> Values {
    let mut values = values.clone();
    values.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    values
}

#[test]
fn one_wrong_input() {
    let cloud = Cloud::start(json!({}));
    let (github, azure) = examples(&cloud);
    let github = with(&github, &[("slot-name", "sta ging")]);
    let azure = with(&azure, &[("slotName", "$(slot)")]);
    insta::assert_snapshot!(errors(&cloud, 2, &github, &azure));
}

#[test]
fn several_wrong_inputs() {
    let cloud = Cloud::start(json!({}));
    let (github, azure) = examples(&cloud);
    let github = with(&github, &[("app-name", ""), ("clean", "maybe"), ("release-id", "##[error]::x::")]);
    let azure = with(&azure, &[("appName", ""), ("clean", "maybe"), ("releaseId", "##vso[task.complete]")]);
    insta::assert_snapshot!(errors(&cloud, 2, &github, &azure));
}

#[test]
fn a_command_that_there_is_not() {
    let cloud = Cloud::start(json!({}));
    let (github, azure) = examples(&cloud);
    let command = [("command", "promote")];
    insta::assert_snapshot!(errors(&cloud, 2, &with(&github, &command), &with(&azure, &command)));
}

#[test]
fn a_package_that_is_not_there() {
    let cloud = Cloud::start(json!({}));
    let (github, azure) = examples(&cloud);
    let package = [("package", "nowhere")];
    insta::assert_snapshot!(errors(&cloud, 2, &with(&github, &package), &with(&azure, &package)));
}

#[test]
fn a_right_that_is_missing() {
    let cloud = Cloud::start(json!({}));
    cloud.service.act(&json!({"role": "none"}));
    let (github, azure) = examples(&cloud);
    insta::assert_snapshot!(errors(&cloud, 3, &github, &azure));
}

#[test]
fn a_right_to_change_that_is_missing() {
    let cloud = Cloud::start(json!({}));
    cloud.service.act(&json!({"role": "reader"}));
    let (github, azure) = examples(&cloud);
    insta::assert_snapshot!(errors(&cloud, 3, &github, &azure));
}

#[test]
fn an_scm_site_that_lets_nobody_in() {
    // What a site with access restrictions answers to whoever is not let in (kudu-deploy §4). A site that does
    // not answer at all is waited for two minutes first, which no test should.
    let page = "<!DOCTYPE html><html><head><title>Web App - Unavailable</title></head><body>403 Ip Forbidden</body></html>";
    let answer = json!({"status": {"code": 403, "headers": {"content-type": "text/html"}, "body": page}});
    let closed = json!({"on": {"service": "scm"}, "times": 0, "do": answer});
    let cloud = Cloud::start(json!({"faults": [closed]}));
    let (github, azure) = examples(&cloud);
    insta::assert_snapshot!(errors(&cloud, 3, &github, &azure));
}

#[test]
fn a_subject_that_no_credential_names() {
    let cloud = Cloud::start(json!({}));
    let (github, _) = examples(&cloud);
    let mut runner = Runner::bare(&cloud, workspace("sound"));
    runner.offer_tokens("repo:contoso/shop:ref:refs/heads/main");
    let ran = runner.run(&github);
    assert_quiet_github(&cloud, &runner, &ran);
    let errors = ran.annotations("error");
    assert_eq!((ran.code, errors.len()), (3, 1), "{}", ran.log);
    let (title, text) = &errors[0];
    insta::assert_snapshot!(Words::of(&cloud).replace(&format!("{title}\n{text}")));
}

#[test]
fn a_job_that_may_not_ask_for_tokens() {
    let cloud = Cloud::start(json!({}));
    let (github, _) = examples(&cloud);
    let runner = Runner::bare(&cloud, workspace("sound"));
    let ran = runner.run(&github);
    let errors = ran.annotations("error");
    assert_eq!((ran.code, errors.len()), (2, 1), "{}", ran.log);
    assert!(errors[0].1.contains("permissions: id-token: write"), "{errors:?}");
    let requests = cloud.service.control("GET", "requests", &Value::Null);
    let services = requests.as_array().expect("a list").iter().map(|request| &request["service"]);
    assert!(services.into_iter().all(|service| service == "control"), "nobody was asked: {requests}");
}
