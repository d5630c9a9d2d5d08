//! Care of the data: a backup and its way back, a check of all that is known to hold, and the whole content as lines of JSON, by which
//! it also moves from one engine to the other. Not here: what the command line says, and how progress is shown.

pub mod backup;
pub mod check;
pub mod export;
pub mod import;
mod pages;

use std::io;
use std::path::Path;

use super::StoreError;

/// Why it could not be done: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file.
    #[error("{what}: {cause}")]
    File {
        /// Which, or what was done with it.
        what: String,
        /// What the system says.
        cause: io::Error,
    },
    /// It is not what was asked for.
    #[error("{0}")]
    Refused(String),
}

impl CareError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> CareError {
        let what = path.display().to_string();
        move |cause| CareError::File { what, cause }
    }

    fn refused(sentence: impl Into<String>) -> CareError {
        CareError::Refused(sentence.into())
    }
}

/// How far long work has come.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is being done, in a word or two.
    pub what: &'a str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is, where that is known.
    pub total: Option<u64>,
}

/// Whoever is told how far it has come.
pub type Progress<'a> = &'a mut (dyn FnMut(Step<'_>) + Send);
