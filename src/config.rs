//! What can be set, and how a value is found: flag, environment, file, default, in this order.
//! The settings themselves stand in `table.rs`. What a setting does is not known here.

mod given;
mod rate;
mod table;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub(crate) use given::without_password;
use given::{Given, from_file};
pub use given::{Origin, Sources};
pub use rate::{RateLimit, RateUnit};
pub(crate) use table::distance;
pub use table::{Setting, TABLE, flags};

/// Every setting, in its own type. Made by [`load`] only, so a value in here is one that the table allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Which database.
    pub database: Database,
    /// The URL clients reach this server by, without a slash at its end. See [`Settings::public_url_at`].
    pub public_url: Option<String>,
    /// The certificate of TLS; there is one if, and only if, there is a key.
    pub tls_certificate_file: Option<PathBuf>,
    /// The key of that certificate.
    pub tls_key_file: Option<PathBuf>,
    /// The region of the catalog.
    pub region: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The least important log lines to write.
    pub log_level: LogLevel,
    /// The longest request body, image data excepted.
    pub max_request_body_bytes: u64,
    /// The longest request line and headers.
    pub header_bytes_max: u64,
    /// How long the headers of a request may take.
    pub header_timeout_seconds: u64,
    /// How long one chunk of a body may take, in either direction.
    pub body_timeout_seconds: u64,
    /// The slowest rate at which a body may be sent or taken, averaged over that time; 0 for any.
    pub body_bytes_per_second_min: u64,
    /// How long a connection may wait between requests.
    pub idle_timeout_seconds: u64,
    /// How long an answer may take.
    pub request_timeout_seconds: u64,
    /// How many connections are served at once.
    pub connections_max: u32,
    /// How long requests in flight may take after the signal to stop.
    pub drain_seconds: u64,
    /// How long a token is valid.
    pub token_life_seconds: u64,
    /// The cost of a password hash (bcrypt).
    pub password_hash_rounds: u32,
    /// The largest image.
    pub image_bytes_max: u64,
    /// How many uploads and downloads of image data may be under way at once.
    pub image_transfers_max: u32,
    /// The policy file. `None`: `policy.yaml` in the data directory, if there is one.
    pub policy_file: Option<PathBuf>,
    /// Directories with more policy files. Empty: `policy.d` in the data directory, if there is one.
    pub policy_dirs: Vec<PathBuf>,
    /// The rule for actions without one.
    pub policy_default_rule: String,
    /// Whether the deprecated defaults of rules are out of force.
    pub enforce_new_defaults: bool,
    /// How other servers are asked by policy rules.
    pub policy_remote: PolicyRemote,
    /// The most items one page of a list may have.
    pub max_limit: u32,
    /// Default quotas, OpenStack's.
    pub quota: Quota,
    /// What differs in the Rackspace Cloud Servers dialect.
    pub cloud_servers: CloudServers,
}

/// How much a project may have where nothing else is said; -1 is unlimited. Names are Nova's (`nova.conf`, group `quota`).
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Metadata items of one server or image.
    pub metadata_items: i64,
    /// Servers of a project.
    pub instances: i64,
    /// Virtual CPUs of a project.
    pub cores: i64,
    /// Memory of a project, in MiB.
    pub ram: i64,
    /// Key pairs of a user.
    pub key_pairs: i64,
    /// Server groups of a project.
    pub server_groups: i64,
    /// Members of a server group.
    pub server_group_members: i64,
    /// Files injected into a server.
    pub injected_files: i64,
    /// Bytes of an injected file.
    pub injected_file_content_bytes: i64,
    /// Bytes of the path of an injected file.
    pub injected_file_path_length: i64,
}

/// Settings of the Rackspace Cloud Servers dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudServers {
    /// Metadata items of one server or image; -1 is unlimited.
    pub metadata_items: i64,
    /// How often a project may ask what; none is no limit.
    pub rate_limits: Vec<RateLimit>,
}

/// How `http:` and `https:` checks of a policy are asked: the `remote_…` options of oslo.policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyRemote {
    /// `application/x-www-form-urlencoded` or `application/json`.
    pub content_type: String,
    /// How long an answer may take.
    pub timeout_seconds: u64,
    /// How many questions may be under way at once.
    pub questions_max: u32,
    /// Whether the certificate of the server asked must be good.
    pub verify_server: bool,
    /// Who may have signed it.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub client_certificate_file: Option<PathBuf>,
    /// Its key.
    pub client_key_file: Option<PathBuf>,
}

/// Which database keeps the state.
#[derive(Clone, PartialEq)]
pub enum Database {
    /// SQLite in the data directory.
    Embedded,
    /// A PostgreSQL server, by URL; the URL may hold a password.
    Postgres(String),
}

impl Database {
    fn named(text: &str) -> Option<Database> {
        let postgres = ["postgres://", "postgresql://"];
        if text == "sqlite" {
            return Some(Database::Embedded);
        }
        let rest = postgres.iter().find_map(|scheme| text.strip_prefix(scheme))?;
        (!rest.is_empty() && !text.contains(char::is_whitespace)).then(|| Database::Postgres(text.to_owned()))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Embedded => f.write_str("sqlite"),
            Database::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `Human` at a terminal, `Json` otherwise.
    Auto,
    /// For eyes.
    Human,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    const NAMES: &'static [&'static str] = &["auto", "human", "json"];

    fn named(name: &str) -> Option<LogFormat> {
        Some(match name {
            "auto" => LogFormat::Auto,
            "human" => LogFormat::Human,
            "json" => LogFormat::Json,
            _ => return None,
        })
    }
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Somebody has to act.
    Error,
    /// Somebody should look.
    Warn,
    /// What happened: among others one line per request.
    Info,
    /// How it happened.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    const NAMES: &'static [&'static str] = &["error", "warn", "info", "debug", "trace"];

    fn named(name: &str) -> Option<LogLevel> {
        Some(match name {
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "info" => LogLevel::Info,
            "debug" => LogLevel::Debug,
            "trace" => LogLevel::Trace,
            _ => return None,
        })
    }
}

impl Settings {
    /// The URL clients reach this server by: `public_url`, else one made from the address that was bound.
    /// A server that listens on every address is reachable on the loopback one, so that one is named.
    pub fn public_url_at(&self, bound: SocketAddr) -> String {
        let mut address = bound;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        let scheme = if self.tls_certificate_file.is_some() { "https" } else { "http" };
        self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"))
    }
}

/// What [`load`] found.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Environment variables that begin with `KILONOVA_` and set nothing. They are no error: Kubernetes makes some
    /// (`KILONOVA_SERVICE_HOST`) for a service of that name.
    pub unknown_environment: Vec<String>,
    rows: Vec<(Given, Origin)>,
}

/// Why the settings cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: {cause}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// The file has a name that is no setting.
    #[error("{}: there is no setting {name:?}; the nearest is {nearest:?}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The name in it.
        name: String,
        /// A name that exists.
        nearest: &'static str,
    },
    /// A value is not one of those allowed.
    #[error("{name} ({origin}) is {value:?}; allowed: {allowed}")]
    NotAllowed {
        /// The setting.
        name: &'static str,
        /// Where the value came from.
        origin: Origin,
        /// The value, without passwords.
        value: String,
        /// What would be right.
        allowed: String,
    },
    /// The file that was found by way of the data directory names another data directory.
    #[error("{}: data_dir cannot be set in the file that was found in the data directory; give that file with --config, \
             or set data_dir by flag or environment", path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
    },
    /// One of two settings that are of no use without each other.
    #[error("{set} is set and {missing} is not; set both or neither")]
    Alone {
        /// The one that is set.
        set: &'static str,
        /// The other.
        missing: &'static str,
    },
    /// There is no home directory to put the data directory into.
    #[error("data_dir is not set, and neither XDG_DATA_HOME nor HOME says where its default would be")]
    Homeless,
}

/// Finds the value of every setting.
///
/// # Errors
/// Everything that is wrong, not only the first of it.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<ConfigError>> {
    let mut settings = Settings::blank();
    let mut errors = Vec::new();
    let found = find_file(sources).map_err(|error| vec![error])?;
    let entries = match &found {
        Some(found) => read_file(found, &mut errors)?,
        None => Vec::new(),
    };
    let base = found.as_ref().and_then(|found| found.path.parent()).unwrap_or(Path::new(""));
    let mut rows = Vec::new();
    for setting in TABLE {
        let (given, origin) = match value_of(setting, sources, &entries, found.as_ref()) {
            Ok(row) => row,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let base = if matches!(origin, Origin::File(_)) { base } else { Path::new("") };
        if setting.put(&mut settings, &given, base).is_none() {
            let (value, allowed) = (given.shown(), setting.allowed());
            errors.push(ConfigError::NotAllowed { name: setting.name, origin: origin.clone(), value, allowed });
        }
        rows.push((given, origin));
    }
    errors.extend(alone(&settings));
    if !errors.is_empty() {
        return Err(errors);
    }
    let unknown_environment = sources.unknown_environment();
    Ok(Loaded { settings, file: found.map(|found| found.path), unknown_environment, rows })
}

/// Certificates are of no use without their keys.
fn alone(settings: &Settings) -> Option<ConfigError> {
    let (certificate, key) = ("tls_certificate_file", "tls_key_file");
    match (&settings.tls_certificate_file, &settings.tls_key_file) {
        (Some(_), None) => Some(ConfigError::Alone { set: certificate, missing: key }),
        (None, Some(_)) => Some(ConfigError::Alone { set: key, missing: certificate }),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

struct FoundFile {
    path: PathBuf,
    by_data_dir: bool,
}

fn find_file(sources: &Sources) -> Result<Option<FoundFile>, ConfigError> {
    if let Some(path) = sources.config_file() {
        return Ok(Some(FoundFile { path, by_data_dir: false }));
    }
    let data_dir = table::find("data_dir").expect("the table has a data directory");
    let (given, _) = value_of(data_dir, sources, &[], None)?;
    let path = Path::new(&given.text()).join("kilonova.toml");
    Ok(path.exists().then_some(FoundFile { path, by_data_dir: true }))
}

fn read_file(found: &FoundFile, errors: &mut Vec<ConfigError>) -> Result<Vec<(String, Given)>, Vec<ConfigError>> {
    let entries = from_file(&found.path).map_err(|error| vec![error])?;
    for (name, _) in &entries {
        if table::find(name).is_none() {
            let (path, nearest) = (found.path.clone(), table::nearest(name));
            errors.push(ConfigError::Unknown { path, name: name.clone(), nearest });
        }
    }
    if found.by_data_dir && entries.iter().any(|(name, given)| name == "data_dir" && !given.text().is_empty()) {
        errors.push(ConfigError::Misplaced { path: found.path.clone() });
    }
    Ok(entries)
}

/// The value of a setting and where it came from, not yet looked at. Nothing, for a setting whose default is nothing, is
/// as good as not set.
fn value_of(
    setting: &Setting,
    sources: &Sources,
    entries: &[(String, Given)],
    found: Option<&FoundFile>,
) -> Result<(Given, Origin), ConfigError> {
    let flag = sources.flag(setting.name).map(|value| (Given::Text(value.to_owned()), Origin::Flag(setting.flag())));
    let variable = || {
        let value = sources.variable(&setting.variable())?;
        Some((Given::Text(value.to_owned()), Origin::Environment(setting.variable())))
    };
    let entry = || {
        let (_, given) = entries.iter().find(|(name, _)| name == setting.name)?;
        Some((given.clone(), Origin::File(found?.path.clone())))
    };
    let set = flag.or_else(variable).or_else(entry);
    if let Some(set) = set.filter(|(given, _)| !(setting.default.is_empty() && given.text().is_empty())) {
        return Ok(set);
    }
    let default = match setting.name {
        "data_dir" => sources.default_data_dir().ok_or(ConfigError::Homeless)?,
        _ => setting.default.to_owned(),
    };
    Ok((Given::Text(default), Origin::Default))
}

impl Loaded {
    /// The settings in force as a file that would set them, each with where it came from; passwords are masked.
    pub fn show(&self) -> String {
        let mut text = String::new();
        let mut group = "";
        for (setting, (given, origin)) in TABLE.iter().zip(&self.rows) {
            open_group(&mut text, &mut group, setting);
            let value = setting.toml(given);
            text.push_str(&format!("{} = {value}  # {origin}\n", setting.short_name()));
        }
        text
    }
}

/// A documented file with every setting at its default, commented out.
pub fn sample() -> String {
    let mut text = String::from(
        "# Settings of Kilonova. Each stands here with its default; remove the # to change it.\n\
         # The environment (KILONOVA_...) is stronger than this file, a flag is stronger than the environment.\n",
    );
    let mut group = "";
    for setting in TABLE {
        open_group(&mut text, &mut group, setting);
        text.push('\n');
        for line in wrapped(setting.help, 100) {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("# Allowed: {}. Environment: {}.\n", setting.allowed(), setting.variable()));
        let default = setting.toml(&Given::Text(setting.default.to_owned()));
        text.push_str(&format!("#{} = {default}\n", setting.short_name()));
    }
    text
}

fn open_group(text: &mut String, group: &mut &'static str, setting: &Setting) {
    if *group != setting.group() {
        *group = setting.group();
        text.push_str(&format!("\n[{group}]\n"));
    }
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a last line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests;
