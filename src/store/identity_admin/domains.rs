//! The SQL of domains.

use super::{Page, changed, extra, extra_text, listed};
use crate::model::identity::Domain;
use crate::store::{Row, StoreError, Tx, Value, parsed};

const SELECT: &str = "SELECT id, name, description, enabled, extra FROM domains";

fn made(row: &dyn Row) -> Result<Domain, StoreError> {
    Ok(Domain {
        id: parsed(row, 0)?,
        name: row.text(1)?.to_owned(),
        description: row.text(2)?.to_owned(),
        enabled: row.flag(3)?,
        extra: extra(row, 4)?,
    })
}

/// One domain.
///
/// # Errors
/// The engine's.
pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<Domain>, StoreError> {
    tx.first(&format!("{SELECT} WHERE id = $1"), &[id.into()], made)
}

/// The domains that fit all filters.
///
/// # Errors
/// The engine's.
pub fn list(tx: &mut dyn Tx, filters: &[(&'static str, Value<'_>)], page: &Page) -> Result<Vec<Domain>, StoreError> {
    listed(tx, SELECT, filters, page, made)
}

/// The domains on which a user has a role.
///
/// # Errors
/// The engine's.
pub fn of_user(tx: &mut dyn Tx, user: &str) -> Result<Vec<Domain>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE id IN (SELECT target_id FROM grants WHERE user_id = $1 AND target_kind = 'domain') ORDER BY id"
    );
    tx.all(&sql, &[user.into()], made)
}

/// Adds a domain.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken.
pub fn insert(tx: &mut dyn Tx, domain: &Domain) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO domains (id, name, description, enabled, extra) VALUES ($1, $2, $3, $4, $5)",
        &[
            domain.id.as_str().into(),
            (&domain.name).into(),
            (&domain.description).into(),
            domain.enabled.into(),
            extra_text(&domain.extra).as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Writes a domain anew.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken.
pub fn update(tx: &mut dyn Tx, domain: &Domain) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE domains SET name = $1, description = $2, enabled = $3, extra = $4 WHERE id = $5",
        &[
            (&domain.name).into(),
            (&domain.description).into(),
            domain.enabled.into(),
            extra_text(&domain.extra).as_str().into(),
            domain.id.as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Deletes a domain with its users, projects and roles, and all that is granted to or on them.
///
/// # Errors
/// The engine's.
pub fn delete(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM application_credentials WHERE user_id IN (SELECT id FROM users WHERE domain_id = $1)",
        "DELETE FROM application_credentials WHERE project_id IN (SELECT id FROM projects WHERE domain_id = $1)",
        "DELETE FROM grants WHERE user_id IN (SELECT id FROM users WHERE domain_id = $1)",
        "DELETE FROM grants WHERE target_kind = 'project' AND target_id IN (SELECT id FROM projects WHERE domain_id = $1)",
        "DELETE FROM grants WHERE target_kind = 'domain' AND target_id = $1",
        "DELETE FROM grants WHERE role_id IN (SELECT id FROM roles WHERE domain_id = $1)",
        "DELETE FROM implied_roles WHERE prior_role_id IN (SELECT id FROM roles WHERE domain_id = $1)",
        "DELETE FROM implied_roles WHERE implied_role_id IN (SELECT id FROM roles WHERE domain_id = $1)",
        "DELETE FROM roles WHERE domain_id = $1",
        "DELETE FROM users WHERE domain_id = $1",
        "DELETE FROM projects WHERE domain_id = $1",
        "DELETE FROM domains WHERE id = $1",
    ] {
        tx.execute(sql, &[id.into()])?;
    }
    changed(tx);
    Ok(())
}
