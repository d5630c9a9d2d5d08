//! Writing JSON with the bytes of Python's `json.dumps`: separators `", "` and `": "`, ASCII only, lower-case `\uXXXX`.

use std::io::Write;

use super::{Json, Number, Object};

/// The bytes of one value.
pub fn to_bytes(json: &Json) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    write(json, &mut out);
    out
}

/// Appends one value. Recursive: values from [`super::parse()`] are at most [`super::DEPTH_MAX`] deep, views far less.
pub fn write(json: &Json, out: &mut Vec<u8>) {
    match json {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => write_number(number, out),
        Json::String(text) => write_str(text, out),
        Json::Array(items) => write_array(items, out),
        Json::Object(object) => write_object(object, out),
    }
}

/// Appends one string with its quotes.
pub fn write_str(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !IS_PLAIN[byte as usize]) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        // A byte that is not plain is ASCII or begins a character: the plain ones before it were whole characters.
        let mut chars = rest[at..].chars();
        if let Some(c) = chars.next() {
            write_escape(c, out);
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

/// Bytes that stand for themselves inside a string.
pub(super) static IS_PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    plain
};

fn write_escape(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                write_unit(*unit, out);
            }
        }
    }
}

fn write_unit(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    out.extend([12, 8, 4, 0].map(|shift| b"0123456789abcdef"[usize::from(unit >> shift & 15)]));
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    match number {
        Number::Float(float) if float.is_nan() => out.extend_from_slice(b"NaN"),
        Number::Float(float) if *float == f64::INFINITY => out.extend_from_slice(b"Infinity"),
        Number::Float(float) if *float == f64::NEG_INFINITY => out.extend_from_slice(b"-Infinity"),
        Number::Int(_) | Number::Big(_) | Number::Float(_) => {
            write!(out, "{number}").expect("memory takes all that is written to it");
        }
    }
}

fn write_array(items: &[Json], out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        write(item, out);
    }
    out.push(b']');
}

fn write_object(object: &Object, out: &mut Vec<u8>) {
    out.push(b'{');
    for (position, (key, value)) in object.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        write_str(key, out);
        out.extend_from_slice(b": ");
        write(value, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        Json::from(text).to_string()
    }

    #[test]
    fn plain_ascii_stands_for_itself() {
        let plain: String = (' '..='~').filter(|c| !"\"\\".contains(*c)).collect();
        assert_eq!(written(&plain), format!("\"{plain}\""));
    }

    #[test]
    fn what_is_not_plain_is_escaped_as_python_does() {
        // Recorded from Python 3.11: json.dumps(..).
        for (text, recorded) in [
            ("", r#""""#),
            ("a\tb\nc\"\\/", r#""a\tb\nc\"\\/""#),
            ("\u{8}\u{c}\r\0\u{1f}", r#""\b\f\r\u0000\u001f""#),
            ("<b>&\u{2028}\u{7f}", r#""<b>&\u2028\u007f""#),
            ("é中", r#""\u00e9\u4e2d""#),
            ("x\u{1f600}y\u{10ffff}", r#""x\ud83d\ude00y\udbff\udfff""#),
            ("\u{80}\u{ffff}", r#""\u0080\uffff""#),
        ] {
            assert_eq!(written(text), recorded);
        }
    }

    #[test]
    fn separators_have_a_space() {
        let json = Json::from(
            crate::json_object! { "a": [1, 2], "b": Object::new(), "c": Vec::<Json>::new(), "d": Json::Null, "e": true },
        );
        assert_eq!(json.to_string(), r#"{"a": [1, 2], "b": {}, "c": [], "d": null, "e": true}"#);
    }

    #[test]
    fn what_is_no_number_has_a_name() {
        assert_eq!(
            Json::from([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]).to_string(),
            "[NaN, Infinity, -Infinity, -0.0]"
        );
    }
}
