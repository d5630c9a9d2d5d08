//! A body that fits a schema: the smallest one it describes. Where a description does not say enough, `hint` knows.

use kilonova::json::{Json, Object};

/// A value that this JSON Schema document allows.
pub fn of(schema: &Json) -> Json {
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    if let Some(first) = schema.get("enum").and_then(Json::as_array).and_then(<[Json]>::first) {
        return first.clone();
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        let choice = schema.get(several).and_then(Json::as_array).and_then(<[Json]>::first);
        if let Some(choice) = choice.filter(|choice| kind(choice).is_some() || choice.get("enum").is_some()) {
            return of(choice);
        }
    }
    match kind(schema) {
        Some("object") | None => object(schema).into(),
        Some("array") => array(schema),
        Some("integer" | "number") => number(schema, "minimum").max(1).into(),
        Some("boolean") => true.into(),
        Some("null") => Json::Null,
        Some(_) => text(schema).into(),
    }
}

fn kind(schema: &Json) -> Option<&str> {
    let kind = schema.get("type")?;
    kind.as_str().or_else(|| kind.as_array()?.first()?.as_str())
}

/// What must be there, and as many others as must be there.
fn object(schema: &Json) -> Object {
    let properties = schema.get("properties").and_then(Json::as_object);
    let required = schema.get("required").and_then(Json::as_array).unwrap_or_default();
    let names = required.iter().filter_map(Json::as_str).map(str::to_owned);
    let member = |name: String| {
        let schema = properties.and_then(|properties| properties.get(&name)).cloned().unwrap_or(Json::Null);
        let value = hint(&name).unwrap_or_else(|| of(&schema));
        (name, value)
    };
    let mut object: Object = names.map(member).collect();
    let wanted = usize::try_from(number(schema, "minProperties")).unwrap_or(0);
    let pattern = schema.get("patternProperties").and_then(Json::as_object).and_then(|map| map.iter().next());
    // an empty map may be no change at all: one item, where any may be
    if let Some((_, schema)) = pattern.filter(|_| object.is_empty()) {
        object.insert("a", of(schema));
    }
    if let Some((name, schema)) = properties.and_then(|map| map.iter().next()).filter(|_| object.len() < wanted) {
        object.insert(name, hint(name).unwrap_or_else(|| of(schema)));
    }
    object
}

fn array(schema: &Json) -> Json {
    let items = schema.get("items").cloned().unwrap_or(Json::Null);
    (0..number(schema, "minItems")).map(|_| of(&items)).collect()
}

fn number(schema: &Json, name: &str) -> i64 {
    schema.get(name).and_then(Json::as_i64).unwrap_or(0)
}

fn text(schema: &Json) -> String {
    match schema.get("format").and_then(Json::as_str) {
        Some("uuid") => "6f9c6b2e-0000-4000-8000-00000000000f".into(),
        Some("ipv4") => "192.0.2.1".into(),
        Some("ipv6") => "2001:db8::1".into(),
        Some("date-time") => "2026-01-01T00:00:00Z".into(),
        Some("uri") => "http://kilonova.test/".into(),
        Some(_) | None => "1".into(),
    }
}

/// Members whose values a schema does not describe well enough.
fn hint(name: &str) -> Option<Json> {
    match name {
        "imageRef" => Some("6f9c6b2e-0000-4000-8000-000000000002".into()),
        "flavorRef" => Some("1".into()),
        "networks" => Some("none".into()),
        _ => None,
    }
}
