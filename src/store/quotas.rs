//! The SQL of quotas: what has been set, for a project, one of its users, or the class `default`.

use std::collections::BTreeMap;

use super::{StoreError, Tx, Value};
use crate::model::ids::{ProjectId, UserId};

/// The limits that somebody has set and that apply to a user of a project; -1 is any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applying {
    /// The project's.
    pub project: Option<i64>,
    /// The user's own within the project.
    pub user: Option<i64>,
    /// That of the class `default`.
    pub default_class: Option<i64>,
}

/// What has been set for one resource.
///
/// # Errors
/// The engine's.
pub fn applying(tx: &mut dyn Tx, project: &ProjectId, user: &UserId, resource: &str) -> Result<Applying, StoreError> {
    let mut found = Applying::default();
    tx.query(
        // three rows by their keys; `user_id IN ('', $3)` would cost SQLite a temporary table at every write
        "SELECT user_id, hard_limit FROM quotas WHERE resource = $1 AND project_id = $2 AND user_id = '' \
         UNION ALL SELECT user_id, hard_limit FROM quotas WHERE resource = $1 AND project_id = $2 AND user_id = $3 \
         UNION ALL SELECT NULL, hard_limit FROM quota_classes WHERE class = 'default' AND resource = $1",
        &[resource.into(), project.as_str().into(), user.as_str().into()],
        &mut |row| {
            let limit = Some(row.int(1)?);
            match row.text_or_null(0)? {
                None => found.default_class = limit,
                Some("") => found.project = limit,
                Some(_) => found.user = limit,
            }
            Ok(())
        },
    )?;
    Ok(found)
}

/// Limits by the name of their resource; -1 is any number.
pub type Limits = BTreeMap<String, i64>;

/// What has been set for a project (`user` is `None`), or for one of its users.
///
/// # Errors
/// The engine's.
pub fn set_for(tx: &mut dyn Tx, project: &ProjectId, user: Option<&UserId>) -> Result<Limits, StoreError> {
    limits(
        tx,
        "SELECT resource, hard_limit FROM quotas WHERE project_id = $1 AND user_id = $2 ORDER BY resource",
        &[project.as_str().into(), user.map_or("", UserId::as_str).into()],
    )
}

/// What has been given away to users of a project, in sum.
///
/// # Errors
/// The engine's.
pub fn given_to_users(tx: &mut dyn Tx, project: &ProjectId) -> Result<Limits, StoreError> {
    limits(
        tx,
        "SELECT resource, CAST(sum(hard_limit) AS BIGINT) FROM quotas WHERE project_id = $1 AND user_id <> '' \
         GROUP BY resource ORDER BY resource",
        &[project.as_str().into()],
    )
}

/// What has been set for a class.
///
/// # Errors
/// The engine's.
pub fn set_for_class(tx: &mut dyn Tx, class: &str) -> Result<Limits, StoreError> {
    let sql = "SELECT resource, hard_limit FROM quota_classes WHERE class = $1 ORDER BY resource";
    limits(tx, sql, &[class.into()])
}

fn limits(tx: &mut dyn Tx, sql: &str, parameters: &[Value<'_>]) -> Result<Limits, StoreError> {
    Ok(tx.all(sql, parameters, |row| Ok((row.text(0)?.to_owned(), row.int(1)?)))?.into_iter().collect())
}

/// Sets a limit of a project, or of one of its users.
///
/// # Errors
/// The engine's.
pub fn set(
    tx: &mut dyn Tx,
    project: &ProjectId,
    user: Option<&UserId>,
    resource: &str,
    limit: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO quotas (project_id, user_id, resource, hard_limit) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (project_id, user_id, resource) DO UPDATE SET hard_limit = excluded.hard_limit",
        &[project.as_str().into(), user.map_or("", UserId::as_str).into(), resource.into(), limit.into()],
    )?;
    Ok(())
}

/// Sets a limit of a class.
///
/// # Errors
/// The engine's.
pub fn set_class(tx: &mut dyn Tx, class: &str, resource: &str, limit: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO quota_classes (class, resource, hard_limit) VALUES ($1, $2, $3) \
         ON CONFLICT (class, resource) DO UPDATE SET hard_limit = excluded.hard_limit",
        &[class.into(), resource.into(), limit.into()],
    )?;
    Ok(())
}

/// Forgets what was set for one user of a project, or for the project with all of its users.
///
/// # Errors
/// The engine's.
pub fn forget(tx: &mut dyn Tx, project: &str, user: Option<&str>) -> Result<(), StoreError> {
    match user {
        Some(user) => {
            tx.execute("DELETE FROM quotas WHERE project_id = $1 AND user_id = $2", &[project.into(), user.into()])?
        }
        None => tx.execute("DELETE FROM quotas WHERE project_id = $1", &[project.into()])?,
    };
    Ok(())
}

/// Whether there is such a project, enabled or not: limits are set for no other.
///
/// # Errors
/// The engine's.
pub fn project_exists(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.number("SELECT count(*) FROM projects WHERE id = $1", &[id.into()])? > 0)
}
