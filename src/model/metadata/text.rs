//! A map in the bytes in which it is kept and sent. Looking at it, or changing it in one place, does not take it apart: every
//! request for metadata reads such a map, and most are answered with the bytes of the row.

use std::fmt;

use super::{Metadata, MetadataItem, MetadataKey, MetadataValue};
use crate::json;
use crate::json::flat::{Member, members, said};

/// From how many comparisons of keys on taking both maps apart costs less.
const TAKEN_APART_FROM: usize = 256;

/// `{"key": "value", …}` as `json::write_str` writes texts. Every text has one such form, so keys are compared as they stand.
#[derive(Clone, PartialEq, Eq)]
pub struct MetadataText {
    text: String,
    items: usize,
}

/// The text is not such a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a metadata map")]
pub struct NotAMap;

impl MetadataText {
    /// The map that a text is.
    ///
    /// # Errors
    /// Where it is not one that `of` wrote.
    pub fn checked(text: &str) -> Result<MetadataText, NotAMap> {
        let mut items = 0;
        for member in members(text) {
            let member = member.ok_or(NotAMap)?;
            if member.key == "\"\"" || member.value == "null" {
                return Err(NotAMap);
            }
            items += 1;
        }
        Ok(MetadataText { text: text.to_owned(), items })
    }

    /// The text of a map.
    pub fn of(map: &Metadata) -> MetadataText {
        let mut text = String::from("{");
        for item in map {
            append(&mut text, &raw(item.key.as_str()), &raw(item.value.as_str()));
        }
        text.push('}');
        MetadataText { text, items: map.len() }
    }

    /// The map as JSON, in ASCII.
    pub fn as_json(&self) -> &str {
        &self.text
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The item under a key, as JSON: `"key": "value"`. Any text may be asked for: what cannot be a key is simply not there.
    pub fn item_json(&self, key: &str) -> Option<&str> {
        self.find(&raw(key)).map(|member| &self.text[member.start..member.end])
    }

    /// The map with this item: under an existing key its value changes, else it comes last.
    #[must_use]
    pub fn with(mut self, item: &MetadataItem) -> MetadataText {
        let (key, value) = (raw(item.key.as_str()), raw(item.value.as_str()));
        match self.find(&key).map(|member| member.value_start..member.end) {
            Some(place) => self.text.replace_range(place, &value),
            None => {
                self.text.pop();
                append(&mut self.text, &key, &value);
                self.text.push('}');
                self.items += 1;
            }
        }
        self
    }

    /// The map with all items of the other: those under existing keys change in place, the others follow in their order.
    #[must_use]
    pub fn merged(self, other: &Metadata) -> MetadataText {
        if self.items * other.len() > TAKEN_APART_FROM
            && let Ok(map) = self.to_map()
        {
            return MetadataText::of(&map.merged(other.clone()));
        }
        other.iter().fold(self, MetadataText::with)
    }

    /// The map without the item of this key; `None` if there is no such item.
    pub fn without(mut self, key: &str) -> Option<MetadataText> {
        let member = self.find(&raw(key))?;
        let (start, end) = (member.start, member.end);
        // the comma before it goes, too; of the first item that after it
        let place = match (start, self.items) {
            (1, 1) => start..end,
            (1, _) => start..end + 2,
            _ => start - 2..end,
        };
        self.text.replace_range(place, "");
        self.items -= 1;
        Some(self)
    }

    /// The map, if it has no more items than `limit`; `None` is no limit. An empty map is within every limit.
    ///
    /// # Errors
    /// `OverLimit` when there are more.
    pub fn within(self, limit: Option<usize>) -> Result<MetadataText, super::OverLimit> {
        match limit {
            Some(limit) if self.items > limit => Err(super::OverLimit { limit }),
            Some(_) | None => Ok(self),
        }
    }

    /// The items one by one.
    ///
    /// # Errors
    /// Where keys or values are too long to be any.
    pub fn to_map(&self) -> Result<Metadata, NotAMap> {
        let item = |member: Option<Member<'_>>| {
            let member = member?;
            let key = MetadataKey::new(&said(member.key)?).ok()?;
            Some(MetadataItem { key, value: MetadataValue::new(&said(member.value)?).ok()? })
        };
        members(&self.text).map(item).collect::<Option<Metadata>>().ok_or(NotAMap)
    }

    fn find(&self, key: &str) -> Option<Member<'_>> {
        members(&self.text).flatten().find(|member| member.key == key)
    }
}

impl fmt::Debug for MetadataText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text as it stands in a map.
fn raw(text: &str) -> String {
    let mut raw = Vec::with_capacity(text.len() + 2);
    json::write_str(text, &mut raw);
    String::from_utf8(raw).expect("JSON is written in ASCII")
}

/// Adds an item to a map that is not closed yet.
fn append(text: &mut String, key: &str, value: &str) {
    if text.len() > 1 {
        text.push_str(", ");
    }
    text.push_str(key);
    text.push_str(": ");
    text.push_str(value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(key: &str, value: &str) -> Option<MetadataItem> {
        Some(MetadataItem { key: MetadataKey::new(key).ok()?, value: MetadataValue::new(value).ok()? })
    }

    fn map(items: &[(String, String)]) -> Metadata {
        items.iter().filter_map(|(key, value)| item(key, value)).collect()
    }

    const ITEMS: &str = "[a-c]{1,2}\n?";

    proptest! {
        #[test]
        fn every_change_is_that_of_the_map(
            before in proptest::collection::vec((ITEMS, ".{0,4}"), 0..6),
            change in proptest::collection::vec((ITEMS, ".{0,4}"), 0..4),
            key in ITEMS,
        ) {
            let (before, change) = (map(&before), map(&change));
            let text = MetadataText::of(&before);
            prop_assert_eq!(&MetadataText::checked(text.as_json()), &Ok(text.clone()));
            prop_assert_eq!(&text.to_map(), &Ok(before.clone()));
            prop_assert_eq!(text.len(), before.len());
            let merged = before.clone().merged(change.clone());
            prop_assert_eq!(text.clone().merged(&change), MetadataText::of(&merged));
            let without = before.clone().without(&key).map(|map| MetadataText::of(&map));
            prop_assert_eq!(text.clone().without(&key), without);
            let found = item(&key, before.get(&key).unwrap_or_default()).filter(|_| before.get(&key).is_some());
            let wanted = found.map(|item| MetadataText::of(&[item].into_iter().collect()).text);
            let shown = text.item_json(&key).map(|item| format!("{{{item}}}"));
            prop_assert_eq!(shown, wanted);
        }
    }

    #[test]
    fn a_large_merge_is_that_of_the_map_too() {
        let items = |numbers: std::ops::Range<u32>, value: &str| -> Metadata {
            numbers.filter_map(|number| item(&format!("key{number}"), value)).collect()
        };
        let (before, change) = (items(0..100, "before"), items(50..150, "after"));
        assert_eq!(MetadataText::of(&before).merged(&change), MetadataText::of(&before.merged(change)));
    }

    #[test]
    fn what_we_did_not_write_is_no_map() {
        for text in ["", "[]", "{", r#"{"a": 1}"#, r#"{"": "x"}"#, r#"{"a": "b", }"#, r#"{"a": null}"#, r#"{"a": "é"}"#]
        {
            assert_eq!(MetadataText::checked(text), Err(NotAMap), "{text}");
        }
    }
}
