//! Where values come from: flags, environment, file; and a value as it was given, before anybody looked at it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::ConfigError;

/// What settings are read from. Everything that varies is in here, so that tests need no process of their own.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file given with `--config`.
    pub config: Option<PathBuf>,
    /// Flags: the name of the setting and its value.
    pub flags: Vec<(&'static str, String)>,
    /// The environment.
    pub environment: Vec<(String, String)>,
}

impl Sources {
    /// These flags, and the environment of this process (variables that are not UTF-8 are left out).
    pub fn of_process(config: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Sources {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Sources { config, flags, environment }
    }

    pub(super) fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// A variable; one that is set to nothing counts as not set, as in the XDG rules.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn config_file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| self.variable("KILONOVA_CONFIG").map(PathBuf::from))
    }

    pub(super) fn default_data_dir(&self) -> Option<String> {
        let absolute = self.variable("XDG_DATA_HOME").filter(|dir| dir.starts_with('/'));
        match absolute {
            Some(dir) => Some(format!("{dir}/kilonova")),
            None => Some(format!("{}/.local/share/kilonova", self.variable("HOME")?)),
        }
    }

    pub(super) fn unknown_environment(&self) -> Vec<String> {
        let known = |name: &str| name == "KILONOVA_CONFIG" || super::TABLE.iter().any(|s| s.variable() == name);
        let names = self.environment.iter().map(|(name, _)| name);
        names.filter(|name| name.starts_with("KILONOVA_") && !known(name)).cloned().collect()
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Nobody has set it.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
    /// A flag, by name.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "in {}", path.display()),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// A value as given. Text from flags and environment may mean any type; a file says which type it means.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Text(String),
    Toml(toml::Value),
}

impl Given {
    /// The value as a person would type it.
    pub(super) fn text(&self) -> String {
        match self {
            Given::Text(text) | Given::Toml(toml::Value::String(text)) => text.clone(),
            Given::Toml(value) => value.to_string(),
        }
    }

    /// The value as it may be shown: without a password.
    pub(super) fn shown(&self) -> String {
        without_password(&self.text())
    }

    /// A value that is a word: not a number, not a list.
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Given::Text(text) | Given::Toml(toml::Value::String(text)) => Some(text.trim()),
            Given::Toml(_) => None,
        }
    }

    /// A value that is a whole number; a file has to write it without quotes.
    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Given::Text(text) => text.trim().parse().ok(),
            Given::Toml(value) => value.as_integer(),
        }
    }

    /// A value that is true or false; a file has to write it without quotes.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Given::Text(text) => text.trim().parse().ok(),
            Given::Toml(value) => value.as_bool(),
        }
    }

    /// A value that is a list of words: an array in a file, separated by colons elsewhere.
    pub(super) fn words(&self) -> Option<Vec<String>> {
        match self {
            Given::Text(text) => Some(text.split(':').filter(|word| !word.is_empty()).map(str::to_owned).collect()),
            Given::Toml(value) => value.as_array()?.iter().map(|word| Some(word.as_str()?.to_owned())).collect(),
        }
    }
}

impl Given {
    /// A value that is a list of phrases: one text or an array in a file, separated by commas elsewhere.
    pub(super) fn items(&self) -> Option<Vec<String>> {
        match self {
            Given::Text(text) | Given::Toml(toml::Value::String(text)) => {
                Some(text.split(',').map(|item| item.trim().to_owned()).collect())
            }
            Given::Toml(value) => value.as_array()?.iter().map(|item| Some(item.as_str()?.to_owned())).collect(),
        }
    }
}

/// Text with its password masked, where it is a URL or the like. The last `@` ends the password, so that one with an
/// unescaped `@`, `/` or `?` in it is masked too; a password among the parameters takes all that follows with it.
pub(crate) fn without_password(text: &str) -> String {
    let text = match text.split_once("password=") {
        Some((before, _)) => format!("{before}password=***"),
        None => text.to_owned(),
    };
    let start = text.find("://").map_or(0, |colon| colon + "://".len());
    let (scheme, rest) = text.split_at(start);
    match rest.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}{user}:***@{host}"),
        None => text,
    }
}

/// Every value in a file, by dotted name.
pub(super) fn from_file(path: &Path) -> Result<Vec<(String, Given)>, ConfigError> {
    let unreadable = |cause: std::io::Error| ConfigError::Unreadable { path: path.into(), cause: cause.to_string() };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The error's own Display quotes the line, which may hold a password.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        ConfigError::NotToml { path: path.into(), line, cause: error.message().to_owned() }
    })?;
    let mut entries = Vec::new();
    flatten("", table, &mut entries);
    Ok(entries)
}

fn flatten(prefix: &str, table: toml::Table, entries: &mut Vec<(String, Given)>) {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        match value {
            toml::Value::Table(table) if !table.is_empty() => flatten(&format!("{name}."), table, entries),
            // A group that is there but empty sets nothing: a sample file has such.
            toml::Value::Table(_) if super::TABLE.iter().any(|setting| setting.group() == name) => (),
            value => entries.push((name, Given::Toml(value))),
        }
    }
}
