//! What one request costs without a socket: `api::handle` in process, for profilers, and counted in instructions, which the load of the
//! machine does not disturb.
//!
//!     cargo bench --bench handle -- "PUT server item" 100000 64               nanoseconds of a request, 64 at once
//!     cargo bench --profile profiling --bench handle -- --instructions        instructions of each, against benches/instructions.toml
//!     UPDATE=1 cargo bench --profile profiling --bench handle -- --instructions    writes that file
//!     cargo bench --profile profiling --bench handle -- --profile             where they go, by room and by function
//!     cargo bench --profile profiling --bench handle -- --profile --write-docs     the same into docs/performance.md
//!
//! Counting needs valgrind. A request alone pays for a commit of its own; of 64 at once all share one, as under load. What the start
//! costs is taken away by counting twice, with few requests and with many.

mod callgrind;
mod cloud;
#[path = "../shared/docs.rs"]
mod docs;
mod instructions;
mod profile;
mod rooms;

use std::process::ExitCode;
use std::time::Instant;

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("--instructions") => instructions::check(),
        Some("--profile") => profile::print(arguments.iter().any(|argument| argument == "--write-docs")),
        _ => run(&arguments),
    }
}

fn run(arguments: &[String]) -> ExitCode {
    let number = |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    let operation = arguments.first().map_or(cloud::OPERATIONS[0], String::as_str);
    let (count, at_once) = (number(1, 20_000), number(2, 1));
    // one thread beside those of the store, so that two runs count the same
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    runtime.block_on(cloud::run(operation, count, at_once));
    println!("{operation}: {} ns a request", begun.elapsed().as_nanos() / u128::from(count));
    ExitCode::SUCCESS
}
