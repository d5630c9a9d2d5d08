//! Key pairs, in every version.

use crate::house::{Ask, Client, House, Reply, id_of};

const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCfQPyS2iQWlHUJee5s9YLy1dfSjhgzXeBavFTQVg4PUwKGDGUr8I1WAlKqXnQhBUbzafu7zowSz8eVeyZS/pp1H0D8ktokFpR1CXnubPWC8tXX0o4YM13gWrxU0FYOD1MChgxlK/CNVgJSql50IQVG82n7u86MEs/HlXsmUv6adQ== me@home";
const FINGERPRINT: &str = "71:f2:69:d9:81:6d:e2:87:02:bc:c8:78:57:71:fa:5c";

async fn ask(client: &Client, method: &str, version: &str, target: &str, body: &str) -> Reply {
    client.send(Ask::new(method, target).version(version).json(body)).await
}

fn import(name: &str) -> String {
    format!(r#"{{"keypair": {{"name": "{name}", "public_key": "{RSA}"}}}}"#)
}

#[tokio::test]
async fn an_imported_key_is_answered_listed_and_shown_as_each_version_has_it() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let user = id_of("member-of-blue");
    let key = |name: &str| format!(r#""name": "{name}", "public_key": "{RSA}", "fingerprint": "{FINGERPRINT}""#);
    let body = format!(r#"{{"keypair": {{{}, "user_id": "{user}"}}}}"#, key("a"));
    member.post("/v2.1/os-keypairs", &import("a")).await.is(200).says(&body);
    let body = format!(r#"{{"keypair": {{"type": "ssh", {}, "user_id": "{user}"}}}}"#, key("b"));
    ask(&member, "POST", "2.2", "/v2.1/os-keypairs", &import("b")).await.is(201).says(&body);
    let times = r#""created_at": "2026-01-01T00:00:00.000000", "deleted": false, "deleted_at": null, "id": 2, "updated_at": null"#;
    let body = format!(r#"{{"keypair": {{{}, "user_id": "{user}", {times}}}}}"#, key("b"));
    member.get("/v2.1/os-keypairs/b").await.is(200).says(&body);
    let body = body.replace("null}}", r#"null, "type": "ssh"}}"#);
    ask(&member, "GET", "2.2", "/v2.1/os-keypairs/b", "").await.is(200).says(&body);
    let list = format!(r#"{{"keypairs": [{{"keypair": {{{}}}}}, {{"keypair": {{{}}}}}]}}"#, key("a"), key("b"));
    member.get("/v2.1/os-keypairs?limit=1").await.is(200).says(&list);
    let next =
        r#""keypairs_links": [{"rel": "next", "href": "http://kilonova.test/v2.1/os-keypairs?limit=1&marker=a"}]"#;
    let list = format!(r#"{{"keypairs": [{{"keypair": {{{}, "type": "ssh"}}}}], {next}}}"#, key("a"));
    ask(&member, "GET", "2.35", "/v2.1/os-keypairs?limit=1", "").await.is(200).says(&list);
    let page = ask(&member, "GET", "2.35", "/v2.1/os-keypairs?marker=a", "").await.is(200);
    assert_eq!(page.text_at("keypairs.0.keypair.name"), "b");
}

#[tokio::test]
async fn a_key_is_made_where_none_is_sent_and_its_private_half_is_told_once() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let reply = member.post("/v2.1/os-keypairs", r#"{"keypair": {"name": "made"}}"#).await.is(200);
    assert!(reply.text_at("keypair.private_key").starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    let public = reply.text_at("keypair.public_key");
    let shown = member.get("/v2.1/os-keypairs/made").await.is(200);
    assert_eq!(shown.text_at("keypair.public_key"), public);
    assert!(shown.at("keypair").get("private_key").is_none());
    let sentence =
        "Invalid input for field/attribute keypair. Value: {'name': 'x'}. 'public_key' is a required property";
    let body = r#"{"keypair": {"name": "x"}}"#;
    ask(&member, "POST", "2.92", "/v2.1/os-keypairs", body).await.refuses(400, sentence);
}

#[tokio::test]
async fn a_key_pair_is_gone_once_it_is_deleted() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let gone = format!("Keypair a not found for user {}", id_of("member-of-blue"));
    for (version, status) in [("2.1", 202), ("2.2", 204)] {
        member.post("/v2.1/os-keypairs", &import("a")).await.is(200);
        ask(&member, "DELETE", version, "/v2.1/os-keypairs/a", "").await.is(status).says("");
        ask(&member, "DELETE", version, "/v2.1/os-keypairs/a", "").await.refuses(404, &gone);
        member.get("/v2.1/os-keypairs/a").await.refuses(404, &gone);
    }
}

#[tokio::test]
async fn key_pairs_of_others_are_for_administrators_who_name_them() {
    let house = House::new().await;
    let (member, admin) = (house.person("member", "blue").await, house.person("admin", "ops").await);
    let user = id_of("member-of-blue");
    let body = format!(r#"{{"keypair": {{"name": "a", "public_key": "{RSA}", "user_id": "{user}"}}}}"#);
    ask(&admin, "POST", "2.10", "/v2.1/os-keypairs", &body).await.is(201);
    member.get("/v2.1/os-keypairs/a").await.is(200);
    admin.get(&format!("/v2.1/os-keypairs/a?user_id={user}")).await.is(404);
    let target = format!("/v2.1/os-keypairs/a?user_id={user}");
    ask(&admin, "GET", "2.10", &target, "").await.is(200);
    let list = ask(&admin, "GET", "2.10", &format!("/v2.1/os-keypairs?user_id={user}"), "").await.is(200);
    assert_eq!(list.text_at("keypairs.0.keypair.name"), "a");
    let other = id_of("admin-of-ops");
    for (method, target, rule) in [
        ("GET", format!("/v2.1/os-keypairs?user_id={other}"), "index"),
        ("GET", format!("/v2.1/os-keypairs/a?user_id={other}"), "show"),
        ("DELETE", format!("/v2.1/os-keypairs/a?user_id={other}"), "delete"),
    ] {
        let sentence = format!("Policy doesn't allow os_compute_api:os-keypairs:{rule} to be performed.");
        ask(&member, method, "2.10", &target, "").await.refuses(403, &sentence);
    }
    let body = body.replace(&user, &other);
    let sentence = "Policy doesn't allow os_compute_api:os-keypairs:create to be performed.";
    ask(&member, "POST", "2.10", "/v2.1/os-keypairs", &body).await.refuses(403, sentence);
    ask(&admin, "DELETE", "2.10", &target, "").await.is(204);
}

#[tokio::test]
async fn what_cannot_be_a_key_pair_is_refused() {
    let house = House::with(|settings| settings.quota.key_pairs = 1).await;
    let member = house.person("member", "blue").await;
    let keys = "/v2.1/os-keypairs";
    let sentence = "Keypair data is invalid: failed to generate fingerprint";
    member.post(keys, r#"{"keypair": {"name": "a", "public_key": "ssh-rsa AAAA"}}"#).await.refuses(400, sentence);
    let sentence = "Keypair data is invalid: certificates of type x509 are not supported by this cloud";
    let body = r#"{"keypair": {"name": "a", "type": "x509"}}"#;
    ask(&member, "POST", "2.2", keys, body).await.refuses(400, sentence);
    member.post(keys, &import("a")).await.is(200);
    member.post(keys, &import("b")).await.refuses(403, "Quota exceeded, too many key pairs.");
    member.post(keys, &import("a@b")).await.is(400);
    let unknown = "Additional properties are not allowed ('foo' was unexpected)";
    for target in ["/v2.1/os-keypairs?foo=1", "/v2.1/os-keypairs/a?foo=1"] {
        ask(&member, "GET", "2.75", target, "").await.refuses(400, unknown);
    }
    let sentence = "Marker x could not be found.";
    ask(&member, "GET", "2.35", "/v2.1/os-keypairs?marker=x", "").await.refuses(400, sentence);
}

#[tokio::test]
async fn a_user_has_no_two_key_pairs_of_one_name() {
    let house = House::new().await;
    let (blue, green) = (house.person("member", "blue").await, house.person("member", "green").await);
    blue.post("/v2.1/os-keypairs", &import("a")).await.is(200);
    blue.post("/v2.1/os-keypairs", &import("a")).await.refuses(409, "Key pair 'a' already exists.");
    green.post("/v2.1/os-keypairs", &import("a")).await.is(200);
}
