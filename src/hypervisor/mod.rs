//! The machines: what a driver must be able to do to guests. Which guests there should be is decided above; a driver
//! never sees the database. It does what it is told and answers with facts.
//!
//! Every call can be made again: after a crash, work that was under way is started over from its first call.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use crate::model::disk_config::DiskConfig;
use crate::model::ids::{ImageId, ServerId};
use crate::model::server::PowerState;

pub mod fake;

/// Work that goes on; boxed, so that drivers can be chosen at run time.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, DriverError>> + Send + 'a>>;

/// The bytes of a snapshot, as they come.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, DriverError>> + Send>>;

/// What a guest should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Whose guest.
    pub id: ServerId,
    /// The server's name; the guest's host name comes from it.
    pub name: String,
    /// The image its root disk is made from; `None`: an empty disk.
    pub image: Option<ImageId>,
    /// Memory, in MiB.
    pub memory_mb: u32,
    /// Virtual processors.
    pub vcpus: u32,
    /// The root disk, in GiB; 0: as large as the image.
    pub root_gb: u32,
    /// A second, empty disk, in GiB; 0: none.
    pub ephemeral_gb: u32,
    /// A swap disk, in MiB; 0: none.
    pub swap_mb: u32,
    /// Whether the root partition is grown to the disk.
    pub disk_config: DiskConfig,
    /// What the guest was last known to do: for drivers whose guests do not outlive the process.
    pub power: PowerState,
}

/// A change of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PowerOp {
    /// Ask it to switch itself off, and switch it off if it does not.
    SoftOff,
    /// Switch it off.
    HardOff,
    /// Ask it to restart; a guest that does not is switched off and on.
    SoftReboot,
    /// Switch it off and on, whatever it does.
    HardReboot,
    /// Hold it, in memory.
    Pause,
    /// Let it run on.
    Unpause,
    /// Put its memory on disk and switch it off.
    Suspend,
    /// Take its memory from disk.
    Resume,
}

/// What is asked of a driver, by name: for errors, logs and faults in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// [`Driver::build`]
    Build,
    /// [`Driver::start`]
    Start,
    /// [`Driver::attach`]
    Attach,
    /// [`Driver::power`]
    Power(PowerOp),
    /// [`Driver::snapshot`]
    Snapshot,
    /// [`Driver::resize_disk`]
    ResizeDisk,
    /// [`Driver::rescue`]
    Rescue,
    /// [`Driver::unrescue`]
    Unrescue,
    /// [`Driver::console`]
    Console,
    /// [`Driver::destroy`]
    Destroy,
}

/// Why a driver could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// There is no such guest: it was never built, or is destroyed, or the process does not know it any more.
    #[error("there is no guest of server {0}")]
    NoGuest(ServerId),
    /// This driver cannot do it at all.
    #[error("this driver has no {0:?}")]
    Unsupported(Op),
    /// It was tried.
    #[error("{op:?} of server {id} failed: {reason}")]
    Failed {
        /// What was tried.
        op: Op,
        /// On whose guest.
        id: ServerId,
        /// What went wrong; for the log, not for clients.
        reason: String,
    },
}

/// A copy of a guest's root disk.
pub struct Snapshot {
    /// `raw`, `qcow2`: the `disk_format` of the image.
    pub disk_format: &'static str,
    /// How many bytes will come, where that is known.
    pub bytes: Option<u64>,
    /// The bytes.
    pub chunks: Chunks,
}

/// Runs guests.
///
/// A power state in an answer is what was seen after the work, not what was asked for.
pub trait Driver: Send + Sync {
    /// What it is called in `os-hypervisors`.
    fn hypervisor_type(&self) -> &'static str;

    /// Whether guests go on while no process of ours runs, and may have changed by themselves: then all are looked at after a start.
    fn outlives_process(&self) -> bool;

    /// Makes the guest's disks and whatever else it needs, without starting it. A guest that is there keeps its disks
    /// and what it does, and takes the new memory and processors when it is next started: so a server is resized.
    /// What an earlier call left unfinished is made anew. Another image needs another guest: destroy this one first.
    fn build<'a>(&'a self, spec: &'a Spec) -> Doing<'a, ()>;

    /// Starts a guest that is built; one that runs is left running.
    fn start(&self, id: ServerId) -> Doing<'_, PowerState>;

    /// Finds a guest again after a restart of the process; `None`: there is none.
    fn attach<'a>(&'a self, spec: &'a Spec) -> Doing<'a, Option<PowerState>>;

    /// Changes the power of a guest; one that is already there is left so.
    fn power(&self, id: ServerId, op: PowerOp) -> Doing<'_, PowerState>;

    /// Copies the root disk, as it is at one moment.
    fn snapshot(&self, id: ServerId) -> Doing<'_, Snapshot>;

    /// Grows the root disk to so many bytes, and its partition too if that is AUTO. A disk never shrinks.
    fn resize_disk(&self, id: ServerId, bytes: u64, disk_config: DiskConfig) -> Doing<'_, ()>;

    /// Starts the guest from a rescue image (`None`: the one it was made from), with its own disk as the second.
    fn rescue(&self, id: ServerId, image: Option<ImageId>) -> Doing<'_, PowerState>;

    /// Starts the guest from its own disk again.
    fn unrescue(&self, id: ServerId) -> Doing<'_, PowerState>;

    /// What the guest has printed on its console: the last so many lines (`None`: all that is kept). Any bytes.
    fn console(&self, id: ServerId, lines: Option<usize>) -> Doing<'_, Vec<u8>>;

    /// Removes the guest and everything of it; one that is gone is left so.
    fn destroy(&self, id: ServerId) -> Doing<'_, ()>;
}
