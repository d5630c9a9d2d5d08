//! The SQL of roles and of what they imply.

use super::{Page, changed, extra, extra_text, listed, owned};
use crate::model::identity::Role;
use crate::store::{Row, StoreError, Tx, Value, parsed};

const SELECT: &str = "SELECT id, domain_id, name, description, extra FROM roles";

fn made(row: &dyn Row) -> Result<Role, StoreError> {
    Ok(Role {
        id: parsed(row, 0)?,
        domain_id: owned(row, 1)?.filter(|domain| !domain.is_empty()),
        name: row.text(2)?.to_owned(),
        description: owned(row, 3)?,
        extra: extra(row, 4)?,
    })
}

/// One role.
///
/// # Errors
/// The engine's.
pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<Role>, StoreError> {
    tx.first(&format!("{SELECT} WHERE id = $1"), &[id.into()], made)
}

/// The roles that fit all filters.
///
/// # Errors
/// The engine's.
pub fn list(tx: &mut dyn Tx, filters: &[(&'static str, Value<'_>)], page: &Page) -> Result<Vec<Role>, StoreError> {
    listed(tx, SELECT, filters, page, made)
}

/// Adds a role.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken in its domain.
pub fn insert(tx: &mut dyn Tx, role: &Role) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO roles (id, domain_id, name, description, extra) VALUES ($1, $2, $3, $4, $5)",
        &[
            role.id.as_str().into(),
            role.domain_id.as_deref().unwrap_or_default().into(),
            (&role.name).into(),
            role.description.as_deref().into(),
            extra_text(&role.extra).as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Writes a role anew, but for its domain.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken in its domain.
pub fn update(tx: &mut dyn Tx, role: &Role) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE roles SET name = $1, description = $2, extra = $3 WHERE id = $4",
        &[
            (&role.name).into(),
            role.description.as_deref().into(),
            extra_text(&role.extra).as_str().into(),
            role.id.as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Deletes a role, and takes it from everybody who has it.
///
/// # Errors
/// The engine's.
pub fn delete(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM grants WHERE role_id = $1",
        "DELETE FROM implied_roles WHERE prior_role_id = $1 OR implied_role_id = $1",
        "DELETE FROM roles WHERE id = $1",
    ] {
        tx.execute(sql, &[id.into()])?;
    }
    changed(tx);
    Ok(())
}

/// What a role implies itself, not through another.
///
/// # Errors
/// The engine's.
pub fn implied(tx: &mut dyn Tx, prior: &str) -> Result<Vec<Role>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE id IN (SELECT implied_role_id FROM implied_roles WHERE prior_role_id = $1) ORDER BY id"
    );
    tx.all(&sql, &[prior.into()], made)
}

/// Every role that implies another.
///
/// # Errors
/// The engine's.
pub fn priors(tx: &mut dyn Tx) -> Result<Vec<Role>, StoreError> {
    tx.all(&format!("{SELECT} WHERE id IN (SELECT prior_role_id FROM implied_roles) ORDER BY id"), &[], made)
}

/// Has a role imply another.
///
/// # Errors
/// The engine's; `Duplicate` where it does already.
pub fn imply(tx: &mut dyn Tx, prior: &str, implied: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO implied_roles (prior_role_id, implied_role_id) VALUES ($1, $2)",
        &[prior.into(), implied.into()],
    )?;
    changed(tx);
    Ok(())
}

/// Has a role imply another no longer; whether it did.
///
/// # Errors
/// The engine's.
pub fn forget_implication(tx: &mut dyn Tx, prior: &str, implied: &str) -> Result<bool, StoreError> {
    let gone = tx.execute(
        "DELETE FROM implied_roles WHERE prior_role_id = $1 AND implied_role_id = $2",
        &[prior.into(), implied.into()],
    )?;
    changed(tx);
    Ok(gone > 0)
}
