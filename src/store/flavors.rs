//! The SQL of flavors, of who has access to private ones, and of their extra specs.

use super::{Row, StoreError, Tx, Value, items, parsed};
use crate::model::flavor::Flavor;
use crate::model::ids::{FlavorId, ProjectId};
use crate::model::metadata::{Metadata, MetadataText};
use crate::model::time::Timestamp;
use crate::policy::Guarded;

const COLUMNS: &str = "id, name, description, memory_mb, vcpus, root_gb, ephemeral_gb, swap_mb, rxtx_factor, is_public, \
    disabled, extra_specs";

/// The flavor with this id.
///
/// # Errors
/// The engine's.
pub fn find(tx: &mut dyn Tx, id: &str) -> Result<Option<Guarded<Flavor>>, StoreError> {
    let Some(mut flavor) =
        tx.first(&format!("SELECT {COLUMNS} FROM flavors WHERE id = $1"), &[id.into()], |row| flavor(row))?
    else {
        return Ok(None);
    };
    if !flavor.is_public {
        flavor.projects = projects(tx, &flavor.flavorid)?;
    }
    Ok(Some(Guarded::new(flavor)))
}

fn flavor(row: &dyn Row) -> Result<Flavor, StoreError> {
    let number = |column| {
        let number = row.int(column)?;
        u32::try_from(number).map_err(|_| StoreError::Damaged(format!("a flavor with the number {number}")))
    };
    Ok(Flavor {
        flavorid: parsed(row, 0)?,
        name: row.text(1)?.to_owned(),
        description: row.text_or_null(2)?.map(str::to_owned),
        memory_mb: number(3)?,
        vcpus: number(4)?,
        root_gb: number(5)?,
        ephemeral_gb: number(6)?,
        swap: number(7)?,
        rxtx_factor: parsed(row, 8)?,
        is_public: row.flag(9)?,
        disabled: row.flag(10)?,
        extra_specs: items::map(row.text(11)?)?,
        projects: Vec::new(),
    })
}

/// Who may see the flavors of a list.
#[derive(Debug, Clone, Copy)]
pub enum Among<'a> {
    /// All there are.
    All,
    /// The public ones, and those this project was given access to.
    PublicAnd(Option<&'a ProjectId>),
    /// The private ones.
    Private,
}

/// By what a list of flavors is ordered; what is equal follows the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// `flavorid`.
    Id,
    /// `name`.
    Name,
    /// `description`, none first.
    Description,
    /// `memory_mb`.
    Memory,
    /// `vcpus`.
    Vcpus,
    /// `root_gb`.
    Root,
    /// `ephemeral_gb`.
    Ephemeral,
    /// `swap`.
    Swap,
    /// `is_public`.
    Public,
    /// `disabled`.
    Disabled,
    /// `rxtx_factor`.
    RxtxFactor,
    /// `created_at`.
    Created,
}

impl SortKey {
    fn expression(self) -> &'static str {
        match self {
            SortKey::Id => "id",
            SortKey::Name => "name",
            SortKey::Description => "coalesce(description, '')",
            SortKey::Memory => "memory_mb",
            SortKey::Vcpus => "vcpus",
            SortKey::Root => "root_gb",
            SortKey::Ephemeral => "ephemeral_gb",
            SortKey::Swap => "swap_mb",
            SortKey::Public => "is_public",
            SortKey::Disabled => "disabled",
            SortKey::RxtxFactor => "CAST(rxtx_factor AS DOUBLE PRECISION)",
            SortKey::Created => "created_at",
        }
    }
}

/// Which flavors of all, and in which order.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose eyes.
    pub among: Among<'a>,
    /// Whether disabled ones are among them.
    pub with_disabled: bool,
    /// At least so much memory, in MiB.
    pub memory_mb_min: i64,
    /// At least so large a root disk, in GiB.
    pub root_gb_min: i64,
    /// In which order.
    pub sort: SortKey,
    /// Whether the largest comes first.
    pub descending: bool,
    /// Only what comes after this one.
    pub after: Option<&'a FlavorId>,
    /// At most so many.
    pub limit: i64,
}

/// A page of flavors; `projects` stays empty in each.
///
/// # Errors
/// The engine's.
pub fn list(tx: &mut dyn Tx, wanted: &Wanted<'_>) -> Result<Vec<Flavor>, StoreError> {
    let key = wanted.sort.expression();
    let (direction, beyond) = if wanted.descending { ("DESC", "<") } else { ("ASC", ">") };
    let mut parameters: Vec<Value<'_>> = vec![wanted.memory_mb_min.into(), wanted.root_gb_min.into()];
    let mut sql = format!("SELECT {COLUMNS} FROM flavors WHERE memory_mb >= $1 AND root_gb >= $2");
    match wanted.among {
        Among::All => {}
        Among::Private => sql.push_str(" AND is_public = 0"),
        Among::PublicAnd(project) => {
            parameters.push(project.map_or("", ProjectId::as_str).into());
            sql.push_str(
                " AND (is_public = 1 OR EXISTS (SELECT 1 FROM flavor_access \
                 WHERE flavor_id = flavors.id AND project_id = $3))",
            );
        }
    }
    if !wanted.with_disabled {
        sql.push_str(" AND disabled = 0");
    }
    if let Some(after) = wanted.after {
        parameters.push(after.as_str().into());
        sql.push_str(&format!(
            " AND ({key}, id) {beyond} (SELECT {key}, id FROM flavors WHERE id = ${})",
            parameters.len()
        ));
    }
    parameters.push(wanted.limit.into());
    sql.push_str(&format!(" ORDER BY {key} {direction}, id {direction} LIMIT ${}", parameters.len()));
    tx.all(&sql, &parameters, |row| flavor(row))
}

/// Whether a flavor has this name.
///
/// # Errors
/// The engine's.
pub fn has_name(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.number("SELECT count(*) FROM flavors WHERE name = $1", &[name.into()])? > 0)
}

/// Adds a flavor whose id and name are new.
///
/// # Errors
/// The engine's; `Duplicate` where they are not.
pub fn insert(tx: &mut dyn Tx, flavor: &Flavor, now: Timestamp) -> Result<(), StoreError> {
    let (factor, specs) = (flavor.rxtx_factor.to_string(), MetadataText::of(&flavor.extra_specs));
    tx.execute(
        &format!(
            "INSERT INTO flavors ({COLUMNS}, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        ),
        &[
            flavor.flavorid.as_str().into(),
            flavor.name.as_str().into(),
            flavor.description.as_deref().into(),
            i64::from(flavor.memory_mb).into(),
            i64::from(flavor.vcpus).into(),
            i64::from(flavor.root_gb).into(),
            i64::from(flavor.ephemeral_gb).into(),
            i64::from(flavor.swap).into(),
            factor.as_str().into(),
            flavor.is_public.into(),
            flavor.disabled.into(),
            specs.as_json().into(),
            now.microseconds().into(),
        ],
    )?;
    Ok(())
}

/// Writes the description.
///
/// # Errors
/// The engine's.
pub fn save_description(tx: &mut dyn Tx, id: &FlavorId, description: Option<&str>) -> Result<(), StoreError> {
    tx.execute("UPDATE flavors SET description = $1 WHERE id = $2", &[description.into(), id.as_str().into()])?;
    Ok(())
}

/// Writes all extra specs.
///
/// # Errors
/// The engine's.
pub fn save_extra_specs(tx: &mut dyn Tx, id: &FlavorId, specs: &Metadata) -> Result<(), StoreError> {
    let text = MetadataText::of(specs);
    tx.execute("UPDATE flavors SET extra_specs = $1 WHERE id = $2", &[text.as_json().into(), id.as_str().into()])?;
    Ok(())
}

/// Removes a flavor and who had access to it. Servers keep what they were made with.
///
/// # Errors
/// The engine's.
pub fn remove(tx: &mut dyn Tx, id: &FlavorId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM flavor_access WHERE flavor_id = $1", &[id.as_str().into()])?;
    tx.execute("DELETE FROM flavors WHERE id = $1", &[id.as_str().into()])?;
    Ok(())
}

/// The projects that were given access.
///
/// # Errors
/// The engine's.
pub fn projects(tx: &mut dyn Tx, id: &FlavorId) -> Result<Vec<ProjectId>, StoreError> {
    tx.all(
        "SELECT project_id FROM flavor_access WHERE flavor_id = $1 ORDER BY project_id",
        &[id.as_str().into()],
        |row| parsed(row, 0),
    )
}

/// Gives a project access; says whether it had none before.
///
/// # Errors
/// The engine's.
pub fn grant(tx: &mut dyn Tx, id: &FlavorId, project: &ProjectId) -> Result<bool, StoreError> {
    let granted = tx.execute(
        "INSERT INTO flavor_access (flavor_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &[id.as_str().into(), project.as_str().into()],
    )?;
    Ok(granted > 0)
}

/// Takes a project's access away; says whether it had any.
///
/// # Errors
/// The engine's.
pub fn revoke(tx: &mut dyn Tx, id: &FlavorId, project: &ProjectId) -> Result<bool, StoreError> {
    let revoked = tx.execute(
        "DELETE FROM flavor_access WHERE flavor_id = $1 AND project_id = $2",
        &[id.as_str().into(), project.as_str().into()],
    )?;
    Ok(revoked > 0)
}
