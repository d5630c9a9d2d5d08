//! What every user of the fake relies on.

use std::sync::Arc;

use futures_util::StreamExt;

use super::*;

const ID: ServerId = ServerId::from_random([7; 16]);

fn spec() -> Spec {
    Spec {
        id: ID,
        name: "web-1".to_owned(),
        image: Some(ImageId::from_random([1; 16])),
        memory_mb: 512,
        vcpus: 1,
        root_gb: 1,
        ephemeral_gb: 0,
        swap_mb: 0,
        disk_config: DiskConfig::Manual,
        power: PowerState::NoState,
    }
}

async fn running() -> Arc<dyn Driver> {
    let fake = Fake::new();
    fake.build(&spec()).await.unwrap();
    fake.start(ID).await.unwrap();
    Arc::new(fake)
}

#[tokio::test]
async fn a_guest_does_what_it_is_told() {
    let driver = running().await;
    for (op, power) in [
        (PowerOp::Pause, PowerState::Paused),
        (PowerOp::Unpause, PowerState::Running),
        (PowerOp::Suspend, PowerState::Suspended),
        (PowerOp::Resume, PowerState::Running),
        (PowerOp::SoftReboot, PowerState::Running),
        (PowerOp::SoftOff, PowerState::Shutdown),
        (PowerOp::HardReboot, PowerState::Running),
        (PowerOp::HardOff, PowerState::Shutdown),
    ] {
        assert_eq!(driver.power(ID, op).await, Ok(power));
        assert_eq!(driver.power(ID, op).await, Ok(power), "{op:?} a second time");
    }
}

#[tokio::test]
async fn a_guest_that_was_never_built_is_none() {
    let fake = Fake::new();
    assert_eq!(fake.start(ID).await, Err(DriverError::NoGuest(ID)));
    assert_eq!(fake.attach(&spec()).await, Ok(None));
    assert_eq!(fake.destroy(ID).await, Ok(()));
}

#[tokio::test]
async fn a_guest_that_is_built_again_runs_on() {
    let driver = running().await;
    driver.build(&Spec { memory_mb: 1024, ..spec() }).await.unwrap();
    assert_eq!(driver.attach(&spec()).await, Ok(Some(PowerState::Running)));
    assert!(String::from_utf8(driver.console(ID, None).await.unwrap()).unwrap().contains("1024 MiB"));
}

#[tokio::test]
async fn after_a_restart_a_guest_is_what_the_caller_last_knew() {
    let fake = Fake::new();
    let known = Spec { power: PowerState::Paused, ..spec() };
    assert_eq!(fake.attach(&known).await, Ok(Some(PowerState::Paused)));
    assert_eq!(fake.power(ID, PowerOp::Unpause).await, Ok(PowerState::Running));
    assert_eq!(fake.attach(&known).await, Ok(Some(PowerState::Running)));
}

#[tokio::test]
async fn a_snapshot_is_the_same_every_time() {
    let driver = running().await;
    let mut copies = vec![];
    for _ in 0..2 {
        let snapshot = driver.snapshot(ID).await.unwrap();
        let chunks: Vec<Bytes> = snapshot.chunks.map(|chunk| chunk.unwrap()).collect().await;
        let all = chunks.concat();
        assert_eq!(snapshot.bytes, Some(all.len() as u64));
        copies.push(all);
    }
    assert_eq!(copies[0], copies[1]);
    assert!(!copies[0].is_empty());
}

#[tokio::test]
async fn the_console_names_the_server() {
    let driver = running().await;
    let all = String::from_utf8(driver.console(ID, None).await.unwrap()).unwrap();
    assert!(all.starts_with("Booting web-1 from its root disk\n"), "{all}");
    assert_eq!(driver.console(ID, Some(1)).await, Ok(b"web-1 login: \n".to_vec()));
    assert_eq!(driver.console(ID, Some(0)).await, Ok(vec![]));
}

#[tokio::test]
async fn a_rescued_guest_boots_from_the_rescue_image_until_it_is_unrescued() {
    let driver = running().await;
    driver.rescue(ID, None).await.unwrap();
    driver.start(ID).await.unwrap();
    assert!(String::from_utf8(driver.console(ID, None).await.unwrap()).unwrap().contains("rescue image"));
    driver.unrescue(ID).await.unwrap();
    assert!(!String::from_utf8(driver.console(ID, None).await.unwrap()).unwrap().contains("rescue image"));
}

#[tokio::test]
async fn a_destroyed_guest_is_gone_and_may_be_destroyed_again() {
    let driver = running().await;
    assert_eq!(driver.destroy(ID).await, Ok(()));
    assert_eq!(driver.destroy(ID).await, Ok(()));
    assert_eq!(driver.console(ID, None).await, Err(DriverError::NoGuest(ID)));
}

#[tokio::test]
async fn a_test_can_make_an_operation_fail_and_work_again() {
    let fake = Fake::failing(Op::Build);
    assert!(matches!(fake.build(&spec()).await, Err(DriverError::Failed { op: Op::Build, id: ID, .. })));
    fake.heal(Op::Build);
    assert_eq!(fake.build(&spec()).await, Ok(()));
}
