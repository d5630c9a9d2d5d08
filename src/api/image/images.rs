//! Records of images: made, shown, deleted. Their lists are in `list`, their changes in `update`.

use std::sync::Arc;

use http::StatusCode;

use super::fields::{self, Hold};
use super::policy::{AddImage, CommunitizeNewImage, DeleteImage, GetImage, PublicizeNewImage};
use super::{RESERVED, RESERVED_PREFIX, view};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Errand, Error, Locate, Reply, Route, Rule, Takes, delete, get, post, prove};
use crate::api::fault::Fault;
use crate::image::{patch, records};
use crate::json::{Json, Object};
use crate::model::ids::{ImageId, ProjectId};
use crate::model::image::{Image, ImageOf, Visibility, chosen_id};
use crate::policy::{Allowed, Guarded};
use crate::store::Tx;

/// The most characters of a property's name.
const NAME_CHARACTERS_MAX: usize = 255;

/// Makes a record.
pub struct Create;

impl Endpoint for Create {
    const ROUTE: Route = post("/v2/images");
    const FAULTS: &'static [u16] = &[409, 413];
    const OK: StatusCode = StatusCode::CREATED;
    const DOC: &'static str = "Makes the record of an image. Members that no field has are properties, whose values are text. The \
        image is `queued` until its data has been uploaded.";
    const MORE_RULES: &'static [Rule] = &[Rule::of::<PublicizeNewImage>(), Rule::of::<CommunitizeNewImage>()];
    type Action = AddImage;
    type Takes = NewImage;
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, of: Allowed<AddImage>, call: &Call, body: &NewImage) -> Result<Reply, Error> {
        match of.visibility {
            Visibility::Public => call.must::<PublicizeNewImage>(&of)?,
            Visibility::Community => call.must::<CommunitizeNewImage>(&of)?,
            Visibility::Shared | Visibility::Private => {}
        }
        let moment = &mut call.moment();
        let id = body.id.unwrap_or_else(|| ImageId::from_random(moment.id()));
        let mut image = records::queued(id, of.owner.clone(), call.now);
        for (name, value) in body.members.iter() {
            patch::set(&mut image, name, value)?;
        }
        records::create(tx, &image)?;
        let reply = Reply::json(&view::image(&image).into());
        Ok(reply.with_location(&call.link(&format!("/v2/images/{id}"))))
    }
}

/// What the record of a new image is to say.
pub struct NewImage {
    id: Option<ImageId>,
    /// Everything but the id.
    members: Object,
}

impl Takes for NewImage {
    fn from_body(call: &Call) -> Result<Self, Error> {
        let Some(body) = call.body.as_object() else { return Err(no_object(&call.body).into()) };
        for name in ["direct_url", "self", "file", "schema", "stores"] {
            if body.contains(name) {
                return Err(read_only(name).into());
            }
        }
        for (name, value) in body.iter() {
            fields::check(name, value).map_err(|wrong| no_image(&wrong))?;
        }
        body.keys().try_for_each(may_be_given)?;
        let id = body.get("id").and_then(Json::as_str).map(chosen_id).transpose();
        let mut members = body.clone();
        members.remove("id");
        Ok(NewImage { id: id.map_err(|error| no_image(&error.to_string()))?, members })
    }
}

fn no_object(body: &Json) -> Fault {
    match body {
        Json::Null => Fault::bad_request("Body expected in request."),
        Json::Array(_) => no_image(&format!("{} is not of type 'object'", crate::json::python::repr(body))),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => {
            Fault::bad_request("Unexpected body type. Expected list/dict.")
        }
    }
}

/// What does not fit the schema.
pub(super) fn no_image(wrong: &str) -> Fault {
    Fault::bad_request(format!("Provided object does not match schema 'image': {wrong}"))
}

/// What only the server may say.
pub(super) fn read_only(name: &str) -> Fault {
    Fault::forbidden(format!("Attribute '{name}' is read-only."))
}

/// Whether a client may give a value to something of this name when an image is made.
fn may_be_given(name: &str) -> Result<(), Fault> {
    if fields::find(name).is_some_and(|field| field.hold == Hold::ReadOnly) {
        return Err(read_only(name));
    }
    if name.chars().count() > NAME_CHARACTERS_MAX {
        return Err(Fault::bad_request("Custom property should not be greater than 255 characters."));
    }
    if name == "locations" || RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) {
        return Err(Fault::forbidden(format!("Attribute '{name}' is reserved.")));
    }
    Ok(())
}

/// What a rule is told of an image that is to be, or of the caller's images: their project, unless the body names an owner.
impl Locate for ImageOf {
    fn locate(_: &mut dyn Tx, call: &Call) -> Result<Guarded<ImageOf>, Error> {
        let text = |name| call.body.get(name).and_then(Json::as_str);
        let owner = match text("owner") {
            Some(owner) => owner.parse::<ProjectId>().map_err(|error| no_image(&error.to_string()))?,
            None => call.project()?.clone(),
        };
        let visibility = text("visibility").and_then(|word| word.parse().ok()).unwrap_or(Visibility::Shared);
        Ok(Guarded::new(ImageOf { owner, visibility }))
    }

    fn missing(_: &Call) -> Error {
        Fault::not_found("The resource could not be found.").into()
    }
}

/// Shows a record.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get("/v2/images/{image_id}");
    const DOC: &'static str = "Shows the record of an image.";
    type Action = GetImage;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, image: Allowed<GetImage>, _: &Call, (): &()) -> Result<Json, Error> {
        Ok(view::image(&image).into())
    }
}

/// Deletes an image with its data.
pub struct Delete;

impl Errand for Delete {
    const ROUTE: Route = delete("/v2/images/{image_id}");
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Deletes an image with its data, unless it is protected. Data that is being downloaded arrives to \
        its end.";
    type Action = DeleteImage;
    type Takes = ();
    type Gives = Reply;

    async fn run(call: Arc<Call>, (): ()) -> Result<Reply, Error> {
        delete_image(&call).await?;
        Ok(Reply { content_type: None, ..Reply::empty() })
    }
}

/// Deletes the image of a request; its data once that is committed. Data that cannot be removed now is nobody's, and the next
/// start removes it.
pub(in crate::api) async fn delete_image(call: &Arc<Call>) -> Result<(), Error> {
    let script_call = call.clone();
    let script = move |tx: &mut dyn Tx| {
        let image = prove::<DeleteImage>(&script_call, Image::locate(tx, &script_call)?)?;
        Ok::<_, Error>(records::delete(tx, &image)?)
    };
    let blob = call.cloud.store.write(script).await?;
    if let Some(blob) = blob {
        super::data::discard(&call.cloud, &blob).await;
    }
    Ok(())
}
