//! A backup is a directory: the database as it was at one moment, the data of the images in it, the keys of tokens and the files
//! of settings and policy. It is made while the server runs, and it is whole or not there at all.
//!
//! The database is copied by `VACUUM INTO` on a connection of its own. SQLite's backup interface was not taken: in steps it begins again
//! whenever another process has written, which a busy server always has, and in one step it copies free pages too and reads no row.
//! `VACUUM INTO` holds one snapshot, which does not hold up the writer in WAL mode, and reads all it copies, so damage shows now.
//!
//! Image data is never changed once written: it is written before a row names it and removed after. So the data of a snapshot is there,
//! unless its image was deleted since; then the snapshot is taken again.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{CareError, Progress, Step};
use crate::blobs::BlobKey;
use crate::json::{self, Json};
use crate::json_object;
use crate::store::sqlite::{FILE, leave_the_log, trouble};
use crate::store::{StoreError, migrate};

/// The version of the form of a backup.
const FORMAT: i64 = 1;
/// What says that a directory is a backup.
const MANIFEST: &str = "backup.json";
/// Where image data is, in a data directory as in a backup.
const IMAGES: &str = "images";
/// What else of a data directory belongs into a backup, if it is there. Whoever has it can log in, so modes are private.
const OTHERS: &[&str] = &["token-keys", "clouds.yaml", "kilonova.toml", "policy.yaml", "policy.json", "policy.d"];

/// What was backed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many images' data.
    pub images: u64,
    /// Keys of data that rows name and that is nowhere: the cloud itself lacks it.
    pub missing: Vec<String>,
}

/// Copies a data directory, whose server may be running, into a new directory.
///
/// # Errors
/// Where there is something of this name already, or what the system says; then nothing is left.
pub fn backup(data_dir: &Path, to: &Path, heard: Progress<'_>) -> Result<Copied, CareError> {
    let database = data_dir.join(FILE);
    if !database.exists() {
        return Err(CareError::refused(format!("there is no {}", database.display())));
    }
    let target = Target::new(to)?;
    let copied = snapshot_with_data(data_dir, &target.beside, heard)?;
    for name in OTHERS {
        copy_other(&data_dir.join(name), &target.beside.join(name))?;
    }
    let manifest = json_object! {
        "kilonova_backup": FORMAT, "schema": migrate::newest(), "release": env!("CARGO_PKG_VERSION"),
    };
    write_private(&target.beside.join(MANIFEST), format!("{}\n", Json::from(manifest)).as_bytes())?;
    target.keep()?;
    Ok(copied)
}

/// Makes a data directory of a backup.
///
/// # Errors
/// Where the directory has something in it, the backup is none or not sound, or what the system says; then nothing is left.
pub fn restore(from: &Path, data_dir: &Path, heard: Progress<'_>) -> Result<Copied, CareError> {
    must_be_backup(from)?;
    let target = Target::new(data_dir)?;
    heard(Step { what: "database", done: 0, total: None });
    copy_private(&from.join(FILE), &target.beside.join(FILE))?;
    must_be_sound(&target.beside.join(FILE))?;
    let keys = keys_in(&target.beside.join(FILE))?;
    let copied = take_data(&from.join(IMAGES), &target.beside.join(IMAGES), &keys, heard)?;
    for name in OTHERS {
        copy_other(&from.join(name), &target.beside.join(name))?;
    }
    target.keep()?;
    Ok(copied)
}

/// A directory that is filled beside its place, and takes it when it is whole.
struct Target {
    place: PathBuf,
    beside: PathBuf,
}

impl Target {
    fn new(place: &Path) -> Result<Target, CareError> {
        let place = std::path::absolute(place).map_err(CareError::file(place))?;
        match fs::read_dir(&place).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(CareError::refused(format!("{} is not empty", place.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CareError::file(&place)(error)),
        }
        let name = place.file_name().ok_or_else(|| CareError::refused("the directory needs a name"))?;
        let mut beside_name = name.to_owned();
        beside_name.push(format!(".unfinished-{}", std::process::id()));
        let beside = place.with_file_name(beside_name);
        private_directory(&beside)?;
        Ok(Target { place, beside })
    }

    /// Puts the directory into its place.
    fn keep(self) -> Result<(), CareError> {
        sync_directory(&self.beside)?;
        // an empty directory gives way, one that was filled meanwhile does not
        fs::rename(&self.beside, &self.place).map_err(CareError::file(&self.place))?;
        sync_directory(self.place.parent().unwrap_or(Path::new("/")))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // where it took its place there is nothing to remove; elsewhere a leftover is named `unfinished`
        let _ = fs::remove_dir_all(&self.beside);
    }
}

/// Takes snapshots until the data of one is all there. Data that two snapshots name and nobody has is not to be had.
fn snapshot_with_data(data_dir: &Path, to: &Path, heard: Progress<'_>) -> Result<Copied, CareError> {
    let copy = to.join(FILE);
    let mut missing_before = None;
    loop {
        heard(Step { what: "database", done: 0, total: None });
        take_snapshot(&data_dir.join(FILE), &copy)?;
        let keys = keys_in(&copy)?;
        let copied = take_data(&data_dir.join(IMAGES), &to.join(IMAGES), &keys, heard)?;
        if copied.missing.is_empty() || missing_before.as_ref() == Some(&copied.missing) {
            remove_others(&to.join(IMAGES), &keys)?;
            return Ok(copied);
        }
        missing_before = Some(copied.missing);
    }
}

fn take_snapshot(from: &Path, to: &Path) -> Result<(), CareError> {
    // an empty file is filled, and keeps its mode; one of an earlier attempt is no longer wanted
    write_private(to, b"")?;
    let connection = look(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let name = to.to_str().ok_or_else(|| CareError::refused("the directory's name is not UTF-8"))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(trouble)?;
    File::open(to).and_then(|file| file.sync_all()).map_err(CareError::file(to))
}

fn look(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(trouble)?;
    leave_the_log(&connection)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(trouble)?;
    Ok(connection)
}

/// The keys of all data that images have, uploads under way excepted: the server gives those up at its start.
fn keys_in(database: &Path) -> Result<BTreeSet<String>, CareError> {
    let connection = look(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let sql = "SELECT blob FROM images WHERE blob IS NOT NULL AND status <> 'saving' ORDER BY blob";
    let mut statement = connection.prepare(sql).map_err(trouble)?;
    let keys = statement.query_map([], |row| row.get::<_, String>(0)).map_err(trouble)?;
    let keys: BTreeSet<String> = keys.collect::<Result<_, _>>().map_err(trouble)?;
    // a key that is none could be a path that leads elsewhere
    match keys.iter().find(|key| key.parse::<BlobKey>().is_err()) {
        Some(key) => Err(StoreError::Damaged(format!("{key:?} is no key of image data")).into()),
        None => Ok(keys),
    }
}

fn take_data(from: &Path, to: &Path, keys: &BTreeSet<String>, heard: Progress<'_>) -> Result<Copied, CareError> {
    if !to.exists() {
        private_directory(to)?;
    }
    let mut copied = Copied::default();
    for (done, key) in keys.iter().enumerate() {
        heard(Step { what: "image data", done: done as u64, total: Some(keys.len() as u64) });
        let there = to.join(key);
        if !there.exists() && !linked_or_copied(&from.join(key), &there)? {
            copied.missing.push(key.clone());
        } else {
            copied.images += 1;
        }
    }
    sync_directory(to)?;
    Ok(copied)
}

/// A second name for the same data where the file system has that, since it is never changed; else a copy. Says whether there was any.
fn linked_or_copied(from: &Path, to: &Path) -> Result<bool, CareError> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(_) => match copy_private(from, to) {
            Err(CareError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map(|()| true),
        },
    }
}

fn remove_others(images: &Path, keys: &BTreeSet<String>) -> Result<(), CareError> {
    for entry in fs::read_dir(images).map_err(CareError::file(images))? {
        let entry = entry.map_err(CareError::file(images))?;
        if !entry.file_name().to_str().is_some_and(|name| keys.contains(name)) {
            fs::remove_file(entry.path()).map_err(CareError::file(&entry.path()))?;
        }
    }
    Ok(())
}

/// A file, or the files of a directory. What is neither (a link, a device) is left out.
fn copy_other(from: &Path, to: &Path) -> Result<(), CareError> {
    let Ok(kind) = fs::symlink_metadata(from) else { return Ok(()) };
    if kind.is_file() {
        return copy_private(from, to);
    }
    if !kind.is_dir() {
        return Ok(());
    }
    private_directory(to)?;
    for entry in fs::read_dir(from).map_err(CareError::file(from))? {
        let entry = entry.map_err(CareError::file(from))?;
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            copy_private(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    sync_directory(to)
}

fn must_be_backup(from: &Path) -> Result<(), CareError> {
    let path = from.join(MANIFEST);
    let none = || CareError::refused(format!("{} is no backup: it has no {MANIFEST} of ours", from.display()));
    let manifest = fs::read(&path).ok().and_then(|bytes| json::parse(&bytes).ok()).ok_or_else(none)?;
    let number = |name: &str| manifest.get(name).and_then(Json::as_i64).ok_or_else(none);
    if number("kilonova_backup")? > FORMAT || number("schema")? > migrate::newest() {
        return Err(CareError::refused(format!(
            "{} was made by a newer release: restore it with that release",
            from.display()
        )));
    }
    Ok(())
}

fn must_be_sound(database: &Path) -> Result<(), CareError> {
    let connection = look(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let told: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(trouble)?;
    if told == "ok" { Ok(()) } else { Err(StoreError::Damaged(told).into()) }
}

fn private_directory(path: &Path) -> Result<(), CareError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(CareError::file(path))
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CareError> {
    let written = private_file(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(CareError::file(path))
}

fn copy_private(from: &Path, to: &Path) -> Result<(), CareError> {
    let mut source = File::open(from).map_err(CareError::file(from))?;
    let copied = private_file(to).and_then(|mut file| {
        io::copy(&mut source, &mut file)?;
        file.sync_all()
    });
    copied.map_err(CareError::file(to))
}

fn sync_directory(path: &Path) -> Result<(), CareError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(CareError::file(path))
}
