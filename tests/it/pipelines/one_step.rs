//! The first use: a step after the build, which releases, goes back, or refuses.

use super::agent::{self, Agent};
use super::cloud::{Cloud, workspace};
use super::example::{AzureJob, GitHubJob, Table};
use super::forms::{assert_quiet_azure, assert_quiet_github};
use super::runner::{self, Runner};
use super::told::{Words, told};

/// What stands in the repository's variables.
pub(super) fn variables(cloud: &Cloud) -> Table {
    Table::new(&[
        ("vars.AZURE_CLIENT_ID", cloud.get("client_id")),
        ("vars.AZURE_TENANT_ID", cloud.get("tenant_id")),
        ("vars.AZURE_SUBSCRIPTION_ID", cloud.get("subscription_id")),
    ])
}

/// Runs a job of a GitHub example on a runner of its own.
pub(super) fn on_github(cloud: &Cloud, job: &GitHubJob, app: &str, table: &Table) -> runner::Ran {
    let runner = Runner::of(cloud, job, workspace(app));
    let ran = runner.run(&job.with(table));
    assert_quiet_github(cloud, &runner, &ran);
    assert_true_on_github(cloud, &ran);
    ran
}

/// Runs a job of an Azure Pipelines example on an agent of its own.
pub(super) fn on_azure(cloud: &Cloud, job: &AzureJob, app: &str, table: &Table) -> agent::Ran {
    let agent = Agent::new(cloud, workspace(app));
    let ran = agent.run(&job.inputs(table));
    assert_quiet_azure(cloud, &agent, &ran);
    assert_true_on_azure(cloud, &ran);
    ran
}

/// The outputs, the report and the summary say the same, and what they say of production is so.
fn assert_true_on_github(cloud: &Cloud, ran: &runner::Ran) {
    let [production, _] = cloud.builds();
    assert_eq!(ran.output("production-build"), production, "{}", ran.log);
    assert_eq!(ran.report["production"]["after"], production.as_str());
    assert_eq!(ran.report["outcome"], ran.output("outcome"));
    assert_eq!(ran.report["exit-code"], ran.code);
    assert!(ran.summary.contains(ran.output("outcome")), "{}", ran.summary);
    assert!(ran.summary.contains(&production), "{}", ran.summary);
}

fn assert_true_on_azure(cloud: &Cloud, ran: &agent::Ran) {
    let [production, _] = cloud.builds();
    assert_eq!(ran.output("productionBuild"), production, "{}", ran.log);
    assert_eq!(ran.report["production"]["after"], production.as_str());
    assert_eq!(ran.report["outcome"], ran.output("outcome"));
    assert_eq!(ran.report["exit-code"] == 0, ran.succeeded);
    let summary = ran.file("task.uploadsummary");
    assert!(summary.contains(ran.output("outcome")) && summary.contains(&production), "{summary}");
}

/// A release by the example's one step, the words for it, and what was told.
fn release_on_github(cloud: &Cloud, app: &str) -> (runner::Ran, String) {
    let mut words = Words::of(cloud);
    words.call(&cloud.builds()[0], "@OLD@");
    let job = GitHubJob::of("release-step.yml", "release");
    let ran = on_github(cloud, &job, app, &variables(cloud));
    words.call(ran.output("release-id"), "@NEW@");
    let text = told(&words, &ran.commands, &ran.outputs);
    (ran, text)
}

fn release_on_azure(cloud: &Cloud, app: &str) -> (agent::Ran, String) {
    let mut words = Words::of(cloud);
    words.call(&cloud.builds()[0], "@OLD@");
    let job = AzureJob::of("release-step.yml", "Release");
    let ran = on_azure(cloud, &job, app, &Table::default());
    words.call(ran.output("releaseId"), "@NEW@");
    let text = told(&words, &ran.commands, &ran.outputs);
    (ran, text)
}

#[test]
fn a_good_build_is_released_on_github() {
    let cloud = Cloud::with_payments();
    let (ran, told) = release_on_github(&cloud, "sound");
    assert_eq!((ran.code, cloud.service.swaps()), (0, 1), "{}", ran.log);
    insta::assert_snapshot!(told);
}

#[test]
fn a_good_build_is_released_on_azure_pipelines() {
    let cloud = Cloud::with_payments();
    let (ran, told) = release_on_azure(&cloud, "sound");
    assert!(ran.succeeded && cloud.service.swaps() == 1, "{}", ran.log);
    // Each of two checks, on staging and on production, is a test in the Tests tab.
    let junit = ran.file("results.publish");
    assert_eq!(junit.matches("<testcase name=\"health\"").count(), 2, "{junit}");
    assert!(junit.contains("failures=\"0\" errors=\"0\""), "{junit}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_build_that_fails_in_production_is_taken_back_on_github() {
    let cloud = Cloud::with_payments();
    let (ran, told) = release_on_github(&cloud, "breaks-in-production");
    assert_eq!((ran.code, cloud.service.swaps()), (4, 2), "{}", ran.log);
    insta::assert_snapshot!(told);
}

#[test]
fn a_build_that_fails_in_production_is_taken_back_on_azure_pipelines() {
    let cloud = Cloud::with_payments();
    let (ran, told) = release_on_azure(&cloud, "breaks-in-production");
    assert!(!ran.succeeded && cloud.service.swaps() == 2, "{}", ran.log);
    assert!(ran.file("results.publish").contains("<failure"), "the failed check is a failed test");
    insta::assert_snapshot!(told);
}

#[test]
fn a_build_that_fails_in_the_slot_is_refused_on_github() {
    let cloud = Cloud::with_payments();
    let (ran, told) = release_on_github(&cloud, "broken");
    assert_eq!((ran.code, cloud.service.swaps()), (3, 0), "{}", ran.log);
    insta::assert_snapshot!(told);
}

#[test]
fn a_build_that_fails_in_the_slot_is_refused_on_azure_pipelines() {
    let cloud = Cloud::with_payments();
    let (ran, told) = release_on_azure(&cloud, "broken");
    assert!(!ran.succeeded && cloud.service.swaps() == 0, "{}", ran.log);
    insta::assert_snapshot!(told);
}
