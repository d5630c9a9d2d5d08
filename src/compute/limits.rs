//! How much a project may have. The effective limit is the project's, else that of the class `default`, else the setting;
//! a user of the project may have a lower one of their own (metadata.md §2.5).

use crate::model::ids::{ProjectId, UserId};
use crate::store::{StoreError, Tx, quotas};

/// A limit as it is enforced, and as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// At most so many; `None` is any number.
    pub enforced: Option<usize>,
    /// What the sentence says.
    pub told: i64,
}

/// What applies where nobody has set anything: the settings of group `quota`, by resource.
pub trait Defaults {
    /// The default of a resource, -1 for any number.
    fn default_of(&self, resource: &str) -> i64;
}

/// How many metadata items this user may give a server or an image of this project.
///
/// # Errors
/// The store's.
pub fn metadata_items(
    tx: &mut dyn Tx,
    defaults: &impl Defaults,
    project: &ProjectId,
    user: &UserId,
) -> Result<Limit, StoreError> {
    of(tx, defaults, project, user, "metadata_items")
}

/// How much of a resource this user of this project may have at once.
///
/// # Errors
/// The store's.
pub fn of(
    tx: &mut dyn Tx,
    defaults: &impl Defaults,
    project: &ProjectId,
    user: &UserId,
    resource: &str,
) -> Result<Limit, StoreError> {
    let both = both(tx, defaults, project, user, resource)?;
    let bounds = [Some(both.project), both.user];
    let enforced = bounds.into_iter().flatten().filter_map(|limit| usize::try_from(limit).ok()).min();
    Ok(Limit { enforced, told: both.project })
}

/// A project's limit and, where one is set, that of one of its users; -1 is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Both {
    /// The project's.
    pub project: i64,
    /// The user's own.
    pub user: Option<i64>,
}

/// Both limits of a resource.
///
/// # Errors
/// The store's.
pub fn both(
    tx: &mut dyn Tx,
    defaults: &impl Defaults,
    project: &ProjectId,
    user: &UserId,
    resource: &str,
) -> Result<Both, StoreError> {
    let set = quotas::applying(tx, project, user, resource)?;
    let project = set.project.or(set.default_class).unwrap_or_else(|| defaults.default_of(resource));
    Ok(Both { project, user: set.user })
}
