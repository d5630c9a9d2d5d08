//! Identity's errors in the words of Keystone.

use super::Fault;
use crate::identity::Error;

/// What a client reads.
pub fn fault(error: &Error) -> Fault {
    match error {
        Error::Store(error) => super::store(error),
    }
}
