//! The data directory: made for its owner only, and used by one server at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::identity::owned::open_or_create_private;

/// The lock on a data directory. It is held until this is dropped or the process ends, however it ends.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct DataDirLock {
    _file: File,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another server uses it.
    #[error("the data directory {} is in use by another kilonova{}; stop that one, or choose another with --data-dir",
            dir.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
    },
    /// It cannot be made or written.
    #[error("cannot use the data directory {}: {cause}", dir.display())]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

impl DataDirLock {
    /// Makes the directory if there is none, and locks it.
    ///
    /// # Errors
    /// If another process has the lock, or the directory cannot be made or written.
    pub fn acquire(dir: &Path) -> Result<DataDirLock, DataDirError> {
        let unusable = |cause| DataDirError::Unusable { dir: dir.to_owned(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
        let mut file = open_or_create_private(&dir.join("kilonova.lock")).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::InUse { dir: dir.to_owned(), pid: pid_in(file) });
            }
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
        }
        // For the sentence another server will say. Only the lock counts, not what the file says.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unusable)?;
        Ok(DataDirLock { _file: file })
    }
}

fn pid_in(mut file: File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Opens a file for reading and writing; if it has to be made, only its owner may read it. For files with secrets.
///
/// # Errors
/// Whatever the system says.
pub fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::identity::owned::tests::all_belongs_to_the_owner_after;

    #[test]
    fn a_second_lock_is_refused_with_the_directory_and_the_process() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let _held = DataDirLock::acquire(dir.path()).expect("nobody else has it");
        let refusal = DataDirLock::acquire(dir.path()).expect_err("it is held").to_string();
        let sentence =
            format!("{} is in use by another kilonova (process {})", dir.path().display(), std::process::id());
        assert!(refusal.contains(&sentence), "{refusal}");
    }

    #[test]
    fn a_lock_that_was_given_back_can_be_taken_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        drop(DataDirLock::acquire(dir.path()).expect("nobody else has it"));
        DataDirLock::acquire(dir.path()).map(drop).expect("nobody has it any more");
    }

    #[test]
    fn a_new_data_directory_is_for_its_owner_only() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let new = dir.path().join("a/b");
        let _held = DataDirLock::acquire(&new).expect("a new directory");
        let mode = |path: &Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!((mode(&new), mode(&new.join("kilonova.lock"))), (0o700, 0o600));
    }

    #[test]
    fn the_lock_belongs_to_whom_the_directory_does() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        all_belongs_to_the_owner_after(dir.path(), || drop(DataDirLock::acquire(dir.path()).expect("nobody has it")));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let refusal = DataDirLock::acquire(&file.path().join("x")).expect_err("a file has no directories in it");
        assert!(refusal.to_string().contains(&file.path().join("x").display().to_string()));
    }
}
