//! The packages of all simulations, made once: apps that are described, so that they run
//! in this process.
//!
//! Owns what each version does. `bad` fails its check where production's settings are.

use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

/// All of them, by version.
const VERSIONS: [&str; 6] = ["0", "1", "2", "3", "bad", "dead"];

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
    folder
});

/// Where the package of a version lies.
pub(super) fn path(version: &str) -> PathBuf {
    FOLDER.path().join(format!("{version}.zip"))
}

/// The bytes of every file in the users' folder, by name.
pub(super) fn all_files() -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(FOLDER.path()).expect("the folder");
    let mut files: Vec<(PathBuf, Vec<u8>)> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), std::fs::read(&path).expect("a file")))
        .collect();
    files.sort();
    files
}

fn script(version: &str) -> String {
    let health = match version {
        "bad" => "- {path: /health, status: 503, when: {setting: PLACE, equals: live}}\n",
        _ => "",
    };
    let fails = if version == "dead" { "fails-to-start: true\n" } else { "" };
    format!(
        "version: \"{version}\"\nstart: 3s\n{fails}paths:\n{health}- {{path: /health, latency: 20ms}}\n- {{path: /watch, latency: 20ms}}\n"
    )
}
