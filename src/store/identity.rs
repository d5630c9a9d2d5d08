//! The SQL of identity that every request may need: who a token stands for. Administration has files of its own.

use super::{StoreError, Tx, Value, parsed};
use crate::model::ids::{DomainId, UserId};

/// A user who is enabled, in a domain that is.
pub struct ActiveUser {
    /// Their name.
    pub name: String,
    /// Their domain.
    pub domain_id: DomainId,
    /// Tokens issued before this second are void: the password has changed, or all were revoked.
    pub tokens_valid_from_seconds: i64,
}

/// Finds a user who may log in.
///
/// # Errors
/// The engine's.
pub fn active_user(tx: &mut dyn Tx, id: &UserId) -> Result<Option<ActiveUser>, StoreError> {
    tx.first(
        "SELECT users.name, users.domain_id, users.tokens_valid_from FROM users JOIN domains ON domains.id = users.domain_id \
         WHERE users.id = $1 AND users.enabled = 1 AND domains.enabled = 1",
        &[id.as_str().into()],
        |row| {
            Ok(ActiveUser {
                name: row.text(0)?.to_owned(),
                domain_id: parsed(row, 1)?,
                tokens_valid_from_seconds: row.int(2)?,
            })
        },
    )
}

/// Whether one of these audit ids was revoked.
///
/// # Errors
/// The engine's.
pub fn is_revoked(tx: &mut dyn Tx, audit_ids: &[String]) -> Result<bool, StoreError> {
    for audit_id in audit_ids {
        if tx.number("SELECT count(*) FROM revoked_tokens WHERE audit_id = $1", &[audit_id.into()])? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The domain of a project that is enabled, in a domain that is.
///
/// # Errors
/// The engine's.
pub fn active_project_domain(tx: &mut dyn Tx, id: &str) -> Result<Option<DomainId>, StoreError> {
    tx.first(
        "SELECT projects.domain_id FROM projects JOIN domains ON domains.id = projects.domain_id \
         WHERE projects.id = $1 AND projects.enabled = 1 AND domains.enabled = 1",
        &[id.into()],
        |row| parsed(row, 0),
    )
}

/// A domain, if it is enabled.
///
/// # Errors
/// The engine's.
pub fn active_domain(tx: &mut dyn Tx, id: &str) -> Result<Option<DomainId>, StoreError> {
    tx.first("SELECT id FROM domains WHERE id = $1 AND enabled = 1", &[id.into()], |row| parsed(row, 0))
}

/// The names of a user's roles on a target, with all that these imply.
///
/// # Errors
/// The engine's.
pub fn role_names(tx: &mut dyn Tx, user: &UserId, kind: &str, target: &str) -> Result<Vec<String>, StoreError> {
    tx.all(
        "WITH RECURSIVE held (role_id) AS ( \
           SELECT role_id FROM grants WHERE user_id = $1 AND target_kind = $2 AND target_id = $3 \
           UNION SELECT implied_role_id FROM implied_roles JOIN held ON prior_role_id = held.role_id) \
         SELECT roles.name FROM roles JOIN held ON roles.id = held.role_id ORDER BY roles.name",
        &[user.as_str().into(), kind.into(), target.into()],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

/// The names of the roles of an application credential: those it was given that its user still has on its project.
/// None where it is gone, or is for another project.
///
/// # Errors
/// The engine's.
pub fn roles_of_credential(tx: &mut dyn Tx, credential: &str, project: &str) -> Result<Vec<String>, StoreError> {
    let parameters: &[Value<'_>] = &[credential.into(), project.into()];
    let found = tx.first(
        "SELECT user_id, role_ids FROM application_credentials WHERE id = $1 AND project_id = $2",
        parameters,
        |row| Ok((parsed::<UserId>(row, 0)?, row.text(1)?.to_owned())),
    )?;
    let Some((user, role_ids)) = found else { return Ok(Vec::new()) };
    let held = role_names(tx, &user, "project", project)?;
    let mut names = Vec::new();
    for id in role_ids.split(' ').filter(|id| !id.is_empty()) {
        let implied = tx.all(
            "WITH RECURSIVE held (role_id) AS ( \
               SELECT id FROM roles WHERE id = $1 \
               UNION SELECT implied_role_id FROM implied_roles JOIN held ON prior_role_id = held.role_id) \
             SELECT roles.name FROM roles JOIN held ON roles.id = held.role_id",
            &[id.into()],
            |row| Ok(row.text(0)?.to_owned()),
        )?;
        names.extend(implied.into_iter().filter(|name| held.contains(name)));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
