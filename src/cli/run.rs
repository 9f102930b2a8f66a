//! The verbs that change something: inputs, package and facts, plan, release, report.

use std::path::Path;
use std::time::Duration;

use super::changes::changes;
use super::context::Context;
use super::record::Record;
use crate::artifact::{self, Artifact, PackageType};
use crate::azure::ResourceManager;
use crate::azure::SitePath;
use crate::error::{Error, exit_code};
use crate::facts::{self, Facts, SlotFacts};
use crate::host::{Host, origin};
use crate::inputs::{self, Inputs, Needs};
use crate::names::{ReleaseId, SiteName, SlotName};
use crate::plan::{self, Decision, Order, Plan, Ships, Unfinished, Verb};
use crate::release::journal::{Conclusion, Entry, Event, Journal, SlotView};
use crate::release::machine::{self, Direction, Event as Step, Outcome, Phase};
use crate::release::{self, Deliverable, Package, Release, earlier, marks};
use crate::report::next::{Next, Place, Subject, next};
use crate::source::Source;

/// Carries out one of the verbs, reports, and gives back the exit code.
pub(super) async fn change(context: &Context, verb: Verb) -> Result<u8, Error> {
    let inputs = context.inputs(Needs::Change(verb))?;
    // What is settled belongs to a record that was begun before.
    let record = if verb == Verb::Settle { None } else { Record::begin(context).await };
    let done = journaled(context, verb, &inputs).await;
    let (site, slot) = (inputs.connection.site.clone(), inputs.slot.clone());
    finish(context, verb, record, done, &Handover { site, slot, release: inputs.release_id.clone() }).await
}

/// What the next command is about.
pub(super) struct Handover {
    pub(super) site: SiteName,
    pub(super) slot: SlotName,
    /// The release that was asked for.
    pub(super) release: Option<ReleaseId>,
}

/// Reports, and gives back the exit code.
pub(super) async fn finish(
    context: &Context,
    verb: Verb,
    record: Option<Record>,
    done: Result<Done, Error>,
    handover: &Handover,
) -> Result<u8, Error> {
    let Done { outcome, entries, bug } = match done {
        Ok(done) => done,
        Err(error) => {
            if let Some(record) = record {
                let summary = context.error_summary(&error, verb.word());
                record.end(context, &Conclusion::default(), false, &summary).await;
            }
            return Err(error);
        }
    };
    let code = if bug { INTERNAL_ERROR } else { exit_code(outcome, verb) };
    let conclusion = Conclusion::of(&entries);
    let next = what_next(context, &conclusion, handover);
    let summary = context.report(&entries, code, next.as_ref());
    if let Some(record) = record {
        record.end(context, &conclusion, code == 0, &summary).await;
    }
    Ok(code)
}

fn what_next(context: &Context, conclusion: &Conclusion, handover: &Handover) -> Option<Next> {
    let rehearsal = context.raw.source("resource-manager-url") == Some(inputs::Source::Rehearsal);
    let place = match context.host {
        Host::GitHub if !rehearsal => Place::GitHub,
        Host::AzurePipelines if !rehearsal => Place::AzurePipelines,
        _ => Place::Terminal,
    };
    let Handover { site, slot, release } = handover;
    let cancelled = *context.cancelled.borrow();
    let subject = Subject { site, slot, release: release.as_ref(), cancelled };
    let mut next = next(conclusion, subject, place)?;
    if rehearsal {
        // Pasted as it stands the command would go to the real Azure.
        next.words = format!("on Azure, not in this rehearsal: {}", next.words);
    }
    Some(next)
}

/// The exit code of a bug; what production serves is said all the same.
pub(super) const INTERNAL_ERROR: u8 = crate::error::BUG;

/// How a verb ended, and all that happened.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) entries: Vec<Entry>,
    pub(super) bug: bool,
}

impl Done {
    pub(super) fn new(outcome: Outcome, journal: Journal<'_>) -> Self {
        Self { outcome, entries: journal.into_entries(), bug: false }
    }
}

/// Carries out one of the verbs and gives back what happened.
pub(super) async fn journaled(context: &Context, verb: Verb, inputs: &Inputs) -> Result<Done, Error> {
    let show = |entry: &_| context.terminal.show(entry);
    let mut journal = Journal::new(&show);
    journal.add(Event::Started {
        verb: verb.word(),
        site: inputs.connection.site.to_string(),
        staging: inputs.slot.clone(),
    });
    let artifact = match unless_cancelled(context, prepare(context, inputs)).await {
        Some(artifact) => artifact?,
        None => {
            let outcome = cancelled(verb, &mut journal);
            return Ok(Done { outcome, entries: journal.into_entries(), bug: false });
        }
    };
    let mut bug = false;
    let outcome = match carry_out(context, verb, inputs, artifact.as_ref(), &mut journal).await {
        Err(Error::Azure(error)) => {
            journal.fail(&error, error.help());
            refused(&mut journal)
        }
        Err(Error::Bug(error)) => {
            bug = true;
            journal.fail(error, Vec::new());
            end(&mut journal, Outcome::Stuck)
        }
        result => result?,
    };
    Ok(Done { outcome, entries: journal.into_entries(), bug })
}

/// Nothing has been touched yet, so a signal simply ends the work.
pub(super) async fn unless_cancelled<T>(context: &Context, work: impl Future<Output = T>) -> Option<T> {
    let mut cancelled = context.cancelled.clone();
    tokio::select! {
        biased;
        Ok(_) = cancelled.wait_for(|stop| *stop) => None,
        done = work => Some(done),
    }
}

pub(super) fn cancelled(verb: Verb, journal: &mut Journal<'_>) -> Outcome {
    let cause = "cancelled before anything was touched";
    match verb {
        // It has left nothing itself, but what it came for is there still.
        Verb::Settle => journal.fail(
            format!("{cause}: what an earlier run left is left still, and a swap may still be under way"),
            vec!["finish it with: slotway settle".to_owned()],
        ),
        _ => journal.fail(cause, Vec::new()),
    }
    refused(journal)
}

async fn carry_out(
    context: &Context,
    verb: Verb,
    inputs: &Inputs,
    artifact: Option<&Artifact>,
    journal: &mut Journal<'_>,
) -> Result<Outcome, Error> {
    let order = Order { only_of: context.only_of.clone(), ..order(verb, inputs) };
    let Some(looked) = unless_cancelled(context, look_and_wait(context, inputs, &order, journal)).await
    else {
        return Ok(cancelled(verb, journal));
    };
    let (azure, path, facts) = looked?;
    if let Some(artifact) = artifact {
        note_package(artifact, journal);
    }
    let plan = match plan::plan(&order, &facts) {
        Decision::Go(plan) => plan,
        Decision::Nothing(reason) => {
            journal.warn(reason);
            // Unforgotten it is waited for once more, and nothing else.
            unless_cancelled(context, forget_what_never_came(&azure, &order, &facts, journal)).await;
            journal.add(Event::Moved {
                because: Step::NothingToDo,
                phase: machine::next(Phase::Planned, Step::NothingToDo)?,
            });
            return Ok(end(journal, Outcome::NothingToDo));
        }
        Decision::Refused(refusals) => {
            for refusal in refusals {
                journal.fail(&refusal, vec![refusal.help().to_owned()]);
            }
            return Ok(refused(journal));
        }
    };
    announce(&plan, journal);
    if let Some(left) = plan::unfinished(&facts).filter(|left| verb == Verb::Settle && left.goes_back()) {
        // Whatever made that run go back, production is not what its pipeline wanted.
        journal.fail(left, vec!["see why in the log of the run that went back".to_owned()]);
    }
    let built = origin::source(context.host, &context.process);
    let Some(changes) = unless_cancelled(context, changes(context, &facts, &plan, built.clone())).await
    else {
        return Ok(cancelled(verb, journal));
    };
    if let Some(changes) = changes {
        journal.add(Event::Compared(Box::new(changes)));
    }
    let deliverable = match (&inputs.image, artifact) {
        (Some(image), _) => Some(Deliverable::Image(image.clone())),
        (None, artifact) => artifact.map(|artifact| {
            Deliverable::Package(Package {
                target_path: inputs.target_path.clone(),
                clean: inputs.clean,
                restart: inputs.restart,
                ..package(artifact, built)
            })
        }),
    };
    let progress = |progress| context.terminal.progress(progress);
    let release = Release {
        azure: &azure,
        path: &path,
        staging: inputs.slot.clone(),
        config: &context.config,
        facts: &facts,
        plan: &plan,
        deliverable: deliverable.as_ref(),
        startup_command: inputs.startup_command.as_deref(),
        restarts: inputs.restart.unwrap_or(true),
        run: context.host.run(&context.process),
        environment: context.environment.clone(),
        cancelled: context.cancelled.clone(),
        progress: &progress,
    };
    Ok(release::run(&release, journal).await?)
}

/// Reads the facts, and again until no swap of an earlier run can change them.
async fn look_and_wait(
    context: &Context,
    inputs: &Inputs,
    order: &Order,
    journal: &mut Journal<'_>,
) -> Result<(ResourceManager, SitePath, Facts), Error> {
    let (azure, path, facts) = look(context, inputs, journal).await?;
    let was = plan::unfinished(&facts);
    let concerns = |left: &Unfinished| order.concerns(left);
    let limits = &context.config.limits;
    let facts = earlier::awaited(&azure, facts, &inputs.slot, limits, &concerns, journal).await;
    if plan::unfinished(&facts) != was {
        journal.add(facts_read(&facts));
    }
    Ok((azure, path, facts))
}

/// The next run must not wait again for a swap whose time is over.
async fn forget_what_never_came(
    azure: &ResourceManager,
    order: &Order,
    facts: &Facts,
    journal: &mut Journal<'_>,
) {
    let left = plan::unfinished(facts).filter(|left| order.concerns(left));
    if let (Verb::Settle, Some(Unfinished::SwapSent { .. }), Some(staging)) =
        (order.verb, left, &facts.staging)
    {
        let mut note = staging.note.clone();
        marks::withdrawn(azure, Some(staging), &mut note, Direction::Forward, journal).await;
    }
}

/// What a read that goes wrong every time may take (`http::Request::get`).
const LOOKING: Duration = Duration::from_secs(120);

/// Signs in and reads the facts.
pub(super) async fn look(
    context: &Context,
    inputs: &Inputs,
    journal: &mut Journal<'_>,
) -> Result<(ResourceManager, SitePath, Facts), Error> {
    journal.add(Event::Waiting { what: "Azure's word about the app".to_owned(), limit: LOOKING });
    let (azure, path) = context.connect(&inputs.connection).await?;
    journal.add(Event::SignedIn { how: azure.credential().describe() });
    let facts = facts::gather(&azure, &path, &inputs.slot).await?;
    journal.add(facts_read(&facts));
    Ok((azure, path, facts))
}

fn facts_read(facts: &Facts) -> Event {
    Event::FactsRead { production: Some(view(&facts.production)), staging: facts.staging.as_ref().map(view) }
}

/// What is asked for, for the plan.
pub(super) fn order(verb: Verb, inputs: &Inputs) -> Order {
    let ships = match (&inputs.image, &inputs.package) {
        (Some(image), _) => Ships::Image(image.clone()),
        (None, Some(_)) => Ships::Package,
        (None, None) => Ships::Unsaid,
    };
    Order {
        verb,
        ships,
        startup_command: inputs.startup_command.clone(),
        staging: inputs.slot.clone(),
        release: inputs.release_id.clone(),
        previous: inputs.previous_build.clone(),
        only_of: None,
    }
}

/// What a slot serves, for readers.
pub(super) fn view(slot: &SlotFacts) -> SlotView {
    SlotView {
        slot: slot.slot.clone(),
        url: slot.url.to_string(),
        build: slot.build.to_string(),
        release: slot.build.release_id().cloned(),
        sha256: slot.note.as_ref().and_then(|note| note.sha256.clone()),
    }
}

/// Prepares the package, where one is given.
pub(super) async fn prepare(context: &Context, inputs: &Inputs) -> Result<Option<Artifact>, Error> {
    prepare_package(context, inputs.package.as_deref(), inputs.package_type.as_deref()).await
}

/// The same, from the two inputs that it takes.
pub(super) async fn prepare_package(
    context: &Context,
    package: Option<&Path>,
    package_type: Option<&str>,
) -> Result<Option<Artifact>, Error> {
    let Some(path) = package else { return Ok(None) };
    let chosen = match package_type {
        Some(word) => {
            Some(word.parse::<PackageType>().map_err(|error| super::context::problem("type", error))?)
        }
        None => None,
    };
    let progress = |progress| context.terminal.packing(progress);
    Ok(Some(artifact::prepare(path, chosen, &progress).await?))
}

pub(super) fn note_package(artifact: &Artifact, journal: &mut Journal<'_>) {
    for warning in &artifact.warnings {
        journal.warn(warning);
    }
    journal.add(Event::PackageReady {
        package_type: artifact.package_type.to_string(),
        size_bytes: artifact.size_bytes,
        files: artifact.files,
        sha256: artifact.sha256.clone(),
    });
}

/// The package as it is sent; where it goes, and whether it cleans and restarts, is added by the inputs.
pub(super) fn package(artifact: &Artifact, source: Option<Source>) -> Package {
    Package {
        path: artifact.path().to_owned(),
        package_type: artifact.package_type.to_string(),
        size_bytes: artifact.size_bytes,
        sha256: artifact.sha256.clone(),
        target_path: None,
        clean: None,
        restart: None,
        source,
    }
}

fn announce(plan: &Plan, journal: &mut Journal<'_>) {
    for warning in &plan.warnings {
        journal.warn(warning);
    }
    let steps = plan.steps.iter().map(|step| step.what.clone()).collect();
    journal.add(Event::Planned { steps, release: plan.release.clone() });
}

fn refused(journal: &mut Journal<'_>) -> Outcome {
    journal.add(Event::Moved { because: Step::PlanRefused, phase: Phase::Ended(Outcome::Refused) });
    end(journal, Outcome::Refused)
}

fn end(journal: &mut Journal<'_>, outcome: Outcome) -> Outcome {
    let conclusion = Conclusion::of(journal.entries());
    let unread = || "could not be read".to_owned();
    journal.add(Event::Ended {
        outcome,
        production: conclusion.production.unwrap_or_else(unread),
        staging: conclusion.staging.unwrap_or_else(unread),
    });
    outcome
}
