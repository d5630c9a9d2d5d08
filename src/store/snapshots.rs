//! Images that are made from servers: the row from its beginning to its data. The room of images has everything else.

use super::{StoreError, Tx, images};
use crate::blobs::{BlobKey, Written};
use crate::json::{Json, Object};
use crate::model::ids::{ImageId, ProjectId};
use crate::model::time::Timestamp;

/// An image to be made from a server.
#[derive(Debug, Clone)]
pub struct NewImage<'a> {
    /// Its id.
    pub id: ImageId,
    /// The project that gets it.
    pub owner: &'a ProjectId,
    /// Another project that is to see it: the server's, where somebody else has it made.
    pub shared_with: Option<&'a ProjectId>,
    /// Its name.
    pub name: &'a str,
    /// The least memory, in MiB.
    pub min_ram: i64,
    /// The least disk, in GiB.
    pub min_disk: i64,
    /// `raw`, `qcow2` …, where that is known already.
    pub disk_format: Option<&'a str>,
    /// Its properties.
    pub properties: &'a Object,
}

/// Remembers an image that has no data yet.
///
/// # Errors
/// The engine's.
pub fn insert(tx: &mut dyn Tx, image: &NewImage<'_>, now: Timestamp) -> Result<(), StoreError> {
    let (id, properties) = (image.id.to_string(), Json::from(image.properties.clone()).to_string());
    tx.execute(
        "INSERT INTO images (id, owner, name, status, visibility, protected, os_hidden, disk_format, container_format, min_ram, \
         min_disk, tags, properties, created_at, updated_at, sort_name) \
         VALUES ($1, $2, $3, 'queued', $4, 0, 0, $5, 'bare', $6, $7, '[]', $8, $9, $9, $3)",
        &[
            id.as_str().into(),
            image.owner.as_str().into(),
            image.name.into(),
            (if image.shared_with.is_some() { "shared" } else { "private" }).into(),
            image.disk_format.into(),
            image.min_ram.into(),
            image.min_disk.into(),
            properties.as_str().into(),
            now.microseconds().into(),
        ],
    )?;
    if let Some(project) = image.shared_with {
        tx.execute(
            "INSERT INTO image_members (image_id, member_id, status, created_at, updated_at) VALUES ($1, $2, 'accepted', $3, $3)",
            &[id.as_str().into(), project.as_str().into(), now.microseconds().into()],
        )?;
    }
    Ok(())
}

/// The data is on its way, under this key; `false` where the image is gone.
///
/// # Errors
/// The engine's.
pub fn saving(tx: &mut dyn Tx, id: ImageId, key: &BlobKey, now: Timestamp) -> Result<bool, StoreError> {
    let id = id.to_string();
    let changed = tx.execute(
        "UPDATE images SET status = 'saving', blob = $1, updated_at = $2 WHERE id = $3 AND status IN ('queued', 'saving')",
        &[key.as_str().into(), now.microseconds().into(), id.as_str().into()],
    )?;
    Ok(changed > 0)
}

/// The data is there; `false` where the image is gone.
///
/// # Errors
/// The engine's.
pub fn active(
    tx: &mut dyn Tx,
    id: ImageId,
    (key, written, disk_format): (&BlobKey, &Written, &str),
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (id, bytes) = (id.to_string(), i64::try_from(written.bytes).unwrap_or(i64::MAX));
    let changed = tx.execute(
        "UPDATE images SET status = 'active', size = $1, checksum = $2, os_hash_algo = 'sha512', os_hash_value = $3, \
         disk_format = $4, updated_at = $5 WHERE id = $6 AND status = 'saving' AND blob = $7",
        &[
            bytes.into(),
            written.md5.as_str().into(),
            written.sha512.as_str().into(),
            disk_format.into(),
            now.microseconds().into(),
            id.as_str().into(),
            key.as_str().into(),
        ],
    )?;
    Ok(changed > 0)
}

/// Removes an image that was to be made, or that was only made to shelve a server; gives the key of its data.
///
/// # Errors
/// The engine's.
pub fn remove(tx: &mut dyn Tx, image: ImageId) -> Result<Option<BlobKey>, StoreError> {
    let id = image.to_string();
    let key = tx.first("SELECT blob FROM images WHERE id = $1", &[id.as_str().into()], |row| {
        Ok(row.text_or_null(0)?.and_then(|key| key.parse().ok()))
    })?;
    images::delete(tx, image)?;
    Ok(key.flatten())
}
