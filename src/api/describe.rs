//! The table as documents: the OpenAPI description, the manual, the list of faults; and the sample policy, which `table` writes.
//! `docs/` holds a copy of each, and a test fails when one is stale.

mod faults;
mod manual;
mod openapi;
mod shape;

use std::collections::BTreeMap;

use http::Method;

use super::dialect::Api;
use super::endpoint::Operation;
use super::schema::Schema;
use super::table;
use super::version::{Microversion, Versions};
use super::{ANY_SEGMENT, ROOT_SEGMENT};
use crate::json::{self, Json};

pub use faults::faults;
pub use manual::manual;

/// The OpenAPI 3.1 description of everything, as a file that can be compared line by line.
pub fn openapi() -> String {
    let mut out = String::new();
    write_pretty(&openapi::document(), 0, &mut out);
    out.push('\n');
    out
}

/// One method of one path: in all its versions, with all its actions.
struct Place {
    api: Api,
    method: &'static Method,
    /// The whole path.
    path: String,
    rows: Vec<&'static dyn Operation>,
}

/// Every place a client can ask at, by API, path and method. The names of a path are those of its first row.
fn places() -> Vec<Place> {
    let mut found: BTreeMap<(Api, String, usize), Place> = BTreeMap::new();
    let mut paths: BTreeMap<(Api, String), String> = BTreeMap::new();
    for (api, row) in table::all() {
        let route = row.route();
        if route.path.contains(ANY_SEGMENT) {
            continue;
        }
        let path = paths.entry((api, nameless(route.path))).or_insert_with(|| whole_path(api, route.path)).clone();
        let key = (api, path.clone(), method_place(&route.method));
        let place = || Place { api, method: &route.method, path, rows: Vec::new() };
        found.entry(key).or_insert_with(place).rows.push(row);
    }
    found.into_values().collect()
}

fn whole_path(api: Api, path: &str) -> String {
    match path.strip_prefix('/').and_then(|path| path.strip_prefix(ROOT_SEGMENT)) {
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None => format!("{}{path}", api.prefix()),
    }
}

fn nameless(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// Reading before writing before deleting.
fn method_place(method: &Method) -> usize {
    let order = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    order.iter().position(|known| *known == method.as_str()).unwrap_or(order.len())
}

/// The bodies that a row takes, each with the first and the last version of it; none where anything goes.
fn bodies(api: Api, row: &dyn Operation) -> Vec<(Versions, &'static Schema)> {
    let Versions { from, to } = row.versions();
    let last = if api == Api::Compute { to.min(Microversion::NEWEST) } else { from };
    let mut bodies: Vec<(Versions, &'static Schema)> = Vec::new();
    for version in (from.0..=last.0).map(Microversion) {
        let Some(schema) = row.schema(version) else { continue };
        match bodies.last_mut() {
            Some((versions, before)) if std::ptr::eq(*before, schema) => versions.to = version,
            Some(_) | None => bodies.push((Versions { from: version, to: version }, schema)),
        }
    }
    if let Some((versions, _)) = bodies.last_mut().filter(|(versions, _)| versions.to == last) {
        versions.to = to;
    }
    bodies
}

/// `2.1 and later`, `2.1 to 2.38`; nothing where there are no versions or all of them.
fn versions_text(api: Api, versions: Versions) -> Option<String> {
    let Versions { from, to } = versions;
    match (api, to < Microversion::NEWEST) {
        (Api::Compute, true) if from == to => Some(from.to_string()),
        (Api::Compute, true) => Some(format!("{from} to {to}")),
        (Api::Compute, false) if from > Microversion::OLDEST => Some(format!("{from} and later")),
        _ => None,
    }
}

/// The action and the versions of a row, where the place has several rows.
fn row_title(api: Api, row: &dyn Operation) -> String {
    let action = row.route().action.map(|action| format!("`{action}`"));
    let parts: Vec<String> = [action, versions_text(api, row.versions())].into_iter().flatten().collect();
    parts.join(", ")
}

fn write_pretty(json: &Json, indent: usize, out: &mut String) {
    let inside = "  ".repeat(indent + 1);
    let line = json.to_string();
    if line.len() + 2 * indent <= 100 {
        out.push_str(&line);
    } else if let Some(object) = json.as_object() {
        let members = object.iter().map(|(key, value)| (Some(key), value));
        write_members(members, ('{', '}'), &inside, indent, out);
    } else if let Some(array) = json.as_array() {
        write_members(array.iter().map(|value| (None, value)), ('[', ']'), &inside, indent, out);
    } else {
        out.push_str(&line);
    }
}

fn write_members<'a>(
    members: impl Iterator<Item = (Option<&'a str>, &'a Json)>,
    (open, close): (char, char),
    inside: &str,
    indent: usize,
    out: &mut String,
) {
    out.push(open);
    for (index, (key, value)) in members.enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        out.push_str(inside);
        if let Some(key) = key {
            let mut text = Vec::new();
            json::write_str(key, &mut text);
            out.push_str(&String::from_utf8_lossy(&text));
            out.push_str(": ");
        }
        write_pretty(value, indent + 1, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(indent));
    out.push(close);
}
