//! Identity v2.0, for clients in the manner of Rackspace.

use kilonova::json::Json;

use crate::house::{House, Reply};

const TOKENS: &str = "/identity/v2.0/tokens";

async fn login(house: &House, credentials: &str, tenant: &str) -> Reply {
    house.nobody().post(TOKENS, &format!(r#"{{"auth": {{{credentials}{tenant}}}}}"#)).await
}

fn by_password(user: &str, password: &str) -> String {
    format!(r#""passwordCredentials": {{"username": "{user}", "password": "{password}"}}"#)
}

fn by_key(user: &str, key: &str) -> String {
    format!(r#""RAX-KSKEY:apiKeyCredentials": {{"username": "{user}", "apiKey": "{key}"}}"#)
}

#[tokio::test]
async fn both_kinds_of_credentials_let_in_with_any_way_of_naming_the_tenant() {
    let house = House::new().await;
    let password = house.password("demo");
    let first = login(&house, &by_password("demo", &password), "").await.is(200);
    let id = first.text_at("access.token.tenant.id");
    for credentials in [by_password("demo", &password), by_key("demo", &password)] {
        for tenant in ["".to_owned(), r#", "tenantName": "demo""#.to_owned(), format!(r#", "tenantId": "{id}""#)] {
            let reply = login(&house, &credentials, &tenant).await.is(200);
            assert_eq!(reply.text_at("access.token.tenant.name"), "demo");
            assert_eq!(reply.text_at("access.user.name"), "demo");
            assert_eq!(reply.text_at("access.token.expires"), "2026-01-01T01:00:00.000000Z");
            let bearer = house.bearer(&reply.text_at("access.token.id"));
            assert_eq!(bearer.get("/identity/v2.0/tenants").await.is(200).text_at("tenants.0.id"), id);
        }
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_costs_one_check_and_hears_one_sentence() {
    let house = House::new().await;
    let password = house.password("demo");
    for (credentials, tenant) in [
        (by_password("demo", "wrong"), ""),
        (by_password("nobody", "wrong"), ""),
        (by_key("demo", "wrong"), ""),
        (by_key("nobody", "wrong"), ""),
        (by_key("demo", &password), r#", "tenantName": "admin""#),
    ] {
        let before = house.cloud.passwords.hashes();
        let reply = login(&house, &credentials, tenant).await;
        reply.refuses(401, "The request you have made requires authentication.");
        assert_eq!(house.cloud.passwords.hashes() - before, 1, "{credentials}");
    }
    house.nobody().post(TOKENS, "{}").await.is(400);
    house.nobody().post(TOKENS, r#"{"auth": {}}"#).await.is(400);
    house.nobody().post(TOKENS, r#"{"auth": {"passwordCredentials": {"username": 5}}}"#).await.is(400);
}

#[tokio::test]
async fn the_catalog_has_cloud_servers_exactly_once_in_each_region() {
    let house = House::new().await;
    let reply = login(&house, &by_key("demo", &house.password("demo")), "").await.is(200);
    let tenant = reply.text_at("access.token.tenant.id");
    let catalog = reply.at("access.serviceCatalog");
    let named = |name: &str| {
        let found =
            catalog.as_array().expect("a list").iter().find(|it| it.get("name").and_then(Json::as_str) == Some(name));
        found.unwrap_or_else(|| panic!("no {name} in {}", reply.text())).clone()
    };
    let servers = named("cloudServersOpenStack");
    assert_eq!(servers.get("type").and_then(Json::as_str), Some("compute"));
    let mut regions = Vec::new();
    for endpoint in servers.get("endpoints").and_then(Json::as_array).expect("endpoints") {
        let text = |name| endpoint.get(name).and_then(Json::as_str).expect("text").to_owned();
        assert_eq!(text("publicURL"), format!("http://kilonova.test/v2/{tenant}"));
        assert_eq!(text("tenantId"), tenant);
        regions.push(text("region"));
    }
    assert_eq!(regions, ["RegionOne", "DFW", "ORD", "IAD", "LON", "SYD", "HKG"]);
    let nova = named("nova");
    let endpoints = nova.get("endpoints").and_then(Json::as_array).expect("endpoints");
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoints[0].get("internalURL").and_then(Json::as_str), Some("http://kilonova.test/v2.1"));
}

#[tokio::test]
async fn a_key_of_ones_own_takes_the_place_of_the_password_as_a_key() {
    let house = House::new().await;
    let password = house.password("demo");
    let first = login(&house, &by_password("demo", &password), "").await.is(200);
    let user = first.text_at("access.user.id");
    let reset = format!("/identity/v2.0/users/{user}/OS-KSADM/credentials/RAX-KSKEY:apiKeyCredentials/RAX-AUTH/reset");
    let made = house.bearer(&first.text_at("access.token.id")).post(&reset, "").await.is(200);
    let key = made.text_at("RAX-KSKEY:apiKeyCredentials.apiKey");
    login(&house, &by_key("demo", &key), "").await.is(200);
    login(&house, &by_key("demo", &password), "").await.is(401);
    login(&house, &by_password("demo", &key), "").await.is(401);
    login(&house, &by_password("demo", &password), "").await.is(200);
    house.person("member", "blue").await.post(&reset, "").await.is(403);
}
