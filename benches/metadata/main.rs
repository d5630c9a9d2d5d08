//! What metadata operations cost, beside what they could cost at the least, in one run:
//!
//!     cargo bench --bench metadata                          the table, on a fresh directory with 1,000 servers of 8 items
//!     cargo bench --bench metadata -- --servers 1000000     the same with more of them
//!     cargo bench --bench metadata -- --growth              what 1,000 to 1,000,000 servers cost (--sizes), and maps of 1 to 128 items
//!     cargo bench --bench metadata -- --engine postgres     the same on PostgreSQL, durable as it is without configuration
//!     cargo bench --bench metadata -- --url http://HOST:PORT --token T --server ID --image ID   another server under the same load
//!
//! With `--write-docs` the tables, and the plot of the growth, go into `docs/`.
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
mod target;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("--floor-http") => floors::serve_http(),
        Some("--floor-read") => floors::read_rows(&arguments[1..]),
        Some("--floor-engine") => floors::commit_rows(&arguments[1..]),
        Some("--floor-postgres") => postgres::commit_rows(&arguments[1..]),
        _ if arguments.iter().any(|argument| argument == "--growth") => growth::run(&report::Options::read(&arguments)),
        _ => report::run(&report::Options::read(&arguments)),
    }
}
