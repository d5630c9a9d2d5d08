//! The metadata of servers.

use kilonova::store::Tx;

use crate::house::{House, id_of};
use crate::stage::number_of;

pub const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";

/// A server that is up, with one item.
pub async fn server(house: &House) {
    let project = id_of("blue");
    let script = move |tx: &mut dyn Tx| {
        tx.execute(
            "INSERT INTO servers (id, project_id, user_id, name, vm_state, power_state, locked, deleted, flavor_id, metadata, \
             details, created_at, updated_at, launched_at, number) VALUES ($1, $2, 'u', 's', 'active', 1, 0, 0, '1', '{\"a\": \"1\"}', '{\"flavor\": {\"id\": \"1\", \"name\": \"m1.tiny\", \"memory_mb\": 512, \"vcpus\": 1, \"root_gb\": 1, \"ephemeral_gb\": 0, \"swap\": 0, \"rxtx_factor\": 1.0, \"is_public\": true, \"disabled\": false, \"extra_specs\": {}}}', 0, 0, 0, $3)",
            &[SERVER.into(), project.as_str().into(), number_of(SERVER).into()],
        )
    };
    house.cloud.store.write(script).await.expect("a server");
}

fn path(tail: &str) -> String {
    format!("/v2.1/servers/{SERVER}/metadata{tail}")
}

#[tokio::test]
async fn a_put_keeps_the_other_items() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    server(&house).await;
    member.put(&path("/color"), r#"{"meta": {"color": "red"}}"#).await.is(200).says(r#"{"meta": {"color": "red"}}"#);
    member.get(&path("")).await.is(200).says(r#"{"metadata": {"a": "1", "color": "red"}}"#);
}

#[tokio::test]
async fn a_stranger_does_not_learn_that_the_server_is_there() {
    let house = House::new().await;
    let stranger = house.person("member", "green").await;
    server(&house).await;
    stranger.get(&path("")).await.refuses(404, &format!("Instance {SERVER} could not be found."));
}

#[tokio::test]
async fn a_reader_may_not_write() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    server(&house).await;
    reader
        .put(&path("/a"), r#"{"meta": {"a": "2"}}"#)
        .await
        .refuses(403, "Policy doesn't allow os_compute_api:server-metadata:update to be performed.");
}

#[tokio::test]
async fn nobody_is_asked_for_a_token() {
    let house = House::new().await;
    house.nobody().get(&path("")).await.is(401);
}

#[tokio::test]
async fn every_change_moves_updated_and_so_does_a_delete() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    server(&house).await;
    let server = format!("/v2.1/servers/{SERVER}");
    let mut before = member.get(&server).await.is(200).text_at("server.updated");
    for change in ["PUT", "DELETE", "no change"] {
        house.later(10);
        match change {
            "PUT" => member.put(&path("/b"), r#"{"meta": {"b": "2"}}"#).await.is(200),
            "DELETE" => member.delete(&path("/b")).await.is(204),
            _ => member.post(&path(""), r#"{"metadata": {}}"#).await.is(200),
        };
        let after = member.get(&server).await.is(200).text_at("server.updated");
        assert!(before < after, "{change}: {before} is followed by {after}");
        before = after;
    }
}
