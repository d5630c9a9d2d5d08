//! Instructions of each operation beside those of the file `benches/instructions.toml`, for CI: whoever makes a request dearer hears of it
//! without a clock, and whoever makes it cheaper writes down the new figure, from which the next one is measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::callgrind::{self, Load};
use super::cloud::{OPERATIONS, writes};

/// How far a count may lie from the file's.
const BAND: f64 = 0.05;
const REFRESH: &str = "UPDATE=1 cargo bench --profile profiling --bench handle -- --instructions";

const HEAD: &str = "# Instructions of one request in process, by callgrind: alone, and for writes also as one of 64 that share a commit.\n\
    # CI fails where a count is more than 5 % above or below. Written by\n";

type Table = BTreeMap<String, BTreeMap<String, u64>>;

/// Counts, prints, and compares; with `UPDATE=1` writes.
pub fn check() -> ExitCode {
    let known = read();
    let mut counted = Table::new();
    let mut outside = Vec::new();
    println!("| operation | instructions | in the file | difference |\n|---|---|---|---|");
    for (operation, load) in OPERATIONS.into_iter().flat_map(loads) {
        let now = callgrind::count(operation, load).total().round() as u64;
        let before = known.get(operation).and_then(|row| row.get(name(load))).copied();
        let change = before.map(|before| now as f64 / before as f64 - 1.0);
        println!(
            "| {operation}, {} | {now} | {} | {} |",
            name(load),
            before.map_or("–".into(), |before| before.to_string()),
            change.map_or("–".into(), |change| format!("{:+.1} %", change * 100.0))
        );
        if change.is_none_or(|change| change.abs() > BAND) {
            outside.push(format!("{operation}, {}", name(load)));
        }
        counted.entry(operation.to_owned()).or_default().insert(name(load).to_owned(), now);
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path(), text(&counted)).expect("the file can be written");
        return ExitCode::SUCCESS;
    }
    if outside.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "\nMore than {:.0} % from {}: {}.\nIf that is what the change is meant to do, write the new counts with it: {REFRESH}",
        BAND * 100.0,
        path().display(),
        outside.join("; ")
    );
    ExitCode::FAILURE
}

/// How an operation is counted.
pub fn loads(operation: &'static str) -> impl Iterator<Item = (&'static str, Load)> {
    let together = writes(operation).then_some((operation, Load::Together));
    std::iter::once((operation, Load::Alone)).chain(together)
}

/// A load in the words of tables.
pub fn name(load: Load) -> &'static str {
    match load {
        Load::Alone => "alone",
        Load::Together => "of 64",
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.toml")
}

fn read() -> Table {
    let text = fs::read_to_string(path()).unwrap_or_default();
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path().display()))
}

fn text(table: &Table) -> String {
    let mut text = format!("{HEAD}#     {REFRESH}\n");
    for (operation, counts) in table {
        text.push_str(&format!("\n[{operation:?}]\n"));
        counts.iter().for_each(|(load, count)| text.push_str(&format!("{load:?} = {count}\n")));
    }
    text
}
