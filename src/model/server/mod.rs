//! A server as a machine: its states, what clients are told about them, what each state permits, and how an action
//! begins and ends. A server's name, addresses and owner are elsewhere.

pub mod action;
pub mod lock;
pub mod state;
pub mod status;
pub mod work;

pub use action::{ServerAction, StateRefusal, permits};
pub use lock::{Lock, LockedBy};
pub use state::{PowerState, TaskState, VmState};
pub use status::{Status, StatusFilter};
pub use work::{Outcome, Preempted, ServerState, advance, begin, finish};
