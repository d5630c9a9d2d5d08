//! Why a rule allows or denies: every check of it, what it came to, and what was compared. For people, not for the hot path.

use std::fmt;

use super::evaluate::{Case, Evaluation, Fact, Outcome, RemoteQuestion, Stop};
use super::rules::{Node, RuleId, Rules};
use super::template::{Template, Unfilled, python_bool};

/// How many checks one explanation shows.
const LINES_MAX: usize = 2_000;

/// A rule's outcome and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The rule asked for.
    pub rule: String,
    /// What evaluating it comes to.
    pub outcome: Outcome,
    /// Its check, part by part; absent where there is neither such a rule nor a default rule.
    pub because: Option<Step>,
}

/// One check within an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The check, or for a joined one the word that joins: `all of`, `any of`, `not`.
    pub check: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What was compared, or why it cannot be decided; may be empty.
    pub why: String,
    /// False where the outcome was settled before this check was reached.
    pub needed: bool,
    /// The checks within.
    pub parts: Vec<Step>,
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Another program has to be asked.
    Ask(RemoteQuestion),
    /// It cannot be decided, and so denies.
    Broken,
}

impl Rules {
    /// Evaluates a rule and tells how it came to its outcome. Shows also what was not needed.
    pub fn explain(&self, rule: &str, case: Case<'_>) -> Explanation {
        let outcome = self.evaluate(rule, case);
        let because = self.find(rule).map(|id| {
            let mut explaining = Explaining { evaluation: Evaluation::new(self, rule, case), lines: 0 };
            explaining.reference(rule, id, 0, true)
        });
        Explanation { rule: rule.to_owned(), outcome, because }
    }
}

struct Explaining<'a> {
    evaluation: Evaluation<'a>,
    lines: usize,
}

impl<'a> Explaining<'a> {
    fn reference(&mut self, name: &str, id: RuleId, depth: u32, needed: bool) -> Step {
        let rules = self.evaluation.rules;
        let listed = rules.listed(id);
        let part = self.step(rules.node(id), depth + 1, needed);
        let mut why = if listed.from_file { "from a file".to_owned() } else { "built in".to_owned() };
        if listed.name != name {
            why = format!("not defined, so \"{}\", {why}", listed.name);
        }
        Step { check: format!("rule:{name}"), verdict: part.verdict.clone(), why, needed, parts: vec![part] }
    }

    fn step(&mut self, node: &'a Node, depth: u32, needed: bool) -> Step {
        self.lines += 1;
        if self.lines > LINES_MAX {
            return broken("…".to_owned(), "there is more than can be shown".to_owned(), needed);
        }
        if let Err(stop) = self.evaluation.enter(depth) {
            return broken("…".to_owned(), reason(&stop), needed);
        }
        match node {
            Node::Not(inner) => {
                let part = self.step(inner, depth + 1, needed);
                let verdict = match &part.verdict {
                    Verdict::True => Verdict::False,
                    Verdict::False => Verdict::True,
                    other @ (Verdict::Ask(_) | Verdict::Broken) => other.clone(),
                };
                Step { check: "not".to_owned(), verdict, why: String::new(), needed, parts: vec![part] }
            }
            Node::And(nodes) => self.joined("all of", nodes, &Verdict::True, depth, needed),
            Node::Or(nodes) => self.joined("any of", nodes, &Verdict::False, depth, needed),
            Node::Rule(id, name) => self.reference(name, *id, depth, needed),
            leaf => self.leaf(leaf, needed),
        }
    }

    /// Parts in order; the first whose verdict is not `neutral` settles it.
    fn joined(&mut self, word: &str, nodes: &'a [Node], neutral: &Verdict, depth: u32, needed: bool) -> Step {
        let mut verdict = neutral.clone();
        let mut parts = Vec::new();
        for node in nodes {
            let open = verdict == *neutral;
            let part = self.step(node, depth + 1, needed && open);
            if open {
                verdict = part.verdict.clone();
            }
            parts.push(part);
            if self.lines > LINES_MAX {
                break;
            }
        }
        Step { check: word.to_owned(), verdict, why: String::new(), needed, parts }
    }

    fn leaf(&self, node: &Node, needed: bool) -> Step {
        let (check, mut why) = self.describe(node);
        let verdict = match self.evaluation.leaf(node) {
            Ok(true) => Verdict::True,
            Ok(false) => Verdict::False,
            Err(Stop::Ask(question)) => Verdict::Ask(*question),
            Err(stop @ Stop::Broken(_)) => {
                why = reason(&stop);
                Verdict::Broken
            }
        };
        Step { check, verdict, why, needed, parts: Vec::new() }
    }

    /// A leaf's text, and what was compared.
    fn describe(&self, node: &Node) -> (String, String) {
        match node {
            Node::True => ("@".to_owned(), "always".to_owned()),
            Node::False => ("!".to_owned(), "never".to_owned()),
            Node::Broken(text, _) => (text.clone(), String::new()),
            Node::Undefined(name) => (format!("rule:{name}"), "no such rule, and no default rule".to_owned()),
            Node::Role(wants) => (format!("role:{wants}"), self.compared("roles", wants)),
            Node::IsAdmin(wants) => {
                (format!("is_admin:{}", python_bool(*wants)), format!("is_admin is {}", self.shown("is_admin")))
            }
            Node::Remote(url) => (url.to_string(), self.wanted(url)),
            Node::Literal { value, wants } => (format!("'{value}':{wants}"), self.wanted(wants)),
            Node::Credential { path, wants } => (format!("{path}:{wants}"), self.compared(path, wants)),
            Node::Not(_) | Node::And(_) | Node::Or(_) | Node::Rule(..) => (String::new(), String::new()),
        }
    }

    fn compared(&self, path: &str, wants: &Template) -> String {
        format!("{path} is {}; {}", self.shown(path), self.wanted(wants))
    }

    fn wanted(&self, wants: &Template) -> String {
        match wants.fill(self.evaluation.case.target) {
            Ok(text) => format!("wanted {text:?}"),
            Err(Unfilled::Missing(name)) => format!("the target has no `{name}`"),
            Err(Unfilled::List(name)) => format!("the target's `{name}` is a list"),
        }
    }

    fn shown(&self, path: &str) -> String {
        match self.evaluation.credential(path) {
            None => "unknown".to_owned(),
            Some(Fact::Str(text)) => format!("{text:?}"),
            Some(Fact::List(texts)) => format!("{texts:?}"),
            Some(Fact::Bool(flag)) => python_bool(flag).to_owned(),
            Some(Fact::Int(number)) => number.to_string(),
            Some(Fact::None) => "None".to_owned(),
        }
    }
}

fn broken(check: String, why: String, needed: bool) -> Step {
    Step { check, verdict: Verdict::Broken, why, needed, parts: Vec::new() }
}

fn reason(stop: &Stop) -> String {
    match stop {
        Stop::Ask(question) => format!("{} has to be asked", question.shown()),
        Stop::Broken(why) => why.clone(),
    }
}

/// A line for the outcome, then one per check, indented by two spaces per level, ending with a newline.
impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Allowed => writeln!(out, "{}: allowed", self.rule)?,
            Outcome::Denied => writeln!(out, "{}: denied", self.rule)?,
            Outcome::Ask(question) => writeln!(out, "{}: depends on the answer of {}", self.rule, question.shown())?,
        }
        match &self.because {
            Some(step) => write_step(out, step, 1),
            None => writeln!(out, "  no such rule, and no default rule"),
        }
    }
}

fn write_step(out: &mut fmt::Formatter<'_>, step: &Step, level: usize) -> fmt::Result {
    let verdict = match step.verdict {
        Verdict::True => "true",
        Verdict::False => "false",
        Verdict::Ask(_) => "ask",
        Verdict::Broken => "cannot be decided, so denied",
    };
    write!(out, "{:indent$}{}: {verdict}", "", step.check, indent = level * 2)?;
    if !step.why.is_empty() {
        write!(out, " ({})", step.why)?;
    }
    out.write_str(if step.needed { "\n" } else { " [not needed]\n" })?;
    step.parts.iter().try_for_each(|part| write_step(out, part, level + 1))
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::Verdicts;
    use super::super::rule::RuleText;
    use super::super::rules::{RuleDefault, Settings};
    use super::*;

    fn explain(overrides: &[(&str, &str)], defaults: &[RuleDefault<'_>]) -> Explanation {
        let overrides =
            overrides.iter().map(|(name, text)| (name.to_string(), RuleText::Text(text.to_string()))).collect();
        let roles = ["reader".to_owned()];
        let credentials = [("roles", Fact::List(&roles)), ("project_id", Fact::Str("p1"))];
        let target = [("project_id", Fact::Str("p2"))];
        let verdicts = Verdicts::none();
        let case = Case { credentials: &credentials, target: &target, verdicts: &verdicts };
        Rules::new(overrides, defaults, &Settings::default()).explain("show", case)
    }

    #[test]
    fn an_explanation_shows_each_check_and_what_was_compared() {
        let admin = RuleDefault { name: "admin", check: "role:admin", ..RuleDefault::default() };
        let text = "rule:admin or role:reader and project_id:%(project_id)s or not is_admin:True";
        let expected = "\
show: allowed
  rule:show: true (from a file)
    any of: true
      rule:admin: false (built in)
        role:admin: false (roles is [\"reader\"]; wanted \"admin\")
      all of: false
        role:reader: true (roles is [\"reader\"]; wanted \"reader\")
        project_id:%(project_id)s: false (project_id is \"p1\"; wanted \"p2\")
      not: true
        is_admin:True: false (is_admin is unknown)
";
        assert_eq!(explain(&[("show", text)], &[admin]).to_string(), expected);
    }

    #[test]
    fn what_comes_after_the_decision_is_shown_as_not_needed() {
        let expected = "\
show: allowed
  rule:show: true (not defined, so \"default\", from a file)
    any of: true
      @: true (always)
      role:x: false (roles is [\"reader\"]; wanted \"x\") [not needed]
";
        assert_eq!(explain(&[("default", "@ or role:x")], &[]).to_string(), expected);
    }

    #[test]
    fn a_missing_rule_is_said_to_be_missing() {
        assert_eq!(explain(&[], &[]).to_string(), "show: denied\n  no such rule, and no default rule\n");
    }

    #[test]
    fn a_circle_ends() {
        let explanation = explain(&[("show", "rule:show or rule:show")], &[]);
        assert_eq!(explanation.outcome, Outcome::Denied);
        assert!(explanation.to_string().contains("cannot be decided"));
    }

    #[test]
    fn an_open_question_is_named() {
        let explanation = explain(&[("show", "not http://h/%(project_id)s")], &[]);
        assert!(explanation.to_string().starts_with("show: depends on the answer of http://h/p2\n"));
    }
}
