//! What projects, users and classes may have at most: reading it, setting it, giving it back to the defaults.
//! How a limit is enforced is in `limits`.

use super::Error;
use super::limits::Defaults;
use crate::model::ids::{ProjectId, UserId};
use crate::store::quotas::{self, Limits};
use crate::store::servers::{self, Used};
use crate::store::{StoreError, Tx};

/// Every resource that has a limit, in the order in which quota sets name them. Those of nova-network are only told.
pub const RESOURCES: [&str; 14] = [
    "cores",
    "fixed_ips",
    "floating_ips",
    "injected_file_content_bytes",
    "injected_file_path_bytes",
    "injected_files",
    "instances",
    "key_pairs",
    "metadata_items",
    "ram",
    "security_group_rules",
    "security_groups",
    "server_group_members",
    "server_groups",
];

/// Resources whose limit is the project's even where a user is named (nova/db/main/api.py, PER_PROJECT_QUOTAS).
const OF_PROJECTS_ONLY: [&str; 2] = ["fixed_ips", "floating_ips"];

/// What keeps a limit from being set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaError {
    /// There is no such project; as named in the URL.
    ProjectNotFound(String),
    /// Less than is in use, or was given to users.
    TooLow(Bound),
    /// More than the project has left to give.
    TooHigh(Bound),
}

/// A limit that was refused, and the one that it would have to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Of what.
    pub resource: String,
    /// What was asked for; -1 is any number.
    pub limit: i64,
    /// The least or the most that is possible; -1 is any number.
    pub bound: i64,
}

/// Whose limits.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The project.
    pub project: &'a ProjectId,
    /// One of its users; `None` for the project itself.
    pub user: Option<&'a UserId>,
}

/// A resource with its limit and how much of it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The resource.
    pub resource: &'static str,
    /// At most so many; -1 is any number.
    pub limit: i64,
    /// How many there are; 0 for what is not counted by project.
    pub in_use: i64,
}

/// The project, if there is one of this id.
///
/// # Errors
/// Where there is none.
pub fn project(tx: &mut dyn Tx, id: &str) -> Result<ProjectId, Error> {
    let exists = quotas::project_exists(tx, id)?;
    let project = exists.then(|| id.parse().ok()).flatten();
    project.ok_or_else(|| QuotaError::ProjectNotFound(id.to_owned()).into())
}

/// What applies where nothing was set for a project: the class `default`, else the settings.
///
/// # Errors
/// The store's.
pub fn defaults(tx: &mut dyn Tx, defaults: &impl Defaults) -> Result<Vec<(&'static str, i64)>, StoreError> {
    of_class(tx, defaults, "default")
}

/// The limits of a class, and the settings where it has none.
///
/// # Errors
/// The store's.
pub fn of_class(
    tx: &mut dyn Tx,
    defaults: &impl Defaults,
    class: &str,
) -> Result<Vec<(&'static str, i64)>, StoreError> {
    let set = quotas::set_for_class(tx, class)?;
    let limit = |resource| set.get(resource).copied().unwrap_or_else(|| defaults.default_of(resource));
    Ok(RESOURCES.map(|resource| (resource, limit(resource))).to_vec())
}

/// All limits of a project, or of one of its users, with what is in use.
///
/// # Errors
/// The store's.
pub fn of(tx: &mut dyn Tx, base: &impl Defaults, holder: Holder<'_>) -> Result<Vec<Quota>, StoreError> {
    let mut set = quotas::set_for(tx, holder.project, None)?;
    if holder.user.is_some() {
        set.extend(quotas::set_for(tx, holder.project, holder.user)?);
    }
    let used = servers::used(tx, holder.project, holder.user)?;
    let all = defaults(tx, base)?.into_iter();
    Ok(all
        .map(|(resource, default)| Quota {
            resource,
            limit: set.get(resource).copied().unwrap_or(default),
            in_use: count(used, resource),
        })
        .collect())
}

fn count(used: Used, resource: &str) -> i64 {
    match resource {
        "instances" => used.instances,
        "cores" => used.cores,
        "ram" => used.ram,
        _ => 0,
    }
}

/// Sets limits, each within what is possible, all of them or none.
///
/// # Errors
/// `TooLow` and `TooHigh`.
pub fn set(tx: &mut dyn Tx, base: &impl Defaults, holder: Holder<'_>, wanted: &[(String, i64)]) -> Result<(), Error> {
    let of_project = of(tx, base, Holder { user: None, ..holder })?;
    let given = quotas::given_to_users(tx, holder.project)?;
    let of_user = match holder.user {
        Some(user) => Some((of(tx, base, holder)?, quotas::set_for(tx, holder.project, Some(user))?)),
        None => None,
    };
    for (resource, limit) in wanted {
        let Some(project) = of_project.iter().find(|quota| quota.resource == resource) else { continue };
        let remains = project.limit - given.get(resource.as_str()).copied().unwrap_or(0);
        let (least, most) = match &of_user {
            Some((quotas, own)) => bounds_of_user(quotas, own, resource, remains),
            None => (minus(project.limit, remains).max(project.in_use), -1),
        };
        check(resource, *limit, least, most)?;
    }
    force(tx, holder, wanted)
}

/// A user has at least what they use, and at most what the project has left beside what they have already.
fn bounds_of_user(quotas: &[Quota], own: &Limits, resource: &str, remains: i64) -> (i64, i64) {
    let in_use = quotas.iter().find(|quota| quota.resource == resource).map_or(0, |quota| quota.in_use);
    let own = own.get(resource).copied().unwrap_or(0);
    (in_use, if is_unlimited(remains) || is_unlimited(own) { -1 } else { remains + own })
}

fn minus(limit: i64, remains: i64) -> i64 {
    if is_unlimited(limit) || is_unlimited(remains) { -1 } else { limit - remains }
}

fn is_unlimited(limit: i64) -> bool {
    limit <= -1
}

fn check(resource: &str, limit: i64, least: i64, most: i64) -> Result<(), Error> {
    let endless = |limit: i64| if limit == -1 { i64::MAX } else { limit };
    let refusal = |bound| Bound { resource: resource.to_owned(), limit, bound };
    if endless(limit) < endless(least) {
        return Err(QuotaError::TooLow(refusal(least)).into());
    }
    if endless(limit) > endless(most) {
        return Err(QuotaError::TooHigh(refusal(most)).into());
    }
    Ok(())
}

/// Sets limits whatever is in use.
///
/// # Errors
/// The store's.
pub fn force(tx: &mut dyn Tx, holder: Holder<'_>, wanted: &[(String, i64)]) -> Result<(), Error> {
    for (resource, limit) in wanted {
        let user = holder.user.filter(|_| !OF_PROJECTS_ONLY.contains(&resource.as_str()));
        quotas::set(tx, holder.project, user, resource, *limit)?;
    }
    Ok(())
}

/// Sets limits of a class.
///
/// # Errors
/// The store's.
pub fn set_class(tx: &mut dyn Tx, class: &str, wanted: &[(String, i64)]) -> Result<(), Error> {
    for (resource, limit) in wanted {
        quotas::set_class(tx, class, resource, *limit)?;
    }
    Ok(())
}
