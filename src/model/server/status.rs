//! The status which clients see instead of `vm_state` and `task_state`, and the way back that the list filter needs
//! (nova/api/openstack/common.py: `_STATE_MAP`, `status_from_state`, `task_and_vm_state_from_status`).

use std::fmt;
use std::str::FromStr;

use super::state::{TaskState, UnknownState, VmState, named};

named!(
    /// What clients are told that a server is.
    Status {
        /// It runs.
        Active = "ACTIVE",
        /// It is being built.
        Build = "BUILD",
        /// It is being rebuilt.
        Rebuild = "REBUILD",
        /// It is off.
        Shutoff = "SHUTOFF",
        /// It is being resized.
        Resize = "RESIZE",
        /// It has its new size and waits for a word.
        VerifyResize = "VERIFY_RESIZE",
        /// Its resize is being undone.
        RevertResize = "REVERT_RESIZE",
        /// It is paused.
        Paused = "PAUSED",
        /// It is moving.
        Migrating = "MIGRATING",
        /// It is suspended.
        Suspended = "SUSPENDED",
        /// It runs a rescue image.
        Rescue = "RESCUE",
        /// Something failed.
        Error = "ERROR",
        /// It is gone.
        Deleted = "DELETED",
        /// It is gone and can be restored.
        SoftDeleted = "SOFT_DELETED",
        /// It is an image.
        Shelved = "SHELVED",
        /// It is an image, and its host has forgotten it.
        ShelvedOffloaded = "SHELVED_OFFLOADED",
        /// It is rebooting.
        Reboot = "REBOOT",
        /// It is being switched off and on.
        HardReboot = "HARD_REBOOT",
        /// Its password is being changed.
        Password = "PASSWORD",
    }
);

impl Status {
    /// The status of a server in these states.
    pub const fn of(vm_state: VmState, task_state: Option<TaskState>) -> Status {
        match task_state {
            Some(task) => match Status::while_doing(vm_state, task) {
                Some(status) => status,
                None => Status::at_rest(vm_state),
            },
            None => Status::at_rest(vm_state),
        }
    }

    const fn at_rest(vm_state: VmState) -> Status {
        match vm_state {
            VmState::Active => Status::Active,
            VmState::Building => Status::Build,
            VmState::Paused => Status::Paused,
            VmState::Suspended => Status::Suspended,
            VmState::Stopped => Status::Shutoff,
            VmState::Rescued => Status::Rescue,
            VmState::Resized => Status::VerifyResize,
            VmState::SoftDeleted => Status::SoftDeleted,
            VmState::Deleted => Status::Deleted,
            VmState::Error => Status::Error,
            VmState::Shelved => Status::Shelved,
            VmState::ShelvedOffloaded => Status::ShelvedOffloaded,
        }
    }

    /// The status that the task shows through, if it does.
    const fn while_doing(vm_state: VmState, task: TaskState) -> Option<Status> {
        use TaskState::{
            Migrating, RebootPending, RebootPendingHard, RebootStarted, RebootStartedHard, Rebooting, RebootingHard,
            RebuildBlockDeviceMapping, RebuildSpawning, Rebuilding, ResizeFinish, ResizeMigrated, ResizeMigrating,
            ResizePrep, ResizeReverting, UpdatingPassword,
        };
        use VmState::{Active, Error, Paused, Resized, Stopped};
        match (vm_state, task) {
            (Active, Rebooting | RebootPending | RebootStarted) => Some(Status::Reboot),
            (Active, RebootingHard | RebootPendingHard | RebootStartedHard) => Some(Status::HardReboot),
            (Active, UpdatingPassword) => Some(Status::Password),
            (Active | Stopped | Error, Rebuilding | RebuildBlockDeviceMapping | RebuildSpawning) => {
                Some(Status::Rebuild)
            }
            (Active | Paused, Migrating) => Some(Status::Migrating),
            (Active | Stopped, ResizePrep | ResizeMigrating | ResizeMigrated | ResizeFinish) => Some(Status::Resize),
            (Resized, ResizeReverting) => Some(Status::RevertResize),
            _ => None,
        }
    }

    /// Whether a server of this status is shown with its `progress`.
    pub const fn shows_progress(self) -> bool {
        use Status::{Active, Build, Migrating, Rebuild, Resize, VerifyResize};
        matches!(self, Active | Build | Rebuild | Resize | VerifyResize | Migrating)
    }

    /// Whether a server of this status is shown with its `fault`, if it has one.
    pub const fn shows_fault(self) -> bool {
        matches!(self, Status::Error | Status::Deleted)
    }
}

/// What `?status=` selects: the states from which the status could have come. The two lists are matched independently
/// of each other and, once any status is one of rest, tasks are not looked at: as in Nova.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusFilter {
    /// One of these, sorted by name.
    pub vm_states: Vec<VmState>,
    /// And one of these, sorted by name; `None`: any or no task.
    pub task_states: Option<Vec<TaskState>>,
}

impl StatusFilter {
    /// The filter for these statuses, in whatever case they are written; unknown ones are passed over. `None` when
    /// none is known: then no server matches (since microversion 2.38: 400 `Invalid status value`).
    pub fn of<'a>(statuses: impl IntoIterator<Item = &'a str>) -> Option<StatusFilter> {
        let wanted: Vec<Status> =
            statuses.into_iter().filter_map(|status| status.to_uppercase().parse().ok()).collect();
        let asked = |status: Status| wanted.contains(&status);
        let shown =
            |vm: VmState| TaskState::ALL.iter().filter(move |task| Status::while_doing(vm, **task).is_some_and(asked));
        let rests = |vm: VmState| asked(Status::at_rest(vm));
        let all = || VmState::ALL.iter().copied();

        let mut vm_states: Vec<VmState> = all().filter(|vm| rests(*vm) || shown(*vm).next().is_some()).collect();
        vm_states.sort_unstable_by_key(|state| state.as_str());
        let mut task_states: Vec<TaskState> = all().flat_map(shown).copied().collect();
        task_states.sort_unstable_by_key(|state| state.as_str());
        task_states.dedup();
        let task_states = (!all().any(rests)).then_some(task_states);
        (!vm_states.is_empty()).then_some(StatusFilter { vm_states, task_states })
    }

    /// Whether a server in these states is among the selected.
    pub fn matches(&self, vm_state: VmState, task_state: Option<TaskState>) -> bool {
        let task_fits = |tasks: &Vec<TaskState>| task_state.is_some_and(|task| tasks.contains(&task));
        self.vm_states.contains(&vm_state) && self.task_states.as_ref().is_none_or(task_fits)
    }
}

#[cfg(test)]
mod tests;
