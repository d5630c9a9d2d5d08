//! As much of Network as clients of Compute insist on. This cloud has no networks, and says so: lists are empty, and nothing can be
//! made. Every project has its default security group.

pub mod absent;
pub mod extensions;
pub mod quotas;
pub mod security_groups;
pub mod versions;

use super::call::Call;
use super::endpoint::{Error, Operation, row};
use super::fault::Fault;
use crate::json::{Json, Object};
use crate::json_object;

/// All of them.
pub const ROWS: &[&dyn Operation] = &[
    row::<versions::List>(),
    row::<versions::Resources>(),
    row::<versions::ResourcesWithSlash>(),
    row::<absent::Networks>(),
    row::<absent::Network>(),
    row::<absent::Subnets>(),
    row::<absent::Subnet>(),
    row::<absent::Ports>(),
    row::<absent::Port>(),
    row::<absent::Routers>(),
    row::<absent::Router>(),
    row::<absent::FloatingIps>(),
    row::<absent::FloatingIp>(),
    row::<security_groups::List>(),
    row::<security_groups::Show>(),
    row::<security_groups::Delete>(),
    row::<security_groups::ListRules>(),
    row::<security_groups::ShowRule>(),
    row::<extensions::List>(),
    row::<extensions::Show>(),
    row::<quotas::Show>(),
    row::<quotas::Defaults>(),
];

/// Neutron's 404 with the name of its exception.
fn not_found(name: &'static str, message: String) -> Error {
    Fault { name: Some(name), ..Fault::not_found(message) }.into()
}

/// `{"networks": […]}`: those that the query's filters let through, each with the members that `fields` names.
fn listed(call: &Call, name: &str, objects: Vec<Object>) -> Json {
    let kept: Vec<Object> =
        objects.into_iter().filter(|object| fits(call, object)).map(|it| chosen(call, it)).collect();
    json_object! { name: kept }.into()
}

/// `{"network": {…}}` with the members that `fields` names.
fn shown(call: &Call, name: &str, object: Object) -> Json {
    json_object! { name: chosen(call, object) }.into()
}

/// A parameter that names a member is a filter: the member is one of the values given. Others are ignored.
fn fits(call: &Call, object: &Object) -> bool {
    object.iter().all(|(name, member)| {
        let mut values = call.query.all(name).peekable();
        values.peek().is_none() || values.any(|value| is(member, value))
    })
}

fn is(member: &Json, value: &str) -> bool {
    match member {
        Json::String(text) => text == value,
        Json::Bool(truth) => value.eq_ignore_ascii_case(if *truth { "true" } else { "false" }),
        Json::Null => value.is_empty(),
        Json::Number(_) | Json::Array(_) | Json::Object(_) => member.to_string() == value,
    }
}

fn chosen(call: &Call, mut object: Object) -> Object {
    let fields: Vec<&str> = call.query.all("fields").filter(|field| !field.is_empty()).collect();
    if !fields.is_empty() {
        object.retain(|name, _| fields.contains(&name));
    }
    object
}
