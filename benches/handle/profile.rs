//! Where the instructions of a request go: by room, and the functions that cost most. Printed, or written into `docs/performance.md`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::callgrind::{self, Counts, Load};
use super::cloud::{OPERATIONS, writes};
use super::docs;
use super::instructions;
use super::rooms::room;

/// Functions shown of each operation.
const SHOWN: usize = 8;

/// Counts every operation, writes as they are under load, and shows the table of rooms and the longest functions.
pub fn print(into_docs: bool) -> ExitCode {
    let counts: Vec<(&str, Counts)> = OPERATIONS.iter().map(|operation| (*operation, counted(operation))).collect();
    let mut text = by_room(&counts);
    for (operation, counts) in &counts {
        text.push_str(&by_function(operation, counts));
    }
    println!("{text}");
    if into_docs {
        docs::write("profile", &text);
    }
    ExitCode::SUCCESS
}

fn load(operation: &str) -> Load {
    if writes(operation) { Load::Together } else { Load::Alone }
}

fn counted(operation: &str) -> Counts {
    callgrind::count(operation, load(operation))
}

fn by_room(counts: &[(&str, Counts)]) -> String {
    let mut rooms: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (at, (_, counts)) in counts.iter().enumerate() {
        for ((function, file), cost) in &counts.own {
            rooms.entry(room(function, file)).or_insert_with(|| vec![0.0; OPERATIONS.len()])[at] += cost;
        }
    }
    let mut rows: Vec<(&str, Vec<f64>)> = rooms.into_iter().collect();
    rows.sort_by(|one, other| other.1.iter().sum::<f64>().total_cmp(&one.1.iter().sum()));
    rows.push(("all", counts.iter().map(|(_, counts)| counts.total()).collect()));
    let mut text = String::from("| instructions of one request |");
    for (operation, _) in counts {
        text.push_str(&format!(" {operation}, {} |", instructions::name(load(operation))));
    }
    text.push_str(&format!("\n|---|{}\n", "---|".repeat(counts.len())));
    for (room, costs) in rows {
        let cells: Vec<String> = costs.iter().map(|cost| format!("{cost:.0}")).collect();
        text.push_str(&format!("| {room} | {} |\n", cells.join(" | ")));
    }
    text
}

fn by_function(operation: &str, counts: &Counts) -> String {
    let mut own: BTreeMap<&str, (f64, &'static str)> = BTreeMap::new();
    for ((function, file), cost) in &counts.own {
        let entry = own.entry(function).or_insert((0.0, room(function, file)));
        entry.0 += cost;
    }
    let mut functions: Vec<(&str, (f64, &'static str))> = own.into_iter().collect();
    functions.sort_by(|one, other| other.1.0.total_cmp(&one.1.0));
    let mut text = format!(
        "\n{operation}, {}: {:.0} instructions\n\n| function | room | its own | with what it calls |\n|---|---|---|---|\n",
        instructions::name(load(operation)),
        counts.total()
    );
    for (function, (cost, room)) in functions.into_iter().take(SHOWN) {
        let all = counts.inclusive.get(function).copied().unwrap_or(cost);
        text.push_str(&format!("| `{}` | {room} | {cost:.0} | {all:.0} |\n", shortened(function)));
    }
    text
}

/// A function's name without what it was specialized for.
fn shortened(function: &str) -> String {
    let mut depth = 0_usize;
    let mut short = String::new();
    for (at, letter) in function.char_indices() {
        match letter {
            '<' if at > 0 => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => short.push(letter),
            _ => {}
        }
    }
    short
}
