//! Everything that can keep this room from doing what it was asked, in the domain's words. Only `api/fault` knows codes.

use crate::model::ids::ImageId;
use crate::store::StoreError;

/// Why not.
#[derive(Debug, Clone)]
pub enum Error {
    /// No such image, or none that the caller may know of; as named in the URL.
    NotFound(String),
    /// Compute asked to change an image in a way that Image does not permit this caller.
    NotAuthorized(ImageId),
    /// The image has no metadata item under this key: asked for.
    MetadataItemNotFound,
    /// The image has no metadata item under this key: to be deleted.
    NoSuchMetadataKey,
    /// The body names another key than the URL.
    UriMismatch,
    /// More metadata items than the quota allows.
    TooManyMetadataItems,
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}
