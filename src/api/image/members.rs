//! Sharing: with which projects, and what they say to it.

use http::StatusCode;

use super::policy::{AddMember, DeleteMember, GetMember, GetMembers, ModifyMember};
use super::view;
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Reply, Route, Takes, delete, get, post, put};
use crate::api::fault::Fault;
use crate::image::{MemberDeed, members};
use crate::json::Json;
use crate::json_object;
use crate::model::image::MemberStatus;
use crate::policy::Allowed;
use crate::store::Tx;

const COLLECTION: &str = "/v2/images/{image_id}/members";
const ITEM: &str = "/v2/images/{image_id}/members/{member_id}";

/// Lists members.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get(COLLECTION);
    const DOC: &'static str =
        "Lists the projects with which an image is shared; a project that is not the owner sees itself only.";
    type Action = GetMembers;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, image: Allowed<GetMembers>, call: &Call, (): &()) -> Result<Json, Error> {
        let found = members::list(tx, &image, call.who()?)?;
        let shown: Vec<Json> = found.iter().map(|member| view::member(member).into()).collect();
        Ok(json_object! { "members": shown, "schema": "/v2/schemas/members" }.into())
    }
}

/// Offers an image to a project.
pub struct Add;

impl Endpoint for Add {
    const ROUTE: Route = post(COLLECTION);
    const FAULTS: &'static [u16] = &[409, 413];
    const DOC: &'static str = "Shares an image with a project: `{\"member\": \"PROJECT_ID\"}`. It is `pending` until the project \
        accepts it; only then is the image in the project's lists.";
    type Action = AddMember;
    type Takes = NewMember;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, image: Allowed<AddMember>, call: &Call, body: &NewMember) -> Result<Json, Error> {
        let member = body.0.parse().map_err(|_| Fault::bad_request("Member to be added is not a project's id"))?;
        Ok(view::member(&members::add(tx, &image, member, call.now)?).into())
    }
}

/// Shows a member.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get(ITEM);
    const DOC: &'static str = "Shows a project with which an image is shared, and what it has said to it.";
    type Action = GetMember;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, image: Allowed<GetMember>, call: &Call, (): &()) -> Result<Json, Error> {
        let member = members::find(tx, &image, call.part("member_id"), call.who()?, MemberDeed::Show)?;
        Ok(view::member(&member).into())
    }
}

/// Answers an offer.
pub struct Update;

impl Endpoint for Update {
    const ROUTE: Route = put(ITEM);
    const DOC: &'static str = "Says what a project wants of an image that is shared with it: `{\"status\": \"accepted\"}`, \
        `rejected` or `pending`. Only the project itself may.";
    type Action = ModifyMember;
    type Takes = Answer;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, image: Allowed<ModifyMember>, call: &Call, body: &Answer) -> Result<Json, Error> {
        let member = members::find(tx, &image, call.part("member_id"), call.who()?, MemberDeed::Update)?;
        let status: MemberStatus = body.0.parse().map_err(|_| {
            Fault::bad_request("Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".")
        })?;
        Ok(view::member(&members::answer(tx, member, status, call.now)?).into())
    }
}

/// Ends sharing.
pub struct Remove;

impl Endpoint for Remove {
    const ROUTE: Route = delete(ITEM);
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Ends sharing an image with a project.";
    type Action = DeleteMember;
    type Takes = ();
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, image: Allowed<DeleteMember>, call: &Call, (): &()) -> Result<Reply, Error> {
        let member = members::find(tx, &image, call.part("member_id"), call.who()?, MemberDeed::Delete)?;
        members::remove(tx, &member)?;
        Ok(Reply { content_type: None, ..Reply::empty() })
    }
}

/// `{"member": "PROJECT_ID"}`.
pub struct NewMember(String);

impl Takes for NewMember {
    fn from_body(call: &Call) -> Result<Self, Error> {
        let member = member_of(&call.body, "member", "Expected a member in the form: {\"member\": \"image_id\"}")?;
        match member {
            None => Err(Fault::bad_request("Member to be added not specified").into()),
            Some(Json::String(id)) if !id.is_empty() => Ok(NewMember(id.clone())),
            Some(_) => Err(Fault::bad_request("Member can't be empty").into()),
        }
    }
}

/// `{"status": "accepted"}`.
pub struct Answer(String);

impl Takes for Answer {
    fn from_body(call: &Call) -> Result<Self, Error> {
        let status = member_of(&call.body, "status", "Expected a status in the form: {\"status\": \"status\"}")?;
        let status = status.ok_or_else(|| Fault::bad_request("Status not specified"))?;
        Ok(Answer(crate::json::python::str(status)))
    }
}

fn member_of<'a>(body: &'a Json, name: &str, otherwise: &str) -> Result<Option<&'a Json>, Fault> {
    match body {
        Json::Null => Err(Fault::bad_request("Body expected in request.")),
        Json::Object(object) => Ok(object.get(name)),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => Err(Fault::bad_request(otherwise)),
    }
}
