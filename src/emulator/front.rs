//! The front end: takes a request to an app host to an instance of the side that the
//! slot has now.
//!
//! Owns affinity, `x-ms-routing-name`, ramp-up and waiting for an instance. Must not
//! lock the world: it reads the routing table that the runtime publishes.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::{Request, Response};

use super::runtime::Shared;
use super::world::SlotRef;

/// What goes wrong while a body is sent on.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body that streams.
pub type Body = BoxBody<Bytes, BodyError>;

/// Answers a request that came to the app host of a slot.
pub async fn serve<B>(shared: Shared, slot: SlotRef, request: Request<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BodyError>,
{
    let _ = (shared, slot, request);
    unimplemented!()
}
