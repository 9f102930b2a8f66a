//! The second use: `deploy` in one job, `swap` in another with an empty workspace, after
//! people have looked. The second refuses if either slot changed in between.

use serde_json::json;

use super::agent::Agent;
use super::cloud::Cloud;
use super::example::{AzureJob, GitHubJob, Table};
use super::one_step::{on_azure, on_github, variables};
use super::told::{Words, told};
use crate::harness::Place;

/// Deploys by the first job and gives what the second job is handed.
fn staged_on_github(cloud: &Cloud) -> Table {
    let mut table = variables(cloud);
    let stage = GitHubJob::of("approval.yml", "stage");
    let ran = on_github(cloud, &stage, "sound", &table);
    assert_eq!((ran.code, ran.output("outcome")), (0, "staged"), "{}", ran.log);
    let [production, staging] = cloud.builds();
    assert_eq!((ran.output("release-id"), ran.output("previous-build")), (&*staging, &*production));
    stage.hand_on(&ran.outputs, &mut table);
    table
}

fn staged_on_azure(cloud: &Cloud) -> Table {
    let mut table = Table::default();
    let stage = AzureJob::of("approval.yml", "Deploy");
    let ran = on_azure(cloud, &stage, "sound", &table);
    assert!(ran.succeeded && ran.output("outcome") == "staged", "{}", ran.log);
    let [production, staging] = cloud.builds();
    assert_eq!((ran.output("releaseId"), ran.output("previousBuild")), (&*staging, &*production));
    stage.hand_on(&ran.outputs, &mut table);
    table
}

/// Somebody deploys to the slot while people decide.
fn staging_moves_on(cloud: &Cloud) {
    let package = cloud.service.package("3");
    cloud.service.act(&json!({"deploy": {"slot": "staging", "package": package}}));
    cloud.service.control("POST", "drain", &json!({}));
}

/// Somebody swaps another slot in, and the release still stands in staging.
fn production_moves_on(cloud: &Cloud) {
    cloud.service.act(&json!({"swap": {"source": "hotfix"}}));
    cloud.service.control("POST", "drain", &json!({}));
}

/// A cloud with a third slot, for a hotfix that goes its own way.
fn with_hotfix() -> Cloud {
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/storefront/v2");
    Cloud::start(json!({"slots": {"hotfix": {"package": package}}}))
}

#[test]
fn what_the_first_job_hands_on_is_swapped_by_the_second_on_github() {
    let cloud = Cloud::start(json!({}));
    let [old, _] = cloud.builds();
    let table = staged_on_github(&cloud);
    let [_, new] = cloud.builds();
    let ran = on_github(&cloud, &GitHubJob::of("approval.yml", "swap"), "sound", &table);
    assert_eq!((ran.code, cloud.service.swaps()), (0, 1), "{}", ran.log);
    assert_eq!(cloud.builds(), [new.clone(), old.clone()]);
    let mut words = Words::of(&cloud);
    words.call(&old, "@OLD@");
    words.call(&new, "@NEW@");
    insta::assert_snapshot!(told(&words, &ran.commands, &ran.outputs));
}

#[test]
fn what_the_first_stage_hands_on_is_swapped_by_the_second_on_azure_pipelines() {
    let cloud = Cloud::start(json!({}));
    let [old, _] = cloud.builds();
    let table = staged_on_azure(&cloud);
    let [_, new] = cloud.builds();
    let ran = on_azure(&cloud, &AzureJob::of("approval.yml", "Swap"), "sound", &table);
    assert!(ran.succeeded && cloud.service.swaps() == 1, "{}", ran.log);
    assert_eq!(cloud.builds(), [new.clone(), old.clone()]);
    let mut words = Words::of(&cloud);
    words.call(&old, "@OLD@");
    words.call(&new, "@NEW@");
    insta::assert_snapshot!(told(&words, &ran.commands, &ran.outputs));
}

#[test]
fn a_swap_is_refused_when_the_slot_has_moved_on() {
    let cloud = Cloud::start(json!({}));
    let table = staged_on_github(&cloud);
    staging_moves_on(&cloud);
    let before = cloud.builds();
    let ran = on_github(&cloud, &GitHubJob::of("approval.yml", "swap"), "sound", &table);
    assert_eq!((ran.code, ran.output("outcome")), (3, "refused"), "{}", ran.log);
    let errors = ran.annotations("error");
    assert_eq!(errors.len(), 1, "{errors:?}");
    let telling = format!("staging serves {}, not the release", before[1]);
    assert!(errors[0].1.starts_with(&telling), "{errors:?}");

    let table = staged_on_azure(&cloud);
    staging_moves_on(&cloud);
    let ran = on_azure(&cloud, &AzureJob::of("approval.yml", "Swap"), "sound", &table);
    assert!(!ran.succeeded && ran.output("outcome") == "refused", "{}", ran.log);
    let issues = ran.issues("error");
    assert_eq!(issues.len(), 1, "{issues:?}");
    let telling = format!("staging serves {}, not the release", cloud.builds()[1]);
    assert!(issues[0].lines().next().is_some_and(|line| line.contains(&telling)), "{issues:?}");
    assert_eq!((cloud.builds()[0].clone(), cloud.service.swaps()), (before[0].clone(), 0));
}

#[test]
fn a_swap_is_refused_when_production_has_moved_on() {
    let cloud = with_hotfix();
    let table = staged_on_github(&cloud);
    production_moves_on(&cloud);
    let before = cloud.builds();
    let ran = on_github(&cloud, &GitHubJob::of("approval.yml", "swap"), "sound", &table);
    assert_eq!((ran.code, ran.output("outcome")), (3, "refused"), "{}", ran.log);
    let errors = ran.annotations("error");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].1.contains("production"), "{errors:?}");
    assert_eq!((cloud.builds(), cloud.service.swaps()), (before, 1), "the one swap is theirs");

    let cloud = with_hotfix();
    let table = staged_on_azure(&cloud);
    production_moves_on(&cloud);
    let before = cloud.builds();
    let ran = on_azure(&cloud, &AzureJob::of("approval.yml", "Swap"), "sound", &table);
    assert!(!ran.succeeded && ran.output("outcome") == "refused", "{}", ran.log);
    assert_eq!(ran.issues("error").len(), 1, "{}", ran.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), (before, 1), "the one swap is theirs");
}

/// The swap needs nothing of the first job's workspace: neither the package nor the checks.
#[test]
fn the_second_job_needs_no_file_of_the_first() {
    let cloud = Cloud::start(json!({}));
    let table = staged_on_azure(&cloud);
    let agent = Agent::new(&cloud, Place::new());
    let ran = agent.run(&AzureJob::of("approval.yml", "Swap").inputs(&table));
    assert!(ran.succeeded && ran.output("outcome") == "released", "{}", ran.log);
    assert_eq!(cloud.service.swaps(), 1);
}
