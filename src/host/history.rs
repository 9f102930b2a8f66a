//! What lies between two commits, as the clone in the workspace tells.
//!
//! Owns the calls of git. Never fetches, and never takes long: where the clone does not
//! hold both commits with everything between them, nothing is said.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::source::{Commit, Commits, History, MOST_COMMITS};

/// Limit of all calls together.
const LIMIT: Duration = Duration::from_secs(5);
/// As much of git's output is read; a commit's message can have any length.
const MOST_BYTES: u64 = 256 * 1024;
/// Between the fields of a commit; no line of text holds it.
const FIELD: char = '\u{1f}';

/// The commits that `to` has and `from` has not, and the other way round. Both must be
/// whole commit ids. The environment must hold where git is, and no secrets.
pub async fn read(folder: &Path, environment: &[(String, String)], from: &str, to: &str) -> Option<History> {
    let work = async {
        // What a shallow clone holds ends where it was cut, so its lists may lack commits.
        let shallow = git(folder, environment, &["rev-parse", "--is-shallow-repository"]).await?;
        if shallow.trim() != "false" {
            return None;
        }
        Some(History {
            added: between(folder, environment, from, to).await?,
            removed: between(folder, environment, to, from).await?,
        })
    };
    tokio::time::timeout(LIMIT, work).await.ok().flatten()
}

async fn between(folder: &Path, environment: &[(String, String)], from: &str, to: &str) -> Option<Commits> {
    let range = format!("{from}..{to}");
    let total = git(folder, environment, &["rev-list", "--count", &range, "--"]).await?;
    let total = total.trim().parse().ok()?;
    let (count, form) = (format!("--max-count={MOST_COMMITS}"), format!("--format=%H{FIELD}%an{FIELD}%s"));
    let log = git(folder, environment, &["log", "--no-show-signature", &count, &form, &range, "--"]).await?;
    Some(Commits { shown: log.lines().filter_map(commit).collect(), total })
}

fn commit(line: &str) -> Option<Commit> {
    let mut fields = line.splitn(3, FIELD);
    Some(Commit {
        sha: fields.next().filter(|sha| sha.len() >= 40)?.to_owned(),
        author: fields.next()?.to_owned(),
        message: fields.next()?.to_owned(),
    })
}

async fn git(folder: &Path, environment: &[(String, String)], arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // No transport may be used: a partial clone would fetch what it lacks.
    command.args(["--no-pager", "-c", "protocol.allow=never", "-c", "core.fsmonitor=false"]).args(arguments);
    command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    // These would make git look at another clone than the workspace's.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        command.env_remove(name);
    }
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_NO_LAZY_FETCH", "1").env("GIT_OPTIONAL_LOCKS", "0");
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().ok()?;
    let mut text = Vec::new();
    child.stdout.take()?.take(MOST_BYTES).read_to_end(&mut text).await.ok()?;
    let status = child.wait().await.ok()?;
    status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The system's programs, and nothing of the tester's own settings.
    fn environment(home: &Path) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = ["PATH", "SYSTEMROOT"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        all.push(("HOME".to_owned(), home.display().to_string()));
        all.push(("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()));
        all
    }

    /// Whether git is there; a build needs it no more than a release does.
    #[expect(clippy::print_stderr, reason = "that a test is skipped is said where a person reads it")]
    async fn has_git() -> bool {
        let there = Command::new("git").arg("--version").output().await.is_ok();
        if !there {
            eprintln!("skipped: reading a clone needs git on PATH");
        }
        there
    }

    async fn run(folder: &Path, arguments: &[&str]) -> String {
        git(folder, &environment(folder), arguments).await.unwrap_or_else(|| panic!("git {arguments:?}"))
    }

    async fn commit(folder: &Path, message: &str) -> String {
        let who =
            ["-c", "user.name=Ada | *b*", "-c", "user.email=ada@localhost", "-c", "commit.gpgsign=false"];
        let what = ["commit", "--quiet", "--allow-empty", "-m", message];
        run(folder, &[&who[..], &what].concat()).await;
        run(folder, &["rev-parse", "HEAD"]).await.trim().to_owned()
    }

    #[tokio::test]
    async fn both_directions_are_told_newest_first_and_only_so_many_by_name() {
        if !has_git().await {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        run(path, &["init", "--quiet"]).await;
        let old = commit(path, "first").await;
        for number in 0..27 {
            commit(path, &format!("change {number}\n\nwith a body")).await;
        }
        let new = commit(path, "##vso[task.complete]last").await;
        let history = read(path, &environment(path), &old, &new).await.expect("a history");
        assert_eq!((history.added.total, history.added.shown.len(), history.added.more()), (28, 25, 3));
        assert_eq!(history.removed, Commits::default());
        let first = &history.added.shown[0];
        assert_eq!((&first.sha, first.author.as_str()), (&new, "Ada | *b*"));
        assert_eq!(first.message, "##vso[task.complete]last");
        assert_eq!(history.added.shown[1].message, "change 26");
        let back = read(path, &environment(path), &new, &old).await.expect("a history");
        assert_eq!((back.added.total, back.removed.total), (0, 28));
    }

    #[tokio::test]
    async fn a_clone_that_lacks_a_commit_tells_nothing() {
        if !has_git().await {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let missing = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(read(path, &environment(path), missing, missing).await, None, "no clone at all");
        run(path, &["init", "--quiet"]).await;
        let here = commit(path, "first").await;
        assert_eq!(read(path, &environment(path), missing, &here).await, None);
        commit(path, "second").await;
        let shallow = path.join("shallow");
        let from = format!("file://{}", path.display());
        let mut clone = Command::new("git");
        clone.args(["clone", "--quiet", "--depth", "1", &from]).arg(&shallow);
        let cloned = clone.env_clear().envs(environment(path)).status().await.expect("git runs");
        assert!(cloned.success());
        let head = run(&shallow, &["rev-parse", "HEAD"]).await;
        assert_eq!(read(&shallow, &environment(path), head.trim(), head.trim()).await, None, "it is cut");
    }
}
