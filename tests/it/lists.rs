//! Lists in pages, in every order that an index has: what comes after one another where keys are equal, and where a page begins. That they
//! follow an index is watched by `plans`.

use kilonova::json::Json;

use crate::house::{Ask, Client, House, id_of};
use crate::servers::{furnish, furnished, order, up};

const IMAGES: &str = "/image/v2/images";

/// Whatever a list of images is put in order by: name, moment, id. Moments are written so that they sort as texts.
type ImagePlace = (String, String, String);

fn image_place(image: &Json) -> ImagePlace {
    let text = |name: &str| image.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    (text("name"), text("created_at"), text("id"))
}

/// Makes an image for each of these names, as JSON has them, three at each moment.
async fn images(house: &House, client: &Client, visibility: &str, names: &[&str]) -> Vec<ImagePlace> {
    let mut made = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let body = format!(r#"{{"name": {name}, "visibility": "{visibility}"}}"#);
        made.push(image_place(&client.post(IMAGES, &body).await.is(201).json()));
        house.later(i64::from(index % 3 == 2));
    }
    made
}

/// The images of a list, page by page, each of which but the last must be full.
async fn image_pages(client: &Client, query: &str) -> Vec<ImagePlace> {
    let (mut seen, mut next) = (Vec::new(), Some(format!("/v2/images?limit=2&{query}")));
    while let Some(target) = next {
        let page = client.get(&format!("/image{target}")).await.is(200).json();
        let images = page.get("images").and_then(Json::as_array).expect("a list");
        next = page.get("next").and_then(Json::as_str).map(str::to_owned);
        assert_eq!(images.len() == 2, next.is_some(), "{target}");
        seen.extend(images.iter().map(image_place));
    }
    seen
}

#[tokio::test]
async fn images_by_name_are_paged_through_equal_names_in_both_directions() {
    let house = House::new().await;
    let (member, friend, admin) =
        (house.person("member", "blue").await, house.person("member", "green").await, house.person("admin", "red").await);
    let names = [r#""b""#, r#""a""#, r#""a""#, "null", r#""""#, r#""a""#, r#""b""#, r#""B""#, r#""ä""#];
    let mut mine = images(&house, &member, "private", &names).await;
    mine.extend(images(&house, &admin, "public", &names).await);
    let shared = images(&house, &friend, "shared", &names).await;
    for (_, _, id) in &shared {
        let members = format!("{IMAGES}/{id}/members");
        friend.post(&members, &format!(r#"{{"member": "{}"}}"#, id_of("blue"))).await.is(200);
        member.put(&format!("{members}/{}", id_of("blue")), r#"{"status": "accepted"}"#).await.is(200);
    }
    mine.extend(shared);
    // the one of the first start, which everybody sees
    mine.push(image_place(&member.get(&format!("{IMAGES}?name=kilonova-test")).await.is(200).at("images.0")));
    mine.sort();
    for client in [&member, &admin] {
        assert_eq!(image_pages(client, "sort=name:asc").await, mine);
        assert_eq!(image_pages(client, "sort_key=name&sort_dir=asc").await, mine);
        let downwards: Vec<ImagePlace> = mine.iter().rev().cloned().collect();
        assert_eq!(image_pages(client, "sort=name").await, downwards);
        assert_eq!(image_pages(client, "sort_key=name&sort_dir=desc").await, downwards);
        // one name, in the order of age
        let mut named: Vec<ImagePlace> = mine.iter().filter(|(name, _, _)| name == "a").cloned().collect();
        assert_eq!(image_pages(client, "name=a&sort=created_at:asc").await, named);
        assert_eq!(image_pages(client, "name=a&sort=name:asc").await, named);
        named.reverse();
        assert_eq!(image_pages(client, "name=a").await, named);
    }
}

#[tokio::test]
async fn an_image_without_a_name_is_not_one_with_an_empty_name_though_they_are_sorted_alike() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let mut made = images(&house, &member, "private", &["null", r#""""#]).await;
    assert_eq!(image_pages(&member, "name=").await, made[1..]);
    let nameless = made[0].clone();
    made.sort();
    assert_eq!(image_pages(&member, "visibility=private&sort=name:asc").await, made);
    let path = format!("{IMAGES}/{}", nameless.2);
    let change = r#"[{"op": "replace", "path": "/name", "value": "c"}]"#;
    let ask = Ask::new("PATCH", &path).header("content-type", "application/openstack-images-v2.1-json-patch");
    member.send(ask.body(change)).await.is(200);
    let first = image_pages(&member, "visibility=private&sort=name:asc").await;
    assert_eq!((first[0].0.as_str(), first[1].0.as_str()), ("", "c"));
    assert_eq!(image_pages(&member, "name=c").await, first[1..]);
}

#[tokio::test]
async fn a_snapshot_is_found_by_its_name_and_sorted_by_it() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let id = up(&house, &member, "s", "").await;
    member.post(&format!("/v2.1/servers/{id}/action"), r#"{"createImage": {"name": "h"}}"#).await.is(202);
    assert_eq!(image_pages(&member, "name=h").await.len(), 1);
    let all = image_pages(&member, "sort=name:asc").await;
    assert!(all.is_sorted() && all[0].0 == "h", "{all:?}");
}

/// The servers of a list, name and id, page by page.
async fn server_pages(client: &Client, query: &str) -> Vec<(String, String)> {
    let (mut seen, mut next) = (Vec::new(), Some(format!("/v2.1/servers?limit=2&{query}")));
    while let Some(target) = next {
        let page = client.get(&target).await.is(200).json();
        let servers = page.get("servers").and_then(Json::as_array).expect("a list");
        let text = |server: &Json, name: &str| server.get(name).and_then(Json::as_str).expect("a text").to_owned();
        seen.extend(servers.iter().map(|server| (text(server, "name"), text(server, "id"))));
        next = page.get("servers_links").and_then(|links| {
            let href = links.as_array()?.first()?.get("href")?.as_str()?.to_owned();
            href.strip_prefix("http://kilonova.test").map(str::to_owned)
        });
        assert_eq!(servers.len() == 2, next.is_some(), "{target}");
    }
    seen
}

async fn house_with_room() -> House {
    furnish(House::with(|settings| settings.quota.instances = -1).await).await
}

/// Makes servers of these names, two at each moment; name and id of each.
async fn servers(house: &House, client: &Client, names: &[&str]) -> Vec<(String, String)> {
    let mut made = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let id = client.post("/v2.1/servers", &order(name, "")).await.is(202).text_at("server.id");
        made.push(((*name).to_owned(), id));
        house.later(i64::from(index % 2 == 1));
    }
    made
}

#[tokio::test]
async fn servers_by_name_are_paged_through_equal_names_in_both_directions() {
    let house = house_with_room().await;
    let (member, admin) = (house.person("member", "blue").await, house.person("admin", "red").await);
    let names = ["web", "10", "9", "web", "1x", "Web", "web", "web", "ä"];
    let mut mine = servers(&house, &member, &names).await;
    let mut all = mine.clone();
    all.extend(servers(&house, &house.person("member", "green").await, &names).await);
    mine.sort();
    all.sort();
    for (client, more, mut expected) in [(&member, "", mine), (&admin, "&all_tenants=1", all)] {
        assert_eq!(server_pages(client, &format!("sort_key=display_name&sort_dir=asc{more}")).await, expected);
        let found = server_pages(client, &format!("sort_key=display_name&sort_dir=asc&name=web{more}")).await;
        let named = |(name, _): &&(String, String)| name.contains("web");
        assert_eq!(found, expected.iter().filter(named).cloned().collect::<Vec<_>>());
        expected.reverse();
        assert_eq!(server_pages(client, &format!("sort_key=display_name{more}")).await, expected);
    }
}

#[tokio::test]
async fn a_page_by_name_follows_a_server_that_was_deleted_meanwhile_but_none_of_another_project() {
    let house = house_with_room().await;
    let (member, stranger) = (house.person("member", "blue").await, house.person("member", "green").await);
    let made = servers(&house, &member, &["a", "b", "c"]).await;
    house.settle().await;
    member.delete(&format!("/v2.1/servers/{}", made[1].1)).await.is(204);
    house.settle().await;
    let gone = &made[1].1;
    assert_eq!(server_pages(&member, &format!("sort_key=display_name&sort_dir=asc&marker={gone}")).await, made[2..]);
    for order in ["display_name", "created_at"] {
        let target = format!("/v2.1/servers?sort_key={order}&marker={gone}");
        stranger.get(&target).await.refuses(400, &format!("marker [{gone}] not found"));
    }
}

#[tokio::test]
async fn texts_that_look_like_numbers_are_ordered_as_texts() {
    let house = house_with_room().await;
    let member = house.person("member", "blue").await;
    // compared as numbers where they are some, these would be in no order at all, and a sort may panic over that
    let mut made = servers(&house, &member, &["9", "10", "1x", "9", "10", "1x", "9", "10"]).await;
    made.sort();
    assert_eq!(server_pages(&member, "sort_key=hostname&sort_dir=asc").await, made);
}
