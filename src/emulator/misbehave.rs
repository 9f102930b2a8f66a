//! Carries misbehaviours out on a connection.
//!
//! Owns what a client sees of each. Must not decide who is to see one: `fault` does.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::fault::Kind;
use super::front::{Body, BodyError};
use super::wire;

/// How long a client is given to read the first half of a body that is cut.
const BEFORE_THE_CUT: Duration = Duration::from_millis(50);

/// How fast an endless body comes.
const ENDLESS_PACE: Duration = Duration::from_millis(10);

/// What a client gets that is told to be spoken garbage to.
const GARBAGE: &[u8] = b"\x00\xffSSH-2.0-\x7fnot \x1b[31mHTTP\r\n\r\n\x80\x81\x82\r\n";

/// A document whose one string is not UTF-8.
const NOT_UTF8: &[u8] = b"{\"value\": \"\xff\xfe\xc3\x28\"}";

/// How the connection of a request is to end.
#[derive(Debug, Default)]
pub struct Marks {
    reset: AtomicBool,
    garbage: AtomicBool,
}

impl Marks {
    /// Whether bytes that are not HTTP take the answer's place.
    #[cfg(test)]
    pub(crate) fn is_garbage(&self) -> bool {
        self.garbage.load(Ordering::SeqCst)
    }

    fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
    }
}

/// What a request that was thrown away had said.
#[derive(Default)]
pub struct Said {
    /// Its `Authorization` header.
    pub credentials: String,
    /// The beginning of its body.
    pub body: Bytes,
}

/// There is no answer; the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
pub struct Dropped;

/// Treats a request badly. `act` is the service's work, done only where the misbehaviour says so; `pass` is what
/// else has to happen to the request: its body is read and thrown away, so that the answer is not lost.
///
/// # Errors
///
/// [`Dropped`] when there is no answer.
pub async fn carry_out(
    kind: &Kind,
    marks: &Arc<Marks>,
    act: impl Future<Output = Response<Body>>,
    pass: impl Future<Output = Said>,
) -> Result<Response<Body>, Dropped> {
    match kind {
        Kind::Refuse {} | Kind::ResetBefore {} => Err(reset(marks)),
        Kind::ResetAfter {} => {
            act.await;
            Err(reset(marks))
        }
        Kind::CutBody {} => Ok(cut(act.await, Arc::clone(marks)).await),
        Kind::Stall { act: does } => {
            first(*does, act, pass).await;
            match std::future::pending::<Infallible>().await {}
        }
        Kind::Garbage { act: does } => {
            first(*does, act, pass).await;
            marks.garbage.store(true, Ordering::SeqCst);
            Ok(wire::empty(StatusCode::OK))
        }
        Kind::Html { status, act: does } => {
            first(*does, act, pass).await;
            Ok(html(*status))
        }
        Kind::NotUtf8 { act: does } => {
            first(*does, act, pass).await;
            Ok(wire::content(StatusCode::OK, "application/json; charset=utf-8", NOT_UTF8))
        }
        Kind::Endless { act: does } => {
            first(*does, act, pass).await;
            Ok(endless())
        }
        Kind::Status { code, headers, body, act: does } => {
            first(*does, act, pass).await;
            let mut response = other(*code, body);
            for (name, value) in headers {
                wire::set(&mut response, name, value);
            }
            Ok(response)
        }
        Kind::Echo { code } => Ok(echo(*code, &pass.await)),
        Kind::Delay { by, act: true } => {
            let response = act.await;
            tokio::time::sleep(*by).await;
            Ok(response)
        }
        Kind::Delay { by, act: false } => {
            tokio::time::sleep(*by).await;
            Ok(act.await)
        }
    }
}

async fn first(acts: bool, act: impl Future<Output = Response<Body>>, pass: impl Future<Output = Said>) {
    if acts {
        act.await;
    } else {
        pass.await;
    }
}

fn reset(marks: &Marks) -> Dropped {
    marks.reset();
    Dropped
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn html(code: u16) -> Response<Body> {
    let title = status(code).canonical_reason().unwrap_or("Error");
    let page = format!(
        "<!DOCTYPE html>\r\n<html><head><title>{code} {title}</title></head>\r\n<body><h1>{code} {title}</h1><hr>gateway</body></html>\r\n"
    );
    wire::content(status(code), "text/html", page)
}

fn other(code: u16, body: &Value) -> Response<Body> {
    match body {
        Value::Null => wire::empty(status(code)),
        Value::String(text) => wire::content(status(code), "text/plain; charset=utf-8", text.clone()),
        json => wire::json(status(code), json),
    }
}

/// The words in the place where Resource Manager, Kudu, Entra and GitHub each have their own.
fn echo(code: u16, said: &Said) -> Response<Body> {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let Said { credentials, body } = said;
    let encoded = utf8_percent_encode(credentials, NON_ALPHANUMERIC);
    let words = format!("you sent {credentials} or {encoded} with {}", String::from_utf8_lossy(body));
    let document = serde_json::json!({"error": "echo", "error_description": words, "message": words});
    let mut response = wire::json(status(code), &document);
    wire::set(&mut response, "x-ms-request-id", credentials);
    response
}

fn endless() -> Response<Body> {
    let filler = Bytes::from_static(&[b' '; 16 * 1024]);
    let frames = stream::unfold(false, move |begun| {
        let filler = filler.clone();
        async move {
            if begun {
                tokio::time::sleep(ENDLESS_PACE).await;
            }
            let chunk = if begun { filler } else { Bytes::from_static(b"{\"value\":[") };
            Some((Ok::<_, BodyError>(Frame::data(chunk)), true))
        }
    });
    let mut response = wire::empty(StatusCode::OK);
    wire::set(&mut response, "content-type", "application/json; charset=utf-8");
    *response.body_mut() = StreamBody::new(frames).boxed();
    response
}

/// The head and the first half of the body, with the length of the whole.
async fn cut(response: Response<Body>, marks: Arc<Marks>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    // Nothing can be cut from an empty body, so one is promised.
    let promised = whole.len().max(64);
    let half = whole.slice(..whole.len() / 2);
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.insert(CONTENT_LENGTH, promised.into());
    let frames = stream::unfold(Some(half), move |half| {
        let marks = Arc::clone(&marks);
        async move {
            match half {
                Some(half) => Some((Ok(Frame::data(half)), None)),
                None => {
                    tokio::time::sleep(BEFORE_THE_CUT).await;
                    marks.reset();
                    Some((Err(BodyError::from(Dropped)), None))
                }
            }
        }
    });
    Response::from_parts(head, StreamBody::new(frames).boxed())
}

/// The bytes of a connection below TLS: resets instead of closing when marked so.
pub struct Line {
    tcp: TcpStream,
    marks: Arc<Marks>,
}

impl Line {
    /// Wraps a connection.
    pub fn new(tcp: TcpStream, marks: Arc<Marks>) -> Self {
        Self { tcp, marks }
    }
}

/// Ends a connection with a reset.
pub fn refuse(tcp: TcpStream) {
    // A connection that is gone cannot be reset, which is as good.
    let _ = tcp.set_zero_linger();
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.marks.reset.load(Ordering::SeqCst) {
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

/// The bytes of a connection above TLS: garbage instead of an answer when marked so.
pub struct Speech<S> {
    inner: S,
    marks: Arc<Marks>,
    said: bool,
}

impl<S> Speech<S> {
    /// Wraps a connection.
    pub fn new(inner: S, marks: Arc<Marks>) -> Self {
        Self { inner, marks, said: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Speech<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Speech<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.marks.garbage.load(Ordering::SeqCst) {
            return Pin::new(&mut self.inner).poll_write(context, bytes);
        }
        if !self.said {
            ready!(Pin::new(&mut self.inner).poll_write(context, GARBAGE))?;
            self.said = true;
        }
        ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
