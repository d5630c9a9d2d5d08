//! Key pairs: the public half of a key that a user puts into their servers. Private halves are never kept.

use super::time::Timestamp;

/// A key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// Whose.
    pub user_id: String,
    /// What the user calls it; one user has no two of one name.
    pub name: String,
    /// Counts up from 1 over all users.
    pub number: i64,
    /// `ssh`.
    pub kind: String,
    /// As OpenSSH writes it in one line.
    pub public_key: String,
    /// MD5 of the key, in pairs of hexadecimal digits with colons between.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Timestamp,
}
