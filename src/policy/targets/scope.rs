//! The project and the user that a request is about, where there is no row to ask about.

use crate::model::ids::{ProjectId, UserId};
use crate::policy::evaluate::{Fact, Facts};
use crate::policy::{Caller, Target};

/// A project, perhaps a user in it: what Nova hands to its rules where it has nothing better. Usually the caller's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The project.
    pub project_id: Option<ProjectId>,
    /// The user.
    pub user_id: Option<UserId>,
}

impl Scope {
    /// The caller's own.
    pub fn of(caller: &Caller) -> Scope {
        Scope { project_id: caller.project_id.clone(), user_id: Some(caller.user_id.clone()) }
    }
}

impl Facts for Scope {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        match name {
            "project_id" => self.project_id.as_ref().map(|id| Fact::Str(id.as_str())),
            "user_id" => self.user_id.as_ref().map(|id| Fact::Str(id.as_str())),
            _ => None,
        }
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        for name in ["project_id", "user_id"] {
            if let Some(fact) = self.fact(name) {
                tell(name, fact);
            }
        }
    }
}

impl Target for Scope {
    fn is_visible_to(&self, _: &Caller) -> bool {
        true
    }
}
