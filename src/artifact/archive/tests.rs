//! Tests of looking into archives.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::directory::u16_at;
use super::*;
use crate::artifact::PackageType;

fn plain() -> SimpleFileOptions {
    SimpleFileOptions::default()
}

fn zipped(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    write(&mut writer);
    writer.finish().expect("an archive").into_inner()
}

fn with_files(names: &[&str]) -> Vec<u8> {
    zipped(|writer| {
        for name in names {
            writer.start_file(*name, plain()).expect("an entry");
            writer.write_all(b"content").expect("content");
        }
    })
}

fn inspect_bytes(bytes: &[u8]) -> Result<Contents, ArtifactError> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    inspect(file.path())
}

fn problem(bytes: &[u8]) -> String {
    inspect_bytes(bytes).expect_err("refused").to_string()
}

/// Replaces a name in both headers by one of the same length, past the writer's own checks.
fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut count = 0;
    for start in 0..bytes.len() - from.len() {
        if bytes[start..].starts_with(from.as_bytes()) {
            bytes[start..start + to.len()].copy_from_slice(to.as_bytes());
            count += 1;
        }
    }
    assert_eq!(count, 2, "the local header and the directory");
    bytes
}

/// Overwrites bytes of the first entry of the directory.
fn patched(bytes: &[u8], offset: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let start = bytes.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory") + offset;
    bytes[start..start + value.len()].copy_from_slice(value);
    bytes
}

#[test]
fn a_good_archive_is_counted() {
    let contents = inspect_bytes(&with_files(&["index.html", "css/a.css", "css/b.css"])).expect("good");
    assert_eq!((contents.files, contents.only_folder.clone()), (3, None));
    assert!(contents.warnings(PackageType::Zip).is_empty());
}

#[test]
fn one_folder_that_holds_everything_is_worth_a_warning() {
    let contents = inspect_bytes(&with_files(&["site/index.html", "site/css/a.css"])).expect("good");
    let warnings = contents.warnings(PackageType::Zip);
    assert!(warnings[0].starts_with("all files are inside the folder site/ "), "{warnings:?}");
    assert!(contents.warnings(PackageType::War).is_empty());
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for (name, told) in [
        ("../evil", "leads out of the archive with .."),
        ("a/../../b", "leads out of the archive with .."),
        ("..\\..\\b", "leads out of the archive with .."),
        ("/etc/passwd", "has an absolute path"),
        ("\\share\\x", "has an absolute path"),
        ("C:\\boot.ini", "has a path with a drive"),
        ("c:boot.ini", "has a path with a drive"),
        ("a\0b", "has a zero byte in its name"),
    ] {
        let placeholder = "x".repeat(name.len());
        let bytes = renamed(&with_files(&["good", &placeholder]), &placeholder, name);
        assert!(problem(&bytes).ends_with(told), "{name:?}: {}", problem(&bytes));
    }
    let bytes = renamed(&with_files(&["axb"]), "axb", "a\\b");
    assert!(inspect_bytes(&bytes).expect("odd, not bad").has_backslashes);
}

#[test]
fn what_is_no_archive_is_named() {
    assert!(problem(b"").ends_with("is empty (0 bytes)"));
    assert!(problem(b"\x1f\x8b\x08 and so on").ends_with("it is a gzip file"));
    assert!(problem(b"<html>").ends_with("it does not begin as one"));
    assert!(problem(&zipped(|_| {})).ends_with("holds no file"));
    assert!(
        problem(&zipped(|writer| writer.add_directory("a", plain()).expect("a folder")))
            .ends_with("holds no file")
    );
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let whole = with_files(&["a", "b/c"]);
    for length in 1..whole.len() {
        assert!(inspect_bytes(&whole[..length]).is_err(), "{length} of {}", whole.len());
    }
    let without_middle = [&whole[..40], &whole[60..]].concat();
    assert!(problem(&without_middle).contains("no usable zip archive"), "{}", problem(&without_middle));
}

#[test]
fn encrypted_entries_and_bombs_are_refused() {
    let good = with_files(&["a"]);
    assert!(problem(&patched(&good, 8, &[1, 0])).contains("is encrypted"));
    assert!(problem(&patched(&good, 10, &[99, 0])).contains("is encrypted"));
    // 2 GiB from an archive of some 100 bytes.
    let bomb = patched(&good, 24, &0x8000_0000_u32.to_le_bytes());
    assert!(problem(&bomb).contains("claims to unpack to 2147483648 bytes"));
    assert!(inspect_bytes(&patched(&good, 24, &0x1000_0000_u32.to_le_bytes())).is_ok());
}

#[test]
fn links_that_leave_and_entries_behind_links_are_refused() {
    let link = |name: &'static str, target: &'static str| {
        zipped(|writer| {
            writer.start_file("a/file", plain()).expect("an entry");
            writer.add_symlink(name, target, plain()).expect("a link");
        })
    };
    assert_eq!(inspect_bytes(&link("a/b/link", "../../a/file")).expect("stays inside").files, 2);
    for target in ["../../x", "/etc/passwd", "x/../../../y", "", "..\\x"] {
        let told = problem(&link("a/link", target));
        assert!(told.ends_with("is a symbolic link that leads out of the archive"), "{target}: {told}");
    }
    assert!(problem(&link("a", "b")).ends_with("would be unpacked through a symbolic link"));
}

/// An archive with a file and one link, whose name the writer would not take.
fn with_link(name: &str, target: &str) -> Vec<u8> {
    let placeholder = "x".repeat(name.len());
    let bytes = zipped(|writer| {
        writer.start_file("file", plain()).expect("an entry");
        writer.add_symlink(&*placeholder, target, plain()).expect("a link");
    });
    renamed(&bytes, &placeholder, name)
}

#[test]
fn parts_that_mean_nothing_do_not_let_a_link_climb() {
    for (name, target) in [
        ("./l", "../etc"),
        ("a//l", "../../etc"),
        ("././././l", "../../../../etc/passwd"),
        ("a/./l", "./.././../x"),
        ("a\\l", "../file"),
    ] {
        let told = problem(&with_link(name, target));
        assert!(told.ends_with("is a symbolic link that leads out of the archive"), "{name}: {told}");
    }
    assert_eq!(inspect_bytes(&with_link("./a//link", ".././file")).expect("stays inside").files, 2);
}

#[test]
fn a_link_by_another_spelling_is_the_same_link() {
    let with_both = |link: &str, file: &str| {
        let (first, second) = ("x".repeat(link.len()), "y".repeat(file.len()));
        let bytes = zipped(|writer| {
            writer.add_symlink(&*first, "elsewhere", plain()).expect("a link");
            writer.start_file(&*second, plain()).expect("an entry");
        });
        problem(&renamed(&renamed(&bytes, &first, link), &second, file))
    };
    for (link, file) in
        [("./lnk", "lnk/evil"), ("lnk", ".//lnk/evil"), ("lnk", "LNK/evil"), ("lnk", "lnk\\evil")]
    {
        let told = with_both(link, file);
        assert!(told.ends_with("would be unpacked through a symbolic link"), "{link}, {file}: {told}");
    }
    for (link, file) in [("lnk", "./lnk"), ("a/./lnk", "A//lnk"), ("lnk", "lnk/")] {
        let told = with_both(link, file);
        assert!(told.contains("given twice, once to a symbolic link"), "{link}, {file}: {told}");
    }
}

#[test]
fn a_link_is_judged_although_another_entry_bears_its_name() {
    let bytes = zipped(|writer| {
        writer.add_symlink("link", "/etc/passwd", plain()).expect("a link");
        writer.start_file("file", plain()).expect("an entry");
        writer.write_all(b"content").expect("content");
    });
    let bytes = renamed(&bytes, "file", "link");
    assert!(
        problem(&bytes).ends_with("is a symbolic link that leads out of the archive"),
        "{}",
        problem(&bytes)
    );
}

#[test]
fn a_link_from_any_system_is_one() {
    let bytes = zipped(|writer| {
        writer.add_symlink("link", "/etc/passwd", plain()).expect("a link");
    });
    // The maker's system becomes FAT, the mode stays.
    let told = problem(&patched(&bytes, 5, &[0]));
    assert!(told.ends_with("is a symbolic link that leads out of the archive"), "{told}");
}

#[test]
fn an_entry_that_says_two_things_is_refused() {
    let good = with_files(&["good", "name"]);
    let own = good.windows(4).position(|four| four == b"name").expect("a header");
    let mut bytes = good.clone();
    bytes[own..own + 4].copy_from_slice(b"evil");
    assert!(problem(&bytes).ends_with("has another name in its own header"), "{}", problem(&bytes));
    let mut bytes = good.clone();
    bytes[8] = 0;
    assert!(problem(&bytes).ends_with("is packed in another way by its own header"), "{}", problem(&bytes));
    let told = problem(&patched(&good, 42, &[1]));
    assert!(told.ends_with("is not where the directory says"), "{told}");
}

/// An archive whose one entry has a Unicode Path field.
fn with_unicode_path(name: &str, flags: u16, unicode: &str) -> Vec<u8> {
    given_unicode_path(&with_files(&[name]), name, flags, unicode)
}

/// The same archive with the field at its first entry, which has this name.
fn given_unicode_path(bytes: &[u8], name: &str, flags: u16, unicode: &str) -> Vec<u8> {
    let mut checksum = flate2::Crc::new();
    checksum.update(name.as_bytes());
    let length = u16::try_from(5 + unicode.len()).expect("short");
    let mut field = [0x75, 0x70].to_vec();
    field.extend(length.to_le_bytes());
    field.push(1);
    field.extend(checksum.sum().to_le_bytes());
    field.extend(unicode.bytes());
    let mut bytes = patched(bytes, 8, &flags.to_le_bytes());
    let start = bytes.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    assert_eq!(u16_at(&bytes, start + 30), 0, "no field yet");
    bytes[start + 30..start + 32].copy_from_slice(&(length + 4).to_le_bytes());
    let place = start + 46 + name.len();
    bytes.splice(place..place, field);
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06").expect("an end");
    let size = u32::try_from(end - start).expect("short");
    bytes[end + 12..end + 16].copy_from_slice(&size.to_le_bytes());
    bytes
}

#[test]
fn a_unicode_path_may_spell_a_name_better_and_nothing_else() {
    assert!(inspect_bytes(&with_unicode_path("cafe.txt", 0, "caf\u{e9}.txt")).is_ok());
    // Beside links both names count.
    let beside = |link: &str| {
        let bytes = zipped(|writer| {
            writer.start_file("cafe/x", plain()).expect("an entry");
            writer.add_symlink(link, "elsewhere", plain()).expect("a link");
        });
        inspect_bytes(&given_unicode_path(&bytes, "cafe/x", 0, "caf\u{e9}/x"))
    };
    assert_eq!(beside("other").expect("good").files, 2);
    for link in ["cafe", "caf\u{e9}"] {
        let told = beside(link).expect_err("refused").to_string();
        assert!(told.ends_with("would be unpacked through a symbolic link"), "{link}: {told}");
    }
    for (name, flags, unicode) in [
        ("index.html", 0, "evil.html"),
        ("index.html", 0, "../\u{e9}.html"),
        ("index.html", 0, "a/\u{e9}.html"),
        ("cafe.txt", 0x800, "caf\u{e9}.txt"),
    ] {
        let told = problem(&with_unicode_path(name, flags, unicode));
        assert!(told.ends_with("is given another name by its Unicode Path field"), "{unicode}: {told}");
    }
}

#[test]
fn an_entry_that_claims_another_size_than_it_has_is_refused() {
    let zeroes = zipped(|writer| {
        writer.start_file("zeroes", plain()).expect("an entry");
        writer.write_all(&vec![0; 3 << 20]).expect("content");
    });
    assert!(inspect_bytes(&zeroes).is_ok());
    for claimed in [10_u32, (3 << 20) - 1] {
        let told = problem(&patched(&zeroes, 24, &claimed.to_le_bytes()));
        assert!(told.ends_with("unpacks to more than it claims, as in a zip bomb"), "{told}");
    }
    let told = problem(&patched(&zeroes, 24, &((3_u32 << 20) + 1).to_le_bytes()));
    assert!(told.contains("does not unpack to what it claims"), "{told}");
    let stored = zipped(|writer| {
        let options = plain().compression_method(zip::CompressionMethod::Stored);
        writer.start_file("stored", options).expect("an entry");
        writer.write_all(b"content").expect("content");
    });
    let told = problem(&patched(&stored, 24, &6_u32.to_le_bytes()));
    assert!(told.ends_with("claims another size than it has"), "{told}");
}

#[test]
fn wide_archives_are_read() {
    let bytes = zipped(|writer| {
        writer.start_file("large", plain().large_file(true)).expect("an entry");
        writer.write_all(b"x").expect("content");
        for number in 0..66_000 {
            writer.start_file(format!("{number}"), plain()).expect("an entry");
        }
    });
    assert_eq!(inspect_bytes(&bytes).expect("good").files, 66_001);
}

#[test]
fn a_size_at_the_end_of_all_numbers_is_refused() {
    let wide = zipped(|writer| {
        writer.start_file("large", plain().large_file(true)).expect("an entry");
        writer.write_all(b"x").expect("content");
    });
    // The directory's entry says "see the Zip64 field" for the packed size, and that says 2^64 - 1.
    let start = wide.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    let field = start + 46 + "large".len();
    let mut bytes = patched(&wide, 20, &[0xff; 8]);
    let extra = [1, 0, 16, 0].into_iter().chain([1, 0, 0, 0, 0, 0, 0, 0]).chain([0xff; 8]);
    let old_length = usize::from(u16_at(&bytes, start + 30));
    bytes.splice(field..field + old_length, extra);
    bytes[start + 30..start + 32].copy_from_slice(&20_u16.to_le_bytes());
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06").expect("an end");
    let length = u32::try_from(end - start).expect("short");
    bytes[end + 12..end + 16].copy_from_slice(&length.to_le_bytes());
    assert!(problem(&bytes).contains("does not lie within the archive"), "{}", problem(&bytes));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn no_damage_makes_it_panic(changes in proptest::collection::vec((0_usize..400, 0_u8..=255), 1..6)) {
        let mut bytes = with_files(&["a", "b/c", "d"]);
        for (offset, value) in changes {
            let position = offset % bytes.len();
            bytes[position] = value;
        }
        let _ = inspect_bytes(&bytes);
    }
}
