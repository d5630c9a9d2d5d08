//! `kilonova policy`: the rules of who may do what, written down and checked. How they are explained is in `explain`, and how they are
//! published in `publish`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::settings::SettingFlags;
use super::{explain, publish};
use crate::api::table;
use crate::config::{self, Settings};
use crate::policy::file::{FileError, Overrides, Place, PolicyFiles};

#[derive(Debug, Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print every rule with its default and what it guards, commented out.
    ///
    /// `kilonova policy sample > DATA_DIR/policy.yaml` is a good start: it changes nothing until a `#` is taken away.
    Sample,
    /// Check the policy files: print what is wrong with them, and where; exit code 1 if something is.
    ///
    /// Found are: files that cannot be read, checks that cannot be parsed (they deny everybody), references to rules that
    /// do not exist, circles of references, and rules that nothing asks, which are usually misspelt.
    Check(Check),
    /// Say why somebody may do something, or may not; exit code 0 if they may, 1 if not.
    ///
    /// Prints the rule as a tree: each check, what it came to, and what was compared. RULE is the name of a rule, or a request:
    ///
    ///   kilonova policy explain os_compute_api:server-metadata:update --role reader
    ///   kilonova policy explain "PUT /v2.1/servers/ID/metadata/KEY" --role member --project blue --target-project green
    ///   kilonova policy explain os_compute_api:server-metadata:index --role auditor --file new-policy.yaml
    ///
    /// Asked are the rules that a server on these settings obeys: the defaults, over them the policy that is published in the
    /// database, over that the policy files of this host. The first line of the answer says which of these there are.
    #[command(verbatim_doc_comment)]
    Explain(explain::Explain),
    /// Put a policy in force in every server process of the database, without a restart.
    ///
    /// The file is checked as `policy check FILE` does, and refused if something is wrong with it. It takes the place of what was
    /// published before. The policy files of a host count over it there, rule by rule; what it does not name keeps its default.
    ///
    /// On PostgreSQL the processes hear of it at once. The embedded database belongs to one process: while that runs, write its
    /// policy.yaml instead.
    Publish(publish::Publish),
    /// Print the published policy as it was given; exit code 1 if there is none.
    Published(publish::Published),
    /// Take the published policy out of force in every server process: the policy files and the defaults remain.
    Withdraw(publish::Withdraw),
}

#[derive(Debug, Args)]
struct Check {
    /// Check this file alone. Default: the policy files of the settings
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Policy {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Publish(publish) => publish.run(),
            What::Published(published) => published.run(),
            What::Withdraw(withdraw) => withdraw.run(),
            What::Sample => {
                super::print(&table::sample_policy());
                ExitCode::SUCCESS
            }
            What::Check(check) => match check.settings.load() {
                Ok(loaded) => run_check(&loaded.settings, check.file),
                Err(code) => code,
            },
            What::Explain(explain) => explain.run(),
        }
    }
}

/// The files to read: one alone, or those of the settings.
pub(super) fn files(settings: &Settings, alone: Option<PathBuf>) -> PolicyFiles {
    match alone {
        Some(policy_file) => PolicyFiles { policy_file, ..PolicyFiles::default() },
        None => table::policy_files(&settings.data_dir, settings),
    }
}

/// Says so where there is no such file.
pub(super) fn must_exist(path: &Path) -> Result<(), ExitCode> {
    if path.exists() {
        return Ok(());
    }
    eprintln!("kilonova: there is no file {}", path.display());
    Err(ExitCode::from(super::WRONG_USE))
}

fn run_check(settings: &Settings, file: Option<PathBuf>) -> ExitCode {
    if let Some(Err(code)) = file.as_deref().map(must_exist) {
        return code;
    }
    match problems(&files(settings, file), settings) {
        Ok(problems) if problems.is_empty() => {
            super::print("The policy is sound.\n");
            ExitCode::SUCCESS
        }
        Ok(problems) => {
            super::print(&(problems.join("\n") + "\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            super::print(&format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// What is wrong with the rules of the files, each with its place.
fn problems(files: &PolicyFiles, settings: &Settings) -> Result<Vec<String>, FileError> {
    let mut problems = problems_of(files.load()?, &files.places()?, settings);
    if let Some(json) = files.fallback_file.as_ref().filter(|json| json.exists() && files.policy_file.exists()) {
        problems.push(format!("{}: not read, since there is {}", json.display(), files.policy_file.display()));
    }
    Ok(problems)
}

/// What is wrong with these rules, over the defaults of the code.
pub(super) fn problems_of(overrides: Overrides, places: &HashMap<String, Place>, settings: &Settings) -> Vec<String> {
    let rules = table::joined(overrides, settings);
    let told = |rule: &str, sentence: &str| match places.get(rule) {
        Some(place) => format!("{place}: rule \"{rule}\": {sentence}"),
        None => format!("rule \"{rule}\": {sentence}"),
    };
    let mut problems: Vec<String> =
        rules.problems().iter().map(|problem| told(&problem.rule, &problem.sentence)).collect();
    let known: Vec<&str> = table::defaults().iter().map(|default| default.name).collect();
    let asked = |name: &str| known.contains(&name) || name == settings.policy_default_rule;
    for name in rules.unasked(asked) {
        let nearest = nearest(name, known.iter().copied());
        problems.push(told(name, &format!("nothing asks for it; the nearest that is asked is \"{nearest}\"")));
    }
    problems
}

pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known.min_by_key(|known| config::distance(known, name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &str = "os_compute_api:server-metadata:update";

    #[test]
    fn each_problem_has_its_file_and_line() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("p.yaml");
        let content = format!("a: role:x role:y\n\"{UPDATE}\": rule:mine\nmine: rule:gone\n");
        std::fs::write(&path, content).expect("a written file");
        let files = PolicyFiles { policy_file: path.clone(), ..PolicyFiles::default() };
        let sources = config::Sources { flags: vec![("data_dir", "/none".to_owned())], ..config::Sources::default() };
        let settings = config::load(&sources).expect("defaults").settings;
        let found = problems(&files, &settings).expect("a readable file");
        let starts = |line: u64, rule: &str| format!("{}:{line}: rule \"{rule}\": ", path.display());
        for (line, rule) in [(1, "a"), (3, "mine")] {
            assert!(found.iter().any(|problem| problem.starts_with(&starts(line, rule))), "{found:?}");
        }
        assert_eq!(found.iter().filter(|problem| problem.contains("nothing asks for it")).count(), 1, "{found:?}");
    }

    #[test]
    fn the_sample_has_no_problems() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("p.yaml");
        std::fs::write(&path, table::sample_policy().replace("\n#\"", "\n\"")).expect("a written file");
        let sources = config::Sources { flags: vec![("data_dir", "/none".to_owned())], ..config::Sources::default() };
        let settings = config::load(&sources).expect("defaults").settings;
        let files = PolicyFiles { policy_file: path, ..PolicyFiles::default() };
        assert_eq!(problems(&files, &settings).expect("a readable file"), Vec::<String>::new());
    }
}
