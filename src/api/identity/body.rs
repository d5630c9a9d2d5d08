//! Bodies of Identity's administration: one member that holds an object, whose unknown members are kept.

use std::marker::PhantomData;

use crate::api::call::Call;
use crate::api::endpoint::{Error, Takes};
use crate::api::fault::Fault;
use crate::api::schema::{Literal, Pattern, Rule, Schema, Type};
use crate::api::version::Microversion;
use crate::identity::Error as IdentityError;
use crate::json::{Json, Object};

/// What a body looks like.
pub trait Shape: Send + Sync + 'static {
    /// The one member: `user`.
    const MEMBER: &'static str;
    /// The whole body.
    fn schema() -> &'static Schema;
}

/// The object inside a body that fits its shape.
pub struct Inner<S> {
    object: Object,
    shape: PhantomData<fn() -> S>,
}

impl<S: Shape> Takes for Inner<S> {
    fn schema(_: Microversion) -> Option<&'static Schema> {
        Some(S::schema())
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        let object = call.body.get(S::MEMBER).and_then(Json::as_object).cloned();
        let missing = IdentityError::Missing { attribute: S::MEMBER.to_owned(), of: "request body" };
        Ok(Inner { object: object.ok_or(missing)?, shape: PhantomData })
    }
}

impl<S> Inner<S> {
    /// A member.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.object.get(name)
    }

    /// A member that is text; `null` is nothing.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Json::as_str)
    }

    /// A member that is text, or takes the text away: `Some(None)` where it is `null`.
    pub fn text_or_null(&self, name: &str) -> Option<Option<String>> {
        self.get(name).map(|value| value.as_str().map(str::to_owned))
    }

    /// A member that is a truth value in any of Keystone's spellings; `null` is nothing.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        value.as_bool().or_else(|| value.as_str().map(is_true))
    }

    /// Everything else, as it is to be kept beside what was kept before. `null` takes a member away.
    pub fn rest(&self, known: &[&str], mut before: Object) -> Object {
        for (name, value) in self.object.iter().filter(|(name, _)| !known.contains(name)) {
            match value {
                Json::Null => {
                    before.remove(name);
                }
                value => {
                    before.insert(name, value.clone());
                }
            }
        }
        before
    }

    /// That the id in the body, if any, is the one in the URL.
    ///
    /// # Errors
    /// 400 otherwise.
    pub fn has_id(&self, id: &str) -> Result<(), Error> {
        match self.get("id") {
            None | Some(Json::Null) => Ok(()),
            Some(Json::String(own)) if own == id => Ok(()),
            Some(_) => Err(IdentityError::Senseless("Cannot change ID").into()),
        }
    }

    /// That a member, if it is there, says what it said before.
    ///
    /// # Errors
    /// 400 with this sentence otherwise.
    pub fn keeps(&self, name: &str, value: &str, sentence: &'static str) -> Result<(), Error> {
        match self.text(name) {
            Some(other) if other != value => Err(Fault::bad_request(sentence).into()),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a word means yes, in a query or in a body.
pub fn is_true(word: &str) -> bool {
    !matches!(word.to_ascii_lowercase().as_str(), "0" | "false" | "off" | "no" | "n" | "f")
}

static NOT_BLANK: Pattern = Pattern::new(r"[\S]+", |text| text.chars().any(|c| !c.is_whitespace()));
static ID: Pattern = Pattern::new("^[a-zA-Z0-9-]+$", |text| {
    let text = text.strip_suffix('\n').unwrap_or(text);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
});
static TAG: Pattern = Pattern::new("^[^,/]*$", |text| !text.contains([',', '/']));
static URL: Pattern = Pattern::new("^[a-zA-Z0-9+.-]+:.+", |text| {
    let scheme =
        text.split_once(':').filter(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty() && !rest.starts_with('\n'));
    scheme.is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte)))
});

const STRING: Rule = Rule::Type(&[Type::String]);
const STRING_OR_NULL: Rule = Rule::Type(&[Type::String, Type::Null]);

/// Names of domains and projects.
pub static SHORT_NAME: Schema =
    Schema::new(&[STRING, Rule::MinLength(1), Rule::MaxLength(64), Rule::Pattern(&NOT_BLANK)]);
/// Names of users, roles, services.
pub static NAME: Schema = Schema::new(&[STRING, Rule::MinLength(1), Rule::MaxLength(255), Rule::Pattern(&NOT_BLANK)]);
/// Any text.
pub static TEXT: Schema = Schema::new(&[STRING]);
/// Any text or `null`.
pub static TEXT_OR_NULL: Schema = Schema::new(&[STRING_OR_NULL]);
/// An id.
pub static ID_TEXT: Schema = Schema::new(&[STRING, Rule::MinLength(1), Rule::MaxLength(64), Rule::Pattern(&ID)]);
/// An id or `null`.
pub static ID_OR_NULL: Schema =
    Schema::new(&[STRING_OR_NULL, Rule::MinLength(1), Rule::MaxLength(64), Rule::Pattern(&ID)]);
/// The id of a region, or `null`.
pub static REGION_ID: Schema = Schema::new(&[STRING_OR_NULL, Rule::MaxLength(255)]);
/// `true` or `false`, to the letter.
pub static STRICT_BOOLEAN: Schema = Schema::new(&[Rule::Type(&[Type::Boolean])]);
/// The URL of an endpoint.
pub static ENDPOINT_URL: Schema = Schema::new(&[STRING, Rule::MaxLength(225), Rule::Pattern(&URL)]);
/// The interface of an endpoint.
pub static INTERFACE: Schema =
    Schema::new(&[STRING, Rule::Enum(&[Literal::Str("admin"), Literal::Str("internal"), Literal::Str("public")])]);
/// Tags of a project.
pub static TAGS: Schema = Schema::new(&[
    Rule::Type(&[Type::Array]),
    Rule::Items(&Schema::new(&[STRING, Rule::MinLength(1), Rule::MaxLength(255), Rule::Pattern(&TAG)])),
    Rule::MaxItems(80),
    Rule::UniqueItems,
]);
/// A truth value in any of Keystone's spellings.
pub static BOOLEAN: Schema = Schema::new(&[
    Rule::Type(&[Type::Boolean, Type::String, Type::Null]),
    Rule::Enum(&[
        Literal::Bool(true),
        Literal::Str("True"),
        Literal::Str("TRUE"),
        Literal::Str("true"),
        Literal::Bool(false),
        Literal::Str("False"),
        Literal::Str("FALSE"),
        Literal::Str("false"),
        Literal::Str(""),
        Literal::Str("1"),
        Literal::Str("0"),
        Literal::Str("y"),
        Literal::Str("Y"),
        Literal::Str("n"),
        Literal::Str("N"),
        Literal::Str("on"),
        Literal::Str("ON"),
        Literal::Str("off"),
        Literal::Str("OFF"),
        Literal::Str("yes"),
        Literal::Str("no"),
        Literal::Null,
    ]),
]);

/// A shape: its name, its member, the rules of the object inside.
macro_rules! shape {
    ($name:ident, $member:literal, [$($rule:expr),* $(,)?]) => {
        #[doc = concat!("`{\"", $member, "\": {…}}`.")]
        pub struct $name;

        impl $crate::api::identity::body::Shape for $name {
            const MEMBER: &'static str = $member;

            fn schema() -> &'static $crate::api::schema::Schema {
                static INNER: $crate::api::schema::Schema = $crate::api::schema::Schema::new(&[
                    $crate::api::schema::Rule::Type(&[$crate::api::schema::Type::Object]),
                    $($rule),*
                ]);
                static WHOLE: $crate::api::schema::Schema = $crate::api::schema::Schema::new(&[
                    $crate::api::schema::Rule::Type(&[$crate::api::schema::Type::Object]),
                    $crate::api::schema::Rule::Properties(&[($member, &INNER)]),
                    $crate::api::schema::Rule::Required(&[$member]),
                ]);
                &WHOLE
            }
        }
    };
}
pub(crate) use shape;
