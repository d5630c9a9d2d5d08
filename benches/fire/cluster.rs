//! PostgreSQL as operators run it: a primary and a synchronous standby, on directories of their own, without TCP where nobody asks for it. The
//! primary can be killed, stopped or frozen; the standby takes over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The servers.
pub struct Cluster {
    binaries: PathBuf,
    directory: PathBuf,
    is_root: bool,
    primary: usize,
    has_standby: bool,
    plan: Plan,
}

/// How the servers are set up.
#[derive(Debug, Clone)]
pub struct Plan {
    /// As `postgres` takes them: `-c name=value`.
    pub settings: String,
    /// `pg_hba.conf`, where not everybody is trusted who can reach a server.
    pub access: Option<String>,
    /// Files in the data directory that only the server may read: name and contents.
    pub files: Vec<(&'static str, String)>,
    /// The ports.
    pub ports: [u16; 2],
    /// The network namespaces, where the servers have some of their own.
    pub namespaces: Vec<String>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            settings: NO_SYNC.to_owned(),
            access: None,
            files: Vec::new(),
            ports: [5432, 5433],
            namespaces: Vec::new(),
        }
    }
}

/// Killing processes loses nothing that the system has been given, so where only processes are killed nothing waits for the disk.
const NO_SYNC: &str = "-c fsync=off";

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 0..2 {
            self.kill(node);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Cluster {
    /// Starts a primary with an empty database `kilonova`.
    pub fn start() -> Cluster {
        Cluster::with(Plan::default())
    }

    /// As `start`, as durable as PostgreSQL is where nobody configures it.
    pub fn durable() -> Cluster {
        Cluster::with(Plan { settings: "-c fsync=on".to_owned(), ..Plan::default() })
    }

    /// As `start`, set up otherwise.
    pub fn with(plan: Plan) -> Cluster {
        let directory = tempfile::Builder::new().prefix("knfire").tempdir_in("/tmp").expect("a directory").keep();
        let is_root = is_root();
        let cluster = Cluster { binaries: binaries(), directory, is_root, primary: 0, has_standby: false, plan };
        if is_root {
            run(Command::new("chown").arg("postgres").arg(&cluster.directory));
        }
        let mut initdb = cluster.program("initdb");
        run(initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "-D"]).arg(cluster.data(0)));
        cluster.furnish();
        cluster.begin(0);
        cluster.sql("CREATE DATABASE kilonova");
        cluster
    }

    fn furnish(&self) {
        if let Some(access) = &self.plan.access {
            fs::write(self.data(0).join("pg_hba.conf"), access).expect("it is there already");
        }
        for (name, contents) in &self.plan.files {
            let path = self.data(0).join(name);
            fs::write(&path, contents).expect("the directory is there");
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
            if self.is_root {
                run(Command::new("chown").arg("postgres").arg(&path));
            }
        }
    }

    /// Names both servers, whichever writes.
    pub fn url(&self) -> String {
        let socket = self.directory.to_str().expect("the directory has a name in UTF-8").replace('/', "%2F");
        format!("postgres://postgres@{socket}:{},{socket}:{}/kilonova", self.plan.ports[0], self.plan.ports[1])
    }

    /// Gives the primary a standby that every commit waits for.
    pub fn add_standby(&mut self) {
        let standby = 1 - self.primary;
        let mut copied = false;
        // the primary may be making room in its log: then it asks to be copied again
        for _ in 0..3 {
            let _ = fs::remove_dir_all(self.data(standby));
            let mut copy = self.program("pg_basebackup");
            copy.args(["-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-h"]).arg(&self.directory);
            copy.arg("-p").arg(self.plan.ports[self.primary].to_string()).arg("-D").arg(self.data(standby));
            copied = copy.status().is_ok_and(|status| status.success());
            if copied {
                break;
            }
        }
        assert!(copied, "the primary can be copied");
        self.begin(standby);
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'").trim() != "1" {
            std::thread::yield_now();
        }
        self.has_standby = true;
    }

    /// The primary's machine is gone; the standby takes over, and commits wait for nobody until it has a standby of its own.
    pub fn fail_over(&mut self) {
        assert!(self.has_standby, "somebody must take over");
        self.kill(self.primary);
        self.promote();
    }

    /// The standby takes over from a primary that others no longer reach; gives the number of that one, which goes on and believes in itself.
    pub fn promote(&mut self) -> usize {
        let before = self.primary;
        self.primary = 1 - before;
        self.has_standby = false;
        let mut promote = self.program("pg_ctl");
        run(promote.args(["-w", "-s", "promote", "-D"]).arg(self.data(self.primary)));
        self.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
        self.sql("SELECT pg_reload_conf()");
        before
    }

    /// Stops the primary as an operator does; `mode` is that of pg_ctl.
    pub fn stop(&self, mode: &str) {
        let mut stop = self.program("pg_ctl");
        run(stop.args(["-w", "-s", "stop", "-m", mode, "-D"]).arg(self.data(self.primary)));
    }

    /// Starts the primary again.
    pub fn start_again(&self) {
        self.begin(self.primary);
    }

    /// Freezes the primary with all its processes, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        signal(if frozen { "-STOP" } else { "-CONT" }, &self.processes(self.primary));
    }

    /// Waits until nobody is left of those who were connected: what they had asked for is decided.
    pub fn settle(&self) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kilonova'";
        while self.sql(sql).trim() != "0" {
            std::thread::yield_now();
        }
    }

    /// Runs a statement on the primary; gives what psql prints.
    pub fn sql(&self, sql: &str) -> String {
        let database = if sql.starts_with("CREATE DATABASE") { "postgres" } else { "kilonova" };
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.arg("-h").arg(&self.directory).arg("-p").arg(self.plan.ports[self.primary].to_string());
        let output = psql.args(["-U", "postgres", "-d", database, "-Atqc", sql]).output().expect("psql is there");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn data(&self, node: usize) -> PathBuf {
        self.directory.join(format!("node{node}"))
    }

    fn begin(&self, node: usize) {
        let options = format!(
            "-k {} -p {} -c listen_addresses= -c max_connections=200 {}",
            self.directory.display(),
            self.plan.ports[node],
            self.plan.settings
        );
        let log = self.directory.join(format!("log{node}"));
        let mut start = self.program_at(node, "pg_ctl");
        run(start.args(["-w", "-s", "start", "-o", &options, "-l"]).arg(log).arg("-D").arg(self.data(node)));
    }

    fn processes(&self, node: usize) -> Vec<String> {
        processes_of(&self.data(node))
    }

    /// SIGKILL for the postmaster and everybody it has started.
    pub fn kill(&self, node: usize) {
        kill_server(&self.data(node), &self.directory.join(format!(".s.PGSQL.{}.lock", self.plan.ports[node])));
    }

    fn program(&self, name: &str) -> Command {
        self.command(None, name)
    }

    /// In the network of a server.
    fn program_at(&self, node: usize, name: &str) -> Command {
        self.command(self.plan.namespaces.get(node), name)
    }

    fn command(&self, namespace: Option<&String>, name: &str) -> Command {
        let mut words: Vec<String> = Vec::new();
        if let Some(namespace) = namespace {
            words.extend(["ip", "netns", "exec", namespace].map(str::to_owned));
        }
        words.extend(as_postgres());
        words.push(self.binaries.join(name).to_str().expect("the path is in UTF-8").to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// The postmaster of a data directory and everybody it has started.
fn processes_of(data: &Path) -> Vec<String> {
    let Ok(note) = fs::read_to_string(data.join("postmaster.pid")) else { return Vec::new() };
    let Some(postmaster) = note.lines().next().map(|line| line.trim().to_owned()) else { return Vec::new() };
    let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
    std::iter::once(postmaster).chain(children.split_whitespace().map(str::to_owned)).collect()
}

/// SIGKILL for the server of a data directory, with everybody it has started; `lock` is the one beside its socket.
pub fn kill_server(data: &Path, lock: &Path) {
    let Ok(note) = fs::read_to_string(data.join("postmaster.pid")) else { return };
    kill_all(&processes_of(data));
    // who is killed leaves shared memory behind; its id is in the seventh line
    if let Some(id) = note.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
        let _ = Command::new("ipcrm").args(["-m", id]).stderr(Stdio::null()).status();
    }
    let _ = fs::remove_file(data.join("postmaster.pid"));
    // its number may be somebody else's by now, who would then be taken for it
    let _ = fs::remove_file(lock);
}

/// SIGKILL, and waits until they are gone.
pub fn kill_all(processes: &[String]) {
    signal("-KILL", processes);
    while processes.iter().any(|pid| is_alive(pid)) {
        std::thread::yield_now();
    }
}

/// Words before a command that have it run as PostgreSQL's user, which refuses to be root.
pub fn as_postgres() -> Vec<String> {
    match is_root() {
        true => ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"].map(str::to_owned).to_vec(),
        false => Vec::new(),
    }
}

/// Whether we are.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn signal(which: &str, processes: &[String]) {
    if !processes.is_empty() {
        // some may be gone already
        let _ = Command::new("kill").arg(which).args(processes).stderr(Stdio::null()).status();
    }
}

/// Runs it to its end, which must be a good one.
pub fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} ended with {status}");
}

/// Where Debian and others keep `initdb`.
pub fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = ["/usr/lib/postgresql", "/usr/pgsql"]
        .iter()
        .filter_map(|base| fs::read_dir(Path::new(base)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path().join("bin")))
        .filter(|path| path.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("this needs PostgreSQL's server: apt-get install postgresql")
}
