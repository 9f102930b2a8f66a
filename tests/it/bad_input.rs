//! Bad input: one clear error that names the input and the remedy, and nothing is sent.

use crate::harness::Place;

const CONNECTION: [&str; 6] = [
    "--app-name",
    "contoso-web",
    "--subscription-id",
    "00000000-0000-0000-0000-000000000001",
    "--environment",
    "AzureCloud",
];

fn release(place: &Place, more: &[&str]) -> (i32, String) {
    let arguments: Vec<&str> =
        ["release"].into_iter().chain(CONNECTION).chain(more.iter().copied()).collect();
    let finished = place.run(&arguments);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    (finished.code, place.plain(&finished.stderr))
}

#[test]
fn every_missing_input_is_named_at_once() {
    let finished = Place::new().run(&["release", "--client-id", "nonsense"]);
    assert_eq!(finished.code, 2);
    insta::assert_snapshot!(finished.stderr, @"");
}

#[test]
fn a_missing_package() {
    let (code, error) = release(&Place::new(), &["--package", "dist"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"");
}

#[test]
fn an_empty_folder() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("dist")).expect("a folder");
    let (code, error) = release(&place, &["--package", "dist"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"");
}

#[test]
fn an_archive_that_is_none() {
    let place = Place::new();
    place.write("app.zip", "this is no archive");
    let (code, error) = release(&place, &["--package", "app.zip"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"");
}

#[test]
fn an_archive_that_climbs_out() {
    use std::io::Write;
    let place = Place::new();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("../evil.sh", zip::write::SimpleFileOptions::default()).expect("an entry");
    archive.write_all(b"evil").expect("a byte");
    place.write("app.zip", archive.finish().expect("an archive").into_inner());
    let (code, error) = release(&place, &["--package", "app.zip"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"");
}

#[test]
fn an_unknown_type() {
    let place = Place::new();
    place.write("dist/index.html", "x");
    let (code, error) = release(&place, &["--package", "dist", "--type", "tarball"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"");
}

#[cfg(unix)]
#[test]
fn a_link_that_leaves_the_folder() {
    let place = Place::new();
    place.write("dist/index.html", "x");
    std::os::unix::fs::symlink("/etc/passwd", place.path().join("dist/link")).expect("a link");
    let (code, error) = release(&place, &["--package", "dist"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"");
}

#[test]
fn a_wrong_key_in_the_configuration() {
    let place = Place::new();
    place.write("dist/index.html", "x");
    place.write(
        "slotway.yml",
        "app-nam: contoso\nchecks:\n  - name: home\n    path: /\n    expcet: {status: 200}\n  - path: /x\n    retry-for: soon\n",
    );
    let (code, error) = release(&place, &["--package", "dist"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"");
}

#[test]
fn contradicting_inputs() {
    let place = Place::new();
    let arguments =
        ["--package", "dist", "--resource-manager-url", "https://localhost:1", "--clean", "perhaps"];
    let (code, error) = release(&place, &arguments);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"");
}

#[test]
fn a_secret_in_a_flag() {
    let finished = Place::new().run(&["status", "--client-secret", "hunter2"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("AZURE_CLIENT_SECRET"), "{}", finished.stderr);
}

#[test]
fn bad_input_is_machine_readable_too() {
    let finished = Place::new().run(&["swap", "--output", "json"]);
    let report = finished.json();
    assert_eq!((finished.code, &report["outcome"]), (2, &serde_json::json!("invalid-inputs")));
    let help = report["help"].as_array().expect("a list");
    assert!(
        help.iter().any(|line| line.as_str().is_some_and(|line| line.starts_with("release-id"))),
        "{help:?}"
    );
}
