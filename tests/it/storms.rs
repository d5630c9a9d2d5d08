//! Many clients at once, and what must survive them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use kilonova::model::image::Visibility;
use kilonova::store::{Store, StoreError, Tx};

use crate::engine;
use crate::house::{Client, House, id_of};
use crate::linear::{Did, Event, is_linearizable};
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

/// How many changes each client of the mixed storm makes.
const CHANGES: usize = 40;
const IMAGE: &str = "6f9c6b2e-0000-4000-8000-0000000000aa";

/// What a client does to keys of its own, in turn, and what must be there of them in the end.
async fn mixed_changes(member: Client, path: String, number: usize) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for turn in 0..CHANGES {
        let (key, value) = (format!("c{number}-{}", turn % 3), format!("v{turn}"));
        match turn % 4 {
            0 => {
                member.post(&path, &format!(r#"{{"metadata": {{"{key}": "{value}"}}}}"#)).await.is(200);
            }
            3 if kept.contains_key(&key) => {
                member.delete(&format!("{path}/{key}")).await.is(204);
                kept.remove(&key);
                continue;
            }
            _ => {
                member.put(&format!("{path}/{key}"), &format!(r#"{{"meta": {{"{key}": "{value}"}}}}"#)).await.is(200);
            }
        }
        kept.insert(key, value);
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_way_to_write_at_once_leaves_what_each_client_wrote() {
    let house = House::new().await;
    Actor { items: "{}".into(), ..Actor::new(SERVER) }.enters(&house).await;
    stage::image(&house, IMAGE, "blue", Visibility::Private, &[]).await;
    let member = house.person("member", "blue").await;
    for path in [format!("/v2.1/servers/{SERVER}/metadata"), format!("/v2.1/images/{IMAGE}/metadata")] {
        let clients = (0..CLIENTS).map(|number| tokio::spawn(mixed_changes(member.clone(), path.clone(), number)));
        let clients: Vec<_> = clients.collect();
        let mut wanted = BTreeMap::new();
        for client in clients {
            wanted.extend(client.await.expect("a client is answered as it must be"));
        }
        let reply = member.get(&path).await.is(200);
        let there = reply.at("metadata");
        let there = there.as_object().expect("a map").iter();
        let there: BTreeMap<String, String> =
            there.map(|(key, value)| (key.to_string(), value.as_str().expect("text").to_owned())).collect();
        assert_eq!(there, wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_never_get_a_server_over_its_limit() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    stage::limit(&house, "blue", "", "metadata_items", 8).await;
    for number in 0..300 {
        let id: &'static str = format!("6f9c6b2e-0000-4{number:03x}-8000-000000000000").leak();
        Actor::new(id).with_items(7).enters(&house).await;
        let path = format!("/v2.1/servers/{id}/metadata");
        let writer = |key: usize| {
            let (member, path) = (member.clone(), path.clone());
            tokio::spawn(async move {
                member.put(&format!("{path}/w{key}"), &format!(r#"{{"meta": {{"w{key}": "v"}}}}"#)).await.status
            })
        };
        let writers: Vec<_> = (0..8).map(writer).collect();
        let mut accepted = 0;
        for writer in writers {
            accepted += usize::from(writer.await.expect("a writer gets an answer") == 200);
        }
        let there = member.get(&path).await.at("metadata").as_object().map_or(0, kilonova::json::Object::len);
        assert_eq!((accepted, there), (1, 8), "server {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_history_of_one_key_is_linearizable() {
    let house = House::new().await;
    Actor { items: r#"{"k": "0"}"#.into(), ..Actor::new(SERVER) }.enters(&house).await;
    let member = house.person("member", "blue").await;
    let clock = Arc::new(AtomicU64::new(1));
    let client = |number: u64| {
        let (member, clock, path) = (member.clone(), clock.clone(), format!("/v2.1/servers/{SERVER}/metadata"));
        tokio::spawn(async move {
            let mut events = Vec::new();
            for turn in 0..12 {
                let value = number * 100 + turn + 1;
                let called = clock.fetch_add(1, Ordering::SeqCst);
                let did = match (turn + number) % 3 {
                    0 => {
                        member.put(&path, &format!(r#"{{"metadata": {{"k": "{value}"}}}}"#)).await.is(200);
                        Did::Write(value)
                    }
                    1 => {
                        member.put(&format!("{path}/k"), &format!(r#"{{"meta": {{"k": "{value}"}}}}"#)).await.is(200);
                        Did::Write(value)
                    }
                    _ => {
                        let read = member.get(&format!("{path}/k")).await.is(200).text_at("meta.k");
                        Did::Read(read.parse().expect("a number was written"))
                    }
                };
                let answered = clock.fetch_add(1, Ordering::SeqCst);
                events.push(Event { called, answered, did });
            }
            events
        })
    };
    let clients: Vec<_> = (0..8).map(client).collect();
    let mut history = Vec::new();
    for client in clients {
        history.extend(client.await.expect("a client is answered"));
    }
    assert!(is_linearizable(&history), "{history:?}");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_is_undone_takes_no_other_with_it() {
    let house = House::new().await;
    let insert = "INSERT INTO quota_classes (class, resource, hard_limit) VALUES ($1, 'instances', $2)";
    let one = |number: i64| {
        let store = house.cloud.store.clone();
        tokio::spawn(async move {
            let script = move |tx: &mut dyn Tx| {
                let class = format!("class{number:03}");
                tx.change(insert, &[class.as_str().into(), number.into()])?;
                match number % 4 {
                    // what was changed is undone because of what the script thinks
                    1 => Err(StoreError::Overloaded),
                    // because of what the database says, at once or later
                    2 => tx.execute(insert, &[class.as_str().into(), number.into()]).map(|_| ()),
                    3 => tx.change(insert, &[class.as_str().into(), number.into()]),
                    _ => Ok(()),
                }
            };
            store.write(script).await.is_ok().then_some(number)
        })
    };
    let all: Vec<_> = (0..120).map(one).collect();
    let mut kept = Vec::new();
    for one in all {
        kept.extend(one.await.expect("it does not panic"));
    }
    let wanted: Vec<i64> = (0..120).step_by(4).collect();
    assert_eq!(kept, wanted, "those that were told that they are kept");
    let there = house.cloud.store.read(|tx: &mut dyn Tx| {
        tx.all("SELECT hard_limit FROM quota_classes WHERE class LIKE 'class%' ORDER BY class", &[], |row| row.int(0))
    });
    assert_eq!(there.await.expect("it can be read"), wanted, "those that are");
}
