//! Metadata: an ordered map of short texts, and every rule on its items. Pure: a change makes a new map.
//! Who may change it, and in which state of its owner, is decided elsewhere.

mod text;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

pub use text::{MetadataText, NotAMap};

/// The most characters a key, and the most characters a value may have.
pub const CHARACTERS_MAX: usize = 255;

/// The name of an item: 1 to 255 of `a-z A-Z 0-9 - _ : .` and space; case matters.
///
/// One newline may stand at the end: the pattern of the Compute API, `^[a-zA-Z0-9-_:. ]{1,255}$`, is evaluated by
/// Python, whose `$` also matches before a final newline, and such keys exist.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataKey(Arc<str>);

/// The value of an item: at most 255 characters of any kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataValue(Arc<str>);

/// A text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a metadata key")]
pub struct BadKey;

/// A text is too long for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a metadata value has at most {CHARACTERS_MAX} characters")]
pub struct ValueTooLong;

/// A map has more items than its owner may have. Printed as Nova says it for servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Maximum number of metadata items exceeds {limit}")]
pub struct OverLimit {
    /// How many items there may be.
    pub limit: usize,
}

impl MetadataKey {
    /// The key which the text is.
    ///
    /// # Errors
    /// `BadKey` when it is empty, too long, or has other characters than a key may have.
    pub fn new(text: &str) -> Result<MetadataKey, BadKey> {
        if MetadataKey::fits(text) { Ok(MetadataKey(text.into())) } else { Err(BadKey) }
    }

    /// Whether the text could be a key.
    pub fn fits(text: &str) -> bool {
        let body = text.strip_suffix('\n').unwrap_or(text).as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_:. ".contains(byte);
        (1..=CHARACTERS_MAX).contains(&body.len()) && body.iter().all(allowed)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MetadataValue {
    /// The value which the text is.
    ///
    /// # Errors
    /// `ValueTooLong` when it has more than 255 characters (not bytes).
    pub fn new(text: &str) -> Result<MetadataValue, ValueTooLong> {
        // Most values are short: counting characters is needed only where the bytes could be too many.
        if text.len() > CHARACTERS_MAX && text.chars().count() > CHARACTERS_MAX {
            return Err(ValueTooLong);
        }
        Ok(MetadataValue(text.into()))
    }

    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! is_text {
    ($($name:ident),*) => {$(
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}
is_text!(MetadataKey, MetadataValue);

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetadataItem {
    /// Its name; there is one item of a name in a map.
    pub key: MetadataKey,
    /// What it says.
    pub value: MetadataValue,
}

/// An ordered map: an item that is changed keeps its place, a new one comes last.
///
/// Kept as a list, since maps are small (128 items by default) and read far more often than searched.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    items: Vec<MetadataItem>,
}

/// From how many comparisons on an index of the keys costs less than looking through the list.
const INDEX_FROM_COMPARISONS: usize = 4096;

impl Metadata {
    /// No items.
    pub const fn new() -> Metadata {
        Metadata { items: Vec::new() }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The value under a key. Any text may be asked for: what cannot be a key is simply not there.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.items.iter().find(|item| item.key.as_str() == key).map(|item| item.value.as_str())
    }

    /// The items, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, MetadataItem> {
        self.items.iter()
    }

    /// The map with this item: under an existing key its value changes, else it comes last.
    #[must_use]
    pub fn with(mut self, item: MetadataItem) -> Metadata {
        self.put(item);
        self
    }

    /// The map without the item of this key; `None` if there is no such item.
    pub fn without(mut self, key: &str) -> Option<Metadata> {
        let at = self.items.iter().position(|item| item.key.as_str() == key)?;
        self.items.remove(at);
        Some(self)
    }

    /// The map with all items of the other: those under existing keys change in place, the others follow in their order.
    #[must_use]
    pub fn merged(mut self, other: Metadata) -> Metadata {
        if self.len() * other.len() < INDEX_FROM_COMPARISONS {
            other.into_iter().for_each(|item| self.put(item));
        } else {
            self.put_all(other.items);
        }
        self
    }

    /// The map, if it has no more items than `limit`; `None` is no limit. An empty map is within every limit.
    ///
    /// # Errors
    /// `OverLimit` when there are more.
    pub fn within(self, limit: Option<usize>) -> Result<Metadata, OverLimit> {
        match limit {
            Some(limit) if self.len() > limit => Err(OverLimit { limit }),
            Some(_) | None => Ok(self),
        }
    }

    fn put(&mut self, item: MetadataItem) {
        match self.items.iter_mut().find(|old| old.key == item.key) {
            Some(old) => old.value = item.value,
            None => self.items.push(item),
        }
    }

    fn put_all(&mut self, items: impl IntoIterator<Item = MetadataItem>) {
        let keys = self.items.iter().enumerate();
        let mut places: HashMap<MetadataKey, usize> = keys.map(|(at, item)| (item.key.clone(), at)).collect();
        for item in items {
            match places.get(&item.key) {
                Some(&at) => self.items[at].value = item.value,
                None => {
                    places.insert(item.key.clone(), self.items.len());
                    self.items.push(item);
                }
            }
        }
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|item| (&item.key, &item.value))).finish()
    }
}

/// Items in order; of several under one key the last value counts, at the place of the first, as in Python's maps.
impl FromIterator<MetadataItem> for Metadata {
    fn from_iter<I: IntoIterator<Item = MetadataItem>>(items: I) -> Metadata {
        let items: Vec<MetadataItem> = items.into_iter().collect();
        let mut metadata = Metadata { items: Vec::with_capacity(items.len()) };
        if items.len() * items.len() / 2 < INDEX_FROM_COMPARISONS {
            items.into_iter().for_each(|item| metadata.put(item));
        } else {
            metadata.put_all(items);
        }
        metadata
    }
}

impl IntoIterator for Metadata {
    type Item = MetadataItem;
    type IntoIter = std::vec::IntoIter<MetadataItem>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a> IntoIterator for &'a Metadata {
    type Item = &'a MetadataItem;
    type IntoIter = std::slice::Iter<'a, MetadataItem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
