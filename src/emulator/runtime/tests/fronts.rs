//! The front end: affinity, routing names, waiting, stopped slots, refused connections.

use super::*;

const SCRIPT: &str = "version: '{{v}}'\npaths:\n- {path: /worker, body: '{{worker}}'}\n- {path: /slow, latency: 10s, body: 'slow {{version}}'}\n";

fn script(version: &str) -> String {
    SCRIPT.replace("{{v}}", version)
}

/// One in production, two in staging.
async fn two_slots(more: &str) -> Stand {
    let scenario = format!(
        "slots: {{production: {{package: '{{base}}/one', slot-settings: {{S: p}}}}, staging: {{package: '{{base}}/two'}}}}\n{more}"
    );
    let stand = Stand::new(&scenario, |base| {
        app(base, "one", &[("scripted-app.yml", &script("one"))]);
        app(base, "two", &[("scripted-app.yml", &script("two"))]);
    })
    .await;
    stand.ready(&slot("production")).await;
    stand.ready(&slot("staging")).await;
    stand
}

fn cookies(answer: &Answer) -> Vec<String> {
    answer
        .headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| value.to_str().ok().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn affinity_pins_a_worker_and_its_absence_takes_turns() {
    let stand = two_slots("").await;
    let mut client = stand.client(&slot("production")).await;
    let workers = stand.shared.read(|world| world.plans().next().expect("plan").workers.clone());
    let first = client.get("/worker", &[]).await.expect("an answer");
    let set = cookies(&first);
    assert_eq!(set.len(), 2);
    assert!(set[0].starts_with("ARRAffinity=") && set[0].ends_with("Domain=127.0.0.1"), "{set:?}");
    assert!(set[1].starts_with("ARRAffinitySameSite=") && set[1].contains("SameSite=None"), "{set:?}");
    for (index, worker) in workers.iter().enumerate() {
        for _ in 0..5 {
            let cookie = format!("other=1; ARRAffinity={worker}");
            let answer = client.get("/worker", &[("cookie", &cookie)]).await.expect("an answer");
            assert_eq!(answer.text, index.to_string());
            assert!(cookies(&answer).is_empty());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        seen.insert(client.get("/worker", &[]).await.expect("an answer").text);
    }
    assert_eq!(seen.len(), 2);
    let gone = client.get("/worker", &[("cookie", "ARRAffinity=gone")]).await.expect("an answer");
    assert_eq!((gone.status, cookies(&gone).len()), (200, 2));
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn ramp_up_rules_and_the_routing_name_choose_a_slot_of_production_only() {
    let stand = two_slots("").await;
    let (production, staging) = (slot("production"), slot("staging"));
    let mut client = stand.client(&production).await;
    let query = "/?x-ms-routing-name=staging";
    assert_eq!(
        client.get(query, &[]).await.expect("an answer").text,
        "one\n",
        "without a rule it says nothing"
    );
    let rule = |percentage: f64| {
        serde_json::json!({"experiments": {"rampUpRules":
            [{"name": "staging", "actionHostName": "x", "reroutePercentage": percentage}]}})
    };
    stand.shared.act(|world| world.patch_web_config(&production, rule(0.0))).expect("patches");
    let asked = client.get(query, &[]).await.expect("an answer");
    assert_eq!(asked.text, "two\n");
    assert!(cookies(&asked).iter().any(|cookie| cookie.starts_with("x-ms-routing-name=staging;")));
    assert_eq!(client.get("/", &[]).await.expect("an answer").text, "one\n");
    stand.shared.act(|world| world.patch_web_config(&production, rule(25.0))).expect("patches");
    let mut shifted = 0;
    for _ in 0..200 {
        shifted += usize::from(client.get("/", &[]).await.expect("an answer").text == "two\n");
    }
    assert!((40..=60).contains(&shifted), "about 25 % of 200: {shifted}");
    for (cookie, text) in [("x-ms-routing-name=self", "one\n"), ("x-ms-routing-name=staging", "two\n")] {
        let answer = client.get("/", &[("cookie", cookie)]).await.expect("an answer");
        assert_eq!(answer.text, text);
        assert!(!cookies(&answer).iter().any(|set| set.starts_with("x-ms-routing-name")));
    }
    let other = stand.client(&staging).await.get("/?x-ms-routing-name=self", &[]).await.expect("an answer");
    assert_eq!(other.text, "two\n", "a slot's own host is the slot's");
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn a_stopped_slot_answers_403_and_starts_again() {
    let stand = two_slots("").await;
    let staging = slot("staging");
    stand.shared.act(|world| world.stop(&staging)).expect("stops");
    let answer = stand.get(&staging, "/").await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("Error 403 - This web app is stopped."));
    stand.shared.act(|world| world.start(&staging)).expect("starts");
    assert_eq!(stand.get(&staging, "/").await.status, 200, "the request waits for the start");
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn a_request_without_an_instance_waits_for_a_time_and_then_gets_503() {
    let stand =
        Stand::new("durations: {front-wait: 100ms}\nslots: {staging: {package: '{base}/bad'}}", |base| {
            app(base, "bad", &[("scripted-app.yml", "version: '1'\nfails-to-start: true")]);
        })
        .await;
    let answer = stand.get(&slot("staging"), "/").await;
    assert_eq!((answer.status, answer.text.as_str()), (503, "The service is unavailable."));
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn a_request_in_flight_at_the_switch_ends_on_the_side_where_it_began() {
    let stand = two_slots("time: stepped").await;
    let production = slot("production");
    let mut client = stand.client(&production).await;
    let slow = tokio::spawn(async move { client.get("/slow", &[]).await.expect("an answer") });
    // In stepped time nothing else is due: what is due in ten seconds is the answer.
    let due = |world: &World| world.next_due().filter(|due| *due - world.now() == Duration::from_secs(10));
    stand.shared.wait_for(LIMIT, due).await.expect("the request is inside");
    stand.swapped(&stand.begin_swap()).await;
    assert_eq!(stand.get(&production, "/").await.text, "two\n");
    assert!(!slow.is_finished());
    stand.shared.step(Duration::from_secs(10)).await;
    let answer = slow.await.expect("no panic");
    assert_eq!((answer.status, answer.text.as_str()), (200, "slow one"));
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn an_ordered_answer_belongs_to_the_content_and_moves_with_it() {
    let stand = two_slots("").await;
    stand.shared.force_answer(&slot("staging"), "/worker", Some(500));
    assert_eq!(stand.get(&slot("staging"), "/worker").await.status, 500);
    assert_eq!(stand.get(&slot("production"), "/worker").await.status, 200);
    stand.swapped(&stand.begin_swap()).await;
    assert_eq!(stand.get(&slot("production"), "/worker").await.status, 500);
    stand.shared.force_answer(&slot("production"), "/worker", None);
    assert_eq!(stand.get(&slot("production"), "/worker").await.status, 200);
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn the_app_sees_who_was_asked_and_no_header_of_one_connection() {
    let stand = Stand::new(&super::apps::with_command("{}", &super::apps::server_command()), |base| {
        app(base, "app", &[("version.txt", "1")]);
    })
    .await;
    stand.ready(&slot("production")).await;
    let mut client = stand.client(&slot("production")).await;
    for _ in 0..3 {
        let answer = client.get("/", &[("connection", "x-private"), ("x-private", "1"), ("te", "trailers")]);
        let answer = answer.await.expect("an answer");
        assert_eq!((answer.status, answer.text.as_str()), (200, "1"));
    }
    stand.shared.shutdown().await;
}
