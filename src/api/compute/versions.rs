//! Which versions of Compute there are: the documents clients read before anything else, most of them without a token.

use http::{StatusCode, header};

use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, QueryRule, Reply, Route, get};
use crate::api::fault::Fault;
use crate::api::version::Microversion;
use crate::json::{Json, Object};
use crate::json_object;
use crate::policy::{Allowed, AnyCaller, Anyone};
use crate::store::Tx;

/// One of the two APIs.
struct Version {
    id: &'static str,
    /// Its prefix, without slashes.
    prefix: &'static str,
    status: &'static str,
    has_microversions: bool,
    updated: &'static str,
    media_type: &'static str,
}

const VERSIONS: [Version; 2] = [
    Version {
        id: "v2.0",
        prefix: "v2",
        status: "DEPRECATED",
        has_microversions: false,
        updated: "2025-07-04T12:00:00Z",
        media_type: "application/vnd.openstack.compute+json;version=2",
    },
    Version {
        id: "v2.1",
        prefix: "v2.1",
        status: "CURRENT",
        has_microversions: true,
        updated: "2013-07-23T11:33:21Z",
        media_type: "application/vnd.openstack.compute+json;version=2.1",
    },
];

impl Version {
    /// The members that every document begins with, up to those that only some have.
    fn begun(&self) -> Object {
        json_object! { "id": self.id, "status": self.status }
    }

    fn microversions(&self, mut object: Object) -> Object {
        let text = |version: Microversion| if self.has_microversions { version.to_string() } else { String::new() };
        object.insert("version", text(Microversion::NEWEST));
        object.insert("min_version", text(Microversion::OLDEST));
        object.insert("updated", self.updated);
        object
    }

    fn media_types(&self) -> Vec<Object> {
        vec![json_object! { "base": "application/json", "type": self.media_type }]
    }

    fn listed(&self, call: &Call) -> Object {
        let href = format!("{}/{}/", call.base_url(), self.prefix);
        let mut object = self.microversions(self.begun());
        object.insert("links", vec![self_link(href)]);
        object
    }

    fn chosen(&self, call: &Call, path: &str) -> Object {
        let href = format!("{}/{}/{}", call.base_url(), self.prefix, path.trim_matches('/'));
        let mut object = self.begun();
        object.insert("links", vec![self_link(href)]);
        object.insert("media-types", self.media_types());
        object
    }

    /// The document at a door; its link names the door, even where the version is the other's, as Nova has it.
    fn shown(&self, call: &Call) -> Json {
        let mut object = self.microversions(self.begun());
        let described =
            json_object! { "rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/" };
        object.insert("links", vec![self_link(call.link("/")), described]);
        object.insert("media-types", self.media_types());
        json_object! { "version": object }.into()
    }
}

fn self_link(href: String) -> Object {
    json_object! { "rel": "self", "href": href }
}

/// The version of the door a request came through.
fn version_of_door(call: &Call) -> &'static Version {
    if call.dialect.is_cloud_servers { &VERSIONS[0] } else { &VERSIONS[1] }
}

/// Lists the versions.
pub struct ListVersions;

impl Endpoint for ListVersions {
    const ROUTE: Route = get("/*root*");
    const DOC: &'static str = "Lists the versions of the Compute API. Any method but OPTIONS does; no token is needed.";
    const QUERY: QueryRule = QueryRule::Ignored;
    type Action = Anyone;
    type Takes = ();
    type Gives = Reply;

    fn run(_: &mut dyn Tx, _: Allowed<Anyone>, call: &Call, (): &()) -> Result<Reply, Error> {
        let versions: Vec<_> = VERSIONS.iter().map(|version| version.listed(call)).collect();
        let reply = Reply::json(&json_object! { "versions": versions }.into());
        let wants_atom = call.headers.get_all(header::ACCEPT).iter().any(|value| names_atom(value.as_bytes()));
        Ok(if wants_atom { Reply { content_type: Some("application/atom+xml"), ..reply } } else { reply })
    }
}

/// Nova says `application/atom+xml` of its JSON to those who ask for that.
fn names_atom(accept: &[u8]) -> bool {
    String::from_utf8_lossy(accept).split([',', ';']).any(|range| range.trim() == "application/atom+xml")
}

/// Offers the versions where a path names none.
pub struct Choices;

impl Endpoint for Choices {
    const ROUTE: Route = get("/*root*/*any*");
    const OK: StatusCode = StatusCode::MULTIPLE_CHOICES;
    const DOC: &'static str = "Any other path that names no version, with any method but OPTIONS: the same path in every \
        version. No token is needed.";
    const QUERY: QueryRule = QueryRule::Ignored;
    type Action = Anyone;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<Anyone>, call: &Call, (): &()) -> Result<Json, Error> {
        let choices: Vec<_> = VERSIONS.iter().map(|version| version.chosen(call, call.part("path"))).collect();
        Ok(json_object! { "choices": choices }.into())
    }
}

/// Shows the version of a door.
pub struct ShowDoor;

impl Endpoint for ShowDoor {
    const ROUTE: Route = get("/");
    const DOC: &'static str = "Shows the version at this prefix with its range of microversions. No token is needed.";
    const QUERY: QueryRule = QueryRule::Ignored;
    type Action = Anyone;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<Anyone>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(version_of_door(call).shown(call))
    }
}

/// Shows a version by its id.
pub struct ShowVersion;

impl Endpoint for ShowVersion {
    const ROUTE: Route = get("/versions/{id}");
    const DOC: &'static str =
        "Shows a version by its id, `v2.0` or `v2.1`. Unlike the document at the prefix it needs a token.";
    const QUERY: QueryRule = QueryRule::Ignored;
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        if call.dialect.is_cloud_servers {
            return Ok(version_of_door(call).shown(call));
        }
        let found = VERSIONS.iter().find(|version| version.id == call.part("id"));
        let version = found.ok_or_else(|| Fault::not_found("The resource could not be found."))?;
        Ok(version.shown(call))
    }
}
