//! A disk that fails for a while and is well again, under a server that goes on: ext4 on a loop device whose image is on a file system of our
//! own (FUSE, `flaky_disk.c`), which is told by a switch what to answer EIO to.
//!
//! What the files hold fails, not what the file system keeps about them: with a journal ext4 stops for good when that cannot be
//! written, and without one it loses its maps of free blocks, and finds itself damaged when the disk is well again. So there is no journal
//! (`^has_journal`), and the first blocks, where its maps and inodes are, are always written. With the journal goes the `fdatasync` that
//! says it was done although it was not (`disk.rs`), so here clients write at the very moment at which the disk fails. Whatever is in
//! memory is written back while it does, and dropped from memory, so that what is read is what the disk has; at the end the server is killed, and
//! the disk mounted anew before it is started again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::disk::{did, quiet};
use super::load::Load;
use super::process::Process;
use super::trouble::{Came, Watch, started};

/// How large it is.
const BYTES: u64 = 120 << 20;
/// How long it may take until it is mounted or free.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a disk does.
#[derive(Clone, Copy)]
enum Doing {
    /// All of it.
    Well,
    /// Nothing that files hold is kept, and whoever waits for it is told so.
    FailsToWrite,
    /// All is kept, and whoever waits for it is told that it was not.
    FailsToSync,
}

/// A disk with a switch; gone, and all that is mounted with it, when this is dropped.
pub struct FlakyDisk {
    daemon: Child,
    switch: PathBuf,
    backing: PathBuf,
    /// Where the file system with the image is.
    below: PathBuf,
    /// Where the disk is mounted.
    place: PathBuf,
}

impl FlakyDisk {
    /// Mounted where a server will have its data; `None` where this machine does not let us.
    pub fn make(directory: &Path, place: PathBuf) -> Option<FlakyDisk> {
        let at = |name: &str| directory.join(name);
        let (program, switch, backing, below) = (at("flaky_disk"), at("switch"), at("backing"), at("below"));
        [&below, &place].into_iter().for_each(|place| fs::create_dir_all(place).expect("a directory"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fire/flaky_disk.c");
        let compiled = Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).status();
        assert!(compiled.is_ok_and(|status| status.success()), "this machine has a compiler of C");
        fs::write(&switch, "0").expect("a file");
        fs::File::create(&backing).and_then(|file| file.set_len(BYTES)).expect("a file may have holes");
        // blocks of this size make it one group, so that all it keeps about files is at its beginning
        let options = ["-q", "-F", "-b", "4096", "-O", "^has_journal"];
        let made = did(Command::new("mkfs.ext4").args(options).arg(&backing));
        let first = first_of_files(&backing)?.to_string();
        let mut command = Command::new(program);
        command.args([&below, &backing, &switch]).arg(first);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut daemon = command.spawn().expect("it was compiled");
        let mut line = String::new();
        let output = daemon.stdout.take().expect("it has a standard output");
        let is_mounted = BufReader::new(output).read_line(&mut line).is_ok_and(|_| line.starts_with("mounted"));
        let disk = FlakyDisk { daemon, switch, backing, below, place };
        (made && is_mounted && disk.mount()).then_some(disk)
    }

    /// From now on it does so.
    fn be(&self, how: Doing) {
        let letter = match how {
            Doing::Well => "0",
            Doing::FailsToWrite => "w",
            Doing::FailsToSync => "s",
        };
        // in its place, and never empty: it is read at any time
        let file = fs::File::options().write(true).open(&self.switch).expect("it was made with the disk");
        file.write_all_at(letter.as_bytes(), 0).expect("a letter");
    }

    fn mount(&self) -> bool {
        let mut command = Command::new("mount");
        did(command.args(["-t", "ext4", "-o", "loop,errors=continue"]).arg(self.below.join("image")).arg(&self.place))
    }

    /// Has the system write what it has in memory, and forget it.
    fn write_back(&self) {
        // that it fails is why it is called
        did(Command::new("sync").arg("-f").arg(&self.place));
        let _ = fs::write("/proc/sys/vm/drop_caches", "1");
    }

    /// Takes it away and brings it back, checked as an operator does after errors.
    fn mount_anew(&self) {
        self.unmount();
        let checked = quiet(Command::new("e2fsck").args(["-f", "-p"]).arg(&self.backing)).status();
        // 1 says that something was mended
        let is_whole = checked.is_ok_and(|status| status.code().is_some_and(|code| code <= 1));
        assert!(is_whole && self.mount(), "it was mounted before");
    }

    fn unmount(&self) {
        let begun = Instant::now();
        while !did(Command::new("umount").arg(&self.place)) {
            assert!(begun.elapsed() < PATIENCE, "somebody has files open");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Where what files hold begins; `None` where nobody says.
fn first_of_files(image: &Path) -> Option<u64> {
    let output = Command::new("dumpe2fs").arg(image).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, table) = text.rsplit_once("Inode table at ")?;
    let last: u64 = table.split_once('-')?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((last + 1) * 4096)
}

impl Drop for FlakyDisk {
    fn drop(&mut self) {
        // from the top: what is still to be written must be taken, or the loop device waits for it
        self.be(Doing::Well);
        for place in [&self.place, &self.below] {
            did(Command::new("umount").arg("-l").arg(place));
        }
        // it ends when nobody has its file any more; and where that takes long the kernel answers EIO in its stead
        let begun = Instant::now();
        while matches!(self.daemon.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// What several failures came to.
pub struct Flaky {
    /// As of any trouble.
    pub came: Came,
    /// How long it took from when the disk was well until a change was acknowledged, in seconds, in order of length.
    pub healed: Vec<f64>,
}

/// The disk fails and is well again so many times under clients that never stop. At the end it fails once more, and the server is
/// killed and started again while the system goes on, and goes on writing; then the disk is mounted anew, as after a loss of power, and nothing
/// may be other than it was. `None` where this machine has no such disk for us.
pub fn flaky(directory: &Path, rounds: u32) -> Option<Flaky> {
    fs::create_dir_all(directory).expect("a directory");
    let disk = FlakyDisk::make(directory, directory.join("server/data"))?;
    let mut process = started(&directory.join("server"), None);
    let mut load = Load::on(&process);
    let mut watch = Watch::new(&process, "the disk fails and is well again");
    let mut healed = Vec::new();
    for round in 0..rounds {
        goes_well_for_a_while(round, &process, &load);
        disk.be(if round % 3 == 2 { Doing::FailsToSync } else { Doing::FailsToWrite });
        fails(round, &disk, &mut watch);
        disk.be(Doing::Well);
        healed.push(is_well_within(PATIENCE, &mut watch).as_secs_f64());
    }
    load.goes_well();
    disk.be(Doing::FailsToWrite);
    let said = watch.put("end");
    watch.must("before the end", &said, 503);
    load.stops();
    process.kill();
    disk.be(Doing::Well);
    starts(&mut process, &mut watch);
    is_well_within(PATIENCE, &mut watch);
    load.compares(&process);
    let mut later = Load::on(&process);
    later.goes_well();
    later.stops();
    process.kill();
    disk.mount_anew();
    starts(&mut process, &mut watch);
    let came = load.ends(&process, watch.recovers());
    healed.sort_by(f64::total_cmp);
    Some(Flaky { came: later.ends(&process, came), healed })
}

/// In some rounds for so long that a part of the log has been moved into the file.
fn goes_well_for_a_while(round: u32, process: &Process, load: &Load) {
    let begun = Instant::now();
    load.goes_well();
    while round % 3 == 1 && has_moved_little(process) && begun.elapsed() < PATIENCE {
        load.goes_well();
    }
}

/// Whether the log of the database is shorter than where it is moved for the first time, by far.
fn has_moved_little(process: &Process) -> bool {
    fs::metadata(process.data().join("kilonova.db-wal")).is_ok_and(|log| log.len() < 3 << 20)
}

/// Nothing is written, all is read.
fn fails(round: u32, disk: &FlakyDisk, watch: &mut Watch) {
    let when = "on a failing disk";
    for turn in 0..10 {
        let said = watch.put(&format!("eio{round}-{turn}"));
        watch.must(when, &said, 503);
        watch.get(when, 200);
    }
    if !round.is_multiple_of(4) {
        disk.write_back();
    }
    watch.many_read(when);
    let said = watch.put("last");
    watch.must(when, &said, 503);
}

/// How long it takes until a change is acknowledged.
fn is_well_within(patience: Duration, watch: &mut Watch) -> Duration {
    let begun = Instant::now();
    while watch.put("well").status() != 200 {
        if begun.elapsed() > patience {
            watch.wrong(format!("it is not well after {patience:?}"));
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

fn starts(process: &mut Process, watch: &mut Watch) {
    if process.start().is_err() {
        watch.wrong(format!("it does not start: {}", process.log_end()));
    }
    watch.connects_anew(process);
}
