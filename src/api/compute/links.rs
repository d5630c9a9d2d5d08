//! The links of Nova's views: to a resource with and without the version, and to the next page.

use crate::api::call::Call;
use crate::api::query::percent_encoded;
use crate::json::Object;
use crate::json_object;

/// `self` and `bookmark`. The project stands in them where it stood in the URL.
pub fn of(call: &Call, collection: &str, id: &str) -> Vec<Object> {
    let place = format!("{}/{collection}/{id}", project_segment(call));
    vec![
        json_object! { "rel": "self", "href": call.link(&place) },
        json_object! { "rel": "bookmark", "href": format!("{}{place}", call.base_url()) },
    ]
}

/// `next`: the same query, sorted by name, from this marker on.
pub fn next(call: &Call, collection: &str, marker: &str) -> Object {
    let mut sorted: Vec<(&str, &str)> = call.query.iter().collect();
    sorted.sort_unstable();
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, value) in sorted {
        match pairs.iter_mut().find(|(known, _)| *known == name) {
            Some(pair) => pair.1 = value,
            None => pairs.push((name, value)),
        }
    }
    match pairs.iter_mut().find(|(name, _)| *name == "marker") {
        Some(pair) => pair.1 = marker,
        None => pairs.push(("marker", marker)),
    }
    let query: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let place = format!("{}/{collection}?{}", project_segment(call), query.join("&"));
    json_object! { "rel": "next", "href": call.link(&place) }
}

fn encoded(text: &str) -> String {
    percent_encoded(text).replace("%20", "+")
}

fn project_segment(call: &Call) -> String {
    call.path_project.as_ref().map(|project| format!("/{project}")).unwrap_or_default()
}
