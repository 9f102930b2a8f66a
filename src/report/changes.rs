//! What goes live: the commits between two builds, in each report's form.

use std::fmt::Write;

use serde_json::{Value, json};

use super::markup::{code, link, plain};
use super::words::count;
use crate::release::machine::Outcome;
use crate::source::{Changes, Commit, Commits, Source, short};

/// For the live log.
pub(super) fn lines(changes: &Changes) -> Vec<String> {
    let to = &changes.to;
    let branch = to.reference.as_deref().map(|name| format!(" ({})", branch(name))).unwrap_or_default();
    let mut lines = vec![format!("commit {}{branch} of {}", to.short(), to.repository)];
    if let Some(history) = &changes.history {
        for (words, commits) in
            [("new for production", &history.added), ("gone from production", &history.removed)]
        {
            if commits.total > 0 {
                lines.push(format!("{} {words}:", count(commits.total, "commit")));
                lines.extend(commits.shown.iter().map(|commit| {
                    format!("  {} {} ({})", short(&commit.sha), commit.message, commit.author)
                }));
            }
            if commits.more() > 0 {
                lines.push(format!("  and {} more", commits.more()));
            }
        }
    }
    lines
}

/// For the summary.
pub(super) fn section(changes: &Changes, verb: Option<&str>, outcome: Option<Outcome>) -> String {
    let mut out = format!("### {}\n\n", title(verb, outcome));
    let to = &changes.to;
    let mut about =
        vec![format!("{} of {}", commit_link(to, &to.commit), link(&plain(name(to)), &to.repository))];
    about.extend(to.reference.as_deref().map(|name| code(branch(name))));
    about.extend(to.run_url.as_deref().map(|run| link("the run that built it", run)));
    if let Some(from) = changes.from.as_ref().filter(|from| from.commit != to.commit) {
        about.push(format!("before: {}", commit_link(from, &from.commit)));
    }
    about.extend(changes.link.as_deref().map(|page| link("compare", page)));
    let _ = writeln!(out, "{}\n", about.join(" · "));
    if changes.from.as_ref().is_some_and(|from| from.commit == to.commit) {
        out.push_str("Both builds were made of the same commit.\n\n");
    }
    if let Some(history) = &changes.history {
        listed(&mut out, to, "new for production", &history.added);
        listed(&mut out, to, "gone from production", &history.removed);
    }
    out
}

fn listed(out: &mut String, source: &Source, words: &str, commits: &Commits) {
    if commits.total == 0 {
        return;
    }
    let _ = writeln!(out, "{} {words}:\n", count(commits.total, "commit"));
    for Commit { sha, message, author } in &commits.shown {
        let _ = writeln!(out, "- {} {} – {}", commit_link(source, sha), plain(message), plain(author));
    }
    if commits.more() > 0 {
        let _ = writeln!(out, "- and {} more", commits.more());
    }
    out.push('\n');
}

fn commit_link(source: &Source, sha: &str) -> String {
    link(&code(short(sha)), &source.commit_url(sha))
}

/// The last two parts of the repository's address, which is how people call it.
fn name(source: &Source) -> &str {
    let path = source.repository.split_once("://").map_or("", |(_, rest)| rest);
    let mut slashes = path.rmatch_indices('/');
    let _ = slashes.next();
    slashes.next().map_or(path, |(at, _)| &path[at + 1..])
}

fn branch(reference: &str) -> &str {
    ["refs/heads/", "refs/tags/", "refs/"]
        .iter()
        .find_map(|prefix| reference.strip_prefix(prefix))
        .unwrap_or(reference)
}

fn title(verb: Option<&str>, outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Released) => "What went live",
        Some(Outcome::Staged) => "What goes live with the swap",
        Some(Outcome::RolledBack) if verb == Some("rollback") => "What was taken back",
        Some(Outcome::RolledBack) => "What was tried and taken back",
        Some(Outcome::Refused) => "What did not go live",
        Some(Outcome::NothingToDo | Outcome::Stuck) | None => "What was to go live",
    }
}

/// For the JSON report.
pub(super) fn document(changes: &Changes) -> Value {
    let commits = |commits: &Commits| json!({"total": commits.total, "commits": commits.shown});
    json!({
        "from": changes.from,
        "to": changes.to,
        "added": changes.history.as_ref().map(|history| commits(&history.added)),
        "removed": changes.history.as_ref().map(|history| commits(&history.removed)),
        "link": changes.link,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::History;

    fn source(digit: &str) -> Source {
        let run = Some("https://github.com/contoso/web/actions/runs/1");
        Source::new("https://github.com/contoso/web", &digit.repeat(40), Some("refs/heads/main"), run)
            .expect("a source")
    }

    fn commits(messages: &[&str], total: u64) -> Commits {
        let commit = |message: &&str| Commit {
            sha: "c".repeat(40),
            message: (*message).to_owned(),
            author: "Ada <ada@localhost>".to_owned(),
        };
        Commits { shown: messages.iter().map(commit).collect(), total }
    }

    #[test]
    fn commits_are_listed_and_their_words_stay_words() {
        let mut changes = Changes::between(Some(source("a")), source("b"), None);
        let added = commits(&["Fix |<b>| for @everyone"], 3);
        changes.history = Some(History { added, removed: Commits::default() });
        let section = section(&changes, Some("release"), Some(Outcome::Released));
        assert!(
            section
                .starts_with("### What went live\n\n[`bbbbbbb`](https://github.com/contoso/web/commit/bbb")
        );
        assert!(
            section.contains("of [contoso/web](https://github.com/contoso/web) · `main` · "),
            "{section}"
        );
        assert!(section.contains("3 commits new for production:"), "{section}");
        assert!(section.contains("Fix \\|&lt;b&gt;\\| for @\u{200b}everyone – Ada &lt;ada"), "{section}");
        assert!(section.contains("- and 2 more\n"), "{section}");
        let lines = lines(&changes);
        assert_eq!(lines[0], "commit bbbbbbb (main) of https://github.com/contoso/web");
        assert_eq!(lines.last().map(String::as_str), Some("  and 2 more"));
        assert_eq!(document(&changes)["added"]["total"], 3);
    }

    #[test]
    fn a_way_back_is_told_as_one() {
        let mut changes = Changes::between(Some(source("b")), source("a"), None);
        changes.history = Some(History { added: Commits::default(), removed: commits(&["x"], 1) });
        let section = section(&changes, Some("rollback"), Some(Outcome::RolledBack));
        assert!(section.starts_with("### What was taken back\n"), "{section}");
        assert!(section.contains("1 commit gone from production:"), "{section}");
    }
}
