//! How long one waits: for a GET at half of what the server can do, and for a durable PUT in units of what one sync of this disk takes.

use std::path::Path;
use std::sync::Arc;

use super::load::{Measured, drive};
use super::machine;
use super::operations::{OPERATIONS, operation};
use super::paced;
use super::report::{Floor, Options, Page, median};
use super::target::Target;

/// As in the goal.
const CONNECTIONS: usize = 64;

/// Measures both, one after the other, with the sync before each.
pub fn measure(options: &Options, target: &Arc<Target>, floor: &Floor, directory: &Path) {
    let mut page = Page::default();
    // asked before this process is kept on one of them
    let everywhere = format!("0-{}", std::thread::available_parallelism().map_or(0, |count| count.get() - 1));
    let pids = [std::process::id(), target.pid.unwrap_or_default(), floor.pid()];
    let is_apart = pids.iter().zip(["0", "1", "1"]).all(|(pid, processor)| machine::keep_on(*pid, processor));
    let apart =
        if is_apart { "servers on one processor, clients on another" } else { "clients and servers share processors" };
    page.say(&format!("Reads: {apart}.\n"));
    page.say(
        "| reads at half load, 64 connections | most requests/s | half | p50 ms | p99 ms | p99.9 ms | bare HTTP at the same rate, p50 ms | its p99 ms | its p99.9 ms |\n|---|---|---|---|---|---|---|---|---|",
    );
    for operation in OPERATIONS.iter().filter(|operation| !operation.writes()) {
        let requests = operation.requests(target);
        let most = of_each(options, || drive(target.address, CONNECTIONS, options.seconds, &requests).rate());
        let paced = |address| paced::drive(address, CONNECTIONS, options.seconds, &requests, most / 2.0);
        let (ours, bare): (Vec<_>, Vec<_>) =
            (0..options.repetitions).map(|_| (paced(target.address), paced(floor.address))).unzip();
        let quantiles = |loads: &[Measured]| {
            let cells = [0.5, 0.99, 0.999]
                .map(|part| format!(" {:.3} |", median(loads.iter().map(|load| load.quantile_ms(part)).collect())));
            cells.concat()
        };
        page.say(&format!(
            "| {} | {most:.0} | {:.0} |{}{}",
            operation.name,
            most / 2.0,
            quantiles(&ours),
            quantiles(&bare)
        ));
    }
    pids.iter().for_each(|pid| _ = machine::keep_on(*pid, &everywhere));
    page.say("\n| durable writes, 64 connections | p50 ms | p99 ms | one sync of this disk, ms | p99 in syncs |\n|---|---|---|---|---|");
    for name in ["PUT server item", "PUT image item"] {
        let requests = operation(name).requests(target);
        let mut rows = Vec::new();
        for _ in 0..options.repetitions {
            let sync = machine::sync_ms(directory, options.seconds);
            let load = drive(target.address, CONNECTIONS, options.seconds, &requests);
            rows.push((load.quantile_ms(0.5), load.quantile_ms(0.99), sync));
        }
        let of = |what: fn(&(f64, f64, f64)) -> f64| median(rows.iter().map(what).collect());
        page.say(&format!(
            "| {name} | {:.3} | {:.3} | {:.3} | {:.1} |",
            of(|row| row.0),
            of(|row| row.1),
            of(|row| row.2),
            of(|row| row.1 / row.2)
        ));
    }
    page.keep("latency", options);
}

fn of_each(options: &Options, measured: impl Fn() -> f64) -> f64 {
    median((0..options.repetitions).map(|_| measured()).collect())
}
