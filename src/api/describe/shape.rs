//! What a body looks like, for people: `{"metadata": {KEY: text}}`. Members that may be left out have a `?`.

use crate::json::{Json, Object};

/// As many characters may stand in a line.
const LINE_CHARS_MAX: usize = 100;

/// A schema as a shape, in several lines where one is too long.
pub fn shape(schema: &Json) -> String {
    written(schema, 0)
}

fn written(schema: &Json, indent: usize) -> String {
    let line = one_line(schema);
    let members = members(schema);
    if indent + line.len() <= LINE_CHARS_MAX || members.is_empty() {
        return line;
    }
    let inside = " ".repeat(indent + 2);
    let lines = members.iter().map(|(name, schema)| format!("{inside}{name}: {}", written(schema, indent + 2)));
    format!("{{\n{}\n{}}}", lines.collect::<Vec<_>>().join(",\n"), " ".repeat(indent))
}

fn one_line(schema: &Json) -> String {
    if let Some(values) = schema.get("enum").and_then(Json::as_array) {
        return choices(values);
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(first) = schema.get("allOf").and_then(Json::as_array).and_then(<[Json]>::first) {
        return one_line(first);
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(schemas) = schema.get(word).and_then(Json::as_array) {
            return alternatives(schemas.iter().map(one_line));
        }
    }
    match schema.get("type") {
        Some(Json::String(name)) => of_type(name, schema),
        Some(names) => {
            let names = names.as_array().unwrap_or_default().iter().filter_map(Json::as_str);
            alternatives(names.map(|name| of_type(name, schema)))
        }
        None => "anything".to_owned(),
    }
}

fn of_type(name: &str, schema: &Json) -> String {
    match name {
        "object" => {
            let members = members(schema);
            let members = members.iter().map(|(name, schema)| format!("{name}: {}", one_line(schema)));
            let members: Vec<String> = members.collect();
            if members.is_empty() { "{…}".to_owned() } else { format!("{{{}}}", members.join(", ")) }
        }
        "array" => schema.get("items").map_or("[…]".to_owned(), |items| format!("[{}, …]", one_line(items))),
        "string" => match schema.get("format").and_then(Json::as_str) {
            Some("uuid") => "UUID".to_owned(),
            Some(_) | None => "text".to_owned(),
        },
        "boolean" => "true | false".to_owned(),
        other => other.to_owned(),
    }
}

/// Names with their schemas: those that are known by name, then `KEY` for those known by a pattern.
fn members(schema: &Json) -> Vec<(String, &Json)> {
    let required: Vec<&str> =
        schema.get("required").and_then(Json::as_array).unwrap_or_default().iter().filter_map(Json::as_str).collect();
    let named = |(name, schema)| {
        let mark = if required.contains(&name) { "" } else { "?" };
        (format!("\"{name}\"{mark}"), schema)
    };
    let of = |word| schema.get(word).and_then(Json::as_object).into_iter().flat_map(Object::iter);
    of("properties").map(named).chain(of("patternProperties").map(|(_, schema)| ("KEY".to_owned(), schema))).collect()
}

/// The many spellings of yes and no are shown as what they mean.
fn choices(values: &[Json]) -> String {
    if values.iter().any(|value| value.as_bool().is_some()) && values.len() > 2 {
        return "true | false".to_owned();
    }
    alternatives(values.iter().map(Json::to_string))
}

fn alternatives(texts: impl Iterator<Item = String>) -> String {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{METADATA_COLLECTION, METADATA_ITEM};

    #[test]
    fn bodies_are_shown_by_their_members() {
        assert_eq!(shape(&METADATA_COLLECTION.describe()), r#"{"metadata": {KEY: text}}"#);
        assert_eq!(shape(&METADATA_ITEM.describe()), r#"{"meta": {KEY: text}}"#);
    }

    #[test]
    fn what_may_be_left_out_is_marked() {
        let schema = br#"{"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"enum": ["X", 1]}},
                          "required": ["b"]}"#;
        let schema = crate::json::parse(schema).expect("JSON");
        assert_eq!(shape(&schema), r#"{"a"?: text | null, "b": "X" | 1}"#);
    }
}
