//! Which role implies which.

use super::{action, endpoint, found, link};
use crate::api::call::Call;
use crate::api::endpoint::{Error, delete, get, head, put};
use crate::api::fault::Fault;
use crate::identity::administration as verbs;
use crate::identity::error::Kind;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::identity::{Role, Sought};
use crate::store::Tx;
use crate::store::identity_admin::roles as rows;

const ALL: &str = "/v3/roles/{role_id}/implies";
const ONE: &str = "/v3/roles/{role_id}/implies/{implied_role_id}";

endpoint!(
    Inferences,
    get("/v3/role_inferences"),
    OK,
    [],
    policy::ListAll,
    () => Json,
    inferences,
    "Lists every role that implies others, with these."
);
endpoint!(List, get(ALL), OK, [], policy::List, () => Json, list_all, "Lists the roles that a role implies by itself.");
endpoint!(Put, put(ONE), CREATED, [409], policy::Create, () => Json, imply, "Has a role imply another.");
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows that a role implies another; 404 where it does not.");
endpoint!(Check, head(ONE), NO_CONTENT, [], policy::Check, () => (), check, "Answers 204 where a role implies another.");
endpoint!(Delete, delete(ONE), NO_CONTENT, [], policy::Delete, () => (), forget, "Has a role imply another no longer.");

fn short(call: &Call, role: &Role) -> Object {
    let own = link(call, &format!("/roles/{}", role.id));
    json_object! { "id": role.id.as_str(), "name": role.name.as_str(), "links": json_object! { "self": own } }
}

fn inferences(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    let mut all = Vec::new();
    for prior in rows::priors(tx)? {
        let implied = rows::implied(tx, prior.id.as_str())?;
        let implies: Json = implied.iter().map(|role| short(call, role)).collect();
        all.push(json_object! { "prior_role": short(call, &prior), "implies": implies });
    }
    Ok(json_object! { "role_inferences": all, "links": json_object! { "self": link(call, "/role_inferences") } }.into())
}

fn list_all(tx: &mut dyn Tx, sought: Sought<Role>, call: &Call, (): &()) -> Result<Json, Error> {
    let prior = found(sought, Kind::Role)?;
    let implied = rows::implied(tx, prior.id.as_str())?;
    let implies: Json = implied.iter().map(|role| short(call, role)).collect();
    let own = link(call, &format!("/roles/{}/implies", prior.id));
    Ok(json_object! {
        "role_inference": json_object! { "prior_role": short(call, &prior), "implies": implies },
        "links": json_object! { "self": own },
    }
    .into())
}

/// The two roles of a route.
fn both(tx: &mut dyn Tx, sought: Sought<Role>, call: &Call) -> Result<(Role, Role), Error> {
    let prior = found(sought, Kind::Role)?;
    let id = call.part("implied_role_id").to_owned();
    let implied = rows::get(tx, &id)?;
    Ok((prior, found(Sought { id, found: implied }, Kind::Role)?))
}

/// The two roles, where the first implies the second.
fn implying(tx: &mut dyn Tx, sought: Sought<Role>, call: &Call) -> Result<(Role, Role), Error> {
    let (prior, implied) = both(tx, sought, call)?;
    if rows::implied(tx, prior.id.as_str())?.iter().all(|role| role.id != implied.id) {
        return Err(Fault::not_found(format!("{} does not imply {}.", prior.id, implied.id)).into());
    }
    Ok((prior, implied))
}

fn shown(call: &Call, prior: &Role, implied: &Role) -> Json {
    let own = link(call, &format!("/roles/{}/implies/{}", prior.id, implied.id));
    json_object! {
        "role_inference": json_object! { "prior_role": short(call, prior), "implies": short(call, implied) },
        "links": json_object! { "self": own },
    }
    .into()
}

fn imply(tx: &mut dyn Tx, sought: Sought<Role>, call: &Call, (): &()) -> Result<Json, Error> {
    let (prior, implied) = both(tx, sought, call)?;
    verbs::imply(tx, &prior, &implied)?;
    Ok(shown(call, &prior, &implied))
}

fn show(tx: &mut dyn Tx, sought: Sought<Role>, call: &Call, (): &()) -> Result<Json, Error> {
    let (prior, implied) = implying(tx, sought, call)?;
    Ok(shown(call, &prior, &implied))
}

fn check(tx: &mut dyn Tx, sought: Sought<Role>, call: &Call, (): &()) -> Result<(), Error> {
    implying(tx, sought, call).map(|_| ())
}

fn forget(tx: &mut dyn Tx, sought: Sought<Role>, call: &Call, (): &()) -> Result<(), Error> {
    let (prior, implied) = implying(tx, sought, call)?;
    rows::forget_implication(tx, prior.id.as_str(), implied.id.as_str())?;
    Ok(())
}

/// keystone/common/policies/implied_role.py.
pub mod policy {
    use super::{Role, Sought, action};

    const READ: &str = "rule:admin_required or (role:reader and system_scope:all)";
    const WRITE: &str = "rule:admin_required";

    action!(
        ListAll(()),
        "list_role_inference_rules",
        READ,
        SystemOrProject,
        "List all associations between two roles."
    );
    action!(List(Sought<Role>), "list_implied_roles", READ, SystemOrProject, "List what a role implies.");
    action!(Get(Sought<Role>), "get_implied_role", READ, SystemOrProject, "Show that a role implies another.");
    action!(Check(Sought<Role>), "check_implied_role", READ, SystemOrProject, "Check that a role implies another.");
    action!(Create(Sought<Role>), "create_implied_role", WRITE, SystemOrProject, "Have a role imply another.");
    action!(
        Delete(Sought<Role>),
        "delete_implied_role",
        WRITE,
        SystemOrProject,
        "Have a role imply another no longer."
    );
}
