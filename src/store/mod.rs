//! What must not be forgotten. `Store` runs transaction scripts on an engine and gives back what they answer; the SQL of each
//! resource is in a file of its own, written once for all engines. Nothing here knows HTTP, or decides anything.

pub mod boot;
pub mod care;
pub mod engine;
pub mod flavors;
pub mod identity;
pub mod identity_admin;
pub mod images;
pub mod items;
pub mod key_pairs;
pub mod migrate;
pub mod policies;
pub mod postgres;
pub mod quotas;
pub mod schema;
pub mod server_details;
pub mod servers;
pub mod snapshots;
pub mod sqlite;
pub mod tasks;
mod turns;
pub mod uploads;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

pub use engine::{Effect, Row, StoreError, Tx, Value};
use engine::{Engine, Script, Verdict};
pub use migrate::Purpose;

use crate::backlog::Share;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    /// On whose behalf its scripts wait.
    share: Share,
}

impl Store {
    /// Opens the embedded database in a directory and brings its schema up to date.
    ///
    /// # Errors
    /// Where the file cannot be opened, or was written by a newer release.
    pub async fn embedded(directory: &Path) -> Result<Store, StoreError> {
        Store::embedded_for(directory, Purpose::Serve).await
    }

    /// Opens the embedded database in a directory for a purpose.
    ///
    /// # Errors
    /// Where the file cannot be opened, or is not one for this purpose.
    pub async fn embedded_for(directory: &Path, purpose: Purpose) -> Result<Store, StoreError> {
        let path = directory.join(sqlite::FILE);
        if matches!(purpose, Purpose::Look | Purpose::Change) && !path.exists() {
            return Err(StoreError::Unavailable(format!("there is no {}", path.display())));
        }
        let engine = match purpose {
            Purpose::Look => sqlite::Sqlite::open_beside(&path)?,
            Purpose::Serve | Purpose::Import | Purpose::Change => sqlite::Sqlite::open(&path)?,
        };
        Store::prepared(Arc::new(engine), purpose).await
    }

    /// Keeps everything on this engine, whose schema is brought up to date first: for the embedded database, or from the same step.
    ///
    /// # Errors
    /// What the engine could not do, or a schema written by a newer release.
    pub async fn on(engine: Arc<dyn Engine>) -> Result<Store, StoreError> {
        Store::prepared(engine, Purpose::Serve).await
    }

    /// Connects to PostgreSQL and brings the schema up to date. Processes that start at once do it one after the other.
    ///
    /// # Errors
    /// Where no server answers, or the database was written by a newer release.
    pub async fn postgres(url: &str) -> Result<Store, StoreError> {
        Store::postgres_for(url, Purpose::Serve).await
    }

    /// Connects to PostgreSQL for a purpose.
    ///
    /// # Errors
    /// Where no server answers, or the database is not one for this purpose.
    pub async fn postgres_for(url: &str, purpose: Purpose) -> Result<Store, StoreError> {
        let url = url.to_owned();
        let script = move |tx: &mut dyn Tx| migrate::prepare(tx, purpose, migrate::with_collation);
        let (waiting, answer) = waiting(Share::OWN, script);
        let opening = tokio::task::spawn_blocking(move || {
            let turn = (purpose == Purpose::Serve).then_some(postgres::TURN);
            let engine = postgres::Postgres::open(&url, turn)?;
            match purpose {
                Purpose::Serve | Purpose::Import => postgres::write_alone(&url, waiting)?,
                Purpose::Look | Purpose::Change => engine.read(waiting),
            }
            Ok::<_, StoreError>(engine)
        });
        let engine = opening.await.map_err(|error| StoreError::Defect(error.to_string()))??;
        answer.await.map_err(|_| StoreError::Defect("a script was dropped".into()))??;
        Ok(Store { engine: Arc::new(engine), share: Share::OWN })
    }

    async fn prepared(engine: Arc<dyn Engine>, purpose: Purpose) -> Result<Store, StoreError> {
        let store = Store { engine, share: Share::OWN };
        let script = move |tx: &mut dyn Tx| migrate::prepare(tx, purpose, migrate::with_row_numbers);
        match purpose {
            Purpose::Serve | Purpose::Import => store.write(script).await?,
            Purpose::Look | Purpose::Change => store.read(script).await?,
        }
        Ok(store)
    }

    /// The same database; what is asked of this one waits on somebody's behalf, and has its part of the places.
    #[must_use]
    pub fn on_behalf_of(&self, share: Share) -> Store {
        Store { share, ..self.clone() }
    }

    /// Runs a script that only reads, against one consistent state.
    ///
    /// # Errors
    /// What the script answers, or what the engine could not do.
    pub async fn read<T, E>(&self, script: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (waiting, answer) = waiting(self.share, script);
        self.engine.read(waiting);
        answer.await.unwrap_or_else(|_| Err(StoreError::Defect("a read was dropped".into()).into()))
    }

    /// Runs a script in a serializable transaction, from the start as often as the engine asks for it; comes back when its
    /// changes are durable. Where the script answers an error nothing of it is kept.
    ///
    /// # Errors
    /// What the script answers, or what the engine could not do.
    pub async fn write<T, E>(&self, script: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (waiting, answer) = waiting(self.share, script);
        self.engine.write(waiting);
        answer.await.unwrap_or_else(|_| Err(StoreError::Defect("a write was dropped".into()).into()))
    }

    /// Names whoever is to hear of what commits announce. Called once at start-up.
    pub fn on_effect(&self, listener: impl Fn(Effect) + Send + Sync + 'static) {
        self.engine.on_effect(Box::new(listener));
    }

    /// Finishes the writes already accepted and takes no more.
    pub fn close(&self) {
        self.engine.close();
    }
}

/// A script, what it answered last, and who waits for it.
struct Waiting<F, T, E> {
    script: F,
    share: Share,
    answer: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

type Answer<T, E> = oneshot::Receiver<Result<T, E>>;

fn waiting<F, T, E>(share: Share, script: F) -> (Box<dyn Script>, Answer<T, E>)
where
    F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Waiting { script, share, answer: None, reply }), answer)
}

impl<F, T, E> Script for Waiting<F, T, E>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        let answer = (self.script)(tx);
        let verdict = if answer.is_ok() { Verdict::Commit } else { Verdict::Undo };
        self.answer = Some(answer);
        verdict
    }

    fn share(&self) -> Share {
        self.share
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let answer = match (outcome, self.answer) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(answer)) => answer,
            (Ok(()), None) => Err(StoreError::Defect("an engine that commits has run the script".into()).into()),
        };
        // whoever has stopped waiting does not hear; the commit stands
        let _ = self.reply.send(answer);
    }
}

/// That what lies in a column is not what we have written. Not what it is: user data, extra members and metadata hold secrets of
/// users, and this is for the log.
fn malformed(what: &str, text: &str) -> StoreError {
    StoreError::Damaged(format!("{what}: {} bytes are not what was written", text.len()))
}

/// A column that holds one of our own types as text.
///
/// # Errors
/// `Damaged` where it does not.
pub fn parsed<T: std::str::FromStr>(row: &dyn Row, column: usize) -> Result<T, StoreError> {
    let text = row.text(column)?;
    text.parse().map_err(|_| malformed(&format!("column {column}"), text))
}

/// As `parsed`, for a column that may be NULL.
///
/// # Errors
/// `Damaged` where it holds something else.
pub fn parsed_or_null<T: std::str::FromStr>(row: &dyn Row, column: usize) -> Result<Option<T>, StoreError> {
    if row.is_null(column) { Ok(None) } else { parsed(row, column).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OneText(&'static str);

    impl Row for OneText {
        fn int(&self, column: usize) -> Result<i64, StoreError> {
            Err(StoreError::Damaged(format!("column {column} is text")))
        }

        fn text(&self, _: usize) -> Result<&str, StoreError> {
            Ok(self.0)
        }

        fn is_null(&self, _: usize) -> bool {
            false
        }
    }

    #[test]
    fn what_a_damaged_column_holds_is_not_told() {
        let error = parsed::<u8>(&OneText("hunter2"), 3).expect_err("no number").to_string();
        assert!(error.contains("column 3") && error.contains("7 bytes") && !error.contains("hunter2"), "{error}");
    }
}
