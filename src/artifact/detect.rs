//! The types of packages and how they are told from a file's name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What OneDeploy is told a package is: its `type` (contracts/kudu-deploy.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PackageType {
    /// Unpacked into wwwroot.
    Zip,
    /// A Java web application.
    War,
    /// A Java application.
    Jar,
    /// A Java enterprise application.
    Ear,
    /// One file put as it is.
    Static,
    /// A script for the slot's scripts folder.
    Script,
    /// The startup script.
    Startup,
    /// A library for the slot's libs folder.
    Lib,
}

/// A word that is no package type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such package type; choose zip, war, jar, ear, static, script, startup or lib")]
pub struct UnknownPackageType;

impl PackageType {
    const ALL: [Self; 8] =
        [Self::Zip, Self::War, Self::Jar, Self::Ear, Self::Static, Self::Script, Self::Startup, Self::Lib];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::War => "war",
            Self::Jar => "jar",
            Self::Ear => "ear",
            Self::Static => "static",
            Self::Script => "script",
            Self::Startup => "startup",
            Self::Lib => "lib",
        }
    }

    /// Whether a package of this type is a zip archive inside.
    pub fn is_archive(self) -> bool {
        matches!(self, Self::Zip | Self::War | Self::Jar | Self::Ear)
    }

    /// The type that a file's extension stands for; only archives have one.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        extension.parse().ok().filter(|package_type: &Self| package_type.is_archive())
    }
}

impl fmt::Display for PackageType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for PackageType {
    type Err = UnknownPackageType;

    fn from_str(text: &str) -> Result<Self, UnknownPackageType> {
        let text = text.trim();
        Self::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownPackageType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_in_any_case_and_written_in_lower_case() {
        for one in PackageType::ALL {
            assert_eq!(one.to_string().to_uppercase().parse(), Ok(one));
        }
        let error = "rar".parse::<PackageType>().expect_err("unknown");
        assert!(error.to_string().contains("zip, war, jar, ear, static, script, startup or lib"));
    }

    #[test]
    fn only_archives_are_told_by_their_extension() {
        assert_eq!(PackageType::of_file(Path::new("a/App.ZIP")), Some(PackageType::Zip));
        assert_eq!(PackageType::of_file(Path::new("a.b/app.war")), Some(PackageType::War));
        for other in ["app.tar.gz", "app.static", "app", ".zip", "zip"] {
            assert_eq!(PackageType::of_file(Path::new(other)), None, "{other}");
        }
    }
}
