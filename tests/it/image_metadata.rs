//! The metadata of images, through Compute.

use kilonova::model::image::{ImageMember, MemberStatus, Visibility};
use kilonova::model::time::Timestamp;
use kilonova::store::{StoreError, Tx, images};

use crate::house::{Ask, House, id_of};
use crate::stage;

const IMAGE: &str = "6f9c6b2e-0000-4000-8000-000000000002";
const NOT_FOUND: &str = "Image not found.";

/// An image of the project `blue` with two items.
async fn image(house: &House, visibility: Visibility) {
    image_with(house, visibility, &[("k1", "v1"), ("k2", "v2")]).await;
}

async fn image_with(house: &House, visibility: Visibility, properties: &[(&str, &str)]) {
    stage::image(house, IMAGE, "blue", visibility, properties).await;
}

fn path(tail: &str) -> String {
    format!("/v2.1/images/{IMAGE}/metadata{tail}")
}

fn not_authorized() -> String {
    format!("Not authorized for image {IMAGE}.")
}

#[tokio::test]
async fn items_are_listed_shown_merged_replaced_and_deleted() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    image(&house, Visibility::Shared).await;
    member.get(&path("")).await.is(200).says(r#"{"metadata": {"k1": "v1", "k2": "v2"}}"#);
    member.get(&path("/k1")).await.is(200).says(r#"{"meta": {"k1": "v1"}}"#);
    let merged = member.post(&path(""), r#"{"metadata": {"k3": "", "k1": "w1"}}"#).await;
    merged.is(200).says(r#"{"metadata": {"k1": "w1", "k2": "v2", "k3": ""}}"#);
    member
        .put(&path("/k4"), r#"{"meta": {"k4": "\u0000é"}}"#)
        .await
        .is(200)
        .says(r#"{"meta": {"k4": "\u0000\u00e9"}}"#);
    member.delete(&path("/k1")).await.is(204).says("");
    member.get(&path("")).await.says(r#"{"metadata": {"k2": "v2", "k3": "", "k4": "\u0000\u00e9"}}"#);
    member
        .put(&path(""), r#"{"metadata": {"z": "1", "k4": "2"}}"#)
        .await
        .says(r#"{"metadata": {"z": "1", "k4": "2"}}"#);
    member.get(&path("")).await.says(r#"{"metadata": {"k4": "2", "z": "1"}}"#);
    member.put(&path(""), r#"{"metadata": {}}"#).await.is(200).says(r#"{"metadata": {}}"#);
}

#[tokio::test]
async fn what_is_not_there_is_told_in_three_ways() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    image(&house, Visibility::Private).await;
    member.get(&path("/K1")).await.refuses(404, "The resource could not be found.");
    member.delete(&path("/K1")).await.refuses(404, "Invalid metadata key");
    for id in ["0", "abc", "11111111-2222-4333-8444-555555555555", "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"] {
        member.get(&format!("/v2.1/images/{id}/metadata")).await.refuses(404, NOT_FOUND);
        member.put(&format!("/v2.1/images/{id}/metadata/k"), r#"{"meta": {"k": "v"}}"#).await.refuses(404, NOT_FOUND);
    }
}

#[tokio::test]
async fn a_key_that_is_not_the_one_in_the_url_is_told_before_the_image_is_looked_for() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let answer = member.put("/v2.1/images/abc/metadata/k1", r#"{"meta": {"k2": "x"}}"#).await;
    answer.refuses(400, "Request body and URI mismatch");
}

#[tokio::test]
async fn who_may_only_read_is_not_authorized_to_change() {
    let house = House::new().await;
    let (reader, stranger) = (house.person("reader", "blue").await, house.person("member", "green").await);
    image(&house, Visibility::Public).await;
    for person in [&reader, &stranger] {
        person.get(&path("/k1")).await.is(200);
        person.post(&path(""), r#"{"metadata": {"k3": "x"}}"#).await.refuses(403, &not_authorized());
        person.put(&path(""), r#"{"metadata": {"k3": "x"}}"#).await.refuses(403, &not_authorized());
        person.put(&path("/k1"), r#"{"meta": {"k1": "x"}}"#).await.refuses(403, &not_authorized());
        person.delete(&path("/k1")).await.refuses(403, &not_authorized());
        person.delete(&path("/none")).await.refuses(404, "Invalid metadata key");
        person.put(&path("/k1"), r#"{"meta": {"k1": "v1"}}"#).await.is(200);
    }
}

#[tokio::test]
async fn a_stranger_does_not_learn_of_an_image_that_is_not_open() {
    let house = House::new().await;
    let stranger = house.person("member", "green").await;
    image(&house, Visibility::Shared).await;
    stranger.get(&path("")).await.refuses(404, NOT_FOUND);
    stranger.post(&path(""), r#"{"metadata": {"k3": "x"}}"#).await.refuses(404, NOT_FOUND);
    house.nobody().get(&path("")).await.is(401);
}

#[tokio::test]
async fn who_has_been_offered_the_image_may_read_it() {
    let house = House::new().await;
    let friend = house.person("member", "green").await;
    image(&house, Visibility::Shared).await;
    let member = ImageMember {
        image_id: IMAGE.parse().expect("an id"),
        member_id: id_of("green").parse().expect("an id"),
        status: MemberStatus::Pending,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    };
    let script = move |tx: &mut dyn Tx| images::insert_member(tx, &member);
    house.cloud.store.write(script).await.expect("a member");
    friend.get(&path("/k1")).await.is(200);
    friend.delete(&path("/k1")).await.refuses(403, &not_authorized());
}

#[tokio::test]
async fn an_administrator_changes_the_image_of_another_project_and_leaves_its_visibility() {
    let house = House::new().await;
    let admin = house.person("admin", "green").await;
    image(&house, Visibility::Community).await;
    admin.put(&path("/k1"), r#"{"meta": {"k1": "w"}}"#).await.is(200);
    let script = |tx: &mut dyn Tx| images::find(tx, IMAGE.parse().expect("an id"), None);
    let found = house.cloud.store.read(script).await.expect("the store answers").expect("the image is there");
    let found = found.for_system("a test looks at what was stored");
    assert_eq!((found.visibility, found.updated_at), (Visibility::Community, house.cloud.now()));
}

#[tokio::test]
async fn fields_of_the_image_are_not_metadata() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    image(&house, Visibility::Private).await;
    let unchanged = r#"{"metadata": {"k1": "v1", "k2": "v2"}}"#;
    for key in ["owner", "checksum", "os_hidden", "disk_format", "stores"] {
        member.post(&path(""), &format!(r#"{{"metadata": {{"{key}": "x"}}}}"#)).await.is(200).says(unchanged);
    }
    for key in ["deleted", "status", "self"] {
        member.post(&path(""), &format!(r#"{{"metadata": {{"{key}": "x"}}}}"#)).await.refuses(403, &not_authorized());
    }
    member.get(&path("")).await.says(unchanged);
    for key in ["is_public", "os_type", "instance_uuid"] {
        member.put(&path(&format!("/{key}")), &format!(r#"{{"meta": {{"{key}": "x"}}}}"#)).await.is(200);
        member.get(&path(&format!("/{key}"))).await.is(200);
    }
}

#[tokio::test]
async fn mappings_are_unpacked() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    image_with(&house, Visibility::Private, &[("mappings", "[1, {}]"), ("block_device_mapping", "[")]).await;
    member.get(&path("")).await.says(r#"{"metadata": {"mappings": [1, {}], "block_device_mapping": "["}}"#);
}

#[tokio::test]
async fn the_quota_counts_what_would_be_there() {
    let house = House::with(|settings| settings.quota.metadata_items = 2).await;
    let member = house.person("member", "blue").await;
    image(&house, Visibility::Private).await;
    let over = "Image metadata limit exceeded";
    member.post(&path(""), r#"{"metadata": {"k3": "x"}}"#).await.refuses(403, over);
    member.put(&path("/k3"), r#"{"meta": {"k3": "x"}}"#).await.refuses(403, over);
    member.put(&path(""), r#"{"metadata": {"a": "1", "b": "2", "c": "3"}}"#).await.refuses(403, over);
    member.post(&path(""), r#"{"metadata": {"k1": "w1"}}"#).await.is(200);
}

#[tokio::test]
async fn it_is_gone_from_2_39_on() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    image(&house, Visibility::Private).await;
    member.send(Ask::new("GET", &path("")).version("2.38")).await.is(200);
    let late = member.send(Ask::new("POST", &path("")).version("2.39").json(r#"{"metadata": {"a/b": "x"}}"#)).await;
    late.refuses(404, "The resource could not be found.");
}

#[tokio::test]
async fn concurrent_writers_lose_nothing() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    image(&house, Visibility::Private).await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..50 {
        let member = member.clone();
        writers.spawn(async move {
            member.put(&path(&format!("/n{number}")), &format!(r#"{{"meta": {{"n{number}": "x"}}}}"#)).await.is(200);
        });
    }
    writers.join_all().await;
    let items = member.get(&path("")).await.at("metadata").as_object().map(kilonova::json::Object::len);
    assert_eq!(items, Some(52));
}

#[tokio::test]
async fn a_store_error_is_not_a_sentence() -> Result<(), StoreError> {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    image(&house, Visibility::Private).await;
    let script = |tx: &mut dyn Tx| tx.execute("UPDATE images SET properties = 'broken'", &[]);
    house.cloud.store.write(script).await?;
    let answer = member.get(&path("")).await.is(503);
    assert!(!answer.text().contains("broken"));
    Ok(())
}
