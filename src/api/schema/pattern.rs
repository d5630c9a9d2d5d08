//! The regular expressions of Nova's schemas, each as its text, which sentences quote, and a function that decides the same.
//! No regex engine: there are few, they are simple, and metadata keys are checked on the hot path.
//! Python's `$` also matches before one newline at the end, so `"abc\n"` fits where `"abc"` does.

use std::borrow::Cow;
use std::fmt;

use crate::json::is_printable;

/// A regular expression.
pub struct Pattern {
    source: Source,
    fits: fn(&str) -> bool,
}

enum Source {
    Text(&'static str),
    /// Too long to be written down.
    Built(fn() -> String),
}

impl Pattern {
    /// A pattern from its text and a function that says what Python's `re.search` would.
    pub const fn new(source: &'static str, fits: fn(&str) -> bool) -> Pattern {
        Pattern { source: Source::Text(source), fits }
    }

    /// Whether the pattern is found in a text.
    pub fn fits(&self, text: &str) -> bool {
        (self.fits)(text)
    }

    /// The pattern as one writes it.
    pub fn source(&self) -> Cow<'static, str> {
        match self.source {
            Source::Text(text) => Cow::Borrowed(text),
            Source::Built(build) => Cow::Owned(build()),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.source()).finish()
    }
}

/// Keys of metadata.
pub static METADATA_KEY: Pattern = Pattern::new("^[a-zA-Z0-9-_:. ]{1,255}$", |text| {
    let key = before_newline(text);
    // All fitting characters are one byte.
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:. ".contains(&byte))
});

/// Integers as strings, and the empty string.
pub static DIGITS_OR_NOTHING: Pattern = Pattern::new("^[0-9]*$", |text| all(text, "", char_is_digit));

/// Names that begin with an underscore.
pub static UNDERSCORED: Pattern = Pattern::new("^_", |text| text.starts_with('_'));

/// Integers as strings.
pub static DIGITS: Pattern = Pattern::new("^[0-9]+$", |text| is_digits(before_newline(text)));

/// Integers as strings, perhaps negative.
pub static SIGNED_DIGITS: Pattern = Pattern::new("^-?[0-9]+$", |text| {
    let text = before_newline(text);
    is_digits(text.strip_prefix('-').unwrap_or(text))
});

/// Decimal numbers such as a flavor's `rxtx_factor`.
pub static DECIMAL: Pattern = Pattern::new(r"^[0-9]+(\.[0-9]+)?$", |text| {
    let text = before_newline(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    is_digits(whole) && is_digits(fraction)
});

/// Ids of flavors.
pub static FLAVOR_ID: Pattern = Pattern::new("^(?! )[a-zA-Z0-9. _-]+(?<! )$", |text| {
    let id = before_newline(text);
    !id.is_empty() && !id.starts_with(' ') && !id.ends_with(' ') && all(text, ". _-", char_is_alphanumeric)
});

/// One label of a host name.
pub static HOSTNAME: Pattern = Pattern::new("^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$", |text| {
    let label = before_newline(text);
    label.len() >= 2 && !label.starts_with('-') && !label.ends_with('-') && all(text, "-", char_is_alphanumeric)
});

/// A host name with its domain; underscores occur in real systems.
pub static FQDN: Pattern = Pattern::new("^[a-zA-Z0-9-._]*$", |text| all(text, "-._", char_is_alphanumeric));

/// Ids of projects and users.
pub static PROJECT_ID: Pattern = Pattern::new("^[a-zA-Z0-9-]*$", |text| all(text, "-", char_is_alphanumeric));

/// Names of devices in a server.
pub static DEVICE_NAME: Pattern = Pattern::new("^[a-zA-Z0-9._/-]*$", |text| all(text, "._/-", char_is_alphanumeric));

/// `uuid` of a block device mapping.
pub static BLOCK_DEVICE_UUID: Pattern =
    Pattern::new("^[a-zA-Z0-9._-]*$", |text| all(text, "._-", char_is_alphanumeric));

/// The prefix in a scheduler hint.
pub static HINT_CIDR: Pattern = Pattern::new("^/[0-9a-f.:]+$", |text| {
    let prefix = before_newline(text).strip_prefix('/');
    prefix.is_some_and(|prefix| !prefix.is_empty() && prefix.bytes().all(|byte| b"0123456789abcdef.:".contains(&byte)))
});

/// Hardware addresses.
pub static MAC_ADDRESS: Pattern = Pattern::new("^([0-9a-fA-F]{2})(:[0-9a-fA-F]{2}){5}$", |text| {
    let pairs: Vec<&str> = before_newline(text).split(':').collect();
    pairs.len() == 6 && pairs.iter().all(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
});

/// Tags of servers and devices.
pub static TAG: Pattern = Pattern::new("^[^,/]*$", |text| !text.contains([',', '/']));

/// Names of key pairs before 2.92.
pub static KEYPAIR_NAME: Pattern = Pattern::new(r"^[_\- a-zA-Z0-9]+$", |text| {
    !before_newline(text).is_empty() && all(text, "_- ", char_is_alphanumeric)
});

/// Names of key pairs since 2.92.
pub static KEYPAIR_NAME_V292: Pattern = Pattern::new(r"^[_\-\@\. a-zA-Z0-9]+$", |text| {
    !before_newline(text).is_empty() && all(text, "_-@. ", char_is_alphanumeric)
});

/// Descriptions: printable characters of the Basic Multilingual Plane.
pub static DESCRIPTION: Pattern = Pattern {
    source: Source::Built(|| format!("^[{}]*$", name_char_ranges())),
    fits: |text| before_newline(text).chars().all(is_name_char),
};

/// Whether Nova allows a character in names and descriptions: printable, spaces of any width, nothing beyond U+FFFE.
pub(super) fn is_name_char(c: char) -> bool {
    c < '\u{ffff}' && (is_printable(c) || is_space(c))
}

/// Unicode's space separators (category Zs).
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// The text without one newline at its end, before which Python's `$` matches.
pub(super) fn before_newline(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

fn all(text: &str, others: &str, allowed: fn(char) -> bool) -> bool {
    before_newline(text).chars().all(|c| allowed(c) || others.contains(c))
}

fn char_is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn char_is_alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The characters of names as the inside of a character class: each run by its ends.
fn name_char_ranges() -> String {
    let mut ranges = String::new();
    let mut run = None;
    for c in (0..0xffff).map(|code| char::from_u32(code).filter(|&c| is_name_char(c))) {
        run = match (run, c) {
            (None, Some(c)) => Some((c, c)),
            (Some((first, _)), Some(c)) => Some((first, c)),
            (Some((first, last)), None) => {
                push_range(first, last, &mut ranges);
                None
            }
            (None, None) => None,
        };
    }
    ranges
}

fn push_range(first: char, last: char, ranges: &mut String) {
    push_escaped(first, ranges);
    if last != first {
        ranges.push('-');
        push_escaped(last, ranges);
    }
}

/// As Python's `re.escape`, for printable characters.
fn push_escaped(c: char, out: &mut String) {
    if "()[]{}?*+-|^$\\.&~# ".contains(c) {
        out.push('\\');
    }
    out.push(c);
}
