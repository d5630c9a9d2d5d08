//! The laws of metadata: by example, and by any example.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn item(key: &str, value: &str) -> MetadataItem {
    MetadataItem { key: MetadataKey::new(key).unwrap(), value: MetadataValue::new(value).unwrap() }
}

fn map(items: &[(&str, &str)]) -> Metadata {
    items.iter().map(|(key, value)| item(key, value)).collect()
}

fn keys(metadata: &Metadata) -> Vec<&str> {
    metadata.iter().map(|item| item.key.as_str()).collect()
}

#[test]
fn a_key_has_only_the_characters_of_a_key() {
    for text in ["a", " ", ".", "..", "a:b-c_d.e f", "Z9", "abc\n", " \n", &"k".repeat(255)] {
        assert!(MetadataKey::fits(text), "{text:?}");
    }
    for text in ["", "\n", "a\n\n", "a!", "é", "a\nb", "a/b", "a\r", "\na", &"k".repeat(256)] {
        assert!(!MetadataKey::fits(text), "{text:?}");
    }
}

#[test]
fn a_key_of_255_characters_may_end_in_one_newline_more() {
    assert!(MetadataKey::fits(&format!("{}\n", "k".repeat(255))));
    assert!(!MetadataKey::fits(&format!("{}\n", "k".repeat(256))));
}

#[test]
fn a_value_is_measured_in_characters() {
    assert!(MetadataValue::new(&"😀".repeat(255)).is_ok());
    assert_eq!(MetadataValue::new(&"😀".repeat(256)), Err(ValueTooLong));
    assert!(MetadataValue::new("").is_ok());
}

#[test]
fn a_changed_item_keeps_its_place_and_a_new_one_comes_last() {
    let merged = map(&[("zeta", "v"), ("alpha", "v"), ("mid", "v")]).merged(map(&[("alpha", "new"), ("aaa", "n")]));
    assert_eq!(keys(&merged), ["zeta", "alpha", "mid", "aaa"]);
    assert_eq!(merged.get("alpha"), Some("new"));
}

#[test]
fn keys_that_differ_in_case_are_different() {
    let both = map(&[("Key", "1")]).with(item("key", "2"));
    assert_eq!((both.get("Key"), both.get("key")), (Some("1"), Some("2")));
}

#[test]
fn of_two_values_under_one_key_the_last_counts_at_the_first_place() {
    let metadata = map(&[("a", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!((keys(&metadata), metadata.get("a")), (vec!["a", "b"], Some("3")));
}

#[test]
fn without_a_key_that_is_not_there_is_nothing() {
    assert_eq!(map(&[("a", "1")]).without("b"), None);
}

#[test]
fn a_limit_counts_the_items_of_the_result() {
    let two = map(&[("a", "1"), ("b", "2")]);
    assert_eq!(two.clone().within(Some(1)), Err(OverLimit { limit: 1 }));
    assert!(two.clone().within(Some(2)).is_ok());
    assert!(two.within(None).is_ok());
    assert!(Metadata::new().within(Some(0)).is_ok());
    assert_eq!(OverLimit { limit: 128 }.to_string(), "Maximum number of metadata items exceeds 128");
}

#[test]
fn large_maps_follow_the_same_rules_as_small_ones() {
    let numbers = |range: std::ops::Range<u32>, value: &str| -> Metadata {
        range.map(|number| item(&number.to_string(), value)).collect()
    };
    let large = numbers(0..200, "old").merged(numbers(100..300, "new"));
    let slow = numbers(100..300, "new").into_iter().fold(numbers(0..200, "old"), Metadata::with);
    assert_eq!(large, slow);
    assert_eq!(large.len(), 300);
}

fn some_items() -> impl Strategy<Value = Vec<(String, String)>> {
    vec(("[a-e]{1,2}", "\\PC{0,4}"), 0..90)
}

fn from_pairs(pairs: &[(String, String)]) -> Metadata {
    pairs.iter().map(|(key, value)| item(key, value)).collect()
}

proptest! {
    #[test]
    fn a_put_keeps_the_other_items(pairs in some_items(), key in "[a-e]{1,2}") {
        let before = from_pairs(&pairs);
        let after = before.clone().with(item(&key, "put"));
        prop_assert_eq!(after.get(&key), Some("put"));
        let others = |map: &Metadata| map.iter().filter(|item| item.key.as_str() != key).cloned().collect::<Vec<_>>();
        prop_assert_eq!(others(&before), others(&after));
    }

    #[test]
    fn a_delete_removes_one_item_and_keeps_the_order(pairs in some_items(), key in "[a-e]{1,2}") {
        let before = from_pairs(&pairs);
        match before.clone().without(&key) {
            None => prop_assert_eq!(before.get(&key), None),
            Some(after) => {
                prop_assert_eq!(after.get(&key), None);
                let left: Vec<_> = keys(&before).into_iter().filter(|other| *other != key).collect();
                prop_assert_eq!(keys(&after), left);
            }
        }
    }

    #[test]
    fn a_merge_is_one_put_after_the_other(first in some_items(), second in some_items()) {
        let (first, second) = (from_pairs(&first), from_pairs(&second));
        let one_by_one = second.clone().into_iter().fold(first.clone(), Metadata::with);
        prop_assert_eq!(first.merged(second), one_by_one);
    }

    #[test]
    fn a_key_is_there_once(pairs in some_items()) {
        let metadata = from_pairs(&pairs);
        let mut unique = keys(&metadata);
        unique.sort_unstable();
        unique.dedup();
        prop_assert_eq!(unique.len(), metadata.len());
    }
}
