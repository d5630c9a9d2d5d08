//! The check language of oslo.policy: `role:member and project_id:%(project_id)s` as a tree, read from text and printed again.
//! What a tree means for a caller and a target is in `evaluate`; where trees come from, in `file` and `rules`.

use std::fmt;

/// How deeply a check may be nested. What is deeper does not parse, and so denies.
pub const DEPTH_MAX: usize = 64;

/// How many problems are kept for one text; whoever sees these has enough to begin with.
const PROBLEMS_MAX: usize = 16;

/// One check, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// `@`, or an empty text: anybody.
    True,
    /// `!`, or what cannot be understood: nobody.
    False,
    /// `not …`
    Not(Box<Check>),
    /// `… and …`, at least two.
    And(Vec<Check>),
    /// `… or …`, at least two.
    Or(Vec<Check>),
    /// `rule:NAME`: whatever that rule says.
    Rule(String),
    /// `role:NAME`: the caller has this role. The name is a template over the target.
    Role(String),
    /// `is_admin:True`, Nova's own kind: compared with the caller's flag. `true` in any case means True,
    /// and so does Keystone's `1`, which Nova would take for False; every other word means False.
    IsAdmin(bool),
    /// `http://…` or `https://…`: another program decides. The whole URL, a template over the target.
    Remote {
        /// The address, scheme included.
        url: String,
    },
    /// Any other `KIND:MATCH`.
    Generic {
        /// A Python literal, or a dotted path into the credentials.
        kind: String,
        /// A template over the target.
        wants: String,
    },
}

impl Check {
    /// How many checks are nested in each other, this one included.
    fn depth(&self) -> usize {
        match self {
            Check::Not(check) => 1 + check.depth(),
            Check::And(checks) | Check::Or(checks) => 1 + checks.iter().map(Check::depth).max().unwrap_or(0),
            Check::True
            | Check::False
            | Check::Rule(_)
            | Check::Role(_)
            | Check::IsAdmin(_)
            | Check::Remote { .. }
            | Check::Generic { .. } => 1,
        }
    }
}

/// Why (a part of) a text denies although its author probably meant something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseProblem {
    /// The tokens do not form an expression; the whole text denies.
    #[error("it is not an expression of checks, `and`, `or`, `not` and parentheses, so it denies everybody")]
    NotAnExpression,
    /// Nested too deeply; the whole text denies.
    #[error("it is nested more than {DEPTH_MAX} levels deep, so it denies everybody")]
    TooDeep,
    /// A check without a colon; this check denies.
    #[error("`{0}` is not a check of the form KIND:MATCH, so this part of it denies")]
    NoColon(String),
}

/// A tree, and what was odd about its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The tree, always usable: what was not understood denies.
    pub check: Check,
    /// What was not understood.
    pub problems: Vec<ParseProblem>,
}

/// A rule's value in a file: text, or the old list form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleText {
    /// The language of this room.
    Text(String),
    /// The outer list means OR, each inner list AND. A bare string in the outer list is an inner list of one.
    List(Vec<Vec<String>>),
}

impl RuleText {
    /// The tree this value means.
    pub fn parse(&self) -> Parsed {
        match self {
            RuleText::Text(text) => parse(text),
            RuleText::List(alternatives) => parse_list(alternatives),
        }
    }
}

/// Reads the language. Never fails: what cannot be read denies, and says so.
pub fn parse(text: &str) -> Parsed {
    let mut problems = Vec::new();
    if text.is_empty() {
        return Parsed { check: Check::True, problems };
    }
    let check = parse_tokens(text, &mut problems).unwrap_or_else(|problem| {
        problems.push(problem);
        Check::False
    });
    Parsed { check, problems }
}

/// Reads the old list form: no alternatives at all allow, only empty ones deny.
fn parse_list(alternatives: &[Vec<String>]) -> Parsed {
    let mut problems = Vec::new();
    if alternatives.is_empty() {
        return Parsed { check: Check::True, problems };
    }
    let mut any = Vec::new();
    for checks in alternatives.iter().filter(|checks| !checks.is_empty()) {
        let all = checks.iter().map(|text| parse_check(text, &mut problems)).collect();
        any.push(one_or(all, Check::And));
    }
    let check = if any.is_empty() { Check::False } else { one_or(any, Check::Or) };
    Parsed { check, problems }
}

fn one_or(mut checks: Vec<Check>, many: fn(Vec<Check>) -> Check) -> Check {
    if checks.len() == 1 { checks.remove(0) } else { many(checks) }
}

/// Reads one `KIND:MATCH`, `@` or `!`.
fn parse_check(text: &str, problems: &mut Vec<ParseProblem>) -> Check {
    match text {
        "!" => return Check::False,
        "@" => return Check::True,
        _ => {}
    }
    let Some((kind, wants)) = text.split_once(':') else {
        if problems.len() < PROBLEMS_MAX {
            problems.push(ParseProblem::NoColon(text.to_owned()));
        }
        return Check::False;
    };
    match kind {
        "rule" => Check::Rule(wants.to_owned()),
        "role" => Check::Role(wants.to_owned()),
        "is_admin" => Check::IsAdmin(wants == "1" || wants.eq_ignore_ascii_case("true")),
        "http" | "https" => Check::Remote { url: text.to_owned() },
        _ => Check::Generic { kind: kind.to_owned(), wants: wants.to_owned() },
    }
}

/// What the parser's stack holds. The number is the depth of the tree.
enum Item {
    Check(Check, usize),
    AndExpr(Vec<Check>, usize),
    OrExpr(Vec<Check>, usize),
    And,
    Or,
    Not,
    Left,
    Right,
    /// A quoted string: no production takes it.
    Text,
}

fn parse_tokens(text: &str, problems: &mut Vec<ParseProblem>) -> Result<Check, ParseProblem> {
    let mut stack = Vec::new();
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        let start = word.trim_start_matches('(');
        for _ in start.len()..word.len() {
            shift(&mut stack, Item::Left)?;
        }
        let clean = start.trim_end_matches(')');
        if !clean.is_empty() {
            shift(&mut stack, token(clean, start, problems))?;
        }
        for _ in clean.len()..start.len() {
            shift(&mut stack, Item::Right)?;
        }
    }
    match (stack.pop(), stack.is_empty()) {
        (Some(Item::Check(check, _)), true) => Ok(check),
        (Some(Item::AndExpr(checks, _)), true) => Ok(Check::And(checks)),
        (Some(Item::OrExpr(checks, _)), true) => Ok(Check::Or(checks)),
        _ => Err(ParseProblem::NotAnExpression),
    }
}

/// White space as Python's `\s` has it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// One word without its outer parentheses. `start` still has the closing ones: a quote before them does not end a string
/// (a quirk of the original, kept because it decides who may do what).
fn token(clean: &str, start: &str, problems: &mut Vec<ParseProblem>) -> Item {
    if clean.eq_ignore_ascii_case("and") {
        Item::And
    } else if clean.eq_ignore_ascii_case("or") {
        Item::Or
    } else if clean.eq_ignore_ascii_case("not") {
        Item::Not
    } else if is_quoted(start) {
        Item::Text
    } else {
        Item::Check(parse_check(clean, problems), 1)
    }
}

fn is_quoted(word: &str) -> bool {
    word.len() >= 2 && ['"', '\''].iter().any(|&quote| word.starts_with(quote) && word.ends_with(quote))
}

/// Adds an item, then joins the top of the stack for as long as a production fits.
/// A loop with a stack of its own: hostile nesting costs memory in proportion, never the thread's stack.
fn shift(stack: &mut Vec<Item>, item: Item) -> Result<(), ParseProblem> {
    stack.push(item);
    while let Some((taken, joined)) = reduce(stack) {
        if let Item::Check(_, depth) | Item::AndExpr(_, depth) | Item::OrExpr(_, depth) = &joined
            && *depth > DEPTH_MAX
        {
            return Err(ParseProblem::TooDeep);
        }
        stack.truncate(stack.len() - taken);
        stack.push(joined);
    }
    Ok(())
}

/// The production that fits the top of the stack: how many items it replaces, and by what. It moves the trees out of the items
/// it names, which the caller drops.
fn reduce(stack: &mut [Item]) -> Option<(usize, Item)> {
    if let [.., a, b, c] = stack {
        if matches!((&*a, &*c), (Item::Left, Item::Right)) {
            if let Some((check, depth)) = take_tree(b) {
                return Some((3, Item::Check(check, depth)));
            }
        } else if matches!((&*b, &*c), (Item::And | Item::Or, Item::Check(..)))
            && matches!(a, Item::Check(..) | Item::AndExpr(..) | Item::OrExpr(..))
        {
            let and = matches!(b, Item::And);
            let (right, right_depth) = take_tree(c)?;
            return Some((3, join(std::mem::replace(a, Item::Text), and, right, right_depth)));
        }
    }
    if let [.., Item::Not, check @ Item::Check(..)] = stack {
        let (check, depth) = take_tree(check)?;
        return Some((2, Item::Check(Check::Not(Box::new(check)), depth + 1)));
    }
    None
}

fn take_tree(item: &mut Item) -> Option<(Check, usize)> {
    match item {
        Item::Check(..) | Item::AndExpr(..) | Item::OrExpr(..) => {}
        Item::And | Item::Or | Item::Not | Item::Left | Item::Right | Item::Text => return None,
    }
    match std::mem::replace(item, Item::Text) {
        Item::Check(check, depth) => Some((check, depth)),
        Item::AndExpr(checks, depth) => Some((Check::And(checks), depth)),
        Item::OrExpr(checks, depth) => Some((Check::Or(checks), depth)),
        Item::And | Item::Or | Item::Not | Item::Left | Item::Right | Item::Text => None,
    }
}

/// `left and right` or `left or right`. In `a or b and c` the last alternative becomes `b and c`.
fn join(left: Item, and: bool, right: Check, right_depth: usize) -> Item {
    match (left, and) {
        (Item::AndExpr(mut checks, depth), true) => {
            checks.push(right);
            Item::AndExpr(checks, depth.max(right_depth + 1))
        }
        (Item::OrExpr(mut checks, depth), false) => {
            checks.push(right);
            Item::OrExpr(checks, depth.max(right_depth + 1))
        }
        (Item::OrExpr(mut checks, depth), true) => {
            let (last, own_depth) = match checks.pop() {
                Some(Check::And(mut last)) => {
                    last.push(right);
                    (Check::And(last), right_depth + 1)
                }
                Some(last) => {
                    let own_depth = last.depth().max(right_depth) + 1;
                    (Check::And(vec![last, right]), own_depth)
                }
                None => (right, right_depth),
            };
            checks.push(last);
            Item::OrExpr(checks, depth.max(own_depth + 1))
        }
        (Item::Check(left, depth), true) => Item::AndExpr(vec![left, right], depth.max(right_depth) + 1),
        (Item::Check(left, depth), false) => Item::OrExpr(vec![left, right], depth.max(right_depth) + 1),
        (Item::AndExpr(checks, depth), false) => {
            Item::OrExpr(vec![Check::And(checks), right], depth.max(right_depth) + 1)
        }
        (other @ (Item::And | Item::Or | Item::Not | Item::Left | Item::Right | Item::Text), _) => other,
    }
}

/// Text which parses to the same tree. (Only the old list form can hold checks with white space or outer parentheses in them,
/// for which the language has no words; those are printed as they are.)
impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::And(checks) => write_joined(out, checks, " and "),
            Check::Or(checks) => write_joined(out, checks, " or "),
            other => write_operand(out, other),
        }
    }
}

fn write_joined(out: &mut fmt::Formatter<'_>, checks: &[Check], between: &str) -> fmt::Result {
    for (place, check) in checks.iter().enumerate() {
        if place > 0 {
            out.write_str(between)?;
        }
        write_operand(out, check)?;
    }
    Ok(())
}

fn write_operand(out: &mut fmt::Formatter<'_>, check: &Check) -> fmt::Result {
    match check {
        Check::True => out.write_str("@"),
        Check::False => out.write_str("!"),
        Check::Not(check) => {
            out.write_str("not ")?;
            write_operand(out, check)
        }
        Check::And(_) | Check::Or(_) => write!(out, "({check})"),
        Check::Rule(name) => write!(out, "rule:{name}"),
        Check::Role(name) => write!(out, "role:{name}"),
        Check::IsAdmin(true) => out.write_str("is_admin:True"),
        Check::IsAdmin(false) => out.write_str("is_admin:False"),
        Check::Remote { url } => out.write_str(url),
        Check::Generic { kind, wants } => {
            let text = format!("{kind}:{wants}");
            if is_quoted(&text) { write!(out, "({text})") } else { out.write_str(&text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(text: &str) -> String {
        parse(text).check.to_string()
    }

    fn list(alternatives: &[&[&str]]) -> RuleText {
        RuleText::List(alternatives.iter().map(|all| all.iter().map(|&text| text.to_owned()).collect()).collect())
    }

    #[test]
    fn an_empty_text_and_an_at_sign_allow_and_an_exclamation_mark_denies() {
        assert_eq!(parse("").check, Check::True);
        assert_eq!(parse("@").check, Check::True);
        assert_eq!(parse("!").check, Check::False);
    }

    #[test]
    fn each_kind_of_check_becomes_its_own_node() {
        assert_eq!(parse("rule:owner").check, Check::Rule("owner".into()));
        assert_eq!(parse("role:%(x)s").check, Check::Role("%(x)s".into()));
        assert_eq!(parse("is_admin:TRUE").check, Check::IsAdmin(true));
        assert_eq!(parse("is_admin:yes").check, Check::IsAdmin(false));
        assert_eq!(parse("is_admin:0").check, Check::IsAdmin(false));
        assert_eq!(parse("https://h/%(id)s").check, Check::Remote { url: "https://h/%(id)s".into() });
        let generic = Check::Generic { kind: "user_id".into(), wants: "a:b".into() };
        assert_eq!(parse("user_id:a:b").check, generic);
    }

    /// Keystone's own rules say it so; read as Nova reads it they would let in whoever is no administrator.
    #[test]
    fn is_admin_1_means_an_administrator() {
        assert_eq!(parse("is_admin:1").check, Check::IsAdmin(true));
    }

    #[test]
    fn not_binds_closer_than_and_which_binds_closer_than_or() {
        let table = [
            ("a:1 or b:2 and c:3", "a:1 or (b:2 and c:3)"),
            ("a:1 and b:2 or c:3", "(a:1 and b:2) or c:3"),
            ("a:1 or b:2 and c:3 or d:4", "a:1 or (b:2 and c:3) or d:4"),
            ("a:1 or b:2 and c:3 and d:4", "a:1 or (b:2 and c:3 and d:4)"),
            ("a:1 and b:2 or c:3 and d:4", "(a:1 and b:2) or (c:3 and d:4)"),
            ("not a:1 and b:2", "not a:1 and b:2"),
            ("not (a:1 and b:2)", "not (a:1 and b:2)"),
            ("(a:1 or b:2) and c:3", "(a:1 or b:2) and c:3"),
            ("a:1 and not b:2 or c:3", "(a:1 and not b:2) or c:3"),
            ("not not a:1", "not not a:1"),
            ("((a:1))", "a:1"),
            ("( a:1 AND b:2 ) Or NOT c:3", "(a:1 and b:2) or not c:3"),
        ];
        for (text, expected) in table {
            assert_eq!(shape(text), expected, "{text}");
            assert!(parse(text).problems.is_empty(), "{text}");
        }
    }

    #[test]
    fn parentheses_inside_a_check_stay() {
        assert_eq!(parse("(project_id:%(project_id)s)").check, parse("project_id:%(project_id)s").check);
        assert_eq!(parse("a:f(x)y").check, Check::Generic { kind: "a".into(), wants: "f(x)y".into() });
    }

    #[test]
    fn what_is_no_expression_denies_and_says_so() {
        for text in
            ["role:a role:b", "(role:a", "role:a)", "AND", "not", "\"x\"", "'x':'y'", " ", "()", "role:a or", "or"]
        {
            let parsed = parse(text);
            assert_eq!(parsed.check, Check::False, "{text}");
            assert_eq!(parsed.problems, [ParseProblem::NotAnExpression], "{text}");
        }
    }

    #[test]
    fn a_check_without_a_colon_denies_alone() {
        let parsed = parse("foo or role:a");
        assert_eq!(parsed.check, Check::Or(vec![Check::False, Check::Role("a".into())]));
        assert_eq!(parsed.problems, [ParseProblem::NoColon("foo".into())]);
    }

    #[test]
    fn the_list_form_is_an_or_of_ands() {
        assert_eq!(list(&[]).parse().check, Check::True);
        assert_eq!(list(&[&[]]).parse().check, Check::False);
        assert_eq!(list(&[&["role:a"]]).parse().check, parse("role:a").check);
        assert_eq!(list(&[&["role:a", "x:1"], &[], &["@"]]).parse().check, parse("role:a and x:1 or @").check);
    }

    #[test]
    fn white_space_is_what_python_takes_for_it() {
        assert_eq!(shape("a:1\u{1f}or\u{a0}b:2\tand\nc:3"), "a:1 or (b:2 and c:3)");
    }

    #[test]
    fn nesting_beyond_the_limit_denies() {
        let deep = |levels: usize| parse(&format!("{}a:1", "not ".repeat(levels)));
        assert!(deep(DEPTH_MAX - 1).problems.is_empty());
        assert_eq!(deep(DEPTH_MAX).problems, [ParseProblem::TooDeep]);
        assert_eq!(deep(200_000).check, Check::False);
        let mixed = format!("{}a:1{}", "(a:1 or not ".repeat(100_000), ")".repeat(100_000));
        assert_eq!(parse(&mixed).check, Check::False);
    }

    #[test]
    fn no_tree_is_deeper_than_the_limit() {
        let text = format!("{}a:1{}", "(a:1 or not ".repeat(20), " and b:2)".repeat(20));
        let check = parse(&text).check;
        assert!(check != Check::False && check.depth() <= DEPTH_MAX);
    }

    #[test]
    fn parentheses_alone_are_not_nesting() {
        assert_eq!(shape(&format!("{}a:1{}", "(".repeat(100_000), ")".repeat(100_000))), "a:1");
    }

    #[test]
    fn a_long_flat_text_is_read_whole() {
        let text = vec!["a:1 or b:2 and c:3"; 50_000].join(" and ");
        let Check::Or(alternatives) = parse(&text).check else { panic!("an OR of ANDs") };
        assert_eq!(alternatives.len(), 50_001);
    }

    fn check() -> impl Strategy<Value = Check> {
        let word = "[a-z%'\"(._][a-z0-9%()'\"._]{0,6}[a-z'\"]";
        let leaf = prop_oneof![
            Just(Check::True),
            Just(Check::False),
            any::<bool>().prop_map(Check::IsAdmin),
            word.prop_map(Check::Rule),
            word.prop_map(Check::Role),
            word.prop_map(|word| Check::Remote { url: format!("http:{word}") }),
            ("['\"a-z][a-z.]{0,5}", word).prop_filter_map("a kind of its own", |(kind, wants)| {
                let own = ["rule", "role", "is_admin", "http", "https"].contains(&kind.as_str());
                (!own).then_some(Check::Generic { kind, wants })
            }),
        ];
        leaf.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|check| Check::Not(Box::new(check))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Check::And),
                prop::collection::vec(inner, 2..4).prop_map(Check::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_tree(check in check()) {
            let parsed = parse(&check.to_string());
            prop_assert_eq!(parsed.check, check);
            prop_assert_eq!(parsed.problems, []);
        }

        #[test]
        fn any_text_parses_and_its_print_means_the_same(text in "([()!@'\" ]|and |or |not |a:%\\(x\\)s|rule:r|\\PC){0,30}") {
            let parsed = parse(&text);
            prop_assert_eq!(parse(&parsed.check.to_string()).check, parsed.check);
        }
    }
}
