//! The table: every operation at every number of connections, beside its floors.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::docs;
use super::latency;
use super::load::{Measured, Requests, drive};
use super::machine;
use super::operations::{OPERATIONS, Operation};
use super::slow::Disk;
use super::target::Target;

/// What the command line asks for.
pub struct Options {
    pub(super) servers: u64,
    pub(super) images: u64,
    pub(super) seconds: f64,
    pub(super) repetitions: usize,
    connections: Vec<usize>,
    elsewhere: Option<[String; 4]>,
    on_postgres: bool,
    only: String,
    /// Whether `docs/performance.md` gets the tables.
    pub(super) into_docs: bool,
    /// The sizes of `--growth`.
    pub(super) sizes: Vec<u64>,
}

impl Options {
    /// Reads the arguments.
    pub fn read(arguments: &[String]) -> Options {
        let value = |name: &str| {
            let place = arguments.iter().position(|argument| argument == name)?;
            Some(arguments.get(place + 1).unwrap_or_else(|| panic!("{name} takes a value")).clone())
        };
        let number = |name: &str, default: f64| value(name).map_or(default, |text| text.parse().expect("a number"));
        let elsewhere = value("--url").map(|url| {
            [
                url,
                value("--token").expect("--token"),
                value("--server").expect("--server"),
                value("--image").expect("--image"),
            ]
        });
        let engine = value("--engine").unwrap_or("sqlite".into());
        assert!(["sqlite", "postgres"].contains(&engine.as_str()), "--engine is sqlite or postgres");
        let sizes = value("--sizes").unwrap_or_else(|| "1000,10000,100000,1000000".into());
        let connections = value("--connections").unwrap_or_else(|| "1,8,64,256".into());
        Options {
            servers: number("--servers", 1000.0) as u64,
            images: number("--images", 100.0) as u64,
            seconds: number("--seconds", 1.0),
            repetitions: number("--repetitions", 5.0) as usize,
            connections: connections.split(',').map(|text| text.parse().expect("a number of connections")).collect(),
            elsewhere,
            on_postgres: engine == "postgres",
            only: value("--only").unwrap_or_default(),
            into_docs: arguments.iter().any(|argument| argument == "--write-docs"),
            sizes: sizes.split(',').map(|text| text.parse().expect("a number of servers")).collect(),
        }
    }
}

/// One repetition of one row.
pub struct Sample {
    /// What the clients saw.
    pub load: Measured,
    /// Of the server process, for each request.
    pub cpu_microseconds: f64,
    syncs: f64,
}

/// What is printed, and kept for the page.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// Prints lines, and keeps them.
    pub fn say(&mut self, text: &str) {
        println!("{text}");
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// Writes all that was said between the marks of this name, where that is wanted.
    pub fn keep(&self, name: &str, options: &Options) {
        if options.into_docs {
            docs::write(name, &self.0);
        }
    }
}

/// Measures everything and prints it.
pub fn run(options: &Options) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut page = Page::default();
    page.say(&format!("Measured on {}; client and server share them.", machine::description()));
    let target = match &options.elsewhere {
        Some([url, token, server, image]) => Target::elsewhere(url, token, server, image),
        None => {
            page.say(&format!(
                "Servers: {} of 8 items; images: {}; {} s a row, {} repetitions.",
                options.servers, options.images, options.seconds, options.repetitions
            ));
            let fresh = if options.on_postgres { Target::on_postgres } else { Target::fresh };
            fresh(directory.path(), options.servers, options.images)
        }
    };
    let target = Arc::new(target);
    let memory = target.pid.map(machine::resident_mib);
    let floor = Floor::start();
    page.say(
        "\n| operation | connections | requests/s | p50 ms | p99 ms | CPU µs/request | syncs/request | bare HTTP requests/s | its CPU µs | requests/s of bare HTTP | refused |\n|---|---|---|---|---|---|---|---|---|---|---|",
    );
    for operation in OPERATIONS.iter().filter(|operation| operation.name.contains(&options.only)) {
        for &connections in &options.connections {
            page.say(&row(options, &target, &floor, operation, connections));
        }
    }
    if let Some(cluster) = &target.cluster {
        let first = target.servers.first().map_or("", String::as_str);
        engine_floor(options, &mut page, &["--floor-postgres", &cluster.url(), first]);
    } else if target.pid.is_some() {
        let directory = directory.path().to_str().expect("the directory has a name in UTF-8");
        engine_floor(options, &mut page, &["--floor-engine", directory]);
    }
    if let (Some(before), Some(pid)) = (memory, target.pid) {
        let after = machine::resident_mib(pid);
        page.say(&format!("\nMemory of the server: {before:.1} MiB before the load, {after:.1} MiB after it."));
    }
    if options.on_postgres {
        return;
    }
    page.keep("table", options);
    latency::measure(options, &target, &floor, directory.path());
}

fn row(
    options: &Options,
    target: &Arc<Target>,
    floor: &Floor,
    operation: &'static Operation,
    connections: usize,
) -> String {
    let requests = operation.requests(target);
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    // one uncounted, so that caches are warm and the clocks are up
    for repetition in 0..=options.repetitions {
        let (our, floors) = (
            sample(target.address, target.pid, target.syncs.as_ref(), connections, options.seconds, &requests),
            sample(floor.address, Some(floor.pid()), None, connections, options.seconds, &requests),
        );
        if repetition > 0 {
            ours.push(our);
            bare.push(floors);
        }
    }
    let of = |samples: &[Sample], what: fn(&Sample) -> f64| median(samples.iter().map(what).collect());
    let rate = of(&ours, |sample| sample.load.rate());
    let floor_rate = of(&bare, |sample| sample.load.rate());
    let ratios = ours.iter().zip(&bare).map(|(our, bare)| our.load.rate() / bare.load.rate());
    let refused: u64 = ours.iter().map(|sample| sample.load.refusals).sum();
    let syncs = if operation.writes() && target.syncs.is_some() {
        format!("{:.3}", of(&ours, |sample| sample.syncs))
    } else {
        "–".into()
    };
    format!(
        "| {}{} | {connections} | {rate:.0} | {:.3} | {:.3} | {:.1} | {syncs} | {floor_rate:.0} | {:.1} | {:.2} | {refused} |",
        operation.name,
        if is_disturbed(&ours) { " (disturbed)" } else { "" },
        of(&ours, |sample| sample.load.quantile_ms(0.5)),
        of(&ours, |sample| sample.load.quantile_ms(0.99)),
        of(&ours, |sample| sample.cpu_microseconds),
        of(&bare, |sample| sample.cpu_microseconds),
        median(ratios.collect()),
    )
}

/// Drives a server once.
pub fn sample(
    address: SocketAddr,
    pid: Option<u32>,
    syncs: Option<&machine::Syncs>,
    connections: usize,
    seconds: f64,
    requests: &Requests,
) -> Sample {
    let before = (pid.map_or(0, machine::cpu_nanoseconds), syncs.map_or(0, machine::Syncs::count));
    let load = drive(address, connections, seconds, requests);
    let after = (pid.map_or(0, machine::cpu_nanoseconds), syncs.map_or(0, machine::Syncs::count));
    let answers = (load.answers + load.refusals) as f64;
    Sample {
        load,
        cpu_microseconds: (after.0 - before.0) as f64 / 1000.0 / answers,
        syncs: (after.1 - before.1) as f64 / answers,
    }
}

/// Whether the repetitions differ by more than a quarter of their median.
fn is_disturbed(samples: &[Sample]) -> bool {
    let rates: Vec<f64> = samples.iter().map(|sample| sample.load.rate()).collect();
    let spread = rates.iter().copied().fold(f64::MIN, f64::max) - rates.iter().copied().fold(f64::MAX, f64::min);
    spread > median(rates) / 4.0
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The bare HTTP server, in a process of its own.
pub struct Floor {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Floor {
    /// Starts it.
    pub fn start() -> Floor {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child =
            Command::new(program).arg("--floor-http").stdout(Stdio::piped()).spawn().expect("it starts again");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a standard output")).read_line(&mut line).expect("its address");
        Floor { address: line.trim().parse().expect("an address"), child }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a floor came to.
#[derive(Clone, Copy)]
pub struct Bare {
    /// What it does in a second.
    pub rate: f64,
    /// What each costs it, in processor microseconds.
    pub cost: f64,
    /// In which 99 of 100 are done, in milliseconds; of changes only.
    pub p99_ms: f64,
}

/// Runs this program as a floor, on a disk that was made slow where one is given.
pub fn bare_engine(which: &[&str], arguments: &[String], disk: Option<&Disk>) -> Bare {
    let numbers = floor(which, arguments, disk);
    let [rate, cost, ..] = numbers[..] else { panic!("a rate and a cost: {numbers:?}") };
    Bare { rate, cost, p99_ms: numbers.get(2).copied().unwrap_or(f64::NAN) }
}

/// What one sync takes on the disk of a directory, in milliseconds.
pub fn sync_ms(directory: &str, seconds: f64, disk: Option<&Disk>) -> f64 {
    floor(&["--floor-sync", directory], &[seconds.to_string()], disk)[0]
}

/// The numbers that this program prints as a floor.
fn floor(which: &[&str], arguments: &[String], disk: Option<&Disk>) -> Vec<f64> {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    if let Some(disk) = disk {
        disk.under(&mut command);
    }
    let output = command.args(which).args(arguments).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// What the engine does without HTTP, on the same disk.
fn engine_floor(options: &Options, page: &mut Page, which: &[&str]) {
    page.say(
        "\n| bare engine, durable row updates | clients | updates/s | p99 ms | CPU µs/update |\n|---|---|---|---|---|",
    );
    for &clients in &options.connections {
        let arguments = [options.servers.to_string(), clients.to_string(), options.seconds.to_string()];
        let bare: Vec<Bare> = (0..options.repetitions).map(|_| bare_engine(which, &arguments, None)).collect();
        let of = |what: fn(&Bare) -> f64| median(bare.iter().map(what).collect());
        page.say(&format!(
            "| group commit | {clients} | {:.0} | {:.3} | {:.1} |",
            of(|bare| bare.rate),
            of(|bare| bare.p99_ms),
            of(|bare| bare.cost)
        ));
    }
}
