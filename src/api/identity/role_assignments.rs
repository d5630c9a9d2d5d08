//! The list of who has which role on what.

use super::{action, asks, endpoint, link, unlinked_list};
use crate::api::call::Call;
use crate::api::endpoint::{Error, get};
use crate::identity::error::Error as IdentityError;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::identity::{Listing, Named};
use crate::store::identity;
use crate::store::identity_admin::grants::{Assignment, Sieve, assignments};
use crate::store::identity_admin::projects;
use crate::store::{StoreError, Tx};

endpoint!(
    List,
    get("/v3/role_assignments"),
    OK,
    [],
    policy::List,
    () => Json,
    list_all,
    "Lists role assignments, perhaps only those of a `user.id`, a `role.id`, a `scope.project.id`, a `scope.domain.id`, or on \
     `scope.system`. With `effective` those that follow from implied roles are listed too; with `include_names`, names."
);

/// An assignment, and the role it follows from where it was not given itself.
struct Entry {
    assignment: Assignment,
    prior: Option<Named>,
}

fn list_all(tx: &mut dyn Tx, listing: Listing, call: &Call, (): &()) -> Result<Json, Error> {
    let entries = entries(tx, call)?;
    let mut members = Vec::new();
    for entry in entries {
        if is_within(&listing, &entry.assignment) {
            members.push(shown(call, &entry, asks(call, "include_names")));
        }
    }
    Ok(unlinked_list(call, "role_assignments", "role_assignments", members, None))
}

/// Whether a caller from a domain may see an assignment: the domain's own, and those on its projects.
fn is_within(listing: &Listing, assignment: &Assignment) -> bool {
    let Some(domain) = &listing.domain_id else { return true };
    match assignment.kind.as_str() {
        "domain" => assignment.target.id == domain.as_str(),
        "project" => assignment.target_domain.id == domain.as_str(),
        _ => false,
    }
}

fn entries(tx: &mut dyn Tx, call: &Call) -> Result<Vec<Entry>, Error> {
    let asked = |name| call.query.last(name).filter(|value| !value.is_empty());
    let (project, domain, system) = (asked("scope.project.id"), asked("scope.domain.id"), asked("scope.system"));
    let both = |sentence| Err(IdentityError::Senseless(sentence).into());
    match (project, domain, system) {
        (Some(_), Some(_), _) => return both("Specify a domain or project, not both"),
        (_, Some(_), Some(_)) => return both("Specify system or domain, not both"),
        (Some(_), _, Some(_)) => return both("Specify system or project, not both"),
        _ => {}
    }
    if asked("user.id").is_some() && asked("group.id").is_some() {
        return both("Specify a user or group, not both");
    }
    // there are no groups and nothing is inherited, so whoever asks for such finds none
    if asked("group.id").is_some() || asked("scope.OS-INHERIT:inherited_to").is_some() {
        return Ok(Vec::new());
    }
    let subtree = asks(call, "include_subtree");
    if subtree && project.is_none() {
        return both("scope.project.id must be specified if include_subtree is also specified");
    }
    let effective = asks(call, "effective");
    let kind = project.map(|_| "project").or(domain.map(|_| "domain")).or(system.map(|_| "system"));
    let role = asked("role.id");
    let targets = match (project, subtree) {
        (Some(project), true) => tree(tx, project)?.into_iter().map(Some).collect(),
        _ => vec![project.or(domain).map(str::to_owned)],
    };
    let mut found = Vec::new();
    for target in &targets {
        // a role that is asked for may follow from another one
        let role = role.filter(|_| !effective);
        let sieve = Sieve { user: asked("user.id"), kind, target: target.as_deref(), role };
        found.extend(assignments(tx, &sieve)?.into_iter().map(|assignment| Entry { assignment, prior: None }));
    }
    if effective {
        found = with_implied(tx, found)?;
        found.retain(|entry| role.is_none_or(|role| entry.assignment.role.id == role));
    }
    Ok(found)
}

/// A project and all below it.
fn tree(tx: &mut dyn Tx, project: &str) -> Result<Vec<String>, StoreError> {
    let mut all = vec![project.to_owned()];
    let mut next = 0;
    while next < all.len() {
        let below = projects::list(tx, &[("parent_id", (&all[next]).into())], &Default::default())?;
        all.extend(below.into_iter().map(|project| project.id.as_str().to_owned()));
        next += 1;
    }
    Ok(all)
}

fn with_implied(tx: &mut dyn Tx, given: Vec<Entry>) -> Result<Vec<Entry>, StoreError> {
    let mut all = Vec::new();
    for entry in given {
        let prior = entry.assignment.role.clone();
        for role in identity::implied_closure(tx, &prior.id)? {
            if role.id != prior.id {
                let assignment = Assignment { role, ..entry.assignment.clone() };
                all.push(Entry { assignment, prior: Some(prior.clone()) });
            }
        }
        all.push(entry);
    }
    Ok(all)
}

fn shown(call: &Call, entry: &Entry, with_names: bool) -> Object {
    let it = &entry.assignment;
    let of = |named: &Named, domain: Option<&Named>| {
        let mut object = json_object! { "id": named.id.as_str() };
        if with_names {
            object.insert("name", named.name.as_str());
            if let Some(domain) = domain {
                object.insert("domain", json_object! { "id": domain.id.as_str(), "name": domain.name.as_str() });
            }
        }
        object
    };
    let (scope, path) = match it.kind.as_str() {
        "project" => {
            (json_object! { "project": of(&it.target, Some(&it.target_domain)) }, format!("/projects/{}", it.target.id))
        }
        "domain" => (json_object! { "domain": of(&it.target, None) }, format!("/domains/{}", it.target.id)),
        _ => (json_object! { "system": json_object! { "all": true } }, "/system".to_owned()),
    };
    let given = entry.prior.as_ref().unwrap_or(&it.role);
    let mut links =
        json_object! { "assignment": link(call, &format!("{path}/users/{}/roles/{}", it.user.id, given.id)) };
    if let Some(prior) = &entry.prior {
        links.insert("prior_role", link(call, &format!("/prior_role/{}/implies/{}", prior.id, it.role.id)));
    }
    json_object! {
        "links": links, "scope": scope, "user": of(&it.user, Some(&it.user_domain)), "role": of(&it.role, None),
    }
}

/// keystone/common/policies/role_assignment.py.
pub mod policy {
    use super::{Listing, action};

    action!(
        List(Listing),
        "list_role_assignments",
        "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)",
        Any,
        "List role assignments."
    );
}
