//! The log and the output of a server that has been through much.

use std::fs;
use std::path::Path;

use crate::busy::busy;
use crate::forms::{CHANGED, IDENTITY, REMOTE, SAID, has_none};
use crate::http;
use crate::server::{Server, raw};

/// A rule that asks another server, which is not there.
pub fn with_a_remote_rule(root: &Path) {
    fs::create_dir_all(root.join("data")).expect("a directory");
    let rule = format!("\"os_compute_api:limits\": \"http://asker:{REMOTE}@127.0.0.1:1/check?key=x\"\n");
    fs::write(root.join("data/policy.yaml"), rule).expect("a policy file");
}

#[test]
fn a_log_has_no_secret_in_it_whatever_happens() {
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path();
    with_a_remote_rule(root);
    let server = Server::start(root, "json");
    let mut secrets = busy(&server);
    server.stop();
    // what is damaged is told of, and not shown
    let damage = rusqlite::Connection::open(root.join("data/kilonova.db")).expect("the database");
    let count =
        damage.execute("UPDATE servers SET details = details || 'x', metadata = metadata || 'x'", ()).expect("servers");
    assert!(count > 0);
    damage.execute("UPDATE users SET extra = extra || 'x' WHERE name = 'joe'", ()).expect("a user");
    drop(damage);
    let server = Server::start(root, "human");
    let clouds = server.clouds();
    let token = http::log_in(server.address, &clouds, "admin").expect("admin can log in");
    let mut admin = server.client(&token);
    for path in ["/v2.1/servers/detail?all_tenants=1", "/identity/v3/users"] {
        assert_eq!(admin.ask("GET", path, "").status(), 503, "{path}");
    }
    secrets.push(token);
    server.stop();
    // an id longer than any can be, with what somebody has typed into the wrong field of an export
    let damage = rusqlite::Connection::open(root.join("data/kilonova.db")).expect("the database");
    let id = IDENTITY.repeat(6);
    let domain = "INSERT INTO domains (id, name, description, enabled, extra) VALUES (?1, 'd', '', 1, '{}')";
    for sql in [domain, "UPDATE users SET domain_id = ?1 WHERE name = 'joe'"] {
        assert_eq!(damage.execute(sql, (&id,)).expect("a damaged id"), 1, "{sql}");
    }
    drop(damage);
    let server = Server::start(root, "json");
    let body = format!(
        r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "joe", "domain": {{"name": "d"}}, "password": "{CHANGED}"}}}}}}}}}}"#
    );
    let answer = raw(
        server.address,
        &format!(
            "POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    let token =
        answer.lines().find_map(|line| line.to_lowercase().starts_with("x-subject-token:").then(|| &line[16..]));
    let token = token.expect("who logs in needs no more than the row of their domain").trim();
    assert_eq!(server.client(token).ask("GET", "/identity/v3/auth/projects", "").status(), 503);
    secrets.push(token.to_owned());
    server.stop();
    for key in fs::read_dir(root.join("data/token-keys")).expect("keys").flatten() {
        let key = fs::read_to_string(key.path()).expect("a key is text").trim().to_owned();
        secrets.extend((key.len() > 20).then_some(key));
    }
    secrets.extend(SAID.iter().map(|secret| (*secret).to_owned()));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("what it has said");
    let log = read("stderr");
    for expected in [
        "POST",
        "/identity/v3/auth/tokens",
        "could not be decided",
        "the store did not do it",
        "domain id: 84 bytes",
        "stopping",
    ] {
        assert!(log.contains(expected), "the log should tell of {expected}: {log}");
    }
    has_none("the log", &log, &secrets);
    has_none("the output", &read("stdout"), &secrets);
}
