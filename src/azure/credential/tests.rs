//! Each way to sign in against a server that plays Entra and the OIDC providers.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::{Value, json};

use super::testing::{Answer, Seen, Server};
use super::*;
use crate::http::{Network, Proxies};

const CLIENT: &str = "00000000-0000-0000-0000-00000000000c";
const TENANT: &str = "contoso.example";
const TOKEN_PATH: &str = "/contoso.example/oauth2/v2.0/token";
const CERTIFICATE: &str = include_str!("testdata/certificate.pem");
const PKCS8: &str = include_str!("testdata/key-pkcs8.pem");
const PKCS1: &str = include_str!("testdata/key-pkcs1.pem");
/// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it.
const FINGERPRINT: &str =
    "08:6D:5F:4D:CE:89:55:32:65:61:9C:1F:D6:A8:D3:9B:A3:D1:06:8B:B5:66:74:2F:90:BC:51:71:0F:EF:F1:4D";

fn client() -> ClientId {
    ClientId::new(CLIENT).expect("an id")
}

fn tenant() -> TenantId {
    TenantId::new(TENANT).expect("a tenant")
}

fn jwt(number: usize) -> String {
    let claims = json!({
        "iss": "https://token.actions.githubusercontent.com",
        "sub": "repo:contoso/web:environment:production",
        "aud": "api://AzureADTokenExchange",
        "jti": format!("planted-{number}"),
    });
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Entra that accepts everything, and both OIDC providers, whose tokens carry a number.
fn generous() -> impl Fn(&Seen) -> Answer + Send + Sync + 'static {
    let issued = AtomicUsize::new(0);
    move |seen| match seen.path.as_str() {
        TOKEN_PATH => (200, token(3600)),
        "/github" => (200, json!({"value": jwt(issued.fetch_add(1, Ordering::SeqCst))}).to_string()),
        "/azure" => (200, json!({"oidcToken": jwt(issued.fetch_add(1, Ordering::SeqCst))}).to_string()),
        _ => (404, String::new()),
    }
}

fn token(seconds: u32) -> String {
    json!({"token_type": "Bearer", "expires_in": seconds, "access_token": "planted-token"}).to_string()
}

fn url(server: &Server, path: &str) -> Url {
    Url::parse(&format!("{}{path}", server.base)).expect("a URL")
}

fn credential(server: &Server, sign_in: SignIn) -> Result<Credential, AzureError> {
    let network =
        Network { certificates: Some(server.ca.clone().into_bytes()), local: true, ..Network::default() };
    let http = Http::new(&network).expect("a client");
    let endpoints = Endpoints {
        resource_manager: url(server, "/"),
        authority: url(server, "/"),
        audience: "https://management.example".to_owned(),
    };
    Credential::new(sign_in, endpoints, http)
}

fn github(server: &Server) -> SignIn {
    SignIn::GitHubOidc {
        request_url: url(server, "/github?run=1"),
        request_token: Secret::new("planted-request-token"),
        audience: "api://AzureADTokenExchange".to_owned(),
        client: client(),
        tenant: tenant(),
    }
}

fn azure_pipelines(server: &Server) -> SignIn {
    SignIn::AzurePipelines {
        request_uri: url(server, "/azure"),
        access_token: Secret::new("planted-job-token"),
        connection: "connection-1".to_owned(),
        client: client(),
        tenant: tenant(),
    }
}

fn certificate(pem: String) -> SignIn {
    SignIn::Certificate { tenant: tenant(), client: client(), pem: Secret::new(pem) }
}

/// The assertions that Entra got, after checking what goes with each.
fn assertions(server: &Server) -> Vec<String> {
    let check = |seen: Seen| {
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.form()["grant_type"], "client_credentials");
        assert_eq!(seen.form()["client_id"], CLIENT);
        assert_eq!(seen.form()["scope"], "https://management.example/.default");
        assert_eq!(
            seen.form()["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        seen.form()["client_assertion"].clone()
    };
    server.requests_to(TOKEN_PATH).into_iter().map(check).collect()
}

#[tokio::test]
async fn a_client_secret_is_exchanged_and_the_token_held_until_it_is_forgotten() {
    let server = Server::start(generous()).await;
    let secret = Secret::new("planted-secret");
    let credential = credential(&server, SignIn::ClientSecret { tenant: tenant(), client: client(), secret })
        .expect("made");
    for _ in 0..3 {
        assert_eq!(credential.token().await.expect("a token").secret.reveal(), "planted-token");
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].form()["client_secret"], "planted-secret");
    credential.forget();
    credential.token().await.expect("a token");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn github_is_asked_for_a_fresh_assertion_for_every_token() {
    let server = Server::start(generous()).await;
    let credential = credential(&server, github(&server)).expect("made").because("auth says so");
    credential.token().await.expect("a token");
    credential.forget();
    credential.token().await.expect("a token");
    assert_eq!(assertions(&server), [jwt(0), jwt(1)]);
    for seen in server.requests_to("/github") {
        assert_eq!(seen.method, "GET");
        assert_eq!(seen.query["run"], "1");
        assert_eq!(seen.query["audience"], "api://AzureADTokenExchange");
        assert_eq!(seen.headers["authorization"], "Bearer planted-request-token");
        assert_eq!(seen.headers["accept"], "application/json; api-version=2.0");
    }
    assert_eq!(credential.describe(), format!("GitHub OIDC as application {CLIENT} (auth says so)"));
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed_with_another_assertion() {
    let server = Server::start(|seen| match seen.path.as_str() {
        TOKEN_PATH => (200, token(299)),
        _ => (200, json!({"value": jwt(7)}).to_string()),
    })
    .await;
    let credential = credential(&server, github(&server)).expect("made");
    credential.token().await.expect("a token");
    credential.token().await.expect("a token");
    assert_eq!(server.requests_to("/github").len(), 2);
}

#[tokio::test]
async fn azure_pipelines_is_asked_for_a_fresh_assertion_for_every_token() {
    let server = Server::start(generous()).await;
    let credential = credential(&server, azure_pipelines(&server)).expect("made");
    credential.token().await.expect("a token");
    credential.forget();
    credential.token().await.expect("a token");
    assert_eq!(assertions(&server), [jwt(0), jwt(1)]);
    for seen in server.requests_to("/azure") {
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.query["api-version"], "7.1");
        assert_eq!(seen.query["serviceConnectionId"], "connection-1");
        assert_eq!(seen.headers["authorization"], "Bearer planted-job-token");
        assert_eq!(seen.headers["x-tfs-fedauthredirect"], "Suppress");
        assert_eq!(seen.headers["content-length"], "0");
    }
}

#[tokio::test]
async fn a_provider_that_gives_no_token_is_named_with_its_answer() {
    for (status, body, wanted) in [
        (302, "<html>sign in</html>", "HTTP 302: sign in (x-vss-e2eid e2e-1)"),
        (203, "<html>sign in</html>", "HTTP 203: sign in (x-vss-e2eid e2e-1)"),
        (200, "[]", "the answer has no \"oidcToken\" (x-vss-e2eid e2e-1)"),
        (403, r#"{"message":"not authorised"}"#, "HTTP 403: not authorised (x-vss-e2eid e2e-1)"),
    ] {
        let server = Server::start(move |_| (status, body.to_owned())).await;
        let credential = credential(&server, azure_pipelines(&server)).expect("made");
        let error = credential.token().await.expect_err("no token").to_string();
        let introduction =
            "could not sign in: Azure Pipelines gave no OIDC token for the service connection: ";
        assert_eq!(error, format!("{introduction}{wanted}"));
        assert!(server.requests_to(TOKEN_PATH).is_empty());
    }
}

/// The parts of a signed assertion, after its signature was verified.
fn verified(assertion: &str) -> (Value, Value) {
    let (signed, signature) = assertion.rsplit_once('.').expect("three parts");
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let key = ring::signature::RsaKeyPair::from_pkcs8(&der(PKCS8)).expect("a key");
    let public = ring::signature::KeyPair::public_key(&key).as_ref().to_vec();
    ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &decode(signature))
        .expect("the key's signature");
    let (header, claims) = signed.split_once('.').expect("two parts");
    let json = |text: &str| serde_json::from_slice(&decode(text)).expect("JSON");
    (json(header), json(claims))
}

fn der(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::prelude::BASE64_STANDARD.decode(text).expect("base64")
}

#[tokio::test]
async fn a_certificate_signs_a_fresh_assertion_with_either_form_of_key() {
    for pem in [format!("{CERTIFICATE}{PKCS8}"), format!("{PKCS1}{CERTIFICATE}")] {
        let server = Server::start(generous()).await;
        let credential = credential(&server, certificate(pem)).expect("made");
        credential.token().await.expect("a token");
        credential.forget();
        credential.token().await.expect("a token");
        let sent = assertions(&server);
        let ids: Vec<Value> = sent.iter().map(|assertion| verified(assertion).1["jti"].clone()).collect();
        assert_ne!(ids[0], ids[1]);
        let (header, claims) = verified(&sent[0]);
        let fingerprint = FINGERPRINT.split(':').map(|two| u8::from_str_radix(two, 16).expect("hexadecimal"));
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(fingerprint.collect::<Vec<u8>>());
        assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));
        assert_eq!(header["x5t#S256"], thumbprint.as_str());
        assert_eq!(header["x5t"].as_str().map(str::len), Some(27));
        assert_eq!(claims["aud"], format!("{}{TOKEN_PATH}", server.base));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT), &json!(CLIENT)));
        let second = |name: &str| claims[name].as_u64().expect("a time");
        assert_eq!(second("exp") - second("nbf"), 660);
    }
}

#[test]
fn a_pem_text_that_cannot_sign_says_what_it_lacks() {
    let elliptic = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    let other = rcgen::generate_simple_self_signed(["x".to_owned()]).expect("a certificate").cert.pem();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (pem, wanted) in [
        (PKCS8.to_owned(), CertificateError::NoCertificate),
        (CERTIFICATE.to_owned(), CertificateError::NoKey),
        (format!("{CERTIFICATE}{encrypted}"), CertificateError::Encrypted),
        (format!("{CERTIFICATE}{elliptic}"), CertificateError::NotRsa),
        (format!("{other}{PKCS8}"), CertificateError::Mismatch),
    ] {
        assert_eq!(Signer::from_pem(&Secret::new(pem)).expect_err("no signer"), wanted);
    }
    Signer::from_pem(&Secret::new(format!("{other}{CERTIFICATE}{PKCS8}"))).expect("the chain's right one");
}

#[tokio::test]
async fn a_token_file_is_read_anew_for_every_assertion() {
    let server = Server::start(generous()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let sign_in = SignIn::FederatedTokenFile { tenant: tenant(), client: client(), path: path.clone() };
    let credential = credential(&server, sign_in).expect("made");
    let error = credential.token().await.expect_err("no file").to_string();
    assert!(
        error.contains(&format!("the federated token file {} could not be read", path.display())),
        "{error}"
    );
    for number in 0..2 {
        std::fs::write(&path, format!("{}\n", jwt(number))).expect("written");
        credential.forget();
        credential.token().await.expect("a token");
    }
    assert_eq!(assertions(&server), [jwt(0), jwt(1)]);
}

#[tokio::test]
async fn a_single_id_token_is_used_and_said_to_be_short_lived() {
    let server = Server::start(generous()).await;
    let assertion = Secret::new(jwt(3));
    let sign_in = SignIn::IdToken { tenant: tenant(), client: client(), assertion };
    let credential = credential(&server, sign_in).expect("made");
    credential.token().await.expect("a token");
    assert_eq!(assertions(&server), [jwt(3)]);
    assert!(credential.describe().contains("cannot be renewed"));
}

/// Entra's refusal; the words are from general knowledge (sign-in §1).
fn refusal(code: u32, words: &str) -> String {
    json!({
        "error": "invalid_client",
        "error_description": format!("AADSTS{code}: {words}\r\nTrace ID: t\r\nCorrelation ID: c"),
        "error_codes": [code],
    })
    .to_string()
}

#[tokio::test]
async fn a_refused_subject_is_told_with_the_command_that_adds_it() {
    let server = Server::start(|seen| match seen.path.as_str() {
        TOKEN_PATH => (401, refusal(700_213, "No matching federated identity record found for 'repo:x'.")),
        _ => (200, json!({"value": jwt(0)}).to_string()),
    })
    .await;
    let credential = credential(&server, github(&server)).expect("made");
    let error = credential.token().await.expect_err("a refusal");
    let wanted = "could not sign in: AADSTS700213: No matching federated identity record found for 'repo:x'.";
    assert_eq!(error.to_string(), wanted);
    let help = error.help();
    assert!(help[0].contains("subject \"repo:contoso/web:environment:production\""), "{help:?}");
    assert!(help[1].contains(&format!("az ad app federated-credential create --id {CLIENT} ")), "{help:?}");
    assert!(help[1].contains("\"issuer\":\"https://token.actions.githubusercontent.com\""), "{help:?}");
}

#[tokio::test]
async fn entras_other_refusals_have_their_advice() {
    for (code, wanted) in
        [(7_000_215, "secret's value"), (700_027, "upload it in Entra"), (90_002, "tenant-id")]
    {
        let server = Server::start(move |_| (401, refusal(code, "no"))).await;
        let secret = Secret::new("planted-secret");
        let sign_in = SignIn::ClientSecret { tenant: tenant(), client: client(), secret };
        let error = credential(&server, sign_in).expect("made").token().await.expect_err("a refusal");
        assert!(matches!(&error, AzureError::SignIn { codes, .. } if codes.contains(&code)), "{error:?}");
        assert!(error.help().iter().any(|line| line.contains(wanted)), "{:?}", error.help());
    }
}

#[tokio::test]
async fn tokens_are_asked_for_through_the_agents_proxy_with_its_password() {
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let proxy = Server::start_plain(move |seen| {
        sender.send(seen.clone()).expect("the test waits");
        (403, String::new())
    })
    .await;
    let variables = |name: &str| match name {
        "AGENT_PROXYURL" => Some(proxy.base.as_str()),
        "AGENT_PROXYUSERNAME" => Some("agent"),
        "AGENT_PROXYPASSWORD" => Some("planted-password"),
        _ => None,
    };
    let network = Network { proxies: Proxies::read(variables).expect("usable"), ..Network::default() };
    let http = Http::new(&network).expect("a client");
    let request_url = Url::parse("https://pipelines.example/token").expect("a URL");
    let token = Secret::new("planted-request-token");
    // What the proxy refuses is tried again for a minute; the first time is enough here.
    let seen = tokio::select! {
        result = oidc::github(&http, &request_url, &token, "a") => panic!("{result:?}"),
        seen = asked.recv() => seen.expect("a request"),
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("nothing came to the proxy"),
    };
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("CONNECT", "pipelines.example:443"));
    let password = base64::prelude::BASE64_STANDARD.encode("agent:planted-password");
    assert_eq!(seen.headers["proxy-authorization"], format!("Basic {password}"));
    assert!(!seen.headers.contains_key("authorization"));
}

/// Keeps everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[tokio::test]
async fn no_secret_shows_in_logs_errors_or_debug_output() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // While there is one subscriber alone, tracing asks the thread that comes to an event first whether
    // anybody wants it (tracing-core callsite.rs, has_just_one), and other tests' threads have none.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    // A server that repeats what it was sent, once it has given a token.
    let refuse = AtomicUsize::new(0);
    let server = Server::start(move |seen| match seen.path.as_str() {
        TOKEN_PATH if refuse.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => (200, token(3600)),
        TOKEN_PATH => (401, refusal(7_000_215, &format!("{:?}", seen.form()))),
        "/github" => (200, json!({"value": jwt(1)}).to_string()),
        _ => (200, json!({"oidcToken": jwt(2)}).to_string()),
    })
    .await;
    let key_line = PKCS8.lines().nth(5).expect("a line of the key");
    let secret = Secret::new("planted-secret");
    let mut shown = String::new();
    for sign_in in [
        SignIn::ClientSecret { tenant: tenant(), client: client(), secret },
        github(&server),
        azure_pipelines(&server),
        certificate(format!("{CERTIFICATE}{PKCS8}")),
        SignIn::IdToken { tenant: tenant(), client: client(), assertion: Secret::new(jwt(4)) },
    ] {
        shown.push_str(&format!("{sign_in:?} {}", sign_in.describe()));
        let credential = credential(&server, sign_in).expect("made");
        let token = credential.token().await.expect("a token");
        credential.forget();
        let error = credential.token().await.expect_err("a refusal");
        shown.push_str(&format!("{token:?} {credential:?} {error:?} {error} {:?}", error.help()));
    }
    let logged = log.text();
    assert!(logged.contains("/github"), "the log was not captured");
    let payload = |number| jwt(number).split('.').nth(1).expect("a payload").to_owned();
    for planted in ["planted", key_line, &payload(1), &payload(2), &payload(4)] {
        assert!(!logged.contains(planted), "{planted} was logged");
        assert!(!shown.contains(planted), "{planted} is shown: {shown}");
    }
}

#[tokio::test]
async fn every_assertion_and_token_is_announced_before_it_is_used() {
    let seen = Arc::new(Mutex::new(Vec::<String>::new()));
    let requests = Arc::clone(&seen);
    let server = Server::start({
        let answer = generous();
        move |request| {
            requests.lock().expect("lock").push(format!("request {}", request.path));
            answer(request)
        }
    })
    .await;
    let sign_in = SignIn::GitHubOidc {
        request_url: url(&server, "/github"),
        request_token: Secret::new("planted-request-token"),
        audience: "api://AzureADTokenExchange".to_owned(),
        client: client(),
        tenant: tenant(),
    };
    let heard = Arc::clone(&seen);
    let credential = credential(&server, sign_in)
        .expect("a credential")
        .announcing(Arc::new(move |secret| heard.lock().expect("lock").push(secret.reveal().to_owned())));
    credential.token().await.expect("a token");
    credential.token().await.expect("the held token");
    let expected =
        ["request /github".to_owned(), jwt(0), format!("request {TOKEN_PATH}"), "planted-token".to_owned()];
    assert_eq!(*seen.lock().expect("lock"), expected);
    credential.forget();
    credential.token().await.expect("a fresh token");
    assert!(seen.lock().expect("lock").contains(&jwt(1)), "a renewed one is announced as well");
}
