//! What apps and platform say: the container log.
//!
//! Owns a bounded text per content and worker; it moves with the content, as the
//! files in `/home/LogFiles` do. Must not interpret it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::emulator::world::{SideId, Timestamp, WorkerId};

/// What is kept of one instance's output.
const KEPT_BYTES: usize = 256 * 1024;
/// What is kept of one line.
const LINE_BYTES: usize = 8 * 1024;

/// The logs of all instances.
#[derive(Default)]
pub(super) struct Logs {
    texts: Mutex<HashMap<(SideId, WorkerId), Text>>,
}

#[derive(Default)]
struct Text {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Logs {
    /// Adds a line.
    pub(super) fn write(&self, now: Timestamp, side: SideId, worker: &WorkerId, line: &str) {
        let stamp = now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
        let line = format!("{stamp} {line}\n");
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts.entry((side, worker.clone())).or_default();
        text.bytes += line.len();
        text.lines.push_back(line);
        while text.bytes > KEPT_BYTES {
            let Some(oldest) = text.lines.pop_front() else { break };
            text.bytes -= oldest.len();
        }
    }

    /// The log of one worker, or of all workers one after the other.
    pub(super) fn read(&self, side: SideId, worker: Option<&WorkerId>) -> String {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: Vec<(&WorkerId, &Text)> = texts
            .iter()
            .filter(|((of, by), _)| *of == side && worker.is_none_or(|worker| worker == by))
            .map(|((_, by), text)| (by, text))
            .collect();
        wanted.sort_by_key(|(by, _)| *by);
        wanted.into_iter().flat_map(|(_, text)| text.lines.iter().map(String::as_str)).collect()
    }
}

/// Reads an app's output to its end and hands it on line by line; an endless line is cut.
pub(super) async fn lines(mut output: impl AsyncRead + Unpin, mut each: impl FnMut(&str)) {
    let mut chunk = [0u8; 4096];
    let mut line: Vec<u8> = Vec::new();
    while let Ok(read) = output.read(&mut chunk).await {
        if read == 0 {
            break;
        }
        for byte in &chunk[..read] {
            if *byte == b'\n' {
                each(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            } else if line.len() < LINE_BYTES {
                line.push(*byte);
            }
        }
    }
    if !line.is_empty() {
        each(&String::from_utf8_lossy(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_split_and_endless_ones_cut() {
        let endless = "x".repeat(3 * LINE_BYTES);
        let text = format!("one\r\ntwo\n{endless}\nlast");
        let mut seen = Vec::new();
        lines(text.as_bytes(), |line| seen.push(line.to_owned())).await;
        assert_eq!((seen[0].as_str(), seen[1].as_str(), seen[3].as_str()), ("one", "two", "last"));
        assert_eq!(seen[2].len(), LINE_BYTES);
    }

    #[test]
    fn a_log_is_bounded_and_keeps_the_newest() {
        let logs = Logs::default();
        let (now, worker) = (Timestamp::UNIX_EPOCH, WorkerId("a".into()));
        for number in 0..20_000 {
            logs.write(now, SideId(1), &worker, &format!("line {number}"));
        }
        let text = logs.read(SideId(1), None);
        assert!(text.len() <= KEPT_BYTES && text.ends_with("line 19999\n"));
        assert_eq!(logs.read(SideId(2), None), "");
        assert_eq!(logs.read(SideId(1), Some(&WorkerId("b".into()))), "");
    }
}
