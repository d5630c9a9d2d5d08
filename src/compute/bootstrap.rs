//! What Compute has from the first start: four flavors, of the sizes that every tutorial names.

use super::Error;
use crate::model::flavor::Flavor;
use crate::model::ids::FlavorId;
use crate::model::metadata::Metadata;
use crate::model::time::Timestamp;
use crate::store::{Tx, flavors};

/// Id, name, memory in MiB, root disk in GiB, processors.
const FLAVORS: [(&str, &str, u32, u32, u32); 4] = [
    ("1", "m1.tiny", 512, 1, 1),
    ("2", "m1.small", 2048, 20, 1),
    ("3", "m1.medium", 4096, 40, 2),
    ("4", "m1.large", 8192, 80, 4),
];

/// Makes the flavors.
///
/// # Errors
/// The store's.
pub fn begin(tx: &mut dyn Tx, now: Timestamp) -> Result<(), Error> {
    for (id, name, memory_mb, root_gb, vcpus) in FLAVORS {
        let flavor = Flavor {
            flavorid: id.parse::<FlavorId>().expect("a digit is an id of a flavor"),
            name: name.to_owned(),
            memory_mb,
            vcpus,
            root_gb,
            ephemeral_gb: 0,
            swap: 0,
            rxtx_factor: 1.0,
            is_public: true,
            disabled: false,
            description: None,
            extra_specs: Metadata::new(),
            projects: Vec::new(),
        };
        flavors::insert(tx, &flavor, now)?;
    }
    Ok(())
}
