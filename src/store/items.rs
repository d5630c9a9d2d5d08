//! The metadata map as it lies in a row: one JSON object, in the bytes that clients read.

use super::StoreError;
use crate::json::{self, Json};
use crate::model::metadata::{Metadata, MetadataItem, MetadataKey, MetadataValue};

/// The map as text.
pub fn to_text(items: &Metadata) -> String {
    let mut text = b"{".to_vec();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.extend_from_slice(b", ");
        }
        json::write_str(item.key.as_str(), &mut text);
        text.extend_from_slice(b": ");
        json::write_str(item.value.as_str(), &mut text);
    }
    text.push(b'}');
    String::from_utf8(text).expect("JSON is written in ASCII")
}

/// The text as a map.
///
/// # Errors
/// `Damaged` where it is not one that `to_text` wrote.
pub fn from_text(text: &str) -> Result<Metadata, StoreError> {
    match plain(text) {
        Some(items) => Ok(items),
        None => parsed(text),
    }
}

/// A map without escapes, which is nearly every map: there each quotation mark begins or ends a text, so that nothing has to be parsed.
/// Every request for metadata reads one. `None` where there is an escape, or anything that `to_text` would not write.
fn plain(text: &str) -> Option<Metadata> {
    if text.contains('\\') {
        return None;
    }
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.strip_prefix('"')?.split_once("\": \"")?;
        let (value, after) = after.split_once('"')?;
        items.push(MetadataItem { key: MetadataKey::new(key).ok()?, value: MetadataValue::new(value).ok()? });
        rest = match after.strip_prefix(", ") {
            Some(next) if !next.is_empty() => next,
            None if after.is_empty() => after,
            Some(_) | None => return None,
        };
    }
    Some(items.into_iter().collect())
}

fn parsed(text: &str) -> Result<Metadata, StoreError> {
    let damaged = || StoreError::Damaged(format!("metadata {text:?}"));
    let json = json::parse(text.as_bytes()).map_err(|_| damaged())?;
    let object = json.as_object().ok_or_else(damaged)?;
    object.iter().map(|(key, value)| item(key, value).ok_or_else(damaged)).collect()
}

fn item(key: &str, value: &Json) -> Option<MetadataItem> {
    Some(MetadataItem { key: MetadataKey::new(key).ok()?, value: MetadataValue::new(value.as_str()?).ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_map_survives_the_row_it_lies_in_with_its_order() {
        let text = r#"{"z": "1", "a": "\u00e9\n\ud83d\ude00", "m": ""}"#;
        assert_eq!(to_text(&from_text(text).expect("a map")), text);
    }

    proptest! {
        #[test]
        fn a_map_without_escapes_is_read_as_the_parser_reads_it(
            items in proptest::collection::vec(("[a-z :._-]{0,3}", "[ -~é]{0,4}|\\PC{0,3}"), 0..6)
        ) {
            let items = items.iter().filter_map(|(key, value)| item(key, &Json::from(value.as_str())));
            let map: Metadata = items.collect();
            let text = to_text(&map);
            prop_assert_eq!(&from_text(&text).expect("a map"), &map);
            prop_assert_eq!(plain(&text).is_some(), !text.contains('\\'));
        }

        #[test]
        fn whatever_is_read_plainly_is_what_the_parser_reads(text in r#"\{("[a-c]{0,2}"(: |:|, |)){0,6}\}?"#) {
            if let Some(items) = plain(&text) {
                prop_assert_eq!(parsed(&text).expect("the parser reads it too"), items);
            }
        }
    }

    #[test]
    fn what_we_did_not_write_is_damage() {
        for text in ["", "[]", r#"{"a": 1}"#, r#"{"": "x"}"#, r#"{"a": "b", }"#] {
            assert!(matches!(from_text(text), Err(StoreError::Damaged(_))), "{text}");
        }
    }
}
