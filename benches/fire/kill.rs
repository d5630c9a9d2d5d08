//! Kills in the middle of load: the server, or the primary of its database. Whatever was acknowledged must be there, nothing half, and what
//! was under way for servers is finished.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cloud::{self, Maker};
use super::cluster::Cluster;
use super::http::{Client, Said};
use super::process::Process;
use super::writers::{Counts, Promises, Until, storm};

/// How hard.
#[derive(Debug, Clone, Copy)]
pub struct Fire {
    /// Kills.
    pub rounds: u64,
    /// Clients.
    pub clients: u64,
    /// Changes between two kills.
    pub changes: u64,
    /// Whether servers are made meanwhile. Whoever made them last may have to be waited for: a minute, in the end.
    pub builds: bool,
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The server, on the embedded database.
    OnSqlite,
    /// The server, on PostgreSQL.
    OnPostgres,
    /// PostgreSQL's primary; its standby takes over.
    Primary,
}

/// What rounds of killing came to.
#[derive(Debug, Default)]
pub struct Toll {
    /// Rounds.
    pub rounds: u64,
    /// Changes that were acknowledged.
    pub kept: u64,
    /// Changes under way when the end came, or answered 503.
    pub unknown: u64,
    /// Changes lost, halved, or answered wrongly.
    pub wrong: u64,
    /// Requests without an answer for 30 seconds.
    pub hangs: u64,
    /// Servers whose building was under way when the end came, and that came up afterwards.
    pub finished: u64,
    /// Images that were being made of servers around the kills, each found once, with the data of its checksum.
    pub images: u64,
    /// How long starts took after a kill, in milliseconds, sorted.
    pub starts: Vec<f64>,
}

/// Kills so many times, each time when so many more changes were kept.
pub fn kill(directory: &Path, victim: Victim, fire: Fire) -> Toll {
    let Fire { rounds, clients, changes, builds } = fire;
    let mut cluster = (victim != Victim::OnSqlite).then(Cluster::start);
    let mut process = Process::new(directory, cluster.as_ref().map(Cluster::url));
    process.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let token = process.token("demo");
    let mut promises = cloud::promises(&process, &token, clients);
    let counts = Arc::new(Counts::default());
    let mut toll = Toll { rounds, ..Toll::default() };
    let mut built = Vec::new();
    for round in 0..rounds {
        if let Some(cluster) = cluster.as_mut().filter(|_| victim == Victim::Primary) {
            cluster.add_standby();
        }
        let building = AtomicBool::new(builds);
        let until = Arc::new(Until { kept: u64::MAX, over: Arc::default(), goes_on: victim == Victim::Primary });
        let before = counts.of(&counts.kept);
        let clients = storm(promises, &[process.address], &token, &counts, &until);
        let (address, name) = (process.address, format!("round{round:06}"));
        let mut accepted = Accepted::default();
        std::thread::scope(|scope| {
            let builder = scope.spawn(|| build(Client::new(address, &token), &name, &building));
            // another moment of the work every time
            if !await_kept(&counts, before + changes + round % 17) {
                eprintln!("{}", process.log_end());
            }
            match (&mut cluster, victim) {
                (Some(cluster), Victim::Primary) => cluster.fail_over(),
                _ => process.kill(),
            }
            if victim == Victim::Primary {
                await_kept(&counts, counts.of(&counts.kept) + clients.len() as u64);
            }
            building.store(false, Ordering::SeqCst);
            until.over.store(true, Ordering::SeqCst);
            accepted = builder.join().expect("the builder does not panic");
        });
        promises = clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect();
        if victim != Victim::Primary {
            if let Some(cluster) = &cluster {
                cluster.settle();
            }
            match process.start() {
                Ok(took) => toll.starts.push(took.as_secs_f64() * 1000.0),
                Err(said) => panic!("the server starts again: {said}"),
            }
        }
        check(&process, &token, &mut promises, &counts);
        built.push((name, accepted));
        eprint!(".");
    }
    // at the end, because a task whose begin was not acknowledged waits for its lease to run out: a minute
    await_no_tasks(|| tasks_left(&process, cluster.as_ref()), &counts);
    for (name, accepted) in built {
        toll.images += pictured(&process, &token, &name, &accepted.images, &counts);
        toll.finished += finished(&process, &token, &name, &accepted.servers, &counts);
    }
    await_no_tasks(|| tasks_left(&process, cluster.as_ref()), &counts);
    if victim == Victim::OnSqlite {
        await_no_orphans(&process, &counts);
    }
    toll.starts.sort_by(f64::total_cmp);
    toll.kept = counts.of(&counts.kept);
    toll.unknown = counts.of(&counts.unknown) + counts.of(&counts.refused);
    toll.wrong = counts.of(&counts.wrong);
    toll.hangs = counts.of(&counts.hangs);
    toll
}

/// Waits until so many changes were kept; false, which is noted as wrong, where nobody gets one through for a minute.
pub fn await_kept(counts: &Counts, wanted: u64) -> bool {
    let begun = std::time::Instant::now();
    while counts.of(&counts.kept) < wanted {
        if begun.elapsed() > Duration::from_secs(60) {
            counts.wrong("nothing was kept for a minute");
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

/// Compares everything with what was promised.
pub fn check(process: &Process, token: &str, promises: &mut [Promises], counts: &Arc<Counts>) {
    let mut client = Client::new(process.address, token);
    for promises in promises {
        promises.check(&mut client, counts);
    }
}

/// What was accepted in a round.
#[derive(Default)]
pub struct Accepted {
    /// Ids.
    pub servers: Vec<String>,
    /// Names.
    pub images: Vec<String>,
}

/// Makes servers, and images of them, until told to stop or nobody answers; gives what was accepted.
pub fn build(mut client: Client, name: &str, building: &AtomicBool) -> Accepted {
    let maker = Maker::new(&mut client);
    let mut accepted = Accepted::default();
    let mut attempts = 0;
    while building.load(Ordering::SeqCst) && accepted.servers.len() < 20 {
        match maker.server(&mut client, name) {
            Some(id) => accepted.servers.push(id),
            None => std::thread::yield_now(),
        }
        std::thread::sleep(Duration::from_millis(3));
        // of one that has had a moment to come up
        if let Some(id) = accepted.servers.iter().rev().nth(2) {
            // a name is asked for once, whatever comes of it: who finds it twice has found what must not be
            attempts += 1;
            let image = format!("{name}-{attempts}");
            let body = format!(r#"{{"createImage": {{"name": "{image}"}}}}"#);
            if client.ask("POST", &format!("/v2.1/servers/{id}/action"), &body).status() == 202 {
                accepted.images.push(image);
            }
        }
    }
    accepted
}

/// Looks for the images of a round: the accepted ones are there, none twice, and each has the data of its checksum. Says how many.
pub fn pictured(process: &Process, token: &str, name: &str, accepted: &[String], counts: &Counts) -> u64 {
    let mut client = Client::new(process.address, token);
    let path = "/image/v2/images?visibility=private&limit=1000&sort=created_at:desc";
    let mut seen = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next.take() {
        let page = client.ask("GET", &path, "").json();
        let Some(page) = page.as_ref() else {
            counts.wrong("the images cannot be listed");
            break;
        };
        for image in page.get("images").and_then(|images| images.as_array()).unwrap_or_default() {
            let text = |field: &str| image.get(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            if !text("name").starts_with(&format!("{name}-")) {
                continue;
            }
            let file = client.ask("GET", &format!("/image/v2/images/{}/file", text("id")), "");
            let is_whole = matches!(&file, Said::Answer(200, _, data) if md5_of(data) == text("checksum"));
            if text("status") != "active" || !is_whole {
                counts.wrong(&format!("the image {} is {} with other data than its own", text("name"), text("status")));
            }
            seen.push(text("name"));
        }
        next = page.get("next").and_then(|next| next.as_str()).map(|next| format!("/image{next}"));
    }
    for image in accepted {
        if !seen.contains(image) {
            counts.wrong(&format!("the accepted image {image} is not there"));
        }
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    if seen.len() != count {
        counts.wrong(&format!("of {count} images of {name} some are there twice"));
    }
    count as u64
}

fn md5_of(data: &[u8]) -> String {
    use md5::{Digest, Md5};
    Md5::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a killed server has left of image data is gone a moment after the last start.
fn await_no_orphans(process: &Process, counts: &Counts) {
    let begun = std::time::Instant::now();
    loop {
        let database = rusqlite::Connection::open(process.data().join("kilonova.db")).expect("the database");
        let mut known: Vec<String> = Vec::new();
        let mut keys = database.prepare("SELECT blob FROM images WHERE blob IS NOT NULL").expect("a statement");
        let mut rows = keys.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            known.push(row.get(0).expect("a key"));
        }
        let files = std::fs::read_dir(process.data().join("images")).expect("the directory of image data");
        let there: Vec<String> = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
        let orphans: Vec<_> = there.iter().filter(|file| !known.contains(file)).collect();
        let missing: Vec<_> = known.iter().filter(|key| !there.contains(key)).collect();
        if orphans.is_empty() && missing.is_empty() {
            return;
        }
        if begun.elapsed() > Duration::from_secs(20) {
            return counts.wrong(&format!("data of no image: {orphans:?}; images without data: {missing:?}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until nothing is left to be done: who was to do it may have to be waited for.
pub fn await_no_tasks(tasks_left: impl Fn() -> i64, counts: &Counts) {
    let begun = std::time::Instant::now();
    while tasks_left() > 0 {
        if begun.elapsed() > Duration::from_secs(120) {
            let tasks_left = tasks_left();
            return counts.wrong(&format!("{tasks_left} tasks are left"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many tasks nobody has finished.
pub const TASKS_LEFT: &str = "SELECT count(*) FROM tasks";

fn tasks_left(process: &Process, cluster: Option<&Cluster>) -> i64 {
    let sql = TASKS_LEFT;
    match cluster {
        Some(cluster) => cluster.sql(sql).trim().parse().expect("a number"),
        None => {
            let database = rusqlite::Connection::open(process.data().join("kilonova.db")).expect("the database");
            database.query_row(sql, [], |row| row.get(0)).expect("a number")
        }
    }
}

/// Waits for the servers of a round, checks that all accepted ones are there, and takes them away; says how many there were.
pub fn finished(process: &Process, token: &str, name: &str, accepted: &[String], counts: &Counts) -> u64 {
    let mut client = Client::new(process.address, token);
    let list = client.ask("GET", &format!("/v2.1/servers?name={name}"), "").json();
    let there: Vec<String> = list
        .as_ref()
        .and_then(|json| json.get("servers")?.as_array())
        .map(|servers| servers.iter().filter_map(|server| Some(server.get("id")?.as_str()?.to_owned())).collect())
        .unwrap_or_default();
    for id in accepted.iter().filter(|id| !there.contains(id)) {
        counts.wrong(&format!("the accepted server {id} is not there"));
    }
    for id in &there {
        if !cloud::comes_up(&mut client, id) {
            counts.wrong(&format!("the server {id} does not come up"));
        }
        let status = client.ask("DELETE", &format!("/v2.1/servers/{id}"), "").status();
        if status != 204 {
            counts.wrong(&format!("DELETE of the server {id}: {status}"));
        }
    }
    there.len() as u64
}
