//! A schema as the JSON Schema document it stands for: OpenAPI shows it, and a few sentences quote it.

use super::{Rule, Schema, Type};
use crate::json::{Json, Object};

impl Schema {
    /// The document, keywords in the order they are checked.
    pub fn describe(&self) -> Json {
        let keywords: Object = self.rules.iter().map(describe_rule).collect();
        keywords.into()
    }
}

impl Type {
    /// JSON Schema's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Object => "object",
            Type::Array => "array",
            Type::String => "string",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::Boolean => "boolean",
            Type::Null => "null",
        }
    }
}

fn describe_rule(rule: &Rule) -> (&'static str, Json) {
    match rule {
        Rule::Type([one]) => ("type", one.name().into()),
        Rule::Type(several) => ("type", several.iter().map(|kind| kind.name()).collect()),
        Rule::Enum(literals) => ("enum", literals.iter().copied().collect()),
        Rule::Const(literal) => ("const", (*literal).into()),
        Rule::MinLength(min) => ("minLength", (*min).into()),
        Rule::MaxLength(max) => ("maxLength", (*max).into()),
        Rule::Pattern(pattern) => ("pattern", pattern.source().as_ref().into()),
        Rule::Format(format) => ("format", format.name().into()),
        Rule::Minimum(min) => ("minimum", (*min).into()),
        Rule::Maximum(max) => ("maximum", (*max).into()),
        Rule::MinProperties(min) => ("minProperties", (*min).into()),
        Rule::MaxProperties(max) => ("maxProperties", (*max).into()),
        Rule::Properties(members) => ("properties", object_of(members.iter().map(|(name, schema)| (*name, *schema)))),
        Rule::PatternProperties(members) => {
            ("patternProperties", object_of(members.iter().map(|(pattern, schema)| (pattern.source(), *schema))))
        }
        Rule::AdditionalProperties(allowed) => ("additionalProperties", (*allowed).into()),
        Rule::Required(names) => ("required", names.iter().copied().collect()),
        Rule::Items(schema) => ("items", schema.describe()),
        Rule::MinItems(min) => ("minItems", (*min).into()),
        Rule::MaxItems(max) => ("maxItems", (*max).into()),
        Rule::UniqueItems => ("uniqueItems", true.into()),
        Rule::AllOf(schemas) => ("allOf", list_of(schemas)),
        Rule::AnyOf(schemas) => ("anyOf", list_of(schemas)),
        Rule::OneOf(schemas) => ("oneOf", list_of(schemas)),
        Rule::Not(schema) => ("not", schema.describe()),
    }
}

fn object_of<K: Into<String>>(schemas: impl Iterator<Item = (K, &'static Schema)>) -> Json {
    let members: Object = schemas.map(|(key, schema)| (key, schema.describe())).collect();
    members.into()
}

fn list_of(schemas: &[&Schema]) -> Json {
    schemas.iter().map(|schema| schema.describe()).collect()
}
