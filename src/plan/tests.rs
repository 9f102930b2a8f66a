//! What the plan comes to, case by case.

use reqwest::Url;

use super::*;
use crate::azure::SitePath;
use crate::azure::model::SlotSwapStatus;
use crate::facts::{End, Mark, Note};
use crate::names::{ResourceGroup, SiteName, SubscriptionId};

fn id(text: &str) -> ReleaseId {
    ReleaseId::new(text).expect("well formed")
}

fn slot(name: &str, build: &str) -> SlotFacts {
    SlotFacts {
        slot: SlotName::new(name).expect("well formed"),
        url: Url::parse("https://localhost:1/").expect("a URL"),
        scm_host: Some("localhost:2".to_owned()),
        build: Build::Deployment(id(build)),
        note: None,
        note_unread: None,
        since: None,
        content_id: None,
        state: "Running".to_owned(),
        enabled: true,
        usage_state: "Normal".to_owned(),
        prepared_with: None,
        last_swap: None,
        operation: None,
        deploying: None,
        auto_swap: None,
        traffic: Vec::new(),
        startup_command: String::new(),
        instances: vec!["a".to_owned()],
    }
}

fn facts() -> Facts {
    Facts {
        path: SitePath {
            subscription: SubscriptionId::new("00000000-0000-0000-0000-000000000001").expect("a GUID"),
            group: ResourceGroup::new("contoso").expect("well formed"),
            site: SiteName::new("contoso-web").expect("well formed"),
        },
        kind: vec!["app".to_owned()],
        tier: Some("Standard".to_owned()),
        on_container_apps: false,
        slots: vec![SlotName::new("staging").expect("well formed")],
        production: slot("production", "old"),
        staging: Some(slot("staging", "older")),
    }
}

fn order(verb: Verb, release: Option<&str>) -> Order {
    Order {
        verb,
        ships: if matches!(verb, Verb::Release | Verb::Deploy) { Ships::Package } else { Ships::Unsaid },
        startup_command: None,
        staging: SlotName::new("staging").expect("well formed"),
        release: release.map(id),
        previous: None,
        only_of: None,
    }
}

fn note(release: &str) -> Note {
    Note {
        slotway: 1,
        release_id: id(release),
        sha256: None,
        size_bytes: None,
        previous: Some("older".to_owned()),
        source: None,
        written: String::new(),
        swap: None,
        rollback: None,
    }
}

fn refusals(decision: Decision) -> Vec<Refusal> {
    match decision {
        Decision::Refused(refusals) => refusals,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn all_reasons_are_given_at_once() {
    let mut facts = facts();
    facts.tier = Some("Basic".to_owned());
    facts.production.prepared_with = Some("staging".to_owned());
    facts.production.traffic = vec![("Staging".to_owned(), 10.0)];
    let staging = facts.staging.as_mut().expect("there is one");
    staging.state = "Stopped".to_owned();
    staging.auto_swap = Some("production".to_owned());
    assert_eq!(refusals(plan(&order(Verb::Release, None), &facts)).len(), 5);
}

#[test]
fn a_swap_is_refused_when_either_slot_moved_on() {
    let mut order = order(Verb::Swap, Some("new"));
    order.previous = Some(id("older"));
    let refusals = refusals(plan(&order, &facts()));
    assert!(matches!(refusals[0], Refusal::StagingMovedOn { .. }));
    assert!(matches!(refusals[1], Refusal::ProductionMovedOn { .. }));
}

#[test]
fn a_swap_that_an_earlier_run_did_is_only_proven() {
    let decision = plan(&order(Verb::Swap, Some("old")), &facts());
    let Decision::Go(plan) = decision else { panic!("{decision:?}") };
    assert_eq!(plan.start, Start::CheckProduction);
    assert!(matches!(plan.old, Build::Unreadable(_)), "what lies in staging is not taken for the old build");
}

#[test]
fn a_rollback_of_what_production_does_not_serve_is_nothing_to_do() {
    let decision = plan(&order(Verb::Rollback, Some("other")), &facts());
    assert!(matches!(decision, Decision::Nothing(_)), "{decision:?}");
}

#[test]
fn a_rollback_brings_back_only_the_build_that_was_before() {
    let mut facts = facts();
    facts.production.note = Some(Note { previous: Some("gone".to_owned()), ..note("old") });
    let refused = refusals(plan(&order(Verb::Rollback, Some("old")), &facts));
    assert!(matches!(refused[..], [Refusal::PreviousIsGone { .. }]));
    facts.production.note = None;
    let unknown = refusals(plan(&order(Verb::Rollback, None), &facts));
    assert_eq!(unknown, [Refusal::ReleaseUnknown { why: None }]);
    facts.production.note_unread = Some("HTTP 417".to_owned());
    let unread = refusals(plan(&order(Verb::Rollback, None), &facts));
    assert!(unread[0].to_string().ends_with("that it serves now: HTTP 417"), "{}", unread[0]);
}

#[test]
fn an_unreadable_scm_site_forbids_a_deployment() {
    let mut facts = facts();
    facts.staging.as_mut().expect("there is one").build = Build::Unreadable("403".to_owned());
    let refused = refusals(plan(&order(Verb::Deploy, None), &facts));
    assert!(matches!(refused[..], [Refusal::ScmUnreadable { .. }]));
}

fn mark(last_swap: Option<&str>) -> Mark {
    Mark { sent: "then".to_owned(), by: None, last_swap: last_swap.map(str::to_owned), end: None }
}

/// Which side serves the release "new", the marks beside it, and what production's last swap was.
fn left(in_production: bool, note: Note, last_swap: Option<&str>) -> Option<Unfinished> {
    let mut facts = facts();
    let (new, old) = (slot("x", "new"), slot("x", "older"));
    let new = SlotFacts { note: Some(note), ..new };
    let (production, staging) = if in_production { (new, old) } else { (old, new) };
    facts.production = production;
    facts.staging = Some(staging);
    facts.production.last_swap = last_swap.map(|at| SlotSwapStatus {
        timestamp_utc: at.to_owned(),
        source_slot_name: "staging".to_owned(),
        destination_slot_name: "production".to_owned(),
    });
    unfinished(&facts)
}

#[test]
fn what_an_earlier_run_left_is_told_by_its_marks_and_by_the_last_swap() {
    let (release, began) = (id("new"), Some("monday"));
    let swap = || Some(mark(began));
    let proven = || Some(Mark { end: Some(End::Proven), ..mark(began) });
    let noted = |swap, rollback| Note { swap, rollback, ..note("new") };
    let is = |found: Option<Unfinished>, wanted: fn(ReleaseId, Mark) -> Unfinished| {
        assert_eq!(found, Some(wanted(release.clone(), mark(began))));
    };
    assert_eq!(left(false, noted(None, None), began), None);
    is(left(false, noted(swap(), None), began), |release, mark| Unfinished::SwapSent { release, mark });
    assert_eq!(left(false, noted(swap(), None), Some("tuesday")), None, "somebody swapped it back");
    is(left(true, noted(swap(), None), Some("tuesday")), |release, mark| Unfinished::Unproven {
        release,
        mark,
    });
    assert_eq!(left(true, noted(proven(), None), Some("tuesday")), None);
    is(left(true, noted(swap(), swap()), began), |release, mark| Unfinished::RollbackSent { release, mark });
    is(left(true, noted(proven(), swap()), began), |release, mark| Unfinished::RollbackSent {
        release,
        mark,
    });
    is(left(false, noted(swap(), swap()), Some("tuesday")), |release, mark| Unfinished::RollbackUnproven {
        release,
        mark,
    });
    assert_eq!(left(false, noted(swap(), proven()), Some("tuesday")), None);
}

#[test]
fn settling_begins_where_the_earlier_run_stopped_and_a_deployment_does_not_begin_at_all() {
    let unproven = |end| {
        let mut facts = facts();
        let swap = Some(Mark { end, ..mark(None) });
        facts.production.note = Some(Note { swap, ..note("old") });
        facts
    };
    let Decision::Go(settled) = plan(&order(Verb::Settle, None), &unproven(None)) else {
        panic!("there is something to settle")
    };
    assert_eq!((settled.start, settled.old), (Start::CheckProduction, Build::Deployment(id("older"))));
    let refused = refusals(plan(&order(Verb::Deploy, None), &unproven(None)));
    assert!(matches!(refused[..], [Refusal::Unfinished { .. }]), "{refused:?}");
    let told = plan(&order(Verb::Deploy, None), &unproven(Some(End::Stuck)));
    assert!(matches!(told, Decision::Go(_)), "whoever was told may go on: {told:?}");
    let theirs = Order { only_of: Some("run 1".to_owned()), ..order(Verb::Settle, None) };
    assert!(matches!(plan(&theirs, &unproven(None)), Decision::Nothing(_)));
    assert!(matches!(plan(&order(Verb::Settle, None), &facts()), Decision::Nothing(_)));
}

#[test]
fn what_cannot_be_read_is_not_settled_as_if_nothing_were_left() {
    let mut unread = facts();
    unread.production.build = Build::Unreadable("503".to_owned());
    let refused = refusals(plan(&order(Verb::Settle, None), &unread));
    assert!(
        matches!(&refused[..], [Refusal::MarksUnread { slot, .. }] if slot.is_production()),
        "{refused:?}"
    );
    let mut unread = facts();
    unread.staging.as_mut().expect("there is one").note_unread = Some("HTTP 500".to_owned());
    let refused = refusals(plan(&order(Verb::Settle, None), &unread));
    assert!(
        matches!(&refused[..], [Refusal::MarksUnread { slot, .. }] if !slot.is_production()),
        "{refused:?}"
    );
    let mut unread = facts();
    unread.production.note_unread = Some("HTTP 500".to_owned());
    let Decision::Go(plan) = plan(&order(Verb::Deploy, None), &unread) else {
        panic!("a place for notes that does not answer must not keep anybody from deploying")
    };
    assert!(plan.warnings[0].contains("HTTP 500"), "{:?}", plan.warnings);
}

fn image(text: &str) -> ReleaseId {
    ReleaseId::image(text).expect("well formed")
}

fn containers(production: &str, staging: &str) -> Facts {
    let mut facts = facts();
    facts.kind = ["app", "linux", "container"].map(str::to_owned).to_vec();
    facts.production.build = Build::Image(image(production));
    facts.staging.as_mut().expect("there is one").build = Build::Image(image(staging));
    facts
}

fn shipping(verb: Verb, reference: &str) -> Order {
    Order { ships: Ships::Image(image(reference)), ..order(verb, None) }
}

#[test]
fn an_image_goes_to_containers_and_a_package_to_code() {
    let refused = refusals(plan(&shipping(Verb::Release, "app:2"), &facts()));
    assert!(matches!(refused[..], [Refusal::IsCode { .. }]), "{refused:?}");
    let refused = refusals(plan(&order(Verb::Release, None), &containers("app:1", "app:0")));
    assert!(matches!(refused[..], [Refusal::IsContainer { .. }]), "{refused:?}");
    let Decision::Go(plan) = plan(&shipping(Verb::Release, "app:2"), &containers("app:1", "app:0")) else {
        panic!("an image fits a container")
    };
    assert_eq!(plan.old, Build::Image(image("app:1")));
    assert_eq!(plan.steps[0].what, "set the image of staging to app:2");
    assert!(plan.warnings.is_empty());
    let mut several = containers("app:1", "app:0");
    several.staging.as_mut().expect("there is one").build = Build::Containers("COMPOSE");
    let refused = refusals(super::plan(&shipping(Verb::Release, "app:2"), &several));
    assert!(matches!(refused[..], [Refusal::SeveralContainers { .. }]), "{refused:?}");
}

#[test]
fn a_reference_that_both_slots_would_have_is_refused_by_every_verb() {
    let refused = refusals(plan(&shipping(Verb::Deploy, "app:latest"), &containers("app:latest", "app:0")));
    assert!(matches!(refused[..], [Refusal::SameImage { .. }]), "{refused:?}");
    for verb in [Verb::Swap, Verb::Rollback] {
        let order = Order { previous: Some(image("app:1")), ..order(verb, Some("app:1")) };
        let refused = refusals(plan(&order, &containers("app:1", "app:1")));
        assert!(matches!(refused[..], [Refusal::SameImage { .. }]), "{refused:?}");
    }
}

#[test]
fn an_image_is_rolled_back_only_to_the_one_that_the_caller_names() {
    let facts = containers("app:V2", "app:v1");
    let unknown = refusals(plan(&order(Verb::Rollback, Some("app:V2")), &facts));
    assert_eq!(unknown, [Refusal::ReleaseUnknown { why: None }]);
    let named = |previous| Order { previous: Some(image(previous)), ..order(Verb::Rollback, Some("app:V2")) };
    let Decision::Go(plan) = plan(&named("app:v1"), &facts) else { panic!("it is there") };
    assert_eq!(plan.old, Build::Image(image("app:v1")));
    let gone = refusals(super::plan(&named("app:V1"), &facts));
    assert!(matches!(gone[..], [Refusal::PreviousIsGone { .. }]), "the tag's letter case counts: {gone:?}");
}

#[test]
fn a_startup_command_is_a_step_only_where_it_changes_something() {
    let mut facts = facts();
    let order = Order { startup_command: Some("node server.js".to_owned()), ..order(Verb::Deploy, None) };
    let refused = refusals(plan(&order, &facts));
    assert!(matches!(refused[..], [Refusal::NoStartupCommand { .. }]), "{refused:?}");
    facts.kind.push("linux".to_owned());
    let steps = |facts: &Facts| match plan(&order, facts) {
        Decision::Go(plan) => plan.steps.into_iter().map(|step| step.what).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(steps(&facts)[0], "set the startup command of staging");
    facts.staging.as_mut().expect("there is one").startup_command = "node server.js".to_owned();
    assert_eq!(steps(&facts)[0], "deploy the package to staging");
}

#[test]
fn what_an_earlier_run_left_beside_an_image_is_not_called_nothing() {
    let refused = refusals(plan(&order(Verb::Settle, None), &containers("app:2", "app:1")));
    assert!(
        matches!(&refused[..], [Refusal::NoMarks { image: found }] if *found == image("app:2")),
        "{refused:?}"
    );
}
