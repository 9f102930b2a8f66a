//! Packages that somebody made to do harm, or that change under our hands.

use std::io::{Cursor, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use zip::write::SimpleFileOptions;

use super::*;

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let place = folder(&[]);
    let path = place.path().join(name);
    fs::write(&path, bytes).expect("written");
    (place, path)
}

fn zipped(write: impl FnOnce(&mut zip::ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    write(&mut writer);
    writer.finish().expect("an archive").into_inner()
}

fn with_files(names: &[&str]) -> Vec<u8> {
    zipped(|writer| {
        for name in names {
            writer.start_file(*name, SimpleFileOptions::default()).expect("an entry");
            writer.write_all(b"content").expect("content");
        }
    })
}

#[tokio::test]
async fn an_archive_of_more_than_four_gibibytes_is_refused_unread() {
    let (_place, path) = written("large.zip", &with_files(&["a"]));
    let mut file = fs::OpenOptions::new().write(true).open(&path).expect("the archive");
    // Sparse: it takes no room, and an end record far behind.
    file.seek(SeekFrom::Start(5 << 30)).expect("a place");
    file.write_all(&with_files(&["a"])).expect("written");
    drop(file);
    let began = std::time::Instant::now();
    assert!(problem(&path).await.contains("is larger than 2048 MB"), "{}", problem(&path).await);
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "it is refused by its size");
}

#[tokio::test]
async fn a_directory_that_claims_endless_entries_ends_with_its_bytes() {
    let mut bytes = zipped(|writer| {
        for number in 0..70_000 {
            writer.start_file(format!("{number}"), SimpleFileOptions::default()).expect("an entry");
        }
    });
    let record = bytes.windows(4).rposition(|four| four == b"PK\x06\x06").expect("a Zip64 record");
    bytes[record + 32..record + 40].copy_from_slice(&u64::MAX.to_le_bytes());
    let (_place, path) = written("endless.zip", &bytes);
    assert!(problem(&path).await.contains("its directory is damaged"), "{}", problem(&path).await);
}

/// Many entries that share one kernel of bytes: the bomb that needs no nesting.
#[tokio::test]
async fn entries_that_share_their_bytes_are_refused() {
    let honest = with_files(&["a", "b"]);
    let first = honest.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    let second =
        first + 4 + honest[first + 4..].windows(4).position(|four| four == b"PK\x01\x02").expect("an entry");
    let mut bytes = honest[..first].to_vec();
    for name in [b'x', b'y', b'z'] {
        bytes.extend(&honest[first..second]);
        let length = bytes.len();
        bytes[length - 1] = name;
    }
    let size = u32::try_from(bytes.len() - first).expect("short");
    let mut end = honest[honest.len() - 22..].to_vec();
    end[8..12].copy_from_slice(&[3, 0, 3, 0]);
    end[12..16].copy_from_slice(&size.to_le_bytes());
    bytes.extend(end);
    let (_place, path) = written("overlap.zip", &bytes);
    assert!(problem(&path).await.contains("shares its bytes with another"), "{}", problem(&path).await);
}

#[tokio::test]
async fn names_that_clash_in_a_ready_archive_are_a_warning() {
    let (_place, path) = written("clash.zip", &with_files(&["index.html", "css/Site.css", "CSS\\site.css"]));
    let artifact = prepared(&path).await.expect("ready");
    let warned = artifact.warnings.iter().any(|warning| warning.contains("CSS\\site.css\" twice"));
    assert!(warned, "{:?}", artifact.warnings);
    let (_place, path) = written("fine.zip", &with_files(&["a/x", "b/x"]));
    assert_eq!(prepared(&path).await.expect("ready").warnings, Vec::<String>::new());
}

#[tokio::test]
async fn names_that_are_no_text_in_a_ready_archive_are_told_readably() {
    let bytes = with_files(&["../caf#"]);
    let bytes: Vec<u8> = bytes.iter().map(|byte| if *byte == b'#' { 0xe9 } else { *byte }).collect();
    let (_place, path) = written("latin.zip", &bytes);
    assert!(problem(&path).await.contains("the entry \"../caf\u{fffd}\""), "{}", problem(&path).await);
}

#[tokio::test]
async fn links_with_huge_names_do_not_fill_the_memory() {
    let bytes = zipped(|writer| {
        for number in 0..80 {
            let name = format!("{number:0>60000}");
            writer.add_symlink(name, "x", SimpleFileOptions::default()).expect("a link");
        }
    });
    let (_place, path) = written("links.zip", &bytes);
    assert!(problem(&path).await.contains("one symbolic link too many"), "{}", problem(&path).await);
}

#[test]
fn a_file_that_grows_while_it_is_packed_is_refused() {
    let source = folder(&[("index.html", "x")]);
    let mut log = fs::File::create(source.path().join("server.log")).expect("a file");
    log.write_all(&vec![b'x'; 8 << 20]).expect("written");
    let stop = AtomicBool::new(false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                log.write_all(b"one more line\n").expect("written");
                std::thread::yield_now();
            }
        });
        let result = runtime.block_on(prepare(source.path(), None, &|_| {}));
        stop.store(true, Ordering::Relaxed);
        result
    });
    let error = result.expect_err("it changed").to_string();
    assert!(error.ends_with("server.log changed while the package was being prepared"), "{error}");
}

/// What packing says when something happens between the list and its turn.
fn packed_after(source: &Path, change: impl FnOnce()) -> Result<(), ArtifactError> {
    let (sender, _steps) = mpsc::channel(1000);
    let reporter = Reporter { sender, shelf: Shelf::default() };
    let list = walk::list(source, None).expect("a list");
    change();
    pack::pack(source, &list, &folder(&[]).path().join("package.zip"), &reporter)
}

#[test]
fn a_file_that_changes_between_list_and_pack_is_refused() {
    let source = folder(&[("a", "A"), ("b", "B")]);
    let path = source.path().join("b");
    assert!(packed_after(source.path(), || ()).is_ok());
    let told = |change: &dyn Fn()| packed_after(source.path(), change).expect_err("refused").to_string();
    let error = told(&|| fs::write(&path, "longer").expect("written"));
    assert!(error.ends_with("b changed while the package was being prepared"), "{error}");
    let error = told(&|| fs::remove_file(&path).expect("removed"));
    assert!(error.ends_with("b vanished while the package was being prepared"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_file_that_is_exchanged_between_list_and_pack_is_refused() {
    let outside = folder(&[("secret", "S")]);
    let fresh = || folder(&[("a", "A"), ("b", "B"), ("c/d", "D"), ("link", "L")]);
    let told = |change: &dyn Fn(&Path)| {
        let source = fresh();
        std::os::unix::fs::symlink("a", source.path().join("e")).expect("a link");
        let error = packed_after(source.path(), || change(source.path())).expect_err("refused").to_string();
        error.trim_start_matches(&source.path().display().to_string()).to_owned()
    };
    let changed = |name: &str| format!("/{name} changed while the package was being prepared");
    let exchanged = |folder: &Path, name: &str, target: &Path| {
        fs::rename(folder.join(name), outside.path().join("old")).expect("moved");
        std::os::unix::fs::symlink(target, folder.join(name)).expect("a link");
    };
    assert_eq!(told(&|folder| exchanged(folder, "b", &outside.path().join("secret"))), changed("b"));
    fs::create_dir(outside.path().join("c")).expect("a folder");
    fs::write(outside.path().join("c/d"), "E").expect("a file");
    assert_eq!(
        told(&|folder| {
            fs::rename(folder.join("c"), outside.path().join("old-c")).expect("moved");
            std::os::unix::fs::symlink(outside.path().join("c"), folder.join("c")).expect("a link");
        }),
        changed("c/d")
    );
    assert_eq!(
        told(&|folder| {
            fs::remove_file(folder.join("e")).expect("removed");
            std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("e")).expect("a link");
        }),
        changed("e")
    );
    // Another file of the same length, with the same time; and a pipe, for which nobody waits.
    assert_eq!(
        told(&|folder| {
            let time = fs::metadata(folder.join("b")).expect("b").modified().expect("a time");
            fs::write(folder.join("new"), "X").expect("written");
            let file = fs::File::options().write(true).open(folder.join("new")).expect("new");
            file.set_modified(time).expect("set");
            fs::rename(folder.join("new"), folder.join("b")).expect("renamed");
        }),
        changed("b")
    );
    assert_eq!(
        told(&|folder| {
            fs::remove_file(folder.join("b")).expect("removed");
            nix::unistd::mkfifo(&folder.join("b"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        }),
        changed("b")
    );
}

/// What preparing says when something happens after the first file was read and before the end of packing: a channel
/// that holds one step is full then, and the last step of packing waits for room in it.
fn prepared_amid(source: &Path, change: impl FnOnce()) -> Result<Artifact, ArtifactError> {
    let (sender, mut steps) = mpsc::channel(1);
    let reporter = Reporter { sender: sender.clone(), shelf: Shelf::default() };
    std::thread::scope(|scope| {
        let work = scope.spawn(move || prepare_blocking(source, None, &reporter));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while sender.capacity() > 0 {
            assert!(std::time::Instant::now() < deadline, "waited in vain for the first packed file");
            std::thread::yield_now();
        }
        drop(sender);
        change();
        while steps.blocking_recv().is_some() {}
        work.join().expect("it ends")
    })
}

#[test]
fn a_file_that_changes_after_it_was_packed_is_refused() {
    let source = folder(&[("a", "A"), ("b", "B"), ("d", "D")]);
    let at = |name: &str| source.path().join(name);
    assert_eq!(prepared_amid(source.path(), || ()).expect("packed").files, Some(3));
    let told = |change: &dyn Fn()| prepared_amid(source.path(), change).expect_err("refused").to_string();
    let error = told(&|| fs::write(at("a"), "longer").expect("written"));
    assert!(error.ends_with("a changed while the package was being prepared"), "{error}");
    for new in ["c", "e"] {
        let error = told(&|| fs::write(at(new), "N").expect("written"));
        assert!(error.ends_with(&format!("{new} appeared while the package was being prepared")), "{error}");
        fs::remove_file(at(new)).expect("removed");
    }
    let error = told(&|| fs::remove_file(at("a")).expect("removed"));
    assert!(error.ends_with("a vanished while the package was being prepared"), "{error}");
}

#[test]
fn the_folder_that_is_packed_in_is_not_packed() {
    let source = folder(&[("a", "A"), ("own/package.zip", "half of it")]);
    let before = walk::list(source.path(), Some(&source.path().join("own"))).expect("a list");
    assert_eq!(before.len(), 1);
    walk::refuse_changes(source.path(), &source.path().join("own"), &before).expect("nothing changed");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let source = folder(&[("index.html", "x"), ("private.key", "k")]);
    let path = source.path().join("private.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("mode");
    if fs::File::open(&path).is_ok() {
        // Nothing is closed to the superuser: then it is packed.
        assert_eq!(prepared(source.path()).await.expect("packed").files, Some(2));
        return;
    }
    let error = prepared(source.path()).await.expect_err("unreadable");
    assert!(error.to_string().ends_with("private.key cannot be read"), "{error}");
    assert!(error.help().contains("right to read"));
}

#[cfg(unix)]
#[tokio::test]
async fn sockets_and_pipes_anywhere_are_named_and_not_waited_for() {
    let source = folder(&[("index.html", "x")]);
    let socket = source.path().join("app.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    assert!(problem(source.path()).await.contains("app.sock is a socket"));
    fs::remove_file(&socket).expect("removed");
    let ignore = source.path().join(".slotwayignore");
    nix::unistd::mkfifo(&ignore, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    assert!(problem(source.path()).await.contains("it is no file"), "{}", problem(source.path()).await);
    assert!(problem(Path::new("/dev/zero")).await.contains("is a device"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_holds_itself_a_level_below_is_refused() {
    let source = folder(&[("a/b/index.html", "x")]);
    std::os::unix::fs::symlink("../../a", source.path().join("a/b/again")).expect("a link");
    assert!(
        problem(source.path()).await.ends_with("leads round in a circle"),
        "{}",
        problem(source.path()).await
    );
}

#[tokio::test]
async fn too_many_folders_in_each_other_are_refused() {
    let source = folder(&[]);
    let mut path = source.path().to_owned();
    for _ in 0..202 {
        path.push("d");
        fs::create_dir(&path).expect("a folder");
    }
    fs::write(path.join("x"), "x").expect("a file");
    assert!(problem(source.path()).await.ends_with("has too many folders in it"));
}

#[tokio::test]
async fn given_up_it_leaves_no_file_even_while_a_read_hangs() {
    let shelf = Shelf::default();
    let abandon = Abandon(shelf.clone());
    let path = shelf.make().expect("a folder");
    fs::write(path.join("package.zip"), "half of it").expect("written");
    drop(abandon);
    assert!(!path.exists(), "it goes with the one who waited");
    assert!(matches!(shelf.make(), Err(ArtifactError::GivenUp)), "and no other is made");
    assert!(shelf.take().is_err());
}
