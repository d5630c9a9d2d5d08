//! What is different at every run, put by name: ids, times, addresses. And bodies as Python writes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Names of values: `{server_id}` and the like.
#[derive(Debug, Default)]
pub struct Names(pub BTreeMap<String, String>);

impl Names {
    /// Puts values in the place of their names.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.0 {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        filled
    }

    /// As `fill`, in every string of a document; `{"$many": ["q", 2, "x"]}` becomes `{"q000": "x", "q001": "x"}`.
    pub fn fill_json(&self, json: &Value) -> Value {
        match json {
            Value::String(text) => self.fill(text).into(),
            Value::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Value::Object(members) => match members.get("$many").and_then(Value::as_array) {
                Some(many) => many_items(many),
                None => {
                    let members = members.iter().map(|(key, value)| (self.fill(key), self.fill_json(value)));
                    Value::Object(members.collect::<Map<_, _>>())
                }
            },
            other => other.clone(),
        }
    }

    /// Puts names in the place of values; times, and what else each server has its own of, are put by name, too.
    pub fn normal(&self, text: &str) -> String {
        let mut normal = text.to_owned();
        let mut longest_first: Vec<_> = self.0.iter().filter(|(_, value)| value.len() >= 8).collect();
        longest_first.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        for (name, value) in longest_first {
            normal = normal.replace(value, &format!("{{{name}}}"));
        }
        normal = normal.replace("http://kilonova.test", "{base}");
        // where Image is: the recorded Nova knew it by an address that ended in a slash
        normal = normal.replace("{base}/image/images/", "http://127.0.0.1:19292//images/");
        normal = without_times(&normal);
        normal = between(&normal, "Keystone uri=\"", "\"", "{keystone}");
        between(&normal, "\"hostId\": \"", "\"", "{hostid}")
    }
}

fn many_items(many: &[Value]) -> Value {
    let [Value::String(prefix), count, value] = many else { panic!("$many has a prefix, a number and a value") };
    let count = count.as_u64().expect("a number of items");
    let items = (0..count).map(|index| (format!("{prefix}{index:03}"), value.clone()));
    Value::Object(items.collect::<Map<_, _>>())
}

/// Replaces what stands between two marks, unless nothing does.
fn between(text: &str, before: &str, after: &str, name: &str) -> String {
    let mut parts = text.split(before);
    let mut normal = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(after).unwrap_or(0);
        normal.push_str(before);
        normal.push_str(if end > 0 { name } else { "" });
        normal.push_str(&part[end..]);
    }
    normal
}

/// Replaces `2026-01-01T00:00:00`, a fraction and a zone where they follow.
fn without_times(text: &str) -> String {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let is_time = |bytes: &[u8]| {
        let fits = |(byte, shape): (&u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
        bytes.len() >= SHAPE.len() && bytes.iter().zip(SHAPE).all(fits)
    };
    let mut normal = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if !is_time(rest.as_bytes()) {
            normal.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        rest = &rest[SHAPE.len()..];
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        rest = rest.strip_prefix('Z').or_else(|| rest.strip_prefix("+00:00")).unwrap_or(rest);
        normal.push_str("{time}");
    }
    normal
}

/// A document with `", "` and `": "` between its parts, as the recorder sent it.
pub fn as_python(json: &Value, in_ascii: bool) -> Vec<u8> {
    if in_ascii {
        let json = kilonova::json::parse(json.to_string().as_bytes()).expect("what serde writes is JSON");
        return kilonova::json::to_bytes(&json);
    }
    let mut bytes = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
    serde::Serialize::serialize(json, &mut writer).expect("a document can be written");
    bytes
}

struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}
