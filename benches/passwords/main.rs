//! Whether the time of a refused login tells why it was refused: the same request with each thing that can be wrong, in turn and in another order
//! every time, over one connection to a real server. Each is compared with a wrong password, turn by turn (`ranks`); so noise shows as a
//! wide interval, and what the noise alone comes to as the difference of a wrong password from another.
//!
//!     cargo bench --bench passwords                       100 turns, at the default cost of a hash
//!     cargo bench --bench passwords -- --rounds 4 --times 1000
//!
//! Fewer rounds make the rest of the work a larger part of the whole, so that a difference shows more.

// fire uses the rest of it
#[allow(dead_code)]
#[path = "../fire/http.rs"]
mod http;
mod ranks;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use http::Client;
use ranks::Difference;

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
    let mut order: Vec<usize> = (0..WAYS.len()).collect();
    let mut state = 1;
    for _ in 0..times {
        // in another order every time: what comes before an answer may make it slower
        shuffle(&mut order, &mut state);
        for way in &order {
            took[*way].push(time(&mut client, &WAYS[*way]));
        }
    }
    drop(running);
    print(rounds, &took);
}

/// The milliseconds that one login takes.
fn time(client: &mut Client, (_, user, password, scope): &Way) -> f64 {
    let body = login(user, password, scope);
    loop {
        let (begun, said) = (Instant::now(), client.ask("POST", TOKENS, &body));
        let took = begun.elapsed();
        // the machine has other things to do, and the server says so: that is no answer to measure
        if said.status() != 503 {
            assert_eq!(
                said.status(),
                if *password == "right" && *user == GOOD && scope.is_empty() { 201 } else { 401 },
                "{user}"
            );
            return took.as_secs_f64() * 1000.0;
        }
    }
}

fn shuffle(order: &mut [usize], state: &mut u64) {
    for at in (1..order.len()).rev() {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(at, (*state >> 33) as usize % (at + 1));
    }
}

/// All against the first: what is not the first's in kind, and told apart, is what an answer's time gives away.
fn print(rounds: usize, took: &[Vec<f64>]) {
    let turns = took[0].len();
    println!("{turns} turns, {rounds} rounds; differences from the first with 99 % confidence\n");
    println!("| what is wrong | median | difference | between | by chance | told apart |\n|---|---|---|---|---|---|");
    for ((words, ..), series) in WAYS.iter().zip(took) {
        let mut sorted = series.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let difference = Difference::of(series, &took[0]);
        let is_one = if difference.is_one(WAYS.len() - 1) { "yes" } else { "no" };
        let Difference { median, between, by_chance } = difference;
        println!(
            "| {words} | {:.3} ms | {:+.3} ms | {:+.3} to {:+.3} ms | {by_chance:.4} | {is_one} |",
            sorted[turns / 2],
            median,
            between.0,
            between.1
        );
    }
}

const TOKENS: &str = "/identity/v3/auth/tokens";
const GOOD: &str = r#""name": "good", "domain": {"id": "default"}"#;

/// What is wrong, who it is, with which password, and for what.
type Way = (&'static str, &'static str, &'static str, &'static str);

/// A project that is disabled.
const LOCKED: &str = r#", "scope": {"project": {"name": "locked", "domain": {"id": "default"}}}"#;

/// The second is the first once more: what is said of it is what the noise of the machine says of anything.
const WAYS: &[Way] = &[
    ("the password", GOOD, "wrong", ""),
    ("the password, again", GOOD, "false", ""),
    ("the user: there is none of this name", r#""name": "nobody", "domain": {"id": "default"}"#, "right", ""),
    ("the user: there is none of this id", r#""id": "nobody""#, "right", ""),
    ("the user is disabled", r#""name": "disabled", "domain": {"id": "default"}"#, "right", ""),
    ("the user has no password", r#""name": "without", "domain": {"id": "default"}"#, "right", ""),
    ("the domain: there is none of this id", r#""name": "good", "domain": {"id": "nowhere"}"#, "right", ""),
    ("the domain: there is none of this name", r#""name": "good", "domain": {"name": "nowhere"}"#, "right", ""),
    ("the password, for a project that is disabled", GOOD, "wrong", LOCKED),
    ("the project is disabled", GOOD, "right", LOCKED),
    ("nothing", GOOD, "right", ""),
];

fn login(user: &str, password: &str, scope: &str) -> String {
    format!(
        r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{{user}, "password": "{password}"}}}}}}{scope}}}}}"#
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
    let locked = r#"{"project": {"name": "locked", "enabled": false}}"#;
    assert_eq!(admin.ask("POST", "/identity/v3/projects", locked).status(), 201);
}
