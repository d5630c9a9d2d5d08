//! Several workers on one database: a task is one worker's while its lease holds, and somebody else's when it does not.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use kilonova::compute::work::{self, Tools};
use kilonova::store::Tx;

use crate::house::{Client, House};
use crate::stage;

/// How long a worker may be silent.
const LEASE_SECONDS: i64 = 60;

async fn ordered(member: &Client, name: &str) -> String {
    let images = member.get("/image/v2/images?visibility=public").await.is(200);
    let image = images.text_at("images.0.id");
    let order = format!(r#"{{"server": {{"name": "{name}", "imageRef": "{image}", "flavorRef": "1"}}}}"#);
    member.post("/v2.1/servers", &order).await.is(202).text_at("server.id")
}

fn of<'a>(house: &'a House, worker: &'a str) -> Tools<'a> {
    Tools { worker, ..house.cloud.tools() }
}

async fn tasks(house: &House) -> i64 {
    let counting = house.cloud.store.read(|tx: &mut dyn Tx| tx.number("SELECT count(*) FROM tasks", &[]));
    counting.await.expect("a number")
}

#[tokio::test]
async fn a_task_stays_with_its_worker_while_the_lease_holds_and_is_renewed() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    ordered(&member, "one").await;
    let (one, other) = (of(&house, "one"), of(&house, "other"));
    let job = work::claim(one).await.expect("a claim").expect("there is a task");
    for _ in 0..5 {
        house.later(LEASE_SECONDS - 1);
        assert!(work::claim(other).await.expect("a claim").is_none(), "the lease holds");
        work::renew(one, &job.task).await.expect("it can be renewed");
    }
    work::finish_job(one, job).await.expect("it can be done");
    assert_eq!(tasks(&house).await, 0);
}

#[tokio::test]
async fn a_worker_that_was_silent_for_too_long_concludes_nothing() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = ordered(&member, "one").await;
    let (one, other) = (of(&house, "one"), of(&house, "other"));
    let late = work::claim(one).await.expect("a claim").expect("there is a task");
    house.later(LEASE_SECONDS);
    let job = work::claim(other).await.expect("a claim").expect("the lease has run out");
    assert_eq!((job.task.id.clone(), job.task.attempts), (late.task.id.clone(), 2));
    // it cannot take it back, and what it has done is not what counts
    work::renew(one, &late.task).await.expect("an answer");
    work::finish_job(one, late).await.expect("an answer");
    assert_eq!(tasks(&house).await, 1, "the task is still the other's");
    let status = member.get(&format!("/v2.1/servers/{id}")).await.is(200).text_at("server.status");
    assert_eq!(status, "BUILD");
    work::finish_job(other, job).await.expect("it can be done");
    let status = member.get(&format!("/v2.1/servers/{id}")).await.is(200).text_at("server.status");
    assert_eq!((tasks(&house).await, status.as_str()), (0, "ACTIVE"));
}

#[tokio::test]
async fn a_restarted_worker_takes_back_its_own_tasks_and_no_others() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    ordered(&member, "one").await;
    ordered(&member, "two").await;
    let (one, other) = (of(&house, "one"), of(&house, "other"));
    let mine = work::claim(one).await.expect("a claim").expect("there is a task");
    let theirs = work::claim(other).await.expect("a claim").expect("there is another");
    work::take_back(one).await.expect("it can be taken back");
    let again = work::claim(one).await.expect("a claim").expect("it is to be done");
    assert_eq!(again.task.id, mine.task.id);
    assert!(work::claim(one).await.expect("a claim").is_none());
    work::finish_job(other, theirs).await.expect("it can be done");
    work::finish_job(one, again).await.expect("it can be done");
    assert_eq!(tasks(&house).await, 0);
}

#[tokio::test]
async fn an_image_of_a_server_that_is_deleted_first_is_not_left_waiting_for_ever() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = ordered(&member, "one").await;
    house.settle().await;
    member.post(&format!("/v2.1/servers/{id}/action"), r#"{"createImage": {"name": "i"}}"#).await.is(202);
    member.delete(&format!("/v2.1/servers/{id}")).await.is(204);
    house.settle().await;
    let images = member.get("/image/v2/images?name=i").await.is(200).at("images");
    assert_eq!(images.as_array().map(<[_]>::len), Some(0));
    assert_eq!(tasks(&house).await, 0);
}

/// Which task is in whose hands, and how often each was done.
#[derive(Default)]
struct Hands {
    busy: HashSet<String>,
    done: HashMap<String, u32>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_task_is_in_two_hands() {
    const SERVERS: usize = 40;
    let house = Arc::new(House::new().await);
    let member = house.person("member", "blue").await;
    for resource in ["instances", "cores", "ram"] {
        stage::limit(&house, "blue", "", resource, -1).await;
    }
    for number in 0..SERVERS {
        ordered(&member, &format!("s{number}")).await;
    }
    let hands: Arc<Mutex<Hands>> = Arc::default();
    let workers = ["one", "one", "other", "other"].map(|name| {
        let (house, hands) = (house.clone(), hands.clone());
        tokio::spawn(async move {
            while tasks(&house).await > 0 {
                // another may have been quicker, which is no failure
                let Ok(Some(job)) = work::claim(of(&house, name)).await else { continue };
                let id = job.task.id.clone();
                assert!(hands.lock().expect("no panic").busy.insert(id.clone()), "{id} is in two hands");
                tokio::task::yield_now().await;
                work::finish_job(of(&house, name), job).await.expect("it can be done");
                let mut hands = hands.lock().expect("no panic");
                hands.busy.remove(&id);
                *hands.done.entry(id).or_default() += 1;
            }
        })
    });
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    let hands = hands.lock().expect("no panic");
    assert_eq!((hands.done.len(), hands.done.values().max()), (SERVERS, Some(&1)));
}
