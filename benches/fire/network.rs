//! Networks of their own for servers: a namespace each, with a link to it that can be cut, or several on one network that can be lost one by
//! one. Linux, and only where one may.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A namespace, and the link that leads to it.
pub struct Link {
    /// The namespace's name.
    pub namespace: String,
    /// The address of whoever is in it.
    pub address: String,
    ours: String,
    theirs: String,
    our_address: String,
}

/// How a network fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The cable is pulled out.
    Unplugged,
    /// Packets are lost on the way, in both directions, and nobody is told.
    Silent,
}

/// Somebody's hardware address, who is not there.
const NOBODY: &str = "02:00:00:00:00:01";

impl Drop for Link {
    fn drop(&mut self) {
        // takes both ends of the link with it
        let _ = ip(&format!("netns del {}", self.namespace));
        let _ = ip(&format!("route del unreachable {}", self.net()));
    }
}

impl Link {
    /// Makes one; `None` where this machine does not let us.
    pub fn new() -> Option<Link> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (pid, number) = (std::process::id(), MADE.fetch_add(1, Ordering::SeqCst));
        // 198.18.0.0/15 is for measurements between networks (RFC 2544): four addresses for each link
        let place = (pid * 8 + number) % (1 << 15) * 4;
        let address = |offset: u32| {
            let at = place + offset;
            format!("198.{}.{}.{}", 18 + (at >> 16), (at >> 8) & 255, at & 255)
        };
        let link = Link {
            namespace: format!("knfire{pid}x{number}"),
            address: address(2),
            ours: format!("kn{pid}o{number}"),
            theirs: format!("kn{pid}t{number}"),
            our_address: address(1),
        };
        let Link { namespace, ours, theirs, .. } = &link;
        if !ip(&format!("netns add {namespace}")) {
            return None;
        }
        let commands = [
            format!("link add {ours} type veth peer name {theirs} netns {namespace}"),
            format!("addr add {}/30 dev {ours}", link.our_address),
            format!("link set {ours} up"),
            format!("-n {namespace} addr add {}/30 dev {theirs}", link.address),
            format!("-n {namespace} link set {theirs} up"),
            format!("-n {namespace} link set lo up"),
            // where the link is gone nothing goes by another way
            format!("route add unreachable {} metric 4278198272", link.net()),
        ];
        commands.iter().for_each(|command| must(command));
        Some(link)
    }

    fn net(&self) -> String {
        let (net, last) = self.our_address.rsplit_once('.').expect("an address has dots");
        format!("{net}.{}/30", last.parse::<u8>().expect("a number") - 1)
    }

    /// Cuts it.
    pub fn cut(&self, how: Cut) {
        let Link { namespace, ours, theirs, address, our_address } = self;
        match how {
            Cut::Unplugged => must(&format!("-n {namespace} link set {theirs} down")),
            Cut::Silent => {
                must(&format!("neigh replace {address} lladdr {NOBODY} dev {ours} nud permanent"));
                must(&format!("-n {namespace} neigh replace {our_address} lladdr {NOBODY} dev {theirs} nud permanent"));
            }
        }
    }

    /// Makes it whole again.
    pub fn mend(&self, how: Cut) {
        let Link { namespace, ours, theirs, address, our_address } = self;
        match how {
            Cut::Unplugged => must(&format!("-n {namespace} link set {theirs} up")),
            Cut::Silent => {
                must(&format!("neigh del {address} dev {ours}"));
                must(&format!("-n {namespace} neigh del {our_address} dev {theirs}"));
            }
        }
    }
}

/// Hosts on one network: each in a namespace of its own. All reach each other, and we reach all of them.
pub struct Network {
    bridge: String,
    hosts: Vec<Host>,
}

/// A host of a network.
pub struct Host {
    /// The namespace's name.
    pub namespace: String,
    /// Its address.
    pub address: String,
    plug: String,
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            // takes both ends of its cable with it
            let _ = ip(&format!("netns del {}", host.namespace));
        }
        let _ = ip(&format!("link del {}", self.bridge));
    }
}

impl Network {
    /// The network that hosts of ours are on, as `pg_hba.conf` names it.
    pub const RANGE: &str = "198.18.0.0/15";

    /// Makes one of so many hosts, 13 at the most; `None` where this machine does not let us.
    pub fn of(count: u32) -> Option<Network> {
        let pid = std::process::id();
        // sixteen addresses; the upper half of the range, so that links are seldom in the way
        let place = (pid % (1 << 12)) * 16;
        let address = |offset: u32| format!("198.19.{}.{}", (place + offset) >> 8, (place + offset) & 255);
        let mut network = Network { bridge: format!("kn{pid}b"), hosts: Vec::new() };
        if !ip(&format!("link add {} type bridge", network.bridge)) {
            return None;
        }
        let bridge = network.bridge.clone();
        must(&format!("addr add {}/28 dev {bridge}", address(1)));
        must(&format!("link set {bridge} up"));
        for number in 0..count {
            let host = Host {
                namespace: format!("knfire{pid}h{number}"),
                address: address(2 + number),
                plug: format!("kn{pid}p{number}"),
            };
            let Host { namespace, address, plug } = &host;
            if !ip(&format!("netns add {namespace}")) {
                return None;
            }
            let commands = [
                format!("link add {plug} type veth peer name eth0 netns {namespace}"),
                format!("link set {plug} master {bridge} up"),
                format!("-n {namespace} addr add {address}/28 dev eth0"),
                format!("-n {namespace} link set eth0 up"),
                format!("-n {namespace} link set lo up"),
            ];
            // known before its cable is made, so that it is removed whatever fails
            network.hosts.push(host);
            commands.iter().for_each(|command| must(command));
        }
        Some(network)
    }

    /// The hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Nobody reaches it any more, nor it anybody, and nobody is told.
    pub fn lose(&self, host: usize) {
        must(&format!("link set {} nomaster", self.hosts[host].plug));
    }

    /// It is on the network again.
    pub fn find(&self, host: usize) {
        must(&format!("link set {} master {}", self.hosts[host].plug, self.bridge));
    }
}

fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(words.split(' ')).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn must(words: &str) {
    assert!(ip(words), "ip {words}");
}
