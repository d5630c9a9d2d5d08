//! Compute's endpoints, one file per resource.

pub mod availability_zones;
pub mod cloud_servers;
pub mod flavors;
pub mod image_metadata;
pub mod images;
pub mod key_pairs;
pub mod limits;
pub mod links;
pub mod page;
pub mod quota_class_sets;
pub mod quota_sets;
mod scope;
pub mod server_metadata;
pub mod servers;
pub mod versions;

use super::endpoint::{Operation, errand, row};

/// All of them.
pub const ROWS: &[&dyn Operation] = &[
    row::<images::Index>(),
    row::<images::Detail>(),
    row::<images::Show>(),
    errand::<images::Delete>(),
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
    row::<flavors::list::Index>(),
    row::<flavors::list::Detail>(),
    row::<flavors::Show>(),
    row::<flavors::Create>(),
    row::<flavors::Update>(),
    row::<flavors::Delete>(),
    row::<flavors::access::Index>(),
    row::<flavors::access::Add>(),
    row::<flavors::access::Remove>(),
    row::<flavors::extra_specs::Index>(),
    row::<flavors::extra_specs::Show>(),
    row::<flavors::extra_specs::Create>(),
    row::<flavors::extra_specs::Update>(),
    row::<flavors::extra_specs::Delete>(),
    row::<quota_sets::Show>(),
    row::<quota_sets::Detail>(),
    row::<quota_sets::ShowDefaults>(),
    row::<quota_sets::Update>(),
    row::<quota_sets::Delete>(),
    row::<quota_class_sets::Show>(),
    row::<quota_class_sets::Update>(),
    row::<limits::Index>(),
    row::<availability_zones::List>(),
    row::<availability_zones::Detail>(),
    row::<key_pairs::List>(),
    row::<key_pairs::Show>(),
    row::<key_pairs::Create>(),
    row::<key_pairs::Delete>(),
    row::<versions::ListVersions>(),
    row::<versions::Choices>(),
    row::<versions::ShowDoor>(),
    row::<versions::ShowVersion>(),
];
