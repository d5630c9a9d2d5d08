//! What a real process leaves for others to read: neither its log nor its output has a secret in it, at the most talkative level and
//! when things go wrong; and every file it makes is for its owner only, whatever the umask says.

// the programs in `benches` use the rest of it
#[allow(dead_code)]
#[path = "../benches/fire/http.rs"]
mod http;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kilonova::json::Json;

/// What is secret of what this test says, each different from all else: a text that is found says where it came from.
const RIGHT: &str = "SecretRightPassword01";
const WRONG: &str = "SecretWrongPassword02";
const CHANGED: &str = "SecretChangedPassword03";
const CREDENTIAL: &str = "SecretOfACredential04";
const ADMIN_PASS: &str = "SecretAdminPass05";
const USER_DATA: &str = "SecretUserData06 #cloud-config password";
const PERSONALITY: &str = "SecretPersonality07";
const EXTRA: &str = "SecretExtraMember08";
const REMOTE: &str = "SecretOfARemoteCheck09";
const DATABASE: &str = "SecretOfTheDatabase10";
const METADATA: &str = "SecretInMetadata11";
const QUERY: &str = "SecretInAQuery12";
const HEADER: &str = "SecretInAHeader13";
const SAID: &[&str] = &[
    RIGHT,
    WRONG,
    CHANGED,
    CREDENTIAL,
    ADMIN_PASS,
    USER_DATA,
    PERSONALITY,
    EXTRA,
    REMOTE,
    DATABASE,
    METADATA,
    QUERY,
    HEADER,
];

/// A server in a directory of the test, with all it says kept in files there.
struct Server {
    root: PathBuf,
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(root: &Path, format: &str) -> Server {
        let log = File::options().create(true).append(true).open(root.join("stderr")).expect("a file");
        let mut command =
            kilonova(&["serve", "--listen", "127.0.0.1:0", "--log-level", "trace", "--log-format", format]);
        command.args(["--password-hash-rounds", "4", "--data-dir"]).arg(root.join("data"));
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary starts");
        let mut output = BufReader::new(child.stdout.take().expect("it has a standard output"));
        let (mut said, mut line) = (String::new(), String::new());
        output.read_line(&mut line).expect("it says that it is ready");
        said.push_str(&line);
        let address = line.rsplit("http://").next().and_then(|text| text.trim().parse().ok());
        let out = root.join("stdout");
        std::thread::spawn(move || {
            let _ = output.read_to_string(&mut said);
            let _ = fs::write(out, said);
        });
        Server { root: root.to_owned(), child, address: address.expect("an address") }
    }

    fn client(&self, token: &str) -> http::Client {
        http::Client::new(self.address, token)
    }

    fn clouds(&self) -> String {
        fs::read_to_string(self.root.join("data/clouds.yaml")).expect("the first start writes it")
    }

    /// Asks it to end, so that its last lines are written.
    fn stop(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(asked.success());
        self.child.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // one that has ended already is as good
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, under the most careless umask there is.
fn kilonova(arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"umask 000; exec "$0" "$@""#, env!("CARGO_BIN_EXE_kilonova")]).args(arguments);
    command
}

/// The text at a path of members in an answer.
#[track_caller]
fn text(said: &http::Said, path: &[&str]) -> String {
    let json = said.json().unwrap_or_else(|| panic!("no JSON: {said:?}"));
    let found = path.iter().try_fold(&json, |json, name| json.get(name));
    found.and_then(Json::as_str).unwrap_or_else(|| panic!("no {path:?} in {json}")).to_owned()
}

/// Sends bytes as they are; says what came back.
fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it accepts connections");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    // a server that hangs up has answered too
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Everything that has to do with secrets, done rightly and wrongly; the secrets that the server made up.
fn busy(server: &Server) -> Vec<String> {
    let clouds = server.clouds();
    let mut made: Vec<String> =
        clouds.lines().filter_map(|line| line.trim().strip_prefix("password: ")).map(str::to_owned).collect();
    assert_eq!(made.len(), 2, "{clouds}");
    let token = http::log_in(server.address, &clouds, "admin").expect("admin can log in");
    let mut admin = server.client(&token);
    let mut nobody = server.client("");
    made.push(token);
    let user = format!(r#"{{"user": {{"name": "joe", "password": "{RIGHT}", "note": "{EXTRA}"}}}}"#);
    let user = text(&admin.ask("POST", "/identity/v3/users", &user), &["user", "id"]);
    // again, and wrongly
    assert_eq!(
        admin
            .ask("POST", "/identity/v3/users", &format!(r#"{{"user": {{"name": "joe", "password": "{RIGHT}"}}}}"#))
            .status(),
        409
    );
    assert_eq!(
        admin
            .ask("POST", "/identity/v3/users", &format!(r#"{{"user": {{"name": 5, "password": "{RIGHT}"}}}}"#))
            .status(),
        400
    );
    for body in [
        format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"id": "{user}", "password": "{WRONG}"}}}}}}}}}}"#
        ),
        format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"id": "{user}", "password": ["{WRONG}"]}}}}}}}}}}"#
        ),
        format!(r#"{{"auth": {{"identity": {{"methods": ["password"], "password": "{WRONG}"}}}}}}"#),
        format!(r#"{{"auth": {{"identity": {{"methods": ["{WRONG}"]}}}}}}"#),
        format!(r#"{{"auth": "{WRONG}" "#),
    ] {
        let status = nobody.ask("POST", "/identity/v3/auth/tokens", &body).status();
        assert!(matches!(status, 400 | 401), "{body}: {status}");
    }
    let body = format!(r#"{{"user": {{"original_password": "{WRONG}", "password": "{CHANGED}"}}}}"#);
    let path = format!("/identity/v3/users/{user}/password");
    assert_eq!(nobody.ask("POST", &path, &body).status(), 401);
    assert_eq!(nobody.ask("POST", &path, &body.replace(WRONG, RIGHT)).status(), 204);
    let me = text(&admin.ask("GET", "/identity/v3/users?name=admin", ""), &["links", "self"]);
    assert!(me.contains("name=admin"));
    // demo's own: an application credential, an API key, a key pair, servers
    let token = http::log_in(server.address, &clouds, "demo").expect("demo can log in");
    let mut demo = server.client(&token);
    made.push(token.clone());
    let keys = demo.ask("GET", "/v2.1/os-keypairs", "");
    assert_eq!(keys.status(), 200);
    let said = demo.ask("POST", "/v2.1/os-keypairs", r#"{"keypair": {"name": "k"}}"#);
    let private = text(&said, &["keypair", "private_key"]);
    made.extend(private.lines().filter(|line| line.len() > 40 && !line.starts_with("---")).skip(1).map(str::to_owned));
    let demo_id = text(&said, &["keypair", "user_id"]);
    let path = format!("/identity/v3/users/{demo_id}/application_credentials");
    let body = format!(r#"{{"application_credential": {{"name": "mine", "secret": "{CREDENTIAL}"}}}}"#);
    assert_eq!(demo.ask("POST", &path, &body).status(), 201);
    assert_eq!(demo.ask("POST", &path, &body).status(), 409);
    made.push(text(
        &demo.ask("POST", &path, r#"{"application_credential": {"name": "other"}}"#),
        &["application_credential", "secret"],
    ));
    let path =
        format!("/identity/v2.0/users/{demo_id}/OS-KSADM/credentials/RAX-KSKEY:apiKeyCredentials/RAX-AUTH/reset");
    made.push(text(&demo.ask("POST", &path, ""), &["RAX-KSKEY:apiKeyCredentials", "apiKey"]));
    let images = demo.ask("GET", "/image/v2/images", "").json().expect("JSON");
    let image =
        images.get("images").and_then(Json::as_array).and_then(|images| images[0].get("id")?.as_str()).expect("one");
    let server_body = |more: &str| {
        format!(
            r#"{{"server": {{"name": "s", "imageRef": "{image}", "flavorRef": "1", "metadata": {{"k": "{METADATA}"}}, "user_data": "{}"{more}}}}}"#,
            STANDARD.encode(USER_DATA)
        )
    };
    let files = format!(r#", "personality": [{{"path": "/a", "contents": "{}"}}]"#, STANDARD.encode(PERSONALITY));
    let said = demo.ask("POST", "/v2.1/servers", &server_body(&files));
    made.push(text(&said, &["server", "adminPass"]));
    let id = text(&said, &["server", "id"]);
    assert_eq!(
        demo.ask("POST", "/v2.1/servers", &server_body(&format!(r#", "adminPass": "{ADMIN_PASS}""#))).status(),
        202
    );
    assert_eq!(
        demo.ask("POST", "/v2.1/servers", &server_body(&format!(r#", "adminPass": ["{ADMIN_PASS}"]"#))).status(),
        400
    );
    // it is up when its work is done
    let path = format!("/v2.1/servers/{id}");
    while text(&demo.ask("GET", &path, ""), &["server", "status"]) == "BUILD" {
        std::thread::yield_now();
    }
    for body in [
        format!(r#"{{"changePassword": {{"adminPass": "{ADMIN_PASS}"}}}}"#),
        format!(r#"{{"rescue": {{"adminPass": "{ADMIN_PASS}"}}}}"#),
        format!(r#"{{"rebuild": {{"imageRef": "{image}", "adminPass": "{ADMIN_PASS}"}}}}"#),
        format!(r#"{{"changePassword": {{"adminPass": {{"{ADMIN_PASS}": 1}}}}}}"#),
    ] {
        let status = demo.ask("POST", &format!("{path}/action"), &body).status();
        assert!(status < 500 || status == 501, "{body}: {status}");
    }
    // a rule that asks a program which is not there
    assert_eq!(demo.ask("GET", "/v2.1/limits", "").status(), 500);
    // where secrets do not belong
    assert_eq!(nobody.ask("GET", &format!("/v2.1/servers?token={QUERY}&password={QUERY}"), "").status(), 401);
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for path in [format!("/identity/v2.0/tokens/{token}"), format!("/identity/v2.0/tokens/{escaped}/endpoints")] {
        assert_eq!(demo.ask("GET", &path, "").status(), 404);
    }
    for request in [
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {HEADER}\r\nX-Auth-Token: {HEADER}\r\nConnection: close\r\n\r\n"
        ),
        format!("GET /v2.1/servers HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {HEADER}\r\nX-Auth-Token {HEADER}\r\n\r\n"),
        format!("{HEADER}\r\n\r\n"),
        format!(
            "POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{{\"password\": \"{HEADER}"
        ),
        format!("POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{HEADER}\r\n"),
    ] {
        if request.contains("5000") {
            // hung up in the middle of a body
            let mut stream = TcpStream::connect(server.address).expect("it accepts connections");
            stream.write_all(request.as_bytes()).expect("it reads");
        } else {
            raw(server.address, &request);
        }
    }
    made
}

/// A secret, and the forms in which it could lie hidden.
fn forms(secret: &str) -> Vec<String> {
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    // the middle of a base64 text is the same wherever it begins, but for three ways of falling into groups
    let groups = |shift: usize| {
        let text = STANDARD.encode(&secret.as_bytes()[shift..]);
        text[..text.len() / 4 * 4 - 4].to_owned()
    };
    let mut forms = vec![secret.to_owned(), percent.to_lowercase(), percent, hexadecimal];
    forms.extend([groups(0), groups(1), groups(2), URL_SAFE_NO_PAD.encode(secret)]);
    forms.push(secret.chars().rev().collect());
    forms
}

#[track_caller]
fn has_none(what: &str, said: &str, secrets: &[String]) {
    for secret in secrets {
        for form in forms(secret) {
            let place = said.find(&form);
            let line = place.map(|place| said[..place].rfind('\n').map_or(said, |start| &said[start..]));
            assert!(
                place.is_none(),
                "{what} has {secret} as {form}: {}",
                line.unwrap_or_default().lines().take(2).collect::<String>()
            );
        }
    }
    // hashes are no secrets, but nobody's business either
    assert!(!said.contains("$2b$"), "{what} has the hash of a password");
}

#[test]
fn a_log_has_no_secret_in_it_whatever_happens() {
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path();
    fs::create_dir_all(root.join("data")).expect("a directory");
    let rule = format!("\"os_compute_api:limits\": \"http://asker:{REMOTE}@127.0.0.1:1/check?key=x\"\n");
    fs::write(root.join("data/policy.yaml"), rule).expect("a policy file");
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
    for key in fs::read_dir(root.join("data/token-keys")).expect("keys").flatten() {
        let key = fs::read_to_string(key.path()).expect("a key is text").trim().to_owned();
        secrets.extend((key.len() > 20).then_some(key));
    }
    secrets.extend(SAID.iter().map(|secret| (*secret).to_owned()));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("what it has said");
    let log = read("stderr");
    for expected in ["POST", "/identity/v3/auth/tokens", "could not be decided", "the store did not do it", "stopping"]
    {
        assert!(log.contains(expected), "the log should tell of {expected}: {log}");
    }
    has_none("the log", &log, &secrets);
    has_none("the output", &read("stdout"), &secrets);
}

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
