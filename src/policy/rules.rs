//! All rules together: those of the files over those of the code, compiled once so that evaluating is a walk through a tree.
//! References are resolved and templates split here; what is odd about a rule is collected here too.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::rule::{Check, ParseProblem, RuleText, parse};
use super::template::Template;

/// How many problems are kept of all rules together.
const PROBLEMS_MAX: usize = 1_000;

/// A rule as the code knows it.
#[derive(Clone, Debug, Default)]
pub struct RuleDefault<'a> {
    /// Like `os_compute_api:server-metadata:update`.
    pub name: &'a str,
    /// The check, in the language of `rule`.
    pub check: &'a str,
    /// What it replaces.
    pub deprecated: Option<Deprecated<'a>>,
    /// For the sample file: what the rule guards. Blank lines separate paragraphs.
    pub description: &'a str,
    /// For the sample file: method and path of each operation.
    pub operations: Vec<(&'a str, String)>,
    /// For the sample file: `project`, `system`, `domain`.
    pub scopes: &'a [&'a str],
}

/// An older form of a rule: effective beside the new one while new defaults are not enforced.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated<'a> {
    /// Its name, often the same as the new one.
    pub name: &'a str,
    /// Its check.
    pub check: &'a str,
    /// Why it was replaced.
    pub reason: &'a str,
    /// The release since when; may be empty.
    pub since: &'a str,
}

/// `[oslo_policy]`, as far as it changes what rules mean.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `policy_default_rule`: the rule for names that have none.
    pub default_rule: String,
    /// `enforce_new_defaults`: whether deprecated checks are dead.
    pub enforce_new_defaults: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { default_rule: "default".to_owned(), enforce_new_defaults: true }
    }
}

/// Something odd about a rule, worth telling whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The rule's name.
    pub rule: String,
    /// What is odd, as a sentence without its subject's name.
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "rule \"{}\": {}", self.rule, self.sentence)
    }
}

/// Which rule, within one `Rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuleId(u32);

/// Every rule, ready to be evaluated.
#[derive(Debug)]
pub struct Rules {
    nodes: Vec<Node>,
    listed: Vec<Listed>,
    ids: HashMap<String, RuleId>,
    default_rule: Option<RuleId>,
    problems: Vec<Problem>,
}

/// A rule as it stands after files and defaults are joined.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its check.
    pub check: Check,
    /// Whether a file says so, and not the code.
    pub from_file: bool,
}

/// A compiled check.
#[derive(Debug)]
pub(super) enum Node {
    True,
    False,
    /// Cannot be decided: the check as written, and why.
    Broken(String, Box<str>),
    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    /// A reference, and the name it was written with, which differs from the rule's where the default rule steps in.
    Rule(RuleId, Box<str>),
    /// A reference to nothing.
    Undefined(Box<str>),
    Role(Template),
    IsAdmin(bool),
    Remote(Template),
    Literal {
        value: Box<str>,
        wants: Template,
    },
    Credential {
        path: Box<str>,
        wants: Template,
    },
}

impl Rules {
    /// Joins what files say (the last of one name counts) with the defaults of the code.
    pub fn new(overrides: Vec<(String, RuleText)>, defaults: &[RuleDefault<'_>], settings: &Settings) -> Rules {
        let mut gathered = Gathered::default();
        let last: HashMap<&str, usize> =
            overrides.iter().enumerate().map(|(place, (name, _))| (&**name, place)).collect();
        for (_, (name, text)) in overrides.iter().enumerate().filter(|(place, (name, _))| last[&**name] == *place) {
            let parsed = text.parse();
            gathered.note(name, &parsed.problems);
            gathered.put(name, parsed.check, true);
        }
        let from_file = gathered.ids.clone();
        for default in defaults.iter().filter(|default| !from_file.contains_key(default.name)) {
            let check = gathered.effective(default, &from_file, settings);
            gathered.put(default.name, check, false);
        }
        gathered.compile(settings)
    }

    /// The rule of this name, else the default rule, else none.
    pub(super) fn find(&self, name: &str) -> Option<RuleId> {
        self.ids.get(name).copied().or(self.default_rule)
    }

    /// Whether a rule of this very name exists.
    pub fn defines(&self, name: &str) -> bool {
        self.ids.contains_key(name)
    }

    pub(super) fn node(&self, id: RuleId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn listed(&self, id: RuleId) -> &Listed {
        &self.listed[id.0 as usize]
    }

    /// All rules, those of the files first.
    pub fn list(&self) -> &[Listed] {
        &self.listed
    }

    /// Rules of files which nothing asks: no code, and no other rule by reference. Most are misspelt.
    pub fn unasked(&self, code_asks: impl Fn(&str) -> bool) -> Vec<&str> {
        let mut referred = HashSet::new();
        self.listed.iter().for_each(|listed| named_in(&listed.check, &listed.name, &mut referred));
        let names = self.listed.iter().filter(|listed| listed.from_file).map(|listed| &*listed.name);
        names.filter(|name| !code_asks(name) && !referred.contains(name)).collect()
    }

    /// What is odd.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

#[derive(Default)]
struct Gathered {
    listed: Vec<Listed>,
    ids: HashMap<String, RuleId>,
    problems: Vec<Problem>,
}

impl Gathered {
    fn put(&mut self, name: &str, check: Check, from_file: bool) {
        let listed = Listed { name: name.to_owned(), check, from_file };
        // Files are far too small for 2^32 rules.
        self.ids.insert(name.to_owned(), RuleId(self.listed.len() as u32));
        self.listed.push(listed);
    }

    fn note(&mut self, rule: &str, problems: &[ParseProblem]) {
        problems.iter().for_each(|problem| note(&mut self.problems, rule, problem.to_string()));
    }

    /// What a default means that no file overrides: the override of its old name, the default together with its predecessor,
    /// or simply the default.
    fn effective(
        &mut self,
        default: &RuleDefault<'_>,
        from_file: &HashMap<String, RuleId>,
        settings: &Settings,
    ) -> Check {
        let parsed = parse(default.check);
        self.note(default.name, &parsed.problems);
        let Some(deprecated) = &default.deprecated else { return parsed.check };
        let old = parse(deprecated.check).check;
        if deprecated.name != default.name
            && let Some(id) = from_file.get(deprecated.name)
        {
            let written = &self.listed[id.0 as usize].check;
            if *written != old && *written != Check::Rule(default.name.to_owned()) {
                return written.clone();
            }
        }
        if settings.enforce_new_defaults || deprecated.check == default.check {
            return parsed.check;
        }
        Check::Or(vec![parsed.check, old])
    }

    fn compile(mut self, settings: &Settings) -> Rules {
        let default_rule = self.ids.get(&settings.default_rule).copied();
        let mut nodes = Vec::with_capacity(self.listed.len());
        for listed in &self.listed {
            let mut compiler =
                Compiler { rule: &listed.name, ids: &self.ids, default_rule, problems: &mut self.problems };
            nodes.push(compiler.node(&listed.check));
        }
        for id in circular(&nodes) {
            let sentence = "it is part of a circle of references, or leads to one; where that is entered, it denies";
            note(&mut self.problems, &self.listed[id].name, sentence.to_owned());
        }
        Rules { nodes, listed: self.listed, ids: self.ids, default_rule, problems: self.problems }
    }
}

/// The names a check refers to, its own left out.
fn named_in<'a>(check: &'a Check, own: &str, found: &mut HashSet<&'a str>) {
    match check {
        Check::Not(check) => named_in(check, own, found),
        Check::And(checks) | Check::Or(checks) => checks.iter().for_each(|check| named_in(check, own, found)),
        Check::Rule(name) if name != own => {
            found.insert(name);
        }
        Check::Rule(_) | Check::True | Check::False | Check::Role(_) | Check::IsAdmin(_) => (),
        Check::Remote { .. } | Check::Generic { .. } => (),
    }
}

/// Keeps a problem, unless there are more of them already than anybody reads.
fn note(problems: &mut Vec<Problem>, rule: &str, sentence: String) {
    if problems.len() < PROBLEMS_MAX {
        problems.push(Problem { rule: rule.to_owned(), sentence });
    }
}

/// Turns the trees of one rule into nodes.
struct Compiler<'a> {
    rule: &'a str,
    ids: &'a HashMap<String, RuleId>,
    default_rule: Option<RuleId>,
    problems: &'a mut Vec<Problem>,
}

impl Compiler<'_> {
    fn node(&mut self, check: &Check) -> Node {
        match check {
            Check::True => Node::True,
            Check::False => Node::False,
            Check::Not(check) => Node::Not(Box::new(self.node(check))),
            Check::And(checks) => Node::And(checks.iter().map(|check| self.node(check)).collect()),
            Check::Or(checks) => Node::Or(checks.iter().map(|check| self.node(check)).collect()),
            Check::Rule(name) => self.reference(name),
            Check::Role(name) => self.with_template(check, name, Node::Role),
            Check::IsAdmin(wants) => Node::IsAdmin(*wants),
            Check::Remote { url } => self.with_template(check, url, Node::Remote),
            Check::Generic { kind, wants } => self.generic(check, kind, wants),
        }
    }

    fn problem(&mut self, sentence: String) {
        note(self.problems, self.rule, sentence);
    }

    fn reference(&mut self, name: &str) -> Node {
        match (self.ids.get(name), self.default_rule) {
            (Some(&id), _) => Node::Rule(id, name.into()),
            (None, Some(id)) => {
                self.problem(format!("it refers to \"{name}\", which is not defined, so the default rule is taken"));
                Node::Rule(id, name.into())
            }
            (None, None) => {
                self.problem(format!("it refers to \"{name}\", which is not defined, so this part of it denies"));
                Node::Undefined(name.into())
            }
        }
    }

    fn with_template(&mut self, check: &Check, text: &str, node: impl FnOnce(Template) -> Node) -> Node {
        match Template::new(text) {
            Ok(template) => node(template),
            Err(error) => self.broken(check, &error.to_string()),
        }
    }

    fn broken(&mut self, check: &Check, why: &str) -> Node {
        self.problem(format!("`{check}` cannot be decided, so everybody who reaches it is denied: {why}"));
        Node::Broken(check.to_string(), why.into())
    }

    fn generic(&mut self, check: &Check, kind: &str, wants: &str) -> Node {
        match Kind::of(kind) {
            Kind::Path => self.with_template(check, wants, |wants| Node::Credential { path: kind.into(), wants }),
            Kind::Literal(value) => {
                self.with_template(check, wants, |wants| Node::Literal { value: value.into(), wants })
            }
            Kind::Neither => {
                self.broken(check, "what stands before its colon is neither a literal nor a path of names")
            }
        }
    }
}

/// What stands before the colon of a check.
enum Kind {
    Literal(String),
    Path,
    Neither,
}

impl Kind {
    /// Of Python's literals: None, True, False, whole decimal numbers, and quoted strings without escapes. Others are refused.
    fn of(text: &str) -> Kind {
        if ["None", "True", "False"].contains(&text) {
            return Kind::Literal(text.to_owned());
        }
        if let Some(inner) = unquoted(text) {
            return Kind::Literal(inner.to_owned());
        }
        if let Ok(number) = text.parse::<i64>()
            && number.to_string() == text
        {
            return Kind::Literal(text.to_owned());
        }
        if is_path(text) { Kind::Path } else { Kind::Neither }
    }
}

/// The inside of a quoted string that needs no unescaping.
fn unquoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let plain = !inner.contains([quote, '\\', '\n', '\r', '\0']);
    plain.then_some(inner)
}

/// Names with dots between them. Hyphens may stand inside a name.
fn is_path(text: &str) -> bool {
    text.split('.').all(|name| {
        let first = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
        first && !name.ends_with('-') && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    })
}

/// The rules from which a circle of references can be reached: what is left when rules that refer to no others are taken away,
/// again and again.
fn circular(nodes: &[Node]) -> Vec<usize> {
    let mut open = vec![0usize; nodes.len()];
    let mut referrers = vec![Vec::new(); nodes.len()];
    for (id, node) in nodes.iter().enumerate() {
        references(node, &mut |to| {
            open[id] += 1;
            referrers[to].push(id);
        });
    }
    let mut free: Vec<usize> = (0..nodes.len()).filter(|&id| open[id] == 0).collect();
    while let Some(id) = free.pop() {
        for &from in &referrers[id] {
            open[from] -= 1;
            if open[from] == 0 {
                free.push(from);
            }
        }
    }
    (0..nodes.len()).filter(|&id| open[id] > 0).collect()
}

fn references(node: &Node, tell: &mut dyn FnMut(usize)) {
    match node {
        Node::Not(node) => references(node, tell),
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| references(node, tell)),
        Node::Rule(id, _) => tell(id.0 as usize),
        Node::True
        | Node::False
        | Node::Broken(..)
        | Node::Undefined(_)
        | Node::Role(_)
        | Node::IsAdmin(_)
        | Node::Remote(_)
        | Node::Literal { .. }
        | Node::Credential { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(named: &[(&str, &str)]) -> Vec<(String, RuleText)> {
        named.iter().map(|(name, text)| (name.to_string(), RuleText::Text(text.to_string()))).collect()
    }

    fn of_code<'a>(name: &'a str, check: &'a str) -> RuleDefault<'a> {
        RuleDefault { name, check, ..RuleDefault::default() }
    }

    fn replaced<'a>(name: &'a str, check: &'a str, old_name: &'a str, old_check: &'a str) -> RuleDefault<'a> {
        let deprecated = Some(Deprecated { name: old_name, check: old_check, reason: "", since: "" });
        RuleDefault { deprecated, ..of_code(name, check) }
    }

    fn check_of(rules: &Rules, name: &str) -> Option<String> {
        rules.find(name).map(|id| rules.listed(id).check.to_string())
    }

    fn sentences(rules: &Rules) -> Vec<String> {
        rules.problems().iter().map(Problem::to_string).collect()
    }

    fn old_allowed() -> Settings {
        Settings { enforce_new_defaults: false, ..Settings::default() }
    }

    #[test]
    fn a_file_overrides_the_code_which_overrides_the_default_rule() {
        let defaults = [of_code("a", "role:a"), of_code("b", "role:b")];
        let rules = Rules::new(written(&[("a", "!"), ("default", "role:d")]), &defaults, &Settings::default());
        assert_eq!(check_of(&rules, "a").as_deref(), Some("!"));
        assert_eq!(check_of(&rules, "b").as_deref(), Some("role:b"));
        assert_eq!(check_of(&rules, "c").as_deref(), Some("role:d"));
    }

    #[test]
    fn without_a_default_rule_an_unknown_name_has_none() {
        assert_eq!(check_of(&Rules::new(vec![], &[], &Settings::default()), "c"), None);
    }

    #[test]
    fn the_default_rule_may_have_another_name() {
        let settings = Settings { default_rule: "others".to_owned(), ..Settings::default() };
        let rules = Rules::new(written(&[("others", "role:o"), ("default", "@")]), &[], &settings);
        assert_eq!(check_of(&rules, "c").as_deref(), Some("role:o"));
    }

    #[test]
    fn of_two_values_of_one_name_the_last_counts() {
        let rules = Rules::new(written(&[("a", "foo"), ("a", "role:b")]), &[], &Settings::default());
        assert_eq!(check_of(&rules, "a").as_deref(), Some("role:b"));
        assert_eq!(rules.problems(), []);
    }

    #[test]
    fn a_deprecated_check_counts_while_new_defaults_are_not_enforced() {
        let defaults = [replaced("a", "role:new", "a", "role:old")];
        let rules = Rules::new(vec![], &defaults, &old_allowed());
        assert_eq!(check_of(&rules, "a").as_deref(), Some("role:new or role:old"));
        let rules = Rules::new(vec![], &defaults, &Settings::default());
        assert_eq!(check_of(&rules, "a").as_deref(), Some("role:new"));
        let rules = Rules::new(written(&[("a", "role:mine")]), &defaults, &old_allowed());
        assert_eq!(check_of(&rules, "a").as_deref(), Some("role:mine"));
    }

    #[test]
    fn an_override_of_a_deprecated_name_counts_for_the_new_one() {
        let defaults = [replaced("new", "role:n", "old", "role:o")];
        let under =
            |text: &str| check_of(&Rules::new(written(&[("old", text)]), &defaults, &Settings::default()), "new");
        assert_eq!(under("role:mine").as_deref(), Some("role:mine"));
        assert_eq!(under("role:o").as_deref(), Some("role:n"));
        assert_eq!(under("rule:new").as_deref(), Some("role:n"));
    }

    #[test]
    fn references_to_nothing_are_problems() {
        let rules = Rules::new(written(&[("a", "rule:b")]), &[], &Settings::default());
        let expected = "rule \"a\": it refers to \"b\", which is not defined, so this part of it denies";
        assert_eq!(sentences(&rules), [expected]);
    }

    #[test]
    fn circles_are_problems_of_each_rule_that_leads_to_one() {
        let named = [("a", "role:x or rule:b"), ("b", "not rule:a"), ("c", "rule:a"), ("d", "role:d"), ("e", "rule:d")];
        let rules = Rules::new(written(&named), &[], &Settings::default());
        let circular: Vec<&str> = rules.problems().iter().map(|problem| &*problem.rule).collect();
        assert_eq!(circular, ["a", "b", "c"]);
    }

    #[test]
    fn a_rule_that_does_not_parse_is_a_problem() {
        let rules = Rules::new(written(&[("a", "role:x role:y"), ("b", "x:%(y)d")]), &[], &Settings::default());
        assert_eq!(rules.problems().len(), 2);
    }

    #[test]
    fn a_chain_of_very_many_references_is_no_trouble() {
        let named: Vec<_> =
            (0..20_000).map(|n| (format!("r{n}"), RuleText::Text(format!("rule:r{}", n + 1)))).collect();
        assert_eq!(Rules::new(named, &[], &Settings::default()).problems().len(), 1);
    }
}
