//! The policy that is published for all processes of a database: it reaches each of them, a broken one harms none, and it goes where the
//! database goes.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use http::Method;
use kilonova::api;
use kilonova::api::message::{Body, Request};
use kilonova::cloud::Cloud;
use kilonova::model::time::Timestamp;
use kilonova::store::care::{check, export, import};
use kilonova::store::{Purpose, StoreError, Tx, policies};

use crate::engine;
use crate::house::{Client, House};
use crate::server_metadata::{SERVER, server};

const NOBODY_READS: &str = "os_compute_api:server-metadata:index: \"!\"\n";

async fn house() -> House {
    let house = House::new().await;
    server(&house).await;
    house
}

async fn publish(cloud: &Cloud, text: &'static str) -> i64 {
    let at = cloud.now();
    let script = move |tx: &mut dyn Tx| policies::publish(tx, text, at);
    cloud.store.write::<_, StoreError>(script).await.expect("a policy can be published")
}

async fn read(client: &Client) -> u16 {
    client.get(&format!("/v2.1/servers/{SERVER}/metadata")).await.status
}

/// What `serve` does at news, until a request is answered so.
async fn hears(cloud: &Arc<Cloud>, client: &Client, wanted: u16) {
    let there = Client { cloud: cloud.clone(), token: client.token.clone() };
    let hearing = async {
        loop {
            cloud.policy_news.notified().await;
            cloud.take_published_policy().await.expect("the database answers");
            if read(&there).await == wanted {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), hearing).await.expect("it is heard of, and soon");
}

/// Every process that there is on this engine.
async fn processes(house: &House) -> Vec<Arc<Cloud>> {
    [house.cloud.clone()].into_iter().chain(house.neighbour().await).collect()
}

#[tokio::test]
async fn what_is_published_by_one_holds_at_all_until_it_is_withdrawn() {
    let house = house().await;
    let reader = house.person("reader", "blue").await;
    let all = processes(&house).await;
    assert_eq!(read(&reader).await, 200);
    publish(&house.cloud, NOBODY_READS).await;
    for cloud in &all {
        hears(cloud, &reader, 403).await;
    }
    // by another than before, too
    publish(all.last().expect("one at least"), "").await;
    for cloud in &all {
        hears(cloud, &reader, 200).await;
    }
}

#[tokio::test]
async fn whoever_starts_serves_by_what_is_published() {
    let house = house().await;
    let reader = house.person("reader", "blue").await;
    publish(&house.cloud, NOBODY_READS).await;
    let house = house.restarted().await;
    house.cloud.begin_with_published_policy().await.expect("a policy that can be taken");
    assert_eq!(read(&house.bearer(reader.token.as_deref().expect("a token"))).await, 403);
}

#[tokio::test]
async fn a_broken_one_leaves_the_last_good_one_in_force_also_after_a_restart() {
    let house = house().await;
    let reader = house.person("reader", "blue").await;
    publish(&house.cloud, NOBODY_READS).await;
    house.cloud.take_published_policy().await.expect("the database answers");
    let broken = publish(&house.cloud, "os_compute_api:server-metadata:index: [").await;
    let taken = house.cloud.take_published_policy().await.expect("the database answers");
    assert_eq!((taken.revision, taken.refused.len()), (None, 1));
    assert_eq!(read(&reader).await, 403);
    let house = house.restarted().await;
    house.cloud.begin_with_published_policy().await.expect("the one before can be taken");
    assert_eq!(house.cloud.live_rules().revision(), broken - 1);
    assert_eq!(read(&house.bearer(reader.token.as_deref().expect("a token"))).await, 403);
}

#[tokio::test]
async fn where_nothing_published_can_be_read_nobody_starts_with_less() {
    let house = house().await;
    publish(&house.cloud, "- no mapping").await;
    let sentence = house.cloud.begin_with_published_policy().await.expect_err("there is no good one");
    assert!(sentence.contains("published policy, revision 1:1: ") && sentence.contains("policy withdraw"), "{sentence}");
    // who serves already goes on with what it has
    let reader = house.person("reader", "blue").await;
    assert_eq!(read(&reader).await, 200);
}

#[tokio::test]
async fn a_number_that_was_lost_and_given_again_is_another_policy() {
    let house = house().await;
    let reader = house.person("reader", "blue").await;
    publish(&house.cloud, NOBODY_READS).await;
    house.cloud.take_published_policy().await.expect("the database answers");
    assert_eq!(read(&reader).await, 403);
    // as after a failover to a standby that had not heard of it
    let at = Timestamp::from_microseconds(house.cloud.now().microseconds() + 1);
    let lose_and_publish = move |tx: &mut dyn Tx| {
        tx.execute("DELETE FROM published_policies WHERE revision = 1", &[])?;
        policies::publish(tx, "", at)
    };
    let again = house.cloud.store.write::<_, StoreError>(lose_and_publish).await.expect("written");
    assert_eq!(again, 1);
    assert_eq!(house.cloud.take_published_policy().await.expect("the database answers").revision, Some(1));
    assert_eq!(read(&reader).await, 200);
}

#[tokio::test]
async fn a_request_under_way_is_answered_by_the_policy_it_began_with() {
    let house = house().await;
    let admin = house.person("admin", "green").await;
    let (send, sent) = tokio::sync::oneshot::channel::<()>();
    let target = format!("/v2.1/servers/{SERVER}/metadata/a");
    let mut request = Request::new(Method::PUT, &target);
    request.headers.insert("x-auth-token", admin.token.as_ref().expect("a token").parse().expect("text"));
    request.headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    let stream = futures_util::stream::once(async move {
        let _ = sent.await;
        Ok(bytes::Bytes::from_static(br#"{"meta": {"a": "2"}}"#))
    });
    request.body = Body::Stream(Box::pin(stream.fuse()), None);
    let cloud = house.cloud.clone();
    let asking = tokio::spawn(async move { api::handle(&cloud, request).await });
    // it is known who asks, and the body is waited for
    tokio::task::yield_now().await;
    while Arc::strong_count(&house.cloud.rules()) < 3 {
        tokio::task::yield_now().await;
    }
    publish(&house.cloud, "context_is_admin: \"!\"\nos_compute_api:server-metadata:update: \"!\"\n").await;
    house.cloud.take_published_policy().await.expect("the database answers");
    let _ = send.send(());
    assert_eq!(asking.await.expect("no panic").status.as_u16(), 200);
    admin.put(&target, r#"{"meta": {"a": "3"}}"#).await.is(404);
}

#[tokio::test]
async fn the_last_revisions_are_kept_and_older_ones_go() {
    let house = house().await;
    for _ in 0..15 {
        publish(&house.cloud, NOBODY_READS).await;
    }
    let kept = house.cloud.store.read::<_, StoreError>(|tx: &mut dyn Tx| policies::kept(tx)).await.expect("rows");
    let revisions: Vec<i64> = kept.into_iter().map(|published| published.edition.revision).collect();
    assert_eq!(revisions, (6..=15).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn it_is_exported_and_imported_and_a_broken_one_is_found() {
    let house = house().await;
    publish(&house.cloud, NOBODY_READS).await;
    let out = tempfile::NamedTempFile::new().expect("a file");
    export::export(&house.cloud.store, out.reopen().expect("a file"), |_| {}).await.expect("an export");
    let directory = tempfile::tempdir().expect("a directory");
    let copy = engine::opened(directory.path(), Purpose::Import).await.expect("an empty database");
    let lines = std::fs::read(out.path()).expect("lines");
    import::import(&copy, &lines[..], &mut |_| {}).await.expect("an import");
    let published = copy.read(policies::newest).await.expect("a row").expect("it is there");
    assert_eq!((published.edition.revision, published.text.as_str()), (1, NOBODY_READS));
    let found = check::database(&house.cloud.store, !engine::on_postgres(), |_| {}).await.expect("findings");
    assert_eq!(found.wrong, [""; 0]);
    publish(&house.cloud, "a: [").await;
    let found = check::database(&house.cloud.store, !engine::on_postgres(), |_| {}).await.expect("findings");
    assert!(matches!(&found.wrong[..], [one] if one.starts_with("published policy, revision 2:")), "{:?}", found.wrong);
}

#[tokio::test]
async fn a_database_that_was_never_served_takes_no_policy() {
    let directory = tempfile::tempdir().expect("a directory");
    let refused = engine::opened(directory.path(), Purpose::Change).await.err().expect("there is no cloud");
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
}

/// What `kilonova policy explain` says of a reader of server metadata, by the settings of a house: whether they may, and the first line.
fn explained(house: &House, more: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kilonova"));
    command.args(["policy", "explain", "os_compute_api:server-metadata:index", "--role", "reader", "--data-dir"]);
    command.arg(house.directory()).args(more);
    if engine::on_postgres() {
        let url = std::fs::read_to_string(house.directory().join("database-url")).expect("the house has noted it");
        command.args(["--database", &url]);
    }
    let output = command.output().expect("the binary runs");
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let first = said.split("\n\n").next().unwrap_or_default().to_owned();
    assert!(first.starts_with("policy: "), "{said}{error}");
    (output.status.success(), first.split("\nroles: ").next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_explanation_is_by_what_the_servers_obey_and_says_what_that_is() {
    let house = house().await;
    let said = |may, layers: &str| (may, format!("policy: the defaults{layers}"));
    assert_eq!(explained(&house, &[]), said(true, " (nothing is published)"));
    publish(&house.cloud, NOBODY_READS).await;
    let first = ", over them revision 1, published at 2026-01-01T00:00:00Z";
    assert_eq!(explained(&house, &[]), said(false, first));
    // what cannot be read is not in force, and is said to be there
    publish(&house.cloud, "a: [").await;
    let (may, layers) = explained(&house, &[]);
    assert!(!may && layers.starts_with(&format!("policy: the defaults{first}\nnot in force: ")), "{layers}");
    // a file of the host counts over what is published, and one that is named alone
    let path = house.directory().join("policy.yaml");
    std::fs::write(&path, "os_compute_api:server-metadata:index: role:reader\n").expect("a written file");
    publish(&house.cloud, NOBODY_READS).await;
    let third = ", over them revision 3, published at 2026-01-01T00:00:00Z";
    assert_eq!(explained(&house, &[]), said(true, &format!("{third}, over that the file {}", path.display())));
    let named = house.directory().join("named.yaml");
    std::fs::write(&named, NOBODY_READS).expect("a written file");
    let text = named.to_str().expect("a name in UTF-8");
    assert_eq!(explained(&house, &["--file", text]), said(false, &format!(", over them the file {text}")));
    std::fs::remove_file(&path).expect("it is there");
    publish(&house.cloud, "").await;
    assert_eq!(explained(&house, &[]), said(true, " (what was published is withdrawn, revision 4)"));
}
