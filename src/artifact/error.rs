//! Why a package cannot be shipped, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::detect::PackageType;
use crate::text;

/// Why a package cannot be shipped.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Nothing lies there.
    #[error("there is no file or folder {path}", path = show(.path))]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It is the address of something, not a file.
    #[error("{address} is an address, and a package is a file or a folder")]
    Address {
        /// The address, without what may be secret.
        address: String,
    },
    /// It is there and cannot be read.
    #[error("{path} cannot be read", path = show(.path))]
    Unreadable {
        /// What cannot be read.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is neither a file nor a folder.
    #[error("{path} is {kind}, neither a file nor a folder", path = show(.path))]
    NotAFile {
        /// What it is.
        path: PathBuf,
        /// In words.
        kind: &'static str,
    },
    /// Its name says nothing about its type.
    #[error("the type of {path} cannot be told from its name", path = show(.path))]
    UnknownType {
        /// The file.
        path: PathBuf,
    },
    /// A folder cannot be sent as this type.
    #[error("the folder {path} cannot be sent as type {package_type}", path = show(.path))]
    FolderAs {
        /// The folder.
        path: PathBuf,
        /// The type that was asked for.
        package_type: PackageType,
    },
    /// The folder has nothing that could be packed.
    #[error("the folder {path} holds no file to be packed", path = show(.path))]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{path} is empty (0 bytes)", path = show(.path))]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// The archive has no entries.
    #[error("the archive {path} holds no file", path = show(.path))]
    EmptyArchive {
        /// The archive.
        path: PathBuf,
    },
    /// It is larger than Kudu takes.
    #[error("{path} is larger than 2048 MB, the most that App Service takes in one package", path = show(.path))]
    TooLarge {
        /// The file, or the folder that was packed.
        path: PathBuf,
    },
    /// The folder has more files than anybody deploys.
    #[error("the folder {path} holds more than {most} files", path = show(.path))]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// The limit.
        most: usize,
    },
    /// `.slotwayignore` cannot be understood.
    #[error("line {line} of {path}: {problem}", path = show(.path))]
    IgnoreFile {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A name that would not arrive as it is.
    #[error("the name of {path} {problem}", path = show(.path))]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong, reads after "the name".
        problem: &'static str,
    },
    /// Two names that are one where letter case does not count.
    #[error("\"{first}\" and \"{second}\" differ in letter case only")]
    CaseClash {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// A symbolic link that cannot be followed within the folder.
    #[error("the symbolic link {path} {problem}", path = show(.path))]
    Link {
        /// The link.
        path: PathBuf,
        /// What is wrong, reads after the link.
        problem: &'static str,
    },
    /// It is not what it was when the package was begun.
    #[error("{path} {how} while the package was being prepared", path = show(.path))]
    Changed {
        /// The file.
        path: PathBuf,
        /// Whether it changed, appeared or vanished.
        how: &'static str,
    },
    /// The packed file cannot be written.
    #[error("the packed file cannot be written to the temporary folder")]
    Temporary {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is no archive, or a broken one.
    #[error("{path} is no usable zip archive: {problem}", path = show(.path))]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// An entry that would do harm, or that nobody could unpack.
    #[error("the entry \"{entry}\" of {path} {problem}", path = show(.path))]
    Entry {
        /// The archive.
        path: PathBuf,
        /// The entry.
        entry: String,
        /// What is wrong, reads after the archive.
        problem: &'static str,
    },
    /// It unpacks to absurdly much.
    #[error("{path} claims to unpack to {total_bytes} bytes, which looks like a zip bomb", path = show(.path))]
    Bomb {
        /// The archive.
        path: PathBuf,
        /// What it claims.
        total_bytes: u64,
    },
    /// Nobody waits for it any more.
    #[error("preparing the package was given up")]
    GivenUp,
}

impl ArtifactError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Missing { path } if show(path).contains(['*', '?']) => {
                "set the input package to one file or folder; patterns such as *.zip are not expanded".to_owned()
            }
            Self::Missing { .. } => {
                "set the input package to the folder or file that the build wrote, relative to the working folder".to_owned()
            }
            Self::Address { .. } => {
                "download it in a step before, and set the input package to the file".to_owned()
            }
            Self::Unreadable { .. } => {
                "give the user that runs Slotway the right to read it, or leave it out with .slotwayignore".to_owned()
            }
            Self::NotAFile { .. } => "set the input package to a folder or a zip, war, jar or ear file, or leave this out with .slotwayignore".to_owned(),
            Self::UnknownType { .. } => {
                "set the input type to zip, war, jar, ear, static, script, startup or lib".to_owned()
            }
            Self::FolderAs { .. } => "set the input type to zip, or the input package to a single file".to_owned(),
            Self::EmptyFolder { .. } => {
                "check that the build wrote there, and that .slotwayignore does not leave out everything".to_owned()
            }
            Self::EmptyFile { .. } | Self::EmptyArchive { .. } => {
                "check the step that writes the package; an empty one would empty the slot".to_owned()
            }
            Self::TooLarge { .. } | Self::TooManyFiles { .. } => {
                "leave out what the app does not need at run time with .slotwayignore".to_owned()
            }
            Self::IgnoreFile { .. } => "write one pattern a line, in the syntax of .gitignore".to_owned(),
            Self::Name { .. } => "rename it, or leave it out with .slotwayignore".to_owned(),
            Self::CaseClash { .. } => {
                "rename one of them: on Windows they are the same file and one would be lost".to_owned()
            }
            Self::Link { .. } => {
                "copy the file in place of the link, or leave the link out with .slotwayignore".to_owned()
            }
            Self::Changed { .. } => "make sure that the build has ended before Slotway starts".to_owned(),
            Self::Temporary { .. } => {
                "free space in the temporary folder, or let TMPDIR (on Windows TEMP) name another one".to_owned()
            }
            Self::NotAnArchive { .. } => {
                "write the package anew; if it is no zip archive at all, set the input type".to_owned()
            }
            Self::Entry { .. } | Self::Bomb { .. } => {
                "do not deploy this archive before you know who made it; pack a folder instead".to_owned()
            }
            Self::GivenUp => "nothing was sent; run it again".to_owned(),
        }
    }
}

/// A path in one line, made harmless.
pub(super) fn show(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

/// A name in one line of at most 300 characters, made harmless.
pub(super) fn clean(name: &str) -> String {
    let mut shown = text::line(name);
    if let Some((end, _)) = shown.char_indices().nth(300) {
        let kept = shown[..end].char_indices().nth(297).map_or(end, |(at, _)| at);
        shown.truncate(kept);
        shown.push_str("...");
    }
    shown
}

/// The address that a text is, if it is one: scheme, host and path, as a query may be a signature.
pub(super) fn address(text: &str) -> Option<String> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    // Whatever stands around an @ may be a password.
    let shown = if rest.contains('@') { "…" } else { rest.split(['?', '#']).next().unwrap_or_default() };
    is_scheme.then(|| clean(&format!("{scheme}://{shown}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_pass_the_one_sanitiser() {
        assert_eq!(clean("a\u{ad}\u{34f}\u{115f}\u{e0001}b"), "ab");
        assert_eq!(clean("##vso[task.x]y ::error::z\n\u{1b}[31m"), "## vso[task.x]y : :error: :z ");
        assert_eq!(clean(&"x".repeat(300)), "x".repeat(300));
        assert_eq!(clean(&"é".repeat(301)), "é".repeat(297) + "...");
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        let shown = |text| address(text).unwrap_or_default();
        assert_eq!(shown("https://a.example/b/app.zip?sv=1&sig=S"), "https://a.example/b/app.zip");
        assert_eq!(shown("https://a.example#S"), "https://a.example");
        for secret in
            ["https://user:pw@a.example/b", "https://user:p?w/#@a.example", "https://a.example/?sig=p@w"]
        {
            assert_eq!(shown(secret), "https://…");
        }
        assert_eq!(shown("https://?sig=S"), "https://");
        assert_eq!((address("dist"), address("a/b://c"), address("://x")), (None, None, None));
    }
}
