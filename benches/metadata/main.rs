//! What metadata operations cost, beside what they could cost at the least, in one run:
//!
//!     cargo bench --bench metadata                          the table, on a fresh directory with 1,000 servers of 8 items
//!     cargo bench --bench metadata -- --servers 1000000     the same with more of them
//!     cargo bench --bench metadata -- --growth              what 1,000 to 1,000,000 servers cost (--sizes), and maps of 1 to 128 items
//!     cargo bench --bench metadata -- --engine postgres     the same on PostgreSQL, durable as it is without configuration
//!     cargo bench --bench metadata -- --url http://HOST:PORT --token T --server ID --image ID   another server under the same load
//!
//! `cargo test` does short runs of the same. With `--write-docs` the tables, and the plot of the growth, go into `docs/`.
//!
//! Each operation is driven over real sockets with values that vary, at 1, 8, 64 and 256 connections. Beside it run two floors: a bare
//! hyper server that answers the same bytes from memory, and the bare engine committing the same rows in groups without HTTP. Rows are
//! interleaved with their floors and repeated; medians are printed, and a row whose repetitions differ by more than a quarter is marked.
//! CPU is that of the whole server process, from the operating system's own accounting.

// fire uses the rest of it
#[allow(dead_code)]
#[path = "../fire/cluster.rs"]
mod cluster;
#[path = "../shared/docs.rs"]
mod docs;
mod floors;
mod growth;
mod latency;
mod load;
mod machine;
mod operations;
mod paced;
mod plot;
mod postgres;
mod report;
#[path = "../shared/seed.rs"]
mod seed;
#[path = "../fire/slow.rs"]
#[allow(dead_code)]
mod slow;
mod target;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // cargo bench says so, cargo test does not
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    match arguments.first().map(String::as_str) {
        Some("--floor-http") => floors::serve_http(),
        Some("--floor-read") => floors::read_rows(&arguments[1..]),
        Some("--floor-engine") => floors::commit_rows(&arguments[1..]),
        Some("--floor-sync") => floors::sync(&arguments[1..]),
        Some("--floor-postgres") => postgres::commit_rows(&arguments[1..]),
        _ if is_bench => run(&arguments),
        _ => as_a_test(&arguments),
    }
}

fn run(arguments: &[String]) {
    let options = report::Options::read(arguments);
    if arguments.iter().any(|argument| argument == "--growth") { growth::run(&options) } else { report::run(&options) }
}

/// Short runs, which fail where an operation is not answered as it should be. What they print says nothing about how fast anything is.
const SHORT: [&str; 3] = [
    "--servers 120 --images 120 --connections 1,8 --seconds 0.1 --repetitions 1",
    "--growth --sizes 120,150 --seconds 0.1 --repetitions 1",
    "--engine postgres --servers 20 --images 1 --only PUT --connections 8 --seconds 0.1 --repetitions 1",
];

/// What `cargo test` asks for, in the words of its test programs: a list, or those that bear a name.
fn as_a_test(arguments: &[String]) {
    const NAME: &str = "metadata_benchmark";
    if arguments.iter().any(|argument| argument == "--list") {
        println!("{NAME}: test");
    } else if is_wanted(NAME, arguments) {
        for words in SHORT {
            run(&words.split(' ').map(str::to_owned).collect::<Vec<_>>());
        }
        println!("\n{NAME}: {} short runs, of each row something answered", SHORT.len());
    }
}

fn is_wanted(name: &str, arguments: &[String]) -> bool {
    let (mut arguments, mut names, mut is_exact) = (arguments.iter().map(String::as_str), Vec::new(), false);
    while let Some(argument) = arguments.next() {
        match argument {
            "--ignored" => return false,
            "--skip" if arguments.next().is_some_and(|skipped| name.contains(skipped)) => return false,
            "--exact" => is_exact = true,
            "--test-threads" | "--logfile" | "--format" | "--color" | "--shuffle-seed" | "-Z" => _ = arguments.next(),
            flag if flag.starts_with('-') => {}
            wanted => names.push(wanted),
        }
    }
    names.is_empty() || names.iter().any(|wanted| if is_exact { *wanted == name } else { name.contains(wanted) })
}
