//! The server as a process: started, killed without warning, started again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::http;
use super::slow::Disk;

/// The program; another build of it may be put to the same tests.
fn binary() -> String {
    std::env::var("FIRE_BINARY").unwrap_or(env!("CARGO_BIN_EXE_kilonova").into())
}

/// Where a server listens that has a network of its own.
const SERVED_PORT: u16 = 8774;

/// A server of one directory.
pub struct Process {
    directory: PathBuf,
    database: Option<String>,
    child: Option<Child>,
    /// Flags without their dashes, and values.
    settings: Vec<(String, String)>,
    processor: Option<usize>,
    /// The network it lives in, where it has one of its own.
    namespace: Option<String>,
    disk: Option<Disk>,
    /// Where it listens now.
    pub address: SocketAddr,
    /// Whether it listens there again when it is started again; else wherever there is room.
    pub keeps_address: bool,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// Not started yet. `database` is a URL, or nothing for the embedded one.
    pub fn new(directory: &Path, database: Option<String>) -> Process {
        fs::create_dir_all(directory).expect("a directory can be made");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = [
            ("log-level", "warn"),
            ("password-hash-rounds", "4"),
            ("quota-instances", "-1"),
            ("quota-cores", "-1"),
            ("quota-ram", "-1"),
        ];
        let settings = settings.map(|(flag, value)| (flag.to_owned(), value.to_owned())).to_vec();
        let directory = directory.to_owned();
        Process {
            directory,
            database,
            child: None,
            settings,
            processor: None,
            namespace: None,
            disk: None,
            address,
            keeps_address: false,
        }
    }

    /// Has another setting, by its flag, at the next start.
    pub fn set(&mut self, flag: &str, value: impl ToString) {
        self.settings.retain(|(name, _)| name != flag);
        self.settings.push((flag.to_owned(), value.to_string()));
    }

    /// Runs on this processor only, from the next start on.
    pub fn pin(&mut self, processor: usize) {
        self.processor = Some(processor);
    }

    /// Lives on this host of a network, from the next start on, and keeps its port.
    pub fn move_to(&mut self, namespace: &str, address: IpAddr) {
        self.namespace = Some(namespace.to_owned());
        self.address = SocketAddr::new(address, SERVED_PORT);
        self.keeps_address = true;
    }

    /// Has this disk, from the next start on.
    pub fn on_disk(&mut self, disk: &Disk) {
        self.disk = Some(disk.clone());
    }

    /// How much memory it has, in KiB: now, and at most so far.
    pub fn memory(&self) -> Option<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.as_ref()?.id())).ok()?;
        let of = |name: &str| status.split(name).nth(1)?.split_whitespace().next()?.parse().ok();
        Some((of("VmRSS:")?, of("VmHWM:")?))
    }

    /// Another of the same cloud: it has the keys of the first.
    pub fn beside(&self, directory: &Path) -> Process {
        let mut other = Process::new(directory, self.database.clone());
        other.settings.clone_from(&self.settings);
        self.share_keys(&other);
        other
    }

    /// Gives another its keys, in place of those that one has.
    pub fn share_keys(&self, other: &Process) {
        let _ = fs::remove_dir_all(other.data().join("token-keys"));
        let keys = other.data().join("token-keys");
        fs::create_dir_all(&keys).expect("a directory can be made");
        fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("it is ours");
        for key in fs::read_dir(self.data().join("token-keys")).expect("the first has keys").flatten() {
            fs::copy(key.path(), keys.join(key.file_name())).expect("a key can be copied");
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Where it keeps its things.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Starts it; says how long it took until it was ready, or what it said instead.
    pub fn start(&mut self) -> Result<Duration, String> {
        self.kill();
        let log = self.directory.join("log");
        let errors = File::options().create(true).append(true).open(&log).expect("a log");
        let binary = binary();
        let mut words: Vec<String> = Vec::new();
        if let Some(namespace) = &self.namespace {
            words.extend(["ip", "netns", "exec", namespace].map(str::to_owned));
        }
        if let Some(processor) = self.processor {
            words.extend(["taskset", "-c", &processor.to_string()].map(str::to_owned));
        }
        words.push(binary);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let listen = if self.keeps_address { self.address.to_string() } else { "127.0.0.1:0".to_owned() };
        command.args(["serve", "--listen", &listen, "--data-dir"]).arg(self.data());
        for (flag, value) in &self.settings {
            command.arg(format!("--{flag}={value}"));
        }
        if let Some(url) = &self.database {
            command.env("KILONOVA_DATABASE", url);
        }
        if let Some(disk) = &self.disk {
            disk.under(&mut command);
        }
        let begun = Instant::now();
        let child = command.stdout(Stdio::piped()).stderr(errors).spawn().expect("the binary starts");
        let output = self.child.insert(child).stdout.take();
        let mut lines = BufReader::new(output.expect("it has a standard output"));
        let mut line = String::new();
        lines.read_line(&mut line).map_err(|error| error.to_string())?;
        let took = begun.elapsed();
        let Some((_, address)) = line.rsplit_once("http://") else {
            self.kill();
            return Err(fs::read_to_string(&log).unwrap_or_default());
        };
        self.address = address.trim().parse().map_err(|_| line.clone())?;
        // whatever else it prints is read, so that it never waits for us
        std::thread::spawn(move || lines.lines().for_each(drop));
        Ok(took)
    }

    /// What another command of the program says, with the same database and data directory: whether it went well, standard output, standard error.
    pub fn command(&self, words: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(binary());
        command.args(words).arg("--data-dir").arg(self.data()).stdin(Stdio::null());
        if let Some(url) = &self.database {
            command.env("KILONOVA_DATABASE", url);
        }
        let output = command.output().expect("the binary starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    }

    /// What it has logged last.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// SIGKILL: no warning, no last words.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// How much memory it has, in MiB; 0 where the system does not say.
    pub fn resident_mib(&self) -> f64 {
        let pid = self.child.as_ref().map_or(0, Child::id);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
    }

    /// What the first start wrote for clients.
    pub fn clouds(&self) -> String {
        fs::read_to_string(self.data().join("clouds.yaml")).expect("the first start writes clouds.yaml")
    }

    /// A token of `demo` or `admin`.
    pub fn token(&self, who: &str) -> String {
        http::log_in(self.address, &self.clouds(), who).expect("whoever is in clouds.yaml can log in")
    }
}
