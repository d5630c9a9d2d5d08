//! Limits, in every version.

use crate::house::{Ask, House, id_of};
use crate::stage::{self, Actor};

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";

#[tokio::test]
async fn limits_are_shown_as_each_version_has_them() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    Actor::new(SERVER).enters(&house).await;
    let cores = r#""maxTotalCores": 20, "#;
    let files = r#""maxPersonality": 5, "maxPersonalitySize": 10240, "#;
    let middle = r#""maxTotalInstances": 10, "maxTotalKeypairs": 100, "maxServerMeta": 128, "#;
    let image = r#""maxImageMeta": 128, "#;
    let rest = r#""maxTotalRAMSize": 51200, "maxServerGroups": 10, "maxServerGroupMembers": 10, "#;
    let networks = r#""maxTotalFloatingIps": -1, "maxSecurityGroups": -1, "maxSecurityGroupRules": -1, "#;
    let used = r#""totalRAMUsed": 512, "totalCoresUsed": 1, "totalInstancesUsed": 1, "#;
    let used_networks = r#""totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0, "#;
    let groups = r#""totalServerGroupsUsed": 0"#;
    for (version, parts) in [
        ("2.1", [cores, files, middle, image, rest, networks, used, used_networks, groups]),
        ("2.36", [cores, files, middle, image, rest, "", used, "", groups]),
        ("2.39", [cores, files, middle, "", rest, "", used, "", groups]),
        ("2.57", [cores, "", middle, "", rest, "", used, "", groups]),
    ] {
        let body = format!(r#"{{"limits": {{"rate": [], "absolute": {{{}}}}}}}"#, parts.concat());
        reader.send(Ask::new("GET", "/v2.1/limits?reserved=1").version(version)).await.is(200).says(&body);
    }
}

#[tokio::test]
async fn an_administrator_sees_the_limits_of_any_project() {
    let house = House::new().await;
    let admin = house.person("admin", "ops").await;
    house.person("member", "blue").await;
    Actor::new(SERVER).enters(&house).await;
    stage::limit(&house, "blue", "", "instances", 7).await;
    let reply = admin.get(&format!("/v2.1/limits?tenant_id={}", id_of("blue"))).await.is(200);
    assert_eq!(reply.at("limits.absolute.maxTotalInstances").as_i64(), Some(7));
    assert_eq!(reply.at("limits.absolute.totalInstancesUsed").as_i64(), Some(1));
    let reply = admin.get("/v2.1/limits?tenant_id=").await.is(200);
    assert_eq!(reply.at("limits.absolute.maxTotalInstances").as_i64(), Some(10));
}

#[tokio::test]
async fn the_limits_of_other_projects_are_for_administrators() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let sentence = "Policy doesn't allow os_compute_api:limits:other_project to be performed.";
    member.get("/v2.1/limits?tenant_id=x").await.refuses(403, sentence);
}

#[tokio::test]
async fn unknown_parameters_are_refused_from_2_75_on() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let sentence = "Additional properties are not allowed ('reserved' was unexpected)";
    let ask = |version| Ask::new("GET", "/v2.1/limits?reserved=1").version(version);
    member.send(ask("2.74")).await.is(200);
    member.send(ask("2.75")).await.refuses(400, sentence);
}
