//! The policy that was published for all processes of the database, put in force in this one.

use super::Cloud;
use crate::policy::live::Taken;
use crate::store::{StoreError, Tx, policies};

impl Cloud {
    /// Before the first request: a process must not serve by other rules than its neighbours because the published ones cannot be read.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn begin_with_published_policy(&self) -> Result<(), String> {
        let taken = self.take_published_policy().await.map_err(|error| error.to_string())?;
        match taken.refused.into_iter().next() {
            Some(error) if taken.revision.is_none() => Err(format!(
                "{error}; `kilonova policy publish FILE` publishes another, `kilonova policy withdraw` none"
            )),
            _ => Ok(()),
        }
    }

    /// Looks whether the newest is another than is known, and puts it in force at once, for every request that begins from now on. One that
    /// cannot be taken is told in the log, and changes nothing. Not to be called twice at once: what was read first might be taken last.
    ///
    /// # Errors
    /// The store's: what was in force stays, and the next call tries again.
    pub async fn take_published_policy(&self) -> Result<Taken, StoreError> {
        let known = self.rules.edition_seen();
        let kept = self.store.read(move |tx: &mut dyn Tx| policies::kept_unless_known(tx, known)).await?;
        let taken = kept.map(|kept| self.rules.take(kept)).unwrap_or_default();
        for error in &taken.refused {
            tracing::error!(%error, revision = self.rules.revision(), "a published policy was not taken; the revision named here stays in force");
        }
        if let Some(revision) = taken.revision {
            if revision == 0 {
                tracing::warn!(
                    "the database has no published policy any more: this host's policy files and the defaults remain"
                );
                return Ok(taken);
            }
            tracing::info!(revision, "the published policy is in force, with this host's policy files over it");
            self.tell_replaced();
        }
        Ok(taken)
    }

    /// Says which published rules do not hold on this host.
    pub fn tell_replaced(&self) {
        let replaced = self.rules.replaced();
        if !replaced.is_empty() {
            tracing::warn!(
                rules = replaced.join(", "),
                "this host's policy files replace rules of the published policy: here these hold otherwise than elsewhere"
            );
        }
    }
}
