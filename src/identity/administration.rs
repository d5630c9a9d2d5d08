//! What may be done to domains, projects, users, roles and the catalog, beyond what a rule decides: names that are taken, parents that
//! must exist, and what goes with what is deleted. Not here: who may (policy), and what clients say and read (api).

use super::Error;
use super::catalog::{Gaps, filled};
use super::error::{Barred, Conflict, Kind};
use crate::model::identity::{CatalogEndpoint, Domain, Project, Region, Role, User};
use crate::model::time::Timestamp;
use crate::store::identity_admin::{catalog, domains, projects, roles, users};
use crate::store::{StoreError, Tx};

/// What a duplicate key means here.
fn unless_taken(result: Result<(), StoreError>, conflict: impl FnOnce() -> Conflict) -> Result<(), Error> {
    result.map_err(|error| match error {
        StoreError::Duplicate(_) => Error::Duplicate(conflict()),
        error => Error::Store(error),
    })
}

/// Adds a domain.
///
/// # Errors
/// `Duplicate`.
pub fn create_domain(tx: &mut dyn Tx, domain: &Domain) -> Result<(), Error> {
    unless_taken(domains::insert(tx, domain), || Conflict::Domain(domain.name.clone()))
}

/// Changes a domain.
///
/// # Errors
/// `Duplicate`.
pub fn update_domain(tx: &mut dyn Tx, domain: &Domain) -> Result<(), Error> {
    unless_taken(domains::update(tx, domain), || Conflict::Domain(domain.name.clone()))
}

/// Deletes a domain with everything in it.
///
/// # Errors
/// `DomainEnabled` where it was not disabled first.
pub fn delete_domain(tx: &mut dyn Tx, domain: &Domain) -> Result<(), Error> {
    if domain.enabled {
        return Err(Error::Forbidden(Barred::DomainEnabled));
    }
    Ok(domains::delete(tx, domain.id.as_str())?)
}

/// Adds a project. Its parent is a project of the same domain, or the domain itself.
///
/// # Errors
/// `NotFoundInBody`, `Duplicate`.
pub fn create_project(tx: &mut dyn Tx, project: &Project) -> Result<(), Error> {
    let domain = project.domain_id.as_str();
    domains::get(tx, domain)?.ok_or_else(|| Error::NotFoundInBody(Kind::Domain, domain.to_owned()))?;
    if project.parent_id != domain {
        let parent = projects::get(tx, &project.parent_id)?;
        let parent = parent.ok_or_else(|| Error::NotFoundInBody(Kind::Project, project.parent_id.clone()))?;
        if parent.domain_id != project.domain_id {
            return Err(Error::SenselessValue(
                "Cannot create project, since it specifies its domain_id, but specifies a parent in a different domain: ",
                parent.domain_id.as_str().to_owned(),
            ));
        }
    }
    unless_taken(projects::insert(tx, project), || taken_project(project))
}

fn taken_project(project: &Project) -> Conflict {
    Conflict::Project { name: project.name.clone(), id: project.id.as_str().to_owned() }
}

/// Changes a project.
///
/// # Errors
/// `Duplicate`.
pub fn update_project(tx: &mut dyn Tx, project: &Project) -> Result<(), Error> {
    unless_taken(projects::update(tx, project), || taken_project(project))
}

/// Deletes a project, what is granted on it, and its application credentials.
///
/// # Errors
/// `NotALeaf`.
pub fn delete_project(tx: &mut dyn Tx, id: &str) -> Result<(), Error> {
    if projects::has_children(tx, id)? {
        return Err(Error::Forbidden(Barred::NotALeaf(id.to_owned())));
    }
    Ok(projects::delete(tx, id)?)
}

/// Adds a user.
///
/// # Errors
/// `NotFound` for the domain, `Duplicate`.
pub fn create_user(tx: &mut dyn Tx, user: &User, hash: Option<&str>, now: Timestamp) -> Result<(), Error> {
    let domain = user.domain_id.as_str();
    domains::get(tx, domain)?.ok_or_else(|| Error::NotFound(Kind::Domain, domain.to_owned()))?;
    unless_taken(users::insert(tx, user, hash, now), || taken_user(user))
}

fn taken_user(user: &User) -> Conflict {
    Conflict::User { name: user.name.clone(), domain_id: user.domain_id.as_str().to_owned() }
}

/// Another password: none, or one with this hash.
pub type NewPassword = Option<Option<String>>;

/// Changes a user. Their tokens are void once they are disabled or have another password.
///
/// # Errors
/// `Duplicate`.
pub fn update_user(
    tx: &mut dyn Tx,
    before: &User,
    user: &User,
    password: &NewPassword,
    now: Timestamp,
) -> Result<(), Error> {
    unless_taken(users::update(tx, user), || taken_user(user))?;
    if before.enabled && !user.enabled {
        users::void_tokens(tx, user.id.as_str(), now)?;
    }
    if let Some(hash) = password {
        users::set_password(tx, user.id.as_str(), hash.as_deref(), now)?;
    }
    Ok(())
}

/// Adds a role.
///
/// # Errors
/// `Duplicate`.
pub fn create_role(tx: &mut dyn Tx, role: &Role) -> Result<(), Error> {
    if let Some(domain) = &role.domain_id {
        domains::get(tx, domain)?.ok_or_else(|| Error::NotFound(Kind::Domain, domain.clone()))?;
    }
    unless_taken(roles::insert(tx, role), || Conflict::Role(role.name.clone()))
}

/// Changes a role.
///
/// # Errors
/// `Duplicate`.
pub fn update_role(tx: &mut dyn Tx, role: &Role) -> Result<(), Error> {
    unless_taken(roles::update(tx, role), || Conflict::Role(role.name.clone()))
}

/// Has a role imply another.
///
/// # Errors
/// `Implication` where the implied one is `admin` (Keystone's prohibited_implied_role), `Duplicate`.
pub fn imply(tx: &mut dyn Tx, prior: &Role, implied: &Role) -> Result<(), Error> {
    if implied.name == "admin" || (prior.domain_id.is_none() && implied.domain_id.is_some()) {
        return Err(Error::Forbidden(Barred::Implication(implied.id.as_str().to_owned())));
    }
    unless_taken(roles::imply(tx, prior.id.as_str(), implied.id.as_str()), || Conflict::Implication)
}

/// Adds an endpoint or writes it anew.
///
/// # Errors
/// `Missing` where its service or region is not there, `SenselessValue` where its URL has gaps that nothing fills.
pub fn put_endpoint(tx: &mut dyn Tx, endpoint: &CatalogEndpoint) -> Result<(), Error> {
    let missing = |attribute: &str, of| Error::Missing { attribute: attribute.to_owned(), of };
    catalog::service(tx, &endpoint.service_id)?.ok_or_else(|| missing("endpoint service_id", "service table"))?;
    if let Some(region) = &endpoint.region_id {
        catalog::region(tx, region)?.ok_or_else(|| missing("endpoint region_id", "region table"))?;
    }
    let gaps = Gaps { public_url: "http://localhost", user_id: "user", project_id: Some("project") };
    if filled(&endpoint.url, gaps).is_none() {
        let sentence = "Cannot create an endpoint with an invalid URL: ";
        return Err(Error::SenselessValue(sentence, format!("{}.", endpoint.url)));
    }
    Ok(catalog::put_endpoint(tx, endpoint)?)
}

/// Adds a region.
///
/// # Errors
/// `Duplicate`, `NotFound` for the region around it.
pub fn create_region(tx: &mut dyn Tx, region: &Region) -> Result<(), Error> {
    if catalog::region(tx, &region.id)?.is_some() {
        return Err(Error::Duplicate(Conflict::Region(region.id.clone())));
    }
    update_region(tx, region)
}

/// Writes a region anew.
///
/// # Errors
/// `NotFound` for the region around it, `SenselessValue` where that one is inside this one.
pub fn update_region(tx: &mut dyn Tx, region: &Region) -> Result<(), Error> {
    if let Some(parent) = &region.parent_region_id {
        catalog::region(tx, parent)?.ok_or_else(|| Error::NotFound(Kind::Region, parent.clone()))?;
        if catalog::region_with_children(tx, &region.id)?.contains(parent) {
            let sentence = "The specified parent region would create a circular region hierarchy: ";
            return Err(Error::SenselessValue(sentence, parent.clone()));
        }
    }
    Ok(catalog::put_region(tx, region)?)
}

/// Deletes a region with those inside it.
///
/// # Errors
/// `RegionInUse` where one of them has endpoints.
pub fn delete_region(tx: &mut dyn Tx, id: &str) -> Result<(), Error> {
    let all = catalog::region_with_children(tx, id)?;
    for region in &all {
        if !catalog::endpoints(tx, &[("region_id", region.into())], &Default::default())?.is_empty() {
            return Err(Error::Forbidden(Barred::RegionInUse(id.to_owned())));
        }
    }
    for region in &all {
        catalog::delete_region(tx, region)?;
    }
    Ok(())
}
