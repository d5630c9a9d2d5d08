//! The SQL of servers.

use super::{StoreError, Tx, items, parsed, parsed_or_null};
use crate::model::ids::ServerId;
use crate::model::metadata::Metadata;
use crate::model::server_metadata::ServerMetadata;
use crate::model::time::Timestamp;
use crate::policy::Guarded;

/// What metadata operations need to know of a server that is not deleted.
///
/// # Errors
/// The engine's.
pub fn metadata_of(tx: &mut dyn Tx, id: ServerId) -> Result<Option<Guarded<ServerMetadata>>, StoreError> {
    tx.first(
        "SELECT project_id, vm_state, task_state, launched_at, locked, metadata FROM servers WHERE id = $1 AND deleted = 0",
        &[id.to_string().as_str().into()],
        |row| {
            Ok(Guarded::new(ServerMetadata {
                id,
                project_id: parsed(row, 0)?,
                vm_state: parsed(row, 1)?,
                task_state: parsed_or_null(row, 2)?,
                launched: !row.is_null(3),
                locked: row.flag(4)?,
                items: items::from_text(row.text(5)?)?,
            }))
        },
    )
}

/// Writes the whole map.
///
/// # Errors
/// The engine's.
pub fn save_metadata(tx: &mut dyn Tx, id: ServerId, items: &Metadata, now: Timestamp) -> Result<(), StoreError> {
    let text = items::to_text(items);
    tx.execute(
        "UPDATE servers SET metadata = $1, updated_at = $2 WHERE id = $3",
        &[text.as_str().into(), now.microseconds().into(), id.to_string().as_str().into()],
    )?;
    Ok(())
}
