//! What it costs to be refused: whatever is wrong with a login, one hash of the usual cost is made, so that neither the words nor the
//! time of the answer tell who exists, who is disabled, or which part was wrong. Times themselves are measured by `cargo bench --bench
//! passwords`; here hashes are counted.

// what the measurement is judged by has tests of its own
#[path = "../../benches/passwords/ranks.rs"]
mod ranks;

use crate::house::{Client, House, Reply, id_of};

const TOKENS: &str = "/identity/v3/auth/tokens";
const V2: &str = "/identity/v2.0/tokens";

/// A house with users in every state; those who have a password have `right`.
async fn furnished() -> House {
    let house = House::new().await;
    let admin = house.person("admin", "office").await;
    let post = |path: &'static str, body: String| {
        let admin = admin.clone();
        async move { admin.post(&format!("/identity/v3{path}"), &body).await.is(201) }
    };
    let north = post("/domains", r#"{"domain": {"name": "north"}}"#.into()).await.text_at("domain.id");
    for (name, more) in [
        ("good", r#", "password": "right""#.to_owned()),
        ("disabled", r#", "password": "right", "enabled": false"#.to_owned()),
        ("without", String::new()),
        ("northern", format!(r#", "password": "right", "domain_id": "{north}""#)),
    ] {
        post("/users", format!(r#"{{"user": {{"name": "{name}"{more}}}}}"#)).await;
    }
    // not by the API: it refuses what is none of bcrypt's
    let odd = |tx: &mut dyn kilonova::store::Tx| {
        tx.execute(
            "INSERT INTO users (id, domain_id, name, enabled, password_hash, tokens_valid_from, extra) \
             VALUES ('odd', 'default', 'odd', 1, '$scrypt$ln=16,r=8,p=1$x$y', 0, '{}')",
            &[],
        )
    };
    house.cloud.store.write(odd).await.expect("a user with the hash of another algorithm");
    admin.patch(&format!("/identity/v3/domains/{north}"), r#"{"domain": {"enabled": false}}"#).await.is(200);
    house
}

/// How many hashes the answer to this has cost.
async fn cost(house: &House, client: &Client, path: &str, body: &str) -> (Reply, u64) {
    let before = house.cloud.passwords.hashes();
    let reply = client.post(path, body).await;
    (reply, house.cloud.passwords.hashes() - before)
}

#[tokio::test]
async fn every_wrong_login_costs_one_hash_and_says_the_same() {
    let house = furnished().await;
    let v3 = |user: &str, password: &str| {
        format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{{user}, "password": "{password}"}}}}}}}}}}"#
        )
    };
    let named = |name: &str| format!(r#""name": "{name}", "domain": {{"id": "default"}}"#);
    let credential = |who: &str| {
        format!(
            r#"{{"auth": {{"identity": {{"methods": ["application_credential"], "application_credential": {{{who}, "secret": "s"}}}}}}}}"#
        )
    };
    let v2 = |kind: &str, name: &str, secret: &str| {
        format!(r#"{{"auth": {{"{kind}": {{"username": "{name}", "{secret}": "wrong"}}}}}}"#)
    };
    let long = "x".repeat(5000);
    let mut said = Vec::new();
    for (path, body) in [
        (TOKENS, v3(&named("good"), "wrong")),
        (TOKENS, v3(&named("good"), "")),
        (TOKENS, v3(&named("good"), &long)),
        (TOKENS, v3(&named("good"), "wrong\\u0000")),
        (TOKENS, v3(&named("nobody"), "right")),
        (TOKENS, v3(&named(&long), "right")),
        (TOKENS, v3(&named("disabled"), "right")),
        (TOKENS, v3(&named("disabled"), "wrong")),
        (TOKENS, v3(&named("without"), "right")),
        (TOKENS, v3(&named("without"), "")),
        (TOKENS, v3(&named("odd"), "right")),
        (TOKENS, v3(r#""id": "nobody""#, "right")),
        (TOKENS, v3(r#""name": "good", "domain": {"id": "nowhere"}"#, "right")),
        (TOKENS, v3(r#""name": "good", "domain": {"name": "north"}"#, "right")),
        (TOKENS, v3(r#""name": "northern", "domain": {"name": "north"}"#, "right")),
        (TOKENS, v3(r#""name": "northern", "domain": {"id": "default"}"#, "right")),
        (TOKENS, credential(r#""id": "none""#)),
        (TOKENS, credential(&format!(r#""name": "c", "user": {{{}}}"#, named("good")))),
        (TOKENS, credential(&format!(r#""name": "c", "user": {{{}}}"#, named("nobody")))),
    ] {
        let (reply, hashes) = cost(&house, &house.nobody(), path, &body).await;
        assert_eq!((reply.status, hashes), (401, 1), "{body}: {}", reply.text());
        said.push(reply.text());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    let mut said = Vec::new();
    for body in ["good", "nobody", "disabled", "without", "odd"] {
        for (kind, secret) in [("passwordCredentials", "password"), ("RAX-KSKEY:apiKeyCredentials", "apiKey")] {
            let (reply, hashes) = cost(&house, &house.nobody(), V2, &v2(kind, body, secret)).await;
            assert_eq!((reply.status, hashes), (401, 1), "{kind} of {body}: {}", reply.text());
            said.push(reply.text());
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    let (reply, hashes) = cost(&house, &house.nobody(), TOKENS, &v3(&named("good"), "right")).await;
    assert_eq!((reply.status, hashes), (201, 1), "the right one costs the same");
}

#[tokio::test]
async fn a_wrong_change_of_a_password_costs_one_hash_whoever_it_is_of() {
    let house = furnished().await;
    house.person("member", "blue").await;
    for user in ["nobody", "odd", &id_of("member-of-blue")] {
        let path = format!("/identity/v3/users/{user}/password");
        let body = r#"{"user": {"original_password": "wrong", "password": "new"}}"#;
        let (reply, hashes) = cost(&house, &house.nobody(), &path, body).await;
        assert_eq!((reply.status, hashes), (401, 1), "{user}: {}", reply.text());
    }
}

#[tokio::test]
async fn what_is_no_login_at_all_costs_no_hash() {
    let house = furnished().await;
    for body in ["{}", "{", r#"{"auth": {"identity": {"methods": ["password"]}}}"#, r#"{"auth": {"identity": {"methods": []}}}"#] {
        let (reply, hashes) = cost(&house, &house.nobody(), TOKENS, body).await;
        assert!(matches!(reply.status, 400 | 401) && hashes == 0, "{body}: {} after {hashes} hashes", reply.status);
    }
}
