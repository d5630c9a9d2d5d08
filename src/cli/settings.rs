//! The settings as flags: one per row of the table, so that there is nothing to forget.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::config::{self, Loaded, Sources};

/// `--config`, and a flag for every setting.
#[derive(Debug, Args)]
pub(super) struct SettingFlags {
    /// Read settings from this file (TOML). Environment: KILONOVA_CONFIG. Default: kilonova.toml in the data directory
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
}

impl SettingFlags {
    /// The settings in force; what is wrong with them is said on standard error.
    pub(super) fn load(self) -> Result<Loaded, ExitCode> {
        config::load(&Sources::of_process(self.config, self.given.0)).map_err(|errors| {
            for error in errors {
                eprintln!("kilonova: {error}");
            }
            ExitCode::from(super::WRONG_USE)
        })
    }
}

#[derive(Debug)]
struct Given(Vec<(&'static str, String)>);

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Given, clap::Error> {
        let value = |name| Some((name, matches.get_one::<String>(name)?.clone()));
        Ok(Given(config::TABLE.iter().filter_map(|setting| value(setting.name)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Given::from_arg_matches(matches)?.0);
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        config::flags().fold(command, |command, (setting, flag)| {
            let default = match setting.default {
                "" => String::new(),
                default => format!(" [default: {default}]"),
            };
            let help = format!("{}{default}", first_sentence(setting.help));
            let long = format!(
                "{}{default}\n\nAllowed: {}. Environment: {}.",
                setting.help,
                setting.allowed(),
                setting.variable()
            );
            command.arg(
                Arg::new(setting.name)
                    .long(flag)
                    .value_name(setting.placeholder())
                    .allow_negative_numbers(true)
                    .hide_short_help(!setting.prominent)
                    .help_heading("Settings")
                    .help(help)
                    .long_help(long),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Given::augment_args(command)
    }
}

/// Up to the first full stop that ends a sentence, without it, as the style of short help has it.
fn first_sentence(help: &'static str) -> &'static str {
    help.split_once(". ").map_or(help, |(sentence, _)| sentence).trim_end_matches('.')
}
