//! How long a start takes after a kill, on very many servers: from the moment the process is made until somebody who asks has the metadata
//! of a server. Meanwhile, before each kill, items are written and servers are made.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::cloud::Maker;
use super::http::Client;
use super::process::Process;
use super::seed::{seed, server_id};

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Servers that are there.
    pub servers: u64,
    /// Kills.
    pub rounds: u64,
    /// Clients that write items.
    pub clients: u64,
    /// Items written between a start and a kill.
    pub writes: u64,
}

/// What it came to.
#[derive(Debug, Default)]
pub struct Starts {
    /// Milliseconds from the start to the first answer, sorted.
    pub times: Vec<f64>,
    /// MiB of the write-ahead log's file at the kill, sorted.
    pub logs: Vec<f64>,
    /// MiB of memory after the first answer, sorted.
    pub memory: Vec<f64>,
    /// MiB of memory before the kill, sorted.
    pub memory_later: Vec<f64>,
    /// Items that were acknowledged.
    pub kept: u64,
    /// Servers that were accepted.
    pub made: u64,
    /// What was acknowledged and is not there.
    pub lost: u64,
}

impl fmt::Display for Starts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |sorted: &[f64]| match (sorted.get(sorted.len() / 2), sorted.last()) {
            (Some(median), Some(worst)) => format!("median {median:.1}, worst {worst:.1}"),
            _ => "not measured".to_owned(),
        };
        writeln!(f, "start after a kill to the first answer, ms: {}", line(&self.times))?;
        writeln!(f, "  write-ahead log at the kill, MiB: {}", line(&self.logs))?;
        writeln!(f, "  memory at the first answer, MiB: {}", line(&self.memory))?;
        writeln!(f, "  memory before the kill, MiB: {}", line(&self.memory_later))?;
        write!(f, "  items acknowledged: {}, servers accepted: {}, lost: {}", self.kept, self.made, self.lost)
    }
}

/// Seeds the directory, if that has not been done, and kills and starts so many times.
pub fn starts(directory: &Path, size: Size) -> Starts {
    let mut process = Process::new(directory, None);
    process.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    // like an operator's: where the address changes, clouds.yaml has to be written again before anybody is told
    process.keeps_address = true;
    let token = process.token("demo");
    process.kill();
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(seed(&process.data(), size.servers, 8, 0));
    eprintln!("{} servers seeded in {:.0} s", size.servers, begun.elapsed().as_secs_f64());
    let mut starts = Starts::default();
    let mut written: Vec<Written> = Vec::new();
    // the first start moves what seeding has left in the log, and is not after a kill
    for round in 0..=size.rounds {
        let begun = Instant::now();
        process.start().unwrap_or_else(|said| panic!("the server starts again: {said}"));
        let mut client = Client::new(process.address, &token);
        let first = client.ask("GET", &format!("/v2.1/servers/{}/metadata", server_id(round % size.servers)), "");
        assert_eq!(first.status(), 200, "the first answer: {first:?}");
        if round > 0 {
            starts.times.push(begun.elapsed().as_secs_f64() * 1000.0);
            starts.memory.push(process.resident_mib());
        }
        starts.lost += written.iter().filter(|written| !written.is_there(&mut client)).count() as u64;
        if round == size.rounds {
            break;
        }
        let loaded = load(&mut process, &token, size, round);
        starts.memory_later.push(loaded.memory);
        let log = fs::metadata(process.data().join("kilonova.db-wal")).map_or(0, |file| file.len());
        starts.logs.push(log as f64 / f64::from(1 << 20));
        starts.kept += loaded.kept;
        starts.made += loaded.made;
        written = loaded.last;
        eprint!(".");
    }
    eprintln!();
    for values in [&mut starts.times, &mut starts.logs, &mut starts.memory, &mut starts.memory_later] {
        values.sort_by(f64::total_cmp);
    }
    starts
}

/// The last item of a client that was acknowledged.
struct Written {
    path: String,
    value: String,
}

impl Written {
    fn is_there(&self, client: &mut Client) -> bool {
        let said = client.ask("GET", &self.path, "").json();
        let there = said.as_ref().and_then(|json| json.get("meta")?.as_object()?.iter().next()?.1.as_str());
        if there != Some(&self.value) {
            eprintln!("WRONG: {} is {there:?} where {} was acknowledged", self.path, self.value);
        }
        there == Some(&self.value)
    }
}

struct Loaded {
    kept: u64,
    made: u64,
    memory: f64,
    last: Vec<Written>,
}

/// Writes items all over the servers and makes new ones, and kills in the middle of it when enough is written.
fn load(process: &mut Process, token: &str, size: Size, round: u64) -> Loaded {
    let address = process.address;
    let (kept, made, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    // another moment of the work every time
    let enough = size.writes + round % 17;
    let (last, memory) = std::thread::scope(|scope| {
        let builder = scope.spawn(|| {
            let mut client = Client::new(address, token);
            let maker = Maker::new(&mut client);
            while !over.load(Ordering::SeqCst) {
                made.fetch_add(u64::from(maker.server(&mut client, "made").is_some()), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let writers: Vec<_> = (0..size.clients)
            .map(|number| {
                let (kept, over) = (&kept, &over);
                scope.spawn(move || {
                    let mut client = Client::new(address, token);
                    let mut last = None;
                    for turn in 0_u64.. {
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                        let server = (turn * size.clients + number + round * 7919) % size.servers;
                        let path = format!("/v2.1/servers/{}/metadata/w{number}", server_id(server));
                        let value = format!("r{round}t{turn}");
                        let said = client.ask("PUT", &path, &format!(r#"{{"meta": {{"w{number}": "{value}"}}}}"#));
                        if said.status() == 200 {
                            last = Some(Written { path, value });
                            kept.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    last
                })
            })
            .collect();
        let begun = Instant::now();
        while kept.load(Ordering::SeqCst) < enough && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_micros(200));
        }
        let memory = process.resident_mib();
        process.kill();
        over.store(true, Ordering::SeqCst);
        builder.join().expect("the builder does not panic");
        let last = writers.into_iter().filter_map(|writer| writer.join().expect("a writer does not panic"));
        (last.collect(), memory)
    });
    Loaded { kept: kept.into_inner(), made: made.into_inner(), memory, last }
}
