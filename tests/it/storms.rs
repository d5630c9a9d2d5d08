//! Many clients at once, and what must survive them.

use std::sync::mpsc::{Sender, channel};

use kilonova::store::{Store, StoreError, Tx};

use crate::engine;
use crate::house::{House, id_of};
use crate::stage::{self, Actor};

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
const CLIENTS: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_change_different_keys_of_a_server_all_keep_theirs() {
    let house = House::new().await;
    Actor { items: "{}".into(), ..Actor::new(SERVER) }.enters(&house).await;
    let member = house.person("member", "blue").await;
    let put = |key: usize| {
        let (member, path) = (member.clone(), format!("/v2.1/servers/{SERVER}/metadata/k{key}"));
        tokio::spawn(async move { member.put(&path, &format!(r#"{{"meta": {{"k{key}": "v"}}}}"#)).await.is(200) })
    };
    let clients: Vec<_> = (0..CLIENTS).map(put).collect();
    for client in clients {
        client.await.expect("a client's answer is 200");
    }
    let reply = member.get(&format!("/v2.1/servers/{SERVER}/metadata")).await.is(200);
    let kept = reply.at("metadata");
    let kept = kept.as_object().expect("a map");
    assert_eq!((0..CLIENTS).filter(|key| kept.get(&format!("k{key}")).is_some()).count(), CLIENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_quota_holds_however_many_clients_there_are() {
    let house = House::new().await;
    Actor { items: "{}".into(), ..Actor::new(SERVER) }.enters(&house).await;
    let member = house.person("member", "blue").await;
    stage::limit(&house, "blue", "", "metadata_items", 5).await;
    let post = |key: usize| {
        let (member, path) = (member.clone(), format!("/v2.1/{}/servers/{SERVER}/metadata", id_of("blue")));
        tokio::spawn(async move { member.post(&path, &format!(r#"{{"metadata": {{"k{key}": "v"}}}}"#)).await.status })
    };
    let clients: Vec<_> = (0..CLIENTS).map(post).collect();
    let mut kept = 0;
    for client in clients {
        match client.await.expect("a client gets an answer") {
            200 => kept += 1,
            status => assert_eq!(status, 403),
        }
    }
    assert_eq!(kept, 5);
}

#[tokio::test]
async fn keys_that_differ_in_case_only_are_two() {
    let house = House::new().await;
    Actor::new(SERVER).enters(&house).await;
    let member = house.person("member", "blue").await;
    let path = format!("/v2.1/servers/{SERVER}/metadata");
    member.post(&path, r#"{"metadata": {"A": "2"}}"#).await.says(r#"{"metadata": {"a": "1", "A": "2"}}"#);
    member.delete(&format!("{path}/a")).await.is(204);
    member.get(&path).await.says(r#"{"metadata": {"A": "2"}}"#);
}

/// Tells whether it was dropped in a panic.
struct Told(Sender<bool>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(std::thread::panicking());
    }
}

#[tokio::test]
async fn the_last_owner_of_a_store_may_be_its_own_thread() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = engine::store(directory.path()).await;
    let (sender, told) = channel();
    // fields are dropped in this order
    struct Last(Store, Told);
    let last = Last(store.clone(), Told(sender));
    let mut writing = Box::pin(async move {
        let script = move |_: &mut dyn Tx| {
            let _ = (&last.0, &last.1);
            Ok::<_, StoreError>(())
        };
        store.write(script).await
    });
    // the script is accepted, then nobody waits for it any longer
    let _ = futures_util::poll!(&mut writing);
    drop(writing);
    let panicked = tokio::task::spawn_blocking(move || told.recv()).await.expect("no panic").expect("it is dropped");
    assert!(!panicked);
}
