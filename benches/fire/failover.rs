//! Two servers on a database that Patroni looks after: its leader is lost in every way there is, writes go on by themselves, and whatever was
//! acknowledged is there.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::account::Account;
use super::cloud;
use super::http::Client;
use super::kill::{Accepted, TASKS_LEFT, await_kept, build, check};
use super::patroni::{Patroni, missing};
use super::process::Process;
use super::writers::{Counts, Pulse, Until, storm};

/// How the leader is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// SIGKILL for PostgreSQL and Patroni: the machine is gone.
    Node,
    /// `patronictl switchover`.
    Switchover,
    /// SIGKILL for PostgreSQL alone.
    Server,
    /// SIGKILL for Patroni alone: PostgreSQL goes on beside the one that is promoted in its place, until Patroni is started again.
    Patroni,
}

const LOSSES: [Loss; 4] = [Loss::Node, Loss::Switchover, Loss::Server, Loss::Patroni];

/// The leader is lost so many times, each time when so many more changes were kept.
///
/// # Errors
/// What is not installed.
pub fn failovers(directory: &Path, rounds: u64, clients: u64, changes: u64) -> Result<Account, String> {
    let missing = missing();
    if !missing.is_empty() {
        return Err(format!(
            "this needs {}, which Debian has in the packages patroni and etcd-server (apt-get install --no-install-recommends)",
            missing.join(" and ")
        ));
    }
    let mut patroni = Patroni::start();
    let mut first = Process::new(&directory.join("first"), Some(patroni.url()));
    first.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let token = first.token("demo");
    let mut second = first.beside(&directory.join("second"));
    // as hosts do that share a file system
    std::os::unix::fs::symlink(first.data().join("images"), second.data().join("images")).expect("a link");
    second.start().unwrap_or_else(|said| panic!("another server starts: {said}"));
    let addresses = [first.address, second.address];
    let mut promises = cloud::promises(&first, &token, clients);
    let counts = Arc::new(Counts::default());
    let mut built: Vec<(String, Accepted)> = Vec::new();
    let mut ways = LOSSES.map(|loss| format!("{loss:?}")).to_vec();
    ways.push("Patroni, and nobody was promoted before it was started again".into());
    let mut account = Account::of(format!("Patroni, 3 nodes, 2 servers: {rounds} leaders"), &ways);
    for round in 0..rounds {
        patroni.start_missing();
        patroni.is_whole();
        let at = round as usize % LOSSES.len();
        let until = Arc::new(Until { kept: u64::MAX, over: Arc::default(), goes_on: true });
        let before = counts.of(&counts.kept);
        let storming = storm(promises, &addresses, &token, &counts, &until);
        let (building, name) = (AtomicBool::new(true), format!("round{round:06}"));
        std::thread::scope(|scope| {
            let builder = scope.spawn(|| build(Client::new(addresses[round as usize % 2], &token), &name, &building));
            // another moment of the work every time
            await_kept(&counts, before + changes + round % 17);
            let (pulse, mut way) = (Pulse::of(&counts), at);
            match LOSSES[at] {
                Loss::Node => patroni.kill_leaders_node(),
                Loss::Switchover => patroni.switch_over(),
                Loss::Server => patroni.kill_leaders_server(),
                Loss::Patroni => {
                    patroni.kill_leaders_patroni();
                    if !patroni.may_have_leader() {
                        way = LOSSES.len();
                    }
                    patroni.start_missing();
                }
            }
            // nobody gets anything through from an instant after the loss until there is a leader again
            std::thread::sleep(Duration::from_millis(100));
            await_kept(&counts, counts.of(&counts.kept) + changes);
            account.note(way, pulse.longest());
            building.store(false, Ordering::SeqCst);
            until.over.store(true, Ordering::SeqCst);
            built.push((name.clone(), builder.join().expect("the builder does not panic")));
        });
        promises = storming.into_iter().map(|client| client.join().expect("a client does not panic")).collect();
        check(&first, &token, &mut promises, &counts);
        eprint!(".");
    }
    eprintln!();
    let tasks_left = || patroni.ask("kilonova", TASKS_LEFT).and_then(|text| text.trim().parse().ok()).unwrap_or(1);
    account.settle(&[&first, &second], &token, &built, &mut promises, (&counts, &tasks_left));
    Ok(account)
}
