//! Images: what is known of one, the states and visibilities it can have, and its properties. Its data is kept elsewhere
//! (`blobs`), and so is who may do what with it.

use std::fmt;
use std::str::FromStr;

use super::ids::{ImageId, NotAnId, ProjectId};
use super::time::Timestamp;

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Which one.
    pub id: ImageId,
    /// The project that owns it.
    pub owner: ProjectId,
    /// Its name; names need not be unique.
    pub name: Option<String>,
    /// Its state.
    pub status: ImageStatus,
    /// Who may know of it.
    pub visibility: Visibility,
    /// Whether deletion is refused.
    pub protected: bool,
    /// Whether lists leave it out unless they are asked for hidden images.
    pub os_hidden: bool,
    /// The format of its data.
    pub disk_format: Option<String>,
    /// What its data is wrapped in.
    pub container_format: Option<String>,
    /// The least memory of a server that boots from it, in MiB.
    pub min_ram_mb: i64,
    /// The least disk of a server that boots from it, in GiB.
    pub min_disk_gb: i64,
    /// How many bytes its data has.
    pub size: Option<i64>,
    /// How many bytes its data has when unpacked.
    pub virtual_size: Option<i64>,
    /// The MD5 of its data, in hexadecimal.
    pub checksum: Option<String>,
    /// The algorithm of `os_hash_value`.
    pub os_hash_algo: Option<String>,
    /// A better hash of its data, in hexadecimal.
    pub os_hash_value: Option<String>,
    /// The key of its data; while it is `saving`, that of the upload under way.
    pub blob: Option<String>,
    /// Tags, in the order in which they were given.
    pub tags: Vec<String>,
    /// What else is said of it.
    pub properties: Properties,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The project for which it was read, if the image is shared with it.
    pub member: Option<ProjectId>,
}

/// An image before there is one, or all images of a project: what rules about creating and listing are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOf {
    /// The project that is to own it.
    pub owner: ProjectId,
    /// Who is to know of it.
    pub visibility: Visibility,
}

/// The text is none of the words that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the known words")]
pub struct UnknownWord;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word that clients know it by.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<$name, UnknownWord> {
                $name::ALL.iter().copied().find(|known| known.as_str() == text).ok_or(UnknownWord)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    /// The state of an image. Glance has more words in its schema; these are the states that images get into here.
    ImageStatus {
        /// There is a record, but no data yet.
        Queued = "queued",
        /// Data is arriving.
        Saving = "saving",
        /// It can be used.
        Active = "active",
        /// Its data is withheld from all but administrators.
        Deactivated = "deactivated",
    }
);

words!(
    /// Who may know of an image.
    Visibility {
        /// Everybody; it is in everybody's lists.
        Public = "public",
        /// Everybody who knows its id.
        Community = "community",
        /// The owner and those it is shared with.
        Shared = "shared",
        /// The owner alone.
        Private = "private",
    }
);

words!(
    /// What a project with which an image is shared has said to that.
    MemberStatus {
        /// Nothing yet: the image is not in its lists.
        Pending = "pending",
        /// It wants the image.
        Accepted = "accepted",
        /// It does not.
        Rejected = "rejected",
    }
);

/// A project with which an image is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageMember {
    /// The image.
    pub image_id: ImageId,
    /// The project.
    pub member_id: ProjectId,
    /// What the project has said to it.
    pub status: MemberStatus,
    /// Since when.
    pub created_at: Timestamp,
    /// When `status` changed last.
    pub updated_at: Timestamp,
}

/// The formats that data may have (Glance's default for `[image_format] disk_formats`).
pub const DISK_FORMATS: &[&str] = &["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"];

/// What data may be wrapped in (Glance's default for `[image_format] container_formats`).
pub const CONTAINER_FORMATS: &[&str] = &["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"];

/// One property: its name, and its value unless that is null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
}

/// The properties of an image: an ordered map. A property that is changed keeps its place, a new one comes last.
/// Unlike the items of server metadata they may have any name and be null, since the Image API lets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<Property>);

impl Properties {
    /// None.
    pub const fn new() -> Properties {
        Properties(Vec::new())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one of this name, null or not.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|property| property.name == name)
    }

    /// The value of one that is not null.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|property| property.name == name)?.value.as_deref()
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Property> {
        self.0.iter()
    }

    /// Gives one its value.
    pub fn put(&mut self, name: impl Into<String>, value: Option<String>) {
        let name = name.into();
        match self.0.iter_mut().find(|property| property.name == name) {
            Some(property) => property.value = value,
            None => self.0.push(Property { name, value }),
        }
    }

    /// Takes one away; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|property| property.name != name);
        self.0.len() < before
    }

    /// Whether the other map says the same, in whatever order.
    pub fn says_the_same_as(&self, other: &Properties) -> bool {
        self.len() == other.len() && self.iter().all(|property| other.0.contains(property))
    }
}

impl FromIterator<Property> for Properties {
    fn from_iter<I: IntoIterator<Item = Property>>(properties: I) -> Properties {
        let mut map = Properties::new();
        properties.into_iter().for_each(|property| map.put(property.name, property.value));
        map
    }
}

/// Reads the id of an image as the Image API lets clients choose one: hexadecimal digits of either case.
///
/// # Errors
/// Where it is not a UUID with hyphens.
pub fn chosen_id(text: &str) -> Result<ImageId, NotAnId> {
    text.to_ascii_lowercase().parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(items: &[(&str, &str)]) -> Properties {
        items.iter().map(|(name, value)| Property { name: (*name).into(), value: Some((*value).into()) }).collect()
    }

    #[test]
    fn a_changed_property_keeps_its_place() {
        let mut map = properties(&[("a", "1"), ("b", "2")]);
        map.put("a", Some("3".into()));
        map.put("c", None);
        let names: Vec<_> = map.iter().map(|property| property.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!((map.get("a"), map.get("c"), map.contains("c")), (Some("3"), None, true));
    }

    #[test]
    fn order_does_not_matter_to_what_is_said() {
        assert!(properties(&[("a", "1"), ("b", "2")]).says_the_same_as(&properties(&[("b", "2"), ("a", "1")])));
        assert!(!properties(&[("a", "1")]).says_the_same_as(&properties(&[("a", "2")])));
    }

    #[test]
    fn every_word_is_read_as_it_is_printed() {
        for status in ImageStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert_eq!("killed".parse::<ImageStatus>(), Err(UnknownWord));
    }
}
