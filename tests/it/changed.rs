//! A package that changes under our hands: noticed wherever it is, and never sent as what it was.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::service::Service;

/// The resource manager behind a door that does something when somebody comes for the first time. A package is
/// digested before anybody is asked for anything, so that is the moment between its digest and its upload.
fn door(service: &Service, mut first: impl FnMut() + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut url = reqwest::Url::parse(service.get("resource_manager")).expect("a URL");
    let server = ("127.0.0.1", url.port().expect("a port"));
    url.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port can be set");
    std::thread::spawn(move || {
        let mut is_first = true;
        for client in listener.incoming().flatten() {
            if std::mem::take(&mut is_first) {
                first();
            }
            std::thread::spawn(move || tunnel(&client, &TcpStream::connect(server)?));
        }
    });
    url.to_string()
}

/// Bytes in both directions.
fn tunnel(client: &TcpStream, server: &TcpStream) -> std::io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    std::io::copy(&mut &*server, &mut &*client)?;
    client.shutdown(std::net::Shutdown::Write)
}

/// A ready archive of more than one chunk that holds this as its page, stored so that its length stays.
fn archive(service: &Service, name: &str, page: &[u8; 9]) -> PathBuf {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    archive.start_file("padding.bin", stored).expect("an entry");
    archive.write_all(&vec![7; 1 << 20]).expect("content");
    archive.start_file("index.html", stored).expect("an entry");
    archive.write_all(page).expect("content");
    service.place.write(name, archive.finish().expect("an archive").into_inner())
}

/// Everything that could show a change from outside stays: the name, the length and the time.
fn exchange(package: &std::path::Path, other: &std::path::Path) {
    let seen = std::fs::metadata(package).expect("the package");
    let file = std::fs::OpenOptions::new().write(true).open(other).expect("the other");
    file.set_modified(seen.modified().expect("a time")).expect("set");
    assert_eq!(file.metadata().expect("the other").len(), seen.len(), "both have one length");
    std::fs::rename(other, package).expect("renamed");
}

#[test]
fn a_package_that_is_exchanged_between_digest_and_upload_is_not_deployed() {
    let service = Service::start("");
    let package = archive(&service, "app.zip", b"version 1");
    let other = archive(&service, "other.zip", b"version 2");
    let (staging, production) = (service.serves("staging"), service.serves("production"));
    let (swapped, now) = (package.clone(), other.clone());
    let address = door(&service, move || exchange(&swapped, &now));
    let package = package.display().to_string();
    let finished = service.run("release", &["--package", &package, "--resource-manager-url", &address]);
    assert!(!other.exists(), "it was exchanged: {}", finished.stderr);
    assert_eq!((finished.code, &finished.json()["outcome"]), (3, &json!("refused")), "{}", finished.stderr);
    assert!(finished.stderr.contains("app.zip changed after its digest was taken"), "{}", finished.stderr);
    assert!(finished.stderr.contains("nothing writes to the package"), "{}", finished.stderr);
    let requests = service.control("GET", "requests", &Value::Null);
    let requests = requests.as_array().expect("a list");
    let is_upload =
        |seen: &&Value| seen["path"].as_str().is_some_and(|path| path.starts_with("/api/publish"));
    assert_eq!(requests.iter().filter(is_upload).count(), 1, "it was begun, and not begun again");
    service.control("POST", "drain", &Value::Null);
    assert_eq!((service.serves("staging"), service.serves("production")), (staging, production));
    assert_eq!(service.swaps(), 0);
    // The same course goes well where the package stays what it is.
    let address = door(&service, || ());
    let finished = service.run("deploy", &["--package", &package, "--resource-manager-url", &address]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}
