//! PostgreSQL as Patroni runs it: etcd and three nodes, of which the first that is promoted makes a second one wait for every commit. Nodes can be
//! killed, servers can be killed, the leader can be changed; Patroni does the rest.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::cluster::{as_postgres, binaries, is_root, kill_all, kill_server, run};
use super::http::Client;

/// How long a cluster may take to be whole again: a node that comes back may have to be copied anew.
const WHOLE: Duration = Duration::from_secs(180);
/// How soon somebody starts a Patroni again that is not there.
const ATTENTION: Duration = Duration::from_secs(40);
const NODES: usize = 3;
/// What the run needs besides PostgreSQL.
const PROGRAMS: [&str; 3] = ["patroni", "patronictl", "etcd"];

/// etcd, and the nodes.
pub struct Patroni {
    directory: PathBuf,
    etcd: Option<Child>,
    etcd_port: u16,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    directory: PathBuf,
    port: u16,
    rest: SocketAddr,
    patroni: Option<Child>,
}

impl Drop for Patroni {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
        if let Some(mut etcd) = self.etcd.take() {
            let _ = etcd.kill();
            let _ = etcd.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// What is not installed of what this needs.
pub fn missing() -> Vec<&'static str> {
    let path = std::env::var("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|directory| directory.join(name).exists());
    PROGRAMS.into_iter().filter(|name| !is_there(name)).collect()
}

impl Patroni {
    /// Starts everything, with an empty database `kilonova`; comes back when a second node has every commit.
    pub fn start() -> Patroni {
        let directory = tempfile::Builder::new().prefix("knpatroni").tempdir_in("/tmp").expect("a directory").keep();
        let mut ports = free_ports(2 + 2 * NODES).into_iter();
        let mut port = || ports.next().expect("as many were taken as are needed");
        let (etcd_port, peer_port) = (port(), port());
        let nodes = (0..NODES).map(|number| Node {
            name: format!("node{number}"),
            directory: directory.join(format!("node{number}")),
            port: port(),
            rest: SocketAddr::from(([127, 0, 0, 1], port())),
            patroni: None,
        });
        let nodes = nodes.collect();
        let mut patroni = Patroni { directory, etcd: None, etcd_port, nodes };
        for node in &patroni.nodes {
            fs::create_dir_all(&node.directory).expect("a directory");
            fs::write(node.configuration(), patroni.configuration_of(node)).expect("a file");
        }
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(&patroni.directory));
        }
        patroni.start_etcd(peer_port);
        // the one that makes the cluster; the others copy it
        patroni.nodes[0].start();
        patroni.has_leader();
        patroni.start_missing();
        patroni.is_whole();
        // not earlier: it would wait for a second node for ever
        patroni.sql("postgres", "CREATE DATABASE kilonova");
        patroni
    }

    /// Names all nodes, whichever writes.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("postgres://postgres@{}/kilonova", hosts.join(","))
    }

    /// Starts the nodes that were killed, after whatever is left of them has been ended: Patroni does not always know its PostgreSQL again.
    pub fn start_missing(&mut self) {
        self.nodes.iter_mut().filter(|node| node.patroni.is_none()).for_each(Node::start);
    }

    /// Waits until there is a leader, a standby that commits wait for, and another standby.
    pub fn is_whole(&self) {
        self.until("a leader, a synchronous standby and another", |patroni| {
            let answers = |path| patroni.nodes.iter().filter(|node| node.answers(path)).count();
            answers("/primary") == 1 && answers("/sync") == 1 && answers("/replica") == 2
        });
    }

    /// SIGKILL for the whole node of the leader: Patroni, PostgreSQL, everything.
    pub fn kill_leaders_node(&mut self) {
        let leader = self.leader().expect("the cluster is whole");
        self.nodes[leader].kill();
    }

    /// SIGKILL for the leader's Patroni; its PostgreSQL lives, and nobody tells it that another has taken over.
    pub fn kill_leaders_patroni(&mut self) {
        let leader = self.leader().expect("the cluster is whole");
        self.nodes[leader].kill_patroni();
    }

    /// Waits until a node says that it is the leader.
    pub fn has_leader(&self) {
        self.until("a leader", |patroni| patroni.leader().is_some());
    }

    /// Waits until a node says that it is the leader, but no longer than an operator would, and says whether there is one: while the primary of a
    /// Patroni that was killed goes on under much load, each standby sees the other ahead of it, and Patroni 3.0 may promote none.
    pub fn may_have_leader(&self) -> bool {
        let begun = Instant::now();
        while self.leader().is_none() && begun.elapsed() < ATTENTION {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.leader().is_some()
    }

    /// SIGKILL for the leader's PostgreSQL; its Patroni lives.
    pub fn kill_leaders_server(&self) {
        let leader = self.leader().expect("the cluster is whole");
        self.nodes[leader].kill_server();
    }

    /// As an operator does it, to whoever has every commit.
    pub fn switch_over(&self) {
        let leader = self.leader().expect("the cluster is whole");
        let candidate = self.nodes.iter().find(|node| node.answers("/sync")).expect("the cluster is whole");
        let mut switchover = program("patronictl");
        switchover.arg("-c").arg(self.nodes[leader].configuration()).args(["switchover", "kilonova", "--force"]);
        switchover.args(["--leader", &self.nodes[leader].name, "--candidate", &candidate.name]);
        run(&mut switchover);
    }

    /// Runs a statement on the leader; gives what psql prints, or nothing where there is no leader at the moment.
    pub fn ask(&self, database: &str, sql: &str) -> Option<String> {
        let port = self.nodes[self.leader()?].port.to_string();
        let mut psql = Command::new(binaries().join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database, "-Atqc", sql]);
        let output = psql.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn sql(&self, database: &str, sql: &str) {
        self.ask(database, sql).unwrap_or_else(|| panic!("{sql}"));
    }

    fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(|node| node.answers("/primary"))
    }

    fn until(&self, what: &str, is_so: impl Fn(&Patroni) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            if begun.elapsed() > WHOLE {
                let logs: Vec<String> = self.nodes.iter().map(Node::log_end).collect();
                panic!("there is not {what} after {WHOLE:?}:\n{}", logs.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn start_etcd(&mut self, peer_port: u16) {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let peer = format!("http://127.0.0.1:{peer_port}");
        let log = File::create(self.directory.join("etcd.log")).expect("a log");
        let mut etcd = program("etcd");
        etcd.arg("--data-dir").arg(self.directory.join("etcd")).args(["--log-level", "error"]);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("default={peer}")]).stderr(log);
        self.etcd = Some(etcd.spawn().expect("etcd starts"));
    }

    /// What `docs/operating.md` says, with short times: a test has no patience.
    fn configuration_of(&self, node: &Node) -> String {
        let (name, port, rest, etcd) = (&node.name, node.port, node.rest, self.etcd_port);
        let (directory, binaries) = (node.directory.display(), binaries());
        format!(
            "\
scope: kilonova
name: {name}
restapi: {{listen: \"{rest}\", connect_address: \"{rest}\"}}
etcd3: {{hosts: \"127.0.0.1:{etcd}\"}}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    synchronous_mode: true
    synchronous_mode_strict: true
    postgresql:
      use_pg_rewind: true
      parameters:
        synchronous_commit: \"on\"
        max_connections: 200
        fsync: \"off\"
  initdb: [{{encoding: UTF8}}, {{auth: trust}}, no-sync]
postgresql:
  listen: 127.0.0.1:{port}
  connect_address: 127.0.0.1:{port}
  data_dir: {directory}/data
  bin_dir: {binaries}
  pgpass: {directory}/pgpass
  authentication:
    superuser: {{username: postgres, password: none}}
    replication: {{username: replicator, password: none}}
  parameters: {{unix_socket_directories: {directory}}}
  pg_hba: [local all all trust, host all all 127.0.0.1/32 trust, host replication all 127.0.0.1/32 trust]
",
            binaries = binaries.display()
        )
    }
}

impl Node {
    fn configuration(&self) -> PathBuf {
        self.directory.join("patroni.yml")
    }

    fn start(&mut self) {
        self.kill();
        let log = File::options().create(true).append(true).open(self.directory.join("log")).expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut patroni = program("patroni");
        patroni.arg(self.configuration()).stdout(log).stderr(errors);
        self.patroni = Some(patroni.spawn().expect("patroni starts"));
    }

    /// Patroni first, so that it sees nothing of it.
    fn kill(&mut self) {
        self.kill_patroni();
        self.kill_server();
        // whatever else was begun: a copy, a rewind
        kill_all(&processes_in(&self.directory));
    }

    fn kill_patroni(&mut self) {
        if let Some(mut patroni) = self.patroni.take() {
            let _ = patroni.kill();
            let _ = patroni.wait();
        }
    }

    fn kill_server(&self) {
        kill_server(&self.directory.join("data"), &self.directory.join(format!(".s.PGSQL.{}.lock", self.port)));
    }

    /// Whether Patroni says yes to what load balancers ask it.
    fn answers(&self, path: &str) -> bool {
        self.patroni.is_some() && Client::new(self.rest, "").ask("GET", path, "").status() == 200
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("{}:\n{}", self.name, lines[lines.len().saturating_sub(20)..].join("\n"))
    }
}

/// Runs as PostgreSQL's user.
fn program(name: &str) -> Command {
    let mut words = as_postgres();
    words.push(name.to_owned());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Processes whose command names something in a directory, which nobody but us knows.
fn processes_in(directory: &std::path::Path) -> Vec<String> {
    let (own, wanted) = (std::process::id().to_string(), directory.display().to_string() + "/");
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    pids.filter_map(|pid| pid.into_string().ok().filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())))
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(&wanted)
        })
        .collect()
}

/// Ports that nobody else is given soon.
fn free_ports(count: usize) -> Vec<u16> {
    let taken: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    taken.iter().map(|taken| taken.local_addr().expect("it has one").port()).collect()
}
