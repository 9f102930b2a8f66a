//! Memory does not grow with the artifact.

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
    let path = package.display().to_string();
    let output = service
        .command("deploy", &["--package", &path])
        .env("SLOTWAY_LOG", "slotway::cli=debug")
        .output()
        .expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let peak = log.split("peak_memory_kib=").nth(1).expect("the peak is logged");
    let peak: u64 = peak.chars().filter(char::is_ascii_digit).collect::<String>().parse().expect("a number");
    assert!(peak > 1024 && peak < LIMIT_KIB, "{peak} KiB");
}
