//! Lists what of a folder is packed, and refuses what could not arrive as it is.
//!
//! Owns `.slotwayignore` and the rules about symbolic links and names. Must not
//! read any file but `.slotwayignore`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::ArtifactError;
use super::seen::Seen;

const IGNORE_FILE: &str = ".slotwayignore";
/// A list of patterns is a page or two.
const LONGEST_IGNORE_FILE: u64 = 1024 * 1024;
const MOST_FILES: usize = 500_000;
const DEEPEST: usize = 200;

/// A file to be packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its path in the archive, with `/`; below the folder it leads to the file itself.
    pub(super) name: String,
    /// Whether it may be run.
    pub(super) executable: bool,
    /// Whether the last part of its path is a symbolic link.
    pub(super) is_link: bool,
    /// What it was when it was listed.
    pub(super) seen: Seen,
}

/// Lists the files of a folder, given by its canonical path, sorted by the bytes of their names.
///
/// Folders have no entries of their own, so an empty one is not packed, nor is the folder that Slotway packs in.
pub(super) fn list(root: &Path, own: Option<&Path>) -> Result<Vec<Listed>, ArtifactError> {
    let mut walk = Walk { root, own, ignore: read_ignore_file(root)?, files: Vec::new() };
    walk.folder(root, "", &mut vec![root.to_owned()])?;
    let mut files = walk.files;
    if files.is_empty() {
        return Err(ArtifactError::EmptyFolder { path: root.to_owned() });
    }
    files.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    refuse_case_clashes(&files)?;
    Ok(files)
}

/// Lists the folder once more and refuses any difference: what is packed shall be what was there at one moment.
pub(super) fn refuse_changes(root: &Path, own: &Path, before: &[Listed]) -> Result<(), ArtifactError> {
    let now = list(root, Some(own))?;
    let changed = |file: &Listed, how| Err(ArtifactError::Changed { path: root.join(&file.name), how });
    for (one, other) in before.iter().zip(&now) {
        match one.name.as_bytes().cmp(other.name.as_bytes()) {
            Ordering::Less => return changed(one, "vanished"),
            Ordering::Greater => return changed(other, "appeared"),
            Ordering::Equal if one != other => return changed(one, "changed"),
            Ordering::Equal => {}
        }
    }
    match (before.get(now.len()), now.get(before.len())) {
        (Some(file), _) => changed(file, "vanished"),
        (_, Some(file)) => changed(file, "appeared"),
        (None, None) => Ok(()),
    }
}

/// What a thing is that is neither file, folder nor link.
pub(super) fn special_kind(file_type: FileType) -> Option<&'static str> {
    if file_type.is_file() || file_type.is_dir() || file_type.is_symlink() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if file_type.is_fifo() {
            return Some("a named pipe");
        } else if file_type.is_socket() {
            return Some("a socket");
        } else if file_type.is_block_device() || file_type.is_char_device() {
            return Some("a device");
        }
    }
    Some("a special file")
}

struct Walk<'r> {
    root: &'r Path,
    own: Option<&'r Path>,
    ignore: Gitignore,
    files: Vec<Listed>,
}

impl Walk<'_> {
    /// Lists a folder; `chain` holds the real paths of the folders that lead to it.
    fn folder(&mut self, folder: &Path, prefix: &str, chain: &mut Vec<PathBuf>) -> Result<(), ArtifactError> {
        let unreadable = |source| ArtifactError::Unreadable { path: folder.to_owned(), source };
        if chain.len() > DEEPEST {
            return Err(ArtifactError::Name {
                path: folder.to_owned(),
                problem: "has too many folders in it",
            });
        }
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let file_name = entry.file_name();
            if file_name == ".git" || (prefix.is_empty() && file_name == IGNORE_FILE) {
                continue;
            }
            let Some(file_name) = file_name.to_str() else {
                // The patterns are text, so a name that is none cannot be left out by them.
                return Err(ArtifactError::Name { path, problem: "is no valid UTF-8" });
            };
            self.entry(&path, &format!("{prefix}{file_name}"), chain)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &str, chain: &mut Vec<PathBuf>) -> Result<(), ArtifactError> {
        let unreadable = |source| ArtifactError::Unreadable { path: path.to_owned(), source };
        let own = fs::symlink_metadata(path).map_err(unreadable)?;
        let followed = match own.is_symlink() {
            true => fs::metadata(path),
            false => Ok(own.clone()),
        };
        let is_folder = followed.as_ref().is_ok_and(Metadata::is_dir);
        if self.ignore.matched(name, is_folder).is_ignore() {
            return Ok(());
        }
        if own.is_symlink() {
            self.refuse_bad_link(path, followed.as_ref().err(), chain)?;
        }
        if let Some(problem) = unfit_name(name) {
            return Err(ArtifactError::Name { path: path.to_owned(), problem });
        }
        let metadata = followed.map_err(unreadable)?;
        if let Some(kind) = special_kind(metadata.file_type()) {
            return Err(ArtifactError::NotAFile { path: path.to_owned(), kind });
        }
        if metadata.is_dir() {
            if self.own == Some(path) {
                return Ok(());
            }
            chain.push(fs::canonicalize(path).map_err(unreadable)?);
            self.folder(path, &format!("{name}/"), chain)?;
            chain.pop();
            return Ok(());
        }
        if self.files.len() >= MOST_FILES {
            return Err(ArtifactError::TooManyFiles { path: self.root.to_owned(), most: MOST_FILES });
        }
        self.files.push(Listed {
            name: name.to_owned(),
            executable: is_executable(&metadata),
            is_link: own.is_symlink(),
            seen: Seen::of(&metadata),
        });
        Ok(())
    }

    fn refuse_bad_link(
        &self,
        path: &Path,
        broken: Option<&io::Error>,
        chain: &[PathBuf],
    ) -> Result<(), ArtifactError> {
        let bad = |problem| Err(ArtifactError::Link { path: path.to_owned(), problem });
        match broken {
            None => {}
            Some(error) if error.kind() == io::ErrorKind::NotFound => return bad("leads nowhere"),
            // The kind for a loop of links is not stable yet; the system's own number is.
            #[cfg(unix)]
            Some(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
                return bad("leads round in a circle");
            }
            Some(_) => return bad("cannot be followed"),
        }
        match fs::canonicalize(path) {
            Ok(target) if !target.starts_with(self.root) => bad("leads out of the folder"),
            Ok(target) if chain.contains(&target) => bad("leads round in a circle"),
            Ok(_) => Ok(()),
            Err(source) => Err(ArtifactError::Unreadable { path: path.to_owned(), source }),
        }
    }
}

/// Why a name would not mean the same on the other side.
fn unfit_name(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if cfg!(unix) && name.contains('\\') {
        Some("holds a backslash, which is a folder separator on Windows")
    } else if bytes.len() > 1 && bytes[1] == b':' && bytes[0].is_ascii_alphabetic() {
        Some("looks like a drive on Windows")
    } else if bytes.len() > usize::from(u16::MAX) {
        Some("is too long for a zip archive")
    } else {
        None
    }
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

fn read_ignore_file(root: &Path) -> Result<Gitignore, ArtifactError> {
    let path = root.join(IGNORE_FILE);
    let problem = |line, problem: String| ArtifactError::IgnoreFile { path: path.clone(), line, problem };
    let text = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(ArtifactError::Unreadable { path, source }),
        Ok(metadata) if !metadata.is_file() => return Err(problem(1, "it is no file".to_owned())),
        Ok(metadata) if metadata.len() > LONGEST_IGNORE_FILE => {
            return Err(problem(1, "it is longer than 1 MiB".to_owned()));
        }
        Ok(_) => {
            let bytes =
                fs::read(&path).map_err(|source| ArtifactError::Unreadable { path: path.clone(), source })?;
            String::from_utf8(bytes).map_err(|_| problem(1, "it is no valid UTF-8".to_owned()))?
        }
    };
    // The root is empty because the names that are asked about are relative to the folder.
    let mut patterns = GitignoreBuilder::new("");
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        patterns
            .add_line(None, line)
            .map_err(|error| problem(number + 1, super::error::clean(&error.to_string())))?;
    }
    patterns.build().map_err(|error| problem(1, super::error::clean(&error.to_string())))
}

/// Refuses names that are the same where letter case does not count: two files, or a file and a folder.
fn refuse_case_clashes(files: &[Listed]) -> Result<(), ArtifactError> {
    let mut seen: HashMap<String, &str> = HashMap::with_capacity(files.len());
    for file in files {
        if let Some(first) = seen.insert(file.name.to_lowercase(), &file.name) {
            return Err(clash(first, &file.name));
        }
    }
    for file in files {
        for (end, _) in file.name.match_indices('/') {
            let folder = &file.name[..end];
            if let Some(first) = seen.get(&folder.to_lowercase()) {
                return Err(clash(first, folder));
            }
        }
    }
    Ok(())
}

fn clash(first: &str, second: &str) -> ArtifactError {
    ArtifactError::CaseClash { first: super::error::clean(first), second: super::error::clean(second) }
}
