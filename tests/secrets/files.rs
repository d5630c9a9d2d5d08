//! The files that a server makes.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::http;
use crate::server::{Server, kilonova, raw, text};

#[test]
fn every_file_is_for_its_owner_only_whatever_the_umask() {
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path();
    let server = Server::start(root, "json");
    busy_without_policy(&server);
    let data = root.join("data");
    closed(&data, &["kilonova.db", "kilonova.db-wal", "clouds.yaml", "token-keys/0", "kilonova.lock", "images"]);
    let run = |arguments: &[&str], more: &[&Path]| {
        let output = kilonova(arguments).arg("--data-dir").arg(&data).args(more).output().expect("the binary starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["db", "backup"], &[&root.join("backup")]);
    server.stop();
    run(&["db", "export"], &[&root.join("export.jsonl")]);
    closed(&data, &[]);
    closed(&root.join("backup"), &["kilonova.db"]);
    closed(&root.join("export.jsonl"), &[]);
    let restored =
        kilonova(&["db", "restore", "--data-dir"]).arg(root.join("restored")).arg(root.join("backup")).output();
    let restored = restored.expect("the binary starts");
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    closed(&root.join("restored"), &["kilonova.db"]);
}

/// Servers, an image with data, and a key pair.
fn busy_without_policy(server: &Server) {
    let token = http::log_in(server.address, &server.clouds(), "demo").expect("demo can log in");
    let mut demo = server.client(&token);
    assert_eq!(demo.ask("POST", "/v2.1/os-keypairs", r#"{"keypair": {"name": "k"}}"#).status(), 200);
    let image = r#"{"name": "i", "disk_format": "raw", "container_format": "bare"}"#;
    let id = text(&demo.ask("POST", "/image/v2/images", image), &["id"]);
    let data = "x".repeat(1 << 16);
    let request = format!(
        "PUT /image/v2/images/{id}/file HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {token}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{data}",
        data.len()
    );
    assert!(raw(server.address, &request).starts_with("HTTP/1.1 204"));
    // and one that was broken off
    let id = text(&demo.ask("POST", "/image/v2/images", image), &["id"]);
    let request = request.replace("Content-Length: 65536", "Content-Length: 99999999");
    let mut stream = TcpStream::connect(server.address).expect("it accepts connections");
    let head = request.split("/image/v2/images/").nth(1).and_then(|rest| rest.split_once('/')).expect("a path").1;
    stream.write_all(format!("PUT /image/v2/images/{id}/{head}").as_bytes()).expect("it reads");
}

/// Insists that what is there, and all below it, is closed to others; and that some of it is there at all.
#[track_caller]
fn closed(path: &Path, expected: &[&str]) {
    for name in expected {
        assert!(path.join(name).exists(), "{} has no {name}", path.display());
    }
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).expect("what is there can be looked at");
        let mode = meta.permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).expect("a directory").flatten().map(|entry| entry.path()));
        }
    }
}
