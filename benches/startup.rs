//! How long the server takes to answer after it was started on a directory that exists, how much memory it has when idle, and how large
//! the stripped binary is:
//!
//!     cargo bench --bench startup

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const STARTS: usize = 21;

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = Instant::now();
    let (child, _) = start(directory.path());
    let first = first.elapsed();
    stop(child);
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let (child, address) = start(directory.path());
        assert!(get(&address).starts_with("HTTP/1.1 200"), "the version list answers 200");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        memory.push(resident_mib(child.id()));
        stop(child);
    }
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_kilonova")).expect("the binary is there").len();
    println!("| what | measured | bound |\n|---|---|---|");
    println!("| first start, with keys, schema and two password hashes | {:.0} ms | – |", first.as_secs_f64() * 1000.0);
    println!(
        "| start on an existing directory to the first 200, median of {STARTS} | {:.1} ms (worst {:.1}) | 50 ms |",
        median(&mut times),
        times[STARTS - 1]
    );
    println!(
        "| resident memory after it, median | {:.1} MiB (worst {:.1}) | 20 MiB |",
        median(&mut memory),
        memory[STARTS - 1]
    );
    println!("| stripped release binary | {:.1} MiB | 20 MiB |", binary as f64 / f64::from(1 << 20));
}

fn start(directory: &Path) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kilonova"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data-dir"]).arg(directory.join("data"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.as_mut().expect("it has a standard output"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("it says that it is ready");
    let address = line.rsplit("http://").next().expect("an address").trim().to_owned();
    (child, address)
}

fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server that is ready accepts connections");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    answer
}

fn stop(mut child: Child) {
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

/// Resident memory of a process, in MiB. Linux only.
fn resident_mib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
