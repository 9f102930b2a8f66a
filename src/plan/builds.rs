//! Which builds lie where, and what that allows.
//!
//! Owns the rules about what staging and production serve: whether a package or an image
//! fits, whether the release is still there, what to go back to. Pure.

use super::{Order, Refusal, Ships, Unfinished, Verb, unfinished};
use crate::facts::{Build, End, Facts, Note, SlotFacts};
use crate::names::ReleaseId;

pub(super) fn about_the_builds(order: &Order, facts: &Facts, staging: &SlotFacts) -> Vec<Refusal> {
    match order.verb {
        Verb::Release | Verb::Deploy => {
            let mut refusals = about_shipping(order, facts, staging);
            refusals.extend(about_the_way_back(facts));
            let is_container = matches!(staging.build, Build::Image(_)) || facts.is_for_containers();
            // As Azure/webapps-deploy (Validations.ts, startupCommandNotAllowed): IIS starts the app there.
            if order.startup_command.is_some() && !facts.is_linux() && !is_container {
                refusals.push(Refusal::NoStartupCommand { slot: staging.slot.clone() });
            }
            refusals
        }
        Verb::Swap => about_swapping(order, facts, staging),
        Verb::Rollback => about_rolling_back(order, facts, staging),
        // The release looks before it goes anywhere; what it cannot do is said there.
        Verb::Settle => {
            let no_marks = unmarked_image(facts).map(|image| Refusal::NoMarks { image });
            no_marks.or_else(|| marks_unread(facts)).into_iter().collect()
        }
    }
}

/// An image whose earlier runs cannot be settled: no mark lies beside an image.
pub(super) fn unmarked_image(facts: &Facts) -> Option<ReleaseId> {
    let builds = [Some(&facts.production), facts.staging.as_ref()].into_iter().flatten();
    builds.map(|slot| &slot.build).find_map(|build| match build {
        Build::Image(image) => Some(image.clone()),
        _ => None,
    })
}

/// Why it cannot be told whether an earlier run left anything: silence is no word of peace.
pub(super) fn marks_unread(facts: &Facts) -> Option<Refusal> {
    if unfinished(facts).is_some() {
        return None;
    }
    let slots = std::iter::once(&facts.production).chain(&facts.staging);
    let mut silent = slots.filter_map(|slot| unread(slot).map(|why| (slot.slot.clone(), why)));
    silent.next().map(|(slot, why)| Refusal::MarksUnread { slot, why })
}

/// The other slot holds the way back from a release that nobody proved. Whoever was told
/// of it, by the run that could not finish, may overwrite it.
fn about_the_way_back(facts: &Facts) -> Option<Refusal> {
    let told = |note: &Note| note.swap.as_ref().is_some_and(|mark| mark.end == Some(End::Stuck));
    match unfinished(facts)? {
        left @ (Unfinished::Unproven { .. } | Unfinished::RollbackSent { .. })
            if !facts.production.note.as_ref().is_some_and(told) =>
        {
            Some(Refusal::Unfinished { left: left.to_string() })
        }
        _ => None,
    }
}

fn about_shipping(order: &Order, facts: &Facts, staging: &SlotFacts) -> Vec<Refusal> {
    let slot = staging.slot.clone();
    let refusal = match (&order.ships, &staging.build) {
        (Ships::Package, Build::Image(_) | Build::Containers(_)) => {
            Refusal::IsContainer { slot, image: staging.build.to_string() }
        }
        (Ships::Package, Build::Unreadable(why)) => Refusal::ScmUnreadable { slot, why: why.clone() },
        (Ships::Image(_), Build::Containers(kind)) => Refusal::SeveralContainers { slot, kind },
        (Ships::Image(image), Build::Deployment(_) | Build::Nothing | Build::Unreadable(_))
            if !facts.is_for_containers() =>
        {
            Refusal::IsCode { slot, image: image.clone() }
        }
        (Ships::Image(image), _) if facts.production.build == Build::Image(image.clone()) => {
            Refusal::SameImage { image: image.clone() }
        }
        _ => return Vec::new(),
    };
    vec![refusal]
}

/// Two slots that serve one reference cannot be told apart, before a swap and after it.
fn same_image(facts: &Facts, staging: &SlotFacts) -> Option<Refusal> {
    match (&facts.production.build, &staging.build) {
        (Build::Image(one), Build::Image(other)) if one == other => {
            Some(Refusal::SameImage { image: one.clone() })
        }
        _ => None,
    }
}

fn about_swapping(order: &Order, facts: &Facts, staging: &SlotFacts) -> Vec<Refusal> {
    if let Some(refusal) = same_image(facts, staging) {
        return vec![refusal];
    }
    if is_live(order, facts) {
        return Vec::new();
    }
    let mut refusals = Vec::new();
    match (&staging.build, staging.build.release_id(), &order.release) {
        (Build::Unreadable(why), ..) => {
            refusals.push(Refusal::ScmUnreadable { slot: staging.slot.clone(), why: why.clone() });
        }
        (_, Some(serves), Some(wanted)) if serves != wanted => {
            refusals.push(Refusal::StagingMovedOn { serves: serves.to_string(), wanted: wanted.clone() });
        }
        (_, Some(_), _) => {}
        (other, None, _) => refusals.push(Refusal::NothingToSwap { why: other.to_string() }),
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
    if let Some(refusal) = same_image(facts, staging) {
        return vec![refusal];
    }
    match (wanted_before(order, facts), &staging.build) {
        (None, _) => vec![Refusal::ReleaseUnknown { why: unread(&facts.production) }],
        (_, Build::Nothing) => vec![Refusal::NothingToSwap { why: Build::Nothing.to_string() }],
        (_, Build::Unreadable(why)) => {
            vec![Refusal::ScmUnreadable { slot: staging.slot.clone(), why: why.clone() }]
        }
        (Some(wanted), serves) if serves.release_id() != Some(&wanted) => {
            vec![Refusal::PreviousIsGone { release, wanted: wanted.to_string(), serves: serves.to_string() }]
        }
        _ => Vec::new(),
    }
}

/// Why nothing is known of a build that is there.
fn unread(slot: &SlotFacts) -> Option<String> {
    match &slot.build {
        Build::Unreadable(why) => Some(why.clone()),
        _ => slot.note_unread.clone(),
    }
}

/// The build to go back to from a release that is live. Whatever lies in the other
/// slot is not taken for it: it may be anybody's.
pub(super) fn before(order: &Order, facts: &Facts) -> Build {
    let Some(id) = wanted_before(order, facts) else {
        return Build::Unreadable("nothing tells which build was before".to_owned());
    };
    let there = facts.staging.as_ref().map(|staging| &staging.build);
    match there.filter(|build| build.release_id() == Some(&id)) {
        Some(build) => build.clone(),
        None if matches!(facts.production.build, Build::Image(_)) => Build::Image(id),
        None => Build::Deployment(id),
    }
}

/// The build that a rollback should bring back, where anybody has said it. Beside an
/// image there is no place for a note, so only the caller can say it.
fn wanted_before(order: &Order, facts: &Facts) -> Option<ReleaseId> {
    let noted = || facts.production.note.as_ref().and_then(|note| note.previous.clone());
    order.previous.clone().or_else(|| noted().and_then(|id| ReleaseId::new(id).ok()))
}

/// Whether production serves the release that is to be swapped in: an earlier run did it.
pub(super) fn is_live(order: &Order, facts: &Facts) -> bool {
    order.release.is_some() && facts.production.build.release_id() == order.release.as_ref()
}

pub(super) fn nothing_to_roll_back(order: &Order, facts: &Facts) -> Option<String> {
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
