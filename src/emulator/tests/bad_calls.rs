//! Calls that no good client makes: each gets an error in Azure's shape or a closed
//! connection, and the emulator goes on.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::*;

/// Everything that takes a body, with its verb.
const WRITES: [(&str, &str); 10] = [
    ("PUT", "/slots/staging"),
    ("PATCH", "/slots/staging"),
    ("PUT", "/config/appsettings"),
    ("PUT", "/config/connectionstrings"),
    ("PUT", "/config/slotConfigNames"),
    ("PATCH", "/config/web"),
    ("PUT", "/basicPublishingCredentialsPolicies/scm"),
    ("POST", "/slots/staging/slotsswap"),
    ("POST", "/slots/staging/slotsdiffs"),
    ("PUT", "/extensions/onedeploy"),
];

/// An error of Resource Manager's, of the provider's, or of its web framework's: code and message.
fn shaped(body: &Value) -> Option<(&str, &str)> {
    let error = body.get("error").unwrap_or(body);
    let text = |lower: &str, upper: &str| error.get(lower).or_else(|| error.get(upper))?.as_str();
    Some((
        text("code", "Code").unwrap_or_default(),
        text("message", "Message").filter(|text| !text.is_empty())?,
    ))
}

async fn send(
    place: &Place,
    method: &str,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    let method = Method::from_bytes(method.as_bytes()).expect("a token");
    let sent = place.http.request(method, place.url(&format!("{WEB}{path}"))).bearer_auth(&place.token);
    read(sent.header("content-type", "application/json").body(body).send().await.expect("an answer")).await
}

#[tokio::test]
async fn what_is_no_json_is_refused_by_every_write_and_changes_nothing() {
    let place = Place::start("{}").await;
    let before = place.control(Method::GET, "world", None).await["sites"].clone();
    let deep = "[".repeat(100_000);
    for (method, path) in WRITES {
        for body in
            [&b"{"[..], b"{\"properties\": {\"A\": 1,}}", b"\xff\xfe", b"\0", b"nonsense", deep.as_bytes()]
        {
            let (status, answer) = send(&place, method, path, body.to_vec()).await;
            let (code, _) = shaped(&answer).unwrap_or_else(|| panic!("{path}: {answer}"));
            assert_eq!((status.as_u16(), code), (400, "InvalidRequestContent"), "{method} {path}");
        }
    }
    assert_eq!(place.control(Method::GET, "world", None).await["sites"], before);
    place.end().await;
}

#[tokio::test]
async fn json_of_the_wrong_shape_is_refused_and_changes_nothing() {
    let place = Place::start("{}").await;
    let before = place.control(Method::GET, "world", None).await["sites"].clone();
    for (method, path) in WRITES {
        for body in [json!([]), json!("text"), json!({"properties": 7}), json!({"properties": ["x"]})] {
            let (status, answer) = send(&place, method, path, body.to_string()).await;
            // A PUT or PATCH of a slot that names no property is nothing to do.
            let nothing = path == "/slots/staging" && status == 200;
            assert!(
                nothing || (status == 400 && shaped(&answer).is_some()),
                "{method} {path} {body}: {status}"
            );
        }
    }
    let slots = place.control(Method::GET, "world", None).await["sites"].clone();
    assert_eq!(slots, before);
    place.end().await;
}

#[tokio::test]
async fn fields_that_nobody_knows_are_passed_over() {
    let place = Place::start("{}").await;
    for (method, path, body) in [
        ("PUT", "/config/appsettings", json!({"kind": "app", "surprise": 1, "properties": {"A": "1"}})),
        ("PUT", "/config/slotConfigNames", json!({"properties": {"surprise": [], "appSettingNames": ["A"]}})),
        ("PATCH", "/config/web", json!({"properties": {"surprise": {"a": 1}, "alwaysOn": true}})),
        ("PATCH", "/slots/staging", json!({"surprise": 1, "properties": {"surprise": 1, "httpsOnly": true}})),
        (
            "POST",
            "/slots/staging/slotsdiffs",
            json!({"surprise": 1, "targetSlot": "production", "preserveVnet": true}),
        ),
        (
            "POST",
            "/slots/staging/slotsswap",
            json!({"surprise": 1, "targetSlot": "production", "preserveVnet": true}),
        ),
    ] {
        let (status, answer) = send(&place, method, path, body.to_string()).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
    }
    place.end().await;
}

#[tokio::test]
async fn a_wrong_verb_is_405_where_there_is_something_and_404_where_there_is_nothing() {
    let place = Place::start("{}").await;
    for (method, path) in [
        ("DELETE", "/config/appsettings"),
        ("GET", "/config/appsettings"),
        ("GET", "/config/appsettings/list"),
        ("GET", "/slots/staging/slotsswap"),
        ("PUT", "/slots/staging/slotsswap"),
        ("BREW", "/slots/staging"),
        ("POST", "/slots"),
        ("DELETE", "/instances"),
        ("PATCH", "/restart"),
    ] {
        let (status, answer) = send(&place, method, path, "{}").await;
        let expected = format!("The requested resource does not support http method '{method}'.");
        assert_eq!((status.as_u16(), &answer), (405, &json!({ "Message": expected })), "{path}");
    }
    for path in ["/hybridconnection", "/config/nothing", "/slots/staging/backups", "/x/y/z"] {
        let (status, answer) = send(&place, "PUT", path, "{}").await;
        assert_eq!(
            (status.as_u16(), shaped(&answer).map(|error| error.0)),
            (404, Some("InvalidResourceType"))
        );
    }
    // The services beside it answer something, too.
    for url in
        [place.ready().authority.clone(), place.ready().control.clone(), place.scm("staging", "/api/x")]
    {
        let answer =
            place.send(Method::from_bytes(b"BREW").expect("a token"), &url, None).await.expect("an answer");
        assert!(answer.status().is_client_error(), "{url}: {}", answer.status());
    }
    place.get(WEB).await;
    place.end().await;
}

#[tokio::test]
async fn a_huge_body_is_refused_and_not_kept() {
    let place = Place::start("{}").await;
    let body = vec![b' '; 5 * 1024 * 1024];
    let (status, answer) = send(&place, "PUT", "/config/appsettings", body.clone()).await;
    assert_eq!(
        (status.as_u16(), shaped(&answer).map(|error| error.0)),
        (413, Some("RequestContentTooLarge"))
    );
    // Without a length the end is not waited for: an answer, or the connection is gone.
    let pieces =
        futures_util::stream::iter(std::iter::repeat_n(body.clone(), 20).map(Ok::<_, std::io::Error>));
    let sent = place.http.put(place.url(&format!("{WEB}/config/appsettings"))).bearer_auth(&place.token);
    if let Ok(answer) = sent.body(reqwest::Body::wrap_stream(pieces)).send().await {
        assert_eq!(answer.status(), 413);
    }
    for url in
        [place.scm("staging", "/api/deployments/x"), format!("{}/t/oauth2/token", place.ready().authority)]
    {
        let sent = place.http.put(url).bearer_auth(&place.token).body(body.clone());
        assert_eq!(sent.send().await.expect("an answer").status(), 413);
    }
    place.get(WEB).await;
    place.end().await;
}

/// A connection that speaks TLS and then whatever a test likes.
async fn open(place: &Place) -> TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    let authority =
        rustls::pki_types::CertificateDer::from_pem_file(&place.ready().ca_file).expect("a certificate");
    roots.add(authority).expect("an authority");
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let url = url::Url::parse(&place.ready().resource_manager).expect("a URL");
    let address = (url.host_str().expect("a host"), url.port().expect("a port"));
    let tcp = TcpStream::connect(address).await.expect("connects");
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("speaks TLS")
}

#[tokio::test]
async fn a_head_that_is_no_http_or_too_long_ends_its_connection() {
    let place = Place::start("{}").await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    let twice = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
    for head in ["\r\n\r\nnonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &long, &many, twice] {
        let mut line = open(&place).await;
        // The other side may be gone before all is written.
        let _ = line.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let end = tokio::time::timeout(PATIENCE, line.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "the connection is closed after {:?}", head.get(..40));
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    place.get(WEB).await;
    place.end().await;
}

#[tokio::test]
async fn slow_senders_hold_nobody_up_and_do_not_keep_the_emulator_from_ending() {
    let place = Place::start("{}").await;
    let mut slow = Vec::new();
    let path = place.url(&format!("{WEB}/config/appsettings"));
    let path = path.splitn(4, '/').nth(3).expect("a path").to_owned();
    let body = format!(
        "PUT /{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\n\r\n{{",
        place.token
    );
    for start in ["", "G", "GET / HTTP/1.1\r\nHost:", body.as_str()] {
        for _ in 0..20 {
            let mut line = open(&place).await;
            line.write_all(start.as_bytes()).await.expect("writes");
            slow.push(line);
        }
    }
    // Some have not even begun to speak TLS.
    let address = place.ready().resource_manager.replace("https://", "").replace('/', "");
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(&address).await.expect("connects"));
    }
    for _ in 0..10 {
        place.get(WEB).await;
    }
    let begun = std::time::Instant::now();
    place.end().await;
    assert!(begun.elapsed() < PATIENCE, "it took {:?} to end", begun.elapsed());
    drop((slow, silent));
}

#[tokio::test]
async fn two_hundred_connections_at_once_are_all_answered() {
    let place = Place::start("{}").await;
    let all = futures_util::future::join_all((0..200).map(|number| {
        let place = &place;
        async move {
            // A client of its own is a connection of its own.
            let http = client(place.ready());
            let path =
                if number % 2 == 0 { WEB.to_owned() } else { format!("{WEB}/slots/staging/instances") };
            let answer = http.get(place.url(&path)).bearer_auth(&place.token).send().await;
            answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
        }
    }));
    let answers = tokio::time::timeout(PATIENCE * 3, all).await.expect("in time");
    assert_eq!(answers, vec![Ok(200); 200]);
    place.end().await;
}
