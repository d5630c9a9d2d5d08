//! A real server, all of whose words are kept.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kilonova::json::Json;

use crate::http;

/// A server in a directory of the test, with all it says kept in files there.
pub struct Server {
    root: PathBuf,
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// On the embedded database, with all there is to say.
    pub fn start(root: &Path, format: &str) -> Server {
        Server::with(root, &["--log-level", "trace", "--log-format", format], None)
    }

    /// With these flags, on this database.
    pub fn with(root: &Path, flags: &[&str], database: Option<&str>) -> Server {
        let log = File::options().create(true).append(true).open(root.join("stderr")).expect("a file");
        let mut command = kilonova(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(flags).envs(database.map(|url| ("KILONOVA_DATABASE", url)));
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

    pub fn client(&self, token: &str) -> http::Client {
        http::Client::new(self.address, token)
    }

    pub fn clouds(&self) -> String {
        fs::read_to_string(self.root.join("data/clouds.yaml")).expect("the first start writes it")
    }

    /// Asks it to end, so that its last lines are written.
    pub fn stop(mut self) {
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
pub fn kilonova(arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"umask 000; exec "$0" "$@""#, env!("CARGO_BIN_EXE_kilonova")]).args(arguments);
    command
}

/// The text at a path of members in an answer.
#[track_caller]
pub fn text(said: &http::Said, path: &[&str]) -> String {
    let json = said.json().unwrap_or_else(|| panic!("no JSON: {said:?}"));
    let found = path.iter().try_fold(&json, |json, name| json.get(name));
    found.and_then(Json::as_str).unwrap_or_else(|| panic!("no {path:?} in {json}")).to_owned()
}

/// Sends bytes as they are; says what came back.
pub fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it accepts connections");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    // a server that hangs up has answered too
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
