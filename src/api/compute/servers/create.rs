//! `POST /servers`.

use http::StatusCode;

use super::policy;
use super::schema;
use super::view;
use crate::api::call::Call;
use crate::api::compute::{cloud_servers, links};
use crate::api::endpoint::{Endpoint, Error, Reply, Route, Rule, Takes, post};
use crate::api::fault::Fault;
use crate::api::schema::Schema;
use crate::api::version::Microversion;
use crate::compute::servers::{self, NewServers, Owner};
use crate::identity::secret::{Secret, generate_password};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::disk_config::DiskConfigRules;
use crate::model::metadata::{Metadata, MetadataItem, MetadataKey, MetadataValue};
use crate::model::server_record::{HOST, Server};
use crate::policy::Allowed;
use crate::policy::targets::Scope;
use crate::store::Tx;

/// Makes servers.
pub struct Create;

impl Endpoint for Create {
    const ROUTE: Route = post("/servers");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Creates one server, or as many as `max_count` says, from an image and a flavor. Answers at once; the \
        server is ready when its status is ACTIVE. The answer has the administrator's password, which is shown this once.";
    const MORE_RULES: &'static [Rule] = &[
        Rule::of::<policy::CreateForcedHost>(),
        Rule::of::<policy::CreateRequestedHost>(),
        Rule::of::<policy::CreateWithVolume>(),
        Rule::of::<policy::CreateWithNetwork>(),
        Rule::of::<policy::CreateWithCerts>(),
        Rule::of::<policy::CreateWithoutDisk>(),
    ];
    type Action = policy::Create;
    type Takes = Body;
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, target: Allowed<policy::Create>, call: &Call, body: &Body) -> Result<Reply, Error> {
        let order = body.0.as_ref().map_err(Clone::clone)?;
        order.check_rules(call, &target)?;
        let may_do_without_disk = call.may::<policy::CreateWithoutDisk>(&target)?;
        let owner = owner(call, may_do_without_disk)?;
        let defaults = call.quota_defaults();
        let made = servers::create(tx, &mut call.moment(), &order.wanted, &owner, &defaults)?;
        order.reply(call, &made)
    }
}

/// Who makes or changes a server.
pub fn owner(call: &Call, may_do_without_disk: bool) -> Result<Owner<'_>, Error> {
    let who = call.who()?;
    let disk_rules =
        if call.dialect.is_cloud_servers { DiskConfigRules::CloudServers } else { DiskConfigRules::OpenStack };
    Ok(Owner { project: call.project()?, user: &who.user_id, is_admin: who.is_admin, may_do_without_disk, disk_rules })
}

/// The body, understood.
pub struct Order {
    wanted: NewServers,
    password: Secret,
    wants_reservation: bool,
    security_groups: Json,
    forced: bool,
    requested_hosts: Vec<String>,
    has_block_devices: bool,
}

/// The body, or what is wrong with it: whoever may not make servers does not hear of that.
pub struct Body(Result<Order, Fault>);

impl Takes for Body {
    fn schema(version: Microversion) -> Option<&'static Schema> {
        schema::create(version)
    }

    fn check(call: &Call) -> Result<(), Error> {
        if call.dialect.is_cloud_servers {
            cloud_servers::check_items(call.body.get("server").and_then(|server| server.get("metadata")))?;
        }
        schema::create(call.version).map_or(Ok(()), |schema| Ok(schema.check(&call.body)?))
    }

    fn from_body(call: &Call) -> Result<Body, Error> {
        Ok(Body(Order::understood(call)))
    }
}

impl Order {
    fn understood(call: &Call) -> Result<Order, Fault> {
        let none = Json::Null;
        let body = call.body.get("server").unwrap_or(&none);
        let since = |minor| call.version >= Microversion(minor);
        let text = |name: &str| body.get(name).and_then(Json::as_str).map(str::to_owned);
        let name = text("name").unwrap_or_default().trim().to_owned();
        let (min_count, max_count) = counts(body)?;
        let (zone, forced_hosts) = zone(text("availability_zone"))?;
        let mut requested_hosts = Vec::new();
        if since(74) {
            requested_hosts.extend([text("host"), text("hypervisor_hostname")].into_iter().flatten());
            if !requested_hosts.is_empty() && !forced_hosts.is_empty() {
                return Err(Fault::bad_request(
                    "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are \
                     mutually exclusive.",
                ));
            }
        }
        let has_block_devices = check_block_devices(body)?;
        let image = text("imageRef").filter(|id| !id.is_empty());
        let hints = call.body.get("os:scheduler_hints").or_else(|| call.body.get("OS-SCH-HNT:scheduler_hints"));
        let wanted = NewServers {
            description: if since(19) { text("description") } else { Some(name.clone()) },
            name,
            hostname: text("hostname"),
            image: image.ok_or_else(|| Fault::bad_request("Missing imageRef attribute"))?,
            flavor: id_of_href(&plain_text(body.get("flavorRef").unwrap_or(&none))),
            metadata: metadata(body),
            networks: networks(body)?,
            key_name: text("key_name"),
            user_data: text("user_data"),
            config_drive: body.get("config_drive").is_some_and(truth),
            disk_config: text("OS-DCF:diskConfig").and_then(|text| text.parse().ok()),
            zone,
            tags: tags(body),
            trusted_certs: certs(body),
            scheduler_hints: hints.map(lists).unwrap_or_default(),
            security_groups: group_names(body),
            personality: personality(body),
            access_ipv4: text("accessIPv4"),
            access_ipv6: text("accessIPv6"),
            min_count,
            max_count,
        };
        let reservation = body.get("return_reservation_id");
        Ok(Order {
            wanted,
            password: password(call, body),
            // as Python sees it: any text but the empty one is true
            wants_reservation: reservation.is_some_and(|asked| asked.as_str().map_or(truth(asked), |t| !t.is_empty())),
            security_groups: body.get("security_groups").cloned().unwrap_or(Json::Null),
            forced: !forced_hosts.is_empty(),
            requested_hosts: requested_hosts.into_iter().chain(forced_hosts).collect(),
            has_block_devices,
        })
    }
}

impl Order {
    /// The rules of single options, in Nova's order.
    fn check_rules(&self, call: &Call, target: &Scope) -> Result<(), Error> {
        if self.wanted.trusted_certs.is_some() {
            call.must::<policy::CreateWithCerts>(target)?;
        }
        if self.forced {
            call.must::<policy::CreateForcedHost>(target)?;
        } else if !self.requested_hosts.is_empty() {
            call.must::<policy::CreateRequestedHost>(target)?;
        }
        if let Some(host) = self.requested_hosts.iter().find(|host| host.as_str() != HOST) {
            return Err(Fault::bad_request(format!("Compute host {host} could not be found.")).into());
        }
        if self.has_block_devices {
            call.must::<policy::CreateWithVolume>(target)?;
        }
        let networks = &self.wanted.networks;
        if networks.as_str() == Some("auto") || networks.as_array().is_some_and(|items| !items.is_empty()) {
            call.must::<policy::CreateWithNetwork>(target)?;
        }
        Ok(())
    }

    fn reply(&self, call: &Call, made: &[Server]) -> Result<Reply, Error> {
        let first = made.first().ok_or_else(Fault::defect)?;
        if self.wants_reservation {
            let answer = json_object! { "reservation_id": first.details.reservation_id.as_str() };
            return Ok(Reply::json(&answer.into()));
        }
        let id = first.id.to_string();
        let groups = match &self.security_groups {
            Json::Null => Json::from([json_object! { "name": "default" }]),
            groups => groups.clone(),
        };
        let server = json_object! {
            "id": id.as_str(),
            "links": links::of(call, "servers", &id),
            "OS-DCF:diskConfig": first.details.disk_config.as_str(),
            "security_groups": groups,
            "adminPass": self.password.expose(),
        };
        let location = format!("{}/{id}", view::collection_url(call, "servers"));
        Ok(Reply::json(&json_object! { "server": server }.into()).with_location(&location))
    }
}

/// The password asked for, or one made up. It is told once and kept nowhere.
pub fn password(call: &Call, body: &Json) -> Secret {
    match body.get("adminPass").and_then(Json::as_str) {
        Some(password) => Secret::new(password),
        None => generate_password(&mut |bytes| call.cloud.fill_with_chance(bytes)),
    }
}

/// A text or a number as text: ids of flavors may be written as either.
pub fn plain_text(json: &Json) -> String {
    match json.as_str() {
        Some(text) => text.to_owned(),
        None => json.to_string(),
    }
}

/// What stands behind the last slash of a URL's path.
pub fn id_of_href(href: &str) -> String {
    let path = href.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Whether one of the ways to write a truth value is true (oslo.utils' `bool_from_string`).
pub fn truth(json: &Json) -> bool {
    match json.as_str() {
        Some(text) => {
            matches!(text.trim().to_lowercase().as_str(), "1" | "t" | "true" | "on" | "y" | "yes")
        }
        None => json.as_bool().unwrap_or(false),
    }
}

/// The map `metadata`, which the schema has passed.
pub fn metadata(body: &Json) -> Metadata {
    let item = |(key, value): (&str, &Json)| {
        Some(MetadataItem { key: MetadataKey::new(key).ok()?, value: MetadataValue::new(value.as_str()?).ok()? })
    };
    let map = body.get("metadata").and_then(Json::as_object);
    map.into_iter().flat_map(Object::iter).filter_map(item).collect()
}

/// The files of `personality`.
pub fn personality(body: &Json) -> Vec<(String, String)> {
    let text = |file: &Json, name: &str| file.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let files = body.get("personality").and_then(Json::as_array).unwrap_or_default();
    files.iter().map(|file| (text(file, "path"), text(file, "contents"))).collect()
}

/// `trusted_image_certificates`, if there are any.
pub fn certs(body: &Json) -> Option<Vec<String>> {
    let certs = body.get("trusted_image_certificates")?.as_array()?;
    Some(certs.iter().filter_map(|cert| cert.as_str().map(str::to_owned)).collect())
}

/// Sorted, each once.
fn tags(body: &Json) -> Vec<String> {
    let tags = body.get("tags").and_then(Json::as_array).unwrap_or_default();
    let mut tags: Vec<String> = tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn group_names(body: &Json) -> Vec<String> {
    let groups = body.get("security_groups").and_then(Json::as_array).unwrap_or_default();
    groups.iter().filter_map(|group| group.get("name")?.as_str().map(str::to_owned)).collect()
}

/// Every hint as a list of texts, as the scheduler keeps them.
fn lists(hints: &Json) -> Object {
    let list = |value: &Json| match value.as_array() {
        Some(items) => items.iter().map(plain_text).collect::<Json>(),
        None => [plain_text(value)].into(),
    };
    let hints = hints.as_object().into_iter().flat_map(Object::iter);
    hints.map(|(name, value)| (name, list(value))).collect()
}

fn counts(body: &Json) -> Result<(i64, i64), Fault> {
    let count = |name: &str| {
        let json = body.get(name)?;
        // the empty text is an integer to the schema, and to nobody else
        Some(json.as_i64().or_else(|| json.as_str()?.trim().parse().ok()).unwrap_or(1))
    };
    let min = count("min_count").unwrap_or(1);
    let max = count("max_count").unwrap_or(min);
    if min > max {
        return Err(Fault::bad_request("min_count must be <= max_count"));
    }
    Ok((min, max))
}

/// `zone`, `zone:host`, `zone::node` or `zone:host:node`.
fn zone(asked: Option<String>) -> Result<(Option<String>, Vec<String>), Fault> {
    let Some(asked) = asked else { return Ok((None, Vec::new())) };
    let mut parts = asked.split(':').map(str::to_owned);
    let zone = parts.next().filter(|zone| !zone.is_empty());
    let hosts: Vec<String> = parts.collect();
    if hosts.len() > 2 {
        return Err(Fault::bad_request("Invalid input received: Unable to parse availability_zone"));
    }
    Ok((zone, hosts.into_iter().filter(|host| !host.is_empty()).collect()))
}

/// The requested networks; what is wrong with one of them is said in Nova's words.
fn networks(body: &Json) -> Result<Json, Fault> {
    let Some(networks) = body.get("networks") else { return Ok(Json::Null) };
    let mut ports = Vec::new();
    for network in networks.as_array().unwrap_or_default() {
        let text = |name: &str| network.get(name).and_then(Json::as_str);
        match (text("port"), text("fixed_ip"), text("uuid")) {
            (Some(port), ..) if ports.contains(&port) => {
                return Err(Fault::bad_request(format!(
                    "Port ID '{port}' was specified twice: you cannot attach a port multiple times."
                )));
            }
            (Some(port), Some(address), _) => {
                return Err(Fault::bad_request(format!(
                    "Specified Fixed IP '{address}' cannot be used with port '{port}': the two cannot be specified together."
                )));
            }
            (Some(port), ..) => ports.push(port),
            (None, _, Some(uuid)) if !crate::api::schema::format::UUID.holds(&uuid.into()) => {
                return Err(Fault::bad_request(format!(
                    "Bad networks format: network uuid is not in proper format ({uuid})"
                )));
            }
            (None, _, Some(_)) => {}
            (None, _, None) => return Err(Fault::bad_request("Bad network format: missing 'uuid'")),
        }
    }
    Ok(networks.clone())
}

/// Servers have the disks of their flavor and nothing else: of block devices only the image itself is accepted. Whether
/// there are any.
fn check_block_devices(body: &Json) -> Result<bool, Fault> {
    let list = |name: &str| body.get(name).and_then(Json::as_array).unwrap_or_default();
    let (old, new) = (list("block_device_mapping"), list("block_device_mapping_v2"));
    let bad = |message: String| Err(Fault::bad_request(message));
    if !old.is_empty() && !new.is_empty() {
        return bad("Using different block_device_mapping syntaxes is not allowed in the same request.".to_owned());
    }
    let invalid = |details: &str| format!("Block Device Mapping is Invalid: {details}");
    let text = |device: &Json, name: &str| device.get(name).and_then(Json::as_str).map(str::to_owned);
    if let Some(device) = old.first() {
        let id = text(device, "volume_id").or_else(|| text(device, "snapshot_id")).unwrap_or_default();
        return bad(invalid(&format!("failed to get volume {id}.")));
    }
    let has_image = body.get("imageRef").and_then(Json::as_str).is_some_and(|id| !id.is_empty());
    for device in new {
        let (source, uuid) = (text(device, "source_type"), text(device, "uuid"));
        let is_local = text(device, "destination_type").as_deref() == Some("local");
        match (source.as_deref(), uuid) {
            (Some("blank"), Some(_)) => return bad(invalid("Invalid device UUID.")),
            (Some("blank") | None, _) => return bad(invalid("only the image of the server itself is supported.")),
            (Some(_), None) => return bad(invalid("Missing device UUID.")),
            (Some("image"), Some(_)) if is_local => {
                let boot_index = device.get("boot_index").map(plain_text);
                if !has_image || boot_index.as_deref() != Some("0") {
                    return bad(invalid("Mapping image to local is not supported."));
                }
            }
            (Some("image"), Some(_)) => return bad(invalid("there are no volumes to put an image on.")),
            (Some("snapshot"), Some(id)) => return bad(invalid(&format!("failed to get snapshot {id}."))),
            (Some(_), Some(id)) => return bad(invalid(&format!("failed to get volume {id}."))),
        }
    }
    Ok(!new.is_empty())
}
