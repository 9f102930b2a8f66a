//! Reads the directory at the end of a zip archive as a stream, and the bytes that it points to.
//!
//! Owns the formats, which are those of PKWARE's APPNOTE.TXT 6.3, whose sections are named. Judges nothing but
//! whether the archive is whole.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::artifact::ArtifactError;
use crate::artifact::survey::{Directory, Entry};

const END_LENGTH: usize = 22;
/// Info-ZIP Unicode Path (section 4.6.9).
const UNICODE_PATH: u16 = 0x7075;
/// Zip64 (section 4.5.3).
const WIDE: u16 = 1;

/// An archive that is open.
pub(super) struct Archive<'p> {
    pub(super) path: &'p Path,
    file: File,
}

/// A part of the file, which stands where it is however the file is read otherwise.
struct Window<'f> {
    file: &'f File,
    position: u64,
    end: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        self.file.seek(SeekFrom::Start(self.position))?;
        let read = self.file.read(&mut buffer[..length])?;
        self.position += read as u64;
        Ok(read)
    }
}

impl<'p> Archive<'p> {
    pub(super) fn open(path: &'p Path) -> Result<Self, ArtifactError> {
        let file = File::open(path).map_err(|source| unreadable(path, source))?;
        Ok(Self { path, file })
    }

    pub(super) fn size(&self) -> Result<u64, ArtifactError> {
        Ok(self.file.metadata().map_err(|source| self.unreadable(source))?.len())
    }

    pub(super) fn unreadable(&self, source: std::io::Error) -> ArtifactError {
        unreadable(self.path, source)
    }

    fn broken(&self, problem: &'static str) -> ArtifactError {
        ArtifactError::NotAnArchive { path: self.path.to_owned(), problem }
    }

    /// The bytes from one place to another.
    pub(super) fn between(&self, position: u64, end: u64) -> impl Read {
        Window { file: &self.file, position, end }
    }

    pub(super) fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, ArtifactError> {
        let mut bytes = vec![0; length];
        match self.between(offset, u64::MAX).read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.broken("it ends too early"))
            }
            Err(source) => Err(self.unreadable(source)),
        }
    }

    pub(super) fn refuse_other_formats(&self) -> Result<(), ArtifactError> {
        let mut start = Vec::new();
        self.between(0, 6).read_to_end(&mut start).map_err(|source| self.unreadable(source))?;
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

    pub(super) fn find_directory(&self, size: u64) -> Result<Directory, ArtifactError> {
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
    fn find_wide_directory(&self, end_offset: u64) -> Result<Option<(Directory, u64)>, ArtifactError> {
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

    pub(super) fn each_entry(
        &self,
        directory: &Directory,
        mut look: impl FnMut(&Entry) -> Result<(), ArtifactError>,
    ) -> Result<(), ArtifactError> {
        let damaged = || self.broken("its directory is damaged");
        let window = self.between(directory.offset, directory.offset.saturating_add(directory.size));
        let mut stream = BufReader::with_capacity(64 * 1024, window);
        for _ in 0..directory.entries {
            match read_entry(&mut stream) {
                Ok(Some(entry)) => look(&entry)?,
                Ok(None) => return Err(damaged()),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(damaged()),
                Err(source) => return Err(self.unreadable(source)),
            }
        }
        match stream.fill_buf() {
            // Only a digital signature may follow (section 4.3.13).
            Ok(rest) if rest.is_empty() || rest.starts_with(b"PK\x05\x05") => Ok(()),
            Ok(_) => Err(damaged()),
            Err(source) => Err(self.unreadable(source)),
        }
    }

    /// An entry's own header, in front of its content (section 4.3.7); none where there is none.
    pub(super) fn own_header(&self, entry: &Entry) -> Result<Option<OwnHeader>, ArtifactError> {
        let head = self.read_at(entry.offset, 30)?;
        if !head.starts_with(b"PK\x03\x04") {
            return Ok(None);
        }
        let name_length = usize::from(u16_at(&head, 26));
        let mut name = self.read_at(entry.offset + 30, name_length + usize::from(u16_at(&head, 28)))?;
        let content = entry.offset + 30 + name.len() as u64;
        let extra = name.split_off(name_length);
        let unicode_name = unicode_name(&name, &extra);
        Ok(Some(OwnHeader { name, unicode_name, method: u16_at(&head, 8), content }))
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> ArtifactError {
    ArtifactError::Unreadable { path: path.to_owned(), source }
}

/// What stands in front of an entry's content.
pub(super) struct OwnHeader {
    pub(super) name: Vec<u8>,
    pub(super) unicode_name: Option<Vec<u8>>,
    pub(super) method: u16,
    /// Where its content begins.
    pub(super) content: u64,
}

fn read_entry(stream: &mut impl Read) -> std::io::Result<Option<Entry>> {
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
    let mut entry = Entry {
        unicode_name: unicode_name(&name, &extra),
        name,
        flags: u16_at(&head, 8),
        method: u16_at(&head, 10),
        packed: u64::from(u32_at(&head, 20)),
        unpacked: u64::from(u32_at(&head, 24)),
        offset: u64::from(u32_at(&head, 42)),
        // The upper half of the attributes is a Unix mode. It counts whatever system the maker claims to be, as
        // some that unpack do not look at that either.
        is_link: u16_at(&head, 40) & 0o170_000 == 0o120_000,
    };
    widen(&mut entry, &extra);
    Ok(Some(entry))
}

/// The extra fields: their ids and contents.
fn fields(mut extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(extra, 2));
        let field = extra.get(4..4 + length)?;
        let id = u16_at(extra, 0);
        extra = &extra[4 + length..];
        Some((id, field))
    })
}

/// The name that Info-ZIP gives an entry in place of the one in its header, by the field that is made for it: of
/// version 1, with the checksum of that header's name. Otherwise the field is out of date, and it counts for nobody.
fn unicode_name(name: &[u8], extra: &[u8]) -> Option<Vec<u8>> {
    let (_, field) = fields(extra).find(|(id, _)| *id == UNICODE_PATH)?;
    let unicode = field.get(5..)?;
    let mut checksum = flate2::Crc::new();
    checksum.update(name);
    (field[0] == 1 && u32_at(field, 1) == checksum.sum() && unicode != name).then(|| unicode.to_vec())
}

/// Takes the wide sizes from the Zip64 field in place of those that are filled with ones.
fn widen(entry: &mut Entry, extra: &[u8]) {
    let Some((_, mut field)) = fields(extra).find(|(id, _)| *id == WIDE) else { return };
    for value in [&mut entry.unpacked, &mut entry.packed, &mut entry.offset] {
        if *value == 0xffff_ffff && field.len() >= 8 {
            *value = u64_at(field, 0);
            field = &field[8..];
        }
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
