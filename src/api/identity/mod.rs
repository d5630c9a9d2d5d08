//! Identity's endpoints, one file per resource, and what they share: links, lists, and rules in Keystone's words.

pub mod application_credentials;
pub mod auth;
pub mod body;
pub mod catalog;
mod claims;
pub mod document;
pub mod domains;
pub mod grants;
pub mod implied_roles;
pub mod projects;
pub mod role_assignments;
pub mod roles;
pub mod tokens;
pub mod users;
pub mod v2;
pub mod versions;
mod views;

use super::call::Call;
use super::endpoint::{Error, Operation, errand, row};
use super::fault::Fault;
use crate::identity::Error as IdentityError;
use crate::identity::error::Kind;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::identity::Sought;
use crate::model::ids::RoleId;
use crate::model::moment::Moment;
use crate::store::Value;
use crate::store::identity_admin::Page;

/// All of them.
pub const ROWS: &[&dyn Operation] = &[
    row::<versions::List>(),
    row::<versions::Show>(),
    row::<versions::ShowWithSlash>(),
    errand::<tokens::Issue>(),
    row::<tokens::Validate>(),
    row::<tokens::Check>(),
    row::<tokens::Revoke>(),
    row::<auth::Catalog>(),
    row::<auth::Projects>(),
    row::<auth::Domains>(),
    row::<auth::System>(),
    row::<domains::List>(),
    row::<domains::Create>(),
    row::<domains::Show>(),
    row::<domains::Update>(),
    row::<domains::Delete>(),
    row::<projects::List>(),
    row::<projects::ListOfUser>(),
    row::<projects::Create>(),
    row::<projects::Show>(),
    row::<projects::Update>(),
    row::<projects::Delete>(),
    row::<users::List>(),
    errand::<users::Create>(),
    row::<users::Show>(),
    errand::<users::Update>(),
    row::<users::Delete>(),
    errand::<users::ChangePassword>(),
    row::<roles::List>(),
    row::<roles::Create>(),
    row::<roles::Show>(),
    row::<roles::Update>(),
    row::<roles::Delete>(),
    row::<implied_roles::Inferences>(),
    row::<implied_roles::List>(),
    row::<implied_roles::Put>(),
    row::<implied_roles::Show>(),
    row::<implied_roles::Check>(),
    row::<implied_roles::Delete>(),
    row::<grants::ListOnProject>(),
    row::<grants::GiveOnProject>(),
    row::<grants::ShowOnProject>(),
    row::<grants::CheckOnProject>(),
    row::<grants::TakeOnProject>(),
    row::<grants::ListOnDomain>(),
    row::<grants::GiveOnDomain>(),
    row::<grants::ShowOnDomain>(),
    row::<grants::CheckOnDomain>(),
    row::<grants::TakeOnDomain>(),
    row::<grants::ListOnSystem>(),
    row::<grants::GiveOnSystem>(),
    row::<grants::ShowOnSystem>(),
    row::<grants::CheckOnSystem>(),
    row::<grants::TakeOnSystem>(),
    row::<role_assignments::List>(),
    row::<catalog::services::List>(),
    row::<catalog::services::Create>(),
    row::<catalog::services::Show>(),
    row::<catalog::services::Update>(),
    row::<catalog::services::Delete>(),
    row::<catalog::endpoints::List>(),
    row::<catalog::endpoints::Create>(),
    row::<catalog::endpoints::Show>(),
    row::<catalog::endpoints::Update>(),
    row::<catalog::endpoints::Delete>(),
    row::<catalog::regions::List>(),
    row::<catalog::regions::Create>(),
    row::<catalog::regions::Show>(),
    row::<catalog::regions::Put>(),
    row::<catalog::regions::Update>(),
    row::<catalog::regions::Delete>(),
    row::<application_credentials::List>(),
    errand::<application_credentials::Create>(),
    row::<application_credentials::Show>(),
    row::<application_credentials::Delete>(),
    errand::<v2::Issue>(),
    row::<v2::Tenants>(),
    errand::<v2::ResetApiKey>(),
];

/// An action with Keystone's name, default and scopes.
macro_rules! action {
    ($name:ident($target:ty), $rule:literal, $check:expr, $scopes:ident, $words:literal) => {
        #[doc = $words]
        pub struct $name;

        impl $crate::policy::Action for $name {
            const RULE: &'static str = concat!("identity:", $rule);
            const DEFAULT: &'static str = $check;
            const SCOPES: $crate::policy::Scopes = $crate::policy::Scopes::$scopes;
            const DOC: &'static str = $words;
            type Target = $target;
        }
    };
}
pub(crate) use action;

/// An endpoint whose work is a function: its route, status of success, own faults, action, body, answer, and manual.
macro_rules! endpoint {
    ($name:ident, $route:expr, $ok:ident, $faults:expr, $action:ty, $takes:ty => $gives:ty, $run:ident, $words:expr) => {
        #[doc = $words]
        pub struct $name;

        impl $crate::api::endpoint::Endpoint for $name {
            const ROUTE: $crate::api::endpoint::Route = $route;
            const FAULTS: &'static [u16] = &$faults;
            const OK: http::StatusCode = http::StatusCode::$ok;
            const DOC: &'static str = $words;
            const QUERY: $crate::api::endpoint::QueryRule = $crate::api::endpoint::QueryRule::Own;
            type Action = $action;
            type Takes = $takes;
            type Gives = $gives;

            fn run(
                tx: &mut dyn $crate::store::Tx,
                target: $crate::policy::Allowed<$action>,
                call: &$crate::api::call::Call,
                body: &$takes,
            ) -> Result<$gives, $crate::api::endpoint::Error> {
                $run(tx, target.into_target(), call, body)
            }
        }
    };
}
pub(crate) use endpoint;

/// What is asked for by its id, or 404.
fn found<T>(sought: Sought<T>, kind: Kind) -> Result<T, Error> {
    let Sought { id, found } = sought;
    found.ok_or_else(|| IdentityError::NotFound(kind, id).into())
}

/// The text of a fresh id.
fn fresh_id(moment: &mut Moment) -> String {
    RoleId::from_random(moment.id()).as_str().to_owned()
}

/// The part of a list that the query asks for.
fn page(call: &Call) -> Result<Page, Error> {
    let limit = match call.query.last("limit") {
        None => None,
        Some(text) => match text.parse::<i64>() {
            Ok(limit) if limit > 0 => Some(limit),
            Ok(_) | Err(_) => {
                return Err(Fault::bad_request(format!(
                    "Invalid input for field 'limit': '{text}' is not a positive integer"
                ))
                .into());
            }
        },
    };
    Ok(Page { marker: call.query.last("marker").map(str::to_owned), limit })
}

/// The link to the part after this one, where there may be one.
fn next(call: &Call, page: &Page, path: &str, count: usize, last: Option<&str>) -> Option<String> {
    let limit = page.limit.filter(|limit| usize::try_from(*limit).is_ok_and(|limit| limit == count))?;
    let encoded = crate::api::query::percent_encoded;
    let mut query = String::new();
    for (name, value) in call.query.iter().filter(|(name, _)| !matches!(*name, "marker" | "limit")) {
        query.push_str(&format!("{}={}&", encoded(name), encoded(value)));
    }
    Some(link(call, &format!("/{path}?{query}limit={limit}&marker={}", encoded(last?))))
}

/// The filters among these that the query names: query name, column. A flag that stands alone means yes.
fn filters<'a>(
    call: &'a Call,
    texts: &[(&'static str, &'static str)],
    flags: &[&'static str],
) -> Vec<(&'static str, Value<'a>)> {
    let mut filters: Vec<(&'static str, Value<'a>)> = Vec::new();
    for (name, column) in texts {
        filters.extend(call.query.last(name).map(|value| (*column, Value::from(value))));
    }
    for name in flags {
        filters.extend(call.query.last(name).map(|value| (*name, Value::from(body::is_true(value)))));
    }
    filters
}

/// Whether the query says yes to something.
fn asks(call: &Call, name: &str) -> bool {
    call.query.iter().any(|(known, value)| known == name && body::is_true(value))
}

/// An absolute link to something of version 3.
fn link(call: &Call, tail: &str) -> String {
    call.link(&format!("/v3{tail}"))
}

/// `{"user": {…, "links": {"self": …}}}`.
fn member(call: &Call, collection: &str, name: &str, object: Object) -> Json {
    json_object! { name: linked(call, collection, object) }.into()
}

/// An object with the link to itself.
fn linked(call: &Call, collection: &str, mut object: Object) -> Object {
    let id = object.get("id").and_then(Json::as_str).unwrap_or_default();
    let own = link(call, &format!("/{collection}/{id}"));
    object.insert("links", json_object! { "self": own });
    object
}

/// `{"users": […], "links": {"next": null, "self": …, "previous": null}}`, each with the link to itself.
fn list(call: &Call, collection: &str, objects: Vec<Object>, next: Option<String>) -> Json {
    let members: Vec<Object> = objects.into_iter().map(|object| linked(call, collection, object)).collect();
    unlinked_list(call, collection, collection, members, next)
}

/// As `list`, where the members have their links already, or none; `name` is that of the list, `path` where it is.
fn unlinked_list(call: &Call, path: &str, name: &str, members: Vec<Object>, next: Option<String>) -> Json {
    let own = link(call, &format!("/{path}{}", query(call)));
    json_object! { name: members, "links": json_object! { "next": next, "self": own, "previous": None::<&str> } }.into()
}

/// The query as it was asked, for links.
fn query(call: &Call) -> String {
    let encoded = crate::api::query::percent_encoded;
    let pairs: Vec<String> =
        call.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}
