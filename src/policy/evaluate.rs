//! Whether a check holds for a caller and a target. Pure: no I/O, no clock, and in the common case no allocation.
//! What another program must decide is asked for (`Outcome::Ask`), never fetched from here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::rules::{Node, RuleId, Rules};
use super::template::{Template, Unfilled, python_bool};

/// How many nodes may be open at once while evaluating, references included. Only a cycle of references gets there.
const DEPTH_MAX: u32 = 512;

/// How many nodes one evaluation may visit, so that rules which refer to each other twice cannot take exponential time.
const NODES_MAX: u32 = 100_000;

/// One thing known about a caller or a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// Text.
    Str(&'a str),
    /// Several texts, like the roles of a caller.
    List(&'a [String]),
    /// A flag, compared as `True` and `False`.
    Bool(bool),
    /// A whole number, compared in decimal.
    Int(i64),
    /// Known to be nothing, Python's `None`, compared as the text `None`. Where that is not wanted, have no such fact.
    None,
}

/// What is known about a caller (`user_id`, `project_id`, `roles`, `is_admin`, …) or a target (`project_id`, `target.project.id`, …).
pub trait Facts {
    /// The fact of this name. Dots are part of the name: a path is looked up whole.
    fn fact(&self, name: &str) -> Option<Fact<'_>>;

    /// Tells every fact once, for remote checks and explanations.
    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>));
}

impl<const N: usize> Facts for [(&str, Fact<'_>); N] {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        self.iter().find(|(known, _)| *known == name).map(|(_, fact)| *fact)
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        self.iter().for_each(|(name, fact)| tell(name, *fact));
    }
}

/// A question only another program can answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteQuestion {
    /// Where to ask, gaps filled in.
    pub url: String,
    /// The rule that is being decided: the outermost one.
    pub rule: String,
}

impl RemoteQuestion {
    /// Where it is asked, for logs and refusals: without the password that a URL may have.
    pub fn shown(&self) -> String {
        crate::config::without_password(&self.url)
    }
}

/// What other programs have answered, for one caller and one target: do not keep it for others.
#[derive(Clone, Debug, Default)]
pub struct Verdicts(HashMap<RemoteQuestion, bool>);

impl Verdicts {
    /// No answers yet: what nearly every request knows, so it is there once.
    pub fn none() -> Arc<Verdicts> {
        static NONE: LazyLock<Arc<Verdicts>> = LazyLock::new(Arc::default);
        NONE.clone()
    }

    /// Notes an answer.
    pub fn note(&mut self, question: RemoteQuestion, allowed: bool) {
        self.0.insert(question, allowed);
    }

    fn of(&self, question: &RemoteQuestion) -> Option<bool> {
        self.0.get(question).copied()
    }
}

/// What an evaluation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule holds.
    Allowed,
    /// The rule does not hold, or cannot be decided safely.
    Denied,
    /// It depends on this answer: ask outside any transaction, note it in the verdicts, evaluate again.
    Ask(RemoteQuestion),
}

/// Who wants what, and what is known already.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// Facts about the caller.
    pub credentials: &'a dyn Facts,
    /// Facts about what is acted upon.
    pub target: &'a dyn Facts,
    /// Answers of other programs.
    pub verdicts: &'a Verdicts,
}

impl Rules {
    /// Whether the rule of this name holds. Unknown names take the default rule; without one they deny.
    pub fn evaluate(&self, rule: &str, case: Case<'_>) -> Outcome {
        let Some(id) = self.find(rule) else { return Outcome::Denied };
        match Evaluation::new(self, rule, case).rule(id, 0) {
            Ok(true) => Outcome::Allowed,
            Ok(false) | Err(Stop::Broken(_)) => Outcome::Denied,
            Err(Stop::Ask(question)) => Outcome::Ask(*question),
        }
    }
}

/// Why an evaluation ends without a yes or no. It ends at once: were a broken check merely false, a `not` around it would allow.
#[derive(Debug)]
pub(super) enum Stop {
    /// An answer is missing.
    Ask(Box<RemoteQuestion>),
    /// The check cannot be decided (the original fails with an error here): denied, whatever stands around it.
    Broken(String),
}

/// One walk through the trees.
pub(super) struct Evaluation<'a> {
    pub(super) rules: &'a Rules,
    rule: &'a str,
    pub(super) case: Case<'a>,
    nodes: u32,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(rules: &'a Rules, rule: &'a str, case: Case<'a>) -> Evaluation<'a> {
        Evaluation { rules, rule, case, nodes: 0 }
    }

    pub(super) fn rule(&mut self, id: RuleId, depth: u32) -> Result<bool, Stop> {
        self.node(self.rules.node(id), depth)
    }

    /// Counts one more node.
    pub(super) fn enter(&mut self, depth: u32) -> Result<(), Stop> {
        self.nodes += 1;
        if depth > DEPTH_MAX {
            return Err(Stop::Broken("the rules refer to each other in a circle, or too deeply".to_owned()));
        }
        if self.nodes > NODES_MAX {
            return Err(Stop::Broken(format!("the rules refer to more than {NODES_MAX} checks")));
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, depth: u32) -> Result<bool, Stop> {
        self.enter(depth)?;
        match node {
            Node::Not(inner) => Ok(!self.node(inner, depth + 1)?),
            Node::And(nodes) => {
                for node in nodes {
                    if !self.node(node, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(nodes) => {
                for node in nodes {
                    if self.node(node, depth + 1)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Rule(id, _) => self.rule(*id, depth + 1),
            leaf => self.leaf(leaf),
        }
    }

    /// A check without checks in it.
    pub(super) fn leaf(&self, node: &Node) -> Result<bool, Stop> {
        match node {
            Node::True => Ok(true),
            Node::False | Node::Undefined(_) => Ok(false),
            Node::Broken(_, why) => Err(Stop::Broken(why.to_string())),
            Node::Role(wants) => self.role(wants),
            Node::IsAdmin(wants) => Ok(self.case.credentials.fact("is_admin") == Some(Fact::Bool(*wants))),
            Node::Remote(url) => self.remote(url),
            Node::Literal { value, wants, .. } => self.wants(wants, |text| **value == *text),
            Node::Credential { path, wants } => self.wants(wants, |text| self.has_credential(path, text)),
            Node::Not(_) | Node::And(_) | Node::Or(_) | Node::Rule(..) => {
                Err(Stop::Broken("a check with checks in it is no leaf".to_owned()))
            }
        }
    }

    fn role(&self, wants: &Template) -> Result<bool, Stop> {
        let Some(Fact::List(roles)) = self.case.credentials.fact("roles") else { return Ok(false) };
        self.wants(wants, |name| roles.iter().any(|role| same_in_lower_case(role, name)))
    }

    /// Whether the filled template holds. A missing fact means no; a list in a text cannot be decided.
    fn wants(&self, template: &Template, holds: impl FnOnce(&str) -> bool) -> Result<bool, Stop> {
        match template.fill(self.case.target) {
            Ok(text) => Ok(holds(&text)),
            Err(Unfilled::Missing(_)) => Ok(false),
            Err(Unfilled::List(name)) => Err(Stop::Broken(format!("the target's `{name}` is a list"))),
        }
    }

    fn has_credential(&self, path: &str, text: &str) -> bool {
        match self.credential(path) {
            None => false,
            Some(Fact::Str(value)) => value == text,
            Some(Fact::List(values)) => values.iter().any(|value| value == text),
            Some(Fact::Bool(flag)) => python_bool(flag) == text,
            Some(Fact::Int(number)) => number.to_string() == text,
            Some(Fact::None) => text == "None",
        }
    }

    /// A credential. `system` is another name of `system_scope`.
    pub(super) fn credential(&self, path: &str) -> Option<Fact<'a>> {
        let credentials = self.case.credentials;
        let alias = if path == "system" { credentials.fact("system_scope") } else { None };
        match alias {
            Some(Fact::Str(scope)) if !scope.is_empty() => Some(Fact::Str(scope)),
            _ => credentials.fact(path),
        }
    }

    fn remote(&self, url: &Template) -> Result<bool, Stop> {
        let url = match url.fill(self.case.target) {
            Ok(url) => url.into_owned(),
            Err(Unfilled::Missing(name)) => {
                return Err(Stop::Broken(format!("the target has no `{name}` for the URL")));
            }
            Err(Unfilled::List(name)) => return Err(Stop::Broken(format!("the target's `{name}` is a list"))),
        };
        let question = RemoteQuestion { url, rule: self.rule.to_owned() };
        self.case.verdicts.of(&question).ok_or_else(|| Stop::Ask(Box::new(question)))
    }
}

/// Whether two texts are one in lower case. Plain ASCII, the usual case, needs no memory.
fn same_in_lower_case(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::rule::RuleText;
    use super::super::rules::Settings;
    use super::*;

    fn rules(named: &[(&str, &str)]) -> Rules {
        let overrides = named.iter().map(|(name, text)| (name.to_string(), RuleText::Text(text.to_string()))).collect();
        Rules::new(overrides, &[], &Settings::default())
    }

    fn decide(text: &str, verdicts: &Verdicts) -> Outcome {
        let roles = ["Member".to_owned(), "straße".to_owned()];
        let credentials = [
            ("roles", Fact::List(&roles)),
            ("user_id", Fact::Str("u1")),
            ("project_id", Fact::Str("p1")),
            ("domain_id", Fact::None),
            ("system_scope", Fact::Str("all")),
            ("is_admin", Fact::Bool(false)),
            ("token.level", Fact::Int(3)),
        ];
        let groups = ["g1".to_owned()];
        let target = [
            ("project_id", Fact::Str("p1")),
            ("wanted", Fact::Str("MEMBER")),
            ("level", Fact::Int(3)),
            ("enabled", Fact::Bool(true)),
            ("groups", Fact::List(&groups)),
        ];
        rules(&[("r", text)]).evaluate("r", Case { credentials: &credentials, target: &target, verdicts })
    }

    fn holds(text: &str) -> bool {
        decide(text, &Verdicts::none()) == Outcome::Allowed
    }

    #[test]
    fn each_check_holds_or_not_as_in_the_original() {
        let table = [
            ("", true),
            ("!", false),
            ("role:member", true),
            ("role:MEMBER", true),
            ("role:STRAßE", true),
            ("role:admin", false),
            ("role:%(wanted)s", true),
            ("role:%(nothing)s", false),
            ("project_id:%(project_id)s", true),
            ("user_id:%(project_id)s", false),
            ("user_id:%(user_id)s", false),
            ("not user_id:%(user_id)s", true),
            ("user_id:u1", true),
            ("user_id:U1", false),
            ("roles:Member", true),
            ("roles:member", false),
            ("is_admin:True", false),
            ("is_admin:False", true),
            ("is_admin:whatever", true),
            ("system:all", true),
            ("system_scope:all", true),
            ("domain_id:None", true),
            ("token.level:%(level)s", true),
            ("nobody.knows:this", false),
            ("True:%(enabled)s", true),
            ("False:%(enabled)s", false),
            ("'MEMBER':%(wanted)s", true),
            ("\"p1\":%(project_id)s", true),
            ("3:%(level)s", true),
            ("-3:%(level)s", false),
            ("None:None", true),
            ("role:member and not role:admin", true),
            ("role:admin or project_id:p1 and user_id:u1", true),
            ("(role:admin or project_id:p1) and user_id:u2", false),
            ("100:100%%", false),
        ];
        for (text, expected) in table {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_decided_denies_even_under_not() {
        for text in ["x:%(y)d", "0x10:1", "user_id:%(groups)s", "a b:c", "class-:x", "http://h/%(nothing)s", "rule:r"] {
            assert!(!holds(text), "{text}");
            assert!(!holds(&format!("not {text}")), "not {text}");
        }
    }

    #[test]
    fn a_circle_of_references_denies_only_where_it_is_entered() {
        let rules = rules(&[("a", "role:admin or rule:b"), ("b", "role:member or rule:a")]);
        let decide = |role: &str| {
            let roles = [role.to_owned()];
            let credentials = [("roles", Fact::List(&roles))];
            rules.evaluate("a", Case { credentials: &credentials, target: &[], verdicts: &Verdicts::none() })
        };
        assert_eq!(decide("member"), Outcome::Allowed);
        assert_eq!(decide("reader"), Outcome::Denied);
    }

    #[test]
    fn references_that_double_at_each_step_end_in_time() {
        let mut named: Vec<(String, RuleText)> =
            (0..60).map(|n| (format!("r{n}"), RuleText::Text(format!("rule:r{0} or rule:r{0}", n + 1)))).collect();
        named.push(("r60".to_owned(), RuleText::Text("!".to_owned())));
        let rules = Rules::new(named, &[], &Settings::default());
        let case = Case { credentials: &[], target: &[], verdicts: &Verdicts::none() };
        assert_eq!(rules.evaluate("r0", case), Outcome::Denied);
    }

    #[test]
    fn a_remote_check_is_asked_for_only_when_it_decides() {
        let none = Verdicts::none();
        let question = RemoteQuestion { url: "http://h/p1?a".to_owned(), rule: "r".to_owned() };
        assert_eq!(decide("role:member or http://h/%(project_id)s?a", &none), Outcome::Allowed);
        assert_eq!(decide("role:admin or http://h/%(project_id)s?a", &none), Outcome::Ask(question));
    }

    #[test]
    fn a_noted_verdict_decides() {
        let question = RemoteQuestion { url: "http://h/p1".to_owned(), rule: "r".to_owned() };
        for (allowed, outcome) in [(true, Outcome::Allowed), (false, Outcome::Denied)] {
            let mut verdicts = Verdicts::default();
            verdicts.note(question.clone(), allowed);
            assert_eq!(decide("http://h/%(project_id)s", &verdicts), outcome);
        }
    }
}
