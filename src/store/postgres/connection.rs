//! A connection with its prepared statements, the time its statements may take, and what its errors mean for a transaction.
//!
//! The server has limits of its own (`SETTINGS`), but a server that is stopped, or a network that is cut, keeps no limits: so everything
//! that waits here has a deadline of ours as well, after which the connection is given up.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, NoTls, Row, Statement};

use super::hosts::Hosts;
use crate::store::engine::{StoreError, Value};

/// Statements a connection keeps prepared; beyond it all are prepared anew.
const STATEMENTS_KEPT: usize = 512;
/// How long a host may take from the first packet to its greeting.
const HELLO: Duration = Duration::from_secs(2);
/// How long any answer may take; a little longer than the server's own limit, which keeps the connection.
const ANSWER: Duration = Duration::from_secs(5);
/// What every connection promises: bounded statements, and no time spent on compiling small ones.
const SETTINGS: &str = "SET statement_timeout = '4s'; SET lock_timeout = '4s'; SET jit = off; \
                        SET idle_in_transaction_session_timeout = '30s'";
/// How long a batch waits for a row that another batch has written. Whoever waits to the end must run again all the same, because the row
/// has changed; and two batches that wait for each other would be told so by the server after a second only.
const LOCK_BRIEFLY: &str = "SET lock_timeout = '20ms'";
/// Where a transaction leaves its mark, so that its outcome can be found out by somebody else: one row per connection that writes.
pub const MARKS: &str = "CREATE TABLE IF NOT EXISTS commit_marks (connection TEXT PRIMARY KEY, number BIGINT NOT NULL, \
                         seen TIMESTAMPTZ NOT NULL DEFAULT now())";

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
        /// What it would have left.
        mark: Mark,
        /// What was heard last.
        text: String,
    },
}

/// What a transaction leaves behind if, and only if, it is committed.
#[derive(Debug, Clone)]
pub struct Mark {
    connection: String,
    number: i64,
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

/// A connection to a server that takes writes. It lives on a small runtime of its own, which turns only while somebody waits.
pub struct Connection {
    client: Client,
    news: UnboundedReceiver<()>,
    statements: HashMap<String, Statement>,
    mark: Option<Mark>,
    answer_time: Duration,
    // dropped last: the client's farewell needs it
    runtime: Runtime,
}

impl Connection {
    /// Connects to the first host that takes writes.
    ///
    /// # Errors
    /// `Unavailable` where no host answers.
    pub fn open(hosts: &Hosts) -> Result<Connection, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let mut trouble = StoreError::Unavailable("the database URL names no host".into());
        for config in hosts.each() {
            let hello = async {
                let (client, mut connection) = config.connect(NoTls).await?;
                let (tell, news) = unbounded_channel();
                tokio::spawn(async move {
                    // its end is seen by whoever waits for the client
                    while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await
                    {
                        if matches!(message, AsyncMessage::Notification(_)) {
                            let _ = tell.send(());
                        }
                    }
                });
                client.batch_execute(SETTINGS).await?;
                Ok::<_, tokio_postgres::Error>((client, news))
            };
            match runtime.block_on(async { tokio::time::timeout(HELLO, hello).await }) {
                Ok(Ok((client, news))) => {
                    let statements = HashMap::new();
                    return Ok(Connection { client, news, statements, mark: None, answer_time: ANSWER, runtime });
                }
                Ok(Err(error)) => trouble = StoreError::Unavailable(text(&error)),
                Err(_) => trouble = StoreError::Unavailable("a host does not answer".into()),
            }
        }
        Err(trouble)
    }

    /// Connects for writing: gives the connection its row among the marks, and takes away those of long ago.
    ///
    /// # Errors
    /// `Unavailable` where no host answers.
    pub fn open_for_writing(hosts: &Hosts) -> Result<Connection, StoreError> {
        let mut connection = Connection::open(hosts)?;
        let lost = |lost: Lost| lost.as_error();
        // a sequential scan of a small table would lock all of it against every other serializable transaction
        connection.plain("SET enable_seqscan = off").map_err(lost)?;
        connection.plain(LOCK_BRIEFLY).map_err(lost)?;
        connection.plain("DELETE FROM commit_marks WHERE seen < now() - INTERVAL '2 days'").map_err(lost)?;
        let sql = "INSERT INTO commit_marks (connection, number) VALUES (CAST(gen_random_uuid() AS TEXT), 0) RETURNING connection";
        let rows = connection.query(sql, &[]).map_err(lost)?;
        let name = rows.first().map(|row| row.get(0)).ok_or(StoreError::Defect("no mark was made".into()))?;
        connection.mark = Some(Mark { connection: name, number: 0 });
        Ok(connection)
    }

    /// Lets everything take as long as it takes: for those who wait for other processes.
    pub fn be_patient(&mut self) -> Result<(), Lost> {
        self.answer_time = Duration::from_secs(3600);
        self.plain("SET statement_timeout = 0; SET lock_timeout = 0")
    }

    /// Waits for a notification on a channel that was listened to; false where none came in time.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn wait_for_news(&mut self, patience: Duration) -> Result<bool, Lost> {
        let Connection { runtime, news, .. } = self;
        match runtime.block_on(async { tokio::time::timeout(patience, news.recv()).await }) {
            Ok(Some(())) => Ok(true),
            Ok(None) => Err(Lost::Connection("the connection is gone".into())),
            Err(_) => Ok(false),
        }
    }

    /// Runs a statement of ours that has neither parameters nor rows.
    pub fn plain(&mut self, sql: &str) -> Result<(), Lost> {
        in_time(&self.runtime, self.answer_time, self.client.batch_execute(sql))
    }

    /// Runs a statement and gives its rows.
    pub fn query(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<Vec<Row>, Lost> {
        let statement = self.prepared(sql)?;
        let parameters = sendable(parameters)?;
        in_time(&self.runtime, self.answer_time, self.client.query(&statement, &parameters))
    }

    /// Runs a statement and says how many rows it changed.
    pub fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, Lost> {
        let statement = self.prepared(sql)?;
        let parameters = sendable(parameters)?;
        in_time(&self.runtime, self.answer_time, self.client.execute(&statement, &parameters))
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, Lost> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = in_time(&self.runtime, self.answer_time, self.client.prepare(sql))?;
        if self.statements.len() >= STATEMENTS_KEPT {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Commits changes. They leave a mark in the same transaction; where the connection breaks meanwhile, the error says which.
    ///
    /// Why not the transaction's id: a transaction that was never replicated, or never flushed, has its id given to another one after a
    /// failover or a crash, whose outcome would then be taken for its own.
    pub fn commit_marked(&mut self) -> Result<(), Lost> {
        let Some(Mark { connection, number }) = self.mark.clone() else {
            return Err(Lost::Refused(StoreError::Defect("a connection that only reads commits".into())));
        };
        let mark = Mark { connection, number: number + 1 };
        let sql = "UPDATE commit_marks SET number = $1, seen = now() WHERE connection = $2";
        if self.execute(sql, &[mark.number.into(), mark.connection.as_str().into()])? != 1 {
            return Err(Lost::Connection("the connection's mark is gone".into()));
        }
        self.mark = Some(mark.clone());
        self.plain("COMMIT").map_err(|lost| match lost {
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

    /// Ends whatever transaction there is.
    pub fn rollback(&mut self) -> Result<(), Lost> {
        self.plain("ROLLBACK")
    }
}

/// The parameters as the client takes them. PostgreSQL's text has no NUL: one that holds it is refused here, before the server refuses the
/// transaction for it.
fn sendable<'a>(parameters: &'a [Value<'a>]) -> Result<Vec<&'a (dyn ToSql + Sync)>, Lost> {
    if parameters.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0'))) {
        return Err(Lost::Refused(StoreError::Unstorable));
    }
    Ok(parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect())
}

/// Waits for an answer, but not for ever.
fn in_time<T>(
    runtime: &Runtime,
    time: Duration,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Lost> {
    match runtime.block_on(async { tokio::time::timeout(time, answer).await }) {
        Ok(answer) => answer.map_err(|error| meaning(&error)),
        Err(_) => Err(Lost::Connection("the server does not answer".into())),
    }
}

/// What an error means. Classes of SQLSTATE: PostgreSQL's documentation, appendix A.
fn meaning(error: &tokio_postgres::Error) -> Lost {
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

fn text(error: &tokio_postgres::Error) -> String {
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
