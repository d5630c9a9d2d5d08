//! The data of images, streamed in and out: at no time is more of it in memory than a few chunks.

use std::sync::{Arc, PoisonError};

use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use tokio::sync::OwnedSemaphorePermit;

use super::policy::{DownloadImage, UploadImage};
use crate::api::call::Call;
use crate::api::endpoint::{Errand, Error, Locate, Reply, Route, get, prove, put};
use crate::api::fault::{Fault, RETRY_AFTER_SECONDS};
use crate::api::message::{Body, BodyError};
use crate::blobs::{BlobError, BlobKey, Reading, WriteError};
use crate::cloud::Cloud;
use crate::image::{self, data, uploads};
use crate::model::ids::ImageId;
use crate::model::image::Image;
use crate::store::{self, StoreError, Tx};

const PATH: &str = "/v2/images/{image_id}/file";
const BYTES: &str = "application/octet-stream";

/// Uploads data.
pub struct Upload;

impl Errand for Upload {
    const ROUTE: Route = put(PATH);
    const FAULTS: &'static [u16] = &[408, 409, 410, 413, 415];
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str = "Uploads the data of an image that is `queued`, as application/octet-stream. The image is `saving` \
        until all of it has arrived, then `active`; where it does not arrive, nothing of it stays, and the image is `queued` \
        again.";
    const STREAMS: bool = true;
    type Action = UploadImage;
    type Takes = ();
    type Gives = Reply;

    async fn run(call: Arc<Call>, (): ()) -> Result<Reply, Error> {
        require_bytes(&call.headers)?;
        let place = place(&call)?;
        // a task of its own: where the client goes away and takes this future along, somebody must still tidy up
        tokio::spawn(upload(call, place)).await.map_err(|_| Fault::defect())??;
        Ok(Reply { content_type: None, ..Reply::empty() })
    }
}

/// Room for one more upload or download, until this is dropped.
fn place(call: &Call) -> Result<OwnedSemaphorePermit, Fault> {
    let place = call.cloud.transfers.clone().try_acquire_owned();
    place.map_err(|_| Fault::unavailable(RETRY_AFTER_SECONDS))
}

/// One upload from its beginning to its end.
async fn upload(call: Arc<Call>, _place: OwnedSemaphorePermit) -> Result<(), Error> {
    let key = ImageId::from_random(call.moment().id()).to_string();
    let _under_way = call.cloud.receiving.begin(&key);
    let (script_call, script_key) = (call.clone(), key.clone());
    let script = move |tx: &mut dyn Tx| {
        let image = prove::<UploadImage>(&script_call, Image::locate(tx, &script_call)?)?.into_target();
        let id = image.id;
        let lease = uploads::lease(script_call.cloud.worker(), script_call.now);
        data::begin_upload(tx, image, &script_key, lease, script_call.now)?;
        Ok::<_, Error>(id)
    };
    let id = call.cloud.store.write(script).await?;
    let body = call.stream.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(Body::empty);
    receive(call, id, key, body).await
}

fn require_bytes(headers: &HeaderMap) -> Result<(), Fault> {
    let value = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    match value.map(|value| value.split(';').next().unwrap_or_default().trim()) {
        Some(BYTES) => Ok(()),
        other => {
            let message = format!("Invalid content type {}", other.unwrap_or("None"));
            Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
        }
    }
}

/// Takes in the data of an upload that has begun, and ends it, or gives it up.
async fn receive(call: Arc<Call>, id: ImageId, key: String, body: Body) -> Result<(), Error> {
    let cloud = &call.cloud;
    let outcome = take_in(&call, id, &key, body).await;
    if outcome.is_err() {
        let undone_key: BlobKey = key.parse().map_err(|_| Fault::defect())?;
        let undo = move |tx: &mut dyn Tx| {
            let was_ours = store::uploads::is_noted(tx, undone_key.as_str())?;
            Ok::<_, StoreError>((data::give_up_upload(tx, id, &undone_key)?, was_ours))
        };
        match cloud.store.write(undo).await {
            Ok((true, was_ours)) => {
                discard(cloud, &key).await;
                if !was_ours {
                    // somebody took us for dead, and has removed what was there of the data: hence whatever went wrong
                    return Err(image::Error::GoneDuringUpload(id).into());
                }
            }
            // the end of the upload was committed although nobody could tell us: the data is the image's
            Ok((false, _)) => {}
            Err(error) => {
                tracing::error!(request_id = %call.request_id, ?error, image = %id, "an upload could not be given up");
            }
        }
    }
    outcome
}

async fn take_in(call: &Arc<Call>, id: ImageId, key: &str, body: Body) -> Result<(), Error> {
    let cloud = &call.cloud;
    let bytes_max = cloud.settings.image_bytes_max;
    if body.length().is_some_and(|length| length > bytes_max) {
        return Err(too_large().into());
    }
    let blob: BlobKey = key.parse().map_err(|_| Fault::defect())?;
    let written = cloud.blobs.write(&blob, body.into_stream(), bytes_max).await;
    let written = written.map_err(|error| not_written(call, error))?;
    let (key, now) = (key.to_owned(), cloud.now());
    let finish = move |tx: &mut dyn Tx| data::finish_upload(tx, id, &key, &written, now);
    Ok(cloud.store.write(finish).await?)
}

fn too_large() -> Fault {
    let message = "The incoming image is too large: The provided image is too large.";
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn not_written(call: &Call, error: WriteError<BodyError>) -> Fault {
    match error {
        WriteError::TooLong(_) | WriteError::Source(BodyError::TooLong(_)) => too_large(),
        WriteError::Source(BodyError::Broken(_)) => Fault::bad_request("The image data did not arrive."),
        WriteError::Source(BodyError::TimedOut) => {
            Fault::new(StatusCode::REQUEST_TIMEOUT, "The image data did not arrive in time.")
        }
        WriteError::Blob(error) => blob_fault(call, &error),
    }
}

fn blob_fault(call: &Call, error: &BlobError) -> Fault {
    tracing::error!(request_id = %call.request_id, ?error, "image data could not be kept or found");
    match error {
        BlobError::Full(_) => Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "Image storage media is full."),
        // a disk that fails or cannot be written to, as for the database
        BlobError::Store(_) => Fault::unavailable(RETRY_AFTER_SECONDS),
        BlobError::NotFound | BlobError::Exists | BlobError::BadRange => Fault::defect(),
    }
}

/// Removes data that is nobody's any longer. Where that fails the sweep of the next start does it.
pub(in crate::api) async fn discard(cloud: &Cloud, key: &str) {
    let Ok(key) = key.parse::<BlobKey>() else { return };
    if let Err(error) = cloud.blobs.delete(&key).await {
        tracing::warn!(?error, %key, "image data could not be removed; the next start tries again");
    }
}

/// Downloads data.
pub struct Download;

impl Errand for Download {
    const ROUTE: Route = get(PATH);
    const FAULTS: &'static [u16] = &[416];
    const DOC: &'static str = "Downloads the data of an image, with its MD5 in Content-MD5; or the part of it that a Range asks \
        for. An image that has no data yet is answered 204.";
    type Action = DownloadImage;
    type Takes = ();
    type Gives = Reply;

    async fn run(call: Arc<Call>, (): ()) -> Result<Reply, Error> {
        let script_call = call.clone();
        let script = move |tx: &mut dyn Tx| {
            let image = prove::<DownloadImage>(&script_call, Image::locate(tx, &script_call)?)?;
            let for_admin = script_call.who()?.is_admin;
            let blob = data::of(&image, for_admin)?.map(str::to_owned);
            Ok::<_, Error>((blob, image.size.unwrap_or(0), image.checksum.clone()))
        };
        let (blob, size, checksum) = call.cloud.store.read(script).await?;
        let key = blob.and_then(|blob| blob.parse::<BlobKey>().ok());
        let Some(key) = key else { return Ok(no_data()) };
        let place = place(&call)?;
        let range = range(&call.headers, u64::try_from(size).unwrap_or(0))?;
        let reading = match &range {
            Some(range) => call.cloud.blobs.read_range(&key, range.clone()).await,
            None => call.cloud.blobs.read(&key).await,
        };
        match reading {
            Ok(reading) => Ok(reply(reading, place, range.map(|range| range.start), checksum.as_deref())),
            // deleted between the two looks
            Err(BlobError::NotFound) => Ok(no_data()),
            Err(error) => Err(blob_fault(&call, &error).into()),
        }
    }
}

fn no_data() -> Reply {
    Reply { content_type: None, ..Reply::empty() }.with_status(StatusCode::NO_CONTENT)
}

/// The data, or, where it begins somewhere, a part of it.
fn reply(reading: Reading, place: OwnedSemaphorePermit, start: Option<u64>, checksum: Option<&str>) -> Reply {
    let Reading { length, blob_bytes, stream } = reading;
    let chunks = stream.map(move |chunk| {
        // taken for as long as there are chunks to come
        let _place = &place;
        chunk.map_err(|error| BodyError::Broken(error.to_string()))
    });
    let mut reply =
        Reply { content_type: Some(BYTES), body: Body::Stream(Box::pin(chunks), Some(length)), ..Reply::empty() };
    if let Some(start) = start {
        let range = format!("bytes {start}-{}/{blob_bytes}", (start + length).saturating_sub(1));
        reply = with_text(reply, header::CONTENT_RANGE, &range).with_status(StatusCode::PARTIAL_CONTENT);
    }
    match checksum {
        Some(checksum) => with_text(reply, HeaderName::from_static("content-md5"), checksum),
        None => reply,
    }
}

fn with_text(reply: Reply, name: HeaderName, text: &str) -> Reply {
    match HeaderValue::from_str(text) {
        Ok(value) => reply.with_header(name, value),
        Err(_) => reply,
    }
}

/// The part that a Range header asks for.
fn range(headers: &HeaderMap, size: u64) -> Result<Option<std::ops::Range<u64>>, Fault> {
    let Some(value) = headers.get(header::RANGE) else { return Ok(None) };
    let value = value.to_str().unwrap_or_default();
    if value.contains(',') {
        return Err(Fault::bad_request(
            "Requests with multiple ranges are not supported in Glance. You may make multiple single-range requests instead.",
        ));
    }
    let range = parsed_range(value, size).ok_or_else(|| unsatisfiable("Invalid Range header.", size))?;
    if range.start >= size {
        let last = i128::from(size) - 1;
        let message = format!(
            "Invalid start position in Range header. Start position MUST be in the inclusive range [0, {last}]."
        );
        return Err(unsatisfiable(&message, size));
    }
    Ok(Some(range.start..range.end.min(size)))
}

fn unsatisfiable(message: &str, size: u64) -> Fault {
    let fault = Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, message);
    match HeaderValue::from_str(&format!("bytes */{size}")) {
        Ok(value) => fault.with_header(header::CONTENT_RANGE, value),
        Err(_) => fault,
    }
}

/// `bytes=0-4`, `bytes=5-`, `bytes=-3`.
fn parsed_range(text: &str, size: u64) -> Option<std::ops::Range<u64>> {
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (start.trim(), end.trim()) {
        ("", "") => None,
        ("", last) => Some(size.saturating_sub(number(last).filter(|last| *last > 0)?)..size),
        (start, "") => Some(number(start)?..u64::MAX),
        (start, end) => {
            let (start, end) = (number(start)?, number(end)?);
            (start <= end).then(|| start..end.saturating_add(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_clients_mean_them() {
        for (text, expected) in [
            ("bytes=0-4", Some(0..5)),
            ("bytes=5-", Some(5..u64::MAX)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-30", Some(0..10)),
            ("bytes=4-2", None),
            ("bytes=-", None),
            ("bytes=-0", None),
            ("lines=1-2", None),
            ("bytes", None),
            ("bytes=0-18446744073709551615", Some(0..u64::MAX)),
        ] {
            assert_eq!(parsed_range(text, 10), expected, "{text}");
        }
    }
}
