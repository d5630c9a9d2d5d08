//! What is more than there is room for: refused soon, with 503 and the time to come back, while what was let in goes on.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderValue, Method};
use kilonova::api;
use kilonova::api::fault::Fault;
use kilonova::api::message::{BodyError, Request};
use kilonova::json::Json;
use kilonova::model::ids::RequestId;
use tokio::net::TcpListener;

use crate::house::{Client, House, Reply};
use crate::image_data::{file, made, status, upload, upload_stream};

/// Longer than anything here takes; only a failing test waits so long.
const LONG: Duration = Duration::from_secs(20);

#[track_caller]
fn is_told_to_come_back(reply: Reply) {
    assert_eq!(reply.clone().is(503).header("retry-after"), Some("1"));
}

#[tokio::test]
async fn one_upload_too_many_is_told_to_come_back_and_the_first_goes_on() {
    let house = House::with(|settings| settings.image_transfers_max = 1).await;
    let member = house.person("member", "blue").await;
    let (one, other) = (made(&member).await, made(&member).await);
    let (chunks, data) = chunks_by_hand();
    let (client, id) = (member.clone(), one.clone());
    let uploading = tokio::spawn(async move { upload_stream(&client, &id, data, None).await.status.as_u16() });
    while status(&member, &one).await != "saving" {
        tokio::task::yield_now().await;
    }
    let refused = member.send(upload(&other, "hello")).await;
    assert!(refused.text().starts_with("<html>\n <head>\n  <title>503 Service Unavailable"), "{}", refused.text());
    is_told_to_come_back(refused);
    chunks.send(Ok(Bytes::from_static(b"hello"))).expect("it is still uploading");
    drop(chunks);
    assert_eq!(uploading.await.expect("no panic"), 204);
    // nothing of the one that was refused has begun
    assert_eq!(status(&member, &other).await, "queued");
    member.send(upload(&other, "hello")).await.is(204);
}

/// A body whose chunks the test sends.
fn chunks_by_hand()
-> (tokio::sync::mpsc::UnboundedSender<Result<Bytes, BodyError>>, kilonova::api::message::BodyStream) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    (sender, Box::pin(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx))))
}

#[tokio::test]
async fn a_download_takes_a_place_until_its_last_byte() {
    let house = House::with(|settings| settings.image_transfers_max = 1).await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    member.send(upload(&id, "hello")).await.is(204);
    let mut request = Request::new(Method::GET, &file(&id));
    let token = member.token.as_deref().expect("a token");
    request.headers.insert("x-auth-token", HeaderValue::from_str(token).expect("tokens are text"));
    let mut body = api::handle(&member.cloud, request).await.body.into_stream();
    is_told_to_come_back(member.get(&file(&id)).await);
    assert_eq!(body.next().await.expect("a chunk").expect("no error"), "hello");
    assert!(body.next().await.is_none());
    drop(body);
    member.get(&file(&id)).await.is(200).says("hello");
}

#[tokio::test]
async fn a_policy_server_that_does_not_answer_keeps_few_requests_waiting() {
    let house = House::with(|settings| settings.policy_remote.questions_max = 1).await;
    let oracle = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = oracle.local_addr().expect("it is bound");
    let rule = format!("os_compute_api:limits: http://{address}/may\n");
    std::fs::write(house.directory().join("policy.yaml"), rule).expect("a written file");
    house.cloud.live_rules().reload_if_changed().expect("good rules").expect("they have changed");
    let member = house.person("member", "blue").await;
    let ask = |client: Client| async move { client.get("/v2.1/limits").await };
    let waits = tokio::spawn(ask(member.clone()));
    let (asked, _) = tokio::time::timeout(LONG, oracle.accept()).await.expect("it is asked").expect("a connection");
    let refused = ask(member.clone()).await;
    refused.clone().refuses(503, "The server is currently unavailable. Please try again at a later time.");
    is_told_to_come_back(refused);
    // what needs no answer from there is served all the while
    member.get("/v2.1/flavors").await.is(200);
    drop((asked, oracle));
    waits.await.expect("no panic").is(500);
}

#[test]
fn who_is_refused_before_a_door_hears_the_words_of_that_door() {
    for (path, member) in [
        ("/v2.1/servers", Some("serviceUnavailable")),
        ("//v2.1/servers", Some("serviceUnavailable")),
        ("/v2/1/servers/detail", Some("serviceUnavailable")),
        ("/identity/v3/auth/tokens", Some("error")),
        ("/network/v2.0/networks", Some("NeutronError")),
        ("/nowhere", Some("serviceUnavailable")),
        ("/image/v2/images", None),
    ] {
        let response = Fault::unavailable(1).response_at(path, RequestId::from_random([7; 16]));
        assert_eq!(response.headers.get("retry-after"), Some(&HeaderValue::from_static("1")), "{path}");
        let has_id = response.headers.contains_key("x-openstack-request-id");
        assert_eq!(has_id, path != "/nowhere", "{path}");
        let kilonova::api::message::Body::Bytes(body) = response.body else { panic!("{path} has a stream") };
        let json = kilonova::json::parse(&body).ok();
        let first = json.as_ref().and_then(Json::as_object).and_then(|object| object.keys().next().map(str::to_owned));
        assert_eq!(first.as_deref(), member, "{path}");
    }
}
