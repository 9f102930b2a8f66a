//! Verbs in one process, the emulated App Service in another.

use serde_json::{Value, json};

use crate::service::Service;

#[test]
fn a_release_from_another_process_is_what_the_world_then_has() {
    let service = Service::start("");
    let before = service.serves("production");
    let finished = service.run("release", &["--slot-name", "staging", "--package", &service.package("2")]);
    let report = finished.json();
    assert_eq!((finished.code, &report["outcome"]), (0, &"released".into()), "{}", finished.stderr);
    assert_eq!(service.serves("production"), report["release-id"]);
    assert_eq!(service.serves("staging"), before);
    assert_eq!(service.swaps(), 1);
    let page = service.block_on(async {
        let answer = service.client().get(service.url("production")).send().await.expect("an answer");
        answer.text().await.expect("a text")
    });
    assert_eq!(page, "<p>version 2</p>");
}

#[test]
fn deploy_hands_on_what_swap_and_rollback_need_and_each_may_be_repeated() {
    let service = Service::start("");
    let old = service.serves("production");
    let deployed = service.run("deploy", &["--package", &service.package("2")]);
    assert_eq!((deployed.code, &deployed.json()["outcome"]), (0, &"staged".into()), "{}", deployed.stderr);
    assert_eq!((service.serves("production"), service.swaps()), (old.clone(), 0));
    let id = deployed.json()["release-id"].as_str().expect("an id").to_owned();

    let swapped = service.run("swap", &["--release-id", &id]);
    assert_eq!((swapped.code, service.serves("production")), (0, json!(id)), "{}", swapped.stderr);
    let again = service.run("swap", &["--release-id", &id]);
    assert_eq!((again.code, service.serves("production")), (0, json!(id)), "{}", again.stderr);
    assert_eq!(service.swaps(), 1, "a swap that was done is proven, not repeated");

    let status = service.run("status", &[]).json();
    assert_eq!(status["slots"][0]["release-id"], json!(id));
    assert_eq!(status["slots"][0]["sha256"].as_str().map(str::len), Some(64));

    let back = service.run("rollback", &["--release-id", &id]);
    assert_eq!((back.code, service.serves("production")), (0, old.clone()), "{}", back.stderr);
    let nothing = service.run("rollback", &["--release-id", &id]);
    assert_eq!(
        (nothing.code, &nothing.json()["outcome"]),
        (0, &"nothing-to-do".into()),
        "{}",
        nothing.stderr
    );
    assert_eq!((service.serves("production"), service.swaps()), (old, 2));
}

#[test]
fn a_swap_is_refused_when_staging_was_deployed_to_in_the_meantime() {
    let service = Service::start("");
    let old = service.serves("production");
    let first = service.run("deploy", &["--package", &service.package("2")]).json();
    service.run("deploy", &["--package", &service.package("3")]);
    let id = first["release-id"].as_str().expect("an id");
    let refused = service.run("swap", &["--release-id", id]);
    assert_eq!((refused.code, service.serves("production"), service.swaps()), (3, old, 0));
    assert!(refused.json()["cause"].as_str().expect("a cause").contains(id), "{}", refused.stderr);
}

#[test]
fn the_resource_group_is_found_by_the_apps_name() {
    let service = Service::start("");
    let mut command = service.place.slotway(&["status", "--output", "json", "--environment", "AzureStack"]);
    for (flag, name) in [
        ("--resource-manager-url", "resource_manager"),
        ("--ca-file", "ca_file"),
        ("--tenant-id", "tenant_id"),
        ("--client-id", "client_id"),
        ("--subscription-id", "subscription_id"),
        ("--app-name", "app_name"),
    ] {
        command.arg(flag).arg(service.get(name));
    }
    let output = command.env("AZURE_CLIENT_SECRET", service.get("client_secret")).output().expect("it runs");
    let status: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(status["resource-group-name"], service.get("resource_group"));
}

#[test]
fn inputs_come_from_the_environment_and_from_the_file_too() {
    let service = Service::start("");
    let config = format!("app-name: {}\nslot-name: staging\n", service.get("app_name"));
    service.place.write("slotway.yml", config);
    let mut command = service.place.slotway(&["status", "--output", "json"]);
    for (variable, name) in [
        ("SLOTWAY_RESOURCE_MANAGER_URL", "resource_manager"),
        ("SLOTWAY_CA_FILE", "ca_file"),
        ("AZURE_TENANT_ID", "tenant_id"),
        ("AZURE_CLIENT_ID", "client_id"),
        ("AZURE_CLIENT_SECRET", "client_secret"),
        ("AZURE_SUBSCRIPTION_ID", "subscription_id"),
    ] {
        command.env(variable, service.get(name));
    }
    let output = command.env("SLOTWAY_ENVIRONMENT", "AzureStack").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_unknown_slot_a_wrong_secret_and_an_unknown_app_are_refused_with_the_remedy() {
    let service = Service::start("");
    let package = service.package("2");
    let slot = service.run("release", &["--slot-name", "stagin", "--package", &package]);
    assert_eq!(slot.code, 3);
    assert!(slot.json()["cause"].as_str().expect("a cause").contains("it has: staging"), "{}", slot.stderr);

    let mut command = service.command("release", &["--package", &package]);
    let output = command.env("AZURE_CLIENT_SECRET", "not-the-secret").output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("AADSTS7000215") && error.contains("the client secret is wrong"), "{error}");
    assert!(!error.contains("not-the-secret"));

    let app = service.run("release", &["--package", &package, "--app-name", "nobody"]);
    assert_eq!(app.code, 3, "{}", app.stderr);
    assert!(app.json()["help"][0].as_str().expect("help").contains("check app-name"), "{}", app.stderr);
    assert_eq!(service.swaps(), 0);
}

#[test]
fn a_resource_manager_that_speaks_nonsense_is_one_clear_error() {
    let service = Service::start("");
    let production = service.serves("production");
    let rule = json!({"on": {"service": "resource-manager", "path": "metadata"}, "times": 0, "do": "html"});
    service.control("POST", "faults", &rule);
    let finished = service.run("release", &["--package", &service.package("2")]);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("could not read the cloud's metadata document"), "{}", finished.stderr);
    assert!(finished.stderr.contains("resource-manager-url"), "{}", finished.stderr);
    assert_eq!((service.serves("production"), service.swaps()), (production, 0));
}

/// Processes whose working folder lies in this test's own.
#[cfg(target_os = "linux")]
fn processes_in(folder: &std::path::Path) -> usize {
    let processes = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    let folders = processes.filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok());
    folders.filter(|place| place.starts_with(folder.join("tmp"))).count()
}

#[cfg(target_os = "linux")]
#[test]
fn the_emulator_runs_real_processes_and_ends_with_them() {
    let place = crate::harness::Place::new();
    let app = place.write("app/index.html", "served by a process");
    let scenario = format!(
        "slots: {{production: {{package: {}, web-config: {{appCommandLine: 'exec python3 -m http.server $PORT --bind 127.0.0.1'}}}}}}\n",
        app.parent().expect("a folder").display()
    );
    let service = Service::start(&scenario);
    let (server, body) = service.block_on(async {
        let answer = service.client().get(service.url("production")).send().await.expect("an answer");
        let server = answer.headers().get("server").and_then(|value| value.to_str().ok()).map(str::to_owned);
        (server.unwrap_or_default(), answer.text().await.expect("a text"))
    });
    assert_eq!((server.starts_with("SimpleHTTP"), body.as_str()), (true, "served by a process"));
    assert!(processes_in(service.place.path()) >= 2, "one process a worker");
    let place = service.end();
    // A process that was killed is gone a moment later: nobody is told when.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while processes_in(place.path()) > 0 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(processes_in(place.path()), 0);
    assert_eq!(place.leftovers(), Vec::<String>::new());
}
