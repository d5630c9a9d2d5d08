//! `kilonova describe`: the API as documents.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::api::describe;

#[derive(Debug, Args)]
pub(super) struct Describe {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the OpenAPI 3.1 document of every API this server speaks.
    Openapi,
    /// Print the manual: what every operation does, takes and answers (Markdown).
    Manual,
    /// Print the list of faults: when each status is answered, and by what (Markdown).
    Faults,
}

impl Describe {
    pub(super) fn run(self) -> ExitCode {
        super::print(&match self.what {
            What::Openapi => describe::openapi(),
            What::Manual => describe::manual(),
            What::Faults => describe::faults(),
        });
        ExitCode::SUCCESS
    }
}
