//! What of a server lies in the column `details`: one JSON object, written and read here and nowhere else.

use super::StoreError;
use crate::json::{self, Json, Object};
use crate::json_object;
use crate::model::disk_config::DiskConfig;
use crate::model::flavor::Flavor;
use crate::model::metadata::{Metadata, MetadataItem, MetadataKey, MetadataValue};
use crate::model::server::Lock;
use crate::model::server_record::{Details, Server, ServerFault};
use crate::model::time::Timestamp;

/// Members that mean the same empty as missing. Of others only null does.
const EMPTY_AS_MISSING: [&str; 6] =
    ["config_drive", "tags", "scheduler_hints", "launch_index", "image_properties", "personality"];

/// The column of a server: details, flavor and lock. What most servers do not have is left out, which halves the rows of a large cloud.
pub fn to_text(server: &Server) -> String {
    text(&server.details, &server.flavor, server.lock.as_ref())
}

fn text(it: &Details, flavor: &Flavor, lock: Option<&Lock>) -> String {
    let personality = it.personality.iter().map(|(path, contents)| Json::from([path.as_str(), contents.as_str()]));
    let mut object = json_object! {
        "flavor": flavor_json(flavor),
        "other_flavor": it.other_flavor.as_ref().map(flavor_json),
        "lock": lock.map(|lock| json_object! { "by": lock.by.as_str(), "reason": lock.reason.as_deref() }),
        "description": it.description.as_deref(),
        "access_ipv4": it.access_ipv4.as_deref(),
        "access_ipv6": it.access_ipv6.as_deref(),
        "key_name": it.key_name.as_deref(),
        "public_key": it.public_key.as_deref(),
        "user_data": it.user_data.as_deref(),
        "config_drive": it.config_drive,
        "pinned_zone": it.pinned_zone.as_deref(),
        "host": it.host.as_deref(),
        "hostname": it.hostname.as_str(),
        "tags": it.tags.clone(),
        "scheduler_hints": it.scheduler_hints.clone(),
        "fault": it.fault.as_ref().map(fault_json),
        "disk_config": it.disk_config.as_str(),
        "trusted_certs": it.trusted_certs.clone(),
        "reservation_id": it.reservation_id.as_str(),
        "launch_index": it.launch_index,
        "image_properties": it.image_properties.clone(),
        "shelved_image": it.shelved_image.map(|id| id.to_string()),
        "personality": personality.collect::<Json>(),
        "networks": it.networks.clone(),
    };
    object.retain(|name, value| !(value.is_null() || EMPTY_AS_MISSING.contains(&name) && is_empty(value)));
    Json::from(object).to_string()
}

fn is_empty(value: &Json) -> bool {
    value.as_array().is_some_and(<[Json]>::is_empty)
        || value.as_object().is_some_and(Object::is_empty)
        || value.as_bool() == Some(false)
        || value.as_i64() == Some(0)
}

/// What the column says: details, flavor and lock.
///
/// # Errors
/// `Damaged` where it is not what `to_text` has written.
pub fn from_text(text: &str) -> Result<(Details, Flavor, Option<Lock>), StoreError> {
    let damaged = || super::malformed("details of a server", text);
    let json = json::parse(text.as_bytes()).map_err(|_| damaged())?;
    read(&json).ok_or_else(damaged)
}

fn read(json: &Json) -> Option<(Details, Flavor, Option<Lock>)> {
    let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
    let object = |name: &str| json.get(name).and_then(Json::as_object).cloned().unwrap_or_default();
    let details = Details {
        description: text("description"),
        access_ipv4: text("access_ipv4"),
        access_ipv6: text("access_ipv6"),
        key_name: text("key_name"),
        public_key: text("public_key"),
        user_data: text("user_data"),
        config_drive: json.get("config_drive").and_then(Json::as_bool).unwrap_or_default(),
        pinned_zone: text("pinned_zone"),
        host: text("host"),
        hostname: text("hostname").unwrap_or_default(),
        tags: json.get("tags").and_then(texts).unwrap_or_default(),
        scheduler_hints: object("scheduler_hints"),
        fault: json.get("fault").filter(|fault| !fault.is_null()).and_then(fault),
        other_flavor: json.get("other_flavor").and_then(flavor),
        disk_config: text("disk_config").and_then(|text| text.parse().ok()).unwrap_or(DiskConfig::Manual),
        trusted_certs: json.get("trusted_certs").and_then(texts),
        reservation_id: text("reservation_id").unwrap_or_default(),
        launch_index: number(json, "launch_index").unwrap_or_default(),
        image_properties: object("image_properties"),
        shelved_image: text("shelved_image").and_then(|id| id.parse().ok()),
        personality: json
            .get("personality")
            .and_then(Json::as_array)
            .unwrap_or_default()
            .iter()
            .filter_map(file)
            .collect(),
        networks: json.get("networks").cloned().unwrap_or(Json::Null),
    };
    Some((details, flavor(json.get("flavor")?)?, json.get("lock").and_then(lock)))
}

fn number<N: TryFrom<i64>>(json: &Json, name: &str) -> Option<N> {
    N::try_from(json.get(name)?.as_i64()?).ok()
}

fn texts(json: &Json) -> Option<Vec<String>> {
    json.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn file(json: &Json) -> Option<(String, String)> {
    match texts(json)?.as_slice() {
        [path, contents] => Some((path.clone(), contents.clone())),
        _ => None,
    }
}

fn lock(json: &Json) -> Option<Lock> {
    let by = json.get("by")?.as_str()?.parse().ok()?;
    Some(Lock { by, reason: json.get("reason").and_then(Json::as_str).map(str::to_owned) })
}

fn fault_json(fault: &ServerFault) -> Object {
    json_object! {
        "code": fault.code, "message": fault.message.as_str(), "details": fault.details.as_deref(),
        "created_at": fault.created_at.microseconds(),
    }
}

fn fault(json: &Json) -> Option<ServerFault> {
    Some(ServerFault {
        code: number(json, "code")?,
        message: json.get("message")?.as_str()?.to_owned(),
        details: json.get("details").and_then(Json::as_str).map(str::to_owned),
        created_at: Timestamp::from_microseconds(json.get("created_at")?.as_i64()?),
    })
}

fn flavor_json(flavor: &Flavor) -> Object {
    let specs: Object = flavor.extra_specs.iter().map(|item| (item.key.as_str(), item.value.as_str())).collect();
    json_object! {
        "id": flavor.flavorid.as_str(), "name": flavor.name.as_str(), "memory_mb": flavor.memory_mb, "vcpus": flavor.vcpus,
        "root_gb": flavor.root_gb, "ephemeral_gb": flavor.ephemeral_gb, "swap": flavor.swap,
        "rxtx_factor": flavor.rxtx_factor, "is_public": flavor.is_public, "disabled": flavor.disabled,
        "description": flavor.description.as_deref(), "extra_specs": specs,
    }
}

fn flavor(json: &Json) -> Option<Flavor> {
    let flag = |name: &str| json.get(name).and_then(Json::as_bool);
    Some(Flavor {
        flavorid: json.get("id")?.as_str()?.parse().ok()?,
        name: json.get("name")?.as_str()?.to_owned(),
        memory_mb: number(json, "memory_mb")?,
        vcpus: number(json, "vcpus")?,
        root_gb: number(json, "root_gb")?,
        ephemeral_gb: number(json, "ephemeral_gb")?,
        swap: number(json, "swap")?,
        rxtx_factor: json.get("rxtx_factor")?.as_f64()?,
        is_public: flag("is_public")?,
        disabled: flag("disabled")?,
        description: json.get("description").and_then(Json::as_str).map(str::to_owned),
        extra_specs: specs(json.get("extra_specs")?)?,
        projects: Vec::new(),
    })
}

/// Extra specs as they lie in a flavor's row.
///
/// A value that is not text counts as what it is printed as; what cannot be an item at all is passed over.
pub(super) fn specs(json: &Json) -> Option<Metadata> {
    let item = |(key, value): (&str, &Json)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(MetadataItem { key: MetadataKey::new(key).ok()?, value: MetadataValue::new(&value).ok()? })
    };
    Some(json.as_object()?.iter().filter_map(item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAVOR: &str = r#"{"id": "1", "name": "f", "memory_mb": 1, "vcpus": 1, "root_gb": 0, "ephemeral_gb": 0, "swap": 0, "rxtx_factor": 1.0, "is_public": true, "disabled": false, "description": null, "extra_specs": {}}"#;

    /// Every member as it was written when nothing was left out, with nothing in it, and with something.
    const MEMBERS: [(&str, &str, &str); 22] = [
        ("other_flavor", "null", FLAVOR),
        ("lock", "null", r#"{"by": "owner", "reason": null}"#),
        ("description", "null", r#""""#),
        ("access_ipv4", "null", r#""10.0.0.1""#),
        ("access_ipv6", "null", r#""::1""#),
        ("key_name", "null", r#""k""#),
        ("public_key", "null", r#""ssh""#),
        ("user_data", "null", r#""IyE=""#),
        ("config_drive", "false", "true"),
        ("pinned_zone", "null", r#""nova""#),
        ("host", "null", r#""h""#),
        ("hostname", r#""""#, r#""n""#),
        ("tags", "[]", r#"["a", "b"]"#),
        ("scheduler_hints", "{}", r#"{"group": "g"}"#),
        ("fault", "null", r#"{"code": 500, "message": "m", "details": null, "created_at": 7}"#),
        ("trusted_certs", "null", "[]"),
        ("reservation_id", r#""""#, r#""r-1""#),
        ("launch_index", "0", "3"),
        ("image_properties", "{}", r#"{"os": "x"}"#),
        ("shelved_image", "null", r#""6f9c6b2e-0000-4000-8000-000000000001""#),
        ("personality", "[]", r#"[["/etc/motd", "aGk="]]"#),
        ("networks", "null", r#""none""#),
    ];

    fn text_of(members: impl Iterator<Item = (&'static str, &'static str)>) -> String {
        let members: Vec<String> = members.map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
        format!(r#"{{"flavor": {FLAVOR}, {}, "disk_config": "MANUAL"}}"#, members.join(", "))
    }

    fn names(text: &str) -> Vec<String> {
        let json = json::parse(text.as_bytes()).unwrap();
        json.as_object().unwrap().iter().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn a_member_that_is_left_out_means_what_an_empty_one_means() {
        let bare = from_text(&format!(r#"{{"flavor": {FLAVOR}, "disk_config": "MANUAL"}}"#)).unwrap();
        assert_eq!(from_text(&text_of(MEMBERS.iter().map(|(name, empty, _)| (*name, *empty)))).unwrap(), bare);
        let written = text(&bare.0, &bare.1, bare.2.as_ref());
        assert_eq!(names(&written), ["flavor", "hostname", "disk_config", "reservation_id"]);
    }

    #[test]
    fn whatever_a_server_has_is_written_and_read_again() {
        for (name, _, some) in MEMBERS {
            let (details, flavor, lock) = from_text(&text_of([(name, some)].into_iter())).unwrap();
            let written = text(&details, &flavor, lock.as_ref());
            assert!(names(&written).iter().any(|written| written == name), "{written}");
            assert_eq!(from_text(&written).unwrap(), (details, flavor, lock));
        }
    }
}
