//! With whom images are shared: visibility, members and what they say.

use crate::house::{Ask, Client, House, Reply, id_of};

const IMAGES: &str = "/image/v2/images";

async fn made(client: &Client, visibility: &str) -> String {
    client.post(IMAGES, &format!("{{\"name\": \"s\", \"visibility\": \"{visibility}\"}}")).await.is(201).text_at("id")
}

fn count(reply: Reply) -> usize {
    reply.is(200).at("images").as_array().map_or(0, <[_]>::len)
}

#[tokio::test]
async fn an_image_that_is_offered_is_listed_once_it_is_accepted() {
    let house = House::new().await;
    let (owner, friend) = (house.person("member", "blue").await, house.person("member", "green").await);
    let id = made(&owner, "shared").await;
    let (image, members) = (format!("{IMAGES}/{id}"), format!("{IMAGES}/{id}/members"));
    let green = id_of("green");
    friend.get(&image).await.is(404);
    let added = owner.post(&members, &format!("{{\"member\": \"{green}\"}}")).await.is(200);
    assert_eq!((added.text_at("status"), added.text_at("member_id")), ("pending".into(), green.clone()));
    friend.get(&image).await.is(200);
    assert_eq!(count(friend.get("/image/v2/images?name=s").await), 0);
    assert_eq!(count(friend.get("/image/v2/images?name=s&member_status=pending").await), 1);
    assert_eq!(count(friend.get("/image/v2/images?name=s&member_status=all").await), 1);
    house.later(7);
    let accepted = friend.put(&format!("{members}/{green}"), r#"{"status": "accepted"}"#).await.is(200);
    assert_eq!(accepted.text_at("updated_at"), "2026-01-01T00:00:07Z");
    assert_eq!(count(friend.get("/image/v2/images?name=s&visibility=shared").await), 1);
    friend.put(&format!("{members}/{green}"), r#"{"status": "rejected"}"#).await.is(200);
    assert_eq!(count(friend.get("/image/v2/images?name=s").await), 0);
    owner.delete(&format!("{members}/{green}")).await.is(204);
    friend.get(&image).await.is(404);
}

#[tokio::test]
async fn only_the_project_itself_answers_an_offer() {
    let house = House::new().await;
    let (owner, friend) = (house.person("member", "blue").await, house.person("member", "green").await);
    let (reader, third) = (house.person("reader", "green").await, house.person("member", "red").await);
    let id = made(&owner, "shared").await;
    let members = format!("{IMAGES}/{id}/members");
    for project in ["green", "red"] {
        owner.post(&members, &format!("{{\"member\": \"{}\"}}", id_of(project))).await.is(200);
    }
    let of_green = format!("{members}/{}", id_of("green"));
    let accept = r#"{"status": "accepted"}"#;
    owner.put(&of_green, accept).await.is(403);
    reader.put(&of_green, accept).await.is(403);
    third.put(&of_green, accept).await.is(404);
    friend.put(&of_green, r#"{"status": "maybe"}"#).await.is(400);
    friend.put(&of_green, "{}").await.is(400);
    friend.put(&of_green, "[]").await.is(400);
    friend.put(&of_green, accept).await.is(200);
}

#[tokio::test]
async fn the_owner_sees_all_members_and_a_member_itself() {
    let house = House::new().await;
    let (owner, friend) = (house.person("member", "blue").await, house.person("member", "green").await);
    let id = made(&owner, "shared").await;
    let members = format!("{IMAGES}/{id}/members");
    for project in ["green", "red"] {
        owner.post(&members, &format!("{{\"member\": \"{}\"}}", id_of(project))).await.is(200);
        house.later(1);
    }
    let all = owner.get(&members).await.is(200);
    assert_eq!(all.at("members").as_array().map(<[_]>::len), Some(2));
    assert_eq!(all.text_at("schema"), "/v2/schemas/members");
    let own = friend.get(&members).await.is(200);
    assert_eq!(own.at("members").as_array().map(<[_]>::len), Some(1));
    friend.get(&format!("{members}/{}", id_of("green"))).await.is(200);
    friend.get(&format!("{members}/{}", id_of("red"))).await.is(404);
    owner.get(&format!("{members}/nobody")).await.is(404);
    friend.post(&members, r#"{"member": "x"}"#).await.is(403);
    friend.delete(&format!("{members}/{}", id_of("green"))).await.is(403);
}

#[tokio::test]
async fn what_is_wrong_with_an_offer_is_told() {
    let house = House::new().await;
    let owner = house.person("member", "blue").await;
    let id = made(&owner, "shared").await;
    let members = format!("{IMAGES}/{id}/members");
    for (body, status, sentence) in [
        ("{}", 400, "Member to be added not specified"),
        (r#"{"member": ""}"#, 400, "Member can't be empty"),
        ("[]", 400, "Expected a member in the form"),
        (r#"{"member": "x"}"#, 200, "pending"),
        (r#"{"member": "x"}"#, 409, "Member x is duplicated for image"),
    ] {
        let reply = owner.post(&members, body).await.is(status);
        assert!(reply.text().contains(sentence), "{}", reply.text());
    }
    let private = made(&owner, "private").await;
    let members = format!("{IMAGES}/{private}/members");
    let list = owner.get(&members).await.is(403);
    assert!(list.text().contains(": Only shared images have members."));
    owner.post(&members, r#"{"member": "x"}"#).await.is(403);
    owner.get(&format!("{members}/x")).await.is(404);
    owner.put(&format!("{members}/x"), r#"{"status": "accepted"}"#).await.is(403);
    owner.delete(&format!("{members}/x")).await.is(403);
}

#[tokio::test]
async fn a_community_image_is_for_those_who_know_of_it() {
    let house = House::new().await;
    let (owner, stranger) = (house.person("member", "blue").await, house.person("member", "green").await);
    let id = made(&owner, "community").await;
    stranger.get(&format!("{IMAGES}/{id}")).await.is(200);
    assert_eq!(count(stranger.get("/image/v2/images?name=s").await), 0);
    assert_eq!(count(owner.get("/image/v2/images?name=s").await), 1);
    assert_eq!(count(stranger.get("/image/v2/images?name=s&visibility=community").await), 1);
    assert_eq!(count(stranger.get("/image/v2/images?name=s&visibility=all").await), 1);
}

#[tokio::test]
async fn an_administrator_publishes_and_sees_everything() {
    let house = House::new().await;
    let (owner, admin) = (house.person("member", "blue").await, house.person("admin", "green").await);
    let private = made(&owner, "private").await;
    assert_eq!(count(admin.get("/image/v2/images?name=s").await), 1);
    let change = r#"[{"op": "replace", "path": "/visibility", "value": "public"}]"#;
    let ask = Ask::new("PATCH", &format!("{IMAGES}/{private}"));
    let ask = ask.header("content-type", "application/openstack-images-v2.1-json-patch").body(change);
    owner.send(ask.clone()).await.is(403);
    admin.send(ask).await.is(200);
    let stranger = house.person("reader", "red").await;
    assert_eq!(count(stranger.get("/image/v2/images?name=s").await), 1);
}

#[tokio::test]
async fn a_private_image_is_nobody_elses() {
    let house = House::new().await;
    let (owner, stranger) = (house.person("member", "blue").await, house.person("member", "green").await);
    let id = made(&owner, "private").await;
    let path = format!("{IMAGES}/{id}");
    for (method, tail) in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/file"),
        ("GET", "/members"),
        ("PUT", "/tags/t"),
        ("POST", "/actions/deactivate"),
    ] {
        stranger.send(Ask::new(method, &format!("{path}{tail}"))).await.is(404);
    }
    assert_eq!(count(stranger.get("/image/v2/images?name=s").await), 0);
}
