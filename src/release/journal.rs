//! What happened, in order: the one truth that every report is rendered from.
//!
//! Owns the list of entries and the first cause. Must not format anything for a
//! host, nor be changed after the fact: entries are only ever added.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::machine::{Claim, Direction, Event as Step, Outcome, Phase, Serving};
use crate::checks::ready::InstanceReady;
use crate::checks::run::CheckOutcome;
use crate::checks::watch::WatchReport;
use crate::clock;
use crate::names::{ReleaseId, SlotName};
use crate::source::Changes;

/// What a slot serves, for readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotView {
    /// The slot.
    pub slot: SlotName,
    /// Its URL.
    pub url: String,
    /// The build, by its release id or image, or why it is not known.
    pub build: String,
    /// The release id, where the build has one.
    pub release: Option<ReleaseId>,
    /// SHA-256 of the package, where Slotway noted it.
    pub sha256: Option<String>,
}

/// How the end of a swap became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// By the answer to the request itself.
    Answer,
    /// By a poll of the operation.
    Operation,
    /// By the site's own swap status, ahead of the operation's next poll.
    SiteStatus,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run began.
    Started {
        /// The verb.
        verb: &'static str,
        /// The app.
        site: String,
        /// The slot to go through.
        staging: SlotName,
    },
    /// How the run signs in.
    SignedIn {
        /// The way, and for whom.
        how: String,
    },
    /// Azure's state before anything was touched.
    FactsRead {
        /// Production, where it may be read.
        production: Option<SlotView>,
        /// The slot to go through.
        staging: Option<SlotView>,
    },
    /// What will be done.
    Planned {
        /// The steps.
        steps: Vec<String>,
        /// The new build, where it is in a slot already.
        release: Option<ReleaseId>,
    },
    /// What the plan changes for production, by commits; told and never decided by.
    Compared(Box<Changes>),
    /// The release went from one phase to another.
    Moved {
        /// What led there.
        because: Step,
        /// Where it is now.
        phase: Phase,
    },
    /// The release waits for something.
    Waiting {
        /// For what.
        what: String,
        /// How long at most.
        limit: Duration,
    },
    /// The package is ready to be sent.
    PackageReady {
        /// Its type.
        package_type: String,
        /// Its length.
        size_bytes: u64,
        /// Files in it, where they were counted.
        files: Option<u64>,
        /// Its digest.
        sha256: String,
    },
    /// A part of a slot's configuration was set, and read back.
    Configured {
        /// Which slot.
        slot: SlotName,
        /// Which part, as "startup command".
        what: String,
    },
    /// The package was sent.
    Uploaded {
        /// Its length.
        size_bytes: u64,
        /// How long it took.
        elapsed: Duration,
    },
    /// The deployment ended well, under this id.
    Deployed {
        /// The release id from now on.
        release: ReleaseId,
        /// From the upload's end.
        elapsed: Duration,
    },
    /// Instances were waited for.
    Ready {
        /// Of which slot.
        slot: SlotName,
        /// What each came to.
        instances: Vec<InstanceReady>,
    },
    /// Checks came to their verdicts.
    Checked {
        /// Of which slot.
        slot: SlotName,
        /// Each check.
        outcomes: Vec<CheckOutcome>,
    },
    /// The one swap request went out.
    SwapSent {
        /// Which way.
        direction: Direction,
    },
    /// The swap came to an end of whatever kind.
    SwapEnded {
        /// Which way.
        direction: Direction,
        /// What its answer claims.
        claim: Claim,
        /// How that became known.
        learnt: Learnt,
        /// Since the request went out.
        elapsed: Duration,
    },
    /// Azure was read.
    Observed {
        /// What production serves, compared with before.
        serving: Serving,
        /// What each slot serves.
        production: String,
        /// The other slot.
        staging: String,
    },
    /// The watch over production ended.
    Watched(Box<WatchReport>),
    /// Something odd that decides nothing.
    Warned {
        /// What.
        text: String,
    },
    /// Something failed. The first of these is the cause.
    Failed {
        /// What.
        cause: String,
        /// What to do.
        help: Vec<String>,
    },
    /// The run ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// What production serves, as last read.
        production: String,
        /// What the other slot serves, as last read.
        staging: String,
    },
}

/// An event with its time.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it happened.
    pub at: OffsetDateTime,
    /// Since the run began.
    pub elapsed: Duration,
    /// What happened.
    pub event: Event,
}

/// The list of entries; each is shown to a callback as it is added.
pub struct Journal<'a> {
    began: Instant,
    entries: Vec<Entry>,
    show: &'a (dyn Fn(&Entry) + Send + Sync),
}

impl<'a> Journal<'a> {
    /// An empty journal.
    pub fn new(show: &'a (dyn Fn(&Entry) + Send + Sync)) -> Self {
        Self { began: Instant::now(), entries: Vec::new(), show }
    }

    /// Adds an entry.
    pub fn add(&mut self, event: Event) {
        let entry = Entry { at: clock::now(), elapsed: self.began.elapsed(), event };
        (self.show)(&entry);
        self.entries.push(entry);
    }

    /// Adds a failure with what to do about it.
    pub fn fail(&mut self, cause: impl std::fmt::Display, help: Vec<String>) {
        self.add(Event::Failed { cause: cause.to_string(), help });
    }

    /// Adds something odd that decides nothing.
    pub fn warn(&mut self, text: impl std::fmt::Display) {
        self.add(Event::Warned { text: text.to_string() });
    }

    /// All entries so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All entries, at the end.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

/// What a reader wants to know first, derived from the entries.
#[derive(Debug, Clone, Default)]
pub struct Conclusion {
    /// How it ended; none when it did not.
    pub outcome: Option<Outcome>,
    /// The first cause and what to do about it.
    pub cause: Option<(String, Vec<String>)>,
    /// What failed after that.
    pub further: Vec<String>,
    /// The new build.
    pub release: Option<ReleaseId>,
    /// Production before.
    pub before: Option<SlotView>,
    /// The other slot before.
    pub staging_before: Option<SlotView>,
    /// What production serves at the end.
    pub production: Option<String>,
    /// What the other slot serves at the end.
    pub staging: Option<String>,
    /// What changes for production, by commits.
    pub changes: Option<Changes>,
    /// The watch over production.
    pub watch: Option<WatchReport>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Conclusion {
    /// Draws the conclusion.
    pub fn of(entries: &[Entry]) -> Self {
        let mut conclusion = Self::default();
        for entry in entries {
            conclusion.elapsed = entry.elapsed;
            match &entry.event {
                Event::FactsRead { production, staging } => {
                    conclusion.before.clone_from(production);
                    conclusion.staging_before.clone_from(staging);
                    conclusion.production = production.as_ref().map(|slot| slot.build.clone());
                    conclusion.staging = staging.as_ref().map(|slot| slot.build.clone());
                }
                Event::Planned { release, .. } => conclusion.release.clone_from(release),
                Event::Deployed { release, .. } => conclusion.release = Some(release.clone()),
                Event::Compared(changes) => conclusion.changes = Some((**changes).clone()),
                Event::Watched(report) => conclusion.watch = Some((**report).clone()),
                Event::Failed { cause, help } if conclusion.cause.is_none() => {
                    conclusion.cause = Some((cause.clone(), help.clone()));
                }
                Event::Failed { cause, .. } => conclusion.further.push(cause.clone()),
                Event::Observed { production, staging, .. } => {
                    conclusion.production = Some(production.clone());
                    conclusion.staging = Some(staging.clone());
                }
                Event::Ended { outcome, production, staging } => {
                    conclusion.outcome = Some(*outcome);
                    if matches!(outcome, Outcome::Released | Outcome::Staged | Outcome::NothingToDo) {
                        // What went wrong on the way is in the log; it is the cause of nothing.
                        conclusion.cause = None;
                        conclusion.further.clear();
                    }
                    conclusion.production = Some(production.clone());
                    conclusion.staging = Some(staging.clone());
                }
                _ => {}
            }
        }
        conclusion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_is_kept_and_later_ones_are_added() {
        let mut journal = Journal::new(&|_| {});
        journal.fail("production failed its checks", vec!["look".to_owned()]);
        journal.fail("the swap back was refused", Vec::new());
        let conclusion = Conclusion::of(journal.entries());
        assert_eq!(conclusion.cause.expect("a cause").0, "production failed its checks");
        assert_eq!(conclusion.further, ["the swap back was refused"]);
    }
}
