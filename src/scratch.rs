//! Folders of our own below the system's temporary folder, gone with the run.
//!
//! Owns their names, the lock that tells a living owner from a dead one, and the clearing of
//! what a killed process could not clear. Must not know what lies in them.

use std::io;
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "slotway-";
/// The file that the owner holds locked while it lives.
#[cfg(unix)]
const LOCK: &str = ".lock";

/// A folder that vanishes with this value; and, where the process is killed, at the next
/// start of Slotway on this machine.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    #[cfg(unix)]
    _lock: nix::fcntl::Flock<std::fs::File>,
}

impl Scratch {
    /// Makes a folder, after clearing those whose owners are dead.
    ///
    /// # Errors
    ///
    /// What the system says: the temporary folder may be full, or not ours to write to.
    pub fn new() -> io::Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    fn below(parent: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        #[cfg(unix)]
        let scratch = Self { _lock: owned::lock(folder.path())?, folder };
        #[cfg(not(unix))]
        let scratch = Self { folder };
        #[cfg(unix)]
        owned::clear_dead(parent, scratch.path());
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Locks instead of process numbers: those are used again, and differ between containers
/// that share a folder. On Windows nothing is cleared for the dead.
#[cfg(unix)]
mod owned {
    use std::fs::{self, File};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use nix::fcntl::{Flock, FlockArg};

    use super::{LOCK, PREFIX};

    /// Locks before the file gets its name, so that whoever finds the name can trust the lock.
    pub(super) fn lock(folder: &Path) -> io::Result<Flock<File>> {
        let unnamed = folder.join(".locking");
        let file = File::create(&unnamed)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)?;
        fs::rename(&unnamed, folder.join(LOCK))?;
        Ok(lock)
    }

    /// Removes what dead owners left. Nothing depends on it, so its errors are nobody's.
    pub(super) fn clear_dead(parent: &Path, own: &Path) {
        let (Ok(entries), Ok(own_metadata)) = (fs::read_dir(parent), fs::symlink_metadata(own)) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_named = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
            // Somebody else's folder is not ours to judge, not even for root.
            let is_ours = || {
                fs::symlink_metadata(&path)
                    .is_ok_and(|found| found.is_dir() && found.uid() == own_metadata.uid())
            };
            if is_named && path != own && is_ours() && is_dead(&path) {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// Whether the owner's lock is there and free.
    fn is_dead(folder: &Path) -> bool {
        let lock = folder.join(LOCK);
        let is_file = fs::symlink_metadata(&lock).is_ok_and(|found| found.is_file());
        is_file
            && File::open(&lock).is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_cleared_and_the_living_and_the_strange_are_not() {
        let parent = tempfile::tempdir().expect("a folder");
        let living = Scratch::below(parent.path()).expect("a folder");
        let dead = parent.path().join("slotway-dead");
        std::fs::create_dir_all(dead.join("emulator/contents")).expect("a folder");
        std::fs::write(dead.join(LOCK), "").expect("a file");
        let without_lock = parent.path().join("slotway-mine");
        std::fs::create_dir(&without_lock).expect("a folder");
        let elsewhere = parent.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).expect("a folder");
        std::fs::write(elsewhere.join(LOCK), "").expect("a file");
        std::os::unix::fs::symlink(&elsewhere, parent.path().join("slotway-link")).expect("a link");
        let next = Scratch::below(parent.path()).expect("a folder");
        assert!(!dead.exists(), "its owner is dead");
        assert!(living.path().exists() && next.path().exists());
        assert!(without_lock.exists() && elsewhere.join(LOCK).exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
