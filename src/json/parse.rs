//! Reading JSON as Python's `json.loads` does: NaN, infinities, integers of any length, the last of two equal members.
//! One chosen difference: an escape for half a surrogate pair is refused, since no Rust string and no database can hold it.

use super::{Json, Number, Object};

/// How many arrays and objects may lie inside each other. Python gives up somewhere before 1000, depending on its stack.
pub const DEPTH_MAX: usize = 512;

/// How many digits an integer may have: `sys.get_int_max_str_digits()`.
pub const INTEGER_DIGITS_MAX: usize = 4300;

/// Why bytes are not JSON. `at` is an offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes are not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Where the first bad sequence begins.
        at: usize,
    },
    /// The text breaks JSON's grammar.
    #[error("{expected} expected at byte {at}")]
    Malformed {
        /// Where it does.
        at: usize,
        /// What would have been right there.
        expected: &'static str,
    },
    /// An escape stands for half a surrogate pair.
    #[error("a lone surrogate at byte {at}")]
    LoneSurrogate {
        /// Where the escape begins.
        at: usize,
    },
    /// More than [`DEPTH_MAX`] arrays and objects inside each other.
    #[error("nested too deeply at byte {at}")]
    TooDeep {
        /// Where the one too many begins.
        at: usize,
    },
    /// An integer of more than [`INTEGER_DIGITS_MAX`] digits.
    #[error("too long an integer at byte {at}")]
    IntegerTooLong {
        /// Where it begins.
        at: usize,
    },
}

/// Reads one value and nothing after it but white space.
pub fn parse(bytes: &[u8]) -> Result<Json, ParseError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ParseError::NotUtf8 { at: error.valid_up_to() })?;
    let mut parser = Parser { text, at: 0 };
    parser.skip_space();
    let json = parser.value()?;
    parser.skip_space();
    if parser.at < text.len() { Err(parser.malformed("the end")) } else { Ok(json) }
}

/// An array or object whose end has not been read.
enum Open {
    Array(Vec<Json>),
    /// The members so far, and the name of the one whose value comes next.
    Object(Object, String),
}

/// What became of an array or object when a value was put into it.
enum Put {
    Open(Open),
    Closed(Json),
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes read so far; always at the beginning of a character.
    at: usize,
}

impl<'a> Parser<'a> {
    /// One value. What encloses it waits on a list of our own and not on the thread's stack, which hostile nesting would exhaust.
    fn value(&mut self) -> Result<Json, ParseError> {
        let mut open = Vec::new();
        loop {
            let Some(mut done) = self.scalar_or_opening(&mut open)? else { continue };
            loop {
                let Some(innermost) = open.pop() else { return Ok(done) };
                match self.put(done, innermost)? {
                    Put::Closed(json) => done = json,
                    Put::Open(still) => {
                        open.push(still);
                        break;
                    }
                }
            }
        }
    }

    /// A value that is complete here; nothing where one with more inside was opened.
    fn scalar_or_opening(&mut self, open: &mut Vec<Open>) -> Result<Option<Json>, ParseError> {
        match self.peek() {
            Some(b'"') => Ok(Some(Json::String(self.string()?))),
            Some(b'-' | b'0'..=b'9') => Ok(Some(Json::Number(self.number()?))),
            Some(b'[') => {
                self.descend(open.len())?;
                if self.take(b']') {
                    return Ok(Some(Json::Array(Vec::new())));
                }
                open.push(Open::Array(Vec::new()));
                Ok(None)
            }
            Some(b'{') => {
                self.descend(open.len())?;
                if self.take(b'}') {
                    return Ok(Some(Json::Object(Object::new())));
                }
                open.push(Open::Object(Object::new(), self.name()?));
                Ok(None)
            }
            Some(_) => self.word().map(Some),
            None => Err(self.malformed("a value")),
        }
    }

    /// Puts a value into what encloses it, and reads on to the next value's beginning or to the closing bracket.
    fn put(&mut self, json: Json, into: Open) -> Result<Put, ParseError> {
        self.skip_space();
        match into {
            Open::Array(mut items) => {
                items.push(json);
                if self.take(b']') {
                    return Ok(Put::Closed(Json::Array(items)));
                }
                self.comma("',' or ']'")?;
                Ok(Put::Open(Open::Array(items)))
            }
            Open::Object(mut object, name) => {
                object.insert(name, json);
                if self.take(b'}') {
                    return Ok(Put::Closed(Json::Object(object)));
                }
                self.comma("',' or '}'")?;
                Ok(Put::Open(Open::Object(object, self.name()?)))
            }
        }
    }

    /// A member's name and the colon after it.
    fn name(&mut self) -> Result<String, ParseError> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed("a name in double quotes"));
        }
        let name = self.string()?;
        self.skip_space();
        if !self.take(b':') {
            return Err(self.malformed("':'"));
        }
        self.skip_space();
        Ok(name)
    }

    /// Steps over an opening bracket that `depth` others enclose, and the space after it.
    fn descend(&mut self, depth: usize) -> Result<(), ParseError> {
        if depth >= DEPTH_MAX {
            return Err(ParseError::TooDeep { at: self.at });
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn comma(&mut self, expected: &'static str) -> Result<(), ParseError> {
        if !self.take(b',') {
            return Err(self.malformed(expected));
        }
        self.skip_space();
        Ok(())
    }

    fn word(&mut self) -> Result<Json, ParseError> {
        const WORDS: [(&str, Json); 5] = [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
            ("NaN", Json::Number(Number::Float(f64::NAN))),
            ("Infinity", Json::Number(Number::Float(f64::INFINITY))),
        ];
        for (word, json) in WORDS {
            if self.take_word(word) {
                return Ok(json);
            }
        }
        Err(self.malformed("a value"))
    }

    fn number(&mut self) -> Result<Number, ParseError> {
        let start = self.at;
        let negative = self.take(b'-');
        if negative && self.take_word("Infinity") {
            return Ok(Number::Float(f64::NEG_INFINITY));
        }
        let digits = self.integer_digits()?;
        let fraction = self.fraction();
        let exponent = self.exponent();
        let text = &self.text[start..self.at];
        if fraction || exponent {
            return Ok(Number::Float(text.parse().expect("JSON's floats are floats to Rust")));
        }
        if digits > INTEGER_DIGITS_MAX {
            return Err(ParseError::IntegerTooLong { at: start });
        }
        Ok(Number::from_digits(text))
    }

    /// One zero, or digits that do not begin with one. How many they were.
    fn integer_digits(&mut self) -> Result<usize, ParseError> {
        if self.take(b'0') {
            return Ok(1);
        }
        match self.digits() {
            0 => Err(self.malformed("a digit")),
            count => Ok(count),
        }
    }

    /// Takes `.5`, or nothing: like Python, what only begins like a fraction is left for the next reader to stumble over.
    fn fraction(&mut self) -> bool {
        self.take_all_or_nothing(|parser| parser.take(b'.') && parser.digits() > 0)
    }

    fn exponent(&mut self) -> bool {
        self.take_all_or_nothing(|parser| {
            let marked = parser.take(b'e') || parser.take(b'E');
            marked && {
                let _signed = parser.take(b'+') || parser.take(b'-');
                parser.digits() > 0
            }
        })
    }

    fn take_all_or_nothing(&mut self, take: impl Fn(&mut Self) -> bool) -> bool {
        let start = self.at;
        let taken = take(self);
        if !taken {
            self.at = start;
        }
        taken
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        count
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut text = self.plain()?.to_owned();
        loop {
            // `plain` stops only at a quote or a backslash.
            if self.take(b'"') {
                return Ok(text);
            }
            text.push(self.escape()?);
            text.push_str(self.plain()?);
        }
    }

    /// Characters up to the next quote or backslash.
    fn plain(&mut self) -> Result<&'a str, ParseError> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let stop = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ').unwrap_or(rest.len());
        self.at += stop;
        match self.peek() {
            Some(b'"' | b'\\') => Ok(&self.text[start..self.at]),
            Some(_) => Err(self.malformed("no control character")),
            None => Err(self.malformed("'\"'")),
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_escape(start),
            Some(_) | None => return Err(self.malformed("an escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `uXXXX`, and where that is the first half of a pair the `\uXXXX` after it.
    fn code_escape(&mut self, start: usize) -> Result<char, ParseError> {
        let first = self.code_unit()?;
        let is_high = (0xd800..0xdc00).contains(&first);
        if !is_high || !self.take_word("\\u") {
            return char::from_u32(u32::from(first)).ok_or(ParseError::LoneSurrogate { at: start });
        }
        self.at -= 1;
        let pair = [first, self.code_unit()?];
        char::decode_utf16(pair).next().and_then(Result::ok).ok_or(ParseError::LoneSurrogate { at: start })
    }

    /// `uXXXX`, with the reader standing on the `u`.
    fn code_unit(&mut self) -> Result<u16, ParseError> {
        self.at += 1;
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let mut unit = 0;
        for digit in digits.iter().map(|&digit| char::from(digit).to_digit(16)) {
            unit = unit << 4 | digit.ok_or_else(|| self.malformed("four hexadecimal digits"))? as u16;
        }
        if digits.is_empty() {
            return Err(self.malformed("four hexadecimal digits"));
        }
        self.at += 4;
        Ok(unit)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn take_word(&mut self, word: &str) -> bool {
        let taken = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if taken { word.len() } else { 0 };
        taken
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn malformed(&self, expected: &'static str) -> ParseError {
        ParseError::Malformed { at: self.at, expected }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::to_bytes;

    fn again(text: &str) -> String {
        parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    fn is_malformed(bytes: &[u8]) -> bool {
        matches!(parse(bytes), Err(ParseError::Malformed { .. }))
    }

    #[test]
    fn what_python_reads_is_read() {
        // Recorded from Python 3.11: json.dumps(json.loads(..)).
        for (text, recorded) in [
            (" \t\r\n[ 1 , 2 ]\n", "[1, 2]"),
            ("{ \"a\" :\t1 ,\"b\":2}", r#"{"a": 1, "b": 2}"#),
            ("[NaN,Infinity,-Infinity,1e400,-1E400]", "[NaN, Infinity, -Infinity, Infinity, -Infinity]"),
            ("[0,-0,-0.0,0e5,1E+2,1e-2,1.50]", "[0, 0, -0.0, 0.0, 100.0, 0.01, 1.5]"),
            (
                "[9223372036854775807,9223372036854775808,-9223372036854775809]",
                "[9223372036854775807, 9223372036854775808, -9223372036854775809]",
            ),
            (r#""\u00e9\u00E9\/\b\f\n\r\t\"\\""#, r#""\u00e9\u00e9/\b\f\n\r\t\"\\""#),
            (r#""\ud83d\ude00 \ud83d\ude00""#, r#""\ud83d\ude00 \ud83d\ude00""#),
            ("\"é\u{7f}\u{2028}\"", r#""\u00e9\u007f\u2028""#),
            (r#"{"d": 1, "e": 2, "d": 3}"#, r#"{"d": 3, "e": 2}"#),
            ("null", "null"),
        ] {
            assert_eq!(again(text), recorded);
        }
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{'a': 'b'}",
            "{1: 2}",
            "nul",
            "True",
            "None",
            "nan",
            "+1",
            "01",
            "-",
            "-x",
            "1.",
            ".5",
            "1.e5",
            "1e",
            "1e+",
            "-NaN",
            "+Infinity",
            "0x10",
            "1_0",
            "\"a",
            "\"\\",
            "\"\\x41\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\u 123\"",
            "\"\\u+123\"",
            "\"\\ud83d\\u\"",
            "\"a\tb\"",
            "\"a\nb\"",
            "\"\0\"",
            "{\"a\": \"b\"} x",
            "{\"a\": \"b\"} /* c */",
            "// c\n1",
            "\u{feff}1",
            "\u{a0}1",
            "1 2",
            "{\0\"\0",
            "]",
            "}",
            "[1}",
            "\"\\u12é\"",
        ] {
            assert!(is_malformed(text.as_bytes()), "{text:?}: {:?}", parse(text.as_bytes()));
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_have_their_own_error() {
        assert_eq!(parse(b"{\"a\": \"\xff\xfe\"}"), Err(ParseError::NotUtf8 { at: 7 }));
        assert_eq!(parse(b"\"\xed\xa0\x80\""), Err(ParseError::NotUtf8 { at: 1 }));
    }

    #[test]
    fn half_a_surrogate_pair_is_refused() {
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
            r#""\ud800\u0041""#,
            r#""\ud800\ud800""#,
            r#""\ude00\ud83d""#,
        ] {
            assert_eq!(parse(text.as_bytes()), Err(ParseError::LoneSurrogate { at: 1 }), "{text}");
        }
    }

    #[test]
    fn an_integer_has_at_most_4300_digits() {
        let digits = "1".repeat(4300);
        assert_eq!(again(&digits), digits);
        assert_eq!(again(&format!("-{digits}")), format!("-{digits}"));
        assert_eq!(parse(format!("{digits}0").as_bytes()), Err(ParseError::IntegerTooLong { at: 0 }));
        assert_eq!(again(&format!("{digits}0.5")), "Infinity");
    }

    /// A test on a stack of `kilobytes`, in which it must not overflow.
    fn on_a_stack_of(kilobytes: usize, test: fn()) {
        let thread = std::thread::Builder::new().stack_size(kilobytes << 10).spawn(test).expect("a thread");
        thread.join().expect("the test holds");
    }

    #[test]
    fn nesting_up_to_the_limit_is_read_shown_and_dropped_on_a_small_stack() {
        on_a_stack_of(1024, || {
            let text = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
            let json = parse(text.as_bytes()).expect("just deep enough");
            assert_eq!(json.to_string(), text);
            assert_eq!(crate::json::python::repr(&json), text);
            assert_eq!(json.clone(), json);
            drop(json);
        });
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused_on_a_small_stack() {
        on_a_stack_of(1024, || {
            for opening in ["[", "{\"a\":", "[{\"a\":"] {
                let result = parse(opening.repeat(100_000).as_bytes());
                assert!(matches!(result, Err(ParseError::TooDeep { .. })), "{opening}: {result:?}");
            }
        });
    }

    #[test]
    fn arrays_side_by_side_are_not_deep() {
        let text = format!("[{}[]]", "[], ".repeat(2000));
        assert_eq!(again(&text), text);
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            "-?[1-9][0-9]{19,40}".prop_map(|digits| Json::Number(Number::Big(digits.into()))),
            any::<f64>().prop_filter("NaN differs from itself", |float| !float.is_nan()).prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(5, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Json::Array),
                prop::collection::vec((any::<String>(), inner), 0..30).prop_map(|members| Json::Object(members.into())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(json in any_json()) {
            let bytes = to_bytes(&json);
            let read = parse(&bytes).expect("what is written is JSON");
            prop_assert_eq!(&read, &json);
            prop_assert_eq!(to_bytes(&read), bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_text_almost_json_makes_it_panic(text in r#"[\[\]{}",:\\u0-9a-fdDeE+.\-NI nté 😀]{0,60}"#) {
            if let Ok(json) = parse(text.as_bytes()) {
                prop_assert!(parse(&to_bytes(&json)).is_ok());
            }
        }
    }
}
