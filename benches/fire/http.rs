//! A client with one connection that says what became of a request, and admits when it does not know.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kilonova::json::{self, Json};

/// Longer than any answer may take; a client that waits so long counts as a hang.
const HANG: Duration = Duration::from_secs(30);
/// How long a client waits behind a load balancer: longer than any server keeps a script waiting while its database is away, which is 5 s for its
/// turn and 10 s from then on. A request whose token is not remembered has two of them, but meets such a wait at one.
const HANG_BALANCED: Duration = Duration::from_secs(17);

/// Servers behind a load balancer, which knows of some that they are lost.
#[derive(Debug)]
pub struct Balancer {
    /// All of them.
    pub addresses: Vec<SocketAddr>,
    /// Of each that was lost or found again how often that was, together: odd while it is lost.
    turns: Mutex<HashMap<SocketAddr, u64>>,
}

impl Balancer {
    /// In front of these.
    pub fn of(addresses: Vec<SocketAddr>) -> Arc<Balancer> {
        Arc::new(Balancer { addresses, turns: Mutex::default() })
    }

    /// It is lost, or there again.
    pub fn turn(&self, address: SocketAddr) {
        *self.turns.lock().expect("nobody panics while holding it").entry(address).or_default() += 1;
    }

    fn turns_of(&self, address: SocketAddr) -> u64 {
        self.turns.lock().expect("nobody panics while holding it").get(&address).copied().unwrap_or(0)
    }

    fn is_lost(&self, address: SocketAddr) -> bool {
        self.turns_of(address) % 2 == 1
    }

    /// The next that is not lost.
    fn after(&self, address: SocketAddr) -> SocketAddr {
        let at = self.addresses.iter().position(|known| *known == address).unwrap_or(0);
        let next = self.addresses.iter().cycle().skip(at + 1).take(self.addresses.len());
        next.copied().find(|next| !self.is_lost(*next)).unwrap_or(address)
    }
}

/// What came of a request.
#[derive(Debug)]
pub enum Said {
    /// An answer: status, whether it says when to come back, body.
    Answer(u16, bool, Vec<u8>),
    /// No answer: the connection broke, or never was. What was asked for may have happened.
    Nothing,
    /// No answer for longer than anybody may be kept waiting.
    Hang,
}

impl Said {
    /// The status; 0 where there was none.
    pub fn status(&self) -> u16 {
        match self {
            Said::Answer(status, ..) => *status,
            Said::Nothing | Said::Hang => 0,
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Json> {
        match self {
            Said::Answer(_, _, body) => json::parse(body).ok(),
            Said::Nothing | Said::Hang => None,
        }
    }
}

/// Somebody who asks.
pub struct Client {
    address: SocketAddr,
    token: String,
    stream: Option<BufReader<TcpStream>>,
    balancer: Option<Arc<Balancer>>,
}

impl Client {
    /// With this token, which may be empty.
    pub fn new(address: SocketAddr, token: &str) -> Client {
        Client { address, token: token.to_owned(), stream: None, balancer: None }
    }

    /// Behind a load balancer, at one server until that one is lost.
    pub fn behind(balancer: &Arc<Balancer>, at: usize, token: &str) -> Client {
        let address = balancer.addresses[at % balancer.addresses.len()];
        Client { balancer: Some(balancer.clone()), ..Client::new(address, token) }
    }

    /// Whom it asks.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks, on the connection there is or on a new one.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Said {
        self.send(method, path, "application/json", body)
    }

    /// Asks with a body of another kind.
    pub fn send(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Said {
        let turns_before = self.balancer.as_ref().map(|balancer| balancer.turns_of(self.address));
        match self.exchange(method, path, kind, body) {
            Ok((status, retry, body, closes)) => {
                if closes {
                    self.stream = None;
                }
                Said::Answer(status, retry, body)
            }
            Err(error) => {
                self.stream = None;
                let mut hangs = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut].contains(&error.kind());
                if let Some(balancer) = &self.balancer {
                    // who is lost answers nobody, nor what was asked before, when it is there again
                    hangs &= !balancer.is_lost(self.address) && turns_before == Some(balancer.turns_of(self.address));
                    self.address = balancer.after(self.address);
                }
                if hangs { Said::Hang } else { Said::Nothing }
            }
        }
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
    ) -> std::io::Result<(u16, bool, Vec<u8>, bool)> {
        if self.stream.is_none() {
            let patience = if self.balancer.is_some() { HANG_BALANCED } else { HANG };
            let stream = TcpStream::connect_timeout(&self.address, patience)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(patience))?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut().expect("it was made in the lines before");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: fire\r\nX-Auth-Token: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes())?;
        read_answer(stream)
    }
}

fn read_answer(stream: &mut BufReader<TcpStream>) -> std::io::Result<(u16, bool, Vec<u8>, bool)> {
    let gone = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (mut status, mut length, mut retry, mut closes) = (0, 0, false, false);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(gone());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if status == 0 {
            status = line.get(9..12).and_then(|text| text.parse().ok()).ok_or_else(gone)?;
        } else if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().map_err(|_| gone())?,
                "retry-after" => retry = true,
                "connection" => closes = value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, retry, body, closes))
}

/// What logs in, with the password in a `clouds.yaml`.
pub fn login(clouds: &str, who: &str) -> Option<String> {
    let password =
        clouds.split(&format!("username: {who}\n")).nth(1)?.split("password: ").nth(1)?.lines().next()?.trim();
    Some(format!(
        r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "{who}", "domain": {{"id": "default"}}, "password": "{password}"}}}}}}, "scope": {{"project": {{"name": "{who}", "domain": {{"id": "default"}}}}}}}}}}"#
    ))
}

/// Logs in with the password in a `clouds.yaml`; gives the token.
pub fn log_in(address: SocketAddr, clouds: &str, who: &str) -> Option<String> {
    let body = login(clouds, who)?;
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(HANG)).ok()?;
    write!(
        stream,
        "POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: fire\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-subject-token").then(|| value.trim().to_owned())
    })
}

/// Has a token revoked by whoever holds it; the status.
pub fn revoke(address: SocketAddr, token: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(HANG)).ok()?;
    write!(
        stream,
        "DELETE /identity/v3/auth/tokens HTTP/1.1\r\nHost: fire\r\nX-Auth-Token: {token}\r\nX-Subject-Token: {token}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.get(9..12)?.parse().ok()
}
