//! The sha256 of a file, in one pass, with proof that it stayed the same meanwhile.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::seen::Seen;
use super::{ArtifactError, LARGEST_PACKAGE, Progress, Reporter};

const BUFFER: usize = 256 * 1024;
/// Progress is told after so many bytes.
const STEP: u64 = 4 * 1024 * 1024;

/// A digested file.
#[derive(Debug)]
pub(super) struct Digested {
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
    pub(super) seen: Seen,
}

/// Digests a file.
pub(super) fn digest(path: &Path, reporter: &Reporter) -> Result<Digested, ArtifactError> {
    let unreadable = |source| ArtifactError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let before = file.metadata().map_err(unreadable)?;
    let total_bytes = before.len();
    if total_bytes == 0 {
        return Err(ArtifactError::EmptyFile { path: path.to_owned() });
    }
    if total_bytes > LARGEST_PACKAGE {
        return Err(ArtifactError::TooLarge { path: path.to_owned() });
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let (mut bytes, mut told) = (0, 0);
    loop {
        let count = match file.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other.map_err(unreadable)?,
        };
        bytes += count as u64;
        if count == 0 || bytes > total_bytes {
            break;
        }
        hasher.update(&buffer[..count]);
        if bytes - told >= STEP {
            told = bytes;
            reporter.tell(Progress::Digesting { bytes, total_bytes }, false)?;
        }
    }
    let after = file.metadata().map_err(unreadable)?;
    let seen = Seen::of(&before);
    if bytes != total_bytes || Seen::of(&after) != seen {
        return Err(ArtifactError::Changed { path: path.to_owned(), how: "changed" });
    }
    reporter.tell(Progress::Digesting { bytes, total_bytes }, true)?;
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Digested { sha256, size_bytes: total_bytes, seen })
}
