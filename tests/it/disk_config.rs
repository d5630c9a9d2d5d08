//! `auto_disk_config` of images and `OS-DCF:diskConfig` of servers: the tables of metadata.md §3, through the API.

use kilonova::model::image::Visibility;

use crate::house::{Client, House};
use crate::servers::furnished;
use crate::stage;

/// Values of the image's property, and what they make of a server that says nothing, AUTO, MANUAL; `None` is refused.
const TABLE: [(Option<&str>, [Option<&str>; 3]); 9] = [
    (None, [Some("MANUAL"), Some("AUTO"), Some("MANUAL")]),
    (Some("True"), [Some("AUTO"), Some("AUTO"), Some("MANUAL")]),
    (Some("yes"), [Some("AUTO"), Some("AUTO"), Some("MANUAL")]),
    (Some("1"), [Some("AUTO"), Some("AUTO"), Some("MANUAL")]),
    (Some("False"), [Some("MANUAL"), Some("AUTO"), Some("MANUAL")]),
    (Some("garbage"), [Some("MANUAL"), Some("AUTO"), Some("MANUAL")]),
    (Some(""), [Some("MANUAL"), Some("AUTO"), Some("MANUAL")]),
    (Some("DISABLED"), [Some("MANUAL"), None, Some("MANUAL")]),
    (Some(" Disabled "), [Some("MANUAL"), None, Some("MANUAL")]),
];

const ASKED: [&str; 3] = ["", r#", "OS-DCF:diskConfig": "AUTO""#, r#", "OS-DCF:diskConfig": "MANUAL""#];

fn image_id(number: usize) -> String {
    format!("bbbbbbbb-0000-4000-8000-{number:012}")
}

/// A house with an image for each value of the table.
async fn gallery() -> (House, Client) {
    let house = furnished().await;
    for (number, (value, _)) in TABLE.iter().enumerate() {
        let properties: Vec<_> = value.iter().map(|value| ("auto_disk_config", *value)).collect();
        stage::image(&house, &image_id(number), "blue", Visibility::Public, &properties).await;
    }
    stage::limit(&house, "blue", "", "instances", -1).await;
    stage::limit(&house, "blue", "", "cores", -1).await;
    stage::limit(&house, "blue", "", "ram", -1).await;
    let member = house.person("member", "blue").await;
    (house, member)
}

async fn shown(member: &Client, id: &str) -> String {
    member.get(&format!("/v2.1/servers/{id}")).await.is(200).text_at("server.OS-DCF:diskConfig")
}

async fn made(house: &House, member: &Client, image: usize, asked: &str) -> String {
    let body = format!(
        r#"{{"server": {{"name": "s", "imageRef": "{}", "flavorRef": "1"{asked}}}}}"#,
        image_id(image)
    );
    let id = member.post("/v2.1/servers", &body).await.is(202).text_at("server.id");
    house.settle().await;
    id
}

async fn act(house: &House, member: &Client, id: &str, body: &str) -> crate::house::Reply {
    let reply = member.post(&format!("/v2.1/servers/{id}/action"), body).await;
    house.settle().await;
    reply
}

fn disabled(image: usize) -> String {
    format!("Requested image {} has automatic disk resize disabled.", image_id(image))
}

#[tokio::test]
async fn a_new_server_takes_what_it_asks_for_or_what_its_image_says() {
    let (house, member) = gallery().await;
    for (image, (value, row)) in TABLE.iter().enumerate() {
        for (asked, expected) in ASKED.iter().zip(row) {
            let body = format!(
                r#"{{"server": {{"name": "s", "imageRef": "{}", "flavorRef": "1"{asked}}}}}"#,
                image_id(image)
            );
            let reply = member.post("/v2.1/servers", &body).await;
            let Some(expected) = expected else {
                reply.refuses(400, &disabled(image));
                continue;
            };
            let reply = reply.is(202);
            assert_eq!(reply.text_at("server.OS-DCF:diskConfig"), *expected, "answer for {value:?}{asked}");
            house.settle().await;
            assert_eq!(shown(&member, &reply.text_at("server.id")).await, *expected, "shown for {value:?}{asked}");
        }
    }
}

#[tokio::test]
async fn a_rebuilt_server_takes_what_it_asks_for_or_what_its_new_image_says() {
    let (house, member) = gallery().await;
    let id = made(&house, &member, 1, "").await;
    for (image, (value, row)) in TABLE.iter().enumerate() {
        for (asked, expected) in ASKED.iter().zip(row) {
            let body = format!(r#"{{"rebuild": {{"imageRef": "{}"{asked}}}}}"#, image_id(image));
            let reply = act(&house, &member, &id, &body).await;
            match expected {
                None => drop(reply.refuses(400, &disabled(image))),
                Some(expected) => {
                    reply.is(202);
                    assert_eq!(shown(&member, &id).await, *expected, "{value:?}{asked}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_resize_keeps_what_it_asks_for_and_is_manual_where_it_asks_for_nothing() {
    let (house, member) = gallery().await;
    for before in ["AUTO", "MANUAL"] {
        for (asked, expected) in ASKED.iter().zip(["MANUAL", "AUTO", "MANUAL"]) {
            let id = made(&house, &member, 0, &format!(r#", "OS-DCF:diskConfig": "{before}""#)).await;
            let body = format!(r#"{{"resize": {{"flavorRef": "2"{asked}}}}}"#);
            act(&house, &member, &id, &body).await.is(202);
            assert_eq!(shown(&member, &id).await, expected, "{before}{asked}");
            act(&house, &member, &id, r#"{"revertResize": null}"#).await.is(202);
            assert_eq!(shown(&member, &id).await, expected, "{before}{asked}, reverted");
        }
    }
}

#[tokio::test]
async fn an_image_that_forbids_it_forbids_it_at_a_resize_too_but_not_at_an_update() {
    let (house, member) = gallery().await;
    let id = made(&house, &member, 7, "").await;
    let body = r#"{"resize": {"flavorRef": "2", "OS-DCF:diskConfig": "AUTO"}}"#;
    act(&house, &member, &id, body).await.refuses(400, &disabled(7));
    let update = r#"{"server": {"OS-DCF:diskConfig": "AUTO"}}"#;
    member.put(&format!("/v2.1/servers/{id}"), update).await.is(200);
    assert_eq!(shown(&member, &id).await, "AUTO");
}

#[tokio::test]
async fn any_other_word_is_refused() {
    let (house, member) = gallery().await;
    let id = made(&house, &member, 0, "").await;
    for (value, sentence) in [
        (r#""auto""#, "Value: auto. 'auto' is not one of ['AUTO', 'MANUAL']"),
        ("null", "Value: None. None is not of type 'string'"),
    ] {
        let sentence = format!("Invalid input for field/attribute OS-DCF:diskConfig. {sentence}");
        let body = format!(
            r#"{{"server": {{"name": "x", "imageRef": "{}", "flavorRef": "1", "OS-DCF:diskConfig": {value}}}}}"#,
            image_id(0)
        );
        member.post("/v2.1/servers", &body).await.refuses(400, &sentence);
        let update = format!(r#"{{"server": {{"OS-DCF:diskConfig": {value}}}}}"#);
        member.put(&format!("/v2.1/servers/{id}"), &update).await.refuses(400, &sentence);
    }
}

#[tokio::test]
async fn cloud_servers_expand_the_disk_of_an_image_that_says_nothing() {
    let (house, member) = gallery().await;
    let body = format!(r#"{{"server": {{"name": "s", "imageRef": "{}", "flavorRef": "1"}}}}"#, image_id(0));
    let reply = member.post("/v2/servers", &body).await.is(202);
    assert_eq!(reply.text_at("server.OS-DCF:diskConfig"), "AUTO");
    house.settle().await;
}
