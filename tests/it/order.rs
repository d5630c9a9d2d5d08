//! Of two faults at once a client hears of the first: the order of the checks (metadata.md §1.5), one test for each pair of
//! neighbours.

use crate::house::{Ask, Client, House, Reply, id_of};
use crate::stage::{self, Actor};

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
const MISSING: &str = "6f9c6b2e-0000-4000-8000-00000000dead";
const UNSUPPORTED: &str = "2.999";

/// A house with a server in the project `blue`, and a member of it.
async fn house(actor: Actor) -> (House, Client) {
    let house = House::new().await;
    actor.enters(&house).await;
    let member = house.person("member", "blue").await;
    (house, member)
}

fn actor() -> Actor {
    Actor::new(SERVER)
}

fn path(server: &str) -> String {
    format!("/v2.1/servers/{server}/metadata")
}

fn too_large() -> String {
    format!(r#"{{"metadata": {{"a": "{}"}}}}"#, "x".repeat(114_688))
}

#[tokio::test]
async fn options_is_answered_before_the_size_is_looked_at() {
    let (house, _) = house(actor()).await;
    house.nobody().send(Ask::new("OPTIONS", &path(SERVER)).body(too_large())).await.is(200).says("");
}

#[tokio::test]
async fn the_size_comes_before_the_token() {
    let (house, _) = house(actor()).await;
    house.nobody().post(&path(SERVER), &too_large()).await.is(413);
}

#[tokio::test]
async fn the_token_comes_before_the_path() {
    let (house, member) = house(actor()).await;
    house.nobody().get("/v2.1/nothing").await.is(401);
    house.nobody().delete(&path(SERVER)).await.is(401);
    member.get("/v2.1/nothing").await.is(404);
}

#[tokio::test]
async fn the_path_comes_before_the_version() {
    let (_house, member) = house(actor()).await;
    member.send(Ask::new("GET", "/v2.1/nothing").version(UNSUPPORTED)).await.is(404);
    member.send(Ask::new("DELETE", &path(SERVER)).version(UNSUPPORTED)).await.is(405);
}

#[tokio::test]
async fn the_version_comes_before_the_media_type() {
    let (_house, member) = house(actor()).await;
    let ask = || Ask::new("POST", &path(SERVER)).header("content-type", "text/xml").body("x");
    member.send(ask().version(UNSUPPORTED)).await.is(406);
    member.send(ask().version("two")).await.is(400);
    member.send(ask()).await.is(415);
}

#[tokio::test]
async fn the_media_type_comes_before_the_bytes() {
    let (_house, member) = house(actor()).await;
    let ask = |method| Ask::new(method, &path(SERVER)).body(b"\xff".to_vec());
    member.send(ask("GET").header("content-type", "text/xml")).await.is(415);
    member.send(ask("GET")).await.refuses(400, "Malformed request body");
}

#[tokio::test]
async fn the_body_comes_before_the_project_in_the_path() {
    let (_house, member) = house(actor()).await;
    let path = format!("/v2.1/{}/servers/{SERVER}/metadata", id_of("green"));
    member.post(&path, "{").await.refuses(400, "Malformed request body");
}

#[tokio::test]
async fn the_project_in_the_path_comes_before_the_query_and_the_schema() {
    let (_house, member) = house(actor()).await;
    let (blue, green) = (id_of("blue"), id_of("green"));
    let sentence =
        format!("Malformed request URL: URL's project_id '{green}' doesn't match Context's project_id '{blue}'");
    let path = format!("/v2.1/{green}/servers/{SERVER}/metadata");
    member.post(&path, r#"{"metadata": 1}"#).await.refuses(400, &sentence);
    member.send(Ask::new("GET", &format!("{path}?x=y")).version("2.102")).await.refuses(400, &sentence);
}

#[tokio::test]
async fn the_query_comes_before_the_server() {
    let (_house, member) = house(actor()).await;
    let ask = Ask::new("GET", &format!("{}?x=y", path(MISSING))).version("2.102");
    member.send(ask).await.refuses(400, "Additional properties are not allowed ('x' was unexpected)");
}

#[tokio::test]
async fn the_schema_comes_before_the_server() {
    let (_house, member) = house(actor()).await;
    member.post(&path(MISSING), "{}").await.refuses(400, "'metadata' is a required property");
}

#[tokio::test]
async fn the_server_comes_before_the_policy() {
    let (house, _) = house(actor()).await;
    let reader = house.person("reader", "blue").await;
    let sentence = format!("Instance {MISSING} could not be found.");
    reader.post(&path(MISSING), r#"{"metadata": {}}"#).await.refuses(404, &sentence);
}

#[tokio::test]
async fn the_policy_comes_before_the_key_in_the_path() {
    let (house, _) = house(actor()).await;
    let reader = house.person("reader", "blue").await;
    reader.put(&format!("{}/a", path(SERVER)), r#"{"meta": {"b": "1"}}"#).await.is(403);
    reader.delete(&format!("{}/missing", path(SERVER))).await.is(403);
}

#[tokio::test]
async fn the_key_comes_before_the_lock() {
    let (_house, member) = house(Actor { locked: true, ..actor() }).await;
    let mismatch = member.put(&format!("{}/a", path(SERVER)), r#"{"meta": {"b": "1"}}"#).await;
    mismatch.refuses(400, "Request body and URI mismatch");
    member.delete(&format!("{}/missing", path(SERVER))).await.refuses(404, "Metadata item was not found");
    let locked = format!("Instance {SERVER} is locked");
    member.delete(&format!("{}/a", path(SERVER))).await.refuses(409, &locked);
}

#[tokio::test]
async fn the_lock_comes_before_the_state() {
    let (_house, member) = house(Actor { locked: true, vm_state: "error".into(), ..actor() }).await;
    write(&member).await.refuses(409, &format!("Instance {SERVER} is locked"));
}

#[tokio::test]
async fn the_state_comes_before_the_launch() {
    let (_house, member) = house(Actor { vm_state: "error".into(), launched: false, ..actor() }).await;
    let sentence = format!("Cannot 'update metadata' instance {SERVER} while it is in vm_state error");
    write(&member).await.refuses(409, &sentence);
}

#[tokio::test]
async fn the_launch_comes_before_the_quota() {
    let (house, member) = house(Actor { launched: false, ..actor() }).await;
    stage::limit(&house, "blue", "", "metadata_items", 0).await;
    write(&member).await.refuses(409, &format!("Instance {SERVER} is in an invalid state for 'update metadata'"));
}

#[tokio::test]
async fn the_quota_comes_last_and_nothing_is_written() {
    let (house, member) = house(actor()).await;
    stage::limit(&house, "blue", "", "metadata_items", 1).await;
    write(&member).await.refuses(403, "Maximum number of metadata items exceeds 1");
    member.get(&path(SERVER)).await.is(200).says(r#"{"metadata": {"a": "1"}}"#);
}

async fn write(client: &Client) -> Reply {
    client.post(&path(SERVER), r#"{"metadata": {"b": "2"}}"#).await
}
