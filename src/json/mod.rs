//! JSON exactly as Python's `json` module reads and writes it, because OpenStack's clients see its bytes.
//! Here: the value and how views build it. Not here: reading (`parse`), writing (`write`), `repr` (`python`), shapes (`api::schema`).

pub mod flat;
mod number;
mod object;
mod parse;
mod printable;
pub mod python;
mod write;

use std::fmt;

pub use crate::json_object;
pub use number::Number;
pub use object::Object;
pub use parse::{DEPTH_MAX, INTEGER_DIGITS_MAX, ParseError, parse};
pub use printable::is_printable;
pub use write::{to_bytes, write, write_str};

/// One JSON value. `==` is strict: `1` and `1.0` differ, and NaN differs from itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`, Python's `None`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of any length or a float.
    Number(Number),
    /// A string of Unicode scalar values; lone surrogates are refused by [`parse()`].
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// Members in the order they were first named.
    Object(Object),
}

impl Json {
    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// The truth value, if this is one; numbers and strings are not.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(truth) => Some(*truth),
            Json::Null | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// The number, if this is one.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Json::Number(number) => Some(number),
            Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// The integer, if this is a number without a fraction that fits (`2.0` is 2, as JSON Schema sees it).
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The number as a float, rounded where it must be.
    pub fn as_f64(&self) -> Option<f64> {
        Some(self.as_number()?.as_f64())
    }

    /// The elements, if this is a list.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => None,
        }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Json::Object(object) => Some(object),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => None,
        }
    }

    /// The members, to change them, if this is an object.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Json::Object(object) => Some(object),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => None,
        }
    }

    /// The string itself, if this is one.
    pub fn into_string(self) -> Option<String> {
        match self {
            Json::String(text) => Some(text),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// The members themselves, if this is an object.
    pub fn into_object(self) -> Option<Object> {
        match self {
            Json::Object(object) => Some(object),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => None,
        }
    }

    /// A member's value; nothing if this is not an object or has no such member.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.get(key)
    }
}

/// The bytes of `json.dumps`.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&to_bytes(self)))
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::String(text)
    }
}

impl From<&String> for Json {
    fn from(text: &String) -> Json {
        Json::String(text.clone())
    }
}

impl From<bool> for Json {
    fn from(truth: bool) -> Json {
        Json::Bool(truth)
    }
}

impl From<Number> for Json {
    fn from(number: Number) -> Json {
        Json::Number(number)
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Json {
        Json::Object(object)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Json {
        items.into_iter().collect()
    }
}

impl<T: Into<Json>, const N: usize> From<[T; N]> for Json {
    fn from(items: [T; N]) -> Json {
        items.into_iter().collect()
    }
}

/// Nothing becomes `null`.
impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(maybe: Option<T>) -> Json {
        maybe.map_or(Json::Null, Into::into)
    }
}

/// A list of what the iterator yields.
impl<T: Into<Json>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Json {
        Json::Array(items.into_iter().map(Into::into).collect())
    }
}

macro_rules! from_numbers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Json {
            fn from(number: $kind) -> Json {
                Json::Number(Number::from(number))
            }
        }
    )*};
}
from_numbers!(i8, i16, i32, i64, u8, u16, u32, u64, usize, f64);

/// An [`Object`] written as one reads it: `json_object! { "id": id, "links": [first, second], "fault": None::<Object> }`.
/// A value is anything with `Into<Json>`, so another `json_object!` nests; a key is a literal, a variable, or an expression in parentheses.
#[macro_export]
macro_rules! json_object {
    () => { $crate::json::Object::new() };
    ($($key:tt : $value:expr),+ $(,)?) => {{
        let mut object = $crate::json::Object::new();
        $( object.insert($key, $value); )+
        object
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_reads_as_it_is_written() {
        let key = "color".to_owned();
        let server = json_object! {
            "id": "s1", "links": [json_object! { "rel": "self" }], "fault": None::<&str>, "metadata": json_object! { key: "red" },
            "ram": 512, "tags": vec!["a", "b"], "locked": false, "load": 0.5,
        };
        assert_eq!(
            Json::from(server).to_string(),
            r#"{"id": "s1", "links": [{"rel": "self"}], "fault": null, "metadata": {"color": "red"}, "ram": 512, "tags": ["a", "b"], "locked": false, "load": 0.5}"#
        );
    }

    #[test]
    fn an_unsigned_number_beyond_i64_keeps_its_digits() {
        assert_eq!(Json::from(u64::MAX).to_string(), "18446744073709551615");
    }

    #[test]
    fn a_number_without_a_fraction_is_an_integer() {
        let integers = ["1", "1.0", "1.5", "1e30", "NaN", "true", "\"1\""]
            .map(|text| parse(text.as_bytes()).expect("valid").as_i64());
        assert_eq!(integers, [Some(1), Some(1), None, None, None, None, None]);
    }
}
