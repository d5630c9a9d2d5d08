//! The schema documents, which glanceclient reads before it shows anything.

use super::fields::{self, ID_PATTERN};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, get};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::image::MemberStatus;
use crate::policy::{Allowed, AnyCaller};
use crate::store::Tx;

macro_rules! document {
    ($(#[$doc:meta])* $name:ident, $path:literal, $words:literal, $make:expr) => {
        $(#[$doc])*
        pub struct $name;

        impl Endpoint for $name {
            const ROUTE: Route = get($path);
            const DOC: &'static str = $words;
            const READS: bool = true;
            type Action = AnyCaller;
            type Takes = ();
            type Gives = Json;

            fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, _: &Call, (): &()) -> Result<Json, Error> {
                Ok($make.into())
            }
        }
    };
}

document!(
    /// The schema of an image.
    Image, "/v2/schemas/image", "Shows the JSON schema of an image.", image()
);
document!(
    /// The schema of a list of images.
    Images,
    "/v2/schemas/images",
    "Shows the JSON schema of a list of images.",
    list("images", image(), &["first", "next", "schema"])
);
document!(
    /// The schema of a member.
    Member, "/v2/schemas/member", "Shows the JSON schema of an image member.", member()
);
document!(
    /// The schema of a list of members.
    Members,
    "/v2/schemas/members",
    "Shows the JSON schema of a list of image members.",
    list("members", member(), &["schema"])
);

fn image() -> Object {
    let link = |rel: &str, href: &str| json_object! { "rel": rel, "href": href };
    json_object! {
        "name": "image",
        "properties": fields::schema(),
        "additionalProperties": json_object! { "type": "string" },
        "links": vec![link("self", "{self}"), link("enclosure", "{file}"), link("describedby", "{schema}")],
    }
}

fn list(name: &str, item: Object, links: &[&str]) -> Object {
    let mut properties = json_object! { name: json_object! { "type": "array", "items": item } };
    let mut shown = Vec::new();
    for link in links {
        properties.insert(*link, json_object! { "type": "string" });
        let rel = if *link == "schema" { "describedby" } else { link };
        shown.push(json_object! { "rel": rel, "href": format!("{{{link}}}") });
    }
    json_object! { "name": name, "properties": properties, "links": shown }
}

fn member() -> Object {
    let text = |description: &str| json_object! { "type": "string", "description": description };
    let words: Vec<Json> = MemberStatus::ALL.iter().map(|status| status.as_str().into()).collect();
    let mut image_id = text("An identifier for the image");
    image_id.insert("pattern", ID_PATTERN);
    let mut status = text("The status of this image member");
    status.insert("enum", words);
    let properties = json_object! {
        "member_id": text("An identifier for the image member (tenantId)"),
        "image_id": image_id,
        "created_at": text("Date and time of image member creation"),
        "updated_at": text("Date and time of last modification of image member"),
        "status": status,
        "schema": json_object! { "readOnly": true, "type": "string" },
    };
    json_object! { "name": "member", "properties": properties }
}
