//! The metadata map as it lies in a row: one JSON object, in the bytes that clients read.

use super::StoreError;
use crate::model::metadata::{Metadata, MetadataText};

/// The map as it stands, for those who pass it on or change it in one place.
///
/// # Errors
/// `Damaged` where it is not one that we wrote.
pub fn text(text: &str) -> Result<MetadataText, StoreError> {
    MetadataText::checked(text).map_err(|_| damaged(text))
}

/// The map, item by item.
///
/// # Errors
/// As `text`.
pub fn map(stored: &str) -> Result<Metadata, StoreError> {
    text(stored)?.to_map().map_err(|_| damaged(stored))
}

fn damaged(text: &str) -> StoreError {
    super::malformed("metadata", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_survives_the_row_it_lies_in_with_its_order() {
        let stored = r#"{"z": "1", "a": "\u00e9\n\ud83d\ude00", "m": ""}"#;
        assert_eq!(MetadataText::of(&map(stored).expect("a map")).as_json(), stored);
        assert_eq!(text(stored).expect("a map").as_json(), stored);
    }

    #[test]
    fn what_we_did_not_write_is_damage() {
        for stored in ["", "[]", r#"{"a": 1}"#, r#"{"": "x"}"#, r#"{"a": "b", }"#, r#"{"%": "b"}"#] {
            assert!(matches!(map(stored), Err(StoreError::Damaged(_))), "{stored}");
        }
    }
}
