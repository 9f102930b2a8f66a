//! A file as the body of a request: streamed, and proven to be the file that was digested.
//!
//! Owns the proof. The last bytes leave only when all of them have the digest, so that a file
//! which changed in the meantime arrives as a request that is cut off, and is nothing to anybody.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use sha2::{Digest, Sha256};
use tokio_util::io::ReaderStream;

use super::SendError;

const CHUNK: usize = 128 * 1024;
const CHANGED: &str = "changed after its digest was taken";
const UNREADABLE: &str = "cannot be read any more";

/// Whether the reason of a request that was not sent is its own body.
pub(crate) fn is_of_the_file(reason: &str) -> bool {
    reason.ends_with(CHANGED) || reason.contains(UNREADABLE)
}

/// A file to be sent, as it was when it was digested.
#[derive(Clone)]
pub struct FileBody {
    /// Where it lies.
    pub path: PathBuf,
    /// Its length, which becomes `Content-Length`.
    pub size_bytes: u64,
    /// Its SHA-256, hexadecimal in lower case.
    pub sha256: String,
    /// Called with the number of bytes handed to the connection so far.
    pub sent: Arc<dyn Fn(u64) + Send + Sync>,
}

/// Why a body was broken off on this side, once it was.
#[derive(Clone, Default)]
pub(super) struct BrokenOff(Arc<OnceLock<String>>);

impl BrokenOff {
    pub(super) fn reason(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

struct Reading {
    chunks: ReaderStream<tokio::fs::File>,
    body: FileBody,
    hasher: Sha256,
    total: u64,
    broken_off: BrokenOff,
}

/// Opens the file for one sending.
///
/// # Errors
///
/// It cannot be opened, or has another length than it had.
pub(super) async fn open(body: &FileBody) -> Result<(reqwest::Body, BrokenOff), SendError> {
    let unreadable =
        |error| SendError::NotSent { reason: format!("{} {UNREADABLE}: {error}", body.path.display()) };
    let file = tokio::fs::File::open(&body.path).await.map_err(unreadable)?;
    if file.metadata().await.map_err(unreadable)?.len() != body.size_bytes {
        return Err(SendError::NotSent { reason: changed(body) });
    }
    let broken_off = BrokenOff::default();
    let reading = Reading {
        chunks: ReaderStream::with_capacity(file, CHUNK),
        body: body.clone(),
        hasher: Sha256::new(),
        total: 0,
        broken_off: broken_off.clone(),
    };
    let stream = stream::try_unfold(reading, |mut reading| async {
        let chunk = reading.next().await.inspect_err(|error| {
            let _ = reading.broken_off.0.set(error.to_string());
        })?;
        Ok::<_, io::Error>(chunk.map(|chunk| (chunk, reading)))
    });
    Ok((reqwest::Body::wrap_stream(stream), broken_off))
}

fn changed(body: &FileBody) -> String {
    format!("{} {CHANGED}", body.path.display())
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.total == self.body.size_bytes {
            return Ok(None);
        }
        let path = self.body.path.display();
        let chunk = match self.chunks.next().await {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => return Err(io::Error::other(format!("{path} {UNREADABLE}: {error}"))),
            None => return Err(io::Error::other(changed(&self.body))),
        };
        self.hasher.update(&chunk);
        self.total += chunk.len() as u64;
        if self.total >= self.body.size_bytes && !self.is_the_same() {
            return Err(io::Error::other(changed(&self.body)));
        }
        (self.body.sent)(self.total);
        Ok(Some(chunk))
    }

    fn is_the_same(&mut self) -> bool {
        let digest = std::mem::take(&mut self.hasher).finalize();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.total == self.body.size_bytes && digest == self.body.sha256
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// What arrives of a file that held `before` when it was digested and holds `now`.
    async fn arrives(before: &[u8], now: &[u8]) -> Result<(Vec<u8>, Option<String>), String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), now).expect("written");
        let body = FileBody {
            path: file.path().to_owned(),
            size_bytes: before.len() as u64,
            sha256: Sha256::digest(before).iter().map(|byte| format!("{byte:02x}")).collect(),
            sent: Arc::new(|_| {}),
        };
        let (mut body, broken_off) = open(&body).await.map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            bytes.extend(frame.into_data().expect("data"));
        }
        Ok((bytes, broken_off.reason()))
    }

    #[tokio::test]
    async fn a_file_that_stayed_the_same_arrives_whole() {
        for length in [1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let content = vec![7; length];
            assert_eq!(arrives(&content, &content).await, Ok((content, None)));
        }
    }

    #[tokio::test]
    async fn a_file_that_changed_since_never_arrives_whole() {
        let before = vec![7; 3 * CHUNK + 5];
        for place in [0, 2 * CHUNK, before.len() - 1] {
            let mut now = before.clone();
            now[place] = 8;
            let (bytes, reason) = arrives(&before, &now).await.expect("it has the length");
            assert!(bytes.len() < before.len(), "the last bytes stay here");
            assert!(reason.expect("a reason").ends_with(CHANGED));
        }
        for length in [0, before.len() - 1, before.len() + 1] {
            let error = arrives(&before, &vec![7; length]).await.expect_err("another length");
            assert!(error.ends_with(CHANGED), "{error}");
        }
    }
}
