//! Images through Compute, up to 2.35: listed, shown and deleted, in Nova's form (nova/api/openstack/compute/images.py). There is no
//! rule of Compute's for them: the rules of Image decide. Their metadata is in `image_metadata`; everything else is Image's own.

use std::sync::Arc;

use http::StatusCode;

use super::image_metadata::shown_all;
use super::{links, page};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Errand, Error, QueryRule, Route, delete, get};
use crate::api::fault::Fault;
use crate::api::image::images::delete_image;
use crate::api::image::list;
use crate::api::image::policy::{DeleteImage, GetImage, GetImages};
use crate::api::query::Query;
use crate::api::schema::{Rule, Schema, Type, parameter_types};
use crate::api::version::Versions;
use crate::image::Error as ImageError;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::disk_config::AutoDiskConfig;
use crate::model::image::{Image, ImageStatus};
use crate::policy::{Allowed, Refused};
use crate::store::Tx;

const UP_TO_2_35: Versions = Versions::between(1, 35);

/// Lists images in short.
pub struct Index;

impl Endpoint for Index {
    const ROUTE: Route = get("/images");
    const VERSIONS: Versions = UP_TO_2_35;
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str = "Lists the images that the caller may use, the newest first: id, name, links. `name`, `status`, \
        `changes-since`, `server`, `type`, `minRam`, `minDisk` and `property-…` select; `limit` and `marker` page through them.";
    type Action = GetImages;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_query(call)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<GetImages>, call: &Call, (): &()) -> Result<Json, Error> {
        listed(tx, call, "images", basic)
    }
}

/// Lists images in full.
pub struct Detail;

impl Endpoint for Detail {
    const ROUTE: Route = get("/images/detail");
    const VERSIONS: Versions = UP_TO_2_35;
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str =
        "Lists the images that the caller may use, with everything about them. Parameters as for the short list.";
    type Action = GetImages;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_query(call)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<GetImages>, call: &Call, (): &()) -> Result<Json, Error> {
        listed(tx, call, "images/detail", full)
    }
}

/// Shows an image.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get("/images/{image_id}");
    const VERSIONS: Versions = UP_TO_2_35;
    const QUERY: QueryRule = QueryRule::Ignored;
    const DOC: &'static str = "Shows an image, with its metadata, and with the server that it was made of.";
    type Action = GetImage;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, image: Allowed<GetImage>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(json_object! { "image": full(call, &image) }.into())
    }
}

/// Deletes an image.
pub struct Delete;

impl Errand for Delete {
    const ROUTE: Route = delete("/images/{image_id}");
    const VERSIONS: Versions = UP_TO_2_35;
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Deletes an image with its data, unless it is protected.";
    type Action = DeleteImage;
    type Takes = ();
    type Gives = ();

    async fn run(call: Arc<Call>, (): ()) -> Result<(), Error> {
        match delete_image(&call).await {
            // Nova has one sentence for both
            Err(Error::Refused(Refused::Forbidden(_)) | Error::Image(ImageError::Protected(_))) => {
                Err(ImageError::DeletionNotAuthorized.into())
            }
            other => other,
        }
    }
}

static POSITIVE: Schema = Schema::new(&[Rule::Type(&[Type::Array]), Rule::Items(&parameter_types::POSITIVE_INTEGER)]);

/// What Nova checks of the query; everything else is Glance's to judge.
static QUERY: Schema =
    Schema::new(&[Rule::Properties(&[("limit", &POSITIVE), ("page_size", &POSITIVE), ("offset", &POSITIVE)])]);

fn check_query(call: &Call) -> Result<(), Error> {
    Ok(QUERY.check_query(&call.query.as_lists())?)
}

fn listed(tx: &mut dyn Tx, call: &Call, collection: &str, view: fn(&Call, &Image) -> Object) -> Result<Json, Error> {
    let (images, is_full) = found(tx, call).map_err(as_nova_tells)?;
    let shown: Vec<Object> = images.iter().map(|image| view(call, image)).collect();
    let mut body = json_object! { "images": shown };
    if let Some(last) = images.last().filter(|_| is_full) {
        body.insert("images_links", [links::next(call, collection, &last.id.to_string())]);
    }
    Ok(body.into())
}

/// A page, and whether there may be another.
fn found(tx: &mut dyn Tx, call: &Call) -> Result<(Vec<Image>, bool), Error> {
    let mut wanted = list::wanted(call, &asked_of_glance(&call.query))?;
    // unlike Nova, which asks Glance for page after page, never more than `max_limit`
    wanted.limit = usize::try_from(page::limit(call)).unwrap_or(usize::MAX);
    if let Some(marker) = call.query.last("marker").filter(|marker| !marker.is_empty()) {
        wanted.after = Some(list::marked(tx, call, marker)?);
    }
    let (images, count) = list::page(tx, call, &wanted)?;
    Ok((images, count == wanted.limit))
}

/// The filters, in the words of the Image API.
fn asked_of_glance(query: &Query) -> Query {
    let filter = |(name, value): (&str, &str)| {
        let (name, value) = match name {
            "name" => ("name", value.to_owned()),
            "status" => ("status", value.to_lowercase()),
            "changes-since" => ("updated_at", format!("gte:{value}")),
            "server" => ("instance_uuid", last_segment(value)),
            "type" => ("image_type", value.to_owned()),
            "minRam" => ("min_ram", value.to_owned()),
            "minDisk" => ("min_disk", value.to_owned()),
            other => match other.strip_prefix("property-")? {
                "instance_uuid" => ("instance_uuid", last_segment(value)),
                property => (property, value.to_owned()),
            },
        };
        Some((name.to_owned(), value))
    };
    query.iter().filter_map(filter).collect()
}

/// The id in the address of a server, or the id itself.
fn last_segment(address: &str) -> String {
    address.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What Glance refuses, as its client puts it, which is what Nova passes on.
fn as_nova_tells(error: Error) -> Error {
    match error {
        Error::Fault(fault) if fault.status == StatusCode::BAD_REQUEST => {
            Fault::bad_request(format!("400 Bad Request: {} (HTTP 400)", fault.message)).into()
        }
        other => other,
    }
}

fn basic(call: &Call, image: &Image) -> Object {
    json_object! {
        "id": image.id.to_string(),
        "name": image.name.as_ref().map_or(Json::Null, Json::from),
        "links": links_of(call, image),
    }
}

fn full(call: &Call, image: &Image) -> Object {
    let (status, progress) = status(image.status);
    let mut view = json_object! {
        "id": image.id.to_string(),
        "name": image.name.as_ref().map_or(Json::Null, Json::from),
        "minRam": image.min_ram_mb,
        "minDisk": image.min_disk_gb,
        "metadata": shown_all(&image.properties, call.dialect),
        "created": image.created_at.to_string(),
        "updated": image.updated_at.to_string(),
        "status": status,
        "progress": progress,
        "OS-EXT-IMG-SIZE:size": image.size.unwrap_or(0),
        "links": links_of(call, image),
    };
    if let Some(server) = image.properties.get("instance_uuid") {
        view.insert("server", json_object! { "id": server, "links": links::of(call, "servers", server) });
    }
    if let Some(value) = image.properties.get("auto_disk_config") {
        view.insert("OS-DCF:diskConfig", AutoDiskConfig::read(value).shown().as_str());
    }
    view
}

/// As servers have them, and where Image has it: below its address in the catalog, without a version, as Nova says it.
fn links_of(call: &Call, image: &Image) -> Vec<Object> {
    let id = image.id.to_string();
    let mut links = links::of(call, "images", &id);
    links.push(json_object! {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": format!("{}/image/images/{id}", call.base_url()),
    });
    links
}

/// Nova's word for a status, and how far it thinks the image is, in percent.
fn status(status: ImageStatus) -> (&'static str, i64) {
    match status {
        ImageStatus::Queued => ("SAVING", 25),
        ImageStatus::Saving => ("SAVING", 50),
        ImageStatus::Active => ("ACTIVE", 100),
        ImageStatus::Deactivated => ("UNKNOWN", 0),
    }
}
