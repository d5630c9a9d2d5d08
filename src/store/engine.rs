//! What a database must be able to do for us: run a transaction script, and run it again. No SQL of ours is here.

use std::fmt;
use std::thread::JoinHandle;

use crate::backlog::Share;

/// A parameter of a statement. Statements number them `$1`, `$2`, … in order of first appearance.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A whole number; booleans are 0 and 1.
    Int(i64),
    /// Text.
    Text(&'a str),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Int(value.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Text(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of an answer; columns count from 0.
pub trait Row {
    /// A whole number; NULL is an error.
    ///
    /// # Errors
    /// `Damaged` where the column is not what the schema says.
    fn int(&self, column: usize) -> Result<i64, StoreError>;
    /// Text, borrowed from the engine.
    ///
    /// # Errors
    /// `Damaged` where the column is not what the schema says.
    fn text(&self, column: usize) -> Result<&str, StoreError>;
    /// Whether the column is NULL.
    fn is_null(&self, column: usize) -> bool;

    /// A whole number or NULL.
    ///
    /// # Errors
    /// `Damaged` where the column is neither.
    fn int_or_null(&self, column: usize) -> Result<Option<i64>, StoreError> {
        if self.is_null(column) { Ok(None) } else { self.int(column).map(Some) }
    }

    /// Text or NULL.
    ///
    /// # Errors
    /// `Damaged` where the column is neither.
    fn text_or_null(&self, column: usize) -> Result<Option<&str>, StoreError> {
        if self.is_null(column) { Ok(None) } else { self.text(column).map(Some) }
    }

    /// A boolean, kept as 0 or 1.
    ///
    /// # Errors
    /// `Damaged` where the column is not a number.
    fn flag(&self, column: usize) -> Result<bool, StoreError> {
        self.int(column).map(|n| n != 0)
    }
}

/// What a committed script wants the rest of the process to know, at the moment it is true and before anyone is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// There is work for the workers.
    TasksRecorded,
    /// Users, projects, roles, grants, the catalog or revocations changed: nothing remembered about tokens holds any longer.
    IdentityChanged,
    /// A policy was published for all processes, or withdrawn.
    PolicyPublished,
}

/// One transaction, as a script sees it.
pub trait Tx {
    /// Runs a statement and hands over its rows one by one.
    ///
    /// # Errors
    /// What the engine reports, or what `each` returns, which also ends the reading.
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Runs a statement that answers no rows; says how many it changed.
    ///
    /// # Errors
    /// What the engine reports; `Duplicate` where a key must be unique.
    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError>;

    /// Runs a statement for what it changes, and for nothing else: neither how many rows that were, nor whether a key was there already. So
    /// an engine may send it together with what follows; where it fails then, all of the transaction does.
    ///
    /// # Errors
    /// What the engine knows at once.
    fn change(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<(), StoreError> {
        self.execute(sql, parameters).map(|_| ())
    }

    /// Has the effect announced if, and when, this script is committed.
    fn announce(&mut self, effect: Effect);

    /// Whether queries that are joined by UNION ALL, each of which an index has in the order that is asked for, are merged in that order
    /// and end with the page. SQLite does so; PostgreSQL reads all of them and sorts.
    fn merges_in_order(&self) -> bool {
        true
    }
}

impl dyn Tx + '_ {
    /// One page, in order, of what several queries find together, each of which an index has in that order: `order` and `limit` are what
    /// stands behind ORDER BY and LIMIT.
    pub fn page_of(&self, queries: &[String], order: &str, limit: &str) -> String {
        let ends = format!("ORDER BY {order} LIMIT {limit}");
        if let [one] = queries {
            return format!("{one} {ends}");
        }
        if self.merges_in_order() {
            return format!("{} {ends}", queries.join(" UNION ALL "));
        }
        let pages = queries.iter().enumerate().map(|(at, query)| format!("SELECT * FROM ({query} {ends}) AS page{at}"));
        format!("{} {ends}", pages.collect::<Vec<_>>().join(" UNION ALL "))
    }

    /// The first row of an answer, made into something; `None` where there is no row.
    ///
    /// # Errors
    /// As `query`.
    pub fn first<T>(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        mut make: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.query(sql, parameters, &mut |row| {
            if found.is_none() {
                found = Some(make(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// All rows of an answer.
    ///
    /// # Errors
    /// As `query`.
    pub fn all<T>(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        mut make: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.query(sql, parameters, &mut |row| {
            found.push(make(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// A number that a statement always answers, such as `SELECT count(*)`.
    ///
    /// # Errors
    /// As `query`.
    pub fn number(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<i64, StoreError> {
        Ok(self.first(sql, parameters, |row| row.int_or_null(0))?.flatten().unwrap_or(0))
    }
}

/// Why the store did not do it. Clients see none of these words; the log does.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another transaction was in the way: run the script again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A key that must be unique is there already.
    #[error("duplicate: {0}")]
    Duplicate(String),
    /// A text holds a character that the engine cannot keep or look for: PostgreSQL knows no NUL.
    #[error("a text holds a character that the database cannot keep")]
    Unstorable,
    /// The queue of waiting writes is full.
    #[error("more writes are waiting than may wait")]
    Overloaded,
    /// The database cannot be reached or cannot write now; nothing was changed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The disk has not kept what was written to it, and what it has is to be found out before anything more is written.
    #[error("the database is not available, its disk fails: {0}")]
    DiskFails(String),
    /// What the database holds is not what we wrote.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A statement of ours is wrong, or a script panicked.
    #[error("defect: {0}")]
    Defect(String),
}

/// What becomes of a script's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Keep them.
    Commit,
    /// Undo them; the script answered an error.
    Undo,
}

/// A transaction script with its reply, as an engine sees it.
pub trait Script: Send {
    /// Runs from the start. May be called again after `Undo` or a conflict.
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict;
    /// On whose behalf it waits for its turn.
    fn share(&self) -> Share {
        Share::OWN
    }
    /// Answers whoever waits: what the script gave, or why the engine could not keep it.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A database.
pub trait Engine: Send + Sync {
    /// Takes a script that only reads and runs it against one consistent state.
    fn read(&self, script: Box<dyn Script>);
    /// Takes a script that writes; it is answered when its changes are durable.
    fn write(&self, script: Box<dyn Script>);
    /// Whoever is to hear of effects. Called once, before the first write.
    fn on_effect(&self, listener: Box<dyn Fn(Effect) + Send + Sync>);
    /// Finishes what was accepted and refuses the rest.
    fn close(&self);
}

/// Waits for a thread of an engine that is being closed. A script holds the cloud it works for, so the last owner of an engine can be
/// that engine's own thread, which must not wait for itself. One that panicked has already dropped its scripts, whose waiters
/// hear of it.
pub(super) fn wait_for(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        let _ = thread.join();
    }
}

impl fmt::Debug for dyn Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}
