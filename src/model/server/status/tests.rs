//! The table of statuses, and that the filter is its inverse.

use super::*;

#[test]
fn every_vm_state_has_its_status() {
    let shown: Vec<&str> = VmState::ALL.iter().map(|state| Status::of(*state, None).as_str()).collect();
    assert_eq!(
        shown,
        [
            "ACTIVE",
            "BUILD",
            "PAUSED",
            "SUSPENDED",
            "SHUTOFF",
            "RESCUE",
            "VERIFY_RESIZE",
            "SOFT_DELETED",
            "DELETED",
            "ERROR",
            "SHELVED",
            "SHELVED_OFFLOADED"
        ]
    );
}

#[test]
fn some_tasks_show_through() {
    for (vm_state, task, status) in [
        ("active", "reboot_started", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "updating_password", "PASSWORD"),
        ("active", "migrating", "MIGRATING"),
        ("active", "resize_prep", "RESIZE"),
        ("stopped", "resize_finish", "RESIZE"),
        ("stopped", "rebuilding", "REBUILD"),
        ("error", "rebuild_spawning", "REBUILD"),
        ("resized", "resize_reverting", "REVERT_RESIZE"),
        ("resized", "resize_confirming", "VERIFY_RESIZE"),
        ("paused", "migrating", "MIGRATING"),
        ("stopped", "migrating", "SHUTOFF"),
        ("stopped", "rebooting_hard", "SHUTOFF"),
        ("error", "resize_prep", "ERROR"),
        ("active", "deleting", "ACTIVE"),
        ("active", "powering-off", "ACTIVE"),
        ("building", "spawning", "BUILD"),
    ] {
        let shown = Status::of(vm_state.parse().unwrap(), Some(task.parse().unwrap()));
        assert_eq!(shown.as_str(), status, "{vm_state} {task}");
    }
}

#[test]
fn a_filter_finds_every_server_that_shows_the_status() {
    for &status in Status::ALL {
        let filter = StatusFilter::of([status.as_str()]).expect("every status comes from some state");
        for &vm_state in VmState::ALL {
            let tasks = TaskState::ALL.iter().copied().map(Some);
            for task in tasks.chain([None]).filter(|task| Status::of(vm_state, *task) == status) {
                assert!(filter.matches(vm_state, task), "{status} {vm_state} {task:?}");
            }
        }
    }
}

#[test]
fn a_status_of_rest_ignores_tasks() {
    let filter = StatusFilter::of(["active"]).unwrap();
    assert_eq!(filter, StatusFilter { vm_states: vec![VmState::Active], task_states: None });
}

#[test]
fn a_status_of_a_task_asks_for_the_task() {
    let filter = StatusFilter::of(["Resize"]).unwrap();
    assert_eq!(filter.vm_states, [VmState::Active, VmState::Stopped]);
    assert!(!filter.matches(VmState::Active, None));
    assert!(filter.matches(VmState::Stopped, Some(TaskState::ResizePrep)));
}

#[test]
fn an_unknown_status_selects_nothing() {
    assert_eq!(StatusFilter::of(["nonsense", "UNKNOWN"]), None);
    assert_eq!(StatusFilter::of(["nonsense", "error"]), StatusFilter::of(["ERROR"]));
}
