//! Sites, slots, settings, instances, plans over Resource Manager.

use super::*;

#[tokio::test]
async fn a_site_has_the_fields_that_clients_read() {
    let place = Place::start("{}").await;
    let site = place.get(&format!("/{WEB}/")).await;
    let properties = &site["properties"];
    assert_eq!(
        (site["type"].as_str(), site["kind"].as_str()),
        (Some("Microsoft.Web/sites"), Some("app,linux"))
    );
    assert!(properties["defaultHostName"].as_str().expect("a host").contains('.'));
    let states = properties["hostNameSslStates"].as_array().expect("a list");
    let scm = states.iter().find(|state| state["hostType"] == "Repository").expect("SCM");
    assert_eq!(
        format!("https://{}", scm["name"].as_str().expect("a host")),
        place.ready().slots["production"].scm_url
    );
    assert!(properties["serverFarmId"].as_str().expect("an id").contains("/serverfarms/"));
    for name in ["slotSwapStatus", "targetSwapSlot", "inProgressOperationId"] {
        assert_eq!(properties.get(name), Some(&Value::Null), "{name}");
    }
    let url = format!("{}&x=1", place.url(WEB).replace("2024-11-01", "2023-12-01"));
    let (_, old) = read(place.send(Method::GET, &url, None).await.expect("an answer")).await;
    assert_eq!(old["properties"]["publicNetworkAccess"], Value::Null);
    assert_eq!(properties["publicNetworkAccess"], "Enabled");
    place.end().await;
}

#[tokio::test]
async fn what_is_not_there_is_told_in_resource_managers_shape() {
    let place = Place::start("{}").await;
    let code = async |path: &str| {
        let (status, body) = place.arm(Method::GET, path, None).await;
        (status.as_u16(), body["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(code("providers/Microsoft.Web/sites/other").await, (404, "ResourceNotFound".to_owned()));
    assert_eq!(code(&format!("{WEB}/slots/other")).await, (404, "ResourceNotFound".to_owned()));
    assert_eq!(code(&format!("{WEB}/slots/no_slot!")).await, (404, "ResourceNotFound".to_owned()));
    assert_eq!(code(&format!("{WEB}/hybridConnections")).await, (404, "InvalidResourceType".to_owned()));
    let other = place.url(WEB).replace("/resourceGroups/", "/resourceGroups/x");
    let (_, body) = read(place.send(Method::GET, &other, None).await.expect("an answer")).await;
    assert_eq!(body["error"]["code"], "ResourceGroupNotFound");
    let bare = place.url(WEB).replace("?api-version=2024-11-01", "");
    let (status, body) = read(place.send(Method::GET, &bare, None).await.expect("an answer")).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (400, Some("MissingApiVersionParameter")));
    place.end().await;
}

#[tokio::test]
async fn a_slot_is_created_served_listed_and_deleted() {
    let place = Place::start("{}").await;
    let body = json!({"location": "West Europe", "properties": {"siteConfig": {
        "alwaysOn": true, "appSettings": [{"name": "A", "value": "1"}]}}});
    let (status, slot) = place.put(&format!("{WEB}/slots/Canary"), body).await;
    assert_eq!((status.as_u16(), slot["name"].as_str()), (200, Some("contoso-web/Canary")), "{slot}");
    assert_eq!(slot["properties"]["siteConfig"]["alwaysOn"], true);
    let host = slot["properties"]["defaultHostName"].as_str().expect("a host").to_owned();
    let served = place.http.get(format!("https://{host}/")).send().await.expect("an answer");
    assert!(
        served.status() == 200 || served.status() == 503 || served.status() == 404 || served.status() == 403
    );
    let list = place.get(&format!("{WEB}/slots")).await;
    let names: Vec<_> =
        list["value"].as_array().expect("a list").iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["contoso-web/Canary", "contoso-web/staging"]);
    let (_, listed) = place.post(&format!("{WEB}/slots/canary/config/appsettings/list"), json!({})).await;
    assert_eq!(listed["properties"]["A"], "1");
    assert_eq!(
        place.arm(Method::DELETE, &format!("{WEB}/slots/canary"), None).await,
        (StatusCode::OK, json!(""))
    );
    assert_eq!(place.arm(Method::GET, &format!("{WEB}/slots/canary"), None).await.0, 404);
    place
        .until("the port is closed", async || place.http.get(format!("https://{host}/")).send().await.err())
        .await;
    place.end().await;
}

#[tokio::test]
async fn settings_are_listed_replaced_and_named_as_staying() {
    let place = Place::start("{slots: {production: {settings: {OLD: x}}}}").await;
    let (_, listed) = place.post(&format!("{WEB}/config/appsettings/list"), json!({})).await;
    assert_eq!((&listed["name"], &listed["properties"]["OLD"]), (&json!("appsettings"), &json!("x")));
    let body = json!({"properties": {"NEW": "y", "NUMBER": 3}});
    let (status, written) = place.put(&format!("{WEB}/config/appsettings"), body).await;
    assert_eq!((status.as_u16(), &written["properties"]), (200, &json!({"NEW": "y", "NUMBER": "3"})));
    let (status, _) = place.put(&format!("{WEB}/config/appsettings"), json!({"properties": {"A": {}}})).await;
    assert_eq!(status, 400);
    for empty in [json!({}), json!({"properties": null}), json!([])] {
        assert_eq!(place.put(&format!("{WEB}/config/appsettings"), empty).await.0, 400);
    }
    let (_, listed) = place.post(&format!("{WEB}/config/appsettings/list"), json!({})).await;
    assert_eq!(listed["properties"]["NEW"], "y");

    let names = place.get(&format!("{WEB}/config/slotConfigNames")).await;
    assert_eq!((&names["id"], &names["properties"]["appSettingNames"]), (&Value::Null, &Value::Null));
    let body = json!({"properties": {"appSettingNames": ["NEW"], "connectionStringNames": null}});
    let (_, names) = place.put(&format!("{WEB}/config/slotConfigNames"), body).await;
    assert_eq!(names["properties"]["appSettingNames"], json!(["NEW"]));
    assert_eq!(names["properties"]["connectionStringNames"], json!([]));

    let strings = json!({"properties": {"DB": {"value": "secret", "type": "SQLAzure"}}});
    assert_eq!(place.put(&format!("{WEB}/config/connectionstrings"), strings.clone()).await.0, 200);
    let (_, listed) = place.post(&format!("{WEB}/config/connectionstrings/list"), json!({})).await;
    assert_eq!(listed["properties"], strings["properties"]);
    place.end().await;
}

#[tokio::test]
async fn config_web_has_the_sites_name_when_read_and_the_sites_type_when_written() {
    let place = Place::start("{}").await;
    let path = format!("{WEB}/slots/staging/config/web");
    let web = place.get(&path).await;
    assert_eq!(
        (web["name"].as_str(), web["type"].as_str()),
        (Some("contoso-web"), Some("Microsoft.Web/sites/config"))
    );
    assert!(web["properties"]["experiments"]["rampUpRules"].is_array());
    let body = json!({"properties": {"appCommandLine": "node x.js", "healthCheckPath": "/health"}});
    let (status, written) = place.arm(Method::PATCH, &path, Some(body)).await;
    assert_eq!((status.as_u16(), written["type"].as_str()), (200, Some("Microsoft.Web/sites/slots")));
    assert_eq!(place.get(&path).await["properties"]["healthCheckPath"], "/health");
    let wrong = json!({"properties": {"alwaysOn": "perhaps"}});
    assert_eq!(place.arm(Method::PATCH, &path, Some(wrong)).await.0, 400);
    place.end().await;
}

#[tokio::test]
async fn instances_are_the_plans_workers_and_scale_with_it() {
    let place = Place::start("{}").await;
    let list = place.get(&format!("{WEB}/slots/staging/instances")).await;
    assert!(list.get("nextLink").is_some() && list.get("id").is_some());
    let first = &list["value"][0];
    let name = first["name"].as_str().expect("an id");
    assert_eq!((list["value"].as_array().map(Vec::len), name.len()), (Some(2), 64));
    assert_eq!(
        (first["properties"]["state"].as_str(), &first["properties"]["containers"]),
        (Some("UNKNOWN"), &Value::Null)
    );
    assert_eq!(place.get(&format!("{WEB}/slots/staging/instances/{name}")).await["name"], name);

    let site = place.get(WEB).await;
    let plan = site["properties"]["serverFarmId"]
        .as_str()
        .and_then(|id| id.rsplit('/').next())
        .expect("a plan")
        .to_owned();
    let path = format!("providers/Microsoft.Web/serverfarms/{plan}");
    assert_eq!(place.get(&path).await["sku"]["capacity"], 2);
    let (status, scaled) = place.arm(Method::PATCH, &path, Some(json!({"sku": {"capacity": 3}}))).await;
    assert_eq!((status.as_u16(), &scaled["sku"]["capacity"]), (200, &json!(3)));
    assert_eq!(place.get(&format!("{WEB}/instances")).await["value"].as_array().map(Vec::len), Some(3));
    place.end().await;
}

#[tokio::test]
async fn stop_and_start_show_in_state_and_at_the_front_end() {
    let place = Place::start("{}").await;
    assert_eq!(place.post(&format!("{WEB}/stop"), json!({})).await.0, 200);
    assert_eq!(place.get(WEB).await["properties"]["state"], "Stopped");
    let answer = place.http.get(&place.ready().slots["production"].url).send().await.expect("an answer");
    assert_eq!(answer.status(), 403);
    assert_eq!(place.post(&format!("{WEB}/start"), json!({})).await.0, 200);
    assert_eq!(place.app("production").await, "version one");
    assert_eq!(place.post(&format!("{WEB}/restart?synchronous=true"), json!({})).await.0, 200);
    assert_eq!(place.app("production").await, "version one");
    place.end().await;
}

#[tokio::test]
async fn a_read_only_lock_forbids_posts_and_writes() {
    let place = Place::start("{}").await;
    let lock = format!("{WEB}/providers/Microsoft.Authorization/locks/keep");
    assert_eq!(place.put(&lock, json!({"properties": {"level": "ReadOnly"}})).await.0, 200);
    for path in ["config/appsettings/list", "slots/staging/slotsswap"] {
        let (status, body) = place.post(&format!("{WEB}/{path}"), swap_body()).await;
        assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (409, Some("ScopeLocked")), "{path}");
    }
    place.get(WEB).await;
    assert_eq!(place.arm(Method::DELETE, &lock, None).await.0, 200);
    assert_eq!(place.post(&format!("{WEB}/config/appsettings/list"), json!({})).await.0, 200);
    place.end().await;
}

#[tokio::test]
async fn an_app_is_found_by_its_name_in_the_resources() {
    let place = Place::start("{}").await;
    let ready = place.ready();
    let url = format!(
        "{}subscriptions/{}/resources?$filter=resourceType%20EQ%20'Microsoft.Web/Sites'%20AND%20name%20EQ%20'CONTOSO-web'&api-version=2016-07-01",
        ready.resource_manager, ready.subscription_id
    );
    let (status, found) = read(place.send(Method::GET, &url, None).await.expect("an answer")).await;
    assert_eq!((status.as_u16(), found["value"].as_array().map(Vec::len)), (200, Some(1)), "{found}");
    let id = found["value"][0]["id"].as_str().expect("an id");
    assert!(id.contains(&format!("/resourceGroups/{}/", ready.resource_group)), "{id}");
    place.end().await;
}
