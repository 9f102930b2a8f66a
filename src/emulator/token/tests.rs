//! The token endpoint's grants and the checks of the tokens it gives.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{HeaderMap, Method};
use time::{Duration as Span, OffsetDateTime};

use super::bearer::{self, BadToken};
use super::*;
use crate::emulator::wire::{Path, Query};

const TENANT: &str = "11111111-1111-4111-8111-111111111111";
const CLIENT: &str = "22222222-2222-4222-8222-222222222222";
const MANAGER: &str = "https://127.0.0.1:1/";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn directory() -> Directory {
    let federated = FederatedCredential {
        issuer: "https://issuer.example".into(),
        subject: "repo:contoso/web:environment:production".into(),
        audience: exchange_audience(),
        keys: Vec::new(),
    };
    let application = Application {
        client_id: CLIENT.into(),
        object_id: "33333333-3333-4333-8333-333333333333".into(),
        secret: "s3cret+/&".into(),
        federated: vec![federated],
        certificates: Vec::new(),
    };
    let lifetime = Duration::from_secs(3600);
    Directory::new("https://127.0.0.1:2".into(), TENANT.into(), application, MANAGER.into(), lifetime)
        .expect("random bytes")
}

async fn post(directory: &Directory, path: &str, form: &[(&str, &str)], clock: Timestamp) -> (u16, Value) {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let call = Call {
        method: Method::POST,
        path: Path::new(path),
        query: Query::default(),
        headers: HeaderMap::new(),
        body: Bytes::from(body),
    };
    let response = answer(directory, &call, clock, clock);
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("in memory").to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn with_secret(directory: &Directory, secret: &str, scope: &str) -> (u16, Value) {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", secret),
        ("scope", scope),
    ];
    post(directory, &format!("/{TENANT}/oauth2/v2.0/token"), &form, OffsetDateTime::now_utc()).await
}

async fn with_assertion(directory: &Directory, order: AssertionOrder) -> (u16, Value) {
    let now = OffsetDateTime::now_utc();
    let assertion = directory.assertion(&order, now).expect("signs");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion.as_str()),
        ("scope", "https://127.0.0.1:1//.default"),
    ];
    post(directory, &format!("/{TENANT}/oauth2/v2.0/token"), &form, now).await
}

fn number(body: &Value) -> u64 {
    body["error_codes"][0].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn a_secret_gives_a_token_whose_audience_keeps_its_slash() {
    let directory = directory();
    let (status, body) = with_secret(&directory, "s3cret+/&", "https://127.0.0.1:1//.default").await;
    assert_eq!((status, body["token_type"].as_str()), (200, Some("Bearer")));
    assert_eq!(body["expires_in"].as_u64(), Some(3600));
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(jwt::Jwt::read(token).expect("well formed").text("aud"), MANAGER);
    let header = format!("Bearer {token}");
    assert_eq!(bearer::check(&directory, Some(&header), OffsetDateTime::now_utc(), false), Ok(()));
    assert_eq!(bearer::check(&directory, Some(&header), OffsetDateTime::now_utc(), true), Ok(()));
}

#[tokio::test]
async fn each_wrong_request_has_its_number() {
    let directory = directory();
    let scope = "https://127.0.0.1:1/.default";
    let (status, body) = with_secret(&directory, "wrong", scope).await;
    assert_eq!((status, number(&body), body["error"].as_str()), (401, 7_000_215, Some("invalid_client")));
    assert!(
        body["error_description"].as_str().expect("text").starts_with("AADSTS7000215: Invalid client secret")
    );
    let (status, body) = with_secret(&directory, "s3cret+/&", "https://nowhere.example/.default").await;
    assert_eq!((status, number(&body)), (400, 500_011));
    let (status, body) = with_secret(&directory, "s3cret+/&", "https://127.0.0.1:1").await;
    assert_eq!((status, number(&body)), (400, 1_002_012));

    let now = OffsetDateTime::now_utc();
    let form = [("grant_type", "client_credentials"), ("client_id", TENANT), ("client_secret", "x")];
    let (_, body) = post(&directory, &format!("/{TENANT}/oauth2/v2.0/token"), &form, now).await;
    assert_eq!(number(&body), 700_016);
    let (_, body) = post(&directory, "/elsewhere/oauth2/v2.0/token", &form, now).await;
    assert_eq!(number(&body), 90_002);
}

#[tokio::test]
async fn the_first_endpoint_takes_a_resource_and_gives_strings() {
    let directory = directory();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", "s3cret+/&"),
        ("resource", "https://management.core.windows.net/"),
    ];
    let path = format!("//{TENANT}/OAuth2/token");
    let (status, body) = post(&directory, &path, &form, OffsetDateTime::now_utc()).await;
    assert_eq!((status, body["expires_in"].as_str()), (200, Some("3600")));
    assert_eq!(body["resource"].as_str(), Some("https://management.core.windows.net/"));
}

#[tokio::test]
async fn an_assertion_is_checked_on_issuer_subject_audience_lifetime_and_signature() {
    let directory = directory();
    let order = AssertionOrder::default;
    assert_eq!(with_assertion(&directory, order()).await.0, 200);
    let some = |text: &str| Some(text.to_owned());
    for (order, expected) in [
        (AssertionOrder { issuer: some("https://other.example"), ..order() }, 700_211),
        (AssertionOrder { subject: some("repo:contoso/web:ref:refs/heads/main"), ..order() }, 700_213),
        (AssertionOrder { audience: some("api://other"), ..order() }, 700_212),
        (AssertionOrder { starts_in: -3600, ..order() }, 700_024),
        (AssertionOrder { starts_in: 3600, ..order() }, 700_024),
    ] {
        let (status, body) = with_assertion(&directory, order).await;
        assert_eq!((status, number(&body)), (401, expected));
    }

    let stranger = SigningKey::make().expect("random bytes");
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let claims = json!({"iss": "https://issuer.example", "sub": "repo:contoso/web:environment:production",
        "aud": exchange_audience(), "nbf": now, "exp": now + 60});
    let forged = stranger.sign(&claims).expect("signs");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", forged.as_str()),
        ("scope", "https://127.0.0.1:1/.default"),
    ];
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    assert_eq!(number(&post(&directory, &path, &form, OffsetDateTime::now_utc()).await.1), 50_013);
}

#[tokio::test]
async fn a_token_ends_with_its_time_or_when_all_are_expired() {
    let directory = directory();
    let (_, body) = with_secret(&directory, "s3cret+/&", "https://127.0.0.1:1/.default").await;
    let header = format!("Bearer {}", body["access_token"].as_str().expect("a token"));
    let now = OffsetDateTime::now_utc();
    let later = now + Span::hours(2);
    assert!(matches!(bearer::check(&directory, Some(&header), later, false), Err(BadToken::Expired(_))));
    directory.expire_all();
    assert!(matches!(bearer::check(&directory, Some(&header), now, false), Err(BadToken::Expired(_))));
    let (_, body) = with_secret(&directory, "s3cret+/&", "https://127.0.0.1:1/.default").await;
    let header = format!("bearer {}", body["access_token"].as_str().expect("a token"));
    assert_eq!(bearer::check(&directory, Some(&header), now, false), Ok(()));
}

#[tokio::test]
async fn a_token_for_kudu_is_not_good_for_resource_manager() {
    let directory = directory();
    let (_, body) = with_secret(&directory, "s3cret+/&", "https://appservice.azure.com/.default").await;
    let header = format!("Bearer {}", body["access_token"].as_str().expect("a token"));
    let now = OffsetDateTime::now_utc();
    assert_eq!(bearer::check(&directory, Some(&header), now, true), Ok(()));
    assert!(matches!(bearer::check(&directory, Some(&header), now, false), Err(BadToken::Audience(_))));
    assert_eq!(bearer::check(&directory, None, now, false), Err(BadToken::Missing));
    assert_eq!(bearer::check(&directory, Some("Basic eA=="), now, false), Err(BadToken::Missing));
    assert_eq!(bearer::check(&directory, Some("Bearer eA=="), now, false), Err(BadToken::Invalid));
}
