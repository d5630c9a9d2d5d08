//! Which versions of Identity there are: what clients read before they log in.

use http::StatusCode;

use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Gives, QueryRule, Reply, Route, get};
use crate::json::{Json, Object};
use crate::json_object;
use crate::policy::{Allowed, Anyone};
use crate::store::Tx;

macro_rules! document {
    ($(#[$doc:meta])* $name:ident, $path:literal, $gives:ty, $words:literal) => {
        $(#[$doc])*
        pub struct $name;

        impl Endpoint for $name {
            const ROUTE: Route = get($path);
            const DOC: &'static str = $words;
            const QUERY: QueryRule = QueryRule::Ignored;
            type Action = Anyone;
            type Takes = ();
            type Gives = $gives;

            fn run(_: &mut dyn Tx, _: Allowed<Anyone>, call: &Call, (): &()) -> Result<$gives, Error> {
                Ok(<$gives>::new(call))
            }
        }
    };
}

document!(
    /// The list of versions.
    List,
    "/",
    Choices,
    "Lists the versions of Identity, with status 300 and a Location that names the best one."
);
document!(
    /// Version 3.
    Show,
    "/v3",
    Document,
    "Shows version 3 of Identity."
);
document!(
    /// Version 3, for clients that end its URL with a slash.
    ShowWithSlash,
    "/v3/",
    Document,
    "Shows version 3 of Identity."
);

/// `{"versions": {"values": […]}}` with a Location.
pub struct Choices(Object, String);

impl Choices {
    fn new(call: &Call) -> Choices {
        Choices(version(call), call.link("/v3/"))
    }
}

impl Gives for Choices {
    fn into_reply(self, _: &Call) -> Reply {
        let body = json_object! { "versions": json_object! { "values": [self.0] } };
        Reply::json(&body.into()).with_status(StatusCode::MULTIPLE_CHOICES).with_location(&self.1)
    }
}

/// `{"version": {…}}`.
pub struct Document(Object);

impl Document {
    fn new(call: &Call) -> Document {
        Document(version(call))
    }
}

impl Gives for Document {
    fn into_reply(self, _: &Call) -> Reply {
        Reply::json(&Json::from(json_object! { "version": self.0 }))
    }
}

/// As keystone/api/discovery.py. Version 2.0 is not listed: clients that look for versions want 3, those that want 2.0 never look.
fn version(call: &Call) -> Object {
    json_object! {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [json_object! { "rel": "self", "href": call.link("/v3/") }],
        "media-types": [json_object! {
            "base": "application/json", "type": "application/vnd.openstack.identity-v3+json",
        }],
    }
}
