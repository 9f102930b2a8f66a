//! Whether a file is still the one that was seen before.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What the system says of a file that a change does not leave as it is: length and time of the last change, and
/// on Unix which file it is and when anything about it was changed, which nobody can set back.
///
/// Kept as a hash, for there is one of each file of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Seen {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let mut hasher = DefaultHasher::new();
        metadata.len().hash(&mut hasher);
        metadata.modified().ok().hash(&mut hasher);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino(), metadata.mode()).hash(&mut hasher);
            (metadata.ctime(), metadata.ctime_nsec()).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}
