//! How long one waits: for a GET at half of what the server can do, and for a durable PUT, in units of what one sync of the disk takes and of
//! what the floors wait.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::load::{Measured, drive};
use super::machine;
use super::operations::{OPERATIONS, operation};
use super::paced;
use super::report::{Floor, Options, Page, bare_engine, median, sync_ms};
use super::slow::{Disk, Slowness};
use super::target::{Seeded, Target};

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
    // of somebody else's disk nothing is known
    if target.pid.is_some() {
        writes(options, &mut page, target, floor, directory);
    }
    page.keep("latency", options);
}

/// How much longer a sync takes on the disk that is made slow: about what it takes on one that does not say done before it is.
const SLOW_SYNC: Duration = Duration::from_millis(1);

/// Durable writes by clients that are always busy, on the disk as it is and on a slow one.
fn writes(options: &Options, page: &mut Page, target: &Arc<Target>, floor: &Floor, directory: &Path) {
    page.say(
        "\n| durable writes, 64 connections | p50 ms | p99 ms | one sync, ms | p99 in syncs | bare HTTP, p99 ms | bare engine, p99 ms | of both added |\n|---|---|---|---|---|---|---|---|",
    );
    let slow_directory = tempfile::tempdir().expect("a directory");
    let disk = Disk::new(slow_directory.path());
    let seeded = Seeded { servers: options.servers, items_each: 8, images: options.images };
    let slow = Arc::new(Target::on_disk(slow_directory.path(), &seeded, &disk));
    disk.be(Slowness { sync: SLOW_SYNC, page: Duration::ZERO });
    for name in ["PUT server item", "PUT image item"] {
        let fast = Place { target, directory, disk: None, more: Duration::ZERO };
        page.say(&write(options, name, floor, &fast));
        let slow = Place { target: &slow, directory: slow_directory.path(), disk: Some(&disk), more: SLOW_SYNC };
        page.say(&write(options, name, floor, &slow));
    }
}

/// Where writes go.
struct Place<'a> {
    target: &'a Arc<Target>,
    directory: &'a Path,
    disk: Option<&'a Disk>,
    /// How much slower a sync is made there.
    more: Duration,
}

fn write(options: &Options, name: &str, floor: &Floor, place: &Place<'_>) -> String {
    let requests = operation(name).requests(place.target);
    let path = place.directory.to_str().expect("the directory has a name in UTF-8");
    let bare = [options.servers, CONNECTIONS as u64].map(|number| number.to_string());
    let arguments = [&bare[..], &[options.seconds.to_string()]].concat();
    let once = || {
        let sync = sync_ms(path, options.seconds, place.disk);
        let ours = drive(place.target.address, CONNECTIONS, options.seconds, &requests);
        let http = drive(floor.address, CONNECTIONS, options.seconds, &requests).quantile_ms(0.99);
        let engine = bare_engine(&["--floor-engine", path], &arguments, place.disk).p99_ms;
        let (half, most) = (ours.quantile_ms(0.5), ours.quantile_ms(0.99));
        [half, most, sync, most / sync, http, engine, most / (http + engine)]
    };
    let times: Vec<_> = (0..=options.repetitions).map(|_| once()).skip(1).collect();
    let of = |at: usize| median(times.iter().map(|row| row[at]).collect());
    let [half, most, sync, syncs, http, engine, ratio] = std::array::from_fn(of);
    let slower =
        if place.more.is_zero() { String::new() } else { format!(", where a sync takes {:?} more", place.more) };
    format!(
        "| {name}{slower} | {half:.3} | {most:.3} | {sync:.3} | {syncs:.1} | {http:.3} | {engine:.3} | {ratio:.2} |"
    )
}

fn of_each(options: &Options, measured: impl Fn() -> f64) -> f64 {
    median((0..options.repetitions).map(|_| measured()).collect())
}
