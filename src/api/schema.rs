//! What a request body may look like, as constant data: a small JSON Schema, which finds the same first error as Nova's validator.
//! Here: the language and the check. The sentences are in `sentence`, the shapes many requests share in `parameter_types`.
//! Not here: what a body means.
//!
//! Rules are checked in the order they are written, each one to its depth, so the order in a schema decides which of several
//! errors a client sees: write them as Nova's schema does.

mod describe;
pub mod format;
mod number;
pub mod parameter_types;
pub mod pattern;
mod sentence;
mod unique;

use crate::json::{Json, Object};

pub use format::Format;
pub use parameter_types::{METADATA_COLLECTION, METADATA_ITEM};
pub use pattern::Pattern;
pub use sentence::SchemaError;

/// Rules that one value must obey. No rules at all allow anything.
#[derive(Debug)]
pub struct Schema {
    rules: &'static [Rule],
}

/// One keyword of JSON Schema 2020-12 with its value. Each applies to one kind of value and holds for all others.
#[derive(Debug)]
pub enum Rule {
    /// `type`: one of these.
    Type(&'static [Type]),
    /// `enum`: equal to one of these.
    Enum(&'static [Literal]),
    /// `const`: equal to this.
    Const(Literal),
    /// `minLength`, in code points.
    MinLength(usize),
    /// `maxLength`, in code points.
    MaxLength(usize),
    /// `pattern` of strings.
    Pattern(&'static Pattern),
    /// `format`.
    Format(&'static Format),
    /// `minimum` of numbers, truth values and strings that Python's `int` or `float` reads (Nova's extension).
    Minimum(i64),
    /// `maximum`, of the same.
    Maximum(i64),
    /// `minProperties`.
    MinProperties(usize),
    /// `maxProperties`.
    MaxProperties(usize),
    /// `properties`: schemas of members by name; absent members are not missed.
    Properties(&'static [(&'static str, &'static Schema)]),
    /// `patternProperties`: schemas of members whose names fit.
    PatternProperties(&'static [(&'static Pattern, &'static Schema)]),
    /// `additionalProperties`: whether members may be named neither by `properties` nor by `patternProperties`.
    AdditionalProperties(bool),
    /// `required`: members that must be there.
    Required(&'static [&'static str]),
    /// `items`: the schema of each element.
    Items(&'static Schema),
    /// `minItems`.
    MinItems(usize),
    /// `maxItems`.
    MaxItems(usize),
    /// `uniqueItems: true`. Put `maxItems` before it: elements that are not strings are compared each with each.
    UniqueItems,
    /// `allOf`.
    AllOf(&'static [&'static Schema]),
    /// `anyOf`.
    AnyOf(&'static [&'static Schema]),
    /// `oneOf`.
    OneOf(&'static [&'static Schema]),
    /// `not`.
    Not(&'static Schema),
}

/// What JSON Schema calls a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `object`
    Object,
    /// `array`
    Array,
    /// `string`
    String,
    /// `integer`: any number without a fraction, `1.0` too; no truth value, though Python counts those as integers.
    Integer,
    /// `number`
    Number,
    /// `boolean`
    Boolean,
    /// `null`
    Null,
}

/// A value one can write in a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `null`
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer; equal to the float of the same value.
    Int(i64),
    /// A string.
    Str(&'static str),
}

impl Schema {
    /// A schema that allows anything, `{}`.
    pub const ANY: Schema = Schema::new(&[]);

    /// These rules, to be checked in this order.
    pub const fn new(rules: &'static [Rule]) -> Schema {
        Schema { rules }
    }

    /// Checks a request body; the error is the first one Nova's validator would meet, in its words.
    pub fn check(&self, body: &Json) -> Result<(), SchemaError> {
        self.violation(body, At::TOP).map_or(Ok(()), |violation| Err(violation.in_body()))
    }

    /// Checks query parameters: an object of lists of strings. The same rules, another sentence.
    pub fn check_query(&self, query: &Json) -> Result<(), SchemaError> {
        self.violation(query, At::TOP).map_or(Ok(()), |violation| Err(violation.in_query()))
    }

    /// Removes unknown members from a body if at least one known one is there, as the legacy `/v2` API does before it checks.
    /// Only the top level, and only where the schema's own rules name the members and forbid others.
    pub fn keep_known(&self, body: &mut Json) {
        let Some(object) = body.as_object_mut() else { return };
        let forbids_others = self.rules.iter().any(|rule| matches!(rule, Rule::AdditionalProperties(false)));
        if forbids_others && !self.has_patterns() && object.keys().any(|key| self.names(key)) {
            object.retain(|key, _| self.names(key));
        }
    }

    fn violation<'a>(&self, value: &'a Json, at: At<'a>) -> Option<Violation<'a>> {
        self.rules.iter().find_map(|rule| self.violation_of(rule, value, at))
    }

    fn violation_of<'a>(&self, rule: &'static Rule, value: &'a Json, at: At<'a>) -> Option<Violation<'a>> {
        match rule {
            Rule::Properties(members) => {
                let object = value.as_object()?;
                members.iter().find_map(|(name, schema)| schema.violation(object.get(name)?, at.member(name)))
            }
            Rule::PatternProperties(members) => {
                let object = value.as_object()?;
                members.iter().find_map(|(pattern, schema)| {
                    let mut fitting = object.iter().filter(|(name, _)| pattern.fits(name));
                    fitting.find_map(|(name, member)| schema.violation(member, at.member(name)))
                })
            }
            Rule::Items(schema) => {
                let mut items = value.as_array()?.iter().enumerate();
                items.find_map(|(position, item)| schema.violation(item, at.item(position)))
            }
            Rule::AllOf(schemas) => schemas.iter().find_map(|schema| schema.violation(value, at)),
            leaf => (!self.holds(leaf, value)).then_some(Violation { rules: self.rules, rule: leaf, value, at }),
        }
    }

    /// Whether a rule holds. Those that look into members and elements are broken where a rule of theirs is.
    fn holds(&self, rule: &'static Rule, value: &Json) -> bool {
        match rule {
            Rule::Type(types) => types.iter().any(|kind| kind.is_type_of(value)),
            Rule::Enum(literals) => literals.iter().any(|literal| literal.equals(value)),
            Rule::Const(literal) => literal.equals(value),
            Rule::MinLength(min) => value.as_str().is_none_or(|text| !is_shorter(text, *min)),
            Rule::MaxLength(max) => value.as_str().is_none_or(|text| is_shorter(text, max + 1)),
            Rule::Pattern(pattern) => value.as_str().is_none_or(|text| pattern.fits(text)),
            Rule::Format(format) => format.holds(value),
            Rule::Minimum(min) => number::of(value).is_none_or(|number| !number::is_less(&number, *min)),
            Rule::Maximum(max) => number::of(value).is_none_or(|number| !number::is_greater(&number, *max)),
            Rule::MinProperties(min) => value.as_object().is_none_or(|object| object.len() >= *min),
            Rule::MaxProperties(max) => value.as_object().is_none_or(|object| object.len() <= *max),
            Rule::AdditionalProperties(allowed) => {
                *allowed || value.as_object().is_none_or(|object| self.knows_all(object))
            }
            Rule::Required(names) => {
                value.as_object().is_none_or(|object| names.iter().all(|name| object.contains(name)))
            }
            Rule::MinItems(min) => value.as_array().is_none_or(|items| items.len() >= *min),
            Rule::MaxItems(max) => value.as_array().is_none_or(|items| items.len() <= *max),
            Rule::UniqueItems => value.as_array().is_none_or(unique::are_unique),
            Rule::AnyOf(schemas) => schemas.iter().any(|schema| schema.allows(value)),
            Rule::OneOf(schemas) => schemas.iter().filter(|schema| schema.allows(value)).count() == 1,
            Rule::Not(schema) => !schema.allows(value),
            Rule::Properties(_) | Rule::PatternProperties(_) | Rule::Items(_) | Rule::AllOf(_) => {
                self.violation_of(rule, value, At::TOP).is_none()
            }
        }
    }

    fn allows(&self, value: &Json) -> bool {
        self.violation(value, At::TOP).is_none()
    }

    fn knows_all(&self, object: &Object) -> bool {
        object.keys().all(|key| self.names(key))
    }

    /// Whether `properties` or `patternProperties` speak of this member.
    fn names(&self, key: &str) -> bool {
        self.rules.iter().any(|rule| {
            if let Rule::Properties(members) = rule {
                members.iter().any(|(name, _)| *name == key)
            } else if let Rule::PatternProperties(members) = rule {
                members.iter().any(|(pattern, _)| pattern.fits(key))
            } else {
                false
            }
        })
    }

    fn has_patterns(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::PatternProperties(_)))
    }
}

impl Type {
    fn is_type_of(self, value: &Json) -> bool {
        match self {
            Type::Object => value.as_object().is_some(),
            Type::Array => value.as_array().is_some(),
            Type::String => value.as_str().is_some(),
            Type::Integer => value.as_number().is_some_and(crate::json::Number::is_integer),
            Type::Number => value.as_number().is_some(),
            Type::Boolean => value.as_bool().is_some(),
            Type::Null => value.is_null(),
        }
    }
}

impl Literal {
    fn equals(self, value: &Json) -> bool {
        match self {
            Literal::Null => value.is_null(),
            Literal::Bool(truth) => value.as_bool() == Some(truth),
            Literal::Int(integer) => value.as_i64() == Some(integer),
            Literal::Str(text) => value.as_str() == Some(text),
        }
    }
}

/// Whether a text has fewer than so many code points. Counts only where the number of bytes leaves a doubt.
fn is_shorter(text: &str, code_points: usize) -> bool {
    text.len() < code_points || text.chars().take(code_points).count() < code_points
}

/// Where a value lies in the request: the first and the last step towards it. Nova's sentences name no others.
#[derive(Clone, Copy)]
struct At<'a> {
    first: Option<Step<'a>>,
    last: Option<Step<'a>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

impl<'a> At<'a> {
    const TOP: At<'static> = At { first: None, last: None };

    fn member(self, name: &'a str) -> At<'a> {
        self.step(Step::Member(name))
    }

    fn item(self, position: usize) -> At<'a> {
        self.step(Step::Item(position))
    }

    fn step(self, step: Step<'a>) -> At<'a> {
        At { first: self.first.or(Some(step)), last: Some(step) }
    }
}

/// A rule that does not hold, and for what. Words are found for it only when a client shall read them.
struct Violation<'a> {
    /// The schema which has the rule: other rules of it appear in the sentence.
    rules: &'static [Rule],
    rule: &'static Rule,
    value: &'a Json,
    at: At<'a>,
}

#[cfg(test)]
mod tests;
