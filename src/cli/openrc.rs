//! `kilonova openrc`: what a shell needs so that OpenStack's clients find this cloud.

use std::process::ExitCode;

use clap::Args;

use super::clouds_yaml::CLOUDS_YAML;
use super::settings::SettingFlags;

#[derive(Debug, Args)]
pub(super) struct Openrc {
    /// As the administrator instead of `demo`.
    #[arg(long)]
    admin: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Openrc {
    pub(super) fn run(self) -> ExitCode {
        let loaded = match self.settings.load() {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let clouds = loaded.settings.data_dir.join(CLOUDS_YAML);
        if !clouds.exists() {
            eprintln!("{} is not there: the first `kilonova serve` on this data directory writes it", clouds.display());
            return ExitCode::FAILURE;
        }
        let cloud = if self.admin { "kilonova-admin" } else { "kilonova" };
        let quoted = clouds.display().to_string().replace('\'', r"'\''");
        super::print(&format!("export OS_CLIENT_CONFIG_FILE='{quoted}'\nexport OS_CLOUD={cloud}\n"));
        ExitCode::SUCCESS
    }
}
