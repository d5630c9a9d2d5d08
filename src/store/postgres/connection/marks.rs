//! Marks: what a commit leaves behind, so that its outcome can be found out on another connection.

use super::{Connection, LOCK_BRIEFLY};
use crate::store::engine::StoreError;
use crate::store::postgres::lost::Lost;

/// Where a transaction leaves its mark, so that its outcome can be found out by somebody else: one row per connection that writes. Pages are
/// left nearly empty, so that new versions of a row fit beside the old: then no index is written, at whose page connections would meet.
pub const MARKS: &str = "CREATE TABLE IF NOT EXISTS commit_marks (connection TEXT PRIMARY KEY, number BIGINT NOT NULL, \
                         seen TIMESTAMPTZ NOT NULL DEFAULT now()) WITH (fillfactor = 10)";
/// Leaves a mark. Where there is no row to leave it in it fails, by a division, and with it the transaction.
const MARK: &str = "WITH marked AS (UPDATE commit_marks SET number = $1, seen = now() WHERE connection = $2 RETURNING 1) \
                    SELECT 1 / count(*) FROM marked";

/// What a transaction leaves behind if, and only if, it is committed.
#[derive(Debug, Clone)]
pub struct Mark {
    connection: String,
    number: i64,
}

impl Connection {
    /// Has its commits leave marks from now on.
    ///
    /// # Errors
    /// Where the server refuses a row for them.
    pub fn leave_marks(&mut self) -> Result<(), Lost> {
        let sql = "INSERT INTO commit_marks (connection, number) VALUES (CAST(gen_random_uuid() AS TEXT), 0) RETURNING connection";
        let rows = self.query(sql, &[])?;
        let name = rows.first().map(|row| row.get(0));
        let name = name.ok_or(Lost::Refused(StoreError::Defect("no mark was made".into())))?;
        self.mark = Some(Mark { connection: name, number: 0 });
        Ok(())
    }

    /// Commits changes. They leave a mark in the same transaction; where the connection breaks meanwhile, the error says which. All that
    /// waits is sent together with the commit: where any of it fails the server commits nothing.
    ///
    /// Why not the transaction's id: a transaction that was never replicated, or never flushed, has its id given to another one after a
    /// failover or a crash, whose outcome would then be taken for its own.
    pub fn commit_marked(&mut self) -> Result<(), Lost> {
        let Some(Mark { connection, number }) = self.mark.clone() else {
            return Err(Lost::Refused(StoreError::Defect("a connection that only reads commits".into())));
        };
        let mark = Mark { connection, number: number + 1 };
        self.change(MARK, &[mark.number.into(), mark.connection.as_str().into()])?;
        self.later("COMMIT");
        self.mark = Some(mark.clone());
        self.send_later().map_err(|lost| match lost {
            Lost::Connection(text) => Lost::Commit { mark, text },
            lost => lost,
        })
    }

    /// What became of a transaction of a connection that broke; `None` where it is still under way somewhere.
    ///
    /// The row is written and not only read: so this waits for a transaction that still holds it, and comes back only when everything
    /// before it is as durable as any commit (on the standbys, too).
    pub fn was_committed(&mut self, mark: &Mark) -> Result<Option<bool>, StoreError> {
        self.plain("SET lock_timeout = '4s'").map_err(|lost| lost.as_error())?;
        let sql = "UPDATE commit_marks SET seen = now() WHERE connection = $1 RETURNING number";
        let found = self.query(sql, &[mark.connection.as_str().into()]);
        if matches!(found, Ok(_) | Err(Lost::Conflict(_))) {
            self.plain(LOCK_BRIEFLY).map_err(|lost| lost.as_error())?;
        }
        match found {
            Ok(rows) => {
                let number: Option<i64> = rows.first().map(|row| row.get(0));
                Ok(Some(number == Some(mark.number)))
            }
            Err(Lost::Conflict(_)) => Ok(None),
            Err(lost) => Err(lost.as_error()),
        }
    }
}
