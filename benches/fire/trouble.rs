//! The database in trouble: what can be read is read, everything else is 503 with Retry-After, nobody waits for long, and all is well again
//! without a restart of the server.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::cloud;
use super::cluster::Cluster;
use super::http::{Client, Said};
use super::process::Process;

/// The longest that anybody may wait for an answer while the database is in trouble.
const ANSWER_MAX: Duration = Duration::from_secs(12);

/// What an image is made of.
const DATA: &str = "the data of an image";

/// What one trouble came to.
#[derive(Debug)]
pub struct Came {
    /// Which.
    pub trouble: &'static str,
    /// What was not as it must be.
    pub wrong: Vec<String>,
    /// The longest wait for an answer, in seconds.
    pub longest: f64,
}

/// Somebody who watches one server and one image.
pub struct Watch {
    client: Client,
    token: String,
    server: String,
    image: String,
    came: Came,
}

impl Watch {
    /// Of a server, with a server and an image of its own.
    pub fn new(process: &Process, trouble: &'static str) -> Watch {
        let token = process.token("demo");
        let mut client = Client::new(process.address, &token);
        let maker = cloud::Maker::new(&mut client);
        let server = maker.server(&mut client, "watched").expect("a server is accepted");
        assert!(cloud::comes_up(&mut client, &server), "the watched server comes up");
        let image = maker.image(&mut client, "watched");
        let came = Came { trouble, wrong: Vec::new(), longest: 0.0 };
        let path = |kind: &str, id: &str| format!("/v2.1/{kind}/{id}/metadata");
        let (server, image) = (path("servers", &server), path("images", &image));
        Watch { client, token, server, image, came }
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Said {
        self.waits(method, path, |client| client.ask(method, path, body))
    }

    fn waits(&mut self, method: &str, path: &str, ask: impl FnOnce(&mut Client) -> Said) -> Said {
        let begun = Instant::now();
        let said = ask(&mut self.client);
        let took = begun.elapsed();
        self.came.longest = self.came.longest.max(took.as_secs_f64());
        if took > ANSWER_MAX {
            self.came.wrong.push(format!("{method} {path} took {took:?}"));
        }
        said
    }

    /// Notes an answer that is not as it must be.
    pub fn must(&mut self, when: &str, said: &Said, wanted: u16) {
        let right = said.status() == wanted && (wanted != 503 || matches!(said, Said::Answer(_, true, _)));
        if !right {
            self.came.wrong.push(format!("{when}: {said:?} where {wanted} must be"));
        }
    }

    /// Asks for the metadata of the server.
    pub fn get(&mut self, when: &str, wanted: u16) {
        let path = self.server.clone();
        let said = self.patiently(wanted, |watch| watch.ask("GET", &path, ""));
        self.must(when, &said, wanted);
    }

    /// Where a machine has other things to do a request is refused from time to time, so what must be answered is asked for up to five times.
    fn patiently(&mut self, wanted: u16, mut ask: impl FnMut(&mut Watch) -> Said) -> Said {
        let mut said = ask(self);
        for _ in 0..4 {
            if wanted == 503 || said.status() != 503 {
                break;
            }
            said = ask(self);
        }
        said
    }

    /// Changes it.
    pub fn put(&mut self, value: &str) -> Said {
        let path = format!("{}/k", self.server);
        self.ask("PUT", &path, &format!(r#"{{"meta": {{"k": "{value}"}}}}"#))
    }

    /// Changes it, which must be possible.
    pub fn can_put(&mut self, when: &str, value: &str) {
        let said = self.patiently(200, |watch| watch.put(value));
        self.must(when, &said, 200);
    }

    /// Makes an image with data of its own; gives the path of the data.
    pub fn upload(&mut self, name: &str) -> (String, Said) {
        let body = format!(r#"{{"name": "{name}", "disk_format": "raw", "container_format": "bare"}}"#);
        let made = self.ask("POST", "/image/v2/images", &body);
        let Some(id) = made.json().as_ref().and_then(|json| json.get("id")?.as_str().map(str::to_owned)) else {
            return (String::new(), made);
        };
        let path = format!("/image/v2/images/{id}/file");
        let said = self.waits("PUT", &path, |client| client.send("PUT", &path, "application/octet-stream", DATA));
        (path, said)
    }

    /// Asks for data that was uploaded.
    pub fn has_data(&mut self, when: &str, path: &str) {
        let said = self.patiently(200, |watch| watch.ask("GET", path, ""));
        self.must(when, &said, 200);
        if matches!(&said, Said::Answer(200, _, data) if data != DATA.as_bytes()) {
            self.came.wrong.push(format!("{when}: other data than was uploaded"));
        }
    }

    /// So many read at once that connections to the database are made anew.
    pub fn many_read(&mut self, when: &str) {
        let (address, token, path) = (self.client.address(), self.token.clone(), self.server.clone());
        let once = || Client::new(address, &token).ask("GET", &path, "").status();
        let statuses = std::thread::scope(|scope| {
            let ask = || (0..5).map(|_| once()).find(|status| *status != 503).unwrap_or(503);
            let readers: Vec<_> = (0..32).map(|_| scope.spawn(ask)).collect();
            readers.into_iter().map(|reader| reader.join().expect("a reader does not panic")).collect::<Vec<_>>()
        });
        if statuses.iter().any(|status| *status != 200) {
            self.came.wrong.push(format!("{when}: readers were answered {statuses:?}"));
        }
    }

    /// Asks on a new connection, because the server was started again.
    pub fn connects_anew(&mut self, process: &Process) {
        self.client = Client::new(process.address, &self.token);
    }

    /// Notes something else that is not as it must be.
    pub fn wrong(&mut self, what: String) {
        self.came.wrong.push(what);
    }

    /// All is well again, at the latest after a few seconds.
    pub fn recovers(mut self) -> Came {
        let begun = Instant::now();
        while self.put("after").status() != 200 {
            if begun.elapsed() > Duration::from_secs(20) {
                self.came.wrong.push("it is not well again after 20 seconds".into());
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.get("afterwards", 200);
        self.came
    }
}

/// A server that is up.
pub fn started(directory: &Path, database: Option<String>) -> Process {
    let mut process = Process::new(directory, database);
    process.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    process
}

/// Another process holds the database file.
pub fn locked(directory: &Path) -> Came {
    let process = started(directory, None);
    let mut watch = Watch::new(&process, "the database file is locked by another");
    let other = rusqlite::Connection::open(process.data().join("kilonova.db")).expect("the database");
    other.busy_timeout(Duration::from_secs(10)).expect("a number");
    other.execute_batch("BEGIN EXCLUSIVE").expect("the file can be locked");
    watch.get("while it is locked", 200);
    let said = watch.put("locked");
    watch.must("while it is locked", &said, 503);
    other.execute_batch("ROLLBACK").expect("it was begun");
    watch.recovers()
}

/// The disk is full; `None` where this machine does not let us mount a small one.
pub fn full(directory: &Path) -> Option<Came> {
    let disk = directory.join("disk");
    fs::create_dir_all(&disk).expect("a directory");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "none"]).arg(&disk).status();
    if !mounted.is_ok_and(|status| status.success()) {
        return None;
    }
    let came = on_full_disk(&disk);
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    Some(came)
}

fn on_full_disk(disk: &Path) -> Came {
    let process = started(disk, None);
    let mut watch = Watch::new(&process, "the disk is full");
    let filler = disk.join("filler");
    // as much as there is room for
    let _ = fs::write(&filler, vec![1; 16 << 20]);
    let refused = (0..20_000).map(|turn| watch.put(&format!("full{turn}"))).find(|said| said.status() != 200);
    match refused {
        Some(said) => watch.must("on a full disk", &said, 503),
        None => watch.came.wrong.push("the disk was never full".into()),
    }
    watch.get("on a full disk", 200);
    fs::remove_file(&filler).expect("it was written");
    watch.recovers()
}

/// The files of the database can be read and not written, from one moment to the next, while they are open; `None` where this machine
/// does not let us. A file system with open files cannot be mounted read-only, so the files are made immutable: a write to them is refused
/// at the same place in SQLite, with another number.
pub fn read_only(directory: &Path) -> Option<Came> {
    let process = started(directory, None);
    let mut watch = Watch::new(&process, "the database's files are read-only");
    let files = ["kilonova.db", "kilonova.db-wal"].map(|name| process.data().join(name));
    let immutable = Immutable::make(&files)?;
    for turn in 0..20 {
        let said = watch.put(&format!("ro{turn}"));
        watch.must("while nothing can be written", &said, 503);
        watch.get("while nothing can be written", 200);
    }
    watch.many_read("while nothing can be written");
    drop(immutable);
    let said = watch.put("again");
    watch.must("as soon as it can be written", &said, 200);
    Some(watch.recovers())
}

/// Files that nobody can write to, until this is dropped.
struct Immutable<'a>(&'a [std::path::PathBuf]);

impl Immutable<'_> {
    fn make(files: &[std::path::PathBuf]) -> Option<Immutable<'_>> {
        let made = Immutable(files);
        made.set("+i").then_some(made)
    }

    fn set(&self, attribute: &str) -> bool {
        let mut command = Command::new("chattr");
        command.arg(attribute).args(self.0).stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        self.set("-i");
    }
}

/// A page of the table of images is damaged; servers are not touched by that.
pub fn damaged(directory: &Path) -> Came {
    let mut process = started(directory, None);
    let mut watch = Watch::new(&process, "a page of the database is damaged");
    process.kill();
    let path = process.data().join("kilonova.db");
    let database = rusqlite::Connection::open(&path).expect("the database");
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("nobody else has it");
    let page: u64 = database
        .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'images'", [], |row| row.get::<_, i64>(0))
        .map(|page| page as u64)
        .expect("there are images");
    drop(database);
    let file = fs::File::options().read(true).write(true).open(&path).expect("the database");
    let mut before = vec![0; 4096];
    file.read_exact_at(&mut before, (page - 1) * 4096).expect("a page");
    file.write_all_at(&[0xa5; 4096], (page - 1) * 4096).expect("a page");
    if let Err(said) = process.start() {
        // what needs the page at a start does not keep the rest from being served
        watch.came.wrong.push(format!("it does not start: {said}"));
        return watch.came;
    }
    watch.client = Client::new(process.address, &process.token("demo"));
    let image = watch.image.clone();
    let said = watch.ask("GET", &image, "");
    watch.must("on a damaged page", &said, 503);
    watch.get("beside a damaged page", 200);
    let said = watch.put("beside");
    watch.must("beside a damaged page", &said, 200);
    file.write_all_at(&before, (page - 1) * 4096).expect("a page");
    watch.recovers()
}

/// PostgreSQL is stopped, and started again.
pub fn stopped(directory: &Path) -> Came {
    let cluster = Cluster::start();
    let process = started(directory, Some(cluster.url()));
    let mut watch = Watch::new(&process, "PostgreSQL is down, and starts again");
    cluster.stop("immediate");
    for _ in 0..50 {
        watch.get("while it is down", 503);
        let said = watch.put("down");
        watch.must("while it is down", &said, 503);
    }
    cluster.start_again();
    watch.recovers()
}

/// PostgreSQL does not answer for ten seconds, and nobody is told why.
pub fn frozen(directory: &Path) -> Came {
    let cluster = Cluster::start();
    let process = started(directory, Some(cluster.url()));
    let mut watch = Watch::new(&process, "PostgreSQL is frozen for ten seconds");
    cluster.freeze(true);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        watch.get("while it is frozen", 503);
        let said = watch.put("frozen");
        watch.must("while it is frozen", &said, 503);
    }
    cluster.freeze(false);
    watch.recovers()
}
