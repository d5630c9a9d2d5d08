//! Image's errors in the words of Glance, and of Nova where they are met through Compute.

use super::Fault;
use crate::api::dialect::{Api, Dialect};
use crate::image::Error;

/// What a client reads.
pub fn fault(error: &Error, dialect: &Dialect) -> Fault {
    match error {
        Error::NotFound(_) if dialect.api == Api::Compute => Fault::not_found("Image not found."),
        Error::NotFound(id) => Fault::not_found(format!("No image found with ID {id}")),
        Error::NotAuthorized(id) => Fault::forbidden(format!("Not authorized for image {id}.")),
        Error::MetadataItemNotFound => Fault::not_found("The resource could not be found."),
        Error::NoSuchMetadataKey => Fault::not_found("Invalid metadata key"),
        Error::UriMismatch => Fault::bad_request("Request body and URI mismatch"),
        Error::TooManyMetadataItems => Fault::over_quota(dialect, "Image metadata limit exceeded"),
        Error::Store(error) => super::store(error),
    }
}
