//! Metadata in the bodies of Cloud Servers v2, which are checked as Rackspace's own server did it: sizes are too large (413) and not
//! malformed, and the sentences are its own (metadata.md §8). Members that nobody knows are ignored, which happens at the door.
//! What a key may be made of is the same as at v2.1, so that every key that is stored can be named at both doors.

use crate::api::endpoint::Error;
use crate::api::schema::{METADATA_COLLECTION, METADATA_ITEM, Schema};
use crate::compute::{BadMetadata, Error as ComputeError};
use crate::json::{Json, Object};
use crate::model::metadata::CHARACTERS_MAX;

/// `{"metadata": {…}}`.
///
/// # Errors
/// 400, or 413 where a key or a value is too long.
pub fn check_collection(body: &Json) -> Result<(), Error> {
    let items = container(body, "metadata", BadMetadata::NotAMap)?;
    check(items, body, &METADATA_COLLECTION)
}

/// `{"meta": {key: value}}`.
///
/// # Errors
/// As `check_collection`, and 400 for more than one item.
pub fn check_item(body: &Json) -> Result<(), Error> {
    let items = container(body, "meta", BadMetadata::NotAnItem)?;
    match items.len() {
        0 => Err(ComputeError::UriMismatch.into()),
        1 => check(items, body, &METADATA_ITEM),
        _ => Err(ComputeError::BadMetadata(BadMetadata::SeveralItems).into()),
    }
}

/// The items of `metadata` where it is a part of a body; whether it is a map at all is for the schema to say.
///
/// # Errors
/// As `check_collection`.
pub fn check_items(metadata: Option<&Json>) -> Result<(), Error> {
    let mut items = metadata.and_then(Json::as_object).into_iter().flat_map(Object::iter);
    Ok(items.try_for_each(|(key, value)| check_one(key, value)).map_err(ComputeError::BadMetadata)?)
}

fn container<'a>(body: &'a Json, name: &str, otherwise: BadMetadata) -> Result<&'a Object, ComputeError> {
    let found = body.get(name).ok_or(ComputeError::MalformedBody)?;
    found.as_object().ok_or(ComputeError::BadMetadata(otherwise))
}

fn check(items: &Object, body: &Json, schema: &Schema) -> Result<(), Error> {
    items.iter().try_for_each(|(key, value)| check_one(key, value)).map_err(ComputeError::BadMetadata)?;
    Ok(schema.check(body)?)
}

fn check_one(key: &str, value: &Json) -> Result<(), BadMetadata> {
    let text = value.as_str().ok_or(BadMetadata::NotText)?;
    if key.is_empty() {
        return Err(BadMetadata::EmptyKey);
    }
    if is_too_long(key) {
        return Err(BadMetadata::LongKey);
    }
    if is_too_long(text) { Err(BadMetadata::LongValue) } else { Ok(()) }
}

fn is_too_long(text: &str) -> bool {
    text.len() > CHARACTERS_MAX && text.chars().count() > CHARACTERS_MAX
}
