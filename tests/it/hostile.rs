//! What a hostile client sends: names that would lead out of a directory, and small requests that would cost much. Every answer is an
//! ordinary one, and its size is bounded by the request's, since what is not read or not kept cannot fill a memory.

use std::collections::BTreeSet;
use std::path::Path;

use kilonova::model::image::Visibility;
use kilonova::store::Tx;

use crate::house::{Ask, Client, House, Reply};
use crate::stage::{self, Actor};

const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
const IMAGE: &str = "6f9c6b2e-0000-4000-8000-000000000002";
const IMAGES: &str = "/image/v2/images";

async fn furnished() -> (House, Client) {
    let house = House::new().await;
    Actor::new(SERVER).enters(&house).await;
    stage::image(&house, IMAGE, "blue", Visibility::Private, &[("a", "0")]).await;
    let member = house.person("member", "blue").await;
    (house, member)
}

/// Every file below a directory, but for the database, which changes by itself.
fn files(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).expect("a directory").flatten().map(|entry| entry.path()));
        } else if !path.to_string_lossy().contains("kilonova.db") {
            found.insert(path.display().to_string());
        }
    }
    found
}

/// The secret that a way out of the directory of image data would lead to.
fn key(house: &House) -> String {
    std::fs::read_to_string(house.directory().join("token-keys/1")).expect("a key").trim().to_owned()
}

fn upload(id: &str, data: &str) -> Ask {
    Ask::new("PUT", &format!("{IMAGES}/{id}/file")).header("content-type", "application/octet-stream").body(data)
}

#[tokio::test]
async fn no_name_in_a_path_leads_out_of_the_directory_of_image_data() {
    let (house, member) = furnished().await;
    let (before, key) = (files(house.directory()), key(&house));
    let directory = house.directory().display().to_string();
    let long = "a".repeat(5000);
    for id in [
        "..",
        "../../token-keys/1",
        "..%2f..%2ftoken-keys%2f1",
        "%2e%2e%2f%2e%2e%2ftoken-keys%2f1",
        "..%252f..%252ftoken-keys%252f1",
        "..%5c..%5ctoken-keys%5c1",
        "%c0%ae%c0%ae%c0%af",
        "....//....//token-keys/1",
        "%2fetc%2fpasswd",
        "%00",
        "6f9c6b2e-0000-4000-8000-000000000002%00",
        "6f9c6b2e-0000-4000-8000-000000000002%2f..%2f..%2ftoken-keys%2f1",
        "6f9c6b2e-0000-4000-8000-000000000002%0d%0aX-Evil:%201",
        "file:%2f%2f%2fetc%2fpasswd",
        "~",
        "$HOME",
        "CON",
        long.as_str(),
    ] {
        for (method, target) in [
            ("GET", format!("{IMAGES}/{id}/file")),
            ("PUT", format!("{IMAGES}/{id}/file")),
            ("GET", format!("{IMAGES}/{id}")),
            ("DELETE", format!("{IMAGES}/{id}")),
            ("PUT", format!("{IMAGES}/{IMAGE}/members/{id}")),
            ("GET", format!("/v2.1/images/{id}")),
            ("DELETE", format!("/v2.1/images/{id}")),
            ("GET", format!("/v2.1/servers/{id}")),
            ("GET", format!("/v2.1/os-keypairs/{id}")),
            ("GET", format!("/v2.1/flavors/{id}")),
            ("GET", format!("/identity/v3/users/{id}")),
        ] {
            let ask = Ask::new(method, &target).header("content-type", "application/octet-stream").body("evil");
            let reply = member.send(ask).await;
            assert!((400..500).contains(&reply.status), "{method} {target}: {} {}", reply.status, reply.text());
            assert!(!reply.text().contains(&key) && !reply.text().contains(&directory), "{method} {target}");
            assert!(!reply.headers.contains_key("x-evil"), "{method} {target}");
        }
    }
    assert_eq!(files(house.directory()), before, "nothing came and nothing went");
}

#[tokio::test]
async fn a_blob_that_is_none_of_ours_is_neither_read_nor_removed() {
    let (house, member) = furnished().await;
    let (before, key) = (files(house.directory()), key(&house));
    for blob in ["../token-keys/1", "/etc/passwd", "..", "a/../../token-keys/1", "token-keys", "\u{1}"] {
        let script = move |tx: &mut dyn Tx| {
            tx.execute("UPDATE images SET blob = $1, protected = 0, size = 4 WHERE id = $2", &[blob.into(), IMAGE.into()])
        };
        house.cloud.store.write(script).await.expect("the image can be spoiled");
        let reply = member.get(&format!("{IMAGES}/{IMAGE}/file")).await;
        assert!(!matches!(reply.status, 200 | 206) && !reply.text().contains(&key), "{blob}: {} {}", reply.status, reply.text());
    }
    member.delete(&format!("{IMAGES}/{IMAGE}")).await;
    assert_eq!(files(house.directory()), before);
}

#[tokio::test]
async fn a_link_among_image_data_is_not_followed() {
    let (house, member) = furnished().await;
    let body = r#"{"disk_format": "raw", "container_format": "bare"}"#;
    let id = member.post(IMAGES, body).await.is(201).text_at("id");
    let data = house.directory().join("images");
    let before = files(&data);
    member.send(upload(&id, "data")).await.is(204);
    let blob = files(&data).difference(&before).next().expect("a file for the data").clone();
    std::fs::remove_file(&blob).expect("it is there");
    std::os::unix::fs::symlink(house.directory().join("token-keys/1"), &blob).expect("a link");
    for range in ["", "bytes=0-3"] {
        let ask = Ask::new("GET", &format!("{IMAGES}/{id}/file"));
        let reply = member.send(if range.is_empty() { ask } else { ask.header("range", range) }).await;
        assert!(!matches!(reply.status, 200 | 206), "{}: {}", reply.status, reply.text());
        assert!(!reply.text().contains(&key(&house)[..4]), "{}", reply.text());
    }
    member.delete(&format!("{IMAGES}/{id}")).await;
    assert!(key(&house).len() > 20, "what the link led to is still there");
}

#[tokio::test]
async fn an_image_cannot_name_a_place_to_be_read_from() {
    let (_house, member) = furnished().await;
    let evil = r#"[{"url": "file:///etc/passwd", "metadata": {}}]"#;
    for name in ["locations", "direct_url", "file", "self", "schema", "checksum", "size", "blob", "id"] {
        let value = if name == "locations" { evil } else { r#""file:///etc/passwd""# };
        let reply = member.post(IMAGES, &format!(r#"{{"{name}": {value}}}"#)).await;
        let kept = reply.status < 400 && reply.text().contains("passwd") && name != "blob";
        assert!(!kept, "{name}: {}", reply.text());
        let patch = format!(r#"[{{"op": "add", "path": "/{name}", "value": {value}}}]"#);
        let ask = Ask::new("PATCH", &format!("{IMAGES}/{IMAGE}"));
        let ask = ask.header("content-type", "application/openstack-images-v2.1-json-patch").body(patch);
        let reply = member.send(ask).await;
        assert!(reply.status >= 400 || name == "blob", "{name}: {} {}", reply.status, reply.text());
    }
    // `blob` is a word of ours and of nobody else: a property like any other
    let data = member.get(&format!("{IMAGES}/{IMAGE}/file")).await.is(204);
    assert!(data.body.is_empty());
}

/// What each door says of a body, and that the answer is no longer than a small multiple of it.
async fn refused(member: &Client, method: &str, target: &str, body: &[u8]) -> Reply {
    let ask = Ask::new(method, target).header("content-type", "application/json").body(body);
    let reply = member.send(ask).await;
    let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
    assert!((400..500).contains(&reply.status), "{method} {target} {shown}: {} {}", reply.status, reply.text());
    assert!(reply.body.len() <= 1000 + 8 * body.len(), "{method} {target} {shown}: {} bytes", reply.body.len());
    reply
}

#[tokio::test]
async fn no_json_costs_more_than_its_bytes() {
    let (house, member) = furnished().await;
    let room = usize::try_from(house.cloud.settings.max_request_body_bytes).expect("a size");
    let metadata = format!("/v2.1/servers/{SERVER}/metadata");
    let doors = [
        ("PUT", metadata.as_str()),
        ("POST", "/v2.1/servers"),
        ("POST", "/v2/servers"),
        ("POST", "/v2.1/os-keypairs"),
        ("POST", IMAGES),
        ("POST", "/identity/v3/auth/tokens"),
        ("POST", "/identity/v2.0/tokens"),
    ];
    let fill = |unit: &str, before: &str, after: &str| {
        let count = (room - before.len() - after.len()) / unit.len();
        format!("{before}{}{after}", unit.repeat(count)).into_bytes()
    };
    let keys: Vec<String> = (0..room / 12).map(|number| format!(r#""{number:x}":0"#)).collect();
    let keys = format!("{{{}}}", keys.join(","));
    let digits = "9".repeat(100_000);
    for body in [
        fill("[", "", ""),
        fill(r#"{"a":"#, "", ""),
        fill("[", r#"{"metadata": "#, ""),
        fill("[],", "[", "[]]"),
        fill(" ", "", "x"),
        fill("a", r#"{"metadata": {"a": ""#, r#""}"#),
        fill(r#"\u0000"#, r#"{"metadata": {"a": ""#, r#""}}}"#),
        fill(r#"{"#, "", ""),
        fill("\"", "", ""),
        fill("\\", "\"", ""),
        fill("é", r#"{"x": ""#, r#"""#),
        keys.clone().into_bytes(),
        b"1e999999999".to_vec(),
        br#"{"metadata": {"a": 1e999999999}, "server": 1e999999999, "keypair": 1e999999999, "auth": 1e999999999, "name": 1e999999999}"#.to_vec(),
        format!(r#"{{"metadata": {{"a": {digits}}}}}"#).into_bytes(),
        format!(r#"{{"server": {}}}"#, &digits[..4300]).into_bytes(),
        format!(r#"{{"server": 0.{digits}}}"#).into_bytes(),
        br#"{"metadata": {"a": "\ud800"}, "name": "\ud800"}"#.to_vec(),
        br#"{"metadata": {"a": "b"}, "name": "#.to_vec(),
        b"\xff\xfe{\x00}\x00".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>".to_vec(),
    ] {
        for (method, target) in doors {
            refused(&member, method, target, &body).await;
        }
    }
    let reply = refused(&member, "PUT", &metadata, &vec![b' '; room + 1]).await;
    assert_eq!(reply.status, 413);
    // of equal members the last counts, as everywhere in Python: what was checked is what is kept
    let twice = r#"{"metadata": {"a": ["evil"]}, "metadata": {"a": "1", "a": "2"}}"#;
    member.put(&metadata, twice).await.is(200).says(r#"{"metadata": {"a": "2"}}"#);
}

/// `echo '{"metadata": {"a": "1"}}' | gzip`, and what a body of a million zeros would be.
#[tokio::test]
async fn nothing_is_unpacked() {
    let (_house, member) = furnished().await;
    let packed: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabVPJTPR\xb0R\x50P2T\xaa\x05\x00";
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip"] {
        let ask = Ask::new("PUT", &format!("/v2.1/servers/{SERVER}/metadata"))
            .header("content-type", "application/json")
            .header("content-encoding", encoding)
            .body(packed);
        member.send(ask).await.refuses(400, "Malformed request body");
    }
    let body = r#"{"disk_format": "raw", "container_format": "bare"}"#;
    let id = member.post(IMAGES, body).await.is(201).text_at("id");
    let ask = Ask::new("PUT", &format!("{IMAGES}/{id}/file"))
        .header("content-type", "application/octet-stream")
        .header("content-encoding", "gzip")
        .body(packed);
    member.send(ask).await.is(204);
    let data = member.get(&format!("{IMAGES}/{id}/file")).await.is(200);
    assert_eq!((data.body.as_slice(), data.header("content-encoding")), (packed, None), "image data are bytes");
}

#[tokio::test]
async fn a_query_costs_no_more_than_its_bytes() {
    let (_house, member) = furnished().await;
    let lists = ["/v2.1/servers", "/v2.1/servers/detail", "/v2.1/images/detail", "/v2.1/flavors", IMAGES, "/v2.1/os-keypairs"];
    let huge = "9".repeat(5000);
    let many: String = (0..3000).map(|number| format!("p{number}=x&")).collect();
    let same = "name=a&".repeat(3000);
    let queries = [
        "name=(a*)*(a*)*(a*)*b".to_owned(),
        "name=(((((a{1,1000}){1,1000}){1,1000}){1,1000}){1,1000})".to_owned(),
        format!("name={}{}", "(".repeat(1000), ")".repeat(1000)),
        format!("name={}", "a?".repeat(2000)),
        "name=[[:alpha:]]{100000}".to_owned(),
        format!("limit={huge}"),
        format!("limit=-{huge}"),
        "limit=1e9".to_owned(),
        format!("marker={huge}"),
        format!("changes-since={huge}"),
        "changes-since=9999999-99-99T99:99:99Z".to_owned(),
        "limit=0x7fffffffffffffff".to_owned(),
        "limit=18446744073709551616".to_owned(),
        format!("sort_key={}", "name,".repeat(1000)),
        "sort_key=name&".repeat(1000),
        many,
        same,
        "%".repeat(3000),
        "name=%00".to_owned(),
        "metadata=%7B%22a%22:%20%7B%7D%7D".to_owned(),
        format!("metadata={}", "%5B".repeat(2000)),
        format!("tags={}", "a,".repeat(2000)),
        format!("property-x={huge}"),
        format!("size_min={huge}"),
        format!("created_at=in:{}", "%22a%22,".repeat(1000)),
    ];
    for list in lists {
        for query in &queries {
            let target = format!("{list}?{query}");
            let reply = member.get(&target).await;
            assert!(reply.status < 500, "{}: {} {}", &target[..target.len().min(80)], reply.status, reply.text());
            // links may say the query again, with what it escapes
            assert!(reply.body.len() <= 8000 + 8 * target.len(), "{}: {}", &target[..target.len().min(80)], reply.body.len());
        }
    }
}
