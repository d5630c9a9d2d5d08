//! Uploads that a crash cuts off: who gives them up and when, and what is left of their data.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method};
use kilonova::api;
use kilonova::api::message::{Body, BodyStream, Request, Response};
use kilonova::image::uploads::{self, LEASE_SECONDS, Receiving};
use kilonova::store::{StoreError, Tx};
use tokio::task::JoinHandle;

use crate::house::{Ask, Client, House};

const IMAGES: &str = "/image/v2/images";

async fn made(client: &Client) -> String {
    client.post(IMAGES, r#"{"disk_format": "raw", "container_format": "bare"}"#).await.is(201).text_at("id")
}

async fn status(client: &Client, id: &str) -> String {
    client.get(&format!("{IMAGES}/{id}")).await.is(200).text_at("status")
}

/// Begins an upload of `half` and whatever follows; comes back when the server is receiving.
async fn begun(client: &Client, id: &str, rest: BodyStream) -> JoinHandle<Response> {
    let (said, heard) = tokio::sync::oneshot::channel();
    let first = stream::once(async move {
        // the server asks for data only after it has recorded the upload
        let _ = said.send(());
        Ok(Bytes::from_static(b"half"))
    });
    let mut request = Request::new(Method::PUT, &format!("{IMAGES}/{id}/file"));
    request.headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
    request.headers.insert("x-auth-token", client.token.as_deref().expect("a token").parse().expect("text"));
    request.body = Body::Stream(Box::pin(first.chain(rest)), None);
    let cloud = client.cloud.clone();
    let uploading = tokio::spawn(async move { api::handle(&cloud, request).await });
    heard.await.expect("the upload begins");
    uploading
}

/// Data that does not come.
fn never() -> BodyStream {
    Box::pin(stream::pending())
}

async fn under_way(house: &House) -> i64 {
    let counting = house.cloud.store.read(|tx: &mut dyn Tx| kilonova::store::uploads::count(tx));
    counting.await.expect("a number")
}

/// How many files there are where image data is kept; the image of the first start has one.
fn files(house: &House) -> usize {
    std::fs::read_dir(house.directory().join("images")).expect("the directory of image data").count()
}

/// Another process gives up what it finds abandoned; says of how many it has the data to remove.
async fn another_gives_up(house: &House) -> usize {
    let cloud = &house.cloud;
    let clock = || cloud.now();
    let receiving = Receiving::default();
    let kept = uploads::keep(&cloud.store, "another", &receiving, &clock);
    kept.await.expect("uploads can be given up").len()
}

#[tokio::test]
async fn a_process_that_receives_keeps_its_uploads_however_long_they_last() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    begun(&member, &id, never()).await;
    for _ in 0..3 {
        house.later(LEASE_SECONDS - 20);
        house.cloud.keep_uploads().await.expect("uploads are kept");
        assert_eq!(another_gives_up(&house).await, 0);
    }
    assert_eq!((status(&member, &id).await.as_str(), under_way(&house).await), ("saving", 1));
}

#[tokio::test]
async fn a_restarted_process_gives_up_its_own_uploads_at_once() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let (kept, cut_off) = (made(&member).await, made(&member).await);
    let ask = Ask::new("PUT", &format!("{IMAGES}/{kept}/file")).header("content-type", "application/octet-stream");
    member.send(ask.body("x")).await.is(204);
    begun(&member, &cut_off, never()).await;
    let house = house.restarted().await;
    let member = house.person("member", "blue").await;
    assert_eq!(status(&member, &cut_off).await, "saving");
    house.cloud.keep_uploads().await.expect("uploads are given up");
    assert_eq!((status(&member, &cut_off).await.as_str(), under_way(&house).await), ("queued", 0));
    // nothing is left of its data, before anybody sweeps
    assert_eq!(files(&house), 2);
    member.get(&format!("{IMAGES}/{kept}/file")).await.is(200).says("x");
    let again = Ask::new("PUT", &format!("{IMAGES}/{cut_off}/file")).header("content-type", "application/octet-stream");
    member.send(again.body("whole")).await.is(204);
    member.get(&format!("{IMAGES}/{cut_off}/file")).await.is(200).says("whole");
}

#[tokio::test]
async fn an_upload_of_another_is_given_up_when_its_lease_has_run_out_and_not_before() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    begun(&member, &id, never()).await;
    house.later(LEASE_SECONDS - 1);
    assert_eq!(another_gives_up(&house).await, 0);
    assert_eq!(status(&member, &id).await, "saving");
    house.later(1);
    assert_eq!(another_gives_up(&house).await, 1);
    assert_eq!((status(&member, &id).await.as_str(), under_way(&house).await), ("queued", 0));
}

#[tokio::test]
async fn what_another_has_left_of_its_data_is_removed_with_its_lease_and_its_zombie_is_told() {
    let house = House::new().await;
    let Some(neighbour) = house.neighbour().await else { return };
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    let (ends, end) = tokio::sync::oneshot::channel::<()>();
    let uploading = begun(&member, &id, Box::pin(stream::once(end).filter_map(|_| async { None }))).await;
    while files(&house) < 2 {
        tokio::task::yield_now().await;
    }
    house.later(LEASE_SECONDS - 1);
    neighbour.keep_uploads().await.expect("uploads are looked at");
    assert_eq!((under_way(&house).await, files(&house)), (1, 2));
    house.later(1);
    neighbour.keep_uploads().await.expect("uploads are given up");
    assert_eq!((status(&member, &id).await.as_str(), under_way(&house).await, files(&house)), ("queued", 0, 1));
    drop(ends);
    assert_eq!(uploading.await.expect("no panic").status, 410);
    assert_eq!(files(&house), 1);
}

#[tokio::test]
async fn a_process_that_was_taken_for_dead_keeps_nothing_of_its_upload() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    let (ends, end) = tokio::sync::oneshot::channel::<()>();
    let rest = stream::once(end).filter_map(|_| async { None });
    let uploading = begun(&member, &id, Box::pin(rest)).await;
    house.later(LEASE_SECONDS);
    assert_eq!(another_gives_up(&house).await, 1);
    // the image is somebody else's to fill now; then the first goes on
    let ask = Ask::new("PUT", &format!("{IMAGES}/{id}/file")).header("content-type", "application/octet-stream");
    member.send(ask.body("new")).await.is(204);
    drop(ends);
    assert_eq!(uploading.await.expect("no panic").status, 410);
    member.get(&format!("{IMAGES}/{id}/file")).await.is(200).says("new");
    assert_eq!((files(&house), under_way(&house).await), (2, 0));
}

#[tokio::test]
async fn an_upload_that_an_older_release_has_left_is_anybodys_to_give_up() {
    let house = House::new().await;
    let member = house.person("member", "blue").await;
    let id = made(&member).await;
    let saving = id.clone();
    // as migration 5 notes it
    let script = move |tx: &mut dyn Tx| {
        let blob = "6f9c6b2e-0000-4000-8000-00000000000b";
        tx.execute(
            "UPDATE images SET status = 'saving', blob = $1 WHERE id = $2",
            &[blob.into(), saving.as_str().into()],
        )?;
        tx.execute(
            "INSERT INTO uploads (blob, image_id, owner, lease_until) SELECT blob, id, '', 0 FROM images \
             WHERE status = 'saving' AND length(blob) = 36",
            &[],
        )?;
        Ok::<_, StoreError>(())
    };
    house.cloud.store.write(script).await.expect("a crash can be staged");
    for name in ["6f9c6b2e-0000-4000-8000-00000000000b", "6f9c6b2e-0000-4000-8000-00000000000c"] {
        std::fs::write(house.directory().join("images").join(name), "half").expect("a file can be written");
    }
    house.cloud.keep_uploads().await.expect("uploads are given up");
    assert_eq!((status(&member, &id).await.as_str(), files(&house)), ("queued", 2));
    house.cloud.sweep_blobs(SystemTime::now() + Duration::from_secs(60)).await.expect("a start sweeps");
    assert_eq!(files(&house), 1);
}
