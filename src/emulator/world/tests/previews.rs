//! Swap with preview (arm-app-service.md §8).

use super::*;

const STICKY: &str = r#"
slots:
  canary: {}
  production: {settings: {GREETING: old}, slot-settings: {DATABASE: live}}
  staging: {settings: {GREETING: new}, slot-settings: {DATABASE: test}}
"#;

fn previewed() -> Stage {
    let mut stage = Stage::new(STICKY);
    stage.world.apply_slot_config(&staging(), &production()).expect("applies");
    stage
}

#[test]
fn a_preview_shows_the_targets_values_on_the_source_and_its_name_on_the_target() {
    let mut stage = Stage::new(STICKY);
    let before = stage.generations(&staging());
    stage.world.apply_slot_config(&staging(), &production()).expect("applies");
    assert_eq!(stage.slot(&staging()).app_settings["DATABASE"], "live");
    assert_eq!(stage.slot(&production()).target_swap_slot, Some(staging().slot));
    assert_eq!(stage.slot(&staging()).target_swap_slot, None);
    assert_ne!(stage.generations(&staging()), before);
    assert!(stage.world.operations().is_empty());
}

#[test]
fn while_a_preview_is_pending_configuration_of_both_slots_is_closed() {
    let mut stage = previewed();
    let world = &mut stage.world;
    for slot in [staging(), production()] {
        let refusal = world.put_app_settings(&slot, BTreeMap::new()).expect_err("pending");
        assert_eq!((refusal.status(), refusal.code()), (409, "Conflict"));
        assert!(refusal.to_string().contains("have been prepared for swap"));
        assert!(world.patch_web_config(&slot, serde_json::json!({"alwaysOn": true})).is_err());
    }
    assert!(world.put_slot_setting_names(&production().site, SlotSettingNames::default()).is_err());
    world.put_app_settings(&slot("canary"), BTreeMap::new()).expect("another slot is free");
}

#[test]
fn another_preview_or_swap_of_either_slot_is_refused() {
    let mut stage = previewed();
    let world = &mut stage.world;
    let refusals = [
        world.apply_slot_config(&staging(), &production()),
        world.apply_slot_config(&slot("canary"), &production()),
        world.apply_slot_config(&production(), &staging()),
        world.begin_swap(&slot("canary"), &production(), true).map(|_| ()),
        world.begin_swap(&production(), &staging(), true).map(|_| ()),
        world.begin_swap(&staging(), &slot("canary"), true).map(|_| ()),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("pending");
        assert_eq!(refusal.status(), 409);
        assert!(refusal.to_string().contains("already been prepared for swap with slot '"), "{refusal}");
    }
    let refusal = world.apply_slot_config(&slot("canary"), &production()).expect_err("pending");
    assert!(
        refusal.to_string().starts_with("Cannot apply configuration from slot 'Production'"),
        "{refusal}"
    );
}

#[test]
fn the_ordinary_swap_completes_it_without_another_restart() {
    let mut stage = previewed();
    stage.settle();
    let warm = stage.generations(&staging());
    let id = stage.swap();
    stage.settle();
    assert_eq!(stage.state(&id), OperationState::Succeeded);
    assert_eq!(stage.generations(&production()), warm);
    assert_eq!(stage.slot(&production()).target_swap_slot, None);
    assert!(stage.slot(&staging()).prepared.is_none());
    assert_eq!(stage.slot(&production()).app_settings, map(&[("DATABASE", "live"), ("GREETING", "new")]));
    assert_eq!(stage.slot(&staging()).app_settings, map(&[("DATABASE", "test"), ("GREETING", "old")]));
}

#[test]
fn a_reset_on_either_side_cancels_it_and_on_a_third_does_nothing() {
    for which in [staging(), production()] {
        let mut stage = previewed();
        stage.world.reset_slot_config(&slot("canary")).expect("does nothing");
        assert!(stage.slot(&production()).target_swap_slot.is_some());
        stage.world.reset_slot_config(&which).expect("resets");
        assert_eq!(stage.slot(&production()).target_swap_slot, None);
        assert_eq!(stage.slot(&staging()).app_settings["DATABASE"], "test");
        stage.world.put_app_settings(&production(), BTreeMap::new()).expect("open again");
        stage.world.reset_slot_config(&which).expect("nothing pending is fine");
    }
}

#[test]
fn a_failed_completion_takes_the_preview_back() {
    let mut stage = previewed();
    stage.settle();
    let id = stage.swap();
    stage.at(&id, SwapStep::WarmingUp);
    stage.world.scale("plan", 1).expect("scales");
    assert!(matches!(stage.state(&id), OperationState::Failed(_)));
    assert_eq!(stage.slot(&production()).target_swap_slot, None);
    assert_eq!(stage.slot(&staging()).app_settings["DATABASE"], "test");
}

#[test]
fn deleting_the_source_leaves_production_locked_until_it_is_reset() {
    let mut stage = previewed();
    stage.world.delete_slot(&staging()).expect("deletes");
    assert!(stage.world.put_app_settings(&production(), BTreeMap::new()).is_err());
    stage.world.reset_slot_config(&production()).expect("resets");
    stage.world.put_app_settings(&production(), BTreeMap::new()).expect("open again");
}

#[test]
fn authentication_forbids_a_preview() {
    let mut stage = Stage::new(STICKY);
    let change = SlotChange { authentication: Some(true), ..SlotChange::default() };
    stage.world.patch_slot(&production(), change).expect("patches");
    let refusal = stage.world.apply_slot_config(&staging(), &production()).expect_err("refused");
    assert_eq!(refusal, Refusal::AuthenticationEnabled);
}
