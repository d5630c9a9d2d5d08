//! What `GET /servers` selects by: what the database decides, and what is decided server by server here. Texts are matched as
//! regular expressions, found anywhere, as Nova has its database do.

use regex::Regex;

use super::view;
use crate::model::server_record::Server;

/// One condition on a server.
#[derive(Debug)]
pub enum Condition {
    /// The text of a field has a match; a field that is not there has none.
    Matches(fn(&Server) -> Option<String>, Regex),
    /// All of these tags.
    Tags(Vec<String>),
    /// One of these tags at least.
    AnyTag(Vec<String>),
    /// Not all of these tags.
    NotTags(Vec<String>),
    /// None of these tags.
    NoTag(Vec<String>),
    /// No server meets it.
    Never,
}

impl Condition {
    /// Whether a server meets it.
    pub fn holds(&self, server: &Server) -> bool {
        let has = |tag: &String| server.details.tags.contains(tag);
        match self {
            Condition::Matches(field, pattern) => field(server).is_some_and(|text| pattern.is_match(&text)),
            Condition::Tags(tags) => tags.iter().all(has),
            Condition::AnyTag(tags) => tags.iter().any(has),
            Condition::NotTags(tags) => !tags.iter().all(has),
            Condition::NoTag(tags) => !tags.iter().any(has),
            Condition::Never => false,
        }
    }
}

/// A field that can be matched or sorted by, as the text that Nova's database has in the column.
pub fn field(name: &str) -> Option<fn(&Server) -> Option<String>> {
    Some(match name {
        "name" | "display_name" => |server| Some(server.name.clone()),
        "description" | "display_description" => |server| server.details.description.clone(),
        "kernel_id" => |server| Some(view::image_text(server, "kernel_id").to_owned()),
        "ramdisk_id" => |server| Some(view::image_text(server, "ramdisk_id").to_owned()),
        "hostname" => |server| Some(server.details.hostname.clone()),
        "key_name" => |server| server.details.key_name.clone(),
        "power_state" => |server| Some(server.state.power_state.number().to_string()),
        "vm_state" => |server| Some(server.state.vm_state.as_str().to_owned()),
        "task_state" => |server| server.state.task_state.map(|task| task.as_str().to_owned()),
        "host" | "node" => |server| server.details.host.clone(),
        "reservation_id" => |server| Some(server.details.reservation_id.clone()),
        "created_at" => |server| Some(server.created_at.with_microseconds().to_string()),
        "updated_at" => |server| Some(server.updated_at.with_microseconds().to_string()),
        "launched_at" => |server| server.state.launched_at.map(|moment| moment.with_microseconds().to_string()),
        "terminated_at" => |server| server.state.terminated_at.map(|moment| moment.with_microseconds().to_string()),
        "availability_zone" => |server| Some(view::zone(server).to_owned()),
        "locked_by" => |server| server.lock.as_ref().map(|lock| lock.by.as_str().to_owned()),
        "root_device_name" => |server| view::root_device_name(server).map(str::to_owned),
        "config_drive" => |server| Some(if server.details.config_drive { "True" } else { "" }.to_owned()),
        "access_ip_v4" => |server| server.details.access_ipv4.clone(),
        "access_ip_v6" => |server| server.details.access_ipv6.clone(),
        "auto_disk_config" => |server| {
            let is_auto = server.details.disk_config == crate::model::disk_config::DiskConfig::Auto;
            Some(u8::from(is_auto).to_string())
        },
        "progress" => |server| Some(server.state.progress.to_string()),
        "launch_index" => |server| Some(server.details.launch_index.to_string()),
        "user_id" => |server| Some(server.user_id.to_string()),
        "project_id" => |server| Some(server.project_id.to_string()),
        "uuid" => |server| Some(server.id.to_string()),
        "image_ref" => |server| server.image_id.map(|id| id.to_string()),
        "instance_type_id" => |server| Some(server.flavor.flavorid.to_string()),
        "locked" => |server| Some(u8::from(server.lock.is_some()).to_string()),
        _ => return None,
    })
}
