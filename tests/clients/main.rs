//! Real, unmodified clients against the built binary: the OpenStack command line, apache-libcloud (OpenStack and Rackspace), and a raw
//! socket that asks the recorded cases over the wire. What they need is installed once, by `pip`, below `target/`.
//!
//! Each script beside this file is plain Python and can be run by hand against any cloud; its first line says how.

mod python;
mod server;

use std::collections::BTreeSet;
use std::io::BufRead;

use python::Script;
use server::Server;

#[test]
fn the_openstack_command_line_manages_images_and_servers() {
    let server = Server::start();
    Script::new("openstack_cli.py").clouds(&server).succeeds();
}

#[test]
fn libcloud_manages_servers_and_their_metadata() {
    let server = Server::start();
    Script::new("libcloud_openstack.py").arg(&server.url).clouds(&server).succeeds();
}

#[test]
fn libcloud_for_rackspace_finds_its_way_by_identity_v2() {
    let server = Server::start();
    Script::new("libcloud_rackspace.py").arg(&server.url).clouds(&server).succeeds();
}

/// The cases that run in process in `it` run here over a socket, so that nothing between the two changes an answer.
#[test]
fn recorded_cases_are_answered_alike_over_the_wire() {
    let server = Server::start();
    let target = server.directory().join("target.json");
    let identity = format!("{}/identity/v3", server.url);
    let seed = Script::new("seed.py").arg("--auth-url").arg(&identity).arg("--password").arg(server.password("admin"));
    seed.arg("--out").path(&target).succeeds();
    let compare = Script::new("compare.py").arg("--bytes").arg("--quiet").arg("--b").path(&target);
    let compare = compare.arg("--cases").path(&conformance("cases.json"));
    let output = compare.arg("--answers").path(&conformance("nova-34-answers.json")).output();
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().filter_map(|line| line.strip_prefix("DIFF ")?.split(' ').next());
    let found: BTreeSet<String> = found.map(str::to_owned).collect();
    assert!(text.contains("0 skipped"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(found, chosen(), "the differences over the wire are not those of differences.toml:\n{text}");
}

#[test]
fn a_server_that_is_asked_to_end_ends_well_and_starts_again() {
    let mut server = Server::start();
    assert_eq!(server.terminate(), Some(0));
    server.start_again();
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_second_server_on_the_same_directory_is_refused_in_a_sentence() {
    let server = Server::start();
    let (code, words) =
        kilonova(&["serve", "--listen", "127.0.0.1:0", "--log-format", "human", "--data-dir"], server.directory());
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("in use by another kilonova"), "{words}");
    assert!(words.contains(server.directory().to_str().expect("a name in UTF-8")), "{words}");
}

#[test]
fn what_the_first_start_writes_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start();
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&server.clouds_yaml()), 0o600);
    assert_eq!(mode(&server.directory().join("kilonova.db")), 0o600);
    for key in std::fs::read_dir(server.directory().join("token-keys")).expect("token keys") {
        let path = key.expect("a file").path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_wrong_setting_is_refused_with_its_name_its_value_and_what_is_allowed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (code, words) = kilonova(&["serve", "--password-hash-rounds", "99", "--data-dir"], directory.path());
    assert_eq!(code, Some(2), "{words}");
    for part in ["password-hash-rounds", "99", "16"] {
        assert!(words.contains(part), "{part} is not in: {words}");
    }
}

/// Runs the binary to its end: its exit code, and all it said.
fn kilonova(arguments: &[&str], directory: &std::path::Path) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kilonova"));
    let output = command.args(arguments).arg(directory).output().expect("the binary can be started");
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), words)
}

/// `kill -9` while somebody writes: after the next start all that was acknowledged is there.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    let mut server = Server::start();
    let note = server.directory().join("written.json");
    let mut writer = Script::new("writer.py").arg("write").arg(&server.url).path(&note).clouds(&server).spawn();
    let lines = std::io::BufReader::new(writer.stdout.take().expect("its output is a pipe")).lines();
    let acknowledged = lines.take(200).filter(|line| line.is_ok()).count();
    assert_eq!(acknowledged, 200, "the writer ended early");
    server.kill();
    assert!(writer.wait().expect("the writer ends when its server does").success());
    server.start_again();
    Script::new("writer.py").arg("check").arg(&server.url).path(&note).clouds(&server).succeeds();
}

fn conformance(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance").join(name)
}

/// The recorded cases that this server answers otherwise by choice.
fn chosen() -> BTreeSet<String> {
    let list = std::fs::read_to_string(conformance("differences.toml")).expect("the list can be read");
    let list: toml::Table = list.parse().expect("the list is TOML");
    let rows = list["difference"].as_array().expect("rows").iter();
    let cases = rows.filter_map(|row| row.get("cases")).filter_map(toml::Value::as_array).flatten();
    cases.map(|case| case.as_str().expect("an id").to_owned()).collect()
}
