//! The third use, a job that takes a release back when something after it failed, as
//! often as it likes; and the rollback by hand.

use super::cloud::Cloud;
use super::example::{AzureJob, GitHubJob, Table};
use super::one_step::{on_azure, on_github, variables};
use super::told::{Words, told};

/// What the condition of GitHub's job comes to when a job before it failed.
fn runs_on_github(job: &GitHubJob, table: &Table) -> bool {
    assert_eq!(job.condition(), "(failure() || cancelled()) && needs.release.outputs.release-id != ''");
    !table.get("needs.release.outputs.release-id").is_empty()
}

fn runs_on_azure(job: &AzureJob, table: &Table) -> bool {
    assert_eq!(
        job.condition(),
        "and(or(failed(), canceled()), ne(dependencies.Release.outputs['release.releaseId'], ''))"
    );
    !table.get("dependencies.Release.outputs['release.releaseId']").is_empty()
}

/// Releases an app by the first job; gives what the last job is handed.
fn released_on_github(cloud: &Cloud, app: &str, outcome: &str) -> Table {
    let mut table = variables(cloud);
    let release = GitHubJob::of("rollback-on-failure.yml", "release");
    let ran = on_github(cloud, &release, app, &table);
    assert_eq!(ran.output("outcome"), outcome, "{}", ran.log);
    release.hand_on(&ran.outputs, &mut table);
    table
}

fn released_on_azure(cloud: &Cloud, app: &str, outcome: &str) -> Table {
    let mut table = Table::default();
    let release = AzureJob::of("rollback-on-failure.yml", "Release");
    let ran = on_azure(cloud, &release, app, &table);
    assert_eq!(ran.output("outcome"), outcome, "{}", ran.log);
    release.hand_on(&ran.outputs, &mut table);
    table
}

#[test]
fn a_release_is_taken_back_once_and_then_there_is_nothing_to_do_on_github() {
    let cloud = Cloud::with_payments();
    let [old, _] = cloud.builds();
    let table = released_on_github(&cloud, "sound", "released");
    let [new, _] = cloud.builds();
    let job = GitHubJob::of("rollback-on-failure.yml", "rollback");
    assert!(runs_on_github(&job, &table));
    let mut words = Words::of(&cloud);
    words.call(&old, "@OLD@");
    words.call(&new, "@NEW@");

    let first = on_github(&cloud, &job, "sound", &table);
    assert_eq!((first.code, first.output("outcome")), (0, "rolled-back"), "{}", first.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), ([old.clone(), new.clone()], 2));
    let second = on_github(&cloud, &job, "sound", &table);
    assert_eq!((second.code, second.output("outcome")), (0, "nothing-to-do"), "{}", second.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), ([old, new], 2));
    let both = [&first, &second].map(|ran| told(&words, &ran.commands, &ran.outputs));
    insta::assert_snapshot!(both.join("\n\nagain:\n"));
}

#[test]
fn a_release_is_taken_back_once_and_then_there_is_nothing_to_do_on_azure_pipelines() {
    let cloud = Cloud::with_payments();
    let [old, _] = cloud.builds();
    let table = released_on_azure(&cloud, "sound", "released");
    let [new, _] = cloud.builds();
    let job = AzureJob::of("rollback-on-failure.yml", "Rollback");
    assert!(runs_on_azure(&job, &table));
    let mut words = Words::of(&cloud);
    words.call(&old, "@OLD@");
    words.call(&new, "@NEW@");

    let first = on_azure(&cloud, &job, "sound", &table);
    assert!(first.succeeded && first.output("outcome") == "rolled-back", "{}", first.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), ([old.clone(), new.clone()], 2));
    let second = on_azure(&cloud, &job, "sound", &table);
    assert!(second.succeeded && second.output("outcome") == "nothing-to-do", "{}", second.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), ([old, new], 2));
    let both = [&first, &second].map(|ran| told(&words, &ran.commands, &ran.outputs));
    insta::assert_snapshot!(both.join("\n\nagain:\n"));
}

#[test]
fn a_release_that_never_was_leaves_nothing_to_take_back() {
    let cloud = Cloud::with_payments();
    let [old, _] = cloud.builds();
    let table = released_on_github(&cloud, "broken", "refused");
    let job = GitHubJob::of("rollback-on-failure.yml", "rollback");
    assert!(runs_on_github(&job, &table), "the slot holds the release");
    let ran = on_github(&cloud, &job, "broken", &table);
    assert_eq!((ran.code, ran.output("outcome")), (0, "nothing-to-do"), "{}", ran.log);

    let table = released_on_azure(&cloud, "broken", "refused");
    let job = AzureJob::of("rollback-on-failure.yml", "Rollback");
    assert!(runs_on_azure(&job, &table));
    let ran = on_azure(&cloud, &job, "broken", &table);
    assert!(ran.succeeded && ran.output("outcome") == "nothing-to-do", "{}", ran.log);
    assert_eq!((cloud.builds()[0].clone(), cloud.service.swaps()), (old, 0));
}

#[test]
fn a_release_that_took_itself_back_leaves_nothing_to_take_back() {
    let cloud = Cloud::with_payments();
    let [old, _] = cloud.builds();
    let table = released_on_github(&cloud, "breaks-in-production", "rolled-back");
    let job = GitHubJob::of("rollback-on-failure.yml", "rollback");
    assert!(runs_on_github(&job, &table));
    let ran = on_github(&cloud, &job, "breaks-in-production", &table);
    assert_eq!((ran.code, ran.output("outcome")), (0, "nothing-to-do"), "{}", ran.log);
    assert_eq!((cloud.builds()[0].clone(), cloud.service.swaps()), (old, 2));
}

/// A release whose inputs were wrong has no id, and the job's condition keeps the rollback from running.
#[test]
fn without_a_release_the_job_does_not_run() {
    let cloud = Cloud::start(serde_json::json!({}));
    let mut table = variables(&cloud);
    let release = GitHubJob::of("rollback-on-failure.yml", "release");
    table.set("vars.AZURE_SUBSCRIPTION_ID", "not an id");
    let runner = super::runner::Runner::of(&cloud, &release, super::cloud::workspace("sound"));
    let ran = runner.run(&release.with(&table));
    assert_eq!(ran.code, 2, "{}", ran.log);
    // An output that was never set is empty in an expression.
    let mut outputs = ran.outputs.clone();
    for name in ["release-id", "previous-build", "production-url"] {
        outputs.entry(name.to_owned()).or_default();
    }
    release.hand_on(&outputs, &mut table);
    assert!(!runs_on_github(&GitHubJob::of("rollback-on-failure.yml", "rollback"), &table));
}

#[test]
fn one_click_takes_the_last_release_back_and_a_second_click_does_not_undo_the_first() {
    let cloud = Cloud::with_payments();
    let [old, _] = cloud.builds();
    released_on_github(&cloud, "sound", "released");
    let [new, _] = cloud.builds();
    let mut table = variables(&cloud);
    // The form's field is left empty.
    table.set("inputs.release-id", "");
    let job = GitHubJob::of("one-click-rollback.yml", "rollback");
    let first = on_github(&cloud, &job, "sound", &table);
    assert_eq!((first.code, first.output("outcome")), (0, "rolled-back"), "{}", first.log);
    let second = on_github(&cloud, &job, "sound", &table);
    assert_eq!((second.code, second.output("outcome")), (3, "refused"), "{}", second.log);
    assert_eq!(second.annotations("error").len(), 1, "{}", second.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), ([old, new], 2));
}

#[test]
fn one_click_does_the_same_on_azure_pipelines() {
    let cloud = Cloud::with_payments();
    let [old, _] = cloud.builds();
    released_on_azure(&cloud, "sound", "released");
    let [new, _] = cloud.builds();
    // The parameter is left as it is.
    let parameters = super::example::document("examples/azure-pipelines/one-click-rollback.yml");
    let parameter = &parameters["parameters"][0];
    assert_eq!(parameter["name"], "releaseId");
    let default = parameter["default"].as_str().expect("a default");
    let table = Table::new(&[("parameters.releaseId", default)]);
    let job = AzureJob::of("one-click-rollback.yml", "Rollback");
    let first = on_azure(&cloud, &job, "sound", &table);
    assert!(first.succeeded && first.output("outcome") == "rolled-back", "{}", first.log);
    let second = on_azure(&cloud, &job, "sound", &table);
    assert!(!second.succeeded && second.output("outcome") == "refused", "{}", second.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), ([old, new], 2));
}
