//! What rules can be told of images, and who may know of one (glance/api/policy.py ImageTarget, glance/db/utils.py).

use crate::model::image::{Image, ImageOf, Visibility};
use crate::policy::evaluate::{Fact, Facts};
use crate::policy::{Caller, Target};

const NAMES: [&str; 7] = ["name", "owner", "project_id", "member_id", "status", "visibility", "protected"];

impl Facts for Image {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        match name {
            "name" => self.name.as_deref().map(Fact::Str),
            "owner" | "project_id" => Some(Fact::Str(self.owner.as_str())),
            "member_id" | "member" => Some(self.member.as_ref().map_or(Fact::None, |id| Fact::Str(id.as_str()))),
            "status" => Some(Fact::Str(self.status.as_str())),
            "visibility" => Some(Fact::Str(self.visibility.as_str())),
            "protected" => Some(Fact::Bool(self.protected)),
            property => self.properties.get(property).map(Fact::Str),
        }
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        let id = self.id.to_string();
        tell("id", Fact::Str(&id));
        for name in NAMES {
            if let Some(fact) = self.fact(name) {
                tell(name, fact);
            }
        }
    }
}

impl Target for Image {
    fn is_visible_to(&self, caller: &Caller) -> bool {
        let is_open = match self.visibility {
            Visibility::Public | Visibility::Community => true,
            Visibility::Shared => self.member.as_ref().is_some_and(|member| caller.is_in(member)),
            Visibility::Private => false,
        };
        is_open || caller.is_admin || caller.is_in(&self.owner)
    }
}

impl Facts for ImageOf {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        match name {
            "owner" | "project_id" => Some(Fact::Str(self.owner.as_str())),
            "visibility" => Some(Fact::Str(self.visibility.as_str())),
            _ => None,
        }
    }

    fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
        for name in ["owner", "project_id", "visibility"] {
            if let Some(fact) = self.fact(name) {
                tell(name, fact);
            }
        }
    }
}

impl Target for ImageOf {
    fn is_visible_to(&self, _: &Caller) -> bool {
        true
    }
}
