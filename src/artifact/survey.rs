//! What the entries of an archive say, added up and judged one by one.
//!
//! Pure. Owns which names, links and sizes are refused and what is worth a
//! warning. Sections are those of PKWARE's APPNOTE.TXT 6.3.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::ArtifactError;
use super::detect::PackageType;
use super::entry_name::{self, comparable, is_folder, is_spelling_of, parts};
use super::error::clean;

/// More than this never comes out of an honest package of at most 2 GiB.
const MOST_UNPACKED: u64 = 100 << 30;
/// They are remembered by name, so there is a bound.
const MOST_LINKS: usize = 10_000;
const MOST_LINK_NAME_BYTES: usize = 4 << 20;
/// So many names are compared with each other; eight bytes are kept of each.
const MOST_COMPARED: usize = 250_000;

/// What an archive holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Entries that are no folders.
    pub(super) files: u64,
    /// The one folder at the top that holds everything.
    pub(super) only_folder: Option<String>,
    /// Whether names are written with backslashes.
    pub(super) has_backslashes: bool,
    /// Whether some entries are packed in a way that few can unpack.
    pub(super) has_rare_compression: bool,
    /// The first name that another entry has too, where letter case does not count.
    pub(super) clash: Option<String>,
}

impl Contents {
    /// What is odd about the archive.
    pub(super) fn warnings(&self, package_type: PackageType) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(folder) = self.only_folder.as_ref().filter(|_| package_type == PackageType::Zip) {
            warnings.push(format!(
                "all files are inside the folder {folder}/ of the archive; the app will look for them at the top"
            ));
        }
        if self.has_backslashes {
            warnings.push(
                "names in the archive are written with backslashes; Linux takes them for part of the name"
                    .to_owned(),
            );
        }
        if let Some(name) = &self.clash {
            warnings.push(format!(
                "the archive holds \"{name}\" twice where letter case does not count; on Windows one of the two is lost"
            ));
        }
        if self.has_rare_compression {
            warnings.push(
                "some entries are neither stored nor deflated; App Service may fail to unpack them"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Where the directory lies and how many entries it has (section 4.3.16, for Zip64 section 4.3.14).
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) entries: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// An entry of the directory (section 4.3.12).
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// Another name that some take instead (section 4.6.9).
    pub(super) unicode_name: Option<Vec<u8>>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    pub(super) offset: u64,
    pub(super) is_link: bool,
}

impl Entry {
    /// All names that somebody may give it.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.name).chain(&self.unicode_name).map(Vec::as_slice)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Tops {
    #[default]
    None,
    OneFolder,
    Many,
}

/// What is gathered on the way through the directory.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) contents: Contents,
    pub(super) unpacked: u64,
    pub(super) links: Vec<Vec<u8>>,
    link_name_bytes: usize,
    /// Bytes of the archive that entries claim, heads and contents.
    claimed: u64,
    names: HashSet<u64>,
    tops: Tops,
    first_top: Option<String>,
}

impl Survey {
    pub(super) fn add(
        &mut self,
        path: &Path,
        directory: &Directory,
        entry: &Entry,
    ) -> Result<(), ArtifactError> {
        if let Some(problem) = entry_name::problem(&entry.name) {
            return Err(bad_entry(path, &entry.name, problem));
        }
        // Bit 11: the name is UTF-8 already, and needs no better spelling (section 4.4.4).
        let is_bad = |unicode: &Vec<u8>| entry.flags & 0x800 != 0 || !is_spelling_of(unicode, &entry.name);
        if entry.unicode_name.as_ref().is_some_and(is_bad) {
            return Err(bad_entry(path, &entry.name, "is given another name by its Unicode Path field"));
        }
        // Bit 0: encrypted; bit 13: its header is masked (section 4.4.4). Method 99: AES (section 4.4.5).
        if entry.flags & 0x2001 != 0 || entry.method == 99 {
            return Err(bad_entry(path, &entry.name, "is encrypted, and App Service has no password for it"));
        }
        // Zip64 sizes are whatever somebody wrote: each sum is checked.
        let head = 30 + entry.name.len() as u64;
        let end = entry.offset.checked_add(head).and_then(|start| start.checked_add(entry.packed));
        if end.is_none_or(|end| end > directory.offset) {
            return Err(bad_entry(
                path,
                &entry.name,
                "does not lie within the archive, which is cut off or damaged",
            ));
        }
        // A small archive becomes an endless one where many entries share the same bytes.
        self.claimed = self.claimed.saturating_add(head).saturating_add(entry.packed);
        if self.claimed > directory.offset {
            return Err(bad_entry(path, &entry.name, "shares its bytes with another, as in a zip bomb"));
        }
        self.unpacked = self.unpacked.saturating_add(entry.unpacked);
        if self.unpacked > MOST_UNPACKED {
            return Err(ArtifactError::Bomb { path: path.to_owned(), total_bytes: self.unpacked });
        }
        self.contents.has_backslashes |= entry.name.contains(&b'\\');
        // Stored, deflated and Deflate64 are what .NET's ZipArchive reads, which is what Kudu unpacks with.
        self.contents.has_rare_compression |= !matches!(entry.method, 0 | 8 | 9);
        if entry.is_link {
            self.link_name_bytes += entry.name.len();
            if self.links.len() >= MOST_LINKS || self.link_name_bytes > MOST_LINK_NAME_BYTES {
                return Err(bad_entry(path, &entry.name, "is one symbolic link too many (more than 10000)"));
            }
            self.links.extend(entry.names().map(<[u8]>::to_vec));
        }
        self.contents.files += u64::from(!is_folder(&entry.name));
        self.note_top(&entry.name);
        self.compare(&entry.name);
        Ok(())
    }

    /// What the archive holds, once all entries were added.
    pub(super) fn finish(self) -> Contents {
        let only_folder = self.first_top.filter(|_| self.tops == Tops::OneFolder).map(|name| clean(&name));
        Contents { only_folder, ..self.contents }
    }

    /// Looks for the same name in another letter case. Folders may be there twice.
    fn compare(&mut self, name: &[u8]) {
        if is_folder(name) || self.contents.clash.is_some() || self.names.len() >= MOST_COMPARED {
            return;
        }
        let mut hasher = DefaultHasher::new();
        comparable(name).hash(&mut hasher);
        if !self.names.insert(hasher.finish()) {
            self.contents.clash = Some(clean(&String::from_utf8_lossy(name)));
        }
    }

    fn note_top(&mut self, name: &[u8]) {
        let mut parts = parts(name);
        let Some(top) = parts.next().map(String::from_utf8_lossy) else { return };
        let is_in_folder = parts.next().is_some() || is_folder(name);
        self.tops = match (&self.tops, &self.first_top) {
            (Tops::None, _) if is_in_folder => Tops::OneFolder,
            (Tops::OneFolder, Some(first)) if is_in_folder && *first == top => Tops::OneFolder,
            _ => Tops::Many,
        };
        if self.first_top.is_none() {
            self.first_top = Some(top.into_owned());
        }
    }
}

pub(super) fn bad_entry(path: &Path, name: &[u8], problem: &'static str) -> ArtifactError {
    ArtifactError::Entry { path: path.to_owned(), entry: clean(&String::from_utf8_lossy(name)), problem }
}
