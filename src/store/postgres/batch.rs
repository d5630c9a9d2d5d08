//! Scripts in a transaction: many that write in one commit, or one that reads.
//!
//! What a script changes is sent with what is asked next, so a batch takes about as many round trips as it has questions. Savepoints are
//! taken only where a script has to be undone: they cost two statements each, past 64 of them the server's snapshots get slow, and in a
//! savepoint it keeps a predicate lock on a row even where the row is written afterwards, which makes it see conflicts that are none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::connection::Connection;
use super::lost::Lost;
use super::news;
use super::row::PostgresRow;
use crate::store::engine::{Effect, Row, Script, StoreError, Tx, Value, Verdict};

/// What is known of a batch when all of its scripts have run.
#[derive(Default)]
pub struct Kept {
    /// Of each script that was run, whether it did.
    pub panicked: Vec<bool>,
    /// What those that were not undone announce.
    pub effects: Vec<Effect>,
    changed: bool,
}

/// What can be undone of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undoing {
    /// Only all of it.
    All,
    /// The changes of each script.
    Each,
}

/// One commit for many scripts: for the first, and for those whose turn comes by the moment `until`.
///
/// # Errors
/// Why nothing of it was kept; `Undone` where a script has to be undone and the others with it.
pub fn write(
    connection: &mut Connection,
    batch: &mut [Box<dyn Script>],
    (undoing, until): (Undoing, Instant),
    kept: &mut Kept,
) -> Result<(), Lost> {
    let is_one = batch.len() == 1;
    connection.later("BEGIN ISOLATION LEVEL SERIALIZABLE");
    for script in batch {
        if !kept.panicked.is_empty() && Instant::now() >= until {
            break;
        }
        if undoing == Undoing::Each {
            connection.plain("SAVEPOINT script")?;
        }
        let mut tx = PostgresTx::on(connection);
        let verdict = catch_unwind(AssertUnwindSafe(|| script.run(&mut tx)));
        let PostgresTx { effects, changed, failed, lost, .. } = tx;
        if let Some(lost) = lost {
            return Err(lost);
        }
        kept.panicked.push(verdict.is_err());
        match (verdict, undoing) {
            (Ok(Verdict::Commit), _) if failed => {
                return Err(Lost::Refused(StoreError::Defect("a script went on after an error".into())));
            }
            (Ok(Verdict::Commit), _) => {
                kept.effects.extend(effects);
                kept.changed |= changed;
            }
            (_, Undoing::Each) => connection.undo_to_savepoint()?,
            (_, Undoing::All) if !changed && !failed => {}
            (_, Undoing::All) if is_one => return connection.rollback(),
            (_, Undoing::All) => return Err(Lost::Undone),
        }
        if undoing == Undoing::Each {
            connection.later("RELEASE SAVEPOINT script");
        }
    }
    kept.effects.dedup();
    for (effect, channel) in news::CHANNELS {
        if kept.effects.contains(&effect) {
            connection.later(&format!("NOTIFY {channel}"));
        }
    }
    // a transaction that changed nothing has no outcome to be unsure of
    if kept.changed { connection.commit_marked() } else { connection.plain("COMMIT") }
}

/// One script against one state. The transaction is still to be ended.
///
/// # Errors
/// Why it could not be read.
pub fn read(connection: &mut Connection, script: &mut dyn Script) -> Result<(), Lost> {
    connection.later("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let mut tx = PostgresTx::on(connection);
    let verdict = catch_unwind(AssertUnwindSafe(|| script.run(&mut tx)));
    match (tx.lost, verdict) {
        (Some(lost), _) => Err(lost),
        (None, Ok(_)) => Ok(()),
        (None, Err(_)) => Err(Lost::Refused(StoreError::Defect("a script panicked".into()))),
    }
}

/// A transaction as a script sees it. After an error PostgreSQL takes no more statements until something is undone, so a script that met
/// one must answer it; what the error means for the whole batch is remembered here, whatever the script makes of it.
struct PostgresTx<'a> {
    connection: &'a mut Connection,
    effects: Vec<Effect>,
    changed: bool,
    failed: bool,
    lost: Option<Lost>,
}

impl PostgresTx<'_> {
    fn on(connection: &mut Connection) -> PostgresTx<'_> {
        PostgresTx { connection, effects: Vec::new(), changed: false, failed: false, lost: None }
    }

    fn note(&mut self, lost: Lost) -> StoreError {
        let error = lost.as_error();
        match lost {
            // it was never sent
            Lost::Refused(StoreError::Unstorable) => {}
            Lost::Refused(StoreError::Duplicate(_) | StoreError::Defect(_)) => self.failed = true,
            lost => _ = self.lost.get_or_insert(lost),
        }
        error
    }
}

impl Tx for PostgresTx<'_> {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // such as INSERT … RETURNING
        self.changed |= !sql.trim_start().starts_with("SELECT");
        let rows = self.connection.query(sql, parameters).map_err(|lost| self.note(lost))?;
        rows.iter().try_for_each(|row| each(&PostgresRow(row)))
    }

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        self.changed = true;
        self.connection.execute(sql, parameters).map_err(|lost| self.note(lost))
    }

    fn change(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<(), StoreError> {
        self.changed = true;
        self.connection.change(sql, parameters).map_err(|lost| self.note(lost))
    }

    fn announce(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn merges_in_order(&self) -> bool {
        false
    }
}
