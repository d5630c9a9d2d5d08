//! What can be done to a server, and when: one table, made of the decorators of nova/compute/api.py
//! (`check_instance_lock`, `check_instance_host`, `check_instance_state`) and of the words in the sentences of
//! nova/api/openstack/compute. How an action begins and ends is in `work`.

use std::fmt;

use super::state::{TaskState, VmState};

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident,)*) => {
        /// Something that is done to a server.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ServerAction {
            $($(#[$doc])* $variant,)*
        }

        impl ServerAction {
            /// All of them.
            pub const ALL: &[ServerAction] = &[$(ServerAction::$variant),*];
        }
    };
}

actions!(
    /// It is made.
    Create,
    /// Its name, addresses or disk configuration change.
    Update,
    /// Items are put into its metadata.
    UpdateMetadata,
    /// An item is taken from its metadata.
    DeleteMetadata,
    /// Switch on.
    Start,
    /// Switch off.
    Stop,
    /// Hold it, in memory.
    Pause,
    /// Let it run on.
    Unpause,
    /// Put its memory on disk.
    Suspend,
    /// Take its memory from disk.
    Resume,
    /// Forbid changes to non-administrators.
    Lock,
    /// Allow changes again.
    Unlock,
    /// Start it from a rescue image.
    Rescue,
    /// Start it from its own disk again.
    Unrescue,
    /// Make an image of it and give up its place.
    Shelve,
    /// Give up the place of a shelved server.
    ShelveOffload,
    /// Make it from its image again.
    Unshelve,
    /// Ask it to restart.
    RebootSoft,
    /// Switch it off and on.
    RebootHard,
    /// Give it another flavor.
    Resize,
    /// Keep the new flavor.
    ConfirmResize,
    /// Return to the former flavor.
    RevertResize,
    /// Make it anew from an image.
    Rebuild,
    /// Make an image of it.
    CreateImage,
    /// Make an image of it and drop the oldest such.
    CreateBackup,
    /// Change its administrator's password.
    ChangePassword,
    /// Declare it active.
    ResetToActive,
    /// Declare it broken.
    ResetToError,
    /// Remove it for good.
    Delete,
    /// Remove it for good, even if it could still be restored.
    ForceDelete,
    /// Remove it, but such that it can be restored for a while.
    SoftDelete,
    /// Restore it.
    Restore,
    /// Read what it has printed.
    ConsoleOutput,
);

/// What a lock means to an action. In Nova administrators always pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockRule {
    /// Nothing.
    Ignored,
    /// A refusal, which says so.
    Refuses,
    /// A refusal, which does not say why: Nova takes it for one by state where the API has no word for it.
    RefusesVaguely,
}

/// When an action is permitted, and what it does to the task state.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What the action is called in sentences.
    pub word: &'static str,
    /// What a lock means; looked at before everything else here.
    pub lock: LockRule,
    /// Whether the server must have a place on a host; looked at before the states.
    pub needs_host: bool,
    /// The states it is permitted in; `None`: in all.
    pub vm_states: Option<&'static [VmState]>,
    /// The tasks it is permitted during; `None`: during all.
    pub task_states: Option<&'static [Option<TaskState>]>,
    /// Whether the server must have been up before.
    pub needs_launch: bool,
    /// The task states its work goes through; the first one is set at once. Empty: it is done at once.
    pub steps: &'static [TaskState],
}

const IDLE: Option<&[Option<TaskState>]> = Some(&[None]);

/// Tasks that a hard reboot may break into (`ALLOW_REBOOT` in nova/compute/task_states.py).
const BREAKABLE: Option<&[Option<TaskState>]> = Some(&[
    None,
    Some(TaskState::Rebooting),
    Some(TaskState::RebootPending),
    Some(TaskState::RebootStarted),
    Some(TaskState::Resuming),
    Some(TaskState::RebootingHard),
    Some(TaskState::Unpausing),
    Some(TaskState::Pausing),
    Some(TaskState::Suspending),
]);

impl Rule {
    /// The rule of most actions: they heed the lock, want a server that nothing is done to, and that was up before.
    const fn usual(word: &'static str, vm_states: &'static [VmState], steps: &'static [TaskState]) -> Rule {
        Rule {
            word,
            lock: LockRule::Refuses,
            needs_host: false,
            vm_states: Some(vm_states),
            task_states: IDLE,
            needs_launch: true,
            steps,
        }
    }

    /// The rule of what is always permitted, if only the lock allows it.
    const fn anytime(word: &'static str, lock: LockRule, steps: &'static [TaskState]) -> Rule {
        Rule { word, lock, needs_host: false, vm_states: None, task_states: None, needs_launch: false, steps }
    }
}

impl ServerAction {
    /// The row of the table.
    pub const fn rule(self) -> Rule {
        use ServerAction as A;
        use TaskState as T;
        use VmState::{
            Active, Building, Error, Paused, Rescued, Resized, Shelved, ShelvedOffloaded, SoftDeleted, Stopped,
            Suspended,
        };
        const STEADY: &[VmState] = &[Active, Paused, Suspended, Stopped];
        match self {
            A::Create => Rule {
                vm_states: Some(&[Building]),
                ..Rule::anytime(
                    "create",
                    LockRule::Ignored,
                    &[T::Scheduling, T::Networking, T::BlockDeviceMapping, T::Spawning],
                )
            },
            A::Update => Rule::anytime("update", LockRule::Ignored, &[]),
            A::UpdateMetadata => Rule { task_states: None, ..Rule::usual("update metadata", STEADY, &[]) },
            A::DeleteMetadata => Rule { task_states: None, ..Rule::usual("delete metadata", STEADY, &[]) },
            A::Start => Rule { needs_host: true, ..Rule::usual("start", &[Stopped], &[T::PoweringOn]) },
            A::Stop => Rule { needs_host: true, ..Rule::usual("stop", &[Active, Error], &[T::PoweringOff]) },
            A::Pause => Rule::usual("pause", &[Active], &[T::Pausing]),
            A::Unpause => Rule::usual("unpause", &[Paused], &[T::Unpausing]),
            A::Suspend => Rule::usual("suspend", &[Active], &[T::Suspending]),
            A::Resume => Rule::usual("resume", &[Suspended], &[T::Resuming]),
            A::Lock => Rule::anytime("lock", LockRule::Ignored, &[]),
            A::Unlock => Rule::anytime("unlock", LockRule::Ignored, &[]),
            A::Rescue => Rule::usual("rescue", &[Active, Stopped, Error], &[T::Rescuing]),
            A::Unrescue => Rule::usual("unrescue", &[Rescued], &[T::Unrescuing]),
            A::Shelve => Rule::usual(
                "shelve",
                STEADY,
                &[T::Shelving, T::ShelvingImagePendingUpload, T::ShelvingImageUploading, T::ShelvingOffloading],
            ),
            A::ShelveOffload => Rule::usual("shelveOffload", &[Shelved], &[T::ShelvingOffloading]),
            A::Unshelve => Rule::usual("unshelve", &[Shelved, ShelvedOffloaded], &[T::Unshelving, T::Spawning]),
            A::RebootSoft => Rule::usual("reboot", &[Active], &[T::Rebooting, T::RebootPending, T::RebootStarted]),
            A::RebootHard => Rule {
                task_states: BREAKABLE,
                ..Rule::usual(
                    "reboot",
                    &[Active, Stopped, Paused, Suspended, Error],
                    &[T::RebootingHard, T::RebootPendingHard, T::RebootStartedHard],
                )
            },
            A::Resize => Rule::usual(
                "resize",
                &[Active, Stopped],
                &[T::ResizePrep, T::ResizeMigrating, T::ResizeMigrated, T::ResizeFinish],
            ),
            // Nova sets no task here and leaves it to the record of the migration that it happens once.
            A::ConfirmResize => Rule::usual("confirmResize", &[Resized], &[T::ResizeConfirming]),
            A::RevertResize => Rule::usual("revertResize", &[Resized], &[T::ResizeReverting]),
            A::Rebuild => Rule::usual(
                "rebuild",
                &[Active, Stopped, Error],
                &[T::Rebuilding, T::RebuildBlockDeviceMapping, T::RebuildSpawning],
            ),
            A::CreateImage => Rule {
                lock: LockRule::Ignored,
                ..Rule::usual(
                    "createImage",
                    STEADY,
                    &[T::ImageSnapshotPending, T::ImageSnapshot, T::ImagePendingUpload, T::ImageUploading],
                )
            },
            A::CreateBackup => Rule {
                lock: LockRule::Ignored,
                ..Rule::usual("createBackup", STEADY, &[T::ImageBackup, T::ImagePendingUpload, T::ImageUploading])
            },
            A::ChangePassword => Rule {
                lock: LockRule::RefusesVaguely,
                ..Rule::usual("changePassword", &[Active], &[T::UpdatingPassword])
            },
            A::ResetToActive | A::ResetToError => Rule::anytime("os-resetState", LockRule::Ignored, &[]),
            A::Delete => Rule::anytime("delete", LockRule::Refuses, &[T::Deleting]),
            A::ForceDelete => Rule::anytime("forceDelete", LockRule::Refuses, &[T::Deleting]),
            A::SoftDelete => {
                Rule { needs_launch: true, ..Rule::anytime("delete", LockRule::Refuses, &[T::SoftDeleting]) }
            }
            A::Restore => {
                Rule { lock: LockRule::RefusesVaguely, ..Rule::usual("restore", &[SoftDeleted], &[T::Restoring]) }
            }
            A::ConsoleOutput => {
                Rule { needs_host: true, ..Rule::anytime("os-getConsoleOutput", LockRule::Ignored, &[]) }
            }
        }
    }

    /// Nova's sentence when the lock refuses; `None` for an action that no lock stops.
    pub fn locked_sentence(self, server_id: &str) -> Option<String> {
        match self.rule().lock {
            LockRule::Ignored => None,
            LockRule::Refuses => Some(format!("Instance {server_id} is locked")),
            LockRule::RefusesVaguely => Some(StateRefusal::NeverLaunched.sentence(self, server_id)),
        }
    }
}

/// Why the state of a server does not permit an action. Printed as the attribute and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateRefusal {
    /// It has no place on a host.
    NotReady,
    /// Not where it stands.
    VmState(VmState),
    /// Not while this is being done.
    TaskState(TaskState),
    /// It has never been up.
    NeverLaunched,
}

impl fmt::Display for StateRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateRefusal::NotReady => f.write_str("host None"),
            StateRefusal::VmState(state) => write!(f, "vm_state {state}"),
            StateRefusal::TaskState(state) => write!(f, "task_state {state}"),
            StateRefusal::NeverLaunched => f.write_str("launched_at None"),
        }
    }
}

impl std::error::Error for StateRefusal {}

impl StateRefusal {
    /// Nova's sentence to the client (409), with the server's id as the client has written it.
    pub fn sentence(&self, action: ServerAction, server_id: &str) -> String {
        let word = action.rule().word;
        match self {
            StateRefusal::NotReady => format!("Instance {server_id} is not ready"),
            StateRefusal::VmState(_) | StateRefusal::TaskState(_) => {
                format!("Cannot '{word}' instance {server_id} while it is in {self}")
            }
            StateRefusal::NeverLaunched => format!("Instance {server_id} is in an invalid state for '{word}'"),
        }
    }
}

/// Whether a server in these states has a place on a host.
const fn hosted(vm_state: VmState, task_state: Option<TaskState>) -> bool {
    !matches!(
        (vm_state, task_state),
        (VmState::Building, Some(TaskState::Scheduling))
            | (VmState::ShelvedOffloaded, None | Some(TaskState::Unshelving))
    )
}

/// Whether an action may begin: place, `vm_state`, `task_state`, then whether the server (`launched`) was ever up, in
/// Nova's order. The lock comes before, and is for the caller to judge, who knows who asks.
///
/// # Errors
/// The first reason against it.
pub fn permits(
    action: ServerAction,
    vm_state: VmState,
    task_state: Option<TaskState>,
    launched: bool,
) -> Result<(), StateRefusal> {
    let rule = action.rule();
    if rule.needs_host && !hosted(vm_state, task_state) {
        return Err(StateRefusal::NotReady);
    }
    if rule.vm_states.is_some_and(|states| !states.contains(&vm_state)) {
        return Err(StateRefusal::VmState(vm_state));
    }
    // Every list of tasks has "none", so a refusal always has a task to name.
    if let (Some(tasks), Some(task)) = (rule.task_states, task_state)
        && !tasks.contains(&task_state)
    {
        return Err(StateRefusal::TaskState(task));
    }
    if rule.needs_launch && !launched {
        return Err(StateRefusal::NeverLaunched);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
