//! The SQL of quotas: what has been set, for a project, one of its users, or the class `default`.

use super::{StoreError, Tx};
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
        "SELECT user_id, hard_limit FROM quotas WHERE resource = $1 AND project_id = $2 AND user_id IN ('', $3) \
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
