//! Key pairs: importing one, making one, and what a user may have of them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{LineEnding, PublicKey};

use super::Error;
use super::limits::Defaults;
use super::quota_sets::{self, Holder};
use crate::model::ids::{ProjectId, UserId};
use crate::model::key_pair::KeyPair;
use crate::store::{Tx, key_pairs};

/// What keeps a key pair from being made, or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPairError {
    /// The user has none of this name.
    NotFound {
        /// The name.
        name: String,
        /// The user.
        user: String,
    },
    /// The user has one of this name.
    Exists(String),
    /// The user has as many as they may.
    TooMany,
    /// This is no public key of OpenSSH.
    NotAKey,
    /// A certificate, which nothing here could use.
    NotSupported,
}

/// The halves of a key.
pub struct Halves {
    /// In one line, as OpenSSH writes it.
    pub public: String,
    /// In OpenSSH's PEM.
    pub private: String,
}

/// Makes an Ed25519 key from chance that must be good enough for secrets.
///
/// # Errors
/// `NotAKey`, should the library not be able to write what it has made.
pub fn generate(chance: &[u8; 32]) -> Result<Halves, Error> {
    let failed = |_| Error::from(KeyPairError::NotAKey);
    let mut key = PrivateKey::from(Ed25519Keypair::from_seed(chance));
    key.set_comment("Generated-by-Kilonova");
    Ok(Halves {
        public: key.public_key().to_openssh().map_err(failed)?,
        private: key.to_openssh(LineEnding::LF).map_err(failed)?.to_string(),
    })
}

/// MD5 of a public key, in the form OpenSSH had before SHA-256, which Nova keeps.
///
/// # Errors
/// `NotAKey`.
pub fn fingerprint(public_key: &str) -> Result<String, Error> {
    let not_a_key = || Error::from(KeyPairError::NotAKey);
    PublicKey::from_openssh(public_key.trim_end()).map_err(|_| not_a_key())?;
    let data = public_key.split_whitespace().nth(1).ok_or_else(not_a_key)?;
    let data = BASE64_STANDARD.decode(data).map_err(|_| not_a_key())?;
    let pairs: Vec<String> = Md5::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(pairs.join(":"))
}

/// Keeps a key pair; gives it with its number. The quota is that of the user in the caller's project.
///
/// # Errors
/// `TooMany` and `Exists`, in this order.
pub fn create(
    tx: &mut dyn Tx,
    defaults: &impl Defaults,
    project: &ProjectId,
    mut it: KeyPair,
) -> Result<KeyPair, Error> {
    let user: Option<UserId> = it.user_id.parse().ok();
    let quotas = quota_sets::of(tx, defaults, Holder { project, user: user.as_ref() })?;
    let limit = quotas.iter().find(|quota| quota.resource == "key_pairs").map_or(-1, |quota| quota.limit);
    if limit >= 0 && key_pairs::count(tx, &it.user_id)? >= limit {
        return Err(KeyPairError::TooMany.into());
    }
    if key_pairs::find(tx, &it.user_id, &it.name)?.is_some() {
        return Err(KeyPairError::Exists(it.name).into());
    }
    it.number = key_pairs::next_number(tx)?;
    key_pairs::insert(tx, &it)?;
    Ok(it)
}

/// A user's key pair.
///
/// # Errors
/// `NotFound`.
pub fn find(tx: &mut dyn Tx, user: &str, name: &str) -> Result<KeyPair, Error> {
    key_pairs::find(tx, user, name)?.ok_or_else(|| not_found(user, name))
}

/// Removes a user's key pair. Servers that were made with it keep the key.
///
/// # Errors
/// `NotFound`.
pub fn delete(tx: &mut dyn Tx, user: &str, name: &str) -> Result<(), Error> {
    if key_pairs::remove(tx, user, name)? { Ok(()) } else { Err(not_found(user, name)) }
}

fn not_found(user: &str, name: &str) -> Error {
    KeyPairError::NotFound { name: name.to_owned(), user: user.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_made_is_one_that_can_be_imported() {
        let halves = generate(&[7; 32]).expect("a key");
        assert!(halves.public.starts_with("ssh-ed25519 ") && halves.public.ends_with(" Generated-by-Kilonova"));
        assert!(halves.private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        let read = PrivateKey::from_openssh(&halves.private).expect("a private key");
        assert_eq!(read.public_key().to_openssh().expect("a public key"), halves.public);
        assert_eq!(fingerprint(&halves.public).expect("a fingerprint").len(), 47);
    }

    #[test]
    fn what_is_not_a_key_has_no_fingerprint() {
        for text in ["", "ssh-rsa", "ssh-rsa AAAA", "ssh-ed25519 %%% me", "\u{1f600}"] {
            assert!(matches!(fingerprint(text), Err(Error::KeyPair(KeyPairError::NotAKey))), "{text}");
        }
    }
}
