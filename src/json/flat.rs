//! A flat object read where it stands: `{"key": "value", …}` with texts or `null` as values, in the very bytes that `write` gives it.
//! Each text has one such form only, so members are found and passed on without being taken apart. Whatever else is JSON is none
//! of these: `parse` reads it.

use std::borrow::Cow;

use super::write::IS_PLAIN;
use super::{Json, parse};

/// A member as it stands in the text, with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, with its quotes and escapes.
    pub key: &'a str,
    /// The value, as the key; `null` where it is none.
    pub value: &'a str,
    /// Where the key begins.
    pub start: usize,
    /// Where the value begins.
    pub value_start: usize,
    /// Where the value ends.
    pub end: usize,
}

/// The members of a flat object, in order. `None` instead of a member, and then no more of them, where the text is no such object.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    text: &'a str,
    at: usize,
    /// Whether the end, or an error, has been met.
    is_over: bool,
}

/// Reads a flat object from its beginning.
pub fn members(text: &str) -> Members<'_> {
    Members { text, at: 0, is_over: false }
}

impl<'a> Iterator for Members<'a> {
    type Item = Option<Member<'a>>;

    fn next(&mut self) -> Option<Option<Member<'a>>> {
        if self.is_over {
            return None;
        }
        match self.step() {
            Some(Some(member)) => Some(Some(member)),
            Some(None) => {
                self.is_over = true;
                None
            }
            None => {
                self.is_over = true;
                Some(None)
            }
        }
    }
}

impl<'a> Members<'a> {
    /// The next member, or the end of the object; `None` where neither is there.
    fn step(&mut self) -> Option<Option<Member<'a>>> {
        let rest = &self.text.as_bytes()[self.at..];
        let before = match (self.at, rest) {
            (0, b"{}") | (1.., b"}") => return Some(None),
            (0, [b'{', ..]) => 1,
            (1.., [b',', b' ', ..]) => 2,
            _ => return None,
        };
        let start = self.at + before;
        let key_end = self.text_end(start)?;
        if self.text.as_bytes().get(key_end..key_end + 2)? != b": " {
            return None;
        }
        let value_start = key_end + 2;
        let end = match self.text.as_bytes().get(value_start)? {
            b'"' => self.text_end(value_start)?,
            _ if self.text[value_start..].starts_with("null") => value_start + 4,
            _ => return None,
        };
        self.at = end;
        let (key, value) = (&self.text[start..key_end], &self.text[value_start..end]);
        Some(Some(Member { key, value, start, value_start, end }))
    }

    /// Where the text that begins here, with a quotation mark, ends.
    fn text_end(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        if *bytes.get(start)? != b'"' {
            return None;
        }
        let mut at = start + 1;
        loop {
            at += bytes[at..].iter().position(|byte| !IS_PLAIN[usize::from(*byte)])?;
            match bytes[at] {
                b'"' => return Some(at + 1),
                b'\\' => at += escape_length(&bytes[at + 1..])?,
                _ => return None,
            }
        }
    }
}

/// How long the escape is whose backslash stands before this.
fn escape_length(after: &[u8]) -> Option<usize> {
    match after {
        [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'u', digits @ ..] if digits.len() >= 4 && digits[..4].iter().all(|digit| is_digit(*digit)) => Some(6),
        _ => None,
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// What a key or a value of a member says: quotes and escapes undone. `None` for `null`, and for escapes that mean nothing.
pub fn said(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    match parse(raw.as_bytes()) {
        Ok(Json::String(text)) => Some(Cow::Owned(text)),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::{Object, to_bytes};

    fn read(text: &str) -> Option<Vec<(String, Option<String>)>> {
        let pair = |member: Option<Member<'_>>| {
            let member = member?;
            let value = if member.value == "null" { None } else { Some(said(member.value)?.into_owned()) };
            Some((said(member.key)?.into_owned(), value))
        };
        members(text).map(pair).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(members in proptest::collection::vec((".{0,4}", proptest::option::of(".{0,6}")), 0..6)) {
            let json = |value: &Option<String>| value.as_ref().map_or(Json::Null, |text| Json::from(text.as_str()));
            let object: Object = members.iter().map(|(key, value)| (key.clone(), json(value))).collect();
            let wanted: Vec<_> = object.iter().map(|(key, value)| (key.to_owned(), value.as_str().map(str::to_owned))).collect();
            let text = String::from_utf8(to_bytes(&object.into())).expect("JSON is written in ASCII");
            prop_assert_eq!(read(&text), Some(wanted));
        }

        #[test]
        fn whatever_is_read_is_what_the_parser_reads(text in r#"\{("[a-c\\nu0"é]{0,6}"?(: |:|, |)|null|, ){0,6}\}?"#) {
            if let Some(pairs) = read(&text) {
                let json = parse(text.as_bytes()).expect("the parser reads it too");
                let object = json.as_object().expect("an object");
                for (key, value) in object.iter() {
                    let last = pairs.iter().rev().find(|(known, _)| known == key).expect("the same keys");
                    prop_assert_eq!(last.1.as_deref(), value.as_str());
                }
            }
        }
    }

    #[test]
    fn places_are_those_in_the_text() {
        let text = r#"{"a": "1", "b\n": null}"#;
        for member in members(text) {
            let Member { key, value, start, value_start, end } = member.expect("a member");
            assert_eq!(&text[start..start + key.len()], key);
            assert_eq!(&text[value_start..end], value);
        }
    }
}
