//! The contents of entries, as far as they have to be looked at: targets of links, and whether
//! an entry unpacks to what it claims.
//!
//! Unpacks into nothing, within a budget: what is claimed is what the check costs.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};

use super::directory::Archive;
use crate::artifact::ArtifactError;
use crate::artifact::survey::{Entry, bad_entry};

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const LONGEST_LINK: u64 = 4096;
const BUFFER: usize = 64 * 1024;
/// So much of an archive is unpacked on trial, which takes less than a second. Entries that claim more than what is
/// left of it are believed: a package of gigabytes is not unpacked twice.
const BUDGET: u64 = 128 << 20;

/// Unpacks entries on trial.
pub(super) struct Contents {
    left: u64,
    decompress: Decompress,
    packed: Vec<u8>,
    unpacked: Vec<u8>,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            left: BUDGET,
            decompress: Decompress::new(false),
            packed: vec![0; BUFFER],
            unpacked: vec![0; BUFFER],
        }
    }
}

impl Contents {
    /// Refuses an entry that unpacks to another size than it claims: bombs are told by their claims.
    pub(super) fn look(
        &mut self,
        archive: &Archive<'_>,
        entry: &Entry,
        content: u64,
    ) -> Result<(), ArtifactError> {
        let bad = |problem| Err(bad_entry(archive.path, &entry.name, problem));
        let cost = entry.packed.max(entry.unpacked);
        match entry.method {
            _ if cost == 0 => return Ok(()),
            STORED if entry.packed != entry.unpacked => return bad("claims another size than it has"),
            DEFLATED if cost <= self.left => self.left -= cost,
            _ => return Ok(()),
        }
        let packed = archive.between(content, content + entry.packed);
        match self.inflate(packed, entry.unpacked).map_err(|source| archive.unreadable(source))? {
            Some(size) if size == entry.unpacked => Ok(()),
            Some(size) if size > entry.unpacked => bad("unpacks to more than it claims, as in a zip bomb"),
            Some(_) | None => bad("is damaged: it does not unpack to what it claims"),
        }
    }

    /// How much comes out; no more is unpacked than shows that it is more than was claimed. None for what is damaged.
    fn inflate(&mut self, mut packed: impl Read, claimed: u64) -> std::io::Result<Option<u64>> {
        self.decompress.reset(false);
        let (mut start, mut end) = (0, 0);
        loop {
            if start == end {
                (start, end) = (0, packed.read(&mut self.packed)?);
            }
            let (taken, given) = (self.decompress.total_in(), self.decompress.total_out());
            let input = &self.packed[start..end];
            let step = self.decompress.decompress(input, &mut self.unpacked, FlushDecompress::None);
            let Ok(status) = step else { return Ok(None) };
            let (taken, given) = (self.decompress.total_in() - taken, self.decompress.total_out() - given);
            start += usize::try_from(taken).unwrap_or(usize::MAX).min(end - start);
            let size = self.decompress.total_out();
            if status == Status::StreamEnd || size > claimed {
                return Ok(Some(size));
            }
            if taken == 0 && given == 0 {
                return Ok(None);
            }
        }
    }
}

/// Where a link leads; none for what no link can be.
pub(super) fn link_target(
    archive: &Archive<'_>,
    entry: &Entry,
    content: u64,
) -> Result<Option<String>, ArtifactError> {
    if entry.unpacked >= LONGEST_LINK || !matches!(entry.method, STORED | DEFLATED) {
        return Ok(None);
    }
    let packed = archive.between(content, content + entry.packed);
    let mut target = Vec::new();
    let read = match entry.method {
        DEFLATED => flate2::read::DeflateDecoder::new(packed).take(LONGEST_LINK).read_to_end(&mut target),
        _ => packed.take(LONGEST_LINK).read_to_end(&mut target),
    };
    Ok(match read {
        Ok(_) if (target.len() as u64) < LONGEST_LINK => String::from_utf8(target).ok(),
        _ => None,
    })
}
