//! Extensions: how clients learn what else Network can do. Only what is here is named.

use super::{listed, not_found, shown};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, get};
use crate::json::{Json, Object};
use crate::json_object;
use crate::policy::{Allowed, AnyCaller};
use crate::store::Tx;

/// Alias, name, description, and when Neutron last changed it.
const EXTENSIONS: [(&str, &str, &str, &str); 2] = [
    ("security-group", "security-group", "The security groups extension.", "2012-10-05T10:00:00-00:00"),
    (
        "quotas",
        "Quota management support",
        "Expose functions for quotas management per project",
        "2012-07-29T10:00:00-00:00",
    ),
];

fn extension((alias, name, description, updated): &(&str, &str, &str, &str)) -> Object {
    json_object! {
        "name": *name,
        "alias": *alias,
        "description": *description,
        "updated": *updated,
        "links": Json::Array(Vec::new()),
    }
}

/// Lists them.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get("/v2.0/extensions");
    const DOC: &'static str = "Lists the extensions of the Network API that are here.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(listed(call, "extensions", EXTENSIONS.iter().map(extension).collect()))
    }
}

/// Shows one.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get("/v2.0/extensions/{alias}");
    const DOC: &'static str = "Shows an extension of the Network API by its alias.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        let alias = call.part("alias");
        let found = EXTENSIONS.iter().find(|(known, ..)| *known == alias);
        let missing = || not_found("HTTPNotFound", format!("Extension with alias {alias} does not exist"));
        Ok(shown(call, "extension", extension(found.ok_or_else(missing)?)))
    }
}
