//! Fernet tokens: sealing what a token says into the text a client carries, and opening that text again.
//! The keys live in a directory laid out as Keystone's key repository. Not here: what is sealed (`token`), when keys are loaded anew
//! (`live_keys`).
//!
//! The text is a Fernet token (<https://github.com/fernet/spec>) without `=` at its end, as Keystone hands it out.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use fernet::Fernet;
use zeroize::{Zeroize, Zeroizing};

use super::owned::{create_private, open_or_create_private};
use super::random::Random;
use super::token::{BadToken, Token, read_token, write_token};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The directory or a file in it cannot be read or written.
    #[error("token keys: {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with a number for a name that is not 32 bytes in base64url.
    #[error("token keys: {} is not a Fernet key", .0.display())]
    Malformed(PathBuf),
    /// Everybody on this machine can read a key.
    #[error("token keys: {} may be read by everybody; chmod 600 it and rotate", .0.display())]
    Exposed(PathBuf),
    /// A directory without keys.
    #[error("token keys: there are none in {}", .0.display())]
    None(PathBuf),
}

impl KeysError {
    fn is_missing(&self) -> bool {
        matches!(self, KeysError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The keys that seal and open tokens: one that seals, and older and next ones that open.
///
/// A directory holds one file per key, named by a number, as in Keystone: the highest seals, `0` is the one that will seal
/// after the next rotation (so that processes which have not yet seen a rotation can open what others seal after it).
/// A value never changes: to follow a rotation, load another and put it in this one's place.
pub struct TokenKeys {
    /// The sealing key first, then from new to old, then the next one.
    keys: Vec<Fernet>,
}

/// What a rotation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The number of the key that seals from now on.
    pub sealing: u64,
    /// Those of the keys that are gone.
    pub removed: Vec<u64>,
    /// Whether this was only the end of an earlier rotation that had been interrupted: the next key was missing, and is there now.
    pub was_interrupted: bool,
}

impl TokenKeys {
    /// Loads the keys, and makes them at the first start. Several processes may start at once: one of them makes the keys.
    ///
    /// # Errors
    /// Where the directory cannot be made, read or written, or holds what is not a key.
    pub fn load_or_create(dir: &Path, random: Random<'_>) -> Result<TokenKeys, KeysError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
        // Nothing is written where nothing is missing: keys may be mounted read-only.
        if numbers(dir)?.len() >= 2 {
            return TokenKeys::load(dir);
        }
        let _alone = lock(dir)?;
        if numbers(dir)?.is_empty() {
            write_key(dir, 1, random)?;
            write_key(dir, 0, random)?;
        }
        TokenKeys::load(dir)
    }

    /// Loads the keys of a directory.
    ///
    /// # Errors
    /// Where there is none, or one cannot be read, is readable by everybody, or is not a key.
    pub fn load(dir: &Path) -> Result<TokenKeys, KeysError> {
        TokenKeys::load_by(dir, &mut read_key)
    }

    /// Reads without the lock, for the directory may be mounted read-only. So a rotation may take the next key away from under the reader,
    /// or give another its name: where the numbers are others afterwards, what was read is no set of keys, and they are read once more.
    fn load_by(dir: &Path, read: &mut dyn FnMut(&Path) -> Result<Fernet, KeysError>) -> Result<TokenKeys, KeysError> {
        let mut attempt = || {
            let listed = numbers(dir)?;
            let keys = listed.iter().rev().map(|number| read(&dir.join(number.to_string()))).collect();
            Ok::<_, KeysError>((numbers(dir)? == listed, keys))
        };
        let (is_whole, mut keys): (bool, Result<Vec<_>, _>) = attempt()?;
        if !is_whole || keys.as_ref().is_err_and(KeysError::is_missing) {
            (_, keys) = attempt()?;
        }
        let keys = keys?;
        if keys.is_empty() {
            return Err(KeysError::None(dir.to_owned()));
        }
        Ok(TokenKeys { keys })
    }

    /// Lets the next key seal, makes a new next one, and removes those that have not sealed anything since `outlived`: what they have sealed
    /// is a forgery from then on, so that should be as long ago as a token lives. A key has sealed until the next one took its place.
    ///
    /// Where there is no next key, that is made and nothing else: no other process could open what a key seals that it has never seen.
    ///
    /// # Errors
    /// As for `load_or_create`.
    pub fn rotate(dir: &Path, outlived: SystemTime, random: Random<'_>) -> Result<Rotated, KeysError> {
        let _alone = lock(dir)?;
        let kept = numbers(dir)?;
        let sealing = *kept.last().ok_or_else(|| KeysError::None(dir.to_owned()))?;
        if kept[0] != 0 {
            // A rotation that crashed after its first step, or a directory filled by hand.
            write_key(dir, 0, random)?;
            return Ok(Rotated { sealing, removed: Vec::new(), was_interrupted: true });
        }
        let next = dir.join("0");
        let promoted = sealing.checked_add(1).ok_or_else(|| KeysError::Malformed(dir.join(sealing.to_string())))?;
        let mut removed = Vec::new();
        for pair in kept[1..].windows(2) {
            // the directory tells when a file came to its name, the file when it was written, which was long before
            let since = came_to_be(&dir.join(pair[1].to_string()))?;
            if since < outlived {
                let old = dir.join(pair[0].to_string());
                fs::remove_file(&old).map_err(at(&old))?;
                removed.push(pair[0]);
            }
        }
        fs::rename(&next, dir.join(promoted.to_string())).map_err(at(&next))?;
        write_key(dir, 0, random)?;
        Ok(Rotated { sealing: promoted, removed, was_interrupted: false })
    }

    /// The text for the client: about 160 characters.
    // No argument for randomness: the crate draws Fernet's initialization vector itself, from the operating system.
    pub fn seal(&self, token: &Token) -> String {
        let mut said = Vec::with_capacity(96);
        write_token(&mut said, token);
        let mut text = self.keys[0].encrypt_at_time(&said, token.issued_at as u64);
        text.truncate(text.trim_end_matches('=').len());
        text
    }

    /// What a text says, if it is one of our tokens and its time is not over.
    ///
    /// # Errors
    /// See `BadToken`.
    pub fn open(&self, text: &str, now: i64) -> Result<Token, BadToken> {
        let token = self.open_expired(text)?;
        if token.expired(now) { Err(BadToken::Expired) } else { Ok(token) }
    }

    /// What a text says, if it is one of our tokens, whether or not its time is over.
    ///
    /// This depends on the text and the keys alone, and two different texts are never both the same token: a cache of
    /// opened tokens may use (a hash of) the text as its key, has to ask `Token::expired` at each use, and is to be
    /// emptied when other keys are loaded. It also serves Identity's `allow_expired`.
    ///
    /// # Errors
    /// `Malformed` or `Forged`.
    pub fn open_expired(&self, text: &str) -> Result<Token, BadToken> {
        // The crate would accept any number of `=`, and so many texts for one token.
        if text.ends_with('=') {
            return Err(BadToken::Malformed);
        }
        let said = self.keys.iter().find_map(|key| unseal(key, text)).ok_or_else(|| form(text))?;
        let issued_at = timestamp(text).ok_or(BadToken::Malformed)?;
        read_token(&said, issued_at).ok_or(BadToken::Malformed)
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} token keys", self.keys.len())
    }
}

fn unseal(key: &Fernet, text: &str) -> Option<Vec<u8>> {
    // No time to live, for the token says itself when it ends; and a clock of the far future, for like Keystone we do not
    // mind a token from a machine whose clock is ahead of ours.
    key.decrypt_at_time(text, None, u64::MAX / 2).ok()
}

/// What is wrong with a text that no key opens: asked only then.
fn form(text: &str) -> BadToken {
    const SMALLEST: usize = 1 + 8 + 16 + 16 + 32; // version, time, initialization vector, one block, signature
    match URL_SAFE_NO_PAD.decode(text) {
        Ok(bytes) if bytes.len() >= SMALLEST && bytes[0] == 0x80 => BadToken::Forged,
        _ => BadToken::Malformed,
    }
}

/// Fernet's timestamp: bytes 1 to 8, which the first twelve characters stand for. To be believed only after opening.
fn timestamp(text: &str) -> Option<i64> {
    let mut head = [0; 9];
    URL_SAFE_NO_PAD.decode_slice(text.get(..12)?, &mut head).ok()?;
    head[1..].try_into().ok().map(i64::from_be_bytes)
}

// The directory.

/// When a file was last renamed, or made: its inode's change, which neither a copy nor `touch` sets back.
fn came_to_be(path: &Path) -> Result<SystemTime, KeysError> {
    let seconds = fs::metadata(path).map_err(at(path))?.ctime();
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The numbers of the keys in a directory, lowest first. Files with other names are nobody's business.
pub(super) fn numbers(dir: &Path) -> Result<Vec<u64>, KeysError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let name = entry.map_err(at(dir))?.file_name();
        // A number that is written in another way (007) would not be found again by its number.
        let number = name.to_str().and_then(|name| name.parse().ok().filter(|n: &u64| n.to_string() == name));
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn read_key(path: &Path) -> Result<Fernet, KeysError> {
    let mode = fs::metadata(path).map_err(at(path))?.permissions().mode();
    if mode & 0o004 != 0 {
        return Err(KeysError::Exposed(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(at(path))?);
    Fernet::new(text.trim()).ok_or_else(|| KeysError::Malformed(path.to_owned()))
}

/// Writes a new key, whole or not at all, readable by the server's user alone, and on the disk when this returns.
fn write_key(dir: &Path, number: u64, random: Random<'_>) -> Result<(), KeysError> {
    let mut key = [0; 32];
    random(&mut key);
    let text = Zeroizing::new(URL_SAFE.encode(key));
    key.zeroize();
    let (unfinished, path) = (dir.join("key.tmp"), dir.join(number.to_string()));
    // What a crash may have left has a mode we do not know.
    let _absent = fs::remove_file(&unfinished);
    let mut file = create_private(&unfinished).map_err(at(&unfinished))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&unfinished))?;
    fs::rename(&unfinished, &path).map_err(at(&path))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

/// Keeps other processes from making keys in this directory until dropped.
fn lock(dir: &Path) -> Result<File, KeysError> {
    let path = dir.join(".lock");
    let file = open_or_create_private(&path).map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(file)
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let path = path.to_owned();
    move |source| KeysError::Io { path, source }
}

#[cfg(test)]
mod tests;
