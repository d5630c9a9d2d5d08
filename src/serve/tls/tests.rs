//! TLS from outside: real sockets, certificates made for the test, requests in both versions of the protocol.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use super::super::tests::{LONG, Running, SHORT, limits, start_over};
use super::super::{Ended, Limits};
use super::*;

const GET: &[u8] = b"GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";

/// A certificate for `localhost`, signed by itself, and its key.
struct Pair {
    certificate: String,
    key: String,
}

fn pair() -> Pair {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    Pair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

/// A pair in files.
struct Kept {
    directory: tempfile::TempDir,
    tls: Arc<Tls>,
}

impl Kept {
    fn new(pair: &Pair) -> Kept {
        let directory = tempfile::tempdir().expect("a temporary directory");
        put(directory.path(), pair);
        let tls = open(directory.path()).expect("the pair is sound");
        Kept { directory, tls: Arc::new(tls) }
    }

    fn put(&self, pair: &Pair) {
        put(self.directory.path(), pair);
    }
}

fn open(directory: &Path) -> Result<Tls, TlsError> {
    Tls::open(&directory.join("certificate.pem"), &directory.join("key.pem"))
}

/// As those who renew certificates do: new files in the place of the old ones.
fn put(directory: &Path, pair: &Pair) {
    for (name, text) in [("key.pem", &pair.key), ("certificate.pem", &pair.certificate)] {
        let beside = directory.join("new");
        std::fs::write(&beside, text).expect("a file");
        std::fs::rename(&beside, directory.join(name)).expect("a file");
    }
}

/// A client that trusts these certificates.
fn connector(trusted: &[&Pair], versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for pair in trusted {
        roots.add(CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM")).expect("a certificate");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(versions).expect("versions of this provider");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), ALPN.to_vec()];
    // every connection is to see the certificate that is in force
    config.resumption = rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

fn modern(trusted: &[&Pair]) -> TlsConnector {
    connector(trusted, &[&version::TLS13])
}

async fn connect(running: &Running, connector: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(running.address).await.expect("the street listens");
    connector.connect("localhost".try_into().expect("a name"), stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>, words: &[u8]) -> String {
    stream.write_all(words).await.expect("the connection is open");
    let mut heard = Vec::new();
    timeout(LONG, stream.read_to_end(&mut heard)).await.expect("it is closed").expect("in good order");
    String::from_utf8(heard).expect("text")
}

#[tokio::test]
async fn a_request_over_tls_is_answered_in_http_1_1() {
    let pair = pair();
    let running = start_over(Some(Kept::new(&pair).tls), limits()).await;
    for version in [&version::TLS12, &version::TLS13] {
        let mut stream = connect(&running, &connector(&[&pair], &[version])).await.expect("a certificate we trust");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(ALPN));
        let heard = ask(&mut stream, GET).await;
        assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
    }
}

#[tokio::test]
async fn plain_http_to_tls_is_closed_and_not_left_waiting() {
    let running = start_over(Some(Kept::new(&pair()).tls), limits()).await;
    let mut stream = TcpStream::connect(running.address).await.expect("the street listens");
    stream.write_all(GET).await.expect("it is open");
    let mut heard = Vec::new();
    // a reset is an end, too
    let _ = timeout(LONG, stream.read_to_end(&mut heard)).await.expect("it is closed");
    assert!(!heard.starts_with(b"HTTP/"), "{heard:?}");
}

#[tokio::test]
async fn a_handshake_has_the_time_that_headers_have() {
    let running = start_over(Some(Kept::new(&pair()).tls), Limits { header_timeout: SHORT, ..limits() }).await;
    let mut silent = TcpStream::connect(running.address).await.expect("the street listens");
    let mut heard = Vec::new();
    timeout(LONG, silent.read_to_end(&mut heard)).await.expect("it is closed").expect("without a reset");
}

#[tokio::test]
async fn a_handshake_is_a_connection_and_one_too_many_is_told_so_over_tls() {
    let pair = pair();
    let running = start_over(Some(Kept::new(&pair).tls), Limits { connections_max: 1, ..limits() }).await;
    let _silent = TcpStream::connect(running.address).await.expect("the street listens");
    let mut stream = connect(&running, &modern(&[&pair])).await.expect("a certificate we trust");
    let mut heard = Vec::new();
    // what is told ends the connection without the words of TLS for it
    let _ = timeout(LONG, stream.read_to_end(&mut heard)).await.expect("it is closed");
    assert!(heard.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&heard));
}

#[tokio::test]
async fn a_drain_does_not_wait_for_handshakes() {
    let running = start_over(Some(Kept::new(&pair()).tls), limits()).await;
    let _silent = TcpStream::connect(running.address).await.expect("the street listens");
    running.stop().await;
    assert_eq!(running.ended().await, Ended::Drained);
}

#[tokio::test]
async fn a_client_that_takes_no_bytes_of_tls_is_cut() {
    let pair = pair();
    let tls = Kept::new(&pair).tls;
    let running = start_over(Some(tls), Limits { body_timeout: SHORT, connections_max: 1, ..limits() }).await;
    let mut stream = connect(&running, &modern(&[&pair])).await.expect("a certificate we trust");
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: h\r\n\r\n").await.expect("it is open");
    stream.read_u8().await.expect("an answer begins");
    running.stop().await;
    assert_eq!(running.ended().await, Ended::Drained);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_load_without_a_lost_connection() {
    let pairs = [pair(), pair()];
    let kept = Kept::new(&pairs[0]);
    let running = Arc::new(start_over(Some(kept.tls.clone()), limits()).await);
    let trusting = modern(&[&pairs[0], &pairs[1]]);
    let mut lasting = connect(&running, &trusting).await.expect("a certificate we trust");
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (running, trusting) = (running.clone(), trusting.clone());
            let (stop, answered) = (stop.clone(), answered.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let mut stream = connect(&running, &trusting).await.expect("a certificate we trust");
                    let heard = ask(&mut stream, GET).await;
                    // the place of a connection is free a moment after its end
                    assert!(heard.starts_with("HTTP/1.1 200 ") || heard.starts_with("HTTP/1.1 503 "), "{heard}");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 1..=20 {
        let before = answered.load(Ordering::SeqCst);
        kept.put(&pairs[round % 2]);
        // whoever looks first, we or the street, reads it
        kept.tls.reload_if_changed().expect("the pair is sound");
        while answered.load(Ordering::SeqCst) < before + 3 && clients.iter().all(|client| !client.is_finished()) {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("no connection was lost");
    }
    assert!(ask(&mut lasting, GET).await.starts_with("HTTP/1.1 200 "), "an old connection goes on");
    kept.put(&pairs[1]);
    kept.tls.reload_if_changed().expect("the pair is sound");
    connect(&running, &modern(&[&pairs[1]])).await.expect("the new certificate");
    connect(&running, &modern(&[&pairs[0]])).await.expect_err("not the old one");
}

#[tokio::test]
async fn a_broken_new_pair_leaves_the_old_one_in_force_and_is_told_once() {
    let (old, new) = (pair(), pair());
    let kept = Kept::new(&old);
    let running = start_over(Some(kept.tls.clone()), limits()).await;
    let half = Pair { certificate: new.certificate.clone(), key: old.key.clone() };
    let empty = Pair { certificate: String::new(), key: new.key.clone() };
    for broken in [&half, &empty] {
        kept.put(broken);
        // the street may have looked first, and then there is nothing new
        let told = kept.tls.reload_if_changed();
        assert!(!matches!(told, Ok(true)), "a broken pair is not taken");
        assert!(matches!(kept.tls.reload_if_changed(), Ok(false)), "it is told once");
        connect(&running, &modern(&[&old])).await.expect("the old certificate");
    }
    kept.put(&new);
    kept.tls.reload_if_changed().expect("the pair is sound");
    connect(&running, &modern(&[&new])).await.expect("the new certificate");
}

#[test]
fn what_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let refusal = || open(directory.path()).err().expect("it is broken").to_string();
    assert!(refusal().contains("cannot read") && refusal().contains("certificate.pem"), "{}", refusal());
    let (one, other) = (pair(), pair());
    put(directory.path(), &Pair { certificate: one.certificate.clone(), key: "no key".into() });
    assert!(refusal().contains("key.pem has no private key in PEM"), "{}", refusal());
    put(directory.path(), &Pair { certificate: one.key.clone(), key: one.key.clone() });
    assert!(refusal().contains("certificate.pem has no certificate in PEM"), "{}", refusal());
    put(directory.path(), &Pair { certificate: one.certificate, key: other.key });
    assert!(refusal().contains("cannot be used: keys may not be consistent"), "{}", refusal());
}

#[test]
fn a_key_that_every_user_can_read_is_noticed() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let noticed = [0o600, 0o640, 0o644].map(|mode| {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("our file");
        others_may_read(file.path())
    });
    assert_eq!(noticed, [false, false, true]);
}
