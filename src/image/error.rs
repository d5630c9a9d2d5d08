//! Everything that can keep this room from doing what it was asked, in the domain's words. Only `api/fault` knows codes.

use crate::store::StoreError;

/// Why not.
#[derive(Debug, Clone)]
pub enum Error {
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}
