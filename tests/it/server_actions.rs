//! What is done to servers: each action from one rest to the next, and each refusal.

use kilonova::hypervisor::{Op, PowerOp};

use crate::house::{Client, House};
use crate::servers::{IMAGE, at, furnished, post_at, up};

fn path(id: &str) -> String {
    format!("/v2.1/servers/{id}/action")
}

async fn status(client: &Client, id: &str) -> String {
    client.get(&format!("/v2.1/servers/{id}")).await.is(200).text_at("server.status")
}

/// Does it and waits until it is done; the status then.
async fn done(house: &House, member: &Client, id: &str, body: &str) -> String {
    let reply = member.post(&path(id), body).await;
    assert!([200, 202, 204].contains(&reply.status), "{body}: {}", reply.text());
    house.settle().await;
    status(member, id).await
}

#[tokio::test]
async fn every_action_leads_from_rest_to_rest() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    for (body, expected) in [
        (r#"{"os-stop": null}"#, "SHUTOFF"),
        (r#"{"os-start": null}"#, "ACTIVE"),
        (r#"{"pause": null}"#, "PAUSED"),
        (r#"{"unpause": null}"#, "ACTIVE"),
        (r#"{"suspend": null}"#, "SUSPENDED"),
        (r#"{"resume": null}"#, "ACTIVE"),
        (r#"{"rescue": null}"#, "RESCUE"),
        (r#"{"unrescue": null}"#, "ACTIVE"),
        (r#"{"reboot": {"type": "SOFT"}}"#, "ACTIVE"),
        (r#"{"reboot": {"type": "hard"}}"#, "ACTIVE"),
        (r#"{"resize": {"flavorRef": "2"}}"#, "VERIFY_RESIZE"),
        (r#"{"revertResize": null}"#, "ACTIVE"),
        (r#"{"resize": {"flavorRef": "2"}}"#, "VERIFY_RESIZE"),
        (r#"{"confirmResize": null}"#, "ACTIVE"),
        (r#"{"shelve": null}"#, "SHELVED_OFFLOADED"),
        (r#"{"unshelve": null}"#, "ACTIVE"),
        (r#"{"createImage": {"name": "i"}}"#, "ACTIVE"),
    ] {
        assert_eq!(done(&house, &member, &id, body).await, expected, "{body}");
    }
    let shown = member.get(&format!("/v2.1/servers/{id}")).await;
    assert_eq!(shown.text_at("server.flavor.id"), "2");
    member.post(&path(&id), r#"{"forceDelete": null}"#).await.is(202);
    house.settle().await;
    member.get(&format!("/v2.1/servers/{id}")).await.is(404);
}

#[tokio::test]
async fn a_state_that_does_not_permit_it_is_told_in_novas_words() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    for (body, word) in [
        (r#"{"os-start": null}"#, "start"),
        (r#"{"unpause": null}"#, "unpause"),
        (r#"{"resume": null}"#, "resume"),
        (r#"{"unrescue": null}"#, "unrescue"),
        (r#"{"unshelve": null}"#, "unshelve"),
        (r#"{"confirmResize": null}"#, "confirmResize"),
        (r#"{"revertResize": null}"#, "revertResize"),
        (r#"{"restore": null}"#, "restore"),
    ] {
        let sentence = format!("Cannot '{word}' instance {id} while it is in vm_state active");
        member.post(&path(&id), body).await.refuses(409, &sentence);
    }
    member.post(&path(&id), r#"{"pause": null}"#).await.is(202);
    member
        .post(&path(&id), r#"{"os-stop": null}"#)
        .await
        .refuses(409, &format!("Cannot 'stop' instance {id} while it is in task_state pausing"));
    member.post(&path(&id), r#"{"reboot": {"type": "odd"}}"#).await.is(400);
    member.post(&path(&id), r#"{"nonsense": null}"#).await.refuses(400, "There is no such action: nonsense");
    member.post(&path(&id), "{}").await.refuses(400, "Malformed request body");
    member
        .post(&path(&id), r#"{"changePassword": {"adminPass": "x"}}"#)
        .await
        .refuses(409, &format!("Cannot 'changePassword' instance {id} while it is in task_state pausing"));
}

#[tokio::test]
async fn who_may_not_is_refused_by_the_rules_name_or_not_told() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    let reader = house.person("reader", "blue").await;
    reader
        .post(&path(&id), r#"{"os-stop": null}"#)
        .await
        .refuses(403, "Policy doesn't allow os_compute_api:servers:stop to be performed.");
    for body in [r#"{"os-resetState": {"state": "error"}}"#, r#"{"shelveOffload": null}"#] {
        member.post(&path(&id), body).await.is(403);
    }
    let stranger = house.person("member", "green").await;
    stranger.post(&path(&id), r#"{"os-stop": null}"#).await.is(404);
    let admin = house.person("admin", "red").await;
    assert_eq!(done(&house, &admin, &id, r#"{"os-resetState": {"state": "error"}}"#).await, "ERROR");
    assert_eq!(done(&house, &admin, &id, r#"{"os-resetState": {"state": "active"}}"#).await, "ACTIVE");
}

#[tokio::test]
async fn a_lock_stops_members_and_not_administrators() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let admin = house.person("admin", "red").await;
    let id = up(&house, &member, "one", "").await;
    post_at(&member, "2.73", &path(&id), r#"{"lock": {"locked_reason": "mine"}}"#).await.is(202);
    let shown = at(&member, "2.73", &format!("/v2.1/servers/{id}")).await.is(200);
    assert_eq!(shown.text_at("server.locked_reason"), "mine");
    let sentence = format!("Instance {id} is locked");
    member.post(&path(&id), r#"{"os-stop": null}"#).await.refuses(409, &sentence);
    member.delete(&format!("/v2.1/servers/{id}")).await.refuses(409, &sentence);
    member
        .post(&path(&id), r#"{"changePassword": {"adminPass": "x"}}"#)
        .await
        .refuses(409, &format!("Instance {id} is in an invalid state for 'changePassword'"));
    assert_eq!(done(&house, &admin, &id, r#"{"os-stop": null}"#).await, "SHUTOFF");
    member.post(&path(&id), r#"{"unlock": null}"#).await.is(202);
    admin.post(&path(&id), r#"{"lock": null}"#).await.is(202);
    member
        .post(&path(&id), r#"{"unlock": null}"#)
        .await
        .refuses(403, "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed.");
    admin.post(&path(&id), r#"{"unlock": null}"#).await.is(202);
    assert_eq!(done(&house, &member, &id, r#"{"os-start": null}"#).await, "ACTIVE");
}

#[tokio::test]
async fn an_image_of_a_server_has_its_data_and_tells_where_it_comes_from() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    let body = r#"{"createImage": {"name": "snap", "metadata": {"color": "red"}}}"#;
    let reply = post_at(&member, "2.45", &path(&id), body).await.is(202);
    let image = reply.text_at("image_id");
    let properties = format!("/v2.1/images/{image}/metadata");
    let queued = member.get(&properties).await.is(200);
    assert_eq!(queued.text_at("metadata.image_type"), "snapshot");
    assert_eq!(queued.text_at("metadata.instance_uuid"), id);
    assert_eq!(queued.text_at("metadata.base_image_ref"), IMAGE);
    assert_eq!(queued.text_at("metadata.color"), "red");
    assert_eq!(queued.text_at("metadata.k1"), "v1");
    // while it is made, no other is
    member
        .post(&path(&id), r#"{"createImage": {"name": "j"}}"#)
        .await
        .refuses(409, &format!("Cannot 'createImage' instance {id} while it is in task_state image_snapshot_pending"));
    house.settle().await;
    let script = {
        let image = image.clone();
        move |tx: &mut dyn kilonova::store::Tx| {
            tx.first("SELECT status, size, blob FROM images WHERE id = $1", &[image.as_str().into()], |row| {
                Ok((row.text(0)?.to_owned(), row.int(1)?, row.text(2)?.to_owned()))
            })
        }
    };
    let (status, size, blob) = house.cloud.store.read(script).await.expect("a read").expect("an image");
    assert_eq!(status, "active");
    let key = blob.parse().expect("a key");
    assert_eq!(house.cloud.blobs.len(&key).await.expect("data"), u64::try_from(size).expect("a size"));

    let reply = member.post(&path(&id), r#"{"createImage": {"name": "old"}}"#).await.is(202);
    assert!(reply.body.is_empty());
    let location = reply.header("location").expect("a Location").to_owned();
    assert!(location.starts_with("http://kilonova.test/image/images/"), "{location}");
    house.settle().await;
    // a server can be made of it
    let order = format!(r#"{{"server": {{"name": "two", "imageRef": "{image}", "flavorRef": "1"}}}}"#);
    member.post("/v2.1/servers", &order).await.is(202);
}

#[tokio::test]
async fn a_snapshot_that_fails_leaves_no_image_and_the_server_as_it_was() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    house.driver.fail(Op::Snapshot);
    let reply = post_at(&member, "2.45", &path(&id), r#"{"createImage": {"name": "i"}}"#).await.is(202);
    house.settle().await;
    assert_eq!(status(&member, &id).await, "ACTIVE");
    member.get(&format!("/v2.1/images/{}/metadata", reply.text_at("image_id"))).await.is(404);
    assert_eq!(done(&house, &member, &id, r#"{"shelve": null}"#).await, "ACTIVE");
    house.driver.heal(Op::Snapshot);
    assert_eq!(done(&house, &member, &id, r#"{"shelve": null}"#).await, "SHELVED_OFFLOADED");
}

#[tokio::test]
async fn a_driver_that_fails_at_suspending_leaves_an_error() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    house.driver.fail(Op::Power(PowerOp::Suspend));
    assert_eq!(done(&house, &member, &id, r#"{"suspend": null}"#).await, "ERROR");
    house.driver.fail(Op::Power(PowerOp::HardReboot));
    house.driver.heal(Op::Power(PowerOp::HardReboot));
    assert_eq!(done(&house, &member, &id, r#"{"reboot": {"type": "HARD"}}"#).await, "ACTIVE");
}

#[tokio::test]
async fn a_rebuild_follows_its_new_image_and_answers_the_server() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", r#", "metadata": {"a": "1"}"#).await;
    let other = "aaaaaaaa-0000-4000-8000-000000000007";
    let body = format!(r#"{{"rebuild": {{"imageRef": "{other}", "name": "two", "metadata": {{"b": "2"}}}}}}"#);
    let reply = member.post(&path(&id), &body).await.is(202);
    assert_eq!(reply.header("location"), Some(format!("http://kilonova.test/v2.1/servers/{id}").as_str()));
    assert_eq!(reply.text_at("server.status"), "REBUILD");
    assert_eq!(reply.text_at("server.OS-DCF:diskConfig"), "AUTO");
    assert_eq!(reply.at("server.metadata").to_string(), r#"{"b": "2"}"#);
    assert!(!reply.text_at("server.adminPass").is_empty());
    assert!(reply.at("server").get("key_name").is_none());
    house.settle().await;
    let shown = member.get(&format!("/v2.1/servers/{id}")).await;
    assert_eq!(shown.text_at("server.status"), "ACTIVE");
    assert_eq!(shown.text_at("server.image.id"), other);
    let missing = r#"{"rebuild": {"imageRef": "aaaaaaaa-0000-4000-8000-000000000009"}}"#;
    member.post(&path(&id), missing).await.refuses(400, "Cannot find image for rebuild");
    let full = format!(r#"{{"rebuild": {{"imageRef": "{IMAGE}", "user_data": "YQ=="}}}}"#);
    let reply = post_at(&member, "2.75", &path(&id), &full).await.is(202);
    assert_eq!(reply.text_at("server.user_data"), "YQ==");
    reply.at("server.key_name");
}

#[tokio::test]
async fn a_resize_that_cannot_be_is_refused() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    for (flavor, sentence) in [
        ("1", "When resizing, instances must change flavor!"),
        ("nine", "Flavor nine could not be found."),
        ("diskless", "Server disk was unable to be resized because: Resize to zero disk flavor is not allowed."),
    ] {
        let body = format!(r#"{{"resize": {{"flavorRef": "{flavor}"}}}}"#);
        member.post(&path(&id), &body).await.refuses(400, sentence);
    }
    crate::stage::limit(&house, "blue", "", "cores", 1).await;
    member
        .post(&path(&id), r#"{"resize": {"flavorRef": "2"}}"#)
        .await
        .refuses(403, "Quota exceeded for cores: Requested 1, but already used 1 of 1 cores");
}

#[tokio::test]
async fn a_shelved_server_is_unshelved_where_that_is_possible() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    assert_eq!(done(&house, &member, &id, r#"{"shelve": null}"#).await, "SHELVED_OFFLOADED");
    post_at(&member, "2.77", &path(&id), r#"{"unshelve": {"availability_zone": "mars"}}"#)
        .await
        .refuses(400, "The requested availability zone is not available");
    post_at(&member, "2.77", &path(&id), r#"{"unshelve": {}}"#).await.is(400);
    post_at(&member, "2.91", &path(&id), r#"{"unshelve": {"host": "kilonova"}}"#).await.is(403);
    post_at(&member, "2.77", &path(&id), r#"{"unshelve": {"availability_zone": "nova"}}"#).await.is(202);
    house.settle().await;
    let shown = at(&member, "2.96", &format!("/v2.1/servers/{id}")).await;
    assert_eq!(shown.text_at("server.status"), "ACTIVE");
    assert_eq!(shown.text_at("server.pinned_availability_zone"), "nova");
}

#[tokio::test]
async fn the_console_tells_its_last_lines() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    let all = member.post(&path(&id), r#"{"os-getConsoleOutput": {}}"#).await.is(200).text_at("output");
    assert_eq!(all.lines().count(), 3);
    for (length, lines) in [("1", 1), ("\"2\"", 2), ("-1", 3), ("null", 3)] {
        let body = format!(r#"{{"os-getConsoleOutput": {{"length": {length}}}}}"#);
        let output = member.post(&path(&id), &body).await.is(200).text_at("output");
        assert_eq!(output.lines().count(), lines, "{length}");
    }
    house.driver.fail(Op::Console);
    member
        .post(&path(&id), r#"{"os-getConsoleOutput": {}}"#)
        .await
        .refuses(404, "Guest does not have a console available.");
}

#[tokio::test]
async fn a_rescue_image_must_be_there() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    let missing = "aaaaaaaa-0000-4000-8000-000000000009";
    member
        .post(&path(&id), &format!(r#"{{"rescue": {{"rescue_image_ref": "{missing}"}}}}"#))
        .await
        .refuses(400, &format!("Requested rescue image '{missing}' is not supported"));
    let body = format!(r#"{{"rescue": {{"rescue_image_ref": "{IMAGE}", "adminPass": "p"}}}}"#);
    member.post(&path(&id), &body).await.is(200).says(r#"{"adminPass": "p"}"#);
}

#[tokio::test]
async fn what_was_under_way_when_the_process_died_is_finished_by_the_next() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    member.post(&path(&id), r#"{"createImage": {"name": "i"}}"#).await.is(202);
    let job = kilonova::compute::work::claim(house.cloud.tools()).await.expect("a claim");
    drop(job);
    let token = member.token.clone().expect("a token");
    drop(member);
    let house = house.restarted().await;
    let member = house.bearer(&token);
    house.settle().await;
    let shown = member.get(&format!("/v2.1/servers/{id}")).await.is(200);
    assert!(shown.at("server.OS-EXT-STS:task_state").is_null());
    assert_eq!(shown.at("server.OS-EXT-STS:power_state").as_i64(), Some(1));
}

#[tokio::test]
async fn a_second_confirmation_while_the_first_is_under_way_is_a_conflict() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "one", "").await;
    assert_eq!(done(&house, &member, &id, r#"{"resize": {"flavorRef": "2"}}"#).await, "VERIFY_RESIZE");
    member.post(&path(&id), r#"{"confirmResize": null}"#).await.is(204);
    member.post(&path(&id), r#"{"confirmResize": null}"#).await.is(409);
    house.settle().await;
    assert_eq!(status(&member, &id).await, "ACTIVE");
}
