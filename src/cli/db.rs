//! `kilonova db`: backup, restore, check, export, import. What these do is in `store::care`; here is what is said about it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::progress::ProgressLine;
use super::settings::SettingFlags;
use crate::blobs::Blobs;
use crate::config::{Database, Settings};
use crate::serve::DataDirLock;
use crate::store::care::{backup, check, export, import};
use crate::store::{Purpose, Store};

#[derive(Debug, Args)]
pub(super) struct Db {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Copy the cloud into a new directory, while the server runs.
    ///
    /// The backup has the database as it was at one moment, the data of its images (as hard links, where the file system has them:
    /// give another disk to be safe from this one), the keys of tokens, and the settings and policy files of the data directory.
    /// Whoever can read it can log in. For PostgreSQL use its own tools, or export.
    Backup(Backup),
    /// Make a data directory of a backup.
    ///
    /// The directory must be new or empty. It is whole when it appears, and a failed restore leaves nothing.
    Restore(Restore),
    /// Check that the database is sound and everything in it makes sense; exit code 1 if not.
    ///
    /// A sentence for each thing that is wrong. Nothing is changed; a server may be running.
    Check(Check),
    /// Write the whole content of the database as lines of JSON, as it is at one moment.
    ///
    /// The file has password hashes in it. It does not have image data, which stays in the data directory.
    Export(Export),
    /// Read such lines into an empty database, of either kind.
    ///
    /// To move from the embedded database to PostgreSQL:
    ///
    ///   kilonova db export cloud.jsonl
    ///   kilonova db import cloud.jsonl --database postgres://kilonova@db1,db2/kilonova
    ///
    /// An import that was interrupted goes on where it was when it is run again; until it is finished the database is not served.
    #[command(verbatim_doc_comment)]
    Import(Import),
}

#[derive(Debug, Args)]
struct Backup {
    /// The directory to make
    directory: PathBuf,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Args)]
struct Restore {
    /// The backup
    directory: PathBuf,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Args)]
struct Check {
    /// Read all image data, too, and compare it with its checksums
    #[arg(long)]
    data: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Args)]
struct Export {
    /// The file to make, or - for standard output
    file: PathBuf,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Args)]
struct Import {
    /// The file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    settings: SettingFlags,
}

pub(super) type Failure = Box<dyn std::error::Error>;

impl Db {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Backup(it) => with(it.settings, |settings| run_backup(settings, &it.directory)),
            What::Restore(it) => with(it.settings, |settings| run_restore(settings, &it.directory)),
            What::Check(it) => with(it.settings, |settings| run_check(settings, it.data)),
            What::Export(it) => with(it.settings, |settings| run_export(settings, &it.file)),
            What::Import(it) => with(it.settings, |settings| run_import(settings, &it.file)),
        }
    }
}

pub(super) fn with(flags: SettingFlags, work: impl FnOnce(&Settings) -> Result<ExitCode, Failure>) -> ExitCode {
    let settings = match flags.load() {
        Ok(loaded) => loaded.settings,
        Err(code) => return code,
    };
    work(&settings).unwrap_or_else(|error| {
        eprintln!("kilonova: {error}");
        ExitCode::FAILURE
    })
}

fn must_be_embedded(settings: &Settings) -> Result<(), Failure> {
    match settings.database {
        Database::Embedded => Ok(()),
        Database::Postgres(_) => {
            Err("the database is PostgreSQL, which has tools of its own for this; `kilonova db export` works with both"
                .into())
        }
    }
}

fn run_backup(settings: &Settings, directory: &Path) -> Result<ExitCode, Failure> {
    must_be_embedded(settings)?;
    let mut line = ProgressLine::new();
    let copied = backup::backup(&settings.data_dir, directory, &mut |step| line.step(step))?;
    drop(line);
    tell_missing(&copied);
    super::print(&format!(
        "{} is a backup of {}: the database and the data of {} images.\n",
        directory.display(),
        settings.data_dir.display(),
        copied.images
    ));
    Ok(ExitCode::SUCCESS)
}

fn run_restore(settings: &Settings, directory: &Path) -> Result<ExitCode, Failure> {
    must_be_embedded(settings)?;
    let data_dir = &settings.data_dir;
    if data_dir.join(crate::store::sqlite::FILE).exists() {
        // says, if it is so, that a server is running there
        drop(DataDirLock::acquire(data_dir)?);
    }
    let mut line = ProgressLine::new();
    let copied = backup::restore(directory, data_dir, &mut |step| line.step(step))?;
    drop(line);
    tell_missing(&copied);
    super::print(&format!("{} is restored, with the data of {} images.\n", data_dir.display(), copied.images));
    Ok(ExitCode::SUCCESS)
}

fn tell_missing(copied: &backup::Copied) {
    for key in &copied.missing {
        eprintln!("kilonova: an image names the data {key}, which is not there");
    }
}

fn run_check(settings: &Settings, read_all: bool) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    let findings = runtime.block_on(async {
        let store = open(settings, Purpose::Look).await?;
        let mut line = ProgressLine::new();
        let mut findings =
            check::database(&store, settings.database == Database::Embedded, move |step| line.step(step)).await?;
        let images = settings.data_dir.join("images");
        if images.is_dir() {
            let mut line = ProgressLine::new();
            findings.image_data(&Blobs::local(&images)?, read_all, &mut |step| line.step(step)).await?;
        }
        store.close();
        Ok::<_, Failure>(findings)
    })?;
    let lines: Vec<&str> = findings.wrong.iter().chain(&findings.notes).map(String::as_str).collect();
    super::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    if findings.wrong.is_empty() {
        super::print("The database is sound.\n");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn run_export(settings: &Settings, file: &Path) -> Result<ExitCode, Failure> {
    let to_stdout = file == Path::new("-");
    let beside = file.with_added_extension("unfinished");
    let out: Box<dyn Write + Send> = if to_stdout {
        Box::new(BufWriter::new(io::stdout()))
    } else {
        let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
        Box::new(BufWriter::with_capacity(1 << 20, made.map_err(|cause| format!("{}: {cause}", beside.display()))?))
    };
    let exported = runtime()?.block_on(async {
        let store = open(settings, Purpose::Look).await?;
        let mut line = ProgressLine::new();
        let rows = export::export(&store, out, move |step| line.step(step)).await?;
        store.close();
        Ok::<_, Failure>(rows)
    });
    if !to_stdout {
        match &exported {
            Ok(_) => {
                File::open(&beside).and_then(|file| file.sync_all()).and_then(|()| std::fs::rename(&beside, file))?
            }
            // what there is of it helps nobody
            Err(_) => drop(std::fs::remove_file(&beside)),
        }
    }
    eprintln!("kilonova: {} rows exported", exported?);
    Ok(ExitCode::SUCCESS)
}

fn run_import(settings: &Settings, file: &Path) -> Result<ExitCode, Failure> {
    let (input, bytes): (Box<dyn Read>, _) = if file == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let opened = File::open(file).map_err(|cause| format!("{}: {cause}", file.display()))?;
        let bytes = opened.metadata().map(|metadata| metadata.len()).ok();
        (Box::new(opened), bytes)
    };
    // also where the database is elsewhere: image data belongs to it
    let _lock = DataDirLock::acquire(&settings.data_dir)?;
    let imported = runtime()?.block_on(async {
        let store = open(settings, Purpose::Import).await?;
        let mut line = ProgressLine::of(bytes);
        let input = BufReader::with_capacity(1 << 20, input);
        let imported = import::import(&store, input, &mut |step| line.step(step)).await?;
        store.close();
        Ok::<_, Failure>(imported)
    })?;
    let resumed = match imported.resumed_from {
        0 => String::new(),
        rows => format!(" ({rows} of them in an earlier run)"),
    };
    super::print(&format!("{} rows imported{resumed}.\n", imported.rows));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn open(settings: &Settings, purpose: Purpose) -> Result<Store, Failure> {
    Ok(match &settings.database {
        Database::Embedded => Store::embedded_for(&settings.data_dir, purpose).await?,
        Database::Postgres(url) => Store::postgres_for(url, purpose).await?,
    })
}

pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
