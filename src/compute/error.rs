//! Everything that can keep Compute from doing what it was asked, in the domain's words. Only `api/fault` knows codes.

use super::flavors::FlavorError;
use super::key_pairs::KeyPairError;
use super::quota_sets::QuotaError;
use super::servers;
use crate::model::ids::ServerId;
use crate::model::server::{ServerAction, StateRefusal};
use crate::store::StoreError;

/// Why not.
#[derive(Debug, Clone)]
pub enum Error {
    /// No such server, or none that the caller may know of; as named in the URL.
    ServerNotFound(String),
    /// The server has no item under this key.
    MetadataItemNotFound,
    /// The body names another key than the URL.
    UriMismatch,
    /// The body is not what the schema let through.
    MalformedBody,
    /// The metadata of the body cannot be, where no schema says so in its own words.
    BadMetadata(BadMetadata),
    /// The server is locked, and the caller may not override that.
    Locked(ServerId),
    /// The server is locked against this action, which has its own words for it.
    LockedFor(ServerId, ServerAction),
    /// The server's state does not permit it.
    State(ServerId, ServerAction, StateRefusal),
    /// The map would have more items than the quota allows.
    TooManyItems {
        /// The limit to tell: the project's, even where a user's own is lower.
        told: i64,
    },
    /// Something about a flavor.
    Flavor(FlavorError),
    /// Something about a key pair.
    KeyPair(KeyPairError),
    /// Something about a quota.
    Quota(QuotaError),
    /// A server cannot be made, or made otherwise.
    Servers(servers::Refusal),
    /// The store.
    Store(StoreError),
}

impl From<FlavorError> for Error {
    fn from(error: FlavorError) -> Self {
        Error::Flavor(error)
    }
}

/// What is wrong with metadata in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMetadata {
    /// The container of many items is no map.
    NotAMap,
    /// The container of one item is no map.
    NotAnItem,
    /// There is more than one item where one belongs.
    SeveralItems,
    /// A value is no text.
    NotText,
    /// A key has no characters.
    EmptyKey,
    /// A key has more than 255 characters.
    LongKey,
    /// A value has more than 255 characters.
    LongValue,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}

impl From<KeyPairError> for Error {
    fn from(error: KeyPairError) -> Self {
        Error::KeyPair(error)
    }
}

impl From<QuotaError> for Error {
    fn from(error: QuotaError) -> Self {
        Error::Quota(error)
    }
}

impl From<servers::Refusal> for Error {
    fn from(refusal: servers::Refusal) -> Self {
        Error::Servers(refusal)
    }
}
