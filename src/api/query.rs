//! The query of a request: names and values in the order sent, decoded.

use regex::{Regex, RegexBuilder};

use crate::json::{Json, Object};

/// `name=value` pairs. A name may stand more than once.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
    is_utf8: bool,
}

impl Query {
    /// Decodes what follows the `?`: `+` is a space, `%XX` a byte, the bytes UTF-8.
    pub fn parse(text: Option<&str>) -> Query {
        let mut query = Query { pairs: Vec::new(), is_utf8: true };
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (query.decode(name), query.decode(value));
            query.pairs.push((name, value));
        }
        query
    }

    fn decode(&mut self, text: &str) -> String {
        String::from_utf8(percent_decoded(&text.replace('+', " "))).unwrap_or_else(|error| {
            self.is_utf8 = false;
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        })
    }

    /// Whether all bytes were UTF-8; where not, replacement characters stand in their place.
    pub fn is_utf8(&self) -> bool {
        self.is_utf8
    }

    /// The first value of a name.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The last value of a name: what WebOb gives where one is asked for.
    pub fn last<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).last()
    }

    /// All values of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All pairs in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every name with the list of its values, as schemas of queries see them.
    pub fn as_lists(&self) -> Json {
        let mut lists: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in self.iter() {
            match lists.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => lists.push((name, vec![value])),
            }
        }
        lists.into_iter().collect::<Object>().into()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// Of pairs that are decoded already.
impl FromIterator<(String, String)> for Query {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Query {
        Query { pairs: pairs.into_iter().collect(), is_utf8: true }
    }
}

/// How large a client's regular expression may become. Matching takes time linear in the text; it is `((a{999}){999}){999}`, short to
/// write, that takes time and memory to compile, and a tenth of what the crate allows is enough for every name there can be.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A regular expression that a client has sent.
///
/// # Errors
/// Where it is none, or becomes too large.
pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build()
}

/// The bytes that a percent-encoded text stands for; a `%` without two hexadecimal digits stands for itself.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escape = (first == b'%').then(|| hex_pair(tail)).flatten();
        bytes.push(escape.unwrap_or(first));
        rest = if escape.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(*bytes.first()?)?, digit(*bytes.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

/// Percent-encodes what may not stand in a query value, for links to the next page.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_once() {
        let query = Query::parse(Some("a=b+c&a=%2525&&flag&x=%C3%A9"));
        let pairs: Vec<_> = query.iter().collect();
        assert_eq!(pairs, [("a", "b c"), ("a", "%25"), ("flag", ""), ("x", "é")]);
        assert!(query.is_utf8());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_noticed() {
        assert!(!Query::parse(Some("foo=%FF")).is_utf8());
    }

    #[test]
    fn a_percent_sign_without_digits_stands_for_itself() {
        assert_eq!(percent_decoded("100%&%zz%4"), b"100%&%zz%4");
    }
}
