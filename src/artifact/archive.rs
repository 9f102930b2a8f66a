//! Looks into a ready zip archive without unpacking it.
//!
//! Owns what makes an archive fit to be sent: whole, not empty, no entry that
//! leaves the folder it is unpacked to, none that is another thing to one who
//! unpacks it than to the next.

mod content;
mod directory;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use self::content::Contents as Inflated;
use self::directory::Archive;
use super::entry_name::{comparable, link_stays_inside, parts};
use super::survey::{Contents, Directory, Entry, Survey, bad_entry};
use super::{ArtifactError, LARGEST_PACKAGE};

/// From this size on, a thousandfold growth is taken for a bomb.
const SUSPICIOUS_UNPACKED: u64 = 1 << 30;
const SUSPICIOUS_GROWTH: u64 = 1000;

/// Checks an archive.
pub(super) fn inspect(path: &Path) -> Result<Contents, ArtifactError> {
    let archive = Archive::open(path)?;
    let size = archive.size()?;
    if size == 0 {
        return Err(ArtifactError::EmptyFile { path: path.to_owned() });
    }
    if size > LARGEST_PACKAGE {
        return Err(ArtifactError::TooLarge { path: path.to_owned() });
    }
    archive.refuse_other_formats()?;
    let directory = archive.find_directory(size)?;
    if directory.entries == 0 {
        return Err(ArtifactError::EmptyArchive { path: path.to_owned() });
    }
    let mut survey = Survey::default();
    archive.each_entry(&directory, |entry| survey.add(path, &directory, entry))?;
    if survey.unpacked > SUSPICIOUS_UNPACKED && survey.unpacked / size >= SUSPICIOUS_GROWTH {
        return Err(ArtifactError::Bomb { path: path.to_owned(), total_bytes: survey.unpacked });
    }
    if survey.contents.files == 0 {
        return Err(ArtifactError::EmptyArchive { path: path.to_owned() });
    }
    let mut links = Links::of(&survey.links);
    let mut inflated = Inflated::default();
    archive.each_entry(&directory, |entry| {
        let content = own_content(&archive, &directory, entry)?;
        links.look(&archive, entry, content)?;
        inflated.look(&archive, entry, content)
    })?;
    Ok(survey.finish())
}

/// Where an entry's content begins, if its own header says the same as the directory. .NET's `ZipArchive` and
/// Info-ZIP's unzip take the directory's word, whoever unpacks a stream takes the header's.
fn own_content(archive: &Archive<'_>, directory: &Directory, entry: &Entry) -> Result<u64, ArtifactError> {
    let bad = |problem| bad_entry(archive.path, &entry.name, problem);
    let own = archive.own_header(entry)?.ok_or_else(|| bad("is not where the directory says"))?;
    if own.name != entry.name {
        return Err(bad("has another name in its own header"));
    }
    if own.unicode_name.is_some() && own.unicode_name != entry.unicode_name {
        return Err(bad("is given another name by its Unicode Path field"));
    }
    if own.method != entry.method {
        return Err(bad("is packed in another way by its own header"));
    }
    match own.content.checked_add(entry.packed) {
        Some(end) if end <= directory.offset => Ok(own.content),
        _ => Err(bad("does not lie within the archive, which is cut off or damaged")),
    }
}

/// The symbolic links of an archive, by their comparable names: whether one was met already.
struct Links(HashMap<String, bool>);

impl Links {
    fn of(names: &[Vec<u8>]) -> Self {
        Self(names.iter().map(|name| (comparable(name), false)).collect())
    }

    /// Links have to stay inside, nothing may be unpacked through one, and nothing else may bear its name: what is
    /// unpacked second would be written to where the first leads, or stand in its place.
    fn look(&mut self, archive: &Archive<'_>, entry: &Entry, content: u64) -> Result<(), ArtifactError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let bad = |problem| Err(bad_entry(archive.path, &entry.name, problem));
        let mut names: Vec<String> = entry.names().map(comparable).collect();
        names.dedup();
        for name in &names {
            if name.match_indices('/').any(|(end, _)| self.0.contains_key(&name[..end])) {
                return bad("would be unpacked through a symbolic link");
            }
            match self.0.get_mut(name) {
                Some(true) => return bad("has a name that is given twice, once to a symbolic link"),
                Some(met) => *met = true,
                None => {}
            }
        }
        if !entry.is_link {
            return Ok(());
        }
        match content::link_target(archive, entry, content)? {
            None => bad("is a symbolic link that cannot be read"),
            Some(target)
                if parts(&entry.name).next().is_some() && link_stays_inside(&entry.name, &target) =>
            {
                Ok(())
            }
            Some(_) => bad("is a symbolic link that leads out of the archive"),
        }
    }
}
