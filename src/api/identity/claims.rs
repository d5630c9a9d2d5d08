//! What a request for a token claims and wishes: reading `{"auth": …}` in Keystone's order and with its sentences
//! (keystone/auth/schema.py, keystone/auth/core.py). Not here: whether any of it is true.

use crate::api::endpoint::Error;
use crate::api::fault::Fault;
use crate::identity::Error as IdentityError;
use crate::identity::login::{CredentialName, DomainName, Name, Wish};
use crate::identity::secret::Secret;
use crate::json::{Json, python};

/// What is claimed, by which methods, and what is wished.
pub struct Claims {
    /// A user and their password.
    pub password: Option<(Name, Secret)>,
    /// The text of a token.
    pub token: Option<String>,
    /// An application credential and its secret.
    pub credential: Option<(CredentialName, Secret)>,
    /// What the token shall be for.
    pub wish: Wish,
}

/// A value in the request and the path to it.
#[derive(Clone)]
struct Field<'a> {
    path: String,
    value: &'a Json,
}

impl<'a> Field<'a> {
    fn get(&self, name: &str) -> Option<Field<'a>> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        self.value.get(name).map(|value| Field { path, value })
    }

    fn not(&self, kind: &str) -> Error {
        let value = python::repr(self.value);
        self.wrong(&format!("{value} is not of type '{kind}'"))
    }

    fn wrong(&self, what: &str) -> Error {
        if self.path.is_empty() {
            return Fault::bad_request(what).into();
        }
        Fault::bad_request(format!("Invalid input for field '{}': {what}", self.path)).into()
    }

    fn object(self) -> Result<Field<'a>, Error> {
        if self.value.as_object().is_some() { Ok(self) } else { Err(self.not("object")) }
    }

    fn text(self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.not("string"))
    }

    fn object_at(&self, name: &str) -> Result<Option<Field<'a>>, Error> {
        self.get(name).map(Field::object).transpose()
    }

    fn text_at(&self, name: &str) -> Result<Option<&'a str>, Error> {
        self.get(name).map(Field::text).transpose()
    }

    /// Keystone's second look: one of the two must be there.
    fn id_or_name(&self) -> Result<Either<'a>, Error> {
        match (self.text_at("id")?, self.text_at("name")?) {
            (_, Some(name)) if !name.is_empty() => Ok(Either::Name(name)),
            (Some(id), _) => Ok(Either::Id(id)),
            (None, Some(name)) => Ok(Either::Name(name)),
            (None, None) => {
                Err(Fault::bad_request(format!("Invalid input for field {}: id or name must be present.", self.path))
                    .into())
            }
        }
    }
}

enum Either<'a> {
    Id(&'a str),
    Name(&'a str),
}

fn missing(attribute: &str, of: &'static str) -> Error {
    IdentityError::Missing { attribute: attribute.to_owned(), of }.into()
}

impl Claims {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 for what cannot be read, 401 for methods there are not.
    pub fn read(body: &Json) -> Result<Claims, Error> {
        let auth = body.get("auth").filter(|auth| !auth.is_null()).ok_or_else(|| missing("auth", "request body"))?;
        let auth = Field { path: String::new(), value: auth }.object()?;
        let Some(identity) = auth.object_at("identity")? else {
            return Err(auth.wrong("'identity' is a required property"));
        };
        let methods = methods(&identity)?;
        let mut claims = Claims { password: None, token: None, credential: None, wish: wish(&auth)? };
        for method in &methods {
            if identity.get(method).is_none() {
                return Err(missing(method, "identity"));
            }
        }
        for method in &methods {
            let given = identity.object_at(method)?.ok_or_else(|| missing(method, "identity"))?;
            match *method {
                "password" => claims.password = Some(password(&given)?),
                "token" => {
                    let id = given.text_at("id")?.ok_or_else(|| given.wrong("'id' is a required property"))?;
                    claims.token = Some(id.to_owned());
                }
                "application_credential" => {
                    if auth.get("scope").is_some() {
                        return Err(IdentityError::CredentialWithScope.into());
                    }
                    claims.credential = Some(credential(&given)?);
                }
                _ => return Err(IdentityError::UnsupportedMethod.into()),
            }
        }
        if methods.is_empty() {
            return Err(IdentityError::Unauthorized.into());
        }
        Ok(claims)
    }
}

fn methods<'a>(identity: &Field<'a>) -> Result<Vec<&'a str>, Error> {
    let Some(field) = identity.get("methods") else {
        return Err(identity.wrong("'methods' is a required property"));
    };
    let mut methods = Vec::new();
    for (position, value) in field.value.as_array().ok_or_else(|| field.not("array"))?.iter().enumerate() {
        let method = Field { path: format!("{}/{position}", field.path), value }.text()?;
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    Ok(methods)
}

fn password(given: &Field<'_>) -> Result<(Name, Secret), Error> {
    let user = given.object_at("user")?.ok_or_else(|| missing("user", "password"))?;
    let name = name(&user, "user")?;
    let password = user.text_at("password")?.ok_or_else(|| missing("password", "user"))?;
    Ok((name, Secret::new(password)))
}

/// Something with an id, or a name and a domain.
fn name(field: &Field<'_>, of: &'static str) -> Result<Name, Error> {
    let either = field.id_or_name()?;
    let domain = field.object_at("domain")?;
    let domain = domain.map(|domain| domain_name(&domain)).transpose()?;
    match either {
        Either::Id(id) => Ok(Name::Id(id.to_owned())),
        Either::Name(name) => Ok(Name::In(name.to_owned(), domain.ok_or_else(|| missing("domain", of))?)),
    }
}

fn domain_name(field: &Field<'_>) -> Result<DomainName, Error> {
    Ok(match field.id_or_name()? {
        Either::Id(id) => DomainName::Id(id.to_owned()),
        Either::Name(name) => DomainName::Name(name.to_owned()),
    })
}

fn credential(given: &Field<'_>) -> Result<(CredentialName, Secret), Error> {
    const WHAT: &str = "application credential";
    let secret = given.text_at("secret")?.ok_or_else(|| missing("secret", WHAT))?;
    let named = match (given.text_at("id")?, given.text_at("name")?) {
        (Some(id), _) if !id.is_empty() => CredentialName::Id(id.to_owned()),
        (_, Some(name_of_it)) if !name_of_it.is_empty() => {
            let owner = given.object_at("user")?.ok_or_else(|| missing("user", WHAT))?;
            CredentialName::Of(name(&owner, "user")?, name_of_it.to_owned())
        }
        _ => return Err(missing("name or ID", WHAT)),
    };
    Ok((named, Secret::new(secret)))
}

fn wish(auth: &Field<'_>) -> Result<Wish, Error> {
    const KINDS: [&str; 5] = ["system", "project", "domain", "OS-TRUST:trust", "unscoped"];
    let Some(scope) = auth.get("scope") else { return Ok(Wish::Default) };
    let unclear = || missing("system, project, domain, OS-TRUST:trust or unscoped", "scope");
    if let Some(word) = scope.value.as_str() {
        return if word == "unscoped" { Ok(Wish::Unscoped) } else { Err(unclear()) };
    }
    let Some(object) = scope.value.as_object() else {
        let value = python::repr(scope.value);
        return Err(scope.wrong(&format!("{value} is not of type 'object', 'string'")));
    };
    let mut kinds = KINDS.into_iter().filter(|kind| object.contains(kind));
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return Err(unclear()) };
    match kind {
        "system" => scope.object_at(kind).map(|_| Wish::System),
        "unscoped" => Ok(Wish::Unscoped),
        "project" => Ok(Wish::Project(name(&scope.object_at(kind)?.ok_or_else(unclear)?, "project")?)),
        "domain" => Ok(Wish::Domain(domain_name(&scope.object_at(kind)?.ok_or_else(unclear)?)?)),
        // there are no trusts, so whoever names one is not let in
        _ => Err(IdentityError::Unauthorized.into()),
    }
}
