//! The formats strings may have, as Nova's `FormatChecker` decides them (`nova/api/validation/validators.py`, jsonschema, oslo.utils).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::pattern::{before_newline, is_name_char, is_space};
use crate::json::Json;

/// A named format.
pub struct Format {
    name: &'static str,
    fits: fn(&str) -> bool,
    name_must_be: Option<&'static str>,
}

impl Format {
    /// A format of strings; other values pass, as JSON Schema wants.
    pub const fn new(name: &'static str, fits: fn(&str) -> bool) -> Format {
        Format { name, fits, name_must_be: None }
    }

    /// A format of names: nothing but strings passes, and the sentence says what names must be, not where the value was.
    pub const fn of_names(name: &'static str, must_be: &'static str, fits: fn(&str) -> bool) -> Format {
        Format { name, fits, name_must_be: Some(must_be) }
    }

    /// JSON Schema's word for it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What names must be, if this is a format of names.
    pub fn name_must_be(&self) -> Option<&'static str> {
        self.name_must_be
    }

    /// Whether a value has the format.
    pub fn holds(&self, value: &Json) -> bool {
        value.as_str().map_or(self.name_must_be.is_none(), self.fits)
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Format").field(&self.name).finish()
    }
}

/// 32 hexadecimal digits with hyphens, braces and `urn:uuid:` wherever one likes: `oslo_utils.uuidutils.is_uuid_like`.
pub static UUID: Format = Format::new("uuid", is_uuid_like);

/// A name without space at its ends.
pub static NAME: Format =
    Format::of_names("name", "printable characters. Can not start or end with whitespace.", |text| {
        is_trimmed_name(text, None)
    });

/// A name, for `/v2`.
pub static NAME_WITH_SPACES: Format = Format::of_names(
    "name_with_leading_trailing_spaces",
    "printable characters with at least one non space character",
    |text| is_spacious_name(text, None),
);

/// The name of an availability zone without space at its ends.
pub static AZ_NAME: Format =
    Format::of_names("az_name", "printable characters except :.Can not start or end with whitespace.", |text| {
        is_trimmed_name(text, Some(':'))
    });

/// The name of an availability zone, for `/v2`.
pub static AZ_NAME_WITH_SPACES: Format = Format::of_names(
    "az_name_with_leading_trailing_spaces",
    "printable characters except :, with at least one non space character",
    |text| is_spacious_name(text, Some(':')),
);

/// Base64 as Python decodes it without being strict.
pub static BASE64: Format = Format::new("base64", is_base64);

/// A date, or date and time, in ISO 8601's common forms.
pub static DATE_TIME: Format = Format::new("date-time", is_date_time);

/// An IPv4 address of four decimal numbers.
pub static IPV4: Format = Format::new("ipv4", |text| text.parse::<Ipv4Addr>().is_ok());

/// An IPv6 address without a zone.
pub static IPV6: Format = Format::new("ipv6", |text| text.parse::<Ipv6Addr>().is_ok());

/// An address, a slash, and how many bits of it are the network, or a mask.
pub static CIDR: Format = Format::new("cidr", is_cidr);

/// A regular expression. Python's; what ours does not know, such as looking ahead, counts as none.
pub static REGEX: Format = Format::new("regex", |text| crate::api::query::pattern(text).is_ok());

/// A URI with scheme and host.
pub static URI: Format = Format::new("uri", is_uri);

fn is_uuid_like(text: &str) -> bool {
    let text = text.replace("urn:", "").replace("uuid:", "");
    let digits = text.trim_matches(['{', '}']).replace('-', "");
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Also the empty string: its length is another rule's business.
fn is_trimmed_name(text: &str, except: Option<char>) -> bool {
    let name = before_newline(text);
    let ends_in_space = name.starts_with(is_space) || name.ends_with(is_space);
    let is_lone_newline = name.is_empty() && !text.is_empty();
    !ends_in_space && !is_lone_newline && name.chars().all(|c| is_name_char(c) && Some(c) != except)
}

fn is_spacious_name(text: &str, except: Option<char>) -> bool {
    let name = before_newline(text);
    name.chars().all(|c| is_name_char(c) && Some(c) != except) && !name.chars().all(is_space)
}

/// What is not of the alphabet is skipped; the rest must come in fours, or end with what fills up the last four.
fn is_base64(text: &str) -> bool {
    let (mut in_quad, mut pads) = (0, 0);
    for byte in text.bytes() {
        match byte {
            b'=' if in_quad >= 2 => {
                pads += 1;
                if in_quad + pads >= 4 {
                    return true;
                }
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                pads = 0;
                in_quad = (in_quad + 1) % 4;
            }
            _ => {}
        }
    }
    in_quad == 0
}

fn is_cidr(text: &str) -> bool {
    let Some((address, network)) = text.split_once('/') else { return false };
    let bits = network.parse::<u8>().ok().filter(|_| network.bytes().all(|byte| byte.is_ascii_digit()));
    if address.parse::<Ipv6Addr>().is_ok() {
        return bits.is_some_and(|bits| bits <= 128);
    }
    address.parse::<Ipv4Addr>().is_ok() && (bits.is_some_and(|bits| bits <= 32) || is_mask(network))
}

/// Whether ones and zeros meet only once.
fn is_mask(text: &str) -> bool {
    let is_ones_then_zeros = |bits: u32| bits.leading_ones() + bits.trailing_zeros() >= 32;
    text.parse::<Ipv4Addr>().is_ok_and(|mask| is_ones_then_zeros(mask.to_bits()) || is_ones_then_zeros(!mask.to_bits()))
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (before_fragment, fragment) = rest[authority.len()..].split_once('#').unwrap_or((&rest[authority.len()..], ""));
    let (path, query) = before_fragment.split_once('?').unwrap_or((before_fragment, ""));
    is_scheme(scheme)
        && is_authority(authority)
        && of_uri(path, ":@/")
        && of_uri(query, ":@/?")
        && of_uri(fragment, ":@/?")
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn is_authority(text: &str) -> bool {
    let (user, host_port) = text.rsplit_once('@').unwrap_or(("", text));
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => (host_port, ""),
    };
    of_uri(user, ":") && is_host(host) && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !text.is_empty() && of_uri(text, ""),
    }
}

/// Whether a part of a URI has only characters that need no escape there, and whole escapes.
fn of_uri(part: &str, others: &str) -> bool {
    let mut pieces = part.split('%');
    let plain = |text: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c) || others.contains(c))
    };
    pieces.next().is_none_or(plain)
        && pieces.all(|piece| {
            let is_escape = piece.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            is_escape && plain(&piece[2..])
        })
}

/// `2026-08-01`, `2026-08-01T12:30:00.5Z`, `20260801T1230+02`: what the iso8601 package reads.
fn is_date_time(text: &str) -> bool {
    date_time(&mut Digits(before_newline(text))).is_some_and(|rest| rest.is_empty())
}

/// Reads a date and perhaps a time; what is left, if they were right.
fn date_time<'a>(text: &mut Digits<'a>) -> Option<&'a str> {
    let year = text.exactly(4)?;
    if text.0.is_empty() {
        return (year > 0).then_some("");
    }
    let has_dash = text.0.starts_with('-');
    let month = text.after_dash()?;
    if text.0.is_empty() {
        return (year > 0 && has_dash && (1..=12).contains(&month)).then_some("");
    }
    let day = text.after_dash()?;
    let is_date = year > 0 && (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
    if !is_date || text.0.is_empty() {
        return is_date.then_some("");
    }
    text.0 = text.0.strip_prefix([' ', 'T'])?;
    let is_time = text.exactly(2)? <= 23 && minute_and_second(text)?;
    (is_time && zone(text)?).then_some(text.0)
}

fn minute_and_second(text: &mut Digits<'_>) -> Option<bool> {
    let Some(minute) = text.after_colon(2) else { return Some(true) };
    let Some(second) = text.after_colon(2).or_else(|| text.after_colon(1)) else { return Some(minute <= 59) };
    if let Some(fraction) = text.0.strip_prefix(['.', ',']) {
        let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        text.0 = (after.len() < fraction.len()).then_some(after)?;
    }
    Some(minute <= 59 && second <= 59)
}

fn zone(text: &mut Digits<'_>) -> Option<bool> {
    if let Some(rest) = text.0.strip_prefix('Z') {
        text.0 = rest;
        return Some(true);
    }
    let Some(rest) = text.0.strip_prefix(['+', '-']) else { return Some(true) };
    text.0 = rest;
    let hours = text.exactly(2)?;
    text.0 = text.0.strip_prefix(':').unwrap_or(text.0);
    let minutes = if text.0.is_empty() { 0 } else { text.exactly(2)? };
    Some(hours * 60 + minutes < 24 * 60)
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A text from whose beginning numbers are taken.
struct Digits<'a>(&'a str);

impl Digits<'_> {
    fn exactly(&mut self, count: usize) -> Option<u32> {
        let digits = self.0.get(..count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.0 = &self.0[count..];
        digits.parse().ok()
    }

    /// One or two digits after a dash, or two without one.
    fn after_dash(&mut self) -> Option<u32> {
        match self.0.strip_prefix('-') {
            Some(rest) => {
                self.0 = rest;
                self.exactly(2).or_else(|| self.exactly(1))
            }
            None => self.exactly(2),
        }
    }

    /// So many digits, perhaps after a colon; nothing is taken if they are not there.
    fn after_colon(&mut self, count: usize) -> Option<u32> {
        let before = self.0;
        self.0 = self.0.strip_prefix(':').unwrap_or(self.0);
        let number = self.exactly(count);
        if number.is_none() {
            self.0 = before;
        }
        number
    }
}
