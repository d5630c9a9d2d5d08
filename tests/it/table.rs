//! Walks over the table of all endpoints: what is true of one is true of every row.

use std::collections::{BTreeMap, BTreeSet};

use kilonova::api::dialect::{Api, Dialect, IDENTITY, IMAGE, NETWORK, OPENSTACK};
use kilonova::api::endpoint::Operation;
use kilonova::api::table;

use crate::house::{Ask, House};

/// Methods that some row might have.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"];

#[test]
fn every_row_has_a_paragraph_for_the_manual() {
    for (_, row) in table::all() {
        let doc = row.doc();
        assert!(doc.len() > 20 && doc.ends_with('.'), "{} says only {doc:?}", name(row));
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

fn door(api: Api) -> &'static Dialect {
    match api {
        Api::Compute => &OPENSTACK,
        Api::Identity => &IDENTITY,
        Api::Image => &IMAGE,
        Api::Network => &NETWORK,
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
