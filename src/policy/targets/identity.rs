//! What the rules of Identity may ask (the targets that keystone/api/*.py hands to its policy). Nothing is hidden: who may not see a
//! thing is told 403, whether or not it is there.

use crate::model::identity::{Domain, GrantSought, Listing, NewProject, NewUser, OfUser, Project, Role, Sought, User};
use crate::policy::evaluate::{Fact, Facts};
use crate::policy::{Caller, Target};

/// A target from the list of its facts; absent ones are no facts.
macro_rules! told {
    ($type:ty, $it:ident, [$($name:literal: $value:expr),* $(,)?]) => {
        impl Facts for $type {
            fn fact(&self, name: &str) -> Option<Fact<'_>> {
                let $it = self;
                match name {
                    $($name => $value,)*
                    _ => None,
                }
            }

            fn each(&self, tell: &mut dyn FnMut(&str, Fact<'_>)) {
                for name in [$($name),*] {
                    if let Some(fact) = self.fact(name) {
                        tell(name, fact);
                    }
                }
            }
        }

        impl Target for $type {
            fn is_visible_to(&self, _: &Caller) -> bool {
                true
            }
        }
    };
}

fn text(value: &str) -> Option<Fact<'_>> {
    Some(Fact::Str(value))
}

told!(Sought<User>, it, [
    "user_id": text(&it.id),
    "target.user.id": it.found.as_ref().map(|user| Fact::Str(user.id.as_str())),
    "target.user.domain_id": it.found.as_ref().map(|user| Fact::Str(user.domain_id.as_str())),
]);

told!(Sought<Project>, it, [
    "project_id": text(&it.id),
    "target.project.id": it.found.as_ref().map(|project| Fact::Str(project.id.as_str())),
    "target.project.domain_id": it.found.as_ref().map(|project| Fact::Str(project.domain_id.as_str())),
]);

told!(Sought<Domain>, it, [
    "domain_id": text(&it.id),
    "target.domain.id": it.found.as_ref().map(|domain| Fact::Str(domain.id.as_str())),
]);

told!(Sought<Role>, it, [
    "role_id": text(&it.id),
    "target.role.id": it.found.as_ref().map(|role| Fact::Str(role.id.as_str())),
    "target.role.name": it.found.as_ref().map(|role| Fact::Str(&role.name)),
    "target.role.domain_id": it.found.as_ref().map(|role| role.domain_id.as_deref().map_or(Fact::None, Fact::Str)),
]);

told!(NewUser, it, ["target.user.domain_id": it.domain_id.as_deref().map(Fact::Str)]);

told!(NewProject, it, ["target.project.domain_id": it.domain_id.as_deref().map(Fact::Str)]);

told!(Listing, it, [
    "target.domain_id": it.domain_id.as_ref().map(|id| Fact::Str(id.as_str())),
    "target.domain.id": it.domain_id.as_ref().map(|id| Fact::Str(id.as_str())),
]);

told!(OfUser, it, ["user_id": text(&it.user_id)]);

told!(GrantSought, it, [
    "user_id": text(&it.user_id),
    "target.user.id": it.user.as_ref().map(|user| Fact::Str(user.id.as_str())),
    "target.user.domain_id": it.user.as_ref().map(|user| Fact::Str(user.domain_id.as_str())),
    "target.project.id": it.project.as_ref().map(|project| Fact::Str(project.id.as_str())),
    "target.project.domain_id": it.project.as_ref().map(|project| Fact::Str(project.domain_id.as_str())),
    "target.domain.id": it.domain.as_ref().map(|domain| Fact::Str(domain.id.as_str())),
    "target.role.id": it.role.as_ref().map(|role| Fact::Str(role.id.as_str())),
    "target.role.name": it.role.as_ref().map(|role| Fact::Str(&role.name)),
    "target.role.domain_id": it.role.as_ref().map(|role| role.domain_id.as_deref().map_or(Fact::None, Fact::Str)),
]);

told!(crate::model::identity::SubjectToken, it, ["target.token.user_id": text(it.user_id.as_str())]);
