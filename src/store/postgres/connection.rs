//! A connection with its prepared statements, the time its statements may take, and what its errors mean for a transaction.
//!
//! The server has limits of its own (`SETTINGS`), but a server that is stopped, or a network that is cut, keeps no limits: so everything
//! that waits here has a deadline of ours as well, after which the connection is given up.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::flight::{self, Later};
use super::hosts::{self, Hosts, Seat};
use crate::store::engine::{StoreError, Value};

/// Statements a connection keeps prepared; beyond it all are prepared anew.
const STATEMENTS_KEPT: usize = 512;
/// As many statements as may wait to be sent with the next.
const LATER_MAX: usize = 32;
/// How long a host may take from the first packet to its greeting.
const HELLO: Duration = Duration::from_secs(2);
/// How long it may take to find a host and to make ready there, where nobody says.
const OPENING: Duration = Duration::from_secs(30);
/// How long any answer may take; a little longer than the server's own limit, which keeps the connection.
const ANSWER: Duration = Duration::from_secs(5);
/// What every connection promises: bounded statements, no time spent on compiling small ones, and that the server, too, notices when the
/// network is cut, because until then the transaction of the connection that is gone keeps its locks.
const SETTINGS: &str = "SET statement_timeout = '4s'; SET lock_timeout = '4s'; SET jit = off; \
                        SET idle_in_transaction_session_timeout = '10s'; SET tcp_keepalives_idle = 5; \
                        SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3; SET tcp_user_timeout = '4s'";
/// How long a batch waits for a row that another batch has written. Whoever waits to the end must run again all the same, because the row
/// has changed; and two batches that wait for each other would be told so by the server after a second only.
const LOCK_BRIEFLY: &str = "SET lock_timeout = '20ms'";
/// How long a batch may say nothing in the middle of its transaction, which it never does of its own accord: whoever is lost without a word
/// then keeps its locks no longer. On our side it would be a lost connection, and the batch is run again.
const SILENT_BRIEFLY: &str = "SET idle_in_transaction_session_timeout = '3s'";
/// Where a transaction leaves its mark, so that its outcome can be found out by somebody else: one row per connection that writes. Pages are
/// left nearly empty, so that new versions of a row fit beside the old: then no index is written, at whose page connections would meet.
pub const MARKS: &str = "CREATE TABLE IF NOT EXISTS commit_marks (connection TEXT PRIMARY KEY, number BIGINT NOT NULL, \
                         seen TIMESTAMPTZ NOT NULL DEFAULT now()) WITH (fillfactor = 10)";
/// Leaves a mark. Where there is no row to leave it in it fails, by a division, and with it the transaction.
const MARK: &str = "WITH marked AS (UPDATE commit_marks SET number = $1, seen = now() WHERE connection = $2 RETURNING 1) \
                    SELECT 1 / count(*) FROM marked";

/// What the client says of a host that a connection for writing was asked of, and that is read-only.
const TAKES_NO_WRITES: &str = "does not allow writes";
/// Fails, by a division, on a standby: what it says may be old.
const NO_STANDBY: &str = "SELECT 1 / (CASE WHEN pg_is_in_recovery() THEN 0 ELSE 1 END)";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Writes,
    Reads,
}

/// Why a transaction cannot go on.
#[derive(Debug, Clone)]
pub enum Lost {
    /// Another transaction was in the way: all of it may be run again.
    Conflict(String),
    /// The statement was refused; the connection is fine.
    Refused(StoreError),
    /// A statement before it, which had not been waited for, was refused; the connection is fine.
    Earlier(StoreError),
    /// A script has to be undone, and those before it in the transaction with it.
    Undone,
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
            Lost::Refused(error) | Lost::Earlier(error) => error.clone(),
            Lost::Undone => StoreError::Defect("a script was to be undone".into()),
            Lost::Connection(text) | Lost::Commit { text, .. } => StoreError::Unavailable(text.clone()),
        }
    }
}

/// A connection to a server that takes writes, or has at least all there is to be read. It lives on a small runtime of its own, which turns only while somebody waits.
pub struct Connection {
    /// Where the process was when it was made.
    pub seat: Seat,
    client: Client,
    news: UnboundedReceiver<String>,
    statements: HashMap<String, Statement>,
    later: Vec<Later>,
    mark: Option<Mark>,
    answer_time: Duration,
    /// When the last answer must be there, however long any may take.
    end: Option<Instant>,
    // dropped last: the client's farewell needs it
    runtime: Runtime,
}

impl Connection {
    /// Connects to the first host that takes writes.
    ///
    /// # Errors
    /// `Unavailable` where no host answers.
    pub fn open(hosts: &Hosts) -> Result<Connection, StoreError> {
        Connection::open_by(hosts, Instant::now() + OPENING)
    }

    fn open_by(hosts: &Hosts, end: Instant) -> Result<Connection, StoreError> {
        Connection::open_one(hosts, Needs::Writes, end)
    }

    /// Connects for reading: to the first host that takes writes; where none does, to one that has all there is to be read all the same, which
    /// a standby may not have. By the moment `end`.
    ///
    /// # Errors
    /// `Unavailable` where no host answers in time.
    pub fn open_for_reading(hosts: &Hosts, end: Instant) -> Result<Connection, StoreError> {
        match Connection::open_by(hosts, end) {
            Err(StoreError::Unavailable(why)) if why.contains(TAKES_NO_WRITES) => {
                Connection::open_one(hosts, Needs::Reads, end).map_err(|_| StoreError::Unavailable(why))
            }
            other => other,
        }
    }

    fn open_one(hosts: &Hosts, needs: Needs, end: Instant) -> Result<Connection, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let connector = hosts.connector()?;
        let mut troubles = Vec::new();
        let from = hosts.seat();
        for (place, config) in hosts.each(from) {
            let time = HELLO.min(end.saturating_duration_since(Instant::now()));
            if time.is_zero() {
                troubles.push("no time is left to try another host".into());
                break;
            }
            let hello = greeting(config, connector.clone(), needs);
            match runtime.block_on(async { tokio::time::timeout(time, hello).await }) {
                Ok(Ok((client, news))) => {
                    let Some(seat) = hosts.take(from, place) else {
                        troubles.push("everybody has moved to another host meanwhile".into());
                        break;
                    };
                    let (statements, later) = (HashMap::new(), Vec::new());
                    return Ok(Connection {
                        seat,
                        client,
                        news,
                        statements,
                        later,
                        mark: None,
                        answer_time: ANSWER,
                        end: None,
                        runtime,
                    });
                }
                Ok(Err(error)) => troubles.push(format!("{}: {}", hosts::name(config), text(&error))),
                Err(_) => troubles.push(format!("{}: it does not answer", hosts::name(config))),
            }
        }
        if troubles.is_empty() {
            troubles.push("the database URL names no host".into());
        }
        // a name may still be looked up, by a system that does not give up as early as we do
        runtime.shutdown_background();
        Err(StoreError::Unavailable(troubles.join("; ")))
    }

    /// Connects for writing: gives the connection its row among the marks, and takes away those of long ago. By the moment `end`.
    ///
    /// # Errors
    /// `Unavailable` where no host answers in time.
    pub fn open_for_writing(hosts: &Hosts, end: Instant) -> Result<Connection, StoreError> {
        let mut connection = Connection::open_by(hosts, end)?;
        connection.end_by(end);
        let lost = |lost: Lost| lost.as_error();
        // another may be at it, and they can wait
        let _ = connection.plain("DELETE FROM commit_marks WHERE seen < now() - INTERVAL '2 days'");
        // a sequential scan of a small table would lock all of it against every other serializable transaction
        connection.plain("SET enable_seqscan = off").map_err(lost)?;
        connection.plain(LOCK_BRIEFLY).map_err(lost)?;
        connection.plain(SILENT_BRIEFLY).map_err(lost)?;
        connection.leave_marks().map_err(lost)?;
        Ok(connection)
    }

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

    /// Has whatever is asked from now on be answered by this moment, or be given up.
    pub fn end_by(&mut self, end: Instant) {
        self.end = Some(end);
    }

    /// How long the next answer may take.
    fn time(&self) -> Duration {
        let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        left.map_or(self.answer_time, |left| left.min(self.answer_time))
    }

    /// Lets everything take as long as it takes: for those who wait for other processes, or change all there is.
    pub fn be_patient(&mut self) -> Result<(), Lost> {
        self.answer_time = Duration::from_secs(24 * 3600);
        self.plain("SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0")
    }

    /// Waits for a notification on a channel that was listened to, and names the channel; none where none came in time.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn wait_for_news(&mut self, patience: Duration) -> Result<Option<String>, Lost> {
        let Connection { runtime, news, .. } = self;
        match runtime.block_on(async { tokio::time::timeout(patience, news.recv()).await }) {
            Ok(Some(channel)) => Ok(Some(channel)),
            Ok(None) => Err(Lost::Connection("the connection is gone".into())),
            Err(_) => Ok(None),
        }
    }

    /// Runs a statement of ours that has neither parameters nor rows.
    pub fn plain(&mut self, sql: &str) -> Result<(), Lost> {
        self.later(sql);
        self.send_later()
    }

    /// Has such a statement run before the next.
    pub fn later(&mut self, sql: &str) {
        self.later.push(Later::Plain(sql.to_owned()));
    }

    /// Runs a statement and gives its rows.
    pub fn query(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<Vec<Row>, Lost> {
        let statement = self.prepared(sql)?;
        let parameters = sendable(&statement, parameters)?;
        let parameters: Vec<_> = parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.after_earlier(async |client| client.query(&statement, &parameters).await)
    }

    /// Runs a statement and says how many rows it changed.
    pub fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, Lost> {
        let statement = self.prepared(sql)?;
        let parameters = sendable(&statement, parameters)?;
        let parameters: Vec<_> = parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.after_earlier(async |client| client.execute(&statement, &parameters).await)
    }

    /// Has a statement run before the next.
    pub fn change(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<(), Lost> {
        let statement = self.prepared(sql)?;
        let parameters = sendable(&statement, parameters)?.iter().map(|value| (*value).into()).collect();
        self.later.push(Later::Prepared(statement, parameters));
        if self.later.len() >= LATER_MAX { self.send_later() } else { Ok(()) }
    }

    /// Sends what waits, and then this, without waiting in between.
    fn after_earlier<T>(
        &mut self,
        ask: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Lost> {
        let later = std::mem::take(&mut self.later);
        let client = &self.client;
        let flight = async {
            let (earlier, answer) = tokio::join!(biased; flight::send_all(client, &later), ask(client));
            Ok((earlier, answer))
        };
        let (earlier, answer) = in_time(&self.runtime, self.time(), flight)?;
        earlier.map_err(|error| meaning_of_earlier(&error))?;
        answer.map_err(|error| meaning(&error))
    }

    fn send_later(&mut self) -> Result<(), Lost> {
        let later = std::mem::take(&mut self.later);
        let flight = async { Ok(flight::send_all(&self.client, &later).await) };
        let answer = in_time(&self.runtime, self.time(), flight)?;
        answer.map_err(|error| meaning_of_earlier(&error))
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, Lost> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = in_time(&self.runtime, self.time(), self.client.prepare(sql))?;
        if self.statements.len() >= STATEMENTS_KEPT {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
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

    /// Ends whatever transaction there is.
    pub fn rollback(&mut self) -> Result<(), Lost> {
        // what was not sent need not be undone, such as a transaction that is still to begin
        let first = self.later.drain(..).next();
        if matches!(first, Some(Later::Plain(sql)) if sql.starts_with("BEGIN")) {
            Ok(())
        } else {
            self.plain("ROLLBACK")
        }
    }

    /// Undoes what was changed since the last savepoint.
    pub fn undo_to_savepoint(&mut self) -> Result<(), Lost> {
        self.later.clear();
        self.plain("ROLLBACK TO SAVEPOINT script")
    }
}

/// The parameters, if they can be sent: PostgreSQL's text has no NUL, and a number must fit where it belongs. Refused here, before the server
/// refuses the transaction for it; and before others are sent whose commit would not know that this one was not.
fn sendable<'a, 'b>(statement: &Statement, parameters: &'a [Value<'b>]) -> Result<&'a [Value<'b>], Lost> {
    for (value, kind) in parameters.iter().zip(statement.params()) {
        match value {
            Value::Text(text) if text.contains('\0') => return Err(Lost::Refused(StoreError::Unstorable)),
            Value::Int(number) if *kind == Type::INT4 && i32::try_from(*number).is_err() => {
                return Err(Lost::Refused(StoreError::Defect(format!("{number} is too large for a parameter"))));
            }
            Value::Null | Value::Int(_) | Value::Text(_) => {}
        }
    }
    Ok(parameters)
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

/// What the error of a statement means for the one that was sent behind it.
fn meaning_of_earlier(error: &tokio_postgres::Error) -> Lost {
    match meaning(error) {
        Lost::Refused(error) => Lost::Earlier(error),
        lost => lost,
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
    // by `MARK`: nothing else divides
    if *state == SqlState::DIVISION_BY_ZERO {
        return Lost::Connection("the connection's mark is gone".into());
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

/// Connects to one host, and hears whether it is what is needed.
async fn greeting(
    config: &Config,
    connector: MakeRustlsConnect,
    needs: Needs,
) -> Result<(Client, UnboundedReceiver<String>), tokio_postgres::Error> {
    let for_reading = hosts::for_reading(config);
    let config = if needs == Needs::Reads { &for_reading } else { config };
    let (client, mut connection) = config.connect(connector).await?;
    let (tell, news) = unbounded_channel();
    tokio::spawn(async move {
        // its end is seen by whoever waits for the client
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = tell.send(notification.channel().to_owned());
            }
        }
    });
    client.batch_execute(SETTINGS).await?;
    if needs == Needs::Reads {
        client.batch_execute(NO_STANDBY).await?;
    }
    Ok((client, news))
}

fn text(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(inner), _) => format!("{} ({})", inner.message(), inner.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
