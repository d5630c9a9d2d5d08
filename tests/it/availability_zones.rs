//! Availability zones.

use crate::house::House;

#[tokio::test]
async fn there_is_one_zone_and_administrators_see_its_host() {
    let house = House::new().await;
    let (member, admin) = (house.person("member", "blue").await, house.person("admin", "ops").await);
    let body = r#"{"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": true}, "hosts": null}]}"#;
    member.get("/v2.1/os-availability-zone").await.is(200).says(body);
    let service = r#"{"available": true, "active": true, "updated_at": "2026-01-01T00:00:00.000000"}"#;
    let body = body.replace("null", &format!(r#"{{"kilonova": {{"nova-compute": {service}}}}}"#));
    admin.get("/v2.1/os-availability-zone/detail").await.is(200).says(&body);
    let sentence = "Policy doesn't allow os_compute_api:os-availability-zone:detail to be performed.";
    member.get("/v2.1/os-availability-zone/detail").await.refuses(403, sentence);
}
