//! Tests of preparing a package as a whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use super::*;

mod hostile;

async fn prepared(path: &Path) -> Result<Artifact, ArtifactError> {
    prepare(path, None, &|_| {}).await
}

async fn problem(path: &Path) -> String {
    prepared(path).await.expect_err("refused").to_string()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, content).expect("a file");
    }
    folder
}

/// Names in the order of the archive, with mode and content.
fn unpacked(artifact: &Artifact) -> Vec<(String, Option<u32>, String)> {
    let file = fs::File::open(artifact.path()).expect("the archive");
    let mut archive = zip::ZipArchive::new(file).expect("an archive");
    (0..archive.len())
        .map(|position| {
            let mut entry = archive.by_index(position).expect("an entry");
            let mut content = String::new();
            entry.read_to_string(&mut content).expect("content");
            assert_eq!(entry.last_modified(), Some(zip::DateTime::default()));
            (entry.name().expect("UTF-8").into_owned(), entry.unix_mode(), content)
        })
        .collect()
}

#[tokio::test]
async fn a_folder_becomes_a_sorted_archive_with_its_hidden_files() {
    let source =
        folder(&[("b.txt", "B"), ("a/z.txt", "Z"), (".hidden", "H"), ("a.txt", "A"), (".git/HEAD", "no")]);
    let artifact = prepared(source.path()).await.expect("packed");
    let entries = unpacked(&artifact);
    let names: Vec<&str> = entries.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, [".hidden", "a.txt", "a/z.txt", "b.txt"]);
    assert_eq!(entries[2].2, "Z");
    assert_eq!((artifact.package_type, artifact.files), (PackageType::Zip, Some(4)));
    assert_eq!(artifact.origin, Origin::Packed { folder: source.path().to_owned() });
    let bytes = fs::read(artifact.path()).expect("the archive");
    assert_eq!(artifact.size_bytes, bytes.len() as u64);
    let expected: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(artifact.sha256, expected);
    let path = artifact.path().to_owned();
    drop(artifact);
    assert!(!path.exists(), "the packed file vanishes");
}

#[tokio::test]
async fn the_same_files_give_the_same_bytes() {
    let files = [("x/1.js", "one"), ("x/2.js", "two"), ("readme", "text"), ("picture.PNG", "not compressed")];
    let mut reversed = files;
    reversed.reverse();
    let first = prepared(folder(&files).path()).await.expect("packed").sha256;
    let second = prepared(folder(&reversed).path()).await.expect("packed").sha256;
    assert_eq!(first, second);
    let other = prepared(folder(&files[1..]).path()).await.expect("packed").sha256;
    assert_ne!(first, other);
}

#[tokio::test]
async fn the_ignore_file_is_honoured_and_not_packed() {
    let source = folder(&[
        (".slotwayignore", "# comment\n*.log\n/build/\n!keep.log\nnode_modules\n"),
        ("a.log", ""),
        ("keep.log", ""),
        ("build/x", ""),
        ("src/build/y", ""),
        ("src/node_modules/z", ""),
        ("src/.slotwayignore", "only the one at the top counts"),
        ("index.html", ""),
    ]);
    let artifact = prepared(source.path()).await.expect("packed");
    let names: Vec<String> = unpacked(&artifact).into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["index.html", "keep.log", "src/.slotwayignore", "src/build/y"]);
    fs::write(source.path().join(".slotwayignore"), "ok\n{a,b\n").expect("written");
    assert!(problem(source.path()).await.starts_with("line 2 of "), "{}", problem(source.path()).await);
    fs::write(source.path().join(".slotwayignore"), "*\n").expect("written");
    assert!(problem(source.path()).await.ends_with("holds no file to be packed"));
}

#[cfg(unix)]
#[tokio::test]
async fn modes_are_normalised() {
    use std::os::unix::fs::PermissionsExt;
    let source = folder(&[("run.sh", ""), ("data", "")]);
    fs::set_permissions(source.path().join("run.sh"), fs::Permissions::from_mode(0o710)).expect("mode");
    fs::set_permissions(source.path().join("data"), fs::Permissions::from_mode(0o600)).expect("mode");
    let entries = unpacked(&prepared(source.path()).await.expect("packed"));
    let modes: BTreeMap<_, _> = entries.into_iter().map(|(name, mode, _)| (name, mode)).collect();
    assert_eq!((modes["data"], modes["run.sh"]), (Some(0o100_644), Some(0o100_755)));
}

#[cfg(unix)]
#[tokio::test]
async fn links_inside_are_followed_and_all_others_refused() {
    use std::os::unix::fs::symlink;
    let outside = folder(&[("secret", "S")]);
    let source = folder(&[("real/a.txt", "A"), (".slotwayignore", "ignored\n")]);
    let at = |name: &str| source.path().join(name);
    symlink("real/a.txt", at("link.txt")).expect("a link");
    symlink("real", at("folder")).expect("a link");
    symlink(outside.path().join("secret"), at("ignored")).expect("a link");
    let entries = unpacked(&prepared(source.path()).await.expect("packed"));
    let told: Vec<(&str, &str)> =
        entries.iter().map(|(name, _, content)| (name.as_str(), content.as_str())).collect();
    assert_eq!(told, [("folder/a.txt", "A"), ("link.txt", "A"), ("real/a.txt", "A")]);
    for (target, told) in [
        (outside.path().join("secret"), "leads out of the folder"),
        (outside.path().to_owned(), "leads out of the folder"),
        (PathBuf::from("nothing"), "leads nowhere"),
        (PathBuf::from("bad"), "leads round in a circle"),
        (PathBuf::from("."), "leads round in a circle"),
    ] {
        let _ = fs::remove_file(at("bad"));
        symlink(&target, at("bad")).expect("a link");
        assert!(problem(source.path()).await.ends_with(told), "{}", problem(source.path()).await);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn names_and_things_that_would_not_arrive_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let clash = folder(&[("a.txt", ""), ("A.txt", "")]);
    if fs::read_dir(clash.path()).expect("a folder").count() == 2 {
        assert_eq!(problem(clash.path()).await, "\"A.txt\" and \"a.txt\" differ in letter case only");
        assert!(
            problem(folder(&[("lib", ""), ("LIB/x", "")]).path())
                .await
                .contains("differ in letter case only")
        );
    }
    assert!(problem(folder(&[("a\\b", "")]).path()).await.contains("holds a backslash"));
    let bytes = folder(&[]);
    if fs::write(bytes.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "").is_ok() {
        assert!(problem(bytes.path()).await.ends_with("is no valid UTF-8"));
    }
    let pipe = folder(&[("a", "")]);
    nix::unistd::mkfifo(&pipe.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    assert!(problem(pipe.path()).await.contains("is a named pipe"));
    assert!(problem(&pipe.path().join("pipe")).await.contains("is a named pipe"));
    assert!(problem(Path::new("/dev/null")).await.contains("is a device"));
}

#[tokio::test]
async fn what_is_missing_or_empty_is_named() {
    let place = folder(&[("empty.zip", ""), ("notes.txt", "x"), ("broken.zip", "PK")]);
    let missing = prepared(&place.path().join("*.zip")).await.expect_err("missing");
    assert!(missing.to_string().contains("there is no file or folder"));
    assert!(missing.help().contains("patterns"));
    assert!(problem(&place.path().join("empty.zip")).await.ends_with("is empty (0 bytes)"));
    assert!(problem(&place.path().join("broken.zip")).await.contains("no usable zip archive"));
    let unknown = prepared(&place.path().join("notes.txt")).await.expect_err("unknown");
    assert!(unknown.help().contains("input type"), "{}", unknown.help());
    assert!(problem(folder(&[]).path()).await.ends_with("holds no file to be packed"));
}

#[tokio::test]
async fn the_type_can_be_overridden() {
    let place = folder(&[("notes.txt", "x")]);
    let artifact =
        prepare(&place.path().join("notes.txt"), Some(PackageType::Static), &|_| {}).await.expect("ready");
    assert_eq!((artifact.package_type, artifact.files, artifact.size_bytes), (PackageType::Static, None, 1));
    assert!(prepare(&place.path().join("notes.txt"), Some(PackageType::War), &|_| {}).await.is_err());
    let war = prepare(place.path(), Some(PackageType::War), &|_| {}).await.expect("packed");
    assert_eq!(war.package_type, PackageType::War);
    let error = prepare(place.path(), Some(PackageType::Script), &|_| {}).await.expect_err("a folder");
    assert!(matches!(error, ArtifactError::FolderAs { .. }), "{error}");
}

#[tokio::test]
async fn progress_is_told_to_its_end() {
    let files: Vec<(String, &str)> = (0..50).map(|number| (format!("{number}"), "content")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    let steps = Mutex::new(Vec::new());
    let artifact = prepare(folder(&files).path(), None, &|step| steps.lock().expect("lock").push(step))
        .await
        .expect("packed");
    let steps = steps.into_inner().expect("lock");
    assert!(steps.contains(&Progress::Packing { files: 50, bytes: 350, total_files: 50 }));
    let total_bytes = artifact.size_bytes;
    assert_eq!(steps.last(), Some(&Progress::Digesting { bytes: total_bytes, total_bytes }));
}

#[tokio::test]
async fn a_ready_archive_keeps_its_bytes_and_brings_its_warnings() {
    let packed = prepared(folder(&[("site/index.html", "x")]).path()).await.expect("packed");
    let place = folder(&[]);
    let path = place.path().join("App.ZIP");
    fs::copy(packed.path(), &path).expect("copied");
    let artifact = prepared(&path).await.expect("ready");
    assert_eq!((artifact.origin.clone(), artifact.files), (Origin::File, Some(1)));
    assert_eq!(artifact.sha256, packed.sha256);
    assert_eq!(artifact.warnings.len(), 1);
    drop(artifact);
    assert!(path.exists(), "the user's file stays");
}

#[tokio::test]
async fn it_can_be_prepared_on_another_thread() {
    let source = folder(&[("a", "A")]);
    let path = source.path().to_owned();
    let task =
        tokio::spawn(async move { prepare(&path, None, &|_| {}).await.map(|artifact| artifact.files) });
    assert_eq!(task.await.expect("it ends").expect("packed"), Some(1));
}
