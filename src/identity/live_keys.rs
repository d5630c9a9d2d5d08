//! The token keys in force. They are loaded again when the files of their directory have changed, so that a rotation, and its copy on
//! another host, needs no restart.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::random::Random;
use super::token::{BadToken, Token};
use super::token_keys::{KeysError, TokenKeys, at, numbers};

/// What the file system says of each key: its number, which file it is, and when that was changed.
type Stamp = Vec<(u64, (u64, i64, i64, u64))>;

/// The keys, and the directory they come from.
pub struct LiveKeys {
    directory: PathBuf,
    current: ArcSwap<TokenKeys>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Of what was loaded, or could not be and was told.
    tried: Option<Stamp>,
    /// At the last look; none where there was nothing to be seen, which was told.
    last: Option<Stamp>,
}

impl LiveKeys {
    /// Loads the keys of a directory; makes some where there are none.
    ///
    /// # Errors
    /// As `TokenKeys::load_or_create`.
    pub fn load_or_create(directory: &Path, random: Random<'_>) -> Result<LiveKeys, KeysError> {
        let keys = TokenKeys::load_or_create(directory, random)?;
        // as nothing yet: what was changed while they were loaded is noticed, and what was not is loaded once more
        let (seen, current) = (Mutex::default(), ArcSwap::from_pointee(keys));
        Ok(LiveKeys { directory: directory.to_owned(), current, seen })
    }

    /// The keys in force.
    pub fn current(&self) -> Arc<TokenKeys> {
        self.current.load_full()
    }

    /// As `TokenKeys::seal`.
    pub fn seal(&self, token: &Token) -> String {
        self.current.load().seal(token)
    }

    /// As `TokenKeys::open`.
    ///
    /// # Errors
    /// As there.
    pub fn open(&self, text: &str, now: i64) -> Result<Token, BadToken> {
        self.current.load().open(text, now)
    }

    /// Looks whether other keys are there, and loads them; says whether it has. They are taken when they were the same at two looks, so that
    /// a directory is not read while somebody copies files into it.
    ///
    /// # Errors
    /// Where they cannot be read, once: those in force stay, and the same files are not tried again until they change.
    pub fn reload_if_changed(&self) -> Result<bool, KeysError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match stamp(&self.directory) {
            Ok(now) => now,
            Err(error) => {
                return if seen.last.take().is_some() { Err(error) } else { Ok(false) };
            }
        };
        let is_settled = seen.last.as_ref() == Some(&now);
        seen.last = Some(now.clone());
        if !is_settled || seen.tried.as_ref() == Some(&now) {
            return Ok(false);
        }
        seen.tried = Some(now);
        self.current.store(Arc::new(TokenKeys::load(&self.directory)?));
        Ok(true)
    }
}

fn stamp(directory: &Path) -> Result<Stamp, KeysError> {
    let one = |number: u64| {
        let path = directory.join(number.to_string());
        let file = fs::metadata(&path).map_err(at(&path))?;
        Ok((number, (file.ino(), file.ctime(), file.ctime_nsec(), file.len())))
    };
    numbers(directory)?.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::random::os_random;
    use super::super::token::{Methods, Scope};
    use super::*;

    fn keys() -> (tempfile::TempDir, LiveKeys) {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = LiveKeys::load_or_create(directory.path(), &mut os_random).expect("keys");
        (directory, keys)
    }

    fn rotate(directory: &tempfile::TempDir, outlived: SystemTime) {
        TokenKeys::rotate(directory.path(), outlived, &mut os_random).expect("rotated");
    }

    fn look(keys: &LiveKeys, times: u32) -> bool {
        (0..times).any(|_| keys.reload_if_changed().expect("keys that can be read"))
    }

    fn token() -> Token {
        Token {
            user_id: "u".into(),
            scope: Scope::Unscoped,
            methods: Methods::default(),
            issued_at: 0,
            expires_at: 10,
            audit_ids: Vec::new(),
            application_credential_id: None,
        }
    }

    #[test]
    fn a_rotation_is_taken_when_it_has_been_there_for_two_looks() {
        let (directory, keys) = keys();
        look(&keys, 2);
        assert!(!look(&keys, 3), "nothing has changed");
        let before = keys.seal(&token());
        rotate(&directory, SystemTime::UNIX_EPOCH);
        assert!(!look(&keys, 1));
        assert!(look(&keys, 1));
        assert!(keys.open(&before, 1).is_ok(), "what was sealed before is good");
        let sealed = keys.seal(&token());
        assert!(TokenKeys::load(directory.path()).expect("keys").open(&sealed, 1).is_ok());
        // the key that sealed before is not the one that seals now: a second rotation and two looks leave both open
        rotate(&directory, SystemTime::UNIX_EPOCH);
        look(&keys, 2);
        assert!(keys.open(&before, 1).is_ok() && keys.open(&sealed, 1).is_ok());
    }

    #[test]
    fn who_has_not_been_told_opens_what_others_seal_after_a_rotation() {
        let (directory, keys) = keys();
        rotate(&directory, SystemTime::UNIX_EPOCH);
        let text = TokenKeys::load(directory.path()).expect("keys").seal(&token());
        assert!(keys.open(&text, 1).is_ok());
    }

    #[test]
    fn keys_that_are_gone_or_broken_are_told_once_and_change_nothing() {
        let (directory, keys) = keys();
        look(&keys, 2);
        let text = keys.seal(&token());
        fs::write(directory.path().join("2"), "half a k").expect("written");
        assert!(!look(&keys, 1));
        assert!(matches!(keys.reload_if_changed(), Err(KeysError::Exposed(_) | KeysError::Malformed(_))));
        assert!(!look(&keys, 2), "told already");
        let place = directory.path().to_owned();
        fs::rename(&place, place.with_extension("away")).expect("renamed");
        assert!(keys.reload_if_changed().is_err());
        assert!(!look(&keys, 2), "told already");
        assert!(keys.open(&text, 1).is_ok());
        fs::rename(place.with_extension("away"), &place).expect("renamed");
        fs::remove_file(place.join("2")).expect("removed");
        assert!(look(&keys, 2));
        assert!(keys.open(&text, 1).is_ok());
    }
}
