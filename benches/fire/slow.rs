//! A disk as slow as we want it: a library that is loaded before the server and waits at each sync and each page that is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How slow a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowness {
    /// For each sync.
    pub sync: Duration,
    /// For each page that is written.
    pub page: Duration,
}

impl Slowness {
    /// As fast as it is.
    pub const NONE: Slowness = Slowness { sync: Duration::ZERO, page: Duration::ZERO };
}

/// The disk of a server that is started with it.
#[derive(Debug, Clone)]
pub struct Disk {
    library: PathBuf,
    slowness: PathBuf,
}

impl Disk {
    /// Compiles the library into a directory; the disk is as fast as it is until it is made slow.
    pub fn new(directory: &Path) -> Disk {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fire/slow_disk.c");
        let disk = Disk { library: directory.join("slow_disk.so"), slowness: directory.join("slow_disk") };
        fs::write(&disk.slowness, [0; 16]).expect("a file can be written");
        let mut cc = Command::new("cc");
        let compiled = cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&disk.library).arg(source).arg("-ldl").status();
        assert!(compiled.is_ok_and(|status| status.success()), "this machine has a compiler of C");
        disk
    }

    /// Has a server be started with it.
    pub fn under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("SLOW_DISK", &self.slowness);
    }

    /// Is so slow from now on.
    pub fn be(&self, slowness: Slowness) {
        use std::os::unix::fs::FileExt;
        let [sync, page] = [slowness.sync, slowness.page].map(|time| (time.as_nanos() as u64).to_ne_bytes());
        // in its place: the server has mapped the file that is there
        let file = fs::File::options().write(true).open(&self.slowness).expect("it was made with the disk");
        file.write_all_at(&[sync, page].concat(), 0).expect("a file can be written");
    }
}
