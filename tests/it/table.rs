//! Walks over the table of all endpoints: what is true of one is true of every row.

use std::collections::{BTreeMap, BTreeSet};

use kilonova::api::dialect::{self, Api, Dialect};
use kilonova::api::endpoint::Operation;
use kilonova::api::table;
use kilonova::api::version::Microversion;
use kilonova::model::image::Visibility;

use crate::house::{Ask, Client, House, Reply, id_of};
use crate::sample;
use crate::stage::{self, Actor};

/// Methods that some row might have.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"];

#[test]
fn every_row_has_a_paragraph_for_the_manual() {
    for (_, row) in table::all() {
        let doc = row.doc();
        assert!(doc.len() > 12 && doc.ends_with('.'), "{} says only {doc:?}", name(row));
    }
}

#[test]
fn no_two_rows_are_the_same() {
    let mut seen = BTreeMap::new();
    for (api, row) in table::all() {
        let route = row.route();
        let versions = (row.versions().from, row.versions().to);
        let place = (api, route.method.to_string(), nameless(route.path), route.action);
        for (from, to) in seen.entry(place).or_insert_with(Vec::new).iter() {
            assert!(versions.1 < *from || *to < versions.0, "{} stands twice in one version", name(row));
        }
        let place = (api, route.method.to_string(), nameless(route.path), route.action);
        seen.get_mut(&place).expect("it was just made").push(versions);
    }
}

#[tokio::test]
async fn nobody_is_refused_by_every_row_that_is_not_open() {
    let house = House::new().await;
    for (api, row) in table::all().into_iter().filter(|(_, row)| !row.rule().is_open) {
        let path = format!("{}{}", door(api).prefix, filled(row.route().path));
        let reply = house.nobody().send(Ask::new(row.route().method.as_str(), &path)).await;
        assert_eq!(reply.status, 401, "{} answers nobody with {}", name(row), reply.text());
        assert!(reply.header("www-authenticate").is_some(), "{}", name(row));
    }
}

#[tokio::test]
async fn a_method_that_is_not_in_the_table_is_405() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let mut paths: BTreeMap<(Api, String), BTreeSet<String>> = BTreeMap::new();
    for (api, row) in table::all().into_iter().filter(|(_, row)| !row.route().path.starts_with("/*root*")) {
        let methods = paths.entry((api, nameless(row.route().path))).or_default();
        methods.insert(row.route().method.to_string());
    }
    for ((api, path), methods) in paths {
        let dialect = door(api);
        let target = format!("{}{}", dialect.prefix, filled(&path));
        let allow = methods.iter().cloned().collect::<Vec<_>>().join(", ");
        for method in METHODS.iter().filter(|method| !methods.contains(**method)) {
            if *method == "HEAD" && dialect.answers_head && methods.contains("GET") {
                continue;
            }
            let reply = member.send(Ask::new(method, &target)).await;
            assert_eq!(reply.status, 405, "{method} {target}: {}", reply.text());
            assert_eq!(reply.header("allow"), Some(allow.as_str()), "{method} {target}");
        }
    }
}

pub const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
pub const IMAGE: &str = "6f9c6b2e-0000-4000-8000-000000000002";

#[tokio::test]
async fn a_stranger_reaches_no_row_about_a_server_or_an_image() {
    let house = furnished().await;
    let stranger = house.person("member", "green").await;
    let mut wrong = Vec::new();
    for (api, row) in closed().filter(|(_, row)| is_about_a_thing(*row)) {
        let reply = ask(&stranger, api, row).await;
        if !matches!(reply.status, 403 | 404) {
            wrong.push(format!("{}: {} {}", name(row), reply.status, reply.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_reader_changes_nothing() {
    let house = furnished().await;
    let reader = house.person("reader", "blue").await;
    let mut wrong = Vec::new();
    for (api, row) in closed().filter(|(api, row)| writes(row) && matches!(api, Api::Compute | Api::Image)) {
        let reply = ask(&reader, api, row).await;
        let may = READERS_MAY.iter().any(|(rule, _)| *rule == row.rule().name);
        if (reply.status == 403) == may {
            wrong.push(format!("{} ({}): {} {}", name(row), row.rule().name, reply.status, reply.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rules of writes that a reader passes, with the reason.
const READERS_MAY: &[(&str, &str)] = &[
    ("os_compute_api:os-keypairs:create", "key pairs belong to a user, not to a project (nova/policies/keypairs.py)"),
    ("os_compute_api:os-keypairs:delete", "as for making one"),
];

/// A house with a server and an image of the project `blue`.
pub async fn furnished() -> House {
    let house = House::new().await;
    Actor::new(SERVER).enters(&house).await;
    stage::image(&house, IMAGE, "blue", Visibility::Private, &[("a", "0")]).await;
    house
}

fn closed() -> impl Iterator<Item = (Api, &'static dyn Operation)> {
    table::all().into_iter().filter(|(_, row)| !row.rule().is_open)
}

fn writes(row: &&'static dyn Operation) -> bool {
    !matches!(row.route().method.as_str(), "GET" | "HEAD")
}

fn is_about_a_thing(row: &dyn Operation) -> bool {
    row.route().path.contains("{server_id}") || row.route().path.contains("{image_id}")
}

/// Asks a row for what it is there for: in a version it knows, about things that exist, with a body that fits.
async fn ask(client: &Client, api: Api, row: &dyn Operation) -> Reply {
    let route = row.route();
    let version = row.versions().from;
    let path = format!("{}{}", door(api).prefix, about(route.path));
    let mut ask = Ask::new(route.method.as_str(), &path);
    if api == Api::Compute {
        ask = ask.version(&version.to_string());
    }
    if let Some((media_type, body)) = of_image(api, row) {
        ask = ask.header("content-type", media_type).body(body);
    } else if let Some(body) = body(row, version) {
        ask = ask.json(&body);
    }
    client.send(ask).await
}

/// What the rows of Image take, whose bodies have no schema of ours: the media type and a body.
pub fn of_image(api: Api, row: &dyn Operation) -> Option<(&'static str, &'static str)> {
    let route = row.route();
    match (api, route.method.as_str(), route.path) {
        (Api::Image, "POST", "/v2/images") => Some(("application/json", "{}")),
        (Api::Image, "PATCH", _) => Some((
            "application/openstack-images-v2.1-json-patch",
            r#"[{"op": "replace", "path": "/name", "value": "x"}]"#,
        )),
        (Api::Image, "PUT", path) if path.ends_with("/file") => Some(("application/octet-stream", "x")),
        (Api::Image, "POST", path) if path.ends_with("/members") => Some(("application/json", r#"{"member": "x"}"#)),
        (Api::Image, "PUT", path) if path.ends_with("/{member_id}") => {
            Some(("application/json", r#"{"status": "accepted"}"#))
        }
        _ => None,
    }
}

pub fn body(row: &dyn Operation, version: Microversion) -> Option<String> {
    match (row.schema(version), row.route().action) {
        (Some(schema), _) => Some(sample::of(&schema.describe()).to_string()),
        (None, Some(action)) => Some(format!(r#"{{"{action}": null}}"#)),
        (None, None) => None,
    }
}

/// The path of a row, about the things of `furnished`.
pub fn about(path: &str) -> String {
    let fill = |segment: &str| match segment {
        "{server_id}" => SERVER.to_owned(),
        "{image_id}" => IMAGE.to_owned(),
        "{key}" => "a".to_owned(),
        "{project_id}" | "{tenant_id}" => id_of("blue"),
        "{user_id}" => id_of("member-of-blue"),
        "{flavor_id}" => "1".to_owned(),
        name if name.starts_with('{') => "x".to_owned(),
        literal => literal.to_owned(),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

pub fn door(api: Api) -> &'static Dialect {
    match api {
        Api::Compute => &dialect::OPENSTACK,
        Api::Identity => &dialect::IDENTITY,
        Api::Image => &dialect::IMAGE,
        Api::Network => &dialect::NETWORK,
    }
}

fn name(row: &dyn Operation) -> String {
    let route = row.route();
    format!("{} {} {}", route.method, route.path, route.action.unwrap_or_default())
}

/// A path as the router sees it: what its parts are called does not matter.
fn nameless(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// A path of this route: something in the place of every name.
fn filled(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
