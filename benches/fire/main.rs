//! What the server survives: real processes, real sockets, SIGKILL, and a log of everything that was acknowledged.
//!
//!     cargo bench --bench fire -- lost-updates --writes 1000000 --engine postgres --processes 2
//!     cargo bench --bench fire -- kill --rounds 200 --engine sqlite|postgres|primary
//!     cargo bench --bench fire -- trouble
//!     cargo bench --bench fire -- flaky --rounds 20
//!     cargo bench --bench fire -- hosts --rounds 12
//!     cargo bench --bench fire -- patroni --rounds 18
//!     cargo bench --bench fire -- first-starts --rounds 20
//!     cargo bench --bench fire -- published --rounds 20
//!     cargo bench --bench fire -- keys --rounds 5
//!     cargo bench --bench fire -- overload --of logins|lists|writes [--times 0.8,2,10] [--seconds 20] [--apart] [--servers 200] [--clients 64]
//!         [--slow-sync-us 20000] [--slow-page-us 1000]
//!     cargo bench --bench fire -- idle --connections 10000
//!     cargo bench --bench fire -- start --servers 1000000 --rounds 20 [--keep DIR]
//!
//! It ends with an error where anything was lost, halved, answered wrongly, or not answered at all. `tests/fire.rs` does short ones of
//! the same.

mod account;
mod cloud;
// the benchmark of metadata uses the rest of it
#[allow(dead_code)]
mod cluster;
mod cut;
mod disk;
mod failover;
mod flaky;
mod hosts;
mod http;
mod idle;
mod kill;
mod load;
mod lost;
mod network;
mod open;
mod overload;
mod patroni;
mod process;
#[path = "../shared/seed.rs"]
mod seed;
mod slow;
mod start;
mod together;
mod trouble;
mod writers;

use std::time::Duration;

use kill::{Fire, Toll, Victim};
use network::Cut;
use overload::{Errand, Load};
use trouble::Came;

/// The number after a flag.
fn number(arguments: &[String], flag: &str, default: u64) -> u64 {
    word(arguments, flag).map_or(default, |text| text.parse().expect("a number"))
}

fn word(arguments: &[String], flag: &str) -> Option<String> {
    let at = arguments.iter().position(|argument| argument == flag)?;
    arguments.get(at + 1).cloned()
}

/// How many times the capacity, one after the other: `--times 0.8,2,10`.
fn times(arguments: &[String]) -> Vec<f64> {
    let given = word(arguments, "--times").unwrap_or("0.8,2,10".into());
    given.split(',').map(|times| times.parse().expect("numbers with commas between")).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let engine = word(&arguments, "--engine").unwrap_or("sqlite".into());
    let directory = tempfile::tempdir().expect("a directory");
    let clients = number(&arguments, "--clients", 64);
    let wrong = match arguments.first().map(String::as_str) {
        Some("lost-updates") => {
            let writes = number(&arguments, "--writes", 10_000);
            let lost = lost::updates(directory.path(), &engine, number(&arguments, "--processes", 1), clients, writes);
            println!("{lost}");
            lost.wrong
        }
        Some("kill") => {
            let victim = match engine.as_str() {
                "sqlite" => Victim::OnSqlite,
                "postgres" => Victim::OnPostgres,
                _ => Victim::Primary,
            };
            let fire = Fire {
                rounds: number(&arguments, "--rounds", 20),
                clients: number(&arguments, "--clients", 16),
                changes: number(&arguments, "--changes", 200),
                builds: true,
            };
            let toll = kill::kill(directory.path(), victim, fire);
            print_toll(victim, &toll);
            toll.wrong + toll.hangs
        }
        Some("overload") => {
            let errand = word(&arguments, "--of").and_then(|name| Errand::named(&name)).unwrap_or(Errand::Logins);
            let load = Load {
                errand,
                times: times(&arguments),
                seconds: number(&arguments, "--seconds", 20) as f64,
                rounds: number(&arguments, "--rounds", 10) as u32,
                servers: number(&arguments, "--servers", 200),
                // logins wait for few threads, and more clients than those have places for would be refused
                clients: number(&arguments, "--clients", if errand == Errand::Logins { 4 } else { 64 }),
                disk: slow::Slowness {
                    sync: Duration::from_micros(number(&arguments, "--slow-sync-us", 0)),
                    page: Duration::from_micros(number(&arguments, "--slow-page-us", 0)),
                },
                apart: arguments.iter().any(|argument| argument == "--apart"),
            };
            let overload = overload::overload(directory.path(), &load);
            print_wrong(&overload.came.iter().flat_map(overload::Came::wrong).collect::<Vec<_>>())
        }
        Some("idle") => {
            let connections = number(&arguments, "--connections", 10_000) as usize;
            let idle = idle::idle(directory.path(), connections, &idle::Times { header: 10, body: 30, idle: 45 });
            println!("{idle}");
            print_wrong(&idle.wrong)
        }
        Some("trouble") => {
            let place = |name: &str| directory.path().join(name);
            let came = [
                Some(trouble::locked(&place("locked"))),
                allowed("a full disk", "mount a tmpfs", trouble::full(&place("full"))),
                allowed("read-only files", "make files immutable", trouble::read_only(&place("read-only"))),
                allowed("a read-only file system", LOOP, disk::read_only(&place("ro"))),
                allowed("read-only image data", LOOP, disk::read_only_for_images(&place("ro-images"))),
                allowed("a failing disk", LOOP, disk::failing(&place("failing"))),
                Some(trouble::damaged(&place("damaged"))),
                Some(trouble::stopped(&place("stopped"))),
                Some(trouble::frozen(&place("frozen"))),
                cut::for_a_while(&place("unplugged"), Cut::Unplugged),
                cut::for_a_while(&place("silent"), Cut::Silent),
                cut::from_the_primary(&place("primary")),
            ];
            came.iter().flatten().map(print_trouble).sum()
        }
        Some("flaky") => {
            let flaky = flaky::flaky(directory.path(), number(&arguments, "--rounds", 20) as u32);
            if let Some(flaky) = &flaky {
                let at = |place: usize| flaky.healed.get(place).map_or(0.0, |seconds| seconds * 1e3);
                let (median, worst) = (at(flaky.healed.len() / 2), at(flaky.healed.len().saturating_sub(1)));
                println!("{} times well again: median {median:.0} ms, worst {worst:.0} ms", flaky.healed.len());
            }
            let right = "mount a file system of its own, and a loop device on it";
            allowed("a disk that fails for a while", right, flaky.map(|flaky| flaky.came))
                .as_ref()
                .map_or(0, print_trouble)
        }
        Some("start") => {
            let size = start::Size {
                servers: number(&arguments, "--servers", 10_000),
                rounds: number(&arguments, "--rounds", 5),
                clients: number(&arguments, "--clients", 16),
                writes: number(&arguments, "--writes", 2_000),
            };
            // a million servers are not seeded anew every time
            let kept = word(&arguments, "--keep").map(std::path::PathBuf::from);
            let starts = start::starts(kept.as_deref().unwrap_or(directory.path()), size);
            println!("{} servers, {} kills", size.servers, size.rounds);
            println!("{starts}");
            starts.lost
        }
        Some("hosts") => {
            let (rounds, changes) = (number(&arguments, "--rounds", 6), number(&arguments, "--changes", 200));
            hosts::lost(directory.path(), rounds, number(&arguments, "--clients", 18), changes).map_or(0, |lost| {
                println!("{lost}");
                lost.wrong
            })
        }
        Some("patroni") => {
            let (rounds, changes) = (number(&arguments, "--rounds", 6), number(&arguments, "--changes", 200));
            match failover::failovers(directory.path(), rounds, number(&arguments, "--clients", 16), changes) {
                Ok(failovers) => {
                    println!("{failovers}");
                    failovers.wrong
                }
                Err(sentence) => {
                    println!("LEFT OUT: {sentence}");
                    1
                }
            }
        }
        Some("first-starts") => {
            let rounds = number(&arguments, "--rounds", 20);
            let wrong = together::first_starts(directory.path(), rounds);
            println!("two first starts at once, {rounds} times: {} wrong", wrong.len());
            wrong.iter().take(5).for_each(|wrong| println!("  WRONG: {wrong}"));
            wrong.len() as u64
        }
        Some("keys") => {
            let rounds = number(&arguments, "--rounds", 5);
            let wrong = together::rotated(directory.path(), rounds);
            println!("token keys rotated and copied {rounds} times beside two servers: {} wrong", wrong.len());
            print_wrong(&wrong)
        }
        Some("published") => {
            let rounds = number(&arguments, "--rounds", 20);
            let (wrong, times) = together::published(directory.path(), rounds);
            let at = |place: usize| times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3);
            println!("a policy published and withdrawn {rounds} times beside two servers");
            let (median, worst) = (at(times.len() / 2), at(times.len().saturating_sub(1)));
            println!("  obeyed by both after the command: median {median:.0} ms, worst {worst:.0} ms");
            print_wrong(&wrong)
        }
        // cargo bench without a word, and cargo test --benches
        _ => {
            println!(
                "usage: cargo bench --bench fire -- lost-updates|kill|trouble|flaky|hosts|patroni|published|keys|overload|idle|start …"
            );
            0
        }
    };
    if wrong > 0 {
        std::process::exit(1);
    }
}

/// What a disk of our own takes.
const LOOP: &str = "mount an image file, or break its file system";

/// Says so where something could not be tried.
fn allowed(what: &str, right: &str, came: Option<Came>) -> Option<Came> {
    if came.is_none() {
        println!("LEFT OUT: {what}: this user, or this file system, does not let us {right}");
    }
    came
}

fn print_wrong(wrong: &[String]) -> u64 {
    wrong.iter().take(5).for_each(|wrong| println!("  WRONG: {wrong}"));
    wrong.len() as u64
}

fn print_trouble(came: &Came) -> u64 {
    println!("{}: longest answer {:.1} s", came.trouble, came.longest);
    print_wrong(&came.wrong)
}

fn print_toll(victim: Victim, toll: &Toll) {
    println!("\n{victim:?}: {} kills", toll.rounds);
    println!("  acknowledged changes: {}, lost or halved: {}, hangs: {}", toll.kept, toll.wrong, toll.hangs);
    println!("  changes of unknown outcome, found to be whole or absent: {}", toll.unknown);
    println!("  servers that were built around the kills: {}", toll.finished);
    println!("  images that were made of them, each with its data: {}", toll.images);
    if let (Some(worst), Some(median)) = (toll.starts.last(), toll.starts.get(toll.starts.len() / 2)) {
        println!("  start-up after a kill: median {median:.1} ms, worst {worst:.1} ms");
    }
}
