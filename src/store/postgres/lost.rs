//! Why a transaction cannot go on, as PostgreSQL's errors tell it.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::connection::Mark;
use crate::store::engine::StoreError;

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

/// What the error of a statement means for the one that was sent behind it.
pub fn meaning_of_earlier(error: &Error) -> Lost {
    match meaning(error) {
        Lost::Refused(error) => Lost::Earlier(error),
        lost => lost,
    }
}

/// What an error means. Classes of SQLSTATE: PostgreSQL's documentation, appendix A.
pub fn meaning(error: &Error) -> Lost {
    let text = text(error);
    let Some(state) = error.code() else { return Lost::Connection(text) };
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE]
        .contains(state)
    {
        return Lost::Conflict(text);
    }
    // by a mark that is not there: nothing else divides in a transaction
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

/// Its words, with the code, or its cause.
pub fn text(error: &Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(inner), _) => format!("{} ({})", inner.message(), inner.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
