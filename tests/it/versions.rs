//! The documents clients read before anything else.

use crate::house::{Ask, House};

const LIST: &str = r#"{"versions": [{"id": "v2.0", "status": "DEPRECATED", "version": "", "min_version": "", "updated": "2025-07-04T12:00:00Z", "links": [{"rel": "self", "href": "http://kilonova.test/v2/"}]}, {"id": "v2.1", "status": "CURRENT", "version": "2.104", "min_version": "2.1", "updated": "2013-07-23T11:33:21Z", "links": [{"rel": "self", "href": "http://kilonova.test/v2.1/"}]}]}"#;
const V21: &str = r#"{"version": {"id": "v2.1", "status": "CURRENT", "version": "2.104", "min_version": "2.1", "updated": "2013-07-23T11:33:21Z", "links": [{"rel": "self", "href": "http://kilonova.test/v2.1/"}, {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}], "media-types": [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]}}"#;
const V2: &str = r#"{"version": {"id": "v2.0", "status": "DEPRECATED", "version": "", "min_version": "", "updated": "2025-07-04T12:00:00Z", "links": [{"rel": "self", "href": "http://kilonova.test/v2/"}, {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}], "media-types": [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2"}]}}"#;

#[tokio::test]
async fn the_root_lists_both_versions_to_every_method_and_ignores_what_is_sent() {
    let house = House::new().await;
    let nobody = house.nobody();
    for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "BREW"] {
        let ask = Ask::new(method, "/?a=b").version("2.999").header("content-type", "application/xml").body("{");
        let reply = nobody.send(ask).await.is(200).says(LIST);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        for name in ["x-openstack-request-id", "x-compute-request-id", "openstack-api-version", "vary"] {
            assert_eq!(reply.header(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn the_root_says_atom_of_its_json_to_those_who_ask_for_it() {
    let house = House::new().await;
    let ask = Ask::new("GET", "/").header("accept", "application/atom+xml");
    let reply = house.nobody().send(ask).await.is(200).says(LIST);
    assert_eq!(reply.header("content-type"), Some("application/atom+xml"));
}

#[tokio::test]
async fn a_path_without_a_version_offers_both() {
    let house = House::new().await;
    for (path, beyond) in [("/v3", "v3"), ("/servers/x/", "servers/x"), ("", ""), ("/v2.10/a%20b", "v2.10/a%20b")] {
        let choice = |prefix: &str, id: &str, status: &str, version: &str| {
            format!(
                r#"{{"id": "{id}", "status": "{status}", "links": [{{"rel": "self", "href": "http://kilonova.test/{prefix}/{beyond}"}}], "media-types": [{{"base": "application/json", "type": "application/vnd.openstack.compute+json;version={version}"}}]}}"#
            )
        };
        let choices = [choice("v2", "v2.0", "DEPRECATED", "2"), choice("v2.1", "v2.1", "CURRENT", "2.1")].join(", ");
        house.nobody().get(path).await.is(300).says(&format!(r#"{{"choices": [{choices}]}}"#));
    }
}

#[tokio::test]
async fn a_door_shows_its_version_without_a_token() {
    let house = House::new().await;
    for (path, document) in [("/v2.1", V21), ("/v2.1/", V21), ("/v2", V2), ("/v2/", V2)] {
        let reply = house.nobody().get(path).await.is(200).says(document);
        assert!(reply.header("x-compute-request-id").is_some());
    }
    let reply = house.nobody().send(Ask::new("GET", "/v2.1/").version("latest")).await.is(200).says(V21);
    assert_eq!(reply.header("openstack-api-version"), Some("compute 2.104"));
}

#[tokio::test]
async fn the_document_of_v2_1_obeys_microversions() {
    let house = House::new().await;
    let sentence = "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.104.";
    house.nobody().send(Ask::new("GET", "/v2.1/").version("2.999")).await.refuses(406, sentence);
}

#[tokio::test]
async fn a_version_by_its_id_needs_a_token_and_links_to_the_door() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    house.nobody().get("/v2.1/versions/v2.1").await.is(401);
    member.get("/v2.1/versions/v2.1").await.is(200).says(V21);
    member.get("/v2.1/versions/v2.0").await.is(200).says(&V2.replace("/v2/", "/v2.1/"));
    member.get("/v2/versions/v2.1").await.is(200).says(V2);
    member.get("/v2.1/versions/v9").await.refuses(404, "The resource could not be found.");
}

#[tokio::test]
async fn an_unknown_path_below_a_door_is_not_found_once_one_is_known() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    house.nobody().get("/v2.1/nothing").await.is(401);
    for path in ["/v2.1/nothing", "/v2/nothing", "/v2.1/versions", "/v2.1/servers/x/y/z"] {
        member.get(path).await.refuses(404, "The resource could not be found.");
    }
}
