//! A server as it is remembered: whose it is, what it is made of, and how it stands. What its states permit is in `server`; its
//! form in the database and on the wire is elsewhere.

use super::disk_config::{AutoDiskConfig, DiskConfig};
use super::flavor::Flavor;
use super::ids::{ImageId, ProjectId, ServerId, UserId};
use super::metadata::Metadata;
use super::server::{Lock, ServerState, Status};
use super::time::Timestamp;
use crate::json::{Json, Object};

/// The one host of this cloud, as administrators see it.
pub const HOST: &str = "kilonova";
/// The one availability zone.
pub const ZONE: &str = "nova";
/// The property of images that says how their servers' disks are configured.
pub const AUTO_DISK_CONFIG: &str = "auto_disk_config";

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Which.
    pub id: ServerId,
    /// Whose.
    pub project_id: ProjectId,
    /// Who has made it.
    pub user_id: UserId,
    /// What people call it.
    pub name: String,
    /// How it stands.
    pub state: ServerState,
    /// Its lock, if it has one.
    pub lock: Option<Lock>,
    /// Whether it is gone; the row stays.
    pub deleted: bool,
    /// The image it was made from.
    pub image_id: Option<ImageId>,
    /// Its flavor, as that was when the server got it.
    pub flavor: Flavor,
    /// Its metadata.
    pub metadata: Metadata,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What is only shown, or handed to the driver or the guest.
    pub details: Details,
}

/// What no decision about a server in a list rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Details {
    /// What it is for.
    pub description: Option<String>,
    /// The address its owner recommends.
    pub access_ipv4: Option<String>,
    /// The same, of the other kind.
    pub access_ipv6: Option<String>,
    /// The name of the key pair that lets its owner in.
    pub key_name: Option<String>,
    /// The public half of that pair, as it was when the server was made.
    pub public_key: Option<String>,
    /// What cloud-init shall do, in base64.
    pub user_data: Option<String>,
    /// Whether the guest gets a config drive.
    pub config_drive: bool,
    /// The zone it was asked to be in; `None`: any.
    pub pinned_zone: Option<String>,
    /// Where it is, while it has a place.
    pub host: Option<String>,
    /// Its host name.
    pub hostname: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// What the scheduler was told, each hint a list.
    pub scheduler_hints: Object,
    /// What went wrong last.
    pub fault: Option<ServerFault>,
    /// The other flavor of a resize: the one to come, then, until it is confirmed, the one it had.
    pub other_flavor: Option<Flavor>,
    /// Whether its root partition is ours to grow.
    pub disk_config: DiskConfig,
    /// Ids of certificates its image must be signed with.
    pub trusted_certs: Option<Vec<String>>,
    /// What was made with it in one request has the same.
    pub reservation_id: String,
    /// Which of those it is, from 0.
    pub launch_index: u32,
    /// The properties of its image, as they were when it was made.
    pub image_properties: Object,
    /// The image it was shelved into.
    pub shelved_image: Option<ImageId>,
    /// Files for the guest: path and contents in base64.
    pub personality: Vec<(String, String)>,
    /// What was asked for as `networks`; `Null` where nothing was.
    pub networks: Json,
}

/// What went wrong with a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFault {
    /// Like a status.
    pub code: u16,
    /// For everybody.
    pub message: String,
    /// For administrators where the code is 500.
    pub details: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

impl Server {
    /// What clients are told that it is.
    pub fn status(&self) -> Status {
        if self.deleted { Status::Deleted } else { self.state.status() }
    }

    /// What its image said of disks when the server was made.
    pub fn image_disk_config(&self) -> Option<AutoDiskConfig> {
        let property = self.details.image_properties.get(AUTO_DISK_CONFIG);
        property.and_then(Json::as_str).map(AutoDiskConfig::read)
    }

    /// The name a hypervisor gives it.
    pub fn instance_name(&self) -> String {
        format!("instance-{:.8}", self.id.to_string())
    }
}

/// A host name made from a server's name: letters, digits and hyphens, at most 63 characters (nova/utils.py,
/// `sanitize_hostname`). Empty where nothing is left.
pub fn hostname_of(name: &str) -> String {
    let latin = name.chars().filter(|c| *c <= '\u{ff}').take(63);
    let text: String = latin
        .map(|c| if matches!(c, ' ' | '_' | '.') { '-' } else { c })
        .filter(|c| c.is_alphanumeric() || *c == '-')
        .flat_map(char::to_lowercase)
        .collect();
    text.trim_matches('-').trim_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_has_only_what_host_names_have() {
        for (name, hostname) in [("My Server_1.x", "my-server-1-x"), ("-a-", "a"), ("日本", ""), ("a!b", "ab")] {
            assert_eq!(hostname_of(name), hostname, "{name}");
        }
        assert_eq!(hostname_of(&"a".repeat(100)).len(), 63);
    }
}
