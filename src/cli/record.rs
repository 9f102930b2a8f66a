//! What GitHub is told beside the log: a deployment record and a comment, both only
//! where a step asks for them. Their failure is a warning and fails no release.

use super::context::Context;
use crate::host::github_api::{GitHub, GitHubError};
use crate::host::{Grade, Host};
use crate::http::Http;
use crate::release::journal::Conclusion;
use crate::report;
use crate::secret::Secret;

/// A comment may have 65,536 characters (github-actions §5), and its marker needs some.
const LONGEST_COMMENT: usize = 60_000;

/// A record that has been begun.
pub(super) struct Record {
    github: GitHub,
    deployment: Option<u64>,
}

impl Record {
    /// Begins the record, where this is GitHub and the step asks for one.
    pub(super) async fn begin(context: &Context) -> Option<Self> {
        let token = context.raw.get("github-token").filter(|_| context.host == Host::GitHub)?;
        let http = Http::new(&context.network);
        let http =
            http.map_err(|error| context.terminal.annotate(Grade::Warning, "GitHub", &error.to_string()));
        let github = warned(context, GitHub::new(&context.process, &Secret::new(token), http.ok()?.wire()))?;
        let deployment = match context.raw.get("github-environment") {
            Some(environment) => warned(context, github.begin_deployment(environment).await),
            None => None,
        };
        if let Some(id) = deployment {
            warned(context, github.set_status(id, "in_progress", "Slotway is at work", None).await);
        }
        Some(Self { github, deployment })
    }

    /// Ends it with the outcome.
    pub(super) async fn end(self, context: &Context, conclusion: &Conclusion, good: bool, summary: &str) {
        if let Some(id) = self.deployment {
            let state = if good { "success" } else { "failure" };
            let url = conclusion.before.as_ref().map(|view| view.url.as_str());
            let headline = report::lines::headline(conclusion);
            warned(context, self.github.set_status(id, state, &headline, url).await);
        }
        let wanted = context.raw.get("pull-request-comment");
        if wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case("true")) {
            let subject = context.raw.get("app-name").unwrap_or("app");
            warned(
                context,
                self.github.comment(subject, &report::cut(summary.to_owned(), LONGEST_COMMENT)).await,
            );
        }
    }
}

fn warned<T>(context: &Context, result: Result<T, GitHubError>) -> Option<T> {
    result.map_err(|error| context.terminal.annotate(Grade::Warning, "GitHub", &error.to_string())).ok()
}
