//! Random commands, answers and times: what never breaks.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Move {
    Swap(usize, usize),
    Preview(usize, usize),
    Reset(usize),
    Settings(usize, u8),
    Deploy(usize),
    Restart(usize),
    Stop(usize),
    Start(usize),
    Scale(usize),
    Create,
    Delete,
    /// Answers this one of the open effects, well or badly.
    Answer(usize, bool),
    Die(usize, usize),
    Pass(u64),
    /// Lets everything end well.
    Settle,
}

fn a_move() -> impl Strategy<Value = Move> {
    let slot = 0..3usize;
    prop_oneof![
        4 => (slot.clone(), slot.clone()).prop_map(|(source, target)| Move::Swap(source, target)),
        1 => (slot.clone(), slot.clone()).prop_map(|(source, target)| Move::Preview(source, target)),
        1 => slot.clone().prop_map(Move::Reset),
        1 => (slot.clone(), any::<u8>()).prop_map(|(slot, value)| Move::Settings(slot, value)),
        2 => slot.clone().prop_map(Move::Deploy),
        1 => slot.clone().prop_map(Move::Restart),
        1 => slot.clone().prop_map(Move::Stop),
        2 => slot.clone().prop_map(Move::Start),
        1 => (1..4usize).prop_map(Move::Scale),
        1 => Just(Move::Create),
        1 => Just(Move::Delete),
        30 => (0..8usize, prop::bool::weighted(0.95)).prop_map(|(which, well)| Move::Answer(which, well)),
        1 => (slot, 0..3usize).prop_map(|(slot, worker)| Move::Die(slot, worker)),
        8 => (0..40u64).prop_map(Move::Pass),
        2 => Just(Move::Settle),
    ]
}

const SCENARIO: &str = "
durations: {deploy: 7s, start: 2s, swap-apply: 3s, swap-switch: 3s, swap-finish: 5s, scm-restart: 4s}
slots:
  production: {settings: {V: p}, slot-settings: {STICKY: of-production}}
  staging: {settings: {V: s}, slot-settings: {STICKY: of-staging}}
  canary: {settings: {V: c, WEBSITE_SWAP_WARMUP_PING_STATUSES: '200'}}
";

fn slots() -> [SlotRef; 3] {
    [production(), staging(), slot("canary")]
}

fn make(stage: &mut Stage, what: Move) {
    let slots = slots();
    let world = &mut stage.world;
    // Refusals are as good as successes here: a refused command must change nothing.
    let before = format!("{world:?}");
    let result = match what {
        Move::Swap(source, target) => world.begin_swap(&slots[source], &slots[target], true).map(|_| ()),
        Move::Preview(source, target) => world.apply_slot_config(&slots[source], &slots[target]),
        Move::Reset(which) => world.reset_slot_config(&slots[which]),
        Move::Settings(which, value) => {
            let Ok(slot) = world.slot(&slots[which]) else { return };
            let mut settings = slot.app_settings.clone();
            settings.insert("W".to_owned(), value.to_string());
            world.put_app_settings(&slots[which], settings)
        }
        Move::Deploy(which) => world.lock_for_upload(&slots[which]).map(|ticket| {
            world.begin_deployment(ticket, super::deployments::upload()).expect("the lock was just taken");
        }),
        Move::Restart(which) => world.restart(&slots[which]),
        Move::Stop(which) => world.stop(&slots[which]),
        Move::Start(which) => world.start(&slots[which]),
        Move::Scale(workers) => world.scale("plan", workers),
        Move::Create => world.create_slot(&slots[2], hosts(9000)),
        Move::Delete => world.delete_slot(&slots[2]),
        Move::Answer(which, well) => {
            stage.look();
            if which < stage.open.len() {
                let effect = stage.open.remove(which);
                stage.answer(effect, well);
            }
            return;
        }
        Move::Die(which, worker) => {
            let Ok(slot) = world.slot(&slots[which]) else { return };
            let side = slot.side.id;
            let Some(instance) = slot.side.instances.get(worker) else { return };
            let key = InstanceKey { side, worker: instance.worker.clone(), generation: instance.generation };
            world.instance_changed(&key, InstanceChange::Down { reason: "died".to_owned() });
            return;
        }
        Move::Pass(seconds) => {
            stage.pass(seconds);
            return;
        }
        Move::Settle => return stage.settle(),
    };
    if result.is_err() {
        assert_eq!(format!("{:?}", stage.world), before, "a refused command changes nothing");
    }
}

fn contents(stage: &Stage) -> std::collections::BTreeSet<(SideId, String)> {
    let slots = stage.world.sites().flat_map(|site| site.slots.values());
    slots.map(|slot| (slot.side.id, slot.side.content_id.clone())).collect()
}

/// What holds after every move.
fn check(stage: &Stage, served: &mut SideId) {
    let world = &stage.world;
    let slots_there = world.sites().map(|site| site.slots.len()).sum::<usize>();
    assert_eq!(contents(stage).len(), slots_there, "no content is in two slots");
    let now_served = stage.slot(&production()).side.id;
    if now_served != *served {
        *served = now_served;
        let switched = world.operations().iter().any(|operation| {
            operation.steps.iter().any(|(step, _)| *step == SwapStep::Switched)
                && (operation.source.is_production() || operation.target.is_production())
        });
        assert!(switched, "only a swap changes what production serves");
    }
    for slot in slots() {
        let Ok(slot_now) = world.slot(&slot) else { continue };
        let running = world.operations().iter().filter(|operation| {
            operation.is_running() && (operation.source == slot.slot || operation.target == slot.slot)
        });
        let running: Vec<_> = running.collect();
        assert!(running.len() <= 1, "one operation at a time");
        assert_eq!(slot_now.in_progress_operation.as_ref(), running.first().map(|operation| &operation.id));
        // The value that stays is the slot's own, unless it wears the target's for a swap.
        let sticky = slot_now.app_settings.get("STICKY").map(String::as_str);
        if slot_now.prepared.is_none() && !slot.slot.as_str().eq_ignore_ascii_case("canary") {
            assert_eq!(sticky, Some(format!("of-{}", slot.slot).as_str()));
        }
    }
}

/// At the moment of a switch what comes to the target is warm.
fn check_switches(stage: &Stage, seen: &mut usize) {
    let switched: Vec<&Operation> = stage
        .world
        .operations()
        .iter()
        .filter(|operation| operation.steps.iter().any(|(step, _)| *step == SwapStep::Switched))
        .collect();
    if switched.len() > *seen {
        *seen = switched.len();
        let operation = switched[switched.len() - 1];
        if operation.step == SwapStep::Switched {
            let target = stage.slot(&operation.target_ref());
            assert!(target.state == SlotState::Stopped || stage.all_ready(&operation.target_ref()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn contents_are_never_lost_production_is_whole_and_operations_end(moves in prop::collection::vec(a_move(), 1..120)) {
        let mut stage = Stage::new(SCENARIO);
        let mut served = stage.slot(&production()).side.id;
        let mut switches = 0;
        for what in moves {
            match what {
                // Event by event, so that every state between is looked at.
                Move::Pass(seconds) => {
                    let before = contents(&stage);
                    let until = stage.world.now() + Duration::from_secs(seconds);
                    while stage.world.happen_next(until) {
                        check(&stage, &mut served);
                        check_switches(&stage, &mut switches);
                    }
                    stage.world.advance_to(until);
                    prop_assert_eq!(before, contents(&stage), "time loses no content");
                }
                Move::Settle => {
                    for _ in 0..10_000 {
                        if !stage.one() {
                            let Some(due) = stage.world.next_due() else { break };
                            stage.world.happen_next(due);
                        }
                        check(&stage, &mut served);
                        check_switches(&stage, &mut switches);
                    }
                }
                other => {
                    let before = contents(&stage);
                    let creates = matches!(other, Move::Create | Move::Delete);
                    make(&mut stage, other);
                    let after = contents(&stage);
                    let changed = before.symmetric_difference(&after).count();
                    prop_assert!(changed <= usize::from(creates), "no content comes or goes with its slot there");
                }
            }
            check(&stage, &mut served);
        }
        let before = contents(&stage);
        stage.settle();
        prop_assert_eq!(before, contents(&stage), "time loses no content");
        check(&stage, &mut served);
        prop_assert!(stage.world.operations().iter().all(|operation| !operation.is_running()));
        prop_assert!(!stage.world.is_busy());
        for slot in slots() {
            let Ok(slot) = stage.world.slot(&slot) else { continue };
            prop_assert!(slot.side.deployment_lock.is_none());
            prop_assert_eq!(slot.side.deployments.iter().filter(|record| record.active).count() <= 1, true);
        }
    }
}
