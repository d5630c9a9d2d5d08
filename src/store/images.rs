//! The SQL of images: one row each, their members, and lists of them by page.

mod list;

pub use list::{Column, Condition, Direction, List, SortKey, Visible, list};

use std::collections::HashSet;

use std::sync::LazyLock;

use super::{Row, StoreError, Tx, Value, parsed, parsed_or_null};
use crate::blobs::BlobKey;
use crate::json::flat::{self, Member, said};
use crate::json::{self, Json};
use crate::model::ids::{ImageId, ProjectId};
use crate::model::image::{Image, ImageMember, MemberStatus, Properties, Property, Visibility};
use crate::model::time::Timestamp;
use crate::policy::Guarded;

/// The columns of an image, in the order in which `image` reads them.
const COLUMNS: &str = "id, owner, name, status, visibility, protected, os_hidden, disk_format, container_format, min_ram, \
     min_disk, size, virtual_size, checksum, os_hash_algo, os_hash_value, blob, tags, properties, created_at, updated_at";

/// An image, as a project sees it: whether it is a member is part of it.
///
/// # Errors
/// The engine's.
pub fn find(tx: &mut dyn Tx, id: ImageId, viewer: Option<&ProjectId>) -> Result<Option<Guarded<Image>>, StoreError> {
    Ok(read(tx, id, viewer)?.map(Guarded::new))
}

fn read(tx: &mut dyn Tx, id: ImageId, viewer: Option<&ProjectId>) -> Result<Option<Image>, StoreError> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT {COLUMNS} FROM images WHERE id = $1"));
    let found = tx.first(&SQL, &[id.to_string().as_str().into()], image)?;
    let Some(mut image) = found else { return Ok(None) };
    if let Some(viewer) = viewer
        && image.visibility == Visibility::Shared
        && image.owner != *viewer
        && member(tx, id, viewer)?.is_some()
    {
        image.member = Some(viewer.clone());
    }
    Ok(Some(image))
}

/// Adds an image.
///
/// # Errors
/// `Duplicate` where there is one of this id; the engine's.
pub fn insert(tx: &mut dyn Tx, image: &Image) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO images ({COLUMNS}, sort_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
         $16, $17, $18, $19, $20, $21, COALESCE($3, ''))"
    );
    let texts = Texts::of(image);
    tx.execute(&sql, &values(image, &texts)).map(|_| ())
}

/// Writes everything about an image but its id. For scripts that have read it in the same transaction.
///
/// # Errors
/// The engine's.
pub fn save(tx: &mut dyn Tx, image: &Image) -> Result<(), StoreError> {
    let texts = Texts::of(image);
    let mut values = values(image, &texts);
    let id = values.remove(0);
    values.push(id);
    tx.execute(
        "UPDATE images SET owner = $1, name = $2, status = $3, visibility = $4, protected = $5, os_hidden = $6, \
         disk_format = $7, container_format = $8, min_ram = $9, min_disk = $10, size = $11, virtual_size = $12, \
         checksum = $13, os_hash_algo = $14, os_hash_value = $15, blob = $16, tags = $17, properties = $18, \
         created_at = $19, updated_at = $20, sort_name = COALESCE($2, '') WHERE id = $21",
        &values,
    )?;
    Ok(())
}

/// Writes the properties.
///
/// # Errors
/// The engine's.
pub fn save_properties(tx: &mut dyn Tx, id: ImageId, after: &Properties, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE images SET properties = $1, updated_at = $2 WHERE id = $3",
        &[properties_text(after).as_str().into(), now.microseconds().into(), id.to_string().as_str().into()],
    )?;
    Ok(())
}

/// Removes an image with its members. Its data is removed by whoever asked, after the commit.
///
/// # Errors
/// The engine's.
pub fn delete(tx: &mut dyn Tx, id: ImageId) -> Result<(), StoreError> {
    let id = id.to_string();
    tx.execute("DELETE FROM image_members WHERE image_id = $1", &[id.as_str().into()])?;
    tx.execute("DELETE FROM images WHERE id = $1", &[id.as_str().into()])?;
    Ok(())
}

/// How many images there are.
///
/// # Errors
/// The engine's.
pub fn count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.number("SELECT count(*) FROM images", &[])
}

/// Which of these keys are of data that an image has, or that is being received.
///
/// # Errors
/// The engine's.
pub fn known_blobs(tx: &mut dyn Tx, keys: &[BlobKey]) -> Result<HashSet<String>, StoreError> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let values: Vec<Value<'_>> = keys.iter().map(|key| key.as_str().into()).collect();
    let places: Vec<String> = (1..=keys.len()).map(|number| format!("${number}")).collect();
    let places = places.join(", ");
    let mut known = HashSet::new();
    for table in ["images", "uploads"] {
        let sql = format!("SELECT blob FROM {table} WHERE blob IN ({places}) ORDER BY blob");
        known.extend(tx.all(&sql, &values, |row| Ok(row.text(0)?.to_owned()))?);
    }
    Ok(known)
}

/// Gives up one upload, if it is still the one under way; says whether it was.
///
/// # Errors
/// The engine's.
pub fn give_up_upload(tx: &mut dyn Tx, id: ImageId, blob: &str) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE images SET status = 'queued', blob = NULL WHERE id = $1 AND status = 'saving' AND blob = $2",
        &[id.to_string().as_str().into(), blob.into()],
    )?;
    Ok(changed > 0)
}

/// A project with which an image is shared.
///
/// # Errors
/// The engine's.
pub fn member(tx: &mut dyn Tx, id: ImageId, member: &ProjectId) -> Result<Option<ImageMember>, StoreError> {
    tx.first(
        "SELECT member_id, status, created_at, updated_at FROM image_members WHERE image_id = $1 AND member_id = $2",
        &[id.to_string().as_str().into(), member.as_str().into()],
        |row| image_member(id, row),
    )
}

/// All projects with which an image is shared, the oldest first.
///
/// # Errors
/// The engine's.
pub fn members(tx: &mut dyn Tx, id: ImageId) -> Result<Vec<ImageMember>, StoreError> {
    tx.all(
        "SELECT member_id, status, created_at, updated_at FROM image_members WHERE image_id = $1 \
         ORDER BY created_at, member_id",
        &[id.to_string().as_str().into()],
        |row| image_member(id, row),
    )
}

/// Shares an image with a project.
///
/// # Errors
/// `Duplicate` where it is shared with it already; the engine's.
pub fn insert_member(tx: &mut dyn Tx, member: &ImageMember) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO image_members (image_id, member_id, status, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)",
        &[
            member.image_id.to_string().as_str().into(),
            member.member_id.as_str().into(),
            member.status.as_str().into(),
            member.created_at.microseconds().into(),
            member.updated_at.microseconds().into(),
        ],
    )?;
    Ok(())
}

/// Notes what a project says to an image that is shared with it.
///
/// # Errors
/// The engine's.
pub fn save_member_status(
    tx: &mut dyn Tx,
    id: ImageId,
    member: &ProjectId,
    status: MemberStatus,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE image_members SET status = $1, updated_at = $2 WHERE image_id = $3 AND member_id = $4",
        &[status.as_str().into(), now.microseconds().into(), id.to_string().as_str().into(), member.as_str().into()],
    )?;
    Ok(())
}

/// Ends sharing; says whether the image was shared with the project.
///
/// # Errors
/// The engine's.
pub fn delete_member(tx: &mut dyn Tx, id: ImageId, member: &ProjectId) -> Result<bool, StoreError> {
    let gone = tx.execute(
        "DELETE FROM image_members WHERE image_id = $1 AND member_id = $2",
        &[id.to_string().as_str().into(), member.as_str().into()],
    )?;
    Ok(gone > 0)
}

fn image_member(image_id: ImageId, row: &dyn Row) -> Result<ImageMember, StoreError> {
    Ok(ImageMember {
        image_id,
        member_id: parsed(row, 0)?,
        status: parsed(row, 1)?,
        created_at: Timestamp::from_microseconds(row.int(2)?),
        updated_at: Timestamp::from_microseconds(row.int(3)?),
    })
}

/// What of an image has to be put into text before it can be a value.
struct Texts {
    id: String,
    tags: String,
    properties: String,
}

impl Texts {
    fn of(image: &Image) -> Texts {
        Texts {
            id: image.id.to_string(),
            tags: Json::from(image.tags.clone()).to_string(),
            properties: properties_text(&image.properties),
        }
    }
}

fn values<'a>(image: &'a Image, texts: &'a Texts) -> Vec<Value<'a>> {
    vec![
        (&texts.id).into(),
        image.owner.as_str().into(),
        image.name.as_deref().into(),
        image.status.as_str().into(),
        image.visibility.as_str().into(),
        image.protected.into(),
        image.os_hidden.into(),
        image.disk_format.as_deref().into(),
        image.container_format.as_deref().into(),
        image.min_ram_mb.into(),
        image.min_disk_gb.into(),
        image.size.into(),
        image.virtual_size.into(),
        image.checksum.as_deref().into(),
        image.os_hash_algo.as_deref().into(),
        image.os_hash_value.as_deref().into(),
        image.blob.as_deref().into(),
        (&texts.tags).into(),
        (&texts.properties).into(),
        image.created_at.microseconds().into(),
        image.updated_at.microseconds().into(),
    ]
}

fn image(row: &dyn Row) -> Result<Image, StoreError> {
    let text = |column| Ok::<_, StoreError>(row.text_or_null(column)?.map(str::to_owned));
    Ok(Image {
        id: parsed(row, 0)?,
        owner: parsed(row, 1)?,
        name: text(2)?,
        status: parsed(row, 3)?,
        visibility: parsed(row, 4)?,
        protected: row.flag(5)?,
        os_hidden: row.flag(6)?,
        disk_format: text(7)?,
        container_format: text(8)?,
        min_ram_mb: row.int(9)?,
        min_disk_gb: row.int(10)?,
        size: row.int_or_null(11)?,
        virtual_size: row.int_or_null(12)?,
        checksum: text(13)?,
        os_hash_algo: text(14)?,
        os_hash_value: text(15)?,
        blob: parsed_or_null(row, 16)?,
        tags: tags_from(row.text(17)?)?,
        properties: properties_from(row.text(18)?)?,
        created_at: Timestamp::from_microseconds(row.int(19)?),
        updated_at: Timestamp::from_microseconds(row.int(20)?),
        member: None,
    })
}

fn properties_text(properties: &Properties) -> String {
    let mut text = b"{".to_vec();
    for property in properties.iter() {
        if text.len() > 1 {
            text.extend_from_slice(b", ");
        }
        json::write_str(&property.name, &mut text);
        text.extend_from_slice(b": ");
        match &property.value {
            Some(value) => json::write_str(value, &mut text),
            None => text.extend_from_slice(b"null"),
        }
    }
    text.push(b'}');
    String::from_utf8(text).expect("JSON is written in ASCII")
}

fn properties_from(text: &str) -> Result<Properties, StoreError> {
    let property = |member: Option<Member<'_>>| {
        let Member { key, value, .. } = member?;
        let value = if value == "null" { None } else { Some(said(value)?.into_owned()) };
        Some(Property { name: said(key)?.into_owned(), value })
    };
    let properties: Option<Properties> = flat::members(text).map(property).collect();
    properties.ok_or_else(|| super::malformed("properties of an image", text))
}

fn tags_from(text: &str) -> Result<Vec<String>, StoreError> {
    if text == "[]" {
        return Ok(Vec::new());
    }
    let damaged = || super::malformed("tags of an image", text);
    let json = json::parse(text.as_bytes()).map_err(|_| damaged())?;
    let tags = json.as_array().ok_or_else(damaged)?.iter();
    tags.map(|tag| tag.as_str().map(str::to_owned).ok_or_else(damaged)).collect()
}
