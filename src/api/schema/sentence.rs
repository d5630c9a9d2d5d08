//! What Nova says about a body that breaks a schema: jsonschema 4.26's sentences behind Nova's prefix
//! (`nova/api/validation/validators.py`). Not here: which rule is broken first.

use std::fmt;

use super::{Literal, Rule, Schema, Step, Violation, number};
use crate::json::{Json, python};

/// Why a body or query does not fit: the whole sentence for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

impl Violation<'_> {
    pub(super) fn in_body(&self) -> SchemaError {
        self.behind("Invalid input for field/attribute", self.at.last)
    }

    pub(super) fn in_query(&self) -> SchemaError {
        self.behind("Invalid input for query parameters", self.at.first)
    }

    fn behind(&self, prefix: &str, step: Option<Step<'_>>) -> SchemaError {
        if let Rule::Format(format) = self.rule
            && let Some(must_be) = format.name_must_be()
        {
            return SchemaError(format!("An invalid 'name' value was provided. The name must be: {must_be}"));
        }
        SchemaError(match step {
            Some(step) => format!("{prefix} {step}. Value: {}. {}", python::str(self.value), self.sentence()),
            None => self.sentence(),
        })
    }

    fn sentence(&self) -> String {
        match self.rule {
            Rule::Type(types) => {
                self.value_is(&format!("not of type {}", quoted(types.iter().map(|kind| kind.name()))))
            }
            Rule::Enum(literals) => {
                self.value_is(&format!("not one of {}", python::repr(&literals.iter().copied().collect())))
            }
            Rule::Const(literal) => format!("{} was expected", python::repr(&Json::from(*literal))),
            Rule::MinLength(min) | Rule::MinItems(min) => {
                self.value(one_or(*min, "should be non-empty", "is too short"))
            }
            Rule::MaxLength(max) | Rule::MaxItems(max) => self.value(none_or(*max, "is too long")),
            Rule::Pattern(pattern) => self.value(&format!("does not match {}", python::repr_str(&pattern.source()))),
            Rule::Format(format) => self.value_is(&format!("not a {}", python::repr_str(format.name()))),
            Rule::Minimum(min) => format!("{} is less than the minimum of {min}", self.number()),
            Rule::Maximum(max) => format!("{} is greater than the maximum of {max}", self.number()),
            Rule::MinProperties(min) => {
                self.value(one_or(*min, "should be non-empty", "does not have enough properties"))
            }
            Rule::MaxProperties(max) => self.value(none_or(*max, "has too many properties")),
            Rule::AdditionalProperties(_) => self.additional_properties(),
            Rule::Required(names) => self.missing(names),
            Rule::UniqueItems => self.value("has non-unique elements"),
            Rule::AnyOf(_) => self.value("is not valid under any of the given schemas"),
            Rule::OneOf(schemas) => self.one_of(schemas),
            Rule::Not(schema) => self.value(&format!("should not be valid under {}", python::repr(&schema.describe()))),
            Rule::Properties(_) | Rule::PatternProperties(_) | Rule::Items(_) | Rule::AllOf(_) => {
                unreachable!("these are broken where a rule of theirs is")
            }
        }
    }

    fn value(&self, is: &str) -> String {
        format!("{} {is}", python::repr(self.value))
    }

    fn value_is(&self, what: &str) -> String {
        format!("{} is {what}", python::repr(self.value))
    }

    fn number(&self) -> String {
        number::of(self.value).map(|number| number.to_string()).unwrap_or_default()
    }

    fn missing(&self, names: &[&str]) -> String {
        let is_missing = |name: &&&str| self.value.get(name).is_none();
        let missing = names.iter().find(is_missing).copied().unwrap_or_default();
        format!("{} is a required property", python::repr_str(missing))
    }

    fn one_of(&self, schemas: &[&Schema]) -> String {
        let mut valid = schemas.iter().filter(|schema| schema.allows(self.value));
        let Some(first) = valid.next() else {
            return self.value("is not valid under any of the given schemas");
        };
        // jsonschema names the first one last.
        let names: Vec<String> = valid.chain([first]).map(|schema| python::repr(&schema.describe())).collect();
        self.value_is(&format!("valid under each of {}", names.join(", ")))
    }

    fn additional_properties(&self) -> String {
        let schema = Schema { rules: self.rules };
        let mut extras: Vec<&str> = self.value.as_object().map(|object| object.keys().collect()).unwrap_or_default();
        extras.retain(|key| !schema.names(key));
        // Python sorts by code point, as UTF-8 does.
        extras.sort_unstable();
        let (several, extras) = (extras.len() > 1, quoted(extras));
        if schema.has_patterns() {
            let verb = if several { "do" } else { "does" };
            return format!("{extras} {verb} not match any of the regexes: {}", self.regexes());
        }
        let verb = if several { "were" } else { "was" };
        format!("Additional properties are not allowed ({extras} {verb} unexpected)")
    }

    fn regexes(&self) -> String {
        let mut sources = Vec::new();
        for rule in self.rules {
            if let Rule::PatternProperties(members) = rule {
                sources.extend(members.iter().map(|(pattern, _)| pattern.source()));
            }
        }
        sources.sort_unstable();
        quoted(sources.iter().map(|source| &**source))
    }
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(python::repr_str).collect();
    names.join(", ")
}

fn one_or(min: usize, one: &'static str, more: &'static str) -> &'static str {
    if min == 1 { one } else { more }
}

fn none_or(max: usize, some: &'static str) -> &'static str {
    if max == 0 { "is expected to be empty" } else { some }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Member(name) => f.write_str(name),
            Step::Item(position) => write!(f, "{position}"),
        }
    }
}

impl From<Literal> for Json {
    fn from(literal: Literal) -> Json {
        match literal {
            Literal::Null => Json::Null,
            Literal::Bool(truth) => truth.into(),
            Literal::Int(integer) => integer.into(),
            Literal::Str(text) => text.into(),
        }
    }
}
