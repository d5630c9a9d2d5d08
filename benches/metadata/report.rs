//! The table: every operation at every number of connections, beside its floors.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::load::{Measured, Requests, drive};
use super::machine;
use super::target::Target;

/// What the command line asks for.
pub struct Options {
    servers: u64,
    images: u64,
    seconds: f64,
    repetitions: usize,
    connections: Vec<usize>,
    elsewhere: Option<[String; 4]>,
    on_postgres: bool,
    only: String,
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
        }
    }
}

/// One thing a client does over and over.
struct Operation {
    name: &'static str,
    method: &'static str,
    /// Whose metadata: `servers` or `images`.
    of: &'static str,
    /// Whether it is about one item.
    is_item: bool,
    body: fn(u64) -> String,
}

impl Operation {
    fn writes(&self) -> bool {
        self.method != "GET"
    }

    fn requests(&'static self, target: &Arc<Target>) -> Requests {
        let target = target.clone();
        Arc::new(move |number, out| {
            let ids = if self.of == "servers" { &target.servers } else { &target.images };
            let id = &ids[spread(number, ids.len())];
            let item = if self.is_item { format!("/key{}", number % 8) } else { String::new() };
            request(&target, self.method, &format!("/v2.1/{}/{id}/metadata{item}", self.of), &(self.body)(number), out);
        })
    }
}

/// Knuth's multiplicative hash: spreads consecutive numbers over all rows.
fn spread(number: u64, among: usize) -> usize {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % among
}

fn request(target: &Target, method: &str, path: &str, body: &str, out: &mut Vec<u8>) {
    use std::io::Write;
    let token = &target.token;
    let written = if body.is_empty() {
        write!(
            out,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Auth-Token: {token}\r\nAccept: application/json\r\n\r\n",
            target.address
        )
    } else {
        write!(
            out,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Auth-Token: {token}\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            target.address,
            body.len()
        )
    };
    written.expect("memory can be written");
}

fn nothing(_: u64) -> String {
    String::new()
}

fn value(number: u64) -> String {
    format!("value-{:010}", number % 10_000_000_000)
}

fn item(number: u64) -> String {
    format!("{{\"meta\": {{\"key{}\": \"{}\"}}}}", number % 8, value(number))
}

fn items<const COUNT: u64>(number: u64) -> String {
    let items: Vec<String> =
        (0..COUNT).map(|key| format!("\"key{}\": \"{}\"", (number + key) % 8, value(number + key))).collect();
    format!("{{\"metadata\": {{{}}}}}", items.join(", "))
}

static OPERATIONS: [Operation; 7] = [
    Operation { name: "GET server metadata", method: "GET", of: "servers", is_item: false, body: nothing },
    Operation { name: "GET server item", method: "GET", of: "servers", is_item: true, body: nothing },
    Operation { name: "PUT server item", method: "PUT", of: "servers", is_item: true, body: item },
    Operation { name: "POST server metadata, 1 item", method: "POST", of: "servers", is_item: false, body: items::<1> },
    Operation { name: "GET image metadata", method: "GET", of: "images", is_item: false, body: nothing },
    Operation { name: "PUT image item", method: "PUT", of: "images", is_item: true, body: item },
    // last, because it makes the maps smaller
    Operation { name: "PUT server metadata, 5 items", method: "PUT", of: "servers", is_item: false, body: items::<5> },
];

/// One repetition of one row.
struct Sample {
    load: Measured,
    cpu_microseconds: f64,
    syncs: f64,
}

/// Measures everything and prints it.
pub fn run(options: &Options) {
    let directory = tempfile::tempdir().expect("a directory");
    println!("Machine: {}", machine::description());
    let target = match &options.elsewhere {
        Some([url, token, server, image]) => Target::elsewhere(url, token, server, image),
        None => {
            println!(
                "Servers: {} of 8 items; images: {}; {} s a row, {} repetitions\n",
                options.servers, options.images, options.seconds, options.repetitions
            );
            let fresh = if options.on_postgres { Target::on_postgres } else { Target::fresh };
            fresh(directory.path(), options.servers, options.images)
        }
    };
    let target = Arc::new(target);
    if let Some(pid) = target.pid {
        println!("Memory before the load: {:.1} MiB\n", machine::resident_mib(pid));
    }
    let floor = Floor::start();
    println!(
        "| operation | connections | requests/s | p50 ms | p99 ms | CPU µs/request | syncs/request | bare HTTP requests/s | its CPU µs | requests/s of bare HTTP | refused |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for operation in OPERATIONS.iter().filter(|operation| operation.name.contains(&options.only)) {
        for &connections in &options.connections {
            row(options, &target, &floor, operation, connections);
        }
    }
    if let Some(cluster) = &target.cluster {
        let first = target.servers.first().map_or("", String::as_str);
        engine_floor(options, &["--floor-postgres", &cluster.url(), first]);
    } else if target.pid.is_some() {
        let directory = directory.path().to_str().expect("the directory has a name in UTF-8");
        engine_floor(options, &["--floor-engine", directory]);
    }
    if let Some(pid) = target.pid {
        println!("\nMemory after the load: {:.1} MiB", machine::resident_mib(pid));
    }
}

fn row(options: &Options, target: &Arc<Target>, floor: &Floor, operation: &'static Operation, connections: usize) {
    let requests = operation.requests(target);
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    // one uncounted, so that caches are warm and the clocks are up
    for repetition in 0..=options.repetitions {
        let (our, floors) = (
            sample(target.address, target.pid, target.syncs.as_ref(), connections, options.seconds, &requests),
            sample(floor.address, Some(floor.child.id()), None, connections, options.seconds, &requests),
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
    println!(
        "| {}{} | {connections} | {rate:.0} | {:.3} | {:.3} | {:.1} | {syncs} | {floor_rate:.0} | {:.1} | {:.2} | {refused} |",
        operation.name,
        if is_disturbed(&ours) { " (disturbed)" } else { "" },
        of(&ours, |sample| sample.load.quantile_ms(0.5)),
        of(&ours, |sample| sample.load.quantile_ms(0.99)),
        of(&ours, |sample| sample.cpu_microseconds),
        of(&bare, |sample| sample.cpu_microseconds),
        median(ratios.collect()),
    );
}

fn sample(
    address: SocketAddr,
    pid: Option<u32>,
    syncs: Option<&machine::Syncs>,
    connections: usize,
    seconds: f64,
    requests: &Requests,
) -> Sample {
    let before = (pid.map_or(0, machine::cpu_nanoseconds), syncs.map_or(0, machine::Syncs::count));
    let load = drive(address, connections, seconds, requests, None);
    let after = (pid.map_or(0, machine::cpu_nanoseconds), syncs.map_or(0, machine::Syncs::count));
    let answers = (load.answers + load.refusals).max(1) as f64;
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The bare HTTP server, in a process of its own.
struct Floor {
    address: SocketAddr,
    child: Child,
}

impl Floor {
    fn start() -> Floor {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child =
            Command::new(program).arg("--floor-http").stdout(Stdio::piped()).spawn().expect("it starts again");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a standard output")).read_line(&mut line).expect("its address");
        Floor { address: line.trim().parse().expect("an address"), child }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the engine does without HTTP, on the same disk.
fn engine_floor(options: &Options, which: &[&str]) {
    println!("\n| bare engine, durable row updates | clients | updates/s | CPU µs/update |\n|---|---|---|---|");
    for &clients in &options.connections {
        let mut rates = Vec::new();
        let mut costs = Vec::new();
        for _ in 0..options.repetitions {
            let program = std::env::current_exe().expect("this program has a path");
            let arguments = [options.servers.to_string(), clients.to_string(), options.seconds.to_string()];
            let output = Command::new(program).args(which).args(arguments).output().expect("it runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let mut numbers = text.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
            rates.push(numbers.next().expect("a rate"));
            costs.push(numbers.next().expect("a cost"));
        }
        println!("| group commit | {clients} | {:.0} | {:.1} |", median(rates), median(costs));
    }
}
