//! Where the name of an archive's entry leads when it is unpacked, and where a link does.
//!
//! Pure. Owns what a name means: `.` and empty parts mean nothing to whoever unpacks, so they
//! mean nothing here, and a backslash separates folders as a slash does.

/// The parts of a name that count.
pub(super) fn parts(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(is_separator).filter(|part| !matches!(*part, b"" | b"."))
}

/// Whether it names a folder.
pub(super) fn is_folder(name: &[u8]) -> bool {
    name.last().is_some_and(is_separator)
}

/// The name as one that another entry's can be compared with: its parts, without regard to letter case.
pub(super) fn comparable(name: &[u8]) -> String {
    let parts: Vec<String> = parts(name).map(|part| String::from_utf8_lossy(part).to_lowercase()).collect();
    parts.join("/")
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// Why a name would lead out of the folder that the archive is unpacked to.
pub(super) fn problem(name: &[u8]) -> Option<&'static str> {
    // Windows forgets spaces and dots at the end of a name.
    let climbs = |part: &[u8]| part.starts_with(b"..") && part.iter().all(|byte| matches!(byte, b'.' | b' '));
    let has_drive = |part: &[u8]| part.len() > 1 && part[1] == b':' && part[0].is_ascii_alphabetic();
    if name.is_empty() {
        Some("has no name")
    } else if name.contains(&0) {
        Some("has a zero byte in its name")
    } else if name.first().is_some_and(is_separator) {
        Some("has an absolute path")
    } else if parts(name).next().is_some_and(has_drive) {
        Some("has a path with a drive")
    } else if parts(name).any(climbs) {
        Some("leads out of the archive with ..")
    } else if parts(name).next().is_none() && !is_folder(name) {
        Some("has no name")
    } else {
        None
    }
}

/// Whether a second name of an entry, in its Unicode Path field, is the first one spelled better. The field is for
/// names that the old code pages cannot spell, so a part in ASCII never needs it.
pub(super) fn is_spelling_of(unicode: &[u8], name: &[u8]) -> bool {
    let alike = |(one, other): (&[u8], &[u8])| one == other || !one.is_ascii();
    problem(unicode).is_none()
        && is_folder(unicode) == is_folder(name)
        && parts(unicode).count() == parts(name).count()
        && parts(unicode).zip(parts(name)).all(alike)
}

/// Whether a link's target stays inside. `..` counts only at the start: behind a folder that may itself be a
/// link, nobody can tell where it leads.
pub(super) fn link_stays_inside(name: &[u8], target: &str) -> bool {
    // A backslash in the link's own name is a folder to some and none to others, so its depth is not known.
    if target.is_empty()
        || target.contains(['\\', ':', '\0'])
        || target.starts_with('/')
        || name.contains(&b'\\')
    {
        return false;
    }
    let mut depth = parts(name).count().saturating_sub(1);
    let mut went_down = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if !went_down && depth > 0 => depth -= 1,
            ".." => return false,
            _ => went_down = true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_that_mean_nothing_do_not_count() {
        let shown: Vec<&[u8]> = parts(b"./a//b/./c/").collect();
        assert_eq!(shown, [b"a".as_slice(), b"b", b"c"]);
        assert_eq!(comparable(b".\\A//b"), "a/b");
        for name in [b"./".as_slice(), b"./a", b"a//b", b"a/./b", b"...a", b"[...slug]/x"] {
            assert_eq!(problem(name), None, "{}", String::from_utf8_lossy(name));
        }
        for name in [b".".as_slice(), b"./C:x", b"./..", b"a/.. /x", b"a/.../x"] {
            assert!(problem(name).is_some(), "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn a_spelling_changes_no_part_in_ascii() {
        assert!(is_spelling_of("caf\u{e9}/x".as_bytes(), b"caf\x82/x"));
        assert!(is_spelling_of("caf\u{e9}".as_bytes(), b"caf#U00e9"));
        for (unicode, name) in
            [("evil", "good"), ("../\u{e9}", "a/b"), ("\u{e9}/x", "a"), ("\u{e9}/", "a"), ("/\u{e9}", "a")]
        {
            assert!(!is_spelling_of(unicode.as_bytes(), name.as_bytes()), "{unicode}");
        }
    }

    proptest! {
        /// Followed from where the link lies, as a system does it.
        #[test]
        fn a_link_that_is_let_through_stays_inside(
            name in prop::collection::vec(prop::sample::select(vec!["", ".", "a", "b"]), 1..6),
            target in prop::collection::vec(prop::sample::select(vec!["", ".", "..", "c"]), 1..8),
        ) {
            let (name, target) = (name.join("/"), target.join("/"));
            prop_assume!(problem(name.as_bytes()).is_none() && parts(name.as_bytes()).next().is_some());
            if link_stays_inside(name.as_bytes(), &target) {
                let root = std::path::Path::new("/root");
                let link: std::path::PathBuf = root.join(&name).components().collect();
                let mut place = link.parent().expect("a parent").to_owned();
                for part in std::path::Path::new(&target).components() {
                    match part {
                        std::path::Component::ParentDir => drop(place.pop()),
                        part => place.push(part),
                    }
                    prop_assert!(place.starts_with(root), "{} -> {}", name, target);
                }
            }
        }
    }
}
