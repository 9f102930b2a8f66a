//! The packages of all simulations, made once: apps that are described, so that they run
//! in this process.
//!
//! Owns what each version does. `bad` fails its check where production's settings are, `lame`
//! does so on one instance only, `sick` on one instance wherever it runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// All of them, by version.
const VERSIONS: [&str; 8] = ["0", "1", "2", "3", "bad", "dead", "lame", "sick"];

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for version in VERSIONS {
        let file = std::fs::File::create(folder.path().join(format!("{version}.zip"))).expect("a file");
        let mut archive = zip::ZipWriter::new(file);
        archive
            .start_file("scripted-app.yml", zip::write::SimpleFileOptions::default())
            .and_then(|()| Ok(archive.write_all(script(version).as_bytes())?))
            .and_then(|()| archive.finish().map(drop))
            .expect("an archive");
    }
    let checkout = folder.path().join("checkout");
    let app = checkout.join("app");
    std::fs::create_dir_all(&app).expect("a folder");
    std::fs::write(checkout.join("slotway.yml"), super::CONFIG).expect("a file");
    std::fs::write(app.join("scripted-app.yml"), script("2")).expect("a file");
    std::fs::write(app.join("start.sh"), "#!/bin/sh\n").expect("a file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o750);
        std::fs::set_permissions(app.join("start.sh"), mode).expect("a mode");
    }
    folder
});

/// Where the package of a version lies.
pub(super) fn path(version: &str) -> PathBuf {
    FOLDER.path().join(format!("{version}.zip"))
}

/// The same as version 2, as a folder.
pub(super) fn folder() -> PathBuf {
    FOLDER.path().join("checkout/app")
}

/// What a user may find changed: bytes, time and mode.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UsersFile {
    path: PathBuf,
    bytes: Option<Vec<u8>>,
    modified: std::time::SystemTime,
    mode: u32,
}

/// Every file and folder below the users' folder.
pub(super) fn all_files() -> Vec<UsersFile> {
    let mut files = Vec::new();
    gather(FOLDER.path(), &mut files);
    files.sort();
    files
}

fn gather(path: &Path, files: &mut Vec<UsersFile>) {
    let about = std::fs::metadata(path).expect("it is there");
    if about.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            gather(&entry.expect("an entry").path(), files);
        }
    }
    let bytes = about.is_file().then(|| std::fs::read(path).expect("a file"));
    let modified = about.modified().expect("a time");
    files.push(UsersFile { path: path.to_owned(), bytes, modified, mode: mode(&about) });
}

#[cfg(unix)]
fn mode(about: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions())
}

#[cfg(not(unix))]
fn mode(about: &std::fs::Metadata) -> u32 {
    u32::from(about.permissions().readonly())
}

fn script(version: &str) -> String {
    let fails = |on: &str| format!("- {{path: /health, status: 503, {on}}}\n");
    let live = "when: {setting: PLACE, equals: live}";
    let health = match version {
        "bad" => fails(live),
        "lame" => fails(&format!("{live}, workers: [1]")),
        "sick" => fails("workers: [1]"),
        _ => String::new(),
    };
    let dead = if version == "dead" { "fails-to-start: true\n" } else { "" };
    format!(
        "version: \"{version}\"\nstart: 3s\n{dead}paths:\n{health}- {{path: /health, latency: 20ms}}\n- {{path: /watch, latency: 20ms}}\n"
    )
}
