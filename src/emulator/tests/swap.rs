//! Swap and preview over Resource Manager.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn a_swap_is_followed_to_its_end_and_is_told_on_both_slots() {
    let place = Place::start("{}").await;
    place.deploy("staging", "version two").await;
    assert_eq!(
        (place.app("production").await.as_str(), place.app("staging").await.as_str()),
        ("version one", "version two")
    );
    let before = (place.get(WEB).await, place.get(&format!("{WEB}/slots/staging")).await);
    assert_eq!(before.0["properties"]["slotSwapStatus"], Value::Null);

    let url = place.url(&format!("{WEB}/slots/staging/slotsswap"));
    let answer = place.send(Method::POST, &url, Some(swap_body())).await.expect("an answer");
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["retry-after"], "15");
    assert!(answer.headers().contains_key("etag") && !answer.headers().contains_key("content-type"));
    let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
    assert!(location.contains("/slots/staging/operationresults/") && location.contains("&c="), "{location}");
    assert!((2_900..4_100).contains(&location.len()), "{}", location.len());

    let (status, site) = place.follow(&location).await;
    assert_eq!(status, 200);
    assert_eq!(
        (site["type"].as_str(), site["name"].as_str()),
        (Some("Microsoft.Web/sites/slots"), Some("contoso-web/staging"))
    );
    assert_eq!(site["properties"]["name"], "contoso-web(staging)");
    let told = &site["properties"]["slotSwapStatus"];
    assert_eq!(
        (told["sourceSlotName"].as_str(), told["destinationSlotName"].as_str()),
        (Some("staging"), Some("Production"))
    );
    let after = (place.get(WEB).await, place.get(&format!("{WEB}/slots/staging")).await);
    assert_eq!(after.0["properties"]["slotSwapStatus"], *told);
    assert_eq!(after.0["properties"]["deploymentId"], before.1["properties"]["deploymentId"]);
    assert_eq!(after.1["properties"]["deploymentId"], before.0["properties"]["deploymentId"]);
    assert_eq!(
        (place.app("production").await.as_str(), place.app("staging").await.as_str()),
        ("version two", "version one")
    );
    place.end().await;
}

#[tokio::test]
async fn a_running_operation_is_shown_on_its_slots_unless_the_scenario_hides_it() {
    for (hides, shown) in [(false, true), (true, false)] {
        let scenario =
            format!("{{time: stepped, hides-operations: {hides}, durations: {{swap-apply: 10s}}}}");
        let place = Place::start(&scenario).await;
        let url = place.url(&format!("{WEB}/slots/staging/slotsswap"));
        place.send(Method::POST, &url, Some(swap_body())).await.expect("an answer");
        for path in [WEB.to_owned(), format!("{WEB}/slots/staging")] {
            let operation = &place.get(&path).await["properties"]["inProgressOperationId"];
            assert_eq!(operation.is_string(), shown, "{path}");
        }
        place.end().await;
    }
}

#[tokio::test]
async fn while_a_swap_runs_another_is_refused_in_the_providers_shape() {
    let place = Place::start("{time: stepped, durations: {swap-apply: 10s}}").await;
    let path = format!("{WEB}/slots/staging/slotsswap");
    let url = place.url(&path);
    let answer = place.send(Method::POST, &url, Some(swap_body())).await.expect("an answer");
    let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
    let polled = place.send(Method::GET, &location, None).await.expect("an answer");
    assert_eq!(polled.status(), 202);
    assert_ne!(polled.headers()["location"], location.as_str());

    let (status, body) = place.post(&path, swap_body()).await;
    assert_eq!((status.as_u16(), body["Code"].as_str()), (409, Some("Conflict")));
    assert!(body["Message"].as_str().expect("a text").contains("another operation is in progress"));
    assert_eq!(body["Details"][2]["ErrorEntity"]["Code"], "Conflict");

    place.control(Method::POST, "drain", None).await;
    let (status, _) = read(place.send(Method::GET, &location, None).await.expect("an answer")).await;
    assert_eq!(status, 200);
    let operations = place.control(Method::GET, "operations", None).await;
    assert_eq!(operations[0]["state"], "succeeded");
    place.end().await;
}

#[tokio::test]
async fn a_failed_warm_up_ends_the_operation_with_417_and_its_body() {
    let place = Place::start(
        "{slots: {staging: {settings: {WEBSITE_SWAP_WARMUP_PING_PATH: /missing, WEBSITE_SWAP_WARMUP_PING_STATUSES: '200'}}}}",
    )
    .await;
    place.deploy("staging", "version two").await;
    let url = place.url(&format!("{WEB}/slots/staging/slotsswap"));
    let answer = place.send(Method::POST, &url, Some(swap_body())).await.expect("an answer");
    let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
    let (status, body) = place.follow(&location).await;
    assert_eq!((status.as_u16(), body["Code"].as_str()), (417, Some("ExpectationFailed")));
    assert!(body["Message"].as_str().expect("a text").contains("did not respond to http ping"));
    assert_eq!(place.app("production").await, "version one");
    place.end().await;
}

#[tokio::test]
async fn a_preview_shows_on_the_target_and_resets_from_either_side() {
    let place = Place::start(
        "{slots: {production: {slot-settings: {DB: live}}, staging: {slot-settings: {DB: test}}}}",
    )
    .await;
    let staging = format!("{WEB}/slots/staging");
    // "production" as a slot's name, and letter case (real-clients.md).
    for reset in
        [format!("{WEB}/slots/Production/resetSlotConfig"), format!("{WEB}/SLOTS/staging/resetslotconfig")]
    {
        let (status, body) = place.post(&format!("{staging}/applySlotConfig"), swap_body()).await;
        assert_eq!((status.as_u16(), body), (200, json!("")));
        assert_eq!(place.get(WEB).await["properties"]["targetSwapSlot"], "staging");
        let (_, listed) = place.post(&format!("{staging}/config/appsettings/list"), json!({})).await;
        assert_eq!(listed["properties"]["DB"], "live");
        let (status, body) =
            place.put(&format!("{staging}/config/appsettings"), json!({"properties": {}})).await;
        assert_eq!((status.as_u16(), body["Code"].as_str()), (409, Some("Conflict")));
        let (status, _) = place.post(&reset, json!({})).await;
        assert_eq!(status, 200);
        assert_eq!(place.get(WEB).await["properties"]["targetSwapSlot"], Value::Null);
        let (_, listed) = place.post(&format!("{staging}/config/appsettings/list"), json!({})).await;
        assert_eq!(listed["properties"]["DB"], "test");
    }
    place.end().await;
}

#[tokio::test]
async fn a_wrong_target_and_a_wrong_body_are_refused() {
    let place = Place::start("{}").await;
    let path = format!("{WEB}/slots/staging/slotsswap");
    let (status, body) = place.post(&path, json!({"targetSlot": "nowhere", "preserveVnet": true})).await;
    assert_eq!(status, 404);
    assert!(body["Message"].as_str().expect("az prints it").contains("nowhere"));
    for wrong in [json!({}), json!([]), json!({"targetSlot": 1}), json!({"targetSlot": "../x"})] {
        let (status, body) = place.post(&path, wrong).await;
        assert!(status.is_client_error() && body["Message"].is_string(), "{body}");
    }
    let (status, body) = place.post(&path, json!({"targetSlot": "staging", "preserveVnet": true})).await;
    assert_eq!(status, 400, "{body}");
    assert_eq!(place.get(WEB).await["properties"]["slotSwapStatus"], Value::Null);
    place.end().await;
}

#[tokio::test]
async fn slot_differences_name_what_moves() {
    let place = Place::start("{slots: {staging: {settings: {COLOUR: blue}}}}").await;
    let (status, body) = place.post(&format!("{WEB}/slots/staging/slotsdiffs"), swap_body()).await;
    assert_eq!(status, 200);
    let items = body["value"].as_array().expect("a list");
    let colour = items.iter().find(|item| item["properties"]["settingName"] == "COLOUR").expect("listed");
    assert_eq!(colour["properties"]["valueInCurrentSlot"], "blue");
    place.end().await;
}

/// Asks production again and again until told to stop; counts and gives the answers in order, and panics on a lost
/// request.
async fn hammer(
    http: reqwest::Client,
    url: String,
    stop: CancellationToken,
    count: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut answers = Vec::new();
    while !stop.is_cancelled() {
        let answer = http.get(&url).send().await.expect("no request is lost");
        assert_eq!(answer.status(), 200);
        answers.push(answer.text().await.expect("a whole body"));
        count.fetch_add(1, Ordering::SeqCst);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_swaps_under_load_lose_no_request_and_change_the_version_once_each() {
    let place = Place::start("{}").await;
    place.deploy("staging", "version two").await;
    let stop = CancellationToken::new();
    let counts: Vec<Arc<AtomicUsize>> = (0..8).map(|_| Arc::default()).collect();
    let start = |count: &Arc<AtomicUsize>| {
        let url = place.ready().slots["production"].url.clone();
        tokio::spawn(hammer(place.http.clone(), url, stop.clone(), Arc::clone(count)))
    };
    let hammers: Vec<_> = counts.iter().map(start).collect();
    let each_has_seen_more = async || {
        let seen: Vec<usize> = counts.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        place
            .until("every client has seen this version", async || {
                place.get(WEB).await;
                let more =
                    |(count, seen): (&Arc<AtomicUsize>, &usize)| count.load(Ordering::SeqCst) >= seen + 5;
                counts.iter().zip(&seen).all(more).then_some(())
            })
            .await;
    };
    each_has_seen_more().await;
    for _ in 0..20 {
        let url = place.url(&format!("{WEB}/slots/staging/slotsswap"));
        let answer = place.send(Method::POST, &url, Some(swap_body())).await.expect("an answer");
        assert_eq!(answer.status(), 202);
        let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
        assert_eq!(place.follow(&location).await.0, 200);
        each_has_seen_more().await;
    }
    stop.cancel();
    for hammer in hammers {
        let answers = hammer.await.expect("no panic");
        assert_eq!(answers.windows(2).filter(|pair| pair[0] != pair[1]).count(), 20);
    }
    assert_eq!(place.app("production").await, "version one");
    place.end().await;
}
