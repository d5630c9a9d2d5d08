//! The SQL of uploads under way: whose they are, until when, and which are nobody's any more.

use super::tasks::Lease;
use super::{StoreError, Tx, parsed};
use crate::model::ids::ImageId;

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The key of the data, as far as there is any.
    pub blob: String,
    /// The image it was meant for.
    pub image: ImageId,
}

/// Notes that somebody receives data under a key.
///
/// # Errors
/// The engine's.
pub fn record(tx: &mut dyn Tx, image: ImageId, blob: &str, lease: Lease<'_>) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO uploads (blob, image_id, owner, lease_until) VALUES ($1, $2, $3, $4)",
        &[blob.into(), image.to_string().as_str().into(), lease.owner.into(), lease.until.into()],
    )?;
    Ok(())
}

/// Forgets an upload: it has ended, one way or the other.
///
/// # Errors
/// The engine's.
pub fn remove(tx: &mut dyn Tx, blob: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM uploads WHERE blob = $1", &[blob.into()]).map(|_| ())
}

/// Whether an upload is noted: nobody has given it up, and it has not ended.
///
/// # Errors
/// The engine's.
pub fn is_noted(tx: &mut dyn Tx, blob: &str) -> Result<bool, StoreError> {
    Ok(tx.number("SELECT count(*) FROM uploads WHERE blob = $1", &[blob.into()])? > 0)
}

/// Keeps an upload for longer, if it is still this owner's.
///
/// # Errors
/// The engine's.
pub fn renew(tx: &mut dyn Tx, blob: &str, lease: Lease<'_>) -> Result<(), StoreError> {
    let sql = "UPDATE uploads SET lease_until = $1 WHERE blob = $2 AND owner = $3";
    tx.execute(sql, &[lease.until.into(), blob.into(), lease.owner.into()]).map(|_| ())
}

/// This owner's uploads, and those of others whose time is over.
///
/// # Errors
/// The engine's.
pub fn mine_or_nobodys(tx: &mut dyn Tx, lease: Lease<'_>) -> Result<Vec<Upload>, StoreError> {
    tx.all(
        "SELECT blob, image_id FROM uploads WHERE owner = $1 OR lease_until <= $2 ORDER BY blob",
        &[lease.owner.into(), lease.now.into()],
        |row| Ok(Upload { blob: row.text(0)?.to_owned(), image: parsed(row, 1)? }),
    )
}

/// How many uploads are under way, or were when somebody died.
///
/// # Errors
/// The engine's.
pub fn count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.number("SELECT count(*) FROM uploads", &[])
}
