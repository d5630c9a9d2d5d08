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
use super::slow::{Disk, Slowness};

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
    /// How many servers a list has, and how many are written.
    pub servers: u64,
    /// How many clients find out what the server can do.
    pub clients: u64,
    /// How slow the disk is while it is asked.
    pub disk: Slowness,
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
    /// What became of somebody of another project who asked for something small meanwhile, ten times a second.
    pub bystander: Tally,
    /// What became of somebody of another project who asked for the same, a twentieth of what can be done and at most ten times a second.
    pub rival: Tally,
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
        let mut wrong: Vec<_> =
            self.tally.wrong.iter().chain(&self.bystander.wrong).chain(&self.rival.wrong).cloned().collect();
        if self.recovery.is_none() {
            wrong.push("it is not well again after a minute".into());
        }
        wrong
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { done, settled, refused, silent, unsent, .. } = &self.tally;
        let (p50, p99, max) = (quantile_ms(done, 0.5), quantile_ms(done, 0.99), quantile_ms(done, 1.0));
        write!(
            f,
            "  {:>4}x: offered {:.0}/s, done {:.0}/s in p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms (from the third second on p50 {:.0} ms, \
             p99 {:.0} ms); refused {:.0}/s in p50 {:.0} ms, p99 {:.0} ms; \
             without an answer {silent}; sent late by p99 {:.1} ms, not sent {unsent}\n        \
             {}\n        {}\n        well again after {:.1} s; memory {:.0} MiB before, {:.0} at most, {:.0} after",
            self.times,
            self.offered,
            done.len() as f64 / self.seconds,
            quantile_ms(settled, 0.5),
            quantile_ms(settled, 0.99),
            refused.len() as f64 / self.seconds,
            quantile_ms(refused, 0.5),
            quantile_ms(refused, 0.99),
            quantile_ms(&self.tally.late, 0.99),
            beside("a bystander who asks for little", &self.bystander),
            beside("one of another project who asks for the same", &self.rival),
            self.recovery.unwrap_or(f64::INFINITY),
            self.memory[0],
            self.memory[1],
            self.memory[2],
        )
    }
}

fn beside(who: &str, tally: &Tally) -> String {
    let Tally { done, refused, .. } = tally;
    let (p50, p99) = (quantile_ms(done, 0.5), quantile_ms(done, 0.99));
    format!("{who}: done {} in p50 {p50:.1} ms, p99 {p99:.1} ms, refused {}", done.len(), refused.len())
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: capacity {:.0}/s", self.errand, self.capacity)?;
        self.came.iter().try_for_each(|came| write!(f, "\n{came}"))
    }
}

/// Puts a server under each load in turn, and says of each what came of it as soon as it is over.
pub fn overload(directory: &Path, load: &Load) -> Overload {
    let mut process = Process::new(directory, None);
    process.set("password-hash-rounds", load.rounds);
    process.set("max-limit", 1000);
    let disk = (load.disk != Slowness::NONE).then(|| Disk::new(directory));
    if let Some(disk) = &disk {
        process.on_disk(disk);
    }
    if load.apart {
        process.pin(0);
        // the threads that are made from now on inherit it
        let this = std::process::id().to_string();
        let mut taskset = std::process::Command::new("taskset");
        let pinned = taskset.args(["-acp", "1", &this]).stdout(std::process::Stdio::null()).status();
        assert!(pinned.is_ok_and(|status| status.success()), "this machine has taskset and two processors");
    }
    process.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let asked = Asked::of(&process, load);
    if let Some(disk) = &disk {
        disk.be(load.disk);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let closed = open::closed_loop(process.address, asked.requests.clone(), load.clients, load.seconds).await;
        let capacity = closed.done.len() as f64 / load.seconds;
        println!("{:?}: capacity {capacity:.0}/s", load.errand);
        // finding it out was too much already, and what was refused then is let in again in some seconds
        let _unless_never = recovery(&process, &[&asked.requests, &asked.small]).await;
        let mut came = Vec::new();
        for times in &load.times {
            let next = one(&process, &asked, capacity, load.seconds, *times).await;
            println!("{next}");
            came.push(next);
        }
        Overload { errand: load.errand, capacity, came }
    })
}

async fn one(process: &Process, asked: &Asked, capacity: f64, seconds: f64, times: f64) -> Came {
    let memory = || process.memory().expect("it is running");
    let before = memory().0;
    let over = Arc::new(AtomicBool::new(false));
    let bystander = tokio::spawn(stand_by(process.address, asked.small.clone(), 10.0, over.clone()));
    let rate = (capacity / 20.0).clamp(0.1, 10.0);
    let rival = tokio::spawn(stand_by(process.address, asked.of_another.clone(), rate, over.clone()));
    let tally = open::open_loop(process.address, asked.requests.clone(), capacity * times, seconds).await;
    over.store(true, Ordering::Relaxed);
    let bystander = bystander.await.expect("a bystander does not panic");
    let rival = rival.await.expect("a rival does not panic");
    let recovery = recovery(process, &[&asked.requests, &asked.small]).await;
    let (after, most) = memory();
    let memory = [before, most, after].map(|kibibytes| kibibytes as f64 / 1024.0);
    let offered = (tally.done.len() + tally.refused.len()) as f64 / seconds;
    Came { times, seconds, offered, tally, bystander, rival, recovery, memory }
}

/// Somebody who asks now and then until the load is over.
async fn stand_by(address: std::net::SocketAddr, requests: Requests, per_second: f64, over: Arc<AtomicBool>) -> Tally {
    let (mut all, mut ticks) = (Tally::default(), tokio::time::interval(Duration::from_secs_f64(1.0 / per_second)));
    while !over.load(Ordering::Relaxed) {
        ticks.tick().await;
        // one, on a connection of its own
        all.add(open::open_loop(address, requests.clone(), 1.0, 1.0).await);
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

/// What is asked of a server.
struct Asked {
    /// By the many.
    requests: Requests,
    /// By somebody of another project: the same.
    of_another: Requests,
    /// By somebody of another project: something that needs none of what the others need but a processor.
    small: Requests,
}

impl Asked {
    /// Makes whatever is needed for it first.
    fn of(process: &Process, load: &Load) -> Asked {
        let token = process.token("admin");
        let small = request("GET", "/v2.1/flavors/1", &token, "");
        let of = |who: &str, servers: u64| match load.errand {
            Errand::Logins => {
                let body = http::login(&process.clouds(), who).expect("they are in clouds.yaml");
                always(request("POST", "/identity/v3/auth/tokens", "", &body))
            }
            Errand::Lists => {
                made(process, who, servers);
                always(request("GET", "/v2.1/servers/detail", &process.token(who), ""))
            }
            Errand::Writes => {
                let (ids, token) = (made(process, who, servers), process.token(who));
                Arc::new(move |number| {
                    let (id, key) = (&ids[number as usize % ids.len()], number / 16 % 64);
                    let path = format!("/v2.1/servers/{id}/metadata/k{key}");
                    request("PUT", &path, &token, &format!(r#"{{"meta": {{"k{key}": "{number}"}}}}"#))
                })
            }
        };
        Asked { requests: of("demo", load.servers), of_another: of("admin", 1), small: always(small) }
    }
}

/// So many servers of somebody's; their ids.
fn made(process: &Process, who: &str, servers: u64) -> Vec<String> {
    let mut client = Client::new(process.address, &process.token(who));
    let maker = Maker::new(&mut client);
    let ids: Vec<_> = (0..servers).filter_map(|_| maker.server(&mut client, "asked-for")).collect();
    assert_eq!(ids.len() as u64, servers, "servers are accepted");
    ids.iter().for_each(|id| assert!(comes_up(&mut client, id), "a server comes up"));
    ids
}

fn always(request: Vec<u8>) -> Requests {
    Arc::new(move |_| request.clone())
}

fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: fire\r\nX-Auth-Token: {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
