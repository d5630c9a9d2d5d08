//! What is done to a server that is there, where it takes more than asking lock and state: locks, images made of it, another
//! flavor, another image, another place.

use super::limits::{self, Defaults};
use super::servers::{self, Act, Owner, Refusal, permit};
use super::{Error, quota};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::disk_config::{DiskConfig, of_snapshot};
use crate::model::ids::ImageId;
use crate::model::metadata::Metadata;
use crate::model::moment::Moment;
use crate::model::server::{Lock, LockedBy, ServerAction, VmState};
use crate::model::server_record::{AUTO_DISK_CONFIG, HOST, Server, ZONE};
use crate::model::time::Timestamp;
use crate::store::boot::BootImage;
use crate::store::snapshots::{self, NewImage};
use crate::store::{Tx, servers as rows};

/// Locks a server.
///
/// # Errors
/// The store's.
pub fn lock(
    tx: &mut dyn Tx,
    mut server: Server,
    by: LockedBy,
    reason: Option<String>,
    now: Timestamp,
) -> Result<(), Error> {
    server.lock = Some(Lock::after(server.lock.take(), by, reason));
    server.updated_at = now;
    Ok(rows::save(tx, &server)?)
}

/// Unlocks a server. Whether the caller may is decided before.
///
/// # Errors
/// The store's.
pub fn unlock(tx: &mut dyn Tx, mut server: Server, now: Timestamp) -> Result<(), Error> {
    server.lock = None;
    server.updated_at = now;
    Ok(rows::save(tx, &server)?)
}

/// An image that is to be made of a server.
#[derive(Debug, Clone)]
pub struct SnapshotOrder {
    /// Its name.
    pub name: String,
    /// Properties beside those it inherits.
    pub metadata: Metadata,
    /// Whether the quota of metadata items applies (up to 2.38).
    pub is_limited: bool,
    /// Whether it says how the disk of its servers is configured, as Cloud Servers' images do.
    pub tells_disk_config: bool,
}

/// Has an image made of a server; gives its id. The image is there at once, its data when the work is done.
///
/// # Errors
/// `TooManyImageProperties`, then `State`.
pub fn create_image(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    mut server: Server,
    order: &SnapshotOrder,
    (owner, defaults): (&Owner<'_>, &impl Defaults),
) -> Result<ImageId, Error> {
    if order.is_limited {
        let limit = limits::metadata_items(tx, defaults, owner.project, owner.user)?;
        let within = order.metadata.clone().within(limit.enforced);
        within.map_err(|_| Refusal::TooManyImageProperties)?;
    }
    permit(&server, ServerAction::CreateImage, owner.is_admin)?;
    let id = insert_image(tx, moment, &server, order, owner)?;
    let payload = json_object! { "image_id": id.to_string() }.into();
    let act = Act { action: ServerAction::CreateImage, ignores_lock: true, payload };
    servers::act(tx, moment, &mut server, &act)?;
    Ok(id)
}

/// What images made of servers do not inherit (nova/compute/utils.py and the setting `non_inheritable_image_properties`), and
/// what the image has beside its properties.
const NOT_INHERITED: [&str; 9] = [
    "cache_in_nova",
    "bittorrent",
    "img_signature_hash_method",
    "img_signature",
    "img_signature_key_type",
    "img_signature_certificate_uuid",
    "min_ram",
    "min_disk",
    "disk_format",
];

fn insert_image(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    server: &Server,
    order: &SnapshotOrder,
    owner: &Owner<'_>,
) -> Result<ImageId, Error> {
    let id = ImageId::from_random(moment.id());
    let from = &server.details.image_properties;
    let number =
        |name: &str| from.get(name).and_then(Json::as_str).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let is_inherited = |name: &str| !NOT_INHERITED.contains(&name) && name != "container_format";
    let mut properties: Object =
        from.iter().filter(|(name, _)| is_inherited(name)).map(|(name, value)| (name, value.clone())).collect();
    if let Some(base) = server.image_id {
        properties.insert("base_image_ref", base.to_string());
    }
    if order.tells_disk_config {
        let told = of_snapshot(server.image_disk_config(), server.details.disk_config);
        properties.insert(AUTO_DISK_CONFIG, told);
    }
    properties.insert("instance_uuid", server.id.to_string());
    properties.insert("user_id", owner.user.as_str());
    properties.insert("image_type", "snapshot");
    for item in order.metadata.iter() {
        properties.insert(item.key.as_str(), item.value.as_str());
    }
    let is_foreign = *owner.project != server.project_id;
    if is_foreign {
        properties.insert("instance_owner", server.project_id.as_str());
    }
    let image = NewImage {
        id,
        owner: owner.project,
        shared_with: is_foreign.then_some(&server.project_id),
        name: &order.name,
        min_ram: number("min_ram"),
        min_disk: number("min_disk").max(i64::from(server.flavor.root_gb)),
        disk_format: None,
        properties: &properties,
    };
    snapshots::insert(tx, &image, moment.now)?;
    Ok(id)
}

/// Makes a server an image and gives up its place.
///
/// # Errors
/// `Locked`, then `State`.
pub fn shelve(tx: &mut dyn Tx, moment: &mut Moment, mut server: Server, owner: &Owner<'_>) -> Result<(), Error> {
    permit(&server, ServerAction::Shelve, owner.is_admin)?;
    let order = SnapshotOrder {
        name: format!("{}-shelved", server.name),
        metadata: Metadata::new(),
        is_limited: false,
        tells_disk_config: false,
    };
    let id = insert_image(tx, moment, &server, &order, owner)?;
    server.details.shelved_image = Some(id);
    let payload = json_object! { "image_id": id.to_string() }.into();
    let act = Act { action: ServerAction::Shelve, ignores_lock: owner.is_admin, payload };
    servers::act(tx, moment, &mut server, &act)
}

/// Where a server is to be unshelved to, where anything is said of it.
#[derive(Debug, Clone, Default)]
pub struct Whereto {
    /// The zone; `Some(None)` unpins it.
    pub zone: Option<Option<String>>,
    /// The host.
    pub host: Option<String>,
}

/// Makes a shelved server from its image again.
///
/// # Errors
/// `Locked`, then `State`, then what is wrong with the place.
pub fn unshelve(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    mut server: Server,
    whereto: &Whereto,
    ignores_lock: bool,
) -> Result<(), Error> {
    permit(&server, ServerAction::Unshelve, ignores_lock)?;
    let says_where = whereto.zone.is_some() || whereto.host.is_some();
    if says_where && server.state.vm_state != VmState::ShelvedOffloaded {
        return Err(Refusal::NotOffloaded(server.id, server.state.vm_state.as_str()).into());
    }
    if let Some(zone) = &whereto.zone {
        if zone.as_deref().is_some_and(|zone| zone != ZONE) {
            return Err(Refusal::ZoneNotAvailable.into());
        }
        server.details.pinned_zone.clone_from(zone);
    }
    if let Some(host) = whereto.host.as_ref().filter(|host| host.as_str() != HOST) {
        return Err(Refusal::HostNotFound(host.clone()).into());
    }
    servers::act(tx, moment, &mut server, &Act { action: ServerAction::Unshelve, ignores_lock, payload: Json::Null })
}

/// Starts a server from a rescue image, or from its own.
///
/// # Errors
/// `Locked`, then `State`, then `RescueImageNotFound`.
pub fn rescue(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    mut server: Server,
    image: Option<&str>,
    owner: &Owner<'_>,
) -> Result<(), Error> {
    permit(&server, ServerAction::Rescue, owner.is_admin)?;
    if let Some(id) = image
        && servers::image(tx, id, owner)?.is_none_or(|image| image.status != "active")
    {
        return Err(Refusal::RescueImageNotFound(id.to_owned()).into());
    }
    let payload = json_object! { "image_id": image }.into();
    let act = Act { action: ServerAction::Rescue, ignores_lock: owner.is_admin, payload };
    servers::act(tx, moment, &mut server, &act)
}

/// Gives a server another flavor, to be confirmed or reverted later.
///
/// # Errors
/// `Locked`, then `State`, then what is wrong with the flavor, in Nova's order.
pub fn resize(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    mut server: Server,
    (flavor_id, asked): (&str, Option<DiskConfig>),
    (owner, defaults): (&Owner<'_>, &impl Defaults),
) -> Result<(), Error> {
    permit(&server, ServerAction::Resize, owner.is_admin)?;
    let base = server.image_id.map(|id| id.to_string()).unwrap_or_default();
    let disk_config = owner
        .disk_rules
        .on_resize(server.image_disk_config(), server.details.disk_config, asked)
        .map_err(|_| Refusal::DiskConfigDisabled(base))?;
    let flavor = servers::flavor(tx, flavor_id, owner)?;
    let before = server.flavor.clone();
    if flavor.root_gb == 0 && before.root_gb != 0 {
        return Err(Refusal::NoDiskToResizeTo.into());
    }
    if flavor.flavorid == before.flavorid {
        return Err(Refusal::SameFlavor.into());
    }
    if flavor.disabled {
        return Err(Refusal::FlavorNotFound(flavor_id.to_owned()).into());
    }
    if flavor.root_gb < before.root_gb && !owner.disk_rules.may_shrink(server.details.disk_config) {
        return Err(Refusal::MayNotShrink.into());
    }
    quota::room_to_grow(tx, defaults, &server.project_id, &server.user_id, (&before, &flavor))?;
    servers::check_image(&remembered_image(&server), &flavor, owner)?;
    server.details.other_flavor = Some(flavor);
    let payload = json_object! { "disk_config": disk_config.as_str() }.into();
    let act = Act { action: ServerAction::Resize, ignores_lock: owner.is_admin, payload };
    servers::act(tx, moment, &mut server, &act)
}

/// The image as the server remembers it: what a flavor must still fit when the image is long gone.
fn remembered_image(server: &Server) -> BootImage {
    let properties = &server.details.image_properties;
    let number =
        |name: &str| properties.get(name).and_then(Json::as_str).and_then(|text| text.parse().ok()).unwrap_or(0);
    BootImage {
        id: server.image_id.unwrap_or(ImageId::from_bytes([0; 16])),
        name: None,
        status: "active".to_owned(),
        min_ram: number("min_ram"),
        min_disk: number("min_disk"),
        bytes: 0,
        disk_format: None,
        container_format: None,
        properties: properties.clone(),
    }
}

/// Confirms or reverts a resize.
///
/// # Errors
/// `Locked`, then `State`, then `NotResized`.
pub fn end_resize(tx: &mut dyn Tx, moment: &mut Moment, mut server: Server, act: &Act) -> Result<(), Error> {
    permit(&server, act.action, act.ignores_lock)?;
    if server.details.other_flavor.is_none() {
        return Err(Refusal::NotResized.into());
    }
    servers::act(tx, moment, &mut server, act)
}

/// What a rebuild changes; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct Rebuild {
    /// The image to make it from.
    pub image: String,
    /// What was asked of the disk.
    pub disk_config: Option<DiskConfig>,
    /// Another name.
    pub name: Option<String>,
    /// Another description, or none.
    pub description: Option<Option<String>>,
    /// Other metadata.
    pub metadata: Option<Metadata>,
    /// Another key pair, or none.
    pub key_name: Option<Option<String>>,
    /// Other user data, or none.
    pub user_data: Option<Option<String>>,
    /// Other certificates, or none.
    pub trusted_certs: Option<Option<Vec<String>>>,
    /// Another host name.
    pub hostname: Option<String>,
    /// Another address to recommend.
    pub access_ipv4: Option<String>,
    /// The same, of the other kind.
    pub access_ipv6: Option<String>,
    /// Files for the guest.
    pub personality: Option<Vec<(String, String)>>,
}

/// Makes a server anew; gives it as it is then known, while the work goes on.
///
/// # Errors
/// `Locked`, then `State`, then what is wrong with the order, in Nova's order.
pub fn rebuild(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    mut server: Server,
    order: &Rebuild,
    (owner, defaults): (&Owner<'_>, &impl Defaults),
) -> Result<Server, Error> {
    permit(&server, ServerAction::Rebuild, owner.is_admin)?;
    if let Some(key_name) = &order.key_name {
        server.details.public_key = servers::public_key(tx, owner.user, key_name.as_deref())?;
        server.details.key_name.clone_from(key_name);
    }
    let image = servers::image(tx, &order.image, owner)?.ok_or(Refusal::ImageForRebuildNotFound)?;
    server.details.disk_config = servers::disk_config(&image, order.disk_config, owner.disk_rules)?;
    if let Some(metadata) = &order.metadata {
        servers::check_metadata(tx, metadata, owner, defaults)?;
        server.metadata.clone_from(metadata);
    }
    servers::check_files(tx, order.personality.as_deref().unwrap_or_default(), owner, defaults)?;
    servers::check_image(&image, &server.flavor, owner)?;
    server.image_id = Some(image.id);
    server.details.image_properties = servers::image_properties(&image);
    order.apply(&mut server);
    let act = Act { action: ServerAction::Rebuild, ignores_lock: owner.is_admin, payload: Json::Null };
    servers::act(tx, moment, &mut server, &act)?;
    Ok(server)
}

impl Rebuild {
    fn apply(&self, server: &mut Server) {
        fn set<T: Clone>(into: &mut T, from: Option<&T>) {
            if let Some(from) = from {
                into.clone_from(from);
            }
        }
        let details = &mut server.details;
        set(&mut server.name, self.name.as_ref());
        set(&mut details.description, self.description.as_ref());
        set(&mut details.user_data, self.user_data.as_ref());
        set(&mut details.trusted_certs, self.trusted_certs.as_ref());
        set(&mut details.hostname, self.hostname.as_ref());
        set(&mut details.personality, self.personality.as_ref());
        if self.access_ipv4.is_some() {
            details.access_ipv4.clone_from(&self.access_ipv4);
        }
        if self.access_ipv6.is_some() {
            details.access_ipv6.clone_from(&self.access_ipv6);
        }
    }
}
