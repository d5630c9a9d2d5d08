//! The password of the database: in a URL that nobody answers, and in one that PostgreSQL answers, rightly, wrongly, and no longer.

use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::busy::busy;
use crate::cluster::{Cluster, Plan};
use crate::forms::{DATABASE, SAID, has_none};
use crate::http;
use crate::log::with_a_remote_rule;
use crate::server::{Server, kilonova};

/// Longer than anything here takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_password_of_the_database_is_shown_nowhere() {
    let root = tempfile::tempdir().expect("a directory");
    let url = format!("postgres://kilonova:{DATABASE}@127.0.0.1:1,127.0.0.1:2/nova");
    let data = root.path().join("data");
    let with_url = |arguments: &[&str], url: &str| -> Output {
        let mut command = kilonova(arguments);
        command.arg("--data-dir").arg(&data).env("KILONOVA_DATABASE", url).env("KILONOVA_LOG_LEVEL", "trace");
        command.output().expect("the binary starts")
    };
    for arguments in
        [&["serve", "--listen", "127.0.0.1:0"][..], &["config", "show"], &["db", "check"], &["db", "export", "-"]]
    {
        for url in [
            url.clone(),
            url.replace("postgres", "postgress"),
            url.replace(":1,", ":x,"),
            format!("{url}?x=y&password={DATABASE}"),
        ] {
            let output = with_url(arguments, &url);
            let secrets = [DATABASE.to_owned()];
            has_none(&format!("{arguments:?} on stdout"), &String::from_utf8_lossy(&output.stdout), &secrets);
            has_none(&format!("{arguments:?} on stderr"), &String::from_utf8_lossy(&output.stderr), &secrets);
            assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{arguments:?} says something");
        }
    }
}

/// A server that lets `nova` in by its password.
fn cluster() -> (Cluster, String) {
    // nobody else is given it soon
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let cluster = Cluster::with(Plan {
        settings: format!("{} -c listen_addresses=127.0.0.1", Plan::default().settings),
        access: Some("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n".into()),
        ports: [port, port],
        ..Plan::default()
    });
    cluster.sql(&format!("CREATE ROLE nova LOGIN PASSWORD '{DATABASE}'"));
    cluster.sql("ALTER DATABASE kilonova OWNER TO nova");
    cluster.sql("ALTER SCHEMA public OWNER TO nova");
    (cluster, format!("postgres://nova:{DATABASE}@127.0.0.1:{port}/kilonova"))
}

#[test]
fn a_log_beside_postgresql_has_no_secret_in_it_whatever_becomes_of_the_database() {
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path();
    with_a_remote_rule(root);
    let (cluster, url) = cluster();
    let server = Server::with(root, &["--log-level", "trace", "--log-format", "json"], Some(&url));
    let mut secrets = busy(&server);
    let token = secrets.iter().find(|secret| secret.starts_with("gAAAA")).expect("a token").clone();
    let mut admin = server.client(&token);
    let asks = |client: &mut http::Client, wanted: &[u16]| {
        for (method, path, body) in [
            ("GET", "/v2.1/servers/detail?all_tenants=1", String::new()),
            ("POST", "/identity/v3/users", format!(r#"{{"user": {{"name": "jim", "password": "{DATABASE}"}}}}"#)),
        ] {
            let said = client.ask(method, path, &body);
            assert!(wanted.contains(&said.status()), "{method} {path}: {said:?}");
        }
    };
    // it goes away
    cluster.stop("immediate");
    asks(&mut admin, &[503]);
    cluster.start_again();
    // it is there, and knows another password
    cluster.sql("ALTER ROLE nova PASSWORD 'another'");
    // for a moment nobody tries, because it was not there
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(root.join("stderr")).expect("what it has said").contains("28P01") {
        assert!(Instant::now() < deadline, "nobody tries the password");
        asks(&mut admin, &[503]);
    }
    cluster.sql(&format!("ALTER ROLE nova PASSWORD '{DATABASE}'"));
    server.stop();
    // all over again at the level below, and in the form for eyes
    let server = Server::with(root, &["--log-level", "debug", "--log-format", "human"], Some(&url));
    let token = http::log_in(server.address, &server.clouds(), "admin").expect("admin can log in");
    // a name that is there already: PostgreSQL's words on it show the row
    asks(&mut server.client(&token), &[200, 201, 409]);
    cluster.stop("immediate");
    asks(&mut server.client(&token), &[503]);
    server.stop();
    secrets.push(token);
    secrets.extend(SAID.iter().map(|secret| (*secret).to_owned()));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("what it has said");
    let log = read("stderr");
    for expected in ["could not be looked up", "28P01", "/identity/v3/auth/tokens", "stopping"] {
        assert!(log.contains(expected), "the log should tell of {expected}: {log}");
    }
    has_none("the log", &log, &secrets);
    has_none("the output", &read("stdout"), &secrets);
}
