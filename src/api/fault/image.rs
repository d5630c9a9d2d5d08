//! Image's errors in the words of Glance, and of Nova where they are met through Compute.

use http::StatusCode;

use super::Fault;
use crate::api::dialect::{Api, Dialect};
use crate::image::members::MEMBERS_MAX;
use crate::image::records::{PROPERTIES_MAX, TAGS_MAX};
use crate::image::{Error, MemberDeed};
use crate::model::ids::ImageId;

/// What a client reads.
pub fn fault(error: &Error, dialect: &Dialect) -> Fault {
    match error {
        Error::NotFound(_) if dialect.api == Api::Compute => Fault::not_found("Image not found."),
        Error::NotFound(id) => Fault::not_found(format!("No image found with ID {id}")),
        Error::NotAuthorized(id) => Fault::forbidden(format!("Not authorized for image {id}.")),
        Error::DeletionNotAuthorized => Fault::forbidden("You are not allowed to delete the image."),
        Error::MetadataItemNotFound => Fault::not_found("The resource could not be found."),
        Error::NoSuchMetadataKey => Fault::not_found("Invalid metadata key"),
        Error::UriMismatch => Fault::bad_request("Request body and URI mismatch"),
        Error::TooManyMetadataItems => Fault::over_quota(dialect, "Image metadata limit exceeded"),
        Error::Exists(id) => Fault::conflict(format!("Image ID {id} already exists!")),
        Error::Protected(id) => Fault::forbidden(format!("Image {id} is protected and cannot be deleted.")),
        Error::Transition { from, to } => {
            Fault::conflict(format!("Image status transition from {from} to {to} is not allowed"))
        }
        Error::FormatsMissing(names) => {
            let noun = if names.len() == 1 { "Property" } else { "Properties" };
            Fault::bad_request(format!("{noun} {} must be set prior to saving data.", names.join(", ")))
        }
        Error::GoneDuringUpload(id) => {
            let message = format!(
                "Image {id} could not be found after upload. The image may have been deleted during the upload, cleaning up \
                 the chunks uploaded."
            );
            Fault::new(StatusCode::GONE, message)
        }
        Error::Deactivated => {
            Fault::forbidden("The requested image has been deactivated. Image data download is forbidden.")
        }
        Error::CannotDeactivate(status) => {
            Fault::forbidden(format!("Not allowed to deactivate image in status '{status}'"))
        }
        Error::CannotReactivate(status) => {
            Fault::forbidden(format!("Not allowed to reactivate image in status '{status}'"))
        }
        Error::NoSuchProperty(name) => Fault::conflict(format!("Property {name} does not exist.")),
        Error::PropertyPresent(name) => Fault::conflict(format!("Property {name} already present.")),
        Error::NotRemovable(name) => Fault::forbidden(format!("Property {name} may not be removed.")),
        Error::FormatFixed(field) => {
            Fault::forbidden(format!("Attribute {field} can be only replaced for a queued image."))
        }
        Error::OwnerFixed => Fault::forbidden("Owner can't be updated by non admin."),
        Error::Negative { field, value } => {
            Fault::bad_request(format!("Invalid value '{value}' for parameter '{field}': Cannot be a negative value"))
        }
        Error::WrongValue(name) => Fault::bad_request(format!(
            "Provided object does not match schema 'image': the value of {name} is not possible"
        )),
        Error::TooManyProperties(attempted) => too_large(format!(
            "The limit has been exceeded on the number of allowed image properties. Attempted: {attempted}, Maximum: \
             {PROPERTIES_MAX}"
        )),
        Error::TooManyTags(attempted) => too_large(format!(
            "The limit has been exceeded on the number of allowed image tags. Attempted: {attempted}, Maximum: {TAGS_MAX}"
        )),
        Error::NoSuchTag => Fault::not_found("The resource could not be found."),
        Error::NotShared(deed, id) => not_shared(*deed, *id),
        Error::NoSuchMember { member, image } => {
            Fault::not_found(format!("{member} not found in the member list of the image {image}."))
        }
        Error::MemberExists { member, image } => {
            Fault::conflict(format!("Member {member} is duplicated for image {image}"))
        }
        Error::TooManyMembers(id, attempted) => too_large(format!(
            "Image member limit exceeded for image {id}: The limit has been exceeded on the number of allowed image members \
             for this image. Attempted: {attempted}, Maximum: {MEMBERS_MAX}:"
        )),
        Error::Store(error) => super::store(error),
    }
}

fn too_large(message: String) -> Fault {
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn not_shared(deed: MemberDeed, id: ImageId) -> Fault {
    match deed {
        MemberDeed::Create => Fault::forbidden(format!("Not allowed to create members for image {id}.")),
        MemberDeed::Update => Fault::forbidden(format!("Not allowed to update members for image {id}.")),
        MemberDeed::Delete => Fault::forbidden(format!("Not allowed to delete members for image {id}.")),
        MemberDeed::List => {
            Fault::forbidden(format!("Not allowed to list members for image {id}: Only shared images have members."))
        }
        MemberDeed::Show => Fault::not_found("Only shared images have members."),
    }
}
