//! Servers: one, many, and what is done to them.

pub mod actions;
pub mod create;
mod filter;
mod image_properties;
pub mod list;
pub mod policy;
pub mod schema;
pub mod view;

use http::StatusCode;

use super::super::endpoint::{Operation, row};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Locate, Reply, Route, Rule, Takes, delete, get, put};
use crate::api::fault::Fault;
use crate::api::schema::Schema;
use crate::api::version::Microversion;
use crate::compute::Error as ComputeError;
use crate::compute::servers::{self, Changes};
use crate::json::Json;
use crate::json_object;
use crate::model::server::ServerAction;
use crate::model::server_record::Server;
use crate::policy::{Allowed, Guarded};
use crate::store::{Tx, servers as rows};
use view::Form;

/// The endpoints of this room.
pub const ROWS: &[&dyn Operation] = &[
    row::<list::Index>(),
    row::<list::Detail>(),
    row::<create::Create>(),
    row::<Show>(),
    row::<Update>(),
    row::<Delete>(),
];

impl Locate for Server {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Server>, Error> {
        let id = call.part("server_id").parse().ok();
        let found = id.map(|id| rows::find(tx, id)).transpose()?.flatten();
        found.ok_or_else(|| Self::missing(call))
    }

    fn missing(call: &Call) -> Error {
        ComputeError::ServerNotFound(call.part("server_id").to_owned()).into()
    }
}

/// Shows one server.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get("/servers/{server_id}");
    const DOC: &'static str = "Shows everything about one server.";
    const MORE_RULES: &'static [Rule] = view::FIELD_RULES;
    type Action = policy::Show;
    type Takes = ();
    type Gives = Reply;

    fn run(_: &mut dyn Tx, server: Allowed<policy::Show>, call: &Call, (): &()) -> Result<Reply, Error> {
        shown(call, &server, Form::Show)
    }
}

/// `{"server": {…}}`.
fn shown(call: &Call, server: &Server, form: Form) -> Result<Reply, Error> {
    let server = view::full(call, server, form)?;
    Ok(Reply::json(&json_object! { "server": server }.into()))
}

/// Changes what is known of a server.
pub struct Update;

impl Endpoint for Update {
    const ROUTE: Route = put("/servers/{server_id}");
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str = "Changes name, description, host name, access addresses and disk configuration of a server. The guest \
        itself does not notice.";
    const MORE_RULES: &'static [Rule] = view::FIELD_RULES;
    type Action = policy::Update;
    type Takes = Changes;
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Update>, call: &Call, changes: &Changes) -> Result<Reply, Error> {
        let mut server = server.into_target();
        check_pin(&server, changes)?;
        servers::update(tx, &mut server, changes, call.now)?;
        shown(call, &server, Form::Update)
    }
}

impl Takes for Changes {
    fn schema(version: Microversion) -> Option<&'static Schema> {
        schema::update(version)
    }

    fn from_body(call: &Call) -> Result<Changes, Error> {
        let none = Json::Null;
        let body = call.body.get("server").unwrap_or(&none);
        let text = |name: &str| body.get(name).and_then(Json::as_str).map(str::to_owned);
        let text_or_null = |name: &str| body.get(name).map(|value| value.as_str().map(str::to_owned));
        Ok(Changes {
            name: text("name").map(|name| name.trim().to_owned()),
            description: text_or_null("description"),
            hostname: text("hostname"),
            disk_config: text("OS-DCF:diskConfig").and_then(|text| text.parse().ok()),
            access_ipv4: text("accessIPv4"),
            access_ipv6: text("accessIPv6"),
            pinned_zone: text_or_null("pinned_availability_zone"),
        })
    }
}

/// A server may be pinned to where it is, and unpinned; not moved by a word (2.104).
fn check_pin(server: &Server, changes: &Changes) -> Result<(), Error> {
    let Some(Some(asked)) = &changes.pinned_zone else { return Ok(()) };
    let current = view::zone(server);
    let message = match &server.details.pinned_zone {
        Some(pinned) if pinned == asked => return Ok(()),
        Some(_) => {
            "Cannot change pinned availability zone directly. Unpin first by setting pinned_availability_zone to null."
                .to_owned()
        }
        None if asked == current => return Ok(()),
        None => format!(
            "Server can only be pinned to its current availability zone '{current}', but '{asked}' was requested."
        ),
    };
    Err(Fault::conflict(message).into())
}

/// Removes a server.
pub struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = delete("/servers/{server_id}");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Deletes a server. It is gone when it is no longer found.";
    type Action = policy::Delete;
    type Takes = ();
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Delete>, call: &Call, (): &()) -> Result<(), Error> {
        let ignores_lock = call.who()?.is_admin;
        let server = server.into_target();
        Ok(servers::delete(tx, &mut call.moment(), server, ServerAction::Delete, ignores_lock)?)
    }
}
