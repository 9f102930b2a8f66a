//! The listeners: TLS, HTTP/1.1, one port per host.
//!
//! Owns accepting and ending connections. A connection that does not speak TLS, or not
//! HTTP, is closed and nothing else happens. Must not look into a request: it goes
//! through [`Cloud::answer`] to its service.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cloud::{Cloud, Service};
use super::misbehave::{self, Line, Marks, Speech};
use super::wire;

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may be idle or take for a head; longer than clients keep idle connections
/// (reqwest: 90 s), so that the server is never the one to end one that is about to be used.
const HEAD: Duration = Duration::from_secs(150);

/// How large a head may be: the signed URLs of operations have over 4,000 characters (seen-in-recordings.md 8).
const HEAD_SIZE: usize = 64 * 1024;

/// How many headers a request may have.
const HEADERS: usize = 128;

/// How long requests in flight may take when the emulator ends.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// How long to wait when the system has no file handle for another connection.
const OUT_OF_HANDLES: Duration = Duration::from_millis(50);

/// What a listener needs for its connections.
pub struct Door {
    /// Who answers.
    pub cloud: Arc<Cloud>,
    /// As what.
    pub service: Arc<Service>,
    /// With which certificate.
    pub tls: TlsAcceptor,
    /// Who waits for the connections.
    pub tasks: TaskTracker,
    /// Until when.
    pub ending: CancellationToken,
}

/// Accepts connections until the end.
pub async fn accept(listener: TcpListener, door: Door) {
    let door = Arc::new(door);
    loop {
        let accepted = tokio::select! {
            () = door.ending.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, _)) if door.cloud.refuses(&door.service) => misbehave::refuse(tcp),
            Ok((tcp, _)) => {
                door.tasks.spawn(serve(tcp, Arc::clone(&door)));
            }
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(OUT_OF_HANDLES).await;
            }
        }
    }
}

async fn serve(tcp: TcpStream, door: Arc<Door>) {
    // Answers are small; waiting to fill a packet would only delay them.
    let _ = tcp.set_nodelay(true);
    let marks = Arc::new(Marks::default());
    let line = Line::new(tcp, Arc::clone(&marks));
    let handshake = tokio::time::timeout(HANDSHAKE, door.tls.accept(line));
    let tls = tokio::select! {
        () = door.ending.cancelled() => return,
        done = handshake => match done {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => return tracing::debug!(%error, "a connection did not speak TLS"),
            Err(_) => return tracing::debug!("a TLS handshake took too long"),
        },
    };
    let io = TokioIo::new(Speech::new(tls, Arc::clone(&marks)));
    let service = service_fn(|request| {
        let (door, marks) = (Arc::clone(&door), Arc::clone(&marks));
        async move { door.cloud.answer(&door.service, &marks, wire::streamed(request)).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_SIZE)
        .max_headers(HEADERS)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = door.ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(LAST_REQUESTS, connection).await {
                Ok(result) => result,
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
