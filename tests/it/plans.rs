//! How the database goes about each statement: every house of these tests stands on an engine that is made to explain each
//! statement it is given for the first time, and a house that falls with a bad plan in it fails its test. So no statement is forgotten that
//! any test runs; the walks below run those of all lists. What is allowed all the same stands in `ALLOWED`, with its reason.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use kilonova::store::engine::{Effect, Engine, Row, Script, StoreError, Tx, Value, Verdict};
use kilonova::store::sqlite::{FILE, Sqlite};
use kilonova::store::Store;

use crate::house::{Ask, id_of};
use crate::table;

/// Tables that hold what administrators set up, and do not grow with what users do.
const SMALL_TABLES: [&str; 10] = [
    "domains", "endpoints", "flavors", "implied_roles", "import_progress", "quota_classes", "regions", "roles",
    "schema_version", "services",
];

/// Statements that look at more than they give, or sort: a part of each, and why that may be.
const ALLOWED: &[(&str, &str)] = &[
    // what is bounded otherwise
    ("FROM image_members WHERE image_id = $1 ORDER BY", "as many projects as an image may be shared with"),
    ("FROM grants WHERE user_id = $1 AND target_kind = 'project') ORDER BY", "the projects of one user"),
    ("WHERE grants.user_id = $1 AND grants.target_kind = $2 AND grants.target_id = $3", "one user's roles on one target"),
    ("JOIN held ON roles.id", "one user's roles on one target"),
    ("FROM quotas WHERE project_id = $1 AND user_id <> '' GROUP BY resource", "a dozen resources"),
    ("FROM uploads WHERE owner = $1 OR lease_until", "the uploads that are under way"),
    // lists that give all they read, because Keystone's have no pages unless a client asks for them
    ("extra FROM users ORDER BY id", "all users were asked for"),
    ("extra FROM projects ORDER BY id", "all projects were asked for"),
    ("ORDER BY grants.user_id, grants.target_kind", "role assignments have no pages in Keystone; all that fit are given"),
    // what tends the whole database, beside or before a server
    ("SELECT count(*) FROM ", "an export counts what it exports; a first start asks whether there is anything"),
    ("WHERE target_kind NOT IN", "`db check` reads everything"),
    ("FROM servers ORDER BY number LIMIT", "a page of the rows in the order in which they lie"),
    ("WHERE subject_id NOT IN (SELECT id FROM servers)", "`db check` reads everything"),
    ("vm_state = 'deleted' AND deleted = 0", "`db check` reads everything"),
    ("SELECT blob FROM images WHERE blob IS NOT NULL", "a backup names all data there is"),
    // what only tests do
    ("kept_", "of a test that undoes what an export did"),
    ("INSERT INTO uploads (blob, image_id, owner, lease_until) SELECT", "of a test that runs a migration again"),
];

/// What was seen of the statements of one house. Fails when it is dropped with something bad in it.
#[derive(Default)]
pub struct Plans(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    has_begun: bool,
    statements: HashSet<String>,
    bad: Vec<String>,
}

impl Seen {
    fn is_new(&mut self, sql: &str) -> bool {
        self.has_begun && !self.statements.contains(sql) && self.statements.insert(sql.to_owned())
    }
}

impl Plans {
    /// The database of a directory, watched.
    pub async fn store(&self, directory: &Path) -> Result<Store, StoreError> {
        let engine: Arc<dyn Engine> = match crate::engine::on_postgres() {
            true => crate::engine::raw(directory).await,
            false => Arc::new(Sqlite::open(&directory.join(FILE))?),
        };
        let store = Store::on(Arc::new(Watched { engine, seen: self.0.clone() })).await?;
        // a migration may look at whatever it has to change
        lock(&self.0).has_begun = true;
        Ok(store)
    }
}

impl Drop for Plans {
    fn drop(&mut self) {
        let bad = std::mem::take(&mut lock(&self.0).bad);
        assert!(bad.is_empty() || std::thread::panicking(), "{}", bad.join("\n"));
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("nobody panics while looking at a plan")
}

/// Has PostgreSQL go by an index wherever it can: of three rows it would rather read all.
const ONLY_BY_INDEX: &str = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), \
     set_config('enable_sort', 'off', true), set_config('enable_hashjoin', 'off', true)";

/// What is wrong with a plan.
fn objection(sql: &str, steps: &[String]) -> Option<String> {
    if ALLOWED.iter().any(|(part, _)| sql.contains(part)) || is_of_a_whole_table(sql) || is_of_images_in_another_order(sql) {
        return None;
    }
    let found = if crate::engine::on_postgres() { objection_to_postgres(sql, steps) } else { objection_to_sqlite(sql, steps) };
    found.or_else(|| objection_to_the_beginning(sql, steps))
}

/// Each query of a page that begins behind a place has an index begin there, but for those that find what they look for by its id, or sort
/// what was shared with a project. Else every page would read all that is before it.
fn objection_to_the_beginning(sql: &str, steps: &[String]) -> Option<String> {
    let places = sql.matches(", id) > (").count() + sql.matches(", id) < (").count();
    let is_by_id = sql.contains(" number = $") || sql.contains(" id IN ($");
    let is_small = SMALL_TABLES.contains(&first_table(sql));
    let begins = |step: &&String| match crate::engine::on_postgres() {
        true => step.trim_start().starts_with("Index Cond: ") && step.contains("ROW("),
        false => step.contains(",id)>(") || step.contains(",id)<("),
    };
    let begun = steps.iter().filter(begins).count();
    (!is_by_id && !is_small && begun + sorts_allowed(sql) < places).then(|| "reads what is before its page".to_owned())
}

/// The table that a statement reads first.
fn first_table(sql: &str) -> &str {
    sql.split(" FROM ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

fn objection_to_postgres(sql: &str, steps: &[String]) -> Option<String> {
    let scanned = |step: &String| Some(step.split("Seq Scan on ").nth(1)?.split(' ').next()?.to_owned());
    let is_sort = |step: &&String| step.trim_start_matches([' ', '-', '>']).starts_with("Sort  (");
    let sorts = steps.iter().filter(is_sort).count();
    if sorts > sorts_allowed(sql) && !SMALL_TABLES.contains(&first_table(sql)) {
        return Some("sorts what it finds".to_owned());
    }
    let whole = steps.iter().filter_map(scanned).find(|table| !SMALL_TABLES.contains(&table.as_str()));
    whole.map(|table| format!("reads all of {table}"))
}

fn objection_to_sqlite(sql: &str, steps: &[String]) -> Option<String> {
    let sorts = steps.iter().filter(|step| step.starts_with("USE TEMP B-TREE FOR ORDER BY")).count();
    if sorts > sorts_allowed(sql) && !SMALL_TABLES.contains(&first_table(sql)) {
        return Some("sorts what it finds".to_owned());
    }
    steps.iter().find_map(|step| {
        let table = step.strip_prefix("SCAN ")?.split(' ').next()?;
        // a page that follows an index from its beginning ends with the page
        let is_page = step.contains(" USING ") && sql.contains(" LIMIT ");
        // what a statement has made itself: constants, and rows of its own subqueries, which are explained beside it
        let is_own = step.contains("CONSTANT ROW") || step.contains("(subquery") || ["held", "inside"].contains(&table);
        (!is_page && !is_own && !SMALL_TABLES.contains(&table)).then(|| format!("reads all of {table}"))
    })
}

/// Only tests change or empty a whole table.
fn is_of_a_whole_table(sql: &str) -> bool {
    (sql.starts_with("DELETE FROM ") || sql.starts_with("UPDATE ")) && !sql.contains(" WHERE ")
}

/// Lists of images in an order that no index has: all that the project can see is looked at, and a page of it kept.
fn is_of_images_in_another_order(sql: &str) -> bool {
    let is_indexed = |keys: &[&str]| {
        let columns: Vec<String> = keys.iter().enumerate().map(|(at, key)| format!("{key} AS key{at}")).collect();
        let order = |way: &str| {
            let all: Vec<String> = (0..keys.len()).map(|at| format!("key{at} {way}")).collect();
            format!(" ORDER BY {} LIMIT ", all.join(", "))
        };
        sql.contains(&format!(", {} FROM images", columns.join(", ")))
            && (sql.contains(&order("ASC")) || sql.contains(&order("DESC")))
    };
    sql.contains(" AS key0") && !is_indexed(&["created_at", "id"]) && !is_indexed(&["sort_name", "created_at", "id"])
}

/// Lists of images by age or name follow indexes, but for those that others share with the project, which are sorted: as many as somebody chose to
/// share with it.
fn sorts_allowed(sql: &str) -> usize {
    sql.matches("id IN (SELECT image_id FROM image_members WHERE member_id").count()
}

/// An engine, with every statement explained.
struct Watched {
    engine: Arc<dyn Engine>,
    seen: Arc<Mutex<Seen>>,
}

impl Watched {
    fn watched(&self, script: Box<dyn Script>) -> Box<dyn Script> {
        Box::new(WatchedScript { script, seen: self.seen.clone() })
    }
}

impl Engine for Watched {
    fn read(&self, script: Box<dyn Script>) {
        self.engine.read(self.watched(script));
    }

    fn write(&self, script: Box<dyn Script>) {
        self.engine.write(self.watched(script));
    }

    fn on_effect(&self, listener: Box<dyn Fn(Effect) + Send + Sync>) {
        self.engine.on_effect(listener);
    }

    fn close(&self) {
        self.engine.close();
    }
}

struct WatchedScript {
    script: Box<dyn Script>,
    seen: Arc<Mutex<Seen>>,
}

impl Script for WatchedScript {
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        self.script.run(&mut WatchedTx { tx, seen: &self.seen })
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        self.script.finish(outcome);
    }
}

struct WatchedTx<'a> {
    tx: &'a mut dyn Tx,
    seen: &'a Mutex<Seen>,
}

impl WatchedTx<'_> {
    fn explain(&mut self, sql: &str, parameters: &[Value<'_>]) {
        let has_plan = ["SELECT", "WITH", "UPDATE", "DELETE", "INSERT"].iter().any(|verb| sql.starts_with(verb));
        if !has_plan || !lock(self.seen).is_new(sql) {
            return;
        }
        let mut steps = Vec::new();
        let (explain, column) = match crate::engine::on_postgres() {
            true => (format!("EXPLAIN {sql}"), 0),
            false => (format!("EXPLAIN QUERY PLAN {sql}"), 3),
        };
        if crate::engine::on_postgres() {
            let _ = self.tx.query(ONLY_BY_INDEX, &[], &mut |_| Ok(()));
        }
        let explained = self.tx.query(&explain, parameters, &mut |row| {
            steps.push(row.text(column)?.to_owned());
            Ok(())
        });
        // a statement that cannot be explained cannot be run either, and its script hears of that
        let Some(why) = explained.ok().and_then(|()| objection(sql, &steps)) else { return };
        lock(self.seen).bad.push(format!("{why}\n  {sql}\n    {}", steps.join("\n    ")));
    }
}

impl Tx for WatchedTx<'_> {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.explain(sql, parameters);
        self.tx.query(sql, parameters, each)
    }

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        self.explain(sql, parameters);
        self.tx.execute(sql, parameters)
    }

    fn announce(&mut self, effect: Effect) {
        self.tx.announce(effect);
    }

    fn merges_in_order(&self) -> bool {
        self.tx.merges_in_order()
    }
}

/// Queries of the lists that have many.
const SERVERS: [&str; 42] = [
    "",
    "limit=1",
    "marker={id}",
    "limit=1&marker={id}",
    "sort_dir=asc",
    "sort_dir=asc&marker={id}",
    "sort_key=display_name",
    "sort_key=display_name&marker={id}&limit=1",
    "sort_key=display_name&sort_dir=asc",
    "sort_key=display_name&sort_dir=asc&marker={id}",
    "sort_key=display_name&deleted=true&marker={id}",
    "sort_key=display_name&sort_dir=asc&changes-since=2025-01-01T00:00:00Z&marker={id}",
    "sort_key=uuid&sort_dir=asc",
    "sort_key=updated_at",
    "sort_key=vm_state&sort_key=created_at&marker={id}",
    "sort_key=host",
    "status=ACTIVE",
    "status=DELETED",
    "status=REBOOT",
    "name=s",
    "image=x",
    "flavor=1",
    "user_id=u",
    "uuid={id}",
    "uuid=nobody",
    "marker=nobody",
    "host=h",
    "ip=1",
    "vm_state=active",
    "task_state=deleting",
    "deleted=true",
    "deleted=true&marker={id}",
    "deleted=true&soft_deleted=true",
    "deleted=false&soft_deleted=true",
    "changes-since=2025-01-01T00:00:00Z",
    "changes-since=2025-01-01T00:00:00Z&marker={id}",
    "changes-before=2027-01-01T00:00:00Z",
    "changes-since=2025-01-01T00:00:00Z&changes-before=2027-01-01T00:00:00Z",
    "locked=true",
    "tags=a",
    "not-tags-any=a",
    "project_id=x",
];

const IMAGES: [&str; 30] = [
    "",
    "limit=1",
    "marker={id}",
    "limit=1&marker={id}",
    "sort=created_at:asc",
    "sort=created_at:asc&marker={id}",
    "sort=name:asc",
    "sort_key=name&sort_dir=asc&marker={id}",
    "sort=name:asc&marker={id}",
    "sort=name:desc",
    "sort=name:desc&marker={id}",
    "sort=name:asc&visibility=public&marker={id}",
    "sort=name:asc&status=active&marker={id}",
    "sort=name:asc&name=oracle&marker={id}",
    "sort=name:asc,status:desc&marker={id}",
    "sort_key=size&sort_key=updated_at&sort_dir=asc&sort_dir=desc",
    "sort_key=id",
    "visibility=public",
    "visibility=private",
    "visibility=shared&member_status=all",
    "visibility=community",
    "status=active",
    "name=x",
    "name=x&marker={id}",
    "name=in:x,y",
    "owner=x",
    "tag=a",
    "a=0",
    "size_min=1&size_max=2",
    "created_at=gte:2025-01-01T00:00:00Z",
];

const IDENTITY: [&str; 19] = [
    "/users?limit=1",
    "/users?domain_id=default",
    "/users?domain_id=default&limit=1&marker=a",
    "/users?name=demo",
    "/users?enabled=true&limit=1",
    "/projects?limit=1",
    "/projects?domain_id=default&limit=1&marker=a",
    "/projects?name=demo",
    "/projects?parent_id=default",
    "/projects?enabled=true&limit=1",
    "/domains?name=Default",
    "/roles?name=admin",
    "/role_assignments?effective",
    "/role_assignments?user.id={user}",
    "/role_assignments?role.id={user}",
    "/role_assignments?scope.project.id={project}",
    "/role_assignments?user.id={user}&scope.project.id={project}&effective",
    "/role_assignments?scope.system=all",
    "/role_assignments?scope.domain.id=default&include_names",
];

#[tokio::test]
async fn lists_of_servers_follow_an_index_whatever_is_asked_of_them() {
    let house = table::furnished().await;
    for person in [house.person("admin", "blue").await, house.person("member", "blue").await] {
        for query in SERVERS {
            for list in ["/v2.1/servers?", "/v2.1/servers/detail?", "/v2.1/servers/detail?all_tenants=1&"] {
                let target = format!("{list}{}", query.replace("{id}", table::SERVER));
                let reply = person.send(Ask::new("GET", &target).version("2.79")).await;
                assert!(matches!(reply.status, 200 | 400 | 403), "{target}: {}", reply.text());
            }
        }
    }
}

#[tokio::test]
async fn lists_of_images_follow_an_index_whatever_is_asked_of_them() {
    let house = table::furnished().await;
    for person in [house.person("admin", "blue").await, house.person("member", "blue").await] {
        for query in IMAGES {
            let target = format!("/image/v2/images?{}", query.replace("{id}", table::IMAGE));
            person.get(&target).await.is(200);
        }
    }
}

#[tokio::test]
async fn every_list_of_the_table_follows_an_index() {
    let house = table::furnished().await;
    let people = [house.person("admin", "blue").await, house.person("member", "blue").await];
    for (api, row) in kilonova::api::table::all().into_iter().filter(|(_, row)| row.route().method == "GET") {
        for person in &people {
            let target = format!("{}{}", table::door(api).prefix, table::about(row.route().path));
            let newest = Ask::new("GET", &target).header("openstack-api-version", "compute 2.90");
            assert!(person.send(newest).await.status < 500, "{target}");
            assert!(person.get(&target).await.status < 500, "{target}");
        }
    }
    for target in IDENTITY {
        let target = target.replace("{user}", &id_of("member-of-blue")).replace("{project}", &id_of("blue"));
        people[0].get(&format!("/identity/v3{target}")).await.is(200);
    }
}

#[tokio::test]
async fn a_plan_that_reads_a_whole_table_or_sorts_is_seen() {
    for (sql, why) in [
        ("SELECT id FROM servers WHERE flavor_id = 'x'", "reads all of servers"),
        ("SELECT id FROM servers ORDER BY flavor_id LIMIT 1", "sorts what it finds"),
        (
            "SELECT id FROM servers WHERE project_id = 'p' AND deleted = 0 AND (flavor_id, id) > ('x', 'y') LIMIT 1",
            "reads what is before its page",
        ),
        ("UPDATE images SET name = 'x' WHERE checksum = 'y'", "reads all of images"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let plans = Plans::default();
        let store = plans.store(directory.path()).await.expect("a fresh database opens");
        let script = move |tx: &mut dyn Tx| tx.query(sql, &[], &mut |_| Ok(()));
        store.write(script).await.expect("it runs all the same");
        let bad = std::mem::take(&mut lock(&plans.0).bad);
        assert!(bad.len() == 1 && bad[0].starts_with(why), "{sql}: {bad:?}");
    }
}
