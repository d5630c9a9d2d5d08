//! The metadata of images through Compute, up to 2.38: six operations on the properties that the Image API shows. There is no
//! rule of Compute's for them: who may know of the image may ask, and who may modify it may change it.

use http::StatusCode;

use super::server_metadata::{MetaItem, MetadataMap};
use crate::api::call::Call;
use crate::api::dialect::Dialect;
use crate::api::endpoint::{Endpoint, Error, Gives, QueryRule, Reply, Route, Rule, delete, get, post, put};
use crate::api::image::policy::{GetImage, ModifyImage};
use crate::api::version::Versions;
use crate::compute::limits;
use crate::image::Error as ImageError;
use crate::image::metadata::{self, Bounds, Change, Owner};
use crate::json::{self, Json, Object};
use crate::json_object;
use crate::model::image::{Image, Properties, Property};
use crate::model::metadata::{Metadata, MetadataItem, MetadataKey};
use crate::policy::Allowed;
use crate::store::{Tx, images};

const COLLECTION: &str = "/images/{image_id}/metadata";
const ITEM: &str = "/images/{image_id}/metadata/{key}";
const UP_TO_2_38: Versions = Versions::between(1, 38);
const MODIFY: &[Rule] = &[Rule::of::<ModifyImage>()];

/// Shows all metadata of an image.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get(COLLECTION);
    const VERSIONS: Versions = UP_TO_2_38;
    const QUERY: QueryRule = QueryRule::Ignored;
    const DOC: &'static str =
        "Lists all metadata of an image: its properties, without the fields that every image has.";
    type Action = GetImage;
    type Takes = ();
    type Gives = ImageMetadata;

    fn run(_: &mut dyn Tx, image: Allowed<GetImage>, _: &Call, (): &()) -> Result<ImageMetadata, Error> {
        Ok(ImageMetadata(image.into_target().properties))
    }
}

/// Adds or changes items.
pub struct Merge;

impl Endpoint for Merge {
    const ROUTE: Route = post(COLLECTION);
    const VERSIONS: Versions = UP_TO_2_38;
    const MORE_RULES: &'static [Rule] = MODIFY;
    const DOC: &'static str = "Adds the items of the request to the image's metadata; items whose keys are there already are \
        replaced in place, all others stay. Answers the complete metadata.";
    type Action = GetImage;
    type Takes = MetadataMap;
    type Gives = ImageMetadata;

    fn run(tx: &mut dyn Tx, image: Allowed<GetImage>, call: &Call, body: &MetadataMap) -> Result<ImageMetadata, Error> {
        let change = metadata::merge(&image, &named(&image, call, &body.0), bounds(tx, call)?)?;
        Ok(ImageMetadata(apply(tx, &image, call, change)?))
    }
}

/// Replaces everything.
pub struct Replace;

impl Endpoint for Replace {
    const ROUTE: Route = put(COLLECTION);
    const VERSIONS: Versions = UP_TO_2_38;
    const MORE_RULES: &'static [Rule] = MODIFY;
    const DOC: &'static str = "Replaces all metadata of the image by that of the request: what is not in it is removed. Answers \
        what was asked for.";
    type Action = GetImage;
    type Takes = MetadataMap;
    type Gives = MetadataMap;

    fn run(tx: &mut dyn Tx, image: Allowed<GetImage>, call: &Call, body: &MetadataMap) -> Result<MetadataMap, Error> {
        let change = metadata::replace(&image, &named(&image, call, &body.0), bounds(tx, call)?)?;
        apply(tx, &image, call, change)?;
        Ok(MetadataMap(body.0.iter().map(|item| told(item, call)).collect()))
    }
}

/// Shows one item.
pub struct ShowItem;

impl Endpoint for ShowItem {
    const ROUTE: Route = get(ITEM);
    const VERSIONS: Versions = UP_TO_2_38;
    const QUERY: QueryRule = QueryRule::Ignored;
    const DOC: &'static str = "Shows one metadata item of an image, by key.";
    type Action = GetImage;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, image: Allowed<GetImage>, call: &Call, (): &()) -> Result<Json, Error> {
        let name = name_of(&image, call, call.part("key"));
        let found = image.properties.iter().find(|property| property.name == name);
        let (key, value) = found.map(shown).ok_or(ImageError::MetadataItemNotFound)?;
        Ok(json_object! { "meta": Object::from_iter([(call.dialect.image_key(&key).into_owned(), value)]) }.into())
    }
}

/// Creates or replaces one item.
pub struct PutItem;

impl Endpoint for PutItem {
    const ROUTE: Route = put(ITEM);
    const VERSIONS: Versions = UP_TO_2_38;
    const MORE_RULES: &'static [Rule] = MODIFY;
    const DOC: &'static str = "Creates the item if the image has none under this key; replaces it otherwise. The key in the \
        body must be the key in the URL.";
    type Action = GetImage;
    type Takes = MetaItem;
    type Gives = MetaItem;

    /// Unlike for servers, a mismatch is told before anybody looks for the image.
    fn before(call: &Call, body: &MetaItem) -> Result<(), Error> {
        let key = |text| call.dialect.image_key(text);
        if key(body.0.key.as_str()) == key(call.part("key")) { Ok(()) } else { Err(ImageError::UriMismatch.into()) }
    }

    fn run(tx: &mut dyn Tx, image: Allowed<GetImage>, call: &Call, body: &MetaItem) -> Result<MetaItem, Error> {
        let items = [body.0.clone()].into_iter().collect();
        let change = metadata::merge(&image, &named(&image, call, &items), bounds(tx, call)?)?;
        apply(tx, &image, call, change)?;
        Ok(MetaItem(told(&body.0, call)))
    }
}

/// Deletes one item.
pub struct DeleteItem;

impl Endpoint for DeleteItem {
    const ROUTE: Route = delete(ITEM);
    const VERSIONS: Versions = UP_TO_2_38;
    const MORE_RULES: &'static [Rule] = MODIFY;
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Deletes one metadata item of an image, by key.";
    type Action = GetImage;
    type Takes = ();
    type Gives = ();

    fn run(tx: &mut dyn Tx, image: Allowed<GetImage>, call: &Call, (): &()) -> Result<(), Error> {
        let change = metadata::without(&image, &name_of(&image, call, call.part("key")))?;
        apply(tx, &image, call, change).map(|_| ())
    }
}

/// The caller's quota, not the image's owner's (metadata.md §2.6), and what the dialect says of names.
fn bounds(tx: &mut dyn Tx, call: &Call) -> Result<Bounds, Error> {
    let limit = limits::metadata_items(tx, &call.quota_defaults(), call.project()?, &call.who()?.user_id)?;
    Ok(Bounds { limit, owner: if call.dialect.is_cloud_servers { Owner::Item } else { Owner::Field } })
}

/// The name of the property that a key of the request means. Where keys are folded, any spelling means the property that is
/// there already, however it is spelt (the last of several, which is the one that is shown); a new one is folded.
fn name_of(image: &Image, call: &Call, key: &str) -> String {
    let folded = call.dialect.image_key(key);
    let same = |property: &&Property| call.dialect.image_key(&property.name) == folded;
    let known = image.properties.iter().rev().find(same).map(|property| property.name.clone());
    known.unwrap_or_else(|| folded.into_owned())
}

/// The items of the request under the names they are kept by.
fn named(image: &Image, call: &Call, items: &Metadata) -> Metadata {
    let item = |item: &MetadataItem| renamed(item, &name_of(image, call, item.key.as_str()));
    items.iter().map(item).collect()
}

/// An item as the answer shows it.
fn told(item: &MetadataItem, call: &Call) -> MetadataItem {
    renamed(item, &call.dialect.image_key(item.key.as_str()))
}

/// The item under a name that differs at most in case, so that it is a key as well.
fn renamed(item: &MetadataItem, name: &str) -> MetadataItem {
    let key = MetadataKey::new(name).unwrap_or_else(|_| item.key.clone());
    MetadataItem { key, value: item.value.clone() }
}

/// Writes a change that the caller may make; gives the properties afterwards. What changes nothing needs no permission: Nova then
/// has nothing to tell Glance.
fn apply(tx: &mut dyn Tx, image: &Image, call: &Call, change: Change) -> Result<Properties, Error> {
    if change.changes {
        if change.is_refused || !call.may::<ModifyImage>(image)? {
            return Err(ImageError::NotAuthorized(image.id).into());
        }
        images::save_properties(tx, image.id, &change.after, call.now)?;
    }
    Ok(change.after)
}

/// `{"metadata": {…}}`.
pub struct ImageMetadata(pub Properties);

impl Gives for ImageMetadata {
    fn into_reply(self, call: &Call) -> Reply {
        if call.dialect.is_cloud_servers {
            // folded keys may be the same key
            return Reply::json(&json_object! { "metadata": shown_all(&self.0, call.dialect) }.into());
        }
        let mut body = b"{\"metadata\": {".to_vec();
        for (place, property) in self.0.iter().enumerate() {
            if place > 0 {
                body.extend_from_slice(b", ");
            }
            json::write_str(&property.name, &mut body);
            body.extend_from_slice(b": ");
            match (unpacked(property), &property.value) {
                (Some(value), _) => json::write(&value, &mut body),
                (None, Some(value)) => json::write_str(value, &mut body),
                (None, None) => body.extend_from_slice(b"null"),
            }
        }
        body.extend_from_slice(b"}}");
        Reply::json_bytes(body)
    }
}

/// All properties as Compute shows them.
pub fn shown_all(properties: &Properties, dialect: &Dialect) -> Object {
    properties.iter().map(shown).map(|(key, value)| (dialect.image_key(&key).into_owned(), value)).collect()
}

fn shown(property: &Property) -> (String, Json) {
    let plain = || property.value.as_ref().map_or(Json::Null, Json::from);
    (property.name.clone(), unpacked(property).unwrap_or_else(plain))
}

/// Two properties hold JSON, which Nova unpacks (nova/image/glance.py `_CONVERT_PROPS`).
fn unpacked(property: &Property) -> Option<Json> {
    match (property.name.as_str(), &property.value) {
        ("block_device_mapping" | "mappings", Some(text)) => json::parse(text.as_bytes()).ok(),
        _ => None,
    }
}
