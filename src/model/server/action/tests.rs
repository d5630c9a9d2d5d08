//! What Nova's decorators say, written down a second time: as the list of states in which each action is permitted.

use ServerAction as A;

use super::*;

const EVERY_STATE: &str = "active building paused suspended stopped rescued resized soft-delete deleted error shelved \
                           shelved_offloaded";
const STEADY: &str = "active paused suspended stopped";

/// Action, its word, the vm_states it is permitted in, whether any task may go on.
const PERMITTED: &[(ServerAction, &str, &str, bool)] = &[
    (A::Create, "create", "building", true),
    (A::Update, "update", EVERY_STATE, true),
    (A::UpdateMetadata, "update metadata", STEADY, true),
    (A::DeleteMetadata, "delete metadata", STEADY, true),
    (A::Start, "start", "stopped", false),
    (A::Stop, "stop", "active error", false),
    (A::Pause, "pause", "active", false),
    (A::Unpause, "unpause", "paused", false),
    (A::Suspend, "suspend", "active", false),
    (A::Resume, "resume", "suspended", false),
    (A::Lock, "lock", EVERY_STATE, true),
    (A::Unlock, "unlock", EVERY_STATE, true),
    (A::Rescue, "rescue", "active stopped error", false),
    (A::Unrescue, "unrescue", "rescued", false),
    (A::Shelve, "shelve", STEADY, false),
    (A::ShelveOffload, "shelveOffload", "shelved", false),
    (A::Unshelve, "unshelve", "shelved shelved_offloaded", false),
    (A::RebootSoft, "reboot", "active", false),
    (A::RebootHard, "reboot", "active stopped paused suspended error", false),
    (A::Resize, "resize", "active stopped", false),
    (A::ConfirmResize, "confirmResize", "resized", false),
    (A::RevertResize, "revertResize", "resized", false),
    (A::Rebuild, "rebuild", "active stopped error", false),
    (A::CreateImage, "createImage", STEADY, false),
    (A::CreateBackup, "createBackup", STEADY, false),
    (A::ChangePassword, "changePassword", "active", false),
    (A::ResetToActive, "os-resetState", EVERY_STATE, true),
    (A::ResetToError, "os-resetState", EVERY_STATE, true),
    (A::Delete, "delete", EVERY_STATE, true),
    (A::ForceDelete, "forceDelete", EVERY_STATE, true),
    (A::SoftDelete, "delete", EVERY_STATE, true),
    (A::Restore, "restore", "soft-delete", false),
    (A::ConsoleOutput, "os-getConsoleOutput", EVERY_STATE, true),
];

fn needs_host(action: ServerAction) -> bool {
    matches!(action, A::Start | A::Stop | A::ConsoleOutput)
}

#[test]
fn every_action_is_in_the_second_list_too() {
    let listed: Vec<ServerAction> = PERMITTED.iter().map(|row| row.0).collect();
    assert_eq!(listed, ServerAction::ALL);
}

#[test]
fn every_action_is_permitted_in_its_states_and_in_no_other() {
    for &(action, word, states, _) in PERMITTED {
        let states: Vec<&str> = states.split_whitespace().collect();
        for &vm_state in VmState::ALL {
            let expected = if needs_host(action) && vm_state == VmState::ShelvedOffloaded {
                Err(StateRefusal::NotReady)
            } else if states.contains(&vm_state.as_str()) {
                Ok(())
            } else {
                Err(StateRefusal::VmState(vm_state))
            };
            assert_eq!(permits(action, vm_state, None, true), expected, "{word} {vm_state}");
        }
    }
}

#[test]
fn every_action_heeds_the_tasks_it_must_and_no_other() {
    let breakable = "rebooting reboot_pending reboot_started resuming rebooting_hard unpausing pausing suspending";
    for &(action, word, states, during_tasks) in PERMITTED {
        let vm_state: VmState = states.split_whitespace().next().expect("no list is empty").parse().unwrap();
        for &task in TaskState::ALL {
            let breaks = action == A::RebootHard && breakable.split_whitespace().any(|name| name == task.as_str());
            let expected = if during_tasks || breaks { Ok(()) } else { Err(StateRefusal::TaskState(task)) };
            assert_eq!(permits(action, vm_state, Some(task), true), expected, "{word} {task}");
        }
    }
}

#[test]
fn most_actions_want_a_server_that_was_up_before() {
    use ServerAction::{ConsoleOutput, Create, Delete, ForceDelete, Lock, ResetToActive, ResetToError, Unlock, Update};
    let never_mind = [Create, Update, Lock, Unlock, ResetToActive, ResetToError, Delete, ForceDelete, ConsoleOutput];
    for &(action, word, states, _) in PERMITTED {
        let vm_state: VmState = states.split_whitespace().next().expect("no list is empty").parse().unwrap();
        let expected = if never_mind.contains(&action) { Ok(()) } else { Err(StateRefusal::NeverLaunched) };
        assert_eq!(permits(action, vm_state, None, false), expected, "{word}");
    }
}

#[test]
fn where_it_stands_is_told_before_what_is_being_done_and_that_before_the_launch() {
    let refusal = |vm_state, task| permits(A::Start, vm_state, task, false).unwrap_err();
    let deleting = Some(TaskState::Deleting);
    assert_eq!(refusal(VmState::Active, deleting), StateRefusal::VmState(VmState::Active));
    assert_eq!(refusal(VmState::Stopped, deleting), StateRefusal::TaskState(TaskState::Deleting));
    assert_eq!(refusal(VmState::Stopped, None), StateRefusal::NeverLaunched);
}

#[test]
fn a_server_without_a_place_is_not_ready() {
    for (vm_state, task) in [
        (VmState::Building, Some(TaskState::Scheduling)),
        (VmState::ShelvedOffloaded, None),
        (VmState::ShelvedOffloaded, Some(TaskState::Unshelving)),
    ] {
        assert_eq!(permits(A::ConsoleOutput, vm_state, task, true), Err(StateRefusal::NotReady), "{vm_state}");
    }
    assert_eq!(permits(A::ConsoleOutput, VmState::Building, Some(TaskState::Spawning), false), Ok(()));
}

#[test]
fn refusals_are_novas_sentences() {
    let id = "0a0a";
    for (refusal, action, sentence) in [
        (
            StateRefusal::VmState(VmState::Active),
            A::Start,
            "Cannot 'start' instance 0a0a while it is in vm_state active",
        ),
        (
            StateRefusal::TaskState(TaskState::PoweringOff),
            A::RebootSoft,
            "Cannot 'reboot' instance 0a0a while it is in task_state powering-off",
        ),
        (
            StateRefusal::VmState(VmState::SoftDeleted),
            A::UpdateMetadata,
            "Cannot 'update metadata' instance 0a0a while it is in vm_state soft-delete",
        ),
        (StateRefusal::NeverLaunched, A::DeleteMetadata, "Instance 0a0a is in an invalid state for 'delete metadata'"),
        (StateRefusal::NotReady, A::Stop, "Instance 0a0a is not ready"),
    ] {
        assert_eq!(refusal.sentence(action, id), sentence);
    }
}

#[test]
fn a_lock_is_told_as_nova_tells_it() {
    let free = [
        A::Create,
        A::Update,
        A::Lock,
        A::Unlock,
        A::CreateImage,
        A::CreateBackup,
        A::ResetToActive,
        A::ResetToError,
        A::ConsoleOutput,
    ];
    for &action in ServerAction::ALL {
        let expected = match action {
            A::Restore => Some("Instance i is in an invalid state for 'restore'".to_owned()),
            A::ChangePassword => Some("Instance i is in an invalid state for 'changePassword'".to_owned()),
            _ if free.contains(&action) => None,
            _ => Some("Instance i is locked".to_owned()),
        };
        assert_eq!(action.locked_sentence("i"), expected, "{action:?}");
    }
}
