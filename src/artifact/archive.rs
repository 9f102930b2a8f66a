//! Looks into a ready zip archive without unpacking it.
//!
//! Owns what makes an archive fit to be sent: whole, not empty, no entry that
//! leaves the folder it is unpacked to. Reads the directory at its end as a stream;
//! the formats are those of PKWARE's APPNOTE.TXT 6.3, whose sections are named.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::path::Path;

use super::survey::{Contents, Directory, Entry, Survey, bad_entry, link_stays_inside};
use super::{ArtifactError, LARGEST_PACKAGE};

/// From this size on, a thousandfold growth is taken for a bomb.
const SUSPICIOUS_UNPACKED: u64 = 1 << 30;
const SUSPICIOUS_GROWTH: u64 = 1000;
const LONGEST_LINK: u64 = 4096;
/// Reading a link needs the whole directory in memory, so beside links it may not be larger.
const MOST_ENTRIES_BESIDE_LINKS: u64 = 250_000;
const LARGEST_DIRECTORY_BESIDE_LINKS: u64 = 32 << 20;
const END_LENGTH: usize = 22;

/// Checks an archive.
pub(super) fn inspect(path: &Path) -> Result<Contents, ArtifactError> {
    let mut archive = Archive { path, file: File::open(path).map_err(|source| unreadable(path, source))? };
    let size = archive.file.metadata().map_err(|source| unreadable(path, source))?.len();
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
    archive.check_links(&directory, &survey.links)?;
    if survey.contents.files == 0 {
        return Err(ArtifactError::EmptyArchive { path: path.to_owned() });
    }
    Ok(survey.finish())
}

fn unreadable(path: &Path, source: std::io::Error) -> ArtifactError {
    ArtifactError::Unreadable { path: path.to_owned(), source }
}

struct Archive<'p> {
    path: &'p Path,
    file: File,
}

impl Archive<'_> {
    fn broken(&self, problem: &'static str) -> ArtifactError {
        ArtifactError::NotAnArchive { path: self.path.to_owned(), problem }
    }

    fn read_at(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, ArtifactError> {
        let mut bytes = vec![0; length];
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.broken("it ends too early"))
            }
            Err(source) => Err(unreadable(self.path, source)),
        }
    }

    fn refuse_other_formats(&mut self) -> Result<(), ArtifactError> {
        let mut start = Vec::new();
        let file = &mut self.file;
        file.take(6).read_to_end(&mut start).map_err(|source| unreadable(self.path, source))?;
        let problem = match start.as_slice() {
            [b'P', b'K', 3, 4, ..] => return Ok(()),
            [b'P', b'K', 5, 6, ..] => return Err(ArtifactError::EmptyArchive { path: self.path.to_owned() }),
            [0x1f, 0x8b, ..] => "it is a gzip file",
            [b'7', b'z', 0xbc, 0xaf, ..] => "it is a 7z archive",
            [b'R', b'a', b'r', b'!', ..] => "it is a rar archive",
            [b'P', b'K', ..] => "it is one part of an archive in several parts, or damaged",
            _ => "it does not begin as one",
        };
        Err(self.broken(problem))
    }

    fn find_directory(&mut self, size: u64) -> Result<Directory, ArtifactError> {
        let length = size.min((END_LENGTH + usize::from(u16::MAX)) as u64);
        let tail = self.read_at(size - length, length as usize)?;
        let is_end = |start: usize| {
            let record = &tail[start..];
            record.starts_with(b"PK\x05\x06") && END_LENGTH + usize::from(u16_at(record, 20)) == record.len()
        };
        let last_start = tail.len().checked_sub(END_LENGTH);
        let start = last_start
            .and_then(|last| (0..=last).rev().find(|start| is_end(*start)))
            .ok_or_else(|| self.broken("its end is missing, as if it had been cut off"))?;
        let record = &tail[start..];
        let end_offset = size - length + start as u64;
        let (disk, first_disk) = (u16_at(record, 4), u16_at(record, 6));
        let mut directory = Directory {
            entries: u64::from(u16_at(record, 10)),
            size: u64::from(u32_at(record, 12)),
            offset: u64::from(u32_at(record, 16)),
        };
        let is_wide = directory.entries == 0xffff
            || directory.size == 0xffff_ffff
            || directory.offset == 0xffff_ffff
            || disk == 0xffff;
        let mut limit = end_offset;
        if is_wide && let Some((wide, offset)) = self.find_wide_directory(end_offset)? {
            (directory, limit) = (wide, offset);
        } else if disk != 0 || first_disk != 0 {
            return Err(self.broken("it is one part of an archive in several parts"));
        }
        match directory.offset.checked_add(directory.size) {
            Some(end) if end <= limit => Ok(directory),
            _ => Err(self.broken("its directory does not lie within it")),
        }
    }

    /// The Zip64 record, named by the locator in front of the end record; none where there is no locator.
    fn find_wide_directory(&mut self, end_offset: u64) -> Result<Option<(Directory, u64)>, ArtifactError> {
        let Some(locator_offset) = end_offset.checked_sub(20) else { return Ok(None) };
        let locator = self.read_at(locator_offset, 20)?;
        if !locator.starts_with(b"PK\x06\x07") {
            return Ok(None);
        }
        let offset = u64_at(&locator, 8);
        if offset > locator_offset.saturating_sub(56) {
            return Err(self.broken("its Zip64 record does not lie within it"));
        }
        let record = self.read_at(offset, 56)?;
        if !record.starts_with(b"PK\x06\x06") || u32_at(&record, 16) != 0 {
            return Err(self.broken("its Zip64 record is damaged"));
        }
        let directory = Directory {
            entries: u64_at(&record, 32),
            size: u64_at(&record, 40),
            offset: u64_at(&record, 48),
        };
        Ok(Some((directory, offset)))
    }

    fn each_entry(
        &mut self,
        directory: &Directory,
        mut look: impl FnMut(&Entry) -> Result<(), ArtifactError>,
    ) -> Result<(), ArtifactError> {
        let (path, damaged) = (self.path, self.broken("its directory is damaged"));
        self.file.seek(SeekFrom::Start(directory.offset)).map_err(|source| unreadable(path, source))?;
        let mut stream = BufReader::with_capacity(64 * 1024, (&mut self.file).take(directory.size));
        for _ in 0..directory.entries {
            match read_entry(&mut stream) {
                Ok(Some(entry)) => look(&entry)?,
                Ok(None) => return Err(damaged),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(damaged),
                Err(source) => return Err(unreadable(path, source)),
            }
        }
        match stream.fill_buf() {
            // Only a digital signature may follow (section 4.3.13).
            Ok(rest) if rest.is_empty() || rest.starts_with(b"PK\x05\x05") => Ok(()),
            Ok(_) => Err(damaged),
            Err(source) => Err(unreadable(path, source)),
        }
    }

    /// Symbolic links have to stay inside, and nothing may be unpacked through one.
    fn check_links(&mut self, directory: &Directory, links: &[Vec<u8>]) -> Result<(), ArtifactError> {
        if links.is_empty() {
            return Ok(());
        }
        let path = self.path;
        if directory.entries > MOST_ENTRIES_BESIDE_LINKS || directory.size > LARGEST_DIRECTORY_BESIDE_LINKS {
            return Err(bad_entry(path, &links[0], "is a symbolic link among more than 250000 entries"));
        }
        let names: std::collections::HashSet<&[u8]> = links.iter().map(Vec::as_slice).collect();
        self.each_entry(directory, |entry| {
            let mut parents = entry.name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            match parents.any(|(end, _)| names.contains(&entry.name[..end])) {
                true => Err(bad_entry(path, &entry.name, "would be unpacked through a symbolic link")),
                false => Ok(()),
            }
        })?;
        let unreadable_link = |name: &[u8]| bad_entry(path, name, "is a symbolic link that cannot be read");
        self.file.rewind().map_err(|source| unreadable(path, source))?;
        let mut archive = zip::ZipArchive::new(&mut self.file).map_err(|_| self.path).map_err(|path| {
            ArtifactError::NotAnArchive { path: path.to_owned(), problem: "its directory is damaged" }
        })?;
        for name in links {
            let text = std::str::from_utf8(name).map_err(|_| unreadable_link(name))?;
            let entry = archive.by_name(text).map_err(|_| unreadable_link(name))?;
            let mut target = String::new();
            entry.take(LONGEST_LINK).read_to_string(&mut target).map_err(|_| unreadable_link(name))?;
            if target.len() as u64 >= LONGEST_LINK || !link_stays_inside(text, &target) {
                return Err(bad_entry(path, name, "is a symbolic link that leads out of the archive"));
            }
        }
        Ok(())
    }
}

fn read_entry(stream: &mut BufReader<Take<&mut File>>) -> std::io::Result<Option<Entry>> {
    let mut head = [0; 46];
    stream.read_exact(&mut head)?;
    if !head.starts_with(b"PK\x01\x02") {
        return Ok(None);
    }
    let mut name = vec![0; usize::from(u16_at(&head, 28))];
    stream.read_exact(&mut name)?;
    let mut extra = vec![0; usize::from(u16_at(&head, 30))];
    stream.read_exact(&mut extra)?;
    let mut comment = vec![0; usize::from(u16_at(&head, 32))];
    stream.read_exact(&mut comment)?;
    // The upper half of the attributes is a Unix mode where the maker's system is Unix (3) or macOS (19).
    let is_unix = matches!(head[5], 3 | 19);
    let mut entry = Entry {
        name,
        flags: u16_at(&head, 8),
        method: u16_at(&head, 10),
        packed: u64::from(u32_at(&head, 20)),
        unpacked: u64::from(u32_at(&head, 24)),
        offset: u64::from(u32_at(&head, 42)),
        is_link: is_unix && u16_at(&head, 40) & 0o170_000 == 0o120_000,
    };
    widen(&mut entry, &extra);
    Ok(Some(entry))
}

/// Takes the wide sizes from the Zip64 field (section 4.5.3) in place of those that are filled with ones.
fn widen(entry: &mut Entry, mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(mut field) = extra.get(4..4 + length) else { return };
        extra = &extra[4 + length..];
        if id != 1 {
            continue;
        }
        for value in [&mut entry.unpacked, &mut entry.packed, &mut entry.offset] {
            if *value == 0xffff_ffff && field.len() >= 8 {
                *value = u64_at(field, 0);
                field = &field[8..];
            }
        }
        return;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::PackageType;
    use std::io::{Cursor, Write};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn plain() -> SimpleFileOptions {
        SimpleFileOptions::default()
    }

    fn zipped(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        write(&mut writer);
        writer.finish().expect("an archive").into_inner()
    }

    fn with_files(names: &[&str]) -> Vec<u8> {
        zipped(|writer| {
            for name in names {
                writer.start_file(*name, plain()).expect("an entry");
                writer.write_all(b"content").expect("content");
            }
        })
    }

    fn inspect_bytes(bytes: &[u8]) -> Result<Contents, ArtifactError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        inspect(file.path())
    }

    fn problem(bytes: &[u8]) -> String {
        inspect_bytes(bytes).expect_err("refused").to_string()
    }

    /// Replaces a name in both headers by one of the same length, past the writer's own checks.
    fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes.to_vec();
        let mut count = 0;
        for start in 0..bytes.len() - from.len() {
            if bytes[start..].starts_with(from.as_bytes()) {
                bytes[start..start + to.len()].copy_from_slice(to.as_bytes());
                count += 1;
            }
        }
        assert_eq!(count, 2, "the local header and the directory");
        bytes
    }

    /// Overwrites bytes of the first entry of the directory.
    fn patched(bytes: &[u8], offset: usize, value: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let start = bytes.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory") + offset;
        bytes[start..start + value.len()].copy_from_slice(value);
        bytes
    }

    #[test]
    fn a_good_archive_is_counted() {
        let contents = inspect_bytes(&with_files(&["index.html", "css/a.css", "css/b.css"])).expect("good");
        assert_eq!((contents.files, contents.only_folder.clone()), (3, None));
        assert!(contents.warnings(PackageType::Zip).is_empty());
    }

    #[test]
    fn one_folder_that_holds_everything_is_worth_a_warning() {
        let contents = inspect_bytes(&with_files(&["site/index.html", "site/css/a.css"])).expect("good");
        let warnings = contents.warnings(PackageType::Zip);
        assert!(warnings[0].starts_with("all files are inside the folder site/ "), "{warnings:?}");
        assert!(contents.warnings(PackageType::War).is_empty());
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for (name, told) in [
            ("../evil", "leads out of the archive with .."),
            ("a/../../b", "leads out of the archive with .."),
            ("..\\..\\b", "leads out of the archive with .."),
            ("/etc/passwd", "has an absolute path"),
            ("\\share\\x", "has an absolute path"),
            ("C:\\boot.ini", "has a path with a drive"),
            ("c:boot.ini", "has a path with a drive"),
            ("a\0b", "has a zero byte in its name"),
        ] {
            let placeholder = "x".repeat(name.len());
            let bytes = renamed(&with_files(&["good", &placeholder]), &placeholder, name);
            assert!(problem(&bytes).ends_with(told), "{name:?}: {}", problem(&bytes));
        }
        let bytes = renamed(&with_files(&["axb"]), "axb", "a\\b");
        assert!(inspect_bytes(&bytes).expect("odd, not bad").has_backslashes);
    }

    #[test]
    fn what_is_no_archive_is_named() {
        assert!(problem(b"").ends_with("is empty (0 bytes)"));
        assert!(problem(b"\x1f\x8b\x08 and so on").ends_with("it is a gzip file"));
        assert!(problem(b"<html>").ends_with("it does not begin as one"));
        assert!(problem(&zipped(|_| {})).ends_with("holds no file"));
        assert!(
            problem(&zipped(|writer| writer.add_directory("a", plain()).expect("a folder")))
                .ends_with("holds no file")
        );
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused() {
        let whole = with_files(&["a", "b/c"]);
        for length in 1..whole.len() {
            assert!(inspect_bytes(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
        let without_middle = [&whole[..40], &whole[60..]].concat();
        assert!(problem(&without_middle).contains("no usable zip archive"), "{}", problem(&without_middle));
    }

    #[test]
    fn encrypted_entries_and_bombs_are_refused() {
        let good = with_files(&["a"]);
        assert!(problem(&patched(&good, 8, &[1, 0])).contains("is encrypted"));
        assert!(problem(&patched(&good, 10, &[99, 0])).contains("is encrypted"));
        // 2 GiB from an archive of some 100 bytes.
        let bomb = patched(&good, 24, &0x8000_0000_u32.to_le_bytes());
        assert!(problem(&bomb).contains("claims to unpack to 2147483648 bytes"));
        assert!(inspect_bytes(&patched(&good, 24, &0x1000_0000_u32.to_le_bytes())).is_ok());
    }

    #[test]
    fn links_that_leave_and_entries_behind_links_are_refused() {
        let link = |name: &'static str, target: &'static str| {
            zipped(|writer| {
                writer.start_file("a/file", plain()).expect("an entry");
                writer.add_symlink(name, target, plain()).expect("a link");
            })
        };
        assert_eq!(inspect_bytes(&link("a/b/link", "../../a/file")).expect("stays inside").files, 2);
        for target in ["../../x", "/etc/passwd", "x/../../../y", "", "..\\x"] {
            let told = problem(&link("a/link", target));
            assert!(told.ends_with("is a symbolic link that leads out of the archive"), "{target}: {told}");
        }
        assert!(problem(&link("a", "b")).ends_with("would be unpacked through a symbolic link"));
    }

    #[test]
    fn wide_archives_are_read() {
        let bytes = zipped(|writer| {
            writer.start_file("large", plain().large_file(true)).expect("an entry");
            writer.write_all(b"x").expect("content");
            for number in 0..66_000 {
                writer.start_file(format!("{number}"), plain()).expect("an entry");
            }
        });
        assert_eq!(inspect_bytes(&bytes).expect("good").files, 66_001);
    }

    #[test]
    fn a_size_at_the_end_of_all_numbers_is_refused() {
        let wide = zipped(|writer| {
            writer.start_file("large", plain().large_file(true)).expect("an entry");
            writer.write_all(b"x").expect("content");
        });
        // The directory's entry says "see the Zip64 field" for the packed size, and that says 2^64 - 1.
        let start = wide.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
        let field = start + 46 + "large".len();
        let mut bytes = patched(&wide, 20, &[0xff; 8]);
        let extra = [1, 0, 16, 0].into_iter().chain([1, 0, 0, 0, 0, 0, 0, 0]).chain([0xff; 8]);
        let old_length = usize::from(u16_at(&bytes, start + 30));
        bytes.splice(field..field + old_length, extra);
        bytes[start + 30..start + 32].copy_from_slice(&20_u16.to_le_bytes());
        let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06").expect("an end");
        let length = u32::try_from(end - start).expect("short");
        bytes[end + 12..end + 16].copy_from_slice(&length.to_le_bytes());
        assert!(problem(&bytes).contains("does not lie within the archive"), "{}", problem(&bytes));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
        #[test]
        fn no_damage_makes_it_panic(changes in proptest::collection::vec((0_usize..400, 0_u8..=255), 1..6)) {
            let mut bytes = with_files(&["a", "b/c", "d"]);
            for (offset, value) in changes {
                let position = offset % bytes.len();
                bytes[position] = value;
            }
            let _ = inspect_bytes(&bytes);
        }
    }
}
