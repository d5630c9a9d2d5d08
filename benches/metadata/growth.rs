//! What more data costs: every operation and the usual lists on a thousand servers and on a million, and maps of one item and of 128.

use std::path::Path;
use std::sync::Arc;

use super::load::Requests;
use super::operations::{OPERATIONS, operation, request, spread};
use super::plot;
use super::report::{Floor, Options, Page, Sample, bare_engine, median, sample};
use super::target::{Seeded, Target};

/// At most so many images, however many servers.
const IMAGES_MAX: u64 = 100_000;
/// As many items may a map have by default.
const ITEMS: [u64; 4] = [1, 8, 32, 128];
const STARTS: usize = 5;
/// How often a load is tried of which much was refused.
const TRIES: usize = 10;

/// What was measured of one size: names, and figures in the order in which they are asked for.
type Figures = Vec<(&'static str, f64)>;

/// Measures everything and writes the plot.
pub fn run(options: &Options) {
    let mut page = Page::default();
    let sizes: Vec<Figures> = options.sizes.iter().map(|servers| of_size(options, *servers)).collect();
    let head = |unit: &str, sizes: &[u64]| {
        let columns: String = sizes.iter().map(|size| format!(" {} |", grouped(*size))).collect();
        format!("| {unit} |{columns} last to first |\n|---|{}---|", "---|".repeat(sizes.len()))
    };
    page.say(&head("servers of 8 items", &options.sizes));
    let rows = transposed(&sizes);
    rows.iter().for_each(|row| page.say(&line(row)));
    let maps: Vec<Figures> = ITEMS.iter().map(|items| of_maps(options, *items)).collect();
    page.say(&format!("\n{}", head("items of a map", &ITEMS)));
    transposed(&maps).iter().for_each(|row| page.say(&line(row)));
    page.keep("growth", options);
    if options.into_docs {
        let costs: Vec<_> =
            rows.into_iter().filter(|(name, _)| name.contains("CPU") && !name.starts_with("bare")).collect();
        plot::write(&options.sizes, &costs);
    }
}

fn of_size(options: &Options, servers: u64) -> Figures {
    eprintln!("{} servers", grouped(servers));
    let directory = tempfile::tempdir().expect("a directory");
    let seeded = Seeded { servers, items_each: 8, images: servers.min(IMAGES_MAX) };
    seeded.fill(directory.path());
    let mut figures = Figures::new();
    // one after the other: a directory has one server
    let starts =
        (0..STARTS).map(|_| Target::start(directory.path())).map(|target| (target.started_ms, target.idle_mib));
    let (times, memory): (Vec<f64>, Vec<f64>) = starts.unzip();
    let started = [("start to the first answer, ms", median(times)), ("idle memory, MiB", median(memory))];
    let target = Arc::new(Target::start(directory.path()).with(&seeded));
    let database = directory.path().join("data/kilonova.db");
    for operation in &OPERATIONS {
        keep_in_memory(&database);
        figures.push((operation.cost_name, cost(options, &target, 64, &operation.requests(&target))));
    }
    for (name, path, of_images, deep) in LISTS {
        keep_in_memory(&database);
        figures.push((name, cost(options, &target, 2, &list(&target, path, of_images, deep))));
    }
    figures.extend(floors(options, &target, servers));
    figures.extend(started);
    let memory = super::machine::resident_mib(target.pid.unwrap_or_default());
    figures.push(("memory after it, MiB", memory));
    figures.push(("database, MiB", size_mib(&database)));
    figures
}

/// Reads a file to its end: what is measured is a database that the system has in its memory, and some systems take pages away that nobody
/// needed for a minute, however much room there is.
fn keep_in_memory(file: &Path) {
    let mut file = std::fs::File::open(file).expect("the database");
    std::io::copy(&mut file, &mut std::io::sink()).expect("it can be read");
}

/// What bare HTTP and the bare engine cost beside it, on as many rows.
fn floors(options: &Options, target: &Arc<Target>, servers: u64) -> Figures {
    let http = Floor::start();
    let requests = operation("GET server metadata").requests(target);
    let cost = || sample(http.address, Some(http.pid()), None, 64, options.seconds, &requests).cpu_microseconds;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("temporary directories have names in UTF-8");
    let bare = |which: &str, how: &[String]| {
        let arguments = [&[servers.to_string()], how, &[options.seconds.to_string()]].concat();
        median((0..options.repetitions).map(|_| bare_engine(&[which, path], &arguments, None).cost).collect())
    };
    vec![
        ("bare HTTP, CPU µs", median((0..=options.repetitions).map(|_| cost()).skip(1).collect())),
        ("bare engine, a row read, CPU µs", bare("--floor-read", &[])),
        ("bare engine, a row changed, 64 at once, CPU µs", bare("--floor-engine", &["64".into()])),
    ]
}

/// Lists: a name, a path, whether it is one of images, and whether it goes on somewhere in the middle.
const LISTS: [(&str, &str, bool, bool); 6] = [
    ("GET servers/detail?limit=100, first page, CPU µs", "/v2.1/servers/detail?limit=100", false, false),
    ("GET servers/detail?limit=100, anywhere, CPU µs", "/v2.1/servers/detail?limit=100", false, true),
    (
        "GET servers/detail?limit=100 by name, anywhere, CPU µs",
        "/v2.1/servers/detail?limit=100&sort_key=display_name",
        false,
        true,
    ),
    ("GET images?limit=100, first page, CPU µs", "/image/v2/images?limit=100", true, false),
    ("GET images?limit=100, anywhere, CPU µs", "/image/v2/images?limit=100", true, true),
    ("GET images?limit=100 by name, anywhere, CPU µs", "/image/v2/images?limit=100&sort=name:desc", true, true),
];

fn list(target: &Arc<Target>, path: &'static str, of_images: bool, deep: bool) -> Requests {
    let target = target.clone();
    Arc::new(move |number, out| {
        let ids = if of_images { &target.images } else { &target.servers };
        // the newest come first, by name as well, as all have the same, and these numbers are by age: behind each of them is a whole page
        let marker = &ids[99 + spread(number, ids.len() - 99)];
        let path = if deep { format!("{path}&marker={marker}") } else { path.to_owned() };
        request(&target, "GET", &path, "", out);
    })
}

fn of_maps(options: &Options, items_each: u64) -> Figures {
    let directory = tempfile::tempdir().expect("a directory");
    let seeded = Seeded { servers: 1000, items_each, images: 1 };
    seeded.fill(directory.path());
    let target = Arc::new(Target::start(directory.path()).with(&seeded));
    let names = ["GET server metadata", "GET server item", "PUT server item"];
    let figure = |name: &str| {
        let operation = operation(name);
        (operation.cost_name, cost(options, &target, 64, &operation.requests(&target)))
    };
    names.into_iter().map(figure).collect()
}

/// Processor time of the server for each request, in microseconds; the first load only warms up.
fn cost(options: &Options, target: &Target, connections: usize, requests: &Requests) -> f64 {
    let once = || sample(target.address, target.pid, None, connections, options.seconds, requests);
    // a server that finds its machine busy with others refuses a part, which costs less than an answer
    let is_disturbed = |sample: &Sample| sample.load.refusals * 50 > sample.load.answers;
    let undisturbed = || {
        let mut sample = once();
        for _ in 1..TRIES {
            if !is_disturbed(&sample) {
                return sample.cpu_microseconds;
            }
            sample = once();
        }
        eprintln!("many of {} are refused: its figure is of refusals, too", first(requests));
        sample.cpu_microseconds
    };
    median((0..=options.repetitions).map(|_| undisturbed()).skip(1).collect())
}

fn first(requests: &Requests) -> String {
    let mut bytes = Vec::new();
    requests(0, &mut bytes);
    String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned()
}

fn size_mib(path: &Path) -> f64 {
    std::fs::metadata(path).expect("the database").len() as f64 / f64::from(1 << 20)
}

fn transposed(sizes: &[Figures]) -> Vec<(&'static str, Vec<f64>)> {
    let names = sizes.first().into_iter().flatten().map(|(name, _)| *name).enumerate();
    names.map(|(at, name)| (name, sizes.iter().map(|figures| figures[at].1).collect())).collect()
}

fn line((name, values): &(&str, Vec<f64>)) -> String {
    let cells: String = values.iter().map(|value| format!(" {value:.1} |")).collect();
    let ratio = values.last().unwrap_or(&f64::NAN) / values.first().unwrap_or(&f64::NAN);
    format!("| {name} |{cells} {ratio:.2} |")
}

/// A number with a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let comma = |(at, digit): (usize, char)| {
        let comma = (at > 0 && (digits.len() - at).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(comma).collect()
}
