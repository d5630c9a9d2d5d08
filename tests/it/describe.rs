//! The documents that are made from the table.

use std::collections::BTreeSet;

use kilonova::api::{describe, table};
use kilonova::json::{self, Json, Object};

use crate::pages::fresh;

#[test]
fn the_openapi_document_is_fresh() {
    fresh("docs/openapi.json", &describe::openapi());
}

#[test]
fn the_manual_is_fresh() {
    fresh("docs/operations.md", &describe::manual());
}

#[test]
fn the_list_of_faults_is_fresh() {
    fresh("docs/faults.md", &describe::faults());
}

#[test]
fn the_sample_policy_is_fresh() {
    fresh("docs/policy.yaml", &table::sample_policy());
}

#[test]
fn every_row_has_its_paragraph_in_the_manual() {
    let manual = describe::manual();
    for (_, row) in table::all().into_iter().filter(|(_, row)| !row.route().path.contains("*any*")) {
        assert!(manual.contains(row.doc()), "{} {}", row.route().method, row.route().path);
    }
}

fn openapi() -> Json {
    json::parse(describe::openapi().as_bytes()).expect("JSON")
}

fn members<'a>(json: &'a Json, name: &str) -> impl Iterator<Item = (&'a str, &'a Json)> {
    json.get(name).and_then(Json::as_object).into_iter().flat_map(Object::iter)
}

#[test]
fn no_two_operations_of_the_openapi_document_have_one_name() {
    let document = openapi();
    let mut seen = BTreeSet::new();
    for (path, item) in members(&document, "paths") {
        for (method, operation) in item.as_object().into_iter().flat_map(Object::iter) {
            let Some(id) = operation.get("operationId").and_then(Json::as_str) else { continue };
            assert!(seen.insert(id.to_owned()), "{method} {path} is {id} again");
        }
    }
    assert!(seen.contains("compute_put_v2_1_servers_server_id_metadata_key"), "{seen:?}");
}

#[test]
fn every_reference_of_the_openapi_document_leads_somewhere() {
    fn walk(json: &Json, found: &mut BTreeSet<String>) {
        if let Some(target) = json.get("$ref").and_then(Json::as_str) {
            found.insert(target.to_owned());
        }
        json.as_object().into_iter().flat_map(Object::iter).for_each(|(_, member)| walk(member, found));
        json.as_array().unwrap_or_default().iter().for_each(|item| walk(item, found));
    }
    let document = openapi();
    let mut found = BTreeSet::new();
    walk(&document, &mut found);
    assert!(!found.is_empty());
    for target in found {
        let mut steps = target.strip_prefix("#/").expect("within the document").split('/');
        let end = steps.try_fold(&document, |json, step| json.get(step));
        assert!(end.is_some(), "{target}");
    }
}

#[test]
fn every_name_in_a_path_of_the_openapi_document_is_a_parameter() {
    let document = openapi();
    for (path, item) in members(&document, "paths") {
        let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        let parameters = item.get("parameters").and_then(Json::as_array).unwrap_or_default();
        let known = parameters.iter().filter_map(|parameter| parameter.get("name")?.as_str());
        assert_eq!(names.collect::<Vec<_>>(), known.collect::<Vec<_>>(), "{path}");
    }
}
