//! How Python shows a decoded JSON value: `repr` and `str`, which OpenStack puts into its sentences. Not here: JSON text.

use std::fmt::Write;

use super::{Json, Object, is_printable};

/// Python's `repr` of the value: `{'a': None, 'b': [True, 1.0, "it's"]}`.
pub fn repr(json: &Json) -> String {
    let mut out = String::new();
    push_repr(json, &mut out);
    out
}

/// Python's `str` of the value: that of a string is the string itself, of everything else its `repr`.
pub fn str(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => repr(json),
    }
}

/// Python's `repr` of a string: in single quotes, unless it has those and no double ones.
pub fn repr_str(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_repr_str(text, &mut out);
    out
}

fn push_repr(json: &Json, out: &mut String) {
    match json {
        Json::Null => out.push_str("None"),
        Json::Bool(true) => out.push_str("True"),
        Json::Bool(false) => out.push_str("False"),
        Json::Number(number) => push_display(number, out),
        Json::String(text) => push_repr_str(text, out),
        Json::Array(items) => push_repr_array(items, out),
        Json::Object(object) => push_repr_object(object, out),
    }
}

fn push_repr_array(items: &[Json], out: &mut String) {
    out.push('[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push_str(", ");
        }
        push_repr(item, out);
    }
    out.push(']');
}

fn push_repr_object(object: &Object, out: &mut String) {
    out.push('{');
    for (position, (key, value)) in object.iter().enumerate() {
        if position > 0 {
            out.push_str(", ");
        }
        push_repr_str(key, out);
        out.push_str(": ");
        push_repr(value, out);
    }
    out.push('}');
}

fn push_repr_str(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => push_code(c as u32, out),
        }
    }
    out.push(quote);
}

fn push_code(code: u32, out: &mut String) {
    match code {
        0..=0xff => push_display(format_args!("\\x{code:02x}"), out),
        0x100..=0xffff => push_display(format_args!("\\u{code:04x}"), out),
        _ => push_display(format_args!("\\U{code:08x}"), out),
    }
}

fn push_display(shown: impl std::fmt::Display, out: &mut String) {
    write!(out, "{shown}").expect("memory takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn strings_are_shown_as_python_shows_them() {
        // Recorded from Python 3.11: repr(..).
        for (text, recorded) in [
            ("", "''"),
            ("asdf", "'asdf'"),
            ("it's", "\"it's\""),
            ("say \"hi\"", "'say \"hi\"'"),
            ("it's \"so\"", "'it\\'s \"so\"'"),
            ("a\\b\t\n\r", "'a\\\\b\\t\\n\\r'"),
            ("\0\u{1f}\u{7f}\u{80}\u{a0}\u{ad}", "'\\x00\\x1f\\x7f\\x80\\xa0\\xad'"),
            ("é中\u{301}\u{1f600}", "'é中\u{301}\u{1f600}'"),
            ("\u{200b}\u{2028}\u{feff}\u{e000}", "'\\u200b\\u2028\\ufeff\\ue000'"),
            ("\u{e0001}\u{10ffff}", "'\\U000e0001\\U0010ffff'"),
        ] {
            assert_eq!(repr_str(text), recorded);
        }
    }

    #[test]
    fn values_are_shown_as_python_shows_them() {
        for (json, recorded) in [
            ("null", "None"),
            ("[true, false, NaN, Infinity, -Infinity, 1e400]", "[True, False, nan, inf, -inf, inf]"),
            (
                "[1, -0, -0.0, 1.0, 1e16, 0.00001, 123456789012345678901]",
                "[1, 0, -0.0, 1.0, 1e+16, 1e-05, 123456789012345678901]",
            ),
            (r#"{"k": "v", "x": {"it's": [{}, []]}}"#, "{'k': 'v', 'x': {\"it's\": [{}, []]}}"),
        ] {
            assert_eq!(repr(&parse(json.as_bytes()).expect("valid")), recorded);
        }
    }

    #[test]
    fn the_str_of_a_string_is_itself_but_inside_a_list_it_is_quoted() {
        assert_eq!(str(&Json::from("it's")), "it's");
        assert_eq!(str(&Json::from(["a"])), "['a']");
    }
}
