//! `kilonova keys`: the keys that seal tokens.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::db::{Failure, with};
use super::settings::SettingFlags;
use super::start::TOKEN_KEYS;
use crate::config::Settings;
use crate::identity::random::os_random;
use crate::identity::token_keys::TokenKeys;

/// How much longer than a token lives a key is kept: another host may have sealed with it until it had a copy of the next.
const COPY_TIME: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Have another key seal tokens from now on, beside running servers.
    ///
    /// The next key takes the place of the one that seals, and a new next one is made. Tokens stay valid until they expire: a key
    /// is kept for a day longer than any token lives that it has sealed, and removed by a later rotation.
    ///
    /// Several processes: rotate on one host, then copy its token-keys/ to the others before the next rotation. In between each accepts the
    /// tokens of every other. A running server takes changed keys within a few seconds.
    Rotate(Rotate),
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    settings: SettingFlags,
}

impl Keys {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Rotate(rotate) => with(rotate.settings, run_rotate),
        }
    }
}

fn run_rotate(settings: &Settings) -> Result<ExitCode, Failure> {
    let kept_for = Duration::from_secs(settings.token_life_seconds) + COPY_TIME;
    let outlived = SystemTime::now().checked_sub(kept_for).unwrap_or(SystemTime::UNIX_EPOCH);
    let rotated = TokenKeys::rotate(&settings.data_dir.join(TOKEN_KEYS), outlived, &mut os_random)?;
    if rotated.was_interrupted {
        super::print(&format!(
            "An interrupted rotation is finished: key {} seals, and the next one, which was missing, is there. Copy the keys to the other \
             hosts before the next rotation.\n",
            rotated.sealing
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let removed = match rotated.removed.len() {
        0 => String::new(),
        _ => format!(" Removed: {:?}, whose tokens have all expired.", rotated.removed),
    };
    super::print(&format!("Key {} seals from now on.{removed}\n", rotated.sealing));
    Ok(ExitCode::SUCCESS)
}
