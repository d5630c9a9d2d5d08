//! The metadata of an image, as Compute shows it: the properties, changed by pure functions in the transaction that read them.
//! What some names do is what Nova and Glance do together (nova/image/glance.py `_convert_to_v2`, recorded answers `image-key-*`).

use super::Error;
use crate::compute::limits::Limit;
use crate::model::image::{Image, Properties, Property};
use crate::model::metadata::Metadata;

/// Names of an image's own fields. Nova sends these back as they were, over whatever the metadata says: an item of such a name
/// changes nothing.
const OVERWRITTEN: [&str; 12] = [
    "id",
    "name",
    "visibility",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "os_hidden",
    "disk_format",
    "container_format",
    "min_ram",
    "min_disk",
    "stores",
];

/// Another such field, which is an item like any other in Cloud Servers (its documents show one; seed 003).
const OWNER: &str = "owner";

/// What bounds a change.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The caller's quota.
    pub limit: Limit,
    /// Whose `owner` it is.
    pub owner: Owner,
}

/// What an item named `owner` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A field of the image, out of reach: Nova with Glance.
    Field,
    /// An item: Cloud Servers.
    Item,
}

/// Names that nobody may give a property. To some of them Nova answers 500; here all are refused alike.
const REFUSED: [&str; 15] = [
    "created_at",
    "deleted",
    "deleted_at",
    "direct_url",
    "file",
    "location",
    "locations",
    "protected",
    "schema",
    "self",
    "size",
    "status",
    "tags",
    "updated_at",
    "virtual_size",
];
/// As `REFUSED`, for names beginning so (glance/common GLANCE_RESERVED_NS).
const REFUSED_PREFIX: &str = "os_glance";

/// What is to become of the properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// All of them afterwards.
    pub after: Properties,
    /// Whether that is another thing than before: where it is not, nobody needs permission.
    pub changes: bool,
    /// Whether a name is among them that nobody may use.
    pub is_refused: bool,
}

/// The items added or changed.
///
/// # Errors
/// Where there would be more than the quota allows.
pub fn merge(image: &Image, items: &Metadata, bounds: Bounds) -> Result<Change, Error> {
    let mut wanted = image.properties.clone();
    for item in items {
        wanted.put(item.key.as_str(), Some(item.value.as_str().to_owned()));
    }
    within(wanted.len(), bounds.limit)?;
    Ok(change(&image.properties, &wanted, bounds.owner))
}

/// These items and no others.
///
/// # Errors
/// As `merge`.
pub fn replace(image: &Image, items: &Metadata, bounds: Bounds) -> Result<Change, Error> {
    within(items.len(), bounds.limit)?;
    let stays = |property: &&Property| items.get(&property.name).is_some();
    let mut wanted: Properties = image.properties.iter().filter(stays).cloned().collect();
    for item in items {
        wanted.put(item.key.as_str(), Some(item.value.as_str().to_owned()));
    }
    Ok(change(&image.properties, &wanted, bounds.owner))
}

/// Without the item of this key.
///
/// # Errors
/// Where there is none.
pub fn without(image: &Image, key: &str) -> Result<Change, Error> {
    let mut after = image.properties.clone();
    if !after.remove(key) {
        return Err(Error::NoSuchMetadataKey);
    }
    Ok(Change { after, changes: true, is_refused: false })
}

/// No items are within every limit, as for servers.
fn within(items: usize, limit: Limit) -> Result<(), Error> {
    match limit.enforced {
        Some(most) if items > most && items > 0 => Err(Error::TooManyMetadataItems),
        Some(_) | None => Ok(()),
    }
}

fn change(before: &Properties, wanted: &Properties, owner: Owner) -> Change {
    let is_refused = wanted.iter().any(|property| is_refused(&property.name) && !before.contains(&property.name));
    let after: Properties = wanted.iter().filter_map(|property| kept(before, property, owner)).collect();
    Change { changes: is_refused || !after.says_the_same_as(before), after, is_refused }
}

/// What a property that is wanted comes to: itself, what it was before, or nothing.
fn kept(before: &Properties, property: &Property, owner: Owner) -> Option<Property> {
    let old = || before.iter().find(|old| old.name == property.name).cloned();
    match property.name.as_str() {
        name if OVERWRITTEN.contains(&name) => old(),
        OWNER if owner == Owner::Field => old(),
        "kernel_id" | "ramdisk_id" if property.value.as_deref().is_some_and(says_none) => old(),
        _ => Some(property.clone()),
    }
}

fn says_none(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "none" | "")
}

fn is_refused(name: &str) -> bool {
    name.starts_with(REFUSED_PREFIX) || REFUSED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metadata::{MetadataItem, MetadataKey, MetadataValue};

    const NO_LIMIT: Bounds = Bounds { limit: Limit { enforced: None, told: -1 }, owner: Owner::Field };

    fn items(items: &[(&str, &str)]) -> Metadata {
        let item = |(key, value): &(&str, &str)| MetadataItem {
            key: MetadataKey::new(key).expect("a key"),
            value: MetadataValue::new(value).expect("a value"),
        };
        items.iter().map(item).collect()
    }

    fn properties(items: &[(&str, &str)]) -> Properties {
        items.iter().map(|(name, value)| Property { name: (*name).into(), value: Some((*value).into()) }).collect()
    }

    fn image(items: &[(&str, &str)]) -> Image {
        Image { properties: properties(items), ..crate::image::tests::image() }
    }

    #[test]
    fn a_merge_keeps_the_others_and_their_order() {
        let change = merge(&image(&[("a", "1"), ("b", "2")]), &items(&[("c", "3"), ("a", "4")]), NO_LIMIT)
            .expect("within the limit");
        assert_eq!(change.after, properties(&[("a", "4"), ("b", "2"), ("c", "3")]));
    }

    #[test]
    fn a_replacement_keeps_the_places_of_what_stays() {
        let change = replace(&image(&[("a", "1"), ("b", "2")]), &items(&[("c", "3"), ("b", "4")]), NO_LIMIT)
            .expect("within the limit");
        assert_eq!(change.after, properties(&[("b", "4"), ("c", "3")]));
    }

    #[test]
    fn what_is_said_already_is_no_change() {
        let change = merge(&image(&[("a", "1")]), &items(&[("a", "1")]), NO_LIMIT).expect("within the limit");
        assert!(!change.changes);
    }

    #[test]
    fn fields_of_the_image_are_out_of_reach() {
        let change = merge(&image(&[("a", "1")]), &items(&[("owner", "x"), ("checksum", "x")]), NO_LIMIT)
            .expect("within the limit");
        assert_eq!((change.after, change.changes), (properties(&[("a", "1")]), false));
    }

    #[test]
    fn an_owner_is_an_item_where_the_dialect_says_so() {
        let bounds = Bounds { owner: Owner::Item, ..NO_LIMIT };
        let change = merge(&image(&[]), &items(&[("owner", "John")]), bounds).expect("within the limit");
        assert_eq!(change.after, properties(&[("owner", "John")]));
    }

    #[test]
    fn reserved_names_are_refused() {
        let change = merge(&image(&[]), &items(&[("deleted", "x")]), NO_LIMIT).expect("within the limit");
        assert_eq!((change.is_refused, change.changes), (true, true));
    }

    #[test]
    fn a_kernel_that_is_none_changes_nothing() {
        for value in ["none", "", " None "] {
            let before = image(&[("kernel_id", "k")]);
            let change = replace(&before, &items(&[("kernel_id", value), ("ramdisk_id", value)]), NO_LIMIT)
                .expect("within the limit");
            assert_eq!(change.after, properties(&[("kernel_id", "k")]), "{value:?}");
        }
    }

    #[test]
    fn the_limit_counts_what_would_be_there() {
        let limit = Bounds { limit: Limit { enforced: Some(1), told: 1 }, ..NO_LIMIT };
        let full = image(&[("a", "1")]);
        assert!(matches!(merge(&full, &items(&[("b", "1")]), limit), Err(Error::TooManyMetadataItems)));
        assert!(merge(&full, &items(&[("a", "2")]), limit).is_ok());
        let none = Bounds { limit: Limit { enforced: Some(0), told: 0 }, ..NO_LIMIT };
        assert!(replace(&full, &items(&[]), none).is_ok());
    }
}
