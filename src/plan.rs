//! From what is asked and what is true to what will be done, or why not.
//!
//! Pure: no I/O, no clock. Finds every refusal at once, each with what to do.

use serde::Serialize;

use builds::{about_the_builds, before, is_live, marks_unread, nothing_to_roll_back, unmarked_image};

use crate::facts::{Build, Facts, SlotFacts};
use crate::names::{ReleaseId, SlotName};

mod builds;
pub mod movement;
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

/// What goes to staging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ships {
    /// A package, by way of Kudu.
    Package,
    /// An image, by way of the slot's configuration.
    Image(ReleaseId),
    /// Nothing, or nobody has said it: only a look is wanted.
    Unsaid,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// The verb.
    pub verb: Verb,
    /// What goes to staging.
    pub ships: Ships,
    /// The start command that staging is to have.
    pub startup_command: Option<String>,
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

/// Also an earlier swap that never came: its limit has been waited for.
fn nothing_to_settle(order: &Order, facts: &Facts) -> Option<String> {
    if order.verb != Verb::Settle {
        return None;
    }
    let serves = &facts.production.build;
    match unfinished(facts) {
        // That there is no mark tells nothing where there cannot be one.
        None if unmarked_image(facts).is_some() || marks_unread(facts).is_some() => None,
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
        warnings: warnings(order, facts),
    }
}

fn steps(start: Start, order: &Order, staging: &SlotFacts) -> Vec<Step> {
    let slot = &staging.slot;
    let step = |what: String, changes: &'static str| Step { what, changes };
    let deploy = match &order.ships {
        Ships::Image(image) => step(format!("set the image of {slot} to {image}"), "staging"),
        Ships::Package | Ships::Unsaid => step(format!("deploy the package to {slot}"), "staging"),
    };
    let check = step(format!("check {slot} on every instance"), "nothing");
    let swap = step(format!("swap {slot} with production, once"), "staging and production");
    let prove = step("check production; roll back by itself if it fails".to_owned(), "both, if it fails");
    match start {
        Start::Deploy => {
            let configure =
                order.startup_command.as_ref().filter(|wanted| **wanted != staging.startup_command);
            let first = configure.map(|_| step(format!("set the startup command of {slot}"), "staging"));
            let then = if order.verb == Verb::Deploy { vec![] } else { vec![swap, prove] };
            first.into_iter().chain([deploy, check]).chain(then).collect()
        }
        Start::CheckStaging => vec![check, swap, prove],
        Start::CheckProduction => vec![prove],
        Start::RollBack => vec![
            step(format!("look at {slot}, where the version before lies"), "nothing"),
            swap,
            step("check that the version before is back".to_owned(), "nothing"),
        ],
    }
}

fn warnings(order: &Order, facts: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Ships::Image(image) = &order.ships
        && image.is_moving()
    {
        warnings.push(format!(
            "{image} has no tag of its own: when it is pushed again, a restart runs another build under the same name"
        ));
    }
    if let Build::Unreadable(why) = &facts.production.build {
        warnings.push(format!("which build production serves could not be read: {why}"));
    }
    if let (Verb::Release | Verb::Deploy, Some(why)) = (order.verb, &facts.production.note_unread) {
        warnings.push(format!("whether an earlier run proved production could not be read: {why}"));
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
