//! Flavors, in every version.

use crate::house::{Ask, Client, House, Reply, id_of};

async fn get(client: &Client, version: &str, target: &str) -> Reply {
    client.send(Ask::new("GET", target).version(version)).await
}

async fn post(client: &Client, version: &str, target: &str, body: &str) -> Reply {
    client.send(Ask::new("POST", target).version(version).json(body)).await
}

/// The ids of a list.
fn ids(reply: Reply) -> Vec<String> {
    let reply = reply.is(200);
    let flavors = reply.at("flavors");
    flavors
        .as_array()
        .expect("a list")
        .iter()
        .map(|flavor| flavor.get("id").unwrap().as_str().unwrap().into())
        .collect()
}

const SMALL: &str = r#"{"flavor": {"name": "small", "id": "s1", "ram": "64", "vcpus": 1, "disk": 0}}"#;
const PRIVATE: &str = r#"{"flavor": {"name": "ours", "id": "p1", "ram": 64, "vcpus": 1, "disk": 5, "os-flavor-access:is_public": false}}"#;

#[tokio::test]
async fn a_flavor_is_shown_as_each_version_has_it() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let links = r#""links": [{"rel": "self", "href": "http://kilonova.test/v2.1/flavors/1"}, {"rel": "bookmark", "href": "http://kilonova.test/flavors/1"}]"#;
    let head = r#"{"flavor": {"id": "1", "name": "m1.tiny", "ram": 512, "disk": 1, "swap": "", "OS-FLV-EXT-DATA:ephemeral": 0, "OS-FLV-DISABLED:disabled": false, "vcpus": 1, "os-flavor-access:is_public": true, "rxtx_factor": 1.0, "#;
    let numbers = head.replace(r#""swap": """#, r#""swap": 0"#);
    let lean = numbers.replace(r#""OS-FLV-DISABLED:disabled": false, "#, "").replace(r#""rxtx_factor": 1.0, "#, "");
    let (words, specs) = (r#", "description": null"#, r#", "extra_specs": {}"#);
    for (version, body) in [
        ("2.1", format!("{head}{links}}}}}")),
        ("2.55", format!("{head}{links}{words}}}}}")),
        ("2.61", format!("{head}{links}{words}{specs}}}}}")),
        ("2.75", format!("{numbers}{links}{words}{specs}}}}}")),
        ("2.102", format!("{lean}{links}{words}{specs}}}}}")),
    ] {
        get(&reader, version, "/v2.1/flavors/1").await.is(200).says(&body);
    }
}

#[tokio::test]
async fn a_list_in_short_has_id_name_links_and_later_the_description() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let project = id_of("blue");
    let target = format!("/v2.1/{project}/flavors?limit=1");
    let links = format!(
        r#""links": [{{"rel": "self", "href": "http://kilonova.test/v2.1/{project}/flavors/1"}}, {{"rel": "bookmark", "href": "http://kilonova.test/{project}/flavors/1"}}]"#
    );
    let next = format!(
        r#""flavors_links": [{{"rel": "next", "href": "http://kilonova.test/v2.1/{project}/flavors?limit=1&marker=1"}}]"#
    );
    let body = format!(r#"{{"flavors": [{{"id": "1", "name": "m1.tiny", {links}}}], {next}}}"#);
    reader.get(&target).await.is(200).says(&body);
    let body = format!(r#"{{"flavors": [{{"id": "1", "name": "m1.tiny", {links}, "description": null}}], {next}}}"#);
    get(&reader, "2.55", &target).await.is(200).says(&body);
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    for (query, found) in [
        ("", vec!["1", "2", "3", "4"]),
        ("?minRam=2048", vec!["2", "3", "4"]),
        ("?minDisk=40&sort_key=memory_mb&sort_dir=desc", vec!["4", "3"]),
        ("?sort_key=vcpus&sort_dir=desc", vec!["4", "3", "2", "1"]),
        ("?sort_key=vcpus&sort_dir=desc&marker=3", vec!["2", "1"]),
        ("?limit=2&marker=1", vec!["2", "3"]),
        ("?limit=0", vec![]),
        ("?marker=4", vec![]),
        ("?is_public=none", vec!["1", "2", "3", "4"]),
        ("?foo=bar", vec!["1", "2", "3", "4"]),
    ] {
        assert_eq!(ids(reader.get(&format!("/v2.1/flavors{query}")).await), found, "{query}");
        assert_eq!(ids(reader.get(&format!("/v2.1/flavors/detail{query}")).await), found, "{query}");
    }
    assert_eq!(ids(get(&reader, "2.102", "/v2.1/flavors?name=m1%5C.(tiny|la)").await), ["1", "4"]);
}

#[tokio::test]
async fn every_sort_key_pages_through_all_flavors() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    for key in [
        "created_at",
        "description",
        "disabled",
        "ephemeral_gb",
        "flavorid",
        "id",
        "is_public",
        "memory_mb",
        "name",
        "root_gb",
        "rxtx_factor",
        "swap",
        "updated_at",
        "vcpu_weight",
        "vcpus",
    ] {
        for dir in ["asc", "desc"] {
            let (mut seen, mut marker) = (Vec::new(), String::new());
            loop {
                let page =
                    ids(reader.get(&format!("/v2.1/flavors?limit=1&sort_key={key}&sort_dir={dir}{marker}")).await);
                let Some(id) = page.first() else { break };
                marker = format!("&marker={id}");
                seen.push(id.clone());
            }
            seen.sort();
            assert_eq!(seen, ["1", "2", "3", "4"], "{key} {dir}");
        }
    }
}

#[tokio::test]
async fn queries_that_make_no_sense_are_refused() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    let unknown = "Additional properties are not allowed ('foo' was unexpected)";
    for (version, query, sentence) in [
        ("2.1", "minRam=x", "Invalid minRam filter [x]"),
        ("2.1", "minDisk=", "Invalid minDisk filter []"),
        ("2.1", "is_public=maybe", "Invalid is_public filter [maybe]"),
        ("2.1", "marker=nope", "marker [nope] not found"),
        ("2.1", "limit=-1", "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'"),
        (
            "2.1",
            "sort_dir=up",
            "Invalid input for query parameters sort_dir. Value: up. 'up' is not one of ['asc', 'desc']",
        ),
        ("2.75", "foo=bar", unknown),
        ("2.102", "name=(", "Invalid name filter [(]"),
    ] {
        for path in ["flavors", "flavors/detail"] {
            get(&admin, version, &format!("/v2.1/{path}?{query}")).await.refuses(400, sentence);
        }
    }
    get(&admin, "2.102", "/v2.1/flavors/1?foo=bar").await.refuses(400, unknown);
}

#[tokio::test]
async fn a_flavor_that_is_not_there_is_not_found() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    for (method, path, version, body) in [
        ("GET", "/v2.1/flavors/m1.tiny", "2.1", ""),
        ("DELETE", "/v2.1/flavors/m1.tiny", "2.1", ""),
        ("PUT", "/v2.1/flavors/m1.tiny", "2.55", r#"{"flavor": {"description": null}}"#),
        ("GET", "/v2.1/flavors/m1.tiny/os-extra_specs", "2.1", ""),
        ("GET", "/v2.1/flavors/m1.tiny/os-extra_specs/a", "2.1", ""),
        ("POST", "/v2.1/flavors/m1.tiny/os-extra_specs", "2.1", r#"{"extra_specs": {"a": "1"}}"#),
        ("PUT", "/v2.1/flavors/m1.tiny/os-extra_specs/a", "2.1", r#"{"a": "1"}"#),
        ("DELETE", "/v2.1/flavors/m1.tiny/os-extra_specs/a", "2.1", ""),
        ("GET", "/v2.1/flavors/m1.tiny/os-flavor-access", "2.1", ""),
        ("POST", "/v2.1/flavors/m1.tiny/action", "2.1", r#"{"removeTenantAccess": {"tenant": "x"}}"#),
    ] {
        let reply = admin.send(Ask::new(method, path).version(version).json(body)).await;
        reply.refuses(404, "Flavor m1.tiny could not be found.");
    }
}

#[tokio::test]
async fn an_administrator_makes_describes_and_removes_a_flavor() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    let reply = admin.post("/v2.1/flavors", SMALL).await.is(200);
    assert_eq!(reply.text_at("flavor.id"), "s1");
    assert_eq!(reply.at("flavor.ram").as_i64(), Some(64));
    let body = r#"{"flavor": {"description": "for tests"}}"#;
    let reply = admin.send(Ask::new("PUT", "/v2.1/flavors/s1").version("2.55").json(body)).await.is(200);
    assert_eq!(reply.text_at("flavor.description"), "for tests");
    assert_eq!(get(&admin, "2.55", "/v2.1/flavors/s1").await.text_at("flavor.description"), "for tests");
    admin.delete("/v2.1/flavors/s1").await.is(202).says("");
    admin.get("/v2.1/flavors/s1").await.is(404);
    admin.put("/v2.1/flavors/1", body).await.is(404);
}

#[tokio::test]
async fn a_flavor_without_an_id_gets_one() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    for (name, id) in [("a", ""), ("b", r#""id": null, "#), ("c", r#""id": 0, "#)] {
        let body = format!(r#"{{"flavor": {{"name": "{name}", {id}"ram": 64, "vcpus": 1, "disk": 0}}}}"#);
        assert_eq!(admin.post("/v2.1/flavors", &body).await.is(200).text_at("flavor.id").len(), 36, "{name}");
    }
    let body = r#"{"flavor": {"name": "n", "id": 7, "ram": 64, "vcpus": 1, "disk": 0}}"#;
    assert_eq!(admin.post("/v2.1/flavors", body).await.is(200).text_at("flavor.id"), "7");
}

#[tokio::test]
async fn bodies_that_make_no_flavor_are_refused() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    admin.post("/v2.1/flavors", SMALL).await.is(200);
    let field = |name: &str, value: &str| {
        format!(r#"{{"flavor": {{"name": "x", "ram": 1, "vcpus": 1, "disk": 1, "{name}": {value}}}}}"#)
    };
    let wrong = |name: &str, value: &str, words: &str| {
        format!("Invalid input for field/attribute {name}. Value: {value}. {words}")
    };
    for (version, body, status, sentence) in [
        ("2.1", SMALL.to_owned(), 409, "Flavor with ID s1 already exists.".to_owned()),
        ("2.1", SMALL.replace("s1", "s2"), 409, "Flavor with name small already exists.".into()),
        ("2.1", field("ram", "0"), 400, wrong("ram", "0", "0 is less than the minimum of 1")),
        ("2.1", field("swap", "-1"), 400, wrong("swap", "-1", "-1 is less than the minimum of 0")),
        (
            "2.1",
            field("disk", "2147483648"),
            400,
            wrong("disk", "2147483648", "2147483648 is greater than the maximum of 2147483647"),
        ),
        ("2.1", field("id", "\" a\""), 400, wrong("id", " a", "' a' does not match '^(?! )[a-zA-Z0-9. _-]+(?<! )$'")),
        (
            "2.1",
            field("rxtx_factor", "0"),
            400,
            wrong("rxtx_factor", "0", "0 is less than or equal to the minimum of 0"),
        ),
        (
            "2.1",
            field("rxtx_factor", "1e39"),
            400,
            wrong("rxtx_factor", "1e+39", "1e+39 is greater than the maximum of 3.40282e+38"),
        ),
        (
            "2.1",
            field("rxtx_factor", "\"0\""),
            400,
            "Invalid input received: 'rxtx_factor' argument must be a float between 0 and 3.40282e+38".into(),
        ),
        (
            "2.102",
            field("rxtx_factor", "1"),
            400,
            wrong(
                "flavor",
                "{'name': 'x', 'ram': 1, 'vcpus': 1, 'disk': 1, 'rxtx_factor': 1}",
                "Additional properties are not allowed ('rxtx_factor' was unexpected)",
            ),
        ),
        (
            "2.54",
            field("description", "\"x\""),
            400,
            wrong(
                "flavor",
                "{'name': 'x', 'ram': 1, 'vcpus': 1, 'disk': 1, 'description': 'x'}",
                "Additional properties are not allowed ('description' was unexpected)",
            ),
        ),
    ] {
        post(&admin, version, "/v2.1/flavors", &body).await.refuses(status, &sentence);
    }
}

#[tokio::test]
async fn only_administrators_change_flavors() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    for (method, path, body, rule) in [
        ("POST", "/v2.1/flavors", SMALL, "os-flavor-manage:create"),
        ("PUT", "/v2.1/flavors/1", r#"{"flavor": {"description": null}}"#, "os-flavor-manage:update"),
        ("DELETE", "/v2.1/flavors/1", "", "os-flavor-manage:delete"),
        ("GET", "/v2.1/flavors/1/os-flavor-access", "", "os-flavor-access"),
        (
            "POST",
            "/v2.1/flavors/1/action",
            r#"{"addTenantAccess": {"tenant": "x"}}"#,
            "os-flavor-access:add_tenant_access",
        ),
        (
            "POST",
            "/v2.1/flavors/1/action",
            r#"{"removeTenantAccess": {"tenant": "x"}}"#,
            "os-flavor-access:remove_tenant_access",
        ),
        ("POST", "/v2.1/flavors/1/os-extra_specs", r#"{"extra_specs": {}}"#, "os-flavor-extra-specs:create"),
        ("PUT", "/v2.1/flavors/1/os-extra_specs/a", r#"{"a": "b"}"#, "os-flavor-extra-specs:update"),
        ("DELETE", "/v2.1/flavors/1/os-extra_specs/a", "", "os-flavor-extra-specs:delete"),
    ] {
        let reply = member.send(Ask::new(method, path).version("2.55").json(body)).await;
        reply.refuses(403, &format!("Policy doesn't allow os_compute_api:{rule} to be performed."));
    }
    house.nobody().get("/v2.1/flavors").await.is(401);
}

#[tokio::test]
async fn a_private_flavor_is_seen_by_those_who_were_given_access() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    let (blue, green) = (house.person("reader", "blue").await, house.person("reader", "green").await);
    admin.post("/v2.1/flavors", PRIVATE).await.is(200);
    let tenant = |action: &str, project: &str| format!(r#"{{"{action}": {{"tenant": "{project}"}}}}"#);
    let project = id_of("blue");
    let listed = format!(r#"{{"flavor_access": [{{"flavor_id": "p1", "tenant_id": "{project}"}}]}}"#);
    let given = tenant("addTenantAccess", &project);
    admin.post("/v2.1/flavors/p1/action", &given).await.is(200).says(&listed);
    admin.get("/v2.1/flavors/p1/os-flavor-access").await.is(200).says(&listed);
    blue.get("/v2.1/flavors/p1").await.is(200);
    assert_eq!(ids(blue.get("/v2.1/flavors").await), ["1", "2", "3", "4", "p1"]);
    green.get("/v2.1/flavors/p1").await.refuses(404, "Flavor p1 could not be found.");
    green.get("/v2.1/flavors?marker=p1").await.refuses(400, "marker [p1] not found");
    assert_eq!(ids(green.get("/v2.1/flavors?is_public=false").await), ["1", "2", "3", "4"]);
    assert_eq!(ids(admin.get("/v2.1/flavors").await), ["1", "2", "3", "4"]);
    assert_eq!(ids(admin.get("/v2.1/flavors?is_public=no").await), ["p1"]);
    assert_eq!(ids(admin.get("/v2.1/flavors?is_public=None").await), ["1", "2", "3", "4", "p1"]);
    let sentence = format!("Flavor access already exists for flavor p1 and project {project} combination.");
    admin.post("/v2.1/flavors/p1/action", &given).await.refuses(409, &sentence);
    let taken = tenant("removeTenantAccess", &project);
    admin.post("/v2.1/flavors/p1/action", &taken).await.is(200).says(r#"{"flavor_access": []}"#);
    let sentence = format!("Flavor access not found for p1 / {project} combination.");
    admin.post("/v2.1/flavors/p1/action", &taken).await.refuses(404, &sentence);
    let sentence = "Project ID nope is not a valid project.";
    admin.post("/v2.1/flavors/p1/action", &tenant("addTenantAccess", "nope")).await.refuses(400, sentence);
    let sentence = "Access list not available for public flavors.";
    admin.get("/v2.1/flavors/1/os-flavor-access").await.refuses(404, sentence);
    let sentence = "Can not add access to a public flavor.";
    post(&admin, "2.7", "/v2.1/flavors/1/action", &given).await.refuses(409, sentence);
    post(&admin, "2.6", "/v2.1/flavors/1/action", &given).await.is(200);
}

#[tokio::test]
async fn extra_specs_are_merged_shown_and_removed() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    let reader = house.person("reader", "blue").await;
    let specs = "/v2.1/flavors/1/os-extra_specs";
    let body = r#"{"extra_specs": {"hw:cpu_policy": "shared", "n": 1.5}}"#;
    admin.post(specs, body).await.is(200).says(body);
    admin.put(&format!("{specs}/n"), r#"{"n": 2}"#).await.is(200).says(r#"{"n": 2}"#);
    reader.get(specs).await.is(200).says(r#"{"extra_specs": {"hw:cpu_policy": "shared", "n": "2"}}"#);
    reader.get(&format!("{specs}/n")).await.is(200).says(r#"{"n": "2"}"#);
    let shown = get(&reader, "2.61", "/v2.1/flavors/1").await.is(200);
    assert_eq!(shown.text_at("flavor.extra_specs.n"), "2");
    admin.put(&format!("{specs}/m"), r#"{"n": "2"}"#).await.refuses(400, "Request body and URI mismatch");
    admin.delete(&format!("{specs}/n")).await.is(200).says("");
    let sentence = "Flavor 1 has no extra specs with key n.";
    admin.delete(&format!("{specs}/n")).await.refuses(404, sentence);
    reader.get(&format!("{specs}/n")).await.refuses(404, sentence);
    let long = format!(r#"{{"extra_specs": {{"n": 1{}}}}}"#, "0".repeat(255));
    let sentence = "Invalid input received: extra_specs value has 256 characters, more than 255.";
    admin.post(specs, &long).await.refuses(400, sentence);
}

#[tokio::test]
async fn extra_specs_are_hidden_from_those_who_may_not_read_them() {
    let house = House::new().await;
    let stranger = house.person("nobody", "blue").await;
    let member = house.person("member", "blue").await;
    get(&member, "2.61", "/v2.1/flavors/1").await.is(200).at("flavor.extra_specs");
    let sentence = "Policy doesn't allow os_compute_api:os-flavor-extra-specs:index to be performed.";
    stranger.get("/v2.1/flavors/1/os-extra_specs").await.refuses(403, sentence);
    let shown = get(&stranger, "2.61", "/v2.1/flavors/1").await.is(200);
    assert!(shown.at("flavor").get("extra_specs").is_none());
}
