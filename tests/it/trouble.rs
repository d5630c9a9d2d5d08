//! The database in trouble: what can be read is read, everything else is 503 in each API's words with a time to come back, nothing is half
//! there, and all is well again at once. What SQLite can be brought to on demand is SQLite's own: a file that may not grow, a lock in
//! another hand. The rest, files that are read-only, a damaged page, a failing disk, comes from between the store and the engine;
//! tests/fire.rs has the real ones.

use kilonova::store::{StoreError, Tx};

use crate::engine::on_postgres;
use crate::house::{Client, House, Reply};
use crate::stage::{self, Actor};
use crate::unsteady::{Fault, Faults};

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";

/// A house with a server in it, its member, and the path of the server's metadata.
async fn prepared() -> (House, std::sync::Arc<Faults>, Client, String) {
    let (house, faults, _) = House::unsteady().await;
    Actor::new(SERVER).enters(&house).await;
    let member = house.person("member", "blue").await;
    for resource in ["instances", "cores", "ram"] {
        stage::limit(&house, "blue", "", resource, -1).await;
    }
    // its token is known from now on
    member.get("/v2.1/servers").await.is(200);
    (house, faults, member, format!("/v2.1/servers/{SERVER}/metadata"))
}

/// A pragma on the connection that writes.
async fn pragma(house: &House, pragma: String) -> i64 {
    let script = move |tx: &mut dyn Tx| tx.number(&format!("PRAGMA {pragma}"), &[]);
    house.cloud.store.write(script).await.expect("a pragma")
}

#[track_caller]
fn is_unavailable(reply: Reply) {
    let reply = reply.is(503);
    assert!(reply.header("retry-after").is_some_and(|value| value.parse::<u32>().is_ok()), "when to come back");
    assert_eq!(reply.at("serviceUnavailable.code").as_i64(), Some(503));
    let text = reply.text().to_lowercase();
    assert!(!["sql", "disk", "page", "test"].iter().any(|word| text.contains(word)), "causes are for the log: {text}");
}

fn put(value: &str) -> String {
    format!(r#"{{"meta": {{"k": "{value}"}}}}"#)
}

/// Reads go on, writes do not.
async fn can_only_be_read(member: &Client, path: &str) {
    is_unavailable(member.put(&format!("{path}/k"), &put("lost")).await);
    is_unavailable(member.post(path, r#"{"metadata": {"k": "lost"}}"#).await);
    is_unavailable(member.delete(&format!("{path}/a")).await);
    member.get(path).await.is(200).says(r#"{"metadata": {"a": "1"}}"#);
    member.get(&format!("{path}/a")).await.is(200);
}

async fn is_well(member: &Client, path: &str) {
    member.get(path).await.is(200).says(r#"{"metadata": {"a": "1"}}"#);
    member.put(&format!("{path}/k"), &put("after")).await.is(200);
    member.get(path).await.is(200).says(r#"{"metadata": {"a": "1", "k": "after"}}"#);
}

#[tokio::test]
async fn what_may_not_be_written_is_read() {
    let (_house, faults, member, path) = prepared().await;
    for cause in ["attempt to write a readonly database", "disk I/O error", "database is locked"] {
        faults.fail_writes(StoreError::Unavailable(cause.into()));
        can_only_be_read(&member, &path).await;
        faults.fail_writes(None);
    }
    is_well(&member, &path).await;
}

#[tokio::test]
async fn a_full_disk_takes_whole_servers_or_none() {
    if on_postgres() {
        return; // there it is an error of the server's like any other
    }
    let (house, _, member, path) = prepared().await;
    let image = member.get("/image/v2/images?visibility=public").await.is(200).text_at("images.0.id");
    let order = format!(r#"{{"server": {{"name": "ordered", "imageRef": "{image}", "flavorRef": "1"}}}}"#);
    let pages = pragma(&house, "page_count".into()).await;
    pragma(&house, format!("max_page_count = {}", pages + 10)).await;
    let mut accepted = 0;
    let refused = loop {
        let reply = member.post("/v2.1/servers", &order).await;
        if reply.status != 202 {
            break reply;
        }
        accepted += 1;
        assert!(accepted < 1000, "ten pages are full some time");
    };
    is_unavailable(refused);
    member.get(&path).await.is(200);
    let counting = house.cloud.store.read(|tx: &mut dyn Tx| {
        Ok::<_, StoreError>((
            tx.number("SELECT count(*) FROM servers WHERE name = 'ordered'", &[])?,
            tx.number("SELECT count(*) FROM tasks", &[])?,
        ))
    });
    // for one of them the room was enough, for both of them not
    assert_eq!(counting.await.expect("numbers"), (accepted, accepted));
    pragma(&house, "max_page_count = 1073741823".into()).await;
    member.post("/v2.1/servers", &order).await.is(202);
    is_well(&member, &path).await;
}

#[tokio::test]
async fn a_database_that_another_holds_is_read() {
    if on_postgres() {
        return; // only a file has one writer
    }
    let (house, _, member, path) = prepared().await;
    let other = rusqlite::Connection::open(house.directory().join("kilonova.db")).expect("the database");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody writes now");
    is_unavailable(member.put(&format!("{path}/k"), &put("lost")).await);
    member.get(&path).await.is(200).says(r#"{"metadata": {"a": "1"}}"#);
    other.execute_batch("ROLLBACK").expect("it was begun");
    is_well(&member, &path).await;
}

#[tokio::test]
async fn a_failing_disk_and_a_damaged_page_are_no_service_and_no_wrong_answer() {
    let (_house, faults, member, path) = prepared().await;
    for error in [
        StoreError::Unavailable("disk I/O error".into()),
        StoreError::DiskFails("disk I/O error".into()),
        StoreError::Damaged("database disk image is malformed".into()),
        StoreError::Overloaded,
    ] {
        faults.fail(error);
        is_unavailable(member.put(&format!("{path}/k"), &put("lost")).await);
        is_unavailable(member.get(&path).await);
        faults.fail(None);
        member.get(&path).await.is(200).says(r#"{"metadata": {"a": "1"}}"#);
    }
    is_well(&member, &path).await;
}

#[tokio::test]
async fn a_disk_that_fails_in_the_middle_of_a_change_keeps_nothing_of_it() {
    let (house, faults, member, path) = prepared().await;
    let image = member.get("/image/v2/images?visibility=public").await.is(200).text_at("images.0.id");
    let order = format!(r#"{{"server": {{"name": "ordered", "imageRef": "{image}", "flavorRef": "1"}}}}"#);
    faults.arm(0, Fault::Halfway);
    is_unavailable(member.post("/v2.1/servers", &order).await);
    assert!(faults.disarm(), "it failed in the middle");
    let counting = house.cloud.store.read(|tx: &mut dyn Tx| {
        Ok::<_, StoreError>((
            tx.number("SELECT count(*) FROM servers WHERE name = 'ordered'", &[])?,
            tx.number("SELECT count(*) FROM tasks", &[])?,
        ))
    });
    assert_eq!(counting.await.expect("numbers"), (0, 0));
    is_well(&member, &path).await;
}
