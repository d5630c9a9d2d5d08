//! Servers: how they are made, changed and removed, as far as a transaction can. What then remains to be done by a driver is
//! recorded as a task; `work` does it.

use super::Error;
use super::limits::{self, Defaults};
use super::quota::{self, Demand};
use crate::json::{Json, Object};
use crate::model::disk_config::{DiskConfig, DiskConfigRules};
use crate::model::flavor::Flavor;
use crate::model::ids::{ImageId, ProjectId, ServerId, UserId};
use crate::model::metadata::Metadata;
use crate::model::moment::Moment;
use crate::model::server::{ServerAction, ServerState, begin, permits};
use crate::model::server_record::{AUTO_DISK_CONFIG, Details, Server, ZONE, hostname_of};
use crate::model::time::Timestamp;
use crate::store::boot::{self, BootImage, Looking};
use crate::store::{StoreError, Tx, servers, tasks};

/// Why a server cannot be made, or made otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The zone is not one of ours.
    ZoneNotAvailable,
    /// One host name for several servers.
    OneHostnameForMany,
    /// No such flavor, or not for this project; as the client named it.
    FlavorNotFound(String),
    /// No such image to make a server from, or none the caller may see.
    ImageNotFound,
    /// No such image to make a server anew from.
    ImageForRebuildNotFound,
    /// The image has no data (any more).
    ImageNotActive(ImageId),
    /// The image forbids what was asked of the disk.
    DiskConfigDisabled(String),
    /// The flavor has less memory than the image wants.
    MemoryTooSmall,
    /// The flavor's disk is smaller than the image; both in bytes.
    DiskSmallerThanImage(i64, i64),
    /// The flavor's disk is smaller than the image wants; both in bytes.
    DiskSmallerThanMinimum(i64, i64),
    /// The flavor has no disk, and policy wants one.
    NoDisk,
    /// The user has no such key pair.
    KeyPairNotFound,
    /// User data is not base64.
    UserDataMalformed,
    /// There is no such network.
    NetworkNotFound(String),
    /// There is no such port.
    PortNotFound(String),
    /// There is no such security group.
    SecurityGroupNotFound(String),
    /// There is no such server group.
    GroupNotFound(String),
    /// More files than may be injected.
    TooManyFiles,
    /// A path with more bytes than this.
    FilePathTooLong(i64),
    /// A file with more bytes than this.
    FileTooLong(i64),
    /// The quota.
    OverQuota(quota::Over),
    /// No such image to rescue a server with; as the client named it.
    RescueImageNotFound(String),
    /// More properties than the quota allows an image made through Compute (up to 2.38).
    TooManyImageProperties,
    /// Where it shall be unshelved to can be said of a server only that has no place; its status.
    NotOffloaded(ServerId, &'static str),
    /// No such host.
    HostNotFound(String),
    /// Resized to the flavor it has.
    SameFlavor,
    /// Resized to a flavor without a disk.
    NoDiskToResizeTo,
    /// There is nothing to confirm or revert.
    NotResized,
    /// A smaller disk, where that needs one that is ours to shrink.
    MayNotShrink,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct NewServers {
    /// Their name.
    pub name: String,
    /// What they are for.
    pub description: Option<String>,
    /// The host name that was asked for.
    pub hostname: Option<String>,
    /// The image, as the client named it.
    pub image: String,
    /// The flavor, as the client named it.
    pub flavor: String,
    /// Metadata of each.
    pub metadata: Metadata,
    /// `networks` as they stood in the body; `Null` where nothing did.
    pub networks: Json,
    /// Which key pair lets their owner in.
    pub key_name: Option<String>,
    /// What cloud-init shall do, in base64.
    pub user_data: Option<String>,
    /// Whether they get a config drive.
    pub config_drive: bool,
    /// What was asked of the disk.
    pub disk_config: Option<DiskConfig>,
    /// In which zone.
    pub zone: Option<String>,
    /// Their tags.
    pub tags: Vec<String>,
    /// Certificates.
    pub trusted_certs: Option<Vec<String>>,
    /// For the scheduler.
    pub scheduler_hints: Object,
    /// Names of security groups.
    pub security_groups: Vec<String>,
    /// Files: path and contents in base64.
    pub personality: Vec<(String, String)>,
    /// The address to recommend.
    pub access_ipv4: Option<String>,
    /// The same, of the other kind.
    pub access_ipv6: Option<String>,
    /// At least so many.
    pub min_count: i64,
    /// At most so many.
    pub max_count: i64,
}

/// Who asks, and under which rules.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Their project.
    pub project: &'a ProjectId,
    /// Themselves.
    pub user: &'a UserId,
    /// Whether they see everything.
    pub is_admin: bool,
    /// Whether they may use flavors without a disk.
    pub may_do_without_disk: bool,
    /// Whose rules of disk configuration apply.
    pub disk_rules: DiskConfigRules,
}

impl<'a> Owner<'a> {
    fn looking(&self) -> Looking<'a> {
        Looking { project: self.project, is_admin: self.is_admin }
    }
}

/// Makes servers: as many as were asked for, or, where the quota has no room for all, as many as it has room for if that
/// suffices. In Nova's order of checks.
///
/// # Errors
/// The first reason against it.
pub fn create(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    wanted: &NewServers,
    owner: &Owner<'_>,
    defaults: &impl Defaults,
) -> Result<Vec<Server>, Error> {
    let flavor = flavor(tx, &wanted.flavor, owner)?;
    if wanted.hostname.is_some() && wanted.max_count > 1 {
        return Err(Refusal::OneHostnameForMany.into());
    }
    if wanted.zone.as_deref().is_some_and(|zone| zone != ZONE) {
        return Err(Refusal::ZoneNotAvailable.into());
    }
    let image = image(tx, &wanted.image, owner)?.ok_or(Refusal::ImageNotFound)?;
    let disk_config = disk_config(&image, wanted.disk_config, owner.disk_rules)?;
    if flavor.disabled {
        return Err(Refusal::FlavorNotFound(wanted.flavor.clone()).into());
    }
    check_networks(wanted)?;
    let public_key = public_key(tx, owner.user, wanted.key_name.as_deref())?;
    check_metadata(tx, &wanted.metadata, owner, defaults)?;
    check_files(tx, &wanted.personality, owner, defaults)?;
    check_image(&image, &flavor, owner)?;
    if let Some(group) = wanted.scheduler_hints.get("group") {
        return Err(Refusal::GroupNotFound(first_text(group)).into());
    }
    let demand = Demand { flavor: &flavor, min_count: wanted.min_count, max_count: wanted.max_count };
    let count = quota::room_for(tx, defaults, owner.project, owner.user, &demand)?;
    let reservation_id = reservation_id(&moment.id());
    let mut made = Vec::new();
    for index in 0..count {
        let parts = Parts { owner, flavor: &flavor, image: &image, disk_config, public_key: public_key.as_deref() };
        let mut server = parts.server(fresh_id(tx, moment)?, moment.now, wanted, &reservation_id);
        server.details.launch_index = u32::try_from(index).unwrap_or(u32::MAX);
        name(&mut server, wanted, (count > 1).then_some(index));
        servers::insert(tx, &server)?;
        tasks::record(tx, moment, server.id, ServerAction::Create, &Json::Null)?;
        made.push(server);
    }
    Ok(made)
}

/// The flavor that a client names, if they may use it.
///
/// # Errors
/// `FlavorNotFound`.
pub fn flavor(tx: &mut dyn Tx, id: &str, owner: &Owner<'_>) -> Result<Flavor, Error> {
    let found = boot::flavor(tx, id, owner.looking())?;
    Ok(found.ok_or_else(|| Refusal::FlavorNotFound(id.to_owned()))?)
}

/// The image that a client names, if they may see it.
///
/// # Errors
/// The store's.
pub fn image(tx: &mut dyn Tx, id: &str, owner: &Owner<'_>) -> Result<Option<BootImage>, Error> {
    let id = id.to_lowercase().parse().ok();
    Ok(id.map(|id| boot::image(tx, id, owner.looking())).transpose()?.flatten())
}

/// What a new or rebuilt server's disk configuration is.
///
/// # Errors
/// `DiskConfigDisabled`.
pub fn disk_config(image: &BootImage, asked: Option<DiskConfig>, rules: DiskConfigRules) -> Result<DiskConfig, Error> {
    use crate::model::disk_config::AutoDiskConfig;
    let property = image.properties.get(AUTO_DISK_CONFIG).and_then(Json::as_str).map(AutoDiskConfig::read);
    let refused = |_| Refusal::DiskConfigDisabled(image.id.to_string()).into();
    rules.on_create(property, asked).map_err(refused)
}

/// The public half of the named key pair.
///
/// # Errors
/// `KeyPairNotFound`.
pub fn public_key(tx: &mut dyn Tx, user: &UserId, name: Option<&str>) -> Result<Option<String>, Error> {
    let Some(name) = name else { return Ok(None) };
    Ok(Some(boot::public_key(tx, user, name)?.ok_or(Refusal::KeyPairNotFound)?))
}

/// Whether there are not more items than the caller's quota allows.
///
/// # Errors
/// `TooManyItems`.
pub fn check_metadata(
    tx: &mut dyn Tx,
    items: &Metadata,
    owner: &Owner<'_>,
    defaults: &impl Defaults,
) -> Result<(), Error> {
    let limit = limits::metadata_items(tx, defaults, owner.project, owner.user)?;
    let within = items.clone().within(limit.enforced);
    within.map(|_| ()).map_err(|_| Error::TooManyItems { told: limit.told })
}

/// Whether the files are few and short enough (up to 2.56).
///
/// # Errors
/// Which limit they break.
pub fn check_files(
    tx: &mut dyn Tx,
    files: &[(String, String)],
    owner: &Owner<'_>,
    defaults: &impl Defaults,
) -> Result<(), Error> {
    if files.is_empty() {
        return Ok(());
    }
    let mut over = |resource: &str, wanted: usize| -> Result<Option<i64>, StoreError> {
        let limit = limits::of(tx, defaults, owner.project, owner.user, resource)?;
        Ok(limit.enforced.filter(|limit| wanted > *limit).map(|_| limit.told))
    };
    if over("injected_files", files.len())?.is_some() {
        return Err(Refusal::TooManyFiles.into());
    }
    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let path = longest(&mut files.iter().map(|(path, _)| path.len()));
    if let Some(limit) = over("injected_file_path_bytes", path)? {
        return Err(Refusal::FilePathTooLong(limit).into());
    }
    let contents = longest(&mut files.iter().map(|(_, contents)| contents.len()));
    if let Some(limit) = over("injected_file_content_bytes", contents)? {
        return Err(Refusal::FileTooLong(limit).into());
    }
    Ok(())
}

const GIB: i64 = 1 << 30;

/// Whether the image can be used, and fits the flavor.
///
/// # Errors
/// What it lacks.
pub fn check_image(image: &BootImage, flavor: &Flavor, owner: &Owner<'_>) -> Result<(), Error> {
    if image.status != "active" {
        return Err(Refusal::ImageNotActive(image.id).into());
    }
    if i64::from(flavor.memory_mb) < image.min_ram {
        return Err(Refusal::MemoryTooSmall.into());
    }
    let (disk, minimum) = (i64::from(flavor.root_gb) * GIB, image.min_disk.saturating_mul(GIB));
    let refusal = if disk == 0 {
        (!owner.may_do_without_disk).then_some(Refusal::NoDisk)
    } else if image.bytes > disk {
        Some(Refusal::DiskSmallerThanImage(disk, image.bytes))
    } else if minimum > disk {
        Some(Refusal::DiskSmallerThanMinimum(disk, minimum))
    } else {
        None
    };
    refusal.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// This cloud has no networks of its own: servers are made without any, or with whatever `auto` comes to, which is none.
fn check_networks(wanted: &NewServers) -> Result<(), Refusal> {
    if let Some(name) = wanted.security_groups.iter().find(|name| name.as_str() != "default") {
        return Err(Refusal::SecurityGroupNotFound(name.clone()));
    }
    let Some(network) = wanted.networks.as_array().and_then(|networks| networks.first()) else { return Ok(()) };
    let text = |name| network.get(name).and_then(Json::as_str).map(str::to_owned);
    Err(match text("port") {
        Some(port) => Refusal::PortNotFound(port),
        None => Refusal::NetworkNotFound(text("uuid").unwrap_or_default()),
    })
}

fn first_text(json: &Json) -> String {
    let first = json.as_array().and_then(|items| items.first()).unwrap_or(json);
    first.as_str().unwrap_or_default().to_owned()
}

/// `r-` and eight letters or digits, as Nova makes them.
fn reservation_id(random: &[u8; 16]) -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let letters = random.iter().take(8).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    format!("r-{}", letters.collect::<String>())
}

/// One of several is numbered, from 1.
fn name(server: &mut Server, wanted: &NewServers, index: Option<i64>) {
    let made_up = hostname_of(&wanted.name);
    let made_up = if made_up.is_empty() { format!("Server-{}", server.id) } else { made_up };
    match index {
        Some(index) => {
            server.name = format!("{}-{}", wanted.name, index + 1);
            server.details.hostname = format!("{made_up}-{}", index + 1);
        }
        None => server.details.hostname = wanted.hostname.clone().unwrap_or(made_up),
    }
}

/// An id whose number no server has, gone or not: many may be made within a millisecond.
fn fresh_id(tx: &mut dyn Tx, moment: &mut Moment) -> Result<ServerId, Error> {
    let mut id = ServerId::at(moment.now, moment.id());
    while servers::has_number_of(tx, id)? {
        id = id.next();
    }
    Ok(id)
}

/// What a server is put together from.
struct Parts<'a> {
    owner: &'a Owner<'a>,
    flavor: &'a Flavor,
    image: &'a BootImage,
    disk_config: DiskConfig,
    public_key: Option<&'a str>,
}

impl Parts<'_> {
    fn server(&self, id: ServerId, now: Timestamp, wanted: &NewServers, reservation_id: &str) -> Server {
        Server {
            id,
            project_id: self.owner.project.clone(),
            user_id: self.owner.user.clone(),
            name: wanted.name.clone(),
            state: ServerState::new(),
            lock: None,
            deleted: false,
            image_id: Some(self.image.id),
            flavor: self.flavor.clone(),
            metadata: wanted.metadata.clone(),
            created_at: now,
            updated_at: now,
            details: Details {
                description: wanted.description.clone(),
                access_ipv4: wanted.access_ipv4.clone(),
                access_ipv6: wanted.access_ipv6.clone(),
                key_name: wanted.key_name.clone(),
                public_key: self.public_key.map(str::to_owned),
                user_data: wanted.user_data.clone(),
                config_drive: wanted.config_drive,
                pinned_zone: wanted.zone.clone(),
                host: None,
                hostname: String::new(),
                tags: wanted.tags.clone(),
                scheduler_hints: wanted.scheduler_hints.clone(),
                fault: None,
                other_flavor: None,
                disk_config: self.disk_config,
                trusted_certs: wanted.trusted_certs.clone(),
                reservation_id: reservation_id.to_owned(),
                launch_index: 0,
                image_properties: image_properties(self.image),
                shelved_image: None,
                personality: wanted.personality.clone(),
                networks: wanted.networks.clone(),
            },
        }
    }
}

/// What a server remembers of its image: the properties, and what Nova copies beside them.
pub fn image_properties(image: &BootImage) -> Object {
    let mut properties = image.properties.clone();
    properties.insert("min_ram", image.min_ram.to_string());
    properties.insert("min_disk", image.min_disk.to_string());
    for (name, value) in [("disk_format", &image.disk_format), ("container_format", &image.container_format)] {
        if let Some(value) = value {
            properties.insert(name, value.as_str());
        }
    }
    properties
}

/// Begins an action on a server, if its lock and state permit it, and records the task of a driver's part.
///
/// # Errors
/// `Locked`, then `State`.
pub fn act(tx: &mut dyn Tx, moment: &mut Moment, server: &mut Server, act: &Act) -> Result<(), Error> {
    permit(server, act.action, act.ignores_lock)?;
    begin(act.action, &mut server.state, moment.now);
    server.updated_at = moment.now;
    servers::save(tx, server)?;
    if !act.action.rule().steps.is_empty() {
        tasks::record(tx, moment, server.id, act.action, &act.payload)?;
    }
    Ok(())
}

/// An action on a server.
#[derive(Debug, Clone)]
pub struct Act {
    /// What.
    pub action: ServerAction,
    /// Whether a lock does not stop the caller: an administrator.
    pub ignores_lock: bool,
    /// What else the driver's part needs to know.
    pub payload: Json,
}

/// Whether lock and state permit an action.
///
/// # Errors
/// `Locked`, then `State`.
pub fn permit(server: &Server, action: ServerAction, ignores_lock: bool) -> Result<(), Error> {
    if server.lock.is_some() && !ignores_lock && action.locked_sentence("").is_some() {
        return Err(Error::LockedFor(server.id, action));
    }
    let state = &server.state;
    permits(action, state.vm_state, state.task_state, state.launched_at.is_some())
        .map_err(|refusal| Error::State(server.id, action, refusal))
}

/// Deletes a server; one that is being deleted already is left so.
///
/// # Errors
/// `Locked`.
pub fn delete(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    mut server: Server,
    action: ServerAction,
    ignores_lock: bool,
) -> Result<(), Error> {
    permit(&server, action, ignores_lock)?;
    if server.state.being_deleted() {
        return Ok(());
    }
    act(tx, moment, &mut server, &Act { action, ignores_lock, payload: Json::Null })
}

/// What `PUT /servers/{id}` changes; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The name.
    pub name: Option<String>,
    /// The description, which may be taken away.
    pub description: Option<Option<String>>,
    /// The host name.
    pub hostname: Option<String>,
    /// The disk configuration; not even a DISABLED image has a say here, as in Nova.
    pub disk_config: Option<DiskConfig>,
    /// The address to recommend.
    pub access_ipv4: Option<String>,
    /// The same, of the other kind.
    pub access_ipv6: Option<String>,
    /// The zone it shall stay in, which may be taken away.
    pub pinned_zone: Option<Option<String>>,
}

/// Changes what is known of a server.
///
/// # Errors
/// The store's.
pub fn update(tx: &mut dyn Tx, server: &mut Server, changes: &Changes, now: Timestamp) -> Result<(), Error> {
    let details = &mut server.details;
    let set = |into: &mut Option<String>, from: &Option<String>| {
        if from.is_some() {
            into.clone_from(from);
        }
    };
    set(&mut details.access_ipv4, &changes.access_ipv4);
    set(&mut details.access_ipv6, &changes.access_ipv6);
    details.description = changes.description.clone().unwrap_or(details.description.take());
    details.pinned_zone = changes.pinned_zone.clone().unwrap_or(details.pinned_zone.take());
    details.disk_config = changes.disk_config.unwrap_or(details.disk_config);
    if let Some(hostname) = &changes.hostname {
        details.hostname.clone_from(hostname);
    }
    if let Some(name) = &changes.name {
        server.name.clone_from(name);
    }
    server.updated_at = now;
    Ok(servers::save(tx, server)?)
}
