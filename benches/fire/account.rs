//! What came of it when machines were lost one after the other under load: counted and printed in one way, whoever lost them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::kill::{Accepted, await_no_tasks, check, finished, pictured};
use super::process::Process;
use super::writers::{Counts, Promises};

/// The account of a run.
#[derive(Default)]
pub struct Account {
    /// In the words of a sentence: `three hosts: 24`.
    lost: String,
    kept: u64,
    unknown: u64,
    servers: u64,
    images: u64,
    /// For each way of losing one, its name and the longest times without an acknowledged change.
    silences: Vec<(String, Vec<Duration>)>,
    /// What was lost, halved, answered wrongly or not answered.
    pub wrong: u64,
}

impl Account {
    /// Of what will be lost, in these ways.
    pub fn of(lost: String, ways: &[impl ToString]) -> Account {
        let silences = ways.iter().map(|way| (way.to_string(), Vec::new())).collect();
        Account { lost, silences, ..Account::default() }
    }

    /// One was lost in the way of this place, and no change was acknowledged for so long.
    pub fn note(&mut self, way: usize, silence: Duration) {
        self.silences[way].1.push(silence);
    }

    /// Waits until no task is left, and compares what is there with everything that was accepted and promised: servers and images that were
    /// asked for in rounds of these names at one process, and everything at all of them.
    pub fn settle(
        &mut self,
        processes: &[&Process],
        token: &str,
        built: &[(String, Accepted)],
        promises: &mut [Promises],
        (counts, tasks_left): (&Arc<Counts>, &dyn Fn() -> i64),
    ) {
        await_no_tasks(tasks_left, counts);
        let (first, last) = (processes[0], processes[processes.len() - 1]);
        for (name, accepted) in built {
            self.images += pictured(first, token, name, &accepted.images, counts);
            self.servers += finished(last, token, name, &accepted.servers, counts);
        }
        await_no_tasks(tasks_left, counts);
        processes.iter().for_each(|process| check(process, token, promises, counts));
        self.silences.iter_mut().for_each(|(_, times)| times.sort());
        self.kept = counts.of(&counts.kept);
        self.unknown = counts.of(&counts.unknown) + counts.of(&counts.refused);
        self.wrong = counts.of(&counts.wrong) + counts.of(&counts.hangs);
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { lost, kept, unknown, servers, images, silences, wrong } = self;
        writeln!(f, "{lost} lost, one at a time")?;
        writeln!(f, "  acknowledged changes: {kept}; lost, halved or not answered: {wrong}")?;
        writeln!(f, "  changes refused or of unknown outcome, found to be whole or absent: {unknown}")?;
        writeln!(f, "  servers built meanwhile: {servers}; images made of them, each with its data: {images}")?;
        for (how, times) in silences {
            if let (Some(worst), Some(median)) = (times.last(), times.get(times.len() / 2)) {
                let (median, worst, times) = (median.as_secs_f64(), worst.as_secs_f64(), times.len());
                let without = "longest time without an acknowledged change";
                writeln!(f, "  {how}, {times} times: {without}: median {median:.1} s, worst {worst:.1} s")?;
            }
        }
        Ok(())
    }
}
