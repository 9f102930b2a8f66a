//! Memory does not grow with the artifact, whatever it is made of, nor with a bad configuration.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::harness::Place;
use crate::service::Service;

/// A quarter of the size that is promised about, so that the test stays quick; the
/// limit is the promised one.
const PACKAGE_BYTES: usize = 256 << 20;
const LIMIT_KIB: u64 = 40 * 1024;

#[test]
fn deploying_a_large_archive_takes_little_memory() {
    let service = Service::start("");
    let package = service.place.path().join("large.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&package).expect("a file"));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("large.bin", stored.large_file(true)).expect("an entry");
    let block = vec![7_u8; 1 << 20];
    for _ in 0..PACKAGE_BYTES / block.len() {
        archive.write_all(&block).expect("room on the disk");
    }
    archive.start_file("index.html", stored).expect("an entry");
    archive.finish().expect("an archive");
    let peak = peak_of(&service, "deploy", &["--package", &package.display().to_string()], 0);
    assert!(peak > 1024 && peak < LIMIT_KIB, "{peak} KiB");
}

/// Runs a verb to an expected end and gives the most memory that it took, in KiB.
fn peak_of(service: &Service, verb: &str, more: &[&str], code: i32) -> u64 {
    let mut command = service.command(verb, more);
    let output = command.env("SLOTWAY_LOG", "slotway::cli=debug").output().expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{log}");
    let peak = log.split("peak_memory_kib=").nth(1).expect("the peak is logged");
    peak.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

/// Writes so many small files, each with its own number in it, and a page; gives the folder.
fn many_files(service: &Service, files: usize) -> PathBuf {
    let folder = service.place.path().join("many");
    for number in 0..files {
        let inner = folder.join(format!("{}", number / 100));
        if number % 100 == 0 {
            std::fs::create_dir_all(&inner).expect("a folder");
        }
        std::fs::write(inner.join(format!("file-{number}.js")), number.to_string()).expect("a file");
    }
    std::fs::write(folder.join("index.html"), "many").expect("a page");
    folder
}

/// The files of a folder with their contents, relative to it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(&inner).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("inside").to_owned();
                found.insert(name, std::fs::read_to_string(&path).expect("text"));
            }
        }
    }
    found
}

/// The folder below, however deep, that holds this file.
fn folder_with(folder: &Path, file: &str) -> Option<PathBuf> {
    if folder.join(file).is_file() {
        return Some(folder.to_owned());
    }
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).find_map(|path| folder_with(&path, file))
}

/// A hundred thousand where there is memory for them; on a disk a tenth, unless `SLOTWAY_FILES` says how many.
/// The names are the one thing that has to be held: they are sorted, and compared.
#[test]
fn a_hundred_thousand_files_take_little_memory_and_all_arrive() {
    // Some hundred thousand files are made and removed again, which takes a disk a minute and memory ten seconds.
    let in_memory = Place::in_memory(2 << 30, 400_000);
    let files = match std::env::var("SLOTWAY_FILES") {
        Ok(text) => text.parse().expect("SLOTWAY_FILES is a number"),
        Err(_) if in_memory.is_some() => 100_000,
        Err(_) => 10_000,
    };
    let service = Service::start_in(in_memory.unwrap_or_else(Place::new), "");
    let folder = many_files(&service, files);
    let peak = peak_of(&service, "deploy", &["--package", &folder.display().to_string()], 0);
    assert!(peak > 1024 && peak < 2 * LIMIT_KIB, "{peak} KiB");
    let arrived =
        folder_with(&service.place.path().join("tmp"), "0/file-0.js").expect("the content of staging");
    let (sent, arrived) = (contents(&folder), contents(&arrived));
    assert_eq!((sent.len(), arrived.len()), (files + 1, files + 1));
    assert!(sent == arrived, "every file arrives under its name, with its content");
}

#[test]
fn a_huge_configuration_takes_little_memory() {
    let service = Service::start("");
    let file = std::fs::File::create(service.place.path().join("slotway.yml")).expect("a file");
    file.set_len(100 << 20).expect("a sparse file");
    let peak = peak_of(&service, "status", &[], 2);
    assert!(peak < LIMIT_KIB, "{peak} KiB");
}
