//! Grants: roles of users on projects, on domains, and on the system.

use super::{action, endpoint, unlinked_list, views};
use crate::api::call::Call;
use crate::api::endpoint::{Error, Locate, delete, get, head, put};
use crate::identity::error::{Error as IdentityError, Kind};
use crate::json::Json;
use crate::model::identity::{GrantSought, Ground};
use crate::policy::Guarded;
use crate::store::Tx;
use crate::store::identity_admin::{domains, grants as rows, projects, roles, users};

/// The five endpoints of one ground.
macro_rules! ground {
    ($all:literal, $one:literal, $what:literal, $list:ident $give:ident $show:ident $check:ident $take:ident,
     $read:ty, $look:ty, $write:ty, $revoke:ty) => {
        endpoint!($list, get($all), OK, [], $read, () => Json, list_all,
            concat!("Lists the roles granted to a user on ", $what, "; what these imply is not listed."));
        endpoint!($give, put($one), NO_CONTENT, [], $write, () => (), give,
            concat!("Gives a user a role on ", $what, ". Given twice is given."));
        endpoint!($show, get($one), NO_CONTENT, [], $look, () => (), check,
            concat!("Answers 204 where a user has a role on ", $what, "."));
        endpoint!($check, head($one), NO_CONTENT, [], $look, () => (), check,
            concat!("Answers 204 where a user has a role on ", $what, ", without a body."));
        endpoint!($take, delete($one), NO_CONTENT, [], $revoke, () => (), take,
            concat!("Takes a role on ", $what, " from a user, at once."));
    };
}

ground!(
    "/v3/projects/{project_id}/users/{user_id}/roles",
    "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}",
    "a project",
    ListOnProject GiveOnProject ShowOnProject CheckOnProject TakeOnProject,
    policy::List, policy::Check, policy::Create, policy::Revoke
);
ground!(
    "/v3/domains/{domain_id}/users/{user_id}/roles",
    "/v3/domains/{domain_id}/users/{user_id}/roles/{role_id}",
    "a domain",
    ListOnDomain GiveOnDomain ShowOnDomain CheckOnDomain TakeOnDomain,
    policy::List, policy::Check, policy::Create, policy::Revoke
);
ground!(
    "/v3/system/users/{user_id}/roles",
    "/v3/system/users/{user_id}/roles/{role_id}",
    "the system",
    ListOnSystem GiveOnSystem ShowOnSystem CheckOnSystem TakeOnSystem,
    policy::ListOnSystem, policy::CheckOnSystem, policy::CreateOnSystem, policy::RevokeOnSystem
);

/// That everything a grant names is there, in the order in which Keystone looks.
fn complete(grant: &GrantSought) -> Result<(), IdentityError> {
    let missing = |kind, id: &String| Err(IdentityError::NotFound(kind, id.clone()));
    match grant {
        _ if !grant.role_id.is_empty() && grant.role.is_none() => missing(Kind::Role, &grant.role_id),
        _ if grant.user.is_none() => missing(Kind::User, &grant.user_id),
        GrantSought { ground: Ground::Project, project: None, .. } => missing(Kind::Project, &grant.ground_id),
        GrantSought { ground: Ground::Domain, domain: None, .. } => missing(Kind::Domain, &grant.ground_id),
        _ => Ok(()),
    }
}

fn list_all(tx: &mut dyn Tx, grant: GrantSought, call: &Call, (): &()) -> Result<Json, Error> {
    complete(&grant)?;
    let mut members = Vec::new();
    for role in rows::roles(tx, &grant.user_id, grant.ground.as_str(), &grant.ground_id)? {
        if let Some(role) = roles::get(tx, &role.id)? {
            members.push(super::linked(call, "roles", views::role(role)));
        }
    }
    let path = match grant.ground {
        Ground::Project => format!("projects/{}/users/{}/roles", grant.ground_id, grant.user_id),
        Ground::Domain => format!("domains/{}/users/{}/roles", grant.ground_id, grant.user_id),
        Ground::System => format!("system/users/{}/roles", grant.user_id),
    };
    Ok(unlinked_list(call, &path, "roles", members, None))
}

fn give(tx: &mut dyn Tx, grant: GrantSought, _: &Call, (): &()) -> Result<(), Error> {
    complete(&grant)?;
    if grant.ground == Ground::System && grant.role.as_ref().is_some_and(|role| role.domain_id.is_some()) {
        return Err(IdentityError::Senseless(
            "The role is a domain-specific role. Unable to use a domain-specific role in a system assignment.",
        )
        .into());
    }
    Ok(rows::give(tx, &grant.user_id, grant.ground.as_str(), &grant.ground_id, &grant.role_id)?)
}

fn check(tx: &mut dyn Tx, grant: GrantSought, _: &Call, (): &()) -> Result<(), Error> {
    complete(&grant)?;
    let held = rows::roles(tx, &grant.user_id, grant.ground.as_str(), &grant.ground_id)?;
    if held.iter().any(|role| role.id == grant.role_id) { Ok(()) } else { Err(not_granted(grant)) }
}

fn take(tx: &mut dyn Tx, grant: GrantSought, _: &Call, (): &()) -> Result<(), Error> {
    complete(&grant)?;
    let taken = rows::take(tx, &grant.user_id, grant.ground.as_str(), &grant.ground_id, &grant.role_id)?;
    if taken { Ok(()) } else { Err(not_granted(grant)) }
}

fn not_granted(grant: GrantSought) -> Error {
    IdentityError::NotGranted { role: grant.role_id, user: grant.user_id, on: grant.ground_id }.into()
}

impl Locate for GrantSought {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        let (project_id, domain_id) = (call.part("project_id"), call.part("domain_id"));
        let (ground, ground_id) = match (project_id, domain_id) {
            ("", "") => (Ground::System, "all"),
            ("", domain) => (Ground::Domain, domain),
            (project, _) => (Ground::Project, project),
        };
        Ok(Guarded::new(GrantSought {
            ground,
            ground_id: ground_id.to_owned(),
            user_id: call.part("user_id").to_owned(),
            role_id: call.part("role_id").to_owned(),
            user: users::get(tx, call.part("user_id"))?,
            project: if ground == Ground::Project { projects::get(tx, ground_id)? } else { None },
            domain: if ground == Ground::Domain { domains::get(tx, ground_id)? } else { None },
            role: roles::get(tx, call.part("role_id"))?,
        }))
    }

    fn missing(call: &Call) -> Error {
        IdentityError::NotFound(Kind::User, call.part("user_id").to_owned()).into()
    }
}

/// keystone/common/policies/grant.py, without its groups.
pub mod policy {
    use super::{GrantSought, action};

    action!(
        Check(GrantSought),
        "check_grant",
        "(rule:admin_required) or ((role:reader and system_scope:all) or ((role:reader and domain_id:%(target.user.domain_id)s and \
         domain_id:%(target.project.domain_id)s) or (role:reader and domain_id:%(target.user.domain_id)s and \
         domain_id:%(target.domain.id)s)) and (domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s))",
        Any,
        "Check a role grant between a target and an actor."
    );
    action!(
        List(GrantSought),
        "list_grants",
        "(rule:admin_required) or ((role:reader and system_scope:all) or (role:reader and domain_id:%(target.user.domain_id)s and \
         domain_id:%(target.project.domain_id)s) or (role:reader and domain_id:%(target.user.domain_id)s and \
         domain_id:%(target.domain.id)s))",
        Any,
        "List roles granted to an actor on a target."
    );
    action!(
        Create(GrantSought),
        "create_grant",
        "(rule:admin_required) or ((role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or \
         (role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s)) and \
         rule:domain_managed_target_role",
        Any,
        "Create a role grant between a target and an actor."
    );
    action!(
        Revoke(GrantSought),
        "revoke_grant",
        "(rule:admin_required) or ((role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or \
         (role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s)) and \
         rule:domain_managed_target_role",
        Any,
        "Revoke a role grant between a target and an actor."
    );
    action!(
        ListOnSystem(GrantSought),
        "list_system_grants_for_user",
        "rule:admin_required or (role:reader and system_scope:all)",
        SystemOrProject,
        "List all grants a specific user has on the system."
    );
    action!(
        CheckOnSystem(GrantSought),
        "check_system_grant_for_user",
        "rule:admin_required or (role:reader and system_scope:all)",
        SystemOrProject,
        "Check if a user has a role on the system."
    );
    action!(
        CreateOnSystem(GrantSought),
        "create_system_grant_for_user",
        "rule:admin_required",
        SystemOrProject,
        "Grant a user a role on the system."
    );
    action!(
        RevokeOnSystem(GrantSought),
        "revoke_system_grant_for_user",
        "rule:admin_required",
        SystemOrProject,
        "Remove a role from a user on the system."
    );
}
