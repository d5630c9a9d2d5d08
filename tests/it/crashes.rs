//! A task's life, cut off at every step of it: at each write (the one that records the task, the one that takes it, the one that concludes it),
//! each call of the driver, each piece of a snapshot. The process dies before the step or after it, or a write fails, entirely, in the
//! middle, or only as far as anybody is told. Then the cloud goes on, and everything must be as after one quiet run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kilonova::cloud::Cloud;
use kilonova::compute::{guests, work};
use kilonova::hypervisor::{Driver, PowerOp};
use kilonova::model::ids::ServerId;
use kilonova::model::server::PowerState;
use kilonova::store::{StoreError, Tx, servers};

use crate::house::{Client, House, id_of};
use crate::stage;
use crate::unsteady::{Fault, Faults, Outliving};

/// Longer than a worker may be silent.
const LEASE_OVER: i64 = 61;

/// What is done to a server, and how it ends.
struct Deed {
    /// What leads to where it is done from.
    before: &'static [&'static str],
    /// The action's body; empty: the making of the server; `DELETE`.
    body: &'static str,
    /// The status before and after; `GONE` for none.
    from: &'static str,
    to: &'static str,
    /// Whether it has a guest in the end.
    has_guest: bool,
    /// How many images more there are in the end.
    images: i64,
}

const QUIET: Deed = Deed { before: &[], body: "", from: "ACTIVE", to: "ACTIVE", has_guest: true, images: 0 };

/// A house that is shaken, and what it is shaken by.
struct Shaken {
    /// There but while it is restarted.
    house: Option<House>,
    faults: Arc<Faults>,
    driver: Arc<Outliving>,
    member: Client,
    image: String,
}

impl Shaken {
    async fn new() -> Shaken {
        let (house, faults, driver) = House::unsteady().await;
        let member = house.person("member", "blue").await;
        let images = member.get("/image/v2/images?visibility=public").await.is(200);
        for resource in ["instances", "cores", "ram"] {
            stage::limit(&house, "blue", "", resource, -1).await;
        }
        Shaken { image: images.text_at("images.0.id"), house: Some(house), faults, driver, member }
    }

    async fn restart(&mut self) {
        let house = self.house.take().expect("it is there").restarted().await;
        self.member = house.person("member", "blue").await;
        self.house = Some(house);
    }

    fn house(&self) -> &House {
        self.house.as_ref().expect("it is there")
    }

    fn order(&self, name: &str) -> String {
        format!(r#"{{"server": {{"name": "{name}", "imageRef": "{}", "flavorRef": "1"}}}}"#, self.image)
    }

    async fn count(&self, sql: &'static str, name: &str) -> i64 {
        let name = name.to_owned();
        let script = move |tx: &mut dyn Tx| match name.as_str() {
            "" => tx.number(sql, &[]),
            name => tx.number(sql, &[name.into()]),
        };
        self.house().cloud.store.read(script).await.expect("a number")
    }

    /// The server of this name that is not deleted.
    async fn found(&self, name: &str) -> Option<String> {
        let name = name.to_owned();
        let sql = "SELECT id FROM servers WHERE name = $1 AND deleted = 0";
        let script = move |tx: &mut dyn Tx| tx.all(sql, &[name.as_str().into()], |row| Ok(row.text(0)?.to_owned()));
        let found = self.house().cloud.store.read(script).await.expect("rows");
        assert!(found.len() <= 1, "it was made once: {found:?}");
        found.into_iter().next()
    }

    /// Runs a deed with one fault in it; false where it has fewer steps than that.
    async fn survives(&mut self, deed: &Deed, step: usize, fault: Fault, name: &str) -> bool {
        // time passes, and tokens with it
        self.member = self.house().person("member", "blue").await;
        let id = if deed.body.is_empty() { String::new() } else { self.prepared(deed, name).await };
        self.faults.arm(step, fault);
        let (member, order, asked) = (self.member.clone(), self.order(name), id.clone());
        let (body, turns) = (deed.body, self.house().turns());
        let mut doing = tokio::spawn(async move {
            let reply = match body {
                "" => member.post("/v2.1/servers", &order).await,
                "DELETE" => member.delete(&format!("/v2.1/servers/{asked}")).await,
                body => member.post(&format!("/v2.1/servers/{asked}/action"), body).await,
            };
            // as a worker does, which tries again after a pause
            while tasks_of(&member.cloud).await > 0 {
                if !matches!(work::take_one(member.cloud.tools()).await, Ok(true)) {
                    turns.later(LEASE_OVER);
                }
            }
            reply.status
        });
        let told = tokio::select! {
            status = &mut doing => Some(status.expect("no panic")),
            () = self.faults.death() => None,
        };
        let has_struck = self.faults.disarm();
        if told.is_none() {
            // nobody hears of the old process again: it is neither dropped nor run on
            std::mem::forget(doing);
            self.restart().await;
            self.house().settle().await;
        }
        let what = format!("{} {step} {fault:?} {name}, told {told:?}", deed.body);
        self.is_whole(deed, name, &id, told, &what).await;
        has_struck
    }

    async fn prepared(&self, deed: &Deed, name: &str) -> String {
        let id = self.member.post("/v2.1/servers", &self.order(name)).await.is(202).text_at("server.id");
        self.house().settle().await;
        for body in deed.before {
            let reply = self.member.post(&format!("/v2.1/servers/{id}/action"), body).await;
            assert!([202, 204].contains(&reply.status), "{body}: {}", reply.text());
            self.house().settle().await;
        }
        id
    }

    /// Nothing is stuck, nothing was done twice, nothing is left over.
    async fn is_whole(&self, deed: &Deed, name: &str, id: &str, told: Option<u16>, what: &str) {
        assert_eq!(tasks_of(&self.house().cloud).await, 0, "{what}: a task is stuck");
        let found = self.found(name).await;
        let status = match &found {
            Some(id) => self.member.get(&format!("/v2.1/servers/{id}")).await.is(200).text_at("server.status"),
            None => "GONE".to_owned(),
        };
        let was_done = self.faults.concluded() == 1;
        let from = if deed.body.is_empty() { "GONE" } else { deed.from };
        assert_eq!(status, if was_done { deed.to } else { from }, "{what}");
        assert!(self.faults.concluded() <= 1, "{what}: it was concluded {} times", self.faults.concluded());
        assert!(was_done || told.is_none_or(|status| status == 503), "{what}: it was accepted and not done");
        let mid_work = "SELECT count(*) FROM servers WHERE name = $1 AND task_state IS NOT NULL";
        assert_eq!(self.count(mid_work, name).await, 0, "{what}: it is stuck");
        if was_done {
            let server = found.as_deref().unwrap_or(id).parse::<ServerId>().expect("an id");
            assert_eq!(self.driver.has(server), deed.has_guest, "{what}: the guest");
        }
        self.images_are_whole(deed, name, was_done, what).await;
        self.quota_counts_once(what).await;
    }

    /// As many images as there must be, each with data that is its own, and no data besides.
    async fn images_are_whole(&self, deed: &Deed, name: &str, was_done: bool, what: &str) {
        let made = self.member.get(&format!("/image/v2/images?owner={}&limit=1000", id_of("blue"))).await.is(200);
        let mut mine = 0;
        for image in made.at("images").as_array().expect("a list") {
            let text = |field: &str| image.get(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            assert_eq!(text("status"), "active", "{what}");
            let data = self.member.get(&format!("/image/v2/images/{}/file", text("id"))).await.is(200);
            assert_eq!(data.header("content-md5"), Some(text("checksum").as_str()), "{what}");
            assert_eq!(md5_of(&data.body), text("checksum"), "{what}: the data is not that of its checksum");
            mine += i64::from(String::from_utf8_lossy(&data.body).contains(&self.found_or_gone(name).await));
        }
        let before = deed.before.iter().any(|body| body.contains("shelve"));
        let before = i64::from(before);
        assert_eq!(mine, if was_done { before + deed.images } else { before }, "{what}: images");
        self.house().cloud.sweep_blobs(SystemTime::now() + Duration::from_secs(60)).await.expect("swept");
        let keys = self.house().cloud.blobs.keys().await.expect("keys").into_iter();
        let there: BTreeSet<String> = keys.map(|key| key.to_string()).collect();
        let sql = "SELECT blob FROM images WHERE blob IS NOT NULL ORDER BY blob";
        let wanted = self.house().cloud.store.read(move |tx: &mut dyn Tx| tx.all(sql, &[], |row| Ok(row.text(0)?.to_owned())));
        assert_eq!(there, wanted.await.expect("keys").into_iter().collect(), "{what}: data");
    }

    /// The id of the server of this name, deleted or not: its snapshots hold it.
    async fn found_or_gone(&self, name: &str) -> String {
        let name = name.to_owned();
        let sql = "SELECT id FROM servers WHERE name = $1 ORDER BY deleted, created_at DESC";
        let script = move |tx: &mut dyn Tx| tx.first(sql, &[name.as_str().into()], |row| Ok(row.text(0)?.to_owned()));
        self.house().cloud.store.read(script).await.expect("a row").unwrap_or("none".into())
    }

    async fn quota_counts_once(&self, what: &str) {
        let project = id_of("blue").parse().expect("an id");
        let script = move |tx: &mut dyn Tx| Ok::<_, StoreError>(servers::used(tx, &project, None)?.instances);
        let used = self.house().cloud.store.read(script).await.expect("a number");
        let there = self.member.get("/v2.1/servers?limit=1000").await.is(200).at("servers");
        assert_eq!(used, there.as_array().map_or(0, <[_]>::len) as i64, "{what}: quota");
    }
}

async fn tasks_of(cloud: &Cloud) -> i64 {
    cloud.store.read(|tx: &mut dyn Tx| tx.number("SELECT count(*) FROM tasks", &[])).await.expect("a number")
}

fn md5_of(bytes: &[u8]) -> String {
    use md5::{Digest, Md5};
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every fault at every step.
async fn survives_everything(deed: Deed) {
    let mut shaken = Shaken::new().await;
    let mut struck = 0;
    for fault in Fault::ALL {
        let mut step = 0;
        while shaken.survives(&deed, step, fault, &format!("{fault:?}{step}").to_lowercase()).await {
            step += 1;
        }
        struck += step;
    }
    // recorded, taken and concluded, with five faults each, is the least there is
    assert!(struck >= 15, "only {struck} faults");
}

#[tokio::test]
async fn a_server_is_made_once() {
    survives_everything(QUIET).await;
}

#[tokio::test]
async fn a_server_is_stopped_once() {
    survives_everything(Deed { body: r#"{"os-stop": null}"#, to: "SHUTOFF", ..QUIET }).await;
}

#[tokio::test]
async fn a_server_is_started_once() {
    let deed = Deed { before: &[r#"{"os-stop": null}"#], body: r#"{"os-start": null}"#, from: "SHUTOFF", ..QUIET };
    survives_everything(deed).await;
}

#[tokio::test]
async fn a_server_is_rebooted_once() {
    survives_everything(Deed { body: r#"{"reboot": {"type": "HARD"}}"#, ..QUIET }).await;
}

#[tokio::test]
async fn a_server_is_rescued_once() {
    survives_everything(Deed { body: r#"{"rescue": null}"#, to: "RESCUE", ..QUIET }).await;
}

#[tokio::test]
async fn a_server_is_rebuilt_once() {
    // its image is the only one that is public, and is found in the house
    let mut shaken = Shaken::new().await;
    let body = format!(r#"{{"rebuild": {{"imageRef": "{}"}}}}"#, shaken.image);
    let deed = Deed { body: body.leak(), ..QUIET };
    for fault in Fault::ALL {
        let mut step = 0;
        while shaken.survives(&deed, step, fault, &format!("{fault:?}{step}").to_lowercase()).await {
            step += 1;
        }
        assert!(step >= 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_is_resized_once() {
    survives_everything(Deed { body: r#"{"resize": {"flavorRef": "2"}}"#, to: "VERIFY_RESIZE", ..QUIET }).await;
}

#[tokio::test]
async fn a_resize_is_reverted_once() {
    let before = &[r#"{"resize": {"flavorRef": "2"}}"#];
    survives_everything(Deed { before, body: r#"{"revertResize": null}"#, from: "VERIFY_RESIZE", ..QUIET }).await;
}

#[tokio::test]
async fn a_resize_is_confirmed_once() {
    let before = &[r#"{"resize": {"flavorRef": "2"}}"#];
    survives_everything(Deed { before, body: r#"{"confirmResize": null}"#, from: "VERIFY_RESIZE", ..QUIET }).await;
}

#[tokio::test]
async fn a_server_becomes_one_image() {
    survives_everything(Deed { body: r#"{"createImage": {"name": "i"}}"#, images: 1, ..QUIET }).await;
}

#[tokio::test]
async fn a_server_is_shelved_once_and_its_guest_given_up_only_when_its_image_is_safe() {
    let body = r#"{"shelve": null}"#;
    survives_everything(Deed { body, to: "SHELVED_OFFLOADED", has_guest: false, images: 1, ..QUIET }).await;
}

#[tokio::test]
async fn a_server_is_unshelved_once() {
    let (before, body) = (&[r#"{"shelve": null}"#], r#"{"unshelve": null}"#);
    survives_everything(Deed { before, body, from: "SHELVED_OFFLOADED", images: -1, ..QUIET }).await;
}

#[tokio::test]
async fn a_server_is_deleted_once() {
    survives_everything(Deed { body: "DELETE", to: "GONE", has_guest: false, ..QUIET }).await;
}

#[tokio::test]
async fn a_server_is_deleted_by_force_once() {
    survives_everything(Deed { body: r#"{"forceDelete": null}"#, to: "GONE", has_guest: false, ..QUIET }).await;
}

#[tokio::test]
async fn guests_that_changed_while_no_process_looked_are_noted_page_by_page() {
    let mut shaken = Shaken::new().await;
    let mut ids = Vec::new();
    // two pages and a bit
    for number in 0..105 {
        ids.push(shaken.prepared(&QUIET, &format!("g{number}")).await);
    }
    for id in ids.iter().step_by(2) {
        let stopped = shaken.driver.power(id.parse().expect("an id"), PowerOp::HardOff);
        assert_eq!(stopped.await, Ok(PowerState::Shutdown));
    }
    shaken.restart().await;
    let off = "SELECT count(*) FROM servers WHERE power_state = 4 AND name LIKE $1";
    assert_eq!(shaken.count(off, "g%").await, 0);
    guests::look_at_all(shaken.house().cloud.tools()).await.expect("guests can be looked at");
    assert_eq!(shaken.count(off, "g%").await, 53);
}
