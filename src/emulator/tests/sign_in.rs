//! Sign-in, and what Resource Manager and Kudu say to bad tokens.

use super::*;

#[tokio::test]
async fn the_metadata_document_leads_to_a_token_that_lists_the_subscription() {
    let place = Place::start("{}").await;
    let base = place.ready().resource_manager.clone();
    // az joins two slashes (real-clients.md).
    let url = format!("{base}/metadata/endpoints?api-version=2022-09-01");
    let (status, document) = read(place.http.get(url).send().await.expect("an answer")).await;
    assert_eq!(status, 200);
    assert_eq!(document["authentication"]["loginEndpoint"], place.ready().authority);
    assert_eq!(document["authentication"]["audiences"][0], base);
    assert!(document["suffixes"].is_object() && document["name"].is_string());
    let list = format!("{base}metadata/endpoints?api-version=2019-05-01");
    let (_, list) = read(place.http.get(list).send().await.expect("an answer")).await;
    assert_eq!(list[0]["resourceManager"], base);

    let openid = format!(
        "{}/{}/v2.0/.well-known/openid-configuration",
        place.ready().authority,
        place.ready().tenant_id
    );
    let (_, openid) = read(place.http.get(openid).send().await.expect("an answer")).await;
    assert_eq!(
        openid["token_endpoint"],
        format!("{}/{}/oauth2/v2.0/token", place.ready().authority, place.ready().tenant_id)
    );

    let url = format!("{base}/subscriptions?api-version=2022-12-01");
    let (_, list) = read(place.send(Method::GET, &url, None).await.expect("an answer")).await;
    assert_eq!(list["value"][0]["subscriptionId"], place.ready().subscription_id);
    assert_eq!(list["value"][0]["state"], "Enabled");
    place.end().await;
}

#[tokio::test]
async fn a_wrong_secret_and_a_wrong_token_are_refused() {
    let mut place = Place::start("{}").await;
    let (status, body) = place.grant("wrong").await;
    assert_eq!((status.as_u16(), &body["error_codes"][0]), (401, &json!(7_000_215)));

    place.token = "eyJhbGciOiJub25lIn0.e30.".to_owned();
    let (status, body) = place.arm(Method::GET, WEB, None).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (401, Some("InvalidAuthenticationToken")));
    let answer =
        place.send(Method::GET, &place.scm("staging", "/api/deployments"), None).await.expect("an answer");
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().contains_key("www-authenticate"));
    let anonymous = place.http.get(place.url(WEB)).send().await.expect("an answer");
    let (status, body) = read(anonymous).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (401, Some("AuthenticationFailed")));
    place.end().await;
}

#[tokio::test]
async fn an_expired_token_says_so_and_a_new_one_works() {
    let mut place = Place::start("{}").await;
    place.get(WEB).await;
    place.control(Method::POST, "tokens/expire", None).await;
    let (status, body) = place.arm(Method::GET, WEB, None).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (401, Some("ExpiredAuthenticationToken")));
    place.token = place.new_token().await;
    place.get(WEB).await;
    place.end().await;
}

#[tokio::test]
async fn a_federated_assertion_from_the_control_endpoint_signs_in() {
    let place = Place::start("{}").await;
    let assertion = place.control(Method::POST, "assertions", Some(json!({}))).await;
    let ready = place.ready();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &ready.client_id)
        .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .append_pair("client_assertion", assertion["value"].as_str().expect("an assertion"))
        .append_pair("scope", &format!("{}.default", ready.resource_manager))
        .finish();
    let url = format!("{}/{}/oauth2/v2.0/token", ready.authority, ready.tenant_id);
    let (status, body) = read(place.http.post(url).body(form).send().await.expect("an answer")).await;
    assert_eq!(status, 200, "{body}");
    place.end().await;
}

#[tokio::test]
async fn a_reader_may_read_and_nothing_else_and_nobody_nothing() {
    let place = Place::start("{}").await;
    place.control(Method::POST, "act", Some(json!({"role": "reader"}))).await;
    place.get(WEB).await;
    let (status, body) = place.post(&format!("{WEB}/slots/staging/slotsswap"), swap_body()).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (403, Some("AuthorizationFailed")));
    let text = body["error"]["message"].as_str().expect("a text");
    assert!(text.contains("'Microsoft.Web/sites/slots/slotsswap/action'"), "{text}");
    assert_eq!(place.publish("staging", "type=zip", place.package("x")).await.status(), 403);
    place.control(Method::POST, "act", Some(json!({"role": "none"}))).await;
    assert_eq!(place.arm(Method::GET, WEB, None).await.0, 403);
    place.end().await;
}

#[tokio::test]
async fn a_connection_that_does_not_speak_tls_is_closed_and_others_go_on() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let place = Place::start("{}").await;
    let address =
        place.ready().resource_manager.trim_start_matches("https://").trim_end_matches('/').to_owned();
    for greeting in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xff; 200], b"\x16\x03\x01\xff\xff"] {
        let mut plain = tokio::net::TcpStream::connect(&address).await.expect("connects");
        plain.write_all(greeting).await.expect("writes");
        plain.shutdown().await.expect("ends");
        let mut answer = Vec::new();
        // A TLS alert or nothing; then the end, perhaps by a reset.
        let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("closed");
        assert!(!answer.starts_with(b"HTTP"));
    }
    place.get(WEB).await;
    place.end().await;
}
