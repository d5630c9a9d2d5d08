//! A server as a client sees it, member by member in Nova's order, by microversion (nova/api/openstack/compute/views/servers.py).

use sha2::{Digest, Sha224};

use super::image_properties::KNOWN;
use super::policy;
use crate::api::call::Call;
use crate::api::compute::links;
use crate::api::endpoint::{Error, Rule};
use crate::api::version::Microversion;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::flavor::Flavor;
use crate::model::server_record::{HOST, Server, ZONE};

/// In which answer a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In a list.
    Detail,
    /// Alone.
    Show,
    /// After a change.
    Update,
    /// After it was ordered to be made anew.
    Rebuild,
}

/// The rules that decide on single members.
pub const FIELD_RULES: &[Rule] = &[
    Rule::of::<policy::ShowExtraSpecs>(),
    Rule::of::<policy::ShowExtended>(),
    Rule::of::<policy::ShowHostStatus>(),
    Rule::of::<policy::ShowHostUnknown>(),
];

/// The address of a collection at the door the client used.
pub fn collection_url(call: &Call, collection: &str) -> String {
    match &call.path_project {
        Some(project) => call.link(&format!("/{project}/{collection}")),
        None => call.link(&format!("/{collection}")),
    }
}

fn bookmark(call: &Call, collection: &str, id: &str) -> Object {
    let project = call.path_project.as_deref().map(|project| format!("/{project}")).unwrap_or_default();
    json_object! { "rel": "bookmark", "href": format!("{}{project}/{collection}/{id}", call.base_url()) }
}

/// Id, name, links.
pub fn basic(call: &Call, server: &Server) -> Object {
    let id = server.id.to_string();
    let links = links::of(call, "servers", &id);
    json_object! { "id": id, "name": server.name.as_str(), "links": links }
}

/// Everything the caller may see.
///
/// # Errors
/// Where a rule asks another server that has not answered yet.
pub fn full(call: &Call, server: &Server, form: Form) -> Result<Object, Error> {
    let since = |minor| call.version >= Microversion(minor);
    let all = matches!(form, Form::Detail | Form::Show) || since(75);
    let extended = all && call.may::<policy::ShowExtended>(server)?;
    let mut view = head(call, server)?;
    if all {
        view.insert("OS-EXT-AZ:availability_zone", zone(server));
        view.insert("config_drive", if server.details.config_drive { "True" } else { "" });
    }
    if all || (form == Form::Rebuild && since(54)) {
        view.insert("key_name", server.details.key_name.as_deref());
    }
    if all {
        let moment = |moment: Option<crate::model::time::Timestamp>| {
            Json::from(moment.map(|moment| moment.with_microseconds().to_string()))
        };
        view.insert("OS-SRV-USG:launched_at", moment(server.state.launched_at));
        view.insert("OS-SRV-USG:terminated_at", moment(server.state.terminated_at));
    }
    if extended {
        extend(&mut view, server, since(3), form != Form::Rebuild);
    }
    if all {
        let state = &server.state;
        view.insert("OS-EXT-STS:task_state", state.task_state.map(|task| task.as_str()));
        view.insert("OS-EXT-STS:vm_state", state.vm_state.as_str());
        view.insert("OS-EXT-STS:power_state", state.power_state.number());
        view.insert("os-extended-volumes:volumes_attached", Vec::<Json>::new());
    }
    tail(call, server, (form, all, extended), &mut view)?;
    Ok(view)
}

/// What has been there since 2.1 in every form.
fn head(call: &Call, server: &Server) -> Result<Object, Error> {
    let (id, details, status) = (server.id.to_string(), &server.details, server.status());
    let metadata: Object = server.metadata.iter().map(|item| (item.key.as_str(), item.value.as_str())).collect();
    let mut view = json_object! {
        "accessIPv4": details.access_ipv4.as_deref().unwrap_or_default(),
        "accessIPv6": details.access_ipv6.as_deref().unwrap_or_default(),
        "addresses": json_object! {},
        "created": server.created_at.to_string(),
        "flavor": flavor(call, server)?,
        "hostId": host_id(server),
        "id": id.as_str(),
        "image": image(call, server),
        "links": links::of(call, "servers", &id),
        "metadata": metadata,
        "name": server.name.as_str(),
        "status": status.as_str(),
        "tenant_id": server.project_id.as_str(),
        "user_id": server.user_id.as_str(),
        "updated": server.updated_at.to_string(),
        "OS-DCF:diskConfig": details.disk_config.as_str(),
    };
    if status.shows_fault()
        && let Some(fault) = fault(call, server)?
    {
        view.insert("fault", fault);
    }
    if status.shows_progress() {
        view.insert("progress", server.state.progress);
    }
    Ok(view)
}

/// What later microversions have added at the end.
fn tail(
    call: &Call,
    server: &Server,
    (form, all, extended): (Form, bool, bool),
    view: &mut Object,
) -> Result<(), Error> {
    let since = |minor| call.version >= Microversion(minor);
    let details = &server.details;
    if since(9) {
        view.insert("locked", server.lock.is_some());
    }
    let host_status = if all && since(16) { host_status(call, server)? } else { None };
    if form != Form::Detail
        && let Some(status) = host_status
    {
        view.insert("host_status", status);
    }
    if since(19) {
        view.insert("description", details.description.as_deref());
    }
    if since(26) {
        view.insert("tags", details.tags.clone());
    }
    if since(63) {
        view.insert("trusted_image_certificates", details.trusted_certs.clone());
    }
    if since(71) && form != Form::Detail {
        view.insert("server_groups", Vec::<Json>::new());
    }
    if since(73) {
        view.insert("locked_reason", server.lock.as_ref().and_then(|lock| lock.reason.as_deref()));
    }
    if since(90) && !extended {
        view.insert("OS-EXT-SRV-ATTR:hostname", details.hostname.as_str());
    }
    if since(96) && all {
        view.insert("pinned_availability_zone", details.pinned_zone.as_deref());
    }
    if since(100) {
        view.insert("scheduler_hints", details.scheduler_hints.clone());
    }
    if form == Form::Detail
        && let Some(status) = host_status
    {
        // in lists Nova adds it when all else is there
        view.insert("host_status", status);
    }
    Ok(())
}

fn extend(view: &mut Object, server: &Server, since_2_3: bool, shows_user_data: bool) {
    let details = &server.details;
    let mut put = |name: &str, value: Json| view.insert(format!("OS-EXT-SRV-ATTR:{name}"), value);
    put("host", details.host.as_deref().into());
    put("instance_name", server.instance_name().into());
    put("hypervisor_hostname", details.host.as_deref().into());
    if since_2_3 {
        put("hostname", details.hostname.as_str().into());
        put("kernel_id", image_text(server, "kernel_id").into());
        put("launch_index", details.launch_index.into());
        put("ramdisk_id", image_text(server, "ramdisk_id").into());
        put("reservation_id", details.reservation_id.as_str().into());
        put("root_device_name", root_device_name(server).into());
        if shows_user_data {
            put("user_data", details.user_data.as_deref().into());
        }
    }
}

/// The text of an image's property, empty where there is none.
pub fn image_text<'a>(server: &'a Server, name: &str) -> &'a str {
    server.details.image_properties.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// The root disk as the guest knows it, from when it is there.
pub fn root_device_name(server: &Server) -> Option<&str> {
    let named = server.details.image_properties.get("root_device_name").and_then(Json::as_str);
    named.or(server.state.launched_at.map(|_| "/dev/vda"))
}

/// Where the server is; where it shall be while it is nowhere.
pub fn zone(server: &Server) -> &str {
    match &server.details.host {
        Some(_) => ZONE,
        None => server.details.pinned_zone.as_deref().unwrap_or_default(),
    }
}

/// Tells hosts apart without naming them (nova/utils.py, `generate_hostid`).
fn host_id(server: &Server) -> String {
    let Some(host) = &server.details.host else { return String::new() };
    let digest = Sha224::digest(format!("{}{host}", server.project_id));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn host_status(call: &Call, server: &Server) -> Result<Option<&'static str>, Error> {
    let is_up = server.details.host.as_deref() == Some(HOST);
    if call.may::<policy::ShowHostStatus>(server)? {
        return Ok(Some(if is_up { "UP" } else { "" }));
    }
    // our host is never unknown, so whoever may see only that sees nothing
    Ok(None)
}

fn flavor(call: &Call, server: &Server) -> Result<Object, Error> {
    let flavor = &server.flavor;
    if call.version < Microversion(47) {
        let id = flavor.flavorid.as_str();
        return Ok(json_object! { "id": id, "links": [bookmark(call, "flavors", id)] });
    }
    let mut view = embedded(flavor);
    if call.may::<policy::ShowExtraSpecs>(server)? {
        let specs: Object = flavor.extra_specs.iter().map(|item| (item.key.as_str(), item.value.as_str())).collect();
        view.insert("extra_specs", specs);
    }
    Ok(view)
}

fn embedded(flavor: &Flavor) -> Object {
    json_object! {
        "vcpus": flavor.vcpus, "ram": flavor.memory_mb, "disk": flavor.root_gb, "ephemeral": flavor.ephemeral_gb,
        "swap": flavor.swap, "original_name": flavor.name.as_str(),
    }
}

fn image(call: &Call, server: &Server) -> Json {
    let Some(id) = server.image_id else { return "".into() };
    let id = id.to_string();
    let mut view = json_object! { "id": id.as_str(), "links": [bookmark(call, "images", &id)] };
    if call.version >= Microversion(98) {
        let known = server.details.image_properties.iter().filter(|(name, _)| KNOWN.binary_search(name).is_ok());
        view.insert("properties", known.map(|(name, value)| (name, value.clone())).collect::<Object>());
    }
    view.into()
}

fn fault(call: &Call, server: &Server) -> Result<Option<Object>, Error> {
    let Some(fault) = &server.details.fault else { return Ok(None) };
    let mut view = json_object! {
        "code": fault.code, "created": fault.created_at.to_string(), "message": fault.message.as_str(),
    };
    if let Some(details) = &fault.details
        && (call.who()?.is_admin || fault.code != 500)
    {
        view.insert("details", details.as_str());
    }
    Ok(Some(view))
}
