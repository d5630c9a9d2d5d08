//! The record of an image: made, written, taken out of use, deleted.

use super::Error;
use crate::model::ids::{ImageId, ProjectId};
use crate::model::image::{Image, ImageStatus, Properties, Visibility};
use crate::model::time::Timestamp;
use crate::store::{StoreError, Tx, images};

/// As many properties may an image have (Glance's `image_property_quota`).
pub const PROPERTIES_MAX: usize = 128;
/// As many tags may an image have (Glance's `image_tag_quota`).
pub const TAGS_MAX: usize = 128;

/// An image of which nothing is known yet but whose it is; Glance's defaults.
pub fn queued(id: ImageId, owner: ProjectId, now: Timestamp) -> Image {
    Image {
        id,
        owner,
        name: None,
        status: ImageStatus::Queued,
        visibility: Visibility::Shared,
        protected: false,
        os_hidden: false,
        disk_format: None,
        container_format: None,
        min_ram_mb: 0,
        min_disk_gb: 0,
        size: None,
        virtual_size: None,
        checksum: None,
        os_hash_algo: None,
        os_hash_value: None,
        blob: None,
        tags: Vec::new(),
        properties: Properties::new(),
        created_at: now,
        updated_at: now,
        member: None,
    }
}

/// Makes a record.
///
/// # Errors
/// Where there is one of this id, or it says too much.
pub fn create(tx: &mut dyn Tx, image: &Image) -> Result<(), Error> {
    within(image)?;
    images::insert(tx, image).map_err(|error| match error {
        StoreError::Duplicate(_) => Error::Exists(image.id),
        error => error.into(),
    })
}

/// Writes a record that has changed.
///
/// # Errors
/// Where it has come to say too much.
pub fn update(tx: &mut dyn Tx, before: &Image, mut after: Image, now: Timestamp) -> Result<Image, Error> {
    // an image that says more than it may, from before the limit, may still say less
    if after.properties.len() > before.properties.len() || after.tags.len() > before.tags.len() {
        within(&after)?;
    }
    after.updated_at = now;
    images::save(tx, &after)?;
    Ok(after)
}

fn within(image: &Image) -> Result<(), Error> {
    if image.properties.len() > PROPERTIES_MAX {
        return Err(Error::TooManyProperties(image.properties.len()));
    }
    if image.tags.len() > TAGS_MAX {
        return Err(Error::TooManyTags(image.tags.len()));
    }
    Ok(())
}

/// Deletes a record; gives the key of its data, which is to be removed when that is committed.
///
/// # Errors
/// Where it is protected.
pub fn delete(tx: &mut dyn Tx, image: &Image) -> Result<Option<String>, Error> {
    if image.protected {
        return Err(Error::Protected(image.id));
    }
    images::delete(tx, image.id)?;
    Ok(image.blob.clone())
}

/// Withholds the data of an image.
///
/// # Errors
/// Where it has none.
pub fn deactivate(tx: &mut dyn Tx, image: Image, now: Timestamp) -> Result<(), Error> {
    match image.status {
        ImageStatus::Active => put(tx, image, ImageStatus::Deactivated, now),
        ImageStatus::Deactivated => Ok(()),
        status @ (ImageStatus::Queued | ImageStatus::Saving) => Err(Error::CannotDeactivate(status)),
    }
}

/// Gives out the data of an image again.
///
/// # Errors
/// Where it has none.
pub fn reactivate(tx: &mut dyn Tx, image: Image, now: Timestamp) -> Result<(), Error> {
    match image.status {
        ImageStatus::Deactivated => put(tx, image, ImageStatus::Active, now),
        ImageStatus::Active => Ok(()),
        status @ (ImageStatus::Queued | ImageStatus::Saving) => Err(Error::CannotReactivate(status)),
    }
}

fn put(tx: &mut dyn Tx, mut image: Image, status: ImageStatus, now: Timestamp) -> Result<(), Error> {
    image.status = status;
    image.updated_at = now;
    Ok(images::save(tx, &image)?)
}

/// Gives an image a tag.
///
/// # Errors
/// Where it has too many.
pub fn tag(tx: &mut dyn Tx, image: &Image, tag: &str, now: Timestamp) -> Result<(), Error> {
    let mut after = image.clone();
    if !after.tags.iter().any(|known| known == tag) {
        after.tags.push(tag.to_owned());
    }
    update(tx, image, after, now).map(|_| ())
}

/// Takes a tag from an image.
///
/// # Errors
/// Where it has none of these.
pub fn untag(tx: &mut dyn Tx, image: &Image, tag: &str, now: Timestamp) -> Result<(), Error> {
    let mut after = image.clone();
    after.tags.retain(|known| known != tag);
    if after.tags.len() == image.tags.len() {
        return Err(Error::NoSuchTag);
    }
    update(tx, image, after, now).map(|_| ())
}
