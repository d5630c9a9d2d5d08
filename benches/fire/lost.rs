//! Many clients, one or several processes, every way to write: nothing may be lost.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::cloud;
use super::cluster::Cluster;
use super::kill::check;
use super::process::Process;
use super::writers::{Counts, Until, storm};

/// What came of a storm.
pub struct Lost {
    engine: String,
    processes: u64,
    clients: u64,
    seconds: f64,
    /// Changes that were acknowledged.
    pub kept: u64,
    refused: u64,
    /// What was lost or answered wrongly.
    pub wrong: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} clients, {} processes, {}", self.clients, self.processes, self.engine)?;
        writeln!(f, "  acknowledged changes: {} in {:.0} s", self.kept, self.seconds)?;
        write!(f, "  refused and tried anew: {}; lost: {}", self.refused, self.wrong)
    }
}

/// Writes until so many changes were kept, and compares.
pub fn updates(directory: &Path, engine: &str, processes: u64, clients: u64, writes: u64) -> Lost {
    let cluster = (engine != "sqlite").then(Cluster::start);
    assert!(cluster.is_some() || processes == 1, "one process at a time works on the embedded database");
    let mut first = Process::new(&directory.join("first"), cluster.as_ref().map(Cluster::url));
    first.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let token = first.token("demo");
    let mut promises = cloud::promises(&first, &token, clients);
    let mut others: Vec<_> = (1..processes).map(|number| first.beside(&directory.join(number.to_string()))).collect();
    let mut addresses = vec![first.address];
    for other in &mut others {
        other.start().unwrap_or_else(|said| panic!("another server starts: {said}"));
        addresses.push(other.address);
    }
    let counts = Arc::new(Counts::default());
    let until = Arc::new(Until { kept: writes, over: Arc::default(), goes_on: true });
    let begun = Instant::now();
    let storming = storm(promises, &addresses, &token, &counts, &until);
    promises = storming.into_iter().map(|client| client.join().expect("a client does not panic")).collect();
    let seconds = begun.elapsed().as_secs_f64();
    check(&first, &token, &mut promises, &counts);
    Lost {
        engine: engine.to_owned(),
        processes,
        clients,
        seconds,
        kept: counts.of(&counts.kept),
        refused: counts.of(&counts.refused) + counts.of(&counts.unknown),
        wrong: counts.of(&counts.wrong) + counts.of(&counts.hangs),
    }
}
