//! Logging in and what tokens are good for.

use kilonova::json::Json;

use crate::house::{Ask, Client, House, Reply, id_of};

const TOKENS: &str = "/identity/v3/auth/tokens";
const AGAIN: &str = "The request you have made requires authentication.";

/// A body that logs in by name and password, with a scope.
fn body(user: &str, password: &str, scope: &str) -> String {
    let scope = if scope.is_empty() { String::new() } else { format!(r#", "scope": {scope}"#) };
    format!(
        r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "{user}", "domain": {{"id": "default"}},
        "password": "{password}"}}}}}}{scope}}}}}"#
    )
}

const ADMIN_PROJECT: &str = r#"{"project": {"name": "admin", "domain": {"id": "default"}}}"#;

async fn login(house: &House, user: &str, scope: &str) -> Reply {
    house.nobody().post(TOKENS, &body(user, &house.password(user), scope)).await
}

fn token(reply: &Reply) -> String {
    reply.header("x-subject-token").expect("a token").to_owned()
}

async fn admin(house: &House) -> Client {
    house.bearer(&token(&login(house, "admin", ADMIN_PROJECT).await.is(201)))
}

fn by_token(token: &str, scope: &str) -> String {
    let scope = if scope.is_empty() { String::new() } else { format!(r#", "scope": {scope}"#) };
    format!(r#"{{"auth": {{"identity": {{"methods": ["token"], "token": {{"id": "{token}"}}}}{scope}}}}}"#)
}

#[tokio::test]
async fn a_login_says_who_one_is_where_and_until_when() {
    let house = House::new().await;
    let reply = login(&house, "admin", ADMIN_PROJECT).await.is(201);
    let token = reply.at("token");
    let keys: Vec<&str> = token.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        ["methods", "user", "audit_ids", "expires_at", "issued_at", "project", "is_domain", "roles", "catalog"]
    );
    assert_eq!(reply.at("token.methods").to_string(), r#"["password"]"#);
    assert_eq!(reply.text_at("token.user.name"), "admin");
    assert_eq!(reply.at("token.user.domain").to_string(), r#"{"id": "default", "name": "Default"}"#);
    assert_eq!(reply.text_at("token.project.name"), "admin");
    assert_eq!(reply.text_at("token.issued_at"), "2026-01-01T00:00:00.000000Z");
    assert_eq!(reply.text_at("token.expires_at"), "2026-01-01T01:00:00.000000Z");
    assert_eq!(reply.header("vary"), Some("X-Auth-Token"));
}

#[tokio::test]
async fn roles_come_with_those_they_imply() {
    let house = House::new().await;
    let reply = login(&house, "admin", ADMIN_PROJECT).await.is(201);
    let roles = reply.at("token.roles");
    let names: Vec<&str> =
        roles.as_array().expect("a list").iter().filter_map(|role| role.get("name").and_then(Json::as_str)).collect();
    assert_eq!(names, ["admin", "manager", "member", "reader"]);
}

#[tokio::test]
async fn the_catalog_names_every_service_three_times_at_this_address() {
    let house = House::new().await;
    let reply = login(&house, "admin", ADMIN_PROJECT).await.is(201);
    let catalog = reply.at("token.catalog");
    let mut seen = Vec::new();
    for service in catalog.as_array().expect("a list") {
        for endpoint in service.get("endpoints").and_then(Json::as_array).expect("endpoints") {
            let text = |json: &Json, name| json.get(name).and_then(Json::as_str).expect("text").to_owned();
            assert_eq!(text(endpoint, "region"), "RegionOne");
            assert_eq!(text(endpoint, "region_id"), "RegionOne");
            assert_eq!(text(endpoint, "id").len(), 32);
            seen.push(format!("{} {} {}", text(service, "name"), text(endpoint, "interface"), text(endpoint, "url")));
        }
    }
    assert_eq!(seen.len(), 12);
    for expected in [
        "nova public http://kilonova.test/v2.1",
        "glance internal http://kilonova.test/image",
        "keystone admin http://kilonova.test/identity",
        "neutron public http://kilonova.test/network",
    ] {
        assert!(seen.contains(&expected.to_owned()), "{expected} in {seen:?}");
    }
    let plain = body("admin", &house.password("admin"), ADMIN_PROJECT);
    let bare = house.nobody().post(&format!("{TOKENS}?nocatalog"), &plain).await.is(201);
    assert!(bare.at("token").get("catalog").is_none());
}

#[tokio::test]
async fn every_form_of_naming_a_user_and_a_scope_lets_in() {
    let house = House::new().await;
    let first = login(&house, "admin", ADMIN_PROJECT).await.is(201);
    let (user, project) = (first.text_at("token.user.id"), first.text_at("token.project.id"));
    let password = house.password("admin");
    for who in [
        format!(r#""id": "{user}""#),
        r#""name": "admin", "domain": {"id": "default"}"#.to_owned(),
        r#""name": "admin", "domain": {"name": "Default"}"#.to_owned(),
    ] {
        for (scope, member) in [
            (format!(r#", "scope": {{"project": {{"id": "{project}"}}}}"#), "project"),
            (r#", "scope": {"project": {"name": "admin", "domain": {"name": "Default"}}}"#.into(), "project"),
            (r#", "scope": {"domain": {"id": "default"}}"#.into(), "domain"),
            (r#", "scope": {"domain": {"name": "Default"}}"#.into(), "domain"),
            (r#", "scope": {"system": {"all": true}}"#.into(), "system"),
            (r#", "scope": "unscoped""#.into(), "user"),
            (r#", "scope": {"unscoped": {}}"#.into(), "user"),
            (String::new(), "user"),
        ] {
            let body = format!(
                r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{{who}, "password": "{password}"}}}}}}{scope}}}}}"#
            );
            let reply = house.nobody().post(TOKENS, &body).await.is(201);
            reply.at(&format!("token.{member}"));
            assert_eq!(reply.at("token").get("roles").is_some(), member != "user", "{scope}");
        }
    }
}

#[tokio::test]
async fn whatever_is_wrong_the_answer_is_the_same_and_has_cost_the_same() {
    let house = House::new().await;
    let right = house.password("admin");
    let project = |name: &str| format!(r#"{{"project": {{"name": "{name}", "domain": {{"id": "default"}}}}}}"#);
    for (user, password, scope) in [
        ("admin", "wrong", String::new()),
        ("nobody", "wrong", String::new()),
        ("nobody", right.as_str(), String::new()),
        ("admin", right.as_str(), project("nowhere")),
        ("admin", right.as_str(), project("demo")),
        ("admin", "wrong", project("nowhere")),
        ("admin", right.as_str(), r#"{"domain": {"id": "nowhere"}}"#.to_owned()),
    ] {
        let before = house.cloud.passwords.hashes();
        let reply = house.nobody().post(TOKENS, &body(user, password, &scope)).await.refuses(401, AGAIN);
        assert_eq!(
            reply.text(),
            format!(r#"{{"error": {{"code": 401, "message": "{AGAIN}", "title": "Unauthorized"}}}}"#)
        );
        assert_eq!(house.cloud.passwords.hashes() - before, 1, "{user} {scope}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_meant_is_told_why() {
    let house = House::new().await;
    let expecting = |what: &str, of: &str| {
        format!(
            "Expecting to find {what} in {of}. The server could not comply with the request since it is either malformed or otherwise \
             incorrect. The client is assumed to be in error."
        )
    };
    let identity = |inner: &str| format!(r#"{{"auth": {{"identity": {inner}}}}}"#);
    for (body, sentence) in [
        ("{}".to_owned(), expecting("auth", "request body")),
        (r#"{"auth": {}}"#.to_owned(), "'identity' is a required property".to_owned()),
        (identity("{}"), "Invalid input for field 'identity': 'methods' is a required property".to_owned()),
        (
            identity(r#"{"methods": "password"}"#),
            "Invalid input for field 'identity/methods': 'password' is not of type 'array'".into(),
        ),
        (identity(r#"{"methods": ["password"]}"#), expecting("password", "identity")),
        (
            identity(r#"{"methods": ["password"], "password": {"user": {}}}"#),
            "Invalid input for field identity/password/user: id or name must be present.".to_owned(),
        ),
        (
            identity(r#"{"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}"#),
            expecting("domain", "user"),
        ),
        (
            identity(r#"{"methods": ["password"], "password": {"user": {"id": 5, "password": "b"}}}"#),
            "Invalid input for field 'identity/password/user/id': 5 is not of type 'string'".to_owned(),
        ),
        (
            r#"{"auth": {"identity": {"methods": []}, "scope": {"project": {"id": "a"}, "system": {}}}}"#.to_owned(),
            expecting("system, project, domain, OS-TRUST:trust or unscoped", "scope"),
        ),
        (
            r#"{"auth": {"identity": {"methods": []}, "scope": {"project": {}}}}"#.to_owned(),
            "Invalid input for field scope/project: id or name must be present.".to_owned(),
        ),
    ] {
        house.nobody().post(TOKENS, &body).await.refuses(400, &sentence);
    }
    house
        .nobody()
        .post(TOKENS, &identity(r#"{"methods": ["magic"], "magic": {}}"#))
        .await
        .refuses(401, "Attempted to authenticate with an unsupported method.");
}

#[tokio::test]
async fn a_token_for_another_scope_lives_no_longer_and_keeps_the_audit_chain() {
    let house = House::new().await;
    let first = login(&house, "admin", "").await.is(201);
    house.later(600);
    let second = house.nobody().post(TOKENS, &by_token(&token(&first), ADMIN_PROJECT)).await.is(201);
    assert_eq!(second.at("token.expires_at"), first.at("token.expires_at"));
    assert_eq!(second.text_at("token.issued_at"), "2026-01-01T00:10:00.000000Z");
    assert_eq!(second.at("token.audit_ids.1"), first.at("token.audit_ids.0"));
    assert_eq!(second.at("token.methods").to_string(), r#"["token", "password"]"#);
    let third = house.nobody().post(TOKENS, &by_token(&token(&second), r#"{"system": {"all": true}}"#)).await.is(201);
    assert_eq!(third.at("token.audit_ids.1"), first.at("token.audit_ids.0"));
    house.nobody().post(TOKENS, &by_token(&token(&third), ADMIN_PROJECT)).await.refuses(
        403,
        "You are not authorized to perform the requested action: Using a system-scoped token to create a \
             project-scoped or domain-scoped token is not allowed..",
    );
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let house = House::new().await;
    let admin = admin(&house).await;
    house.later(3599);
    admin.get("/identity/v3/auth/projects").await.is(200);
    house.later(1);
    admin.get("/identity/v3/auth/projects").await.refuses(401, AGAIN);
    house.nobody().post(TOKENS, &by_token(admin.token.as_deref().expect("a token"), "")).await.refuses(401, AGAIN);
}

#[tokio::test]
async fn a_token_that_was_changed_anywhere_proves_nobody() {
    let house = House::new().await;
    let good = token(&login(&house, "admin", ADMIN_PROJECT).await.is(201));
    for position in (0..good.len()).step_by(7) {
        let mut forged = good.clone().into_bytes();
        forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).expect("ASCII");
        house.bearer(&forged).get("/identity/v3/auth/projects").await.refuses(401, AGAIN);
    }
    house.bearer(&good).get("/identity/v3/auth/projects").await.is(200);
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_others_are_not() {
    let house = House::new().await;
    let (one, other) = (admin(&house).await, admin(&house).await);
    let text = one.token.clone().expect("a token");
    one.get("/identity/v3/auth/projects").await.is(200);
    let subject = |method: &str| Ask::new(method, TOKENS).header("x-subject-token", &text);
    one.send(subject("HEAD")).await.is(200);
    let shown = one.send(subject("GET")).await.is(200);
    assert_eq!(shown.header("x-subject-token"), Some(text.as_str()));
    assert_eq!(shown.text_at("token.user.name"), "admin");
    one.send(subject("DELETE")).await.is(204);
    one.get("/identity/v3/auth/projects").await.refuses(401, AGAIN);
    house.nobody().post(TOKENS, &by_token(&text, "")).await.refuses(401, AGAIN);
    for method in ["HEAD", "GET", "DELETE"] {
        other.send(subject(method)).await.is(404);
    }
    other.get("/identity/v3/auth/projects").await.is(200);
    let house = house.restarted().await;
    house.bearer(&text).get("/identity/v3/auth/projects").await.refuses(401, AGAIN);
}

#[tokio::test]
async fn one_may_look_at_ones_own_token_and_an_administrator_at_all() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let theirs = member.token.clone().expect("a token");
    let admin = admin(&house).await;
    let others = admin.token.clone().expect("a token");
    let look = |token: &str| Ask::new("GET", TOKENS).header("x-subject-token", token);
    member.send(look(&theirs)).await.is(200);
    admin.send(look(&theirs)).await.is(200);
    member
        .send(look(&others))
        .await
        .refuses(403, "You are not authorized to perform the requested action: identity:validate_token.");
    admin.send(look("nonsense")).await.refuses(404, "Failed to validate token");
    admin.get(TOKENS).await.refuses(404, "No token in the request");
    house.nobody().send(look(&theirs)).await.refuses(401, AGAIN);
}

#[tokio::test]
async fn the_bearer_learns_what_to_scope_to() {
    let house = House::new().await;
    let admin = admin(&house).await;
    assert_eq!(admin.get("/identity/v3/auth/projects").await.is(200).text_at("projects.0.name"), "admin");
    assert_eq!(admin.get("/identity/v3/auth/domains").await.is(200).text_at("domains.0.id"), "default");
    assert_eq!(admin.get("/identity/v3/auth/system").await.is(200).at("system").to_string(), r#"[{"all": true}]"#);
    assert_eq!(admin.get("/identity/v3/auth/catalog").await.is(200).text_at("catalog.0.type"), "compute");
    let member = house.person("member", "blue").await;
    assert_eq!(member.get("/identity/v3/auth/system").await.is(200).at("system").to_string(), "[]");
    let unscoped = house.bearer(&token(&login(&house, "demo", "").await.is(201)));
    assert_eq!(unscoped.get("/identity/v3/auth/projects").await.is(200).text_at("projects.0.name"), "demo");
    unscoped.get("/identity/v3/auth/catalog").await.is(403);
}

#[tokio::test]
async fn anybody_learns_the_versions() {
    let house = House::new().await;
    for path in ["/identity", "/identity/"] {
        let reply = house.nobody().get(path).await.is(300);
        assert_eq!(reply.header("location"), Some("http://kilonova.test/identity/v3/"));
        assert_eq!(reply.text_at("versions.values.0.id"), "v3.14");
    }
    for path in ["/identity/v3", "/identity/v3/"] {
        let reply = house.nobody().get(path).await.is(200);
        assert_eq!(reply.text_at("version.status"), "stable");
        assert_eq!(reply.text_at("version.links.0.href"), "http://kilonova.test/identity/v3/");
    }
}

#[tokio::test]
async fn a_person_of_the_house_is_one_to_identity_too() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let shown =
        member.send(Ask::new("GET", TOKENS).header("x-subject-token", member.token.as_deref().expect("one"))).await;
    assert_eq!(shown.is(200).text_at("token.project.id"), id_of("blue"));
}

#[tokio::test]
async fn a_token_that_is_opened_while_its_key_goes_is_not_remembered() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let token = reader.token.as_deref().expect("a token");
    let (cloud, rules, now) = (&house.cloud, house.cloud.rules(), house.cloud.now().microseconds() / 1_000_000);
    // other keys come just after these were looked up
    let keys = || {
        let keys = cloud.keys.current();
        cloud.callers.forget();
        keys
    };
    assert!(cloud.callers.caller(&cloud.store, keys, &rules, token, now).await.is_ok());
    assert!(cloud.callers.remembered(token, now, &rules).is_none());
    assert!(cloud.callers.caller(&cloud.store, || cloud.keys.current(), &rules, token, now).await.is_ok());
    assert!(cloud.callers.remembered(token, now, &rules).is_some());
}
