//! Identity's endpoints, one file per resource, and what they share: links, lists, and rules in Keystone's words.

pub mod auth;
mod claims;
pub mod document;
pub mod tokens;
pub mod versions;
mod views;

use super::call::Call;
use super::endpoint::{Operation, errand, row};
use crate::json::{Json, Object};
use crate::json_object;

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
