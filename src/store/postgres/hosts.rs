//! Where the database may be: the hosts of its URL, tried one by one, each with a time limit of its own, because a host that accepts
//! connections and then says nothing must not keep us from the next one.

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

/// One configuration per host.
#[derive(Clone)]
pub struct Hosts {
    each: Vec<Config>,
    encryption: Encryption,
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
        Ok(Hosts { each: (0..places).map(one).collect(), encryption })
    }

    /// In the order of the URL.
    pub fn each(&self) -> impl Iterator<Item = &Config> {
        self.each.iter()
    }

    /// What encrypts connections to them.
    ///
    /// # Errors
    /// `Unavailable` where a file that the URL names cannot be used.
    pub fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        self.encryption.connector()
    }
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
        let seen: Vec<_> = hosts.each().map(|one| (one.get_hosts().to_vec(), one.get_ports().to_vec())).collect();
        let tcp = |name: &str| vec![Host::Tcp(name.into())];
        assert_eq!(seen, [(tcp("one"), vec![1]), (tcp("two"), vec![2])]);
    }

    #[test]
    fn what_is_no_url_is_refused_without_quoting_it() {
        let refused = Hosts::of("postgres://me:secret@[/db").err().expect("it is none").to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
