//! Everything that can keep this room from doing what it was asked, in the domain's words. Only `api/fault` knows codes.

use crate::model::ids::ImageId;
use crate::model::image::ImageStatus;
use crate::store::StoreError;

/// Why not.
#[derive(Debug, Clone)]
pub enum Error {
    /// No such image, or none that the caller may know of; as named in the URL.
    NotFound(String),
    /// Compute asked to change an image in a way that Image does not permit this caller.
    NotAuthorized(ImageId),
    /// Compute asked to delete an image which Image does not let this caller delete.
    DeletionNotAuthorized,
    /// The image has no metadata item under this key: asked for.
    MetadataItemNotFound,
    /// The image has no metadata item under this key: to be deleted.
    NoSuchMetadataKey,
    /// The body names another key than the URL.
    UriMismatch,
    /// More metadata items than the quota allows.
    TooManyMetadataItems,
    /// There is an image of this id.
    Exists(ImageId),
    /// The image is protected from deletion.
    Protected(ImageId),
    /// The image is not in a state that leads to the other.
    Transition {
        /// Its state.
        from: ImageStatus,
        /// Where it was to get.
        to: ImageStatus,
    },
    /// These must be known before there can be data.
    FormatsMissing(Vec<&'static str>),
    /// The image was deleted, or its upload given up, while the data arrived.
    GoneDuringUpload(ImageId),
    /// The data of an image that is deactivated is for administrators.
    Deactivated,
    /// In this state an image cannot be deactivated.
    CannotDeactivate(ImageStatus),
    /// In this state an image cannot be reactivated.
    CannotReactivate(ImageStatus),
    /// A property that is to be replaced or removed is not there.
    NoSuchProperty(String),
    /// A property that is to be added is there.
    PropertyPresent(String),
    /// What every image has cannot be removed.
    NotRemovable(String),
    /// The format is fixed as soon as there is data.
    FormatFixed(&'static str),
    /// Only administrators give images away.
    OwnerFixed,
    /// What is asked for is below zero.
    Negative {
        /// Of which field.
        field: &'static str,
        /// What was asked for.
        value: i64,
    },
    /// A value is not of the kind that the field has.
    WrongValue(String),
    /// More properties than an image may have.
    TooManyProperties(usize),
    /// More tags than an image may have.
    TooManyTags(usize),
    /// The image has no such tag.
    NoSuchTag,
    /// Only shared images have members: what was to be done, as Glance words it.
    NotShared(MemberDeed, ImageId),
    /// The project is not among the members.
    NoSuchMember {
        /// The project.
        member: String,
        /// The image.
        image: ImageId,
    },
    /// The project is among the members already.
    MemberExists {
        /// The project.
        member: String,
        /// The image.
        image: ImageId,
    },
    /// More members than an image may have.
    TooManyMembers(ImageId, usize),
    /// The store.
    Store(StoreError),
}

/// What can be done about the members of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberDeed {
    /// Adding one.
    Create,
    /// Answering as one.
    Update,
    /// Removing one.
    Delete,
    /// Listing all.
    List,
    /// Showing one.
    Show,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}
