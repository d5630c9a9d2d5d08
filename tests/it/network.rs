//! Network, as far as clients of Compute insist on it.

use kilonova::json::Json;

use crate::house::{Client, House, Reply, id_of};

/// Insists on a fault in Neutron's form.
#[track_caller]
fn refuses(reply: Reply, status: u16, kind: &str, message: &str) {
    reply
        .is(status)
        .says(&format!(r#"{{"NeutronError": {{"type": "{kind}", "message": "{message}", "detail": ""}}}}"#));
}

async fn group_of(client: &Client) -> Json {
    client.get("/network/v2.0/security-groups").await.is(200).at("security_groups.0")
}

#[tokio::test]
async fn the_version_is_listed_without_a_token_and_its_resources_with_one() {
    let house = House::new().await;
    let body = r#"{"versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": "http://kilonova.test/network/v2.0/"}]}]}"#;
    for path in ["/network", "/network/"] {
        house.nobody().get(path).await.is(200).says(body);
    }
    let reader = house.person("reader", "blue").await;
    for path in ["/network/v2.0", "/network/v2.0/"] {
        house.nobody().get(path).await.is(401);
        let reply = reader.get(path).await.is(200);
        assert_eq!(reply.text_at("resources.0.links.0.href"), "http://kilonova.test/network/v2.0/networks");
    }
}

#[tokio::test]
async fn what_the_cloud_does_not_have_is_an_empty_list_and_not_found_in_neutrons_form() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    for (collection, kind, words) in [
        ("networks", "NetworkNotFound", "Network private could not be found."),
        ("subnets", "SubnetNotFound", "Subnet private could not be found."),
        ("ports", "PortNotFound", "Port private could not be found."),
        ("routers", "RouterNotFound", "Router private could not be found"),
        ("floatingips", "FloatingIPNotFound", "Floating IP private could not be found"),
    ] {
        let list = format!("/network/v2.0/{collection}");
        let none = format!(r#"{{"{collection}": []}}"#);
        reader.get(&format!("{list}?name=private&fields=id")).await.is(200).says(&none);
        refuses(reader.get(&format!("{list}/private")).await, 404, kind, words);
        reader.post(&list, "{}").await.is(405);
        house.nobody().get(&list).await.is(401);
    }
}

#[tokio::test]
async fn every_project_has_its_default_security_group() {
    let house = House::new().await;
    let (blue, green) = (house.person("reader", "blue").await, house.person("reader", "green").await);
    let group = group_of(&blue).await;
    assert_eq!(group.get("name"), Some(&Json::from("default")));
    assert_eq!(group.get("project_id"), Some(&Json::from(id_of("blue"))));
    assert_eq!(group, group_of(&house.person("member", "blue").await).await);
    let id = group.get("id").and_then(Json::as_str).expect("an id");
    assert_ne!(group_of(&green).await.get("id").and_then(Json::as_str), Some(id));
    let path = format!("/network/v2.0/security-groups/{id}");
    assert_eq!(blue.get(&path).await.is(200).at("security_group"), group);
    let gone = format!("Security group {id} does not exist");
    refuses(green.get(&path).await, 404, "SecurityGroupNotFound", &gone);
    refuses(green.delete(&path).await, 404, "SecurityGroupNotFound", &gone);
    let stays = "Removing default security group not allowed.";
    refuses(blue.delete(&path).await, 409, "SecurityGroupCannotRemoveDefault", stays);
}

#[tokio::test]
async fn the_default_group_lets_all_out_and_its_members_in() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let group = group_of(&reader).await;
    let reply = reader.get("/network/v2.0/security-group-rules").await.is(200);
    assert_eq!(Some(&reply.at("security_group_rules")), group.get("security_group_rules"));
    let rules = reply.at("security_group_rules");
    let seen: Vec<_> = rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let text = |name| rule.get(name).and_then(Json::as_str);
            (
                text("direction").unwrap(),
                text("ethertype").unwrap(),
                text("remote_group_id") == group.get("id").and_then(Json::as_str),
            )
        })
        .collect();
    let expected =
        [("egress", "IPv4", false), ("egress", "IPv6", false), ("ingress", "IPv4", true), ("ingress", "IPv6", true)];
    assert_eq!(seen, expected);
    let rule = reply.at("security_group_rules.2");
    let id = rule.get("id").and_then(Json::as_str).expect("an id");
    let path = format!("/network/v2.0/security-group-rules/{id}");
    assert_eq!(reader.get(&path).await.is(200).at("security_group_rule"), rule);
    let gone = "Security group rule x does not exist";
    refuses(reader.get("/network/v2.0/security-group-rules/x").await, 404, "SecurityGroupRuleNotFound", gone);
}

#[tokio::test]
async fn lists_honour_filters_and_fields() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let groups = "/network/v2.0/security-groups?fields=name&fields=shared";
    let one = r#"{"security_groups": [{"name": "default", "shared": false}]}"#;
    for (filter, body) in [
        (String::new(), one),
        ("&name=default&name=other".into(), one),
        ("&shared=False".into(), one),
        (format!("&tenant_id={}", id_of("blue")), one),
        ("&sort_key=name&unknown=1".into(), one),
        ("&name=other".into(), r#"{"security_groups": []}"#),
        (format!("&project_id={}", id_of("green")), r#"{"security_groups": []}"#),
    ] {
        reader.get(&format!("{groups}{filter}")).await.is(200).says(body);
    }
    let rules = "/network/v2.0/security-group-rules?direction=egress&ethertype=IPv6&fields=direction";
    reader.get(rules).await.is(200).says(r#"{"security_group_rules": [{"direction": "egress"}]}"#);
}

#[tokio::test]
async fn extensions_are_those_that_are_here() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let body = r#"{"extensions": [{"alias": "security-group"}, {"alias": "quotas"}]}"#;
    reader.get("/network/v2.0/extensions?fields=alias").await.is(200).says(body);
    assert_eq!(reader.get("/network/v2.0/extensions/quotas").await.is(200).text_at("extension.alias"), "quotas");
    let missing = "Extension with alias Availability Zone does not exist";
    refuses(reader.get("/network/v2.0/extensions/Availability%20Zone").await, 404, "HTTPNotFound", missing);
}

#[tokio::test]
async fn a_project_reads_its_own_quota() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let quota = format!("/network/v2.0/quotas/{}", id_of("blue"));
    let reply = reader.get(&quota).await.is(200);
    assert_eq!(reply.at("quota.security_group").as_i64(), Some(1));
    assert_eq!(reader.get(&format!("{quota}/default")).await.is(200).body, reply.body);
    reader.get("/network/v2.0/quotas/other").await.is(403);
    house.person("admin", "ops").await.get("/network/v2.0/quotas/other").await.is(200);
}

#[tokio::test]
async fn other_paths_are_not_found_in_neutrons_form() {
    let house = House::new().await;
    let reader = house.person("reader", "blue").await;
    let words = "The resource could not be found.";
    refuses(reader.get("/network/v2.0/trunks").await, 404, "HTTPNotFound", words);
}
