//! The SQL of users. Hashes go in here and never come out again but for logging in.

use super::{Page, changed, extra, extra_text, listed, owned};
use crate::model::identity::User;
use crate::model::time::Timestamp;
use crate::store::{Row, StoreError, Tx, Value, parsed};

const SELECT: &str = "SELECT id, domain_id, name, enabled, default_project_id, extra FROM users";

fn made(row: &dyn Row) -> Result<User, StoreError> {
    Ok(User {
        id: parsed(row, 0)?,
        domain_id: parsed(row, 1)?,
        name: row.text(2)?.to_owned(),
        enabled: row.flag(3)?,
        default_project_id: owned(row, 4)?,
        extra: extra(row, 5)?,
    })
}

/// One user.
///
/// # Errors
/// The engine's.
pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<User>, StoreError> {
    tx.first(&format!("{SELECT} WHERE id = $1"), &[id.into()], made)
}

/// The users that fit all filters.
///
/// # Errors
/// The engine's.
pub fn list(tx: &mut dyn Tx, filters: &[(&'static str, Value<'_>)], page: &Page) -> Result<Vec<User>, StoreError> {
    listed(tx, SELECT, filters, page, made)
}

/// Adds a user, with a password or without.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken in their domain.
pub fn insert(tx: &mut dyn Tx, user: &User, password_hash: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO users (id, domain_id, name, enabled, password_hash, password_changed_at, tokens_valid_from, \
         default_project_id, extra) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)",
        &[
            user.id.as_str().into(),
            user.domain_id.as_str().into(),
            (&user.name).into(),
            user.enabled.into(),
            password_hash.into(),
            now.microseconds().into(),
            user.default_project_id.as_deref().into(),
            extra_text(&user.extra).as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Writes a user anew, but for their domain and their secrets.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken in their domain.
pub fn update(tx: &mut dyn Tx, user: &User) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE users SET name = $1, enabled = $2, default_project_id = $3, extra = $4 WHERE id = $5",
        &[
            (&user.name).into(),
            user.enabled.into(),
            user.default_project_id.as_deref().into(),
            extra_text(&user.extra).as_str().into(),
            user.id.as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Gives a user another password, or none.
///
/// # Errors
/// The engine's.
pub fn set_password(tx: &mut dyn Tx, id: &str, hash: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE users SET password_hash = $1, password_changed_at = $2 WHERE id = $3",
        &[hash.into(), now.microseconds().into(), id.into()],
    )?;
    void_tokens(tx, id, now)
}

/// Gives a user an API key for Identity v2.0.
///
/// # Errors
/// The engine's.
pub fn set_api_key(tx: &mut dyn Tx, id: &str, hash: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE users SET api_key_hash = $1 WHERE id = $2", &[hash.into(), id.into()])?;
    changed(tx);
    Ok(())
}

/// Voids every token that the user has now: those of this very second too, for tokens count whole seconds.
///
/// # Errors
/// The engine's.
pub fn void_tokens(tx: &mut dyn Tx, id: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE users SET tokens_valid_from = $1 WHERE id = $2 AND tokens_valid_from < $1",
        &[(now.seconds() + 1).into(), id.into()],
    )?;
    changed(tx);
    Ok(())
}

/// Deletes a user, what was granted to them, and their application credentials.
///
/// # Errors
/// The engine's.
pub fn delete(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM application_credentials WHERE user_id = $1",
        "DELETE FROM grants WHERE user_id = $1",
        "DELETE FROM users WHERE id = $1",
    ] {
        tx.execute(sql, &[id.into()])?;
    }
    changed(tx);
    Ok(())
}
