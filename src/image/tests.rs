//! An image for the tests of this room.

use crate::model::ids::ImageId;
use crate::model::image::Image;
use crate::model::time::Timestamp;

/// An image without data or properties.
pub fn image() -> Image {
    super::records::queued(ImageId::from_random([0; 16]), "blue".parse().expect("a project's id"), Timestamp::EPOCH)
}
