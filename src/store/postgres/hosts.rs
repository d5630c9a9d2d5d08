//! Where the database may be: the hosts of its URL, tried one by one, each with a time limit of its own, because a host that accepts
//! connections and then says nothing must not keep us from the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::encryption::Encryption;
use crate::store::engine::StoreError;

/// How long a connection may be quiet before the system asks whether the other side is still there, and how long it then waits for an
/// answer: a network that is cut, or a machine that is gone, ends no connection.
const QUIET: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_secs(1);
const ASK_MOST: u32 = 3;
/// How long something sent may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(4);

/// One configuration per host, and where the process is.
///
/// All connections of a process are to one host. Two may take writes at once, where one was left behind by a failover and nobody told it: on
/// that one no commit is acknowledged, but whoever reads there reads what was. So whoever loses a connection moves everybody, and others
/// follow before they ask anything more. That holds where there is one host as well: behind one name there may be several servers.
#[derive(Clone)]
pub struct Hosts {
    each: Vec<Config>,
    encryption: Encryption,
    at: Arc<AtomicU64>,
}

/// Where the process is, or was: a host, and how often everybody had moved before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat(u64);

/// So many bits of a seat are the place of its host in the URL.
const PLACE_BITS: u32 = 16;

impl Seat {
    fn place(self) -> usize {
        usize::try_from(self.0 & ((1 << PLACE_BITS) - 1)).expect("sixteen bits")
    }

    /// The seat of whoever moves on from this one.
    fn next(self, place: usize) -> Seat {
        Seat((self.0 >> PLACE_BITS).wrapping_add(1) << PLACE_BITS | place as u64)
    }
}

impl Hosts {
    /// Those of `postgres://user@host1,host2/database`.
    ///
    /// # Errors
    /// `Unavailable` where the URL is not one.
    pub fn of(url: &str) -> Result<Hosts, StoreError> {
        let (encryption, url) = Encryption::of(url)?;
        let all: Config = url.parse().map_err(|_| {
            // the error of the parser may quote the URL, and with it a password
            StoreError::Unavailable("the database URL is not one that PostgreSQL's clients read".into())
        })?;
        let ports = all.get_ports();
        let port_of = |index: usize| ports.get(index).or(ports.first()).copied();
        let places = all.get_hosts().len().max(all.get_hostaddrs().len());
        let one = |index| one_of(&all, index, port_of(index), encryption.mode());
        Ok(Hosts { each: (0..places).map(one).collect(), encryption, at: Arc::default() })
    }

    /// Where the process is.
    pub fn seat(&self) -> Seat {
        Seat(self.at.load(Ordering::SeqCst))
    }

    /// With their places in the URL, in its order, beginning with that of a seat.
    pub fn each(&self, from: Seat) -> impl Iterator<Item = (usize, &Config)> {
        self.each.iter().enumerate().cycle().skip(from.place()).take(self.each.len())
    }

    /// Takes a seat at a host that was found when everybody was at `from`: from now on all connections are there. None where everybody has
    /// moved meanwhile: then there may be something newer elsewhere.
    pub fn take(&self, from: Seat, place: usize) -> Option<Seat> {
        let seat = if place == from.place() { from } else { from.next(place) };
        let taken = self.at.compare_exchange(from.0, seat.0, Ordering::SeqCst, Ordering::SeqCst);
        taken.is_ok().then_some(seat)
    }

    /// A connection from this seat is lost: where everybody is still there, everybody leaves, and the next host is tried first.
    pub fn leave(&self, seat: Seat) {
        let next = seat.next((seat.place() + 1) % self.each.len().max(1));
        // where another has moved everybody meanwhile, that is as good
        let _ = self.at.compare_exchange(seat.0, next.0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Whether this is where the process is.
    pub fn is_at(&self, seat: Seat) -> bool {
        self.seat() == seat
    }

    /// What encrypts connections to them.
    ///
    /// # Errors
    /// `Unavailable` where a file that the URL names cannot be used.
    pub fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        self.encryption.connector()
    }
}

/// The same host, whether or not it takes writes.
pub fn for_reading(host: &Config) -> Config {
    let mut host = host.clone();
    host.target_session_attrs(TargetSessionAttrs::Any);
    host
}

/// What people call a host.
pub fn name(host: &Config) -> String {
    match (host.get_hosts().first(), host.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) => name.clone(),
        (Some(Host::Unix(path)), _) => path.display().to_string(),
        (None, Some(address)) => address.to_string(),
        (None, None) => String::new(),
    }
}

fn one_of(all: &Config, index: usize, port: Option<u16>, encrypted: SslMode) -> Config {
    let mut one = Config::new();
    match all.get_hosts().get(index) {
        Some(Host::Tcp(name)) => _ = one.host(name.as_str()).ssl_mode(encrypted),
        // what does not leave the machine is not encrypted, as with PostgreSQL's own clients
        Some(Host::Unix(path)) => _ = one.host_path(path).ssl_mode(SslMode::Disable),
        None => _ = one.ssl_mode(encrypted),
    }
    if let Some(address) = all.get_hostaddrs().get(index) {
        one.hostaddr(*address);
    }
    if let Some(port) = port {
        one.port(port);
    }
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(database) = all.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    one.channel_binding(all.get_channel_binding());
    one.keepalives_idle(QUIET).keepalives_interval(ASK_AGAIN).keepalives_retries(ASK_MOST);
    one.tcp_user_timeout(UNACKNOWLEDGED);
    one.application_name("kilonova").target_session_attrs(TargetSessionAttrs::ReadWrite);
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_of_a_url_is_tried_alone_with_its_port() {
        let hosts = Hosts::of("postgres://me:secret@one:1,two:2/db").expect("a URL");
        let seen: Vec<_> =
            hosts.each(hosts.seat()).map(|(_, one)| (one.get_hosts().to_vec(), one.get_ports().to_vec())).collect();
        let tcp = |name: &str| vec![Host::Tcp(name.into())];
        assert_eq!(seen, [(tcp("one"), vec![1]), (tcp("two"), vec![2])]);
    }

    #[test]
    fn whoever_loses_a_connection_moves_everybody_to_the_next_host_and_once_only() {
        let hosts = Hosts::of("postgres://me@one,two,three/db").expect("a URL");
        let order = |hosts: &Hosts| hosts.each(hosts.seat()).map(|(place, _)| place).collect::<Vec<_>>();
        let others = hosts.clone();
        let seat = hosts.seat();
        hosts.leave(seat);
        others.leave(seat);
        assert_eq!((order(&hosts), order(&others)), (vec![1, 2, 0], vec![1, 2, 0]));
        let third = others.take(others.seat(), 2).expect("nobody has moved meanwhile");
        assert!(hosts.is_at(third) && !hosts.is_at(seat));
        hosts.leave(third);
        assert_eq!(order(&others), [0, 1, 2]);
    }

    #[test]
    fn who_was_slow_to_connect_does_not_bring_everybody_back() {
        let hosts = Hosts::of("postgres://me@one,two/db").expect("a URL");
        let before = hosts.seat();
        hosts.leave(before);
        let second = hosts.take(hosts.seat(), 1).expect("nobody has moved meanwhile");
        assert_eq!(hosts.take(before, 0), None);
        assert!(hosts.is_at(second));
    }

    #[test]
    fn everybody_leaves_the_only_host_too() {
        let hosts = Hosts::of("postgres://me@proxy/db").expect("a URL");
        let seat = hosts.seat();
        assert_eq!(hosts.take(seat, 0), Some(seat));
        hosts.leave(seat);
        assert!(!hosts.is_at(seat));
        let again = hosts.take(hosts.seat(), 0).expect("nobody has moved meanwhile");
        assert!(hosts.is_at(again) && again != seat);
    }

    #[test]
    fn what_is_no_url_is_refused_without_quoting_it() {
        let refused = Hosts::of("postgres://me:secret@[/db").err().expect("it is none").to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
