//! Uploads, deployment records, files and logs over Kudu.

use super::*;

#[tokio::test]
async fn an_upload_is_accepted_polled_and_served() {
    let place = Place::start("{}").await;
    let answer = place.publish("staging", "type=zip&async=true", place.package("version two")).await;
    assert_eq!(answer.status(), 202);
    let header = |name: &str| answer.headers()[name].to_str().expect("a text").to_owned();
    assert_eq!(header("retryafter"), "30");
    let location = header("location");
    assert!(location.contains("/api/deployments/latest?deployer=OneDeploy&time="), "{location}");
    let id = header("scm-deployment-id");
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2);

    let record = place
        .until("the deployment ends", async || {
            let (status, body) =
                read(place.send(Method::GET, &location, None).await.expect("an answer")).await;
            if status == 202 {
                assert_eq!((&body["status"], &body["complete"]), (&json!(0), &json!(false)));
                return None;
            }
            Some(body)
        })
        .await;
    assert_eq!(
        (record["id"].as_str(), &record["status"], &record["active"]),
        (Some(id.as_str()), &json!(4), &json!(true))
    );
    assert_eq!((record["author"].as_str(), record["message"].as_str()), (Some("N/A"), Some("OneDeploy")));
    assert!(record["build_summary"].is_object() && record.get("provisioningState").is_none());
    assert_eq!(place.app("staging").await, "version two");
    assert_eq!(place.app("production").await, "version one");

    let (_, log) = place.scm_get("staging", &format!("/api/deployments/{id}/log")).await;
    assert!(log.as_array().is_some_and(|lines| !lines.is_empty()), "{log}");
    let arm = place.get(&format!("{WEB}/slots/staging/deployments/{id}")).await;
    // The name joins the names of the path (Kudu.Services/Arm/ArmUtils.cs).
    let name = format!("contoso-web/staging/{id}");
    assert_eq!((arm["properties"]["status"].as_i64(), arm["name"].as_str()), (Some(4), Some(name.as_str())));
    let lines = place.get(&format!("{WEB}/slots/staging/deployments/{id}/log")).await;
    assert_eq!(lines["value"][0]["properties"]["log_time"], log[0]["log_time"]);
    let status = place
        .until("the app is up", async || {
            let path = format!("{WEB}/slots/staging/deploymentStatus/{id}");
            let (code, body) = place.arm(Method::GET, &path, None).await;
            (code == 200).then_some(body)
        })
        .await;
    assert_eq!(status["properties"]["status"], "RuntimeSuccessful");
    assert_eq!(status["properties"]["numberOfInstancesSuccessful"], 2);
    assert!(
        std::fs::read_dir(place.folder.path().join("emulator/uploads")).expect("a folder").next().is_none()
    );
    place.end().await;
}

#[tokio::test]
async fn a_synchronous_upload_answers_at_the_end_and_a_bad_one_with_500() {
    let place = Place::start("{}").await;
    let answer = place.publish("staging", "type=zip", place.package("version two")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(place.app("staging").await, "version two");
    let answer = place.publish("staging", "type=zip", b"this is no zip".to_vec()).await;
    assert_eq!(answer.status(), 500);
    assert!(!answer.text().await.expect("a text").is_empty());
    let (status, record) = place.scm_get("staging", "/api/deployments/latest").await;
    assert_eq!((status.as_u16(), &record["status"]), (200, &json!(3)));
    assert_eq!(place.app("staging").await, "version two");
    let answer = place.publish("staging", "type=exe", vec![1]).await;
    assert_eq!(answer.status(), 400);
    let wrong = "0".repeat(64);
    let url = place.scm("staging", "/api/publish?type=zip");
    let sent = place.http.post(url).bearer_auth(&place.token).header("x-ms-artifact-checksum", wrong);
    assert_eq!(sent.body(place.package("version three")).send().await.expect("an answer").status(), 500);
    place.end().await;
}

#[tokio::test]
async fn a_second_upload_under_the_lock_is_refused_with_kudus_text() {
    let place = Place::start("{time: stepped, durations: {deploy: 60s}}").await;
    let first = place.publish("staging", "type=zip&async=true", place.package("two")).await;
    assert_eq!(first.status(), 202);
    let second = place.publish("staging", "type=zip&async=true", vec![0; 5 * 1024 * 1024]).await;
    assert_eq!(second.status(), 409);
    let text = second.text().await.expect("a text");
    assert!(text.starts_with("There is a deployment currently in progress"), "{text}");
    let (status, record) = place.scm_get("staging", "/api/deployments/latest").await;
    assert_eq!((status.as_u16(), &record["complete"]), (202, &json!(false)));
    // The other slot has a lock of its own.
    assert_eq!(place.publish("production", "type=zip&async=true", place.package("x")).await.status(), 202);
    // These get a stub without an id meanwhile (kudu-deploy.md §6).
    let url = place.scm("staging", "/api/deployments/latest");
    let sent = place.http.get(url).bearer_auth(&place.token).header("user-agent", "VSTS_abc/1");
    let (status, stub) = read(sent.send().await.expect("an answer")).await;
    assert_eq!((status.as_u16(), stub.get("id")), (202, None));
    place.end().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_gives_the_lock_back() {
    let place = Place::start("{}").await;
    let broken =
        futures_util::stream::iter([Ok(bytes::Bytes::from_static(&[0; 1000])), Err("the client goes away")]);
    let url = place.scm("staging", "/api/publish?type=zip&async=true");
    let sent = place.http.post(url).bearer_auth(&place.token).body(reqwest::Body::wrap_stream(broken));
    assert!(sent.send().await.is_err());
    place
        .until("the lock is free", async || {
            let answer = place.publish("staging", "type=zip&async=true", place.package("version two")).await;
            (answer.status() == 202).then_some(())
        })
        .await;
    place.end().await;
}

#[tokio::test]
async fn basic_sign_in_depends_on_the_policy() {
    let place = Place::start("{}").await;
    let staging = format!("{WEB}/slots/staging");
    for allow in [false, true] {
        let path = format!("{staging}/basicPublishingCredentialsPolicies/scm");
        let (status, body) = place.put(&path, json!({"properties": {"allow": allow}})).await;
        assert_eq!((status.as_u16(), &body["properties"]["allow"]), (200, &json!(allow)));
        let (_, body) = place.post(&format!("{staging}/config/publishingcredentials/list"), json!({})).await;
        let text = |name: &str| body["properties"][name].as_str().expect("a text").to_owned();
        let (user, password) = (text("publishingUserName"), text("publishingPassword"));
        assert_eq!(user == "REDACTED", !allow);
        assert_eq!(text("scmUri").contains("REDACTED:REDACTED@"), !allow);
        let sent =
            place.http.get(place.scm("staging", "/api/environment")).basic_auth(&user, Some(&password));
        assert_eq!(sent.send().await.expect("an answer").status(), if allow { 200 } else { 401 });
    }
    let (_, body) = place.post(&format!("{staging}/publishxml"), json!({"format": "WebDeploy"})).await;
    let xml = body.as_str().expect("XML");
    assert_eq!(xml.matches("<publishProfile ").count(), 3);
    assert!(
        xml.contains("publishMethod=\"ZipDeploy\"") && xml.contains("destinationAppUrl=\"http://127.0.0.1:")
    );
    place.end().await;
}

#[tokio::test]
async fn a_pipelines_record_is_kept_and_its_rules_hold() {
    let place = Place::start("{}").await;
    let put = async |id: &str, body: Value| {
        let url = place.scm("staging", &format!("/api/deployments/{id}"));
        read(place.send(Method::PUT, &url, Some(body)).await.expect("an answer")).await
    };
    let good =
        json!({"status": 4, "message": "{\"a\":1}", "deployer": "Slotway", "author": "me", "active": false});
    let (status, record) = put("Run-1", good.clone()).await;
    assert_eq!(
        (status.as_u16(), record["id"].as_str(), &record["active"]),
        (200, Some("Run-1"), &json!(false))
    );
    assert_eq!(put("run-1", good).await.0, 409);
    assert_eq!(put("x", json!({"status": 4, "deployer": "me"})).await.0, 404);
    assert_eq!(
        put("y", json!({"status": 3, "message": "m", "deployer": "d", "author": "a", "active": true}))
            .await
            .0,
        400
    );
    place.end().await;
}

#[tokio::test]
async fn files_are_read_and_written_below_home_only() {
    let place = Place::start("{}").await;
    place.deploy("staging", "version two").await;
    let url = |path: &str| place.scm("staging", &format!("/api/vfs/{path}"));
    let get = async |path: &str| place.send(Method::GET, &url(path), None).await.expect("an answer");
    let file = get("site/wwwroot/index.html").await;
    assert!(file.headers().contains_key("etag"));
    assert_eq!(file.text().await.expect("a text"), "version two");
    let (_, listed) = read(get("site/wwwroot/").await).await;
    assert!(listed.as_array().expect("a list").iter().any(|item| item["name"] == "index.html"));

    let put = async |matching: Option<&str>| {
        let mut sent = place.http.put(url("site/wwwroot/new.txt")).bearer_auth(&place.token).body("hello");
        if let Some(matching) = matching {
            sent = sent.header("if-match", matching);
        }
        sent.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((put(None).await, put(None).await, put(Some("*")).await), (201, 412, 204));
    assert_eq!(get("site/wwwroot/new.txt").await.text().await.expect("a text"), "hello");
    assert_eq!(get("site/wwwroot/nothing").await.status(), 404);
    assert_eq!(get("%2e%2e%2f%2e%2e%2fetc%2fpasswd").await.status(), 400);
    place.end().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_does_not_lead_out_of_the_content() {
    let place = Place::start("{}").await;
    let outside = place.folder.path().join("secret.txt");
    std::fs::write(&outside, "secret").expect("a file");
    let files = place.emulator.cloud().shared.read(|world| {
        world.sites().next().expect("the site").slots.values().next().expect("a slot").side.files.clone()
    });
    std::fs::create_dir_all(files.join("site")).expect("a folder");
    std::os::unix::fs::symlink(&outside, files.join("site/link.txt")).expect("a link");
    for slot in ["production", "staging"] {
        let answer = place
            .send(Method::GET, &place.scm(slot, "/api/vfs/site/link.txt"), None)
            .await
            .expect("an answer");
        assert!(matches!(answer.status().as_u16(), 403 | 404), "{slot}");
    }
    place.end().await;
}

#[tokio::test]
async fn a_settings_write_restarts_scm_and_kills_a_running_deployment() {
    let place = Place::start("{time: stepped, durations: {deploy: 60s, scm-restart: 5s}}").await;
    assert_eq!(place.publish("staging", "type=zip&async=true", place.package("two")).await.status(), 202);
    let path = format!("{WEB}/slots/staging/config/appsettings");
    assert_eq!(place.put(&path, json!({"properties": {"A": "1"}})).await.0, 200);
    let answer =
        place.send(Method::GET, &place.scm("staging", "/api/environment"), None).await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().ok()),
        (503, Some("text/html"))
    );
    let world = place.control(Method::POST, "step", Some(json!({"seconds": 6}))).await;
    let deployments = &world["sites"]["contoso-web"]["slots"]["staging"]["deployments"];
    assert_eq!(deployments[0]["killed"], true);
    assert_eq!(place.scm_get("staging", "/api/settings/A").await.1, json!("1"));
    place.end().await;
}

#[tokio::test]
async fn logs_come_as_a_list_as_text_and_as_a_zip() {
    let place = Place::start("{}").await;
    let (_, list) = place.scm_get("production", "/api/logs/docker").await;
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
    let href = list[0]["href"].as_str().expect("a URL");
    assert_eq!(place.send(Method::GET, href, None).await.expect("an answer").status(), 200);
    let answer = place.send(Method::GET, &place.scm("production", "/dump"), None).await.expect("an answer");
    let bytes = answer.bytes().await.expect("a body").to_vec();
    assert_eq!(zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip").len(), 2);
    place.end().await;
}
