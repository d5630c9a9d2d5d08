//! Whether the time of a refused login tells why it was refused: the same request with each thing that can be wrong, in turn, over one
//! connection to a real server.
//!
//!     cargo bench --bench passwords                       medians of 100 each, at the default cost of a hash
//!     cargo bench --bench passwords -- --rounds 4 --times 1000
//!
//! Fewer rounds make the rest of the work a larger part of the whole, so that a difference shows more.

// fire uses the rest of it
#[allow(dead_code)]
#[path = "../fire/http.rs"]
mod http;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use http::Client;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, otherwise: usize| {
        let given = arguments.iter().position(|argument| argument == name).map(|at| arguments.get(at + 1));
        given.map_or(otherwise, |text| text.and_then(|text| text.parse().ok()).expect("a number"))
    };
    let (rounds, times) = (number("--rounds", 12), number("--times", 100));
    let directory = tempfile::tempdir().expect("a directory");
    let (running, address) = start(directory.path(), rounds);
    furnish(directory.path(), address);
    let mut client = Client::new(address, "");
    let mut took: Vec<Vec<f64>> = vec![Vec::new(); WAYS.len()];
    for _ in 0..times {
        for ((_, user, password), took) in WAYS.iter().zip(&mut took) {
            let (mut begun, mut said) = (Instant::now(), client.ask("POST", TOKENS, &login(user, password)));
            while said.status() == 503 {
                // the machine has other things to do, and the server says so: that is no answer to measure
                (begun, said) = (Instant::now(), client.ask("POST", TOKENS, &login(user, password)));
            }
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
            assert_eq!(said.status(), if *password == "right" && *user == GOOD { 201 } else { 401 }, "{user}");
        }
    }
    drop(running);
    println!("{times} of each in turn, {rounds} rounds\n\n| what is wrong | median | quartiles |\n|---|---|---|");
    for ((words, ..), took) in WAYS.iter().zip(&mut took) {
        took.sort_unstable_by(f64::total_cmp);
        let at = |part: usize| took[(took.len() * part / 4).min(took.len() - 1)];
        println!("| {words} | {:.3} ms | {:.3} to {:.3} ms |", at(2), at(1), at(3));
    }
}

const TOKENS: &str = "/identity/v3/auth/tokens";
const GOOD: &str = r#""name": "good", "domain": {"id": "default"}"#;

/// What is wrong, who it is, and with which password.
const WAYS: &[(&str, &str, &str)] = &[
    ("nothing", GOOD, "right"),
    ("the password", GOOD, "wrong"),
    ("the user: there is none of this name", r#""name": "nobody", "domain": {"id": "default"}"#, "right"),
    ("the user: there is none of this id", r#""id": "nobody""#, "right"),
    ("the user is disabled", r#""name": "disabled", "domain": {"id": "default"}"#, "right"),
    ("the user has no password", r#""name": "without", "domain": {"id": "default"}"#, "right"),
    ("the domain: there is none of this id", r#""name": "good", "domain": {"id": "nowhere"}"#, "right"),
    ("the domain: there is none of this name", r#""name": "good", "domain": {"name": "nowhere"}"#, "right"),
];

fn login(user: &str, password: &str) -> String {
    format!(
        r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{{user}, "password": "{password}"}}}}}}}}}}"#
    )
}

/// A server that ends with this, also where the measurement fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // one that has ended already is as good
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(directory: &Path, rounds: usize) -> (Running, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kilonova"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--password-hash-rounds"]);
    command.arg(rounds.to_string()).arg("--data-dir").arg(directory.join("data"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("it has a standard output");
    BufReader::new(output).read_line(&mut line).expect("it says that it is ready");
    let address = line.rsplit("http://").next().and_then(|text| text.trim().parse().ok());
    (Running(child), address.expect("an address"))
}

fn furnish(directory: &Path, address: SocketAddr) {
    let clouds = std::fs::read_to_string(directory.join("data/clouds.yaml")).expect("the first start writes it");
    let mut admin = Client::new(address, &http::log_in(address, &clouds, "admin").expect("admin can log in"));
    for user in [
        r#""name": "good", "password": "right""#,
        r#""name": "disabled", "password": "right", "enabled": false"#,
        r#""name": "without""#,
    ] {
        let said = admin.ask("POST", "/identity/v3/users", &format!(r#"{{"user": {{{user}}}}}"#));
        assert_eq!(said.status(), 201, "{user}");
    }
}
