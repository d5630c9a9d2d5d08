//! Compute's endpoints, one file per resource.

pub mod image_metadata;
pub mod server_metadata;
pub mod versions;

use super::endpoint::{Operation, row};

/// All of them.
pub const ROWS: &[&dyn Operation] = &[
    row::<image_metadata::List>(),
    row::<image_metadata::Merge>(),
    row::<image_metadata::Replace>(),
    row::<image_metadata::ShowItem>(),
    row::<image_metadata::PutItem>(),
    row::<image_metadata::DeleteItem>(),
    row::<server_metadata::List>(),
    row::<server_metadata::Merge>(),
    row::<server_metadata::Replace>(),
    row::<server_metadata::ShowItem>(),
    row::<server_metadata::PutItem>(),
    row::<server_metadata::DeleteItem>(),
    row::<versions::ListVersions>(),
    row::<versions::Choices>(),
    row::<versions::ShowDoor>(),
    row::<versions::ShowVersion>(),
];
