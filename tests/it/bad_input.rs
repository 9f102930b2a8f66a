//! Bad input: one clear error that names the input and the remedy, and nothing is sent.

use crate::harness::{Finished, Place};

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
    insta::assert_snapshot!(finished.stderr, @r#"
    error: 6 problems with the inputs
      → client-id: client id "nonsense" is not a GUID such as 00000000-0000-0000-0000-000000000000
      → tenant-id: is missing; give --tenant-id, AZURE_TENANT_ID or tenant-id: in slotway.yml; the tenant to sign in to
      → client-secret: is missing; set AZURE_CLIENT_SECRET, or give --client-secret-file; a secret is never taken from a flag
      → subscription-id: is missing; give --subscription-id, AZURE_SUBSCRIPTION_ID or subscription-id: in slotway.yml; the subscription
      → app-name: is missing; give --app-name, SLOTWAY_APP_NAME or app-name: in slotway.yml; the App Service app
      → package: is missing; give --package, SLOTWAY_PACKAGE or package: in slotway.yml; a folder, or a zip, war, jar or ear file; for a container give images instead
    "#);
}

#[test]
fn a_missing_package() {
    let (code, error) = release(&Place::new(), &["--package", "dist"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"
    error: the package cannot be shipped: there is no file or folder dist
      → set the input package to the folder or file that the build wrote, relative to the working folder
    ");
}

#[test]
fn an_empty_folder() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("dist")).expect("a folder");
    let (code, error) = release(&place, &["--package", "dist"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"
    error: the package cannot be shipped: the folder @FOLDER@/dist holds no file to be packed
      → check that the build wrote there, and that .slotwayignore does not leave out everything
    ");
}

#[test]
fn an_archive_that_is_none() {
    let place = Place::new();
    place.write("app.zip", "this is no archive");
    let (code, error) = release(&place, &["--package", "app.zip"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"
    error: the package cannot be shipped: app.zip is no usable zip archive: it does not begin as one
      → write the package anew; if it is no zip archive at all, set the input type
    ");
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
    insta::assert_snapshot!(error, @r#"
    error: the package cannot be shipped: the entry "../evil.sh" of app.zip leads out of the archive with ..
      → do not deploy this archive before you know who made it; pack a folder instead
    "#);
}

#[test]
fn an_unknown_type() {
    let place = Place::new();
    place.write("dist/index.html", "x");
    let (code, error) = release(&place, &["--package", "dist", "--type", "tarball"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"
    error: 1 problem with the inputs
      → type: no such package type; choose zip, war, jar, ear, static, script, startup or lib
    ");
}

#[cfg(unix)]
#[test]
fn a_link_that_leaves_the_folder() {
    let place = Place::new();
    place.write("dist/index.html", "x");
    std::os::unix::fs::symlink("/etc/passwd", place.path().join("dist/link")).expect("a link");
    let (code, error) = release(&place, &["--package", "dist"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @"
    error: the package cannot be shipped: the symbolic link @FOLDER@/dist/link leads out of the folder
      → copy the file in place of the link, or leave the link out with .slotwayignore
    ");
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
    insta::assert_snapshot!(error, @r#"
    error: 3 problems with the inputs
      → slotway.yml:1:1: app-nam: unknown key; did you mean "app-name"?
      → slotway.yml:5:5: checks[0].expcet: unknown key; did you mean "expect"?
      → slotway.yml:7:16: checks[1].retry-for: "soon" is no duration; write 250ms, 90s, 5m or 1h30m
    "#);
}

#[test]
fn contradicting_inputs() {
    let place = Place::new();
    let arguments =
        ["--package", "dist", "--resource-manager-url", "https://localhost:1", "--clean", "perhaps"];
    let (code, error) = release(&place, &arguments);
    assert_eq!(code, 2);
    insta::assert_snapshot!(error, @r#"
    error: 2 problems with the inputs
      → resource-manager-url: contradicts environment AzureCloud, whose address is known; give environment AzureStack for a resource manager of your own, or leave the URL out
      → clean: is "perhaps"; write true or false
    "#);
}

#[test]
fn a_secret_in_a_flag_is_refused_and_not_repeated() {
    for arguments in
        [["status", "--client-secret=hunter2"].as_slice(), &["status", "--client-secret", "hunter2"]]
    {
        let finished = Place::new().run(arguments);
        assert_eq!(finished.code, 2);
        assert!(finished.stderr.contains("AZURE_CLIENT_SECRET"), "{}", finished.stderr);
        assert!(!finished.stderr.contains("hunter2") && !finished.stdout.contains("hunter2"));
    }
}

#[test]
fn an_address_for_a_package_is_refused_without_its_signature() {
    let place = Place::new();
    let address = format!("https://store.blob.example/builds/app.zip?sv=2024&sig=hunter2{}", "x".repeat(300));
    for verb in ["release", "plan", "deploy"] {
        let arguments: Vec<&str> =
            [verb].into_iter().chain(CONNECTION).chain(["--package", &address]).collect();
        let mut command = place.slotway(&arguments);
        let finished = Finished::from(command.env("SLOTWAY_LOG", "trace").output().expect("it runs"));
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        let told =
            "https://store.blob.example/builds/app.zip is an address, and a package is a file or a folder";
        assert!(finished.stderr.contains(told), "{}", finished.stderr);
        assert!(!finished.stderr.contains("hunter2") && !finished.stdout.contains("hunter2"), "{finished:?}");
    }
}

#[test]
fn a_url_to_check_holds_no_secret_and_is_not_repeated_if_it_does() {
    let place = Place::new();
    place
        .write("slotway.yml", "checks:\n- {name: home, path: /}\n- {name: told, run: 'echo $SLOTWAY_URL'}\n");
    for (url, told) in [
        ("http://user:hunter2@localhost:1/app", "holds a user name or a password"),
        ("http://hunter2@localhost:1/", "holds a user name or a password"),
        ("http://localhost:1/api?code=hunter2", "holds a query or a fragment"),
        ("http://localhost:1/#hunter2", "holds a query or a fragment"),
        ("ftp://user:hunter2@localhost:1/", "is neither http nor https"),
        ("user:hunter2@localhost", "is neither http nor https"),
        ("http://user:hunter2@:1", "is no URL"),
    ] {
        for output in ["text", "json"] {
            let mut command = place.slotway(&["check", "--url", url, "--output", output]);
            let finished = Finished::from(command.env("SLOTWAY_LOG", "trace").output().expect("it runs"));
            assert_eq!(finished.code, 2, "{finished:?}");
            assert!(finished.stderr.contains(told), "{finished:?}");
            assert!(!format!("{finished:?}").contains("hunter2"), "{finished:?}");
        }
    }
}

#[test]
fn a_report_that_could_not_be_written_is_refused_before_anything_is_done() {
    let finished = Place::new().run(&["rehearse", "--summary", "nowhere/summary.md"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("summary: nowhere/summary.md cannot be written"), "{}", finished.stderr);
}

#[test]
fn a_configuration_that_cannot_be_read_is_machine_readable_too() {
    let finished = Place::new().run(&["status", "--output", "json", "--config", "nope.yml"]);
    assert_eq!((finished.code, &finished.json()["outcome"]), (2, &serde_json::json!("invalid-inputs")));
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
