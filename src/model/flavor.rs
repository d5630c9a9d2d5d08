//! Flavors: the sizes a server can have. The form on the wire and who may see which are elsewhere.

use crate::model::ids::{FlavorId, ProjectId};
use crate::model::metadata::Metadata;

/// The smallest amount of memory, in MiB.
pub const MEMORY_MB_MIN: u32 = 1;
/// The smallest number of virtual processors.
pub const VCPUS_MIN: u32 = 1;
/// The largest value of every whole number of a flavor (a signed 32-bit column in Nova).
pub const NUMBER_MAX: u32 = 0x7FFF_FFFF;
/// `rxtx_factor` is greater than zero and at most this.
pub const RXTX_FACTOR_MAX: f64 = 3.40282e+38;
/// The most characters a flavor's name has.
pub const NAME_CHARACTERS_MAX: usize = 255;
/// The most characters a description has.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 65535;

/// A size a server can have.
#[derive(Clone, Debug, PartialEq)]
pub struct Flavor {
    /// The id that clients use.
    pub flavorid: FlavorId,
    /// What people call it; unique.
    pub name: String,
    /// Memory, in MiB (`ram`).
    pub memory_mb: u32,
    /// Virtual processors.
    pub vcpus: u32,
    /// The root disk, in GiB (`disk`); 0: as large as the image.
    pub root_gb: u32,
    /// A second, empty disk, in GiB (`OS-FLV-EXT-DATA:ephemeral`).
    pub ephemeral_gb: u32,
    /// A swap disk, in MiB.
    pub swap: u32,
    /// How much network bandwidth, relative to others.
    pub rxtx_factor: f64,
    /// Whether every project may use it; else only those that were given access.
    pub is_public: bool,
    /// Whether it is kept only for the servers that have it (`OS-FLV-DISABLED:disabled`).
    pub disabled: bool,
    /// What it is for.
    pub description: Option<String>,
    /// What else a host must know, by key. Keys and values follow the rules of metadata.
    pub extra_specs: Metadata,
    /// The projects that were given access; told only where it is not public.
    pub projects: Vec<ProjectId>,
}

/// A property of a flavor is outside its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is outside the limits of a flavor")]
pub struct OutOfLimits(
    /// The property, by the name that clients know.
    pub &'static str,
);

impl Flavor {
    /// Whether every number is within its limits.
    ///
    /// # Errors
    /// The first property that is not, in the order in which the API names them.
    pub fn checked(self) -> Result<Flavor, OutOfLimits> {
        let numbers = [
            ("ram", self.memory_mb, MEMORY_MB_MIN),
            ("vcpus", self.vcpus, VCPUS_MIN),
            ("disk", self.root_gb, 0),
            ("OS-FLV-EXT-DATA:ephemeral", self.ephemeral_gb, 0),
            ("swap", self.swap, 0),
        ];
        if let Some((name, ..)) = numbers.iter().find(|(_, number, least)| !(*least..=NUMBER_MAX).contains(number)) {
            return Err(OutOfLimits(name));
        }
        if !(self.rxtx_factor > 0.0 && self.rxtx_factor <= RXTX_FACTOR_MAX) {
            return Err(OutOfLimits("rxtx_factor"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Flavor {
        Flavor {
            flavorid: "1".parse().unwrap(),
            name: "small".to_owned(),
            memory_mb: 512,
            vcpus: 1,
            root_gb: 0,
            ephemeral_gb: 0,
            swap: 0,
            rxtx_factor: 1.0,
            is_public: true,
            disabled: false,
            description: None,
            extra_specs: Metadata::new(),
            projects: Vec::new(),
        }
    }

    #[test]
    fn a_flavor_without_disks_is_within_the_limits() {
        assert!(small().checked().is_ok());
    }

    #[test]
    fn what_is_outside_a_limit_is_named() {
        assert_eq!(Flavor { memory_mb: 0, ..small() }.checked(), Err(OutOfLimits("ram")));
        assert_eq!(Flavor { vcpus: NUMBER_MAX + 1, ..small() }.checked(), Err(OutOfLimits("vcpus")));
        assert_eq!(Flavor { rxtx_factor: 0.0, ..small() }.checked(), Err(OutOfLimits("rxtx_factor")));
        assert_eq!(Flavor { rxtx_factor: f64::INFINITY, ..small() }.checked(), Err(OutOfLimits("rxtx_factor")));
    }
}
