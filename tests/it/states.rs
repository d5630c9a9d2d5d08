//! Every state of a server, and what its metadata permits in it (metadata.md §2.2): reads always, writes in four states only.

use kilonova::model::server::VmState;

use crate::house::{Client, House};
use crate::stage::Actor;

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000009";

async fn server_in(house: &House, state: VmState) {
    Actor { vm_state: state.as_str().into(), ..Actor::new(SERVER) }.enters(house).await;
}

fn path(tail: &str) -> String {
    format!("/v2.1/servers/{SERVER}/metadata{tail}")
}

fn permits_writes(state: VmState) -> bool {
    matches!(state, VmState::Active | VmState::Paused | VmState::Suspended | VmState::Stopped)
}

async fn written(member: &Client, operation: &str) -> crate::house::Reply {
    match operation {
        "POST" => member.post(&path(""), r#"{"metadata": {"b": "2"}}"#).await,
        "PUT" => member.put(&path(""), r#"{"metadata": {"b": "2"}}"#).await,
        "PUT item" => member.put(&path("/b"), r#"{"meta": {"b": "2"}}"#).await,
        _ => member.delete(&path("/a")).await,
    }
}

#[tokio::test]
async fn metadata_is_read_in_every_state_and_written_in_four() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    for state in VmState::ALL.iter().copied() {
        for (operation, verb, after) in [
            ("POST", "update", r#"{"metadata": {"a": "1", "b": "2"}}"#),
            ("PUT", "update", r#"{"metadata": {"b": "2"}}"#),
            ("PUT item", "update", r#"{"metadata": {"a": "1", "b": "2"}}"#),
            ("DELETE", "delete", r#"{"metadata": {}}"#),
        ] {
            server_in(&house, state).await;
            member.get(&path("/a")).await.is(200).says(r#"{"meta": {"a": "1"}}"#);
            let reply = written(&member, operation).await;
            if permits_writes(state) {
                assert!(matches!(reply.status, 200 | 204), "{operation} while {state}: {}", reply.text());
                member.get(&path("")).await.is(200).says(after);
            } else {
                reply.refuses(
                    409,
                    &format!("Cannot '{verb} metadata' instance {SERVER} while it is in vm_state {state}"),
                );
                member.get(&path("")).await.is(200).says(r#"{"metadata": {"a": "1"}}"#);
            }
        }
    }
}
