//! Each misbehaviour as a client sees it.

use super::*;

async fn with_fault(rule: Value) -> Place {
    let place = Place::start("{}").await;
    place.control(Method::POST, "faults", Some(rule)).await;
    place
}

fn on(path: &str, misbehaviour: Value) -> Value {
    json!({"on": {"service": "resource-manager", "path": path}, "do": misbehaviour})
}

async fn try_get(place: &Place) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
    let answer = place.send(Method::GET, &place.url(WEB), None).await?;
    let status = answer.status();
    Ok((status, answer.bytes().await?.to_vec()))
}

/// The site answers again, on whatever connection.
async fn is_well(place: &Place) {
    let (status, _) = try_get(place).await.expect("an answer");
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_reset_before_has_no_effect_and_a_reset_after_has() {
    for (name, effect) in [("reset-before", Value::Null), ("reset-after", json!("staging"))] {
        let place = with_fault(on("applyslotconfig$", json!(name))).await;
        let url = place.url(&format!("{WEB}/slots/staging/applySlotConfig"));
        let error = place.send(Method::POST, &url, Some(swap_body())).await.expect_err("no answer");
        assert!(!error.is_timeout(), "{error:?}");
        assert_eq!(place.get(WEB).await["properties"]["targetSwapSlot"], effect, "{name}");
        let requests = place.control(Method::GET, "requests", None).await;
        let all = requests.as_array().expect("a list");
        let struck = all.iter().find(|request| request["fault"] == name).expect("in the log");
        assert_eq!(
            (&struck["status"], &struck["slot"], &struck["method"]),
            (&Value::Null, &json!("staging"), &json!("POST"))
        );
        place.end().await;
    }
}

#[tokio::test]
async fn a_cut_body_comes_to_its_half() {
    let place = with_fault(on("contoso-web$", json!("cut-body"))).await;
    let answer = place.send(Method::GET, &place.url(WEB), None).await.expect("a head");
    assert_eq!(answer.status(), 200);
    assert!(answer.content_length().expect("a length") > 1000);
    assert!(answer.bytes().await.is_err());
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn a_stalled_request_gets_no_answer_and_does_not_keep_the_emulator_from_ending() {
    let place = with_fault(on("contoso-web$", json!("stall"))).await;
    let url = place.url(WEB);
    let waiting = tokio::time::timeout(Duration::from_millis(300), place.send(Method::GET, &url, None));
    assert!(waiting.await.is_err());
    is_well(&place).await;
    place.control(Method::POST, "faults", Some(on("contoso-web$", json!("stall")))).await;
    let (http, token) = (place.http.clone(), place.token.clone());
    let hanging = tokio::spawn(async move { http.get(url).bearer_auth(token).send().await });
    place
        .until("the request is stalled", async || {
            let all = place.control(Method::GET, "requests", None).await;
            let last =
                all.as_array().expect("a list").iter().rfind(|one| one["service"] == "resource-manager");
            last.filter(|one| one["status"].is_null()).map(|_| ())
        })
        .await;
    tokio::time::timeout(PATIENCE, place.end()).await.expect("ends");
    assert!(hanging.await.expect("no panic").is_err());
}

#[tokio::test]
async fn garbage_is_no_http() {
    let place = with_fault(on("contoso-web$", json!("garbage"))).await;
    let error = try_get(&place).await.expect_err("no HTTP");
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn a_page_comes_instead_of_json() {
    let place = with_fault(on("contoso-web$", json!({"html": {"status": 503}}))).await;
    let (status, body) = try_get(&place).await.expect("an answer");
    assert_eq!(status, 503);
    assert!(body.starts_with(b"<!DOCTYPE html>"));
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn bytes_come_that_are_no_text() {
    let place = with_fault(on("contoso-web$", json!("not-utf8"))).await;
    let (status, body) = try_get(&place).await.expect("an answer");
    assert_eq!(status, 200);
    assert!(std::str::from_utf8(&body).is_err());
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn an_endless_body_does_not_end() {
    let place = with_fault(on("contoso-web$", json!("endless"))).await;
    let mut answer = place.send(Method::GET, &place.url(WEB), None).await.expect("a head");
    let mut seen = 0;
    while seen < 200_000 {
        seen += answer.chunk().await.expect("goes on").expect("goes on").len();
    }
    drop(answer);
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn another_status_comes_with_its_headers_and_body() {
    let body = json!({"Code": "429", "Message": "Cannot acquire exclusive lock"});
    let rule = json!({"status": {"code": 429, "headers": {"Retry-After": "7"}, "body": body}});
    let place = with_fault(on("slotsswap$", rule)).await;
    let url = place.url(&format!("{WEB}/slots/staging/slotsswap"));
    let answer = place.send(Method::POST, &url, Some(swap_body())).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().ok()), (429, Some("7")));
    assert_eq!(read(answer).await.1, body);
    assert_eq!(place.control(Method::GET, "operations", None).await, json!([]));
    place.end().await;
}

#[tokio::test]
async fn a_delayed_answer_is_right() {
    let place = with_fault(on("contoso-web$", json!({"delay": {"by": "200ms"}}))).await;
    let begun = std::time::Instant::now();
    is_well(&place).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
    place.end().await;
}

#[tokio::test]
async fn a_refused_connection_is_no_tls_and_only_that_host_refuses() {
    let place = with_fault(json!({"on": {"service": "scm", "slot": "staging"}, "do": "refuse"})).await;
    let url = place.scm("staging", "/api/environment");
    let error = place.send(Method::GET, &url, None).await.expect_err("refused");
    assert!(error.is_connect(), "{error:?}");
    assert_eq!(place.scm_get("production", "/api/environment").await.0, 200);
    assert_eq!(place.scm_get("staging", "/api/environment").await.0, 200);
    place.end().await;
}

#[tokio::test]
async fn a_fault_on_an_upload_does_not_lose_its_answer() {
    let rule = json!({"on": {"service": "scm", "method": "POST", "path": "publish"},
        "do": {"status": {"code": 503, "body": "The service is unavailable."}}});
    let place = with_fault(rule).await;
    let answer = place.publish("staging", "type=zip&async=true", vec![7; 8 * 1024 * 1024]).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(place.scm_get("staging", "/api/deployments").await.1, json!([]));
    place.deploy("staging", "version two").await;
    place.end().await;
}

#[tokio::test]
async fn a_rule_of_the_scenario_waits_for_its_milestone() {
    let place = Place::start(
        "{faults: [{on: {service: resource-manager, path: operationresults}, after: swap-accepted, do: {html: {status: 503}}}]}",
    )
    .await;
    let url = place.url(&format!("{WEB}/slots/staging/slotsswap"));
    let answer = place.send(Method::POST, &url, Some(swap_body())).await.expect("an answer");
    let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
    // One poll gives 503 with a page, and the operation goes on (seen-in-recordings.md 19).
    assert_eq!(place.send(Method::GET, &location, None).await.expect("an answer").status(), 503);
    assert_eq!(place.follow(&location).await.0, 200);
    place.end().await;
}

#[tokio::test]
async fn a_wrong_rule_in_the_scenario_does_not_start() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let scenario = Scenario::from_yaml("{faults: [{do: stall}, {do: explode}]}").expect("faults are values");
    let options = Options {
        scenario,
        production: None,
        folder: folder.path().to_owned(),
        client_secret: None,
        environment: Default::default(),
    };
    let Err(error) = start(options).await else { panic!("started") };
    let text = error.to_string();
    assert!(text.starts_with("faults, rule 2: unknown variant `explode`"), "{text}");
}
