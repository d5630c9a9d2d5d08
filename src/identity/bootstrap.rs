//! What a cloud has from its first start: a domain, roles, an administrator and somebody to try things with.

use super::Error;
use super::secret::Secret;
use crate::json::Object;
use crate::model::identity::{CatalogEndpoint, Region, Service};
use crate::model::ids::{ProjectId, RoleId, UserId};
use crate::model::moment::Moment;
use crate::store::identity_admin::catalog;
use crate::store::{Tx, identity_admin as rows};

/// Roles from the mightiest to the least; each implies the next (Keystone's bootstrap).
pub const ROLES: [&str; 4] = ["admin", "manager", "member", "reader"];

/// Who is there after the first start.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// Name of the user, and of the project.
    pub name: &'static str,
    /// The role on that project.
    pub role: &'static str,
    /// The user's id.
    pub user: UserId,
    /// The password's hash.
    pub password_hash: String,
}

/// A newcomer's way in, for `clouds.yaml`.
#[derive(Debug, Clone)]
pub struct Login {
    /// Name of the user, and of the project.
    pub name: &'static str,
    /// The user's id.
    pub user: UserId,
    /// The password.
    pub password: Secret,
}

/// Whether the cloud has been started before.
///
/// # Errors
/// The store's.
pub fn has_begun(tx: &mut dyn Tx) -> Result<bool, Error> {
    Ok(rows::has_domain(tx, "default")?)
}

/// The services of the catalog: type, the name that clients look for, where below this server's address, and what it is.
const SERVICES: [(&str, &str, &str, &str); 4] = [
    ("compute", "nova", "/v2.1", "OpenStack Compute"),
    ("image", "glance", "/image", "OpenStack Image"),
    ("identity", "keystone", "/identity", "OpenStack Identity"),
    ("network", "neutron", "/network", "OpenStack Network"),
];

/// Makes the domain, the roles, the newcomers with a project each, and the catalog. The administrator is one of the system, too.
///
/// # Errors
/// The store's.
pub fn begin(tx: &mut dyn Tx, moment: &mut Moment, newcomers: &[Newcomer], region: &str) -> Result<(), Error> {
    fill_catalog(tx, moment, region)?;
    rows::insert_domain(tx, "default", "Default", "The default domain")?;
    let mut prior: Option<RoleId> = None;
    let mut roles = Vec::new();
    for name in ROLES.iter().chain(&["service"]) {
        let role = RoleId::from_random(moment.id());
        rows::insert_role(tx, &role, name)?;
        if let Some(prior) = prior.filter(|_| *name != "service") {
            rows::insert_implication(tx, &prior, &role)?;
        }
        prior = Some(role.clone());
        roles.push((*name, role));
    }
    for newcomer in newcomers {
        let (user, project) = (&newcomer.user, ProjectId::from_random(moment.id()));
        rows::insert_user(tx, user, newcomer.name, &newcomer.password_hash, moment.now)?;
        rows::insert_project(tx, &project, newcomer.name)?;
        let (_, role) = roles.iter().find(|(name, _)| *name == newcomer.role).expect("newcomers have one of ROLES");
        rows::insert_grant(tx, user, "project", project.as_str(), role)?;
        if newcomer.role == "admin" {
            rows::insert_grant(tx, user, "system", "all", role)?;
            rows::insert_grant(tx, user, "domain", "default", role)?;
        }
    }
    Ok(())
}

fn fill_catalog(tx: &mut dyn Tx, moment: &mut Moment, region: &str) -> Result<(), Error> {
    let region =
        Region { id: region.to_owned(), description: String::new(), parent_region_id: None, extra: Object::new() };
    catalog::put_region(tx, &region)?;
    // catalog ids look like all other ids of Identity
    let mut id = || RoleId::from_random(moment.id()).as_str().to_owned();
    for (service_type, name, path, description) in SERVICES {
        let service = Service {
            id: id(),
            service_type: service_type.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            enabled: true,
            extra: Object::new(),
        };
        catalog::put_service(tx, &service)?;
        for interface in ["public", "internal", "admin"] {
            let endpoint = CatalogEndpoint {
                id: id(),
                service_id: service.id.clone(),
                interface: interface.to_owned(),
                url: format!("$(public_url)s{path}"),
                region_id: Some(region.id.clone()),
                enabled: true,
                name: String::new(),
                extra: Object::new(),
            };
            catalog::put_endpoint(tx, &endpoint)?;
        }
    }
    Ok(())
}
