//! Containers and start commands: what is released is a part of staging's configuration.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{Finished, Place};
use crate::service::Service;

const ONE: &str = "registry.io/shop/app:1";
const TWO: &str = "registry.io/shop/app:2";

/// Every instance must answer as version 2 on both sides of the swap.
const CHECKS: &str = "checks:\n  - {name: version, path: /version.json, every-instance: true, \
                      expect: {json: {\"$.version\": \"2\"}}}\nproduction: {for: 0s, passes: 1}\n\
                      limits: {ready: 20s, checks: 20s, swap: 20s}\n";

/// A container app whose registry holds the versions 1 and 2; the second place keeps the
/// images' packages until the test ends.
fn shop(more: &str, staging: &str) -> (Service, Place) {
    let packages = Place::new();
    let mut scenario = format!("kind: app,linux,container\n{more}images:\n");
    for (number, image) in [(1, ONE), (2, TWO)] {
        let folder = packages.path().join(number.to_string());
        packages.write(&format!("{number}/version.json"), json!({"version": number.to_string()}).to_string());
        let _ = writeln!(scenario, "  \"{image}\": {{package: \"{}\"}}", folder.display());
    }
    let _ = write!(
        scenario,
        "slots:\n  production: {{web-config: {{linuxFxVersion: \"DOCKER|{ONE}\", alwaysOn: true}}}}\n  \
         staging: {{web-config: {{linuxFxVersion: \"DOCKER|{staging}\", healthCheckPath: /health, http20Enabled: true}}}}\n"
    );
    let service = Service::start(&scenario);
    service.place.write("slotway.yml", CHECKS);
    (service, packages)
}

fn image(service: &Service, slot: &str) -> String {
    let stack = service.slot(slot)["web_config"]["linuxFxVersion"].as_str().expect("a stack").to_owned();
    stack.strip_prefix("DOCKER|").unwrap_or(&stack).to_owned()
}

fn version(service: &Service, slot: &str) -> Value {
    let url = format!("{}/version.json", service.url(slot));
    service.block_on(async {
        let answer = service.client().get(url).send().await.expect("an answer");
        let text = answer.text().await.expect("a text");
        serde_json::from_str::<Value>(&text).expect("JSON")["version"].clone()
    })
}

fn requests(service: &Service, method: &str, end: &str) -> usize {
    let seen = service.control("GET", "requests", &Value::Null);
    let seen = seen.as_array().expect("a list");
    let path =
        |request: &Value| request["path"].as_str().unwrap_or_default().split('?').next().map(str::to_owned);
    let matches = |request: &&Value| {
        request["method"] == method && path(request).is_some_and(|path| path.to_lowercase().ends_with(end))
    };
    seen.iter().filter(matches).count()
}

fn cause(finished: &Finished) -> String {
    finished.json()["cause"].as_str().expect("a cause").to_owned()
}

#[test]
fn an_image_is_released_and_production_serves_all_the_while() {
    let (service, _packages) = shop("", ONE);
    let finished = service.run("release", &["--images", TWO]);
    let report = finished.json();
    assert_eq!((finished.code, &report["outcome"]), (0, &"released".into()), "{}", finished.stderr);
    assert_eq!(report["release-id"], TWO);
    assert_eq!(
        (report["production"]["before"].as_str(), report["production"]["after"].as_str()),
        (Some(ONE), Some(TWO))
    );
    assert_eq!((image(&service, "production"), image(&service, "staging")), (TWO.to_owned(), ONE.to_owned()));
    assert_eq!((version(&service, "production"), version(&service, "staging")), (json!("2"), json!("1")));
    assert_eq!((service.swaps(), &report["watch"]["lost"]), (1, &json!(0)), "{report:#}");
    assert_eq!(requests(&service, "PATCH", "/slots/staging/config/web"), 1);
    assert_eq!(requests(&service, "PATCH", "/config/web"), 1, "production's configuration is never written");
    assert_eq!(requests(&service, "POST", "/restart"), 0, "the change restarts the slot by itself");
    let staging = service.slot("staging")["web_config"].clone();
    let kept = (
        &staging["healthCheckPath"],
        &staging["http20Enabled"],
        &service.slot("production")["web_config"]["alwaysOn"],
    );
    assert_eq!(kept, (&json!("/health"), &json!(true), &json!(true)), "no other field is lost");
    assert!(finished.stderr.contains("staging has its new image"), "{}", finished.stderr);
    let next = format!("--release-id {TWO} --previous-build {ONE}");
    assert!(report["next"].as_str().is_some_and(|text| text.ends_with(&next)), "{}", report["next"]);
}

#[test]
fn the_example_of_a_container_is_released_in_a_rehearsal() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let scenario = examples.join("scenarios/container.yml").display().to_string();
    let config = examples.join("storefront/slotway.yml").display().to_string();
    let (two, flags) = ("registry.contoso.io/storefront:2", ["--scenario", &scenario, "--config", &config]);
    let arguments = ["rehearse", "--output", "json", "--images", two];
    let place = Place::new();
    let finished = place.run(&[&arguments[..], &flags[..]].concat());
    let report = finished.json();
    assert_eq!((finished.code, &report["release-id"]), (0, &json!(two)), "{}", finished.stderr);
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

#[test]
fn an_image_of_a_windows_container_goes_where_windows_looks() {
    let (windows, base) = ("registry.io/app:2-nano", "registry.io/app:1-nano");
    let packages = Place::new();
    packages.write("app/index.html", "hello");
    let folder = packages.path().join("app").display().to_string();
    let service = Service::start(&format!(
        "kind: app,container,windows\nimages:\n  \"{windows}\": {{package: \"{folder}\"}}\n  \"{base}\": {{package: \"{folder}\"}}\n\
         slots:\n  staging: {{web-config: {{windowsFxVersion: \"DOCKER|{base}\"}}}}\n"
    ));
    let finished = service.run("deploy", &["--images", windows]);
    assert_eq!((finished.code, &finished.json()["release-id"]), (0, &json!(windows)), "{}", finished.stderr);
    let staging = service.slot("staging")["web_config"].clone();
    let stacks = (&staging["windowsFxVersion"], &staging["linuxFxVersion"]);
    assert_eq!(stacks, (&json!(format!("DOCKER|{windows}")), &json!("")));
}

#[test]
fn an_image_is_handed_on_from_deploy_to_swap_and_taken_back_by_name() {
    let (service, _packages) = shop("", ONE.replace(":1", ":0").as_str());
    let deployed = service.run("deploy", &["--images", TWO]);
    assert_eq!((deployed.code, &deployed.json()["outcome"]), (0, &"staged".into()), "{}", deployed.stderr);
    assert_eq!((deployed.json()["release-id"].as_str(), service.swaps()), (Some(TWO), 0));
    let other = service.run("swap", &["--release-id", "registry.io/shop/app:3"]);
    assert_eq!((other.code, service.swaps()), (3, 0), "{}", other.stderr);
    let swapped = service.run("swap", &["--release-id", TWO, "--previous-build", ONE]);
    assert_eq!((swapped.code, image(&service, "production")), (0, TWO.to_owned()), "{}", swapped.stderr);
    let again = service.run("swap", &["--release-id", TWO]);
    assert_eq!((again.code, service.swaps()), (0, 1), "{}", again.stderr);
    let status = service.run("status", &[]).json();
    assert_eq!((&status["slots"][0]["build"], &status["slots"][1]["build"]), (&json!(TWO), &json!(ONE)));

    let unknown = service.run("rollback", &["--release-id", TWO]);
    assert_eq!((unknown.code, service.swaps()), (3, 1), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("give previous-build"), "{}", unknown.stderr);
    let back = service.run("rollback", &["--release-id", TWO, "--previous-build", ONE]);
    assert_eq!((back.code, image(&service, "production")), (0, ONE.to_owned()), "{}", back.stderr);
    let nothing = service.run("rollback", &["--release-id", TWO, "--previous-build", ONE]);
    assert_eq!(nothing.json()["outcome"], "nothing-to-do", "{}", nothing.stderr);
}

#[test]
fn an_image_that_fails_in_production_is_taken_back_by_itself() {
    let (service, _packages) = shop("", ONE);
    let fails = "checks:\n  - {name: in production, path: /, on: production, expect: {status: 418}}\n";
    service.place.write("slotway.yml", CHECKS.replace("checks:\n", fails));
    let finished = service.run("release", &["--images", TWO]);
    assert_eq!(
        (finished.code, &finished.json()["outcome"]),
        (4, &"rolled-back".into()),
        "{}",
        finished.stderr
    );
    assert_eq!((image(&service, "production"), service.swaps()), (ONE.to_owned(), 2));
    assert_eq!(version(&service, "production"), "1");
}

#[test]
fn an_image_that_cannot_be_pulled_never_comes_near_production() {
    let (service, _packages) = shop("durations: {front-wait: 200ms}\n", ONE);
    service.place.write("slotway.yml", "limits: {ready: 3s}\n");
    let finished = service.run("release", &["--images", "registry.io/shop/app:9"]);
    assert_eq!((finished.code, &finished.json()["outcome"]), (3, &"refused".into()), "{}", finished.stderr);
    assert!(cause(&finished).contains("staging is not ready"), "{}", cause(&finished));
    assert_eq!((image(&service, "production"), service.swaps()), (ONE.to_owned(), 0));
    assert_eq!(version(&service, "production"), "1");
    let failed = service.slot("staging")["instances"][0]["reason"].clone();
    assert!(failed.as_str().is_some_and(|reason| reason.contains("app:9")), "{failed}");
}

#[test]
fn a_reference_that_production_serves_already_is_refused_untouched() {
    let (service, _packages) = shop("", ONE.replace(":1", ":0").as_str());
    let finished = service.run("deploy", &["--images", ONE]);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(cause(&finished).contains("would lie in both slots"), "{}", cause(&finished));
    assert_eq!(requests(&service, "PATCH", "/config/web"), 0);
}

#[test]
fn settle_says_that_it_cannot_tell_what_an_earlier_run_left_beside_an_image() {
    let (service, _packages) = shop("", ONE.replace(":1", ":0").as_str());
    let finished = service.run("settle", &[]);
    assert_eq!((finished.code, service.swaps()), (3, 0), "{}", finished.stderr);
    assert!(cause(&finished).contains("cannot be told"), "{}", cause(&finished));
}

#[test]
fn a_slot_that_has_the_image_already_is_restarted_so_that_it_is_pulled_anew() {
    let (service, _packages) = shop("", TWO);
    let finished = service.run("deploy", &["--images", TWO]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(requests(&service, "POST", "/slots/staging/restart"), 1);
    let kept = service.run("deploy", &["--images", TWO, "--restart", "false"]);
    assert_eq!((kept.code, requests(&service, "POST", "/restart")), (0, 1), "{}", kept.stderr);
}

#[test]
fn a_moving_tag_is_warned_of_and_a_lost_answer_is_read_back() {
    let fault =
        "faults:\n- {on: {service: resource-manager, method: PATCH, path: config/web$}, do: reset-after}\n";
    let (service, packages) = shop(fault, ONE);
    drop(packages);
    let finished = service.run("deploy", &["--images", "registry.io/shop/app"]);
    let warned = "registry.io/shop/app has no tag of its own";
    assert!(finished.stderr.contains(warned), "{}", finished.stderr);
    assert_eq!(image(&service, "staging"), "registry.io/shop/app");
    assert!(finished.stderr.contains("staging has its new image"), "{}", finished.stderr);
}

#[test]
fn a_package_for_a_container_and_an_image_for_code_are_refused() {
    let (service, _packages) = shop("", ONE);
    let package = service.run("release", &["--package", &service.package("2")]);
    assert_eq!(package.code, 3, "{}", package.stderr);
    assert!(package.stderr.contains("give the input images instead of package"), "{}", package.stderr);
    let code = Service::start("");
    let image = code.run("release", &["--images", TWO]);
    assert_eq!(image.code, 3, "{}", image.stderr);
    assert!(cause(&image).contains("runs code, not a container"), "{}", cause(&image));
}

#[test]
fn wrong_images_are_problems_of_the_input() {
    let (service, _packages) = shop("", ONE);
    let package = service.package("2");
    for (flags, said) in [
        (vec!["--images", "a:1\nb:2\n"], "images: names 2 images; give a single image"),
        (
            vec!["--images", TWO, "--package", &package],
            "images: is given beside package; give one of the two",
        ),
        (
            vec!["--images", "https://registry.io/app:1"],
            "images: image \"https://registry.io/app:1\" is no image reference",
        ),
        (vec!["--images", TWO, "--type", "zip"], "type: is about a package, and images is given"),
        (vec![], "package: is missing"),
    ] {
        let finished = service.run("deploy", &flags);
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        assert!(finished.stderr.contains(said), "{}", finished.stderr);
    }
    assert_eq!(requests(&service, "PATCH", "/config/web"), 0);
}

#[test]
fn a_startup_command_is_set_before_the_deployment_and_moves_with_the_swap() {
    let service = Service::start("durations: {scm-restart: 500ms}\n");
    service.place.write("slotway.yml", "production: {for: 0s, passes: 1}\n");
    let package = service.package("2");
    // A file for a flag that only this command passes: it is started by it, or not at all.
    let command = "exec python3 -m http.server $PORT --bind 127.0.0.1";
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        return say("skipped: the start command needs python3 on PATH");
    }
    let finished = service.run("release", &["--package", &package, "--startup-command", command]);
    assert_eq!((finished.code, &finished.json()["outcome"]), (0, &"released".into()), "{}", finished.stderr);
    assert!(finished.stderr.contains("plan 1. set the startup command of staging"), "{}", finished.stderr);
    assert_eq!(service.slot("production")["web_config"]["appCommandLine"], command);
    assert_eq!(service.slot("staging")["web_config"]["appCommandLine"], "");
    let server = service.block_on(async {
        let answer = service.client().get(service.url("production")).send().await.expect("an answer");
        answer.headers()["server"].to_str().expect("text").to_owned()
    });
    assert!(server.contains("SimpleHTTP"), "python serves it: {server}");
    assert_eq!(requests(&service, "PATCH", "/slots/staging/config/web"), 1);
    assert_eq!(requests(&service, "PATCH", "/config/web"), 1);

    let untouched = service.run("deploy", &["--package", &service.package("3")]);
    assert_eq!(untouched.code, 0, "{}", untouched.stderr);
    assert_eq!(requests(&service, "PATCH", "/config/web"), 1, "never touched when not given");
}

#[test]
fn a_startup_command_goes_with_an_image_in_one_change() {
    let (service, _packages) = shop("", ONE);
    let finished = service.run("deploy", &["--images", TWO, "--startup-command", "true"]);
    assert_eq!(requests(&service, "PATCH", "/config/web"), 1, "{}", finished.stderr);
    let staging = service.slot("staging")["web_config"].clone();
    assert_eq!(
        (staging["appCommandLine"].as_str(), image(&service, "staging").as_str()),
        (Some("true"), TWO)
    );
}

#[expect(clippy::print_stderr, reason = "that a test is skipped is said where a person reads it")]
fn say(text: &str) {
    eprintln!("{text}");
}
