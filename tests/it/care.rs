//! Care of the data: what is exported can be imported, on either engine; what is backed up can be restored; what is wrong is found;
//! and a database that is not for this program is not opened.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kilonova::blobs::{BlobKey, Blobs};
use kilonova::store::care::import::Imported;
use kilonova::store::care::{CareError, backup, check, export, import};
use kilonova::store::schema::{self, Kind};
use kilonova::store::{Purpose, Store, StoreError, Tx, migrate, servers};

use crate::engine;
use crate::house::House;
use crate::server_metadata::SERVER;
use crate::stage::Actor;

/// What an export writes to, when a test wants to see it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics while writing").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn exported(store: &Store) -> String {
    let out = Shared::default();
    export::export(store, out.clone(), |_| {}).await.expect("a database can be exported");
    let bytes = out.0.lock().expect("nobody panics while writing").clone();
    String::from_utf8(bytes).expect("JSON is written in ASCII")
}

async fn imported(store: &Store, lines: &str) -> Result<Imported, CareError> {
    import::import(store, lines.as_bytes(), &mut |_| {}).await
}

async fn refused(store: &Store, lines: &str) -> String {
    imported(store, lines).await.expect_err("this cannot be imported").to_string()
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

async fn to_import(directory: &tempfile::TempDir) -> Store {
    engine::opened(directory.path(), Purpose::Import).await.expect("an empty database opens")
}

async fn run(store: &Store, sql: &'static str) {
    let script = move |tx: &mut dyn Tx| tx.execute(sql, &[]);
    store.write(script).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A house with so many servers, more than one batch of an import if it is more than 512.
async fn house_with_servers(count: usize) -> House {
    let house = House::new().await;
    house.person("member", "blue").await;
    Actor { items: r#"{"caf\u00e9": "\ud83d\ude00", "n": "1\n"}"#.into(), ..Actor::new(SERVER) }.enters(&house).await;
    let script = move |tx: &mut dyn Tx| {
        for number in 0..count {
            tx.execute(
                "INSERT INTO servers (id, project_id, user_id, name, vm_state, power_state, locked, deleted, flavor_id, metadata, \
                 details, created_at, updated_at, number) VALUES ($1, 'p', 'u', 'é', 'active', 1, 0, 0, '1', '{}', '{}', 0, 0, $2)",
                &[format!("{number:08}").as_str().into(), (number as i64).into()],
            )?;
        }
        Ok::<_, StoreError>(())
    };
    house.cloud.store.write(script).await.expect("servers can be put in");
    house
}

#[tokio::test]
async fn an_export_imported_on_either_engine_exports_the_same() {
    let house = house_with_servers(700).await;
    let lines = exported(&house.cloud.store).await;
    let (same, embedded) = (directory(), directory());
    let targets = [
        to_import(&same).await,
        Store::embedded_for(embedded.path(), Purpose::Import).await.expect("an empty database"),
    ];
    for target in targets {
        let imported = imported(&target, &lines).await.expect("an empty database takes it");
        assert_eq!(imported.resumed_from, 0);
        assert!(exported(&target).await == lines, "the export of the copy differs");
    }
    // and back: what the embedded engine exports, this one imports
    let back = directory();
    let embedded = Store::embedded_for(embedded.path(), Purpose::Look).await.expect("it is whole");
    let target = to_import(&back).await;
    imported(&target, &exported(&embedded).await).await.expect("an empty database takes it");
    assert!(exported(&target).await == lines, "the export of the copy of the copy differs");
}

#[tokio::test]
async fn an_import_that_was_interrupted_goes_on_where_it_was() {
    let lines = exported(&house_with_servers(1300).await.cloud.store).await;
    let directory = directory();
    let target = to_import(&directory).await;
    let sentence = refused(&target, &lines[..lines.len() - 40_000]).await;
    assert!(sentence.contains("the lines end here"), "{sentence}");
    let half = engine::opened(directory.path(), Purpose::Serve).await.err().expect("half a cloud is not served");
    assert!(half.to_string().contains("an import into it was not finished"), "{half}");
    let imported = imported(&target, &lines).await.expect("the rest of it");
    assert!(imported.resumed_from >= 512, "{imported:?}");
    assert!(exported(&target).await == lines, "the export of the copy differs");
    engine::opened(directory.path(), Purpose::Serve).await.expect("a whole cloud is served");
}

#[tokio::test]
async fn another_import_does_not_go_on_where_one_was_interrupted() {
    let lines = exported(&house_with_servers(1300).await.cloud.store).await;
    let directory = directory();
    let target = to_import(&directory).await;
    refused(&target, &lines[..lines.len() - 40_000]).await;
    let changed = lines.replacen("kilonova_export\": 1", "kilonova_export\":  1", 1);
    let sentence = refused(&target, &changed).await;
    assert!(sentence.contains("part of another import"), "{sentence}");
    let short = exported(&House::new().await.cloud.store).await;
    let sentence = refused(&target, &short).await;
    assert!(sentence.contains("part of another import"), "{sentence}");
}

#[tokio::test]
async fn a_database_with_something_in_it_is_not_imported_into() {
    let house = House::new().await;
    let lines = exported(&house.cloud.store).await;
    let sentence = refused(&house.cloud.store, &lines).await;
    assert!(sentence.contains("the database is not empty (there are rows in domains)"), "{sentence}");
}

#[tokio::test]
async fn lines_that_are_not_an_export_or_were_changed_are_refused() {
    let lines = exported(&House::new().await.cloud.store).await;
    let schema = format!("\"schema\": {}", migrate::newest());
    let cases = [
        ("{\"a\": 1}\n".to_owned(), "line 1: this is no export of Kilonova"),
        ("x\n".to_owned(), "line 1: this is no JSON"),
        (lines.replacen("_export\": 1", "_export\": 2", 1), "the export has format 2"),
        (lines.replacen(&schema, "\"schema\": 1", 1), "the export has schema step 1"),
        (lines.replacen("\"table\": \"users\"", "\"table\": \"losers\"", 1), "there is no such table"),
        (lines.replacen("\"enabled\"", "\"disabled\"", 1), "it has other columns"),
        (lines.replacen("\"demo\"", "\"dome\"", 1), "the digest in the last line is not that"),
        (lines.replacen("\"demo\"", "7", 1), "this is no row of"),
        (lines.replacen("\"rows\": {\"domains\": 1", "\"rows\": {\"domains\": 2", 1), "counts other rows"),
    ];
    for (changed, expected) in cases {
        let directory = directory();
        let sentence = refused(&to_import(&directory).await, &changed).await;
        assert!(sentence.contains(expected), "{sentence:?} has no {expected:?}");
    }
}

#[tokio::test]
async fn the_schema_read_from_the_migrations_is_the_engines_own() {
    let directory = directory();
    let store = engine::store(directory.path()).await;
    for table in migrate::tables() {
        let name = table.name.clone();
        let script = move |tx: &mut dyn Tx| {
            let sql = match engine::on_postgres() {
                true => {
                    "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' AND \
                     table_name = $1 ORDER BY ordinal_position"
                }
                // whose INTEGER has 64 bits, too
                false => "SELECT name, replace(lower(type), 'integer', 'bigint') FROM pragma_table_info($1) ORDER BY cid",
            };
            tx.all(sql, &[name.as_str().into()], |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())))
        };
        let real: Vec<(String, String)> = store.read::<_, StoreError>(script).await.expect("a catalog");
        let kind = |kind| if kind == Kind::Int { "bigint" } else { "text" };
        let ours: Vec<_> =
            table.columns.iter().map(|column| (column.name.clone(), kind(column.kind).to_owned())).collect();
        assert_eq!(ours, real, "{}", table.name);
        assert!(!table.key.is_empty(), "{} has no primary key to page by", table.name);
    }
    let script = |tx: &mut dyn Tx| {
        tx.number(
            match engine::on_postgres() {
                true => {
                    "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND \
                         table_name <> 'commit_marks'"
                }
                false => "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            },
            &[],
        )
    };
    let count = store.read::<_, StoreError>(script).await.expect("a catalog");
    // and schema_version; commit_marks is no part of the data: it is how the engine for PostgreSQL finds out what became of a commit
    assert_eq!(usize::try_from(count).expect("a count"), migrate::tables().len() + 1);
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_not_opened_and_not_changed() {
    let directory = directory();
    let store = engine::store(directory.path()).await;
    run(&store, "INSERT INTO schema_version (step) VALUES (999)").await;
    for purpose in [Purpose::Serve, Purpose::Import, Purpose::Look] {
        let refusal = engine::opened(directory.path(), purpose).await.err().expect("it is newer").to_string();
        assert!(refusal.contains("its schema is at step 999"), "{refusal}");
        assert!(refusal.contains("run that release, or restore a backup from before the upgrade"), "{refusal}");
    }
}

#[tokio::test]
async fn looking_does_not_bring_an_older_database_up_to_date() {
    let directory = directory();
    let store = engine::store(directory.path()).await;
    run(&store, "DELETE FROM schema_version WHERE step > 1").await;
    let refusal = engine::opened(directory.path(), Purpose::Look).await.err().expect("it is older").to_string();
    assert!(
        refusal.contains("its schema is at step 1") && refusal.contains("start `kilonova serve` once"),
        "{refusal}"
    );
}

/// The schema as it was before servers lay in the order of a number.
const STEPS_TO_6: [&str; 6] = [
    include_str!("../../migrations/0001_identity.sql"),
    include_str!("../../migrations/0002_images.sql"),
    include_str!("../../migrations/0003_compute.sql"),
    include_str!("../../migrations/0004_care.sql"),
    include_str!("../../migrations/0005_uploads.sql"),
    include_str!("../../migrations/0006_lists.sql"),
];

/// Puts a database back to step 6 of the schema, with these servers in it, and two images.
fn as_of_step_6(tx: &mut dyn Tx, servers: &[&str]) -> Result<(), StoreError> {
    for table in migrate::tables().iter().rev() {
        tx.execute(&format!("DROP TABLE {}", table.name), &[])?;
    }
    for statement in STEPS_TO_6.iter().flat_map(|step| schema::statements(step)) {
        tx.execute(&statement, &[])?;
    }
    tx.execute("DELETE FROM schema_version WHERE step > 6", &[])?;
    for id in servers {
        tx.execute(
            "INSERT INTO servers (id, project_id, user_id, name, vm_state, power_state, locked, deleted, flavor_id, metadata, details, \
             created_at, updated_at) VALUES ($1, 'p', 'u', 'old', 'active', 1, 0, 0, '1', '{\"k\": \"v\"}', '{}', 0, 0)",
            &[(*id).into()],
        )?;
    }
    for (id, name) in [("named", Some("old")), ("nameless", None)] {
        tx.execute(
            "INSERT INTO images (id, owner, name, status, visibility, protected, os_hidden, min_ram, min_disk, tags, properties, \
             created_at, updated_at) VALUES ($1, 'p', $2, 'queued', 'private', 0, 0, 0, 0, '[]', '{}', 0, 0)",
            &[id.into(), name.into()],
        )?;
    }
    Ok(())
}

#[tokio::test]
async fn servers_of_an_older_schema_are_found_by_their_numbers_and_its_images_by_their_names() {
    const IDS: [&str; 3] =
        [SERVER, "ffffffff-ffff-4fff-bfff-ffffffffffff", "01234567-89ab-4cde-8f01-23456789abcd"];
    let directory = directory();
    let store = engine::store(directory.path()).await;
    store.write(|tx: &mut dyn Tx| as_of_step_6(tx, &IDS)).await.expect("the schema of then");
    store.close();
    let store = engine::store(directory.path()).await;
    let items = |tx: &mut dyn Tx| {
        let found = IDS.map(|id| servers::metadata_of(tx, id.parse().expect("an id")));
        found.into_iter().map(|found| Ok(found?.is_some())).collect::<Result<Vec<bool>, StoreError>>()
    };
    assert_eq!(store.read(items).await.expect("a read"), [true; 3]);
    let is_about = |found: &String| found.contains("number") || found.contains("sort_name");
    let wrong: Vec<String> = findings(&store).await.into_iter().filter(is_about).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

async fn findings(store: &Store) -> Vec<String> {
    check::database(store, !engine::on_postgres(), |_| {}).await.expect("it can be read").wrong
}

#[tokio::test]
async fn a_sound_cloud_has_no_findings() {
    let house = house_with_servers(0).await;
    run(&house.cloud.store, "DELETE FROM servers").await;
    Actor::new(SERVER).enters(&house).await;
    assert_eq!(findings(&house.cloud.store).await, Vec::<String>::new());
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_told() {
    let image = "INSERT INTO images (id, owner, status, visibility, protected, os_hidden, min_ram, min_disk, tags, properties, \
                 created_at, updated_at, sort_name) VALUES ('i', 'p', 'active', 'seen', 0, 0, 0, 0, '[1]', '{\"a\": 1}', 0, 0, 'x')";
    let cases: [(&'static str, &[&str]); 10] = [
        ("UPDATE servers SET metadata = '{\"a b\": 1}'", &["servers 6f9c6b2e-0000-4000-8000-000000000001: its metadata is no map"]),
        ("UPDATE servers SET details = '[]'", &["servers 6f9c6b2e-0000-4000-8000-000000000001: details is no JSON object"]),
        ("UPDATE servers SET vm_state = 'ACTIVE'", &["servers 6f9c6b2e-0000-4000-8000-000000000001: its vm_state is none that is known"]),
        ("UPDATE servers SET task_state = ''", &["servers 6f9c6b2e-0000-4000-8000-000000000001: its task_state is none that is known"]),
        ("UPDATE servers SET number = number + 1", &["servers 6f9c6b2e-0000-4000-8000-000000000001: its number is not that of its id"]),
        ("UPDATE servers SET power_state = 2", &["servers 6f9c6b2e-0000-4000-8000-000000000001: its power_state is none that is known"]),
        (
            "UPDATE grants SET target_id = 'gone' WHERE target_kind = 'project'",
            &["a project that does not exist: gone"],
        ),
        ("UPDATE grants SET target_kind = 'moon' WHERE target_kind = 'project'", &["a thing of unknown kind: moon"]),
        (
            "INSERT INTO import_progress (id, lines, digest) VALUES (1, 0, '')",
            &["an import was begun and not finished"],
        ),
        (
            image,
            &[
                "images i: its visibility is none",
                "images i: its properties are not texts",
                "images i: its tags are no list",
                "images i: it is active and has no data",
                "images i: its sort_name is not its name",
            ],
        ),
    ];
    for (damage, expected) in cases {
        let house = House::new().await;
        Actor::new(SERVER).enters(&house).await;
        run(&house.cloud.store, damage).await;
        let found = findings(&house.cloud.store).await;
        for sentence in expected {
            assert!(found.iter().any(|found| found.contains(sentence)), "{damage}: {found:?}");
        }
        let is_expected = |found: &String| expected.iter().any(|sentence| found.contains(sentence));
        assert!(found.iter().all(is_expected), "{damage}: {found:?}");
    }
}

/// A data directory with one image, whose data is `data` under the key `a1`, and with what stands around it.
async fn data_directory() -> (tempfile::TempDir, Store) {
    let directory = directory();
    let store = Store::embedded(directory.path()).await.expect("a fresh database opens");
    put_image(&store, directory.path(), "a1").await;
    std::fs::create_dir(directory.path().join("token-keys")).expect("a directory");
    std::fs::write(directory.path().join("token-keys/0"), "secret").expect("a file");
    (directory, store)
}

async fn put_image(store: &Store, directory: &Path, key: &'static str) {
    let blobs = Blobs::local(&directory.join("images")).expect("a directory");
    let data = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from("data"))]);
    let parsed: BlobKey = key.parse().expect("a key");
    let written = blobs.write(&parsed, data, 100).await.expect("data can be written");
    let script = move |tx: &mut dyn Tx| {
        tx.execute(
            "INSERT INTO images (id, owner, status, visibility, protected, os_hidden, min_ram, min_disk, size, checksum, os_hash_value, \
             blob, tags, properties, created_at, updated_at) \
             VALUES ($1, 'p', 'active', 'public', 0, 0, 0, 0, 4, $2, $3, $1, '[]', '{}', 0, 0)",
            &[key.into(), written.md5.as_str().into(), written.sha512.as_str().into()],
        )
    };
    store.write::<_, StoreError>(script).await.expect("a row");
}

async fn image_findings(directory: &Path, read_all: bool) -> (Vec<String>, Vec<String>) {
    let store = Store::embedded_for(directory, Purpose::Look).await.expect("it opens");
    let mut findings = check::database(&store, true, |_| {}).await.expect("it can be read");
    let blobs = Blobs::local(&directory.join("images")).expect("a directory");
    findings.image_data(&blobs, read_all, &mut |_| {}).await.expect("data can be read");
    (findings.wrong, findings.notes)
}

#[tokio::test]
async fn image_data_that_is_missing_cut_changed_or_of_nobody_is_told() {
    let (directory, _store) = data_directory().await;
    let data = directory.path().join("images/a1");
    assert_eq!(image_findings(directory.path(), true).await, (vec![], vec![]));
    std::fs::write(&data, "DATA").expect("a file");
    assert_eq!(image_findings(directory.path(), false).await.0, Vec::<String>::new());
    let wrong = image_findings(directory.path(), true).await.0;
    assert_eq!(wrong, ["image a1: its data is not what was uploaded: the checksum differs"]);
    std::fs::write(&data, "dat").expect("a file");
    assert_eq!(image_findings(directory.path(), false).await.0, ["image a1: its data has 3 bytes, and not its size"]);
    std::fs::rename(&data, directory.path().join("images/b2")).expect("a file");
    let (wrong, notes) = image_findings(directory.path(), false).await;
    assert_eq!(wrong, ["image a1: it is active and its data is missing"]);
    assert_eq!(notes, ["image data b2 belongs to no image; the server's next start removes it"]);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_backup_made_while_others_write_is_restored_whole() {
    let (source, store) = data_directory().await;
    let place = directory();
    let (to, restored) = (place.path().join("backup"), place.path().join("restored"));
    let writer = store.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn(async move {
        let mut stopped = std::pin::pin!(stopped);
        for number in 0_i64.. {
            let script = move |tx: &mut dyn Tx| {
                tx.execute(
                    "INSERT INTO revoked_tokens (audit_id, expires_at) VALUES ($1, 0)",
                    &[number.to_string().as_str().into()],
                )
            };
            writer.write::<_, StoreError>(script).await.expect("a backup holds up nobody");
            if stopped.as_mut().try_recv().is_ok() {
                return;
            }
        }
    });
    let (from, at) = (source.path().to_owned(), to.clone());
    let copied = tokio::task::spawn_blocking(move || backup::backup(&from, &at, &mut |_| {})).await.expect("no panic");
    assert_eq!(copied.expect("a backup"), backup::Copied { images: 1, missing: vec![] });
    stop.send(()).expect("it still writes");
    writing.await.expect("no panic");
    backup::restore(&to, &restored, &mut |_| {}).expect("a new directory");
    assert_eq!(image_findings(&restored, true).await, (vec![], vec![]));
    assert_eq!(std::fs::read_to_string(restored.join("token-keys/0")).expect("keys are restored"), "secret");
    let modes = [&to, &restored].map(|dir| {
        (mode(dir), mode(&dir.join("kilonova.db")), mode(&dir.join("token-keys")), mode(&dir.join("token-keys/0")))
    });
    assert_eq!(modes, [(0o700, 0o600, 0o700, 0o600); 2]);
    let left: Vec<_> =
        std::fs::read_dir(place.path()).expect("a directory").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_backup_leaves_the_log_of_a_server_that_was_killed() {
    let (source, _store) = data_directory().await;
    let killed = directory();
    for name in ["kilonova.db", "kilonova.db-wal"] {
        std::fs::copy(source.path().join(name), killed.path().join(name)).expect("it is there");
    }
    let log = || std::fs::read(killed.path().join("kilonova.db-wal")).expect("there is a log");
    let before = log();
    backup::backup(killed.path(), &killed.path().join("backup"), &mut |_| {}).expect("it can be read");
    assert!(!before.is_empty() && log() == before, "it may be the only copy of what is in it");
}

#[tokio::test]
async fn a_backup_tells_of_image_data_that_nobody_has() {
    let (source, _store) = data_directory().await;
    std::fs::remove_file(source.path().join("images/a1")).expect("it is there");
    let place = directory();
    let copied = backup::backup(source.path(), &place.path().join("backup"), &mut |_| {}).expect("the rest is copied");
    assert_eq!(copied, backup::Copied { images: 0, missing: vec!["a1".into()] });
}

#[tokio::test]
async fn a_key_that_leads_out_of_the_directory_is_refused() {
    let (source, store) = data_directory().await;
    run(&store, "UPDATE images SET blob = '../token-keys/0'").await;
    let place = directory();
    let refusal = backup::backup(source.path(), &place.path().join("backup"), &mut |_| {}).expect_err("it is no key");
    assert!(refusal.to_string().contains("is no key of image data"), "{refusal}");
    assert_eq!(std::fs::read_dir(place.path()).expect("a directory").count(), 0);
}

#[tokio::test]
async fn a_backup_or_restore_over_something_is_refused_and_leaves_it() {
    let (source, _store) = data_directory().await;
    let place = directory();
    let to = place.path().join("backup");
    backup::backup(source.path(), &to, &mut |_| {}).expect("a backup");
    let again = backup::backup(source.path(), &to, &mut |_| {}).expect_err("there is one").to_string();
    let over = backup::restore(&to, source.path(), &mut |_| {}).expect_err("there is a cloud").to_string();
    assert!(again.contains("is not empty") && over.contains("is not empty"), "{again}, {over}");
    assert_eq!(image_findings(source.path(), true).await, (vec![], vec![]));
}

#[tokio::test]
async fn what_is_no_backup_or_a_newer_or_damaged_one_is_not_restored() {
    let (source, _store) = data_directory().await;
    let place = directory();
    let (to, new) = (place.path().join("backup"), place.path().join("new"));
    let refusal =
        |from: &Path| backup::restore(from, &new, &mut |_| {}).expect_err("it cannot be restored").to_string();
    assert!(refusal(source.path()).contains("is no backup"));
    backup::backup(source.path(), &to, &mut |_| {}).expect("a backup");
    let manifest = to.join("backup.json");
    let text = std::fs::read_to_string(&manifest).expect("a file");
    std::fs::write(&manifest, text.replace("\"schema\": ", "\"schema\": 99")).expect("a file");
    assert!(refusal(&to).contains("a newer release"));
    std::fs::write(&manifest, text).expect("a file");
    std::fs::write(to.join("kilonova.db"), "not a database, and long enough to be one: ".repeat(100)).expect("a file");
    assert!(refusal(&to).contains("damaged"), "{}", refusal(&to));
    assert!(!new.exists());
}
