//! The table as an OpenAPI 3.1 document: every path with its methods, parameters, bodies, answers, and the rule that guards it.

use super::{Place, bodies, places, row_title, versions_text};
use crate::api::dialect::Api;
use crate::api::endpoint::{FAULTS_OF_ALL, Operation};
use crate::api::fault::nova_name;
use crate::json::{Json, Object};
use crate::json_object;
use http::StatusCode;

/// The whole document.
pub fn document() -> Json {
    let mut paths = Object::new();
    let places = places();
    for place in &places {
        if !paths.contains(&place.path) {
            paths.insert(place.path.clone(), Json::from(json_object! { "parameters": parameters(&place.path) }));
        }
        if let Some(item) = paths.get_mut(&place.path).and_then(Json::as_object_mut) {
            item.insert(place.method.as_str().to_lowercase(), operation(place));
        }
    }
    let description = "OpenStack Compute v2.1 with the Identity, Image and Network APIs its clients need. Everything below /v2.1 \
                       is below /v2 too, as Cloud Servers v2 has it. A project may stand behind either: /v2.1/{project_id}/servers.";
    json_object! {
        "openapi": "3.1.0",
        "info": json_object! {
            "title": "Kilonova",
            "version": env!("CARGO_PKG_VERSION"),
            "description": description,
            "license": json_object! { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [json_object! { "url": "http://127.0.0.1:8774" }],
        "tags": Api::ALL.iter().map(|api| Json::from(json_object! { "name": api.title() })).collect::<Json>(),
        "paths": paths,
        "components": components(&places),
    }
    .into()
}

fn operation(place: &Place) -> Json {
    let first = place.rows[0];
    let mut operation = json_object! {
        "operationId": operation_id(place),
        "tags": [place.api.title()],
        "summary": summary(place),
        "description": description(place),
    };
    if place.api == Api::Compute {
        operation.insert("parameters", Json::from([reference("parameters", "Microversion")]));
    }
    if let Some(body) = request_body(place) {
        operation.insert("requestBody", body);
    }
    operation.insert("responses", responses(place));
    if first.rule().is_open {
        operation.insert("security", Json::from(Vec::<Json>::new()));
    } else {
        operation.insert("security", Json::from([json_object! { "token": Vec::<Json>::new() }]));
    }
    let rules: Vec<Json> = place.rows.iter().flat_map(|row| rule_names(*row)).map(Json::from).collect();
    if !rules.is_empty() {
        operation.insert("x-openstack-rules", Json::from(rules));
    }
    if let Some(versions) = versions_text(place.api, first.versions()).filter(|_| place.rows.len() == 1) {
        operation.insert("x-openstack-versions", versions);
    }
    operation.into()
}

fn rule_names(row: &dyn Operation) -> Vec<&'static str> {
    let rules = std::iter::once(row.rule()).chain(row.more_rules().iter().copied());
    rules.map(|rule| rule.name).filter(|name| !name.is_empty()).collect()
}

/// `compute_put_v2_1_servers_server_id_metadata_key`. A path that ends in a slash is another one than that without.
fn operation_id(place: &Place) -> String {
    let end = if place.path.ends_with('/') { "_slash" } else { "" };
    let text = format!("{}_{}_{}{end}", place.api.title(), place.method, place.path).to_lowercase();
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// The first sentence of the manual.
fn summary(place: &Place) -> String {
    if place.rows[0].route().action.is_some() {
        return "Does one of the actions named in the body.".to_owned();
    }
    let doc = place.rows[0].doc();
    doc.split_once(". ").map_or_else(|| doc.to_owned(), |(sentence, _)| format!("{sentence}."))
}

fn description(place: &Place) -> String {
    let texts = place.rows.iter().map(|row| {
        let title = if place.rows.len() > 1 { row_title(place.api, *row) } else { String::new() };
        if title.is_empty() { row.doc().to_owned() } else { format!("{title}: {}", row.doc()) }
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

fn parameters(path: &str) -> Json {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let schema = json_object! { "type": "string", "minLength": 1 };
        Json::from(json_object! { "name": name, "in": "path", "required": true, "schema": schema })
    };
    names.map(parameter).collect()
}

/// The bodies of all rows: one schema, or several of which the action or the version picks one.
fn request_body(place: &Place) -> Option<Json> {
    if place.rows.iter().any(|row| row.streams()) {
        let schema = json_object! { "schema": json_object! { "type": "string", "format": "binary" } };
        return Some(json_object! { "content": json_object! { "application/octet-stream": schema } }.into());
    }
    let mut schemas: Vec<Json> = Vec::new();
    for row in &place.rows {
        for (versions, schema) in bodies(place.api, *row) {
            let mut schema = schema.describe();
            let title = [row.route().action.map(str::to_owned), versions_text(place.api, versions)];
            let title: Vec<String> = title.into_iter().flatten().collect();
            if let Some(object) = schema.as_object_mut().filter(|_| !title.is_empty()) {
                object.insert("title", title.join(", "));
            }
            schemas.push(schema);
        }
    }
    let schema = match schemas.len() {
        0 => return None,
        1 => schemas.remove(0),
        _ => json_object! { "anyOf": schemas }.into(),
    };
    let media = json_object! { "schema": schema };
    Some(json_object! { "required": true, "content": json_object! { "application/json": media } }.into())
}

fn responses(place: &Place) -> Json {
    let mut oks: Vec<u16> = place.rows.iter().map(|row| row.ok().as_u16()).collect();
    let mut faults: Vec<u16> = place.rows.iter().flat_map(|row| row.faults().iter().copied()).collect();
    faults.extend(FAULTS_OF_ALL);
    if place.api == Api::Compute {
        faults.push(406);
    }
    oks.sort_unstable();
    oks.dedup();
    faults.sort_unstable();
    faults.dedup();
    let mut responses = Object::new();
    for status in oks {
        let reason =
            StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Success");
        responses.insert(status.to_string(), Json::from(json_object! { "description": reason }));
    }
    for status in faults {
        if !responses.contains(&status.to_string()) {
            responses.insert(status.to_string(), reference("responses", &fault_name(place.api, status)));
        }
    }
    responses.into()
}

fn reference(kind: &str, name: &str) -> Json {
    json_object! { "$ref": format!("#/components/{kind}/{name}") }.into()
}

fn fault_name(api: Api, status: u16) -> String {
    format!("{}{status}", api.title())
}

fn components(places: &[Place]) -> Json {
    let mut faults = Object::new();
    for place in places {
        let own = place.rows.iter().flat_map(|row| row.faults().iter().copied());
        for status in own.chain(FAULTS_OF_ALL).chain((place.api == Api::Compute).then_some(406)) {
            faults.insert(fault_name(place.api, status), fault(place.api, status));
        }
    }
    let microversion = json_object! {
        "name": "OpenStack-API-Version",
        "in": "header",
        "description": "The microversion to speak; 2.1 where there is no such header.",
        "schema": json_object! { "type": "string", "examples": ["compute 2.104", "compute latest"] },
    };
    json_object! {
        "parameters": json_object! { "Microversion": microversion },
        "responses": faults,
        "securitySchemes": json_object! {
            "token": json_object! { "type": "apiKey", "in": "header", "name": "X-Auth-Token" },
        },
    }
    .into()
}

fn fault(api: Api, status: u16) -> Json {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = || Json::from(json_object! { "type": "string" });
    let object = |properties: Object| {
        let names: Vec<Json> = properties.keys().map(Json::from).collect();
        Json::from(json_object! { "type": "object", "required": names, "properties": properties })
    };
    let number = || Json::from(json_object! { "const": i64::from(status) });
    let (media, schema) = match api {
        Api::Compute => {
            let inner = object(json_object! { "code": number(), "message": text() });
            ("application/json", object(Object::from_iter([(nova_name(code), inner)])))
        }
        Api::Identity => {
            let inner = object(json_object! { "code": number(), "message": text(), "title": text() });
            ("application/json", object(json_object! { "error": inner }))
        }
        Api::Image => ("text/html", text()),
        Api::Network => {
            let inner = object(json_object! { "type": text(), "message": text(), "detail": text() });
            ("application/json", object(json_object! { "NeutronError": inner }))
        }
    };
    json_object! {
        "description": code.canonical_reason().unwrap_or("Fault"),
        "content": json_object! { media: json_object! { "schema": schema } },
    }
    .into()
}
