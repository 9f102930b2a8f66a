//! Container logs: `/api/logs/docker`, the dump, and the files behind them.
//!
//! Owns the names of the log files (kudu-deploy.md §8). What is in them is what the apps
//! wrote, kept by the runtime.

use std::io::{Cursor, Write as _};

use hyper::StatusCode;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use super::{Reply, look};
use crate::emulator::cloud::Cloud;
use crate::emulator::wire;
use crate::emulator::world::{Refusal, SlotRef, Timestamp, WorkerId};

/// A log file as a whole.
pub struct LogFile {
    /// `YYYY_MM_DD_<machine>_docker.log`.
    pub name: String,
    /// What the app wrote.
    pub text: String,
    machine: String,
    written: Timestamp,
}

/// The name of a worker's machine.
pub fn machine_name(worker: &WorkerId) -> String {
    format!("lw0sdlwk{}", worker.0.chars().take(6).collect::<String>().to_uppercase())
}

/// The log files of a slot, one for each machine.
///
/// # Errors
///
/// 404 for the slot.
pub fn files(cloud: &Cloud, slot: &SlotRef) -> Result<Vec<LogFile>, Refusal> {
    let (mut workers, now) = look(cloud, slot, |world, _, found| {
        let workers: Vec<WorkerId> =
            found.side.instances.iter().map(|instance| instance.worker.clone()).collect();
        Ok((workers, world.now()))
    })?;
    workers.sort();
    let format = time::macros::format_description!("[year]_[month]_[day]");
    let day = now.format(format).unwrap_or_default();
    let file = |worker: WorkerId| {
        let machine = machine_name(&worker);
        LogFile {
            name: format!("{day}_{machine}_docker.log"),
            text: cloud.shared.container_log(slot, Some(&worker)),
            machine,
            written: now,
        }
    };
    Ok(workers.into_iter().map(file).collect())
}

/// `GET /api/logs/docker`: the newest date only.
pub(super) fn list(cloud: &Cloud, slot: &SlotRef) -> Reply {
    let scm = look(cloud, slot, |_, _, found| Ok(found.hosts.scm.clone()))?;
    let all: Vec<Value> = files(cloud, slot)?
        .iter()
        .map(|file| {
            json!({
                "machineName": file.machine,
                "lastUpdated": wire::rfc3339(file.written),
                "size": file.text.len(),
                "href": format!("https://{scm}/api/vfs/LogFiles/{}", file.name),
                "path": format!("/home/LogFiles/{}", file.name),
            })
        })
        .collect();
    Ok(wire::ok(&Value::Array(all)))
}

/// `GET /api/logs/docker/zip` and `GET /dump`.
pub(super) fn archive(cloud: &Cloud, slot: &SlotRef) -> Reply {
    let zip = zipped(&files(cloud, slot)?)
        .map_err(|error| Refusal::BadRequest { message: format!("The logs cannot be packed: {error}") })?;
    Ok(wire::content(StatusCode::OK, "application/zip", zip))
}

/// Packs log files; they are bounded by the runtime.
///
/// # Errors
///
/// The archive cannot be written.
pub fn zipped(files: &[LogFile]) -> Result<Vec<u8>, zip::result::ZipError> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        archive.start_file(format!("LogFiles/{}", file.name), SimpleFileOptions::default())?;
        archive.write_all(file.text.as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}

/// The log file of a path below /home, if the path means one.
pub(super) fn by_path(cloud: &Cloud, slot: &SlotRef, path: &[&str]) -> Option<LogFile> {
    let ["logfiles", name] = path else { return None };
    if !name.ends_with("_docker.log") {
        return None;
    }
    files(cloud, slot).ok()?.into_iter().find(|file| file.name.eq_ignore_ascii_case(name))
}
