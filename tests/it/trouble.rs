//! Trouble on the way: lost answers, failing swaps, other actors, signals. Whatever
//! happens, the outcome names what production serves in the emulator's world.

use serde_json::{Value, json};

use crate::harness::{Finished, wait_for};
use crate::service::Service;

pub(crate) const QUICK: &str =
    "limits: {settle: 1s, no-progress: 2s, swap: 20s, ready: 10s}\nproduction: {for: 0s, passes: 1}\n";

/// Runs a release and asserts that what it says of production is true.
fn release(service: &Service) -> (Finished, Value) {
    service.place.write("slotway.yml", QUICK);
    let finished = service.run("release", &["--package", &service.package("2")]);
    let report = finished.json();
    assert_eq!(report["production"]["after"], service.serves("production"), "{}", finished.stderr);
    assert!(service.swaps() <= 2);
    (finished, report)
}

pub(crate) fn outcome(report: &Value) -> &str {
    report["outcome"].as_str().expect("an outcome")
}

fn texts(report: &Value) -> String {
    let events = report["events"].as_array().expect("a list");
    events.iter().filter_map(|event| event["text"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_swap_whose_answer_was_lost_is_found_done_and_not_repeated() {
    let service =
        Service::start("faults:\n- {on: {service: resource-manager, path: slotsswap$}, do: reset-after}\n");
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("released", 1), "{}", finished.stderr);
    let requests = service.control("GET", "requests", &Value::Null);
    let swaps = requests.as_array().expect("a list").iter();
    let swaps =
        swaps.filter(|request| request["path"].as_str().is_some_and(|path| path.contains("slotsswap")));
    assert_eq!(swaps.count(), 1, "it was sent once");
}

#[test]
fn a_swap_whose_fate_nobody_knows_is_not_sent_again_and_not_called_refused() {
    for fault in ["reset-before", "{status: {code: 502}}"] {
        let service = Service::start(&format!(
            "faults:\n- {{on: {{service: resource-manager, path: slotsswap$}}, do: {fault}}}\n"
        ));
        let (finished, report) = release(&service);
        assert_eq!((outcome(&report), service.swaps()), ("stuck", 0), "{fault}: {}", finished.stderr);
        assert!(texts(&report).contains("the swap may still happen"), "{}", finished.stderr);
    }
}

#[test]
fn a_swap_that_is_refused_leaves_production_untouched_and_gives_no_orders_to_the_runner() {
    let service = Service::start(
        "faults:\n- {on: {service: resource-manager, path: slotsswap$}, do: {status: {code: 409, body: {Code: Conflict, Message: '##vso[task.setvariable variable=x]y ::error::z'}}}}\n",
    );
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("refused", 0), "{}", finished.stderr);
    assert!(report["cause"].as_str().expect("a cause").contains("##vso[task.setvariable"), "no word is lost");
    for text in [&finished.stdout, &finished.stderr] {
        assert!(!text.contains("##vso[") && !text.contains("::error"), "{text}");
    }
}

#[test]
fn an_upload_that_meets_a_lock_waits_and_is_sent_once_more() {
    let service = Service::start(
        "faults:\n- {on: {service: scm, path: api/publish}, do: {status: {code: 409, body: 'There is a deployment currently in progress. Please try again when it completes.'}}}\n",
    );
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("released", 1), "{}", finished.stderr);
    assert!(texts(&report).contains("waiting until the package is taken"), "{}", finished.stderr);
    let deployments = service.slot("production")["deployments"].as_array().map(Vec::len);
    assert_eq!(deployments, Some(1), "what met the lock left nothing");
}

const BUSY: &str = "do: {status: {code: 409, body: {Code: Conflict, Message: 'Cannot modify this site because another operation is in progress. Details: Id: 1, OperationName: SwapSiteSlots'}}}";

#[test]
fn a_swap_that_azure_puts_off_is_asked_for_again_once_both_slots_are_found_as_they_were() {
    let service = Service::start(&format!(
        "faults:\n- {{on: {{service: resource-manager, path: slotsswap$}}, times: 2, {BUSY}}}\n"
    ));
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("released", 1), "{}", finished.stderr);
    assert!(texts(&report).contains("another operation is in progress"), "{}", finished.stderr);
}

#[test]
fn a_swap_that_is_put_off_for_somebody_elses_is_not_sent_on_top_of_it() {
    let service = Service::start(
        "durations: {swap-switch: 4s}\nactors: [{after: deployed, do: swap, source: staging}]\n",
    );
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("released", 1), "only theirs: {}", finished.stderr);
    assert!(texts(&report).contains("waiting for the swap's turn"), "{}", finished.stderr);
}

#[test]
fn a_swap_back_that_azure_puts_off_is_asked_for_again() {
    let service = Service::start(&format!(
        "slots: {{production: {{slot-settings: {{PAYMENTS: live}}}}}}\nfaults:\n- {{on: {{service: resource-manager, path: slotsswap$}}, skip: 1, times: 2, {BUSY}}}\n"
    ));
    let old = service.serves("production");
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/apps/breaks-in-production");
    let checks = "checks: [{path: /health, retry-for: 1s, every: 100ms}]\n";
    service.place.write("slotway.yml", format!("{QUICK}{checks}"));
    let finished = service.run("release", &["--package", app]);
    assert_eq!((finished.code, service.swaps()), (4, 2), "{}", finished.stderr);
    assert_eq!(service.serves("production"), old);
}

#[test]
fn a_slow_swap_is_waited_for_although_its_operation_says_nothing() {
    let service = Service::start(
        "durations: {swap-switch: 6s, retry-after: 1s}\nfaults:\n- {on: {service: resource-manager, path: operationresults}, times: 0, do: {status: {code: 404}}}\n",
    );
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("released", 1), "{}", finished.stderr);
}

#[test]
fn a_swap_that_outlasts_its_limit_is_never_called_untouched() {
    let service = Service::start("durations: {swap-switch: 60s}\n");
    service.place.write("slotway.yml", QUICK.replace("swap: 20s", "swap: 1s"));
    let finished = service.run("release", &["--package", &service.package("2")]);
    let report = finished.json();
    assert_eq!((finished.code, outcome(&report)), (5, "stuck"), "{}", finished.stderr);
    assert_eq!(report["production"]["after"], service.serves("production"));
    assert!(texts(&report).contains("the swap may still happen"), "{}", finished.stderr);
}

/// A release that fails in production, while somebody deploys to staging.
#[test]
fn a_strangers_build_in_the_other_slot_is_not_rolled_back_to() {
    let place = crate::harness::Place::new();
    let theirs = place.write("theirs/index.html", "theirs");
    let service = Service::start(&format!(
        "slots: {{production: {{slot-settings: {{PAYMENTS: live}}}}}}\nactors: [{{after: swap-finished, do: deploy, slot: staging, package: {}}}]\n",
        theirs.parent().expect("a folder").display()
    ));
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/apps/breaks-in-production");
    let checks = "checks: [{path: /health, retry-for: 2s, every: 100ms}]\n";
    service.place.write("slotway.yml", format!("{QUICK}{checks}"));
    let finished = service.run("release", &["--package", app]);
    let report = finished.json();
    assert_eq!((finished.code, outcome(&report), service.swaps()), (5, "stuck", 1), "{}", finished.stderr);
    assert_eq!(report["production"]["after"], service.serves("production"));
    assert!(report["further"].to_string().contains("not the build from before"), "{report:#}");
}

#[test]
fn a_rollback_that_would_guess_is_refused() {
    let service = Service::start("");
    let id = service.serves("production").as_str().expect("an id").to_owned();
    let finished = service.run("rollback", &["--release-id", &id]);
    assert_eq!((finished.code, service.swaps()), (3, 0), "{}", finished.stderr);
    assert!(finished.json()["cause"].as_str().expect("a cause").contains("nothing tells which build"));
}

#[test]
fn the_end_of_a_swap_is_known_before_the_operations_next_poll() {
    let service = Service::start("durations: {swap-switch: 2s, retry-after: 15s}\n");
    let (finished, report) = release(&service);
    assert_eq!(outcome(&report), "released", "{}", finished.stderr);
    assert!(texts(&report).contains("as the site's swap status says"), "{}", finished.stderr);
    assert!(report["duration-ms"].as_u64() < Some(12_000), "{report:#}");
}

#[test]
fn a_swap_whose_warm_up_fails_is_refused_with_the_platforms_words_and_the_cause() {
    let service = Service::start(
        "durations: {ping-retry: 1ms}\nslots: {production: {slot-settings: {WEBSITE_SWAP_WARMUP_PING_STATUSES: '204'}}}\n",
    );
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("refused", 0), "{}", finished.stderr);
    let cause = report["cause"].as_str().expect("a cause");
    assert!(cause.contains("417") && cause.contains("did not respond to http ping"), "{cause}");
    assert!(report["help"][0].as_str().expect("help").contains("WEBSITE_SWAP_WARMUP_PING_PATH"));
}

#[test]
fn an_operation_whose_result_vanishes_is_decided_by_the_site() {
    let service = Service::start(
        "durations: {swap-switch: 500ms, retry-after: 1s}\nfaults:\n- {on: {service: resource-manager, path: operationresults}, times: 0, do: {status: {code: 404}}}\n",
    );
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("released", 1), "{}", finished.stderr);
}

#[test]
fn a_200_that_says_failed_is_no_success() {
    let service = Service::start(
        "durations: {swap-switch: 60s, retry-after: 1s}\nfaults:\n- {on: {service: resource-manager, path: operationresults}, times: 0, do: {status: {code: 200, body: {status: Failed, error: {code: Oops, message: it did not work}}}}}\n",
    );
    let (finished, report) = release(&service);
    assert_ne!(outcome(&report), "released", "{}", finished.stderr);
    assert!(report["cause"].as_str().expect("a cause").contains("it did not work"), "{report:#}");
}

#[test]
fn an_upload_whose_answer_was_lost_is_sent_again_when_what_arrived_has_ended() {
    let service =
        Service::start("faults:\n- {on: {service: scm, method: POST, path: publish}, do: reset-after}\n");
    let (finished, report) = release(&service);
    assert_eq!(outcome(&report), "released", "{}", finished.stderr);
    assert!(texts(&report).contains("the upload's answer was lost"), "{}", finished.stderr);
    let deployments = service.slot("production")["deployments"].as_array().map(Vec::len);
    assert_eq!(deployments, Some(2), "a record does not tell whose it is");
}

#[test]
fn a_deployment_killed_by_a_settings_change_is_refused_and_says_why() {
    let service = Service::start(
        "durations: {deploy: 2s}\nactors: [{after: deploy-accepted, do: settings, slot: staging, set: {A: b}}]\n",
    );
    let (finished, report) = release(&service);
    assert_eq!((outcome(&report), service.swaps()), ("refused", 0), "{}", finished.stderr);
    assert!(report["cause"].as_str().expect("a cause").contains("deployment"), "{report:#}");
}

#[test]
fn somebody_elses_swap_between_check_and_swap_is_noticed() {
    let service = Service::start("actors: [{after: deployed, do: swap, source: staging}]\n");
    let (finished, report) = release(&service);
    // Production has changed, so nothing may call it untouched.
    assert_eq!(
        (outcome(&report), service.swaps()),
        ("stuck", 1),
        "the one swap is theirs: {}",
        finished.stderr
    );
}

#[test]
fn a_pending_preview_is_refused_before_anything_is_touched() {
    let service = Service::start("");
    let path = format!(
        "{}/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Web/sites/{}/slots/staging/applySlotConfig?api-version=2024-11-01",
        service.get("resource_manager").trim_end_matches('/'),
        service.get("subscription_id"),
        service.get("resource_group"),
        service.get("app_name")
    );
    let token = format!(
        "{}/{}/oauth2/v2.0/token",
        service.get("authority").trim_end_matches('/'),
        service.get("tenant_id")
    );
    service.block_on(async {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}/.default",
            service.get("client_id"),
            service.get("client_secret"),
            service.get("resource_manager")
        );
        let request =
            service.client().post(token).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.expect("a token").text().await.expect("a text");
        let token: Value = serde_json::from_str(&answer).expect("JSON");
        let bearer =
            format!("Bearer {}", token["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")));
        let request = service.client().post(path).header("authorization", bearer);
        let body = json!({"targetSlot": "production", "preserveVnet": true}).to_string();
        let answer =
            request.header("content-type", "application/json").body(body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    });
    let (finished, report) = release(&service);
    assert_eq!(outcome(&report), "refused", "{}", finished.stderr);
    assert!(report["cause"].as_str().expect("a cause").contains("prepared for a swap"), "{report:#}");
    assert_eq!(service.slot("staging")["deployments"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_token_that_expires_in_the_middle_is_renewed() {
    let service = Service::start("durations: {token-lifetime: 1s, deploy: 1500ms}\n");
    let (finished, report) = release(&service);
    assert_eq!(outcome(&report), "released", "{}", finished.stderr);
}

/// Sends a signal once the emulator has seen a request whose path holds a word.
fn signalled_at(service: &Service, word: &str) -> (i32, Value) {
    service.place.write("slotway.yml", QUICK);
    let mut command = service.command("release", &["--package", &service.package("2")]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let child = child.expect("it starts");
    wait_for(word, || service.has_seen("POST", word, 1));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("a signal");
    let finished = Finished::from(child.wait_with_output().expect("it ends"));
    service.assert_quiet(&finished);
    (finished.code, finished.json())
}

#[test]
fn cancelled_while_deploying_it_stops_and_production_is_untouched() {
    let service = Service::start("durations: {deploy: 30s}\n");
    let old = service.serves("production");
    let (code, report) = signalled_at(&service, "/api/publish");
    assert_eq!((code, outcome(&report)), (3, "refused"));
    assert!(report["cause"].as_str().expect("a cause").contains("cancelled"), "{report:#}");
    assert_eq!((service.serves("production"), service.swaps()), (old, 0));
}

#[test]
fn cancelled_while_swapping_it_says_what_it_leaves() {
    let service = Service::start("durations: {swap-switch: 30s}\n");
    let old = service.serves("production");
    let (code, report) = signalled_at(&service, "slotsswap");
    assert_eq!((code, outcome(&report)), (5, "stuck"));
    assert_eq!(report["production"]["after"], old);
    assert!(texts(&report).contains("may still be under way"), "{report:#}");
}
