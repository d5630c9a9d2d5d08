//! The three states of a server, by Nova's internal names: `vm_state` (where it stands), `task_state` (what is being
//! done to it) and `power_state` (what the machine was seen to do). What clients see instead is in `status`.

use std::fmt;
use std::str::FromStr;

/// A text is none of the names of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a state")]
pub struct UnknownState;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The name in the database and in Nova's sentences.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownState;

            fn from_str(text: &str) -> Result<$name, UnknownState> {
                match text {
                    $($text => Ok($name::$variant),)*
                    _ => Err(UnknownState),
                }
            }
        }
    };
}
pub(super) use named;

named!(
    /// Where a server stands when nothing is being done to it (nova/objects/fields.py, `InstanceState`).
    VmState {
        /// It runs.
        Active = "active",
        /// It does not exist yet.
        Building = "building",
        /// It is stopped in its tracks, in memory.
        Paused = "paused",
        /// Its memory is on disk.
        Suspended = "suspended",
        /// It is switched off.
        Stopped = "stopped",
        /// It runs a rescue image; its own disk is attached.
        Rescued = "rescued",
        /// It has its new size and waits to be confirmed or reverted.
        Resized = "resized",
        /// It is deleted and can still be restored.
        SoftDeleted = "soft-delete",
        /// It is gone.
        Deleted = "deleted",
        /// Something failed.
        Error = "error",
        /// It is an image; its host still keeps its place.
        Shelved = "shelved",
        /// It is an image and nothing else.
        ShelvedOffloaded = "shelved_offloaded",
    }
);

named!(
    /// What is being done to a server (nova/objects/fields.py, `InstanceTaskState`).
    TaskState {
        /// A place for it is being looked for.
        Scheduling = "scheduling",
        /// Its disks are being made.
        BlockDeviceMapping = "block_device_mapping",
        /// Its network is being made.
        Networking = "networking",
        /// It is being started for the first time.
        Spawning = "spawning",
        /// A snapshot is being taken.
        ImageSnapshot = "image_snapshot",
        /// A snapshot is asked for.
        ImageSnapshotPending = "image_snapshot_pending",
        /// A snapshot is about to be uploaded.
        ImagePendingUpload = "image_pending_upload",
        /// A snapshot is being uploaded.
        ImageUploading = "image_uploading",
        /// A backup is being taken.
        ImageBackup = "image_backup",
        /// The password is being changed.
        UpdatingPassword = "updating_password",
        /// A resize is being prepared.
        ResizePrep = "resize_prep",
        /// The disks are on their way to the new place.
        ResizeMigrating = "resize_migrating",
        /// The disks are at the new place.
        ResizeMigrated = "resize_migrated",
        /// The server is being started with its new size.
        ResizeFinish = "resize_finish",
        /// A resize is being undone.
        ResizeReverting = "resize_reverting",
        /// A resize is being made final.
        ResizeConfirming = "resize_confirming",
        /// A soft reboot is asked for.
        Rebooting = "rebooting",
        /// A soft reboot has reached the host.
        RebootPending = "reboot_pending",
        /// A soft reboot is under way.
        RebootStarted = "reboot_started",
        /// A hard reboot is asked for.
        RebootingHard = "rebooting_hard",
        /// A hard reboot has reached the host.
        RebootPendingHard = "reboot_pending_hard",
        /// A hard reboot is under way.
        RebootStartedHard = "reboot_started_hard",
        /// It is being paused.
        Pausing = "pausing",
        /// It is being unpaused.
        Unpausing = "unpausing",
        /// It is being suspended.
        Suspending = "suspending",
        /// It is being resumed.
        Resuming = "resuming",
        /// It is being switched off.
        PoweringOff = "powering-off",
        /// It is being switched on.
        PoweringOn = "powering-on",
        /// The rescue image is being started.
        Rescuing = "rescuing",
        /// The rescue image is being left.
        Unrescuing = "unrescuing",
        /// It is being rebuilt.
        Rebuilding = "rebuilding",
        /// Its disks are being made anew.
        RebuildBlockDeviceMapping = "rebuild_block_device_mapping",
        /// It is being started anew.
        RebuildSpawning = "rebuild_spawning",
        /// It is moving to another host.
        Migrating = "migrating",
        /// It is being deleted.
        Deleting = "deleting",
        /// It is being deleted such that it can be restored.
        SoftDeleting = "soft-deleting",
        /// It is being restored.
        Restoring = "restoring",
        /// It is being shelved.
        Shelving = "shelving",
        /// The shelved image is about to be uploaded.
        ShelvingImagePendingUpload = "shelving_image_pending_upload",
        /// The shelved image is being uploaded.
        ShelvingImageUploading = "shelving_image_uploading",
        /// Its place on the host is being given up.
        ShelvingOffloading = "shelving_offloading",
        /// It is being made from its shelved image.
        Unshelving = "unshelving",
    }
);

/// What the machine was last seen to do; clients see the number (nova/objects/fields.py, `InstancePowerState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PowerState {
    /// There is no machine, or nobody knows.
    NoState,
    /// It runs.
    Running,
    /// It is paused.
    Paused,
    /// It is off.
    Shutdown,
    /// It has crashed.
    Crashed,
    /// It is suspended.
    Suspended,
}

impl PowerState {
    /// All of them.
    pub const ALL: &[PowerState] = &[
        PowerState::NoState,
        PowerState::Running,
        PowerState::Paused,
        PowerState::Shutdown,
        PowerState::Crashed,
        PowerState::Suspended,
    ];

    /// The number in `OS-EXT-STS:power_state`.
    pub const fn number(self) -> u8 {
        match self {
            PowerState::NoState => 0,
            PowerState::Running => 1,
            PowerState::Paused => 3,
            PowerState::Shutdown => 4,
            PowerState::Crashed => 6,
            PowerState::Suspended => 7,
        }
    }

    /// The state of this number, if there is one.
    pub fn from_number(number: u8) -> Option<PowerState> {
        PowerState::ALL.iter().copied().find(|state| state.number() == number)
    }

    /// The name, as in notifications.
    pub const fn as_str(self) -> &'static str {
        match self {
            PowerState::NoState => "pending",
            PowerState::Running => "running",
            PowerState::Paused => "paused",
            PowerState::Shutdown => "shutdown",
            PowerState::Crashed => "crashed",
            PowerState::Suspended => "suspended",
        }
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vm_state_is_read_as_it_is_printed() {
        assert_eq!(VmState::ALL.len(), 12);
        for state in VmState::ALL {
            assert_eq!(state.to_string().parse(), Ok(*state));
        }
    }

    #[test]
    fn every_task_state_is_read_as_it_is_printed() {
        assert_eq!(TaskState::ALL.len(), 42);
        for state in TaskState::ALL {
            assert_eq!(state.to_string().parse(), Ok(*state));
        }
    }

    #[test]
    fn another_text_is_no_state() {
        assert_eq!("ACTIVE".parse::<VmState>(), Err(UnknownState));
        assert_eq!("".parse::<TaskState>(), Err(UnknownState));
    }

    #[test]
    fn power_states_have_novas_numbers() {
        let numbers: Vec<u8> = PowerState::ALL.iter().map(|state| state.number()).collect();
        assert_eq!(numbers, [0, 1, 3, 4, 6, 7]);
        for number in 0..=u8::MAX {
            assert_eq!(
                PowerState::from_number(number).map(PowerState::number),
                numbers.contains(&number).then_some(number)
            );
        }
    }
}
