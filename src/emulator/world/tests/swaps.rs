//! The swap, step by step (arm-app-service.md §7).

use super::*;

/// Both slots have a sticky setting, one that moves, and a stack of their own.
const STICKY: &str = r#"
slots:
  production:
    settings: {GREETING: old, SHARED: "1"}
    slot-settings: {DATABASE: live}
    web-config: {linuxFxVersion: "NODE|20", alwaysOn: true}
  staging:
    settings: {GREETING: new}
    slot-settings: {DATABASE: test, ONLY_HERE: "1"}
    web-config: {linuxFxVersion: "NODE|22"}
"#;

#[test]
fn an_accepted_swap_has_changed_nothing() {
    let mut stage = Stage::new(STICKY);
    let before = (stage.generations(&staging()), stage.generations(&production()));
    let id = stage.swap();
    assert_eq!(stage.step_of(&id), SwapStep::Accepted);
    assert_eq!(before, (stage.generations(&staging()), stage.generations(&production())));
    assert_eq!(stage.slot(&staging()).app_settings["DATABASE"], "test");
    for slot in [staging(), production()] {
        assert_eq!(stage.slot(&slot).in_progress_operation.as_ref(), Some(&id));
        assert_eq!(stage.slot(&slot).slot_swap_status, None);
    }
}

#[test]
fn step_1_gives_the_source_the_targets_sticky_settings_and_restarts_it() {
    let mut stage = Stage::new(STICKY);
    let before = (stage.generations(&staging()), stage.generations(&production()));
    let id = stage.swap();
    stage.at(&id, SwapStep::RestartingSource);
    let source = &stage.slot(&staging()).app_settings;
    assert_eq!(*source, map(&[("DATABASE", "live"), ("GREETING", "new")]));
    assert_ne!(stage.generations(&staging()), before.0);
    assert_eq!(stage.generations(&production()), before.1, "the target is not touched");
    let environments: Vec<_> = stage
        .look()
        .iter()
        .filter_map(|effect| match effect {
            Effect::StartInstance { app, .. } => {
                Some((app.environment["DATABASE"].clone(), app.worker_index))
            }
            _ => None,
        })
        .collect();
    assert_eq!(environments, [("live".to_owned(), 0), ("live".to_owned(), 1)]);
}

#[test]
fn without_sticky_settings_the_source_does_not_restart() {
    let mut stage = Stage::new("slots: {staging: {settings: {A: b}}}");
    let before = stage.generations(&staging());
    let id = stage.swap();
    stage.at(&id, SwapStep::Switching);
    assert_eq!(stage.generations(&staging()), before);
    stage.settle();
    assert_eq!(stage.generations(&production()), before, "and the switch restarts nothing");
}

#[test]
fn step_2_waits_for_every_source_instance() {
    let mut stage = Stage::new(STICKY);
    let id = stage.swap();
    stage.at(&id, SwapStep::RestartingSource);
    let starts: Vec<Effect> = stage.look().to_vec();
    stage.open.clear();
    let mut starts = starts.into_iter().filter(|effect| matches!(effect, Effect::StartInstance { .. }));
    let (first, second) = (starts.next().expect("worker 0"), starts.next().expect("worker 1"));
    stage.answer(first, true);
    while stage.one() {}
    assert_eq!(stage.step_of(&id), SwapStep::RestartingSource);
    stage.answer(second, true);
    while stage.one() {}
    assert!(stage.step_of(&id) > SwapStep::RestartingSource);
}

#[test]
fn one_source_instance_that_fails_reverts_everything() {
    let mut stage = Stage::new(STICKY);
    let (content, settings) =
        (stage.content(&production()).to_owned(), stage.slot(&staging()).app_settings.clone());
    let before = stage.generations(&production());
    let id = stage.swap();
    stage.at(&id, SwapStep::RestartingSource);
    stage.look();
    let last = stage.open.iter().rposition(|effect| matches!(effect, Effect::StartInstance { .. }));
    let failing = stage.open.remove(last.expect("starts"));
    stage.answer(failing, false);
    let OperationState::Failed(refusal) = stage.state(&id) else { panic!("still runs") };
    assert_eq!((refusal.status(), refusal.code()), (417, "ExpectationFailed"));
    assert_eq!(stage.slot(&staging()).app_settings, settings);
    stage.settle();
    assert_eq!(stage.content(&production()), content);
    assert_eq!(stage.generations(&production()), before);
    assert!(stage.all_ready(&staging()), "restarted with its own settings");
    assert_eq!(stage.slot(&staging()).in_progress_operation, None);
    assert_eq!(stage.slot(&production()).slot_swap_status, None);
}

#[test]
fn on_windows_the_worker_process_could_not_be_started() {
    let mut stage = Stage::new("kind: app\nslots: {production: {slot-settings: {A: b}}}");
    let id = stage.swap();
    stage.at(&id, SwapStep::RestartingSource);
    let start = stage.look().iter().position(|effect| matches!(effect, Effect::StartInstance { .. }));
    let start = stage.open.remove(start.expect("starts"));
    stage.answer(start, false);
    let OperationState::Failed(refusal) = stage.state(&id) else { panic!("still runs") };
    assert_eq!(refusal.status(), 400);
    assert!(
        refusal.to_string().contains("because the worker process for 'staging' slot could not be started")
    );
}

#[test]
fn a_source_that_never_answers_fails_at_its_start_limit() {
    let mut stage = Stage::new(
        "slots: {staging: {slot-settings: {WEBSITES_CONTAINER_START_TIME_LIMIT: '60'}}, production: {slot-settings: {WEBSITES_CONTAINER_START_TIME_LIMIT: '60'}}}",
    );
    let id = stage.swap();
    stage.at(&id, SwapStep::RestartingSource);
    stage.pass(59);
    assert_eq!(stage.state(&id), OperationState::Running);
    stage.pass(1);
    assert!(matches!(stage.state(&id), OperationState::Failed(Refusal::PingFailed { .. })));
}

#[test]
fn local_cache_asks_every_instance_once_and_restarts_again() {
    let mut stage = Stage::new("slots: {staging: {settings: {WEBSITE_LOCAL_CACHE_OPTION: Always}}}");
    let before = stage.generations(&staging());
    let id = stage.swap();
    stage.at(&id, SwapStep::FillingCache);
    let pings: Vec<PingId> = stage
        .look()
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ping { id, path, .. } if path == "/" => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(pings.len(), 2);
    for ping in pings {
        stage.world.ping_answered(ping, Some(500)); // any answer counts
    }
    stage.open.clear();
    stage.at(&id, SwapStep::RestartingAfterCache);
    assert_ne!(stage.generations(&staging()), before);
    stage.at(&id, SwapStep::WarmingUp);
    stage.settle();
    assert_eq!(stage.state(&id), OperationState::Succeeded);
}

#[test]
fn warm_up_pings_the_path_of_the_setting_on_every_source_instance() {
    let mut stage = Stage::new("slots: {staging: {settings: {WEBSITE_SWAP_WARMUP_PING_PATH: ready}}}");
    let id = stage.swap();
    stage.at(&id, SwapStep::WarmingUp);
    let side = stage.slot(&staging()).side.id;
    let pinged: Vec<(SideId, String)> = stage
        .look()
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ping { key, path, .. } => Some((key.side, path.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(pinged, [(side, "/ready".to_owned()), (side, "/ready".to_owned())]);
}

/// Answers every ping with this status until the swap is over or past its switch.
fn answering(stage: &mut Stage, id: &OperationId, status: Option<u16>) -> usize {
    let mut answered = 0;
    while stage.world.operation(id).is_some_and(|op| op.is_running() && op.step < SwapStep::Switched) {
        stage.look();
        match stage.open.iter().position(|effect| matches!(effect, Effect::Ping { .. })) {
            Some(place) => {
                let Effect::Ping { id, .. } = stage.open.remove(place) else { unreachable!() };
                answered += 1;
                stage.world.ping_answered(id, status);
            }
            None if stage.one() => {}
            None => {
                let due = stage.world.next_due().expect("goes on");
                stage.world.advance_to(due);
            }
        }
    }
    answered
}

#[test]
fn without_wanted_statuses_even_500_counts_as_warm() {
    let mut stage = Stage::new("");
    let id = stage.swap();
    answering(&mut stage, &id, Some(500));
    assert_eq!(stage.step_of(&id), SwapStep::Switched);
}

#[test]
fn an_unwanted_status_five_times_is_417_and_production_keeps_its_content() {
    let mut stage =
        Stage::new("slots: {staging: {settings: {WEBSITE_SWAP_WARMUP_PING_STATUSES: '200, 202'}}}");
    let content = stage.content(&production()).to_owned();
    let id = stage.swap();
    let pings = answering(&mut stage, &id, Some(503));
    assert!(
        (5..=10).contains(&pings),
        "one worker was asked five times, the other at most as often: {pings}"
    );
    let OperationState::Failed(refusal) = stage.state(&id) else { panic!("still runs") };
    assert_eq!(refusal.status(), 417);
    assert_eq!(
        refusal.to_string(),
        "Cannot swap site slots for site 'contoso-web' because the 'staging' slot did not respond to http ping."
    );
    stage.settle();
    assert_eq!(stage.content(&production()), content);
}

#[test]
fn a_ping_that_is_not_answered_takes_90_seconds_five_times() {
    let mut stage = Stage::new("durations: {ping-retry: 0}");
    let id = stage.swap();
    stage.at(&id, SwapStep::WarmingUp);
    stage.pass(5 * 90 - 1);
    assert_eq!(stage.state(&id), OperationState::Running);
    stage.pass(1);
    assert!(matches!(stage.state(&id), OperationState::Failed(Refusal::PingFailed { .. })));
}

#[test]
fn a_late_answer_to_an_earlier_try_is_none() {
    let mut stage = Stage::new("workers: 1\ndurations: {ping-retry: 0}");
    let id = stage.swap();
    stage.at(&id, SwapStep::WarmingUp);
    let first = stage.look().iter().find_map(|effect| match effect {
        Effect::Ping { id, .. } => Some(*id),
        _ => None,
    });
    stage.pass(91);
    stage.world.ping_answered(first.expect("a ping"), Some(200));
    assert_eq!(stage.step_of(&id), SwapStep::WarmingUp);
}

#[test]
fn the_old_content_serves_production_until_the_switch_and_the_new_one_from_it() {
    let mut stage = Stage::new(STICKY);
    let (old, new) = (stage.content(&production()).to_owned(), stage.content(&staging()).to_owned());
    let serving = stage.generations(&production());
    let id = stage.swap();
    while stage.step_of(&id) < SwapStep::Switched {
        assert_eq!(stage.content(&production()), old);
        assert_eq!(stage.generations(&production()), serving);
        assert!(stage.all_ready(&production()));
        if !stage.one() {
            let due = stage.world.next_due().expect("goes on");
            stage.world.advance_to(due);
        }
    }
    assert_eq!((stage.content(&production()), stage.content(&staging())), (new.as_str(), old.as_str()));
    assert!(stage.all_ready(&production()), "what serves now is warm");
    assert_eq!(stage.generations(&staging()), serving, "the old production still runs");
}

#[test]
fn sticky_settings_stay_the_others_and_the_stack_move() {
    let mut stage = Stage::new(STICKY);
    let id = stage.swap();
    stage.settle();
    assert_eq!(stage.state(&id), OperationState::Succeeded);
    let (production, staging) = (stage.slot(&production()), stage.slot(&staging()));
    assert_eq!(production.app_settings, map(&[("DATABASE", "live"), ("GREETING", "new")]));
    assert_eq!(
        staging.app_settings,
        map(&[("DATABASE", "test"), ("GREETING", "old"), ("ONLY_HERE", "1"), ("SHARED", "1")])
    );
    assert_eq!(production.web_config.linux_fx_version, "NODE|22");
    assert!(production.web_config.always_on && !staging.web_config.always_on);
    assert_eq!(production.hosts, hosts(4002));
}

#[test]
fn step_6_restarts_the_old_production_with_the_settings_of_its_new_slot() {
    let mut stage = Stage::new(STICKY);
    let id = stage.swap();
    stage.at(&id, SwapStep::Switched);
    stage.look();
    stage.open.clear();
    let (kept, old) = (stage.generations(&production()), stage.generations(&staging()));
    stage.at(&id, SwapStep::RestartingOther);
    let effects = stage.look().to_vec();
    let stopped = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::StopInstance { key, .. } if old.contains(&key.generation)));
    assert_eq!(stopped.count(), 2);
    let started = effects.iter().filter_map(|effect| match effect {
        Effect::StartInstance { app, .. } => Some(app.environment["DATABASE"].as_str()),
        _ => None,
    });
    assert_eq!(started.collect::<Vec<_>>(), ["test", "test"]);
    assert_eq!(stage.generations(&production()), kept);
}

#[test]
fn the_end_writes_the_same_status_on_both_slots_with_a_capital_production() {
    let mut stage = Stage::new("durations: {swap-apply: 1s, swap-switch: 2s, swap-finish: 3s}");
    let began = stage.world.now();
    let id = stage.swap();
    stage.settle();
    let operation = stage.world.operation(&id).expect("operation").clone();
    assert_eq!(operation.state, OperationState::Succeeded);
    assert_eq!(operation.ended, Some(began + Duration::from_secs(6)));
    let status = stage.slot(&production()).slot_swap_status.clone().expect("a status");
    assert_eq!((status.source.as_str(), status.destination.as_str()), ("staging", "Production"));
    assert_eq!(Some(status.timestamp), operation.ended);
    assert_eq!(stage.slot(&staging()).slot_swap_status, Some(status));
    assert_eq!(stage.slot(&production()).in_progress_operation, None);
    let steps: Vec<SwapStep> = operation.steps.iter().map(|(step, _)| *step).collect();
    use SwapStep::*;
    assert_eq!(
        steps,
        [Accepted, RestartingSource, WarmingUp, Switching, Switched, RestartingOther, Finished]
    );
}

#[test]
fn last_modified_moves_with_the_content() {
    let mut stage = Stage::new("durations: {swap-switch: 10s, swap-finish: 10s}");
    stage.pass(100);
    let id = stage.swap();
    stage.at(&id, SwapStep::WarmingUp);
    let applied = stage.slot(&staging()).last_modified;
    stage.settle();
    assert_eq!(stage.slot(&production()).last_modified, applied, "older than the swap's end");
    assert!(stage.slot(&staging()).last_modified > applied);
}

#[test]
fn a_second_swap_is_its_own_inverse() {
    let mut stage = Stage::new(STICKY);
    let before = (stage.content(&production()).to_owned(), stage.slot(&production()).app_settings.clone());
    for _ in 0..2 {
        stage.swap();
        stage.settle();
    }
    assert_eq!(
        before,
        (stage.content(&production()).to_owned(), stage.slot(&production()).app_settings.clone())
    );
    assert_eq!(stage.slot(&staging()).app_settings.len(), 3);
}

#[test]
fn production_as_the_source_is_the_one_that_restarts() {
    let mut stage = Stage::new(STICKY);
    let (live, test) = (stage.generations(&production()), stage.generations(&staging()));
    let id = stage.world.begin_swap(&production(), &staging(), true).expect("begins");
    stage.at(&id, SwapStep::RestartingSource);
    assert_ne!(stage.generations(&production()), live);
    assert_eq!(stage.generations(&staging()), test);
    stage.settle();
    let status = stage.slot(&staging()).slot_swap_status.clone().expect("a status");
    assert_eq!((status.source.as_str(), status.destination.as_str()), ("Production", "staging"));
}

#[test]
fn preserve_vnet_false_moves_the_subnet() {
    for (preserve, expected) in [(true, None), (false, Some("subnet"))] {
        let mut stage = Stage::new("");
        let subnet = Some(Some("subnet".to_owned()));
        stage.world.patch_slot(&staging(), SlotChange { subnet, ..SlotChange::default() }).expect("patched");
        stage.world.begin_swap(&staging(), &production(), preserve).expect("begins");
        stage.settle();
        assert_eq!(stage.slot(&production()).subnet.as_deref(), expected);
    }
}

#[test]
fn while_a_swap_runs_both_slots_answer_409_and_others_do_not() {
    let mut stage = Stage::new("slots: {canary: {}}");
    let id = stage.swap();
    let conflict = |refusal: Refusal| {
        assert_eq!((refusal.status(), refusal.code()), (409, "Conflict"));
        let text = refusal.to_string();
        assert!(text.contains("another operation is in progress") && text.contains(&id.0), "{text}");
        assert!(text.contains("OperationName: SwapSiteSlots"), "{text}");
    };
    let world = &mut stage.world;
    for slot in [staging(), production()] {
        conflict(world.put_app_settings(&slot, BTreeMap::new()).expect_err("busy"));
        conflict(world.patch_web_config(&slot, serde_json::json!({})).expect_err("busy"));
        conflict(world.restart(&slot).expect_err("busy"));
        conflict(world.stop(&slot).expect_err("busy"));
    }
    conflict(world.begin_swap(&staging(), &production(), true).expect_err("busy"));
    conflict(world.begin_swap(&super::slot("canary"), &production(), true).expect_err("busy"));
    conflict(world.apply_slot_config(&staging(), &production()).expect_err("busy"));
    conflict(world.reset_slot_config(&staging()).expect_err("busy"));
    conflict(world.delete_slot(&staging()).expect_err("busy"));
    world.restart(&super::slot("canary")).expect("another slot is free");
    stage.settle();
    stage.world.restart(&staging()).expect("free again");
}

#[test]
fn scaling_before_the_switch_fails_the_swap_and_after_it_does_not() {
    let mut stage = Stage::new(STICKY);
    let id = stage.swap();
    stage.at(&id, SwapStep::WarmingUp);
    stage.world.scale("plan", 3).expect("scales");
    let OperationState::Failed(refusal) = stage.state(&id) else { panic!("still runs") };
    assert_eq!(refusal.status(), 400);
    assert!(refusal.to_string().contains("allocation of VM instances for 'staging' slot has changed"));
    stage.settle();
    assert_eq!(stage.generations(&production()).len(), 3);
    assert_eq!(stage.slot(&staging()).app_settings["DATABASE"], "test");
    let id = stage.swap();
    stage.at(&id, SwapStep::Switched);
    stage.world.scale("plan", 2).expect("scales");
    stage.settle();
    assert_eq!(stage.state(&id), OperationState::Succeeded);
}

#[test]
fn an_instance_that_dies_during_the_warm_up_fails_the_swap() {
    let mut stage = Stage::new("");
    let id = stage.swap();
    stage.at(&id, SwapStep::WarmingUp);
    let side = &stage.slot(&staging()).side;
    let instance = &side.instances[0];
    let key = InstanceKey { side: side.id, worker: instance.worker.clone(), generation: instance.generation };
    stage.world.instance_changed(&key, InstanceChange::Down { reason: "died".into() });
    assert!(matches!(stage.state(&id), OperationState::Failed(_)));
    stage.settle();
    assert!(stage.all_ready(&staging()), "it was started again");
}

#[test]
fn a_deployment_that_ends_during_the_warm_up_makes_the_swap_wait_again() {
    let mut stage = Stage::new("durations: {deploy: 10s, swap-switch: 30s}");
    super::deployments::begin(&mut stage);
    let id = stage.swap();
    stage.at(&id, SwapStep::Switching);
    stage.pass(10);
    assert_eq!(stage.step_of(&id), SwapStep::RestartingSource);
    stage.settle();
    assert_eq!(stage.state(&id), OperationState::Succeeded);
    assert!(stage.all_ready(&production()));
}

#[test]
fn a_stopped_source_cannot_be_swapped_and_a_stopped_target_stays_stopped() {
    let mut stage = Stage::new("slots: {canary: {stopped: true}}");
    let canary = super::slot("canary");
    let id = stage.world.begin_swap(&canary, &production(), true).expect("begins");
    stage.settle();
    assert!(matches!(stage.state(&id), OperationState::Failed(Refusal::WorkerNotStarted { .. })));
    let id = stage.world.begin_swap(&staging(), &canary, true).expect("begins");
    stage.settle();
    assert_eq!(stage.state(&id), OperationState::Succeeded);
    assert_eq!(stage.slot(&canary).state, SlotState::Stopped);
    assert!(stage.slot(&canary).side.instances.is_empty());
    assert!(stage.all_ready(&staging()));
}

#[test]
fn senseless_swaps_are_refused() {
    let mut stage = Stage::new("");
    let world = &mut stage.world;
    let status = |result: Result<OperationId, Refusal>| result.expect_err("refused").status();
    assert_eq!(status(world.begin_swap(&staging(), &staging(), true)), 400);
    assert_eq!(status(world.begin_swap(&super::slot("nowhere"), &production(), true)), 404);
    assert_eq!(status(world.begin_swap(&staging(), &super::slot("nowhere"), true)), 404);
    let nobody = SlotRef::production(SiteName::new("nobody").expect("name"));
    assert_eq!(status(world.begin_swap(&nobody, &staging(), true)), 404);
    let site = production().site;
    world.set_lock(&site, Some(Lock::ReadOnly)).expect("locks");
    let refusal = world.begin_swap(&staging(), &production(), true).expect_err("locked");
    assert_eq!((refusal.status(), refusal.code()), (409, "ScopeLocked"));
    assert!(world.operations().is_empty());
}
