//! Bodies of answers, and small answers made at once.
//!
//! Owns the one body type that the front end, the apps and the skins share.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::gate::Pass;

/// What goes wrong while a body is sent on.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body that streams.
pub type Body = BoxBody<Bytes, BodyError>;

/// No body.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// A body that is there already.
pub fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// A short answer; the charset is always UTF-8.
pub fn text(status: StatusCode, kind: &'static str, text: &str) -> Response<Body> {
    let mut response = Response::new(full(text.to_owned()));
    *response.status_mut() = status;
    let kind = match kind {
        "text/html" => "text/html; charset=utf-8",
        "text/plain" => "text/plain; charset=utf-8",
        other => other,
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A file, as a stream.
pub(super) fn streamed(file: tokio::fs::File) -> Body {
    let frames = tokio_util::io::ReaderStream::with_capacity(file, 64 * 1024)
        .map_ok(Frame::data)
        .map_err(|error| Box::new(error) as BodyError);
    StreamBody::new(frames).boxed()
}

/// Reads a body that nobody wants, so that its connection stays usable; a large one is dropped.
pub(super) async fn discard(mut body: Body) {
    let mut left: usize = 1024 * 1024;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}

/// A body that keeps its instance from stopping until it has been sent.
pub(in crate::emulator) fn guarded(response: Response<Body>, pass: Pass) -> Response<Body> {
    response.map(|body| Guarded { body, _pass: pass }.boxed())
}

struct Guarded {
    body: Body,
    _pass: Pass,
}

impl hyper::body::Body for Guarded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
