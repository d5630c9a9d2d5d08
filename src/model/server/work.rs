//! How an action changes the states of a server: at once, while its work goes on, and when that has ended, well or
//! not (nova/compute/api.py for the beginning, nova/compute/manager.py for the rest).

use super::action::ServerAction;
use super::state::{PowerState, TaskState, VmState};
use super::status::Status;
use crate::model::time::Timestamp;

/// Everything about a server that its actions change by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Where it stands.
    pub vm_state: VmState,
    /// What is being done to it.
    pub task_state: Option<TaskState>,
    /// What its machine was last seen to do.
    pub power_state: PowerState,
    /// How far the work is, in percent.
    pub progress: u8,
    /// Where it stood before a resize; only until that is confirmed or reverted.
    pub old_vm_state: Option<VmState>,
    /// When it last came up.
    pub launched_at: Option<Timestamp>,
    /// When its machine was removed for good.
    pub terminated_at: Option<Timestamp>,
    /// When it was deleted, also when it can still be restored.
    pub deleted_at: Option<Timestamp>,
}

/// How the work on a server ended, and what its machine was seen to do then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Done(PowerState),
    /// Not well.
    Failed(PowerState),
}

/// Another action has taken the server over: a delete, a hard reboot, an administrator's reset. What the former work
/// has to say no longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another action has taken the server over")]
pub struct Preempted;

impl ServerState {
    /// A server that was just asked for.
    pub const fn new() -> ServerState {
        ServerState {
            vm_state: VmState::Building,
            task_state: Some(TaskState::Scheduling),
            power_state: PowerState::NoState,
            progress: 0,
            old_vm_state: None,
            launched_at: None,
            terminated_at: None,
            deleted_at: None,
        }
    }

    /// What clients are told that it is.
    pub const fn status(&self) -> Status {
        Status::of(self.vm_state, self.task_state)
    }

    /// Whether it is being deleted: then another delete is accepted and adds nothing.
    pub const fn being_deleted(&self) -> bool {
        matches!(self.task_state, Some(TaskState::Deleting | TaskState::SoftDeleting))
    }

    fn rest(&mut self, vm_state: VmState, power: PowerState) {
        self.vm_state = vm_state;
        self.power_state = power;
        self.task_state = None;
    }

    fn come_up(&mut self, vm_state: VmState, power: PowerState, now: Timestamp) {
        self.rest(vm_state, power);
        self.launched_at = Some(now);
    }
}

impl Default for ServerState {
    fn default() -> ServerState {
        ServerState::new()
    }
}

/// What happens at once when an action is accepted. What `permits` says is not asked again.
pub fn begin(action: ServerAction, server: &mut ServerState, now: Timestamp) {
    use ServerAction as A;
    if let Some(first) = action.rule().steps.first() {
        server.task_state = Some(*first);
    }
    match action {
        A::Stop | A::Rebuild | A::Delete | A::ForceDelete => server.progress = 0,
        A::Resize => {
            server.progress = 0;
            server.old_vm_state = Some(server.vm_state);
        }
        A::SoftDelete => {
            server.progress = 0;
            server.deleted_at = Some(now);
        }
        A::Restore => server.deleted_at = None,
        A::ResetToActive => server.rest(VmState::Active, server.power_state),
        A::ResetToError => server.rest(VmState::Error, server.power_state),
        A::Create | A::Update | A::UpdateMetadata | A::DeleteMetadata | A::Lock | A::Unlock | A::ConsoleOutput => {}
        A::Start | A::Pause | A::Unpause | A::Suspend | A::Resume | A::Rescue | A::Unrescue => {}
        A::Shelve | A::ShelveOffload | A::Unshelve | A::RebootSoft | A::RebootHard => {}
        A::ConfirmResize | A::RevertResize | A::CreateImage | A::CreateBackup | A::ChangePassword => {}
    }
}

fn still_at(action: ServerAction, server: &ServerState) -> Result<usize, Preempted> {
    let steps = action.rule().steps;
    let task = server.task_state.ok_or(Preempted)?;
    steps.iter().position(|step| *step == task).ok_or(Preempted)
}

/// The work goes on to its next step, if it has one; after the last step nothing changes.
///
/// # Errors
/// `Preempted`, and nothing changes, when another action has taken the server over.
pub fn advance(action: ServerAction, server: &mut ServerState) -> Result<(), Preempted> {
    let at = still_at(action, server)?;
    let Some(next) = action.rule().steps.get(at + 1) else { return Ok(()) };
    server.task_state = Some(*next);
    if (action, *next) == (ServerAction::Shelve, TaskState::ShelvingOffloading) {
        server.vm_state = VmState::Shelved;
        server.power_state = PowerState::Shutdown;
    }
    Ok(())
}

/// The work has ended, at whichever step it was: a task that is run again after a crash may end sooner.
///
/// # Errors
/// `Preempted`, and nothing changes, when another action has taken the server over.
pub fn finish(
    action: ServerAction,
    server: &mut ServerState,
    outcome: Outcome,
    now: Timestamp,
) -> Result<(), Preempted> {
    if action.rule().steps.is_empty() {
        return Ok(());
    }
    still_at(action, server)?;
    match outcome {
        Outcome::Done(power) => succeed(action, server, power, now),
        Outcome::Failed(power) => fail(action, server, power),
    }
    Ok(())
}

fn succeed(action: ServerAction, server: &mut ServerState, power: PowerState, now: Timestamp) {
    use ServerAction as A;
    match action {
        A::Create | A::Unshelve => server.come_up(VmState::Active, power, now),
        A::Start | A::Unpause | A::Resume | A::Unrescue | A::Restore | A::RebootSoft | A::RebootHard => {
            server.rest(VmState::Active, power);
        }
        A::Stop => server.rest(VmState::Stopped, power),
        A::Pause => server.rest(VmState::Paused, power),
        A::Suspend => server.rest(VmState::Suspended, power),
        A::Rescue => server.come_up(VmState::Rescued, power, now),
        // The last look at the machine is before it is removed, and then it is off.
        A::Shelve | A::ShelveOffload => server.rest(VmState::ShelvedOffloaded, PowerState::Shutdown),
        A::Resize => server.come_up(VmState::Resized, power, now),
        A::ConfirmResize => {
            server.old_vm_state = None;
            let off = power == PowerState::Shutdown;
            server.rest(if off { VmState::Stopped } else { VmState::Active }, power);
        }
        A::RevertResize => {
            let stopped = server.old_vm_state.take() == Some(VmState::Stopped);
            server.come_up(if stopped { VmState::Stopped } else { VmState::Active }, power, now);
        }
        A::Rebuild => {
            let stopped = server.vm_state == VmState::Stopped;
            server.come_up(if stopped { VmState::Stopped } else { VmState::Active }, power, now);
        }
        A::CreateImage | A::CreateBackup | A::ChangePassword => server.rest(server.vm_state, power),
        A::Delete | A::ForceDelete => {
            server.rest(VmState::Deleted, PowerState::NoState);
            server.terminated_at = Some(now);
            server.deleted_at = Some(now);
        }
        A::SoftDelete => server.rest(VmState::SoftDeleted, power),
        A::Update | A::UpdateMetadata | A::DeleteMetadata | A::Lock | A::Unlock => {}
        A::ResetToActive | A::ResetToError | A::ConsoleOutput => {}
    }
}

/// Where Nova only takes the task back (`reverts_task_state`) the server stays where it stood; where it also declares
/// it broken (`_error_out_instance_on_exception`, `_set_instance_obj_error_state`), so it is here.
fn fail(action: ServerAction, server: &mut ServerState, power: PowerState) {
    use ServerAction as A;
    match action {
        A::Start | A::Stop | A::Pause | A::Unpause | A::Shelve | A::ShelveOffload | A::Unshelve | A::Restore => {
            server.rest(server.vm_state, power);
        }
        A::CreateImage | A::CreateBackup | A::ChangePassword => server.rest(server.vm_state, power),
        A::SoftDelete => {
            server.deleted_at = None;
            server.rest(server.vm_state, power);
        }
        // A reboot that did not go well and left a server that runs is no reason to call it broken.
        A::RebootSoft | A::RebootHard if power == PowerState::Running => server.rest(VmState::Active, power),
        A::RebootSoft | A::RebootHard => server.rest(VmState::Error, power),
        A::Create | A::Suspend | A::Resume | A::Rescue | A::Unrescue | A::Rebuild => {
            server.rest(VmState::Error, power);
        }
        A::Resize | A::ConfirmResize | A::RevertResize | A::Delete | A::ForceDelete => {
            server.rest(VmState::Error, power);
        }
        A::Update | A::UpdateMetadata | A::DeleteMetadata | A::Lock | A::Unlock => {}
        A::ResetToActive | A::ResetToError | A::ConsoleOutput => {}
    }
}

#[cfg(test)]
mod tests;
