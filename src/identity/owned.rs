//! Files that are made in the server's directories, perhaps by an operator who is root. The server has to read them, under another name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Makes a file that only its owner may read, and that is not there yet. Root gives it to the owner of the directory. Others could not, and
/// who writes into a directory by way of its group goes on as before.
///
/// # Errors
/// Whatever the system says.
pub fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    if rustix::process::geteuid().is_root() {
        let owner = fs::metadata(path.parent().unwrap_or(path))?;
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(file)
}

/// Opens a file, or makes it as `create_private` does. One that is there keeps its owner: it may be a link to something else.
///
/// # Errors
/// Whatever the system says.
pub fn open_or_create_private(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match create_private(path) {
            // somebody else has just made it
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new().read(true).write(true).open(path)
            }
            made => made,
        },
        opened => opened,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    /// Somebody who is neither root nor, on any sane machine, who runs the tests.
    const SERVER: u32 = 54_321;

    /// Gives a directory and what is in it to another user, and then looks whether all that this leaves there is that user's, too. Only root
    /// can: for others there is nothing to see.
    pub(crate) fn all_belongs_to_the_owner_after(directory: &Path, work: impl FnOnce()) {
        if !rustix::process::geteuid().is_root() {
            return work();
        }
        let files = || fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
        for path in files().chain([directory.to_owned()]) {
            chown(path, Some(SERVER), Some(SERVER)).expect("root may");
        }
        work();
        for path in files() {
            let file = fs::metadata(&path).expect("a file");
            assert_eq!((file.uid(), file.gid()), (SERVER, SERVER), "{}", path.display());
        }
    }

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_directory_and_what_is_there_to_whom_it_did() {
        let directory = tempfile::tempdir().expect("a directory");
        all_belongs_to_the_owner_after(directory.path(), || {
            for _ in 0..2 {
                open_or_create_private(&directory.path().join("a")).expect("a file");
            }
            create_private(&directory.path().join("a")).expect_err("it is there");
        });
        let before = fs::metadata(directory.path().join("a")).expect("a file").uid();
        let other = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(directory.path().join("a"), other.path().join("link")).expect("a link");
        open_or_create_private(&other.path().join("link")).expect("a file");
        assert_eq!(fs::metadata(directory.path().join("a")).expect("a file").uid(), before);
    }
}
