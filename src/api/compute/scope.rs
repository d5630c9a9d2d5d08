//! The scope that rules are asked about where a request has no row: the project that the path names, else the caller's own.

use crate::api::call::Call;
use crate::api::endpoint::{Error, Locate};
use crate::api::fault::Fault;
use crate::policy::Guarded;
use crate::policy::targets::Scope;
use crate::store::Tx;

impl Locate for Scope {
    fn locate(_: &mut dyn Tx, call: &Call) -> Result<Guarded<Scope>, Error> {
        let own = Scope::of(call.who()?);
        Ok(Guarded::new(match call.part("project_id") {
            "" => own,
            // a text that is no project's id is nobody's project
            named => Scope { project_id: named.parse().ok(), ..own },
        }))
    }

    fn missing(_: &Call) -> Error {
        Fault::not_found("The resource could not be found.").into()
    }
}
