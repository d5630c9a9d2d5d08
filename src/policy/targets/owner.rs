//! The user whose things a request is about.

use crate::policy::evaluate::{Fact, Facts};
use crate::policy::{Caller, Target};

/// A user, whether or not there is one of this id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The id, as a client wrote it.
    pub user_id: String,
}

impl Facts for Owner {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        (name == "user_id").then_some(Fact::Str(&self.user_id))
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        tell("user_id", Fact::Str(&self.user_id));
    }
}

impl Target for Owner {
    fn is_visible_to(&self, _: &Caller) -> bool {
        true
    }
}
