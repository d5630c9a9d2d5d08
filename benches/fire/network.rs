//! Networks of their own for database servers: a namespace each, with a link to it that can be cut. Linux, and only where one may.

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

fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(words.split(' ')).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn must(words: &str) {
    assert!(ip(words), "ip {words}");
}
