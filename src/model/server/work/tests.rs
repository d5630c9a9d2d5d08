//! How the states of a server follow one another, action by action.

use PowerState::{NoState, Paused, Running, Shutdown, Suspended};
use ServerAction as A;

use super::*;

const BEFORE: Timestamp = Timestamp::EPOCH;

fn now() -> Timestamp {
    BEFORE.plus_seconds(60)
}

fn standing(vm_state: VmState, power_state: PowerState) -> ServerState {
    ServerState { vm_state, task_state: None, power_state, launched_at: Some(BEFORE), ..ServerState::new() }
}

fn after(mut server: ServerState, action: ServerAction, outcome: Outcome) -> ServerState {
    begin(action, &mut server, now());
    finish(action, &mut server, outcome, now()).expect("nothing else is done to the server");
    server
}

#[test]
fn an_action_shows_its_first_task_at_once() {
    for (action, task) in [
        (A::Start, "powering-on"),
        (A::Stop, "powering-off"),
        (A::Pause, "pausing"),
        (A::Unpause, "unpausing"),
        (A::Suspend, "suspending"),
        (A::Resume, "resuming"),
        (A::Rescue, "rescuing"),
        (A::Unrescue, "unrescuing"),
        (A::Shelve, "shelving"),
        (A::ShelveOffload, "shelving_offloading"),
        (A::Unshelve, "unshelving"),
        (A::RebootSoft, "rebooting"),
        (A::RebootHard, "rebooting_hard"),
        (A::Resize, "resize_prep"),
        (A::RevertResize, "resize_reverting"),
        (A::Rebuild, "rebuilding"),
        (A::CreateImage, "image_snapshot_pending"),
        (A::CreateBackup, "image_backup"),
        (A::ChangePassword, "updating_password"),
        (A::Delete, "deleting"),
        (A::ForceDelete, "deleting"),
        (A::SoftDelete, "soft-deleting"),
        (A::Restore, "restoring"),
    ] {
        let mut server = standing(VmState::Active, Running);
        begin(action, &mut server, now());
        assert_eq!(server.task_state.map(TaskState::as_str), Some(task), "{action:?}");
    }
}

#[test]
fn an_action_without_work_leaves_the_states_alone() {
    let instant = [A::Update, A::UpdateMetadata, A::DeleteMetadata, A::Lock, A::Unlock, A::ConsoleOutput];
    for action in instant {
        let server = standing(VmState::Stopped, Shutdown);
        assert_eq!(after(server.clone(), action, Outcome::Done(Running)), server, "{action:?}");
    }
}

#[test]
fn work_that_ends_well_leads_to_its_state() {
    use VmState::{Active, Error, Rescued, Resized, Shelved, ShelvedOffloaded, SoftDeleted, Stopped};
    for (from, action, power, to) in [
        (Stopped, A::Start, Running, Active),
        (Active, A::Stop, Shutdown, Stopped),
        (Error, A::Stop, Shutdown, Stopped),
        (Active, A::Pause, Paused, VmState::Paused),
        (VmState::Paused, A::Unpause, Running, Active),
        (Active, A::Suspend, Suspended, VmState::Suspended),
        (VmState::Suspended, A::Resume, Running, Active),
        (Stopped, A::Rescue, Running, Rescued),
        (Rescued, A::Unrescue, Running, Active),
        (Shelved, A::Unshelve, Running, Active),
        (ShelvedOffloaded, A::Unshelve, Running, Active),
        (Active, A::RebootSoft, Running, Active),
        (Error, A::RebootHard, Running, Active),
        (VmState::Paused, A::RebootHard, Running, Active),
        (Active, A::Resize, Running, Resized),
        (Resized, A::ConfirmResize, Running, Active),
        (Resized, A::ConfirmResize, Shutdown, Stopped),
        (Active, A::Rebuild, Running, Active),
        (Error, A::Rebuild, Running, Active),
        (Stopped, A::Rebuild, Shutdown, Stopped),
        (VmState::Paused, A::CreateImage, Paused, VmState::Paused),
        (Active, A::ChangePassword, Running, Active),
        (Active, A::SoftDelete, Shutdown, SoftDeleted),
        (SoftDeleted, A::Restore, Running, Active),
    ] {
        let server = after(standing(from, NoState), action, Outcome::Done(power));
        assert_eq!((server.vm_state, server.power_state, server.task_state), (to, power, None), "{from} {action:?}");
    }
}

#[test]
fn a_new_server_comes_up() {
    let mut server = ServerState::new();
    let mut shown = vec![];
    begin(A::Create, &mut server, now());
    for _ in 0..4 {
        shown.extend(server.task_state.map(TaskState::as_str));
        advance(A::Create, &mut server).unwrap();
    }
    assert_eq!(shown, ["scheduling", "networking", "block_device_mapping", "spawning"]);
    finish(A::Create, &mut server, Outcome::Done(Running), now()).unwrap();
    assert_eq!((server.status().as_str(), server.launched_at), ("ACTIVE", Some(now())));
}

#[test]
fn coming_up_moves_launched_at_and_a_start_does_not() {
    for action in [A::Rescue, A::Unshelve, A::Resize, A::RevertResize, A::Rebuild] {
        let server = after(standing(VmState::Active, Running), action, Outcome::Done(Running));
        assert_eq!(server.launched_at, Some(now()), "{action:?}");
    }
    for action in [A::Start, A::Unpause, A::Resume, A::RebootHard, A::ConfirmResize, A::Unrescue] {
        let server = after(standing(VmState::Active, Running), action, Outcome::Done(Running));
        assert_eq!(server.launched_at, Some(BEFORE), "{action:?}");
    }
}

#[test]
fn a_shelved_server_gives_up_its_place() {
    let mut server = standing(VmState::Active, Running);
    begin(A::Shelve, &mut server, now());
    for _ in 0..3 {
        advance(A::Shelve, &mut server).unwrap();
    }
    assert_eq!((server.vm_state, server.status().as_str()), (VmState::Shelved, "SHELVED"));
    finish(A::Shelve, &mut server, Outcome::Done(NoState), now()).unwrap();
    assert_eq!((server.vm_state, server.power_state), (VmState::ShelvedOffloaded, Shutdown));
}

#[test]
fn a_server_that_was_off_before_a_resize_is_off_after_a_revert() {
    let resized = after(standing(VmState::Stopped, Shutdown), A::Resize, Outcome::Done(Shutdown));
    assert_eq!((resized.status().as_str(), resized.old_vm_state), ("VERIFY_RESIZE", Some(VmState::Stopped)));
    let reverted = after(resized, A::RevertResize, Outcome::Done(Shutdown));
    assert_eq!((reverted.vm_state, reverted.old_vm_state), (VmState::Stopped, None));
}

#[test]
fn a_server_that_was_on_before_a_resize_is_on_after_a_revert() {
    let resized = after(standing(VmState::Active, Running), A::Resize, Outcome::Done(Running));
    assert_eq!(after(resized, A::RevertResize, Outcome::Done(Running)).vm_state, VmState::Active);
}

#[test]
fn a_deleted_server_has_no_machine_and_a_time_of_death() {
    for action in [A::Delete, A::ForceDelete] {
        let server = after(standing(VmState::Active, Running), action, Outcome::Done(Running));
        assert_eq!((server.vm_state, server.power_state), (VmState::Deleted, NoState));
        assert_eq!((server.terminated_at, server.deleted_at), (Some(now()), Some(now())));
    }
}

#[test]
fn a_restored_server_was_never_deleted() {
    let deleted = after(standing(VmState::Active, Running), A::SoftDelete, Outcome::Done(Shutdown));
    assert_eq!((deleted.deleted_at, deleted.terminated_at), (Some(now()), None));
    assert_eq!(after(deleted, A::Restore, Outcome::Done(Running)).deleted_at, None);
}

#[test]
fn some_failures_leave_the_server_where_it_stood() {
    for (from, action) in [
        (VmState::Stopped, A::Start),
        (VmState::Active, A::Stop),
        (VmState::Active, A::Pause),
        (VmState::Paused, A::Unpause),
        (VmState::Active, A::CreateImage),
        (VmState::Stopped, A::CreateBackup),
        (VmState::Active, A::ChangePassword),
        (VmState::Active, A::Shelve),
        (VmState::Shelved, A::ShelveOffload),
        (VmState::ShelvedOffloaded, A::Unshelve),
        (VmState::SoftDeleted, A::Restore),
        (VmState::Active, A::SoftDelete),
    ] {
        let server = after(standing(from, NoState), action, Outcome::Failed(NoState));
        assert_eq!(server, standing(from, NoState), "{action:?}");
    }
}

#[test]
fn other_failures_break_the_server() {
    for action in [
        A::Create,
        A::Suspend,
        A::Resume,
        A::Rescue,
        A::Unrescue,
        A::Rebuild,
        A::Resize,
        A::ConfirmResize,
        A::RevertResize,
        A::Delete,
        A::ForceDelete,
        A::RebootSoft,
        A::RebootHard,
    ] {
        let server = after(standing(VmState::Active, NoState), action, Outcome::Failed(Shutdown));
        assert_eq!((server.vm_state, server.task_state), (VmState::Error, None), "{action:?}");
    }
}

#[test]
fn a_failed_reboot_of_a_server_that_runs_is_no_error() {
    let server = after(standing(VmState::Active, Running), A::RebootSoft, Outcome::Failed(Running));
    assert_eq!(server.vm_state, VmState::Active);
}

#[test]
fn work_that_was_overtaken_changes_nothing() {
    let mut server = standing(VmState::Active, Running);
    begin(A::Stop, &mut server, now());
    begin(A::Delete, &mut server, now());
    let deleting = server.clone();
    assert!(deleting.being_deleted());
    assert_eq!(advance(A::Stop, &mut server), Err(Preempted));
    assert_eq!(finish(A::Stop, &mut server, Outcome::Done(Shutdown), now()), Err(Preempted));
    assert_eq!(finish(A::Stop, &mut server, Outcome::Failed(Running), now()), Err(Preempted));
    assert_eq!(server, deleting);
}

#[test]
fn an_administrators_reset_ends_what_is_being_done() {
    let mut server = standing(VmState::Active, Running);
    begin(A::Rebuild, &mut server, now());
    begin(A::ResetToError, &mut server, now());
    assert_eq!((server.vm_state, server.task_state), (VmState::Error, None));
    assert_eq!(finish(A::Rebuild, &mut server, Outcome::Done(Running), now()), Err(Preempted));
    begin(A::ResetToActive, &mut server, now());
    assert_eq!((server.status(), server.launched_at), (Status::Active, Some(BEFORE)));
}

#[test]
fn a_server_that_never_came_up_has_no_launch_after_a_reset() {
    let mut server = ServerState::new();
    begin(A::ResetToActive, &mut server, now());
    assert_eq!((server.vm_state, server.launched_at), (VmState::Active, None));
}
