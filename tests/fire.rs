//! Short ones of what `cargo bench --bench fire` does at length: real processes are killed in the middle of load.

// the program uses all of it
#![allow(dead_code)]

#[path = "../benches/fire/cloud.rs"]
mod cloud;
#[path = "../benches/fire/cluster.rs"]
mod cluster;
#[path = "../benches/fire/cut.rs"]
mod cut;
#[path = "../benches/fire/disk.rs"]
mod disk;
#[path = "../benches/fire/flaky.rs"]
mod flaky;
#[path = "../benches/fire/http.rs"]
mod http;
#[path = "../benches/fire/idle.rs"]
mod idle;
#[path = "../benches/fire/kill.rs"]
mod kill;
#[path = "../benches/fire/load.rs"]
mod load;
#[path = "../benches/fire/lost.rs"]
mod lost;
#[path = "../benches/fire/network.rs"]
mod network;
#[path = "../benches/fire/open.rs"]
mod open;
#[path = "../benches/fire/overload.rs"]
mod overload;
#[path = "../benches/fire/process.rs"]
mod process;
#[path = "../benches/shared/seed.rs"]
mod seed;
#[path = "../benches/fire/slow.rs"]
mod slow;
#[path = "../benches/fire/start.rs"]
mod start;
#[path = "../benches/fire/together.rs"]
mod together;
#[path = "../benches/fire/trouble.rs"]
mod trouble;
#[path = "../benches/fire/writers.rs"]
mod writers;

use std::time::Duration;

use kill::{Fire, Victim};
use network::Cut;
use overload::{Errand, Load, Overload};

#[track_caller]
fn nothing_is_lost(victim: Victim) {
    let directory = tempfile::tempdir().expect("a directory");
    let fire = Fire { rounds: 3, clients: 8, changes: 100, builds: victim != Victim::Primary };
    let toll = kill::kill(directory.path(), victim, fire);
    assert!(toll.kept >= 300, "{toll:?}");
    assert_eq!((toll.wrong, toll.hangs), (0, 0), "{toll:?}");
}

#[test]
fn a_killed_server_has_kept_what_it_acknowledged() {
    nothing_is_lost(Victim::OnSqlite);
}

#[test]
fn a_server_killed_beside_postgresql_has_kept_what_it_acknowledged() {
    nothing_is_lost(Victim::OnPostgres);
}

#[test]
fn a_standby_that_takes_over_has_what_was_acknowledged() {
    nothing_is_lost(Victim::Primary);
}

#[test]
fn two_processes_lose_no_update_of_each_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let lost = lost::updates(directory.path(), "postgres", 2, 16, 1000);
    assert!(lost.kept >= 1000 && lost.wrong == 0, "{lost}");
}

#[test]
fn a_start_after_a_kill_serves_what_was_seeded_and_what_was_acknowledged() {
    let directory = tempfile::tempdir().expect("a directory");
    let size = start::Size { servers: 500, rounds: 3, clients: 4, writes: 100 };
    let starts = start::starts(directory.path(), size);
    assert!(starts.lost == 0 && starts.kept >= 300 && starts.times.len() == 3, "{starts}");
}

#[test]
fn of_two_first_starts_at_once_one_makes_the_cloud_and_both_serve_it() {
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(together::first_starts(directory.path(), 3), [""; 0]);
}

#[test]
fn a_published_policy_is_obeyed_by_both_of_two_processes_until_it_is_withdrawn() {
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(together::published(directory.path(), 2).0, [""; 0]);
}

#[test]
fn keys_are_rotated_beside_two_processes_and_no_token_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(together::rotated(directory.path(), 1), [""; 0]);
}

#[test]
fn beside_a_process_on_the_embedded_database_nothing_is_published_and_before_it_starts_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut process = process::Process::new(directory.path(), None);
    process.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let token = process.token("demo");
    let status = |process: &process::Process| {
        http::Client::new(process.address, &token).ask("GET", "/v2.1/servers/detail", "").status()
    };
    assert_eq!(status(&process), 200);
    let file = directory.path().join("new.yaml");
    std::fs::write(&file, "os_compute_api:servers:detail: \"!\"\n").expect("a file");
    let publish = ["policy", "publish", file.to_str().expect("the path is in UTF-8")];
    let (went_well, _, said) = process.command(&publish);
    assert!(!went_well && said.contains("in use by another kilonova") && said.contains("policy.yaml"), "{said}");
    process.kill();
    let (went_well, _, said) = process.command(&publish);
    assert!(went_well, "{said}");
    process.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    assert_eq!(status(&process), 403);
}

#[track_caller]
fn it_is_survived(trouble: fn(&std::path::Path) -> trouble::Came) {
    let directory = tempfile::tempdir().expect("a directory");
    let came = trouble(directory.path());
    assert!(came.wrong.is_empty(), "{came:?}");
}

#[test]
fn a_locked_database_is_read_and_its_writers_are_told_when_to_come_back() {
    it_is_survived(trouble::locked);
}

#[test]
fn read_only_files_are_read_and_written_again_as_soon_as_they_can_be() {
    let directory = tempfile::tempdir().expect("a directory");
    match trouble::read_only(directory.path()) {
        Some(came) => assert!(came.wrong.is_empty(), "{came:?}"),
        None => eprintln!("LEFT OUT: this user, or this file system, does not let us make files immutable"),
    }
}

#[track_caller]
fn the_disk_is_survived(trouble: fn(&std::path::Path) -> Option<trouble::Came>) {
    let directory = tempfile::tempdir().expect("a directory");
    match trouble(directory.path()) {
        Some(came) => assert!(came.wrong.is_empty(), "{came:?}"),
        None => eprintln!("LEFT OUT: this user, or this machine, does not let us mount a disk and break it"),
    }
}

#[test]
fn a_file_system_that_becomes_read_only_is_read_and_has_kept_what_was_acknowledged() {
    the_disk_is_survived(disk::read_only);
}

#[test]
fn image_data_that_cannot_be_written_are_no_service_and_the_rest_goes_on() {
    the_disk_is_survived(disk::read_only_for_images);
}

#[test]
fn a_disk_that_fails_keeps_what_was_acknowledged() {
    the_disk_is_survived(disk::failing);
}

/// Exactly one of two servers that are started at once for the first time on one data directory.
#[test]
fn of_two_first_starts_at_once_one_wins_and_the_other_says_why_not() {
    let directory = tempfile::tempdir().expect("a directory");
    for round in 0..5 {
        let place = directory.path().join(round.to_string());
        let barrier = std::sync::Barrier::new(2);
        let start = || {
            let mut process = process::Process::new(&place, None);
            barrier.wait();
            let started = process.start();
            (process, started)
        };
        let (one, other) = std::thread::scope(|scope| {
            let (one, other) = (scope.spawn(start), scope.spawn(start));
            (one.join().expect("no panic"), other.join().expect("no panic"))
        });
        let (winner, said) = match (one, other) {
            ((winner, Ok(_)), (_, Err(said))) | ((_, Err(said)), (winner, Ok(_))) => (winner, said),
            ((_, one), (_, other)) => panic!("{one:?} and {other:?}"),
        };
        assert!(said.contains("is in use by another kilonova"), "{said}");
        // the passwords are those of the one that won
        assert!(!winner.token("admin").is_empty());
    }
}

/// Two machines that are started at once on one fresh database: both serve, and one of them has made the passwords.
#[test]
fn of_two_first_starts_on_one_database_one_has_the_passwords() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = cluster::Cluster::start();
    let barrier = std::sync::Barrier::new(2);
    let start = |name: &str| {
        let mut process = process::Process::new(&directory.path().join(name), Some(cluster.url()));
        barrier.wait();
        process.start().unwrap_or_else(|said| panic!("{name} starts: {said}"));
        process
    };
    let (one, other) = std::thread::scope(|scope| {
        let (one, other) = (scope.spawn(|| start("one")), scope.spawn(|| start("other")));
        (one.join().expect("no panic"), other.join().expect("no panic"))
    });
    let files = |process: &process::Process| {
        let there = |name: &str| process.data().join(name).exists();
        (there("clouds.yaml"), there("clouds.yaml.first"))
    };
    let (winner, loser) = if files(&one).0 { (one, other) } else { (other, one) };
    assert_eq!((files(&winner), files(&loser)), ((true, false), (false, false)));
    assert!(!winner.token("admin").is_empty());
}

#[test]
fn a_damaged_page_harms_only_those_who_need_it() {
    it_is_survived(trouble::damaged);
}

#[test]
fn a_postgresql_that_is_down_is_reported_at_once_and_found_again() {
    it_is_survived(trouble::stopped);
}

#[test]
fn a_postgresql_that_does_not_answer_keeps_nobody_for_long() {
    it_is_survived(trouble::frozen);
}

#[track_caller]
fn it_is_survived_where_it_can_be_done(trouble: impl Fn(&std::path::Path) -> Option<trouble::Came>) {
    let directory = tempfile::tempdir().expect("a directory");
    // where it cannot be done the program has said so
    if let Some(came) = trouble(directory.path()) {
        assert!(came.wrong.is_empty(), "{came:?}");
    }
}

#[test]
fn a_disk_that_fails_for_a_while_is_written_again_without_a_restart() {
    the_disk_is_survived(|directory| Some(flaky::flaky(directory, 4)?.came));
}

#[test]
fn an_unplugged_network_keeps_nobody_for_long() {
    it_is_survived_where_it_can_be_done(|directory| cut::for_a_while(directory, Cut::Unplugged));
}

#[test]
fn a_network_that_loses_everything_keeps_nobody_for_long() {
    it_is_survived_where_it_can_be_done(|directory| cut::for_a_while(directory, Cut::Silent));
}

#[test]
fn a_standby_takes_over_from_a_primary_that_cannot_be_reached() {
    it_is_survived_where_it_can_be_done(cut::from_the_primary);
}

/// Everybody is answered, refusals say when to come back, and all is well afterwards; how fast is not asked.
#[track_caller]
fn it_withstands(errand: Errand, times: f64) -> Overload {
    it_withstands_on(slow::Slowness::NONE, errand, times)
}

#[track_caller]
fn it_withstands_on(disk: slow::Slowness, errand: Errand, times: f64) -> Overload {
    let directory = tempfile::tempdir().expect("a directory");
    let clients = if errand == Errand::Logins { 4 } else { 64 };
    let load = Load { errand, times: vec![times], seconds: 2.0, rounds: 8, servers: 50, clients, disk, apart: false };
    let overload = overload::overload(directory.path(), &load);
    for came in &overload.came {
        assert!(came.wrong().is_empty(), "{:?}\n{overload}", came.wrong());
        assert!(!came.tally.done.is_empty() && !came.bystander.done.is_empty(), "{overload}");
        assert!(!came.rival.done.is_empty(), "{overload}");
        assert!(came.memory[1] < 512.0, "{overload}");
    }
    overload
}

#[test]
fn of_too_many_logins_some_are_done_and_the_rest_told_to_come_back() {
    let overload = it_withstands(Errand::Logins, 4.0);
    // four times what can be done for two seconds does not fit into the queue
    assert!(overload.came.iter().all(|came| !came.tally.refused.is_empty()), "{overload}");
}

#[test]
fn too_many_lists_are_survived() {
    it_withstands(Errand::Lists, 4.0);
}

#[test]
fn too_many_writes_are_survived() {
    it_withstands(Errand::Writes, 2.0);
}

#[test]
fn too_many_writes_for_a_slow_disk_are_survived() {
    let slow = slow::Slowness { sync: Duration::from_millis(20), page: Duration::from_millis(1) };
    it_withstands_on(slow, Errand::Writes, 10.0);
}

#[test]
fn idle_and_slow_connections_are_cheap_and_are_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let idle = idle::idle(directory.path(), 1000, &idle::Times { header: 2, body: 2, idle: 3 });
    assert!(idle.wrong.is_empty(), "{:?}\n{idle}", idle.wrong);
    assert!(idle.bytes_each[0] < 64.0 * 1024.0, "{idle}");
}
