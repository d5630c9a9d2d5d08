//! The data of images: whole, in parts, broken off, too long, and never all in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method};
use kilonova::api;
use kilonova::api::message::{Body, BodyError, BodyStream, Request, Response};

use crate::house::{Ask, Client, House};

const IMAGES: &str = "/image/v2/images";
const MIB: usize = 1 << 20;

pub async fn made(client: &Client) -> String {
    client.post(IMAGES, r#"{"disk_format": "raw", "container_format": "bare"}"#).await.is(201).text_at("id")
}

pub fn file(id: &str) -> String {
    format!("{IMAGES}/{id}/file")
}

pub fn upload(id: &str, data: impl Into<Vec<u8>>) -> Ask {
    Ask::new("PUT", &file(id)).header("content-type", "application/octet-stream").body(data)
}

/// Uploads a stream, of which the length is told or not.
pub async fn upload_stream(client: &Client, id: &str, data: BodyStream, length: Option<u64>) -> Response {
    let mut request = Request::new(Method::PUT, &file(id));
    request.headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
    let token = client.token.as_deref().expect("a token");
    request.headers.insert("x-auth-token", token.parse().expect("tokens are text"));
    request.body = Body::Stream(data, length);
    api::handle(&client.cloud, request).await
}

pub async fn status(client: &Client, id: &str) -> String {
    client.get(&format!("{IMAGES}/{id}")).await.is(200).text_at("status")
}

/// How many files there are where image data is kept; the image of the first start has one.
fn files(house: &House) -> usize {
    std::fs::read_dir(house.directory().join("images")).expect("the directory of image data").count()
}

#[tokio::test]
async fn data_comes_back_as_it_was_with_its_hashes() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    member.send(upload(&id, "hello")).await.is(204).says("");
    let image = member.get(&format!("{IMAGES}/{id}")).await;
    assert_eq!(image.text_at("status"), "active");
    assert_eq!(image.at("size").as_i64(), Some(5));
    assert_eq!(image.text_at("checksum"), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(image.text_at("os_hash_algo"), "sha512");
    assert!(image.text_at("os_hash_value").starts_with("9b71d224bd62f378"));
    let data = member.get(&file(&id)).await.is(200);
    assert_eq!((data.text().as_str(), data.header("content-md5")), ("hello", Some("5d41402abc4b2a76b9719d911017c592")));
    assert_eq!(data.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn an_image_without_data_is_no_content_and_one_of_no_bytes_is_active() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    member.get(&file(&id)).await.is(204).says("");
    member.send(upload(&id, "")).await.is(204);
    assert_eq!(status(&member, &id).await, "active");
    member.get(&file(&id)).await.is(200).says("");
}

#[tokio::test]
async fn a_range_is_a_part() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    member.send(upload(&id, "0123456789")).await.is(204);
    for (range, part, content_range) in [
        ("bytes=0-4", "01234", "bytes 0-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let reply = member.send(Ask::new("GET", &file(&id)).header("range", range)).await.is(206).says(part);
        assert_eq!(reply.header("content-range"), Some(content_range));
    }
    for (range, status) in [("bytes=10-", 416), ("bytes=4-2", 416), ("words=1-2", 416), ("bytes=0-1,3-4", 400)] {
        member.send(Ask::new("GET", &file(&id)).header("range", range)).await.is(status);
    }
}

#[tokio::test]
async fn data_is_taken_once_and_only_as_bytes() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    member.put(&file(&id), "{}").await.is(415);
    member.send(Ask::new("PUT", &file(&id)).body("x")).await.is(415);
    member.send(upload(&id, "x")).await.is(204);
    let again = member.send(upload(&id, "y")).await.is(409);
    assert!(again.text().contains("Image status transition from active to saving is not allowed"));
    member.get(&file(&id)).await.says("x");
}

#[tokio::test]
async fn the_formats_come_first() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = member.post(IMAGES, r#"{"disk_format": "raw"}"#).await.is(201).text_at("id");
    let reply = member.send(upload(&id, "x")).await.is(400);
    assert!(reply.text().contains("Property container_format must be set prior to saving data."));
    assert_eq!(status(&member, &id).await, "queued");
}

#[tokio::test]
async fn who_may_not_upload_leaves_no_trace() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    house.person("reader", "blue").await.send(upload(&id, "x")).await.is(403);
    house.person("member", "green").await.send(upload(&id, "x")).await.is(404);
    house.nobody().send(upload(&id, "x")).await.is(401);
    assert_eq!((status(&member, &id).await.as_str(), files(&house)), ("queued", 1));
}

#[tokio::test]
async fn a_broken_upload_leaves_the_image_queued_and_nothing_behind() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    for error in [BodyError::Broken("gone".into()), BodyError::TimedOut] {
        let id = made(&member).await;
        let expected = if matches!(error, BodyError::TimedOut) { 408 } else { 400 };
        let chunks = vec![Ok(Bytes::from(vec![7; 3 * MIB])), Err(error)];
        let response = upload_stream(&member, &id, Box::pin(stream::iter(chunks)), Some(5 * MIB as u64)).await;
        assert_eq!(response.status.as_u16(), expected);
        assert_eq!((status(&member, &id).await.as_str(), files(&house)), ("queued", 1));
        member.send(upload(&id, "again")).await.is(204);
        member.delete(&format!("{IMAGES}/{id}")).await.is(204);
    }
}

#[tokio::test]
async fn an_upload_whose_client_goes_away_is_given_up() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    let (mut sender, receiver) = futures_channel();
    let uploading = tokio::spawn({
        let (member, id) = (member.clone(), id.clone());
        async move { upload_stream(&member, &id, receiver, None).await }
    });
    sender.send(Ok(Bytes::from_static(b"some")));
    while status(&member, &id).await != "saving" {
        tokio::task::yield_now().await;
    }
    uploading.abort();
    sender.send(Err(BodyError::Broken("the connection is gone".into())));
    while status(&member, &id).await != "queued" {
        tokio::task::yield_now().await;
    }
    assert_eq!(files(&house), 1);
}

/// A stream that a test feeds.
fn futures_channel() -> (Feeder, BodyStream) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    (Feeder(sender), Box::pin(stream::poll_fn(move |context| receiver.poll_recv(context))))
}

struct Feeder(tokio::sync::mpsc::UnboundedSender<Result<Bytes, BodyError>>);

impl Feeder {
    fn send(&mut self, chunk: Result<Bytes, BodyError>) {
        self.0.send(chunk).expect("somebody reads the upload");
    }
}

#[tokio::test]
async fn data_beyond_the_limit_is_refused_told_or_not() {
    let house = House::with(|settings| settings.image_bytes_max = 10).await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    member.send(upload(&id, "01234567890")).await.is(413);
    let chunks = (0..20).map(|_| Ok(Bytes::from_static(b"x")));
    let response = upload_stream(&member, &id, Box::pin(stream::iter(chunks)), None).await;
    assert_eq!(response.status.as_u16(), 413);
    assert_eq!((status(&member, &id).await.as_str(), files(&house)), ("queued", 1));
    member.send(upload(&id, "0123456789")).await.is(204);
}

#[tokio::test]
async fn a_large_image_is_never_all_in_memory() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    let alive = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let chunks = stream::iter(0..100).map({
        let (alive, most) = (alive.clone(), most.clone());
        move |number: u8| Ok(Bytes::from_owner(Chunk::new(number, &alive, &most)))
    });
    let response = upload_stream(&member, &id, Box::pin(chunks), Some(100 * MIB as u64)).await;
    assert_eq!(response.status.as_u16(), 204);
    assert!(most.load(Ordering::SeqCst) <= 8, "{} chunks of a MiB were alive at once", most.load(Ordering::SeqCst));
    let mut request = Request::new(Method::GET, &file(&id));
    request.headers.insert("x-auth-token", member.token.as_deref().expect("a token").parse().expect("text"));
    let response = api::handle(&house.cloud, request).await;
    assert_eq!(response.body.length(), Some(100 * MIB as u64));
    let mut data = response.body.into_stream();
    let (mut bytes, mut largest) = (0, 0);
    while let Some(chunk) = data.next().await {
        let chunk = chunk.expect("data arrives");
        assert!(chunk.iter().enumerate().all(|(at, byte)| usize::from(*byte) == (bytes + at) / MIB));
        bytes += chunk.len();
        largest = largest.max(chunk.len());
    }
    assert_eq!(bytes, 100 * MIB);
    assert!(largest <= MIB, "a chunk of {largest} bytes");
}

/// A MiB that knows how many of its kind there are.
struct Chunk {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl Chunk {
    fn new(number: u8, alive: &Arc<AtomicUsize>, most: &AtomicUsize) -> Chunk {
        let now = alive.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        Chunk { bytes: vec![number; MIB], alive: alive.clone() }
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_image_deleted_while_its_data_arrives_is_gone() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    let deleting = {
        let (member, path) = (member.clone(), format!("{IMAGES}/{id}"));
        stream::once(async move {
            member.delete(&path).await.is(204);
            Ok(Bytes::from_static(b"late"))
        })
    };
    let response = upload_stream(&member, &id, Box::pin(deleting), None).await;
    assert_eq!(response.status.as_u16(), 410);
    member.get(&format!("{IMAGES}/{id}")).await.is(404);
    assert_eq!(files(&house), 1);
}

#[tokio::test]
async fn deleting_an_image_removes_its_data() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    member.send(upload(&id, "x")).await.is(204);
    assert_eq!(files(&house), 2);
    member.delete(&format!("{IMAGES}/{id}")).await.is(204);
    assert_eq!(files(&house), 1);
    member.get(&file(&id)).await.is(404);
}

#[tokio::test]
async fn a_deactivated_image_is_withheld_from_all_but_administrators() {
    let house = House::new().await;
    let (member, admin) = (house.person("member", "blue").await, house.person("admin", "green").await);
    let id = made(&member).await;
    let act = |name: &str| Ask::new("POST", &format!("{IMAGES}/{id}/actions/{name}"));
    member.send(act("deactivate")).await.is(403);
    member.send(upload(&id, "x")).await.is(204);
    member.send(act("deactivate")).await.is(204);
    member.send(act("deactivate")).await.is(204);
    assert_eq!(status(&member, &id).await, "deactivated");
    let refused = member.get(&file(&id)).await.is(403);
    assert!(refused.text().contains("The requested image has been deactivated. Image data download is forbidden."));
    admin.get(&file(&id)).await.is(200).says("x");
    member.send(act("reactivate")).await.is(204);
    member.get(&file(&id)).await.is(200);
}
