//! Which version of Network there is, and which resources it has.

use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, get};
use crate::json::{Json, Object};
use crate::json_object;
use crate::policy::{Allowed, AnyCaller, Anyone};
use crate::store::Tx;

/// Resources by their names, one and many.
const RESOURCES: [(&str, &str); 9] = [
    ("network", "networks"),
    ("subnet", "subnets"),
    ("port", "ports"),
    ("router", "routers"),
    ("floatingip", "floatingips"),
    ("security_group", "security-groups"),
    ("security_group_rule", "security-group-rules"),
    ("extension", "extensions"),
    ("quota", "quotas"),
];

/// Lists the versions.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get("/");
    const DOC: &'static str = "Lists the versions of the Network API. No token is needed.";
    type Action = Anyone;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<Anyone>, call: &Call, (): &()) -> Result<Json, Error> {
        let link = json_object! { "rel": "self", "href": call.link("/v2.0/") };
        let version = json_object! { "id": "v2.0", "status": "CURRENT", "links": [link] };
        Ok(json_object! { "versions": [version] }.into())
    }
}

fn resources(call: &Call) -> Json {
    let resource = |(name, collection): &(&str, &str)| {
        let link = json_object! { "rel": "self", "href": call.link(&format!("/v2.0/{collection}")) };
        json_object! { "name": *name, "collection": *collection, "links": [link] }
    };
    json_object! { "resources": RESOURCES.iter().map(resource).collect::<Vec<Object>>() }.into()
}

/// Lists the resources.
pub struct Resources;

impl Endpoint for Resources {
    const ROUTE: Route = get("/v2.0");
    const DOC: &'static str = "Lists the resources of version 2.0.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(resources(call))
    }
}

/// Lists the resources.
pub struct ResourcesWithSlash;

impl Endpoint for ResourcesWithSlash {
    const ROUTE: Route = get("/v2.0/");
    const DOC: &'static str = "Lists the resources of version 2.0, as without the slash.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(resources(call))
    }
}
