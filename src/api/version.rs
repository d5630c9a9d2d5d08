//! Microversions of the Compute API: what a client may ask for, and how its headers are read.
//! Source: Nova's negotiation by recorded behaviour; headers of the API SIG's microversion specification.

use std::fmt;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header every microversioned OpenStack service reads.
pub static VERSION_HEADER: HeaderName = HeaderName::from_static("openstack-api-version");
/// The header that Nova read first, and still does.
pub static LEGACY_VERSION_HEADER: HeaderName = HeaderName::from_static("x-openstack-nova-api-version");

/// A version `2.minor` of the Compute API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion(pub u16);

impl Microversion {
    /// The oldest, and what a request without a header gets.
    pub const OLDEST: Microversion = Microversion(1);
    /// The newest that this server implements.
    pub const NEWEST: Microversion = Microversion(104);

    /// What the two headers of an answer in this version say; made once for each version.
    pub fn header_values(self) -> (HeaderValue, HeaderValue) {
        static VALUES: LazyLock<Vec<(HeaderValue, HeaderValue)>> = LazyLock::new(|| {
            let all = 0..=Microversion::NEWEST.0;
            all.map(|minor| header_values_of(&Microversion(minor).to_string())).collect()
        });
        match VALUES.get(usize::from(self.0)) {
            Some(values) => values.clone(),
            None => header_values_of(&self.to_string()),
        }
    }
}

/// What the two headers of an answer say about a version that was asked for, whether there is such a version or not.
pub fn header_values_of(text: &str) -> (HeaderValue, HeaderValue) {
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    (value(&format!("compute {text}")), value(text))
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2.{}", self.0)
    }
}

/// The microversions in which a row of the table exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The first.
    pub from: Microversion,
    /// The last.
    pub to: Microversion,
}

impl Versions {
    /// All of them.
    pub const ALL: Versions = Versions::since(1);

    /// From `2.minor` on.
    pub const fn since(minor: u16) -> Versions {
        Versions { from: Microversion(minor), to: Microversion(u16::MAX) }
    }

    /// From `2.from` to `2.to`, both included.
    pub const fn between(from: u16, to: u16) -> Versions {
        Versions { from: Microversion(from), to: Microversion(to) }
    }

    /// Whether a version is among them.
    pub fn contain(&self, version: Microversion) -> bool {
        self.from <= version && version <= self.to
    }
}

/// Why no version could be agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoVersion {
    /// Not of the form `2.N`: 400.
    Malformed(String),
    /// Outside what there is: 406; the text is the version asked for.
    Unsupported(String),
}

/// Reads the version out of a request's headers; `2.1` where they name none.
///
/// # Errors
/// As `NoVersion` says.
pub fn negotiate(headers: &HeaderMap) -> Result<Microversion, NoVersion> {
    match asked(headers) {
        None => Ok(Microversion::OLDEST),
        Some("latest") => Ok(Microversion::NEWEST),
        Some(text) => parse(text),
    }
}

/// The text of the version asked for: the last `compute` entry of the new header, else the last of the legacy one.
fn asked(headers: &HeaderMap) -> Option<&str> {
    let new = headers.get_all(&VERSION_HEADER).iter().filter_map(|value| value.to_str().ok());
    let compute = new.flat_map(|value| value.split(',')).filter_map(compute_entry).next_back();
    compute.or_else(|| {
        let legacy = headers.get_all(&LEGACY_VERSION_HEADER).iter().filter_map(|value| value.to_str().ok());
        legacy.flat_map(|value| value.split(',')).next_back().map(str::trim)
    })
}

fn compute_entry(entry: &str) -> Option<&str> {
    let (service, version) = entry.trim().split_once(char::is_whitespace)?;
    let version = version.trim();
    (service.eq_ignore_ascii_case("compute") && !version.is_empty()).then_some(version)
}

/// `^([1-9]\d*)\.([1-9]\d*|0)$`, then the range.
fn parse(text: &str) -> Result<Microversion, NoVersion> {
    let malformed = || NoVersion::Malformed(text.to_owned());
    let (major, minor) = text.split_once('.').ok_or_else(malformed)?;
    if !is_number(major) || major == "0" || !is_number(minor) {
        return Err(malformed());
    }
    match (major, minor.parse()) {
        ("2", Ok(minor)) if (Microversion::OLDEST.0..=Microversion::NEWEST.0).contains(&minor) => {
            Ok(Microversion(minor))
        }
        _ => Err(NoVersion::Unsupported(text.to_owned())),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &HeaderName, value: &str) -> Result<Microversion, NoVersion> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header value"));
        negotiate(&headers)
    }

    fn malformed(text: &str) -> Result<Microversion, NoVersion> {
        Err(NoVersion::Malformed(text.into()))
    }

    #[test]
    fn the_new_header_names_a_service_and_the_last_one_counts() {
        for (text, minor) in [
            ("compute 2.5", 5),
            ("COMPUTE 2.5", 5),
            ("compute latest", 104),
            ("compute 2.5, volume 3.1", 5),
            ("compute 2.5, compute 2.6", 6),
            ("compute", 1),
            ("latest", 1),
            ("2.5", 1),
            ("volume 3.1", 1),
        ] {
            assert_eq!(ask(&VERSION_HEADER, text), Ok(Microversion(minor)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_version_is_malformed() {
        for text in ["LATEST", "2", "2.01", "2.1.1", "2.5 2.6", "0.1", "a.b"] {
            assert_eq!(ask(&VERSION_HEADER, &format!("compute {text}")), malformed(text));
        }
        assert_eq!(ask(&LEGACY_VERSION_HEADER, ""), malformed(""));
        assert_eq!(ask(&LEGACY_VERSION_HEADER, "compute 2.5"), malformed("compute 2.5"));
    }

    #[test]
    fn what_is_out_of_range_is_unsupported() {
        for text in ["2.0", "2.105", "3.1", "1.1", "2.99999999999"] {
            assert_eq!(ask(&VERSION_HEADER, &format!("compute {text}")), Err(NoVersion::Unsupported(text.into())));
        }
    }

    #[test]
    fn the_new_header_wins_over_the_legacy_one() {
        let mut headers = HeaderMap::new();
        headers.insert(&LEGACY_VERSION_HEADER, "2.5".parse().expect("a header value"));
        assert_eq!(negotiate(&headers), Ok(Microversion(5)));
        headers.insert(&VERSION_HEADER, "volume 2.6".parse().expect("a header value"));
        assert_eq!(negotiate(&headers), Ok(Microversion(5)));
        headers.insert(&VERSION_HEADER, "compute 2.6".parse().expect("a header value"));
        assert_eq!(negotiate(&headers), Ok(Microversion(6)));
    }
}
