//! `uniqueItems`: whether no two elements are equal as JSON Schema understands it: `1` is `1.0`, but not `true`.

use std::collections::HashSet;

use crate::json::{Json, Number, Object};

pub(super) fn are_unique(items: &[Json]) -> bool {
    let strings: Option<Vec<&str>> = items.iter().map(Json::as_str).collect();
    match strings {
        Some(strings) => strings.iter().collect::<HashSet<_>>().len() == strings.len(),
        None => items
            .iter()
            .enumerate()
            .all(|(position, item)| !items[..position].iter().any(|other| are_equal(item, other))),
    }
}

fn are_equal(one: &Json, two: &Json) -> bool {
    match (one, two) {
        (Json::Number(one), Json::Number(two)) => are_equal_numbers(one, two),
        (Json::Array(one), Json::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| are_equal(one, two))
        }
        (Json::Object(one), Json::Object(two)) => {
            one.len() == two.len() && one.iter().all(|member| has_equal(two, member))
        }
        (one, two) => one == two,
    }
}

fn has_equal(object: &Object, (key, value): (&str, &Json)) -> bool {
    object.get(key).is_some_and(|other| are_equal(value, other))
}

fn are_equal_numbers(one: &Number, two: &Number) -> bool {
    match (one, two) {
        (Number::Int(integer), float @ Number::Float(_)) | (float @ Number::Float(_), Number::Int(integer)) => {
            float.as_i64() == Some(*integer)
        }
        (Number::Big(digits), Number::Float(float)) | (Number::Float(float), Number::Big(digits)) => {
            float.is_finite() && format!("{float:.0}") == **digits
        }
        (one, two) => one == two,
    }
}
