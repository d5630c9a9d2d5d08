//! Which engine the houses of this test binary stand on. The same tests are built twice: `it` on the embedded database, `on_postgres` on a
//! PostgreSQL server that is started for the run, on a directory of its own, and stopped with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kilonova::store::engine::Engine;
use kilonova::store::postgres::{self, Postgres};
use kilonova::store::sqlite::{self, Sqlite};
use kilonova::store::{Purpose, Store, StoreError};

use crate::plans::Plans;

/// The store of a house: made on first use, found again when the house is opened again on its directory.
pub async fn store(directory: &Path) -> Store {
    opened(directory, Purpose::Serve).await.expect("a fresh database opens")
}

/// The engine itself, with its schema up to date: for tests that put something between it and the store.
pub async fn raw(directory: &Path) -> Arc<dyn Engine> {
    store(directory).await.close();
    if !on_postgres() {
        return Arc::new(Sqlite::open(&directory.join(sqlite::FILE)).expect("a database that was just made"));
    }
    let url = std::fs::read_to_string(directory.join("database-url")).expect("the note was just written");
    let opening = tokio::task::spawn_blocking(move || Postgres::open(&url, Some(postgres::TURN)));
    Arc::new(opening.await.expect("no panic").expect("a database that was just made"))
}

/// The same with its plans watched, where it is the embedded one.
pub async fn watched_store(directory: &Path, plans: &Plans) -> Store {
    plans.store(directory).await.expect("a fresh database opens")
}

/// As `store`, for any purpose, and with the refusal where there is one.
pub async fn opened(directory: &Path, purpose: Purpose) -> Result<Store, StoreError> {
    if !on_postgres() {
        return Store::embedded_for(directory, purpose).await;
    }
    let note = directory.join("database-url");
    if !note.exists() {
        let server = tokio::task::spawn_blocking(server).await.expect("a server can be started");
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("house{}", MADE.fetch_add(1, Ordering::SeqCst));
        server.run_sql(&format!("CREATE DATABASE {name}"));
        std::fs::write(&note, server.url(&name)).expect("a note can be written");
    }
    let url = std::fs::read_to_string(&note).expect("the note was just written");
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Store::postgres_for(&url, purpose).await {
            // a machine that does much else may let a new connection wait for longer than a server of ours would
            Err(StoreError::Unavailable(why)) if why.contains("does not answer") && Instant::now() < deadline => {}
            other => return other,
        }
    }
}

/// How long a test waits for a server of its own run.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether this test binary is the one of the second engine.
pub fn on_postgres() -> bool {
    module_path!().starts_with("on_postgres")
}

/// A PostgreSQL server of this test run.
pub struct Server {
    binaries: PathBuf,
    directory: PathBuf,
}

impl Server {
    fn url(&self, database: &str) -> String {
        let socket = self.directory.to_str().expect("the directory has a name in UTF-8").replace('/', "%2F");
        format!("postgres://postgres@{socket}/{database}")
    }

    fn run_sql(&self, sql: &str) {
        let psql = self.binaries.join("psql");
        let output = Command::new(psql).args(["-h"]).arg(&self.directory).args(["-U", "postgres", "-qc", sql]).output();
        let output = output.expect("psql is where initdb is");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Starts the server at the first call. It ends with this process: a small shell beside it waits for that.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let binaries = binaries();
        let directory = tempfile::Builder::new().prefix("kn").tempdir_in("/tmp").expect("a directory").keep();
        let data = directory.join("data");
        let as_postgres = |program: &Path| {
            // PostgreSQL refuses to run as root
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
        let program = |name: &str| {
            let path = binaries.join(name);
            if is_root { as_postgres(&path) } else { Command::new(path) }
        };
        if is_root {
            run(Command::new("chown").arg("postgres").arg(&directory));
        }
        run(program("initdb").args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "-D"]).arg(&data));
        let socket = format!("-k {} -c listen_addresses= -c max_connections=400 -c fsync=off", directory.display());
        run(program("pg_ctl").args(["-w", "-s", "start", "-o", &socket, "-D"]).arg(&data));
        end_with_this_process(&binaries, &data, &directory, is_root);
        Server { binaries, directory }
    })
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} ended with {status}");
}

/// Where Debian and others keep `initdb`. The tests of the second engine fail where there is none: install `postgresql`.
fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = ["/usr/lib/postgresql", "/usr/pgsql"]
        .iter()
        .filter_map(|base| std::fs::read_dir(base).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path().join("bin")))
        .filter(|path| path.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("these tests need PostgreSQL's server: apt-get install postgresql")
}

#[expect(clippy::zombie_processes, reason = "it ends after this process, which cannot wait for it")]
fn end_with_this_process(binaries: &Path, data: &Path, directory: &Path, is_root: bool) {
    let stop = format!("{}/pg_ctl -m immediate -s stop -D {}", binaries.display(), data.display());
    let stop = if is_root { format!("setpriv --reuid=postgres --regid=postgres --clear-groups {stop}") } else { stop };
    // reads from a pipe that only this process holds open: its end is the end of the process, however it came
    let script = format!("cat >/dev/null; {stop}; rm -rf {}", directory.display());
    let mut watcher = Command::new("sh");
    let watcher = watcher.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = watcher.spawn().expect("a shell");
    std::mem::forget(child.stdin);
}
