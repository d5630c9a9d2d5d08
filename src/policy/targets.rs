//! What rules can be about: which facts of each thing a rule may name, and who may know of it at all.

mod flavor;
mod identity;
mod image;
mod owner;
mod scope;

pub use owner::Owner;
pub use scope::Scope;

use super::evaluate::{Fact, Facts};
use super::{Caller, Target};
use crate::model::server_metadata::ServerMetadata;
use crate::model::server_record::Server;

impl Facts for Server {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        match name {
            "project_id" => Some(Fact::Str(self.project_id.as_str())),
            "user_id" => Some(Fact::Str(self.user_id.as_str())),
            _ => None,
        }
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        tell("project_id", Fact::Str(self.project_id.as_str()));
        tell("user_id", Fact::Str(self.user_id.as_str()));
    }
}

impl Target for Server {
    fn is_visible_to(&self, caller: &Caller) -> bool {
        caller.is_admin || caller.is_in(&self.project_id)
    }
}

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
