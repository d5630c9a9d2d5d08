//! Rate limits as settings: `POST /servers* 1000/day`. What a limit does to requests is not known here.

use std::fmt;
use std::num::NonZeroU32;

/// So many requests of a method to a path in a unit of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The method.
    pub method: String,
    /// The path below the project: `*` is any, a `*` at the end anything that goes on so, `{id}` one segment of any text.
    pub uri: String,
    /// How many.
    pub value: NonZeroU32,
    /// In what time.
    pub unit: RateUnit,
}

/// The unit of time of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateUnit {
    /// `second`
    Second,
    /// `minute`
    Minute,
    /// `hour`
    Hour,
    /// `day`
    Day,
}

/// Rackspace's table (Cloud Servers v2, "Limits"). A request counts for every limit that fits it.
const DOCUMENTED: [&str; 6] = [
    "GET * 1000/minute",
    "GET /servers/{id}/os-virtual-interfacesv2 25/minute",
    "POST * 100/minute",
    "POST /os-networksv2 100/day",
    "POST /servers* 1000/day",
    "POST /servers/{id}/os-virtual-interfacesv2 4/minute",
];

/// The limits that these phrases name; `None` where one cannot be read.
pub(super) fn limits(phrases: &[String]) -> Option<Vec<RateLimit>> {
    match phrases {
        [word] if word == "off" || word.is_empty() => Some(Vec::new()),
        [word] if word == "documented" => DOCUMENTED.iter().map(|phrase| limit(phrase)).collect(),
        phrases => phrases.iter().map(|phrase| limit(phrase)).collect(),
    }
}

fn limit(phrase: &str) -> Option<RateLimit> {
    let mut words = phrase.split_whitespace();
    let (method, uri, rate) = (words.next()?, words.next()?, words.next()?);
    let (value, unit) = rate.split_once('/')?;
    let is_method = http::Method::from_bytes(method.as_bytes()).is_ok() && method == method.to_uppercase();
    let is_uri = uri == "*" || uri.starts_with('/');
    if words.next().is_some() || !is_method || !is_uri {
        return None;
    }
    let unit = RateUnit::ALL.into_iter().find(|known| known.word() == unit)?;
    Some(RateLimit { method: method.to_owned(), uri: uri.to_owned(), value: value.parse().ok()?, unit })
}

impl RateUnit {
    const ALL: [RateUnit; 4] = [RateUnit::Second, RateUnit::Minute, RateUnit::Hour, RateUnit::Day];

    /// How long it is.
    pub fn seconds(self) -> u64 {
        match self {
            RateUnit::Second => 1,
            RateUnit::Minute => 60,
            RateUnit::Hour => 3600,
            RateUnit::Day => 86_400,
        }
    }

    fn word(self) -> &'static str {
        match self {
            RateUnit::Second => "second",
            RateUnit::Minute => "minute",
            RateUnit::Hour => "hour",
            RateUnit::Day => "day",
        }
    }
}

/// As `GET /limits` shows it: `MINUTE`.
impl fmt::Display for RateUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word().to_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(phrases: &[&str]) -> Option<Vec<RateLimit>> {
        limits(&phrases.iter().map(|phrase| (*phrase).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_documented_table_can_be_read() {
        let limits = read(&["documented"]).expect("the table is right");
        assert_eq!(limits.len(), 6);
        assert_eq!((limits[4].uri.as_str(), limits[4].value.get(), limits[4].unit), ("/servers*", 1000, RateUnit::Day));
    }

    #[test]
    fn off_is_no_limits() {
        assert_eq!(read(&["off"]), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for phrase in
            ["GET", "GET *", "GET * 0/minute", "GET * 5/week", "get * 5/day", "GET servers 5/day", "GET * 5/day x"]
        {
            assert_eq!(read(&[phrase]), None, "{phrase}");
        }
    }
}
