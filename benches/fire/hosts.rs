//! Three hosts as `docs/operating.md` describes them: on each a server and a PostgreSQL, one of which is the primary and the others its synchronous
//! standbys. One host after the other is lost as a whole; the operator does by hand what is written there; nothing acknowledged is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::account::Account;
use super::cloud;
use super::cluster::{as_postgres, binaries, is_root, kill_server, run};
use super::http::{Balancer, Client};
use super::kill::{Accepted, TASKS_LEFT, await_kept, build, check};
use super::network::Network;
use super::process::Process;
use super::writers::{Counts, Pulse, Until, storm_of};

const HOSTS: usize = 3;
/// The names that `synchronous_standby_names` knows them by.
const NAMES: [&str; HOSTS] = ["a", "b", "c"];
/// How long a standby may take to be one.
const STANDBY: Duration = Duration::from_secs(60);

/// PostgreSQL on every host of a network.
struct Databases<'a> {
    network: &'a Network,
    directory: PathBuf,
    primary: usize,
}

impl Drop for Databases<'_> {
    fn drop(&mut self) {
        (0..HOSTS).for_each(|host| self.kill(host));
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl<'a> Databases<'a> {
    /// A primary on the first host, with an empty database `kilonova`, and standbys on the others.
    fn start(network: &'a Network) -> Databases<'a> {
        let directory = tempfile::Builder::new().prefix("knhosts").tempdir_in("/tmp").expect("a directory").keep();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&directory));
        }
        let databases = Databases { network, directory, primary: 0 };
        let mut initdb = databases.program(0, "initdb");
        run(initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "-D"]).arg(databases.data(0)));
        let range = Network::RANGE;
        let access = format!("local all all trust\nhost all all {range} trust\nhost replication all {range} trust\n");
        fs::write(databases.data(0).join("pg_hba.conf"), access).expect("it is there already");
        databases.begin(0);
        databases.sql("postgres", "CREATE DATABASE kilonova");
        databases.copy_to(1);
        databases.copy_to(2);
        databases.have_commits_wait();
        databases
    }

    fn url(&self) -> String {
        let hosts: Vec<String> = self.network.hosts().iter().map(|host| format!("{}:5432", host.address)).collect();
        format!("postgres://postgres@{}/kilonova", hosts.join(","))
    }

    fn data(&self, host: usize) -> PathBuf {
        self.directory.join(NAMES[host])
    }

    /// A command on a host.
    fn program(&self, host: usize, name: &str) -> Command {
        let mut words = ["ip", "netns", "exec", &self.network.hosts()[host].namespace].map(str::to_owned).to_vec();
        words.extend(as_postgres());
        words.push(binaries().join(name).to_str().expect("the path is in UTF-8").to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn begin(&self, host: usize) {
        // processes are killed, not machines: nothing waits for the disk
        let options = format!(
            "-k {} -p 5432 -c listen_addresses=* -c max_connections=200 -c cluster_name={} -c fsync=off",
            self.sockets(host).display(),
            NAMES[host]
        );
        let _ = fs::create_dir(self.sockets(host));
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(self.sockets(host)));
        }
        let mut start = self.program(host, "pg_ctl");
        let log = self.directory.join(format!("{}.log", NAMES[host]));
        run(start.args(["-w", "-s", "start", "-o", &options, "-l"]).arg(log).arg("-D").arg(self.data(host)));
    }

    fn sockets(&self, host: usize) -> PathBuf {
        self.directory.join(format!("{}.sockets", NAMES[host]))
    }

    /// Makes a host a standby of the primary, with a copy of all it has.
    fn copy_to(&self, host: usize) {
        let _ = fs::remove_dir_all(self.data(host));
        let mut copy = self.program(host, "pg_basebackup");
        copy.args(["-h", &self.network.hosts()[self.primary].address, "-U", "postgres"]);
        run(copy.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]).arg(self.data(host)));
        self.begin(host);
        self.await_standby(host);
    }

    /// Waits until it receives what the primary writes.
    fn await_standby(&self, host: usize) {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = '{}' AND state = 'streaming'",
            NAMES[host]
        );
        let begun = Instant::now();
        while self.sql("postgres", &sql).trim() != "1" {
            assert!(begun.elapsed() < STANDBY, "{} becomes a standby", NAMES[host]);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every commit waits for one of the others.
    fn have_commits_wait(&self) {
        let others: Vec<&str> = (0..HOSTS).filter(|host| *host != self.primary).map(|host| NAMES[host]).collect();
        // where this has to wait already, it waits for who is there
        self.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({})'", others.join(", ")));
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// What an operator does when the primary is lost: whoever of the others has received more takes over, and the third follows it.
    fn take_over(&mut self) {
        let others: Vec<usize> = (0..HOSTS).filter(|host| *host != self.primary).collect();
        let received = |host: usize| {
            let lsn = self.sql_at(host, "postgres", "SELECT pg_last_wal_receive_lsn() - '0/0'");
            lsn.trim().parse::<u64>().expect("a standby has received something")
        };
        let (next, third) = match received(others[0]) >= received(others[1]) {
            true => (others[0], others[1]),
            false => (others[1], others[0]),
        };
        self.primary = next;
        // before it takes its first commit: that one waits for the third already
        let mut promote = self.program(next, "pg_ctl");
        let names: Vec<&str> = (0..HOSTS).filter(|host| *host != next).map(|host| NAMES[host]).collect();
        self.sql_at(
            next,
            "postgres",
            &format!("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({})'", names.join(", ")),
        );
        self.sql_at(next, "postgres", "SELECT pg_reload_conf()");
        run(promote.args(["-w", "-s", "promote", "-D"]).arg(self.data(next)));
        let primary = &self.network.hosts()[next].address;
        self.sql_at(third, "postgres", &format!("ALTER SYSTEM SET primary_conninfo = 'host={primary} user=postgres'"));
        self.sql_at(third, "postgres", "SELECT pg_reload_conf()");
        self.await_standby(third);
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        self.sql_at(self.primary, database, sql)
    }

    /// On the host itself: also where nobody else reaches it.
    fn sql_at(&self, host: usize, database: &str, sql: &str) -> String {
        let mut psql = Command::new(binaries().join("psql"));
        psql.arg("-h").arg(self.sockets(host)).args(["-U", "postgres", "-d", database, "-Atqc", sql]);
        let output = psql.output().expect("psql is there");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn kill(&self, host: usize) {
        kill_server(&self.data(host), &self.sockets(host).join(".s.PGSQL.5432.lock"));
    }
}

/// Loses one host after the other, each when so many more changes were kept; `None` where this machine has no namespaces for us. Every other
/// time round the processes of the host are killed, else they go on and are only cut off.
pub fn lost(directory: &Path, rounds: u64, clients: u64, changes: u64) -> Option<Account> {
    let Some(network) = Network::of(HOSTS as u32) else {
        eprintln!("LEFT OUT: hosts of their own need network namespaces (root, and `ip` of iproute2)");
        return None;
    };
    let mut databases = Databases::start(&network);
    let mut servers = servers(directory, &network, &databases.url());
    let token = servers[0].token("demo");
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let balancer = Balancer::of(addresses.clone());
    let mut promises = cloud::promises(&servers[0], &token, clients);
    let counts = Arc::new(Counts::default());
    let mut built: Vec<(String, Accepted)> = Vec::new();
    let mut account = Account::of(format!("three hosts: {rounds}"), &["the primary's host", "a standby's host"]);
    for round in 0..rounds {
        let lost = round as usize % HOSTS;
        let (was_primary, is_killed) = (lost == databases.primary, round as usize / HOSTS % 2 == 1);
        let until = Arc::new(Until { kept: u64::MAX, over: Arc::default(), goes_on: true });
        let before = counts.of(&counts.kept);
        let storming = storm_of(promises, |number| Client::behind(&balancer, number, &token), &counts, &until);
        let (building, name) = (AtomicBool::new(true), format!("round{round:06}"));
        let elsewhere = addresses[(lost + 1) % HOSTS];
        std::thread::scope(|scope| {
            let builder = scope.spawn(|| build(Client::new(elsewhere, &token), &name, &building));
            // another moment of the work every time
            await_kept(&counts, before + changes + round % 17);
            let pulse = Pulse::of(&counts);
            network.lose(lost);
            balancer.turn(addresses[lost]);
            if is_killed {
                servers[lost].kill();
                databases.kill(lost);
            }
            if was_primary {
                databases.take_over();
            }
            await_kept(&counts, counts.of(&counts.kept) + changes);
            account.note(usize::from(!was_primary), pulse.longest());
            building.store(false, Ordering::SeqCst);
            // its PostgreSQL is ended before anybody can reach it again: two that take writes must never be there
            databases.kill(lost);
            network.find(lost);
            databases.copy_to(lost);
            databases.have_commits_wait();
            if is_killed {
                servers[lost].start().unwrap_or_else(|said| panic!("the server starts again: {said}"));
            }
            // who was only cut off has found the database again by itself
            serves_again(&servers[lost], &token, &counts);
            balancer.turn(addresses[lost]);
            until.over.store(true, Ordering::SeqCst);
            built.push((name.clone(), builder.join().expect("the builder does not panic")));
        });
        promises = storming.into_iter().map(|client| client.join().expect("a client does not panic")).collect();
        check(&servers[lost], &token, &mut promises, &counts);
        eprint!(".");
    }
    eprintln!();
    let tasks_left = || databases.sql("kilonova", TASKS_LEFT).trim().parse().expect("a number");
    account.settle(&servers.iter().collect::<Vec<_>>(), &token, &built, &mut promises, (&counts, &tasks_left));
    Some(account)
}

/// One on each host, with the keys of the first and one place for image data.
fn servers(directory: &Path, network: &Network, url: &str) -> Vec<Process> {
    let mut servers: Vec<Process> = Vec::new();
    for (host, name) in network.hosts().iter().zip(NAMES) {
        let place = directory.join(name);
        let mut server = match servers.first() {
            None => Process::new(&place, Some(url.to_owned())),
            Some(first) => {
                let server = first.beside(&place);
                std::os::unix::fs::symlink(first.data().join("images"), server.data().join("images")).expect("a link");
                server
            }
        };
        server.move_to(&host.namespace, host.address.parse().expect("it is an address"));
        server.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
        servers.push(server);
    }
    servers
}

/// Waits until a server that was lost answers from the database again.
fn serves_again(server: &Process, token: &str, counts: &Counts) {
    let begun = Instant::now();
    while Client::new(server.address, token).ask("GET", "/v2.1/servers", "").status() != 200 {
        if begun.elapsed() > Duration::from_secs(30) {
            return counts.wrong(&format!("a server is not well again after 30 seconds: {}", server.log_end()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
