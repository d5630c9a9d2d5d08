//! The fields of an image as one table: what clients may send is checked by it, and the schema documents are made of it
//! (glance/api/v2/images.py `get_base_properties`, etc/schema-image.json).

use crate::json::python::repr;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::image::{CONTAINER_FORMATS, DISK_FORMATS};

/// A field.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Who gives it its value.
    pub hold: Hold,
    /// One sentence.
    pub doc: &'static str,
}

/// What values are.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text of at most so many characters.
    Text(Option<usize>),
    /// The same, or null.
    TextOrNull(Option<usize>),
    /// A UUID.
    Id,
    /// A UUID, or null.
    IdOrNull,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, or null.
    WordOrNull(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole,
    /// A whole number, or null.
    WholeOrNull,
    /// A list of texts of at most 255 characters.
    Texts,
    /// Where data lies; never shown here.
    Locations,
}

/// Who gives a field its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Clients do.
    Open,
    /// The server does: clients are told that it is read-only.
    ReadOnly,
    /// Nobody does: a property with a meaning, which images need not have.
    Property,
}

const fn field(name: &'static str, kind: Kind, hold: Hold, doc: &'static str) -> Field {
    Field { name, kind, hold, doc }
}

/// All of them, in Glance's order.
pub const FIELDS: &[Field] = &[
    field("id", Kind::Id, Hold::Open, "An identifier for the image"),
    field("name", Kind::TextOrNull(Some(255)), Hold::Open, "Descriptive name for the image"),
    field("status", Kind::Word(STATUSES), Hold::ReadOnly, "Status of the image"),
    field("visibility", Kind::Word(VISIBILITIES), Hold::Open, "Scope of image accessibility"),
    field("protected", Kind::Flag, Hold::Open, "If true, image will not be deletable."),
    field("os_hidden", Kind::Flag, Hold::Open, "If true, image will not appear in default image list response."),
    field("checksum", Kind::TextOrNull(Some(32)), Hold::ReadOnly, "md5 hash of image contents."),
    field("os_hash_algo", Kind::TextOrNull(Some(64)), Hold::ReadOnly, "Algorithm to calculate the os_hash_value"),
    field(
        "os_hash_value",
        Kind::TextOrNull(Some(128)),
        Hold::ReadOnly,
        "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
    ),
    field("owner", Kind::TextOrNull(Some(255)), Hold::Open, "Owner of the image"),
    field("size", Kind::WholeOrNull, Hold::ReadOnly, "Size of image file in bytes"),
    field("virtual_size", Kind::WholeOrNull, Hold::ReadOnly, "Virtual size of image in bytes"),
    field("container_format", Kind::WordOrNull(CONTAINER_FORMATS), Hold::Open, "Format of the container"),
    field("disk_format", Kind::WordOrNull(DISK_FORMATS), Hold::Open, "Format of the disk"),
    field("created_at", Kind::Text(None), Hold::ReadOnly, "Date and time of image registration"),
    field("updated_at", Kind::Text(None), Hold::ReadOnly, "Date and time of the last image modification"),
    field("tags", Kind::Texts, Hold::Open, "List of strings related to the image"),
    field("direct_url", Kind::Text(None), Hold::ReadOnly, "URL to access the image file kept in external store"),
    field("min_ram", Kind::Whole, Hold::Open, "Amount of ram (in MB) required to boot image."),
    field("min_disk", Kind::Whole, Hold::Open, "Amount of disk space (in GB) required to boot image."),
    field("self", Kind::Text(None), Hold::ReadOnly, "An image self url"),
    field("file", Kind::Text(None), Hold::ReadOnly, "An image file url"),
    field(
        "stores",
        Kind::Text(None),
        Hold::ReadOnly,
        "Store in which image data resides.  Only present when the operator has enabled multiple stores.  May be a \
         comma-separated list of store identifiers.",
    ),
    field("schema", Kind::Text(None), Hold::ReadOnly, "An image schema url"),
    field("locations", Kind::Locations, Hold::Open, "A set of URLs to access the image file kept in external store"),
    field(
        "kernel_id",
        Kind::IdOrNull,
        Hold::Property,
        "ID of image stored in Glance that should be used as the kernel when booting an AMI-style image.",
    ),
    field(
        "ramdisk_id",
        Kind::IdOrNull,
        Hold::Property,
        "ID of image stored in Glance that should be used as the ramdisk when booting an AMI-style image.",
    ),
    field(
        "instance_uuid",
        Kind::Text(None),
        Hold::Property,
        "Metadata which can be used to record which instance this image is associated with. (Informational only, does not \
         create an instance snapshot.)",
    ),
    field(
        "architecture",
        Kind::Text(None),
        Hold::Property,
        "Operating system architecture as specified in \
         https://docs.openstack.org/python-glanceclient/latest/cli/property-keys.html",
    ),
    field(
        "os_distro",
        Kind::Text(None),
        Hold::Property,
        "Common name of operating system distribution as specified in \
         https://docs.openstack.org/python-glanceclient/latest/cli/property-keys.html",
    ),
    field("os_version", Kind::Text(None), Hold::Property, "Operating system version as specified by the distributor."),
    field("description", Kind::Text(None), Hold::Property, "A human-readable string describing this image."),
];

/// The words of Glance's schema; images here get into some of them only.
const STATUSES: &[&str] =
    &["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"];
const VISIBILITIES: &[&str] = &["community", "public", "private", "shared"];
/// What a UUID looks like.
pub const ID_PATTERN: &str = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";
/// The most characters of a tag.
const TAG_CHARACTERS_MAX: usize = 255;

/// The field of a name; what has none is a property of any name.
pub fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// Whether a value fits a field or property.
///
/// # Errors
/// What is wrong, as Python's jsonschema says it.
pub fn check(name: &str, value: &Json) -> Result<(), String> {
    find(name).map_or(Kind::Text(None), |field| field.kind).check(value)
}

impl Kind {
    fn check(self, value: &Json) -> Result<(), String> {
        match self {
            Kind::TextOrNull(_) | Kind::IdOrNull | Kind::WordOrNull(_) | Kind::WholeOrNull if value.is_null() => Ok(()),
            Kind::Text(most) | Kind::TextOrNull(most) => self.text(value, |text| match most {
                Some(most) if text.chars().count() > most => Err(format!("{} is too long", repr(value))),
                // PostgreSQL could not keep it
                Some(_) if text.contains('\0') => Err(format!("{} has a character that is not possible", repr(value))),
                Some(_) | None => Ok(()),
            }),
            Kind::Id | Kind::IdOrNull => self.text(value, |text| match is_id(text) {
                true => Ok(()),
                false => Err(format!("{} does not match {}", repr(value), crate::json::python::repr_str(ID_PATTERN))),
            }),
            Kind::Word(words) | Kind::WordOrNull(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(()),
                Some(_) | None => Err(format!("{} is not one of {}", repr(value), repr(&self.words(words)))),
            },
            Kind::Flag => self.expect(value, value.as_bool().is_some()),
            Kind::Whole | Kind::WholeOrNull => self.expect(value, value.as_i64().is_some()),
            Kind::Texts => match value.as_array() {
                Some(items) => items.iter().try_for_each(|item| Kind::Text(Some(TAG_CHARACTERS_MAX)).check(item)),
                None => self.expect(value, false),
            },
            Kind::Locations => self.expect(value, value.as_array().is_some()),
        }
    }

    fn text(self, value: &Json, fits: impl FnOnce(&str) -> Result<(), String>) -> Result<(), String> {
        value.as_str().map_or_else(|| self.expect(value, false), fits)
    }

    fn expect(self, value: &Json, is_so: bool) -> Result<(), String> {
        if is_so {
            return Ok(());
        }
        let types: Vec<String> = self.types().iter().map(|name| format!("'{name}'")).collect();
        Err(format!("{} is not of type {}", repr(value), types.join(", ")))
    }

    const fn types(self) -> &'static [&'static str] {
        match self {
            Kind::Text(_) | Kind::Id | Kind::Word(_) => &["string"],
            Kind::TextOrNull(_) | Kind::IdOrNull | Kind::WordOrNull(_) => &["null", "string"],
            Kind::Flag => &["boolean"],
            Kind::Whole => &["integer"],
            Kind::WholeOrNull => &["null", "integer"],
            Kind::Texts | Kind::Locations => &["array"],
        }
    }

    fn words(self, words: &[&str]) -> Json {
        let null = matches!(self, Kind::WordOrNull(_)).then_some(Json::Null);
        Json::Array(null.into_iter().chain(words.iter().map(|word| Json::from(*word))).collect())
    }

    /// What JSON Schema says of it.
    fn schema(self) -> Object {
        let types = self.types();
        let type_name = if let [one] = types { Json::from(*one) } else { types.to_vec().into() };
        let mut schema = json_object! { "type": type_name };
        match self {
            Kind::Text(Some(most)) | Kind::TextOrNull(Some(most)) => {
                schema.insert("maxLength", most);
            }
            Kind::Id | Kind::IdOrNull => {
                schema.insert("pattern", ID_PATTERN);
            }
            Kind::Word(words) | Kind::WordOrNull(words) => {
                schema.insert("enum", self.words(words));
            }
            Kind::Texts => {
                schema.insert("items", json_object! { "type": "string", "maxLength": TAG_CHARACTERS_MAX });
            }
            Kind::Locations => {
                let properties = json_object! {
                    "url": json_object! { "type": "string", "maxLength": 255 },
                    "metadata": json_object! { "type": "object" },
                };
                let items =
                    json_object! { "type": "object", "properties": properties, "required": ["url", "metadata"] };
                schema.insert("items", items);
            }
            Kind::Text(None) | Kind::TextOrNull(None) | Kind::Flag | Kind::Whole | Kind::WholeOrNull => {}
        }
        schema
    }
}

fn is_id(text: &str) -> bool {
    crate::model::image::chosen_id(text).is_ok()
}

/// What JSON Schema says of all fields.
pub fn schema() -> Object {
    let of = |field: &Field| {
        let mut schema = field.kind.schema();
        if field.hold == Hold::ReadOnly {
            schema.insert("readOnly", true);
        }
        schema.insert("description", field.doc);
        if field.hold == Hold::Property {
            schema.insert("is_base", false);
        }
        (field.name.to_owned(), Json::from(schema))
    };
    FIELDS.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart_in_pythons_words() {
        for (name, value, wrong) in [
            ("name", Json::from(5), Some("5 is not of type 'null', 'string'")),
            ("name", Json::Null, None),
            ("color", Json::Null, Some("None is not of type 'string'")),
            ("kernel_id", Json::Null, None),
            ("kernel_id", "x".into(), Some(r"'x' does not match '^([0-9a-fA-F]){8}-")),
            ("visibility", "x".into(), Some("'x' is not one of ['community', 'public', 'private', 'shared']")),
            ("disk_format", "x".into(), Some("'x' is not one of [None, 'ami'")),
            ("protected", "true".into(), Some("'true' is not of type 'boolean'")),
            ("min_ram", true.into(), Some("True is not of type 'integer'")),
            ("tags", vec![Json::from(1)].into(), Some("1 is not of type 'string'")),
            ("name", "é".repeat(256).into(), Some("'é")),
        ] {
            let found = check(name, &value).err();
            let fits = match (&found, wrong) {
                (Some(found), Some(wrong)) => found.starts_with(wrong),
                (found, wrong) => found.is_none() && wrong.is_none(),
            };
            assert!(fits, "{name} {value}: {found:?}");
        }
    }
}
