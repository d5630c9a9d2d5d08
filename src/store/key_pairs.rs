//! The SQL of key pairs.

use super::{Row, StoreError, Tx};
use crate::model::key_pair::KeyPair;
use crate::model::time::Timestamp;

const COLUMNS: &str = "user_id, name, number, type, public_key, fingerprint, created_at";

/// A user's key pair.
///
/// # Errors
/// The engine's.
pub fn find(tx: &mut dyn Tx, user: &str, name: &str) -> Result<Option<KeyPair>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM key_pairs WHERE user_id = $1 AND name = $2");
    tx.first(&sql, &[user.into(), name.into()], |row| key_pair(row))
}

/// A page of a user's key pairs by name, those after a name.
///
/// # Errors
/// The engine's.
pub fn list(tx: &mut dyn Tx, user: &str, after: &str, limit: i64) -> Result<Vec<KeyPair>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM key_pairs WHERE user_id = $1 AND name > $2 ORDER BY user_id, name LIMIT $3");
    tx.all(&sql, &[user.into(), after.into(), limit.into()], |row| key_pair(row))
}

fn key_pair(row: &dyn Row) -> Result<KeyPair, StoreError> {
    Ok(KeyPair {
        user_id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        number: row.int(2)?,
        kind: row.text(3)?.to_owned(),
        public_key: row.text(4)?.to_owned(),
        fingerprint: row.text(5)?.to_owned(),
        created_at: Timestamp::from_microseconds(row.int(6)?),
    })
}

/// How many a user has.
///
/// # Errors
/// The engine's.
pub fn count(tx: &mut dyn Tx, user: &str) -> Result<i64, StoreError> {
    tx.number("SELECT count(*) FROM key_pairs WHERE user_id = $1", &[user.into()])
}

/// The number of the next one.
///
/// # Errors
/// The engine's.
pub fn next_number(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    Ok(tx.number("SELECT max(number) FROM key_pairs", &[])? + 1)
}

/// Adds one.
///
/// # Errors
/// The engine's.
pub fn insert(tx: &mut dyn Tx, it: &KeyPair) -> Result<(), StoreError> {
    tx.execute(
        &format!("INSERT INTO key_pairs ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)"),
        &[
            it.user_id.as_str().into(),
            it.name.as_str().into(),
            it.number.into(),
            it.kind.as_str().into(),
            it.public_key.as_str().into(),
            it.fingerprint.as_str().into(),
            it.created_at.microseconds().into(),
        ],
    )?;
    Ok(())
}

/// Removes one; says whether there was one.
///
/// # Errors
/// The engine's.
pub fn remove(tx: &mut dyn Tx, user: &str, name: &str) -> Result<bool, StoreError> {
    let removed = tx.execute("DELETE FROM key_pairs WHERE user_id = $1 AND name = $2", &[user.into(), name.into()])?;
    Ok(removed > 0)
}
