//! The one table of settings: name, type and allowed values, default, help. Environment variable and flag follow from the
//! name; the sample file, the flags of the command line and the refusals are made from these rows and nowhere else.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::given::Given;
use super::rate::{self, RateLimit};
use super::{CloudServers, Database, LogFormat, LogLevel, PolicyRemote, Quota, Settings};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name, dotted where it is in a group: `quota.cores`.
    pub name: &'static str,
    /// Its default, as a person would type it; empty where it follows from something else.
    pub default: &'static str,
    /// One paragraph of help.
    pub help: &'static str,
    /// Whether it is one of the few that `-h` shows.
    pub prominent: bool,
    kind: Kind,
}

/// The type of a setting, which values it allows, and where in [`Settings`] it goes.
#[derive(Debug)]
enum Kind {
    Address(fn(&mut Settings) -> &mut SocketAddr),
    Text(fn(&mut Settings) -> &mut String),
    Url(fn(&mut Settings) -> &mut Option<String>),
    Directory(fn(&mut Settings) -> &mut PathBuf),
    File(fn(&mut Settings) -> &mut Option<PathBuf>),
    Directories(fn(&mut Settings) -> &mut Vec<PathBuf>),
    Whole(RangeInclusive<u64>, fn(&mut Settings) -> &mut u64),
    Count(RangeInclusive<u32>, fn(&mut Settings) -> &mut u32),
    Quota(fn(&mut Settings) -> &mut i64),
    YesNo(fn(&mut Settings) -> &mut bool),
    Word(&'static [&'static str], fn(&mut Settings) -> &mut String),
    RateLimits(fn(&mut Settings) -> &mut Vec<RateLimit>),
    Database(fn(&mut Settings) -> &mut Database),
    LogFormat(fn(&mut Settings) -> &mut LogFormat),
    LogLevel(fn(&mut Settings) -> &mut LogLevel),
}

/// An hour: longer than any sensible limit on a connection.
const WAIT_SECONDS_MAX: u64 = 3600;
/// What an integer column holds; Nova's quotas have the same maximum.
const QUOTA_MAX: i64 = i32::MAX as i64;

const fn row(name: &'static str, default: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting { name, default, help, prominent: false, kind }
}

const fn first(name: &'static str, default: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting { name, default, help, prominent: true, kind }
}

/// Every setting, groups together.
pub static TABLE: &[Setting] = &[
    first(
        "listen",
        "127.0.0.1:8774",
        Kind::Address(|s| &mut s.listen),
        "Where to listen. Port 0 takes a free port, which is printed. Nova's port is 8774.",
    ),
    first(
        "data_dir",
        "",
        Kind::Directory(|s| &mut s.data_dir),
        "The directory everything is kept in. It is made if it does not exist, readable for its owner only, and used by one \
         server at a time. Default: $XDG_DATA_HOME/kilonova, else ~/.local/share/kilonova. If it has a file kilonova.toml and \
         --config is not given, that file is read.",
    ),
    first(
        "database",
        "sqlite",
        Kind::Database(|s| &mut s.database),
        "Which database keeps the state: the embedded one in the data directory, or PostgreSQL by URL. A URL with a password \
         belongs into a file or the environment, not into a flag, which every user of the machine can read.",
    ),
    first(
        "public_url",
        "",
        Kind::Url(|s| &mut s.public_url),
        "The URL by which clients reach this server, written into the catalog and into links. Default: http://, or https:// \
         with a certificate, and the address that is listened on, for the catalog; links follow the Host header of the request.",
    ),
    row(
        "tls_certificate_file",
        "",
        Kind::File(|s| &mut s.tls_certificate_file),
        "The certificate of this server and those that signed it, in PEM. With it, and its key, only https:// is spoken. It is \
         read again when it changes; a broken one is logged, and the old one kept.",
    ),
    row(
        "tls_key_file",
        "",
        Kind::File(|s| &mut s.tls_key_file),
        "The key of that certificate, in PEM. Nobody but the server should be able to read it.",
    ),
    row("region", "RegionOne", Kind::Text(|s| &mut s.region), "The name of the region in the catalog."),
    first(
        "log_format",
        "auto",
        Kind::LogFormat(|s| &mut s.log_format),
        "How log lines look. They go to standard error; auto means human at a terminal and JSON otherwise.",
    ),
    first(
        "log_level",
        "info",
        Kind::LogLevel(|s| &mut s.log_level),
        "The least important log lines to write. The line per request is an info line.",
    ),
    row(
        "max_request_body_bytes",
        "114688",
        Kind::Whole(1024..=1 << 30, |s| &mut s.max_request_body_bytes),
        "The longest body of a request, image data excepted; a longer one is answered 413. The default is OpenStack's.",
    ),
    row(
        "header_bytes_max",
        "65536",
        Kind::Whole(1024..=262_144, |s| &mut s.header_bytes_max),
        "The longest request line and headers together; longer ones are answered 431, as are more than 100 headers.",
    ),
    row(
        "header_timeout_seconds",
        "10",
        Kind::Whole(1..=WAIT_SECONDS_MAX, |s| &mut s.header_timeout_seconds),
        "How long the headers of a request may take to arrive, from their first byte; for the first request of a \
         connection, from the connection. Then the connection is closed.",
    ),
    row(
        "body_timeout_seconds",
        "30",
        Kind::Whole(1..=WAIT_SECONDS_MAX, |s| &mut s.body_timeout_seconds),
        "How long a client may send, or take, no part of a body. A request that stalls so long fails; a response is cut off.",
    ),
    row(
        "body_bytes_per_second_min",
        "1024",
        Kind::Whole(0..=1 << 20, |s| &mut s.body_bytes_per_second_min),
        "The slowest rate at which a client may send or take a body, averaged over body_timeout_seconds: whoever makes the server \
         wait so long in all, beyond a second for each so many bytes, is cut off as one who stalls. 0 allows any rate.",
    ),
    row(
        "idle_timeout_seconds",
        "75",
        Kind::Whole(1..=WAIT_SECONDS_MAX, |s| &mut s.idle_timeout_seconds),
        "How long a connection may wait for its next request before it is closed.",
    ),
    row(
        "request_timeout_seconds",
        "60",
        Kind::Whole(1..=WAIT_SECONDS_MAX, |s| &mut s.request_timeout_seconds),
        "How long an answer may take; then the client gets 503. An upload has this time for every 64 KiB.",
    ),
    row(
        "connections_max",
        "4096",
        Kind::Count(1..=1_000_000, |s| &mut s.connections_max),
        "How many connections are served at once. More are answered 503. Fewer are served where the system allows the \
         process fewer open files (ulimit -n).",
    ),
    row(
        "drain_seconds",
        "30",
        Kind::Whole(0..=WAIT_SECONDS_MAX, |s| &mut s.drain_seconds),
        "How long requests in flight may still take after SIGTERM or SIGINT. A second signal ends the server at once.",
    ),
    row(
        "token_life_seconds",
        "3600",
        Kind::Whole(60..=31_536_000, |s| &mut s.token_life_seconds),
        "How long a token is valid. The default is Keystone's.",
    ),
    row(
        "password_hash_rounds",
        "12",
        Kind::Count(4..=16, |s| &mut s.password_hash_rounds),
        "The cost of hashing a password (bcrypt): each step doubles the time a login takes, and an attacker's. 4 is for tests.",
    ),
    row(
        "image_bytes_max",
        "1099511627776",
        Kind::Whole(1..=i64::MAX as u64, |s| &mut s.image_bytes_max),
        "The largest image that may be uploaded; a larger one is answered 413. The default, 1 TiB, is Glance's.",
    ),
    row(
        "image_transfers_max",
        "128",
        Kind::Count(1..=100_000, |s| &mut s.image_transfers_max),
        "How many uploads and downloads of image data may be under way at once; one more is answered 503. Each holds up to 2 MiB.",
    ),
    row(
        "policy_file",
        "",
        Kind::File(|s| &mut s.policy_file),
        "The policy file, YAML or JSON. Default: policy.yaml in the data directory, else policy.json there, if there is one.",
    ),
    row(
        "policy_dirs",
        "",
        Kind::Directories(|s| &mut s.policy_dirs),
        "Directories whose policy files are read after the policy file, in the order of their names. Default: policy.d in \
         the data directory, if there is one.",
    ),
    row(
        "policy_default_rule",
        "default",
        Kind::Text(|s| &mut s.policy_default_rule),
        "The policy rule that decides on an action without a rule of its own.",
    ),
    row(
        "enforce_new_defaults",
        "true",
        Kind::YesNo(|s| &mut s.enforce_new_defaults),
        "Whether only the new default rules (with the roles reader, member, manager) are in force; if false, what the \
         deprecated defaults allow is allowed too.",
    ),
    row(
        "max_limit",
        "1000",
        Kind::Count(1..=100_000, |s| &mut s.max_limit),
        "The most items one page of a list has, and the number when a client does not say.",
    ),
    row(
        "policy_remote.content_type",
        "application/x-www-form-urlencoded",
        Kind::Word(&["application/x-www-form-urlencoded", "application/json"], |s| &mut s.policy_remote.content_type),
        "How http: and https: checks of a policy put their question (oslo.policy's remote_content_type).",
    ),
    row(
        "policy_remote.timeout_seconds",
        "60",
        Kind::Whole(1..=WAIT_SECONDS_MAX, |s| &mut s.policy_remote.timeout_seconds),
        "How long the server that an http: or https: check asks may take. Then the request that needs the answer fails, with 500.",
    ),
    row(
        "policy_remote.questions_max",
        "64",
        Kind::Count(1..=256, |s| &mut s.policy_remote.questions_max),
        "How many http: and https: checks may be under way at once. Who waits a second for the next is answered 503.",
    ),
    row(
        "policy_remote.verify_server",
        "false",
        Kind::YesNo(|s| &mut s.policy_remote.verify_server),
        "Whether https: checks insist on a good certificate (remote_ssl_verify_server_crt). The default is oslo.policy's.",
    ),
    row(
        "policy_remote.ca_file",
        "",
        Kind::File(|s| &mut s.policy_remote.ca_file),
        "The authorities that may have signed that certificate, in PEM, instead of the well-known ones (remote_ssl_ca_crt_file).",
    ),
    row(
        "policy_remote.client_certificate_file",
        "",
        Kind::File(|s| &mut s.policy_remote.client_certificate_file),
        "Our own certificate for https: checks, in PEM (remote_ssl_client_crt_file). It needs the key file, too.",
    ),
    row(
        "policy_remote.client_key_file",
        "",
        Kind::File(|s| &mut s.policy_remote.client_key_file),
        "The key of that certificate, in PEM (remote_ssl_client_key_file).",
    ),
    row(
        "quota.metadata_items",
        "128",
        Kind::Quota(|s| &mut s.quota.metadata_items),
        "How many metadata items a server or an image may have.",
    ),
    row("quota.instances", "10", Kind::Quota(|s| &mut s.quota.instances), "How many servers a project may have."),
    row("quota.cores", "20", Kind::Quota(|s| &mut s.quota.cores), "How many virtual CPUs a project may use."),
    row("quota.ram", "51200", Kind::Quota(|s| &mut s.quota.ram), "How much memory a project may use, in MiB."),
    row("quota.key_pairs", "100", Kind::Quota(|s| &mut s.quota.key_pairs), "How many key pairs a user may have."),
    row(
        "quota.server_groups",
        "10",
        Kind::Quota(|s| &mut s.quota.server_groups),
        "How many server groups a project may have.",
    ),
    row(
        "quota.server_group_members",
        "10",
        Kind::Quota(|s| &mut s.quota.server_group_members),
        "How many servers a server group may have.",
    ),
    row(
        "quota.injected_files",
        "5",
        Kind::Quota(|s| &mut s.quota.injected_files),
        "How many files may be injected into a server when it is created.",
    ),
    row(
        "quota.injected_file_content_bytes",
        "10240",
        Kind::Quota(|s| &mut s.quota.injected_file_content_bytes),
        "How many bytes an injected file may have.",
    ),
    row(
        "quota.injected_file_path_length",
        "255",
        Kind::Quota(|s| &mut s.quota.injected_file_path_length),
        "How many bytes the path of an injected file may have.",
    ),
    row(
        "cloud_servers.metadata_items",
        "40",
        Kind::Quota(|s| &mut s.cloud_servers.metadata_items),
        "How many metadata items a server or an image may have in the Rackspace Cloud Servers dialect (/v2).",
    ),
    row(
        "cloud_servers.rate_limits",
        "off",
        Kind::RateLimits(|s| &mut s.cloud_servers.rate_limits),
        "How often a project may ask what in the Rackspace Cloud Servers dialect (/v2); one request too many is answered 413. \
         A limit is a method, a path below the project (`*` any, `/servers*` what begins so, `{id}` any one segment), and a \
         number per second, minute, hour or day. documented is Rackspace's table: GET * 1000/minute, \
         GET /servers/{id}/os-virtual-interfacesv2 25/minute, POST * 100/minute, POST /os-networksv2 100/day, \
         POST /servers* 1000/day, POST /servers/{id}/os-virtual-interfacesv2 4/minute.",
    ),
];

/// Flags must live as long as the command line's parser, which is forever.
static FLAGS: LazyLock<Vec<String>> = LazyLock::new(|| TABLE.iter().map(Setting::flag).collect());

impl Setting {
    /// The flag, without its dashes: `quota-cores`.
    pub fn flag(&self) -> String {
        self.name.replace(['_', '.'], "-")
    }

    /// The environment variable: `KILONOVA_QUOTA_CORES`.
    pub fn variable(&self) -> String {
        format!("KILONOVA_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// The group, `quota` of `quota.cores`; empty for most.
    pub fn group(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(group, _)| group)
    }

    /// The name inside its group.
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }

    /// Which values are allowed, in words that follow "allowed: ".
    pub fn allowed(&self) -> String {
        match &self.kind {
            Kind::Address(_) => "an IP address and a port, as 127.0.0.1:8774 or [::1]:8774".to_owned(),
            Kind::Text(_) => "1 to 255 printable characters".to_owned(),
            Kind::Url(_) => {
                "a URL that begins with http:// or https://, without a query; empty for the default".to_owned()
            }
            Kind::Directory(_) => "the path of a directory; empty for the default".to_owned(),
            Kind::File(_) => "the path of a file; empty for the default".to_owned(),
            Kind::Directories(_) => {
                "paths of directories, in a file as an array, elsewhere separated by colons; none for the default"
                    .to_owned()
            }
            Kind::Whole(range, _) => format!("a whole number from {} to {}", range.start(), range.end()),
            Kind::Count(range, _) => format!("a whole number from {} to {}", range.start(), range.end()),
            Kind::Quota(_) => format!("a whole number from 0 to {QUOTA_MAX}, or -1 for unlimited"),
            Kind::YesNo(_) => "true or false".to_owned(),
            Kind::Word(words, _) => words.join(", "),
            Kind::RateLimits(_) => {
                "off, documented, or limits like POST /servers* 1000/day, in a file as an array, elsewhere separated by commas"
                    .to_owned()
            }
            Kind::Database(_) => "sqlite, or a URL that begins with postgres:// or postgresql://".to_owned(),
            Kind::LogFormat(_) => LogFormat::NAMES.join(", "),
            Kind::LogLevel(_) => LogLevel::NAMES.join(", "),
        }
    }

    /// What stands for the value in a line of help.
    pub fn placeholder(&self) -> &'static str {
        match &self.kind {
            Kind::Address(_) => "ADDRESS:PORT",
            Kind::Text(_) => "NAME",
            Kind::Url(_) => "URL",
            Kind::Directory(_) => "DIR",
            Kind::File(_) => "FILE",
            Kind::Directories(_) => "DIR:DIR",
            Kind::Whole(..) | Kind::Count(..) | Kind::Quota(_) => "NUMBER",
            Kind::YesNo(_) => "true|false",
            Kind::Word(..) => "WORD",
            Kind::RateLimits(_) => "off|documented|LIMIT,LIMIT",
            Kind::Database(_) => "sqlite|URL",
            Kind::LogFormat(_) => "FORMAT",
            Kind::LogLevel(_) => "LEVEL",
        }
    }

    /// The value as TOML, without a password.
    pub(super) fn toml(&self, given: &Given) -> String {
        match &self.kind {
            Kind::Whole(..) | Kind::Count(..) | Kind::Quota(_) | Kind::YesNo(_) => given.shown(),
            Kind::Directories(_) => toml::Value::from(given.words().unwrap_or_default()).to_string(),
            Kind::Address(_) | Kind::Text(_) | Kind::Url(_) | Kind::Directory(_) | Kind::File(_) => {
                toml::Value::from(given.shown()).to_string()
            }
            Kind::Database(_) | Kind::LogFormat(_) | Kind::LogLevel(_) | Kind::Word(..) => {
                toml::Value::from(given.shown()).to_string()
            }
            Kind::RateLimits(_) => match given.items().as_deref() {
                Some([word]) => toml::Value::from(word.as_str()).to_string(),
                several => toml::Value::from(several.unwrap_or_default().to_vec()).to_string(),
            },
        }
    }

    /// Puts a value where it belongs; `None` if it is not allowed. Relative paths are taken from `base`.
    pub(super) fn put(&self, settings: &mut Settings, given: &Given, base: &Path) -> Option<()> {
        match &self.kind {
            Kind::Address(place) => *place(settings) = given.word()?.parse().ok()?,
            Kind::Text(place) => *place(settings) = given.word().filter(|text| is_name(text))?.to_owned(),
            Kind::Url(place) => *place(settings) = url(given.word()?)?,
            Kind::Directory(place) => *place(settings) = path(given.word()?, base)??,
            Kind::File(place) => *place(settings) = path(given.word()?, base)?,
            Kind::Directories(place) => {
                let paths: Option<Vec<_>> = given.words()?.iter().map(|word| path(word, base)?).collect();
                *place(settings) = paths?;
            }
            Kind::Whole(range, place) => {
                let number = u64::try_from(given.whole()?).ok()?;
                *place(settings) = range.contains(&number).then_some(number)?;
            }
            Kind::Count(range, place) => {
                let number = u32::try_from(given.whole()?).ok()?;
                *place(settings) = range.contains(&number).then_some(number)?;
            }
            Kind::Quota(place) => {
                *place(settings) = given.whole().filter(|number| (-1..=QUOTA_MAX).contains(number))?
            }
            Kind::YesNo(place) => *place(settings) = given.truth()?,
            Kind::Word(words, place) => {
                *place(settings) = given.word().filter(|word| words.contains(word))?.to_owned();
            }
            Kind::RateLimits(place) => *place(settings) = rate::limits(&given.items()?)?,
            Kind::Database(place) => *place(settings) = Database::named(given.word()?)?,
            Kind::LogFormat(place) => *place(settings) = LogFormat::named(given.word()?)?,
            Kind::LogLevel(place) => *place(settings) = LogLevel::named(given.word()?)?,
        }
        Some(())
    }
}

fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.contains(char::is_control)
}

/// A URL without a slash at its end; `Some(None)` for the empty text.
fn url(text: &str) -> Option<Option<String>> {
    if text.is_empty() {
        return Some(None);
    }
    let uri: http::Uri = text.parse().ok()?;
    let has_host = uri.host().is_some_and(|host| !host.is_empty()) && !text.contains('@');
    let right = has_host && matches!(uri.scheme_str(), Some("http" | "https")) && !text.contains(['?', '#']);
    right.then(|| Some(text.trim_end_matches('/').to_owned()))
}

/// An absolute path; `Some(None)` for the empty text.
fn path(text: &str, base: &Path) -> Option<Option<PathBuf>> {
    if text.is_empty() {
        return Some(None);
    }
    if text.contains('\0') {
        return None;
    }
    std::path::absolute(base.join(text)).ok().map(Some)
}

/// The setting of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

/// Every setting with its flag, which lives forever.
pub fn flags() -> impl Iterator<Item = (&'static Setting, &'static str)> {
    TABLE.iter().zip(FLAGS.iter().map(String::as_str))
}

/// The name that takes the fewest changes of a letter to become `name`.
pub(super) fn nearest(name: &str) -> &'static str {
    let nearest = TABLE.iter().min_by_key(|setting| distance(setting.name, name));
    nearest.expect("the table is not empty").name
}

/// The Levenshtein distance: how many letters must be put in, left out or replaced.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &its) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != its);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

impl Settings {
    /// Settings before the table has put anything into them; never seen by anybody.
    pub(super) fn blank() -> Settings {
        Settings {
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            data_dir: PathBuf::new(),
            database: Database::Embedded,
            public_url: None,
            tls_certificate_file: None,
            tls_key_file: None,
            region: String::new(),
            log_format: LogFormat::Auto,
            log_level: LogLevel::Error,
            max_request_body_bytes: 0,
            header_bytes_max: 0,
            header_timeout_seconds: 0,
            body_timeout_seconds: 0,
            body_bytes_per_second_min: 0,
            idle_timeout_seconds: 0,
            request_timeout_seconds: 0,
            connections_max: 0,
            drain_seconds: 0,
            token_life_seconds: 0,
            password_hash_rounds: 0,
            image_bytes_max: 0,
            image_transfers_max: 0,
            policy_file: None,
            policy_dirs: Vec::new(),
            policy_default_rule: String::new(),
            enforce_new_defaults: false,
            policy_remote: PolicyRemote::default(),
            max_limit: 0,
            quota: Quota {
                metadata_items: 0,
                instances: 0,
                cores: 0,
                ram: 0,
                key_pairs: 0,
                server_groups: 0,
                server_group_members: 0,
                injected_files: 0,
                injected_file_content_bytes: 0,
                injected_file_path_length: 0,
            },
            cloud_servers: CloudServers { metadata_items: 0, rate_limits: Vec::new() },
        }
    }
}
