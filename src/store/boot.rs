//! What a server is made from, as far as making one needs it: the flavor, the image, the key pair. Their own rooms have the rest.

use super::server_details::specs;
use super::{StoreError, Tx, parsed};
use crate::json::{self, Json, Object};
use crate::model::flavor::Flavor;
use crate::model::ids::{ImageId, ProjectId, UserId};

/// An image as a server sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct BootImage {
    /// Which.
    pub id: ImageId,
    /// What people call it.
    pub name: Option<String>,
    /// `active`, `queued` …
    pub status: String,
    /// The least memory its servers need, in MiB.
    pub min_ram: i64,
    /// The least root disk they need, in GiB.
    pub min_disk: i64,
    /// Its data, in bytes.
    pub bytes: i64,
    /// `raw`, `qcow2` …
    pub disk_format: Option<String>,
    /// `bare` …
    pub container_format: Option<String>,
    /// Its own properties.
    pub properties: Object,
}

/// Who looks for an image or a flavor.
#[derive(Debug, Clone, Copy)]
pub struct Looking<'a> {
    /// Their project.
    pub project: &'a ProjectId,
    /// Whether they see everything.
    pub is_admin: bool,
}

/// The image of this id, if whoever looks may see it.
///
/// # Errors
/// The engine's.
pub fn image(tx: &mut dyn Tx, id: ImageId, who: Looking<'_>) -> Result<Option<BootImage>, StoreError> {
    let id_text = id.to_string();
    tx.first(
        "SELECT name, status, min_ram, min_disk, size, disk_format, container_format, properties FROM images \
         WHERE id = $1 AND status <> 'deleted' AND ($2 = 1 OR owner = $3 OR visibility IN ('public', 'community') \
         OR (visibility = 'shared' AND EXISTS \
         (SELECT 1 FROM image_members WHERE image_id = images.id AND member_id = $3)))",
        &[id_text.as_str().into(), who.is_admin.into(), who.project.as_str().into()],
        |row| {
            let properties = row.text(7)?;
            let damaged = || super::malformed("properties of an image", properties);
            let properties = json::parse(properties.as_bytes()).map_err(|_| damaged())?;
            Ok(BootImage {
                id,
                name: row.text_or_null(0)?.map(str::to_owned),
                status: row.text(1)?.to_owned(),
                min_ram: row.int(2)?,
                min_disk: row.int(3)?,
                bytes: row.int_or_null(4)?.unwrap_or(0),
                disk_format: row.text_or_null(5)?.map(str::to_owned),
                container_format: row.text_or_null(6)?.map(str::to_owned),
                properties: properties.into_object().unwrap_or_default(),
            })
        },
    )
}

/// The flavor of this id, if whoever looks may use it: public, or their project has access.
///
/// # Errors
/// The engine's.
pub fn flavor(tx: &mut dyn Tx, id: &str, who: Looking<'_>) -> Result<Option<Flavor>, StoreError> {
    tx.first(
        "SELECT id, name, memory_mb, vcpus, root_gb, ephemeral_gb, swap_mb, rxtx_factor, is_public, disabled, description, \
         extra_specs FROM flavors WHERE id = $1 AND ($2 = 1 OR is_public = 1 OR EXISTS \
         (SELECT 1 FROM flavor_access WHERE flavor_id = flavors.id AND project_id = $3))",
        &[id.into(), who.is_admin.into(), who.project.as_str().into()],
        |row| {
            let damaged = |what: &str| StoreError::Damaged(format!("{what} of a flavor"));
            let number = |column| u32::try_from(row.int(column)?).map_err(|_| damaged("a number"));
            let extra = json::parse(row.text(11)?.as_bytes()).unwrap_or(Json::Null);
            Ok(Flavor {
                flavorid: parsed(row, 0)?,
                name: row.text(1)?.to_owned(),
                memory_mb: number(2)?,
                vcpus: number(3)?,
                root_gb: number(4)?,
                ephemeral_gb: number(5)?,
                swap: number(6)?,
                rxtx_factor: parsed(row, 7)?,
                is_public: row.flag(8)?,
                disabled: row.flag(9)?,
                description: row.text_or_null(10)?.map(str::to_owned),
                extra_specs: specs(&extra).ok_or_else(|| damaged("extra_specs"))?,
                projects: Vec::new(),
            })
        },
    )
}

/// The public half of a user's key pair.
///
/// # Errors
/// The engine's.
pub fn public_key(tx: &mut dyn Tx, user: &UserId, name: &str) -> Result<Option<String>, StoreError> {
    tx.first(
        "SELECT public_key FROM key_pairs WHERE user_id = $1 AND name = $2",
        &[user.as_str().into(), name.into()],
        |row| Ok(row.text(0)?.to_owned()),
    )
}
