//! Memory does not grow with the artifact, whatever it is made of, nor with a bad configuration.

use std::io::Write;

use crate::service::Service;

/// A quarter of the size that is promised about, so that the test stays quick; the
/// limit is the promised one.
const PACKAGE_BYTES: usize = 256 << 20;
const LIMIT_KIB: u64 = 40 * 1024;

#[cfg(target_os = "linux")]
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
#[cfg(target_os = "linux")]
fn peak_of(service: &Service, verb: &str, more: &[&str], code: i32) -> u64 {
    let mut command = service.command(verb, more);
    let output = command.env("SLOTWAY_LOG", "slotway::cli=debug").output().expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{log}");
    let peak = log.split("peak_memory_kib=").nth(1).expect("the peak is logged");
    peak.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

/// The names are the one thing that has to be held: they are sorted, and compared.
#[cfg(target_os = "linux")]
#[test]
fn a_hundred_thousand_files_take_little_memory_and_all_arrive() {
    const FILES: usize = 100_000;
    let service = Service::start("");
    let folder = service.place.path().join("many");
    for hundred in 0..FILES / 100 {
        let inner = folder.join(format!("{hundred}"));
        std::fs::create_dir_all(&inner).expect("a folder");
        for number in 0..100 {
            std::fs::File::create(inner.join(format!("file-{number}.js"))).expect("a file");
        }
    }
    let peak = peak_of(&service, "plan", &["--package", &folder.display().to_string()], 0);
    assert!(peak > 1024 && peak < 2 * LIMIT_KIB, "{peak} KiB");
}

#[cfg(target_os = "linux")]
#[test]
fn a_huge_configuration_takes_little_memory() {
    let service = Service::start("");
    let file = std::fs::File::create(service.place.path().join("slotway.yml")).expect("a file");
    file.set_len(100 << 20).expect("a sparse file");
    let peak = peak_of(&service, "status", &[], 2);
    assert!(peak < LIMIT_KIB, "{peak} KiB");
}
