//! What a PostgreSQL server refuses, and how: with each code that means trouble, raised inside of a statement and at the commit, once, some times
//! or for ever; and with the real thing where it can be had: a disk that is full, a server that takes no writes, one that has no connection left.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kilonova::store::engine::{Script, StoreError, Tx, Verdict};
use kilonova::store::postgres::write_alone;

use crate::cluster::Cluster;
use crate::house::{Client, House, Reply};
use crate::stage::{self, Actor};

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
/// Longer than a script is run again, and shorter than a client waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cloud on a database server of its own, with one server in it.
pub struct Cloud {
    pub house: House,
    pub cluster: Cluster,
    pub member: Client,
    pub path: String,
}

impl Cloud {
    /// On the database that this URL names.
    pub async fn on(cluster: Cluster, url: &str) -> Cloud {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("database-url"), url).expect("a note");
        let house = House::within(directory, |_| {}).await;
        Actor::new(SERVER).enters(&house).await;
        let member = house.person("member", "blue").await;
        stage::limit(&house, "blue", "", "metadata_items", -1).await;
        // its token is known from now on
        member.get("/v2.1/servers").await.is(200);
        Cloud { house, cluster, member, path: format!("/v2.1/servers/{SERVER}/metadata") }
    }

    pub async fn put(&self, value: &str) -> Reply {
        self.member.put(&format!("{}/k", self.path), &format!(r#"{{"meta": {{"k": "{value}"}}}}"#)).await
    }

    pub async fn value(&self) -> String {
        let reply = self.member.get(&self.path).await.is(200);
        reply.at("metadata").get("k").and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    }

    /// All is well again, soon.
    pub async fn recovers(&self) {
        let begun = Instant::now();
        while self.put("after").await.status != 200 {
            assert!(begun.elapsed() < PATIENCE, "it is not well again");
            // a server that was gone is tried again after a moment
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.value().await, "after");
    }
}

#[track_caller]
pub fn is_unavailable(reply: Reply) {
    let reply = reply.is(503);
    assert!(reply.header("retry-after").is_some_and(|value| value.parse::<u32>().is_ok()), "when to come back");
    assert_eq!(reply.at("serviceUnavailable.code").as_i64(), Some(503));
    assert!(!reply.text().contains("test wants"), "causes are for the log: {}", reply.text());
}

/// What raises an error whenever a server is changed, as often as it is told to.
const FAIL: &str = "CREATE SEQUENCE failures; CREATE TABLE failing (code TEXT, times BIGINT); INSERT INTO failing VALUES ('40001', 0); \
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE failing RECORD; BEGIN \
    SELECT * INTO failing FROM failing; IF nextval('failures') <= failing.times THEN \
    RAISE EXCEPTION 'a test wants it to fail' USING ERRCODE = failing.code; END IF; RETURN NULL; END $$";

impl Cloud {
    fn fails(&self, code: &str, times: u64) {
        self.cluster
            .sql(&format!("UPDATE failing SET code = '{code}', times = {times}; ALTER SEQUENCE failures RESTART"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_code_is_tried_again_or_told_as_503_and_nothing_of_it_stays() {
    let cluster = Cluster::start();
    let url = cluster.url();
    let cloud = Cloud::on(cluster, &url).await;
    cloud.cluster.sql(FAIL);
    for when in ["IMMEDIATE", "DEFERRED"] {
        cloud.cluster.sql(&format!(
            "DROP TRIGGER IF EXISTS failing ON servers; CREATE CONSTRAINT TRIGGER failing AFTER UPDATE ON servers \
             DEFERRABLE INITIALLY {when} FOR EACH ROW EXECUTE FUNCTION fail()"
        ));
        // conflicts, deadlocks, rows held by others, connections that end, servers that take no writes: done when it is tried again
        for code in ["40001", "40P01", "55P03", "57P01", "57P02", "57P03", "08006", "25006"] {
            cloud.fails(code, 3);
            let value = format!("{code}-{when}");
            cloud.put(&value).await.is(200);
            assert_eq!(cloud.value().await, value);
        }
        // no room on the disk, in memory, for connections; an error of the disk; a statement that is cancelled; damage: no service
        for code in ["53100", "53200", "53300", "58030", "57014", "XX000", "XX001"] {
            let before = cloud.value().await;
            cloud.fails(code, u64::from(u32::MAX));
            let begun = Instant::now();
            is_unavailable(cloud.put("lost").await);
            assert!(begun.elapsed() < PATIENCE, "{code} {when}");
            assert_eq!(cloud.value().await, before, "{code} {when}");
            cloud.fails(code, 0);
            cloud.recovers().await;
        }
    }
    // what never ends is given up
    for code in ["40001", "40P01", "25006", "57P01"] {
        cloud.fails(code, u64::from(u32::MAX));
        let begun = Instant::now();
        let reply = cloud.put("lost").await;
        // somebody else is always in the way: the client may know whom it is racing
        if code.starts_with("40") {
            reply.refuses(409, "Another request is changing the same thing. Please try again.");
        } else {
            is_unavailable(reply);
        }
        assert!(begun.elapsed() < PATIENCE, "{code} for ever");
        assert_eq!(cloud.value().await, "after", "{code} for ever");
        cloud.fails(code, 0);
        cloud.recovers().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_is_read() {
    let cluster = Cluster::start();
    let url = cluster.url();
    let cloud = Cloud::on(cluster, &url).await;
    cloud.put("before").await.is(200);
    let read_only = |is: &str| {
        cloud.cluster.sql(&format!("ALTER SYSTEM SET default_transaction_read_only = {is}"));
        cloud.cluster.sql("SELECT pg_reload_conf()");
    };
    read_only("on");
    // as soon as everybody has heard of it
    let begun = Instant::now();
    while cloud.put("before").await.status == 200 {
        assert!(begun.elapsed() < PATIENCE, "it still takes writes");
    }
    for _ in 0..100 {
        is_unavailable(cloud.put("lost").await);
        assert_eq!(cloud.member.get(&cloud.path).await.is(200).text_at("metadata.k"), "before");
    }
    read_only("off");
    cloud.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_connection_to_spare_is_no_service_at_once() {
    let cluster = Cluster::start();
    for sql in ["CREATE ROLE nova LOGIN", "ALTER DATABASE kilonova OWNER TO nova", "GRANT ALL ON SCHEMA public TO nova"]
    {
        cluster.sql(sql);
    }
    let url = cluster.url().replace("postgres://postgres@", "postgres://nova@");
    let cloud = Cloud::on(cluster, &url).await;
    cloud.put("before").await.is(200);
    cloud.cluster.sql("ALTER ROLE nova CONNECTION LIMIT 0");
    cloud.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'nova'");
    cloud.cluster.settle();
    for _ in 0..10 {
        let begun = Instant::now();
        is_unavailable(cloud.put("lost").await);
        is_unavailable(cloud.member.get(&cloud.path).await);
        assert!(begun.elapsed() < PATIENCE);
    }
    cloud.cluster.sql("ALTER ROLE nova CONNECTION LIMIT -1");
    cloud.recovers().await;
}

/// A disk with little room for the tables, until this is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Small> {
        let place = tempfile::Builder::new().prefix("knsmall").tempdir_in("/tmp").expect("a directory");
        let mounted = did(Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "none"]).arg(place.path()));
        mounted.then(|| Small(place)).filter(|small| did(Command::new("chown").arg("postgres").arg(small.0.path())))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        did(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn did(command: &mut Command) -> bool {
    command.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_disk_is_full_takes_whole_servers_or_none_and_is_read() {
    let Some(small) = Small::mount() else {
        eprintln!("LEFT OUT: this user does not let us mount a small disk");
        return;
    };
    let cluster = Cluster::start();
    cluster.sql(&format!("CREATE TABLESPACE small LOCATION '{}'", small.path().display()));
    cluster.sql("ALTER DATABASE kilonova SET default_tablespace = small");
    let url = cluster.url();
    let cloud = Cloud::on(cluster, &url).await;
    for resource in ["instances", "cores", "ram"] {
        stage::limit(&cloud.house, "blue", "", resource, -1).await;
    }
    let image = cloud.member.get("/image/v2/images?visibility=public").await.is(200).text_at("images.0.id");
    let order = format!(r#"{{"server": {{"name": "ordered", "imageRef": "{image}", "flavorRef": "1"}}}}"#);
    cloud.put("before").await.is(200);
    // as much as there is room for
    let _ = std::fs::write(small.path().join("filler"), vec![1; 24 << 20]);
    let mut accepted = 0;
    let refused = loop {
        let reply = cloud.member.post("/v2.1/servers", &order).await;
        if reply.status != 202 {
            break reply;
        }
        accepted += 1;
        assert!(accepted < 2000, "a full disk is full some time");
    };
    is_unavailable(refused);
    assert_eq!(cloud.value().await, "before");
    let count = |sql: &str| cloud.cluster.sql(sql).trim().parse::<u32>().expect("a number");
    let servers = count("SELECT count(*) FROM servers WHERE name = 'ordered'");
    assert_eq!((servers, count("SELECT count(*) FROM tasks")), (accepted, accepted));
    std::fs::remove_file(small.path().join("filler")).expect("it was written");
    cloud.recovers().await;
    cloud.member.post("/v2.1/servers", &order).await.is(202);
}

/// Takes longer than any statement of a request may.
struct Long(std::sync::mpsc::Sender<Result<(), StoreError>>);

impl Script for Long {
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        let slept = tx.query("SELECT CAST(pg_sleep(4.2) AS TEXT)", &[], &mut |_| Ok(()));
        slept.map_or(Verdict::Undo, |()| Verdict::Commit)
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let _ = self.0.send(outcome);
    }
}

#[test]
fn bringing_the_schema_up_to_date_may_take_longer_than_a_request() {
    let cluster = Cluster::start();
    let (told, hears) = std::sync::mpsc::channel();
    write_alone(&cluster.url(), Box::new(Long(told))).expect("the server answers");
    hears.recv().expect("an outcome").expect("it is committed");
}
