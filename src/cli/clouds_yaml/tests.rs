//! A first start is cut off at every point at which it can be, and the next one must leave a cloud and passwords that fit.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::cli::start;
use crate::config::{self, Settings, Sources};

fn settings(directory: &Path) -> Settings {
    let flags = vec![
        ("data_dir", directory.to_str().expect("temporary directories have names in UTF-8").to_owned()),
        ("password_hash_rounds", "4".to_owned()),
    ];
    let sources = Sources { config: None, flags, environment: Vec::new() };
    config::load(&sources).expect("the defaults are settings").settings
}

/// A start that comes to its end.
async fn started(directory: &Path) -> Arc<Cloud> {
    start::open(settings(directory), "http://127.0.0.1:1".into()).await.expect("a start").0
}

/// A process in the middle of a first start.
async fn unfinished(directory: &Path) -> Arc<Cloud> {
    start::put_together(settings(directory), "http://127.0.0.1:1".into()).await.expect("a cloud")
}

/// It dies.
fn dies(cloud: Arc<Cloud>) {
    cloud.store.close();
}

fn of(directory: &Path) -> CloudsYaml<'_> {
    CloudsYaml::new(directory, "http://127.0.0.1:1", "RegionOne")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("clouds")).collect();
    names.sort();
    names
}

/// The passwords in `clouds.yaml` are those in the database, and no other file has any.
async fn lets_in(cloud: &Arc<Cloud>, directory: &Path) {
    assert_eq!(names(directory), [CLOUDS_YAML]);
    let path = directory.join(CLOUDS_YAML);
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).expect("text");
    for name in ["admin", "demo"] {
        let rest = text.split(&format!("username: {name}\n")).nth(1).expect("everybody is in it");
        let password = rest.split("password: ").nth(1).and_then(|rest| rest.lines().next()).expect("with a password");
        let body = format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "{name}", "domain": {{"id": "default"}}, "password": "{password}"}}}}}}}}}}"#
        );
        let mut request = crate::api::message::Request::new(http::Method::POST, "/identity/v3/auth/tokens");
        request.body = crate::api::message::Body::Bytes(body.into());
        assert_eq!(crate::api::handle(cloud, request).await.status, 201, "{name} logs in");
    }
}

#[tokio::test]
async fn a_first_start_and_a_second_leave_the_same_passwords() {
    let directory = tempfile::tempdir().expect("a directory");
    let cloud = started(directory.path()).await;
    lets_in(&cloud, directory.path()).await;
    let text = fs::read_to_string(directory.path().join(CLOUDS_YAML)).expect("text");
    dies(cloud);
    let cloud = started(directory.path()).await;
    lets_in(&cloud, directory.path()).await;
    assert_eq!(fs::read_to_string(directory.path().join(CLOUDS_YAML)).expect("text"), text);
}

#[tokio::test]
async fn a_first_start_that_dies_before_it_has_written_anything_is_begun_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let cloud = unfinished(directory.path()).await;
    cloud.beginning().await.expect("it can be asked").expect("it has not begun");
    dies(cloud);
    lets_in(&started(directory.path()).await, directory.path()).await;
}

#[tokio::test]
async fn a_first_start_that_dies_while_it_writes_the_file_is_begun_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let cloud = unfinished(directory.path()).await;
    let beginning = cloud.beginning().await.expect("it can be asked").expect("it has not begun");
    let text = of(directory.path()).text(beginning.logins());
    dies(cloud);
    for half in [0, MARK.len() + 90, text.len() - 1] {
        of(directory.path()).write(PREPARED, &text[..half]).expect("written");
    }
    lets_in(&started(directory.path()).await, directory.path()).await;
}

#[tokio::test]
async fn a_first_start_that_dies_before_its_commit_is_begun_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let cloud = unfinished(directory.path()).await;
    let beginning = cloud.beginning().await.expect("it can be asked").expect("it has not begun");
    of(directory.path()).prepare(beginning.logins()).expect("prepared");
    dies(cloud);
    lets_in(&started(directory.path()).await, directory.path()).await;
}

#[tokio::test]
async fn the_passwords_of_a_first_start_that_dies_after_its_commit_are_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let cloud = unfinished(directory.path()).await;
    let beginning = cloud.beginning().await.expect("it can be asked").expect("it has not begun");
    of(directory.path()).prepare(beginning.logins()).expect("prepared");
    assert!(cloud.begin_with(beginning).await.expect("committed"));
    dies(cloud);
    assert_eq!(names(directory.path()), [PREPARED]);
    lets_in(&started(directory.path()).await, directory.path()).await;
}

#[tokio::test]
async fn a_first_start_that_another_process_has_won_leaves_the_winner_s_passwords() {
    let directory = tempfile::tempdir().expect("a directory");
    let loser = unfinished(directory.path()).await;
    let late = loser.beginning().await.expect("it can be asked").expect("it has not begun");
    let winner = loser.beginning().await.expect("it can be asked").expect("it has not begun");
    of(directory.path()).prepare(winner.logins()).expect("prepared");
    assert!(loser.begin_with(winner).await.expect("committed"));
    of(directory.path()).settle(&loser).await.expect("settled");
    of(directory.path()).prepare(late.logins()).expect("prepared");
    assert!(!loser.begin_with(late).await.expect("an answer"));
    of(directory.path()).settle(&loser).await.expect("settled");
    lets_in(&loser, directory.path()).await;
}
