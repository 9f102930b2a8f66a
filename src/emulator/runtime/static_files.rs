//! Serves a folder as it is: what App Service does with content that needs no process.
//!
//! Owns paths, default documents and content types. Must not write, list a folder, or
//! leave the folder.

use std::path::{Component, Path, PathBuf};

use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};

use super::body::{Body, empty, streamed, text};

/// Tried for a folder, in this order (the portal's default documents, without the scripted ones).
const DEFAULT_DOCUMENTS: [&str; 4] = ["index.html", "index.htm", "default.htm", "hostingstart.html"];

/// What a site without content shows.
const NOTHING_YET: &str = "<!DOCTYPE html><html><head><title>App Service</title></head><body>\
<h1>Your web app is running and waiting for your content</h1></body></html>\n";

/// Answers from a folder.
pub(super) async fn answer(folder: &Path, request: &Request<Body>) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed.");
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(path) = inside(request.uri().path()) else {
        return page(StatusCode::BAD_REQUEST, "Bad Request");
    };
    let Some((file, path)) = open(&folder.join(path)).await else {
        if request.uri().path() == "/" && !has_content(folder).await {
            return text(StatusCode::OK, "text/html", NOTHING_YET);
        }
        let gone = "The resource you are looking for has been removed, had its name changed, or is temporarily unavailable.";
        return page(StatusCode::NOT_FOUND, gone);
    };
    let Ok(length) = file.metadata().await.map(|metadata| metadata.len()) else {
        return page(StatusCode::INTERNAL_SERVER_ERROR, "The file cannot be read.");
    };
    let body = if request.method() == Method::HEAD { empty() } else { streamed(file) };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type(&path)));
    response
}

fn page(status: StatusCode, words: &str) -> Response<Body> {
    text(status, "text/html", &format!("<!DOCTYPE html><html><body><h1>{words}</h1></body></html>\n"))
}

async fn has_content(folder: &Path) -> bool {
    match tokio::fs::read_dir(folder).await {
        Ok(mut entries) => matches!(entries.next_entry().await, Ok(Some(_))),
        Err(_) => false,
    }
}

/// The path below the folder, or nothing for one that would leave it.
fn inside(path: &str) -> Option<PathBuf> {
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    if path.contains(['\\', '\0']) {
        return None;
    }
    let path = PathBuf::from(path.trim_start_matches('/'));
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)).then_some(path)
}

async fn open(path: &Path) -> Option<(tokio::fs::File, PathBuf)> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    if metadata.is_file() {
        return Some((tokio::fs::File::open(path).await.ok()?, path.to_owned()));
    }
    for name in DEFAULT_DOCUMENTS {
        let document = path.join(name);
        if let Ok(file) = tokio::fs::File::open(&document).await {
            return Some((file, document));
        }
    }
    None
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "js" | "mjs" => "text/javascript",
        "json" | "map" => "application/json",
        "txt" | "md" => "text/plain",
        "xml" => "text/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn get(folder: &Path, path: &str) -> (u16, String, String) {
        let request = Request::builder().uri(path).body(empty()).expect("request");
        let response = answer(folder, &request).await;
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let (status, kind) = (response.status().as_u16(), kind.to_owned());
        let body = response.into_body().collect().await.expect("body").to_bytes();
        (status, kind, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn files_default_documents_and_nothing_outside() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("root");
        assert_eq!(get(&root, "/").await.0, 200, "a site without content waits for it");
        std::fs::create_dir_all(root.join("sub dir")).expect("folders");
        std::fs::write(root.join("index.html"), "home").expect("file");
        std::fs::write(root.join("sub dir/a.css"), "css").expect("file");
        std::fs::write(folder.path().join("secret.txt"), "secret").expect("file");
        assert_eq!(get(&root, "/").await, (200, "text/html".into(), "home".into()));
        assert_eq!(get(&root, "/sub%20dir/a.css?x=1").await, (200, "text/css".into(), "css".into()));
        assert_eq!(get(&root, "/missing").await.0, 404);
        assert_eq!(get(&root, "/sub%20dir/").await.0, 404);
        for path in ["/../secret.txt", "/%2e%2e/secret.txt", "/..%5csecret.txt", "/%2fetc/passwd"] {
            assert_ne!(get(&root, path).await.0, 200, "{path}");
        }
    }
}
