//! A server as its metadata sees it: the map, and what decides whether it may change.

use super::ids::{ProjectId, ServerId};
use super::metadata::MetadataText;
use super::server::{TaskState, VmState};

/// A server, as far as its metadata is concerned.
#[derive(Debug, Clone)]
pub struct ServerMetadata {
    /// Which server.
    pub id: ServerId,
    /// Whose.
    pub project_id: ProjectId,
    /// Its state.
    pub vm_state: VmState,
    /// What is being done with it.
    pub task_state: Option<TaskState>,
    /// Whether it has ever been up.
    pub launched: bool,
    /// Whether it is locked.
    pub locked: bool,
    /// The map.
    pub items: MetadataText,
}
