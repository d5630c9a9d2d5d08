//! What is done to flavors. Who may is decided before; here is what must hold of the flavors themselves.

use super::Error;
use crate::model::flavor::Flavor;
use crate::model::ids::ProjectId;
use crate::model::metadata::Metadata;
use crate::model::time::Timestamp;
use crate::store::{Tx, flavors};

/// What keeps a flavor from being made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlavorError {
    /// No such flavor, or none that the caller may know of; as named in the URL.
    NotFound(String),
    /// The name is taken.
    NameExists(String),
    /// The id is taken.
    IdExists(String),
    /// Everybody has access to a public flavor: nobody is on its list.
    NoListOfPublic,
    /// Everybody has access to a public flavor: nobody needs to be given it.
    NoAccessToPublic,
    /// The project has access already.
    AccessExists(Access),
    /// The project has no access that could be taken.
    AccessNotFound(Access),
    /// The flavor has no such extra spec.
    ExtraSpecNotFound {
        /// Id of the flavor.
        flavor: String,
        /// The key.
        key: String,
    },
}

/// A flavor and a project that has, or has not, access to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Id of the flavor.
    pub flavor: String,
    /// Id of the project.
    pub project: String,
}

impl Access {
    fn of(flavor: &Flavor, project: &str) -> Access {
        Access { flavor: flavor.flavorid.to_string(), project: project.to_owned() }
    }
}

/// Makes a flavor.
///
/// # Errors
/// Where its id or its name is taken, in this order.
pub fn create(tx: &mut dyn Tx, flavor: &Flavor, now: Timestamp) -> Result<(), Error> {
    if flavors::find(tx, flavor.flavorid.as_str())?.is_some() {
        return Err(FlavorError::IdExists(flavor.flavorid.to_string()).into());
    }
    if flavors::has_name(tx, &flavor.name)? {
        return Err(FlavorError::NameExists(flavor.name.clone()).into());
    }
    Ok(flavors::insert(tx, flavor, now)?)
}

/// The projects with access to a private flavor.
///
/// # Errors
/// Where it is public.
pub fn access_list(flavor: &Flavor) -> Result<&[ProjectId], Error> {
    if flavor.is_public { Err(FlavorError::NoListOfPublic.into()) } else { Ok(&flavor.projects) }
}

/// Gives a project access; gives all who have it.
///
/// # Errors
/// Where the project has it already.
pub fn give_access(tx: &mut dyn Tx, flavor: &Flavor, project: &ProjectId) -> Result<Vec<ProjectId>, Error> {
    if !flavors::grant(tx, &flavor.flavorid, project)? {
        return Err(FlavorError::AccessExists(Access::of(flavor, project.as_str())).into());
    }
    Ok(flavors::projects(tx, &flavor.flavorid)?)
}

/// Takes a project's access away; gives all who still have it.
///
/// # Errors
/// Where the project has none.
pub fn take_access(tx: &mut dyn Tx, flavor: &Flavor, project: &str) -> Result<Vec<ProjectId>, Error> {
    let taken = project.parse().ok().map(|project| flavors::revoke(tx, &flavor.flavorid, &project)).transpose()?;
    if taken != Some(true) {
        return Err(FlavorError::AccessNotFound(Access::of(flavor, project)).into());
    }
    Ok(flavors::projects(tx, &flavor.flavorid)?)
}

/// Adds or changes extra specs.
///
/// # Errors
/// The store's.
pub fn merge_extra_specs(tx: &mut dyn Tx, flavor: Flavor, specs: Metadata) -> Result<(), Error> {
    let merged = flavor.extra_specs.merged(specs);
    Ok(flavors::save_extra_specs(tx, &flavor.flavorid, &merged)?)
}

/// The value of an extra spec.
///
/// # Errors
/// Where there is none under this key.
pub fn extra_spec<'a>(flavor: &'a Flavor, key: &str) -> Result<&'a str, Error> {
    flavor.extra_specs.get(key).ok_or_else(|| no_extra_spec(flavor, key))
}

/// Removes an extra spec.
///
/// # Errors
/// Where there is none under this key.
pub fn delete_extra_spec(tx: &mut dyn Tx, flavor: &Flavor, key: &str) -> Result<(), Error> {
    let rest = flavor.extra_specs.clone().without(key).ok_or_else(|| no_extra_spec(flavor, key))?;
    Ok(flavors::save_extra_specs(tx, &flavor.flavorid, &rest)?)
}

fn no_extra_spec(flavor: &Flavor, key: &str) -> Error {
    FlavorError::ExtraSpecNotFound { flavor: flavor.flavorid.to_string(), key: key.to_owned() }.into()
}
