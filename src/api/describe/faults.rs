//! The list of faults: which statuses there are, what they are called, when they are answered, and by what.

use std::fmt::Write;

use http::StatusCode;

use super::places;
use crate::api::endpoint::FAULTS_OF_ALL;
use crate::api::fault::nova_name;

const HEAD: &str = r#"# Faults

Made from the table of endpoints by `UPDATE=1 cargo test`; do not edit it here.

Compute says what went wrong as Nova does: one member, whose name goes with the status, with a code and a sentence.

    {"itemNotFound": {"code": 404, "message": "Instance 6f9c… could not be found."}}

With 413 and 503 a header `Retry-After` says in how many seconds it is worth trying again; in the body it is `retryAfter`, and where Cloud
Servers v2 keeps rate limits `retryAt`. Identity answers as Keystone, `{"error": {"code": …, "message": …, "title": …}}`; Image as Glance, with a
page; Network as Neutron, `{"NeutronError": {"type": …, "message": …, "detail": …}}`. The sentences are those of the original services. What
the server knows of the cause is in its log, beside the request id that the header `x-openstack-request-id` of every answer names.

| status | name in Compute | when | by |
|---|---|---|---|
"#;

/// When a status is answered, whatever the operation.
fn when(status: u16) -> &'static str {
    match status {
        300 => "There are several versions to choose from.",
        400 => {
            "The request is malformed: its body, its query, a version, or another project in the path than in the token."
        }
        401 => "There is no token, or none that is good.",
        403 => "A rule of the policy refuses, or a quota is used up.",
        404 => "There is no such thing, or none that the caller may know of.",
        405 => "The path is right, the method is not; the header `Allow` names those that are.",
        406 => "There is no such microversion.",
        408 => "The body did not arrive in time.",
        409 => "The state of things does not permit it: a lock, work in progress, something of the same name.",
        410 => "It is there no more.",
        413 => "The body is too long, or more is wanted than may be had (Cloud Servers v2).",
        415 => "The body is not JSON, or of a media type that is not known here.",
        416 => "There is no such part.",
        500 => "A defect of the server, or a policy that asks another server which does not answer.",
        501 => "It is not implemented here.",
        503 => "The server has no database, or too much to do.",
        507 => "There is no space left.",
        _ => "As the operation says.",
    }
}

/// The page, as Markdown.
pub fn faults() -> String {
    let mut statuses: Vec<u16> = FAULTS_OF_ALL.to_vec();
    statuses.extend([405, 406]);
    let places = places();
    let own = |status: &u16| {
        let asks = places.iter().flat_map(|place| place.rows.iter().map(move |row| (place, row)));
        let asks = asks.filter(|(_, row)| row.faults().contains(status));
        let mut asks: Vec<String> =
            asks.map(|(place, row)| named(place.method.as_str(), &place.path, row.route().action)).collect();
        asks.dedup();
        asks
    };
    statuses.extend(places.iter().flat_map(|place| place.rows.iter().flat_map(|row| row.faults())));
    statuses.sort_unstable();
    statuses.dedup();
    let mut out = String::from(HEAD);
    for status in statuses {
        let by = match status {
            405 => "every path".to_owned(),
            406 => "everything below `/v2.1`".to_owned(),
            status if FAULTS_OF_ALL.contains(&status) => "every operation".to_owned(),
            status => own(&status).join("<br>"),
        };
        let name = StatusCode::from_u16(status).map_or("", nova_name);
        writeln!(out, "| {status} | `{name}` | {} | {by} |", when(status)).expect("writing to a String cannot fail");
    }
    out
}

fn named(method: &str, path: &str, action: Option<&str>) -> String {
    match action {
        Some(action) => format!("{method} `{path}` ({action})"),
        None => format!("{method} `{path}`"),
    }
}
