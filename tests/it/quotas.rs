//! Quota sets and classes, in every version.

use crate::house::{Ask, Client, House, Reply, id_of};
use crate::stage::Actor;

async fn ask(client: &Client, method: &str, version: &str, target: &str, body: &str) -> Reply {
    client.send(Ask::new(method, target).version(version).json(body)).await
}

/// The names and numbers of the defaults, in order, as JSON members.
fn members(left_out: &[&str]) -> String {
    let all = [
        ("cores", 20),
        ("fixed_ips", -1),
        ("floating_ips", -1),
        ("injected_file_content_bytes", 10240),
        ("injected_file_path_bytes", 255),
        ("injected_files", 5),
        ("instances", 10),
        ("key_pairs", 100),
        ("metadata_items", 128),
        ("ram", 51200),
        ("security_group_rules", -1),
        ("security_groups", -1),
        ("server_group_members", 10),
        ("server_groups", 10),
    ];
    let kept = all.iter().filter(|(name, _)| !left_out.contains(name));
    kept.map(|(name, limit)| format!(r#""{name}": {limit}"#)).collect::<Vec<_>>().join(", ")
}

const NETWORKING: [&str; 4] = ["fixed_ips", "floating_ips", "security_group_rules", "security_groups"];
const INJECTED: [&str; 3] = ["injected_files", "injected_file_content_bytes", "injected_file_path_bytes"];

#[tokio::test]
async fn a_quota_set_is_shown_as_each_version_has_it() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let project = id_of("blue");
    for (version, members) in [
        ("2.1", members(&[])),
        ("2.36", members(&NETWORKING)),
        ("2.57", members(&[&NETWORKING[..], &INJECTED].concat())),
    ] {
        let body = format!(r#"{{"quota_set": {{"id": "{project}", {members}}}}}"#);
        for tail in ["", "/defaults", "?user_id=somebody"] {
            let target = format!("/v2.1/os-quota-sets/{project}{tail}");
            ask(&reader, "GET", version, &target, "").await.is(200).says(&body);
        }
    }
}

#[tokio::test]
async fn a_class_set_is_shown_as_each_version_has_it() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    for (version, members) in [
        ("2.1", members(&["server_groups", "server_group_members"])),
        ("2.50", members(&NETWORKING)),
        ("2.57", members(&[&NETWORKING[..], &INJECTED].concat())),
    ] {
        let body = format!(r#"{{"quota_class_set": {{"id": "default", {members}}}}}"#);
        ask(&admin, "GET", version, "/v2.1/os-quota-class-sets/default", "").await.is(200).says(&body);
    }
}

#[tokio::test]
async fn the_detail_counts_servers_and_what_they_are_made_of() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    Actor::new("6f9c6b2e-0000-4000-8000-000000000001").enters(&house).await;
    Actor { deleted: true, ..Actor::new("6f9c6b2e-0000-4002-8000-000000000002") }.enters(&house).await;
    let soft = Actor { vm_state: "soft-delete".into(), ..Actor::new("6f9c6b2e-0000-4003-8000-000000000003") };
    soft.enters(&house).await;
    let target = format!("/v2.1/os-quota-sets/{}/detail", id_of("blue"));
    let reply = reader.get(&target).await.is(200);
    assert_eq!(reply.at("quota_set.instances").to_string(), r#"{"limit": 10, "in_use": 1, "reserved": 0}"#);
    assert_eq!(reply.at("quota_set.cores").to_string(), r#"{"limit": 20, "in_use": 1, "reserved": 0}"#);
    assert_eq!(reply.at("quota_set.ram").to_string(), r#"{"limit": 51200, "in_use": 512, "reserved": 0}"#);
    assert_eq!(reply.at("quota_set.key_pairs").to_string(), r#"{"limit": 100, "in_use": 0, "reserved": 0}"#);
    let reply = reader.get(&format!("{target}?user_id=somebody")).await.is(200);
    assert_eq!(reply.at("quota_set.instances.in_use").as_i64(), Some(0));
}

#[tokio::test]
async fn what_an_administrator_sets_applies_until_it_is_deleted() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    let reader = house.person("reader", "blue").await;
    let target = format!("/v2.1/os-quota-sets/{}", id_of("blue"));
    let reply = admin.put(&target, r#"{"quota_set": {"metadata_items": 3, "ram": "-1"}}"#).await.is(200);
    assert_eq!(reply.at("quota_set.metadata_items").as_i64(), Some(3));
    assert!(reply.at("quota_set").get("id").is_none());
    let reply = reader.get(&target).await.is(200);
    assert_eq!(reply.at("quota_set.ram").as_i64(), Some(-1));
    admin.put(&format!("{target}?user_id=u"), r#"{"quota_set": {"cores": 2}}"#).await.is(200);
    assert_eq!(reader.get(&format!("{target}?user_id=u")).await.at("quota_set.cores").as_i64(), Some(2));
    assert_eq!(reader.get(&target).await.at("quota_set.cores").as_i64(), Some(20));
    admin.delete(&format!("{target}?user_id=u")).await.is(202).says("");
    assert_eq!(reader.get(&format!("{target}?user_id=u")).await.at("quota_set.cores").as_i64(), Some(20));
    assert_eq!(reader.get(&target).await.at("quota_set.metadata_items").as_i64(), Some(3));
    admin.delete(&target).await.is(202);
    assert_eq!(reader.get(&target).await.at("quota_set.metadata_items").as_i64(), Some(128));
}

#[tokio::test]
async fn the_class_default_applies_to_projects_without_limits_of_their_own() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    let reader = house.person("reader", "blue").await;
    let body = r#"{"quota_class_set": {"metadata_items": 1}}"#;
    let reply = admin.put("/v2.1/os-quota-class-sets/default", body).await.is(200);
    assert!(reply.at("quota_class_set").get("id").is_none());
    assert_eq!(reply.at("quota_class_set.metadata_items").as_i64(), Some(1));
    admin.put("/v2.1/os-quota-class-sets/other", r#"{"quota_class_set": {"cores": 1}}"#).await.is(200);
    for tail in ["", "/defaults"] {
        let reply = reader.get(&format!("/v2.1/os-quota-sets/{}{tail}", id_of("blue"))).await.is(200);
        assert_eq!(reply.at("quota_set.metadata_items").as_i64(), Some(1));
        assert_eq!(reply.at("quota_set.cores").as_i64(), Some(20));
    }
}

#[tokio::test]
async fn a_limit_stays_above_what_is_in_use_unless_it_is_forced() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    house.person("member", "blue").await;
    Actor::new("6f9c6b2e-0000-4000-8000-000000000001").enters(&house).await;
    let target = format!("/v2.1/os-quota-sets/{}", id_of("blue"));
    let sentence = "Quota limit 0 for instances must be greater than or equal to already used and reserved 1.";
    let body = r#"{"quota_set": {"cores": 5, "instances": 0}}"#;
    admin.put(&target, body).await.refuses(400, sentence);
    assert_eq!(admin.get(&target).await.at("quota_set.cores").as_i64(), Some(20));
    admin.put(&target, r#"{"quota_set": {"force": "True", "instances": 0}}"#).await.is(200);
    assert_eq!(admin.get(&target).await.at("quota_set.instances").as_i64(), Some(0));
}

#[tokio::test]
async fn a_user_gets_at_most_what_the_project_has_left() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    house.person("member", "blue").await;
    let target = format!("/v2.1/os-quota-sets/{}", id_of("blue"));
    let cores = |limit: i64| format!(r#"{{"quota_set": {{"cores": {limit}}}}}"#);
    admin.put(&format!("{target}?user_id=u"), &cores(15)).await.is(200);
    let sentence = "Quota limit 6 for cores must be less than or equal to 5.";
    admin.put(&format!("{target}?user_id=v"), &cores(6)).await.refuses(400, sentence);
    let sentence = "Quota limit -1 for cores must be less than or equal to 20.";
    admin.put(&format!("{target}?user_id=u"), &cores(-1)).await.refuses(400, sentence);
    admin.put(&format!("{target}?user_id=u"), &cores(20)).await.is(200);
    let sentence = "Quota limit 19 for cores must be greater than or equal to already used and reserved 20.";
    admin.put(&target, &cores(19)).await.refuses(400, sentence);
}

#[tokio::test]
async fn what_is_not_a_limit_is_refused() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    house.person("member", "blue").await;
    let set = format!("/v2.1/os-quota-sets/{}", id_of("blue"));
    let wrong = "Invalid input for field/attribute metadata_items. Value: -2. -2 is less than the minimum of -1";
    let body = r#"{"quota_set": {"metadata_items": -2}}"#;
    admin.put(&set, body).await.refuses(400, wrong);
    let class = "/v2.1/os-quota-class-sets/default";
    admin.put(class, &body.replace("quota_set", "quota_class_set")).await.refuses(400, wrong);
    let unexpected = |value: &str, root: &str, name: &str| {
        format!(
            "Invalid input for field/attribute {root}. Value: {value}. Additional properties are not allowed ('{name}' was unexpected)"
        )
    };
    for (version, root, name, target) in [
        ("2.36", "quota_set", "fixed_ips", set.as_str()),
        ("2.57", "quota_set", "injected_files", &set),
        ("2.1", "quota_set", "networks", &set),
        ("2.50", "quota_class_set", "floating_ips", class),
        ("2.1", "quota_class_set", "force", class),
    ] {
        let body = format!(r#"{{"{root}": {{"{name}": 1}}}}"#);
        let sentence = unexpected(&format!("{{'{name}': 1}}"), root, name);
        ask(&admin, "PUT", version, target, &body).await.refuses(400, &sentence);
    }
    let unknown = "Additional properties are not allowed ('foo' was unexpected)";
    ask(&admin, "GET", "2.75", &format!("{set}?foo=1"), "").await.refuses(400, unknown);
    ask(&admin, "DELETE", "2.75", &format!("{set}?foo=1"), "").await.refuses(400, unknown);
}

#[tokio::test]
async fn a_project_that_is_not_there_has_no_quota() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    let sentence = "Project ID nope is not a valid project.";
    for tail in ["", "/detail", "/defaults"] {
        admin.get(&format!("/v2.1/os-quota-sets/nope{tail}")).await.refuses(400, sentence);
    }
    admin.put("/v2.1/os-quota-sets/nope", r#"{"quota_set": {}}"#).await.refuses(400, sentence);
    admin.delete("/v2.1/os-quota-sets/nope").await.is(202);
}

#[tokio::test]
async fn quotas_of_others_and_all_changes_are_for_administrators() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    house.person("member", "green").await;
    let (own, other) = (id_of("blue"), id_of("green"));
    for (method, path, body, rule) in [
        ("GET", format!("os-quota-sets/{other}"), "", "os-quota-sets:show"),
        ("GET", format!("os-quota-sets/{other}/detail"), "", "os-quota-sets:detail"),
        ("PUT", format!("os-quota-sets/{own}"), r#"{"quota_set": {}}"#, "os-quota-sets:update"),
        ("DELETE", format!("os-quota-sets/{own}"), "", "os-quota-sets:delete"),
        ("GET", "os-quota-class-sets/default".into(), "", "os-quota-class-sets:show"),
        ("PUT", "os-quota-class-sets/default".into(), r#"{"quota_class_set": {}}"#, "os-quota-class-sets:update"),
    ] {
        let sentence = format!("Policy doesn't allow os_compute_api:{rule} to be performed.");
        ask(&member, method, "2.1", &format!("/v2.1/{path}"), body).await.refuses(403, &sentence);
    }
    member.get(&format!("/v2.1/os-quota-sets/{other}/defaults")).await.is(200);
}
