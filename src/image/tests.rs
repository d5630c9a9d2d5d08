//! An image for the tests of this room.

use crate::model::ids::ImageId;
use crate::model::image::{Image, ImageStatus, Properties, Visibility};
use crate::model::time::Timestamp;

/// An image without data or properties.
pub fn image() -> Image {
    Image {
        id: ImageId::from_random([0; 16]),
        owner: "blue".parse().expect("a project's id"),
        name: None,
        status: ImageStatus::Queued,
        visibility: Visibility::Shared,
        protected: false,
        os_hidden: false,
        disk_format: None,
        container_format: None,
        min_ram_mb: 0,
        min_disk_gb: 0,
        size: None,
        virtual_size: None,
        checksum: None,
        os_hash_algo: None,
        os_hash_value: None,
        blob: None,
        tags: Vec::new(),
        properties: Properties::new(),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        member: None,
    }
}
