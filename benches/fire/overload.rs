//! More requests than the server can answer: what it can do is measured first, by clients who wait for their answers; then it is asked so
//! many times that, by clients who do not wait.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::cloud::{Maker, comes_up};
use super::http::{self, Client};
use super::open::{self, Requests, Tally, quantile_ms};
use super::process::Process;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// To log in: bcrypt, on threads of its own.
    Logins,
    /// A page of servers with everything about them: processors.
    Lists,
    /// To write a metadata item, durably: the writer, its disk, and processors.
    Writes,
}

impl Errand {
    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Errand> {
        [("logins", Errand::Logins), ("lists", Errand::Lists), ("writes", Errand::Writes)]
            .into_iter()
            .find_map(|(known, errand)| (known == name).then_some(errand))
    }
}

/// How it is asked.
pub struct Load {
    /// What.
    pub errand: Errand,
    /// How many times the capacity, one after the other.
    pub times: Vec<f64>,
    /// For how long each.
    pub seconds: f64,
    /// What a login costs.
    pub rounds: u32,
    /// How many servers a list has.
    pub servers: u64,
    /// Whether the server has one processor and the clients another.
    pub apart: bool,
}

/// What came of one load.
#[derive(Debug)]
pub struct Came {
    times: f64,
    seconds: f64,
    offered: f64,
    /// What became of the requests.
    pub tally: Tally,
    /// What became of somebody who asked for something small meanwhile, ten times a second.
    pub bystander: Tally,
    /// Seconds after the last answer until ten small and ten of the same requests in a row were done; `None`: not within a minute.
    pub recovery: Option<f64>,
    /// Memory of the server in MiB: before, at most, afterwards.
    pub memory: [f64; 3],
}

/// What came of all of them.
#[derive(Debug)]
pub struct Overload {
    errand: Errand,
    /// What the server did in a second for clients who wait.
    pub capacity: f64,
    /// Each load.
    pub came: Vec<Came>,
}

impl Came {
    /// What was not as it must be, whatever the speed of the machine.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<_> = self.tally.wrong.iter().chain(&self.bystander.wrong).cloned().collect();
        if self.recovery.is_none() {
            wrong.push("it is not well again after a minute".into());
        }
        wrong
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { done, refused, silent, .. } = &self.tally;
        let (p50, p99, max) = (quantile_ms(done, 0.5), quantile_ms(done, 0.99), quantile_ms(done, 1.0));
        write!(
            f,
            "  {:>4}x: offered {:.0}/s, done {:.0}/s in p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms; refused {:.0}/s in p50 {:.0} ms, \
             p99 {:.0} ms; without an answer {silent}; sent late by p99 {:.1} ms\n        a bystander: done {} in p50 {:.1} ms, p99 {:.1} ms, refused {}; \
             well again after {:.1} s; memory {:.0} MiB before, {:.0} at most, {:.0} after",
            self.times,
            self.offered,
            done.len() as f64 / self.seconds,
            refused.len() as f64 / self.seconds,
            quantile_ms(refused, 0.5),
            quantile_ms(refused, 0.99),
            quantile_ms(&self.tally.late, 0.99),
            self.bystander.done.len(),
            quantile_ms(&self.bystander.done, 0.5),
            quantile_ms(&self.bystander.done, 0.99),
            self.bystander.refused.len(),
            self.recovery.unwrap_or(f64::INFINITY),
            self.memory[0],
            self.memory[1],
            self.memory[2],
        )
    }
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: capacity {:.0}/s", self.errand, self.capacity)?;
        self.came.iter().try_for_each(|came| write!(f, "\n{came}"))
    }
}

/// Clients who wait, to find out what the server can do.
const CLIENTS: u64 = 64;

/// Puts a server under each load in turn.
pub fn overload(directory: &Path, load: &Load) -> Overload {
    let mut process = Process::new(directory, None);
    process.set("password-hash-rounds", load.rounds);
    process.set("max-limit", 1000);
    if load.apart {
        process.pin(0);
        // the threads that are made from now on inherit it
        let this = std::process::id().to_string();
        let mut taskset = std::process::Command::new("taskset");
        let pinned = taskset.args(["-acp", "1", &this]).stdout(std::process::Stdio::null()).status();
        assert!(pinned.is_ok_and(|status| status.success()), "this machine has taskset and two processors");
    }
    process.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let (requests, small) = requests(&process, load);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        // logins wait for few threads, and more clients than those have places for would be refused
        let clients = if load.errand == Errand::Logins { 4 } else { CLIENTS };
        let closed = open::closed_loop(process.address, requests.clone(), clients, load.seconds).await;
        let capacity = closed.done.len() as f64 / load.seconds;
        let mut came = Vec::new();
        for times in &load.times {
            came.push(one(&process, &requests, &small, capacity * times, load.seconds, *times).await);
        }
        Overload { errand: load.errand, capacity, came }
    })
}

async fn one(
    process: &Process,
    requests: &Requests,
    small: &Requests,
    per_second: f64,
    seconds: f64,
    times: f64,
) -> Came {
    let memory = || process.memory().expect("it is running");
    let before = memory().0;
    let over = Arc::new(AtomicBool::new(false));
    let bystander = tokio::spawn(stand_by(process.address, small.clone(), over.clone()));
    let tally = open::open_loop(process.address, requests.clone(), per_second, seconds).await;
    over.store(true, Ordering::Relaxed);
    let bystander = bystander.await.expect("a bystander does not panic");
    let recovery = recovery(process, &[requests, small]).await;
    let (after, most) = memory();
    let memory = [before, most, after].map(|kibibytes| kibibytes as f64 / 1024.0);
    let offered = (tally.done.len() + tally.refused.len()) as f64 / seconds;
    Came { times, seconds, offered, tally, bystander, recovery, memory }
}

/// Somebody who asks for something small, ten times a second.
async fn stand_by(address: std::net::SocketAddr, small: Requests, over: Arc<AtomicBool>) -> Tally {
    let mut all = Tally::default();
    while !over.load(Ordering::Relaxed) {
        all.add(open::open_loop(address, small.clone(), 10.0, 1.0).await);
    }
    all
}

/// How long it takes until ten of each in a row are done.
async fn recovery(process: &Process, kinds: &[&Requests]) -> Option<f64> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        let since = begun.elapsed();
        let mut are_done = true;
        for requests in kinds {
            let Ok(mut stream) = open::connected(process.address).await else { return None };
            for number in 0..10 {
                let answer = open::exchange(&mut stream, &requests(u64::MAX - number)).await;
                are_done &= answer.is_ok_and(|answer| answer.status < 300);
                if !are_done {
                    break;
                }
            }
        }
        if are_done {
            return Some(since.as_secs_f64());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

/// The requests of an errand, and small ones that need none of what it needs but a processor.
fn requests(process: &Process, load: &Load) -> (Requests, Requests) {
    let token = process.token("demo");
    let request = move |method: &str, path: &str, token: &str, body: &str| {
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: fire\r\nX-Auth-Token: {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    };
    let small = request("GET", "/v2.1/flavors/1", &token, "");
    let small: Requests = Arc::new(move |_| small.clone());
    let mut client = Client::new(process.address, &token);
    let of_errand: Requests = match load.errand {
        Errand::Logins => {
            let body = http::login(&process.clouds(), "demo").expect("demo is in clouds.yaml");
            let login = request("POST", "/identity/v3/auth/tokens", "", &body);
            Arc::new(move |_| login.clone())
        }
        Errand::Lists => {
            let maker = Maker::new(&mut client);
            let made: Vec<_> = (0..load.servers).filter_map(|_| maker.server(&mut client, "listed")).collect();
            assert_eq!(made.len() as u64, load.servers, "servers are accepted");
            made.iter().for_each(|id| assert!(comes_up(&mut client, id), "a server comes up"));
            let list = request("GET", "/v2.1/servers/detail", &token, "");
            Arc::new(move |_| list.clone())
        }
        Errand::Writes => {
            let maker = Maker::new(&mut client);
            let ids: Vec<_> = (0..16).filter_map(|_| maker.server(&mut client, "written")).collect();
            ids.iter().for_each(|id| assert!(comes_up(&mut client, id), "a server comes up"));
            Arc::new(move |number| {
                let (id, key) = (&ids[number as usize % ids.len()], number / 16 % 64);
                let path = format!("/v2.1/servers/{id}/metadata/k{key}");
                request("PUT", &path, &token, &format!(r#"{{"meta": {{"k{key}": "{number}"}}}}"#))
            })
        }
    };
    (of_errand, small)
}
