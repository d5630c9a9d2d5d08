//! The metadata of a server: read as one value, changed by a pure function, written as one value, in one transaction. So no two
//! writers can lose each other's keys.

use super::Error;
use super::limits::Limit;
use crate::model::metadata::{Metadata, MetadataItem, MetadataText};
use crate::model::server::{ServerAction, permits};
use crate::model::server_metadata::ServerMetadata;
use crate::model::time::Timestamp;
use crate::store::{Tx, servers};

/// What bounds a change.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// When it happens.
    pub now: Timestamp,
    /// Whether the caller is an administrator, whom a lock does not stop.
    pub ignores_lock: bool,
    /// The caller's quota.
    pub limit: Limit,
}

/// Adds or changes items; gives the whole map.
///
/// # Errors
/// Where lock, state or quota are in the way, in this order.
pub fn merge(
    tx: &mut dyn Tx,
    server: ServerMetadata,
    items: &Metadata,
    bounds: &Bounds,
) -> Result<MetadataText, Error> {
    change(tx, server, bounds, |before| before.merged(items))
}

/// Makes the map exactly this.
///
/// # Errors
/// As `merge`.
pub fn replace(
    tx: &mut dyn Tx,
    server: ServerMetadata,
    items: &Metadata,
    bounds: &Bounds,
) -> Result<MetadataText, Error> {
    change(tx, server, bounds, |_| MetadataText::of(items))
}

/// Adds or changes one item.
///
/// # Errors
/// As `merge`.
pub fn put_item(tx: &mut dyn Tx, server: ServerMetadata, item: &MetadataItem, bounds: &Bounds) -> Result<(), Error> {
    change(tx, server, bounds, |before| before.with(item)).map(|_| ())
}

fn change(
    tx: &mut dyn Tx,
    server: ServerMetadata,
    bounds: &Bounds,
    change: impl FnOnce(MetadataText) -> MetadataText,
) -> Result<MetadataText, Error> {
    permit(&server, ServerAction::UpdateMetadata, bounds)?;
    let after = change(server.items).within(bounds.limit.enforced);
    let after = after.map_err(|_| Error::TooManyItems { told: bounds.limit.told })?;
    servers::save_metadata(tx, server.id, &after, bounds.now)?;
    Ok(after)
}

/// Removes one item. Unlike Nova it counts as a change of the server, which `changes-since` then finds.
///
/// # Errors
/// Where there is no such item, or lock or state are in the way, in this order.
pub fn delete_item(tx: &mut dyn Tx, server: ServerMetadata, key: &str, bounds: &Bounds) -> Result<(), Error> {
    let after = server.items.clone().without(key).ok_or(Error::MetadataItemNotFound)?;
    permit(&server, ServerAction::DeleteMetadata, bounds)?;
    Ok(servers::save_metadata(tx, server.id, &after, bounds.now)?)
}

fn permit(server: &ServerMetadata, action: ServerAction, bounds: &Bounds) -> Result<(), Error> {
    if server.locked && !bounds.ignores_lock {
        return Err(Error::Locked(server.id));
    }
    permits(action, server.vm_state, server.task_state, server.launched)
        .map_err(|refusal| Error::State(server.id, action, refusal))
}
