//! Flavors: rules know nothing of them; a private one is seen by administrators and by the projects with access.

use crate::model::flavor::Flavor;
use crate::policy::evaluate::{Fact, Facts};
use crate::policy::{Caller, Target};

impl Facts for Flavor {
    fn fact(&self, _: &str) -> Option<Fact<'_>> {
        None
    }

    fn each(&self, _: &mut dyn FnMut(&str, Fact<'_>)) {}
}

impl Target for Flavor {
    fn is_visible_to(&self, caller: &Caller) -> bool {
        self.is_public || caller.is_admin || self.projects.iter().any(|project| caller.is_in(project))
    }
}
