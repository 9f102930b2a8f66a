//! What a reader can do next, with the exact command and the way to do it on the host.
//!
//! Owns these words. Must not decide what is possible: the outcome has said it.

use crate::names::{ReleaseId, SiteName, SlotName};
use crate::release::journal::Conclusion;
use crate::release::machine::Outcome;

/// Where the reader sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At a terminal.
    Terminal,
    /// Before a run of GitHub Actions.
    GitHub,
    /// Before a run of Azure Pipelines.
    AzurePipelines,
}

/// What was released through which slot.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The app.
    pub site: &'a SiteName,
    /// The slot.
    pub slot: &'a SlotName,
    /// The release, where the run was given one.
    pub release: Option<&'a ReleaseId>,
    /// Whether the run was asked to stop.
    pub cancelled: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// What is possible, or needed, as the beginning of a sentence.
    pub words: String,
    /// The command for a terminal.
    pub command: Option<String>,
    /// How it is done where the run is shown.
    pub on_host: Option<String>,
}

impl Next {
    /// Words and command in one line.
    pub fn line(&self) -> String {
        match &self.command {
            Some(command) => format!("{}: {command}", self.words),
            None => self.words.clone(),
        }
    }
}

/// What to do after this conclusion; nothing where there is nothing to say.
pub fn next(conclusion: &Conclusion, subject: Subject<'_>, place: Place) -> Option<Next> {
    let Subject { site, slot, release, cancelled } = subject;
    let release = conclusion.release.as_ref().or(release);
    let call = |verb: &str| format!("slotway {verb} --app-name {site} --slot-name {slot}");
    let with_release = |verb: &str| release.map(|id| format!("{} --release-id {id}", call(verb)));
    // No note lies beside an image: whoever takes it back has to say what was before.
    let before = conclusion.before.as_ref().and_then(|view| view.release.as_ref());
    let before = before.filter(|before| before.is_image());
    let before = before.map(|before| format!(" --previous-build {before}")).unwrap_or_default();
    match conclusion.outcome? {
        Outcome::Released => Some(Next {
            words: format!("instant rollback is possible until the next deployment to {slot}"),
            command: Some(with_release("rollback")? + &before),
            on_host: step(place, "rollback", release),
        }),
        Outcome::Staged => Some(Next {
            words: format!("bring it into production, as long as {slot} serves it"),
            command: Some(with_release("swap")?),
            on_host: step(place, "swap", release),
        }),
        Outcome::Stuck if cancelled => Some(Next {
            words: "finish what the run left, or let its next run do it".to_owned(),
            command: Some(call("settle")),
            on_host: step(place, "settle", None),
        }),
        Outcome::Stuck => Some(Next {
            words: "see what both slots serve, and decide".to_owned(),
            command: Some(call("status")),
            on_host: step(place, "status", None),
        }),
        Outcome::RolledBack if went_back_by_itself(conclusion) => Some(Next {
            words: match conclusion.staging_before.as_ref() {
                Some(view) => format!("the build that failed lies in {slot} for inspection, at {}", view.url),
                None => format!("the build that failed lies in {slot} for inspection"),
            },
            command: None,
            on_host: None,
        }),
        Outcome::Refused | Outcome::RolledBack | Outcome::NothingToDo => None,
    }
}

/// A rollback that was asked for has no cause.
fn went_back_by_itself(conclusion: &Conclusion) -> bool {
    conclusion.cause.is_some()
}

fn step(place: Place, verb: &str, release: Option<&ReleaseId>) -> Option<String> {
    let id = |name: &str| release.map(|id| format!(" and {name}: {id}")).unwrap_or_default();
    match place {
        Place::Terminal => None,
        Place::GitHub => Some(format!(
            "in GitHub Actions: run a workflow whose slotway step has command: {verb}{}",
            id("release-id")
        )),
        Place::AzurePipelines => Some(format!(
            "in Azure Pipelines: run a pipeline whose Slotway task has command: {verb}{}",
            id("releaseId")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(outcome: Outcome, place: Place) -> Option<Next> {
        let (site, slot) =
            (SiteName::new("contoso-web").expect("a name"), SlotName::new("staging").expect("a name"));
        let release = ReleaseId::new("abc").expect("an id");
        let conclusion =
            Conclusion { outcome: Some(outcome), release: Some(release), ..Conclusion::default() };
        next(&conclusion, Subject { site: &site, slot: &slot, release: None, cancelled: false }, place)
    }

    #[test]
    fn after_a_release_the_way_back_is_told_for_the_terminal_and_for_the_host() {
        let next = told(Outcome::Released, Place::AzurePipelines).expect("a next step");
        assert_eq!(
            next.line(),
            "instant rollback is possible until the next deployment to staging: \
             slotway rollback --app-name contoso-web --slot-name staging --release-id abc"
        );
        let on_host = next.on_host.expect("a way on the host");
        assert!(on_host.ends_with("has command: rollback and releaseId: abc"), "{on_host}");
        assert_eq!(told(Outcome::Released, Place::Terminal).expect("a next step").on_host, None);
        assert_eq!(told(Outcome::NothingToDo, Place::GitHub), None);
    }
}
