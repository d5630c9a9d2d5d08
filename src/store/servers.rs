//! The SQL of servers. Their rows lie in the order of `number`, which is read from the id (`ServerId::number`): whoever has an id finds the
//! row without an index. The id is compared as well, as numbers are a part of it only. Lists are in `list`.

mod list;

pub use list::{BATCH, Existing, Key, Place, Selection, page, place, walk};

use super::{Row, StoreError, Tx, Value, items, parsed, parsed_or_null, server_details};
use crate::model::ids::{ProjectId, ServerId, UserId};
use crate::model::metadata::MetadataText;
use crate::model::server::{PowerState, ServerState, TaskState, VmState};
use crate::model::server_metadata::ServerMetadata;
use crate::model::server_record::Server;
use crate::model::time::Timestamp;
use crate::policy::Guarded;

/// What metadata operations need to know of a server that is not deleted.
///
/// # Errors
/// The engine's.
pub fn metadata_of(tx: &mut dyn Tx, id: ServerId) -> Result<Option<Guarded<ServerMetadata>>, StoreError> {
    tx.first(
        "SELECT project_id, vm_state, task_state, launched_at, locked, metadata FROM servers \
         WHERE number = $1 AND id = $2 AND deleted = 0",
        &[id.number().into(), id.to_string().as_str().into()],
        |row| {
            Ok(Guarded::new(ServerMetadata {
                id,
                project_id: parsed(row, 0)?,
                vm_state: parsed(row, 1)?,
                task_state: parsed_or_null(row, 2)?,
                launched: !row.is_null(3),
                locked: row.flag(4)?,
                items: items::text(row.text(5)?)?,
            }))
        },
    )
}

/// Writes the whole map.
///
/// # Errors
/// The engine's.
pub fn save_metadata(tx: &mut dyn Tx, id: ServerId, items: &MetadataText, now: Timestamp) -> Result<(), StoreError> {
    tx.change(
        "UPDATE servers SET metadata = $1, updated_at = $2 WHERE number = $3",
        &[items.as_json().into(), now.microseconds().into(), id.number().into()],
    )
}

const COLUMNS: &str = "id, project_id, user_id, name, vm_state, task_state, power_state, progress, old_vm_state, deleted, \
     image_id, metadata, details, created_at, updated_at, launched_at, terminated_at, deleted_at";

fn server(row: &dyn Row) -> Result<Server, StoreError> {
    let moment = |column| Ok(row.int_or_null(column)?.map(Timestamp::from_microseconds));
    let damaged = |what: &str| StoreError::Damaged(format!("{what} of a server"));
    let power = u8::try_from(row.int(6)?).ok().and_then(PowerState::from_number);
    let (details, flavor, lock) = server_details::from_text(row.text(12)?)?;
    Ok(Server {
        id: parsed(row, 0)?,
        project_id: parsed(row, 1)?,
        user_id: parsed(row, 2)?,
        name: row.text(3)?.to_owned(),
        state: ServerState {
            vm_state: parsed(row, 4)?,
            task_state: parsed_or_null(row, 5)?,
            power_state: power.ok_or_else(|| damaged("power_state"))?,
            progress: u8::try_from(row.int(7)?).map_err(|_| damaged("progress"))?,
            old_vm_state: parsed_or_null(row, 8)?,
            launched_at: moment(15)?,
            terminated_at: moment(16)?,
            deleted_at: moment(17)?,
        },
        lock,
        deleted: row.flag(9)?,
        image_id: parsed_or_null(row, 10)?,
        flavor,
        metadata: items::map(row.text(11)?)?,
        created_at: Timestamp::from_microseconds(row.int(13)?),
        updated_at: Timestamp::from_microseconds(row.int(14)?),
        details,
    })
}

/// A server that is not deleted.
///
/// # Errors
/// The engine's.
pub fn find(tx: &mut dyn Tx, id: ServerId) -> Result<Option<Guarded<Server>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM servers WHERE number = $1 AND id = $2 AND deleted = 0");
    tx.first(&sql, &[id.number().into(), id.to_string().as_str().into()], |row| Ok(Guarded::new(server(row)?)))
}

/// Whether a server, gone or not, has the number of this id.
///
/// # Errors
/// The engine's.
pub fn has_number_of(tx: &mut dyn Tx, id: ServerId) -> Result<bool, StoreError> {
    Ok(tx.first("SELECT 1 FROM servers WHERE number = $1", &[id.number().into()], |_| Ok(()))?.is_some())
}

/// Remembers a new server.
///
/// # Errors
/// The engine's.
pub fn insert(tx: &mut dyn Tx, server: &Server) -> Result<(), StoreError> {
    let sql = "INSERT INTO servers (project_id, user_id, name, vm_state, task_state, power_state, progress, old_vm_state, locked, \
               deleted, image_id, flavor_id, vcpus, memory_mb, metadata, details, updated_at, launched_at, terminated_at, \
               deleted_at, number, id, created_at) VALUES \
               ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";
    write(tx, sql, server, true)
}

/// Writes a server that was there: everything but its id and when it was made.
///
/// # Errors
/// The engine's.
pub fn save(tx: &mut dyn Tx, server: &Server) -> Result<(), StoreError> {
    let sql = "UPDATE servers SET project_id = $1, user_id = $2, name = $3, vm_state = $4, task_state = $5, power_state = $6, \
               progress = $7, old_vm_state = $8, locked = $9, deleted = $10, image_id = $11, flavor_id = $12, vcpus = $13, \
               memory_mb = $14, metadata = $15, details = $16, updated_at = $17, launched_at = $18, terminated_at = $19, \
               deleted_at = $20 WHERE number = $21";
    write(tx, sql, server, false)
}

fn write(tx: &mut dyn Tx, sql: &str, server: &Server, is_new: bool) -> Result<(), StoreError> {
    let moment = |moment: Option<Timestamp>| Value::from(moment.map(Timestamp::microseconds));
    let image = server.image_id.map(|id| id.to_string());
    let (metadata, details) = (MetadataText::of(&server.metadata), server_details::to_text(server));
    let state = &server.state;
    let mut values: Vec<Value<'_>> = vec![
        server.project_id.as_str().into(),
        server.user_id.as_str().into(),
        server.name.as_str().into(),
        state.vm_state.as_str().into(),
        state.task_state.map(TaskState::as_str).into(),
        i64::from(state.power_state.number()).into(),
        i64::from(state.progress).into(),
        state.old_vm_state.map(VmState::as_str).into(),
        server.lock.is_some().into(),
        server.deleted.into(),
        image.as_deref().into(),
        server.flavor.flavorid.as_str().into(),
        i64::from(server.flavor.vcpus).into(),
        i64::from(server.flavor.memory_mb).into(),
        metadata.as_json().into(),
        details.as_str().into(),
        server.updated_at.microseconds().into(),
        moment(state.launched_at),
        moment(state.terminated_at),
        moment(state.deleted_at),
        server.id.number().into(),
    ];
    let id = server.id.to_string();
    if is_new {
        values.push(id.as_str().into());
        values.push(server.created_at.microseconds().into());
    }
    tx.change(sql, &values)
}

/// What a project, or one of its users, has in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Servers.
    pub instances: i64,
    /// Their virtual processors.
    pub cores: i64,
    /// Their memory, in MiB.
    pub ram: i64,
}

/// What the servers of a project use, of one of its users if one is named; those that can only be restored do not count.
///
/// # Errors
/// The engine's.
pub fn used(tx: &mut dyn Tx, project: &ProjectId, user: Option<&UserId>) -> Result<Used, StoreError> {
    let found = tx.first(
        "SELECT count(*), CAST(sum(vcpus) AS BIGINT), CAST(sum(memory_mb) AS BIGINT) FROM servers \
         WHERE project_id = $1 AND deleted = 0 AND vm_state <> 'soft-delete' AND ($2 = '' OR user_id = $2)",
        &[project.as_str().into(), user.map_or("", UserId::as_str).into()],
        |row| {
            let sum = |column| Ok::<i64, StoreError>(row.int_or_null(column)?.unwrap_or(0));
            Ok(Used { instances: sum(0)?, cores: sum(1)?, ram: sum(2)? })
        },
    )?;
    Ok(found.unwrap_or_default())
}
