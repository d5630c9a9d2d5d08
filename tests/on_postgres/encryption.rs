//! TLS to PostgreSQL, on a server that demands it and on one that does not know it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use kilonova::store::{Store, StoreError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::cluster::{Cluster, Plan};

/// Somebody who signs certificates.
type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Authority::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// A certificate and its key, in PEM. `common_name` is what PostgreSQL takes for the user.
fn signed(by: &Authority, host: &str, common_name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    let certificate = params.signed_by(&key, by).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// A server with a certificate for `localhost`, which lets nobody in over the network without TLS.
struct Encrypted {
    cluster: Cluster,
    port: u16,
    files: tempfile::TempDir,
}

fn free_port() -> u16 {
    // nobody else is given it soon
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port()
}

impl Encrypted {
    /// `access` is the method by which whoever comes over the network is let in.
    fn start(access: &str) -> Encrypted {
        let (ours, other) = (authority("ours"), authority("another"));
        let (certificate, key) = signed(&ours, "localhost", "localhost");
        let (own, own_key) = signed(&ours, "client", "postgres");
        let port = free_port();
        let settings = Plan::default().settings;
        let cluster = Cluster::with(Plan {
            settings: format!(
                "{settings} -c listen_addresses=127.0.0.1 -c ssl=on -c ssl_cert_file=server.pem -c ssl_key_file=server.key \
                 -c ssl_ca_file=ca.pem"
            ),
            access: Some(format!("local all all trust\nhostssl all all 127.0.0.1/32 {access}\n")),
            files: vec![("server.pem", certificate), ("server.key", key), ("ca.pem", ours.pem())],
            ports: [port, port],
            ..Plan::default()
        });
        cluster.sql("ALTER USER postgres PASSWORD 'h0rse'");
        let files = tempfile::tempdir().expect("a directory");
        let put = |name: &str, contents: &str| std::fs::write(files.path().join(name), contents).expect("a file");
        put("ca.pem", &ours.pem());
        put("another.pem", &other.pem());
        put("own.pem", &own);
        put("own.key", &own_key);
        Encrypted { cluster, port, files }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn url(&self, host: &str, query: &str) -> String {
        format!("postgres://postgres:h0rse@{host}:{}/kilonova?{query}", self.port)
    }

    fn verified(&self, mode: &str, roots: &str) -> String {
        format!("sslmode={mode}&sslrootcert={}", percent(&self.file(roots)))
    }

    /// How many of our connections are encrypted, and how many are not.
    fn connections(&self) -> (String, String) {
        let count = |ssl: bool| {
            self.cluster.sql(&format!(
                "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                 WHERE application_name = 'kilonova' AND ssl = {ssl}"
            ))
        };
        (count(true).trim().to_owned(), count(false).trim().to_owned())
    }
}

fn percent(path: &Path) -> String {
    path.to_str().expect("the path is in UTF-8").replace('/', "%2F")
}

async fn refusal(url: &str) -> String {
    let refusal = Store::postgres(url).await.err().unwrap_or_else(|| panic!("{url} lets us in")).to_string();
    assert!(!refusal.contains("h0rse"), "the password is in {refusal}");
    refusal
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_encrypted_as_the_url_says() {
    let server = tokio::task::spawn_blocking(|| Encrypted::start("scram-sha-256")).await.expect("a server");
    for (host, query) in [
        ("localhost", server.verified("verify-full", "ca.pem")),
        ("127.0.0.1", server.verified("verify-ca", "ca.pem")),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", "application_name=x".to_owned()),
    ] {
        let store = Store::postgres(&server.url(host, &query)).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        let one = store.read(|tx| tx.number("SELECT 1", &[])).await.expect("it can be read");
        assert_eq!(one, 1);
        let (encrypted, plain) = server.connections();
        assert!(encrypted != "0" && plain == "0", "{query}: {encrypted} are encrypted, {plain} are not");
        tokio::task::spawn_blocking(move || store.close()).await.expect("it can be closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_verified_is_refused_with_the_reason() {
    let server = tokio::task::spawn_blocking(|| Encrypted::start("scram-sha-256")).await.expect("a server");
    let wrong = refusal(&server.url("localhost", &server.verified("verify-full", "another.pem"))).await;
    assert!(wrong.contains("localhost: ") && wrong.contains("UnknownIssuer"), "{wrong}");
    let wrong = refusal(&server.url("127.0.0.1", &server.verified("verify-ca", "another.pem"))).await;
    assert!(wrong.contains("UnknownIssuer"), "{wrong}");
    // signed by whom we trust, for another host
    let wrong = refusal(&server.url("127.0.0.1", &server.verified("verify-full", "ca.pem"))).await;
    assert!(wrong.contains("not valid for name"), "{wrong}");
    let plain = refusal(&server.url("localhost", "sslmode=disable")).await;
    assert!(plain.contains("no encryption"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ours_lets_us_in() {
    let server = tokio::task::spawn_blocking(|| Encrypted::start("cert")).await.expect("a server");
    let verified = server.verified("verify-full", "ca.pem");
    let own = format!("&sslcert={}&sslkey={}", percent(&server.file("own.pem")), percent(&server.file("own.key")));
    let store = Store::postgres(&server.url("localhost", &format!("{verified}{own}"))).await;
    store.unwrap_or_else(|error| panic!("{error}"));
    let without = refusal(&server.url("localhost", &verified)).await;
    assert!(without.contains("certificate"), "{without}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_encryption_is_refused_where_it_is_required() {
    let port = free_port();
    let settings = format!("{} -c listen_addresses=127.0.0.1", Plan::default().settings);
    let plan = Plan { settings, ports: [port, port], ..Plan::default() };
    let _cluster = tokio::task::spawn_blocking(|| Cluster::with(plan)).await.expect("a server");
    let url = |query: &str| format!("postgres://postgres:h0rse@127.0.0.1:{port}/kilonova?{query}");
    let refused = refusal(&url("sslmode=require")).await;
    assert!(refused.contains("server does not support TLS"), "{refused}");
    let store: Result<Store, StoreError> = Store::postgres(&url("sslmode=prefer")).await;
    store.unwrap_or_else(|error| panic!("what is only preferred is done without: {error}"));
}
