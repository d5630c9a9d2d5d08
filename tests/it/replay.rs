//! Tokens that were good a moment ago, and texts that never were: what voids a token voids it at once, though it was just used and its
//! bearer is remembered, in this process and in others on the same database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kilonova::cloud::Cloud;
use kilonova::identity::token::{Method, Methods, Scope, Token};
use kilonova::identity::token_keys::TokenKeys;

use crate::house::{Client, House, id_of};

const V3: &str = "/identity/v3";
const TOKENS: &str = "/identity/v3/auth/tokens";

/// A house with a user who has a role on a project of their own domain, and an application credential.
struct Scene {
    house: House,
    admin: Client,
    neighbour: Option<Arc<Cloud>>,
    user: String,
    project: String,
    domain: String,
    role: String,
    credential: String,
}

/// How a token was got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Password,
    Credential,
    /// From a token of the same login, for the same project.
    Token,
}

impl Scene {
    async fn set() -> Scene {
        let house = House::new().await;
        let neighbour = house.neighbour().await;
        let admin = house.person("admin", "office").await;
        let made = |path: &'static str, body: String, at: &'static str| {
            let admin = admin.clone();
            async move { admin.post(&format!("{V3}{path}"), &body).await.is(201).text_at(at) }
        };
        let domain = made("/domains", r#"{"domain": {"name": "north"}}"#.into(), "domain.id").await;
        let user = format!(r#"{{"user": {{"name": "joe", "password": "first", "domain_id": "{domain}"}}}}"#);
        let user = made("/users", user, "user.id").await;
        let project = format!(r#"{{"project": {{"name": "red", "domain_id": "{domain}"}}}}"#);
        let project = made("/projects", project, "project.id").await;
        let role = made("/roles", r#"{"role": {"name": "painter"}}"#.into(), "role.id").await;
        let grant = format!("{V3}/projects/{project}/users/{user}/roles/{role}");
        admin.put(&grant, "").await.is(204);
        let mut scene = Scene { house, admin, neighbour, user, project, domain, role, credential: String::new() };
        let joe = scene.client(By::Password).await;
        let path = format!("{V3}/users/{}/application_credentials", scene.user);
        let body = r#"{"application_credential": {"name": "c", "secret": "second"}}"#;
        scene.credential = joe.post(&path, body).await.is(201).text_at("application_credential.id");
        scene
    }

    fn identity(&self, by: By, password: &str) -> String {
        let Scene { user, credential, .. } = self;
        match by {
            By::Password | By::Token => format!(
                r#"{{"methods": ["password"], "password": {{"user": {{"id": "{user}", "password": "{password}"}}}}}}"#
            ),
            By::Credential => format!(
                r#"{{"methods": ["application_credential"], "application_credential": {{"id": "{credential}", "secret": "{password}"}}}}"#
            ),
        }
    }

    fn body(&self, by: By, identity: &str) -> String {
        match by {
            By::Credential => format!(r#"{{"auth": {{"identity": {identity}}}}}"#),
            By::Password | By::Token => {
                format!(
                    r#"{{"auth": {{"identity": {identity}, "scope": {{"project": {{"id": "{}"}}}}}}}}"#,
                    self.project
                )
            }
        }
    }

    /// Joe, logged in.
    async fn client(&self, by: By) -> Client {
        let password = if by == By::Credential { "second" } else { "first" };
        let body = self.body(by, &self.identity(by, password));
        let reply = self.house.nobody().post(TOKENS, &body).await.is(201);
        let token = reply.header("x-subject-token").expect("a token").to_owned();
        if by != By::Token {
            return self.house.bearer(&token);
        }
        let identity = format!(r#"{{"methods": ["token"], "token": {{"id": "{token}"}}}}"#);
        let reply = self.house.nobody().post(TOKENS, &self.body(By::Token, &identity)).await.is(201);
        self.house.bearer(reply.header("x-subject-token").expect("a token"))
    }

    /// Asks for it as the administrator.
    async fn deed(&self, method: &str, path: &str, body: &str) {
        let named = [("@user", &self.user), ("@project", &self.project), ("@domain", &self.domain), ("@role", &self.role)];
        let path = named.iter().fold(path.to_owned(), |path, (word, id)| path.replace(word, id));
        let path = format!("{V3}{}", path.replace("@credential", &self.credential));
        let reply = match method {
            "PATCH" => self.admin.patch(&path, body).await,
            "POST" => self.admin.post(&path, body).await,
            "DELETE" => self.admin.delete(&path).await,
            other => panic!("nobody asks {other}"),
        };
        assert!(reply.status < 300, "{method} {path}: {} {}", reply.status, reply.text());
    }
}

/// Every way in which what a token says ceases to be true: what is done, and which tokens it voids.
const ENDS: &[(&str, &str, &str, &[By])] = &[
    ("PATCH", "/users/@user", r#"{"user": {"password": "other"}}"#, ALL),
    ("POST", "/users/@user/password", r#"{"user": {"original_password": "first", "password": "other"}}"#, ALL),
    ("PATCH", "/users/@user", r#"{"user": {"enabled": false}}"#, ALL),
    ("DELETE", "/users/@user", "", ALL),
    ("PATCH", "/projects/@project", r#"{"project": {"enabled": false}}"#, ALL),
    ("DELETE", "/projects/@project", "", ALL),
    ("PATCH", "/domains/@domain", r#"{"domain": {"enabled": false}}"#, ALL),
    ("DELETE", "/projects/@project/users/@user/roles/@role", "", ALL),
    ("DELETE", "/roles/@role", "", ALL),
    ("DELETE", "/users/@user/application_credentials/@credential", "", &[By::Credential]),
];

const ALL: &[By] = &[By::Password, By::Credential, By::Token];

/// Somewhere that needs no role, but a token that is good.
const ANYWHERE: &str = "/identity/v3/auth/projects";

#[tokio::test]
async fn a_token_ends_with_whatever_it_rests_on() {
    for (method, path, body, voided) in ENDS {
        let scene = Scene::set().await;
        let mut bearers = Vec::new();
        for by in ALL {
            let client = scene.client(*by).await;
            // remembered from now on, here and by the neighbour
            client.get(ANYWHERE).await.is(200);
            let there = scene.neighbour.clone().map(|cloud| Client { cloud, token: client.token.clone() });
            if let Some(there) = &there {
                there.get(ANYWHERE).await.is(200);
            }
            bearers.push((*by, client, there));
        }
        scene.deed(method, path, body).await;
        for (by, client, there) in bearers {
            let is_void = voided.contains(&by);
            let expected = if is_void { 401 } else { 200 };
            let reply = client.get(ANYWHERE).await;
            assert_eq!(reply.status, expected, "{method} {path} {body}, token by {by:?}: {}", reply.text());
            // nor is it good for another token
            let token = client.token.as_deref().expect("a token");
            let again = format!(r#"{{"auth": {{"identity": {{"methods": ["token"], "token": {{"id": "{token}"}}}}}}}}"#);
            let reply = scene.house.nobody().post(TOKENS, &again).await;
            assert_eq!(reply.status, if is_void { 401 } else { 201 }, "{method} {path}: another from one by {by:?}");
            if let Some(there) = there.filter(|_| is_void) {
                ends_there(&there, &format!("{method} {path} by {by:?}")).await;
            }
        }
    }
}

/// A neighbour hears of it by a notification that was sent with the commit: soon, not before the answer.
async fn ends_there(there: &Client, what: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while there.get(ANYWHERE).await.status != 401 {
        assert!(Instant::now() < end, "{what}: the neighbour still knows the token");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_revoked_token_ends_in_the_other_process_too() {
    let scene = Scene::set().await;
    let client = scene.client(By::Password).await;
    let token = client.token.clone().expect("a token");
    let there = scene.neighbour.clone().map(|cloud| Client { cloud, token: client.token.clone() });
    if let Some(there) = &there {
        there.get(ANYWHERE).await.is(200);
    }
    let revoke = crate::house::Ask::new("DELETE", TOKENS).header("x-subject-token", &token);
    client.send(revoke).await.is(204);
    client.get(ANYWHERE).await.is(401);
    if let Some(there) = &there {
        ends_there(there, "revocation").await;
    }
}

#[tokio::test]
async fn a_secret_that_was_changed_lets_nobody_in_and_the_new_one_does() {
    let scene = Scene::set().await;
    let login = |password: &'static str| {
        let body = scene.body(By::Password, &scene.identity(By::Password, password));
        let nobody = scene.house.nobody();
        async move { nobody.post(TOKENS, &body).await.status }
    };
    assert_eq!((login("first").await, login("other").await), (201, 401));
    let old = scene.client(By::Password).await;
    scene.deed("PATCH", "/users/@user", r#"{"user": {"password": "other"}}"#).await;
    assert_eq!((login("first").await, login("other").await), (401, 201));
    old.get(ANYWHERE).await.is(401);
    // the very second of the change is not one in which old and new are both good
    scene.house.later(3000);
    old.get(ANYWHERE).await.is(401);
}

#[tokio::test]
async fn a_token_by_an_application_credential_ends_with_its_time() {
    let scene = Scene::set().await;
    let joe = scene.client(By::Password).await;
    let path = format!("{V3}/users/{}/application_credentials", scene.user);
    let body = r#"{"application_credential": {"name": "short", "secret": "s", "expires_at": "2026-01-01T00:10:00.000000Z"}}"#;
    let id = joe.post(&path, body).await.is(201).text_at("application_credential.id");
    let body = format!(
        r#"{{"auth": {{"identity": {{"methods": ["application_credential"], "application_credential": {{"id": "{id}", "secret": "s"}}}}}}}}"#
    );
    let reply = scene.house.nobody().post(TOKENS, &body).await.is(201);
    let client = scene.house.bearer(reply.header("x-subject-token").expect("a token"));
    scene.house.later(599);
    client.get(ANYWHERE).await.is(200);
    scene.house.later(1);
    client.get(ANYWHERE).await.is(401);
    scene.house.nobody().post(TOKENS, &body).await.is(401);
}

#[tokio::test]
async fn an_application_credential_makes_no_other_and_no_token_for_elsewhere() {
    let scene = Scene::set().await;
    let client = scene.client(By::Credential).await;
    let path = format!("{V3}/users/{}/application_credentials", scene.user);
    client.post(&path, r#"{"application_credential": {"name": "d"}}"#).await.is(403);
    client.delete(&format!("{path}/{}", scene.credential)).await.is(403);
    let token = client.token.as_deref().expect("a token");
    for scope in [r#"{"system": {"all": true}}"#, r#"{"domain": {"id": "default"}}"#, r#"{"unscoped": {}}"#] {
        let body = format!(
            r#"{{"auth": {{"identity": {{"methods": ["token"], "token": {{"id": "{token}"}}}}, "scope": {scope}}}}}"#
        );
        let status = scene.house.nobody().post(TOKENS, &body).await.status;
        assert!(matches!(status, 401 | 403), "{scope}: {status}");
    }
}

/// Every bit of every byte: the text is 160 characters, and two texts are never the same token.
#[tokio::test]
async fn a_token_with_any_other_character_proves_nobody() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    member.get(ANYWHERE).await.is(200);
    let good = member.token.clone().expect("a token");
    for position in 0..good.len() {
        for bit in 0..7 {
            let mut forged = good.clone().into_bytes();
            forged[position] ^= 1 << bit;
            if !forged[position].is_ascii_graphic() {
                continue;
            }
            let forged = String::from_utf8(forged).expect("ASCII");
            assert_eq!(house.bearer(&forged).get(ANYWHERE).await.status, 401, "character {position}, bit {bit}: {forged}");
        }
    }
    for length in 0..good.len() {
        assert_eq!(house.bearer(&good[..length]).get(ANYWHERE).await.status, 401, "cut after {length}");
    }
    for forged in [
        format!("{good}="),
        format!("{good}=="),
        format!("{good}A"),
        format!("{good}AAAA"),
        format!("{good}{good}"),
        format!("{good}, {good}"),
        good.to_uppercase(),
        good.replace('-', "+").replace('_', "/") + "=",
        "gAAAAA".to_owned(),
        "A".repeat(8000),
        "null".to_owned(),
        "admin".to_owned(),
        "%00".to_owned(),
    ] {
        assert_eq!(house.bearer(&forged).get(ANYWHERE).await.status, 401, "{forged}");
    }
    member.get(ANYWHERE).await.is(200);
}

#[tokio::test]
async fn a_token_of_another_cloud_a_later_time_or_nobody_is_refused() {
    let house = House::new().await;
    house.person("member", "blue").await.get(ANYWHERE).await.is(200);
    let now = house.cloud.now().seconds();
    let good = Token {
        user_id: id_of("member-of-blue"),
        scope: Scope::Project(id_of("blue")),
        methods: Methods::default().with(Method::Password),
        issued_at: now,
        expires_at: now + 3600,
        audit_ids: vec!["AAAAAAAAAAAAAAAAAAAAAA".into()],
        application_credential_id: None,
    };
    let status = |keys: &TokenKeys, token: &Token| {
        let client = house.bearer(&keys.seal(token));
        async move { client.get(ANYWHERE).await.status }
    };
    let keys = &house.cloud.keys.current();
    assert_eq!(status(keys, &good).await, 200);
    let elsewhere = tempfile::tempdir().expect("a directory");
    let others = TokenKeys::load_or_create(&elsewhere.path().join("keys"), &mut |bytes: &mut [u8]| bytes.fill(7));
    assert_eq!(status(&others.expect("keys"), &good).await, 401);
    for bad in [
        Token { expires_at: now, ..good.clone() },
        Token { expires_at: now - 1, ..good.clone() },
        Token { expires_at: i64::MIN, ..good.clone() },
        Token { user_id: id_of("nobody"), ..good.clone() },
        Token { user_id: String::new(), ..good.clone() },
        Token { scope: Scope::Project(id_of("nowhere")), ..good.clone() },
        Token { scope: Scope::Domain("default".into()), ..good.clone() },
        Token { scope: Scope::System, ..good.clone() },
        Token { application_credential_id: Some("none".into()), ..good.clone() },
    ] {
        assert_eq!(status(keys, &bad).await, 401, "{bad:?}");
    }
}
