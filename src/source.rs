//! Where a build comes from, and what lies between two builds.
//!
//! Owns the checking of repositories and commits, which come from a file in the slot
//! that others can write, and the addresses of pages that compare two commits. Pure:
//! the commits themselves are read by [`crate::host`].

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

/// As many commits are shown by name; the others are counted.
pub const MOST_COMMITS: usize = 25;
/// Longer ones are neither a branch's name nor the address of a run.
const LONGEST: usize = 500;

/// The commit that a build was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "Unchecked")]
pub struct Source {
    /// The repository's page, without credentials.
    pub repository: String,
    /// The full commit id, in small hex digits.
    pub commit: String,
    /// The branch or tag.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The pipeline's run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
}

/// As it stands in a document.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Unchecked {
    repository: String,
    commit: String,
    #[serde(default, rename = "ref")]
    reference: Option<String>,
    #[serde(default)]
    run_url: Option<String>,
}

impl TryFrom<Unchecked> for Source {
    type Error = &'static str;

    fn try_from(given: Unchecked) -> Result<Self, Self::Error> {
        Self::new(&given.repository, &given.commit, given.reference.as_deref(), given.run_url.as_deref())
            .ok_or("is no commit of a repository")
    }
}

impl Source {
    /// Nothing unless the repository is a web address and the commit a whole commit id. A branch
    /// or run that cannot be one is left out.
    pub fn new(
        repository: &str,
        commit: &str,
        reference: Option<&str>,
        run_url: Option<&str>,
    ) -> Option<Self> {
        let commit = commit.trim().to_ascii_lowercase();
        let whole = matches!(commit.len(), 40 | 64) && commit.chars().all(|digit| digit.is_ascii_hexdigit());
        if !whole {
            return None;
        }
        let page = web_address(repository.split(['?', '#']).next()?)?;
        let repository = page.strip_suffix(".git").unwrap_or(&page).to_owned();
        let reference = reference.map(str::trim).filter(|name| !name.is_empty() && name.len() <= LONGEST);
        Some(Self {
            repository,
            commit,
            reference: reference.map(str::to_owned),
            run_url: run_url.and_then(web_address),
        })
    }

    /// The commit's first digits.
    pub fn short(&self) -> &str {
        short(&self.commit)
    }

    /// The commit's page; GitHub and Azure Repos have it at the same place.
    pub fn commit_url(&self, commit: &str) -> String {
        format!("{}/commit/{commit}", self.repository)
    }
}

/// For a note: a source that is none is left out, and the note stays readable.
///
/// # Errors
///
/// What the document's reader says.
pub fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Source>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// The first digits of a commit id.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// A web address without credentials and fragment.
fn web_address(text: &str) -> Option<String> {
    let mut url = Url::parse(text.trim()).ok()?;
    let web = matches!(url.scheme(), "https" | "http") && url.host().is_some() && text.len() <= LONGEST;
    // Azure Repos writes the organisation in front of the host: https://contoso@dev.azure.com/…
    let bare = url.set_username("").is_ok() && url.set_password(None).is_ok();
    url.set_fragment(None);
    (web && bare).then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// One commit; message and author are foreign text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// The full commit id.
    pub sha: String,
    /// The first line of its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
}

/// The newest commits of a list, and how many it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Commits {
    /// At most [`MOST_COMMITS`], newest first.
    pub shown: Vec<Commit>,
    /// All of them.
    pub total: u64,
}

impl Commits {
    /// How many are not shown by name.
    pub fn more(&self) -> u64 {
        self.total.saturating_sub(self.shown.len() as u64)
    }
}

/// What lies between two commits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// What the second has and the first has not.
    pub added: Commits,
    /// What the first has and the second has not.
    pub removed: Commits,
}

/// What a run changes for production: the commits between two builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// What production serves before, where it is known.
    pub from: Option<Source>,
    /// What it is to serve.
    pub to: Source,
    /// What lies between both, where it could be read.
    pub history: Option<History>,
    /// A page that compares both.
    pub link: Option<String>,
}

impl Changes {
    /// Before any commit is read; `github` is the server on which GitHub runs this, if it does.
    pub fn between(from: Option<Source>, to: Source, github: Option<&str>) -> Self {
        let from = from.filter(|from| from.repository.eq_ignore_ascii_case(&to.repository));
        let link = from.as_ref().filter(|from| from.commit != to.commit);
        let link = link.and_then(|from| compare_url(from, &to, github));
        Self { from, to, history: None, link }
    }
}

/// The page that compares two commits, on servers whose addresses are known: GitHub's
/// `…/compare/a...b`, Azure Repos' `…/branchCompare?baseVersion=GCa&targetVersion=GCb`
/// (the latter as its own pages link it; unconfirmed by documentation).
fn compare_url(from: &Source, to: &Source, github: Option<&str>) -> Option<String> {
    let repository = &to.repository;
    let (from, to) = (&from.commit, &to.commit);
    let is_below = |server: &str| {
        let server = server.trim_end_matches('/');
        !server.is_empty()
            && repository.get(..server.len()).is_some_and(|start| start.eq_ignore_ascii_case(server))
            && repository[server.len()..].starts_with('/')
    };
    if is_below("https://github.com") || github.is_some_and(is_below) {
        return Some(format!("{repository}/compare/{from}...{to}"));
    }
    repository
        .contains("/_git/")
        .then(|| format!("{repository}/branchCompare?baseVersion=GC{from}&targetVersion=GC{to}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn source(repository: &str, commit: &str) -> Source {
        Source::new(repository, commit, None, None).expect("a source")
    }

    #[test]
    fn a_source_carries_no_credentials_and_no_half_commit() {
        let source = Source::new(
            "https://contoso:pat@dev.azure.com/contoso/shop/_git/web.git/",
            &A.to_uppercase(),
            Some("refs/heads/main"),
            Some("javascript:alert(1)"),
        )
        .expect("a source");
        assert_eq!(source.repository, "https://dev.azure.com/contoso/shop/_git/web");
        assert_eq!((source.commit.as_str(), source.short()), (A, "aaaaaaa"));
        assert_eq!(source.run_url, None);
        for commit in ["", "main", "--output=x", &A[..39], "C12345"] {
            assert_eq!(Source::new("https://github.com/o/r", commit, None, None), None, "{commit}");
        }
        assert_eq!(Source::new("git@github.com:o/r.git", A, None, None), None);
    }

    #[test]
    fn the_page_that_compares_is_known_for_github_and_azure_repos() {
        let link = |repository: &str, github: Option<&str>| {
            let (from, to) = (source(repository, A), source(repository, B));
            Changes::between(Some(from), to, github).link
        };
        let known = link("https://github.com/contoso/web", None);
        assert_eq!(known, Some(format!("https://github.com/contoso/web/compare/{A}...{B}")));
        let own = link("https://git.contoso.example/o/r", Some("https://git.contoso.example"));
        assert_eq!(own, Some(format!("https://git.contoso.example/o/r/compare/{A}...{B}")));
        let repos = link("https://dev.azure.com/o/p/_git/r", None).expect("a link");
        assert!(repos.ends_with(&format!("/_git/r/branchCompare?baseVersion=GC{A}&targetVersion=GC{B}")));
        assert_eq!(link("https://github.com.evil.example/o/r", Some("https://git.contoso.example")), None);
    }

    #[test]
    fn builds_of_two_repositories_are_not_compared() {
        let (from, to) = (source("https://github.com/o/a", A), source("https://github.com/o/b", B));
        let changes = Changes::between(Some(from), to, None);
        assert_eq!((changes.from, changes.link), (None, None));
    }

    #[test]
    fn a_source_comes_back_from_a_note_as_it_was() {
        let source =
            Source::new("https://github.com/o/r", A, Some("refs/heads/x"), Some("https://h/run?id=1"));
        let text = serde_json::to_string(&source).expect("JSON");
        assert!(text.contains(r#""ref":"refs/heads/x""#), "{text}");
        let read: Option<Source> = serde_json::from_str(&text).expect("a source");
        assert_eq!(read, source);
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_note_makes_no_address_of_another_kind(repository in ".{0,80}", commit in ".{0,64}") {
            if let Some(source) = Source::new(&repository, &commit, None, Some(&repository)) {
                prop_assert!(source.repository.starts_with("http"));
                prop_assert!(source.commit.len() >= 40);
                prop_assert!(!source.repository.contains(char::is_whitespace));
            }
        }
    }
}
