//! Outputs that are full or closed, and a disk that fills while packing: told, and never a
//! reason for a release to end in the middle or to call itself something else.

#![cfg(target_os = "linux")]

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};

use crate::harness::{Finished, Place};
use crate::service::Service;

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("the full device")
}

const QUICK: &str = "production: {for: 0s, passes: 1}\nwatch: {rate: 0}\n";

fn release(service: &Service) -> Command {
    service.place.write("slotway.yml", QUICK);
    service.command("release", &["--package", &service.package("2")])
}

/// Asserts that production has changed sides, whatever could be told of it.
fn assert_released(service: &Service, code: Option<i32>, said: &str) {
    assert_eq!((code, service.swaps()), (Some(0), 1), "{said}");
}

#[test]
fn a_full_standard_output_is_told_and_the_release_stays_released() {
    let service = Service::start("");
    let output = release(&service).stdout(full()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_released(&service, output.status.code(), &said);
    assert_eq!(said.matches("warning: the output could not be written: No space left").count(), 1, "{said}");
}

#[test]
fn a_full_log_is_told_once_and_the_release_stays_released() {
    let output = rehearsed_in_text(full());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches("warning: the output could not be written").count(), 1, "{said}");
}

fn rehearsed_in_text(out: impl Into<Stdio>) -> std::process::Output {
    Place::new().slotway(&["rehearse"]).stdout(out).output().expect("it runs")
}

#[test]
fn with_nothing_to_write_to_the_exit_code_tells_the_truth() {
    let service = Service::start("");
    let status = release(&service).stdout(full()).stderr(full()).status().expect("it runs");
    assert_released(&service, status.code(), "nothing could be said");
}

#[test]
fn a_pipe_that_was_closed_kills_no_release() {
    let service = Service::start("");
    let mut command = release(&service);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    drop(child.stderr.take());
    let status = child.wait().expect("it ends");
    assert_released(&service, status.code(), "its readers had gone");
}

#[test]
fn a_reader_that_goes_is_not_complained_about() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = rehearsed_in_text(writer);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("could not be written"), "{said}");
}

#[test]
fn full_reports_are_told_and_the_release_stays_released() {
    let service = Service::start("");
    let mut command = release(&service);
    let output = command.args(["--summary", "/dev/full", "--report-file", "/dev/full"]).output();
    let finished = Finished::from(output.expect("it runs"));
    assert_released(&service, Some(finished.code), &finished.stderr);
    assert_eq!(
        finished.stderr.matches("warning: could not write /dev/full: No space left").count(),
        2,
        "{}",
        finished.stderr
    );
    assert_eq!(finished.json()["outcome"], "released");
}

#[test]
fn full_files_of_the_host_are_told_and_the_release_stays_released() {
    let service = Service::start("");
    let mut command = release(&service);
    for (name, value) in
        [("GITHUB_ACTIONS", "true"), ("GITHUB_OUTPUT", "/dev/full"), ("GITHUB_STEP_SUMMARY", "/dev/full")]
    {
        command.env(name, value);
    }
    let finished = Finished::from(command.output().expect("it runs"));
    assert_released(&service, Some(finished.code), &finished.stderr);
    for title in ["outputs", "summary"] {
        let warning = format!("::warning title={title}::");
        let line = finished.stderr.lines().find(|line| line.starts_with(&warning));
        let line = line.unwrap_or_else(|| panic!("no {warning} in {}", finished.stderr));
        assert!(line.contains("/dev/full") && line.contains("No space left"), "{line}");
    }
}

#[test]
fn a_disk_that_fills_while_packing_is_told_and_nothing_is_left() {
    let place = Place::new();
    // Pictures are stored as they are, so that they fill the disk as they would fill the archive.
    place.write("dist/picture.png", vec![7_u8; 1 << 20]);
    let arguments = [
        "release",
        "--app-name",
        "contoso-web",
        "--subscription-id",
        "00000000-0000-0000-0000-000000000001",
        "--tenant-id",
        "00000000-0000-0000-0000-000000000001",
        "--client-id",
        "00000000-0000-0000-0000-000000000002",
        "--package",
        "dist",
    ];
    let slotway = place.slotway(&arguments);
    let mut shell = Command::new("sh");
    // With the signal ignored, a file that may not grow any more fails as a full disk does.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$@\"", "sh"]).arg(slotway.get_program());
    shell.args(slotway.get_args()).current_dir(place.path()).env_clear();
    shell.envs(slotway.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.env("AZURE_CLIENT_SECRET", "not-used").output().expect("a shell");
    let finished = Finished::from(output);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert_eq!(
        finished.stderr,
        "error: the package cannot be shipped: the packed file cannot be written to the temporary folder: File too large (os error 27)\n  → free space in the temporary folder, or let TMPDIR (on Windows TEMP) name another one\n"
    );
    assert_eq!(place.leftovers(), Vec::<String>::new());
}
