//! What we ship: a folder packed into a deterministic zip, or a ready archive, with
//! its size and sha256.
//!
//! Owns what a package has to be like before anything is sent. Must not send it,
//! and never changes the user's files.

mod archive;
mod detect;
mod digest;
mod entry_name;
mod error;
mod pack;
mod seen;
mod survey;
#[cfg(test)]
mod tests;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

pub use detect::{PackageType, UnknownPackageType};
pub use error::ArtifactError;

use crate::scratch::Scratch;

/// As much as Kudu takes in one archive: 2048 MB (contracts/kudu-deploy.md §3, the table of answers, 413).
pub const LARGEST_PACKAGE: u64 = 2048 * 1024 * 1024;

/// A package that is ready to be sent. A packed one vanishes with this value.
#[derive(Debug)]
pub struct Artifact {
    /// What OneDeploy is told it is.
    pub package_type: PackageType,
    /// Its size.
    pub size_bytes: u64,
    /// Its sha256, hexadecimal in lower case.
    pub sha256: String,
    /// How many files it holds; none where it is no archive.
    pub files: Option<u64>,
    /// Where it comes from.
    pub origin: Origin,
    /// What is odd about it and no reason to refuse it.
    pub warnings: Vec<String>,
    path: PathBuf,
    /// Deletes the packed file when it is dropped.
    _temporary: Option<Scratch>,
}

/// Where an artifact comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was packed here.
    Packed {
        /// From this folder.
        folder: PathBuf,
    },
    /// It is the file that was given.
    File,
}

/// How far preparing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A folder is being packed.
    Packing {
        /// Files packed so far.
        files: u64,
        /// Their bytes, before compression.
        bytes: u64,
        /// Files to be packed.
        total_files: u64,
    },
    /// The sha256 is being computed.
    Digesting {
        /// Bytes read so far.
        bytes: u64,
        /// Bytes to be read.
        total_bytes: u64,
    },
}

impl Artifact {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a package ready: packs a folder, or checks a file and digests it. Dropping the
/// future gives the work up and takes away at once what was packed so far.
///
/// # Errors
///
/// The package is missing, unreadable, of no known type, or would do harm where it is unpacked.
pub async fn prepare(
    package: &Path,
    override_type: Option<PackageType>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Artifact, ArtifactError> {
    let (sender, mut steps) = mpsc::channel(16);
    let shelf = Shelf::default();
    let reporter = Reporter { sender, shelf: shelf.clone() };
    let _abandon = Abandon(shelf);
    let package = package.to_owned();
    let mut work = tokio::task::spawn_blocking(move || prepare_blocking(&package, override_type, &reporter));
    loop {
        tokio::select! {
            biased;
            Some(step) = steps.recv() => progress(step),
            result = &mut work => {
                while let Ok(step) = steps.try_recv() {
                    progress(step);
                }
                return result.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Err(ArtifactError::GivenUp),
                });
            }
        }
    }
}

/// Where the folder of the packed file is kept while it is worked on. The work may hang in a
/// read that never returns, so whoever gives it up can take the folder away without it.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Kept>>);

#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    Folder(Scratch),
    Abandoned,
}

impl Shelf {
    fn exchange(&self, kept: Kept) -> Kept {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), kept)
    }

    /// A new folder, unless nobody waits for it any more.
    fn make(&self) -> Result<PathBuf, ArtifactError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*kept, Kept::Abandoned) {
            return Err(ArtifactError::GivenUp);
        }
        let scratch = Scratch::new().map_err(|source| ArtifactError::Temporary { source })?;
        let path = scratch.path().to_owned();
        *kept = Kept::Folder(scratch);
        Ok(path)
    }

    /// The folder, once the work is done.
    fn take(&self) -> Result<Scratch, ArtifactError> {
        match self.exchange(Kept::Nothing) {
            Kept::Folder(scratch) => Ok(scratch),
            Kept::Nothing | Kept::Abandoned => Err(ArtifactError::GivenUp),
        }
    }
}

/// Takes away what lies on the shelf when the one who waited is gone, however that came.
struct Abandon(Shelf);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.exchange(Kept::Abandoned);
    }
}

/// Carries progress out of the blocking work, and brings word when nobody waits for it any more.
pub(crate) struct Reporter {
    sender: mpsc::Sender<Progress>,
    shelf: Shelf,
}

impl Reporter {
    /// Tells a step; it may be lost when too many come at once, unless it is the last of its kind.
    fn tell(&self, step: Progress, is_last: bool) -> Result<(), ArtifactError> {
        if is_last {
            return self.sender.blocking_send(step).map_err(|_| ArtifactError::GivenUp);
        }
        match self.sender.try_send(step) {
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ArtifactError::GivenUp),
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
        }
    }
}

fn prepare_blocking(
    package: &Path,
    override_type: Option<PackageType>,
    reporter: &Reporter,
) -> Result<Artifact, ArtifactError> {
    let metadata = match std::fs::metadata(package) {
        Ok(metadata) => metadata,
        Err(source) => return Err(not_there(package, source)),
    };
    if metadata.is_dir() {
        return prepare_folder(package, override_type, reporter);
    }
    if let Some(kind) = walk::special_kind(metadata.file_type()) {
        return Err(ArtifactError::NotAFile { path: package.to_owned(), kind });
    }
    prepare_file(package, override_type, reporter)
}

fn not_there(package: &Path, source: std::io::Error) -> ArtifactError {
    // Its query may be a signature, which no message repeats.
    if let Some(address) = error::address(&package.to_string_lossy()) {
        return ArtifactError::Address { address };
    }
    match source.kind() {
        std::io::ErrorKind::NotFound => ArtifactError::Missing { path: package.to_owned() },
        _ => ArtifactError::Unreadable { path: package.to_owned(), source },
    }
}

fn prepare_folder(
    folder: &Path,
    override_type: Option<PackageType>,
    reporter: &Reporter,
) -> Result<Artifact, ArtifactError> {
    let package_type = override_type.unwrap_or(PackageType::Zip);
    if !package_type.is_archive() {
        return Err(ArtifactError::FolderAs { path: folder.to_owned(), package_type });
    }
    let root = std::fs::canonicalize(folder)
        .map_err(|source| ArtifactError::Unreadable { path: folder.to_owned(), source })?;
    let list = walk::list(&root, None)?;
    let scratch = reporter.shelf.make()?;
    let path = scratch.join("package.zip");
    pack::pack(&root, &list, &path, reporter)?;
    let own = std::fs::canonicalize(&scratch).map_err(|source| ArtifactError::Temporary { source })?;
    walk::refuse_changes(&root, &own, &list)?;
    let digested = digest::digest(&path, reporter)?;
    Ok(Artifact {
        package_type,
        size_bytes: digested.size_bytes,
        sha256: digested.sha256,
        files: Some(list.len() as u64),
        origin: Origin::Packed { folder: folder.to_owned() },
        warnings: Vec::new(),
        path,
        _temporary: Some(reporter.shelf.take()?),
    })
}

fn prepare_file(
    path: &Path,
    override_type: Option<PackageType>,
    reporter: &Reporter,
) -> Result<Artifact, ArtifactError> {
    let package_type = match override_type {
        Some(package_type) => package_type,
        None => {
            PackageType::of_file(path).ok_or_else(|| ArtifactError::UnknownType { path: path.to_owned() })?
        }
    };
    let unreadable = |source| ArtifactError::Unreadable { path: path.to_owned(), source };
    let seen = seen::Seen::of(&std::fs::metadata(path).map_err(unreadable)?);
    let contents = match package_type.is_archive() {
        true => Some(archive::inspect(path)?),
        false => None,
    };
    let digested = digest::digest(path, reporter)?;
    if digested.seen != seen {
        return Err(ArtifactError::Changed { path: path.to_owned(), how: "changed" });
    }
    let mut warnings = Vec::new();
    let mut files = None;
    if let Some(contents) = contents {
        files = Some(contents.files);
        warnings = contents.warnings(package_type);
    }
    Ok(Artifact {
        package_type,
        size_bytes: digested.size_bytes,
        sha256: digested.sha256,
        files,
        origin: Origin::File,
        warnings,
        path: path.to_owned(),
        _temporary: None,
    })
}
