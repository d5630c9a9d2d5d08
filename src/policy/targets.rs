//! What rules can be about: which facts of each thing a rule may name, and who may know of it at all.

mod flavor;
mod identity;
mod image;
mod scope;

pub use scope::Scope;

use super::evaluate::{Fact, Facts};
use super::{Caller, Target};
use crate::model::server_metadata::ServerMetadata;

impl Facts for ServerMetadata {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        (name == "project_id").then(|| Fact::Str(self.project_id.as_str()))
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        tell("project_id", Fact::Str(self.project_id.as_str()));
    }
}

impl Target for ServerMetadata {
    fn is_visible_to(&self, caller: &Caller) -> bool {
        caller.is_admin || caller.is_in(&self.project_id)
    }
}
