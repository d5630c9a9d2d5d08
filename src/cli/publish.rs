//! `kilonova policy publish`, `published`, `withdraw`: the policy that holds for all processes of a database.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::db::{Failure, open, runtime, with};
use super::policy::{must_exist, problems_of};
use super::settings::SettingFlags;
use super::start::now;
use crate::config::{Database, Settings};
use crate::policy::file;
use crate::policy::live::{Edition, PUBLISHED_BYTES_MAX};
use crate::serve::{DataDirError, DataDirLock};
use crate::store::{Purpose, StoreError, Tx, policies};

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The policy, as YAML or JSON
    file: PathBuf,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Args)]
pub(super) struct Published {
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Args)]
pub(super) struct Withdraw {
    #[command(flatten)]
    settings: SettingFlags,
}

impl Publish {
    pub(super) fn run(self) -> ExitCode {
        match must_exist(&self.file) {
            Ok(()) => with(self.settings, |settings| run_publish(settings, &self.file)),
            Err(code) => code,
        }
    }
}

impl Published {
    pub(super) fn run(self) -> ExitCode {
        with(self.settings, run_published)
    }
}

impl Withdraw {
    pub(super) fn run(self) -> ExitCode {
        with(self.settings, run_withdraw)
    }
}

fn run_publish(settings: &Settings, path: &Path) -> Result<ExitCode, Failure> {
    // what is checked is what is stored, whatever becomes of the file meanwhile
    let text = file::read(path)?.unwrap_or_default();
    if text.len() > PUBLISHED_BYTES_MAX {
        return Err(format!(
            "{}: is longer than {PUBLISHED_BYTES_MAX} bytes, which is the most that can be published",
            path.display()
        )
        .into());
    }
    let overrides = file::parse_file(path, &text)?;
    let is_empty = overrides.is_empty();
    let problems = problems_of(overrides, &file::places_in(path, &text).collect(), settings);
    if !problems.is_empty() {
        super::print(&(problems.join("\n") + "\n"));
        return Err("nothing was published".into());
    }
    if is_empty {
        return Err(format!(
            "{}: has no rules; `kilonova policy withdraw` takes a published policy out of force",
            path.display()
        )
        .into());
    }
    let revision = stored(settings, text)?;
    super::print(&format!(
        "Revision {revision} is published: it is in force in every server process in about a second.\n"
    ));
    Ok(ExitCode::SUCCESS)
}

fn run_published(settings: &Settings) -> Result<ExitCode, Failure> {
    let newest = runtime()?.block_on(async {
        let store = open(settings, Purpose::Look).await?;
        let newest = store.read(policies::newest).await?;
        store.close();
        Ok::<_, Failure>(newest)
    })?;
    match newest.filter(|published| !published.text.is_empty()) {
        Some(published) => {
            let Edition { revision, published_at } = published.edition;
            eprintln!("kilonova: revision {revision}, published at {published_at}");
            super::print(&published.text);
            Ok(ExitCode::SUCCESS)
        }
        None => Err("no policy is published".into()),
    }
}

fn run_withdraw(settings: &Settings) -> Result<ExitCode, Failure> {
    let revision = stored(settings, String::new())?;
    super::print(&format!("Revision {revision} withdraws what was published: policy files and defaults remain.\n"));
    Ok(ExitCode::SUCCESS)
}

/// Stores it, and gives its revision.
fn stored(settings: &Settings, text: String) -> Result<i64, Failure> {
    let _lock = alone_on_the_embedded(settings)?;
    runtime()?.block_on(async {
        let store = open(settings, Purpose::Change).await?;
        let at = now();
        let script = move |tx: &mut dyn Tx| policies::publish(tx, &text, at);
        let revision = store.write::<_, StoreError>(script).await?;
        store.close();
        Ok(revision)
    })
}

/// A process on the embedded database counts on being the only one that writes to it.
fn alone_on_the_embedded(settings: &Settings) -> Result<Option<DataDirLock>, Failure> {
    if settings.database != Database::Embedded {
        return Ok(None);
    }
    match DataDirLock::acquire(&settings.data_dir) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ DataDirError::InUse { .. }) => Err(format!(
            "{error}. The embedded database has one process, which reads {} within a second of a change: write the rules there",
            settings.data_dir.join("policy.yaml").display()
        )
        .into()),
        Err(error) => Err(error.into()),
    }
}
