//! The policy that was published for all processes, with its last revisions. What it means is the business of the room `policy`.

use super::{Effect, Row, StoreError, Tx};
use crate::model::time::Timestamp;
use crate::policy::live::{Edition, Published};

/// How many revisions are kept: whoever starts and cannot read the newest takes the one before it.
const KEPT: i64 = 10;

/// The newest one. None where nothing ever was published.
///
/// # Errors
/// The engine's.
pub fn newest(tx: &mut dyn Tx) -> Result<Option<Published>, StoreError> {
    tx.first(
        "SELECT revision, published_at, content FROM published_policies ORDER BY revision DESC LIMIT 1",
        &[],
        published,
    )
}

/// All that are kept, the newest first.
///
/// # Errors
/// The engine's.
pub fn kept(tx: &mut dyn Tx) -> Result<Vec<Published>, StoreError> {
    tx.all(
        "SELECT revision, published_at, content FROM published_policies WHERE revision > $1 ORDER BY revision DESC",
        &[0_i64.into()],
        published,
    )
}

/// All that are kept, where the newest is not the one that is known. Whether it is newer does not count: a database may have lost some.
///
/// # Errors
/// The engine's.
pub fn kept_unless_known(tx: &mut dyn Tx, known: Option<Edition>) -> Result<Option<Vec<Published>>, StoreError> {
    let newest =
        tx.first("SELECT revision, published_at FROM published_policies ORDER BY revision DESC LIMIT 1", &[], edition)?;
    if newest == known { Ok(None) } else { kept(tx).map(Some) }
}

fn edition(row: &dyn Row) -> Result<Edition, StoreError> {
    Ok(Edition { revision: row.int(0)?, published_at: Timestamp::from_microseconds(row.int(1)?) })
}

fn published(row: &dyn Row) -> Result<Published, StoreError> {
    Ok(Published { edition: edition(row)?, text: row.text(2)?.to_owned() })
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
