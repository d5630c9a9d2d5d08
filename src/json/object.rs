//! The members of a JSON object, in the order they were first named. Not here: which members a request may have (`api::schema`).

use std::collections::HashMap;

use super::Json;

/// Up to this many members a look at each one is faster than hashing.
const SCANNED_MEMBERS_MAX: usize = 16;

/// Members with distinct keys in insertion order; giving a key a new value keeps its place. Python's `dict`.
#[derive(Clone, Debug, Default)]
pub struct Object {
    members: Vec<(String, Json)>,
    /// Where each key is, once there are too many to look at: a body full of distinct keys must not take quadratic time.
    #[expect(clippy::box_collection, reason = "most objects have no index: one pointer keeps every Json small")]
    index: Option<Box<HashMap<String, usize>>>,
}

impl Object {
    /// An object without members.
    pub const fn new() -> Object {
        Object { members: Vec::new(), index: None }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of a member.
    pub fn get(&self, key: &str) -> Option<&Json> {
        Some(&self.members[self.position(key)?].1)
    }

    /// The value of a member, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        let position = self.position(key)?;
        Some(&mut self.members[position].1)
    }

    /// Whether there is such a member.
    pub fn contains(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Gives a member its value; a new member comes last, an old one keeps its place. The value before, if any.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Json>) -> Option<Json> {
        let (key, value) = (key.into(), value.into());
        match self.position(&key) {
            Some(position) => Some(std::mem::replace(&mut self.members[position].1, value)),
            None => {
                self.append(key, value);
                None
            }
        }
    }

    /// Takes a member out, in time proportional to the number of members; [`Object::retain`] takes many at once.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let position = self.position(key)?;
        let (_, value) = self.members.remove(position);
        self.index_again();
        Some(value)
    }

    /// Keeps only the members for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Json) -> bool) {
        self.members.retain(|(key, value)| keep(key, value));
        self.index_again();
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.members.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.members.iter().map(|(key, _)| key.as_str())
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.members.iter().position(|(name, _)| name == key),
        }
    }

    fn append(&mut self, key: String, value: Json) {
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.members.len());
        }
        self.members.push((key, value));
        if self.index.is_none() && self.members.len() > SCANNED_MEMBERS_MAX {
            self.index_again();
        }
    }

    fn index_again(&mut self) {
        let positions = || self.members.iter().enumerate().map(|(position, (key, _))| (key.clone(), position));
        self.index = (self.members.len() > SCANNED_MEMBERS_MAX).then(|| Box::new(positions().collect()));
    }
}

/// Same members in the same order.
impl PartialEq for Object {
    fn eq(&self, other: &Object) -> bool {
        self.members == other.members
    }
}

/// Of members named twice the last value wins, at the first one's place.
impl<K: Into<String>, V: Into<Json>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Object {
        let mut object = Object::new();
        for (key, value) in members {
            object.insert(key, value);
        }
        object
    }
}

impl From<Vec<(String, Json)>> for Object {
    fn from(members: Vec<(String, Json)>) -> Object {
        members.into_iter().collect()
    }
}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: usize) -> Object {
        (0..count).map(|n| (format!("k{n}"), n)).collect()
    }

    #[test]
    fn a_new_value_keeps_the_place_of_its_member() {
        let mut object = numbered(3);
        assert_eq!(object.insert("k1", "new"), Some(Json::from(1)));
        assert_eq!(Json::from(object).to_string(), r#"{"k0": 0, "k1": "new", "k2": 2}"#);
    }

    #[test]
    fn members_are_found_below_and_above_the_size_where_hashing_begins() {
        for count in [1, SCANNED_MEMBERS_MAX, SCANNED_MEMBERS_MAX + 1, 1000] {
            let object = numbered(count);
            assert!((0..count).all(|n| object.get(&format!("k{n}")) == Some(&Json::from(n))), "{count}");
            assert!(!object.contains("absent"), "{count}");
        }
    }

    #[test]
    fn the_others_are_found_after_a_removal() {
        for count in [5, SCANNED_MEMBERS_MAX + 1, 100] {
            let mut object = numbered(count);
            assert_eq!(object.remove("k0"), Some(Json::from(0)));
            assert_eq!(object.remove("k0"), None);
            assert_eq!(object.get("k4"), Some(&Json::from(4)), "{count}");
            assert_eq!(object.len(), count - 1);
        }
    }

    #[test]
    fn only_what_is_kept_remains() {
        let mut object = numbered(40);
        object.retain(|key, _| key.ends_with('7'));
        assert_eq!(object.keys().collect::<Vec<_>>(), ["k7", "k17", "k27", "k37"]);
        assert_eq!(object.get("k37"), Some(&Json::from(37)));
    }
}
