//! Records of images: made, listed, shown, changed, deleted; and what clients read before they do any of it.

use kilonova::json::Json;

use crate::house::{Ask, Client, House, Reply, id_of};

const IMAGES: &str = "/image/v2/images";
const PATCH: &str = "application/openstack-images-v2.1-json-patch";
const OLD_PATCH: &str = "application/openstack-images-v2.0-json-patch";

/// Makes an image and gives its id.
async fn made(client: &Client, body: &str) -> String {
    client.post(IMAGES, body).await.is(201).text_at("id")
}

async fn patched(client: &Client, id: &str, media_type: &str, changes: &str) -> Reply {
    client.send(Ask::new("PATCH", &format!("{IMAGES}/{id}")).header("content-type", media_type).body(changes)).await
}

fn names(reply: &Reply) -> Vec<String> {
    let images = reply.at("images");
    let images = images.as_array().expect("a list").iter();
    images.map(|image| image.get("name").and_then(Json::as_str).unwrap_or("-").to_owned()).collect()
}

#[track_caller]
fn refused(reply: Reply, status: u16, sentence: &str) {
    let reply = reply.is(status);
    assert_eq!(reply.header("content-type"), Some("text/html; charset=UTF-8"));
    assert!(reply.text().contains(&format!("\n  {sentence}<br /><br />\n")), "{}", reply.text());
}

#[tokio::test]
async fn the_door_lists_versions_to_everybody_as_choices() {
    let house = House::new().await;
    for (path, status) in [("/image", 300), ("/image/", 300), ("/image/versions", 200)] {
        let reply = house.nobody().get(path).await.is(status);
        assert_eq!(reply.text_at("versions.2.id"), "v2.17");
        assert_eq!(reply.text_at("versions.2.links.0.href"), "http://kilonova.test/image/v2/");
    }
}

#[tokio::test]
async fn a_record_is_made_with_its_properties_and_shown_as_glance_shows_it() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let body = r#"{"name": "cirros", "disk_format": "raw", "container_format": "bare", "color": "red", "tags": ["b", "a", "b"]}"#;
    let reply = member.post(IMAGES, body).await.is(201);
    let id = reply.text_at("id");
    assert_eq!(reply.header("location"), Some(format!("http://kilonova.test/image/v2/images/{id}").as_str()));
    let owner = id_of("blue");
    reply.says(&format!(
        "{{\"color\": \"red\", \"name\": \"cirros\", \"disk_format\": \"raw\", \"container_format\": \"bare\", \"visibility\": \
         \"shared\", \"size\": null, \"virtual_size\": null, \"status\": \"queued\", \"checksum\": null, \"protected\": false, \
         \"min_ram\": 0, \"min_disk\": 0, \"owner\": \"{owner}\", \"os_hidden\": false, \"os_hash_algo\": null, \
         \"os_hash_value\": null, \"id\": \"{id}\", \"created_at\": \"2026-01-01T00:00:00Z\", \"updated_at\": \
         \"2026-01-01T00:00:00Z\", \"tags\": [\"b\", \"a\"], \"self\": \"/v2/images/{id}\", \"file\": \
         \"/v2/images/{id}/file\", \"schema\": \"/v2/schemas/image\"}}"
    ));
    let shown = member.get(&format!("{IMAGES}/{id}")).await.is(200);
    assert_eq!(shown.text_at("color"), "red");
}

#[tokio::test]
async fn what_a_record_may_not_say_is_refused() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let schema = "Provided object does not match schema 'image':";
    for (body, status, sentence) in [
        ("", 400, "Body expected in request.".to_owned()),
        ("{", 400, "Malformed JSON in request body.".into()),
        ("5", 400, "Unexpected body type. Expected list/dict.".into()),
        (r#"{"self": "x"}"#, 403, "Attribute 'self' is read-only.".into()),
        (r#"{"status": "active"}"#, 403, "Attribute 'status' is read-only.".into()),
        (r#"{"deleted": "x"}"#, 403, "Attribute 'deleted' is reserved.".into()),
        (r#"{"os_glance_x": "x"}"#, 403, "Attribute 'os_glance_x' is reserved.".into()),
        (r#"{"name": 5}"#, 400, format!("{schema} 5 is not of type 'null', 'string'")),
        (r#"{"color": 5}"#, 400, format!("{schema} 5 is not of type 'string'")),
        (r#"{"min_ram": -1}"#, 400, "Invalid value '-1' for parameter 'min_ram': Cannot be a negative value".into()),
        (r#"{"visibility": "public"}"#, 403, "You are not authorized to complete publicize_image action.".into()),
        (r#"{"owner": "somebody"}"#, 403, "You are not authorized to complete add_image action.".into()),
    ] {
        refused(member.post(IMAGES, body).await, status, &sentence);
    }
    let reader = house.person("reader", "blue").await;
    refused(reader.post(IMAGES, "{}").await, 403, "You are not authorized to complete add_image action.");
    let many: Vec<String> = (0..129).map(|number| format!("\"p{number}\": \"x\"")).collect();
    member.post(IMAGES, &format!("{{{}}}", many.join(", "))).await.is(413);
    member.post(IMAGES, &format!("{{\"{}\": \"x\"}}", "k".repeat(256))).await.is(400);
}

#[tokio::test]
async fn an_id_can_be_chosen_once() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = "0A000000-0000-4000-8000-000000000001";
    let body = format!("{{\"id\": \"{id}\"}}");
    member.post(IMAGES, &body).await.is(201);
    refused(member.post(IMAGES, &body).await, 409, &format!("Image ID {} already exists!", id.to_lowercase()));
    member.post(IMAGES, r#"{"id": "x"}"#).await.is(400);
}

#[tokio::test]
async fn a_name_is_not_an_id() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    refused(member.get(&format!("{IMAGES}/cirros")).await, 404, "No image found with ID cirros");
}

#[tokio::test]
async fn a_patch_changes_everything_it_names_or_nothing() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member, r#"{"name": "a", "color": "red"}"#).await;
    house.later(5);
    let changes = r#"[{"op": "replace", "path": "/name", "value": "b"}, {"op": "add", "path": "/a~1b", "value": "x"},
        {"op": "remove", "path": "/color"}, {"op": "replace", "path": "/tags", "value": ["t"]}]"#;
    let reply = patched(&member, &id, PATCH, changes).await.is(200);
    assert_eq!(reply.text_at("name"), "b");
    assert_eq!(reply.text_at("a/b"), "x");
    assert_eq!(reply.text_at("tags.0"), "t");
    assert_eq!(reply.text_at("updated_at"), "2026-01-01T00:00:05Z");
    assert!(reply.json().get("color").is_none());
    let broken = r#"[{"op": "replace", "path": "/name", "value": "c"}, {"op": "remove", "path": "/color"}]"#;
    refused(patched(&member, &id, PATCH, broken).await, 409, "Property color does not exist.");
    assert_eq!(member.get(&format!("{IMAGES}/{id}")).await.text_at("name"), "b");
}

#[tokio::test]
async fn what_a_patch_may_not_do_is_refused() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member, r#"{"name": "a"}"#).await;
    for (changes, status, sentence) in [
        ("{}", 400, "Request body must be a JSON array of operation objects."),
        ("[1]", 400, "Operations must be JSON objects."),
        (
            r#"[{"op": "move", "path": "/a"}]"#,
            400,
            "Invalid operation: `move`. It must be one of the following: add, remove, replace.",
        ),
        (r#"[{"op": "add", "path": "/a"}]"#, 400, "Operation \"add\" requires a member named \"value\"."),
        (r#"[{"op": "add", "value": "a"}]"#, 400, "Unable to find 'path' in JSON Schema change"),
        (r#"[{"op": "add", "path": "a", "value": "a"}]"#, 400, "Pointer `a` does not start with \"/\"."),
        (
            r#"[{"op": "add", "path": "/tags/-", "value": "a"}]"#,
            400,
            "Invalid JSON pointer for this resource: '/tags/-'",
        ),
        (r#"[{"op": "replace", "path": "/status", "value": "active"}]"#, 403, "Attribute 'status' is read-only."),
        (r#"[{"op": "replace", "path": "/id", "value": "x"}]"#, 403, "Attribute 'id' is read-only."),
        (r#"[{"op": "add", "path": "/deleted", "value": "x"}]"#, 403, "Attribute 'deleted' is reserved."),
        (r#"[{"op": "remove", "path": "/name"}]"#, 403, "Property name may not be removed."),
        (r#"[{"op": "replace", "path": "/owner", "value": "x"}]"#, 403, "Owner can't be updated by non admin."),
        (
            r#"[{"op": "replace", "path": "/visibility", "value": "public"}]"#,
            403,
            "You are not authorized to complete publicize_image action.",
        ),
        (
            r#"[{"op": "replace", "path": "/locations", "value": []}]"#,
            403,
            "It's not allowed to update locations if locations are invisible.",
        ),
        (
            r#"[{"op": "replace", "path": "/name", "value": 1}]"#,
            400,
            "Provided object does not match schema 'image': 1 is not of type 'null', 'string'",
        ),
    ] {
        refused(patched(&member, &id, PATCH, changes).await, status, sentence);
    }
    let unknown = patched(&member, &id, "application/json", "[]").await.is(415);
    assert_eq!(
        unknown.header("accept-patch"),
        Some("application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch")
    );
    let reader = house.person("reader", "blue").await;
    let change = r#"[{"op": "replace", "path": "/name", "value": "b"}]"#;
    refused(patched(&reader, &id, PATCH, change).await, 403, "You are not authorized to complete modify_image action.");
    patched(&reader, &id, PATCH, "[]").await.is(200);
}

#[tokio::test]
async fn the_first_form_of_patches_adds_only_what_is_new() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member, r#"{"color": "red"}"#).await;
    patched(&member, &id, OLD_PATCH, r#"[{"replace": "/color", "value": "blue"}]"#).await.is(200);
    let again = patched(&member, &id, OLD_PATCH, r#"[{"add": "/color", "value": "blue"}]"#).await;
    refused(again, 409, "Property color already present.");
    patched(&member, &id, OLD_PATCH, r#"[{"remove": "/color"}]"#).await.is(200);
    patched(&member, &id, OLD_PATCH, r#"[{"add": "/a", "remove": "/b", "value": "x"}]"#).await.is(400);
}

#[tokio::test]
async fn a_protected_image_is_not_deleted() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member, r#"{"protected": true}"#).await;
    let path = format!("{IMAGES}/{id}");
    refused(member.delete(&path).await, 403, &format!("Image {id} is protected and cannot be deleted."));
    patched(&member, &id, PATCH, r#"[{"op": "replace", "path": "/protected", "value": false}]"#).await.is(200);
    refused(
        house.person("reader", "blue").await.delete(&path).await,
        403,
        "You are not authorized to complete delete_image action.",
    );
    member.delete(&path).await.is(204).says("");
    member.get(&path).await.is(404);
}

#[tokio::test]
async fn a_list_is_narrowed_by_fields_properties_and_tags() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    for body in [
        r#"{"name": "a", "color": "red", "tags": ["x", "y"], "min_ram": 5}"#,
        r#"{"name": "b", "color": "blue", "tags": ["x"], "disk_format": "raw"}"#,
        r#"{"name": "c", "os_hidden": true, "visibility": "private"}"#,
        r#"{"name": "d,e", "visibility": "community", "protected": true}"#,
    ] {
        made(&member, body).await;
        house.later(10);
    }
    let a = member.get(&format!("{IMAGES}?name=a")).await.text_at("images.0.id");
    for (query, expected) in [
        ("owner=OWNER", vec!["d,e", "b", "a"]),
        ("name=b", vec!["b"]),
        ("name=in:a,b", vec!["b", "a"]),
        ("name=in:%22d,e%22,b", vec!["d,e", "b"]),
        ("id=in:ID,nonsense", vec!["a"]),
        ("owner=OWNER&status=queued", vec!["d,e", "b", "a"]),
        ("status=active", vec!["kilonova-test"]),
        ("color=red", vec!["a"]),
        ("color=green", vec![]),
        ("tag=x", vec!["b", "a"]),
        ("tag=x&tag=y", vec!["a"]),
        ("os_hidden=true", vec!["c"]),
        ("os_hidden=True&visibility=private", vec!["c"]),
        ("visibility=community", vec!["d,e"]),
        ("protected=true", vec!["d,e"]),
        ("min_ram=5", vec!["a"]),
        ("min_ram_min=1", vec!["a"]),
        ("size_min=1", vec!["kilonova-test"]),
        ("disk_format=raw&owner=OWNER", vec!["b"]),
        ("owner=OWNER&created_at=lt:2026-01-01T00:00:10Z", vec!["a"]),
        ("created_at=gte:2026-01-01T00:00:30Z", vec!["d,e"]),
        ("created_at=2026-01-01T00:00:10Z", vec!["b"]),
        ("owner=OWNER&sort=name:asc", vec!["a", "b", "d,e"]),
        ("owner=OWNER&sort_key=name&sort_dir=desc", vec!["d,e", "b", "a"]),
        ("owner=OWNER&sort_key=status&sort_key=name&sort_dir=asc", vec!["a", "b", "d,e"]),
        ("limit=0", vec![]),
    ] {
        let query = query.replace("OWNER", &id_of("blue")).replace("ID", &a);
        let reply = member.get(&format!("{IMAGES}?{query}")).await.is(200);
        assert_eq!(names(&reply), expected, "{query}");
    }
}

#[tokio::test]
async fn what_a_list_cannot_be_asked_is_refused() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    for (query, sentence) in [
        ("limit=x", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("marker=x", "No image found with ID x"),
        (
            "sort_key=color",
            "Invalid sort key: color. It must be one of the following: name, status, container_format, disk_format, size, id, created_at, updated_at.",
        ),
        ("sort=name:up", "Invalid sort direction: up"),
        ("sort=name&sort_key=name", "Old and new sorting syntax cannot be combined"),
        ("sort_key=name&sort_dir=asc&sort_dir=desc", "Number of sort dirs does not match the number of sort keys"),
        ("visibility=x", "Invalid visibility value: x"),
        ("member_status=x", "Invalid status: x"),
        ("os_hidden=x", "Invalid value 'x' for 'os_hidden' filter. Valid values are 'true' or 'false'."),
        ("protected=x", "Invalid value 'x' for 'protected' filter. Valid values are 'true' or 'false'."),
        ("name=x:y", "Unable to filter by unknown operator 'x'."),
        ("size_min=x", "Unable to filter on a range with a non-numeric value."),
        ("created_at=gt:x", "Bad \"created_at\" query filter format. Use ISO 8601 DateTime notation."),
        ("changes-since=x", "The \"changes-since\" filter is no longer available on v2."),
    ] {
        refused(member.get(&format!("{IMAGES}?{query}")).await, 400, sentence);
    }
}

#[tokio::test]
async fn pages_follow_each_other_until_the_end() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    for number in 0..5 {
        // two names, so that the order goes on beyond the key that was asked for
        made(&member, &format!("{{\"name\": \"n{}\", \"n\": \"{number}\", \"kind\": \"k\"}}", number % 2)).await;
    }
    for sort in ["sort=name:asc", "sort=name:desc,created_at:asc", "sort_key=size", "sort=id:asc"] {
        let mut next = Some(format!("/v2/images?limit=2&kind=k&{sort}"));
        let (mut seen, mut pages) = (Vec::new(), 0);
        while let Some(path) = next {
            let reply = member.get(&format!("/image{path}")).await.is(200);
            let images = reply.at("images");
            let images = images.as_array().expect("a list");
            seen.extend(images.iter().filter_map(|image| image.get("n").and_then(Json::as_str).map(str::to_owned)));
            next = reply.json().get("next").and_then(Json::as_str).map(str::to_owned);
            pages += 1;
        }
        seen.sort();
        assert_eq!((seen.join(""), pages), ("01234".to_owned(), 3), "{sort}");
    }
    let first = member.get("/image/v2/images?limit=2&name=n0").await;
    assert_eq!(first.text_at("first"), "/v2/images?limit=2&name=n0");
    assert_eq!(member.get(IMAGES).await.text_at("schema"), "/v2/schemas/images");
}

#[tokio::test]
async fn tags_are_given_and_taken_one_by_one() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member, "{}").await;
    let tag = |name: &str| format!("{IMAGES}/{id}/tags/{name}");
    member.send(Ask::new("PUT", &tag("a%20b"))).await.is(204);
    member.send(Ask::new("PUT", &tag("a%20b"))).await.is(204);
    assert_eq!(member.get(&format!("{IMAGES}/{id}")).await.at("tags").to_string(), r#"["a b"]"#);
    member.delete(&tag("a%20b")).await.is(204);
    member.delete(&tag("a%20b")).await.is(404);
    member.send(Ask::new("PUT", &tag(&"t".repeat(256)))).await.is(400);
}

#[tokio::test]
async fn the_schemas_tell_fields_from_properties() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let schema = member.get("/image/v2/schemas/image").await.is(200);
    assert_eq!(schema.at("properties.kernel_id.is_base").as_bool(), Some(false));
    assert_eq!(schema.at("properties.status.readOnly").as_bool(), Some(true));
    assert_eq!(schema.text_at("additionalProperties.type"), "string");
    let list = member.get("/image/v2/schemas/images").await.is(200);
    assert_eq!(list.text_at("properties.images.items.name"), "image");
    assert_eq!(list.text_at("links.0.href"), "{first}");
    assert_eq!(member.get("/image/v2/schemas/member").await.text_at("properties.status.enum.0"), "pending");
    assert_eq!(member.get("/image/v2/schemas/members").await.text_at("properties.members.items.name"), "member");
}

#[tokio::test]
async fn there_is_no_import_and_one_store() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    assert_eq!(member.get("/image/v2/info/import").await.is(200).at("import-methods.value").to_string(), "[]");
    refused(member.get("/image/v2/info/stores").await, 404, "Multi backend is not supported at this site.");
}

#[tokio::test]
async fn the_first_start_leaves_an_image_that_everybody_can_use() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let found = member.get(&format!("{IMAGES}?name=kilonova-test")).await.is(200);
    assert_eq!(found.text_at("images.0.status"), "active");
    assert_eq!(found.text_at("images.0.visibility"), "public");
    let id = found.text_at("images.0.id");
    let data = member.get(&format!("{IMAGES}/{id}/file")).await.is(200);
    assert_eq!((data.body.len(), &data.body[510..512]), (8192, &[0x55, 0xaa][..]));
}
