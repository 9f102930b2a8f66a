//! From what is asked and what is true to what will be done, or why not.
//!
//! Pure: no I/O, no clock. Finds every refusal at once, each with what to do.

use serde::Serialize;

use crate::facts::{Build, End, Facts, Note, SlotFacts};
use crate::names::{ReleaseId, SlotName};

mod refusal;
mod unfinished;

pub use refusal::Refusal;
pub use unfinished::{Unfinished, unfinished};

/// The verbs that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Deploy, check, swap, prove, roll back if needed.
    Release,
    /// Deploy and check staging.
    Deploy,
    /// Swap what staging serves, prove, roll back if needed.
    Swap,
    /// Bring back the version before.
    Rollback,
    /// Finish what an earlier run left.
    Settle,
}

impl Verb {
    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Deploy => "deploy",
            Self::Swap => "swap",
            Self::Rollback => "rollback",
            Self::Settle => "settle",
        }
    }
}

/// Where a plan begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At the package.
    Deploy,
    /// At the build that staging serves already.
    CheckStaging,
    /// At the build that production serves already: an earlier run swapped it in.
    CheckProduction,
    /// At going back.
    RollBack,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// The verb.
    pub verb: Verb,
    /// The slot to go through.
    pub staging: SlotName,
    /// The build to swap in, or to take back.
    pub release: Option<ReleaseId>,
    /// The build that production is expected to serve, or to get back.
    pub previous: Option<ReleaseId>,
    /// Settle only what this pipeline run left; whatever there is, where none is given.
    pub only_of: Option<String>,
}

impl Order {
    /// Whether what an earlier run left is this order's affair.
    pub fn concerns(&self, left: &Unfinished) -> bool {
        self.verb != Verb::Settle || self.only_of.is_none() || self.only_of == left.mark().by
    }
}

/// One step, in the words of a reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What is done.
    pub what: String,
    /// What it changes.
    pub changes: &'static str,
}

/// What will be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where it begins.
    pub start: Start,
    /// Whether staging goes to production once it passed.
    pub swaps: bool,
    /// The new build, where it is known already.
    pub release: Option<ReleaseId>,
    /// The build to go back to.
    pub old: Build,
    /// The steps, for people.
    pub steps: Vec<Step>,
    /// What is odd and forbids nothing.
    pub warnings: Vec<String>,
}

/// What the plan comes to.
#[derive(Debug, Clone)]
pub enum Decision {
    /// This will be done.
    Go(Plan),
    /// There is nothing to do, and why.
    Nothing(String),
    /// It is forbidden, for all these reasons.
    Refused(Vec<Refusal>),
}

/// Plans.
pub fn plan(order: &Order, facts: &Facts) -> Decision {
    if let Some(reason) = nothing_to_roll_back(order, facts).or_else(|| nothing_to_settle(order, facts)) {
        return Decision::Nothing(reason);
    }
    let mut refusals = about_the_app(order, facts);
    if let Some(staging) = &facts.staging {
        refusals.extend(about_the_slots(order, facts, staging));
        refusals.extend(about_the_builds(order, facts, staging));
        if refusals.is_empty() {
            return Decision::Go(build(order, facts, staging));
        }
    }
    Decision::Refused(refusals)
}

fn about_the_app(order: &Order, facts: &Facts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let tier = facts.tier.as_deref().unwrap_or_default();
    if facts.on_container_apps {
        refusals.push(Refusal::OnContainerApps);
    }
    // Slots per app by tier: includes/azure-websites-limits.md; Flex Consumption has none.
    if ["Free", "Shared", "Basic", "FlexConsumption"].iter().any(|none| none.eq_ignore_ascii_case(tier)) {
        refusals.push(Refusal::TierWithoutSlots { tier: tier.to_owned() });
    }
    if order.staging.is_production() {
        refusals.push(Refusal::SlotIsProduction);
    } else if facts.staging.is_none() {
        let names: Vec<&str> = facts.slots.iter().map(SlotName::as_str).collect();
        refusals.push(Refusal::NoSuchSlot {
            site: facts.path.site.to_string(),
            slot: order.staging.to_string(),
            has: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        });
    }
    refusals
}

fn about_the_slots(order: &Order, facts: &Facts, staging: &SlotFacts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for side in [&facts.production, staging] {
        let slot = side.slot.clone();
        let condition = if side.state.eq_ignore_ascii_case("Stopped") {
            Some("stopped")
        } else if !side.enabled {
            Some("disabled by the platform")
        } else if side.usage_state.eq_ignore_ascii_case("Exceeded") {
            Some("over its quota")
        } else {
            None
        };
        // Production that is down must not block what repairs it, nor what does not touch it.
        let matters = slot == staging.slot || matches!(order.verb, Verb::Release | Verb::Swap);
        if let Some(condition) = condition.filter(|_| matters) {
            refusals.push(Refusal::NotRunning { slot: slot.clone(), condition: condition.to_owned() });
        }
        if let Some(with) = &side.prepared_with {
            refusals.push(Refusal::PreviewPending { slot: slot.clone(), with: with.clone() });
        }
        if let Some(operation) = &side.operation {
            refusals.push(Refusal::OperationUnderWay { slot, operation: operation.clone() });
        }
    }
    if matches!(order.verb, Verb::Release | Verb::Deploy)
        && let Some(with) = &staging.auto_swap
    {
        refusals.push(Refusal::AutoSwap { slot: staging.slot.clone(), with: with.clone() });
    }
    if matches!(order.verb, Verb::Release | Verb::Swap) {
        let rule = facts
            .production
            .traffic
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(staging.slot.as_str()));
        if let Some((_, percent)) = rule {
            refusals.push(Refusal::TrafficRule { slot: staging.slot.clone(), percent: percent.to_string() });
        }
    }
    refusals
}

fn about_the_builds(order: &Order, facts: &Facts, staging: &SlotFacts) -> Vec<Refusal> {
    match order.verb {
        Verb::Release | Verb::Deploy => about_deploying(facts, staging),
        Verb::Swap => about_swapping(order, facts, staging),
        Verb::Rollback => about_rolling_back(order, facts, staging),
        // The release looks before it goes anywhere; what it cannot do is said there.
        Verb::Settle => Vec::new(),
    }
}

fn about_deploying(facts: &Facts, staging: &SlotFacts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    match &staging.build {
        Build::Image(image) => {
            refusals.push(Refusal::IsContainer { slot: staging.slot.clone(), image: image.clone() });
        }
        Build::Unreadable(why) => {
            refusals.push(Refusal::ScmUnreadable { slot: staging.slot.clone(), why: why.clone() });
        }
        Build::Deployment(_) | Build::Nothing => {}
    }
    // The other slot holds the way back. Whoever was told of it by the run that could not
    // finish may overwrite it.
    let told = |note: &Note| note.swap.as_ref().is_some_and(|mark| mark.end == Some(End::Stuck));
    if let Some(left @ (Unfinished::Unproven { .. } | Unfinished::RollbackSent { .. })) = unfinished(facts)
        && !facts.production.note.as_ref().is_some_and(told)
    {
        refusals.push(Refusal::Unfinished { left: left.to_string() });
    }
    refusals
}

fn about_swapping(order: &Order, facts: &Facts, staging: &SlotFacts) -> Vec<Refusal> {
    if is_live(order, facts) {
        return Vec::new();
    }
    let mut refusals = Vec::new();
    match (&staging.build, &order.release) {
        (Build::Unreadable(why), _) => {
            refusals.push(Refusal::ScmUnreadable { slot: staging.slot.clone(), why: why.clone() });
        }
        (Build::Deployment(serves), Some(wanted)) if serves != wanted => {
            refusals.push(Refusal::StagingMovedOn { serves: serves.to_string(), wanted: wanted.clone() });
        }
        (Build::Deployment(_), _) => {}
        (other, _) => refusals.push(Refusal::NothingToSwap { why: other.to_string() }),
    }
    if let Some(expected) = &order.previous
        && facts.production.build.release_id() != Some(expected)
    {
        refusals.push(Refusal::ProductionMovedOn {
            serves: facts.production.build.to_string(),
            expected: expected.to_string(),
        });
    }
    refusals
}

fn about_rolling_back(order: &Order, facts: &Facts, staging: &SlotFacts) -> Vec<Refusal> {
    let Some(release) = order.release.clone().or_else(|| facts.production.build.release_id().cloned()) else {
        return vec![Refusal::NothingToSwap { why: facts.production.build.to_string() }];
    };
    match (wanted_before(order, facts), &staging.build) {
        (None, _) => vec![Refusal::ReleaseUnknown],
        (_, Build::Nothing) => vec![Refusal::NothingToSwap { why: Build::Nothing.to_string() }],
        (_, Build::Unreadable(why)) => {
            vec![Refusal::ScmUnreadable { slot: staging.slot.clone(), why: why.clone() }]
        }
        (Some(wanted), serves) if !serves.to_string().eq_ignore_ascii_case(&wanted) => {
            vec![Refusal::PreviousIsGone { release, wanted, serves: serves.to_string() }]
        }
        _ => Vec::new(),
    }
}

/// The build to go back to from a release that is live. Whatever lies in the other
/// slot is not taken for it: it may be anybody's.
fn before(order: &Order, facts: &Facts) -> Build {
    let id = wanted_before(order, facts).and_then(|id| ReleaseId::new(id).ok());
    let unknown = || Build::Unreadable("nothing tells which build was before".to_owned());
    id.map_or_else(unknown, Build::Deployment)
}

/// The build that a rollback should bring back, where anybody has said it.
fn wanted_before(order: &Order, facts: &Facts) -> Option<String> {
    let noted = || facts.production.note.as_ref().and_then(|note| note.previous.clone());
    order.previous.as_ref().map(ToString::to_string).or_else(noted)
}

/// Whether production serves the release that is to be swapped in: an earlier run did it.
fn is_live(order: &Order, facts: &Facts) -> bool {
    order.release.is_some() && facts.production.build.release_id() == order.release.as_ref()
}

fn nothing_to_roll_back(order: &Order, facts: &Facts) -> Option<String> {
    if order.verb != Verb::Rollback {
        return None;
    }
    let release = order.release.as_ref()?;
    if matches!(facts.production.build, Build::Unreadable(_)) || is_live(order, facts) {
        return None;
    }
    Some(format!(
        "production serves {}, not {release}: there is nothing to roll back",
        facts.production.build
    ))
}

/// Also an earlier swap that never came: its limit has been waited for.
fn nothing_to_settle(order: &Order, facts: &Facts) -> Option<String> {
    if order.verb != Verb::Settle {
        return None;
    }
    let serves = &facts.production.build;
    match unfinished(facts) {
        None => Some(format!("no earlier run left anything unfinished; production serves {serves}")),
        Some(left) if !order.concerns(&left) => {
            Some(format!("another run will finish what it began: {left}"))
        }
        Some(left @ Unfinished::SwapSent { .. }) => {
            Some(format!("{left}, and its time is over: it did not happen, production serves {serves}"))
        }
        Some(_) => None,
    }
}

fn build(order: &Order, facts: &Facts, staging: &SlotFacts) -> Plan {
    let settled = if order.verb == Verb::Settle { unfinished(facts) } else { None };
    let live = order.verb == Verb::Swap && is_live(order, facts);
    let start = match order.verb {
        Verb::Release | Verb::Deploy => Start::Deploy,
        Verb::Swap if live => Start::CheckProduction,
        Verb::Swap => Start::CheckStaging,
        Verb::Settle if matches!(settled, Some(Unfinished::Unproven { .. })) => Start::CheckProduction,
        Verb::Rollback | Verb::Settle => Start::RollBack,
    };
    let taken_back = matches!(settled, Some(Unfinished::RollbackUnproven { .. }));
    let going_back = (live || matches!(order.verb, Verb::Rollback | Verb::Settle)) && !taken_back;
    let serving = |side: &SlotFacts| side.build.release_id().cloned();
    Plan {
        start,
        swaps: order.verb != Verb::Deploy,
        release: match order.verb {
            Verb::Release | Verb::Deploy => None,
            Verb::Swap if !live => serving(staging),
            Verb::Swap | Verb::Rollback => serving(&facts.production),
            Verb::Settle => settled.map(|left| left.release().clone()),
        },
        old: if going_back { before(order, facts) } else { facts.production.build.clone() },
        steps: steps(start, order, staging),
        warnings: warnings(facts),
    }
}

fn steps(start: Start, order: &Order, staging: &SlotFacts) -> Vec<Step> {
    let slot = &staging.slot;
    let step = |what: String, changes: &'static str| Step { what, changes };
    let deploy = step(format!("deploy the package to {slot}"), "staging");
    let check = step(format!("check {slot} on every instance"), "nothing");
    let swap = step(format!("swap {slot} with production, once"), "staging and production");
    let prove = step("check production; roll back by itself if it fails".to_owned(), "both, if it fails");
    match start {
        Start::Deploy if order.verb == Verb::Deploy => vec![deploy, check],
        Start::Deploy => vec![deploy, check, swap, prove],
        Start::CheckStaging => vec![check, swap, prove],
        Start::CheckProduction => vec![prove],
        Start::RollBack => vec![
            step(format!("look at {slot}, where the version before lies"), "nothing"),
            swap,
            step("check that the version before is back".to_owned(), "nothing"),
        ],
    }
}

fn warnings(facts: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Build::Unreadable(why) = &facts.production.build {
        warnings.push(format!("which build production serves could not be read: {why}"));
    }
    if facts.tier.is_none() {
        warnings.push("the App Service plan could not be read; whether it has slots is not known".to_owned());
    }
    if facts.production.instances.is_empty() {
        warnings.push("the instances could not be listed; one unpinned request stands for all".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests;
