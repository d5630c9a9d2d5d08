//! The headers of answers (metadata.md §1.4): media types, versions, request ids.

use crate::house::{Ask, Client, House, Reply};
use crate::stage::Actor;

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
const VERSIONS: [&str; 3] = ["openstack-api-version", "x-openstack-nova-api-version", "vary"];
const REQUEST_IDS: [&str; 2] = ["x-openstack-request-id", "x-compute-request-id"];

async fn house() -> (House, Client) {
    let house = House::new().await;
    Actor::new(SERVER).enters(&house).await;
    let member = house.person("member", "blue").await;
    (house, member)
}

fn path(tail: &str) -> String {
    format!("/v2.1/servers/{SERVER}/metadata{tail}")
}

fn names(reply: &Reply) -> Vec<&str> {
    reply.headers.keys().map(|name| name.as_str()).collect()
}

#[tokio::test]
async fn a_success_is_json_without_a_charset_and_a_fault_has_one() {
    let (_house, member) = house().await;
    assert_eq!(member.get(&path("")).await.is(200).header("content-type"), Some("application/json"));
    let fault = member.get(&path("/missing")).await.is(404);
    assert_eq!(fault.header("content-type"), Some("application/json; charset=UTF-8"));
}

#[tokio::test]
async fn an_empty_answer_says_json_all_the_same() {
    let (_house, member) = house().await;
    let reply = member.delete(&path("/a")).await.is(204).says("");
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_success_is_named_as_accept_prefers_and_a_fault_is_not() {
    let (_house, member) = house().await;
    let versioned = "application/vnd.openstack.compute+json";
    for (accept, expected) in [
        (versioned, versioned),
        ("application/json;q=0.5, application/vnd.openstack.compute+json", versioned),
        ("application/xml", "application/json"),
        ("*/*", "application/json"),
        ("garbage", "application/json"),
    ] {
        let reply = member.send(Ask::new("GET", &path("")).header("accept", accept)).await.is(200);
        assert_eq!(reply.header("content-type"), Some(expected), "{accept}");
    }
    let fault = member.send(Ask::new("GET", &path("/missing")).header("accept", versioned)).await.is(404);
    assert_eq!(fault.header("content-type"), Some("application/json; charset=UTF-8"));
}

#[tokio::test]
async fn the_version_agreed_on_is_told_with_two_fields_of_vary() {
    let (_house, member) = house().await;
    for (ask, version) in [("2.1", "2.1"), ("2.79", "2.79"), ("latest", "2.104")] {
        let reply = member.send(Ask::new("GET", &path("")).version(ask)).await.is(200);
        assert_eq!(reply.header("openstack-api-version"), Some(format!("compute {version}").as_str()));
        assert_eq!(reply.header("x-openstack-nova-api-version"), Some(version));
        let vary: Vec<_> = reply.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["OpenStack-API-Version", "X-OpenStack-Nova-API-Version"]);
    }
}

#[tokio::test]
async fn a_version_that_is_not_there_is_echoed_and_a_malformed_one_is_not() {
    let (_house, member) = house().await;
    let too_new = member.send(Ask::new("GET", &path("")).version("2.999")).await.is(406);
    assert_eq!(too_new.header("openstack-api-version"), Some("compute 2.999"));
    assert!(too_new.text().starts_with(r#"{"computeFault": {"code": 406, "#), "{}", too_new.text());
    let malformed = member.send(Ask::new("GET", &path("")).version("two")).await.is(400);
    assert!(VERSIONS.iter().all(|name| malformed.header(name).is_none()), "{:?}", names(&malformed));
}

#[tokio::test]
async fn whoever_did_not_get_as_far_as_a_version_hears_of_none() {
    let (house, member) = house().await;
    let large = "x".repeat(114_689);
    let replies = [
        house.nobody().get(&path("")).await.is(401),
        member.get("/v2.1/nothing").await.is(404),
        member.delete(&path("")).await.is(405),
        member.post(&path(""), &large).await.is(413),
    ];
    for reply in replies {
        assert!(VERSIONS.iter().all(|name| reply.header(name).is_none()), "{} {:?}", reply.status, names(&reply));
    }
}

#[tokio::test]
async fn cloud_servers_knows_no_versions() {
    let (_house, member) = house().await;
    let ask = Ask::new("GET", &format!("/v2/servers/{SERVER}/metadata")).version("2.999");
    let reply = member.send(ask).await.is(200);
    assert!(VERSIONS.iter().all(|name| reply.header(name).is_none()), "{:?}", names(&reply));
}

#[tokio::test]
async fn every_answer_has_its_request_id_twice_and_never_the_clients() {
    let (house, member) = house().await;
    let mine = "req-11111111-2222-3333-4444-555555555555";
    let replies = [
        member.send(Ask::new("GET", &path("")).header("x-openstack-request-id", mine)).await.is(200),
        member.delete(&path("/missing")).await.is(404),
        member.get("/v2.1/nothing").await.is(404),
        house.nobody().get(&path("")).await.is(401),
        member.post(&path(""), &"x".repeat(114_689)).await.is(413),
    ];
    for reply in &replies {
        let [one, other] = REQUEST_IDS.map(|name| reply.header(name).expect("a request id").to_owned());
        assert!(one == other && one != mine && is_request_id(&one), "{one} {other}");
    }
}

#[tokio::test]
async fn neither_the_root_nor_options_has_a_request_id() {
    let (house, _) = house().await;
    for ask in [Ask::new("GET", "/"), Ask::new("OPTIONS", &path(""))] {
        let reply = house.nobody().send(ask).await.is(200);
        assert!(REQUEST_IDS.iter().all(|name| reply.header(name).is_none()), "{:?}", names(&reply));
    }
}

#[tokio::test]
async fn metadata_is_nowhere_else() {
    let (_house, member) = house().await;
    assert_eq!(member.put(&path("/b"), r#"{"meta": {"b": "2"}}"#).await.is(200).header("location"), None);
}

fn is_request_id(text: &str) -> bool {
    let groups: Vec<usize> = text.trim_start_matches("req-").split('-').map(str::len).collect();
    text.starts_with("req-") && groups == [8, 4, 4, 4, 12]
}
