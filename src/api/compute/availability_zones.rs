//! Availability zones: one, with the one host of this cloud in it.

use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, get};
use crate::json::Json;
use crate::json_object;
use crate::model::server_record::{HOST, ZONE};
use crate::policy::Allowed;
use crate::store::Tx;

fn zones(hosts: Json) -> Json {
    let zone = json_object! {
        "zoneName": ZONE, "zoneState": json_object! { "available": true }, "hosts": hosts,
    };
    json_object! { "availabilityZoneInfo": [zone] }.into()
}

/// Lists the zones.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get("/os-availability-zone");
    const DOC: &'static str = "Lists the availability zones: one, named `nova`.";
    type Action = policy::List;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<policy::List>, _: &Call, (): &()) -> Result<Json, Error> {
        Ok(zones(Json::Null))
    }
}

/// Lists the zones with their hosts.
pub struct Detail;

impl Endpoint for Detail {
    const ROUTE: Route = get("/os-availability-zone/detail");
    const DOC: &'static str = "Lists the availability zones with their hosts and what runs on them.";
    type Action = policy::Detail;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<policy::Detail>, call: &Call, (): &()) -> Result<Json, Error> {
        // whoever answers this is the host, and is up now
        let service = json_object! {
            "available": true, "active": true, "updated_at": call.now.with_microseconds().to_string(),
        };
        Ok(zones(json_object! { HOST: json_object! { "nova-compute": service } }.into()))
    }
}

/// The rules (nova/policies/availability_zone.py).
pub mod policy {
    use crate::policy::Action;

    /// Listing.
    pub struct List;

    impl Action for List {
        const RULE: &'static str = "os_compute_api:os-availability-zone:list";
        const DEFAULT: &'static str = "@";
        const DOC: &'static str = "List availability zone information without host information";
        type Target = ();
    }

    /// Listing with hosts.
    pub struct Detail;

    impl Action for Detail {
        const RULE: &'static str = "os_compute_api:os-availability-zone:detail";
        const DEFAULT: &'static str = "rule:context_is_admin";
        const DOC: &'static str = "List detailed availability zone information with host information";
        type Target = ();
    }
}
