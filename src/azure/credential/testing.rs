//! A small TLS server for tests that sign in: it plays the token endpoint, the OIDC
//! providers and whatever else an answering function makes of it.
//!
//! Names no other module, so that the tests of the whole program can use it too.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    /// Parameters of the query.
    pub(super) query: BTreeMap<String, String>,
    /// The body, as text.
    pub(super) body: String,
}

impl Seen {
    /// Fields of a form in the body.
    pub(super) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

/// A status and a body, which is JSON or HTML.
pub(super) type Answer = (u16, String);
type Answering = dyn Fn(&Seen) -> Answer + Send + Sync;

/// The server; ends when it is dropped.
pub(super) struct Server {
    /// Where it is, without a slash at the end.
    pub(super) base: String,
    /// Its certificate, which a client has to be told to trust.
    pub(super) ca: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// A server that speaks TLS with a certificate of its own.
    pub(super) async fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])
            .expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a usable certificate");
        Self::listen(Some(TlsAcceptor::from(Arc::new(config))), made.cert.pem(), answer).await
    }

    /// A server without TLS: a proxy, or the identity endpoint of a machine.
    pub(super) async fn start_plain(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, String::new(), answer).await
    }

    async fn listen(
        tls: Option<TlsAcceptor>,
        ca: String,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Answering> = Arc::new(answer);
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answer, log) = (tls.clone(), Arc::clone(&answer), Arc::clone(&log));
                connections.spawn(async move {
                    match tls {
                        // A client that does not trust the certificate hangs up here.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, answer, log).await;
                            }
                        }
                        None => serve(stream, answer, log).await,
                    }
                });
            }
        });
        Self { base: format!("{scheme}://{address}"), ca, seen, task }
    }

    /// Every request so far.
    pub(super) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests to a path.
    pub(super) fn requests_to(&self, path: &str) -> Vec<Seen> {
        self.requests().into_iter().filter(|seen| seen.path == path).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S>(stream: S, answer: Arc<Answering>, log: Arc<Mutex<Vec<Seen>>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
        async move {
            let seen = see(request).await;
            let (status, body) = answer(&seen);
            log.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            let response = Response::builder()
                .status(status)
                .header("x-vss-e2eid", "e2e-1")
                .body(Full::new(Bytes::from(body)))
                .expect("a response");
            Ok::<_, Infallible>(response)
        }
    });
    // A client that hangs up is none of the server's business.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn see(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let pairs = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Seen {
        method: head.method.to_string(),
        // A proxy is asked for a host and a port, which is all there is then.
        path: head.uri.authority().map_or_else(|| head.uri.path().to_owned(), ToString::to_string),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        query: pairs(head.uri.query().unwrap_or_default().as_bytes()),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}
