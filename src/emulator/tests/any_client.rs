//! What clients do that nobody here has run: every api-version, careless addresses, v1
//! tokens, publish profiles, "production" as a slot's name, packages behind an address.

use super::*;

const VERSIONS: [&str; 12] = [
    "2016-08-01",
    "2018-02-01",
    "2018-11-01",
    "2019-08-01",
    "2020-12-01",
    "2021-03-01",
    "2022-03-01",
    "2022-09-01",
    "2023-12-01",
    "2024-11-01",
    "2025-03-01",
    "2025-05-01",
];

#[tokio::test]
async fn every_api_version_from_2016_on_reads_writes_and_swaps() {
    let place = Place::start("{}").await;
    for (round, version) in VERSIONS.into_iter().enumerate() {
        let url = |path: &str| place.url(path).replace("2024-11-01", version);
        let (status, site) = read(place.send(Method::GET, &url(WEB), None).await.expect("an answer")).await;
        assert_eq!((status.as_u16(), site["name"].as_str()), (200, Some("contoso-web")), "{version}");
        let settings = json!({"properties": {"VERSION": version}});
        let path = url(&format!("{WEB}/slots/staging/config/appsettings"));
        let (status, written) =
            read(place.send(Method::PUT, &path, Some(settings)).await.expect("an answer")).await;
        assert_eq!((status.as_u16(), &written["properties"]["VERSION"]), (200, &json!(version)));
        let path = url(&format!("{WEB}/slots/staging/slotsswap"));
        let answer = place.send(Method::POST, &path, Some(swap_body())).await.expect("an answer");
        assert_eq!(answer.status(), 202, "{version}");
        let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
        assert!(location.contains(&format!("api-version={version}&")), "{location}");
        assert_eq!(place.follow(&location).await.0, 200, "{version}, swap {round}");
    }
    place.end().await;
}

#[tokio::test]
async fn slashes_and_letter_case_do_not_matter_to_any_service() {
    let place = Place::start("{}").await;
    let careful = place.url(&format!("{WEB}/slots/staging"));
    let subscription = &place.ready().subscription_id;
    let careless = careful
        .replace("/subscriptions/", "//SUBSCRIPTIONS/")
        .replace(subscription.as_str(), &subscription.to_uppercase())
        .replace("/resourceGroups/contoso/", "/resourcegroups//Contoso/")
        .replace("/providers/Microsoft.Web/sites/contoso-web/", "/PROVIDERS/microsoft.web/Sites/CONTOSO-WEB/")
        .replace("/slots/staging?", "/SLOTS/Staging//?")
        .replace("api-version", "API-Version");
    assert_ne!(careful, careless);
    let get = async |url: &str| read(place.send(Method::GET, url, None).await.expect("an answer")).await;
    assert_eq!(get(&careless).await, get(&careful).await);
    let (status, _) = get(&place.scm("staging", "//API/Deployments/")).await;
    assert_eq!(status, 200);
    let ready = place.ready();
    for path in ["//metadata//Endpoints/?api-version=2022-09-01", "/subscriptions//?api-version=2016-06-01"] {
        let url = format!("{}{path}", ready.resource_manager);
        assert_eq!(get(&url).await.0, 200, "{path}");
    }
    let openid = format!("{}//{}/V2.0//.Well-Known/openid-configuration", ready.authority, ready.tenant_id);
    assert_eq!(get(&openid).await.0, 200);
    place.end().await;
}

#[tokio::test]
async fn a_token_of_the_first_endpoint_opens_resource_manager_and_scm() {
    let mut place = Place::start("{}").await;
    let ready = place.ready();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &ready.client_id)
        .append_pair("client_secret", &ready.client_secret)
        .append_pair("resource", &ready.resource_manager)
        .finish();
    let url = format!("{}/{}/oauth2/token", ready.authority, ready.tenant_id);
    let sent = place.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
    let (status, body) = read(sent.send().await.expect("an answer")).await;
    assert_eq!((status.as_u16(), body["resource"].as_str()), (200, Some(ready.resource_manager.as_str())));
    place.token = body["access_token"].as_str().expect("a token").to_owned();
    place.get(WEB).await;
    assert_eq!(place.scm_get("staging", "/api/deployments").await.0, 200);
    place.end().await;
}

/// An attribute of the profile for zip deployments.
fn of_profile<'a>(xml: &'a str, name: &str) -> &'a str {
    let profile = xml.split("<publishProfile ").find(|one| one.contains("publishMethod=\"ZipDeploy\""));
    let value = profile.and_then(|one| one.split(&format!(" {name}=\"")).nth(1));
    value.and_then(|rest| rest.split('"').next()).expect("the attribute")
}

#[tokio::test]
async fn a_publish_profile_is_all_that_a_deployment_needs() {
    let place = Place::start("{}").await;
    let policy = format!("{WEB}/slots/staging/basicPublishingCredentialsPolicies/scm");
    assert_eq!(place.put(&policy, json!({"properties": {"allow": true}})).await.0, 200);
    let (_, body) = place.post(&format!("{WEB}/slots/staging/publishxml"), json!({})).await;
    let xml = body.as_str().expect("XML");
    let url = format!("https://{}/api/zipdeploy", of_profile(xml, "publishUrl"));
    let (user, password) = (of_profile(xml, "userName"), of_profile(xml, "userPWD"));
    assert_eq!(user, "$contoso-web__staging");
    let send = async |password: &str| {
        let sent = place.http.post(&url).basic_auth(user, Some(password));
        sent.body(place.package("by profile")).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(send("wrong").await, 401);
    assert_eq!(send(password).await, 200);
    assert_eq!(place.app("staging").await, "by profile");
    place.end().await;
}

#[tokio::test]
async fn production_is_a_slots_name_in_any_address() {
    let place = Place::start("{slots: {production: {settings: {A: b}}}}").await;
    for name in ["production", "Production"] {
        let slot = format!("{WEB}/slots/{name}");
        let site = place.get(&slot).await;
        assert_eq!(
            (site["name"].as_str(), site["type"].as_str()),
            (Some("contoso-web"), Some("Microsoft.Web/sites"))
        );
        let (_, settings) = place.post(&format!("{slot}/config/appsettings/list"), json!({})).await;
        assert_eq!(settings["properties"]["A"], "b");
        assert_eq!(place.post(&format!("{slot}/resetSlotConfig"), json!({})).await.0, 200);
    }
    // Production as the source of a swap, by either address.
    for path in ["slots/production/slotsswap", "slotsswap"] {
        let body = json!({"targetSlot": "staging", "preserveVnet": false});
        let answer = place.send(Method::POST, &place.url(&format!("{WEB}/{path}")), Some(body)).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 202, "{path}");
        let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
        assert_eq!(place.follow(&location).await.0, 200);
    }
    place.end().await;
}

/// Serves a package once over plain HTTP, as a storage account would; then only 404.
async fn storage(package: Vec<u8>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut left = Some(package);
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let (status, body) = left.take().map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
    });
    format!("http://{address}/package.zip?sig=hidden")
}

#[tokio::test]
async fn resource_manager_fetches_a_package_and_answers_as_recorded() {
    let place = Place::start("{}").await;
    let uri = storage(place.package("fetched")).await;
    let order = json!({"properties": {"packageUri": uri, "type": "zip"}});
    let path = format!("{WEB}/slots/staging/extensions/onedeploy");
    let answer = place.send(Method::PUT, &place.url(&path), Some(order.clone())).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers()["retryafter"].to_str().ok()), (202, Some("30")));
    let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
    assert!(location.contains("/slots/staging/deployments/latest?api-version=2024-11-01&deployer=OneDeploy"));
    let (_, body) = read(answer).await;
    let record = &body["properties"];
    assert_eq!((&record["id"], &record["is_temp"]), (&Value::Null, &json!(true)));
    assert_eq!(record["status_text"], "Receiving changes.");
    assert!(record["build_summary"].is_object() && record.get("provisioningState").is_none());
    let (_, latest) = place
        .until("the deployment ends", async || {
            let found = read(place.send(Method::GET, &location, None).await.expect("an answer")).await;
            (found.0 == 200).then_some(found)
        })
        .await;
    assert_eq!((&latest["properties"]["status"], &latest["properties"]["active"]), (&json!(4), &json!(true)));
    assert_eq!(place.app("staging").await, "fetched");

    // The package is there no more: a refusal that does not tell the signature, and the lock is free.
    let (status, refused) = place.put(&path, order).await;
    let message = refused["Message"].as_str().expect("a text");
    assert_eq!(status, 400);
    assert!(message.contains("404") && !message.contains("hidden"), "{message}");
    for wrong in [json!({}), json!({"packageUri": "ftp://x/y", "type": "zip"}), json!({"type": "zip"})] {
        assert_eq!(place.put(&path, json!({"properties": wrong})).await.0, 400, "{wrong}");
    }
    assert_eq!(place.publish("staging", "type=zip", place.package("pushed")).await.status(), 200);
    place.end().await;
}

#[tokio::test]
async fn kudu_fetches_a_package_that_a_body_in_json_names() {
    let place = Place::start("{}").await;
    let uri = storage(place.package("fetched")).await;
    let url = place.scm("staging", "/api/publish?type=zip");
    let answer = place.send(Method::POST, &url, Some(json!({"packageUri": uri}))).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(place.app("staging").await, "fetched");
    let answer = place.send(Method::POST, &url, Some(json!({"uri": uri}))).await.expect("an answer");
    assert_eq!(answer.status(), 400);
    place.end().await;
}

#[tokio::test]
async fn a_deleted_site_takes_its_slots_and_its_hosts_with_it() {
    let place = Place::start("{}").await;
    let hosts: Vec<String> = place.ready().slots.values().map(|slot| slot.url.clone()).collect();
    let site = place.get(WEB).await;
    let plan = site["properties"]["serverFarmId"].as_str().expect("an id").trim_start_matches('/').to_owned();
    let plan = plan.split_once("/providers/").map(|(_, rest)| format!("providers/{rest}")).expect("a path");
    // A lock keeps it; what is another's stays.
    let lock = format!("{WEB}/providers/Microsoft.Authorization/locks/keep");
    place.put(&lock, json!({"properties": {"level": "CanNotDelete"}})).await;
    let (status, body) = place.arm(Method::DELETE, WEB, None).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (409, Some("ScopeLocked")));
    place.arm(Method::DELETE, &lock, None).await;

    assert_eq!(place.arm(Method::DELETE, WEB, None).await, (StatusCode::OK, json!("")));
    assert_eq!(place.arm(Method::GET, WEB, None).await.0, 404);
    assert_eq!(place.arm(Method::DELETE, WEB, None).await.0, 404);
    assert_eq!(place.arm(Method::GET, &plan, None).await.0, 404, "the empty plan goes too");
    for host in hosts {
        place.until("the port is closed", async || place.http.get(&host).send().await.err()).await;
    }
    place.end().await;
}
