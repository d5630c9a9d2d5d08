//! How the Image API shows images and members (glance/api/v2/images.py `_format_image`).

use super::fields;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::image::{Image, ImageMember, Property};

/// An image.
pub fn image(image: &Image) -> Object {
    let mut view: Object = image.properties.iter().map(property).collect();
    let text = |text: &Option<String>| text.as_ref().map_or(Json::Null, Json::from);
    let whole = |number: Option<i64>| number.map_or(Json::Null, Json::from);
    let base = format!("/v2/images/{}", image.id);
    let tags: Vec<Json> = image.tags.iter().map(Json::from).collect();
    let fields = json_object! {
        "name": text(&image.name),
        "disk_format": text(&image.disk_format),
        "container_format": text(&image.container_format),
        "visibility": image.visibility.as_str(),
        "size": whole(image.size),
        "virtual_size": whole(image.virtual_size),
        "status": image.status.as_str(),
        "checksum": text(&image.checksum),
        "protected": image.protected,
        "min_ram": image.min_ram_mb,
        "min_disk": image.min_disk_gb,
        "owner": image.owner.as_str(),
        "os_hidden": image.os_hidden,
        "os_hash_algo": text(&image.os_hash_algo),
        "os_hash_value": text(&image.os_hash_value),
        "id": image.id.to_string(),
        "created_at": image.created_at.to_string(),
        "updated_at": image.updated_at.to_string(),
        "tags": tags,
        "self": base.as_str(),
        "file": format!("{base}/file"),
        "schema": "/v2/schemas/image",
    };
    for (name, value) in fields {
        view.insert(name, value);
    }
    view
}

/// A null is shown only where the schema knows the property; otherwise it is empty.
fn property(property: &Property) -> (String, Json) {
    let nothing = || if fields::find(&property.name).is_some() { Json::Null } else { "".into() };
    (property.name.clone(), property.value.as_ref().map_or_else(nothing, Json::from))
}

/// A member.
pub fn member(member: &ImageMember) -> Object {
    json_object! {
        "member_id": member.member_id.as_str(),
        "image_id": member.image_id.to_string(),
        "status": member.status.as_str(),
        "created_at": member.created_at.to_string(),
        "updated_at": member.updated_at.to_string(),
        "schema": "/v2/schemas/member",
    }
}
