//! Administering Identity: domains, projects, users, roles, grants, the catalog, application credentials.

use kilonova::json::Json;

use crate::house::{Ask, Client, House, Reply, id_of};

const V3: &str = "/identity/v3";
const AGAIN: &str = "The request you have made requires authentication.";

async fn admin(house: &House) -> Client {
    house.person("admin", "office").await
}

async fn get(client: &Client, path: &str) -> Reply {
    client.get(&format!("{V3}{path}")).await
}

async fn post(client: &Client, path: &str, body: &str) -> Reply {
    client.post(&format!("{V3}{path}"), body).await
}

async fn patch(client: &Client, path: &str, body: &str) -> Reply {
    client.patch(&format!("{V3}{path}"), body).await
}

async fn put(client: &Client, path: &str) -> Reply {
    client.put(&format!("{V3}{path}"), "").await
}

async fn delete(client: &Client, path: &str) -> Reply {
    client.delete(&format!("{V3}{path}")).await
}

async fn role(client: &Client, name: &str) -> String {
    get(client, &format!("/roles?name={name}")).await.is(200).text_at("roles.0.id")
}

/// A user with a password, and a project on which they have a role: the two ids.
async fn joe(admin: &Client, role_name: &str) -> (String, String) {
    let user = post(admin, "/users", r#"{"user": {"name": "joe", "password": "first"}}"#).await.is(201);
    let project = post(admin, "/projects", r#"{"project": {"name": "red"}}"#).await.is(201);
    let (user, project) = (user.text_at("user.id"), project.text_at("project.id"));
    let role = role(admin, role_name).await;
    put(admin, &format!("/projects/{project}/users/{user}/roles/{role}")).await.is(204);
    (user, project)
}

async fn login(house: &House, user: &str, password: &str, project: &str) -> Reply {
    let body = format!(
        r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"id": "{user}", "password": "{password}"}}}}}},
        "scope": {{"project": {{"id": "{project}"}}}}}}}}"#
    );
    house.nobody().post(&format!("{V3}/auth/tokens"), &body).await
}

async fn in_as(house: &House, user: &str, password: &str, project: &str) -> Client {
    house.bearer(login(house, user, password, project).await.is(201).header("x-subject-token").expect("a token"))
}

fn names(reply: &Reply, list: &str) -> Vec<String> {
    let list = reply.at(list);
    let name = |json: &Json| json.get("name").and_then(Json::as_str).map(str::to_owned);
    list.as_array().expect("a list").iter().filter_map(name).collect()
}

#[tokio::test]
async fn a_domain_lives_from_creation_to_deletion() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let made = post(&admin, "/domains", r#"{"domain": {"name": "north", "description": "up", "color": "blue"}}"#)
        .await
        .is(201);
    let id = made.text_at("domain.id");
    assert_eq!(made.text_at("domain.color"), "blue");
    assert_eq!(made.text_at("domain.links.self"), format!("http://kilonova.test/identity/v3/domains/{id}"));
    post(&admin, "/domains", r#"{"domain": {"name": "north"}}"#).await.refuses(
        409,
        "Conflict occurred attempting to store project - it is not permitted to have two projects acting as domains with the same name: north.",
    );
    assert_eq!(names(&get(&admin, "/domains?name=north").await.is(200), "domains"), ["north"]);
    post(&admin, "/users", &format!(r#"{{"user": {{"name": "u", "domain_id": "{id}", "password": "p"}}}}"#))
        .await
        .is(201);
    delete(&admin, &format!("/domains/{id}"))
        .await
        .refuses(403, "Cannot delete a domain that is enabled, please disable it first.");
    let changed =
        patch(&admin, &format!("/domains/{id}"), r#"{"domain": {"enabled": false, "color": null}}"#).await.is(200);
    assert!(changed.at("domain").get("color").is_none());
    assert_eq!(names(&get(&admin, "/domains?enabled=false").await.is(200), "domains"), ["north"]);
    delete(&admin, &format!("/domains/{id}")).await.is(204);
    get(&admin, &format!("/domains/{id}")).await.refuses(404, &format!("Could not find domain: {id}."));
    assert_eq!(get(&admin, &format!("/users?domain_id={id}")).await.is(200).at("users").to_string(), "[]");
}

#[tokio::test]
async fn a_project_is_shown_with_all_that_was_said_of_it() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let made =
        post(&admin, "/projects", r#"{"project": {"name": "red", "tags": ["a"], "note": {"x": 1}}}"#).await.is(201);
    let id = made.text_at("project.id");
    let project = made.at("project");
    let keys: Vec<&str> = project.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "id",
            "name",
            "domain_id",
            "description",
            "enabled",
            "parent_id",
            "is_domain",
            "tags",
            "options",
            "note",
            "links"
        ]
    );
    assert_eq!(made.text_at("project.parent_id"), "default");
    assert_eq!(get(&admin, &format!("/projects/{id}")).await.is(200).at("project"), project);
    let child =
        post(&admin, "/projects", &format!(r#"{{"project": {{"name": "rose", "parent_id": "{id}"}}}}"#)).await.is(201);
    assert_eq!(names(&get(&admin, &format!("/projects?parent_id={id}")).await, "projects"), ["rose"]);
    delete(&admin, &format!("/projects/{id}")).await.refuses(
        403,
        &format!(
            "Cannot delete the project {id} since it is not a leaf in the hierarchy. Use the cascade option if you want to delete a \
             whole subtree."
        ),
    );
    delete(&admin, &format!("/projects/{}", child.text_at("project.id"))).await.is(204);
    delete(&admin, &format!("/projects/{id}")).await.is(204);
    get(&admin, &format!("/projects/{id}")).await.refuses(404, &format!("Could not find project: {id}."));
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_told_why() {
    let house = House::new().await;
    let admin = admin(&house).await;
    for (path, body, sentence) in [
        (
            "/projects",
            r#"{"project": {}}"#,
            "Invalid input for field/attribute project. Value: {}. 'name' is a required property",
        ),
        (
            "/projects",
            r#"{"project": {"name": ""}}"#,
            "Invalid input for field/attribute name. Value: . '' should be non-empty",
        ),
        ("/projects", r#"{"project": {"name": "n", "domain_id": "nowhere"}}"#, "Could not find domain: nowhere."),
        ("/projects", r#"{"project": {"name": "n", "parent_id": "nowhere"}}"#, "Could not find project: nowhere."),
        (
            "/users",
            r#"{"user": {"name": 5}}"#,
            "Invalid input for field/attribute name. Value: 5. 5 is not of type 'string'",
        ),
        ("/users", r#"{"person": {}}"#, "'user' is a required property"),
        (
            "/roles",
            r#"{"role": {"name": " "}}"#,
            r"Invalid input for field/attribute name. Value:  . ' ' does not match '[\\S]+'",
        ),
        (
            "/endpoints",
            r#"{"endpoint": {"interface": "public", "service_id": "nothing", "url": "http://x"}}"#,
            "Expecting to find endpoint service_id in service table. The server could not comply with the request since it is either \
             malformed or otherwise incorrect. The client is assumed to be in error.",
        ),
    ] {
        post(&admin, path, body).await.refuses(400, sentence);
    }
    post(&admin, "/users", "{").await.is(400);
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict() {
    let house = House::new().await;
    let admin = admin(&house).await;
    joe(&admin, "member").await;
    post(&admin, "/users", r#"{"user": {"name": "joe"}}"#).await.refuses(
        409,
        "Conflict occurred attempting to store user - Duplicate entry found with name joe at domain ID default.",
    );
    post(&admin, "/projects", r#"{"project": {"name": "red"}}"#).await.is(409);
    post(&admin, "/roles", r#"{"role": {"name": "member"}}"#)
        .await
        .refuses(409, "Conflict occurred attempting to store role - Duplicate entry found with name member.");
    post(&admin, "/regions", r#"{"region": {"id": "RegionOne"}}"#)
        .await
        .refuses(409, "Conflict occurred attempting to store region - Duplicate ID, RegionOne..");
}

#[tokio::test]
async fn a_user_is_shown_without_their_password() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let made = post(
        &admin,
        "/users",
        r#"{"user": {"name": "amy", "password": "secret!", "email": "a@b", "description": "d"}}"#,
    )
    .await;
    let made = made.is(201);
    assert!(!made.text().contains("secret!"));
    assert_eq!(made.text_at("user.email"), "a@b");
    let shown = get(&admin, &format!("/users/{}", made.text_at("user.id"))).await.is(200);
    assert_eq!(shown.at("user"), made.at("user"));
    assert_eq!(names(&get(&admin, "/users?name=amy").await.is(200), "users"), ["amy"]);
}

#[tokio::test]
async fn a_new_password_voids_the_old_one_and_every_token_but_lets_in_at_once() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let (user, project) = joe(&admin, "member").await;
    let before = in_as(&house, &user, "first", &project).await;
    get(&before, "/auth/projects").await.is(200);
    let path = format!("/users/{user}/password");
    post(&house.nobody(), &path, r#"{"user": {"original_password": "wrong", "password": "second"}}"#)
        .await
        .refuses(401, AGAIN);
    get(&before, "/auth/projects").await.is(200);
    post(&house.nobody(), &path, r#"{"user": {"original_password": "first", "password": "second"}}"#).await.is(204);
    get(&before, "/auth/projects").await.refuses(401, AGAIN);
    login(&house, &user, "first", &project).await.refuses(401, AGAIN);
    let after = in_as(&house, &user, "second", &project).await;
    get(&after, "/auth/projects").await.is(200);
    house.later(1);
    get(&after, "/auth/projects").await.is(200);
    get(&before, "/auth/projects").await.refuses(401, AGAIN);
    patch(&admin, &format!("/users/{user}"), r#"{"user": {"password": "third"}}"#).await.is(200);
    get(&after, "/auth/projects").await.refuses(401, AGAIN);
    in_as(&house, &user, "third", &project).await;
    post(&house.nobody(), "/users/nobody/password", r#"{"user": {"original_password": "a", "password": "b"}}"#)
        .await
        .refuses(401, AGAIN);
}

#[tokio::test]
async fn whatever_a_token_needs_must_stay() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let (user, project) = joe(&admin, "member").await;
    for (switch, path, off, on) in [
        ("user", format!("/users/{user}"), r#"{"user": {"enabled": false}}"#, r#"{"user": {"enabled": true}}"#),
        (
            "project",
            format!("/projects/{project}"),
            r#"{"project": {"enabled": false}}"#,
            r#"{"project": {"enabled": true}}"#,
        ),
    ] {
        let client = in_as(&house, &user, "first", &project).await;
        get(&client, "/auth/projects").await.is(200);
        patch(&admin, &path, off).await.is(200);
        get(&client, "/auth/projects").await.refuses(401, AGAIN);
        login(&house, &user, "first", &project).await.refuses(401, AGAIN);
        patch(&admin, &path, on).await.is(200);
        in_as(&house, &user, "first", &project).await;
        house.later(1);
        assert_eq!(get(&client, "/auth/projects").await.status, if switch == "user" { 401 } else { 200 });
    }
    let client = in_as(&house, &user, "first", &project).await;
    let member = role(&admin, "member").await;
    delete(&admin, &format!("/projects/{project}/users/{user}/roles/{member}")).await.is(204);
    get(&client, "/auth/projects").await.refuses(401, AGAIN);
    login(&house, &user, "first", &project).await.refuses(401, AGAIN);
    delete(&admin, &format!("/users/{user}")).await.is(204);
    get(&admin, &format!("/users/{user}")).await.refuses(404, &format!("Could not find user: {user}."));
}

#[tokio::test]
async fn a_grant_is_given_seen_and_taken_on_each_ground() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let (user, project) = joe(&admin, "member").await;
    let reader = role(&admin, "reader").await;
    for ground in [format!("/projects/{project}"), "/domains/default".to_owned(), "/system".to_owned()] {
        let path = format!("{ground}/users/{user}/roles/{reader}");
        let on = ground.rsplit('/').next().map_or("", |last| if last == "system" { "all" } else { last });
        let none = format!(
            "Could not find role assignment with role: {reader}, user or group: {user}, project, domain, or system: {on}."
        );
        get(&admin, &path).await.refuses(404, &none);
        put(&admin, &path).await.is(204);
        put(&admin, &path).await.is(204);
        get(&admin, &path).await.is(204);
        admin.send(Ask::new("HEAD", &format!("{V3}{path}"))).await.is(204);
        let listed = get(&admin, &format!("{ground}/users/{user}/roles")).await.is(200);
        assert!(names(&listed, "roles").contains(&"reader".to_owned()));
        delete(&admin, &path).await.is(204);
        delete(&admin, &path).await.refuses(404, &none);
    }
    let missing = id_of("nobody");
    put(&admin, &format!("/projects/{project}/users/{missing}/roles/{reader}"))
        .await
        .refuses(404, &format!("Could not find user: {missing}."));
    put(&admin, &format!("/projects/{missing}/users/{user}/roles/{reader}"))
        .await
        .refuses(404, &format!("Could not find project: {missing}."));
    put(&admin, &format!("/projects/{project}/users/{user}/roles/{missing}"))
        .await
        .refuses(404, &format!("Could not find role: {missing}."));
}

#[tokio::test]
async fn assignments_can_be_narrowed_named_and_followed_to_what_they_imply() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let (user, project) = joe(&admin, "member").await;
    let plain = get(&admin, &format!("/role_assignments?user.id={user}")).await.is(200);
    assert_eq!(plain.at("role_assignments").as_array().expect("a list").len(), 1);
    assert_eq!(plain.text_at("role_assignments.0.scope.project.id"), project);
    assert!(plain.at("role_assignments.0.role").get("name").is_none());
    let named = get(&admin, &format!("/role_assignments?scope.project.id={project}&include_names")).await.is(200);
    assert_eq!(named.text_at("role_assignments.0.role.name"), "member");
    assert_eq!(named.text_at("role_assignments.0.user.name"), "joe");
    assert_eq!(named.text_at("role_assignments.0.scope.project.domain.name"), "Default");
    let effective =
        get(&admin, &format!("/role_assignments?user.id={user}&effective&include_names=true")).await.is(200);
    let all = effective.at("role_assignments");
    let mut roles: Vec<_> = all.as_array().expect("a list").iter().map(|it| it.get("role").cloned()).collect();
    roles.sort_by_key(|role| format!("{role:?}"));
    assert_eq!(roles.len(), 2);
    let system = get(&admin, "/role_assignments?scope.system=all&include_names").await.is(200);
    assert_eq!(system.text_at("role_assignments.0.user.name"), "admin");
    get(&admin, "/role_assignments?scope.system=all&scope.domain.id=x")
        .await
        .refuses(400, "Specify system or domain, not both");
}

#[tokio::test]
async fn a_role_that_implies_another_gives_it_until_it_no_longer_does() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let fresh = post(&admin, "/roles", r#"{"role": {"name": "cook"}}"#).await.is(201).text_at("role.id");
    let (user, project) = joe(&admin, "cook").await;
    let (member, mighty) = (role(&admin, "member").await, role(&admin, "admin").await);
    let path = format!("/roles/{fresh}/implies/{member}");
    get(&admin, &path).await.refuses(404, &format!("{fresh} does not imply {member}."));
    put(&admin, &path).await.is(201);
    admin.send(Ask::new("HEAD", &format!("{V3}{path}"))).await.is(204);
    assert_eq!(
        get(&admin, &format!("/roles/{fresh}/implies")).await.is(200).text_at("role_inference.implies.0.name"),
        "member"
    );
    assert!(get(&admin, "/role_inferences").await.is(200).text().contains("cook"));
    let held = login(&house, &user, "first", &project).await.is(201);
    assert_eq!(names(&held, "token.roles"), ["cook", "member", "reader"]);
    delete(&admin, &path).await.is(204);
    assert_eq!(names(&login(&house, &user, "first", &project).await.is(201), "token.roles"), ["cook"]);
    put(&admin, &format!("/roles/{fresh}/implies/{mighty}"))
        .await
        .refuses(403, &format!("{mighty} cannot be an implied roles."));
    delete(&admin, &format!("/roles/{fresh}")).await.is(204);
    login(&house, &user, "first", &project).await.refuses(401, AGAIN);
}

#[tokio::test]
async fn whoever_may_not_hears_the_same_whether_it_is_there_or_not() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let nothing = id_of("nothing");
    let no = |action: &str| format!("You are not authorized to perform the requested action: identity:{action}.");
    for (path, action) in [
        ("/users".to_owned(), "list_users"),
        (format!("/users/{}", id_of("admin-of-blue")), "get_user"),
        (format!("/users/{nothing}"), "get_user"),
        (format!("/projects/{nothing}"), "get_project"),
        ("/roles".to_owned(), "list_roles"),
        ("/services".to_owned(), "list_services"),
        ("/role_assignments".to_owned(), "list_role_assignments"),
        (format!("/users/{nothing}/application_credentials"), "list_application_credentials"),
    ] {
        get(&member, &path).await.refuses(403, &no(action));
    }
    post(&member, "/users", r#"{"user": {"name": "x", "password": "p"}}"#).await.refuses(403, &no("create_user"));
    let own = format!("/users/{}", id_of("member-of-blue"));
    get(&member, &own).await.is(200);
    patch(&member, &own, r#"{"user": {"password": "p"}}"#).await.refuses(403, &no("update_user"));
    assert_eq!(names(&get(&member, &format!("{own}/projects")).await.is(200), "projects"), ["blue"]);
    get(&member, &format!("/projects/{}", id_of("blue"))).await.is(200);
    get(&member, "/domains/default").await.is(200);
    get(&member, "/regions").await.is(200);
}

#[tokio::test]
async fn the_catalog_can_be_changed_and_tokens_show_it() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let service = post(&admin, "/services", r#"{"service": {"type": "volumev3", "name": "cinder"}}"#).await.is(201);
    let service = service.text_at("service.id");
    let region =
        post(&admin, "/regions", r#"{"region": {"id": "Two", "parent_region_id": "RegionOne"}}"#).await.is(201);
    assert_eq!(region.text_at("region.parent_region_id"), "RegionOne");
    let body = |url: &str| {
        format!(
            r#"{{"endpoint": {{"service_id": "{service}", "interface": "public", "url": "{url}", "region_id": "Two"}}}}"#
        )
    };
    post(&admin, "/endpoints", &body("http://x/$(nonsense)s"))
        .await
        .refuses(400, "Cannot create an endpoint with an invalid URL: http://x/$(nonsense)s.");
    let endpoint = post(&admin, "/endpoints", &body("http://x/v3/$(project_id)s")).await.is(201).text_at("endpoint.id");
    let shown = get(&admin, "/auth/catalog").await.is(200).text();
    assert!(shown.contains(&format!("http://x/v3/{}", id_of("office"))), "{shown}");
    assert_eq!(
        get(&admin, &format!("/endpoints?service_id={service}")).await.is(200).text_at("endpoints.0.url"),
        "http://x/v3/$(project_id)s"
    );
    delete(&admin, "/regions/RegionOne")
        .await
        .refuses(403, "Unable to delete region RegionOne because it or its child regions have associated endpoints.");
    patch(&admin, &format!("/endpoints/{endpoint}"), r#"{"endpoint": {"enabled": false}}"#).await.is(200);
    assert!(!get(&admin, "/auth/catalog").await.is(200).text().contains("http://x/"));
    delete(&admin, &format!("/endpoints/{endpoint}")).await.is(204);
    get(&admin, &format!("/endpoints/{endpoint}")).await.refuses(404, &format!("Could not find endpoint: {endpoint}."));
    delete(&admin, "/regions/Two").await.is(204);
    delete(&admin, &format!("/services/{service}")).await.is(204);
    get(&admin, &format!("/services/{service}")).await.refuses(404, &format!("Could not find service: {service}."));
    assert_eq!(names(&get(&admin, "/services?type=compute").await.is(200), "services"), ["nova"]);
}

#[tokio::test]
async fn a_list_comes_in_parts() {
    let house = House::new().await;
    let admin = admin(&house).await;
    for number in 0..5 {
        post(&admin, "/projects", &format!(r#"{{"project": {{"name": "p{number}", "description": "d"}}}}"#))
            .await
            .is(201);
    }
    let (mut path, mut seen) = (format!("{V3}/projects?domain_id=default&limit=2"), Vec::new());
    loop {
        let part = admin.get(&path).await.is(200);
        seen.extend(names(&part, "projects"));
        match part.at("links.next").as_str() {
            Some(next) => path = next.strip_prefix("http://kilonova.test").expect("our address").to_owned(),
            None => break,
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["admin", "demo", "office", "p0", "p1", "p2", "p3", "p4"]);
    get(&admin, "/projects?limit=none").await.is(400);
}

#[tokio::test]
async fn an_application_credential_lets_in_without_a_password_and_with_fewer_roles() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let (user, project) = joe(&admin, "member").await;
    let owner = in_as(&house, &user, "first", &project).await;
    let path = format!("/users/{user}/application_credentials");
    let body = r#"{"application_credential": {"name": "robot", "roles": [{"name": "reader"}]}}"#;
    let made = post(&owner, &path, body).await.is(201);
    let (id, secret) = (made.text_at("application_credential.id"), made.text_at("application_credential.secret"));
    post(&owner, &path, body).await.refuses(
        409,
        "Conflict occurred attempting to store application_credential - Duplicate entry found with name robot.",
    );
    assert!(!get(&owner, &format!("{path}/{id}")).await.is(200).text().contains("secret"));
    let login = |who: &str, secret: &str, scope: &str| {
        format!(
            r#"{{"auth": {{"identity": {{"methods": ["application_credential"], "application_credential": {{{who}, "secret": "{secret}"}}}}{scope}}}}}"#
        )
    };
    let tokens = format!("{V3}/auth/tokens");
    for who in [format!(r#""id": "{id}""#), format!(r#""name": "robot", "user": {{"id": "{user}"}}"#)] {
        let reply = house.nobody().post(&tokens, &login(&who, &secret, "")).await.is(201);
        assert_eq!(names(&reply, "token.roles"), ["reader"]);
        assert_eq!(reply.text_at("token.project.id"), project);
        assert_eq!(reply.at("token.application_credential.restricted"), Json::Bool(true));
        let robot = house.bearer(reply.header("x-subject-token").expect("a token"));
        post(&robot, &path, r#"{"application_credential": {"name": "another"}}"#).await.refuses(
            403,
            "You are not authorized to perform the requested action: Using method 'application_credential' is not allowed for managing \
             additional application credentials..",
        );
        delete(&robot, &format!("{path}/{id}")).await.is(403);
    }
    let by_id = format!(r#""id": "{id}""#);
    let before = house.cloud.passwords.hashes();
    house.nobody().post(&tokens, &login(&by_id, "wrong", "")).await.refuses(401, AGAIN);
    house.nobody().post(&tokens, &login(r#""id": "nothing""#, "wrong", "")).await.refuses(401, AGAIN);
    assert_eq!(house.cloud.passwords.hashes() - before, 2);
    house.nobody().post(&tokens, &login(&by_id, &secret, r#", "scope": "unscoped""#)).await.refuses(
        401,
        "Error authenticating with application credential: Application credentials cannot request a scope.",
    );
    let robot = house.nobody().post(&tokens, &login(&by_id, &secret, "")).await.is(201);
    let robot = house.bearer(robot.header("x-subject-token").expect("a token"));
    get(&robot, "/auth/projects").await.is(200);
    delete(&owner, &format!("{path}/{id}")).await.is(204);
    get(&robot, "/auth/projects").await.refuses(401, AGAIN);
    house.nobody().post(&tokens, &login(&by_id, &secret, "")).await.refuses(401, AGAIN);
    get(&owner, &format!("{path}/{id}")).await.refuses(404, &format!("Could not find Application Credential: {id}."));
}

#[tokio::test]
async fn an_application_credential_ends_when_it_says_and_gives_no_role_its_owner_has_not() {
    let house = House::new().await;
    let admin = admin(&house).await;
    let (user, project) = joe(&admin, "member").await;
    let owner = in_as(&house, &user, "first", &project).await;
    let path = format!("/users/{user}/application_credentials");
    post(&owner, &path, r#"{"application_credential": {"name": "a", "roles": [{"name": "admin"}]}}"#)
        .await
        .refuses(400, "Invalid application credential: Cannot create an application credential with unassigned role");
    post(&owner, &path, r#"{"application_credential": {"name": "a", "expires_at": "2020-01-01T00:00:00"}}"#)
        .await
        .is(400);
    post(&owner, &path, r#"{"application_credential": {"name": "a", "expires_at": "soon"}}"#).await.is(400);
    post(&admin, &path, r#"{"application_credential": {"name": "a"}}"#).await.is(403);
    let made = post(
        &owner,
        &path,
        r#"{"application_credential": {"name": "a", "secret": "mine", "expires_at": "2026-01-01T00:10:00", "unrestricted": true}}"#,
    )
    .await
    .is(201);
    let body = format!(
        r#"{{"auth": {{"identity": {{"methods": ["application_credential"], "application_credential": {{"id": "{}", "secret": "mine"}}}}}}}}"#,
        made.text_at("application_credential.id")
    );
    let tokens = format!("{V3}/auth/tokens");
    let reply = house.nobody().post(&tokens, &body).await.is(201);
    assert_eq!(reply.text_at("token.expires_at"), "2026-01-01T00:10:00.000000Z");
    let robot = house.bearer(reply.header("x-subject-token").expect("a token"));
    post(&robot, &path, r#"{"application_credential": {"name": "b"}}"#).await.is(201);
    let member = role(&admin, "member").await;
    house.later(600);
    house.nobody().post(&tokens, &body).await.refuses(401, AGAIN);
    get(&robot, "/auth/projects").await.refuses(401, AGAIN);
    delete(&admin, &format!("/projects/{project}/users/{user}/roles/{member}")).await.is(204);
    assert_eq!(get(&admin, &path).await.is(200).at("application_credentials").to_string(), "[]");
}
