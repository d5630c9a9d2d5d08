//! The program: reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser;

/// Memory for the program. A request makes and frees many small things, some of them on another thread than they were made on: with the
/// system's allocator that was nearly a quarter of its instructions (docs/performance.md). Without huge pages, which took 10 MiB more for
/// a server that has nothing to do. Not in the library, whose tests count what is allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kilonova::cli::Cli::parse().run()
}
