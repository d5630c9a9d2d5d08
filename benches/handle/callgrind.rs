//! Valgrind's callgrind: runs this very program under it and reads what it wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Requests of the short run, and of the long one. Both are whole rounds of 64. Not so many that the log of the database is long enough
/// to be moved: a thread of its own does that when the machine lets it, so runs with it differ by a tenth.
const COUNTS: [u64; 2] = [64, 256];

/// How many requests of an operation are under way together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// One; a write pays for its commit.
    Alone,
    /// 64; writes share a commit.
    Together,
}

impl Load {
    fn at_once(self) -> u64 {
        match self {
            Load::Alone => 1,
            Load::Together => 64,
        }
    }
}

/// Instructions of one request: by function and source file, and with everything that a function calls.
#[derive(Debug, Default)]
pub struct Counts {
    /// What lines of this file cost within this function.
    pub own: BTreeMap<(String, String), f64>,
    /// What a function costs with all that it calls. Recursion is counted once a level.
    pub inclusive: BTreeMap<String, f64>,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> f64 {
        self.own.values().sum()
    }

    /// The difference of a long and a short run, for each request that the long one had more. What the start costs is in both.
    fn between(few: &Counts, many: &Counts) -> Counts {
        let requests = (COUNTS[1] - COUNTS[0]) as f64;
        Counts {
            own: difference(&few.own, &many.own, requests),
            inclusive: difference(&few.inclusive, &many.inclusive, requests),
        }
    }
}

fn difference<K: Ord + Clone>(few: &BTreeMap<K, f64>, many: &BTreeMap<K, f64>, requests: f64) -> BTreeMap<K, f64> {
    let each = |(key, many): (&K, &f64)| (key.clone(), (many - few.get(key).unwrap_or(&0.0)) / requests);
    many.iter().map(each).collect()
}

/// Counts one request of an operation.
pub fn count(operation: &str, load: Load) -> Counts {
    let [few, many] = COUNTS.map(|requests| {
        std::thread::spawn({
            let operation = operation.to_owned();
            move || run(&operation, requests, load)
        })
    });
    let counts = [few, many].map(|run| run.join().expect("valgrind runs: apt-get install valgrind"));
    Counts::between(&counts[0], &counts[1])
}

fn run(operation: &str, requests: u64, load: Load) -> Counts {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("callgrind.out");
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no", "--dump-line=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args([operation, &requests.to_string(), &load.at_once().to_string()])
        .stdin(Stdio::null())
        .output()
        .expect("valgrind can be started: apt-get install valgrind");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read(&out)
}

fn read(path: &Path) -> Counts {
    // names are bytes of whoever compiled them
    let bytes = fs::read(path).expect("callgrind has written what it counted");
    let mut reading = Reading::default();
    String::from_utf8_lossy(&bytes).lines().for_each(|line| reading.line(line));
    assert!(reading.counts.total() > 0.0, "callgrind has counted nothing");
    reading.counts
}

/// Where one is in the file.
#[derive(Default)]
struct Reading {
    counts: Counts,
    function: String,
    file: String,
    callee: String,
    /// Whether the next line is what a call cost.
    after_call: bool,
}

impl Reading {
    fn line(&mut self, line: &str) {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fn" => self.function = named(value),
                "fl" | "fi" | "fe" => self.file = value.to_owned(),
                "cfn" => self.callee = named(value),
                "calls" => self.after_call = true,
                _ => {}
            }
            return;
        }
        let mut words = line.split(' ');
        let is_position = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty();
        let (Some(position), Some(cost)) = (words.next(), words.next()) else { return };
        let (true, Ok(cost)) = (is_position(position), cost.parse::<f64>()) else { return };
        let is_call = std::mem::take(&mut self.after_call);
        if !is_call {
            *self.counts.own.entry((self.function.clone(), self.file.clone())).or_default() += cost;
        }
        if !is_call || self.callee != self.function {
            *self.counts.inclusive.entry(self.function.clone()).or_default() += cost;
        }
    }
}

/// A function's name without the hash at its end, and without the level of recursion that callgrind adds.
fn named(name: &str) -> String {
    let name = name.split_once('\'').map_or(name, |(name, _)| name);
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name.to_owned(),
        _ => name.to_owned(),
    }
}
