//! Whether a server's disk is grown to its flavor by us (AUTO) or left to its owner (MANUAL): the property
//! `auto_disk_config` of images, the member `OS-DCF:diskConfig` of servers, and how one follows from the other.

use std::fmt;
use std::str::FromStr;

/// What an image says by its property `auto_disk_config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AutoDiskConfig {
    /// Servers are AUTO unless asked otherwise.
    True,
    /// Servers are MANUAL unless asked otherwise.
    False,
    /// Servers cannot be AUTO.
    Disabled,
}

impl AutoDiskConfig {
    /// What a value of the property means. Everything has a meaning: what is not understood is `False`.
    pub fn read(value: &str) -> AutoDiskConfig {
        match value.trim().to_lowercase().as_str() {
            "disabled" => AutoDiskConfig::Disabled,
            "1" | "t" | "true" | "on" | "y" | "yes" => AutoDiskConfig::True,
            _ => AutoDiskConfig::False,
        }
    }

    /// How an image that has the property is shown (`OS-DCF:diskConfig` of images, up to microversion 2.35).
    pub const fn shown(self) -> DiskConfig {
        match self {
            AutoDiskConfig::True => DiskConfig::Auto,
            AutoDiskConfig::False | AutoDiskConfig::Disabled => DiskConfig::Manual,
        }
    }
}

/// What a server's disk configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskConfig {
    /// One partition, grown to the size of the disk.
    Auto,
    /// Partitions as in the image; the rest of the disk is the owner's.
    Manual,
}

/// The text is neither `AUTO` nor `MANUAL`; case matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither AUTO nor MANUAL")]
pub struct NotADiskConfig;

impl DiskConfig {
    /// The word that clients read and write.
    pub const fn as_str(self) -> &'static str {
        match self {
            DiskConfig::Auto => "AUTO",
            DiskConfig::Manual => "MANUAL",
        }
    }
}

impl fmt::Display for DiskConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DiskConfig {
    type Err = NotADiskConfig;

    fn from_str(text: &str) -> Result<DiskConfig, NotADiskConfig> {
        match text {
            "AUTO" => Ok(DiskConfig::Auto),
            "MANUAL" => Ok(DiskConfig::Manual),
            _ => Err(NotADiskConfig),
        }
    }
}

/// AUTO was asked for and the image forbids it. The caller, who knows the image, says Nova's sentence:
/// [`Disabled::sentence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the image has automatic disk resize disabled")]
pub struct Disabled;

impl Disabled {
    /// Nova's sentence to the client (400).
    pub fn sentence(&self, image_id: &str) -> String {
        format!("Requested image {image_id} has automatic disk resize disabled.")
    }
}

/// Whose rules apply, where Nova and Cloud Servers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskConfigRules {
    /// Nova as it runs.
    OpenStack,
    /// Rackspace Cloud Servers as documented. Its documents disagree on whether an image that is `False` forbids AUTO
    /// (the extension's page does, the page on creating a server does not); here it does not, as in Nova. An image that
    /// lacks the property makes AUTO servers.
    CloudServers,
}

impl DiskConfigRules {
    /// What a new or rebuilt server gets. `image` is `None` where the image lacks the property. A rebuild follows the
    /// image it is made from and forgets what the server had.
    ///
    /// # Errors
    /// `Disabled` when AUTO is asked for and the image forbids it.
    pub fn on_create(self, image: Option<AutoDiskConfig>, asked: Option<DiskConfig>) -> Result<DiskConfig, Disabled> {
        refuse_disabled(image, asked)?;
        Ok(asked.unwrap_or(match (self, image) {
            (_, Some(image)) => image.shown(),
            (DiskConfigRules::OpenStack, None) => DiskConfig::Manual,
            (DiskConfigRules::CloudServers, None) => DiskConfig::Auto,
        }))
    }

    /// What a resized server gets. `image` is the property as it was when the server was made, not as it is now.
    /// Where nothing is asked for, a server becomes MANUAL in Nova and stays what it is in Cloud Servers. A revert of the
    /// resize does not restore it.
    ///
    /// # Errors
    /// `Disabled` when AUTO is asked for and the image forbade it.
    pub fn on_resize(
        self,
        image: Option<AutoDiskConfig>,
        server: DiskConfig,
        asked: Option<DiskConfig>,
    ) -> Result<DiskConfig, Disabled> {
        refuse_disabled(image, asked)?;
        Ok(asked.unwrap_or(match self {
            DiskConfigRules::OpenStack => DiskConfig::Manual,
            DiskConfigRules::CloudServers => server,
        }))
    }

    /// Whether a server may be resized to a smaller disk: in Cloud Servers only an AUTO one, whose partition is ours.
    pub const fn may_shrink(self, server: DiskConfig) -> bool {
        matches!((self, server), (DiskConfigRules::OpenStack, _) | (DiskConfigRules::CloudServers, DiskConfig::Auto))
    }
}

fn refuse_disabled(image: Option<AutoDiskConfig>, asked: Option<DiskConfig>) -> Result<(), Disabled> {
    match (image, asked) {
        (Some(AutoDiskConfig::Disabled), Some(DiskConfig::Auto)) => Err(Disabled),
        _ => Ok(()),
    }
}

/// The property `auto_disk_config` of a server's snapshot: the server's own choice, unless its image forbade to choose.
pub const fn of_snapshot(image: Option<AutoDiskConfig>, server: DiskConfig) -> &'static str {
    match (image, server) {
        (Some(AutoDiskConfig::Disabled), _) => "disabled",
        (_, DiskConfig::Auto) => "True",
        (_, DiskConfig::Manual) => "False",
    }
}

#[cfg(test)]
mod tests {
    use AutoDiskConfig::{False, True};
    use DiskConfig::{Auto, Manual};
    use DiskConfigRules::{CloudServers, OpenStack};

    use super::*;

    const DISABLED: Option<AutoDiskConfig> = Some(AutoDiskConfig::Disabled);

    #[test]
    fn every_value_of_the_property_means_something() {
        for text in ["True", "yes", "1", " on ", "T", "Y", "true\n"] {
            assert_eq!(AutoDiskConfig::read(text), True, "{text:?}");
        }
        for text in ["disabled", "DISABLED", " Disabled "] {
            assert_eq!(AutoDiskConfig::read(text), AutoDiskConfig::Disabled, "{text:?}");
        }
        for text in ["False", "", "garbage", "2", "enabled", "no"] {
            assert_eq!(AutoDiskConfig::read(text), False, "{text:?}");
        }
    }

    #[test]
    fn a_create_follows_novas_table() {
        for (image, absent, auto) in [
            (None, Ok(Manual), Ok(Auto)),
            (Some(False), Ok(Manual), Ok(Auto)),
            (Some(True), Ok(Auto), Ok(Auto)),
            (DISABLED, Ok(Manual), Err(Disabled)),
        ] {
            assert_eq!(OpenStack.on_create(image, None), absent, "{image:?}");
            assert_eq!(OpenStack.on_create(image, Some(Auto)), auto, "{image:?}");
            assert_eq!(OpenStack.on_create(image, Some(Manual)), Ok(Manual), "{image:?}");
        }
    }

    #[test]
    fn an_image_without_the_property_makes_auto_servers_in_cloud_servers_only() {
        assert_eq!(CloudServers.on_create(None, None), Ok(Auto));
        for image in [Some(True), Some(False), DISABLED] {
            for asked in [None, Some(Auto), Some(Manual)] {
                assert_eq!(CloudServers.on_create(image, asked), OpenStack.on_create(image, asked), "{image:?}");
            }
        }
    }

    #[test]
    fn a_resize_without_a_word_makes_a_server_manual_in_openstack_only() {
        for server in [Auto, Manual] {
            assert_eq!(OpenStack.on_resize(None, server, None), Ok(Manual));
            assert_eq!(CloudServers.on_resize(None, server, None), Ok(server));
        }
    }

    #[test]
    fn a_resize_gives_what_is_asked_for_unless_the_image_forbade_it() {
        for rules in [OpenStack, CloudServers] {
            assert_eq!(rules.on_resize(Some(False), Manual, Some(Auto)), Ok(Auto));
            assert_eq!(rules.on_resize(None, Auto, Some(Manual)), Ok(Manual));
            assert_eq!(rules.on_resize(DISABLED, Manual, Some(Auto)), Err(Disabled));
            assert_eq!(rules.on_resize(DISABLED, Manual, None), Ok(Manual));
        }
    }

    #[test]
    fn only_cloud_servers_keeps_manual_disks_from_shrinking() {
        assert!(OpenStack.may_shrink(Manual) && OpenStack.may_shrink(Auto) && CloudServers.may_shrink(Auto));
        assert!(!CloudServers.may_shrink(Manual));
    }

    #[test]
    fn a_snapshot_says_what_its_server_was() {
        assert_eq!(of_snapshot(None, Auto), "True");
        assert_eq!(of_snapshot(Some(True), Manual), "False");
        assert_eq!(of_snapshot(DISABLED, Manual), "disabled");
    }

    #[test]
    fn the_words_are_read_in_capitals_only() {
        assert_eq!("AUTO".parse(), Ok(Auto));
        assert_eq!("MANUAL".parse(), Ok(Manual));
        assert_eq!("auto".parse::<DiskConfig>(), Err(NotADiskConfig));
    }

    #[test]
    fn the_refusal_names_the_image() {
        assert_eq!(Disabled.sentence("i"), "Requested image i has automatic disk resize disabled.");
    }
}
