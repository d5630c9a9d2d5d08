//! The network between the server and its database is cut in the middle of load: everybody is told to come back, in time; nothing that was
//! acknowledged is lost; and all is well again without a restart, when the network is back or a standby has taken over.

use std::path::Path;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Plan};
use super::load::Load;
use super::network::{Cut, Link};
use super::trouble::{Came, Watch, started};

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
