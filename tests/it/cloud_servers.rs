//! Cloud Servers v2 at `/v2`: what it shares with Compute v2.1, and where Rackspace's documents say otherwise.

use kilonova::config::{RateLimit, RateUnit};
use kilonova::model::image::Visibility;

use crate::house::{Ask, Client, House, id_of};
use crate::servers;
use crate::stage::{self, Actor};

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
const IMAGE: &str = "6f9c6b2e-0000-4000-8000-000000000002";

/// A house with a server and an image of the project `blue`, and a member of it.
async fn stage() -> (House, Client) {
    stage_in(House::new().await).await
}

async fn stage_in(house: House) -> (House, Client) {
    Actor::new(SERVER).enters(&house).await;
    stage::image(&house, IMAGE, "blue", Visibility::Shared, &[("k1", "v1"), ("Base", "ubuntu")]).await;
    let member = house.person("member", "blue").await;
    (house, member)
}

fn server(tail: &str) -> String {
    format!("/v2/{}/servers/{SERVER}/metadata{tail}", id_of("blue"))
}

fn image(tail: &str) -> String {
    format!("/v2/{}/images/{IMAGE}/metadata{tail}", id_of("blue"))
}

#[tokio::test]
async fn the_six_operations_answer_as_at_v2_1() {
    let (_house, member) = stage().await;
    member.get(&server("")).await.is(200).says(r#"{"metadata": {"a": "1"}}"#);
    member.post(&server(""), r#"{"metadata": {"b": "2"}}"#).await.is(200).says(r#"{"metadata": {"a": "1", "b": "2"}}"#);
    member.put(&server("/b"), r#"{"meta": {"b": "3"}}"#).await.is(200).says(r#"{"meta": {"b": "3"}}"#);
    member.get(&server("/b")).await.is(200).says(r#"{"meta": {"b": "3"}}"#);
    member.delete(&server("/b")).await.is(204).says("");
    member.put(&server(""), r#"{"metadata": {"c": "4"}}"#).await.is(200).says(r#"{"metadata": {"c": "4"}}"#);
    member.get(&server("/b")).await.refuses(404, "Metadata item was not found");
}

#[tokio::test]
async fn there_are_request_ids_and_no_versions() {
    let (_house, member) = stage().await;
    let asked = Ask::new("GET", &server("")).header("x-openstack-nova-api-version", "2.999");
    let reply = member.send(asked.header("openstack-api-version", "compute nonsense")).await.is(200);
    let id = reply.header("x-compute-request-id").expect("there is one");
    assert!(id.starts_with("req-"));
    assert_eq!(reply.header("x-openstack-request-id"), Some(id));
    for name in ["openstack-api-version", "x-openstack-nova-api-version", "vary"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn members_that_nobody_knows_are_ignored_beside_one_that_is_known() {
    let (_house, member) = stage().await;
    member.post(&server(""), r#"{"x": 1, "metadata": {"b": "2"}}"#).await.is(200);
    member.put(&server("/b"), r#"{"meta": {"b": "3"}, "extra": 1}"#).await.is(200).says(r#"{"meta": {"b": "3"}}"#);
    member.post(&server(""), r#"{"x": 1}"#).await.refuses(400, "Malformed request body");
}

#[tokio::test]
async fn bodies_are_refused_in_the_words_of_cloud_servers() {
    let (_house, member) = stage().await;
    let key = "The input has a minimum character requirement of 1.";
    for (body, sentence) in [
        ("[]", "Malformed request body".to_owned()),
        ("null", "Malformed request body".into()),
        ("", "Malformed request body".into()),
        ("{", "Malformed request body".into()),
        (r#"{"metadata": null}"#, "Malformed request body. metadata must be object".into()),
        (r#"{"metadata": []}"#, "Malformed request body. metadata must be object".into()),
        (r#"{"metadata": {"b": 1}}"#, "Invalid metadata: The input is not a string or unicode".into()),
        (r#"{"metadata": {"b": null}}"#, "Invalid metadata: The input is not a string or unicode".into()),
        (r#"{"metadata": {"": "v"}}"#, format!("Invalid metadata: {key}")),
    ] {
        for reply in [member.post(&server(""), body).await, member.put(&server(""), body).await] {
            reply.refuses(400, &sentence);
        }
        member.post(&image(""), body).await.refuses(400, &sentence);
    }
    for (body, sentence) in [
        (r#"{"metadata": {"b": "1"}}"#, "Malformed request body"),
        (r#"{"meta": "b"}"#, "Malformed request body. meta item must be object"),
        (r#"{"meta": {"b": "1", "c": "2"}}"#, "Request body contains too many items"),
        (r#"{"meta": {}}"#, "Request body and URI mismatch"),
        (r#"{"meta": {"c": "1"}}"#, "Request body and URI mismatch"),
    ] {
        member.put(&server("/b"), body).await.refuses(400, sentence);
        member.put(&image("/b"), body).await.refuses(400, sentence);
    }
}

#[tokio::test]
async fn a_key_is_made_of_the_same_characters_as_at_v2_1() {
    let (_house, member) = stage().await;
    let reply = member.post(&server(""), r#"{"metadata": {"a!": "v"}}"#).await.is(400);
    assert!(reply.text().contains("'a!' does not match any of the regexes"), "{}", reply.text());
    member.get(&server("")).await.says(r#"{"metadata": {"a": "1"}}"#);
}

#[tokio::test]
async fn what_is_too_long_is_413() {
    let (_house, member) = stage().await;
    let long = "k".repeat(256);
    let key = "Invalid metadata size: Metadata property key greater than 255 characters";
    let value = "Invalid metadata size: Metadata property value greater than 255 characters";
    for (item, sentence) in [(format!(r#"{{"{long}": "v"}}"#), key), (format!(r#"{{"k": "{long}"}}"#), value)] {
        let body = format!(r#"{{"metadata": {item}}}"#);
        for path in [server(""), image("")] {
            let reply = member.post(&path, &body).await.refuses(413, sentence);
            assert_eq!(reply.header("retry-after"), Some("0"));
            assert_eq!(reply.text_at("overLimit.retryAfter"), "0");
        }
    }
    member.put(&server("/k"), &format!(r#"{{"meta": {{"k": "{long}"}}}}"#)).await.refuses(413, value);
    let fits = "é".repeat(255);
    member.post(&server(""), &format!(r#"{{"metadata": {{"k": "{fits}"}}}}"#)).await.is(200);
}

#[tokio::test]
async fn metadata_of_a_rebuild_and_of_an_image_is_checked_in_the_words_of_the_dialect() {
    let house = servers::furnished().await;
    let member = house.person("member", "blue").await;
    let id = servers::up(&house, &member, "one", "").await;
    let long = "k".repeat(256);
    let value = "Invalid metadata size: Metadata property value greater than 255 characters";
    for (order, too_many) in [
        (format!(r#""rebuild": {{"imageRef": "{}", "#, servers::IMAGE), "Maximum number of metadata items exceeds 40"),
        (r#""createImage": {"name": "i", "#.to_owned(), "Image metadata limit exceeded"),
    ] {
        let body = |items: &str| format!("{{{order}\"metadata\": {items}}}}}");
        for (door, status) in [("/v2", 413), ("/v2.1", 400)] {
            let path = format!("{door}/servers/{id}/action");
            let reply = member.post(&path, &body(&format!(r#"{{"k": "{long}"}}"#))).await.is(status);
            assert_eq!(reply.text().contains(value), status == 413, "{}", reply.text());
        }
        let path = format!("/v2/servers/{id}/action");
        member.post(&path, &body(r#"{"": "v"}"#)).await.is(400);
        member.post(&path, &body(&stage::items(41))).await.refuses(413, too_many);
    }
}

#[tokio::test]
async fn forty_items_are_enough_unless_a_quota_says_otherwise() {
    let (house, member) = stage().await;
    let metadata = |count| format!(r#"{{"metadata": {}}}"#, stage::items(count));
    member.put(&server(""), &metadata(40)).await.is(200);
    let reply = member.put(&server("/one-more"), r#"{"meta": {"one-more": "v"}}"#).await;
    let reply = reply.refuses(413, "Maximum number of metadata items exceeds 40");
    assert_eq!(reply.header("retry-after"), Some("0"));
    member.put(&image(""), &metadata(41)).await.refuses(413, "Image metadata limit exceeded");
    member.put(&server("").replacen("/v2/", "/v2.1/", 1), &metadata(128)).await.is(200);
    stage::limit(&house, "blue", "", "metadata_items", 41).await;
    member.put(&server(""), &metadata(41)).await.is(200);
}

#[tokio::test]
async fn the_limit_of_items_is_a_setting() {
    let house = House::with(|settings| settings.cloud_servers.metadata_items = 1).await;
    let (_house, member) = stage_in(house).await;
    let refused = member.post(&server(""), r#"{"metadata": {"b": "2"}}"#).await;
    refused.refuses(413, "Maximum number of metadata items exceeds 1");
}

#[tokio::test]
async fn a_server_that_is_not_there_does_not_exist() {
    let (house, member) = stage().await;
    let elsewhere = server("").replace(SERVER, "6f9c6b2e-0000-4000-8000-0000000000ff");
    member.get(&elsewhere).await.refuses(404, "Server does not exist");
    let stranger = house.person("member", "green").await;
    stranger.get(&format!("/v2/servers/{SERVER}/metadata")).await.refuses(404, "Server does not exist");
}

#[tokio::test]
async fn keys_of_images_are_folded_to_lower_case() {
    let (_house, member) = stage().await;
    let body = r#"{"metadata": {"Category": "Webserver", "Owner": "John, Doe", "Label": "Updated"}}"#;
    let all = r#"{"metadata": {"k1": "v1", "base": "ubuntu", "category": "Webserver", "owner": "John, Doe", "label": "Updated"}}"#;
    member.post(&image(""), body).await.is(200).says(all);
    member.get(&image("")).await.is(200).says(all);
    member.put(&image("/LABEL"), r#"{"meta": {"Label": "x"}}"#).await.is(200).says(r#"{"meta": {"label": "x"}}"#);
    member.get(&image("/Label")).await.is(200).says(r#"{"meta": {"label": "x"}}"#);
    member.delete(&image("/CATEGORY")).await.is(204);
    member.get(&image("/category")).await.is(404);
}

#[tokio::test]
async fn a_key_of_an_image_that_was_written_elsewhere_is_found_in_any_case() {
    let (_house, member) = stage().await;
    member.get(&image("/BASE")).await.is(200).says(r#"{"meta": {"base": "ubuntu"}}"#);
    member.put(&image("/base"), r#"{"meta": {"base": "debian"}}"#).await.is(200);
    let at_v2_1 = image("").replacen("/v2/", "/v2.1/", 1);
    member.get(&at_v2_1).await.is(200).says(r#"{"metadata": {"k1": "v1", "Base": "debian"}}"#);
    member.delete(&image("/base")).await.is(204);
    member.get(&at_v2_1).await.says(r#"{"metadata": {"k1": "v1"}}"#);
}

#[tokio::test]
async fn keys_of_servers_are_not_folded() {
    let (_house, member) = stage().await;
    member.post(&server(""), r#"{"metadata": {"A": "2"}}"#).await.says(r#"{"metadata": {"a": "1", "A": "2"}}"#);
}

fn limit(method: &str, uri: &str, value: u32) -> RateLimit {
    RateLimit {
        method: method.into(),
        uri: uri.into(),
        value: value.try_into().expect("not 0"),
        unit: RateUnit::Minute,
    }
}

#[tokio::test]
async fn one_request_too_many_is_413_until_time_has_passed() {
    let house = House::with(|settings| settings.cloud_servers.rate_limits = vec![limit("GET", "*", 2)]).await;
    let (house, member) = stage_in(house).await;
    for _ in 0..2 {
        member.get(&server("")).await.is(200);
    }
    let reply = member.get(&server("")).await.is(413);
    assert_eq!(reply.header("retry-after"), Some("30"));
    reply.says(
        "{\"overLimit\": {\"code\": 413, \"message\": \"OverLimit Retry...\", \
         \"details\": \"Only 2 GET request(s) can be made to * every minute.\", \"retryAt\": \"2026-01-01T00:00:30Z\"}}",
    );
    member.put(&server("/b"), r#"{"meta": {"b": "2"}}"#).await.is(200);
    house.person("admin", "green").await.get(&format!("/v2/servers/{SERVER}/metadata")).await.is(200);
    house.later(30);
    member.get(&server("")).await.is(200);
}

#[tokio::test]
async fn v2_1_knows_no_rate_limits() {
    let house = House::with(|settings| settings.cloud_servers.rate_limits = vec![limit("GET", "*", 1)]).await;
    let (_house, member) = stage_in(house).await;
    for _ in 0..3 {
        member.get(&format!("/v2.1/servers/{SERVER}/metadata")).await.is(200);
    }
}

#[tokio::test]
async fn a_limit_counts_what_its_path_says() {
    let limits = vec![limit("PUT", "/servers/{id}/metadata/{key}", 1), limit("POST", "/images*", 1)];
    let house = House::with(|settings| settings.cloud_servers.rate_limits = limits).await;
    let (_house, member) = stage_in(house).await;
    let put = r#"{"meta": {"b": "2"}}"#;
    member.put(&server("/b"), put).await.is(200);
    member.put(&server("/b"), put).await.is(413);
    member.put(&server(""), r#"{"metadata": {}}"#).await.is(200);
    for status in [200, 413] {
        member.post(&image(""), r#"{"metadata": {}}"#).await.is(status);
    }
    member.post(&server(""), r#"{"metadata": {}}"#).await.is(200);
}

#[tokio::test]
async fn the_limits_show_rates_and_forty_items() {
    let limits = vec![limit("GET", "*", 60), limit("POST", "*", 5), limit("POST", "/servers*", 2)];
    let house = House::with(|settings| settings.cloud_servers.rate_limits = limits).await;
    let (_house, member) = stage_in(house).await;
    member.post(&server(""), r#"{"metadata": {}}"#).await.is(200);
    let reply = member.get("/v2/limits").await.is(200);
    assert_eq!(reply.at("limits.absolute.maxServerMeta").as_i64(), Some(40));
    assert_eq!(reply.at("limits.absolute.maxImageMeta").as_i64(), Some(40));
    let line = |verb: &str, value: i64, remaining: i64| {
        format!(
            r#"{{"next-available": "2026-01-01T00:00:00Z", "remaining": {remaining}, "unit": "MINUTE", "value": {value}, "verb": "{verb}"}}"#
        )
    };
    let rate = format!(
        r#"[{{"limit": [{}, {}], "regex": ".*", "uri": "*"}}, {{"limit": [{}], "regex": "^/servers.*", "uri": "/servers*"}}]"#,
        line("GET", 60, 59),
        line("POST", 5, 4),
        line("POST", 2, 1)
    );
    assert_eq!(reply.at("limits.rate").to_string(), rate);
    let reply = member.get("/v2.1/limits").await.is(200);
    assert_eq!(
        (reply.at("limits.rate").to_string().as_str(), reply.at("limits.absolute.maxServerMeta").as_i64()),
        ("[]", Some(128))
    );
}

#[tokio::test]
async fn a_server_is_made_with_metadata_of_this_dialect() {
    let house = servers::furnished().await;
    let member = house.person("member", "blue").await;
    let long = "v".repeat(256);
    for (items, status, sentence) in [
        (
            format!(r#"{{"k": "{long}"}}"#),
            413,
            "Invalid metadata size: Metadata property value greater than 255 characters",
        ),
        (r#"{"k": 1}"#.to_owned(), 400, "Invalid metadata: The input is not a string or unicode"),
        (stage::items(41), 413, "Maximum number of metadata items exceeds 40"),
    ] {
        let body = servers::order("one", &format!(r#", "metadata": {items}"#));
        member.post("/v2/servers", &body).await.refuses(status, sentence);
    }
    let forty = servers::order("one", &format!(r#", "metadata": {}"#, stage::items(40)));
    let reply = member.post("/v2/servers", &forty).await.is(202);
    let id = reply.text_at("server.id");
    member.get(&format!("/v2/servers/{id}/metadata")).await.is(200);
}

#[tokio::test]
async fn more_servers_than_the_quota_allows_are_413() {
    let house = servers::furnished().await;
    let member = house.person("member", "blue").await;
    let many = servers::order("many", r#", "max_count": 11, "min_count": 11"#);
    let reply = member.post("/v2/servers", &many).await;
    let reply = reply.refuses(413, "Quota exceeded for instances: Requested 11, but already used 0 of 10 instances");
    assert_eq!(reply.header("retry-after"), Some("0"));
    member.post("/v2.1/servers", &many).await.is(403);
}
