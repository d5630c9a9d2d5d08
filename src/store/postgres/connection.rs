//! A connection with its prepared statements, and what its errors mean for a transaction.

use std::collections::HashMap;

use bytes::BytesMut;
use postgres::error::SqlState;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Row, Statement};

use crate::store::engine::{StoreError, Value};

/// Statements a connection keeps prepared; beyond it all are prepared anew.
const STATEMENTS_KEPT: usize = 512;
/// What every connection promises: bounded statements, durable commits.
const SETTINGS: &str =
    "SET statement_timeout = '5s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '30s'";

/// Why a transaction cannot go on.
#[derive(Debug, Clone)]
pub enum Lost {
    /// Another transaction was in the way: all of it may be run again.
    Conflict(String),
    /// The statement was refused; the connection is fine.
    Refused(StoreError),
    /// The connection is gone, or its server no longer takes writes. Nothing was committed.
    Connection(String),
    /// The connection is gone, and a commit was under way.
    Commit {
        /// The transaction's id on the server.
        transaction: String,
        /// What was heard last.
        text: String,
    },
}

impl Lost {
    /// The same for whoever runs the script.
    pub fn as_error(&self) -> StoreError {
        match self {
            Lost::Conflict(text) => StoreError::Conflict(text.clone()),
            Lost::Refused(error) => error.clone(),
            Lost::Connection(text) | Lost::Commit { text, .. } => StoreError::Unavailable(text.clone()),
        }
    }
}

/// A connection to a server that takes writes.
pub struct Connection {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// `Unavailable` where no host answers.
    pub fn open(config: &Config) -> Result<Connection, StoreError> {
        let unavailable = |error: postgres::Error| StoreError::Unavailable(text(&error));
        let mut client = config.connect(NoTls).map_err(unavailable)?;
        client.batch_execute(SETTINGS).map_err(unavailable)?;
        Ok(Connection { client, statements: HashMap::new() })
    }

    /// Waits for a notification on a channel that was listened to; false where none came in time.
    pub fn wait_for_news(&mut self, patience: std::time::Duration) -> Result<bool, Lost> {
        let mut notifications = self.client.notifications();
        let next = fallible_iterator::FallibleIterator::next(&mut notifications.timeout_iter(patience));
        next.map(|notification| notification.is_some()).map_err(|error| meaning(&error))
    }

    /// Runs a statement of ours that has neither parameters nor rows.
    pub fn plain(&mut self, sql: &str) -> Result<(), Lost> {
        self.client.batch_execute(sql).map_err(|error| meaning(&error))
    }

    /// Runs a statement and gives its rows.
    pub fn query(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<Vec<Row>, Lost> {
        let statement = self.prepared(sql)?;
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.client.query(&statement, &parameters).map_err(|error| meaning(&error))
    }

    /// Runs a statement and says how many rows it changed.
    pub fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, Lost> {
        let statement = self.prepared(sql)?;
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.client.execute(&statement, &parameters).map_err(|error| meaning(&error))
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, Lost> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).map_err(|error| meaning(&error))?;
        if self.statements.len() >= STATEMENTS_KEPT {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Commits; where the connection breaks meanwhile, says which transaction it was.
    pub fn commit(&mut self) -> Result<(), Lost> {
        let rows = self.query("SELECT CAST(pg_current_xact_id_if_assigned() AS TEXT)", &[])?;
        let transaction: Option<String> = rows.first().and_then(|row| row.get(0));
        self.plain("COMMIT").map_err(|lost| match (lost, transaction) {
            (Lost::Connection(text), Some(transaction)) => Lost::Commit { transaction, text },
            (lost, _) => lost,
        })
    }

    /// What became of a transaction of a connection that broke; `None` where the server cannot tell (yet).
    pub fn was_committed(&mut self, transaction: &str) -> Result<Option<bool>, StoreError> {
        let sql = "SELECT pg_xact_status(CAST(CAST($1 AS TEXT) AS xid8))";
        let rows = self.query(sql, &[transaction.into()]).map_err(|lost| lost.as_error())?;
        let status: Option<String> = rows.first().and_then(|row| row.get(0));
        Ok(match status.as_deref() {
            Some("committed") => Some(true),
            Some("aborted") => Some(false),
            _ => None,
        })
    }

    /// Ends whatever transaction there is.
    pub fn rollback(&mut self) -> Result<(), Lost> {
        self.plain("ROLLBACK")
    }
}

/// What an error means. Classes of SQLSTATE: PostgreSQL's documentation, appendix A.
fn meaning(error: &postgres::Error) -> Lost {
    let text = text(error);
    let Some(state) = error.code() else { return Lost::Connection(text) };
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE]
        .contains(state)
    {
        return Lost::Conflict(text);
    }
    if *state == SqlState::UNIQUE_VIOLATION {
        return Lost::Refused(StoreError::Duplicate(text));
    }
    match &state.code()[..2] {
        // connection exceptions, a server that stops or has become read-only
        "08" | "25" | "57" if *state != SqlState::IN_FAILED_SQL_TRANSACTION && *state != SqlState::QUERY_CANCELED => {
            Lost::Connection(text)
        }
        // out of disk, memory, connections; I/O errors; a statement that took too long
        "53" | "58" | "57" => Lost::Refused(StoreError::Unavailable(text)),
        "XX" => Lost::Refused(StoreError::Damaged(text)),
        _ => Lost::Refused(StoreError::Defect(text)),
    }
}

fn text(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(inner) => format!("{} ({})", inner.message(), inner.code().code()),
        None => error.to_string(),
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, kind) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(number), &Type::INT4) => i32::try_from(*number)?.to_sql(kind, out),
            (Value::Int(number), _) => number.to_sql(kind, out),
            (Value::Text(text), _) => text.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
