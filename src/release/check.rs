//! Proving a slot: every instance answers, the checks pass, and Azure says that it
//! is this build.
//!
//! Owns the order of these proofs on each side. Must not decide what a failed proof
//! leads to.

use std::time::Duration;

use tokio::time::Instant;

use super::deploy::{LOG_LINES, log_text};
use super::journal::{Event, Journal};
use super::machine::Serving;
use super::observe::{self, Before, Until};
use super::{Progress, Release};
use crate::azure::Scm;
use crate::checks::file::ConfigFile;
use crate::checks::prove;
use crate::checks::ready::{InstanceReady, ReadySettings, wait_ready};
use crate::checks::run::{CheckOutcome, Target, deciding_verdict, run_all};
use crate::checks::spec::{Action, Check};
use crate::checks::verdict::{Verdict, worst};
use crate::facts::{self, Build, SlotFacts};
use crate::http::Wire;
use crate::names::{ReleaseId, SlotName};

/// How long both slots are read before the swap back.
const READ: Duration = Duration::from_secs(30);
/// Pause before a reading that failed is tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// How long the container's log may take, which only explains a failure.
const READ_LOG: Duration = Duration::from_secs(15);

/// What proving a target needs beside it, whoever signs in.
pub(super) struct Proving<'a> {
    pub(super) wire: &'a Wire,
    pub(super) config: &'a ConfigFile,
    pub(super) progress: &'a (dyn Fn(Progress) + Send + Sync),
    /// The slot's SCM site, pinned to one instance: its log may explain a failure.
    pub(super) scm: ScmOf<'a>,
}

/// The SCM site, pinned to one instance where one is named.
pub(super) type ScmOf<'a> = Box<dyn Fn(Option<&str>) -> Option<Scm> + Send + Sync + 'a>;

impl<'a> Proving<'a> {
    fn of(release: &'a Release<'_>, slot: &'a SlotFacts) -> Self {
        let wire = release.azure.http().wire();
        let scm = |instance: Option<&str>| facts::scm(release.azure, slot.scm_host.as_deref(), instance).ok();
        Self { wire, config: release.config, progress: release.progress, scm: Box::new(scm) }
    }

    /// Every instance answers, then the checks.
    pub(super) async fn staging(&self, target: &Target, journal: &mut Journal<'_>) -> bool {
        if !self.ready(target, journal).await {
            return false;
        }
        let limit = self.config.limits.checks;
        journal.add(Event::Waiting { what: format!("the checks of {}", target.slot), limit });
        let checks = checks_for(self.config, &target.slot);
        let progress = |progress| (self.progress)(Progress::Checking(progress));
        let outcomes = run_all(self.wire, &checks, target, Instant::now() + limit, &progress).await;
        judge(target, outcomes, journal)
    }

    async fn ready(&self, target: &Target, journal: &mut Journal<'_>) -> bool {
        let limit = self.config.limits.ready;
        let count = target.instances.len().max(1);
        let every = if count == 1 { "the instance".to_owned() } else { format!("all {count} instances") };
        journal.add(Event::Waiting { what: format!("{every} of {}", target.slot), limit });
        let progress = |progress| (self.progress)(Progress::Ready(progress));
        let settings = ReadySettings::default();
        let instances = wait_ready(self.wire, target, &settings, Instant::now() + limit, &progress).await;
        let verdict = worst(instances.iter().map(|instance| instance.verdict));
        let bad = instances.iter().find(|instance| instance.verdict != Verdict::Pass).cloned();
        journal.add(Event::Ready { slot: target.slot.clone(), instances });
        if let Some(bad) = bad {
            let log = self.container_log(bad.instance.as_deref()).await;
            let help = match log.is_empty() {
                true => "look at the container log: az webapp log tail",
                false => "the end of the container log above may say why; all of it: az webapp log tail",
            };
            let cause = format!("{} is not ready: {}{}", target.slot, describe(&bad), log_text(&log));
            journal.fail(cause, vec![help.to_owned()]);
        }
        verdict == Verdict::Pass
    }

    /// The end of the slot's container log; nothing where it cannot be read, for it only explains.
    async fn container_log(&self, instance: Option<&str>) -> Vec<String> {
        let Some(scm) = (self.scm)(instance) else { return Vec::new() };
        let read = tokio::time::timeout(READ_LOG, scm.container_log(LOG_LINES)).await;
        read.ok().and_then(Result::ok).unwrap_or_default()
    }
}

/// Staging: every instance answers, then the checks.
pub async fn staging(release: &Release<'_>, id: Option<&ReleaseId>, journal: &mut Journal<'_>) -> bool {
    let Some(slot) = &release.facts.staging else { return false };
    let target = target(release, slot, id).await;
    Proving::of(release, slot).staging(&target, journal).await
}

/// Production: every instance answers, then the checks, again and again for the
/// asked time.
pub async fn production(release: &Release<'_>, id: Option<&ReleaseId>, journal: &mut Journal<'_>) -> bool {
    let target = target(release, &release.facts.production, id).await;
    if !Proving::of(release, &release.facts.production).ready(&target, journal).await {
        return false;
    }
    let limit = release.config.limits.checks;
    journal.add(Event::Waiting { what: "the checks of production".to_owned(), limit });
    let mut checks = checks_for(release.config, &target.slot);
    // Commands that passed are not run again: what is kept up for a time are requests.
    if !checks.iter().any(|check| matches!(check.action, Action::Request(_))) {
        checks.push(Check::answers_below_500("/"));
    }
    let progress = |progress| (release.progress)(Progress::Checking(progress));
    let soak = &release.config.production;
    let wire = release.azure.http().wire();
    let outcomes = prove(wire, &checks, &target, soak, Instant::now() + limit, &progress).await;
    judge(&target, outcomes, journal) && is_whole(release, journal).await
}

/// A deployment that began in the slot in the moment of the swap came to production with
/// it: what is served is then half of each build, whatever the record says. One reading that
/// fails is no reason to believe that there is none; where production's record could not be read
/// before either, the last reading before the outcome decides.
async fn is_whole(release: &Release<'_>, journal: &mut Journal<'_>) -> bool {
    let production = &release.facts.production;
    let was_recorded = !matches!(production.build, Build::Unreadable(_));
    let deadline = Instant::now() + READ;
    let now = loop {
        let read = facts::read_known_slot(release.azure, release.path, production);
        // One silent request must not take the time of all.
        match tokio::time::timeout(READ / 3, read).await {
            Ok(Ok(now)) if !(was_recorded && matches!(now.build, Build::Unreadable(_))) => break now,
            _ if was_recorded && Instant::now() + READ_AGAIN < deadline => {}
            _ => return true,
        }
        tokio::time::sleep(READ_AGAIN).await;
    };
    let Some(id) = now.deploying else { return true };
    let cause = format!("the deployment {id} has begun in production's content and has not ended");
    journal.fail(cause, vec!["let one pipeline at a time deploy to this slot".to_owned()]);
    false
}

/// The slot where the old build should lie: going back to it must not make things
/// worse. Its instances restarted at the switch, so they get the time that a start may
/// take (arm-app-service §7, 6); last of all both slots are read once more, for somebody
/// may have deployed there since.
pub async fn other_slot(release: &Release<'_>, before: &Before, journal: &mut Journal<'_>) -> bool {
    let Some(slot) = &release.facts.staging else { return false };
    let target = target(release, slot, None).await;
    let by_hand = "decide by hand: fix forward, or swap back with: az webapp deployment slot swap";
    if !Proving::of(release, slot).ready(&target, journal).await {
        let cause = format!("{} is bad too, so going back there would not help", slot.slot);
        journal.fail(cause, vec![by_hand.to_owned()]);
        return false;
    }
    let now = observe::observe(release, before, Until::Told, READ).await;
    if let Some(id) = &now.deploying {
        let cause = format!("the deployment {id} is under way in {}, so it is not swapped in", slot.slot);
        journal.fail(cause, vec![by_hand.to_owned()]);
        return false;
    }
    if now.serving == Serving::New && now.staging_serves == Serving::Old {
        return true;
    }
    let cause = format!(
        "{} serves {}, not the build from before ({}), so it is not swapped in",
        slot.slot, now.staging, before.old
    );
    journal.fail(cause, vec![by_hand.to_owned()]);
    false
}

/// Production after the rollback: the old build answers on every instance. The
/// checks of the new build are not asked of it.
pub async fn rolled_back(release: &Release<'_>, journal: &mut Journal<'_>) -> bool {
    let target = target(release, &release.facts.production, None).await;
    Proving::of(release, &release.facts.production).ready(&target, journal).await
}

/// Without checks of its own, a slot must answer on its root below 500 on every instance.
fn checks_for(config: &ConfigFile, slot: &SlotName) -> Vec<Check> {
    let given: Vec<Check> = config.checks.iter().filter(|check| check.applies_to(slot)).cloned().collect();
    if given.is_empty() { vec![Check::answers_below_500("/")] } else { given }
}

/// The slot with the instances it has now: a plan may have been scaled, and a slot
/// that was never started had none when the facts were read.
async fn target(release: &Release<'_>, slot: &SlotFacts, id: Option<&ReleaseId>) -> Target {
    let now = release.azure.instances(release.path, &slot.slot).await;
    let instances = now.ok().filter(|names| !names.is_empty()).unwrap_or_else(|| slot.instances.clone());
    Target {
        base_url: slot.url.clone(),
        slot: slot.slot.clone(),
        release_id: id.cloned(),
        instances,
        environment: release.environment.clone(),
        working_directory: None,
    }
}

fn describe(instance: &InstanceReady) -> String {
    match &instance.instance {
        Some(name) => {
            let short: String = name.chars().take(8).collect();
            format!("instance {short}: {}", instance.detail)
        }
        None => instance.detail.clone(),
    }
}

fn judge(target: &Target, outcomes: Vec<CheckOutcome>, journal: &mut Journal<'_>) -> bool {
    let verdict = deciding_verdict(&outcomes);
    let bad: Vec<CheckOutcome> =
        outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Pass).cloned().collect();
    journal.add(Event::Checked { slot: target.slot.clone(), outcomes });
    for outcome in bad {
        let words = match outcome.verdict {
            Verdict::Fail => "failed",
            Verdict::Error => "could not be measured",
            Verdict::Inconclusive => "came to no verdict",
            Verdict::Pass => "passed",
        };
        let text = format!("{}: the check \"{}\" {words}: {}", target.slot, outcome.name, outcome.detail);
        if outcome.critical {
            journal.fail(text, Vec::new());
        } else {
            journal.warn(text);
        }
    }
    verdict == Verdict::Pass
}
