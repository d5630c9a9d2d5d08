//! Clearing up after a crash: uploads that were never finished and blobs that nobody knows. Nothing else is removed.

use std::path::Path;
use std::time::SystemTime;
use std::{fs, io};

use object_store::ObjectStore;

use super::{BlobError, BlobKey, Blobs};

/// What a sweep has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs that nobody knew.
    pub orphans: u64,
    /// Uploads that were never finished.
    pub unfinished: u64,
}

impl Blobs {
    /// Removes unfinished uploads and unknown blobs which were last written before `before`. Files with names of another form
    /// are left alone.
    ///
    /// A process that has the store to itself passes the time of its start. One that shares it passes a time longer ago than
    /// any upload takes, for what others are writing is unknown too until they are done.
    ///
    /// # Errors
    /// The store's; what was removed before stays removed.
    pub async fn sweep(&self, before: SystemTime, known: impl Fn(&BlobKey) -> bool) -> Result<Swept, BlobError> {
        let dir = self.dir.clone();
        let unfinished = tokio::task::spawn_blocking(move || remove_unfinished(&dir, before));
        let mut swept = Swept { orphans: 0, unfinished: unfinished.await.map_err(object_store::Error::from)?? };
        // Not `list`, which would walk into directories that are none of ours (lost+found, say) and fail there.
        for found in self.store.list_with_delimiter(None).await?.objects {
            let Ok(key) = found.location.as_ref().parse::<BlobKey>() else { continue };
            if SystemTime::from(found.last_modified) < before && !known(&key) {
                self.delete(&key).await?;
                swept.orphans += 1;
            }
        }
        Ok(swept)
    }

    /// The keys of all blobs there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(&self) -> Result<Vec<BlobKey>, BlobError> {
        let found = self.store.list_with_delimiter(None).await?.objects;
        Ok(found.iter().filter_map(|object| object.location.as_ref().parse().ok()).collect())
    }
}

fn remove_unfinished(dir: &Path, before: SystemTime) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(unfinished) {
            continue;
        }
        if entry.metadata()?.modified()? < before {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether a file of this name is an upload that was not finished: `{key}#{number}`.
fn unfinished(name: &str) -> bool {
    name.split_once('#').is_some_and(|(key, number)| key.parse::<BlobKey>().is_ok() && number.parse::<u64>().is_ok())
}
