//! Tags and the two actions: small changes of a record with paths of their own.

use http::StatusCode;

use super::fields;
use super::images::no_image;
use super::policy::{Deactivate, ModifyImage, Reactivate};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Reply, Route, delete, post, put};
use crate::image::records;
use crate::json::Json;
use crate::policy::Allowed;
use crate::store::Tx;

const TAG: &str = "/v2/images/{image_id}/tags/{tag}";

/// Gives a tag.
pub struct AddTag;

impl Endpoint for AddTag {
    const ROUTE: Route = put(TAG);
    const FAULTS: &'static [u16] = &[413];
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Gives an image a tag. To have it already is no error.";
    type Action = ModifyImage;
    type Takes = ();
    type Gives = Reply;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        let tags = Json::from(vec![Json::from(call.part("tag"))]);
        Ok(fields::check("tags", &tags).map_err(|wrong| no_image(&wrong))?)
    }

    fn run(tx: &mut dyn Tx, image: Allowed<ModifyImage>, call: &Call, (): &()) -> Result<Reply, Error> {
        records::tag(tx, &image, call.part("tag"), call.now)?;
        Ok(nothing())
    }
}

/// Takes a tag away.
pub struct RemoveTag;

impl Endpoint for RemoveTag {
    const ROUTE: Route = delete(TAG);
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Takes a tag from an image.";
    type Action = ModifyImage;
    type Takes = ();
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, image: Allowed<ModifyImage>, call: &Call, (): &()) -> Result<Reply, Error> {
        records::untag(tx, &image, call.part("tag"), call.now)?;
        Ok(nothing())
    }
}

/// Withholds data.
pub struct DeactivateImage;

impl Endpoint for DeactivateImage {
    const ROUTE: Route = post("/v2/images/{image_id}/actions/deactivate");
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Withholds the data of an image from all but administrators.";
    type Action = Deactivate;
    type Takes = ();
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, image: Allowed<Deactivate>, call: &Call, (): &()) -> Result<Reply, Error> {
        records::deactivate(tx, image.into_target(), call.now)?;
        Ok(nothing())
    }
}

/// Gives data out again.
pub struct ReactivateImage;

impl Endpoint for ReactivateImage {
    const ROUTE: Route = post("/v2/images/{image_id}/actions/reactivate");
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Gives out the data of a deactivated image again.";
    type Action = Reactivate;
    type Takes = ();
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, image: Allowed<Reactivate>, call: &Call, (): &()) -> Result<Reply, Error> {
        records::reactivate(tx, image.into_target(), call.now)?;
        Ok(nothing())
    }
}

fn nothing() -> Reply {
    Reply { content_type: None, ..Reply::empty() }
}
