//! What a crash may have left of image data, cleared up beside the requests: a start waits for none of it. Uploads that were cut off first,
//! for clients see them; files that nobody knows when there is time.
//!
//! Whoever asks meanwhile sees an image whose upload was cut off as `saving` for a moment longer. Nothing else here can be seen.

use std::time::{Duration, SystemTime};

use super::Cloud;
use crate::config::Database;
use crate::image::uploads;
use crate::store::{StoreError, Tx, images};

/// Beyond the longest pause in an upload, by far: a file that was not written to for so long is nobody's work.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

impl Cloud {
    /// Gives up uploads that were cut off, and keeps those that this process is receiving. To be called at a start, and then well
    /// within every `uploads::LEASE_SECONDS`.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub async fn keep_uploads(&self) -> Result<(), StoreError> {
        let unneeded = uploads::keep(&self.store, &self.worker, &self.receiving, self.clock.as_ref()).await?;
        if !unneeded.is_empty() {
            tracing::info!(uploads = unneeded.len(), "uploads that were cut off are given up");
        }
        for key in unneeded {
            // its key was named by the record that has just been removed, and by no other: nobody else writes there
            self.blobs.discard(&key).await;
        }
        Ok(())
    }

    /// Removes image data that nobody knows, and what is left of uploads that never ended. `began` is when this process did.
    ///
    /// Data is written after the commit that names its key, so what a look at the database does not find was nobody's when its file
    /// was found, in whichever process. Files without a record of theirs, that of the first image and unfinished ones, are told by
    /// their age.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn sweep_blobs(&self, began: SystemTime) -> Result<(), String> {
        let before = match &self.settings.database {
            Database::Embedded => began,
            // others may be writing to the same place
            Database::Postgres(_) => began.checked_sub(PAUSE_MAX).unwrap_or(SystemTime::UNIX_EPOCH),
        };
        let mut sweep = self.blobs.sweep(before).await.map_err(|error| error.to_string())?;
        while let Some(page) = sweep.page().await.map_err(|error| error.to_string())? {
            let asked = page.clone();
            let looking = self.store.read(move |tx: &mut dyn Tx| images::known_blobs(tx, &asked));
            let known = looking.await.map_err(|error| error.to_string())?;
            for key in page.iter().filter(|key| !known.contains(key.as_str())) {
                sweep.remove(key).await.map_err(|error| error.to_string())?;
            }
            // requests first
            tokio::task::yield_now().await;
        }
        let swept = sweep.swept();
        if swept.orphans + swept.unfinished > 0 {
            tracing::info!(swept.orphans, swept.unfinished, "image data that was nobody's is removed");
        }
        Ok(())
    }
}
