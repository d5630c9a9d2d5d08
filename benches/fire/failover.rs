//! Two servers on a database that Patroni looks after: its leader is lost in every way there is, writes go on by themselves, and whatever was
//! acknowledged is there.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cloud;
use super::http::Client;
use super::kill::{Accepted, TASKS_LEFT, await_kept, await_no_tasks, build, check, finished, pictured};
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

/// What rounds of it came to.
pub struct Failovers {
    rounds: u64,
    kept: u64,
    unknown: u64,
    finished: u64,
    images: u64,
    /// For each loss, the longest time without an acknowledged change, sorted.
    silences: [Vec<Duration>; LOSSES.len()],
    /// What was lost, halved, answered wrongly or not answered.
    pub wrong: u64,
}

impl fmt::Display for Failovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Patroni, 3 nodes, 2 servers: {} leaders lost", self.rounds)?;
        writeln!(f, "  acknowledged changes: {}; lost, halved or not answered: {}", self.kept, self.wrong)?;
        writeln!(f, "  changes refused or of unknown outcome, found to be whole or absent: {}", self.unknown)?;
        writeln!(
            f,
            "  servers built meanwhile: {}; images made of them, each with its data: {}",
            self.finished, self.images
        )?;
        for (loss, times) in LOSSES.iter().zip(&self.silences) {
            if let (Some(worst), Some(median)) = (times.last(), times.get(times.len() / 2)) {
                let (median, worst) = (median.as_secs_f64(), worst.as_secs_f64());
                writeln!(
                    f,
                    "  {loss:?}, {} times: longest time without an acknowledged change: median {median:.1} s, worst {worst:.1} s",
                    times.len()
                )?;
            }
        }
        Ok(())
    }
}

/// The leader is lost so many times, each time when so many more changes were kept.
///
/// # Errors
/// What is not installed.
pub fn failovers(directory: &Path, rounds: u64, clients: u64, changes: u64) -> Result<Failovers, String> {
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
    let mut silences: [Vec<Duration>; LOSSES.len()] = Default::default();
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
            let pulse = Pulse::of(&counts);
            match LOSSES[at] {
                Loss::Node => patroni.kill_leaders_node(),
                Loss::Switchover => patroni.switch_over(),
                Loss::Server => patroni.kill_leaders_server(),
                Loss::Patroni => {
                    patroni.kill_leaders_patroni();
                    patroni.may_have_leader();
                    patroni.start_missing();
                }
            }
            // nobody gets anything through from an instant after the loss until there is a leader again
            std::thread::sleep(Duration::from_millis(100));
            await_kept(&counts, counts.of(&counts.kept) + changes);
            silences[at].push(pulse.longest());
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
    await_no_tasks(tasks_left, &counts);
    let (mut images, mut servers) = (0, 0);
    for (name, accepted) in built {
        images += pictured(&first, &token, &name, &accepted.images, &counts);
        servers += finished(&second, &token, &name, &accepted.servers, &counts);
    }
    await_no_tasks(tasks_left, &counts);
    check(&second, &token, &mut promises, &counts);
    silences.iter_mut().for_each(|times| times.sort());
    Ok(Failovers {
        rounds,
        kept: counts.of(&counts.kept),
        unknown: counts.of(&counts.unknown) + counts.of(&counts.refused),
        finished: servers,
        images,
        silences,
        wrong: counts.of(&counts.wrong) + counts.of(&counts.hangs),
    })
}
