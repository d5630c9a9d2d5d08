//! The SQL of application credentials, for those who administer them.

use super::{changed, owned};
use crate::model::identity::ApplicationCredential;
use crate::model::time::Timestamp;
use crate::store::{Row, StoreError, Tx, Value, parsed};

const SELECT: &str = "SELECT id, user_id, project_id, name, description, role_ids, unrestricted, expires_at \
     FROM application_credentials";

fn made(row: &dyn Row) -> Result<ApplicationCredential, StoreError> {
    Ok(ApplicationCredential {
        id: row.text(0)?.to_owned(),
        user_id: parsed(row, 1)?,
        project_id: parsed(row, 2)?,
        name: row.text(3)?.to_owned(),
        description: owned(row, 4)?,
        role_ids: row.text(5)?.split(' ').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        unrestricted: row.flag(6)?,
        expires_at: row.int_or_null(7)?.map(Timestamp::from_microseconds),
    })
}

/// One application credential.
///
/// # Errors
/// The engine's.
pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<ApplicationCredential>, StoreError> {
    tx.first(&format!("{SELECT} WHERE id = $1"), &[id.into()], made)
}

/// A user's application credentials, perhaps only the one of a name.
///
/// # Errors
/// The engine's.
pub fn of_user(tx: &mut dyn Tx, user: &str, name: Option<&str>) -> Result<Vec<ApplicationCredential>, StoreError> {
    let mut values: Vec<Value<'_>> = vec![user.into()];
    let mut sql = format!("{SELECT} WHERE user_id = $1");
    if let Some(name) = name {
        values.push(name.into());
        sql.push_str(" AND name = $2");
    }
    sql.push_str(" ORDER BY name, id");
    tx.all(&sql, &values, made)
}

/// Adds an application credential.
///
/// # Errors
/// The engine's; `Duplicate` where its owner has one of this name.
pub fn insert(tx: &mut dyn Tx, credential: &ApplicationCredential, secret_hash: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO application_credentials (id, user_id, project_id, name, description, secret_hash, role_ids, unrestricted, \
         expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            (&credential.id).into(),
            credential.user_id.as_str().into(),
            credential.project_id.as_str().into(),
            (&credential.name).into(),
            credential.description.as_deref().into(),
            secret_hash.into(),
            credential.role_ids.join(" ").as_str().into(),
            credential.unrestricted.into(),
            credential.expires_at.map(Timestamp::microseconds).into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Deletes an application credential; its tokens end with it.
///
/// # Errors
/// The engine's.
pub fn delete(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM application_credentials WHERE id = $1", &[id.into()])?;
    changed(tx);
    Ok(())
}
