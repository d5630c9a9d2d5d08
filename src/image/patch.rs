//! What a record says, changed field by field (glance/api/v2/images.py `_do_add`, `_do_replace`, `_do_remove`). Pure. The values have
//! passed the schema; who may change what is asked by the caller.

use super::Error;
use crate::json::Json;
use crate::model::image::{Image, ImageStatus};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is to happen.
    pub deed: Deed,
    /// The field or property.
    pub name: String,
    /// Its new value; null where it is removed.
    pub value: Json,
}

/// What can happen to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It gets a value, whether it has one or not.
    Add,
    /// It gets a value, and must not be there: the first form of patches.
    AddNew,
    /// It gets another value, and must be there.
    Replace,
    /// It is taken away, and must be there.
    Remove,
}

/// The image after a change.
///
/// # Errors
/// Where the field does not let itself be changed so.
pub fn apply(image: &mut Image, change: &Change, by_admin: bool) -> Result<(), Error> {
    let (name, is_field) = (change.name.as_str(), is_field(&change.name));
    let is_there = is_field || image.properties.contains(name);
    match change.deed {
        Deed::Remove if is_field => return Err(Error::NotRemovable(name.to_owned())),
        Deed::Remove if image.properties.remove(name) => return Ok(()),
        Deed::Remove | Deed::Replace if !is_there => return Err(Error::NoSuchProperty(name.to_owned())),
        Deed::AddNew if is_there => return Err(Error::PropertyPresent(name.to_owned())),
        Deed::Add | Deed::AddNew | Deed::Replace | Deed::Remove => {}
    }
    if name == "owner" && !by_admin {
        return Err(Error::OwnerFixed);
    }
    set(image, name, &change.value)
}

/// Gives a field or a property a value that has passed the schema.
///
/// # Errors
/// Where the field has rules beyond its type.
pub fn set(image: &mut Image, name: &str, value: &Json) -> Result<(), Error> {
    let wrong = || Error::WrongValue(name.to_owned());
    let text = || value.as_str().map(str::to_owned);
    match name {
        "name" => image.name = text(),
        "owner" => image.owner = value.as_str().and_then(|id| id.parse().ok()).ok_or_else(wrong)?,
        "visibility" => image.visibility = value.as_str().and_then(|word| word.parse().ok()).ok_or_else(wrong)?,
        "protected" => image.protected = value.as_bool().ok_or_else(wrong)?,
        "os_hidden" => image.os_hidden = value.as_bool().ok_or_else(wrong)?,
        "min_ram" => image.min_ram_mb = at_least_zero("min_ram", value.as_i64().ok_or_else(wrong)?)?,
        "min_disk" => image.min_disk_gb = at_least_zero("min_disk", value.as_i64().ok_or_else(wrong)?)?,
        "disk_format" => image.disk_format = format_of(image, "disk_format", text())?,
        "container_format" => image.container_format = format_of(image, "container_format", text())?,
        "tags" => image.tags = tags(value).ok_or_else(wrong)?,
        property => image.properties.put(property, text()),
    }
    Ok(())
}

/// The fields that clients may change; everything else by another name is a property.
fn is_field(name: &str) -> bool {
    const FIELDS: [&str; 10] = [
        "name",
        "owner",
        "visibility",
        "protected",
        "os_hidden",
        "min_ram",
        "min_disk",
        "disk_format",
        "container_format",
        "tags",
    ];
    FIELDS.contains(&name)
}

fn at_least_zero(field: &'static str, value: i64) -> Result<i64, Error> {
    if value < 0 { Err(Error::Negative { field, value }) } else { Ok(value) }
}

fn format_of(image: &Image, field: &'static str, format: Option<String>) -> Result<Option<String>, Error> {
    if image.status == ImageStatus::Queued { Ok(format) } else { Err(Error::FormatFixed(field)) }
}

/// Tags in the order given, each once.
fn tags(value: &Json) -> Option<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    for tag in value.as_array()? {
        let tag = tag.as_str()?;
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::image;

    fn change(deed: Deed, name: &str, value: impl Into<Json>) -> Change {
        Change { deed, name: name.into(), value: value.into() }
    }

    fn applied(image: &mut Image, deed: Deed, name: &str, value: impl Into<Json>) -> Result<(), Error> {
        apply(image, &change(deed, name, value), false)
    }

    #[test]
    fn a_property_is_added_replaced_and_removed() {
        let mut image = image();
        assert!(applied(&mut image, Deed::Add, "color", "red").is_ok());
        assert!(applied(&mut image, Deed::Replace, "color", "blue").is_ok());
        assert_eq!(image.properties.get("color"), Some("blue"));
        assert!(applied(&mut image, Deed::Remove, "color", Json::Null).is_ok());
        assert!(image.properties.is_empty());
    }

    #[test]
    fn what_is_not_there_is_neither_replaced_nor_removed() {
        for deed in [Deed::Replace, Deed::Remove] {
            assert!(matches!(applied(&mut image(), deed, "color", "x"), Err(Error::NoSuchProperty(_))), "{deed:?}");
        }
    }

    #[test]
    fn the_first_form_adds_only_what_is_new() {
        assert!(matches!(applied(&mut image(), Deed::AddNew, "name", "x"), Err(Error::PropertyPresent(_))));
        assert!(applied(&mut image(), Deed::AddNew, "color", "x").is_ok());
    }

    #[test]
    fn a_field_is_not_removed() {
        assert!(matches!(applied(&mut image(), Deed::Remove, "name", Json::Null), Err(Error::NotRemovable(_))));
    }

    #[test]
    fn a_format_is_fixed_once_there_is_data() {
        let mut image = Image { status: ImageStatus::Active, ..image() };
        assert!(matches!(applied(&mut image, Deed::Replace, "disk_format", "raw"), Err(Error::FormatFixed(_))));
    }

    #[test]
    fn only_an_administrator_gives_an_image_away() {
        let change = change(Deed::Replace, "owner", "green");
        assert!(matches!(apply(&mut image(), &change, false), Err(Error::OwnerFixed)));
        let mut image = image();
        assert!(apply(&mut image, &change, true).is_ok());
        assert_eq!(image.owner.as_str(), "green");
    }

    #[test]
    fn tags_are_a_set() {
        let mut image = image();
        assert!(applied(&mut image, Deed::Replace, "tags", vec![Json::from("b"), "a".into(), "b".into()]).is_ok());
        assert_eq!(image.tags, ["b", "a"]);
    }

    #[test]
    fn minimums_are_not_negative() {
        assert!(matches!(applied(&mut image(), Deed::Add, "min_ram", -1), Err(Error::Negative { .. })));
    }
}
