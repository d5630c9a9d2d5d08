//! The policy that was published for all processes, with its last revisions. What it means is the business of the room `policy`.

use super::{Effect, StoreError, Tx};
use crate::model::time::Timestamp;
use crate::policy::live::Published;

/// How many revisions are kept: whoever starts and cannot read the newest takes the one before it.
const KEPT: i64 = 10;

/// The newest revision, with the moment when it was published. None where nothing ever was.
///
/// # Errors
/// The engine's.
pub fn newest(tx: &mut dyn Tx) -> Result<Option<(Published, Timestamp)>, StoreError> {
    tx.first(
        "SELECT revision, content, published_at FROM published_policies ORDER BY revision DESC LIMIT 1",
        &[],
        |row| {
            let published = Published { revision: row.int(0)?, text: row.text(1)?.to_owned() };
            Ok((published, Timestamp::from_microseconds(row.int(2)?)))
        },
    )
}

/// The revisions after this one that are kept, the newest first.
///
/// # Errors
/// The engine's.
pub fn after(tx: &mut dyn Tx, revision: i64) -> Result<Vec<Published>, StoreError> {
    tx.all(
        "SELECT revision, content FROM published_policies WHERE revision > $1 ORDER BY revision DESC",
        &[revision.into()],
        |row| Ok(Published { revision: row.int(0)?, text: row.text(1)?.to_owned() }),
    )
}

/// Has this count for all processes from the commit on; gives its revision. An empty text withdraws what was published.
///
/// # Errors
/// The engine's.
pub fn publish(tx: &mut dyn Tx, text: &str, at: Timestamp) -> Result<i64, StoreError> {
    let revision = tx.number("SELECT max(revision) FROM published_policies", &[])? + 1;
    tx.execute(
        "INSERT INTO published_policies (revision, published_at, content) VALUES ($1, $2, $3)",
        &[revision.into(), at.microseconds().into(), text.into()],
    )?;
    tx.execute("DELETE FROM published_policies WHERE revision <= $1", &[(revision - KEPT).into()])?;
    tx.announce(Effect::PolicyPublished);
    Ok(revision)
}
