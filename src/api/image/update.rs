//! PATCH of a record: a list of changes in one of two forms of JSON patches, all of them or none.

use http::{HeaderValue, StatusCode, header};

use super::fields;
use super::images::{no_image, read_only};
use super::policy::{CommunitizeImage, GetImage, ModifyImage, PublicizeImage};
use super::{RESERVED, RESERVED_PREFIX, view};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, Rule, Takes, patch};
use crate::api::fault::Fault;
use crate::image::patch::{self as changes, Change, Deed};
use crate::image::records;
use crate::json::{Json, Object};
use crate::model::image::Image;
use crate::policy::Allowed;
use crate::store::Tx;

const FIRST_FORM: &str = "application/openstack-images-v2.0-json-patch";
const SECOND_FORM: &str = "application/openstack-images-v2.1-json-patch";
const FORMS: &str = "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch";
const DEEDS: [&str; 3] = ["add", "remove", "replace"];

/// Changes a record.
pub struct Update;

impl Endpoint for Update {
    const ROUTE: Route = patch("/v2/images/{image_id}");
    const FAULTS: &'static [u16] = &[409, 413, 415];
    const DOC: &'static str = "Changes the record of an image by a JSON patch: a list of `{\"op\": \"replace\", \"path\": \"/name\", \
        \"value\": \"new\"}` and its like, with the media type application/openstack-images-v2.1-json-patch. All of them are \
        done, or none.";
    const MORE_RULES: &'static [Rule] =
        &[Rule::of::<ModifyImage>(), Rule::of::<PublicizeImage>(), Rule::of::<CommunitizeImage>()];
    type Action = GetImage;
    type Takes = Patch;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, image: Allowed<GetImage>, call: &Call, body: &Patch) -> Result<Json, Error> {
        let before = image.into_target();
        let mut after = before.clone();
        for change in &body.0 {
            permit(call, &before, change)?;
            changes::apply(&mut after, change, call.who()?.is_admin)?;
        }
        if !body.0.is_empty() {
            after = records::update(tx, &before, after, call.now)?;
        }
        Ok(view::image(&after).into())
    }
}

/// Visibility has rules of its own, beside that of all changes.
fn permit(call: &Call, image: &Image, change: &Change) -> Result<(), Error> {
    match (change.name.as_str(), change.value.as_str()) {
        ("visibility", Some("public")) => call.must::<PublicizeImage>(image)?,
        ("visibility", Some("community")) => call.must::<CommunitizeImage>(image)?,
        _ => {}
    }
    call.must::<ModifyImage>(image)
}

/// The changes, checked as far as they can be without the image.
pub struct Patch(Vec<Change>);

impl Takes for Patch {
    fn from_body(call: &Call) -> Result<Self, Error> {
        let value = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let read = match value.split(';').next().unwrap_or_default().trim() {
            FIRST_FORM => first_form,
            SECOND_FORM => second_form,
            _ => return Err(unknown_form().into()),
        };
        let changes = match &call.body {
            Json::Array(changes) => changes.iter().map(|change| change_of(change, read)),
            Json::Null => return Err(Fault::bad_request("Body expected in request.").into()),
            _ => return Err(Fault::bad_request("Request body must be a JSON array of operation objects.").into()),
        };
        Ok(Patch(changes.collect::<Result<_, Fault>>()?))
    }
}

fn unknown_form() -> Fault {
    let fault =
        Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Image PATCH expects Content-Type one of: {FORMS}"));
    fault.with_header(header::HeaderName::from_static("accept-patch"), HeaderValue::from_static(FORMS))
}

/// What is to be done, and where, in one of the forms.
type Read = fn(&Object) -> Result<(Deed, &str), Fault>;

/// `{"replace": "/name", "value": "new"}`.
fn first_form(change: &Object) -> Result<(Deed, &str), Fault> {
    let mut named = DEEDS.iter().filter(|deed| change.contains(deed));
    let (deed, another) = (named.next(), named.next());
    let Some(deed) = deed else {
        let message = "Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\".";
        return Err(Fault::bad_request(message));
    };
    if another.is_some() {
        let message = "Operation objects must contain only one member named \"add\", \"remove\", or \"replace\".";
        return Err(Fault::bad_request(message));
    }
    let path = change.get(deed).and_then(Json::as_str).ok_or_else(no_path)?;
    let deed = match *deed {
        "add" => Deed::AddNew,
        "remove" => Deed::Remove,
        _ => Deed::Replace,
    };
    Ok((deed, path))
}

/// `{"op": "replace", "path": "/name", "value": "new"}`.
fn second_form(change: &Object) -> Result<(Deed, &str), Fault> {
    const AVAILABLE: &str = "add, remove, replace";
    let deed = match change.get("op") {
        None | Some(Json::Null) => {
            return Err(Fault::bad_request(format!(
                "Unable to find `op` in JSON Schema change. It must be one of the following: {AVAILABLE}."
            )));
        }
        Some(op) => match op.as_str() {
            Some("add") => Deed::Add,
            Some("remove") => Deed::Remove,
            Some("replace") => Deed::Replace,
            _ => {
                return Err(Fault::bad_request(format!(
                    "Invalid operation: `{}`. It must be one of the following: {AVAILABLE}.",
                    crate::json::python::str(op)
                )));
            }
        },
    };
    Ok((deed, change.get("path").and_then(Json::as_str).ok_or_else(no_path)?))
}

fn no_path() -> Fault {
    Fault::bad_request("Unable to find 'path' in JSON Schema change")
}

fn change_of(change: &Json, read: Read) -> Result<Change, Fault> {
    let change = change.as_object().ok_or_else(|| Fault::bad_request("Operations must be JSON objects."))?;
    let (deed, pointer) = read(change)?;
    let path = path_of(pointer)?;
    let (name, depth) = (path[0].clone(), path.len());
    if name == "locations" {
        return Err(Fault::forbidden("It's not allowed to update locations if locations are invisible."));
    }
    if depth != 1 {
        let path = path.join("/");
        return Err(Fault::bad_request(format!("Invalid JSON pointer for this resource: '/{path}'")));
    }
    let value = match (deed, change.get("value")) {
        (Deed::Remove, _) => Json::Null,
        (_, Some(value)) => value.clone(),
        (Deed::Replace, None) => return Err(no_value("replace")),
        (Deed::Add | Deed::AddNew, None) => return Err(no_value("add")),
    };
    may_be_changed(&name)?;
    if deed != Deed::Remove {
        fields::check(&name, &value).map_err(|wrong| no_image(&wrong))?;
    }
    Ok(Change { deed, name, value })
}

fn no_value(op: &str) -> Fault {
    Fault::bad_request(format!("Operation \"{op}\" requires a member named \"value\"."))
}

fn may_be_changed(name: &str) -> Result<(), Fault> {
    let is_read_only = fields::find(name).is_some_and(|field| field.hold == fields::Hold::ReadOnly);
    if is_read_only || name == "id" {
        return Err(read_only(name));
    }
    if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) {
        return Err(Fault::forbidden(format!("Attribute '{name}' is reserved.")));
    }
    Ok(())
}

/// The parts of a JSON pointer, in the limited form that Glance takes.
fn path_of(pointer: &str) -> Result<Vec<String>, Fault> {
    let refuse = |why: &str| Err(Fault::bad_request(format!("Pointer `{pointer}` {why}")));
    if !pointer.starts_with('/') {
        return refuse("does not start with \"/\".");
    }
    if pointer[1..].trim().is_empty() {
        return refuse("does not contains valid token.");
    }
    let parts: Vec<&str> = pointer.trim_start_matches('/').split('/').collect();
    if pointer[1..].starts_with('/') || parts.iter().rev().skip(1).any(|part| part.trim().is_empty()) {
        return refuse("contains adjacent \"/\".");
    }
    if pointer.len() > 1 && pointer.ends_with('/') {
        return refuse("end with \"/\".");
    }
    let escapes = pointer.match_indices('~').map(|(at, _)| pointer[at + 1..].chars().next());
    if escapes.into_iter().any(|next| !matches!(next, Some('0' | '1'))) {
        return refuse("contains \"~\" not part of a recognized escape sequence.");
    }
    Ok(parts.iter().map(|part| part.replace("~1", "/").replace("~0", "~").trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_name_one_thing_and_are_undone_once() {
        for (pointer, parts) in [("/name", vec!["name"]), ("/a~1b~0c", vec!["a/b~c"]), ("/tags/-", vec!["tags", "-"])] {
            assert_eq!(path_of(pointer).expect("a pointer"), parts, "{pointer}");
        }
        for pointer in ["name", "/", "//a", "/a//b", "/a/ /b", "/a/", "/a~", "/a~2"] {
            assert!(path_of(pointer).is_err(), "{pointer}");
        }
    }
}
