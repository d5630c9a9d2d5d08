//! The SQL of grants: which user has which role on what.

use super::changed;
use crate::model::identity::Named;
use crate::store::{StoreError, Tx, Value};

/// One grant with the names of all it connects.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The user.
    pub user: Named,
    /// Their domain.
    pub user_domain: Named,
    /// The role.
    pub role: Named,
    /// `project`, `domain` or `system`.
    pub kind: String,
    /// What it is on; for the system its id is `all`.
    pub target: Named,
    /// The domain of a project.
    pub target_domain: Named,
}

/// The roles granted to a user on a target, by name; what they imply is not among them.
///
/// # Errors
/// The engine's.
pub fn roles(tx: &mut dyn Tx, user: &str, kind: &str, target: &str) -> Result<Vec<Named>, StoreError> {
    tx.all(
        "SELECT roles.id, roles.name FROM grants JOIN roles ON roles.id = grants.role_id \
         WHERE grants.user_id = $1 AND grants.target_kind = $2 AND grants.target_id = $3 ORDER BY roles.name, roles.id",
        &[user.into(), kind.into(), target.into()],
        |row| Ok(Named::new(row.text(0)?, row.text(1)?)),
    )
}

/// Gives a user a role. Given twice is given.
///
/// # Errors
/// The engine's.
pub fn give(tx: &mut dyn Tx, user: &str, kind: &str, target: &str, role: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO grants (user_id, target_kind, target_id, role_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[user.into(), kind.into(), target.into(), role.into()],
    )?;
    changed(tx);
    Ok(())
}

/// Takes a role from a user; whether they had it. Their application credentials for a project go with a role on it, as Keystone's.
///
/// # Errors
/// The engine's.
pub fn take(tx: &mut dyn Tx, user: &str, kind: &str, target: &str, role: &str) -> Result<bool, StoreError> {
    let gone = tx.execute(
        "DELETE FROM grants WHERE user_id = $1 AND target_kind = $2 AND target_id = $3 AND role_id = $4",
        &[user.into(), kind.into(), target.into(), role.into()],
    )?;
    if gone > 0 && kind == "project" {
        let sql = "DELETE FROM application_credentials WHERE user_id = $1 AND project_id = $2";
        tx.execute(sql, &[user.into(), target.into()])?;
    }
    changed(tx);
    Ok(gone > 0)
}

/// What narrows a list of assignments.
#[derive(Debug, Clone, Default)]
pub struct Sieve<'a> {
    /// To one user.
    pub user: Option<&'a str>,
    /// To one kind of target.
    pub kind: Option<&'a str>,
    /// To one target.
    pub target: Option<&'a str>,
    /// To one role.
    pub role: Option<&'a str>,
}

/// All assignments that pass a sieve.
///
/// # Errors
/// The engine's.
pub fn assignments(tx: &mut dyn Tx, sieve: &Sieve<'_>) -> Result<Vec<Assignment>, StoreError> {
    let mut values: Vec<Value<'_>> = Vec::new();
    let mut conditions = String::from("1 = 1");
    for (column, value) in [
        ("grants.user_id", sieve.user),
        ("grants.target_kind", sieve.kind),
        ("grants.target_id", sieve.target),
        ("grants.role_id", sieve.role),
    ] {
        if let Some(value) = value {
            values.push(value.into());
            conditions.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    }
    let sql = format!(
        "SELECT users.id, users.name, home.id, home.name, roles.id, roles.name, grants.target_kind, grants.target_id, \
         projects.name, around.id, around.name, domains.name \
         FROM grants JOIN users ON users.id = grants.user_id JOIN domains home ON home.id = users.domain_id \
         JOIN roles ON roles.id = grants.role_id \
         LEFT JOIN projects ON grants.target_kind = 'project' AND projects.id = grants.target_id \
         LEFT JOIN domains around ON around.id = projects.domain_id \
         LEFT JOIN domains ON grants.target_kind = 'domain' AND domains.id = grants.target_id \
         WHERE {conditions} ORDER BY grants.user_id, grants.target_kind, grants.target_id, grants.role_id"
    );
    tx.all(&sql, &values, |row| {
        let text = |column| Ok::<_, StoreError>(row.text_or_null(column)?.unwrap_or_default().to_owned());
        let kind = text(6)?;
        let name = if kind == "domain" { text(11)? } else { text(8)? };
        Ok(Assignment {
            user: Named::new(text(0)?, text(1)?),
            user_domain: Named::new(text(2)?, text(3)?),
            role: Named::new(text(4)?, text(5)?),
            target: Named::new(text(7)?, name),
            target_domain: Named::new(text(9)?, text(10)?),
            kind,
        })
    })
}
