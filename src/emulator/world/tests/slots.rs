//! Slots, settings, locks, scaling, crashes, and who else acts.

use super::*;

#[test]
fn a_new_slot_is_empty_has_its_own_content_and_starts() {
    let mut stage = Stage::new("slots: {production: {settings: {A: b}, web-config: {alwaysOn: true}}}");
    let canary = slot("canary");
    stage.world.create_slot(&canary, hosts(5000)).expect("creates");
    stage.settle();
    let new = stage.slot(&canary);
    assert!(new.app_settings.is_empty() && !new.web_config.always_on && !new.publishing.scm_allowed);
    assert_eq!(new.publishing.user, "$contoso-web__canary");
    assert!(new.side.content_id.starts_with("contoso-web__"));
    assert_eq!(new.side.content_id.len(), "contoso-web__1234".len());
    assert!(stage.all_ready(&canary));
    stage.world.create_slot(&canary, hosts(6000)).expect("is there");
    assert_eq!(stage.slot(&canary).hosts, hosts(5000));
    stage.world.delete_slot(&canary).expect("deletes");
    assert_eq!(stage.world.slot(&canary).map_err(|refusal| refusal.status()).err(), Some(404));
    assert!(stage.look().iter().any(|effect| matches!(effect, Effect::Remove(_))));
}

#[test]
fn on_windows_a_new_slot_has_one_setting() {
    let stage = Stage::new("kind: app");
    assert_eq!(stage.slot(&staging()).app_settings, map(&[("WEBSITE_NODE_DEFAULT_VERSION", "6.9.1")]));
}

#[test]
fn a_tier_allows_so_many_slots_and_production_is_no_slots_name() {
    let mut stage = Stage::new("");
    for number in 1..=4u16 {
        stage.world.create_slot(&slot(&format!("s{number}")), hosts(5000 + number)).expect("creates");
    }
    let refusal = stage.world.create_slot(&slot("s5"), hosts(7000)).expect_err("five are there");
    assert_eq!(refusal.status(), 409);
    assert_eq!(stage.world.delete_slot(&production()).map_err(|refusal| refusal.status()), Err(400));
}

#[test]
fn locks_block_what_they_name() {
    let mut stage = Stage::new("");
    let site = production().site;
    stage.world.set_lock(&site, Some(Lock::CanNotDelete)).expect("locks");
    stage.world.put_app_settings(&staging(), map(&[("A", "b")])).expect("writes");
    assert_eq!(stage.world.delete_slot(&staging()).map_err(|refusal| refusal.code()), Err("ScopeLocked"));
    stage.world.set_lock(&site, Some(Lock::ReadOnly)).expect("locks");
    assert!(stage.world.put_app_settings(&staging(), BTreeMap::new()).is_err());
    assert!(stage.world.check_post(&staging()).is_err(), "listing secrets too");
    assert!(stage.world.restart(&staging()).is_err());
}

#[test]
fn a_changed_setting_restarts_the_slot_and_an_equal_one_does_not() {
    let mut stage = Stage::new("slots: {staging: {settings: {A: b}}}");
    let before = stage.generations(&staging());
    stage.world.put_app_settings(&staging(), map(&[("A", "b")])).expect("writes");
    stage.world.patch_web_config(&staging(), serde_json::json!({"alwaysOn": true})).expect("patches");
    assert_eq!(stage.generations(&staging()), before);
    stage.world.put_app_settings(&staging(), map(&[("A", "c")])).expect("writes");
    let between = stage.generations(&staging());
    assert_ne!(between, before);
    let command = serde_json::json!({"appCommandLine": "node other.js"});
    stage.world.patch_web_config(&staging(), command).expect("patches");
    assert_ne!(stage.generations(&staging()), between);
}

#[test]
fn a_put_of_one_list_of_slot_settings_empties_the_others() {
    let mut stage = Stage::new("");
    let site = production().site;
    assert_eq!(
        stage.world.site("CONTOSO-WEB").map(|site| site.slot_setting_names.clone()),
        Some(Default::default())
    );
    let names = SlotSettingNames { app_setting_names: Some(vec!["A".into()]), ..Default::default() };
    stage.world.put_slot_setting_names(&site, names).expect("writes");
    let names = stage.world.site("contoso-web").map(|site| site.slot_setting_names.clone()).expect("site");
    assert_eq!(names.connection_string_names, Some(Vec::new()));
}

#[test]
fn stop_and_start() {
    let mut stage = Stage::new("");
    stage.world.stop(&staging()).expect("stops");
    assert!(stage.slot(&staging()).side.instances.is_empty());
    assert!(stage.world.routes()[&staging()].stopped);
    stage.world.restart(&staging()).expect("restarts nothing");
    assert!(stage.slot(&staging()).side.instances.is_empty());
    stage.world.start(&staging()).expect("starts");
    stage.settle();
    assert!(stage.all_ready(&staging()));
    assert_eq!(stage.world.routes()[&staging()].ready.len(), 2);
}

#[test]
fn an_instance_is_ready_when_the_app_answers_and_its_start_time_is_over() {
    let mut stage = Stage::new("durations: {start: 2s}");
    stage.world.restart(&staging()).expect("restarts");
    while stage.one() {}
    assert!(!stage.all_ready(&staging()), "the app answers already");
    stage.pass(2);
    assert!(stage.all_ready(&staging()));
}

#[test]
fn an_app_that_dies_is_started_again_but_one_that_does_not_start_is_not() {
    let mut stage = Stage::new("workers: 1\ndurations: {revive: 3s}");
    let key = stage.world.routes()[&staging()].ready[0].clone();
    stage.world.instance_changed(&key, InstanceChange::Down { reason: "exit code 1".into() });
    assert!(stage.world.routes()[&staging()].ready.is_empty());
    stage.pass(3);
    let Some(Effect::StartInstance { key: second, .. }) = stage.look().last().cloned() else {
        panic!("no start")
    };
    assert!(second.generation > key.generation);
    stage.world.instance_changed(&second, InstanceChange::Down { reason: "exit code 1".into() });
    stage.open.clear();
    stage.pass(60);
    assert!(stage.look().is_empty());
    assert!(matches!(stage.slot(&staging()).side.instances[0].state, InstanceState::Failed { .. }));
}

#[test]
fn scaling_changes_every_slot_and_keeps_the_workers_that_stay() {
    let mut stage = Stage::new("");
    let workers = stage.world.plan_of(&production().site).expect("plan").workers.clone();
    assert!(workers.iter().all(|worker| worker.0.len() == 64));
    stage.world.scale("plan", 3).expect("scales");
    stage.settle();
    assert_eq!(stage.world.plan_of(&production().site).expect("plan").workers[..2], workers);
    assert!(stage.world.routes().values().all(|route| route.ready.len() == 3));
    assert!(stage.world.scale("plan", 0).is_err() && stage.world.scale("other", 1).is_err());
}

#[test]
fn the_environment_has_settings_prefixed_strings_and_the_sites_names() {
    let mut stage = Stage::new("slots: {staging: {settings: {'A:B': x}}}");
    let string = ConnectionString { value: "server".into(), kind: "SQLAzure".into() };
    stage.world.put_connection_strings(&staging(), [("Db".to_owned(), string)].into()).expect("writes");
    let environment = stage.look().iter().rev().find_map(|effect| match effect {
        Effect::StartInstance { app, .. } => Some(app.environment.clone()),
        _ => None,
    });
    let environment = environment.expect("restarts");
    for (name, value) in [
        ("A_B", "x"),
        ("APPSETTING_A_B", "x"),
        ("SQLAZURECONNSTR_Db", "server"),
        ("WEBSITE_SITE_NAME", "contoso-web"),
        ("WEBSITE_SLOT_NAME", "staging"),
    ] {
        assert_eq!(environment.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn an_actor_acts_once_at_its_milestone_and_its_refusal_is_kept() {
    let mut stage = Stage::new(
        "actors: [{after: swap-accepted, do: scale, workers: 3}, {after: swap-accepted, do: restart, slot: staging, delay: 0s}]",
    );
    let id = stage.swap();
    stage.settle();
    assert!(matches!(stage.state(&id), OperationState::Failed(Refusal::AllocationChanged { .. })));
    let results: Vec<_> =
        stage.world.actor_results().iter().map(|acted| (acted.actor, acted.result.is_ok())).collect();
    assert_eq!(results, [(0, true), (1, true)]);
    stage.swap();
    stage.settle();
    assert_eq!(stage.world.actor_results().len(), 2);
}

#[test]
fn the_same_commands_give_the_same_world() {
    let run = || {
        let mut stage = Stage::new("slots: {production: {slot-settings: {A: b}}}");
        super::deployments::begin(&mut stage);
        stage.settle();
        stage.swap();
        stage.settle();
        format!("{:?}", stage.world)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_container_runs_its_image_and_one_that_no_registry_holds_runs_nothing() {
    let mut stage = Stage::raw(
        "workers: 1\nimages: {\"r.io/app:1\": {package: x}}\nslots: {staging: {web-config: {linuxFxVersion: \"DOCKER|r.io/app:1\"}}}",
    );
    let started = |effects: Vec<Effect>| -> Vec<(PathBuf, Option<String>)> {
        let apps = effects.into_iter().filter_map(|effect| match effect {
            Effect::StartInstance { app, .. } if app.slot == staging() => Some(app),
            _ => None,
        });
        apps.map(|app| (app.folder, app.missing_image)).collect()
    };
    assert_eq!(started(stage.world.take_effects()), [("/contents/image-0".into(), None)]);
    let patch = serde_json::json!({"linuxFxVersion": "DOCKER|r.io/app:2"});
    stage.world.patch_web_config(&staging(), patch).expect("allowed");
    let missing = started(stage.world.take_effects());
    assert_eq!(missing[0].1.as_deref(), Some("r.io/app:2"));
}
