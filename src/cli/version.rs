//! `kilonova version`.

use std::process::ExitCode;

pub(super) fn run() -> ExitCode {
    super::print(concat!("kilonova ", env!("CARGO_PKG_VERSION"), "\n"));
    ExitCode::SUCCESS
}
