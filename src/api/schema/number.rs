//! The number Nova sees in a value when it checks `minimum` and `maximum`: strings such as `"10"` count, and fractions are cut off.

use std::borrow::Cow;

use crate::json::{INTEGER_DIGITS_MAX, Json, Number};

/// What Python's `int(value)` gives, or else `float(value)`, or nothing.
pub(super) fn of(value: &Json) -> Option<Number> {
    match value {
        Json::Bool(truth) => Some(Number::Int(i64::from(*truth))),
        // `int` cuts; of infinities it makes an error that Nova answers with 500, here they stay what they are.
        Json::Number(Number::Float(float)) if float.is_finite() => {
            Some(Number::from_digits(&format!("{:.0}", float.trunc())))
        }
        Json::Number(number) => Some(number.clone()),
        Json::String(text) => read(text),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn read(text: &str) -> Option<Number> {
    // Python's white space has four separators more than Unicode's.
    let text = text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c));
    let text = without_underscores(text)?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let is_integer = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    if is_integer && unsigned.len() <= INTEGER_DIGITS_MAX {
        return Some(Number::from_digits(text.strip_prefix('+').unwrap_or(&text)));
    }
    text.parse().ok().map(Number::Float)
}

/// Python allows one underscore between two digits.
fn without_underscores(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let all_between = text.match_indices('_').all(|(at, _)| at > 0 && is_digit(at - 1) && is_digit(at + 1));
    all_between.then(|| Cow::Owned(text.replace('_', "")))
}

pub(super) fn is_less(number: &Number, bound: i64) -> bool {
    match number {
        Number::Int(integer) => *integer < bound,
        Number::Big(digits) => digits.starts_with('-'),
        Number::Float(float) => *float < bound as f64,
    }
}

pub(super) fn is_greater(number: &Number, bound: i64) -> bool {
    match number {
        Number::Int(integer) => *integer > bound,
        Number::Big(digits) => !digits.starts_with('-'),
        Number::Float(float) => *float > bound as f64,
    }
}
