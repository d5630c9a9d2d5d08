//! The SQL of identity's administration.

use super::{StoreError, Tx};
use crate::model::ids::{ProjectId, RoleId, UserId};
use crate::model::time::Timestamp;

/// Whether there is such a domain.
///
/// # Errors
/// The engine's.
pub fn has_domain(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.number("SELECT count(*) FROM domains WHERE id = $1", &[id.into()])? > 0)
}

/// Adds a domain.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken.
pub fn insert_domain(tx: &mut dyn Tx, id: &str, name: &str, description: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO domains (id, name, description, enabled, extra) VALUES ($1, $2, $3, 1, '{}')",
        &[id.into(), name.into(), description.into()],
    )?;
    Ok(())
}

/// Adds a role of no domain.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken.
pub fn insert_role(tx: &mut dyn Tx, id: &RoleId, name: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO roles (id, domain_id, name, description) VALUES ($1, '', $2, NULL)",
        &[id.as_str().into(), name.into()],
    )?;
    Ok(())
}

/// Whoever has the prior role has the implied one, too.
///
/// # Errors
/// The engine's.
pub fn insert_implication(tx: &mut dyn Tx, prior: &RoleId, implied: &RoleId) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO implied_roles (prior_role_id, implied_role_id) VALUES ($1, $2)",
        &[prior.as_str().into(), implied.as_str().into()],
    )?;
    Ok(())
}

/// Adds a user of the default domain.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken.
pub fn insert_user(
    tx: &mut dyn Tx,
    id: &UserId,
    name: &str,
    password_hash: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO users (id, domain_id, name, enabled, password_hash, password_changed_at, tokens_valid_from, extra) \
         VALUES ($1, 'default', $2, 1, $3, $4, 0, '{}')",
        &[id.as_str().into(), name.into(), password_hash.into(), now.microseconds().into()],
    )?;
    Ok(())
}

/// Adds a project of the default domain.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken.
pub fn insert_project(tx: &mut dyn Tx, id: &ProjectId, name: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO projects (id, domain_id, name, description, enabled, parent_id, tags, extra) \
         VALUES ($1, 'default', $2, '', 1, 'default', '[]', '{}')",
        &[id.as_str().into(), name.into()],
    )?;
    Ok(())
}

/// Gives a user a role on a project, a domain or the system. Given twice is given.
///
/// # Errors
/// The engine's.
pub fn insert_grant(tx: &mut dyn Tx, user: &UserId, kind: &str, target: &str, role: &RoleId) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO grants (user_id, target_kind, target_id, role_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[user.as_str().into(), kind.into(), target.into(), role.as_str().into()],
    )?;
    Ok(())
}
