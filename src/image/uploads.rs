//! Uploads that were cut off. A process knows which uploads it is receiving; what the database says is its own besides those was cut off by a
//! crash, and is given up. So is what others hold no longer: each process says from time to time that it still receives.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::data;
use crate::blobs::BlobKey;
use crate::model::time::Timestamp;
use crate::store::tasks::Lease;
use crate::store::uploads::{self, Upload};
use crate::store::{Store, StoreError, Tx};

/// How long a process may be silent before others give up its uploads.
pub const LEASE_SECONDS: i64 = 60;

/// The hold of a worker from now on.
pub fn lease(owner: &str, now: Timestamp) -> Lease<'_> {
    Lease { owner, now: now.microseconds(), until: now.plus_seconds(LEASE_SECONDS).microseconds() }
}

/// The uploads that this process is receiving.
#[derive(Debug, Default)]
pub struct Receiving {
    // std mutex: nothing awaits while it is held
    keys: Mutex<HashSet<String>>,
}

impl Receiving {
    /// From now on until what it gives is dropped, this upload is being received. Begin this before the upload is recorded.
    pub fn begin(self: &Arc<Receiving>, key: &str) -> UnderWay {
        self.keys().insert(key.to_owned());
        UnderWay { receiving: self.clone(), key: key.to_owned() }
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<String>> {
        // every change is one call, so whoever panicked while holding it left nothing half done
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload that is being received.
#[derive(Debug)]
pub struct UnderWay {
    receiving: Arc<Receiving>,
    key: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.receiving.keys().remove(&self.key);
    }
}

/// Says that this process still receives what it receives, and gives up what nobody does. Gives the keys of data that is nobody's now.
///
/// # Errors
/// The store's.
pub async fn keep(
    store: &Store,
    worker: &str,
    receiving: &Receiving,
    clock: &(dyn Fn() -> Timestamp + Send + Sync),
) -> Result<Vec<BlobKey>, StoreError> {
    let (worker, now) = (worker.to_owned(), clock());
    let looking = worker.clone();
    let found = store.read(move |tx: &mut dyn Tx| uploads::mine_or_nobodys(tx, lease(&looking, now))).await?;
    // looked at afterwards: what was found and is still being received is among these, because it is noted there before it is recorded
    let keys = receiving.keys().clone();
    let abandoned: Vec<Upload> = found.into_iter().filter(|upload| !keys.contains(&upload.blob)).collect();
    // nothing is written while there is nothing to say
    if abandoned.is_empty() && keys.is_empty() {
        return Ok(Vec::new());
    }
    let script = move |tx: &mut dyn Tx| {
        for key in &keys {
            uploads::renew(tx, key, lease(&worker, now))?;
        }
        let mut unneeded = Vec::new();
        // others may have said meanwhile that they are still receiving theirs
        let still = uploads::mine_or_nobodys(tx, lease(&worker, now))?;
        for upload in abandoned.iter().filter(|upload| still.contains(upload)) {
            match upload.blob.parse::<BlobKey>() {
                Ok(key) if data::give_up_upload(tx, upload.image, &key)? => unneeded.push(key),
                Ok(_) => {}
                // no data can be under such a key
                Err(_) => uploads::remove(tx, &upload.blob)?,
            }
        }
        Ok::<_, StoreError>(unneeded)
    };
    store.write(script).await
}
