//! The binary, started on a port of its own with a fresh data directory, and stopped with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server that runs.
pub struct Server {
    child: Child,
    /// Where clients reach it.
    pub url: String,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts one, and comes back when it says that it is ready.
    pub fn start() -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (child, url) = serve(directory.path());
        Server { child, url, directory }
    }

    /// As `kill -9` does it.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, as `kill` and every service manager do; gives its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(asked.success());
        self.child.wait().expect("it ends").code()
    }

    /// Starts it again on what it left behind.
    pub fn start_again(&mut self) {
        (self.child, self.url) = serve(self.directory.path());
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn clouds_yaml(&self) -> PathBuf {
        self.directory.path().join("clouds.yaml")
    }

    /// The password of a user of the first start.
    pub fn password(&self, user: &str) -> String {
        let text = std::fs::read_to_string(self.clouds_yaml()).expect("clouds.yaml is there when the server is ready");
        let after = text.split(&format!("username: {user}\n")).nth(1).expect("the user is in it");
        after.split("password: ").nth(1).and_then(|rest| rest.lines().next()).expect("a password").trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // a server that has ended already is as good
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(directory: &Path) -> (Child, String) {
    let log = std::fs::File::options().create(true).append(true).open(directory.join("log")).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kilonova"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory);
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
    let ready = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("Kilonova is ready at ").map(|url| url.trim().to_owned()));
    let url = ready.unwrap_or_else(|| {
        panic!("it ended before it was ready: {}", std::fs::read_to_string(directory.join("log")).unwrap_or_default())
    });
    // keeps reading, so that the pipe stays open
    std::thread::spawn(move || lines.for_each(drop));
    (child, url)
}
