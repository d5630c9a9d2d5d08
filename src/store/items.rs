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
    use super::*;

    #[test]
    fn a_map_survives_the_row_it_lies_in_with_its_order() {
        let text = r#"{"z": "1", "a": "\u00e9\n\ud83d\ude00", "m": ""}"#;
        assert_eq!(to_text(&from_text(text).expect("a map")), text);
    }

    #[test]
    fn what_we_did_not_write_is_damage() {
        for text in ["", "[]", r#"{"a": 1}"#, r#"{"": "x"}"#] {
            assert!(matches!(from_text(text), Err(StoreError::Damaged(_))), "{text}");
        }
    }
}
