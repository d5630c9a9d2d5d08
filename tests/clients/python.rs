//! Python with the clients in it, and the scripts beside this file.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use crate::server::Server;

/// A script and its arguments.
pub struct Script(Command);

impl Script {
    pub fn new(name: &str) -> Script {
        let mut command = Command::new(environment().join("bin/python"));
        command.arg(beside(name)).env_remove("http_proxy").env_remove("HTTP_PROXY").env("PYTHONUNBUFFERED", "1");
        Script(command)
    }

    pub fn arg(mut self, argument: impl AsRef<str>) -> Script {
        self.0.arg(argument.as_ref());
        self
    }

    pub fn path(mut self, argument: &Path) -> Script {
        self.0.arg(argument);
        self
    }

    /// Tells it where the cloud is and who may enter.
    pub fn clouds(mut self, server: &Server) -> Script {
        self.0.env("OS_CLIENT_CONFIG_FILE", server.clouds_yaml()).env("OS_CLOUD", "kilonova");
        self
    }

    pub fn output(mut self) -> Output {
        self.0.output().expect("Python can be started")
    }

    pub fn spawn(mut self) -> Child {
        self.0.stdout(Stdio::piped()).spawn().expect("Python can be started")
    }

    /// Insists that it ends well.
    #[track_caller]
    pub fn succeeds(self) {
        let output = self.output();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    }
}

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// A virtual environment with what `requirements.txt` names; made at the first run, and again when the list changes.
fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        let wanted = std::fs::read_to_string(beside("requirements.txt")).expect("the list can be read");
        let note = directory.join("installed.txt");
        if std::fs::read_to_string(&note).is_ok_and(|installed| installed == wanted) {
            return directory;
        }
        eprintln!("installing python-openstackclient and apache-libcloud into {}", directory.display());
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory));
        let pip = directory.join("bin/pip");
        run(Command::new(pip)
            .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(beside("requirements.txt")));
        std::fs::write(&note, wanted).expect("a note can be written");
        directory
    })
}

fn run(command: &mut Command) {
    let status =
        command.status().unwrap_or_else(|error| panic!("{command:?}: {error}; the clients need python3 with venv"));
    assert!(status.success(), "{command:?} ended with {status}");
}
