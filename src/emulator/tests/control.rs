//! The control endpoint, and the emulator as a whole.

use super::*;

#[tokio::test]
async fn the_world_is_shown_and_acted_on() {
    let place = Place::start("{slots: {production: {settings: {A: '1'}}}}").await;
    let world = place.control(Method::GET, "world", None).await;
    let production = &world["sites"]["contoso-web"]["slots"]["production"];
    assert_eq!((&production["state"], &production["app_settings"]["A"]), (&json!("running"), &json!("1")));
    assert!(
        production["instances"].as_array().expect("a list").iter().all(|one| one["state"] == "ready"),
        "{world}"
    );

    let act = json!({"settings": {"slot": "production", "set": {"A": null, "B": "2"}}});
    place.control(Method::POST, "act", Some(act)).await;
    let world = place.control(Method::GET, "world", None).await;
    assert_eq!(world["sites"]["contoso-web"]["slots"]["production"]["app_settings"], json!({"B": "2"}));
    place.control(Method::POST, "act", Some(json!({"swap": {"source": "staging"}}))).await;
    place.control(Method::POST, "drain", None).await;
    let world = place.control(Method::GET, "world", None).await;
    assert!(
        world["milestones"].as_array().expect("a list").iter().any(|one| one["milestone"] == "swap-finished")
    );

    let url = format!("{}act", place.ready().control);
    for wrong in [json!({"explode": {}}), json!({"scale": {"workers": "many"}}), json!([])] {
        assert_eq!(place.send(Method::POST, &url, Some(wrong)).await.expect("an answer").status(), 400);
    }
    place.end().await;
}

#[tokio::test]
async fn kudu_alone_is_restarted() {
    let place = Place::start("{time: stepped, durations: {scm-restart: 8s}}").await;
    let generations = async || {
        let world = place.control(Method::GET, "world", None).await;
        world["sites"]["contoso-web"]["slots"]["staging"]["instances"].clone()
    };
    let before = generations().await;
    let act = json!({"restart-scm": {"slot": "staging"}});
    place.control(Method::POST, "act", Some(act)).await;
    assert_eq!(place.scm_get("staging", "/api/environment").await.0, 503);
    assert_eq!(generations().await, before, "the app goes on");
    place.control(Method::POST, "step", Some(json!({"seconds": 9}))).await;
    assert_eq!(place.scm_get("staging", "/api/environment").await.0, 200);
    place.end().await;
}

#[tokio::test]
async fn an_app_is_made_to_fail_and_the_failure_moves_with_its_content() {
    let place = Place::start("{}").await;
    place.deploy("staging", "version two").await;
    let act = json!({"app-fails": {"slot": "staging", "path": "/", "status": 500}});
    place.control(Method::POST, "act", Some(act)).await;
    let status = async |slot: &str| {
        place.http.get(&place.ready().slots[slot].url).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((status("staging").await, status("production").await), (500, 200));
    place.control(Method::POST, "act", Some(json!({"swap": {"source": "staging"}}))).await;
    place.control(Method::POST, "drain", None).await;
    assert_eq!((status("staging").await, status("production").await), (200, 500));
    place.end().await;
}

#[tokio::test]
async fn shutdown_is_told_to_the_owner_and_leaves_no_port_open() {
    let mut place = Place::start("{}").await;
    place.control(Method::POST, "shutdown", None).await;
    tokio::time::timeout(PATIENCE, place.emulator.until_asked_to_stop()).await.expect("told");
    let ready = place.ready().clone();
    let http = place.http.clone();
    place.end().await;
    for url in [&ready.resource_manager, &ready.authority, &ready.control, &ready.slots["production"].url] {
        assert!(http.get(url.as_str()).send().await.expect_err("closed").is_connect(), "{url}");
    }
}

#[tokio::test]
async fn ready_and_exports_name_what_is_there() {
    let place = Place::start("{app: shop, resource-group: retail, slots: {canary: {}}}").await;
    let ready = place.ready();
    assert_eq!((ready.app_name.as_str(), ready.resource_group.as_str()), ("shop", "retail"));
    assert_eq!(ready.slots.keys().collect::<Vec<_>>(), ["canary", "production", "staging"]);
    let exports = place.emulator.print_env();
    for value in [&ready.client_secret, &ready.resource_manager, &ready.tenant_id] {
        assert!(exports.contains(value.as_str()));
    }
    place.end().await;
}
