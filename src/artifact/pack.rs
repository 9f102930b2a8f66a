//! Packs a folder into a deterministic zip: the same files give the same bytes.
//!
//! Owns order, times, modes and compression of the entries. One file is read at a
//! time through a small buffer, so memory does not grow with the files' size.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use super::seen::Seen;
use super::walk::Listed;
use super::{ArtifactError, LARGEST_PACKAGE, Progress, Reporter};

/// Also the unit in which the compressor is fed, so that short reads do not show in its output.
const BUFFER: usize = 128 * 1024;
/// From this size on an entry gets the wide sizes of Zip64; below it no compression can make it outgrow 4 GiB.
const LARGE_FILE: u64 = 0xf000_0000;
/// Progress is told after so many bytes of one file.
const STEP: u64 = 4 * 1024 * 1024;
/// Compressed already: trying again costs time and wins nothing.
const STORED: [&str; 22] = [
    "7z", "avif", "br", "bz2", "docx", "gif", "gz", "jar", "jpeg", "jpg", "mp3", "mp4", "nupkg", "ogg",
    "png", "rar", "webm", "webp", "woff", "woff2", "xz", "zip",
];

/// Packs the listed files into a new file.
pub(super) fn pack(
    root: &Path,
    files: &[Listed],
    path: &Path,
    reporter: &Reporter,
) -> Result<(), ArtifactError> {
    let target = File::create_new(path).map_err(|source| ArtifactError::Temporary { source })?;
    let failure = Rc::new(Cell::new(None));
    let target = Target {
        file: BufWriter::with_capacity(BUFFER, target),
        position: 0,
        end: 0,
        has_failed: false,
        failure: failure.clone(),
    };
    let mut writer = ZipWriter::new(target);
    let total_files = files.len() as u64;
    let mut packing =
        Packing { root, reporter, failure, buffer: vec![0; BUFFER], files: 0, bytes: 0, total_files };
    for file in files {
        packing.add(&mut writer, file)?;
        packing.files += 1;
        packing.tell(false)?;
    }
    let mut target = writer.finish().map_err(cannot_write)?;
    let flushed = target.flush();
    packing.refuse_failure()?;
    flushed.map_err(|source| ArtifactError::Temporary { source })?;
    packing.tell(true)
}

/// Why the packed file cannot grow any further.
enum Failure {
    TooLarge,
    Write(io::Error),
}

/// The packed file, which keeps its first failure for itself and swallows all that follows.
///
/// The zip writer ends its archive when it is dropped, and would print to standard error if that failed.
struct Target {
    file: BufWriter<File>,
    position: u64,
    end: u64,
    has_failed: bool,
    failure: Rc<Cell<Option<Failure>>>,
}

impl Target {
    /// The result of a real operation, or the substitute once one has failed.
    fn keep<T>(&mut self, result: io::Result<T>, substitute: T) -> T {
        match result {
            Ok(value) => value,
            Err(error) => {
                self.fail(Failure::Write(error));
                substitute
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.has_failed = true;
        self.failure.set(Some(failure));
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let after = self.position + bytes.len() as u64;
        if !self.has_failed && after > LARGEST_PACKAGE {
            self.fail(Failure::TooLarge);
        }
        let written = match self.has_failed {
            true => bytes.len(),
            false => {
                let result = self.file.write(bytes);
                self.keep(result, bytes.len())
            }
        };
        self.position += written as u64;
        self.end = self.end.max(self.position);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.has_failed {
            let result = self.file.flush();
            self.keep(result, ());
        }
        Ok(())
    }
}

impl Seek for Target {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let virtual_position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
        }
        .ok_or(io::ErrorKind::InvalidInput)?;
        if !self.has_failed {
            let result = self.file.seek(SeekFrom::Start(virtual_position));
            self.keep(result, virtual_position);
        }
        self.position = virtual_position;
        Ok(virtual_position)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.position)
    }
}

struct Packing<'p> {
    root: &'p Path,
    reporter: &'p Reporter,
    failure: Rc<Cell<Option<Failure>>>,
    buffer: Vec<u8>,
    files: u64,
    bytes: u64,
    total_files: u64,
}

impl Packing<'_> {
    fn tell(&self, is_last: bool) -> Result<(), ArtifactError> {
        let Self { files, bytes, total_files, .. } = *self;
        self.reporter.tell(Progress::Packing { files, bytes, total_files }, is_last)
    }

    fn refuse_failure(&self) -> Result<(), ArtifactError> {
        match self.failure.take() {
            None => Ok(()),
            Some(Failure::TooLarge) => Err(ArtifactError::TooLarge { path: self.root.to_owned() }),
            Some(Failure::Write(source)) => Err(ArtifactError::Temporary { source }),
        }
    }

    fn add(&mut self, writer: &mut ZipWriter<Target>, listed: &Listed) -> Result<(), ArtifactError> {
        let path = self.root.join(&listed.name);
        let unreadable = |source| ArtifactError::Unreadable { path: path.clone(), source };
        let changed = |how| ArtifactError::Changed { path: path.clone(), how };
        let mut file = open(&path, listed.is_link).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => changed("vanished"),
            _ if is_now_a_link(&path, listed) => changed("changed"),
            _ => unreadable(error),
        })?;
        let before = file.metadata().map_err(unreadable)?;
        if Seen::of(&before) != listed.seen {
            return Err(changed("changed"));
        }
        writer.start_file(&listed.name, options(listed, before.len())).map_err(cannot_write)?;
        let (mut size, mut told) = (0, 0);
        loop {
            let count = fill(&mut file, &mut self.buffer).map_err(unreadable)?;
            size += count as u64;
            if count == 0 || size > before.len() {
                break;
            }
            writer.write_all(&self.buffer[..count]).map_err(|source| ArtifactError::Temporary { source })?;
            self.refuse_failure()?;
            self.bytes += count as u64;
            if size - told >= STEP {
                told = size;
                self.tell(false)?;
            }
        }
        let after = file.metadata().map_err(unreadable)?;
        let is_same = size == before.len() && Seen::of(&after) == listed.seen;
        if is_same { Ok(()) } else { Err(changed("changed")) }
    }
}

/// Opens a file, which may have become something else since it was listed: a link is followed only where there was
/// one, and nothing is waited for. Whether it is the same file is told when it is open.
#[cfg(unix)]
fn open(path: &Path, is_link: bool) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use nix::fcntl::OFlag;

    let flags = if is_link { OFlag::O_NONBLOCK } else { OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW };
    File::options().read(true).custom_flags(flags.bits()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path, is_link: bool) -> io::Result<File> {
    let file = File::open(path)?;
    match std::fs::symlink_metadata(path)?.is_symlink() == is_link {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn is_now_a_link(path: &Path, listed: &Listed) -> bool {
    !listed.is_link && std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Fills the buffer as far as the file reaches.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn options(listed: &Listed, size: u64) -> SimpleFileOptions {
    let extension = listed.name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let is_stored = extension.is_some_and(|extension| STORED.contains(&extension.as_str()));
    SimpleFileOptions::default()
        .compression_method(if is_stored { CompressionMethod::Stored } else { CompressionMethod::Deflated })
        // The earliest time that a zip can say: 1980-01-01 00:00.
        .last_modified_time(DateTime::default())
        .system(System::Unix)
        .unix_permissions(if listed.executable { 0o755 } else { 0o644 })
        .large_file(size >= LARGE_FILE)
}

fn cannot_write(error: zip::result::ZipError) -> ArtifactError {
    let source = match error {
        zip::result::ZipError::Io(source) => source,
        other => io::Error::other(other),
    };
    ArtifactError::Temporary { source }
}
