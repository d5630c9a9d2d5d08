//! Image's endpoints, one file per resource.

pub mod data;
pub mod fields;
pub mod images;
pub mod info;
pub mod list;
pub mod members;
pub mod policy;
pub mod schemas;
pub mod tags;
pub mod update;
pub mod view;

use super::call::Call;
use super::endpoint::{Error, Locate, Operation, errand, row};
use crate::image::Error as ImageError;
use crate::model::image::Image;
use crate::policy::Guarded;
use crate::store::{Tx, images as rows};

/// All of them.
pub const ROWS: &[&dyn Operation] = &[
    row::<info::Choices>(),
    row::<info::Versions>(),
    row::<info::Import>(),
    row::<info::Stores>(),
    row::<list::List>(),
    row::<images::Create>(),
    row::<images::Show>(),
    row::<update::Update>(),
    errand::<images::Delete>(),
    errand::<data::Upload>(),
    errand::<data::Download>(),
    row::<members::List>(),
    row::<members::Add>(),
    row::<members::Show>(),
    row::<members::Update>(),
    row::<members::Remove>(),
    row::<tags::AddTag>(),
    row::<tags::RemoveTag>(),
    row::<tags::DeactivateImage>(),
    row::<tags::ReactivateImage>(),
    row::<schemas::Image>(),
    row::<schemas::Images>(),
    row::<schemas::Member>(),
    row::<schemas::Members>(),
];

/// Names that no property may have (glance/api/v2/images.py `_reserved_properties`).
const RESERVED: [&str; 3] = ["location", "deleted", "deleted_at"];
/// As `RESERVED`, for names beginning so.
const RESERVED_PREFIX: &str = "os_glance";

impl Locate for Image {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Image>, Error> {
        let Ok(id) = call.part("image_id").parse() else { return Err(Image::missing(call)) };
        let found = rows::find(tx, id, call.who()?.project_id.as_ref())?;
        found.ok_or_else(|| Image::missing(call))
    }

    fn missing(call: &Call) -> Error {
        ImageError::NotFound(call.part("image_id").to_owned()).into()
    }
}
