//! The SQL of identity's administration: here what the first start needs and what lists share; each resource has a file below.

pub mod application_credentials;
pub mod catalog;
pub mod domains;
pub mod grants;
pub mod projects;
pub mod roles;
pub mod users;

use super::{Effect, Row, StoreError, Tx, Value};
use crate::json::{self, Json, Object};
use crate::model::ids::{ProjectId, RoleId, UserId};
use crate::model::time::Timestamp;

/// Which part of a list, by id.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What the part before ended with.
    pub marker: Option<String>,
    /// How many at most.
    pub limit: Option<i64>,
}

/// The rows of a list that fit all filters, a column and its value each, in the order of their ids. `select` ends before WHERE.
fn listed<T>(
    tx: &mut dyn Tx,
    select: &str,
    filters: &[(&'static str, Value<'_>)],
    page: &Page,
    make: fn(&dyn Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    for (column, value) in filters {
        values.push(*value);
        conditions.push(format!("{column} = ${}", values.len()));
    }
    if let Some(marker) = &page.marker {
        values.push(marker.into());
        conditions.push(format!("id > ${}", values.len()));
    }
    let mut sql = select.to_owned();
    if !conditions.is_empty() {
        sql.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
    }
    sql.push_str(" ORDER BY id");
    if let Some(limit) = page.limit {
        values.push(limit.into());
        sql.push_str(&format!(" LIMIT ${}", values.len()));
    }
    tx.all(&sql, &values, make)
}

/// The members that clients have added, from a column.
fn extra(row: &dyn Row, column: usize) -> Result<Object, StoreError> {
    let text = row.text(column)?;
    let json = json::parse(text.as_bytes()).ok().and_then(Json::into_object);
    json.ok_or_else(|| super::malformed("members that clients have added", text))
}

/// The same for writing.
fn extra_text(extra: &Object) -> String {
    Json::from(extra.clone()).to_string()
}

fn owned(row: &dyn Row, column: usize) -> Result<Option<String>, StoreError> {
    Ok(row.text_or_null(column)?.map(str::to_owned))
}

/// Has everything that is remembered of tokens forgotten when this commits.
pub fn changed(tx: &mut dyn Tx) {
    tx.announce(Effect::IdentityChanged);
}

/// Whether there is such a domain.
///
/// # Errors
/// The engine's.
pub fn has_domain(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.number("SELECT count(*) FROM domains WHERE id = $1", &[id.into()])? > 0)
}

/// Whether there is a user of this id.
///
/// # Errors
/// The engine's.
pub fn has_user(tx: &mut dyn Tx, id: &UserId) -> Result<bool, StoreError> {
    Ok(tx.number("SELECT count(*) FROM users WHERE id = $1", &[id.as_str().into()])? > 0)
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
        "INSERT INTO roles (id, domain_id, name, description, extra) VALUES ($1, '', $2, NULL, '{}')",
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
