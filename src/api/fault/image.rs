//! Image's errors in the words of Glance, and of Nova where they are met through Compute.

use super::Fault;
use crate::api::dialect::Dialect;
use crate::image::Error;

/// What a client reads.
pub fn fault(error: &Error, _dialect: &Dialect) -> Fault {
    match error {
        Error::Store(error) => super::store(error),
    }
}
