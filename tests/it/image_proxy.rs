//! Images through Compute: listed, shown and deleted, up to 2.35.

use kilonova::model::image::Visibility;
use kilonova::store::{StoreError, Tx};

use crate::house::{Ask, Client, House, Reply, id_of};
use crate::{servers, stage};

const ID: &str = "6f9c6b2e-0000-4000-8000-000000000002";
const OTHER: &str = "6f9c6b2e-0000-4000-8000-000000000003";
const THIRD: &str = "6f9c6b2e-0000-4000-8000-000000000004";
const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
const NOT_FOUND: &str = "Image not found.";
const NOT_ALLOWED: &str = "You are not allowed to delete the image.";

fn at(id: &str) -> String {
    format!("/v2.1/images/{id}")
}

/// A house without the image of the first start.
async fn empty() -> House {
    let house = House::new().await;
    emptied(&house).await;
    house
}

async fn emptied(house: &House) {
    let script = |tx: &mut dyn Tx| tx.execute("DELETE FROM images", &[]);
    house.cloud.store.write(script).await.map_err(|error: StoreError| error).expect("images can be taken away");
}

/// Three images of the project `blue`, of which the id decides the order: they are equally old.
async fn three(house: &House) {
    stage::image(house, ID, "blue", Visibility::Private, &[("image_type", "snapshot"), ("os_type", "linux")]).await;
    stage::image(house, OTHER, "blue", Visibility::Private, &[("instance_uuid", SERVER)]).await;
    stage::image(house, THIRD, "blue", Visibility::Private, &[]).await;
    set(house, OTHER, "name = 'second', sort_name = 'second', min_ram = 512, min_disk = 7, status = 'queued', updated_at = 4102444800000000").await;
}

async fn set(house: &House, id: &'static str, change: &'static str) {
    let script = move |tx: &mut dyn Tx| tx.execute(&format!("UPDATE images SET {change} WHERE id = $1"), &[id.into()]);
    house.cloud.store.write(script).await.map_err(|error: StoreError| error).expect("an image can be changed");
}

fn ids(reply: &Reply) -> Vec<String> {
    let images = reply.at("images");
    let id = |image: &kilonova::json::Json| image.get("id").and_then(|id| id.as_str()).map(str::to_owned);
    images.as_array().expect("a list").iter().filter_map(id).collect()
}

async fn listed(client: &Client, query: &str) -> Vec<String> {
    ids(&client.get(&format!("/v2.1/images{query}")).await.is(200))
}

#[tokio::test]
async fn an_image_is_shown_in_novas_form() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    stage::image(&house, ID, "blue", Visibility::Private, &[("k1", "v1"), ("mappings", "[1]")]).await;
    let shown = member.get(&at(ID)).await.is(200);
    let times = (shown.text_at("image.created"), shown.text_at("image.updated"));
    shown.says(&format!(
        "{{\"image\": {{\"id\": \"{ID}\", \"name\": \"oracle\", \"minRam\": 0, \"minDisk\": 0, \
         \"metadata\": {{\"k1\": \"v1\", \"mappings\": [1]}}, \"created\": \"{}\", \"updated\": \"{}\", \"status\": \"ACTIVE\", \
         \"progress\": 100, \"OS-EXT-IMG-SIZE:size\": 0, \"links\": [\
         {{\"rel\": \"self\", \"href\": \"http://kilonova.test/v2.1/images/{ID}\"}}, \
         {{\"rel\": \"bookmark\", \"href\": \"http://kilonova.test/images/{ID}\"}}, \
         {{\"rel\": \"alternate\", \"type\": \"application/vnd.openstack.image\", \
         \"href\": \"http://kilonova.test/image/images/{ID}\"}}]}}}}",
        times.0, times.1
    ));
}

#[tokio::test]
async fn an_image_of_a_server_names_it() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    stage::image(&house, ID, "blue", Visibility::Private, &[("instance_uuid", SERVER)]).await;
    let project = id_of("blue");
    let shown = member.get(&format!("/v2.1/{project}/images/{ID}")).await.is(200);
    assert_eq!(shown.text_at("image.server.id"), SERVER);
    assert_eq!(shown.text_at("image.server.links.0.href"), format!("http://kilonova.test/v2.1/{project}/servers/{SERVER}"));
    assert_eq!(shown.text_at("image.server.links.1.href"), format!("http://kilonova.test/{project}/servers/{SERVER}"));
}

#[tokio::test]
async fn every_status_has_novas_word_and_progress() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    stage::image(&house, ID, "blue", Visibility::Private, &[]).await;
    for (change, word, progress) in [
        ("status = 'queued', name = NULL", "SAVING", 25),
        ("status = 'saving'", "SAVING", 50),
        ("status = 'active'", "ACTIVE", 100),
        ("status = 'deactivated'", "UNKNOWN", 0),
    ] {
        set(&house, ID, change).await;
        let shown = member.get(&at(ID)).await.is(200);
        assert_eq!((shown.text_at("image.status").as_str(), shown.at("image.progress")), (word, progress.into()));
    }
    assert_eq!(member.get(&at(ID)).await.at("image.name"), kilonova::json::Json::Null);
}

#[tokio::test]
async fn the_disk_configuration_is_shown_where_the_image_has_one() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    for (value, shown) in [("true", "AUTO"), ("Yes", "AUTO"), ("", "MANUAL"), ("disabled", "MANUAL"), ("odd", "MANUAL")] {
        emptied(&house).await;
        stage::image(&house, ID, "blue", Visibility::Private, &[("auto_disk_config", value)]).await;
        assert_eq!(member.get(&at(ID)).await.text_at("image.OS-DCF:diskConfig"), shown, "{value}");
    }
}

#[tokio::test]
async fn cloud_servers_shows_images_with_keys_in_lower_case() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    stage::image(&house, ID, "blue", Visibility::Private, &[("Base", "ubuntu")]).await;
    let project = id_of("blue");
    let shown = member.get(&format!("/v2/{project}/images/{ID}")).await.is(200);
    assert_eq!(shown.text_at("image.metadata.base"), "ubuntu");
    assert_eq!(shown.text_at("image.links.0.href"), format!("http://kilonova.test/v2/{project}/images/{ID}"));
    assert_eq!(ids(&member.get(&format!("/v2/{project}/images/detail")).await.is(200)), [ID]);
}

#[tokio::test]
async fn the_short_list_has_names_and_links_and_the_long_one_everything() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    stage::image(&house, ID, "blue", Visibility::Private, &[]).await;
    let shown = member.get(&at(ID)).await.at("image");
    let short = member.get("/v2.1/images").await.is(200).at("images.0");
    let names: Vec<&str> = short.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["id", "name", "links"]);
    assert_eq!(member.get("/v2.1/images/detail").await.is(200).at("images.0"), shown);
}

#[tokio::test]
async fn filters_select() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    three(&house).await;
    for (query, expected) in [
        ("", vec![THIRD, OTHER, ID]),
        ("?name=second", vec![OTHER]),
        ("?status=ACTIVE", vec![THIRD, ID]),
        ("?status=SAVING", vec![]),
        ("?status=queued", vec![OTHER]),
        ("?type=snapshot", vec![ID]),
        ("?minRam=512", vec![OTHER]),
        ("?minDisk=7", vec![OTHER]),
        ("?changes-since=2099-12-31T23:59:59Z", vec![OTHER]),
        ("?unknown=1", vec![THIRD, OTHER, ID]),
        ("?visibility=public&sort=name", vec![THIRD, OTHER, ID]),
    ] {
        assert_eq!(listed(&member, query).await, expected, "{query}");
    }
    for server in [SERVER.to_owned(), format!("http://kilonova.test/v2.1/servers/{SERVER}")] {
        assert_eq!(listed(&member, &format!("?server={server}")).await, [OTHER], "{server}");
    }
}

#[tokio::test]
async fn a_property_of_any_name_selects_images() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    three(&house).await;
    assert_eq!(listed(&member, "?property-os_type=linux").await, [ID]);
    assert_eq!(listed(&member, "?property-image_type=other").await, [""; 0]);
}

#[tokio::test]
async fn pages_are_linked_until_the_last() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    three(&house).await;
    let first = member.get("/v2.1/images/detail?limit=2&status=active").await.is(200);
    assert_eq!(ids(&first), [THIRD, ID]);
    assert_eq!(
        first.text_at("images_links.0.href"),
        format!("http://kilonova.test/v2.1/images/detail?limit=2&status=active&marker={ID}")
    );
    let next = member.get(&format!("/v2.1/images?limit=2&marker={OTHER}")).await.is(200);
    assert_eq!(ids(&next), [ID]);
    assert!(next.json().get("images_links").is_none(), "{}", next.text());
}

#[tokio::test]
async fn a_list_of_images_is_never_longer_than_the_setting() {
    let house = House::with(|settings| settings.max_limit = 1).await;
    emptied(&house).await;
    let member = house.person("member", "blue").await;
    three(&house).await;
    let reply = member.get("/v2.1/images?limit=2").await.is(200);
    assert_eq!(ids(&reply), [THIRD]);
    assert_eq!(reply.text_at("images_links.0.rel"), "next");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_as_nova_does_it() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    for (query, sentence) in [
        ("limit=0", "Invalid input for query parameters limit. Value: 0. 0 is less than the minimum of 1"),
        ("limit=x", "Invalid input for query parameters limit. Value: x. 'x' does not match '^[0-9]*$'"),
        ("offset=-1", "Invalid input for query parameters offset. Value: -1. '-1' does not match '^[0-9]*$'"),
        ("marker=x", "400 Bad Request: No image found with ID x (HTTP 400)"),
        (
            "changes-since=x",
            "400 Bad Request: Bad \"updated_at\" query filter format. Use ISO 8601 DateTime notation. (HTTP 400)",
        ),
    ] {
        for list in ["images", "images/detail"] {
            member.get(&format!("/v2.1/{list}?{query}")).await.refuses(400, sentence);
        }
    }
}

#[tokio::test]
async fn a_deleted_image_is_gone() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    stage::image(&house, ID, "blue", Visibility::Private, &[]).await;
    set(&house, ID, "protected = 0").await;
    member.delete(&at(ID)).await.is(204).says("");
    member.get(&at(ID)).await.refuses(404, NOT_FOUND);
    member.delete(&at(ID)).await.refuses(404, NOT_FOUND);
    for id in ["0", "abc"] {
        member.get(&at(id)).await.refuses(404, NOT_FOUND);
        member.delete(&at(id)).await.refuses(404, NOT_FOUND);
    }
}

#[tokio::test]
async fn who_may_not_delete_is_told_one_sentence_or_nothing() {
    let house = empty().await;
    let (member, reader) = (house.person("member", "blue").await, house.person("reader", "blue").await);
    let stranger = house.person("member", "green").await;
    stage::image(&house, ID, "blue", Visibility::Public, &[]).await;
    member.delete(&at(ID)).await.refuses(403, NOT_ALLOWED);
    set(&house, ID, "protected = 0").await;
    reader.delete(&at(ID)).await.refuses(403, NOT_ALLOWED);
    stranger.delete(&at(ID)).await.refuses(403, NOT_ALLOWED);
    set(&house, ID, "visibility = 'private'").await;
    stranger.delete(&at(ID)).await.refuses(404, NOT_FOUND);
    stranger.get(&at(ID)).await.refuses(404, NOT_FOUND);
    assert_eq!(listed(&stranger, "").await, [""; 0]);
    house.nobody().get(&at(ID)).await.is(401);
    member.get(&at(ID)).await.is(200);
}

#[tokio::test]
async fn from_2_36_on_there_are_no_images() {
    let house = empty().await;
    let member = house.person("member", "blue").await;
    stage::image(&house, ID, "blue", Visibility::Private, &[]).await;
    for path in ["/v2.1/images".to_owned(), "/v2.1/images/detail".to_owned(), at(ID)] {
        member.send(Ask::new("GET", &path).version("2.35")).await.is(200);
        let reply = member.send(Ask::new("GET", &path).version("2.36")).await;
        reply.refuses(404, "The resource could not be found.");
    }
    let reply = member.send(Ask::new("DELETE", &at(ID)).version("2.36")).await;
    reply.refuses(404, "The resource could not be found.");
}

#[tokio::test]
async fn the_image_of_a_server_is_found_where_it_was_said_to_be() {
    let house = servers::furnished().await;
    let member = house.person("member", "blue").await;
    let id = servers::up(&house, &member, "one", "").await;
    let made = member.post(&format!("/v2/servers/{id}/action"), r#"{"createImage": {"name": "i"}}"#).await.is(202);
    house.settle().await;
    let place = made.header("location").expect("an address").replace("http://kilonova.test", "");
    let shown = member.get(&place).await.is(200);
    assert_eq!((shown.text_at("image.name").as_str(), shown.text_at("image.server.id")), ("i", id));
}
