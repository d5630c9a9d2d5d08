//! Image data: bytes of any size under generated keys, streamed in and out, durable before `write` returns.
//! Not here: which image a blob belongs to, who may read it, and how it goes over HTTP.
//!
//! `object_store` does the storing, so that a bucket can take the place of a directory; what it leaves open for a directory is
//! done here. Read in its source (0.14.2, `local.rs`): an upload is written to `{key}#{n}` beside its destination and
//! renamed when complete; with `with_fsync` the file is synced before and the directory after the rename. What is *not*
//! synced is a deletion: a crash may bring a blob back, and `sweep` removes it again.

mod digest;
mod parts;
mod sweep;

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join3;
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload,
};

use digest::Digests;
use parts::Parts;

pub use sweep::{Sweep, Swept};

/// How much of an upload is gathered before it is hashed and written. At most two such parts are held at a time.
/// A bucket will want 5 MiB or more; a disk gains nothing from more than this.
const PART_BYTES: usize = 1 << 20;

/// How much is read from a file at a time. (`object_store` reads 8 KiB, each with a trip to another thread.)
const READ_BYTES: u64 = 256 << 10;

/// The name of a blob: 1 to 64 of `0-9`, `a-f` and `-`, such as a UUID. So no key can lead out of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(String);

/// A text that cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a blob key has 1 to 64 characters of 0-9, a-f and -")]
pub struct BadBlobKey;

impl FromStr for BlobKey {
    type Err = BadBlobKey;

    fn from_str(text: &str) -> Result<BlobKey, BadBlobKey> {
        let fits =
            (1..=64).contains(&text.len()) && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        if fits { Ok(BlobKey(text.to_owned())) } else { Err(BadBlobKey) }
    }
}

impl BlobKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn location(&self) -> Location {
        Location::from(self.as_str())
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What went wrong with the store. Paths are in the sources only: for the log.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no blob of this key.
    #[error("no such blob")]
    NotFound,
    /// There is a blob of this key already; blobs are never written twice.
    #[error("the blob exists already")]
    Exists,
    /// The range is empty or begins behind the end.
    #[error("the range is not within the blob")]
    BadRange,
    /// No room is left where blobs are kept.
    #[error("no space is left for blobs")]
    Full(#[source] object_store::Error),
    /// Anything else.
    #[error("the store of blobs failed")]
    Store(#[source] object_store::Error),
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> BlobError {
        match error {
            object_store::Error::NotFound { .. } => BlobError::NotFound,
            error if out_of_space(&error) => BlobError::Full(error),
            error => BlobError::Store(error),
        }
    }
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> BlobError {
        object_store::Error::Generic { store: "directory", source: Box::new(error) }.into()
    }
}

/// Whether a full disk or quota is among the causes.
fn out_of_space(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Why a blob was not written. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// There is more data than the caller allows, in bytes.
    #[error("the data is longer than {0} bytes")]
    TooLong(u64),
    /// The stream of data failed.
    #[error("the data did not arrive")]
    Source(#[source] E),
    /// The store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl<E> From<object_store::Error> for WriteError<E> {
    fn from(error: object_store::Error) -> WriteError<E> {
        WriteError::Blob(error.into())
    }
}

/// What has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// How many bytes.
    pub bytes: u64,
    /// Their MD5 in hexadecimal (an image's `checksum`).
    pub md5: String,
    /// Their SHA-512 in hexadecimal (an image's `os_hash_value`).
    pub sha512: String,
}

/// The chunks of a blob.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// A blob, or a range of one, about to be read. What has been opened stays readable when the blob is deleted meanwhile.
pub struct Reading {
    /// How many bytes the stream will give.
    pub length: u64,
    /// How many bytes the whole blob has.
    pub blob_bytes: u64,
    /// The bytes.
    pub stream: BlobStream,
}

/// Where blobs are kept.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// The directory, if that is where they are.
    dir: PathBuf,
}

impl Blobs {
    /// Blobs in a directory, which is made (for us alone, 0700) if there is none.
    ///
    /// # Errors
    /// Where the directory cannot be made or found.
    pub fn local(dir: &Path) -> Result<Blobs, BlobError> {
        if !dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            // A blob is only as durable as the directory it is in.
            let dir = dir.canonicalize()?;
            File::open(dir.parent().unwrap_or(&dir))?.sync_all()?;
        }
        let store = LocalFileSystem::new_with_prefix(dir)?.with_fsync(true);
        Ok(Blobs { store: Arc::new(store), dir: dir.canonicalize()? })
    }

    /// Writes a blob under a key that was never used before. When this returns, the data is on the disk and can be read; until
    /// then nobody sees it, and after an error, or when the future is dropped, nothing is left of it.
    ///
    /// # Errors
    /// `TooLong` as soon as more than `bytes_max` bytes have come; `Source` with the stream's own error; else the store's.
    pub async fn write<S, E>(&self, key: &BlobKey, data: S, bytes_max: u64) -> Result<Written, WriteError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: Send,
    {
        // Against a caller's mistake, not against a race: keys are generated, and no two writers have the same one.
        if self.exists(key).await? {
            return Err(BlobError::Exists.into());
        }
        let mut upload = self.store.put_multipart(&key.location()).await?;
        match copy(Parts::new(data, PART_BYTES, bytes_max), upload.as_mut()).await {
            Ok(written) => match upload.complete().await {
                Ok(_) => Ok(written),
                Err(error) => {
                    self.discard(key).await;
                    Err(error.into())
                }
            },
            Err(error) => {
                // The data's error is the one to tell; what an abort cannot remove, the sweep will.
                let _left = upload.abort().await;
                Err(error)
            }
        }
    }

    /// A whole blob.
    ///
    /// # Errors
    /// `NotFound`, or the store's.
    pub async fn read(&self, key: &BlobKey) -> Result<Reading, BlobError> {
        self.refuse_link(key).await?;
        Ok(reading(self.store.get_opts(&key.location(), GetOptions::default()).await?))
    }

    /// The bytes of a blob from `start` up to, not including, `end`, or up to the blob's end if that comes first.
    ///
    /// # Errors
    /// `BadRange` where there are no such bytes; `NotFound`, or the store's.
    pub async fn read_range(&self, key: &BlobKey, range: Range<u64>) -> Result<Reading, BlobError> {
        self.refuse_link(key).await?;
        // Asked first, for the errors of the various stores cannot be told apart.
        if range.is_empty() || range.start >= self.len(key).await? {
            return Err(BlobError::BadRange);
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        Ok(reading(self.store.get_opts(&key.location(), options).await?))
    }

    /// We make no links; one that was put here by others could lead to anything that this process can read.
    async fn refuse_link(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = self.dir.join(key.as_str());
        let looked = tokio::task::spawn_blocking(move || std::fs::symlink_metadata(path)).await;
        match looked.map_err(object_store::Error::from)? {
            Ok(meta) if meta.is_symlink() => Err(BlobError::NotFound),
            // whatever else is wrong, reading will say it
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// How many bytes a blob has.
    ///
    /// # Errors
    /// `NotFound`, or the store's.
    pub async fn len(&self, key: &BlobKey) -> Result<u64, BlobError> {
        Ok(self.store.head(&key.location()).await?.size)
    }

    /// Whether there is a blob of this key.
    ///
    /// # Errors
    /// The store's.
    pub async fn exists(&self, key: &BlobKey) -> Result<bool, BlobError> {
        match self.len(key).await {
            Ok(_) => Ok(true),
            Err(BlobError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a blob. It is no error if there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        match self.store.delete(&key.location()).await.map_err(BlobError::from) {
            Ok(()) | Err(BlobError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes a blob of which perhaps only a part was written, by a process that is gone, or was taken for it: that one then finds that
    /// it cannot complete what it writes. What cannot be removed the sweep will.
    pub async fn discard(&self, key: &BlobKey) {
        // no key is written twice, so there is one part at most
        let unfinished = self.dir.join(format!("{key}#1"));
        let _left = tokio::task::spawn_blocking(move || std::fs::remove_file(unfinished)).await;
        let _left = self.delete(key).await;
    }
}

/// Moves the data from its source into an upload. While one part is written and hashed, the next one is gathered.
async fn copy<S, E>(mut source: Parts<S>, upload: &mut dyn MultipartUpload) -> Result<Written, WriteError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: Send,
{
    let mut digests = Digests::default();
    let mut bytes = 0;
    let mut next = source.next().await?;
    while let Some(part) = next {
        bytes += part.len() as u64;
        let stored = upload.put_part(PutPayload::from_bytes(part.clone()));
        let (_, hashed, following) = try_join3(
            async { stored.await.map_err(WriteError::from) },
            async { digests.with(part).await.map_err(WriteError::from) },
            source.next(),
        )
        .await?;
        (digests, next) = (hashed, following);
    }
    let (md5, sha512) = digests.hex();
    Ok(Written { bytes, md5, sha512 })
}

fn reading(found: GetResult) -> Reading {
    let (range, blob_bytes) = (found.range.clone(), found.meta.size);
    let length = range.end - range.start;
    let stream = match found.payload {
        GetResultPayload::File(file, _) => file_stream(file, range),
        GetResultPayload::Stream(stream) => stream.map_err(BlobError::from).boxed(),
    };
    Reading { length, blob_bytes, stream }
}

/// The bytes of a range of a file, which is known to have them.
fn file_stream(file: File, range: Range<u64>) -> BlobStream {
    let file = Arc::new(file);
    futures_util::stream::try_unfold(range, move |range| {
        let file = Arc::clone(&file);
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let until = range.end.min(range.start + READ_BYTES);
            let chunk = tokio::task::spawn_blocking(move || read_at(&file, range.start..until));
            let chunk = chunk.await.map_err(object_store::Error::from)??;
            Ok(Some((chunk, until..range.end)))
        }
    })
    .boxed()
}

/// A small range of a file. Fails where the file has been cut short behind our back, rather than giving less than promised.
fn read_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    use std::os::unix::fs::FileExt;
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut chunk = vec![0; length];
    file.read_exact_at(&mut chunk, range.start)?;
    Ok(chunk.into())
}

#[cfg(test)]
mod tests;
