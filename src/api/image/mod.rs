//! Image's endpoints, one file per resource.

pub mod policy;

use super::call::Call;
use super::endpoint::{Error, Locate};
use crate::image::Error as ImageError;
use crate::model::image::Image;
use crate::policy::Guarded;
use crate::store::{Tx, images};

impl Locate for Image {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Image>, Error> {
        let Ok(id) = call.part("image_id").parse() else { return Err(Image::missing(call)) };
        let found = images::find(tx, id, call.who()?.project_id.as_ref())?;
        found.ok_or_else(|| Image::missing(call))
    }

    fn missing(call: &Call) -> Error {
        ImageError::NotFound(call.part("image_id").to_owned()).into()
    }
}
