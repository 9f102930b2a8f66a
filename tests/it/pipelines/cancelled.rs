//! A run that is cancelled at the swap: the host signals node alone, the step says what it
//! leaves, and the post hook, which both hosts run whatever became of the job, finishes it.

use serde_json::{Value, json};

use super::agent::{self, Agent};
use super::cloud::{Cloud, workspace};
use super::example::{AzureJob, GitHubJob, Table};
use super::forms::{assert_quiet_azure, assert_quiet_github};
use super::one_step::variables;
use super::runner::{self, Runner};
use super::started::Started;

/// Waits until the emulator has seen the swap's request, then cancels the step.
fn cancel_at_the_swap(cloud: &Cloud, started: &Started) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let asked = |requests: &Value| {
        let requests = requests.as_array().expect("a list");
        requests.iter().any(|request| request["path"].as_str().is_some_and(|path| path.contains("slotsswap")))
    };
    while !asked(&cloud.service.control("GET", "requests", &Value::Null)) {
        assert!(std::time::Instant::now() < deadline, "no swap was asked for within a minute");
    }
    started.interrupt();
}

/// A swap of two seconds, so that the cancellation meets it in the middle.
fn slow_swap(slots: Value) -> Cloud {
    Cloud::start(json!({"durations": {"swap-switch": "2s"}, "slots": slots}))
}

fn payments() -> Value {
    json!({
        "production": {"slot-settings": {"PAYMENTS": "live"}},
        "staging": {"slot-settings": {"PAYMENTS": "sandbox"}},
    })
}

/// Cancels a release on GitHub at its swap and gives back what step and hook said.
fn cancelled_on_github(cloud: &Cloud, app: &str) -> (runner::Ran, runner::Ran) {
    let job = GitHubJob::of("release-step.yml", "release");
    let runner = Runner::of(cloud, &job, workspace(app));
    let with = job.with(&variables(cloud));
    let (started, files) = runner.start(&with);
    cancel_at_the_swap(cloud, &started);
    let step = runner::read(started, &files);
    let hook = runner.post(&with, &step.state).expect("the action has a post hook");
    assert_quiet_github(cloud, &runner, &step);
    assert_quiet_github(cloud, &runner, &hook);
    (step, hook)
}

fn cancelled_on_azure(cloud: &Cloud, app: &str) -> (agent::Ran, agent::Ran) {
    let job = AzureJob::of("release-step.yml", "Release");
    let agent = Agent::new(cloud, workspace(app));
    let inputs = job.inputs(&Table::default());
    let started = agent.start(&inputs);
    cancel_at_the_swap(cloud, &started);
    let step = agent::read(started);
    let hook = agent.post(&inputs, &step).expect("the task has a post hook");
    assert_quiet_azure(cloud, &agent, &step);
    assert_quiet_azure(cloud, &agent, &hook);
    (step, hook)
}

#[test]
fn the_post_hook_proves_what_a_cancelled_step_swapped_on_github() {
    let cloud = slow_swap(json!({}));
    let [old, _] = cloud.builds();
    let (step, hook) = cancelled_on_github(&cloud, "sound");
    assert_eq!((step.code, step.output("outcome")), (5, "stuck"), "{}", step.log);
    assert_eq!(hook.code, 0, "{}", hook.log);
    assert!(hook.log.contains("RELEASED"), "{}", hook.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), ([step.output("release-id").to_owned(), old], 1));
}

#[test]
fn the_post_hook_takes_back_what_fails_in_production_on_github() {
    let cloud = slow_swap(payments());
    let [old, _] = cloud.builds();
    let (_, hook) = cancelled_on_github(&cloud, "breaks-in-production");
    assert!(hook.log.contains("ROLLED-BACK"), "{}", hook.log);
    assert_eq!(hook.annotations("error").len(), 1, "{}", hook.log);
    assert_eq!((cloud.builds()[0].clone(), cloud.service.swaps()), (old, 2));
}

#[test]
fn the_post_hook_proves_what_a_cancelled_step_swapped_on_azure_pipelines() {
    let cloud = slow_swap(json!({}));
    let [old, _] = cloud.builds();
    let (step, hook) = cancelled_on_azure(&cloud, "sound");
    assert!(!step.succeeded && step.output("outcome") == "stuck", "{}", step.log);
    assert!(hook.succeeded && hook.log.contains("RELEASED"), "{}", hook.log);
    assert_eq!((cloud.builds(), cloud.service.swaps()), ([step.output("releaseId").to_owned(), old], 1));
}

#[test]
fn the_post_hook_takes_back_what_fails_in_production_on_azure_pipelines() {
    let cloud = slow_swap(payments());
    let [old, _] = cloud.builds();
    let (_, hook) = cancelled_on_azure(&cloud, "breaks-in-production");
    assert!(!hook.succeeded && hook.log.contains("ROLLED-BACK"), "{}", hook.log);
    assert_eq!((cloud.builds()[0].clone(), cloud.service.swaps()), (old, 2));
}

/// After a step that came to its own end there is nothing to finish, and nobody is asked.
#[test]
fn the_post_hook_of_a_step_that_ended_does_nothing() {
    let cloud = Cloud::start(json!({}));
    let job = GitHubJob::of("release-step.yml", "release");
    let runner = Runner::of(&cloud, &job, workspace("sound"));
    let with = job.with(&variables(&cloud));
    let step = runner.run(&with);
    assert_eq!(step.code, 0, "{}", step.log);
    let asked = cloud.requests();
    let hook = runner.post(&with, &step.state).expect("the action has a post hook");
    assert_eq!((hook.code, hook.log.as_str()), (0, ""));

    let agent = Agent::new(&cloud, workspace("sound"));
    let inputs = AzureJob::of("release-step.yml", "Release").inputs(&Table::default());
    let step = agent.run(&super::errors::with(&inputs, &[("command", "status")]));
    assert!(step.succeeded, "{}", step.log);
    let asked_since = cloud.requests();
    assert!(asked_since > asked);
    let hook = agent.post(&inputs, &step);
    let log = hook.map(|hook| hook.log);
    assert_eq!(log.as_deref(), Some(""));
    assert_eq!(cloud.requests(), asked_since);
}
