//! A wire without sockets: the simulation gives the function that answers.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::{Request, Response};

/// What becomes of a request that gets no answer, in the shapes that the network has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// The host has no address.
    #[error("dns error: no such host")]
    NoName,
    /// The connection broke after the request had been sent, or while it was.
    #[error("{0}")]
    Broken(String),
    /// Nothing came within the request's own limit.
    #[error("operation timed out")]
    TimedOut,
}

/// Answers requests.
pub type Answer = dyn Fn(Request) -> BoxFuture<'static, Result<Response, NoAnswer>> + Send + Sync;

/// The wire of a simulation.
#[derive(Clone)]
pub struct Simulated {
    answer: Arc<Answer>,
    chance: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Simulated {
    /// A wire that asks these two for answers and for numbers from 0 to 1.
    pub fn new(answer: Arc<Answer>, chance: Arc<dyn Fn() -> f64 + Send + Sync>) -> Self {
        Self { answer, chance }
    }

    pub(super) async fn execute(&self, request: Request) -> Result<Response, NoAnswer> {
        let limit = request.timeout().copied();
        let answer = (self.answer)(request);
        match limit {
            None => answer.await,
            Some(limit) => tokio::time::timeout(limit, answer).await.unwrap_or(Err(NoAnswer::TimedOut)),
        }
    }

    pub(super) fn chance(&self) -> f64 {
        (self.chance)()
    }
}

impl std::fmt::Debug for Simulated {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Simulated")
    }
}
