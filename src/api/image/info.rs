//! What this Image API is and can: its versions, and that neither import nor several stores are among its means.

use http::StatusCode;

use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Reply, Route, get};
use crate::api::fault::Fault;
use crate::json::Json;
use crate::json_object;
use crate::policy::{Allowed, AnyCaller, Anyone};
use crate::store::Tx;

/// The versions that a Glance without several stores and without a cache lists, in its order (glance/api/versions.py).
const VERSIONS: [&str; 11] = ["v2.15", "v2.9", CURRENT, "v2.7", "v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0"];
const CURRENT: &str = "v2.17";

/// The versions, as the choices that the door offers.
pub struct Choices;

impl Endpoint for Choices {
    const ROUTE: Route = get("/");
    const OK: StatusCode = StatusCode::MULTIPLE_CHOICES;
    const DOC: &'static str = "Lists the versions of the Image API. Its status is 300, as clients expect it here.";
    type Action = Anyone;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<Anyone>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(versions(call))
    }
}

/// The versions, asked for by name.
pub struct Versions;

impl Endpoint for Versions {
    const ROUTE: Route = get("/versions");
    const DOC: &'static str = "Lists the versions of the Image API.";
    type Action = Anyone;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<Anyone>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(versions(call))
    }
}

fn versions(call: &Call) -> Json {
    let href = call.link("/v2/");
    let version = |id: &&str| {
        let status = if *id == CURRENT { "CURRENT" } else { "SUPPORTED" };
        let link = json_object! { "rel": "self", "href": href.as_str() };
        Json::from(json_object! { "id": *id, "status": status, "links": vec![link] })
    };
    json_object! { "versions": VERSIONS.iter().map(version).collect::<Vec<Json>>() }.into()
}

/// The ways to import an image.
pub struct Import;

impl Endpoint for Import {
    const ROUTE: Route = get("/v2/info/import");
    const DOC: &'static str = "Lists the ways to import an image beside uploading it: there are none.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, _: &Call, (): &()) -> Result<Json, Error> {
        let methods = json_object! {
            "description": "Import methods available.", "type": "array", "value": Vec::<Json>::new(),
        };
        Ok(json_object! { "import-methods": methods }.into())
    }
}

/// The stores that an image can be in.
pub struct Stores;

impl Endpoint for Stores {
    const ROUTE: Route = get("/v2/info/stores");
    const DOC: &'static str = "Says, by 404 as Glance does, that images are not spread over several stores.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Reply;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, _: &Call, (): &()) -> Result<Reply, Error> {
        Err(Fault::not_found("Multi backend is not supported at this site.").into())
    }
}
