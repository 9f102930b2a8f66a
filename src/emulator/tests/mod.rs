//! The skins as their clients see them: over TLS, with tokens, against a whole emulator.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::scenario::Scenario;
use super::{Emulator, Options, Ready, start};

mod any_client;
mod bad_calls;
mod control;
mod faults;
mod manage;
mod publish;
mod sign_in;
mod swap;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running emulator with a client that trusts it.
struct Place {
    emulator: Emulator,
    http: reqwest::Client,
    token: String,
    folder: tempfile::TempDir,
}

/// A path below the site.
const WEB: &str = "providers/Microsoft.Web/sites/contoso-web";

impl Place {
    async fn start(scenario: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temp folder");
        let production = folder.path().join("v1");
        std::fs::create_dir(&production).expect("a folder");
        std::fs::write(production.join("index.html"), "version one").expect("a file");
        let mut scenario = Scenario::from_yaml(scenario).expect("a well-formed scenario");
        scenario.relative_to(folder.path());
        let options = Options {
            scenario,
            production: Some(production),
            folder: folder.path().join("emulator"),
            client_secret: None,
            environment: Default::default(),
        };
        let emulator = start(options).await.expect("starts");
        let http = client(emulator.ready());
        let mut place = Self { emulator, http, token: String::new(), folder };
        place.token = place.new_token().await;
        place
    }

    fn ready(&self) -> &Ready {
        self.emulator.ready()
    }

    async fn new_token(&self) -> String {
        let body = self.grant(&self.ready().client_secret.clone()).await.1;
        body["access_token"].as_str().expect("a token").to_owned()
    }

    async fn grant(&self, secret: &str) -> (StatusCode, Value) {
        let ready = self.ready();
        let scope = format!("{}/.default", ready.resource_manager);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &ready.client_id)
            .append_pair("client_secret", secret)
            .append_pair("scope", &scope)
            .finish();
        let url = format!("{}/{}/oauth2/v2.0/token", ready.authority, ready.tenant_id);
        let sent = self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        read(sent.send().await.expect("an answer")).await
    }

    fn url(&self, path: &str) -> String {
        let ready = self.ready();
        let question = if path.contains('?') { '&' } else { '?' };
        format!(
            "{}subscriptions/{}/resourceGroups/{}/{path}{question}api-version=2024-11-01",
            ready.resource_manager, ready.subscription_id, ready.resource_group
        )
    }

    async fn send(&self, method: Method, url: &str, body: Option<Value>) -> Result<Response, reqwest::Error> {
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request.header("content-length", "0"),
        };
        request.send().await
    }

    async fn arm(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        read(self.send(method, &self.url(path), body).await.expect("an answer")).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.arm(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.arm(Method::POST, path, Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.arm(Method::PUT, path, Some(body)).await
    }

    fn scm(&self, slot: &str, path: &str) -> String {
        format!("{}{path}", self.ready().slots[slot].scm_url)
    }

    async fn scm_get(&self, slot: &str, path: &str) -> (StatusCode, Value) {
        read(self.send(Method::GET, &self.scm(slot, path), None).await.expect("an answer")).await
    }

    async fn control(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.ready().control);
        let (status, body) = read(self.send(method, &url, body).await.expect("an answer")).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn app(&self, slot: &str) -> String {
        let answer = self.http.get(&self.ready().slots[slot].url).send().await.expect("an answer");
        answer.text().await.expect("a text")
    }

    /// A zip whose index.html holds this text.
    fn package(&self, text: &str) -> Vec<u8> {
        use std::io::Write as _;
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        archive.start_file("index.html", zip::write::SimpleFileOptions::default()).expect("in memory");
        archive.write_all(text.as_bytes()).expect("in memory");
        archive.finish().expect("in memory").into_inner()
    }

    async fn publish(&self, slot: &str, query: &str, bytes: Vec<u8>) -> Response {
        let url = self.scm(slot, &format!("/api/publish?{query}"));
        let sent = self.http.post(url).bearer_auth(&self.token).body(bytes);
        sent.header("content-type", "application/octet-stream").send().await.expect("an answer")
    }

    /// Publishes and follows the deployment to its end.
    async fn deploy(&self, slot: &str, text: &str) -> Value {
        let accepted = self.publish(slot, "type=zip&async=true", self.package(text)).await;
        assert_eq!(accepted.status(), 202);
        let id = accepted.headers()["scm-deployment-id"].to_str().expect("an id").to_owned();
        self.until("the deployment ends", async || {
            let (status, body) = self.scm_get(slot, "/api/deployments/latest").await;
            (status == 200 && body["id"] == id).then_some(body)
        })
        .await
    }

    /// Asks again until there is something, up to a deadline.
    async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let asking = async {
            loop {
                if let Some(found) = ask().await {
                    return found;
                }
                // Every question is a request over TLS, so this is no busy loop.
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(found) => found,
            Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
        }
    }

    /// Polls an operation to its end.
    async fn follow(&self, location: &str) -> (StatusCode, Value) {
        self.until("the operation ends", async || {
            let answer = self.send(Method::GET, location, None).await.expect("an answer");
            if answer.status() == 202 {
                assert!(
                    answer.headers().contains_key("location") && answer.headers().contains_key("retry-after")
                );
                return None;
            }
            Some(read(answer).await)
        })
        .await
    }

    async fn end(self) {
        let root: PathBuf = self.folder.path().into();
        drop(self.http);
        self.emulator.shutdown().await;
        assert!(root.exists());
    }
}

fn client(ready: &Ready) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(&ready.ca_file).expect("the authority's file");
    let authority = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    reqwest::Client::builder()
        .tls_certs_only([authority])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

async fn read(answer: Response) -> (StatusCode, Value) {
    let status = answer.status();
    let bytes = answer.bytes().await.expect("a body");
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    (status, body)
}

fn swap_body() -> Value {
    json!({"targetSlot": "production", "preserveVnet": true})
}
