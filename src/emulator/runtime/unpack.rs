//! Puts an upload where its type says (kudu-deploy.md §3, "Type rules").
//!
//! Owns unpacking and what an archive may not contain. Blocking: runs on its own
//! thread. Must not write outside the side's `/home`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::emulator::world::{PackageKind, UploadOrder};

/// What an archive may unpack to in all; more is taken for a bomb.
const LARGEST_BYTES: u64 = 20 * 1024 * 1024 * 1024;
/// How deep a folder may be.
const DEEPEST: usize = 64;

/// Carries an order out. The error is a sentence for the deployment's log.
pub(super) fn unpack(order: &UploadOrder, id: &str) -> Result<(), String> {
    let result = check_sum(order).and_then(|()| place(order, id));
    if order.temporary {
        // The folder it lies in is temporary itself; a file left behind is no harm.
        let _ = fs::remove_file(&order.file);
    }
    result
}

/// Puts the content of a scenario's image where its containers find it.
pub(in crate::emulator) fn unpack_image(package: &Path, into: &Path) -> Result<(), String> {
    fill(package, into).map(|_| ())
}

fn check_sum(order: &UploadOrder) -> Result<(), String> {
    let Some(expected) = &order.sha256 else { return Ok(()) };
    let said = |error: io::Error| format!("The package could not be read: {error}");
    let mut file = fs::File::open(&order.file).map_err(said)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut chunk).map_err(said)?;
        if read == 0 {
            break;
        }
        digest.update(&chunk[..read]);
    }
    let seen: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if seen.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(format!("The checksum of the package is {seen}, not {expected} as the request said."))
}

fn place(order: &UploadOrder, id: &str) -> Result<(), String> {
    let site = order.home.join("site");
    let wwwroot = site.join("wwwroot");
    let path = order.path.as_deref().map(str::trim).filter(|path| !path.is_empty());
    let unpacks = order.kind == PackageKind::Zip || (order.kind == PackageKind::War && path.is_some());
    let said = |error: io::Error| format!("The package could not be deployed: {error}");
    fs::create_dir_all(&wwwroot).map_err(said)?;
    if unpacks {
        let target = target_of(&order.home, &wwwroot, path.unwrap_or_default())?;
        let incoming = site.join(format!(".incoming-{id}"));
        let unpacked = fill(&order.file, &incoming).and_then(|files| {
            let clean = order.clean || order.kind == PackageKind::War;
            settle_in(&site, &incoming, &target, &files, clean, id).map_err(said)
        });
        let _ = fs::remove_dir_all(&incoming);
        return unpacked;
    }
    let file = match (order.kind, path) {
        (PackageKind::War, _) => wwwroot.join("app.war"),
        (PackageKind::Jar, None) => wwwroot.join("app.jar"),
        (PackageKind::Ear, None) => wwwroot.join("app.ear"),
        (PackageKind::Startup, _) if order.linux => site.join("scripts").join("startup.sh"),
        (PackageKind::Startup, _) => site.join("scripts").join("startup.cmd"),
        (PackageKind::Lib, Some(path)) => target_of(&order.home, &site.join("libs"), path)?,
        (PackageKind::Script, Some(path)) => target_of(&order.home, &site.join("scripts"), path)?,
        (_, Some(path)) => target_of(&order.home, &wwwroot, path)?,
        (_, None) => return Err("Path must be defined for this type.".to_owned()),
    };
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    if order.clean && folder.exists() {
        fs::remove_dir_all(&folder).map_err(said)?;
    }
    fs::create_dir_all(&folder).map_err(said)?;
    fs::copy(&order.file, &file).map(|_| ()).map_err(said)
}

/// A path of a request: below `/home` when it begins so, else below the base.
fn target_of(home: &Path, base: &Path, path: &str) -> Result<PathBuf, String> {
    let (base, path) = match path.strip_prefix("/home/") {
        Some(rest) => (home, rest),
        None => (base, path.trim_start_matches('/')),
    };
    Ok(base.join(safe(path)?))
}

/// A relative path that stays below its base. Backslashes, which old .NET writes, separate too.
fn safe(path: &str) -> Result<PathBuf, String> {
    let path = path.replace('\\', "/");
    let parts = Path::new(&path);
    let fine = parts.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !fine || path.contains(['\0', ':']) || parts.components().count() > DEEPEST {
        return Err(format!("The path '{path}' leaves the folder that it belongs to."));
    }
    Ok(parts.to_owned())
}

/// Puts the content of a zip or of a folder into a new folder; gives the files, relative.
fn fill(package: &Path, into: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let said = |error: io::Error| format!("The package could not be unpacked: {error}");
    let mut files = BTreeSet::new();
    fs::create_dir_all(into).map_err(said)?;
    if package.is_dir() {
        copy_folder(package, into, Path::new(""), &mut files, 0).map_err(said)?;
    } else {
        unzip(package, into, &mut files)?;
    }
    Ok(files)
}

fn copy_folder(
    from: &Path,
    into: &Path,
    relative: &Path,
    files: &mut BTreeSet<PathBuf>,
    depth: usize,
) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other("the folder is too deep"));
    }
    for entry in fs::read_dir(from.join(relative))? {
        let relative = relative.join(entry?.file_name());
        let source = from.join(&relative);
        if source.is_dir() {
            fs::create_dir_all(into.join(&relative))?;
            copy_folder(from, into, &relative, files, depth + 1)?;
        } else {
            fs::copy(&source, into.join(&relative))?;
            files.insert(relative);
        }
    }
    Ok(())
}

fn unzip(package: &Path, into: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), String> {
    let bad = |error: zip::result::ZipError| format!("The package is no zip that can be unpacked: {error}");
    let said = |error: io::Error| format!("The package could not be unpacked: {error}");
    let file = fs::File::open(package).map_err(said)?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(bad)?;
    let mut left = LARGEST_BYTES;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(bad)?;
        let name = entry.name().map_err(bad)?.into_owned();
        let path = safe(&name)?;
        if entry.is_symlink() {
            return Err(format!("The package has a symbolic link: '{}'.", path.display()));
        }
        let target = into.join(&path);
        if entry.is_dir() || name.ends_with('\\') {
            fs::create_dir_all(&target).map_err(said)?;
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(said)?;
        }
        let mut out = fs::File::create(&target).map_err(said)?;
        let written = io::copy(&mut (&mut entry).take(left + 1), &mut out).map_err(said)?;
        out.flush().map_err(said)?;
        left = left
            .checked_sub(written)
            .ok_or_else(|| format!("The package unpacks to more than {LARGEST_BYTES} bytes."))?;
        set_mode(&target, entry.unix_mode()).map_err(said)?;
        files.insert(path);
    }
    Ok(())
}

#[cfg(unix)]
fn set_mode(file: &Path, mode: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // The owner must be able to read and replace it, whatever the archive says.
    match mode {
        Some(mode) => fs::set_permissions(file, fs::Permissions::from_mode((mode & 0o777) | 0o600)),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: Option<u32>) -> io::Result<()> {
    Ok(())
}

/// Brings the new files to their place. Clean: they replace the folder. Else they come beside what is
/// there, and files of the last deployment that are not among them go, by the manifest that Kudu keeps in
/// `site/deployments/{id}/manifest` (kudu-deploy.md §4).
fn settle_in(
    site: &Path,
    incoming: &Path,
    target: &Path,
    files: &BTreeSet<PathBuf>,
    clean: bool,
    id: &str,
) -> io::Result<()> {
    let deployments = site.join("deployments");
    let marker = deployments.join("active");
    let whole = target == site.join("wwwroot");
    if clean {
        let outgoing = site.join(format!(".outgoing-{id}"));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        if target.exists() {
            fs::rename(target, &outgoing)?;
        }
        fs::rename(incoming, target)?;
        if outgoing.exists() {
            fs::remove_dir_all(&outgoing)?;
        }
    } else {
        let before = fs::read_to_string(&marker)
            .and_then(|last| fs::read_to_string(deployments.join(last.trim()).join("manifest")))
            .unwrap_or_default();
        for line in before.lines().filter(|_| whole) {
            if let Ok(path) = safe(line)
                && !files.contains(&path)
            {
                // It may be gone already.
                let _ = fs::remove_file(target.join(path));
            }
        }
        for path in files {
            let place = target.join(path);
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::rename(incoming.join(path), place)?;
        }
    }
    if whole {
        let folder = deployments.join(id);
        fs::create_dir_all(&folder)?;
        let lines: Vec<String> = files.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        fs::write(folder.join("manifest"), lines.join("\n"))?;
        fs::write(marker, id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home {
        folder: tempfile::TempDir,
    }

    impl Home {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().expect("folder") }
        }

        fn zip(&self, entries: &[(&str, &str)]) -> PathBuf {
            let path = self.folder.path().join(format!("{}.zip", entries.len()));
            let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("file"));
            for (name, text) in entries {
                let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
                zip.start_file(*name, options).expect("entry");
                zip.write_all(text.as_bytes()).expect("text");
            }
            zip.finish().expect("zip");
            path
        }

        fn order(&self, file: PathBuf, kind: PackageKind) -> UploadOrder {
            let home = self.folder.path().join("home");
            UploadOrder {
                file,
                temporary: false,
                home,
                kind,
                path: None,
                clean: false,
                sha256: None,
                linux: true,
            }
        }

        fn files(&self) -> Vec<String> {
            let mut found = BTreeSet::new();
            let home = self.folder.path().join("home/site/wwwroot");
            let copy = self.folder.path().join("copy");
            copy_folder(&home, &copy, Path::new(""), &mut found, 0).unwrap_or_default();
            let names = fs::read_dir(&home)
                .expect("wwwroot")
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        }
    }

    #[test]
    fn a_zip_is_unpacked_and_the_next_one_removes_only_what_the_last_brought() {
        let home = Home::new();
        let first = home.zip(&[("index.html", "1"), ("old.txt", "1")]);
        unpack(&home.order(first, PackageKind::Zip), "one").expect("unpacks");
        let wwwroot = home.folder.path().join("home/site/wwwroot");
        fs::write(wwwroot.join("uploads.txt"), "users").expect("file");
        let second = home.zip(&[("index.html", "2"), ("new.txt", "2"), ("sub/run.sh", "2")]);
        unpack(&home.order(second.clone(), PackageKind::Zip), "two").expect("unpacks");
        assert_eq!(home.files(), ["index.html", "new.txt", "sub", "uploads.txt"]);
        assert_eq!(fs::read_to_string(wwwroot.join("index.html")).expect("file"), "2");
        let clean =
            UploadOrder { clean: true, temporary: true, ..home.order(second.clone(), PackageKind::Zip) };
        unpack(&clean, "three").expect("unpacks");
        assert_eq!(home.files(), ["index.html", "new.txt", "sub"]);
        assert!(!second.exists(), "a temporary file is removed");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(wwwroot.join("sub/run.sh")).expect("file").permissions().mode();
            assert_eq!(mode & 0o777, 0o755);
        }
        let left = fs::read_dir(home.folder.path().join("home/site")).expect("site").count();
        assert_eq!(left, 2, "wwwroot and deployments, nothing else");
    }

    #[test]
    fn a_folder_is_copied_and_left_alone() {
        let home = Home::new();
        let app = home.folder.path().join("app");
        fs::create_dir_all(app.join("a/b")).expect("folder");
        fs::write(app.join("a/b/c.txt"), "c").expect("file");
        unpack(&home.order(app.clone(), PackageKind::Zip), "one").expect("copies");
        assert_eq!(home.files(), ["a"]);
        assert!(app.join("a/b/c.txt").exists());
    }

    #[test]
    fn archives_that_leave_the_folder_and_garbage_are_refused() {
        for name in ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:evil"] {
            let home = Home::new();
            let zip = home.zip(&[("index.html", "1"), (name, "evil")]);
            let error = unpack(&home.order(zip, PackageKind::Zip), "one").expect_err(name);
            assert!(error.contains("leaves the folder"), "{error}");
            assert!(home.files().is_empty(), "nothing half done");
        }
        let home = Home::new();
        let garbage = home.folder.path().join("garbage.zip");
        fs::write(&garbage, "no zip").expect("file");
        assert!(unpack(&home.order(garbage, PackageKind::Zip), "one").is_err());
        let missing = home.folder.path().join("missing.zip");
        assert!(unpack(&home.order(missing, PackageKind::Zip), "one").is_err());
    }

    #[test]
    fn each_type_goes_to_its_place() {
        let home = Home::new();
        let jar = home.zip(&[("a", "")]);
        let root = home.folder.path().join("home/site");
        for (kind, path, place) in [
            (PackageKind::Jar, None, "wwwroot/app.jar"),
            (PackageKind::War, None, "wwwroot/app.war"),
            (PackageKind::Ear, None, "wwwroot/app.ear"),
            (PackageKind::Static, Some("x/y.txt"), "wwwroot/x/y.txt"),
            (PackageKind::Static, Some("/home/site/z.txt"), "z.txt"),
            (PackageKind::Lib, Some("l.so"), "libs/l.so"),
            (PackageKind::Startup, None, "scripts/startup.sh"),
            (PackageKind::War, Some("webapps/shop"), "wwwroot/webapps/shop/a"),
        ] {
            let order = UploadOrder { path: path.map(str::to_owned), ..home.order(jar.clone(), kind) };
            unpack(&order, "one").expect("deploys");
            assert!(root.join(place).is_file(), "{place}");
        }
        let escaping =
            UploadOrder { path: Some("../../x".into()), ..home.order(jar.clone(), PackageKind::Static) };
        assert!(unpack(&escaping, "one").is_err());
        assert!(unpack(&home.order(jar, PackageKind::Static), "one").is_err(), "static needs a path");
    }

    #[test]
    fn a_wrong_checksum_fails() {
        let home = Home::new();
        let zip = home.zip(&[("a", "1")]);
        let order = UploadOrder { sha256: Some("00".repeat(32)), ..home.order(zip, PackageKind::Zip) };
        assert!(unpack(&order, "one").expect_err("wrong").contains("checksum"));
    }
}
