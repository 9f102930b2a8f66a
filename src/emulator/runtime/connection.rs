//! Connections to one app process.
//!
//! Owns a small pool, and knows whether a failed request may have reached the app: one
//! that did not comes back to be sent elsewhere.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::{Body, BodyError, empty};

/// How many idle connections are kept.
const KEPT: usize = 64;

/// The connections to one port.
pub(super) struct Connections {
    port: u16,
    idle: Arc<Mutex<Vec<SendRequest<Body>>>>,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(in crate::emulator) enum SendError {
    /// Nothing was sent; here it is again.
    NotSent(Box<Request<Body>>),
    /// It may have been acted upon.
    Lost(BodyError),
}

impl Connections {
    pub(super) fn new(port: u16) -> Self {
        Self { port, idle: Arc::default() }
    }

    fn take_idle(&self) -> Option<SendRequest<Body>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Sends a request, on a connection that is open if there is one.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, SendError> {
        // An app may close an idle connection in the moment in which it is used. A request that changes
        // nothing and has no body is then sent once more, on a new connection.
        let mut spare = spare(&request);
        while let Some(mut sender) = self.take_idle() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answered(sender, response)),
                Err(mut failed) => match failed.take_message().or_else(|| spare.take()) {
                    Some(again) => request = again,
                    None => return Err(SendError::Lost(Box::new(failed.into_error()))),
                },
            }
        }
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return Err(SendError::NotSent(Box::new(request)));
        };
        // Small answers must not wait for more of them; a stream that cannot do this is only slower.
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) = match handshake(TokioIo::new(stream)).await {
            Ok(both) => both,
            Err(_) => return Err(SendError::NotSent(Box::new(request))),
        };
        tokio::spawn(connection);
        match sender.try_send_request(request).await {
            Ok(response) => Ok(self.answered(sender, response)),
            Err(mut failed) => Err(match failed.take_message() {
                Some(request) => SendError::NotSent(Box::new(request)),
                None => SendError::Lost(Box::new(failed.into_error())),
            }),
        }
    }

    /// Puts the connection back when the answer has been read whole.
    fn answered(
        &self,
        mut sender: SendRequest<Body>,
        response: Response<hyper::body::Incoming>,
    ) -> Response<Body> {
        let idle = Arc::clone(&self.idle);
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < KEPT {
                    idle.push(sender);
                }
            }
        });
        use http_body_util::BodyExt as _;
        response.map(|body| body.map_err(|error| Box::new(error) as BodyError).boxed())
    }
}

fn spare(request: &Request<Body>) -> Option<Request<Body>> {
    use hyper::body::Body as _;
    let harmless = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !harmless || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
