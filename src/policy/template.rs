//! `%(name)s` templates, split once when rules are loaded and filled in from a target's facts. Python's `%` operator, as far as
//! policies use it.

use std::borrow::Cow;
use std::fmt;

use super::evaluate::{Fact, Facts};

/// Text with gaps for facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Fact(Box<str>),
}

/// Why a template cannot be used. (The original fails with an error when it meets one.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `%` that begins neither `%%` nor `%(name)s`.
    #[error("a `%` in it begins neither `%(name)s` nor `%%`")]
    Format,
}

/// Why a template has no text for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfilled<'t> {
    /// The target has no such fact.
    Missing(&'t str),
    /// The fact is a list, which has no one text.
    List(&'t str),
}

impl Template {
    /// Splits a template.
    ///
    /// # Errors
    /// `Format` for every use of `%` other than `%(name)s` and `%%`.
    pub fn new(text: &str) -> Result<Template, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                plain.push('%');
                rest = after;
                continue;
            }
            let (name, after) = after.strip_prefix('(').and_then(split_name).ok_or(TemplateError::Format)?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
            }
            pieces.push(Piece::Fact(name.into()));
            rest = after.strip_prefix('s').ok_or(TemplateError::Format)?;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        Ok(Template { pieces: pieces.into() })
    }

    /// The text for this target. Allocates only where there is more than one piece, or a number.
    ///
    /// # Errors
    /// Which fact is missing or has no text.
    pub fn fill<'a>(&'a self, target: &'a dyn Facts) -> Result<Cow<'a, str>, Unfilled<'a>> {
        if let [piece] = &*self.pieces {
            return piece.text(target);
        }
        let mut text = String::new();
        for piece in &self.pieces {
            text.push_str(&piece.text(target)?);
        }
        Ok(text.into())
    }
}

impl Piece {
    fn text<'a>(&'a self, target: &'a dyn Facts) -> Result<Cow<'a, str>, Unfilled<'a>> {
        match self {
            Piece::Text(text) => Ok(Cow::Borrowed(text)),
            Piece::Fact(name) => match target.fact(name) {
                None => Err(Unfilled::Missing(name)),
                Some(Fact::List(_)) => Err(Unfilled::List(name)),
                Some(Fact::Str(text)) => Ok(Cow::Borrowed(text)),
                Some(Fact::Bool(flag)) => Ok(Cow::Borrowed(python_bool(flag))),
                Some(Fact::Int(number)) => Ok(Cow::Owned(number.to_string())),
                Some(Fact::None) => Ok(Cow::Borrowed("None")),
            },
        }
    }
}

/// The template as it was written.
impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => out.write_str(&text.replace('%', "%%")),
            Piece::Fact(name) => write!(out, "%({name})s"),
        })
    }
}

/// A truth value as Python prints it.
pub fn python_bool(flag: bool) -> &'static str {
    if flag { "True" } else { "False" }
}

/// The name before the closing parenthesis, which may itself hold pairs of parentheses, and what follows.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let mut open = 1usize;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => open += 1,
            b')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&text[..place], &text[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: [(&str, Fact<'static>); 4] =
        [("id", Fact::Str("7f")), ("n", Fact::Int(-3)), ("on", Fact::Bool(true)), ("none", Fact::None)];

    fn filled(text: &str) -> Result<String, String> {
        let template = Template::new(text).map_err(|error| error.to_string())?;
        template.fill(&TARGET).map(Cow::into_owned).map_err(|unfilled| format!("{unfilled:?}"))
    }

    #[test]
    fn gaps_are_filled_as_python_fills_them() {
        let table = [
            ("", ""),
            ("plain", "plain"),
            ("%(id)s", "7f"),
            ("a%(id)sb%(n)s", "a7fb-3"),
            ("100%%", "100%"),
            ("%(on)s", "True"),
            ("%(none)s", "None"),
        ];
        for (text, expected) in table {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_missing_fact_is_named() {
        assert_eq!(filled("x%(a(b)c)s"), Err(r#"Missing("a(b)c")"#.to_owned()));
    }

    #[test]
    fn other_uses_of_a_percent_sign_are_refused() {
        for text in ["%", "%s", "100%", "%(id)d", "%(id)5s", "%(id", "%(id)"] {
            assert_eq!(Template::new(text), Err(TemplateError::Format), "{text}");
        }
    }

    #[test]
    fn one_gap_borrows_its_fact() {
        let template = Template::new("%(id)s").expect("a well-formed template");
        assert!(matches!(template.fill(&TARGET), Ok(Cow::Borrowed("7f"))));
    }
}
