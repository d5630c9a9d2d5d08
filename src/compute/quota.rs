//! Whether the quota has room for servers: instances, cores and memory, of the project and, where one is set, of the user
//! (nova/compute/utils.py, `check_num_instances_quota`).

use super::Error;
use super::limits::{self, Defaults};
use super::servers::Refusal;
use crate::model::flavor::Flavor;
use crate::model::ids::{ProjectId, UserId};
use crate::store::servers::{self, Used};
use crate::store::{StoreError, Tx};

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Of this flavor.
    pub flavor: &'a Flavor,
    /// At least so many.
    pub min_count: i64,
    /// At most so many.
    pub max_count: i64,
}

/// What there is no room for, each part a list with `, ` between the resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// The resources.
    pub overs: String,
    /// How much was wanted.
    pub requested: String,
    /// How much is in use.
    pub used: String,
    /// How much is allowed.
    pub allowed: String,
}

/// One resource: wanted for one server, in use, allowed.
struct Resource {
    name: &'static str,
    each: i64,
    used: i64,
    /// `None`: any number.
    limit: Option<i64>,
}

impl Resource {
    fn room(&self) -> i64 {
        self.limit.map_or(i64::MAX, |limit| limit - self.used)
    }

    fn is_over(&self, count: i64) -> bool {
        self.each.saturating_mul(count) > self.room()
    }
}

/// How many of the wanted servers there is room for.
///
/// # Errors
/// `OverQuota` where that is less than the least that will do.
pub fn room_for(
    tx: &mut dyn Tx,
    defaults: &impl Defaults,
    project: &ProjectId,
    user: &UserId,
    demand: &Demand<'_>,
) -> Result<i64, Error> {
    let resources = resources(tx, defaults, project, user, demand.flavor)?;
    if !resources.iter().any(|resource| resource.is_over(demand.max_count)) {
        return Ok(demand.max_count);
    }
    let fitting =
        |resource: &Resource| if resource.each > 0 { resource.room().div_euclid(resource.each) } else { i64::MAX };
    let room = resources.iter().map(fitting).min().unwrap_or(i64::MAX);
    if room > 0 && (demand.min_count..=demand.max_count).contains(&room) {
        return Ok(room);
    }
    Err(Refusal::OverQuota(over(&resources, demand)).into())
}

/// Whether a server may grow from one flavor to another.
///
/// # Errors
/// `OverQuota`.
pub fn room_to_grow(
    tx: &mut dyn Tx,
    defaults: &impl Defaults,
    project: &ProjectId,
    user: &UserId,
    (from, to): (&Flavor, &Flavor),
) -> Result<(), Error> {
    let mut grown = resources(tx, defaults, project, user, to)?;
    for resource in &mut grown {
        resource.each = match resource.name {
            "cores" => i64::from(to.vcpus) - i64::from(from.vcpus),
            "ram" => i64::from(to.memory_mb) - i64::from(from.memory_mb),
            _ => 0,
        };
    }
    grown.retain(|resource| resource.each > 0);
    if grown.iter().any(|resource| resource.is_over(1)) {
        let demand = Demand { flavor: to, min_count: 1, max_count: 1 };
        return Err(Refusal::OverQuota(over(&grown, &demand)).into());
    }
    Ok(())
}

/// In the order in which sentences name them.
fn resources(
    tx: &mut dyn Tx,
    defaults: &impl Defaults,
    project: &ProjectId,
    user: &UserId,
    flavor: &Flavor,
) -> Result<Vec<Resource>, StoreError> {
    let (mut of_project, mut of_user) = (None, None);
    let mut found = Vec::new();
    for (name, each) in [("cores", i64::from(flavor.vcpus)), ("instances", 1), ("ram", i64::from(flavor.memory_mb))] {
        let limits = limits::both(tx, defaults, project, user, name)?;
        let mut bounded = |told: i64, user: Option<&UserId>, known: &mut Option<Used>| {
            let limit = (told >= 0).then_some(told);
            // all servers of a project are looked at for this: not where any number is allowed
            let used = if limit.is_some() { used_of(name, tx, project, user, known)? } else { 0 };
            Ok::<_, StoreError>(Resource { name, each, used, limit })
        };
        let by_project = bounded(limits.project, None, &mut of_project)?;
        let by_user = limits.user.map(|limit| bounded(limit, Some(user), &mut of_user)).transpose()?;
        // the narrower one counts
        found.push(match by_user {
            Some(by_user) if by_user.room() < by_project.room() => by_user,
            Some(_) | None => by_project,
        });
    }
    Ok(found)
}

/// How much of a resource is in use, which is asked for once.
fn used_of(
    name: &str,
    tx: &mut dyn Tx,
    project: &ProjectId,
    user: Option<&UserId>,
    known: &mut Option<Used>,
) -> Result<i64, StoreError> {
    let used = match known {
        Some(used) => *used,
        None => *known.insert(servers::used(tx, project, user)?),
    };
    Ok(match name {
        "cores" => used.cores,
        "instances" => used.instances,
        _ => used.ram,
    })
}

fn over(resources: &[Resource], demand: &Demand<'_>) -> Over {
    let over: Vec<&Resource> = resources.iter().filter(|resource| resource.is_over(demand.max_count)).collect();
    let list =
        |text: &dyn Fn(&Resource) -> String| over.iter().map(|resource| text(resource)).collect::<Vec<_>>().join(", ");
    let requested = |resource: &Resource| match resource.name {
        "instances" if demand.min_count != demand.max_count => format!("{}-{}", demand.min_count, demand.max_count),
        _ => resource.each.saturating_mul(demand.max_count).to_string(),
    };
    Over {
        overs: list(&|resource| resource.name.to_owned()),
        requested: list(&requested),
        used: list(&|resource| resource.used.to_string()),
        allowed: list(&|resource| resource.limit.unwrap_or(-1).to_string()),
    }
}
