//! Disks that fail under the server: a file system that has become read-only, with files open; one whose writes fail. Both are real ones,
//! on an image file that is mounted for this.
//!
//! They stay so. One that fails for a while and is well again is in `flaky.rs`.
//!
//! Nobody writes at the very moment at which they fail. ext4 says of an `fdatasync` that is under way then, in 2 of 30 tries of a program that did
//! nothing else, that it was done although it was not; what is lost so is lost for every database.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::load::Load;
use super::trouble::{Came, Watch, started};

/// An ext4 of our own, mounted where a server will have its data; no longer when this is dropped.
struct Disk {
    image: PathBuf,
    place: PathBuf,
    options: &'static str,
}

impl Disk {
    /// `None` where this machine does not let us.
    fn make(image: PathBuf, place: PathBuf, options: &'static str, mib: u64) -> Option<Disk> {
        fs::create_dir_all(&place).expect("a directory");
        let file = fs::File::create(&image).expect("a file");
        file.set_len(mib << 20).expect("a file may have holes");
        let made = did(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let disk = Disk { image, place, options };
        (made && disk.mount()).then_some(disk)
    }

    fn mount(&self) -> bool {
        let options = format!("loop,{}", self.options);
        did(Command::new("mount").args(["-t", "ext4", "-o", &options]).arg(&self.image).arg(&self.place))
    }

    /// Takes it away, with what the system remembers of it.
    fn unmount(&self) {
        let begun = Instant::now();
        // a loop device within is given back a moment after it is unmounted
        while !did(Command::new("umount").arg(&self.place)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "somebody has files open");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Gives back what is on the disk, checked as an operator does after errors.
    fn mount_again(&self) {
        let checked = quiet(Command::new("e2fsck").args(["-f", "-p"]).arg(&self.image)).status();
        // 1 says that something was mended
        let is_whole = checked.is_ok_and(|status| status.code().is_some_and(|code| code <= 1));
        assert!(is_whole && self.mount(), "it was mounted before");
    }

    /// Has the file system find an error in itself: it takes no more writes, also where files are open. Says whether it is so.
    fn break_it(&self) -> bool {
        let found =
            Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(&self.place).output().expect("findmnt is there");
        let device = String::from_utf8_lossy(&found.stdout).trim().replace("/dev/", "");
        assert!(device.starts_with("loop"), "a disk of our own, and nobody else's: {device}");
        let told = fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "x");
        let written = fs::write(self.place.join("probe"), "x");
        told.is_ok() && written.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        did(Command::new("umount").arg("-l").arg(&self.place));
    }
}

/// Without its words.
pub fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Whether it went well.
pub fn did(command: &mut Command) -> bool {
    quiet(command).status().is_ok_and(|status| status.success())
}

/// The file system becomes read-only after some load, as ext4 does when it finds an error; `None` where this machine has no loop
/// devices for us. Linux lets nobody write to such a file system before it is mounted anew, which takes another start of the server: then
/// all that was acknowledged is there.
pub fn read_only(directory: &Path) -> Option<Came> {
    let disk = Disk::make(directory.join("image"), directory.join("server/data"), "errors=remount-ro", 96)?;
    let mut process = started(&directory.join("server"), None);
    let mut load = Load::on(&process);
    let mut watch = Watch::new(&process, "the file system is read-only");
    let (file, _) = watch.upload("before");
    load.goes_well();
    load.stops();
    if !disk.break_it() {
        return None;
    }
    let when = "on a read-only file system";
    for turn in 0..20 {
        let said = watch.put(&format!("ro{turn}"));
        watch.must(when, &said, 503);
        let (_, said) = watch.upload("meanwhile");
        watch.must(when, &said, 503);
        watch.get(when, 200);
        watch.has_data(when, &file);
    }
    watch.many_read(when);
    process.kill();
    disk.unmount();
    disk.mount_again();
    if process.start().is_err() {
        watch.wrong(format!("it does not start: {}", process.log_end()));
    }
    watch.connects_anew(&process);
    watch.has_data("afterwards", &file);
    let came = watch.recovers();
    Some(load.ends(&process, came))
}

/// Only image data are on the file system that becomes read-only; `None` as before.
pub fn read_only_for_images(directory: &Path) -> Option<Came> {
    let disk = Disk::make(directory.join("image"), directory.join("server/data"), "errors=remount-ro", 96)?;
    let cluster = Cluster::start();
    let process = started(&directory.join("server"), Some(cluster.url()));
    let mut watch = Watch::new(&process, "the file system of image data is read-only");
    let (file, _) = watch.upload("before");
    if !disk.break_it() {
        return None;
    }
    let when = "beside a read-only file system";
    for turn in 0..20 {
        watch.can_put(when, &format!("ro{turn}"));
        let (_, said) = watch.upload("meanwhile");
        watch.must(when, &said, 503);
        watch.has_data(when, &file);
    }
    Some(watch.recovers())
}

/// Nothing can be written to the disk any more: the disk's image is on another file system, which becomes read-only. The first who waits
/// for what was written is told EIO, and so is the journal, after which there is nothing to write to. `None` as before.
///
/// It stays so: a journal that could not be written stops ext4 for good.
pub fn failing(directory: &Path) -> Option<Came> {
    let outer = Disk::make(directory.join("image"), directory.join("outer"), "errors=remount-ro", 192)?;
    let place = directory.join("server/data");
    let disk = Disk::make(directory.join("outer/image"), place, "errors=continue", 96)?;
    let mut process = started(&directory.join("server"), None);
    let mut load = Load::on(&process);
    let mut watch = Watch::new(&process, "the disk fails");
    let (file, _) = watch.upload("before");
    load.goes_well();
    load.stops();
    if !outer.break_it() {
        return None;
    }
    let when = "on a failing disk";
    for turn in 0..20 {
        let said = watch.put(&format!("eio{turn}"));
        watch.must(when, &said, 503);
        watch.get(when, 200);
        watch.has_data(when, &file);
    }
    watch.many_read(when);
    if !process.log().contains("disk I/O error") {
        watch.wrong("nothing was heard of an error of the disk".into());
    }
    process.kill();
    disk.unmount();
    outer.unmount();
    outer.mount_again();
    disk.mount_again();
    if process.start().is_err() {
        watch.wrong(format!("it does not start: {}", process.log_end()));
    }
    watch.connects_anew(&process);
    watch.has_data("afterwards", &file);
    let came = watch.recovers();
    Some(load.ends(&process, came))
}
