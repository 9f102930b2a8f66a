//! What a run shows where a host shows it: what goes live, the container's log, what to do next.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::Finished;
use crate::service::Service;

const QUICK: &str =
    "limits: {no-progress: 2s, ready: 3s}\nproduction: {for: 0s, passes: 1}\nwatch: {rate: 0}\n";

/// A clone in the workspace, and what the host says of it.
struct Repository<'a> {
    folder: &'a Path,
}

impl Repository<'_> {
    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Ada", "-c", "user.email=ada@localhost", "-c", "commit.gpgsign=false"]);
        command.args(arguments).current_dir(self.folder).env("HOME", self.folder);
        let output = command.env("GIT_CONFIG_NOSYSTEM", "1").output().expect("git runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}

#[expect(clippy::print_stderr, reason = "that a test is skipped is said where a person reads it")]
fn has_git() -> bool {
    let there = Command::new("git").arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: reading a clone needs git on PATH");
    }
    there
}

/// A verb as a step of a GitHub job that builds a commit. Gives the report and the step's summary.
fn on_github(service: &Service, verb: &str, more: &[&str], commit: &str) -> (Value, String) {
    let place = &service.place;
    let summary = place.write("step-summary.md", "");
    let workspace = place.path().join("workspace");
    let output = service
        .command(verb, more)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "contoso/web")
        .env("GITHUB_REF", "refs/heads/main")
        .env("GITHUB_RUN_ID", "42")
        .env("GITHUB_SHA", commit)
        .env("GITHUB_WORKSPACE", &workspace)
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("RUNNER_TEMP", place.path().join("runner"))
        .output()
        .expect("the binary runs");
    let finished = Finished::from(output);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let lines = finished.stderr.lines().filter(|line| !line.starts_with("::add-mask::"));
    for line in lines {
        assert!(!line.contains("eyJ"), "a token is in the output: {line}");
        assert!(!line.contains("##vso["), "{line}");
    }
    (finished.json(), std::fs::read_to_string(summary).expect("a summary"))
}

#[test]
fn a_github_api_that_fails_is_a_warning_and_fails_no_release() {
    let service = Service::start("{}");
    service.place.write("slotway.yml", QUICK);
    let summary = service.place.write("step-summary.md", "");
    let token = "Pl4nted-github-token";
    let output = service
        .command("release", &["--package", &service.package("2")])
        .env("GITHUB_ACTIONS", "true")
        // Nobody listens there.
        .env("GITHUB_API_URL", "http://127.0.0.1:1")
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "contoso/web")
        .env("GITHUB_RUN_ID", "42")
        .env("GITHUB_SHA", "5c1e0ff")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("INPUT_GITHUB-TOKEN", token)
        .env("INPUT_GITHUB-ENVIRONMENT", "production")
        .output()
        .expect("the binary runs");
    let finished = Finished::from(output);
    assert_eq!((finished.code, &finished.json()["outcome"]), (0, &"released".into()), "{}", finished.stderr);
    let warning = finished.stderr.lines().find(|line| line.starts_with("::warning title=GitHub::"));
    assert!(warning.is_some(), "{}", finished.stderr);
    let shown = finished.stderr.lines().filter(|line| !line.starts_with("::add-mask::"));
    assert!(!shown.into_iter().any(|line| line.contains(token)), "{}", finished.stderr);
}

fn messages(commits: &Value) -> Vec<&str> {
    let shown = commits["commits"].as_array().expect("a list");
    shown.iter().map(|commit| commit["message"].as_str().expect("a text")).collect()
}

#[test]
fn the_commits_between_two_builds_go_live_and_back() {
    if !has_git() {
        return;
    }
    let service = Service::start("");
    let workspace = service.place.path().join("workspace");
    std::fs::create_dir_all(&workspace).expect("a folder");
    let repository = Repository { folder: &workspace };
    repository.git(&["init", "--quiet"]);
    service.place.write("slotway.yml", QUICK);
    let old = repository.commit("First");
    let (report, summary) = on_github(&service, "release", &["--package", &service.package("1")], &old);
    assert_eq!(report["changes"]["to"]["commit"], old.as_str());
    assert_eq!((&report["changes"]["from"], &report["changes"]["added"]), (&Value::Null, &Value::Null));
    assert!(summary.contains("of commit `"), "{summary}");

    repository.commit("Faster | <b>search</b>");
    let new = repository.commit("##vso[task.complete]Pay by invoice\n\nbody");
    let (report, summary) = on_github(&service, "deploy", &["--package", &service.package("2")], &new);
    assert_eq!((&report["changes"]["from"]["commit"], &report["outcome"]), (&old.into(), &"staged".into()));
    assert!(summary.contains("### What goes live with the swap\n"), "{summary}");

    // The job that swaps may stand at another commit; the note in the slot knows better.
    let release = report["release-id"].as_str().expect("an id").to_owned();
    let (report, summary) =
        on_github(&service, "swap", &["--release-id", &release], &repository.commit("Later"));
    let wanted = ["##vso[task.complete]Pay by invoice", "Faster | <b>search</b>"];
    assert_eq!(messages(&report["changes"]["added"]), wanted);
    assert_eq!(report["changes"]["to"]["commit"], new.as_str());
    let run = "https://github.com/contoso/web/actions/runs/42";
    assert_eq!(report["changes"]["to"]["run-url"], run);
    for part in [
        "### What went live\n",
        "2 commits new for production:",
        "Faster \\| &lt;b&gt;search&lt;/b&gt; – Ada",
        &format!(
            "[compare]({}...{new})",
            report["changes"]["link"].as_str().expect("a link").split("...").next().expect("a part")
        ),
        &format!("[the run that built it]({run})"),
        &format!("slotway rollback --app-name contoso-web --slot-name staging --release-id {release}\n"),
        "in GitHub Actions: run a workflow whose slotway step has command: rollback and release-id: ",
    ] {
        assert!(summary.contains(part), "{part} is missing in:\n{summary}");
    }

    let (report, summary) = on_github(&service, "rollback", &["--release-id", &release], &new);
    assert_eq!(messages(&report["changes"]["removed"]), wanted);
    assert_eq!(report["changes"]["added"]["total"], 0);
    assert!(summary.contains("### What was taken back\n"), "{summary}");
    assert!(summary.contains("2 commits gone from production:"), "{summary}");
}

#[cfg(unix)]
#[test]
fn a_slot_that_does_not_become_ready_shows_the_end_of_its_containers_log() {
    let service = Service::start("");
    service.place.write("slotway.yml", QUICK);
    let start = "echo 'DATABASE_URL is not set ##vso[task.complete]'; exit 1";
    let package = serde_json::json!({"name": "app", "scripts": {"start": start}});
    let file = service.place.write("broken/package.json", package.to_string());
    let folder = file.parent().expect("a folder").display().to_string();
    let finished = service.run("release", &["--package", &folder, "--summary", "summary.md"]);
    let report = finished.json();
    assert_eq!((finished.code, &report["outcome"]), (3, &"refused".into()), "{}", finished.stderr);
    let cause = report["cause"].as_str().expect("a cause");
    assert!(cause.starts_with("staging is not ready: "), "{cause}");
    assert!(cause.contains("\n  | ") && cause.contains("DATABASE_URL is not set"), "{cause}");
    assert!(cause.lines().count() <= 31, "{cause}");
    let summary = std::fs::read_to_string(service.place.path().join("summary.md")).expect("a summary");
    let fence = summary.find("```text\n").expect("a block");
    assert!(fence < summary.find("DATABASE_URL is not set").expect("the line"), "{summary}");
    for text in [&finished.stdout, &finished.stderr, &summary] {
        assert!(!text.contains("##vso["), "{text}");
    }
}

const SETTINGS: &str = "slots:\n  production: {settings: {GREETING: planted-old, SAME: planted-same, GONE: planted-gone}, slot-settings: {PAYMENTS: planted-live}}\n  staging: {settings: {GREETING: planted-new, SAME: planted-same}, slot-settings: {PAYMENTS: planted-test, DEBUG: planted-debug}, web-config: {linuxFxVersion: 'NODE|22-lts'}}\n";

/// Runs `plan`; no value of a setting is in any output.
fn planned(scenario: &str) -> (Finished, Vec<String>) {
    let service = Service::start(scenario);
    let finished = service.run("plan", &["--package", &service.package("2")]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    for text in [&finished.stdout, &finished.stderr] {
        assert!(!text.contains("planted"), "{text}");
    }
    let lines = finished.json()["lines"].as_array().expect("a list").clone();
    let lines = lines.iter().map(|line| line.as_str().expect("a text").to_owned()).collect();
    (finished, lines)
}

#[test]
fn a_plan_tells_in_plain_words_what_moves_and_what_stays() {
    let (finished, lines) = planned(SETTINGS);
    for wanted in [
        "3 settings of production would change because of the swap:",
        "  app setting GREETING: gets the slot's value",
        "  app setting GONE: goes to the slot; production runs without it",
        "  general setting linuxFxVersion: gets the slot's value",
        "warning: app setting DEBUG is a slot setting that only the slot has: production runs without it",
        "stay with their slot: app setting PAYMENTS",
        "move, the same on both sides: app setting SAME",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted} is missing in {lines:#?}");
    }
    let report = finished.json();
    let first = serde_json::json!({"effect": "changes", "kind": "app-setting", "name": "GREETING"});
    assert_eq!(report["settings"][0], first);
    assert!(report["differences"].as_array().is_some_and(|all| !all.is_empty()), "{report:#}");
}

#[test]
fn a_plan_without_the_right_to_list_settings_shows_azures_comparison() {
    let fault = "faults:\n- {on: {service: resource-manager, path: appsettings/list$}, times: 0, do: {status: {code: 403, body: {error: {code: AuthorizationFailed, message: no}}}}}\n";
    let (finished, lines) = planned(&format!("{SETTINGS}{fault}"));
    assert!(lines.iter().any(|line| line.ends_with("what follows is Azure's own comparison")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("differs: AppSetting GREETING (")), "{lines:#?}");
    assert_eq!(finished.json()["settings"], Value::Null);
}
