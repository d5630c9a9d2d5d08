//! The command line: which commands there are, what their help says. What each does is in a file of its own.

mod clouds_yaml;
mod config;
mod db;
mod demo;
mod describe;
mod explain;
mod keys;
mod openrc;
mod policy;
mod progress;
mod publish;
mod serve;
mod settings;
mod start;
mod version;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use serve::Doors;

/// The OpenStack Compute API as one fast binary.
///
/// `kilonova serve` starts a cloud on this machine: Compute, Identity and Image APIs, with all state in one directory.
/// Settings come from flags, the environment (KILONOVA_...) and a file, in this order: `kilonova config sample` explains each.
#[derive(Debug, Parser)]
#[command(name = "kilonova", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server.
    ///
    /// Serves until SIGTERM or SIGINT (Ctrl-C), then finishes the requests in flight and exits with 0; a second signal
    /// ends it at once. Log lines go to standard error; standard output says when the server is ready.
    Serve(serve::Serve),
    /// Show the five metadata operations of the API documents, on a cloud that is gone afterwards.
    Demo(demo::Demo),
    /// Print what a shell needs to find this cloud: `eval "$(kilonova openrc)"`.
    Openrc(openrc::Openrc),
    /// Explain, show or check the settings.
    Config(config::Config),
    /// Print the API as documents, made from the list of all its operations.
    Describe(describe::Describe),
    /// Write down, check, explain or publish the rules of who may do what.
    Policy(policy::Policy),
    /// Rotate the keys that seal tokens.
    Keys(keys::Keys),
    /// Back up, restore, check, export or import the database.
    Db(db::Db),
    /// Say which version this is.
    Version,
}

/// Exit code for a command line or settings that cannot be used.
const WRONG_USE: u8 = 2;

impl Cli {
    /// Does what the command line says. Whatever it writes is for its owner only: much of it is secret, and the umask is the one
    /// word on it that the crates which write files for us listen to as well.
    pub fn run(self) -> ExitCode {
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Demo(demo) => demo.run(),
            Command::Openrc(openrc) => openrc.run(),
            Command::Config(config) => config.run(),
            Command::Describe(describe) => describe.run(),
            Command::Policy(policy) => policy.run(),
            Command::Keys(keys) => keys.run(),
            Command::Db(db) => db.run(),
            Command::Version => version::run(),
        }
    }
}

/// Prints to standard output. A reader that has gone (`kilonova config sample | head`) is no failure.
fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_is_a_flag_of_serve() {
        let mut command = Cli::command();
        let help = command.find_subcommand_mut("serve").expect("there is serve").render_long_help().to_string();
        for setting in crate::config::TABLE {
            assert!(help.contains(&format!("--{} <", setting.flag())), "--{} is not in the help", setting.flag());
        }
    }
}
