//! What goes live with a release: the commits between what production serves and what it
//! is to serve. Only told; nothing that is decided depends on it, and its failure is
//! no warning even.

use std::time::Duration;

use super::context::Context;
use crate::facts::{Facts, SlotFacts};
use crate::host::github_api::GitHub;
use crate::host::{Host, history, origin};
use crate::http::Http;
use crate::plan::{Plan, Start};
use crate::secret::Secret;
use crate::source::{Changes, History, Source};

/// As long as a release waits for a server's list of commits.
const LIMIT: Duration = Duration::from_secs(8);

/// What the plan changes for production, where anybody has said it. `built` is the
/// commit that this job builds.
pub(super) async fn changes(
    context: &Context,
    facts: &Facts,
    plan: &Plan,
    built: Option<Source>,
) -> Option<Changes> {
    let (from, to) = ends(facts, plan.start, built);
    let server = (context.host == Host::GitHub).then(|| context.process.get("GITHUB_SERVER_URL")).flatten();
    let mut changes = Changes::between(from, to?, server.map(String::as_str));
    changes.history = tokio::time::timeout(LIMIT, history(context, &changes)).await.ok().flatten();
    Some(changes)
}

/// The build that production serves before, and the one after.
fn ends(facts: &Facts, start: Start, built: Option<Source>) -> (Option<Source>, Option<Source>) {
    let noted = |slot: Option<&SlotFacts>| slot.and_then(|slot| slot.note.as_ref()?.source.clone());
    let (production, staging) = (noted(Some(&facts.production)), noted(facts.staging.as_ref()));
    match start {
        Start::Deploy => (production, built),
        Start::CheckStaging | Start::RollBack => (production, staging),
        // The new build was swapped in by an earlier run.
        Start::CheckProduction => (staging, production),
    }
}

/// From the clone in the workspace, else from GitHub where the step gives a token.
async fn history(context: &Context, changes: &Changes) -> Option<History> {
    let (from, to) = (changes.from.as_ref()?, &changes.to);
    let folder = origin::workspace(context.host, &context.process);
    let told = history::read(&folder, &context.environment, &from.commit, &to.commit).await;
    let built = origin::source(context.host, &context.process);
    // The step's token is one for the job's repository.
    let ours = built.is_some_and(|built| built.repository.eq_ignore_ascii_case(&to.repository));
    if told.is_some() || context.host != Host::GitHub || !ours {
        return told;
    }
    let token = context.raw.get("github-token")?;
    let http = Http::new(&context.network).ok()?;
    let github = GitHub::new(&context.process, &Secret::new(token), http.wire()).ok()?;
    github.history(from, to).await.inspect_err(|error| tracing::debug!(%error, "no list of commits")).ok()
}
