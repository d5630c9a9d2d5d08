//! Who asks: one column of the matrix each.

use kilonova::identity::token::{Method, Methods, Scope, Token};
use kilonova::identity::token_keys::TokenKeys;
use kilonova::store::{StoreError, Tx};

use crate::house::{Client, House, id_of};

/// A column: its name, and the role on what the token is for.
pub struct Person {
    /// As the matrix names it.
    pub name: &'static str,
    role: Option<&'static str>,
    ground: Ground,
}

/// What a token is for.
#[derive(Clone, Copy)]
enum Ground {
    /// There is no token.
    NoToken,
    /// A token that says all the right things, sealed with the keys of another cloud.
    Forged,
    Unscoped,
    Project(&'static str),
    Domain(&'static str),
    System,
}

const fn person(name: &'static str, role: Option<&'static str>, ground: Ground) -> Person {
    Person { name, role, ground }
}

/// All of them. `blue` owns whatever the requests are about; `green` owns nothing.
pub const PEOPLE: &[Person] = &[
    person("nobody", None, Ground::NoToken),
    person("forger", Some("admin"), Ground::Forged),
    person("stranger", None, Ground::Unscoped),
    person("reader", Some("reader"), Ground::Project("blue")),
    person("member", Some("member"), Ground::Project("blue")),
    person("manager", Some("manager"), Ground::Project("blue")),
    person("admin", Some("admin"), Ground::Project("blue")),
    person("other reader", Some("reader"), Ground::Project("green")),
    person("other member", Some("member"), Ground::Project("green")),
    person("other manager", Some("manager"), Ground::Project("green")),
    person("other admin", Some("admin"), Ground::Project("green")),
    person("domain reader", Some("reader"), Ground::Domain("default")),
    person("domain manager", Some("manager"), Ground::Domain("default")),
    person("other domain manager", Some("manager"), Ground::Domain("north")),
    person("domain admin", Some("admin"), Ground::Domain("default")),
    person("system reader", Some("reader"), Ground::System),
    person("system admin", Some("admin"), Ground::System),
];

impl Person {
    /// The user: they have their own name and no more than the one role.
    pub fn user_id(&self) -> String {
        id_of(self.name)
    }

    /// Makes the user and grants the role. Domains, projects and roles are there.
    pub fn enter(&self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        // the first start has made an `admin` already
        let (user, name) = (self.user_id(), format!("the {}", self.name));
        tx.execute(
            "INSERT INTO users (id, domain_id, name, enabled, tokens_valid_from, extra) VALUES ($1, 'default', $2, 1, 0, '{}')",
            &[user.as_str().into(), name.as_str().into()],
        )?;
        let (kind, target) = match self.ground {
            Ground::NoToken | Ground::Forged | Ground::Unscoped => return Ok(()),
            Ground::Project(name) => ("project", id_of(name)),
            Ground::Domain(id) => ("domain", id.to_owned()),
            Ground::System => ("system", "all".to_owned()),
        };
        tx.execute(
            "INSERT INTO grants (user_id, target_kind, target_id, role_id) SELECT $1, $2, $3, id FROM roles WHERE name = $4",
            &[user.as_str().into(), kind.into(), target.as_str().into(), self.role.into()],
        )?;
        Ok(())
    }

    /// The person, with a token of their own.
    pub fn client(&self, house: &House, elsewhere: &TokenKeys) -> Client {
        let scope = match self.ground {
            Ground::NoToken => return house.nobody(),
            // a real administrator's token in everything but the seal
            Ground::Forged => {
                let admin = PEOPLE.iter().find(|person| person.name == "admin").expect("there is an admin");
                let token = token(house, admin, Scope::Project(id_of("blue")));
                return house.bearer(&elsewhere.seal(&token));
            }
            Ground::Unscoped => Scope::Unscoped,
            Ground::Project(name) => Scope::Project(id_of(name)),
            Ground::Domain(id) => Scope::Domain(id.to_owned()),
            Ground::System => Scope::System,
        };
        house.bearer(&house.cloud.keys.seal(&token(house, self, scope)))
    }
}

fn token(house: &House, person: &Person, scope: Scope) -> Token {
    let now = house.cloud.now().seconds();
    Token {
        user_id: person.user_id(),
        scope,
        methods: Methods::default().with(Method::Password),
        issued_at: now,
        expires_at: now + 3600,
        audit_ids: vec![id_of(person.name)[..22].to_owned()],
        application_credential_id: None,
    }
}

/// Another token of somebody's, which they could have by a second login.
pub fn second_token(house: &House, name: &str) -> String {
    let person = PEOPLE.iter().find(|person| person.name == name).expect("one of the people");
    let Ground::Project(project) = person.ground else { panic!("{name} is in no project") };
    let token = token(house, person, Scope::Project(id_of(project)));
    house.cloud.keys.seal(&Token { audit_ids: vec![id_of("second")[..22].to_owned()], ..token })
}
