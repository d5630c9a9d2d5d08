//! The locks: who may do what. A row that the store hands out is `Guarded`, and nobody can look into it; `Policy::allow`
//! asks the rules and gives `Allowed`, the proof that verbs ask for. The rule language is in `rule`, its files in `file`, what is in force in `live`.

pub mod evaluate;
pub mod explain;
pub mod file;
pub mod live;
pub mod remote;
pub mod rule;
pub mod rules;
pub mod sample;
pub mod targets;
pub mod template;

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use evaluate::{Case, Fact, Facts, Outcome, RemoteQuestion, Verdicts};
use rules::Rules;

use crate::model::ids::{DomainId, ProjectId, UserId};

/// Who asks: what a token proves about its bearer. Field names in `Facts` are those of oslo.policy credentials.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// Their name, for the token's body.
    pub user_name: Arc<str>,
    /// The domain they belong to.
    pub user_domain_id: DomainId,
    /// The project the token is scoped to; `None` for domain-, system- and unscoped tokens.
    pub project_id: Option<ProjectId>,
    /// That project's domain.
    pub project_domain_id: Option<DomainId>,
    /// The domain the token is scoped to.
    pub domain_id: Option<DomainId>,
    /// Whether the token is scoped to the system ("all").
    pub system: bool,
    /// Names of the roles, implied ones included.
    pub roles: Vec<String>,
    /// What the rule `context_is_admin` says of these credentials.
    pub is_admin: bool,
    /// Seconds since the epoch after which the token is no longer valid.
    pub expires_at_seconds: i64,
    /// The token's audit ids, the newest first.
    pub audit_ids: Vec<Arc<str>>,
    /// How they proved who they are: `password`, `token`, `application_credential`.
    pub methods: Vec<Arc<str>>,
    /// When the token was issued, in seconds since the epoch.
    pub issued_at_seconds: i64,
    /// The application credential the token was made with.
    pub application_credential_id: Option<Arc<str>>,
}

impl Caller {
    /// Whether the token is for this project.
    pub fn is_in(&self, project: &ProjectId) -> bool {
        self.project_id.as_ref() == Some(project)
    }

    /// Whether a role of this name is among theirs; names are compared without regard to case, as oslo.policy does.
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.eq_ignore_ascii_case(name))
    }
}

/// The credentials that rules can name and remote checks are told (oslo.context's to_policy_values).
const CREDENTIALS: [&str; 9] = [
    "user_id",
    "user_domain_id",
    "project_id",
    "project_domain_id",
    "domain_id",
    "system_scope",
    "roles",
    "is_admin",
    "is_admin_project",
];

impl Facts for Caller {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        match name {
            "user_id" => Some(Fact::Str(self.user_id.as_str())),
            "user_domain_id" => Some(Fact::Str(self.user_domain_id.as_str())),
            "project_id" | "tenant" | "tenant_id" => self.project_id.as_ref().map(|id| Fact::Str(id.as_str())),
            "project_domain_id" => self.project_domain_id.as_ref().map(|id| Fact::Str(id.as_str())),
            "token.project.domain.id" => self.project_domain_id.as_ref().map(|id| Fact::Str(id.as_str())),
            // oslo.context hands out every attribute, `None` where there is none, and Keystone's rules count on it: `not domain_id:None`
            "domain_id" => Some(self.domain_id.as_ref().map_or(Fact::None, |id| Fact::Str(id.as_str()))),
            "token.domain.id" => self.domain_id.as_ref().map(|id| Fact::Str(id.as_str())),
            "system_scope" | "system" => self.system.then_some(Fact::Str("all")),
            "roles" => Some(Fact::List(&self.roles)),
            "is_admin" => Some(Fact::Bool(self.is_admin)),
            "is_admin_project" => Some(Fact::Bool(true)),
            _ => None,
        }
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        for name in CREDENTIALS {
            if let Some(fact) = self.fact(name) {
                tell(name, fact);
            }
        }
    }
}

/// Something a rule can be about.
pub trait Target: Facts {
    /// Whether this caller may know that it exists; where not, it is answered as if it did not.
    fn is_visible_to(&self, caller: &Caller) -> bool;
}

impl Facts for () {
    fn fact(&self, _: &str) -> Option<Fact<'_>> {
        None
    }

    fn each(&self, _: &mut dyn FnMut(&str, Fact<'_>)) {}
}

impl Target for () {
    fn is_visible_to(&self, _: &Caller) -> bool {
        true
    }
}

/// The kinds of token an action takes (oslo.policy's `scope_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scopes {
    /// Project-scoped tokens only, as all of Nova.
    Project,
    /// Any but domain-scoped tokens.
    SystemOrProject,
    /// Any token.
    Any,
}

/// One thing that can be allowed or refused.
pub trait Action: Send + Sync + 'static {
    /// OpenStack's name of the rule.
    const RULE: &'static str;
    /// What the rule says unless a policy file says otherwise.
    const DEFAULT: &'static str;
    /// What it said before the new defaults; with `enforce_new_defaults = false` either suffices.
    const DEPRECATED: Option<&'static str> = None;
    /// Which tokens the rule is for.
    const SCOPES: Scopes = Scopes::Project;
    /// The rule that says who may know that the target is there: whoever fails it too is answered as if it were not. Glance asks
    /// `get_image` so; everywhere else `Target::is_visible_to` decides alone.
    const KNOWN_BY: Option<&'static str> = None;
    /// One sentence for the sample policy file.
    const DOC: &'static str;
    /// Whether it needs no token at all. With an empty `RULE` and without this, every caller may.
    const OPEN: bool = false;
    /// What it is done to.
    type Target: Target + Send;
}

/// The action of endpoints that need no rule: whoever gets as far may.
pub struct Anyone;

impl Action for Anyone {
    const RULE: &'static str = "";
    const DEFAULT: &'static str = "@";
    const SCOPES: Scopes = Scopes::Any;
    const DOC: &'static str = "Anyone.";
    const OPEN: bool = true;
    type Target = ();
}

/// The action of endpoints for which any token will do.
pub struct AnyCaller;

impl Action for AnyCaller {
    const RULE: &'static str = "";
    const DEFAULT: &'static str = "@";
    const SCOPES: Scopes = Scopes::Any;
    const DOC: &'static str = "Anyone with a token.";
    type Target = ();
}

/// Something out of the store that nobody has been allowed to see yet.
pub struct Guarded<T>(T);

impl<T> Guarded<T> {
    /// For the store, and for the scope of a request; not for verbs.
    pub(crate) fn new(it: T) -> Guarded<T> {
        Guarded(it)
    }

    /// Opens it for the server's own errands. A test lists every call with its reason.
    pub fn for_system(self, _reason: &'static str) -> T {
        self.0
    }
}

/// The proof that a caller may do `A` to this target, at the moment the rule was asked.
pub struct Allowed<A: Action> {
    target: A::Target,
    action: PhantomData<A>,
}

impl<A: Action> Allowed<A> {
    /// Opens what is open to everybody, tokens or not.
    ///
    /// # Errors
    /// Gives it back, still guarded, where the action is not open.
    pub fn open(it: Guarded<A::Target>) -> Result<Allowed<A>, Guarded<A::Target>> {
        if A::OPEN { Ok(Allowed { target: it.0, action: PhantomData }) } else { Err(it) }
    }

    /// The target itself, for those who go on to change it.
    pub fn into_target(self) -> A::Target {
        self.target
    }
}

impl<A: Action> Deref for Allowed<A> {
    type Target = A::Target;

    fn deref(&self) -> &A::Target {
        &self.target
    }
}

/// Why not.
#[derive(Debug, Clone)]
pub enum Refused {
    /// The caller may not know that it exists: 404.
    Hidden,
    /// The rule says no: 403 with the rule's name.
    Forbidden(&'static str),
    /// The rule asks another server, whose answer is not known yet: ask it, outside the transaction, and try again.
    Ask(Box<Asked>),
}

/// A question for another server, with what it is to be told about the target.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The question.
    pub question: RemoteQuestion,
    /// The target's facts that are text, at the moment the rule was asked.
    pub target: Vec<(String, String)>,
}

impl Facts for Asked {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        self.target.iter().find(|(known, _)| known == name).map(|(_, value)| Fact::Str(value))
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        self.target.iter().for_each(|(name, value)| tell(name, Fact::Str(value)));
    }
}

/// The rules in force, as one request sees them from beginning to end.
#[derive(Clone)]
pub struct Policy {
    rules: Arc<Rules>,
}

impl Policy {
    /// A policy of these rules.
    pub fn new(rules: Arc<Rules>) -> Policy {
        Policy { rules }
    }

    /// The rules themselves.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Opens a guarded target for one action, or says why not.
    ///
    /// # Errors
    /// `Hidden` before `Forbidden`: who may not know of a thing does not learn of it by a 403.
    pub fn allow<A: Action>(
        &self,
        who: &Caller,
        it: Guarded<A::Target>,
        verdicts: &Verdicts,
    ) -> Result<Allowed<A>, Refused> {
        if !it.0.is_visible_to(who) {
            return Err(Refused::Hidden);
        }
        if self.permits::<A>(who, &it.0, verdicts)? {
            return Ok(Allowed { target: it.0, action: PhantomData });
        }
        let may_know = match A::KNOWN_BY {
            None => true,
            Some(rule) => rule != A::RULE && self.holds_in_scope::<A>(rule, who, &it.0, verdicts)?,
        };
        Err(if may_know { Refused::Forbidden(A::RULE) } else { Refused::Hidden })
    }

    /// Whether the rule of `A` says yes about something that is already open: for fields and options with a rule of their own.
    ///
    /// # Errors
    /// Only `Ask`.
    pub fn permits<A: Action>(&self, who: &Caller, it: &A::Target, verdicts: &Verdicts) -> Result<bool, Refused> {
        if A::RULE.is_empty() { Ok(true) } else { self.holds_in_scope::<A>(A::RULE, who, it, verdicts) }
    }

    /// What a rule says of the target of `A`, to a token of the kind that `A` takes.
    fn holds_in_scope<A: Action>(
        &self,
        rule: &str,
        who: &Caller,
        it: &A::Target,
        verdicts: &Verdicts,
    ) -> Result<bool, Refused> {
        let takes_token = match A::SCOPES {
            Scopes::Project => who.project_id.is_some(),
            Scopes::SystemOrProject => who.domain_id.is_none(),
            Scopes::Any => true,
        };
        if !takes_token {
            return Ok(false);
        }
        self.holds(rule, Case { credentials: who, target: it, verdicts })
    }

    /// What `context_is_admin` says of a caller whose `is_admin` is not decided yet.
    ///
    /// # Errors
    /// Only `Ask`.
    pub fn is_admin(&self, who: &Caller, verdicts: &Verdicts) -> Result<bool, Refused> {
        self.holds("context_is_admin", Case { credentials: who, target: &(), verdicts })
    }

    fn holds(&self, rule: &str, case: Case<'_>) -> Result<bool, Refused> {
        match self.rules.evaluate(rule, case) {
            Outcome::Allowed => Ok(true),
            Outcome::Denied => Ok(false),
            Outcome::Ask(question) => Err(Refused::Ask(Box::new(Asked { question, target: texts(case.target) }))),
        }
    }
}

fn texts(facts: &dyn Facts) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    facts.each(&mut |name, fact| {
        if let Fact::Str(value) = fact {
            texts.push((name.to_owned(), value.to_owned()));
        }
    });
    texts
}
