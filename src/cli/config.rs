//! `kilonova config`: the settings explained, shown, checked.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::settings::SettingFlags;

#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a documented settings file, everything at its default.
    ///
    /// `kilonova config sample > kilonova.toml` is a good start.
    Sample,
    /// Print the settings in force, and where each comes from; passwords are masked.
    Show(SettingFlags),
    /// Check the settings, print nothing but what is wrong with them; exit code 2 if something is.
    Check(SettingFlags),
}

impl Config {
    pub(super) fn run(self) -> ExitCode {
        let done = match self.what {
            What::Sample => {
                super::print(&crate::config::sample());
                Ok(())
            }
            What::Show(flags) => flags.load().map(|loaded| super::print(&loaded.show())),
            What::Check(flags) => flags.load().map(|loaded| {
                for name in loaded.unknown_environment {
                    eprintln!("kilonova: the environment variable {name} sets nothing");
                }
            }),
        };
        done.map_or_else(|code| code, |()| ExitCode::SUCCESS)
    }
}
