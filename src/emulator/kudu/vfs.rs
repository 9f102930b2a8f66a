//! Files below /home: `/api/vfs`.
//!
//! Owns reading and writing them, with ETags (kudu-deploy.md §8). Must never leave the
//! content's own folder, neither by `..` nor by a link.

use std::fs::Metadata;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::{Reply, logs, look};
use crate::emulator::cloud::Cloud;
use crate::emulator::front::{Body, BodyError};
use crate::emulator::wire::{self, Path};
use crate::emulator::world::SlotRef;

/// The first segments are `api` and `vfs`.
const BELOW_HOME: usize = 2;

/// Answers a request below `/api/vfs`.
pub(super) async fn answer(cloud: &Arc<Cloud>, slot: &SlotRef, path: &Path, request: Request<Body>) -> Reply {
    let (home, scm) =
        look(cloud, slot, |_, _, found| Ok((found.side.files.clone(), found.hosts.scm.clone())))?;
    if request.method() == Method::GET {
        let lower = path.lower();
        if let Some(log) = logs::by_path(cloud, slot, lower.get(BELOW_HOME..).unwrap_or_default()) {
            return Ok(wire::content(StatusCode::OK, "text/plain; charset=utf-8", log.text));
        }
    }
    let Some(file) = below(&home, path) else { return Ok(wire::empty(StatusCode::BAD_REQUEST)) };
    let (head, body) = request.into_parts();
    let answered = match head.method {
        Method::GET | Method::HEAD if path.ends_in_slash() => folder(&file, path, &scm).await,
        Method::GET | Method::HEAD => read(&file, path, &scm).await,
        Method::PUT if path.ends_in_slash() => make_folder(&home, &file).await,
        Method::PUT => write(cloud, &home, &file, &head.headers, body).await,
        Method::DELETE => delete(&home, &file, &head.headers).await,
        _ => Ok(wire::empty(StatusCode::METHOD_NOT_ALLOWED)),
    };
    Ok(answered.unwrap_or_else(|error| failed(&error)))
}

fn failed(error: &io::Error) -> Response<Body> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            wire::json(StatusCode::NOT_FOUND, &json!({"Message": "The file was not found."}))
        }
        io::ErrorKind::PermissionDenied => wire::empty(StatusCode::FORBIDDEN),
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::IsADirectory => wire::empty(StatusCode::CONFLICT),
        _ => wire::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The place of a path, name by name; nothing that could lead out of the folder is a name.
fn below(home: &FilePath, path: &Path) -> Option<PathBuf> {
    let mut file = home.to_path_buf();
    for index in BELOW_HOME..path.lower().len() {
        let name = path.original(index);
        let bad = matches!(name, "." | "..")
            || name.contains(['/', '\\', ':'])
            || name.chars().any(char::is_control);
        if bad {
            return None;
        }
        file.push(name);
    }
    Some(file)
}

/// Refuses what a link leads out of the content.
async fn inside(home: &FilePath, file: &FilePath) -> io::Result<PathBuf> {
    let (home, file) = (tokio::fs::canonicalize(home).await?, tokio::fs::canonicalize(file).await?);
    if file.starts_with(&home) { Ok(file) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

fn etag(metadata: &Metadata) -> String {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("\"{:x}\"", since.unwrap_or_default().as_nanos())
}

fn written(time: io::Result<SystemTime>) -> String {
    time.map(|time| wire::rfc3339(time.into())).unwrap_or_default()
}

async fn read(file: &FilePath, path: &Path, scm: &str) -> io::Result<Response<Body>> {
    // The home is the file's own ancestor as far as names go; links are checked against it.
    let home = file.ancestors().nth(path.lower().len() - BELOW_HOME).unwrap_or(file);
    let file = inside(home, file).await?;
    let metadata = tokio::fs::metadata(&file).await?;
    if metadata.is_dir() {
        let mut response = wire::empty(StatusCode::TEMPORARY_REDIRECT);
        wire::set(&mut response, "location", &format!("https://{scm}/{}/", path.rest(0)));
        return Ok(response);
    }
    let stream = ReaderStream::new(tokio::fs::File::open(&file).await?);
    let body = StreamBody::new(stream.map_ok(Frame::data).map_err(BodyError::from));
    let mut response = wire::content(StatusCode::OK, "application/octet-stream", "");
    *response.body_mut() = body.boxed();
    wire::set(&mut response, "etag", &etag(&metadata));
    wire::set(&mut response, "content-length", &metadata.len().to_string());
    Ok(response)
}

async fn folder(file: &FilePath, path: &Path, scm: &str) -> io::Result<Response<Body>> {
    let home = file.ancestors().nth(path.lower().len() - BELOW_HOME).unwrap_or(file);
    let file = inside(home, file).await?;
    let mut entries = tokio::fs::read_dir(&file).await?;
    let mut items: Vec<(String, Value)> = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        // A link that leads nowhere is not listed.
        let Ok(metadata) = tokio::fs::metadata(entry.path()).await else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        let (slash, mime) =
            if metadata.is_dir() { ("/", "inode/directory") } else { ("", "application/octet-stream") };
        let item = json!({
            "name": name,
            "size": if metadata.is_dir() { 0 } else { metadata.len() },
            "mtime": written(metadata.modified()),
            "crtime": written(metadata.created().or_else(|_| metadata.modified())),
            "mime": mime,
            "href": format!("https://{scm}/{}/{name}{slash}", path.rest(0)),
            "path": format!("/home/{}/{name}", path.rest(BELOW_HOME)).replace("//", "/"),
        });
        items.push((name, item));
    }
    items.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(wire::ok(&Value::Array(items.into_iter().map(|(_, item)| item).collect())))
}

async fn make_folder(home: &FilePath, file: &FilePath) -> io::Result<Response<Body>> {
    let existing = file.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(home);
    inside(home, existing).await?;
    if tokio::fs::metadata(file).await.is_ok() {
        return Ok(wire::empty(StatusCode::CONFLICT));
    }
    tokio::fs::create_dir_all(file).await?;
    Ok(wire::empty(StatusCode::CREATED))
}

/// Whether a file that is there may be changed: only with its ETag or `*`.
fn matches(headers: &HeaderMap, metadata: &Metadata) -> bool {
    let given = headers.get("if-match").and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(',').map(str::trim).any(|one| one == "*" || one == etag(metadata))
}

async fn write(
    cloud: &Cloud,
    home: &FilePath,
    file: &FilePath,
    headers: &HeaderMap,
    mut body: Body,
) -> io::Result<Response<Body>> {
    let parent = file.parent().unwrap_or(home);
    inside(home, parent.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(home)).await?;
    let before = tokio::fs::metadata(file).await.ok();
    if before.is_some() {
        inside(home, file).await?;
    }
    if before.as_ref().is_some_and(|metadata| !matches(headers, metadata)) {
        wire::discard(body).await;
        return Ok(wire::empty(StatusCode::PRECONDITION_FAILED));
    }
    // Beside the content first, so that a broken upload changes nothing.
    let upload = cloud.upload_path();
    let stored = async {
        let mut writer = tokio::fs::File::create(&upload).await?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(io::Error::other)?;
            if let Some(bytes) = frame.data_ref() {
                writer.write_all(bytes).await?;
            }
        }
        writer.flush().await?;
        tokio::fs::create_dir_all(parent).await?;
        tokio::fs::rename(&upload, file).await
    };
    if let Err(error) = stored.await {
        let _ = tokio::fs::remove_file(&upload).await;
        return Err(error);
    }
    let mut response =
        wire::empty(if before.is_some() { StatusCode::NO_CONTENT } else { StatusCode::CREATED });
    wire::set(&mut response, "etag", &etag(&tokio::fs::metadata(file).await?));
    Ok(response)
}

async fn delete(home: &FilePath, file: &FilePath, headers: &HeaderMap) -> io::Result<Response<Body>> {
    let place = inside(home, file).await?;
    let metadata = tokio::fs::metadata(&place).await?;
    if metadata.is_dir() {
        if place == tokio::fs::canonicalize(home).await? {
            return Ok(wire::empty(StatusCode::CONFLICT));
        }
        tokio::fs::remove_dir(&place).await?;
    } else if matches(headers, &metadata) {
        tokio::fs::remove_file(file).await?;
    } else {
        return Ok(wire::empty(StatusCode::PRECONDITION_FAILED));
    }
    Ok(wire::empty(StatusCode::OK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_home() {
        let home = FilePath::new("/h");
        let place = |path: &str| below(home, &Path::new(path));
        assert_eq!(
            place("/api/vfs/site/wwwroot/Index.html"),
            Some(PathBuf::from("/h/site/wwwroot/Index.html"))
        );
        assert_eq!(place("/api/vfs/"), Some(PathBuf::from("/h")));
        for bad in ["../x", "%2e%2e/x", "a%2f..%2f..%2fx", "a\\b", "c:", "a%00b", "./x"] {
            assert_eq!(place(&format!("/api/vfs/{bad}")), None, "{bad}");
        }
    }
}
