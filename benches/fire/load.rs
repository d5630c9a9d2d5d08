//! Clients that go on changing metadata while something is done to the server, and at the end compare.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cloud;
use super::kill::check;
use super::process::Process;
use super::trouble::Came;
use super::writers::{Counts, Promises, Until, storm};

/// So many.
const CLIENTS: u64 = 8;

/// Clients that change metadata until they are told to stop.
pub struct Load {
    token: String,
    counts: Arc<Counts>,
    until: Arc<Until>,
    clients: Vec<JoinHandle<Promises>>,
    promises: Vec<Promises>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.until.over.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// Begins.
    pub fn on(process: &Process) -> Load {
        let token = process.token("demo");
        let promises = cloud::promises(process, &token, CLIENTS);
        let counts = Arc::new(Counts::default());
        let until = Arc::new(Until { kept: u64::MAX, over: Arc::default(), goes_on: true });
        let clients = storm(promises, &[process.address], &token, &counts, &until);
        Load { token, counts, until, clients, promises: Vec::new() }
    }

    /// Waits until it does.
    pub fn goes_well(&self) {
        let wanted = self.counts.of(&self.counts.kept) + 100;
        let begun = Instant::now();
        while self.counts.of(&self.counts.kept) < wanted {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was kept for a minute");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Has the clients stop: nobody asks for anything after this.
    pub fn stops(&mut self) {
        self.until.over.store(true, Ordering::SeqCst);
        let clients = std::mem::take(&mut self.clients).into_iter();
        self.promises.extend(clients.map(|client| client.join().expect("a client does not panic")));
    }

    /// Compares what is there with what was acknowledged, when the clients have stopped. Nothing else may be there from then on.
    pub fn compares(&mut self, process: &Process) {
        check(process, &self.token, &mut self.promises, &self.counts);
    }

    /// Has the clients stop when all goes well again, or have stopped, and compares what is there with what was acknowledged.
    pub fn ends(mut self, process: &Process, mut came: Came) -> Came {
        if !self.clients.is_empty() {
            self.goes_well();
            self.stops();
        }
        self.compares(process);
        for (what, counter) in [("lost or answered wrongly", &self.counts.wrong), ("hangs", &self.counts.hangs)] {
            if self.counts.of(counter) > 0 {
                came.wrong.push(format!("{what}: {}", self.counts.of(counter)));
            }
        }
        came
    }
}
