//! Schemas from outside: bodies and the sentences they get. Where a table says so, the sentences were recorded from jsonschema 4.26
//! behind Nova's validator; block and case numbers are those of the metadata specification.

use super::parameter_types::*;
use super::*;
use crate::json::{parse, to_bytes};
use crate::json_object;

/// What a client reads for a body; nothing if it fits.
fn said(schema: &Schema, body: &str) -> Option<String> {
    let body = parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
    schema.check(&body).err().map(|error| error.to_string())
}

fn assert_said(schema: &Schema, cases: &[(&str, &str)]) {
    for (body, sentence) in cases {
        assert_eq!(said(schema, body).as_deref(), Some(*sentence), "{body}");
    }
}

fn assert_fit(schema: &Schema, bodies: &[&str]) {
    for body in bodies {
        assert_eq!(said(schema, body), None, "{body}");
    }
}

fn collection_of(key: &str, value: &str) -> Json {
    json_object! { "metadata": json_object! { key: value } }.into()
}

fn said_of(key: &str, value: &str) -> Option<String> {
    METADATA_COLLECTION.check(&collection_of(key, value)).err().map(|error| error.to_string())
}

#[test]
fn block_b_bodies_of_a_collection_are_refused_in_these_words() {
    assert_said(
        &METADATA_COLLECTION,
        &[
            (r#"{}"#, "'metadata' is a required property"),
            ("null", "None is not of type 'object'"),
            ("[]", "[] is not of type 'object'"),
            (r#""abc""#, "'abc' is not of type 'object'"),
            ("5", "5 is not of type 'object'"),
            (r#"{"meta": {"a": "b"}}"#, "'metadata' is a required property"),
            (r#"{"metadata": {"a": "b"}, "x": 1}"#, "Additional properties are not allowed ('x' was unexpected)"),
            (
                r#"{"metadata": null}"#,
                "Invalid input for field/attribute metadata. Value: None. None is not of type 'object'",
            ),
            (
                r#"{"metadata": []}"#,
                "Invalid input for field/attribute metadata. Value: []. [] is not of type 'object'",
            ),
            (
                r#"{"metadata": "asdf"}"#,
                "Invalid input for field/attribute metadata. Value: asdf. 'asdf' is not of type 'object'",
            ),
            (r#"{"metadata": {"a": 1}}"#, "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'"),
            (
                r#"{"metadata": {"a": 1.5}}"#,
                "Invalid input for field/attribute a. Value: 1.5. 1.5 is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": null}}"#,
                "Invalid input for field/attribute a. Value: None. None is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": true}}"#,
                "Invalid input for field/attribute a. Value: True. True is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": ["b"]}}"#,
                "Invalid input for field/attribute a. Value: ['b']. ['b'] is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": {"b": "c"}}}"#,
                "Invalid input for field/attribute a. Value: {'b': 'c'}. {'b': 'c'} is not of type 'string'",
            ),
            (
                r#"{"metadata": {"": "v"}}"#,
                "Invalid input for field/attribute metadata. Value: {'': 'v'}. '' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
            (
                r#"{"metadata": {"\u00e9": "v"}}"#,
                "Invalid input for field/attribute metadata. Value: {'é': 'v'}. 'é' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
            (
                r#"{"metadata": {"a/b": "v"}}"#,
                "Invalid input for field/attribute metadata. Value: {'a/b': 'v'}. 'a/b' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
            (
                r#"{"metadata": {"a\u0000": "v"}}"#,
                r"Invalid input for field/attribute metadata. Value: {'a\x00': 'v'}. 'a\x00' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
            (
                r#"{"metadata": {"a!": "v"}}"#,
                "Invalid input for field/attribute metadata. Value: {'a!': 'v'}. 'a!' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
            (
                r#"{"metadata": {"a!": "v", "b!": "v"}}"#,
                "Invalid input for field/attribute metadata. Value: {'a!': 'v', 'b!': 'v'}. 'a!', 'b!' do not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
            (
                r#"{"metadata": {"a!": "v", "b": "v"}}"#,
                "Invalid input for field/attribute metadata. Value: {'a!': 'v', 'b': 'v'}. 'a!' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
            (
                r#"{"metadata": {"a": 1, "b": 2}}"#,
                "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": 1, "b!": "2"}}"#,
                "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": 1}, "x": 1}"#,
                "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": NaN}}"#,
                "Invalid input for field/attribute a. Value: nan. nan is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": Infinity}}"#,
                "Invalid input for field/attribute a. Value: inf. inf is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": 1e400}}"#,
                "Invalid input for field/attribute a. Value: inf. inf is not of type 'string'",
            ),
            (
                r#"{"metadata": {"a": -0.0}}"#,
                "Invalid input for field/attribute a. Value: -0.0. -0.0 is not of type 'string'",
            ),
        ],
    );
}

#[test]
fn block_b_bodies_of_a_collection_that_fit() {
    assert_fit(
        &METADATA_COLLECTION,
        &[
            r#"{"metadata": {}}"#,
            r#"{"metadata": {"a": ""}}"#,
            r#"{"metadata": {"aZ09-_:. x": "v"}}"#,
            r#"{"metadata": {"abc\n": "v"}}"#,
            r#"{"metadata": {"a": "x\u0000y"}}"#,
            r#"{"metadata": {"a": "\u00e9\u4e2d"}}"#,
            r#"{"metadata": {"a": "a\tb\nc\"\\/"}}"#,
            r#"{"metadata": {"a": "<b>&\u2028\u007f"}}"#,
            r#"{"metadata": {"d": "1", "d": "2"}}"#,
            r#"{"metadata": {"d": 1}, "metadata": {"e": "2"}}"#,
        ],
    );
}

#[test]
fn block_b_lengths_are_counted_in_code_points() {
    for letter in ["v", "\u{1f600}"] {
        assert_eq!(said_of("a", &letter.repeat(255)), None);
        let long = letter.repeat(256);
        let sentence = format!("Invalid input for field/attribute a. Value: {long}. '{long}' is too long");
        assert_eq!(said_of("a", &long), Some(sentence));
    }
}

#[test]
fn block_b_keys_have_at_most_255_characters_and_one_newline_more() {
    assert_eq!(said_of(&"k".repeat(255), "v"), None);
    assert_eq!(said_of(&format!("{}\n", "k".repeat(255)), "v"), None);
    let long = "k".repeat(256);
    let sentence = format!(
        "Invalid input for field/attribute metadata. Value: {{'{long}': 'v'}}. '{long}' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'"
    );
    assert_eq!(said_of(&long, "v"), Some(sentence));
}

#[test]
fn block_b_case_78_a_deep_value_is_shown_whole() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let sentence = format!("Invalid input for field/attribute a. Value: {deep}. {deep} is not of type 'string'");
    assert_eq!(said(&METADATA_COLLECTION, &format!(r#"{{"metadata": {{"a": {deep}}}}}"#)), Some(sentence));
}

#[test]
fn block_b_case_80_the_answer_to_a_huge_value_has_the_recorded_length() {
    let body = format!(r#"{{"metadata": {{"a": "{}"}}}}"#, "x".repeat(114_688 - 23));
    assert_eq!(body.len(), 114_688);
    let message = said(&METADATA_COLLECTION, &body).expect("too long");
    let fault = json_object! { "badRequest": json_object! { "code": 400, "message": message } };
    assert_eq!(to_bytes(&fault.into()).len(), 229_434);
}

#[test]
fn blocks_b_and_c_bodies_that_are_not_json_are_told_apart() {
    use crate::json::ParseError::*;
    let digits = format!(r#"{{"metadata": {{"a": 1{}}}}}"#, "0".repeat(5000));
    for malformed in [
        r#"{"metadata": "#,
        r#"{"metadata": {"a": "b"}} x"#,
        " ",
        "{'metadata': {'a': 'b'}}",
        r#"{"metadata": {"a": "b"} /* c */}"#,
        "\u{feff}{}",
        "{\0\"\0m\0",
        "{\"metadata\": {\"a\": \"x\ty\"}}",
    ] {
        assert!(matches!(parse(malformed.as_bytes()), Err(Malformed { .. })), "{malformed:?}");
    }
    assert!(matches!(parse(digits.as_bytes()), Err(IntegerTooLong { .. })));
    assert!(matches!(parse(b"\xff\xfe{\0"), Err(NotUtf8 { .. })));
    assert!(matches!(parse(br#"{"metadata": {"a": "\ud800"}}"#), Err(LoneSurrogate { .. })));
}

#[test]
fn block_d_bodies_of_an_item_are_refused_in_these_words() {
    assert_said(
        &METADATA_ITEM,
        &[
            (
                r#"{"meta": {"a": "1", "b": "2"}}"#,
                "Invalid input for field/attribute meta. Value: {'a': '1', 'b': '2'}. {'a': '1', 'b': '2'} has too many properties",
            ),
            (r#"{"meta": {}}"#, "Invalid input for field/attribute meta. Value: {}. {} should be non-empty"),
            (r#"{"metadata": {"a": "1"}}"#, "'meta' is a required property"),
            (r#"{"meta": {"a": "1"}, "x": 2}"#, "Additional properties are not allowed ('x' was unexpected)"),
            (r#"{"meta": {"a": 1}}"#, "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'"),
            (
                r#"{"meta": {"a": null}}"#,
                "Invalid input for field/attribute a. Value: None. None is not of type 'string'",
            ),
            (r#"{"meta": null}"#, "Invalid input for field/attribute meta. Value: None. None is not of type 'object'"),
            (r#"{"meta": "x"}"#, "Invalid input for field/attribute meta. Value: x. 'x' is not of type 'object'"),
            (
                r#"{"meta": {"\u00e9": "1"}}"#,
                "Invalid input for field/attribute meta. Value: {'é': '1'}. 'é' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
            // A bad key is met before there are too many.
            (
                r#"{"meta": {"a": "1", "b!": "1"}}"#,
                "Invalid input for field/attribute meta. Value: {'a': '1', 'b!': '1'}. 'b!' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
            ),
        ],
    );
}

#[test]
fn block_d_bodies_of_an_item_that_fit() {
    assert_fit(
        &METADATA_ITEM,
        &[
            r#"{"meta": {"b": "c"}}"#,
            r#"{"meta": {"a b": "1"}}"#,
            r#"{"meta": {"a:b": "1"}}"#,
            r#"{"meta": {"foo.json": "1"}}"#,
        ],
    );
}

#[test]
fn several_unknown_members_are_sorted() {
    assert_said(
        &METADATA_COLLECTION,
        &[(
            r#"{"metadata": {}, "z": 1, "it's": 2, "a": 3}"#,
            r#"Additional properties are not allowed ('a', "it's", 'z' were unexpected)"#,
        )],
    );
}

/// Every keyword once, with limits that make the sentences differ.
static KEYWORDS: Schema = Schema::new(&[
    Rule::Properties(&[
        ("integer", &Schema::new(&[Rule::Type(&[Type::Integer, Type::String]), Rule::Minimum(-3), Rule::Maximum(7)])),
        ("size", &VOLUME_SIZE),
        ("const", &Schema::new(&[Rule::Const(Literal::Int(1))])),
        (
            "enum",
            &Schema::new(&[Rule::Enum(&[Literal::Null, Literal::Int(0), Literal::Bool(true), Literal::Str("it's")])]),
        ),
        ("unique", &Schema::new(&[Rule::MaxItems(6), Rule::UniqueItems])),
        ("one", &Schema::new(&[Rule::OneOf(&[&INTEGER, &NUMBER, &SHORT])])),
        ("any", &Schema::new(&[Rule::AnyOf(&[&INTEGER, &SHORT])])),
        ("not", &Schema::new(&[Rule::Not(&SHORT)])),
        ("all", &KEYPAIR_NAME),
        ("items", &Schema::new(&[Rule::Items(&UUID)])),
        ("empty", &Schema::new(&[Rule::MaxLength(0), Rule::MaxItems(0), Rule::MaxProperties(0)])),
        ("two", &Schema::new(&[Rule::MinLength(2), Rule::MinItems(2), Rule::MinProperties(2)])),
        ("one_at_least", &Schema::new(&[Rule::MinLength(1), Rule::MinItems(1), Rule::MinProperties(1)])),
    ]),
    Rule::MaxProperties(2),
]);
static INTEGER: Schema = Schema::new(&[Rule::Type(&[Type::Integer])]);
static NUMBER: Schema = Schema::new(&[Rule::Type(&[Type::Number])]);
static SHORT: Schema = Schema::new(&[Rule::Type(&[Type::String]), Rule::MaxLength(2)]);

#[test]
fn every_keyword_has_the_words_of_jsonschema() {
    // Recorded.
    for (member, value, sentence) in [
        ("integer", "true", "{in} True. True is not of type 'integer', 'string'"),
        ("integer", "8", "{in} 8. 8 is greater than the maximum of 7"),
        ("integer", "-4", "{in} -4. -4 is less than the minimum of -3"),
        ("integer", r#""8""#, "{in} 8. 8 is greater than the maximum of 7"),
        ("integer", r#"" -4 ""#, "{in}  -4 . -4 is less than the minimum of -3"),
        ("integer", r#""1_0""#, "{in} 1_0. 10 is greater than the maximum of 7"),
        ("integer", "1.5", "{in} 1.5. 1.5 is not of type 'integer', 'string'"),
        ("integer", "7.5", "{in} 7.5. 7.5 is not of type 'integer', 'string'"),
        ("integer", "-3.9", "{in} -3.9. -3.9 is not of type 'integer', 'string'"),
        ("integer", r#""1e3""#, "{in} 1e3. 1000.0 is greater than the maximum of 7"),
        (
            "integer",
            "123456789012345678901",
            "{in} 123456789012345678901. 123456789012345678901 is greater than the maximum of 7",
        ),
        ("size", "0", "{in} 0. 0 is less than the minimum of 1"),
        ("size", r#""0""#, "{in} 0. 0 is less than the minimum of 1"),
        ("size", "2147483648", "{in} 2147483648. 2147483648 is greater than the maximum of 2147483647"),
        ("size", r#""2147483648""#, "{in} 2147483648. 2147483648 is greater than the maximum of 2147483647"),
        ("size", r#""""#, "{in} . '' does not match '^[0-9]+$'"),
        ("size", "null", "{in} None. None is not of type 'integer', 'string'"),
        (
            "size",
            r#""9999999999999999999""#,
            "{in} 9999999999999999999. 9999999999999999999 is greater than the maximum of 2147483647",
        ),
        ("const", "true", "{in} True. 1 was expected"),
        ("const", r#""1""#, "{in} 1. 1 was expected"),
        ("enum", "1", r#"{in} 1. 1 is not one of [None, 0, True, "it's"]"#),
        ("enum", "false", r#"{in} False. False is not one of [None, 0, True, "it's"]"#),
        ("enum", r#""its""#, r#"{in} its. 'its' is not one of [None, 0, True, "it's"]"#),
        ("enum", "[]", r#"{in} []. [] is not one of [None, 0, True, "it's"]"#),
        ("unique", r#"["a","b","a"]"#, "{in} ['a', 'b', 'a']. ['a', 'b', 'a'] has non-unique elements"),
        ("unique", "[1,1.0]", "{in} [1, 1.0]. [1, 1.0] has non-unique elements"),
        ("unique", "[[1],[1.0]]", "{in} [[1], [1.0]]. [[1], [1.0]] has non-unique elements"),
        (
            "unique",
            r#"[{"a":1,"b":2},{"b":2,"a":1}]"#,
            "{in} [{'a': 1, 'b': 2}, {'b': 2, 'a': 1}]. [{'a': 1, 'b': 2}, {'b': 2, 'a': 1}] has non-unique elements",
        ),
        (
            "unique",
            "[100000000000000000000,1e20]",
            "{in} [100000000000000000000, 1e+20]. [100000000000000000000, 1e+20] has non-unique elements",
        ),
        ("unique", "[1,2,3,4,5,6,6]", "{in} [1, 2, 3, 4, 5, 6, 6]. [1, 2, 3, 4, 5, 6, 6] is too long"),
        ("one", "1", "{in} 1. 1 is valid under each of {'type': 'number'}, {'type': 'integer'}"),
        ("one", "1.0", "{in} 1.0. 1.0 is valid under each of {'type': 'number'}, {'type': 'integer'}"),
        ("one", r#""abc""#, "{in} abc. 'abc' is not valid under any of the given schemas"),
        ("one", "null", "{in} None. None is not valid under any of the given schemas"),
        ("any", r#""abc""#, "{in} abc. 'abc' is not valid under any of the given schemas"),
        ("any", "1.5", "{in} 1.5. 1.5 is not valid under any of the given schemas"),
        ("not", r#""ab""#, "{in} ab. 'ab' should not be valid under {'type': 'string', 'maxLength': 2}"),
        ("all", r#""a.b""#, r#"{in} a.b. 'a.b' does not match '^[_\\- a-zA-Z0-9]+$'"#),
        (
            "all",
            r#"" a""#,
            "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.",
        ),
        ("all", r#""""#, "{in} . '' should be non-empty"),
        ("empty", r#""a""#, "{in} a. 'a' is expected to be empty"),
        ("empty", "[1]", "{in} [1]. [1] is expected to be empty"),
        ("empty", r#"{"a":1}"#, "{in} {'a': 1}. {'a': 1} is expected to be empty"),
        ("two", r#""a""#, "{in} a. 'a' is too short"),
        ("two", r#""\ud83d\ude00""#, "{in} 😀. '😀' is too short"),
        ("two", "[1]", "{in} [1]. [1] is too short"),
        ("two", r#"{"a":1}"#, "{in} {'a': 1}. {'a': 1} does not have enough properties"),
        ("one_at_least", r#""""#, "{in} . '' should be non-empty"),
        ("one_at_least", "[]", "{in} []. [] should be non-empty"),
        ("one_at_least", "{}", "{in} {}. {} should be non-empty"),
    ] {
        let expected = sentence.replace("{in}", &format!("Invalid input for field/attribute {member}. Value:"));
        assert_eq!(said(&KEYWORDS, &format!(r#"{{"{member}": {value}}}"#)), Some(expected));
    }
}

#[test]
fn values_that_every_keyword_allows() {
    for (member, value) in [
        ("integer", "7.0"),
        ("integer", r#""x""#),
        ("integer", r#""nan""#),
        ("size", "2147483647"),
        ("size", r#""007""#),
        ("const", "1"),
        ("const", "1.0"),
        ("enum", "null"),
        ("enum", "0"),
        ("enum", "-0.0"),
        ("enum", "true"),
        ("enum", r#""it's""#),
        ("unique", r#"["a","b"]"#),
        ("unique", "[1,true]"),
        ("unique", "[0,false,null]"),
        ("unique", "[[1],[true]]"),
        ("one", "1.5"),
        ("one", r#""ab""#),
        ("any", "1"),
        ("any", r#""ab""#),
        ("not", r#""abc""#),
        ("not", "1"),
        ("all", r#""a b""#),
        ("all", r#""a_b-c""#),
        ("items", "[]"),
        ("items", r#""x""#),
        ("empty", r#""""#),
        ("empty", "[]"),
        ("empty", "{}"),
        ("two", r#""ab""#),
        ("two", "[1,2]"),
        ("two", "5"),
        ("one_at_least", r#""a""#),
        ("one_at_least", "null"),
    ] {
        assert_eq!(said(&KEYWORDS, &format!(r#"{{"{member}": {value}}}"#)), None, "{member}: {value}");
    }
}

#[test]
fn the_order_of_members_in_the_schema_decides_not_that_in_the_request() {
    assert_said(
        &KEYWORDS,
        &[(
            r#"{"const": 2, "integer": 8}"#,
            "Invalid input for field/attribute integer. Value: 8. 8 is greater than the maximum of 7",
        )],
    );
}

#[test]
fn an_element_is_named_by_its_position() {
    assert_said(
        &KEYWORDS,
        &[(
            r#"{"items": ["6f70656e-7374-4163-b86b-696c6f6e6f76", "x"]}"#,
            "Invalid input for field/attribute 1. Value: x. 'x' is not a 'uuid'",
        )],
    );
}

#[test]
fn a_query_is_named_by_its_parameter_and_not_by_the_position_of_its_value() {
    static QUERY: Schema =
        Schema::new(&[Rule::Properties(&[("limit", &Schema::new(&[Rule::Items(&NON_NEGATIVE_INTEGER)]))])]);
    let query = parse(br#"{"limit": ["1", "-1"]}"#).expect("valid");
    let sentence = "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'";
    assert_eq!(QUERY.check_query(&query).expect_err("negative").to_string(), sentence);
}

#[test]
fn names_are_refused_without_saying_where() {
    let sentence = "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.";
    for name in [r#"" a""#, r#""a ""#, r#""\u00a0a""#, r#""a\u0000""#, r#""\ud83d\ude00""#, r#""\n""#, r#""a\n\n""#] {
        assert_eq!(said(&NAME, name).as_deref(), Some(sentence), "{name}");
    }
    assert_fit(&NAME, &[r#""a b""#, r#""é中""#, r#""a\u00a0b""#, r#""a\n""#]);
    assert_said(&NAME, &[(r#""""#, "'' should be non-empty"), ("5", "5 is not of type 'string'")]);
}

#[test]
fn names_of_the_legacy_api_may_have_spaces_around_but_not_only_spaces() {
    let sentence = "An invalid 'name' value was provided. The name must be: printable characters with at least one non space character";
    assert_fit(&NAME_WITH_SPACES, &[r#"" a ""#, r#""a""#, r#"" a\n""#]);
    assert_said(&NAME_WITH_SPACES, &[(r#"" ""#, sentence), (r#""a\t""#, sentence)]);
}

#[test]
fn a_description_is_refused_with_the_whole_of_its_long_pattern() {
    assert_fit(&DESCRIPTION, &["null", r#""""#, r#"" any text é ""#]);
    let sentence = said(&DESCRIPTION, r#""\u0000""#).expect("not printable");
    // Recorded: length and ends.
    assert_eq!(sentence.chars().count(), 1034);
    assert!(sentence.starts_with(r"'\x00' does not match '^[\\ -\\~"), "{sentence}");
}

#[test]
fn formats_decide_as_nova_does() {
    // Recorded.
    for (format, fitting, others) in [
        (
            &format::UUID,
            &[
                "6f70656e-7374-4163-b86b-696c6f6e6f76",
                "6F70656E-7374-4163-B86B-696C6F6E6F76",
                "{6f70656e-7374-4163-b86b-696c6f6e6f76}",
                "urn:uuid:6f70656e-7374-4163-b86b-696c6f6e6f76",
                "6f70656e73744163b86b696c6f6e6f76",
                "-6f70656e-7374-4163-b86b-696c6f6e6f76-",
                "{{6f70656e-7374-4163-b86b-696c6f6e6f76",
            ] as &[&str],
            &[
                "6f70656e-7374-4163-b86b-696c6f6e6f7",
                "6f70656e-7374-4163-b86b-696c6f6e6f760",
                "6f70656e-7374-4163-b86b-696c6f6e6f76 ",
                "",
                "x",
            ] as &[&str],
        ),
        (
            &format::BASE64,
            &["", "QUJD", "QUI=", "QQ==", "QQ=x=", "=QUJD", "QUJD=", "QQ==x", "QU!JD", "é", "QU\nI="] as &[&str],
            &["QQ=", "Q", "QQ", "Q=Q="] as &[&str],
        ),
        (
            &format::DATE_TIME,
            &[
                "2012-01-01",
                "2012",
                "2012-1",
                "20120101",
                "2012-1-1",
                "2012-01-01T12",
                "2012-01-01T12:30",
                "2012-01-01 1230",
                "2012-01-01T12:30:05.5Z",
                "2012-01-01T12:30:5",
                "2012-01-01T12:30+02:00",
                "2012-01-01T12:30-0200",
                "2012-01-01T12Z",
                "2012-02-29",
                "2012-01-01T12:30:05,123+02",
            ] as &[&str],
            &[
                "2012-02-30",
                "201201",
                "2012-01-01T",
                "2012-01-01T24:00",
                "2012-01-01T12:60",
                "2012-01-01t12:30",
                "2012-13-01",
                "0000-01-01",
                "2012-01-01T12:30:05+25:00",
                "2012-01-01Z",
                "x",
                "",
                "2013-02-29",
            ] as &[&str],
        ),
        (
            &format::IPV4,
            &["1.2.3.4", "0.0.0.0"] as &[&str],
            &["1.2.3.04", "1.2.3", "256.1.1.1", "1.2.3.4\n", " 1.2.3.4", "1.2.3.4/8", ""] as &[&str],
        ),
        (
            &format::IPV6,
            &["::", "::1", "1:2:3:4:5:6:7::", "::ffff:1.2.3.4", "::FFFF"] as &[&str],
            &["fe80::1%eth0", "1:2:3:4::5:6:7:8", "1::2::3", "12345::", "1.2.3.4"] as &[&str],
        ),
        (&format::AZ_NAME, &["a", "a b", "é", ""] as &[&str], &["a:b", " a", "a "] as &[&str]),
        (&format::AZ_NAME_WITH_SPACES, &["a", " a "] as &[&str], &["a:b", " "] as &[&str]),
    ] {
        for (texts, expected) in [(fitting, true), (others, false)] {
            for text in texts {
                assert_eq!(format.holds(&Json::from(*text)), expected, "{} {text:?}", format.name());
            }
        }
    }
}

#[test]
fn uris_need_a_scheme_and_a_host() {
    for text in ["http://h", "https://u:p@h.example:80/a/%20b?c=/d#e", "swift+http://[::1]:8080/", "http://h?q"] {
        assert!(format::URI.holds(&text.into()), "{text}");
    }
    for text in [
        "",
        "h",
        "http:/h",
        "http://",
        "http:///p",
        "1http://h",
        "http://h/a b",
        "http://h/%2",
        "http://h:8x/",
        "http://[::1/",
        "http://h/é",
    ] {
        assert!(!format::URI.holds(&text.into()), "{text}");
    }
}

#[test]
fn a_network_has_an_address_and_its_bits_or_a_mask() {
    for text in ["10.0.0.0/8", "10.0.0.1/32", "::/0", "fe80::1/128", "10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255"] {
        assert!(format::CIDR.holds(&text.into()), "{text}");
    }
    for text in [
        "10.0.0.0",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/8 ",
        "x/8",
        "10.0.0.0/255.0.255.0",
        "10.0.0.0/8/8",
    ] {
        assert!(!format::CIDR.holds(&text.into()), "{text}");
    }
}

#[test]
fn an_infinite_number_is_beyond_every_limit_but_no_reason_to_fail() {
    assert_said(
        &KEYWORDS,
        &[(
            r#"{"size": "inf"}"#,
            "Invalid input for field/attribute size. Value: inf. 'inf' does not match '^[0-9]+$'",
        )],
    );
    static UP_TO_7: Schema = Schema::new(&[Rule::Maximum(7)]);
    assert_said(&UP_TO_7, &[("Infinity", "inf is greater than the maximum of 7")]);
    assert_fit(&UP_TO_7, &["NaN", "-Infinity"]);
}

fn known_of(schema: &Schema, body: &str) -> String {
    let mut body = parse(body.as_bytes()).expect("valid");
    schema.keep_known(&mut body);
    body.to_string()
}

#[test]
fn unknown_members_are_dropped_when_a_known_one_is_there() {
    let kept = known_of(&METADATA_COLLECTION, r#"{"x": 1, "metadata": {"a!": 1}, "y": 2}"#);
    assert_eq!(kept, r#"{"metadata": {"a!": 1}}"#);
}

#[test]
fn nothing_is_dropped_where_no_member_is_known_or_all_are_allowed() {
    for (schema, body) in [
        (&METADATA_COLLECTION, r#"{"x": 1, "y": 2}"#),
        (&METADATA_COLLECTION, "{}"),
        (&METADATA_COLLECTION, "[1]"),
        (&KEYWORDS, r#"{"const": 1, "x": 2}"#),
        (&METADATA, r#"{"a": "1", "b!": "2"}"#),
    ] {
        assert_eq!(known_of(schema, body), body);
    }
}

#[test]
fn a_schema_describes_itself_as_json_schema() {
    assert_eq!(
        METADATA_ITEM.describe().to_string(),
        r#"{"type": "object", "properties": {"meta": {"type": "object", "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": "string", "maxLength": 255}}, "additionalProperties": false, "minProperties": 1, "maxProperties": 1}}, "required": ["meta"], "additionalProperties": false}"#
    );
    assert_eq!(
        TRUSTED_CERTS.describe().to_string(),
        r#"{"type": ["array", "null"], "minItems": 1, "maxItems": 50, "uniqueItems": true, "items": {"type": "string", "minLength": 1}}"#
    );
}
