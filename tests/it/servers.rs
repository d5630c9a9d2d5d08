//! Servers: made, shown, listed, changed, deleted.

use kilonova::model::ids::ServerId;
use kilonova::compute::work;
use kilonova::hypervisor::Op;
use kilonova::json::Json;
use kilonova::store::{StoreError, Tx};

use crate::house::{Ask, Client, House, Reply, id_of};

pub const IMAGE: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// A house with two flavors and some public images.
pub async fn furnished() -> House {
    furnish(House::new().await).await
}

pub async fn furnish(house: House) -> House {
    let script = |tx: &mut dyn Tx| {
        // those of the first start, which may have the same names
        tx.execute("DELETE FROM flavors", &[])?;
        for (id, name, memory, vcpus, disk) in
            [("1", "m1.tiny", 512, 1, 1), ("2", "m1.small", 2048, 2, 20), ("diskless", "none", 512, 1, 0)]
        {
            tx.execute(
                "INSERT INTO flavors (id, name, memory_mb, vcpus, root_gb, ephemeral_gb, swap_mb, rxtx_factor, is_public, disabled, \
                 extra_specs, created_at) VALUES ($1, $2, $3, $4, $5, 0, 0, '1.0', 1, 0, '{\"a\": \"b\"}', 0)",
                &[id.into(), name.into(), i64::from(memory).into(), i64::from(vcpus).into(), i64::from(disk).into()],
            )?;
        }
        let images = [
            (IMAGE, "active", 0, 0, 1000_i64, r#"{"k1": "v1", "hw_disk_bus": "virtio"}"#),
            ("aaaaaaaa-0000-4000-8000-000000000002", "queued", 0, 0, 0, "{}"),
            ("aaaaaaaa-0000-4000-8000-000000000003", "active", 1024, 0, 0, "{}"),
            ("aaaaaaaa-0000-4000-8000-000000000004", "active", 0, 2, 0, "{}"),
            ("aaaaaaaa-0000-4000-8000-000000000005", "active", 0, 0, 1 << 31, "{}"),
            ("aaaaaaaa-0000-4000-8000-000000000006", "active", 0, 0, 0, r#"{"auto_disk_config": "disabled"}"#),
            ("aaaaaaaa-0000-4000-8000-000000000007", "active", 0, 0, 0, r#"{"auto_disk_config": "True"}"#),
        ];
        for (id, status, ram, disk, size, properties) in images {
            tx.execute(
                "INSERT INTO images (id, owner, name, status, visibility, protected, os_hidden, disk_format, container_format, \
                 min_ram, min_disk, size, tags, properties, created_at, updated_at, sort_name) \
                 VALUES ($1, 'x', 'i', $2, 'public', 0, 0, 'raw', 'bare', $3, $4, $5, '[]', $6, 0, 0, 'i')",
                &[
                    id.into(),
                    status.into(),
                    i64::from(ram).into(),
                    i64::from(disk).into(),
                    size.into(),
                    properties.into(),
                ],
            )?;
        }
        Ok::<_, StoreError>(())
    };
    house.cloud.store.write(script).await.expect("flavors and images");
    house
}

pub fn order(name: &str, more: &str) -> String {
    format!(r#"{{"server": {{"name": "{name}", "imageRef": "{IMAGE}", "flavorRef": "1"{more}}}}}"#)
}

/// A server, up; its id.
pub async fn up(house: &House, member: &Client, name: &str, more: &str) -> String {
    let reply = member.post("/v2.1/servers", &order(name, more)).await.is(202);
    house.settle().await;
    house.later(1);
    reply.text_at("server.id")
}

pub async fn at(client: &Client, version: &str, target: &str) -> Reply {
    client.send(Ask::new("GET", target).version(version)).await
}

pub async fn post_at(client: &Client, version: &str, target: &str, body: &str) -> Reply {
    client.send(Ask::new("POST", target).version(version).json(body)).await
}

fn names(reply: &Reply) -> Vec<String> {
    let servers = reply.at("servers");
    let names = servers.as_array().expect("a list").iter().map(|server| server.get("name").and_then(Json::as_str));
    names.map(|name| name.expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_server_is_ordered_built_and_up() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let reply = member.post("/v2.1/servers", &order("one", r#", "metadata": {"a": "1"}"#)).await.is(202);
    let id = reply.text_at("server.id");
    assert_eq!(reply.header("location"), Some(format!("http://kilonova.test/v2.1/servers/{id}").as_str()));
    assert!(!reply.text_at("server.adminPass").is_empty());
    reply.at("server.links.1.href");
    let members: Vec<String> = reply.at("server").as_object().expect("a server").keys().map(str::to_owned).collect();
    assert_eq!(members, ["id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"]);

    let path = format!("/v2.1/servers/{id}");
    let building = member.get(&path).await.is(200);
    assert_eq!(building.text_at("server.status"), "BUILD");
    assert_eq!(building.text_at("server.OS-EXT-STS:task_state"), "scheduling");
    assert_eq!(building.text_at("server.hostId"), "");
    house.settle().await;
    let project = id_of("blue");
    let user = id_of("member-of-blue");
    let shown = member.get(&path).await.is(200);
    let host_id = shown.text_at("server.hostId");
    assert_eq!(host_id.len(), 56);
    // the bytes of a real Nova (recorded case s-show)
    let expected = format!(
        r#"{{"server": {{"accessIPv4": "", "accessIPv6": "", "addresses": {{}}, "created": "2026-01-01T00:00:00Z", "flavor": {{"id": "1", "links": [{{"rel": "bookmark", "href": "http://kilonova.test/flavors/1"}}]}}, "hostId": "{host_id}", "id": "{id}", "image": {{"id": "{IMAGE}", "links": [{{"rel": "bookmark", "href": "http://kilonova.test/images/{IMAGE}"}}]}}, "links": [{{"rel": "self", "href": "http://kilonova.test/v2.1/servers/{id}"}}, {{"rel": "bookmark", "href": "http://kilonova.test/servers/{id}"}}], "metadata": {{"a": "1"}}, "name": "one", "status": "ACTIVE", "tenant_id": "{project}", "user_id": "{user}", "updated": "2026-01-01T00:00:00Z", "OS-DCF:diskConfig": "MANUAL", "progress": 0, "OS-EXT-AZ:availability_zone": "nova", "config_drive": "", "key_name": null, "OS-SRV-USG:launched_at": "2026-01-01T00:00:00.000000", "OS-SRV-USG:terminated_at": null, "OS-EXT-STS:task_state": null, "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1, "os-extended-volumes:volumes_attached": []}}}}"#
    );
    shown.says(&expected);
}

/// What each microversion adds for a member, and what an administrator sees besides.
#[tokio::test]
async fn every_microversion_shows_its_members_in_novas_order() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let admin = house.person("admin", "red").await;
    let id = up(&house, &member, "one", "").await;
    let base = [
        "accessIPv4",
        "accessIPv6",
        "addresses",
        "created",
        "flavor",
        "hostId",
        "id",
        "image",
        "links",
        "metadata",
        "name",
        "status",
        "tenant_id",
        "user_id",
        "updated",
        "OS-DCF:diskConfig",
        "progress",
        "OS-EXT-AZ:availability_zone",
        "config_drive",
        "key_name",
        "OS-SRV-USG:launched_at",
        "OS-SRV-USG:terminated_at",
        "OS-EXT-STS:task_state",
        "OS-EXT-STS:vm_state",
        "OS-EXT-STS:power_state",
        "os-extended-volumes:volumes_attached",
    ];
    let steps: [(u32, &str); 10] = [
        (9, "locked"),
        (19, "description"),
        (26, "tags"),
        (63, "trusted_image_certificates"),
        (71, "server_groups"),
        (73, "locked_reason"),
        (90, "OS-EXT-SRV-ATTR:hostname"),
        (96, "pinned_availability_zone"),
        (100, "scheduler_hints"),
        (1000, ""),
    ];
    let members = |reply: &Reply, path: &str| -> Vec<String> {
        reply.at(path).as_object().expect("a server").keys().map(str::to_owned).collect()
    };
    for minor in [1, 3, 8, 9, 16, 18, 19, 26, 47, 63, 71, 73, 75, 89, 90, 96, 98, 100, 104] {
        let version = format!("2.{minor}");
        let mut expected: Vec<&str> = base.to_vec();
        expected.extend(steps.iter().filter(|(since, _)| *since <= minor).map(|(_, name)| *name));
        let shown = at(&member, &version, &format!("/v2.1/servers/{id}")).await.is(200);
        assert_eq!(members(&shown, "server"), expected, "{version}");
        expected.retain(|name| *name != "server_groups");
        let listed = at(&member, &version, "/v2.1/servers/detail").await.is(200);
        assert_eq!(members(&listed, "servers.0"), expected, "detail {version}");

        let all = at(&admin, &version, &format!("/v2.1/servers/{id}")).await.is(200);
        let seen = members(&all, "server");
        let extended: Vec<&str> = seen.iter().filter_map(|name| name.strip_prefix("OS-EXT-SRV-ATTR:")).collect();
        let mut wanted = vec!["host", "instance_name", "hypervisor_hostname"];
        if minor >= 3 {
            wanted.extend([
                "hostname",
                "kernel_id",
                "launch_index",
                "ramdisk_id",
                "reservation_id",
                "root_device_name",
                "user_data",
            ]);
        }
        assert_eq!(extended, wanted, "{version}");
        assert_eq!(seen.contains(&"host_status".to_owned()), minor >= 16, "{version}");
    }
    let embedded = at(&member, "2.47", &format!("/v2.1/servers/{id}")).await.at("server.flavor");
    let text = r#"{"vcpus": 1, "ram": 512, "disk": 1, "ephemeral": 0, "swap": 0, "original_name": "m1.tiny", "extra_specs": {"a": "b"}}"#;
    assert_eq!(embedded.to_string(), text);
    let properties = at(&member, "2.98", &format!("/v2.1/servers/{id}")).await.at("server.image.properties");
    assert_eq!(properties.get("hw_disk_bus").and_then(Json::as_str), Some("virtio"));
    assert!(properties.get("k1").is_none());
}

#[tokio::test]
async fn an_order_that_cannot_be_met_is_refused_with_novas_sentence() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let image = |last: u8| format!("aaaaaaaa-0000-4000-8000-00000000000{last}");
    let of_image = |last: u8, more: &str| {
        format!(r#"{{"server": {{"name": "s", "imageRef": "{}", "flavorRef": "1"{more}}}}}"#, image(last))
    };
    let network = "11111111-2222-4333-8444-555555555555";
    let cases = [
        (400, of_image(9, ""), "Can not find requested image".to_owned()),
        (400, of_image(2, ""), format!("Image {} is not active.", image(2))),
        (400, of_image(3, ""), "Flavor's memory is too small for requested image.".to_owned()),
        (
            400,
            of_image(4, ""),
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is 1073741824 bytes, \
             minimum size is 2147483648 bytes."
                .to_owned(),
        ),
        (
            400,
            of_image(5, ""),
            "Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is 2147483648 bytes."
                .to_owned(),
        ),
        (
            400,
            of_image(6, r#", "OS-DCF:diskConfig": "AUTO""#),
            format!("Requested image {} has automatic disk resize disabled.", image(6)),
        ),
        (400, order("s", r#", "key_name": "none""#), "Invalid key_name provided.".to_owned()),
        (
            400,
            order("s", r#", "availability_zone": "mars""#),
            "The requested availability zone is not available".to_owned(),
        ),
        (
            400,
            order("s", &format!(r#", "networks": [{{"uuid": "{network}"}}]"#)),
            format!("Network {network} could not be found."),
        ),
        (400, order("s", r#", "min_count": 2, "max_count": 1"#), "min_count must be <= max_count".to_owned()),
        (
            400,
            r#"{"server": {"name": "s", "flavorRef": "1"}}"#.to_owned(),
            "Missing imageRef attribute".to_owned(),
        ),
        (
            400,
            order("s", "").replace(r#""flavorRef": "1""#, r#""flavorRef": "nine""#),
            "Flavor nine could not be found.".to_owned(),
        ),
        (
            403,
            order("s", "").replace(r#""flavorRef": "1""#, r#""flavorRef": "diskless""#),
            "Only volume-backed servers are allowed for flavors with zero disk.".to_owned(),
        ),
        (
            403,
            order("s", r#", "min_count": 11"#),
            "Quota exceeded for instances: Requested 11, but already used 0 of 10 instances".to_owned(),
        ),
        (
            403,
            order("s", r#", "availability_zone": "nova:kilonova""#),
            "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.".to_owned(),
        ),
        (400, order("s", r#", "tags": ["a"]"#), "Additional properties are not allowed ('tags' was unexpected)".to_owned()),
    ];
    for (status, body, sentence) in cases {
        let reply = member.post("/v2.1/servers", &body).await.is(status);
        assert!(reply.text().contains(&sentence.replace('"', "\\\"")), "{body}\n{}", reply.text());
    }
    post_at(&member, "2.37", "/v2.1/servers", &order("s", "")).await.is(400);
    let reader = house.person("reader", "blue").await;
    reader
        .post("/v2.1/servers", &order("s", ""))
        .await
        .refuses(403, "Policy doesn't allow os_compute_api:servers:create to be performed.");
}

#[tokio::test]
async fn the_disk_configuration_follows_the_image() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let auto = order("s", "").replace(IMAGE, "aaaaaaaa-0000-4000-8000-000000000007");
    let reply = member.post("/v2.1/servers", &auto).await.is(202);
    assert_eq!(reply.text_at("server.OS-DCF:diskConfig"), "AUTO");
}

#[tokio::test]
async fn several_servers_are_numbered_and_share_a_reservation() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let reply = member
        .post("/v2.1/servers", &order("many", r#", "min_count": 1, "max_count": 3, "return_reservation_id": true"#))
        .await
        .is(202);
    let reservation = reply.text_at("reservation_id");
    let query = format!("/v2.1/servers?reservation_id=^{reservation}$&sort_key=display_name&sort_dir=asc");
    assert_eq!(names(&member.get(&query).await.is(200)), ["many-1", "many-2", "many-3"]);
    // the quota has room for seven more
    member.post("/v2.1/servers", &order("more", r#", "min_count": 1, "max_count": 20"#)).await.is(202);
    house.settle().await;
    member
        .post("/v2.1/servers", &order("last", ""))
        .await
        .refuses(403, "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances");
}

#[tokio::test]
async fn an_id_is_a_version_seven_uuid_that_begins_with_the_time() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..3 {
        let reply = member.post("/v2.1/servers", &order("s", "")).await.is(202);
        ids.push(reply.text_at("server.id"));
        house.later(1);
    }
    assert!(ids.is_sorted(), "{ids:?}");
    let ids: Vec<ServerId> = ids.iter().map(|id| id.parse().expect("a canonical UUID")).collect();
    assert_eq!(ids[0].bytes()[6] >> 4, 7, "{ids:?}");
    let milliseconds: Vec<i64> = ids.iter().map(|id| (id.number() >> 12) - (ids[0].number() >> 12)).collect();
    assert_eq!(milliseconds, [0, 1000, 2000]);
}

#[tokio::test]
async fn lists_select_by_what_nova_selects_by() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let admin = house.person("admin", "red").await;
    let other = house.person("member", "green").await;
    let one = up(&house, &member, "oracle-server", "").await;
    up(&house, &member, "oracle-server-2", "").await;
    up(&house, &other, "elsewhere", "").await;
    let both = ["oracle-server-2", "oracle-server"];
    for (query, expected) in [
        ("", &both[..]),
        ("name=^oracle-server$", &both[1..]),
        ("name=server", &both[..]),
        ("status=ACTIVE", &both[..]),
        ("status=SHUTOFF", &[]),
        ("status=nonsense", &[]),
        ("image=aaaaaaaa-0000-4000-8000-000000000001", &both[..]),
        ("image=none", &[]),
        ("flavor=2", &[]),
        ("flavor=1&unknown=x", &both[..]),
        ("changes-since=2026-01-01T00:00:01", &both[..1]),
        ("ip=10.0", &[]),
        ("sort_key=display_name&sort_dir=asc", &["oracle-server", "oracle-server-2"]),
        ("sort_key=created_at&sort_dir=asc", &["oracle-server", "oracle-server-2"]),
    ] {
        let listed = member.get(&format!("/v2.1/servers?{query}")).await.is(200);
        assert_eq!(names(&listed), expected, "{query}");
    }
    assert_eq!(names(&admin.get("/v2.1/servers").await.is(200)).len(), 0);
    assert_eq!(names(&admin.get("/v2.1/servers/detail?all_tenants=1").await.is(200)).len(), 3);
    member
        .get("/v2.1/servers?all_tenants=1")
        .await
        .refuses(403, "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.");
    at(&member, "2.38", "/v2.1/servers?status=nonsense").await.refuses(400, "Invalid status value");
    at(&member, "2.75", "/v2.1/servers?foo=1").await.is(400);
    member.get("/v2.1/servers?marker=nowhere").await.refuses(400, "marker [nowhere] not found");
    member.get("/v2.1/servers?limit=-1").await.is(400);
    member.get("/v2.1/servers?sort_key=host").await.refuses(403, "Only administrators can sort servers by host");
    member.get("/v2.1/servers?name=[").await.is(400);
    member.get("/v2.1/servers?status=deleted").await.refuses(403, "Only administrators may list deleted instances");

    member.delete(&format!("/v2.1/servers/{one}")).await.is(204);
    house.settle().await;
    member.get(&format!("/v2.1/servers/{one}")).await.refuses(404, &format!("Instance {one} could not be found."));
    assert_eq!(names(&member.get("/v2.1/servers").await.is(200)), ["oracle-server-2"]);
    let gone = admin.get("/v2.1/servers/detail?all_tenants=1&deleted=1").await.is(200);
    assert_eq!(gone.text_at("servers.0.status"), "DELETED");
    let gone = admin.get("/v2.1/servers?all_tenants=1&status=DELETED").await.is(200);
    assert_eq!(names(&gone), ["oracle-server"]);
}

#[tokio::test]
async fn pages_have_no_server_twice_and_miss_none_while_others_are_made() {
    let house = House::with(|settings| settings.quota.instances = -1).await;
    let house = furnish(house).await;
    let member = house.person("member", "blue").await;
    for index in 0..7 {
        // two at each moment, so that age alone does not order them
        house.later(index % 2);
        member.post("/v2.1/servers", &order(&format!("s{index}"), "")).await.is(202);
    }
    let mut seen = Vec::new();
    let mut next = Some("/v2.1/servers?limit=2".to_owned());
    while let Some(target) = next {
        let page = member.get(&target).await.is(200);
        seen.extend(names(&page));
        house.later(1);
        member.post("/v2.1/servers", &order("new", "")).await.is(202);
        let link = page.json().get("servers_links").cloned();
        next = link.and_then(|links| {
            let href = links.as_array()?.first()?.get("href")?.as_str()?.to_owned();
            href.strip_prefix("http://kilonova.test").map(str::to_owned)
        });
    }
    seen.sort();
    assert_eq!(seen, ["s0", "s1", "s2", "s3", "s4", "s5", "s6"]);
}

#[tokio::test]
async fn a_server_is_renamed_and_described() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    let path = format!("/v2.1/servers/{id}");
    let reply = member
        .put(&path, r#"{"server": {"name": "two", "accessIPv4": "10.0.0.1", "OS-DCF:diskConfig": "AUTO"}}"#)
        .await
        .is(200);
    assert_eq!(reply.text_at("server.name"), "two");
    assert_eq!(reply.text_at("server.accessIPv4"), "10.0.0.1");
    assert_eq!(reply.text_at("server.OS-DCF:diskConfig"), "AUTO");
    assert!(reply.at("server").get("key_name").is_none(), "before 2.75 the answer is short");
    let put = |version: &str, body: &str| {
        let ask = Ask::new("PUT", &path).version(version).json(body);
        let member = member.clone();
        async move { member.send(ask).await }
    };
    assert_eq!(put("2.19", r#"{"server": {"description": "d"}}"#).await.is(200).text_at("server.description"), "d");
    let full = put("2.104", r#"{"server": {"description": null, "hostname": "h.example"}}"#).await.is(200);
    assert!(full.at("server.description").is_null());
    assert_eq!(full.text_at("server.OS-EXT-SRV-ATTR:hostname"), "h.example");
    full.at("server.key_name");
    put("2.104", r#"{"server": {"pinned_availability_zone": "mars"}}"#)
        .await
        .refuses(409, "Server can only be pinned to its current availability zone 'nova', but 'mars' was requested.");
    put("2.1", r#"{"server": {"metadata": {}}}"#).await.is(400);
    house.person("reader", "blue").await.put(&path, r#"{"server": {"name": "x"}}"#).await.is(403);
    house.person("member", "green").await.put(&path, r#"{"server": {"name": "x"}}"#).await.is(404);
}

#[tokio::test]
async fn a_crash_between_the_order_and_the_work_loses_nothing_and_does_nothing_twice() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = member.post("/v2.1/servers", &order("one", "")).await.is(202).text_at("server.id");
    // a worker takes the task and dies
    let job = work::claim(house.cloud.tools()).await.expect("a claim").expect("a task");
    assert!(work::claim(house.cloud.tools()).await.expect("a claim").is_none(), "nobody else takes it");
    let token = member.token.clone().expect("a token");
    drop(member);
    let house = house.restarted().await;
    let member = house.bearer(&token);
    house.settle().await;
    let path = format!("/v2.1/servers/{id}");
    assert_eq!(member.get(&path).await.is(200).text_at("server.status"), "ACTIVE");
    house.later(1);
    member.delete(&path).await.is(204);
    house.settle().await;
    // the dead worker comes back with its outcome, which no longer counts
    work::finish_job(house.cloud.tools(), job).await.expect("an outcome nobody waits for");
    member.get(&path).await.is(404);
}

#[tokio::test]
async fn a_driver_that_fails_leaves_an_error_with_its_fault() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let admin = house.person("admin", "red").await;
    house.driver.fail(Op::Build);
    let id = up(&house, &member, "one", "").await;
    let path = format!("/v2.1/servers/{id}");
    let shown = member.get(&path).await.is(200);
    assert_eq!(shown.text_at("server.status"), "ERROR");
    assert_eq!(shown.at("server.fault.code").as_i64(), Some(500));
    assert!(shown.text_at("server.fault.message").starts_with("Exceeded maximum number of retries."));
    assert!(shown.at("server.fault").get("details").is_none());
    admin.get(&path).await.is(200).text_at("server.fault.details");
    member.delete(&path).await.is(204);
    house.settle().await;
    member.get(&path).await.is(404);
}

#[tokio::test]
async fn a_server_that_is_deleted_while_it_is_built_does_not_come_back() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = member.post("/v2.1/servers", &order("one", "")).await.is(202).text_at("server.id");
    let path = format!("/v2.1/servers/{id}");
    member.delete(&path).await.is(204);
    member.delete(&path).await.is(204);
    house.settle().await;
    member.get(&path).await.is(404);
    member.get("/v2.1/servers").await.says(r#"{"servers": []}"#);
}
