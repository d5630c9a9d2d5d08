//! Flavors as clients read them, in every version.

use crate::api::call::Call;
use crate::api::compute::links;
use crate::api::endpoint::Error;
use crate::api::version::Microversion;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::flavor::Flavor;
use crate::model::metadata::Metadata;
use crate::policy::targets::Scope;

use super::policy;

/// `{"flavor": {…}}`.
pub fn shown(call: &Call, flavor: &Flavor) -> Result<Json, Error> {
    let with_extra_specs = shows_extra_specs(call)?;
    Ok(json_object! { "flavor": full(call, flavor, with_extra_specs) }.into())
}

/// Whether flavors are shown with their extra specs: from 2.61 on, to those who may read them.
pub fn shows_extra_specs(call: &Call) -> Result<bool, Error> {
    Ok(call.version >= Microversion(61) && call.may::<policy::IndexExtraSpecs>(&Scope::of(call.who()?))?)
}

/// The short form.
pub fn brief(call: &Call, flavor: &Flavor) -> Object {
    let id = flavor.flavorid.as_str();
    let mut object = json_object! {
        "id": id, "name": flavor.name.as_str(), "links": links::of(call, "flavors", id),
    };
    if call.version >= Microversion(55) {
        object.insert("description", flavor.description.as_deref());
    }
    object
}

/// The full form.
pub fn full(call: &Call, flavor: &Flavor, with_extra_specs: bool) -> Object {
    let id = flavor.flavorid.as_str();
    let swap = match flavor.swap {
        0 if call.version < Microversion(75) => Json::from(""),
        swap => Json::from(swap),
    };
    let mut object = json_object! {
        "id": id,
        "name": flavor.name.as_str(),
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "swap": swap,
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gb,
        "OS-FLV-DISABLED:disabled": flavor.disabled,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": flavor.rxtx_factor,
        "links": links::of(call, "flavors", id),
    };
    if call.version >= Microversion(55) {
        object.insert("description", flavor.description.as_deref());
    }
    if with_extra_specs {
        object.insert("extra_specs", extra_specs(&flavor.extra_specs));
    }
    if call.version >= Microversion(102) {
        object.remove("OS-FLV-DISABLED:disabled");
        object.remove("rxtx_factor");
    }
    object
}

/// `{key: value, …}`.
pub fn extra_specs(specs: &Metadata) -> Object {
    specs.iter().map(|item| (item.key.as_str(), item.value.as_str())).collect()
}
