//! What a client says of itself besides its token counts for nothing: an answer is the same with every header that somewhere means who
//! one is, by which way one came, or whom one speaks for.

use http::HeaderMap;

use crate::house::{Ask, Client, Reply, id_of};
use crate::matrix::people::PEOPLE;
use crate::matrix::stage::{self, IMAGE, SERVER};

/// What keystonemiddleware hands to a service behind it, what proxies add, and what other frameworks listen to. `@admin` is the id of
/// the administrator, `@token` a good token of theirs.
const FORGED: &[(&str, &str)] = &[
    ("X-Identity-Status", "Confirmed"),
    ("X-Service-Identity-Status", "Confirmed"),
    ("X-User-Id", "@admin"),
    ("X-User", "@admin"),
    ("X-User-Name", "the admin"),
    ("X-User-Domain-Id", "default"),
    ("X-Project-Id", "@blue"),
    ("X-Project-Name", "blue"),
    ("X-Project-Domain-Id", "default"),
    ("X-Tenant-Id", "@blue"),
    ("X-Tenant-Name", "blue"),
    ("X-Tenant", "blue"),
    ("X-Domain-Id", "default"),
    ("X-Roles", "admin,member,reader,service"),
    ("X-Role", "admin"),
    ("X-Is-Admin-Project", "True"),
    ("X-Is-Admin", "True"),
    ("OpenStack-System-Scope", "all"),
    ("X-Auth-Project-Id", "@blue"),
    ("X-Service-Token", "@token"),
    ("X-Service-Roles", "service,admin"),
    ("X-Service-User-Id", "@admin"),
    ("X-Service-Project-Id", "@blue"),
    ("X-Service-Catalog", "[]"),
    ("X-Trust-Id", "trust"),
    ("X-Impersonate-User", "@admin"),
    ("X-Authenticated-Roles", "admin"),
    ("REMOTE_USER", "the admin"),
    ("X-Remote-User", "the admin"),
    ("X-Forwarded-User", "the admin"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Host", "evil.test"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Prefix", "/evil"),
    ("Forwarded", "for=127.0.0.1;host=evil.test;proto=https"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-Original-URL", "/v2.1/os-quota-class-sets/default"),
    ("X-Rewrite-URL", "/v2.1/os-quota-class-sets/default"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-HTTP-Method", "DELETE"),
    ("X-Instance-ID", SERVER),
    ("X-Instance-ID-Signature", "0"),
    ("X-OpenStack-Request-ID", "req-00000000-0000-4000-8000-000000000000"),
    ("Authorization", "Basic YWRtaW46YWRtaW4="),
    ("Cookie", "token=@token; session=@token"),
    ("X-Subject-Token", "nonsense"),
];

/// Some rows of each API: what each answers differs from person to person.
fn asks() -> Vec<(&'static str, String, &'static str)> {
    let (blue, member) = (id_of("blue"), id_of("member"));
    [
        ("GET", "/".to_owned(), ""),
        ("GET", "/v2.1/".to_owned(), ""),
        ("GET", "/v2.1/servers/detail".to_owned(), ""),
        ("GET", "/v2.1/servers/detail?all_tenants=1".to_owned(), ""),
        ("GET", format!("/v2.1/servers/{SERVER}"), ""),
        ("GET", format!("/v2.1/{blue}/servers/{SERVER}"), ""),
        ("GET", format!("/v2/{blue}/servers/{SERVER}/metadata"), ""),
        ("POST", format!("/v2.1/servers/{SERVER}/action"), r#"{"os-resetState": {"state": "error"}}"#),
        ("POST", "/v2.1/flavors".to_owned(), r#"{"flavor": {"name": "new", "ram": 1, "vcpus": 1, "disk": 1}}"#),
        ("GET", "/v2.1/os-keypairs".to_owned(), ""),
        ("GET", format!("/v2.1/os-quota-sets/{blue}"), ""),
        ("GET", "/v2.1/os-quota-class-sets/default".to_owned(), ""),
        ("GET", "/v2.1/images/detail".to_owned(), ""),
        ("GET", "/identity/v3".to_owned(), ""),
        ("GET", "/identity/v3/users".to_owned(), ""),
        ("GET", format!("/identity/v3/users/{member}"), ""),
        ("GET", format!("/identity/v3/projects/{blue}"), ""),
        ("GET", "/identity/v3/auth/projects".to_owned(), ""),
        ("GET", "/identity/v3/auth/catalog".to_owned(), ""),
        ("POST", "/identity/v3/roles".to_owned(), r#"{"role": {"name": "new"}}"#),
        ("GET", "/identity/v2.0/tenants".to_owned(), ""),
        ("GET", "/image/".to_owned(), ""),
        ("GET", "/image/v2/images".to_owned(), ""),
        ("GET", format!("/image/v2/images/{IMAGE}"), ""),
        ("GET", "/network/v2.0/security-groups".to_owned(), ""),
        ("GET", format!("/network/v2.0/quotas/{blue}"), ""),
    ]
    .into()
}

fn ask(method: &str, target: &str, body: &str) -> Ask {
    let ask = Ask::new(method, target);
    if body.is_empty() { ask } else { ask.json(body) }
}

/// All that a client can see but the id of the request.
fn seen(reply: &Reply) -> (u16, HeaderMap, String) {
    let mut headers = reply.headers.clone();
    assert!(!headers.values().any(|value| value == "req-00000000-0000-4000-8000-000000000000"), "a request id is ours");
    for name in ["x-openstack-request-id", "x-compute-request-id"] {
        headers.remove(name);
    }
    (reply.status, headers, reply.text())
}

#[tokio::test]
async fn no_header_but_the_token_says_who_asks_or_by_which_way() {
    let house = stage::furnished().await;
    let client = |name: &str| -> Client {
        PEOPLE.iter().find(|person| person.name == name).expect("a person").client(&house, &house.cloud.keys.current())
    };
    let token = client("admin").token.expect("an administrator has a token");
    let forged: Vec<(&str, String)> = FORGED
        .iter()
        .map(|(name, value)| {
            let value = value.replace("@admin", &id_of("admin")).replace("@blue", &id_of("blue"));
            (*name, value.replace("@token", &token))
        })
        .collect();
    for name in ["nobody", "stranger", "reader", "other member", "domain reader", "system reader"] {
        let person = client(name);
        for (method, target, body) in asks() {
            let plainly = seen(&person.send(ask(method, &target, body)).await);
            let all = forged.iter().fold(ask(method, &target, body), |ask, (name, value)| ask.header(name, value));
            assert_eq!(seen(&person.send(all).await), plainly, "{name}: {method} {target}, all at once");
            // one alone may count where it does not beside the others
            for (header, value) in &forged {
                let alone = person.send(ask(method, &target, body).header(header, value)).await;
                assert_eq!(seen(&alone), plainly, "{name}: {method} {target} with {header}: {value}");
            }
        }
    }
}

#[tokio::test]
async fn of_two_tokens_the_first_counts_and_a_bad_one_is_not_made_good_by_another() {
    let house = stage::furnished().await;
    let of = |name: &str| {
        let person = PEOPLE.iter().find(|person| person.name == name).expect("a person");
        person.client(&house, &house.cloud.keys.current()).token.expect("a token")
    };
    let classes = || Ask::new("GET", "/v2.1/os-quota-class-sets/default");
    let nobody = house.nobody();
    let (reader, admin) = (of("reader"), of("admin"));
    nobody.send(classes().header("x-auth-token", &admin)).await.is(200);
    for (first, second, status) in [("nonsense", &admin, 401), ("", &admin, 401), (reader.as_str(), &admin, 403)] {
        nobody.send(classes().header("x-auth-token", first).header("x-storage-token", second)).await.is(status);
        if !first.is_empty() {
            nobody.send(classes().header("x-auth-token", first).header("x-auth-token", second)).await.is(status);
        }
    }
}
