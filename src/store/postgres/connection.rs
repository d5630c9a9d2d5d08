//! A connection with its prepared statements, and the time its statements may take.
//!
//! The server has limits of its own (`SETTINGS`), but a server that is stopped, or a network that is cut, keeps no limits: so everything
//! that waits here has a deadline of ours as well, after which the connection is given up.

mod marks;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::marks::{MARKS, Mark};
use super::flight::{self, Later};
use super::hosts::{self, Hosts, Seat};
use super::lost::{Lost, meaning, meaning_of_earlier, text};
use crate::store::engine::{StoreError, Value};

/// Statements a connection keeps prepared; beyond it all are prepared anew.
const STATEMENTS_KEPT: usize = 512;
/// As many statements as may wait to be sent with the next.
const LATER_MAX: usize = 32;
/// How long a host may take from the first packet to its greeting.
const HELLO: Duration = Duration::from_secs(2);
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
    /// When whatever is asked is to be answered, or given up, however long an answer may take.
    pub end: Option<Instant>,
    // dropped last: the client's farewell needs it
    runtime: Runtime,
}

impl Connection {
    /// Connects to the first host that takes writes.
    ///
    /// # Errors
    /// `Unavailable` where no host answers.
    pub fn open(hosts: &Hosts) -> Result<Connection, StoreError> {
        Connection::open_by(hosts, None)
    }

    fn open_by(hosts: &Hosts, end: Option<Instant>) -> Result<Connection, StoreError> {
        Connection::open_one(hosts, Needs::Writes, end)
    }

    /// Connects for reading: to the first host that takes writes; where none does, to one that has all there is to be read all the same, which
    /// a standby may not have. By the moment `end`, if there is one.
    ///
    /// # Errors
    /// `Unavailable` where no host answers in time.
    pub fn open_for_reading(hosts: &Hosts, end: Option<Instant>) -> Result<Connection, StoreError> {
        match Connection::open_by(hosts, end) {
            Err(StoreError::Unavailable(why)) if why.contains(TAKES_NO_WRITES) => {
                Connection::open_one(hosts, Needs::Reads, end).map_err(|_| StoreError::Unavailable(why))
            }
            other => other,
        }
    }

    fn open_one(hosts: &Hosts, needs: Needs, end: Option<Instant>) -> Result<Connection, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let connector = hosts.connector()?;
        let mut troubles = Vec::new();
        let from = hosts.seat();
        for (place, config) in hosts.each(from) {
            let time = time_left(end, HELLO);
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

    /// Connects for writing: gives the connection its row among the marks, and takes away those of long ago. By the moment `end`, if there is one.
    ///
    /// # Errors
    /// `Unavailable` where no host answers in time.
    pub fn open_for_writing(hosts: &Hosts, end: Option<Instant>) -> Result<Connection, StoreError> {
        let mut connection = Connection::open_by(hosts, end)?;
        connection.end = end;
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

    /// How long the next answer may take.
    fn time(&self) -> Duration {
        time_left(self.end, self.answer_time)
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

/// So much time, or less where the end comes before.
fn time_left(end: Option<Instant>, time: Duration) -> Duration {
    end.map_or(time, |end| end.saturating_duration_since(Instant::now()).min(time))
}

/// Waits for an answer, but not for ever.
fn in_time<T>(
    runtime: &Runtime,
    time: Duration,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Lost> {
    match runtime.block_on(async { tokio::time::timeout(time, answer).await }) {
        Ok(answer) => answer.map_err(|error| meaning(&error)),
        Err(_) => Err(Lost::Connection("the server does not answer in time".into())),
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
