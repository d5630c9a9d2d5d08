//! Clearing up after a crash: uploads that were never finished and blobs that nobody knows. Nothing else is removed. However many there
//! are, a page of them is in memory.

use std::fs::{self, ReadDir};
use std::io;
use std::time::{Duration, SystemTime};

use super::{BlobError, BlobKey, Blobs};

/// So many blobs are looked up at once.
const PAGE: usize = 100;

/// What a sweep has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs that nobody knew.
    pub orphans: u64,
    /// Uploads that were never finished.
    pub unfinished: u64,
}

/// A walk through all blobs that were last written before a moment; see `Blobs::sweep`.
pub struct Sweep {
    blobs: Blobs,
    before: SystemTime,
    /// Not there while it is being read, or when it has come to its end.
    rest: Option<ReadDir>,
    swept: Swept,
}

impl Blobs {
    /// Begins to look for unfinished uploads and unknown blobs which were last written before `before`. Files with names of another
    /// form are left alone.
    ///
    /// A process that has the store to itself passes the time of its start. One that shares it passes a time longer ago than
    /// any pause in an upload, for what others are writing is unfinished too until they are done.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub async fn sweep(&self, before: SystemTime) -> Result<Sweep, BlobError> {
        let dir = self.dir.clone();
        let opened = tokio::task::spawn_blocking(move || fs::read_dir(dir));
        let rest = opened.await.map_err(object_store::Error::from)??;
        Ok(Sweep { blobs: self.clone(), before, rest: Some(rest), swept: Swept::default() })
    }

    /// The keys of all blobs there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(&self) -> Result<Vec<BlobKey>, BlobError> {
        // a file may have come from a machine whose clock is ahead of ours
        const LATE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        let mut sweep = self.sweep(SystemTime::now() + LATE).await?;
        let mut keys = Vec::new();
        while let Some(page) = sweep.read_page(false).await? {
            keys.extend(page);
        }
        Ok(keys)
    }
}

impl Sweep {
    /// The next blobs that somebody should know; `None`: there are no more. Unfinished uploads on the way are removed.
    ///
    /// # Errors
    /// The store's; what was removed before stays removed.
    pub async fn page(&mut self) -> Result<Option<Vec<BlobKey>>, BlobError> {
        self.read_page(true).await
    }

    /// Removes a blob of a page that nobody knows.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove(&mut self, orphan: &BlobKey) -> Result<(), BlobError> {
        self.blobs.delete(orphan).await?;
        self.swept.orphans += 1;
        Ok(())
    }

    /// What was removed so far.
    pub fn swept(&self) -> Swept {
        self.swept
    }

    async fn read_page(&mut self, removes: bool) -> Result<Option<Vec<BlobKey>>, BlobError> {
        let Some(mut rest) = self.rest.take() else { return Ok(None) };
        let before = self.before;
        let reading =
            tokio::task::spawn_blocking(move || read_some(&mut rest, before, removes).map(|read| (rest, read)));
        let (rest, read) = reading.await.map_err(object_store::Error::from)??;
        self.swept.unfinished += read.unfinished;
        if read.keys.is_empty() && read.is_last {
            return Ok(None);
        }
        self.rest = (!read.is_last).then_some(rest);
        Ok(Some(read.keys))
    }
}

struct Read {
    keys: Vec<BlobKey>,
    unfinished: u64,
    is_last: bool,
}

fn read_some(rest: &mut ReadDir, before: SystemTime, removes: bool) -> io::Result<Read> {
    let mut read = Read { keys: Vec::new(), unfinished: 0, is_last: false };
    while read.keys.len() < PAGE {
        let Some(entry) = rest.next().transpose()? else {
            read.is_last = true;
            break;
        };
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let (key, is_unfinished) = (name.parse::<BlobKey>().ok(), unfinished(name));
        if key.is_none() && !is_unfinished {
            continue;
        }
        let Ok(about) = entry.metadata() else { continue }; // it is gone meanwhile
        if !about.is_file() || about.modified()? >= before {
            continue;
        }
        if let Some(key) = key {
            read.keys.push(key);
        } else if removes {
            fs::remove_file(entry.path())?;
            read.unfinished += 1;
        }
    }
    Ok(read)
}

/// Whether a file of this name is an upload that was not finished: `{key}#{number}`.
fn unfinished(name: &str) -> bool {
    name.split_once('#').is_some_and(|(key, number)| key.parse::<BlobKey>().is_ok() && number.parse::<u64>().is_ok())
}
