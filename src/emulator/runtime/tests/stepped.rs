//! Stepped time: the world moves by command only.

use super::*;
use crate::emulator::world::SwapStep;

#[tokio::test]
async fn a_swap_moves_only_with_the_time_and_each_step_can_be_seen() {
    let stand = Stand::new(
        "time: stepped\ndurations: {swap-apply: 5s, start: 10s, swap-switch: 3s, swap-finish: 30s}\n\
         slots: {production: {package: '{base}/one', slot-settings: {A: b}}}",
        |base| {
            app(base, "one", &[("scripted-app.yml", "version: '1'\nstart: 12s")]);
        },
    )
    .await;
    stand.shared.drain().await;
    stand.ready(&slot("production")).await;
    let id = stand.begin_swap();
    let step = || stand.shared.read(|world| world.operation(&id).expect("operation").step);
    let began = stand.shared.now();
    for (seconds, expected) in [
        (4, SwapStep::Accepted),
        (5, SwapStep::RestartingSource),
        (14, SwapStep::RestartingSource),
        (15, SwapStep::Switching),
        (17, SwapStep::Switching),
        (18, SwapStep::RestartingOther),
        (47, SwapStep::RestartingOther),
        (48, SwapStep::Finished),
    ] {
        let by = began + Duration::from_secs(seconds) - stand.shared.now();
        stand.shared.step(by.try_into().expect("forward")).await;
        assert_eq!(step(), expected, "after {seconds} s");
    }
    stand.swapped(&id).await;
    assert_eq!(stand.get(&slot("staging"), "/").await.text, "1\n", "the app's own 12 s are over too");
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn draining_ends_what_is_under_way_and_a_failed_start_too() {
    let stand = Stand::new(
        "time: stepped\ndurations: {deploy: 20s}\nslots: {production: {slot-settings: {A: b}}}",
        |base| {
            app(base, "bad", &[("scripted-app.yml", "version: '1'\nstart: 5s\nfails-to-start: true")]);
        },
    )
    .await;
    stand.shared.drain().await;
    let key = stand.deploy(&slot("staging"), &stand.folder.path().join("bad"));
    stand.shared.drain().await;
    stand.deployed(&key).await;
    let id = stand.begin_swap();
    stand.shared.drain().await;
    let state = stand.shared.read(|world| world.operation(&id).expect("operation").state.clone());
    let OperationState::Failed(refusal) = state else { panic!("{state:?}") };
    assert_eq!(refusal.status(), 417);
    assert!(!stand.shared.read(World::is_busy));
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn draining_in_real_time_waits_for_the_end() {
    let stand = Stand::new("durations: {deploy: 50ms}", |base| {
        app(base, "one", &[("index.html", "1")]);
    })
    .await;
    stand.ready(&slot("staging")).await;
    let key = stand.deploy(&slot("staging"), &stand.folder.path().join("one"));
    stand.shared.drain().await;
    assert!(stand.shared.read(|world| world.deployment(&key).is_some_and(|record| record.active)));
    stand.shared.shutdown().await;
}
