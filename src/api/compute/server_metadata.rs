//! The metadata of servers: six operations on one map.

use http::StatusCode;

use super::cloud_servers;
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Gives, Locate, Reply, Route, Takes, delete, get, post, put};
use crate::api::schema::{METADATA_COLLECTION, METADATA_ITEM, Schema};
use crate::api::version::Microversion;
use crate::compute::metadata::{self, Bounds};
use crate::compute::{Error as ComputeError, limits};
use crate::json;
use crate::model::metadata::{Metadata, MetadataItem, MetadataKey, MetadataText, MetadataValue};
use crate::model::server_metadata::ServerMetadata;
use crate::policy::{Action, Allowed, Guarded};
use crate::store::{Tx, servers};

const COLLECTION: &str = "/servers/{server_id}/metadata";
const ITEM: &str = "/servers/{server_id}/metadata/{key}";

/// Shows all metadata of a server.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get(COLLECTION);
    const DOC: &'static str = "Lists all metadata of a server, in the order in which the keys were first written.";
    type Action = policy::Index;
    type Takes = ();
    type Gives = MetadataText;

    fn run(_: &mut dyn Tx, server: Allowed<policy::Index>, _: &Call, (): &()) -> Result<MetadataText, Error> {
        Ok(server.into_target().items)
    }
}

/// Adds or changes items.
pub struct Merge;

impl Endpoint for Merge {
    const ROUTE: Route = post(COLLECTION);
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str = "Adds the items of the request to the server's metadata; items whose keys are there already \
        are replaced in place, all others stay. Answers the complete metadata.";
    type Action = policy::Create;
    type Takes = MetadataMap;
    type Gives = MetadataText;

    fn run(
        tx: &mut dyn Tx,
        server: Allowed<policy::Create>,
        call: &Call,
        body: &MetadataMap,
    ) -> Result<MetadataText, Error> {
        let bounds = bounds(tx, call)?;
        Ok(metadata::merge(tx, server.into_target(), &body.0, &bounds)?)
    }
}

/// Replaces everything.
pub struct Replace;

impl Endpoint for Replace {
    const ROUTE: Route = put(COLLECTION);
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str = "Replaces all metadata of the server by that of the request: what is not in it is removed. \
        An empty map removes everything.";
    type Action = policy::UpdateAll;
    type Takes = MetadataMap;
    type Gives = MetadataText;

    fn run(
        tx: &mut dyn Tx,
        server: Allowed<policy::UpdateAll>,
        call: &Call,
        body: &MetadataMap,
    ) -> Result<MetadataText, Error> {
        let bounds = bounds(tx, call)?;
        Ok(metadata::replace(tx, server.into_target(), &body.0, &bounds)?)
    }
}

/// Shows one item.
pub struct ShowItem;

impl Endpoint for ShowItem {
    const ROUTE: Route = get(ITEM);
    const DOC: &'static str = "Shows one metadata item of a server, by key. Keys are case-sensitive.";
    type Action = policy::Show;
    type Takes = ();
    type Gives = ItemText;

    fn run(_: &mut dyn Tx, server: Allowed<policy::Show>, call: &Call, (): &()) -> Result<ItemText, Error> {
        let item = server.items.item_json(call.part("key")).ok_or(ComputeError::MetadataItemNotFound)?;
        Ok(ItemText(item.to_owned()))
    }
}

/// Creates or replaces a metadata item, by key, for a server.
pub struct PutItem;

impl Endpoint for PutItem {
    const ROUTE: Route = put(ITEM);
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str = "Creates the item if the server has none under this key; replaces it otherwise. The key in the \
        body must be the key in the URL.";
    type Action = policy::Update;
    type Takes = MetaItem;
    type Gives = MetaItem;

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Update>, call: &Call, body: &MetaItem) -> Result<MetaItem, Error> {
        let item = body.named(call.part("key"))?;
        let bounds = bounds(tx, call)?;
        metadata::put_item(tx, server.into_target(), &item, &bounds)?;
        Ok(MetaItem(item))
    }
}

/// Deletes one item.
pub struct DeleteItem;

impl Endpoint for DeleteItem {
    const ROUTE: Route = delete(ITEM);
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Deletes one metadata item of a server, by key.";
    type Action = policy::Delete;
    type Takes = ();
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Delete>, call: &Call, (): &()) -> Result<(), Error> {
        let bounds = bounds(tx, call)?;
        Ok(metadata::delete_item(tx, server.into_target(), call.part("key"), &bounds)?)
    }
}

/// What bounds a change: when it happens, who makes it, and their quota (metadata.md §2.5: the caller's, not the server's).
fn bounds(tx: &mut dyn Tx, call: &Call) -> Result<Bounds, Error> {
    let who = call.who()?;
    let limit = limits::metadata_items(tx, &call.quota_defaults(), call.project()?, &who.user_id)?;
    Ok(Bounds { now: call.now, ignores_lock: who.is_admin, limit })
}

impl Locate for ServerMetadata {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<ServerMetadata>, Error> {
        let id = call.part("server_id").parse().ok();
        let found = id.map(|id| servers::metadata_of(tx, id)).transpose()?.flatten();
        found.ok_or_else(|| Self::missing(call))
    }

    fn missing(call: &Call) -> Error {
        ComputeError::ServerNotFound(call.part("server_id").to_owned()).into()
    }
}

/// `{"metadata": {…}}`.
pub struct MetadataMap(pub Metadata);

impl Takes for MetadataMap {
    fn schema(_: Microversion) -> Option<&'static Schema> {
        Some(&METADATA_COLLECTION)
    }

    fn check(call: &Call) -> Result<(), Error> {
        if call.dialect.is_cloud_servers {
            return cloud_servers::check_collection(&call.body);
        }
        Ok(METADATA_COLLECTION.check(&call.body)?)
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        let map = call.body.get("metadata").and_then(json::Json::as_object);
        Ok(MetadataMap(map.into_iter().flat_map(json::Object::iter).filter_map(item).collect()))
    }
}

/// An item of a body that the schema has passed.
fn item((key, value): (&str, &json::Json)) -> Option<MetadataItem> {
    Some(MetadataItem { key: MetadataKey::new(key).ok()?, value: MetadataValue::new(value.as_str()?).ok()? })
}

impl Gives for MetadataMap {
    fn into_reply(self, call: &Call) -> Reply {
        MetadataText::of(&self.0).into_reply(call)
    }
}

/// The bytes of the row are those of the answer.
impl Gives for MetadataText {
    fn into_reply(self, _: &Call) -> Reply {
        Reply::json_bytes(["{\"metadata\": ", self.as_json(), "}"].concat())
    }
}

/// `"key": "value"`, as it stands in the row.
pub struct ItemText(String);

impl Gives for ItemText {
    fn into_reply(self, _: &Call) -> Reply {
        Reply::json_bytes(["{\"meta\": {", &self.0, "}}"].concat())
    }
}

/// `{"meta": {key: value}}`.
pub struct MetaItem(pub MetadataItem);

impl MetaItem {
    /// The item, if it is the one the URL names.
    ///
    /// # Errors
    /// 400 otherwise.
    pub fn named(&self, key: &str) -> Result<MetadataItem, Error> {
        if self.0.key.as_str() == key { Ok(self.0.clone()) } else { Err(ComputeError::UriMismatch.into()) }
    }
}

impl Takes for MetaItem {
    fn schema(_: Microversion) -> Option<&'static Schema> {
        Some(&METADATA_ITEM)
    }

    fn check(call: &Call) -> Result<(), Error> {
        if call.dialect.is_cloud_servers {
            return cloud_servers::check_item(&call.body);
        }
        Ok(METADATA_ITEM.check(&call.body)?)
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        let map = call.body.get("meta").and_then(json::Json::as_object);
        let found = map.into_iter().flat_map(json::Object::iter).find_map(item);
        Ok(MetaItem(found.ok_or(ComputeError::MalformedBody)?))
    }
}

impl Gives for MetaItem {
    fn into_reply(self, _: &Call) -> Reply {
        let mut body = b"{\"meta\": {".to_vec();
        json::write_str(self.0.key.as_str(), &mut body);
        body.extend_from_slice(b": ");
        json::write_str(self.0.value.as_str(), &mut body);
        body.extend_from_slice(b"}}");
        Reply::json_bytes(body)
    }
}

/// The six rules (nova/policies/server_metadata.py).
pub mod policy {
    use super::{Action, ServerMetadata};

    macro_rules! rule {
        ($(#[$doc:meta])* $name:ident, $rule:literal, $default:literal, $words:literal) => {
            $(#[$doc])*
            pub struct $name;

            impl Action for $name {
                const RULE: &'static str = concat!("os_compute_api:server-metadata:", $rule);
                const DEFAULT: &'static str = $default;
                const DEPRECATED: Option<&'static str> = Some("rule:admin_or_owner");
                const DOC: &'static str = $words;
                type Target = ServerMetadata;
            }
        };
    }

    rule!(
        /// Listing.
        Index, "index", "rule:project_reader_or_admin", "List all metadata of a server"
    );
    rule!(
        /// Showing one item.
        Show, "show", "rule:project_reader_or_admin", "Show metadata for a server"
    );
    rule!(
        /// Merging.
        Create, "create", "rule:project_member_or_admin", "Create metadata for a server"
    );
    rule!(
        /// Replacing all.
        UpdateAll, "update_all", "rule:project_member_or_admin", "Replace metadata for a server"
    );
    rule!(
        /// Putting one item.
        Update, "update", "rule:project_member_or_admin", "Update metadata from a server"
    );
    rule!(
        /// Deleting one item.
        Delete, "delete", "rule:project_member_or_admin", "Delete metadata from a server"
    );
}
