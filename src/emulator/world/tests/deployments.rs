//! Deployments (kudu-deploy.md §5 to §7).

use super::*;
use crate::emulator::scenario::Milestone;

pub(super) fn upload() -> Upload {
    Upload {
        file: "/uploads/app.zip".into(),
        kind: PackageKind::Zip,
        path: None,
        clean: true,
        restart: true,
        sha256: None,
        deployer: "slotway".to_owned(),
        message: "OneDeploy".to_owned(),
        author: "N/A".to_owned(),
    }
}

pub(super) fn begin(stage: &mut Stage) -> DeploymentKey {
    let ticket = stage.world.lock_for_upload(&staging()).expect("free");
    stage.world.begin_deployment(ticket, upload()).expect("begins")
}

#[test]
fn a_deployment_goes_from_a_temporary_id_to_its_final_one_and_becomes_active() {
    let mut stage = Stage::new("durations: {deploy: 5s}");
    let before = stage.generations(&staging());
    let key = begin(&mut stage);
    let record = stage.world.deployment(&key).expect("a record").clone();
    assert!(record.is_temp && record.id.starts_with("temp-") && !record.complete);
    assert_eq!(
        stage.slot(&staging()).side.latest_deployment().map(|latest| latest.id.clone()),
        Some(record.id)
    );
    stage.until("the final id", |stage| stage.world.deployment(&key).is_some_and(|record| !record.is_temp));
    let record = stage.world.deployment(&key).expect("a record").clone();
    assert_eq!(record.id, key.final_id);
    assert_eq!(record.status.number(), 0, "on Linux it stays 0");
    assert!(uuid::Uuid::try_parse(&record.id).is_ok() && record.id.len() == 36);
    assert_eq!(stage.generations(&staging()), before);
    stage.settle();
    let record = stage.world.deployment(&key).expect("a record").clone();
    assert!(record.complete && record.active);
    assert_eq!(record.status.number(), 4);
    assert_eq!(record.ended, Some(record.received + Duration::from_secs(5)));
    assert_ne!(stage.generations(&staging()), before, "restarted");
    assert!(stage.world.milestones().iter().any(|(reached, _)| *reached == Milestone::Deployed));
}

#[test]
fn on_windows_ids_have_no_hyphens_and_the_status_moves() {
    let mut stage = Stage::new("kind: app");
    let key = begin(&mut stage);
    stage.until("the final id", |stage| stage.world.deployment(&key).is_some_and(|record| !record.is_temp));
    assert_eq!(key.final_id.len(), 32);
    assert_eq!(stage.world.deployment(&key).map(|record| record.status), Some(DeploymentStatus::Deploying));
}

#[test]
fn the_lock_is_held_from_the_upload_to_the_end() {
    let mut stage = Stage::new("durations: {deploy: 5s}");
    let ticket = stage.world.lock_for_upload(&staging()).expect("free");
    let refusal = stage.world.lock_for_upload(&staging()).expect_err("held");
    assert_eq!((refusal.status(), refusal.origin()), (409, Origin::Scm));
    assert!(refusal.to_string().starts_with("There is a deployment currently in progress"));
    stage.world.lock_for_upload(&production()).expect("another lock");
    stage.world.abandon_upload(ticket);
    begin(&mut stage);
    assert!(stage.world.lock_for_upload(&staging()).is_err());
    stage.settle();
    stage.world.lock_for_upload(&staging()).expect("free again");
}

#[test]
fn what_cannot_be_unpacked_fails_with_its_reason_and_leaves_the_active_record() {
    let mut stage = Stage::new("");
    let good = begin(&mut stage);
    stage.settle();
    let bad = begin(&mut stage);
    stage.until("unpacking", |stage| stage.open.iter().any(|effect| matches!(effect, Effect::Unpack { .. })));
    stage.world.unpacked(&bad, Err("not a zip".to_owned()));
    stage.settle();
    let record = stage.world.deployment(&bad).expect("a record");
    assert_eq!((record.status.number(), record.active, record.complete), (3, false, true));
    assert!(record.log.iter().any(|line| line.kind == LogKind::Error && line.message == "not a zip"));
    assert_eq!(
        stage.slot(&staging()).side.active_deployment().map(|active| &active.id),
        Some(&good.final_id)
    );
}

#[test]
fn a_settings_write_restarts_scm_and_kills_the_running_deployment() {
    let mut stage = Stage::new("durations: {deploy: 60s, scm-restart: 8s}");
    let key = begin(&mut stage);
    stage.until("unpacking", |stage| stage.open.iter().any(|effect| matches!(effect, Effect::Unpack { .. })));
    stage.world.put_app_settings(&staging(), map(&[("A", "b")])).expect("writes");
    assert_eq!(stage.world.check_scm(&staging()), Err(Refusal::ScmRestarting));
    assert_eq!(stage.world.check_scm(&production()), Ok(()));
    stage.pass(8);
    assert_eq!(stage.world.check_scm(&staging()), Ok(()));
    stage.settle();
    let record = stage.world.deployment(&key).expect("a record");
    assert!(record.killed && !record.complete && !record.active, "it stays as it was");
    stage.world.lock_for_upload(&staging()).expect("the lock is gone with the process");
}

#[test]
fn an_upload_that_loses_its_lock_is_refused() {
    let mut stage = Stage::new("");
    let ticket = stage.world.lock_for_upload(&staging()).expect("free");
    stage.world.put_connection_strings(&staging(), BTreeMap::new()).expect("changes nothing");
    stage.world.put_app_settings(&staging(), map(&[("A", "b")])).expect("writes");
    assert_eq!(stage.world.begin_deployment(ticket, upload()), Err(Refusal::DeploymentInProgress));
}

#[test]
fn records_and_the_lock_move_with_the_content() {
    let mut stage = Stage::new("");
    let key = begin(&mut stage);
    stage.settle();
    stage.swap();
    stage.settle();
    assert_eq!(
        stage.slot(&production()).side.active_deployment().map(|active| &active.id),
        Some(&key.final_id)
    );
    assert!(stage.slot(&staging()).side.deployments.is_empty());
    assert_eq!(stage.world.deployment(&key).map(|record| record.active), Some(true), "found wherever it is");
}

#[test]
fn a_package_from_a_url_forbids_pushing() {
    let stage_with = |value: &str| {
        Stage::new(&format!("slots: {{staging: {{settings: {{WEBSITE_RUN_FROM_PACKAGE: '{value}'}}}}}}"))
    };
    assert!(stage_with("1").world.lock_for_upload(&staging()).is_ok());
    let refusal = stage_with("https://store/app.zip").world.lock_for_upload(&staging());
    assert_eq!(refusal, Err(Refusal::RunFromPackageUrl));
}

#[test]
fn a_stopped_slots_kudu_refuses() {
    let mut stage = Stage::new("");
    stage.world.stop(&staging()).expect("stops");
    assert_eq!(stage.world.lock_for_upload(&staging()).map_err(|refusal| refusal.status()), Err(403));
}

#[test]
fn a_pipelines_record_is_written_once_and_may_be_active() {
    let mut stage = Stage::new("");
    let record = |id: &str, success, active| RecordedDeployment {
        id: id.to_owned(),
        success,
        active,
        message: "{}".to_owned(),
        deployer: "VSTS".to_owned(),
        author: "someone".to_owned(),
        details: None,
    };
    let world = &mut stage.world;
    world.record_deployment(&staging(), record("1", true, true)).expect("writes");
    assert_eq!(
        world.record_deployment(&staging(), record("1", true, false)).map_err(|e| e.status()),
        Err(409)
    );
    assert_eq!(
        world.record_deployment(&staging(), record("2", false, true)).map_err(|e| e.status()),
        Err(400)
    );
    world.record_deployment(&staging(), record("3", false, false)).expect("writes");
    let side = &stage.slot(&staging()).side;
    assert_eq!(side.active_deployment().map(|active| active.id.as_str()), Some("1"));
    assert_eq!(side.latest_deployment().map(|latest| latest.status.number()), Some(3));
}

#[test]
fn the_first_content_is_a_record_and_starts_the_app_when_it_is_there() {
    let mut stage = Stage::raw("slots: {production: {package: /v1}}");
    while !stage.look().iter().any(|effect| matches!(effect, Effect::Unpack { .. })) {
        assert!(stage.one());
    }
    assert!(stage.slot(&production()).side.instances.is_empty());
    let temporary =
        stage.look().iter().any(|effect| matches!(effect, Effect::Unpack { upload, .. } if upload.temporary));
    assert!(!temporary, "the user's files are never removed");
    stage.settle();
    assert!(stage.all_ready(&production()));
    assert!(stage.slot(&production()).side.active_deployment().is_some());
    assert_eq!(stage.world.milestones(), [], "nobody did anything yet");
}
