//! The network between the server and its database is cut in the middle of load: everybody is told to come back, in time; nothing that was
//! acknowledged is lost; and all is well again without a restart, when the network is back or a standby has taken over.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cloud;
use super::cluster::{Cluster, Plan};
use super::kill::check;
use super::network::{Cut, Link};
use super::process::Process;
use super::trouble::{Came, Watch, started};
use super::writers::{Counts, Promises, Until, storm};

/// Clients that go on all the time.
const CLIENTS: u64 = 8;
/// How long the network is cut: longer than any deadline of ours.
const CUT: Duration = Duration::from_secs(10);

/// The network is cut for a while; `None` where this machine has no namespaces for us.
pub fn for_a_while(directory: &Path, how: Cut) -> Option<Came> {
    let link = link()?;
    let cluster = Cluster::with(plan(&[&link]));
    let process = started(directory, Some(url(&[&link])));
    let load = Load::on(&process);
    let mut watch = Watch::new(
        &process,
        match how {
            Cut::Unplugged => "the network to PostgreSQL is unplugged for ten seconds",
            Cut::Silent => "the network to PostgreSQL loses everything for ten seconds",
        },
    );
    load.goes_well();
    link.cut(how);
    let begun = Instant::now();
    while begun.elapsed() < CUT {
        watch.get("while it is cut", 503);
        let said = watch.put("cut");
        watch.must("while it is cut", &said, 503);
    }
    link.mend(how);
    let came = watch.recovers();
    drop(cluster.sql("SELECT 1"));
    Some(load.ends(&process, came))
}

/// The network to the primary is cut, and the standby takes over; `None` as before. The URL names three hosts, of which one is away.
pub fn from_the_primary(directory: &Path) -> Option<Came> {
    let links = [link()?, link()?, link()?];
    let mut cluster = Cluster::with(plan(&[&links[0], &links[1]]));
    cluster.add_standby();
    let process = started(directory, Some(url(&[&links[2], &links[0], &links[1]])));
    let load = Load::on(&process);
    let mut watch = Watch::new(&process, "the network to the primary is cut, and its standby takes over");
    load.goes_well();
    links[0].cut(Cut::Silent);
    watch.get("while it is cut", 503);
    let before = cluster.promote();
    let came = watch.recovers();
    // two that take writes must never be reachable: who was cut off is ended first
    cluster.kill(before);
    links[0].mend(Cut::Silent);
    Some(load.ends(&process, came))
}

fn link() -> Option<Link> {
    let link = Link::new();
    if link.is_none() {
        eprintln!("LEFT OUT: cutting a network needs network namespaces (root, and `ip` of iproute2)");
    }
    link
}

fn plan(links: &[&Link]) -> Plan {
    Plan {
        // the addresses of all servers: each has one of them
        settings: format!("{} -c listen_addresses=*", Plan::default().settings),
        access: Some("local all all trust\nlocal replication all trust\nhost all all 198.18.0.0/15 trust\n".into()),
        namespaces: links.iter().map(|link| link.namespace.clone()).collect(),
        ..Plan::default()
    }
}

fn url(links: &[&Link]) -> String {
    let ports = if links.len() == 1 { vec![5432] } else { vec![5432, 5432, 5433] };
    let hosts: Vec<String> = links.iter().zip(ports).map(|(link, port)| format!("{}:{port}", link.address)).collect();
    format!("postgres://postgres@{}/kilonova", hosts.join(","))
}

/// Clients that change metadata until they are told to stop.
struct Load {
    token: String,
    counts: Arc<Counts>,
    until: Arc<Until>,
    clients: Vec<JoinHandle<Promises>>,
}

impl Load {
    fn on(process: &Process) -> Load {
        let token = process.token("demo");
        let promises = cloud::promises(process, &token, CLIENTS);
        let counts = Arc::new(Counts::default());
        let until = Arc::new(Until { kept: u64::MAX, over: Arc::default(), goes_on: true });
        let clients = storm(promises, &[process.address], &token, &counts, &until);
        Load { token, counts, until, clients }
    }

    /// Waits until it does.
    fn goes_well(&self) {
        let wanted = self.counts.of(&self.counts.kept) + 100;
        let begun = Instant::now();
        while self.counts.of(&self.counts.kept) < wanted {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was kept for a minute");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it, and compares.
    fn ends(self, process: &Process, mut came: Came) -> Came {
        self.goes_well();
        self.until.over.store(true, Ordering::SeqCst);
        let mut promises: Vec<_> =
            self.clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect();
        check(process, &self.token, &mut promises, &self.counts);
        for (what, counter) in [("lost or answered wrongly", &self.counts.wrong), ("hangs", &self.counts.hangs)] {
            if self.counts.of(counter) > 0 {
                came.wrong.push(format!("{what}: {}", self.counts.of(counter)));
            }
        }
        came
    }
}
