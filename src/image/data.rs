//! The data of an image: an upload begins, and ends or is given up, each in a transaction of its own; the bytes themselves go to
//! `blobs` in between. A crash leaves an image that is `saving`, and the note of whose upload that is: see `uploads`.

use super::Error;
use crate::blobs::{BlobKey, Written};
use crate::model::ids::ImageId;
use crate::model::image::{Image, ImageStatus};
use crate::model::time::Timestamp;
use crate::store::tasks::Lease;
use crate::store::{StoreError, Tx, images, uploads};

/// What `os_hash_value` is made with.
const HASH: &str = "sha512";

/// Notes that data is arriving under a key, and who receives it.
///
/// # Errors
/// Where the image is not waiting for data, or it is not known yet of which format it will be.
pub fn begin_upload(
    tx: &mut dyn Tx,
    mut image: Image,
    blob: &str,
    lease: Lease<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    if image.status != ImageStatus::Queued {
        return Err(Error::Transition { from: image.status, to: ImageStatus::Saving });
    }
    let formats = [("disk_format", &image.disk_format), ("container_format", &image.container_format)];
    let missing: Vec<&'static str> = formats.iter().filter(|(_, set)| set.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return Err(Error::FormatsMissing(missing));
    }
    image.status = ImageStatus::Saving;
    image.blob = Some(blob.to_owned());
    image.updated_at = now;
    uploads::record(tx, image.id, blob, lease)?;
    Ok(images::save(tx, &image)?)
}

/// Makes an image active whose data has arrived under a key.
///
/// # Errors
/// Where it has been deleted meanwhile; the data is then nobody's.
pub fn finish_upload(tx: &mut dyn Tx, id: ImageId, blob: &str, written: &Written, now: Timestamp) -> Result<(), Error> {
    let found = images::find(tx, id, None)?;
    let found = found.map(|image| image.for_system("an upload ends in the name of whoever was allowed to begin it"));
    let is_ours = |image: &Image| image.status == ImageStatus::Saving && image.blob.as_deref() == Some(blob);
    let mut image = found.filter(is_ours).ok_or(Error::GoneDuringUpload(id))?;
    image.status = ImageStatus::Active;
    image.size = Some(i64::try_from(written.bytes).unwrap_or(i64::MAX));
    image.checksum = Some(written.md5.clone());
    image.os_hash_algo = Some(HASH.to_owned());
    image.os_hash_value = Some(written.sha512.clone());
    image.updated_at = now;
    uploads::remove(tx, blob)?;
    Ok(images::save(tx, &image)?)
}

/// Gives up an upload whose data did not arrive; says whether the data, if there is any, is nobody's now.
///
/// # Errors
/// The store's.
pub fn give_up_upload(tx: &mut dyn Tx, id: ImageId, blob: &BlobKey) -> Result<bool, StoreError> {
    uploads::remove(tx, blob.as_str())?;
    Ok(images::give_up_upload(tx, id, blob.as_str())?
        || images::known_blobs(tx, std::slice::from_ref(blob))?.is_empty())
}

/// The key of an image's data; `None` where it has none yet.
///
/// # Errors
/// Where it is withheld.
pub fn of(image: &Image, for_admin: bool) -> Result<Option<&str>, Error> {
    match image.status {
        ImageStatus::Queued | ImageStatus::Saving => Ok(None),
        ImageStatus::Deactivated if !for_admin => Err(Error::Deactivated),
        ImageStatus::Active | ImageStatus::Deactivated => Ok(image.blob.as_deref()),
    }
}
