//! What this cloud does not have: networks and what hangs on them. Looking for one, by id or by name, finds nothing.

use super::{listed, not_found};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, get};
use crate::json::Json;
use crate::policy::{Allowed, AnyCaller};
use crate::store::Tx;

macro_rules! absent {
    ($list:ident, $item:ident, $collection:literal, $words:literal, $fault:literal, $before:literal, $after:literal) => {
        #[doc = concat!("Lists the ", $words, ": none.")]
        pub struct $list;

        impl Endpoint for $list {
            const ROUTE: Route = get(concat!("/v2.0/", $collection));
            const DOC: &'static str = concat!("Lists the ", $words, " of the cloud. It has none.");
            type Action = AnyCaller;
            type Takes = ();
            type Gives = Json;

            fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
                Ok(listed(call, $collection, Vec::new()))
            }
        }

        #[doc = concat!("Looks for one of the ", $words, ".")]
        pub struct $item;

        impl Endpoint for $item {
            const ROUTE: Route = get(concat!("/v2.0/", $collection, "/{id}"));
            const DOC: &'static str = concat!("Looks for one of the ", $words, " by its id. There are none.");
            type Action = AnyCaller;
            type Takes = ();
            type Gives = Json;

            fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
                Err(not_found($fault, format!(concat!($before, " {} ", $after), call.part("id"))))
            }
        }
    };
}

absent!(Networks, Network, "networks", "networks", "NetworkNotFound", "Network", "could not be found.");
absent!(Subnets, Subnet, "subnets", "subnets", "SubnetNotFound", "Subnet", "could not be found.");
absent!(Ports, Port, "ports", "ports", "PortNotFound", "Port", "could not be found.");
absent!(Routers, Router, "routers", "routers", "RouterNotFound", "Router", "could not be found");
absent!(
    FloatingIps,
    FloatingIp,
    "floatingips",
    "floating addresses",
    "FloatingIPNotFound",
    "Floating IP",
    "could not be found"
);
