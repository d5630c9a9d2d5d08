//! `clouds.yaml` in the data directory: the way in for clients, with the only copy of the passwords of a first start. It is written beside
//! its place before the first start is committed, and put there afterwards; whatever happens in between, the next start finds either a
//! cloud that has not begun, or the passwords.

use std::error::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cloud::Cloud;
use crate::identity::bootstrap::Login;
use crate::serve::open_private;

/// Where clients find their cloud and their password.
pub const CLOUDS_YAML: &str = "clouds.yaml";
/// Where it lies until the first start is committed.
const PREPARED: &str = "clouds.yaml.first";
/// The line that says which first start the passwords are of: by the id of the first user.
const MARK: &str = "# First user: ";

/// The file of one data directory.
pub struct CloudsYaml<'a> {
    directory: &'a Path,
    public_url: &'a str,
    region: &'a str,
}

impl<'a> CloudsYaml<'a> {
    /// That of a cloud which clients reach at this address.
    pub fn new(directory: &'a Path, public_url: &'a str, region: &'a str) -> CloudsYaml<'a> {
        CloudsYaml { directory, public_url, region }
    }

    /// Writes down what a first start is going to make. Durable when this returns.
    ///
    /// # Errors
    /// The file system's.
    pub fn prepare(&self, logins: &[Login]) -> Result<(), Box<dyn Error>> {
        self.write(PREPARED, &self.text(logins))?;
        self.sync_directory()
    }

    /// Puts in its place what was prepared for a first start that was committed, by this process or by one that died before it could;
    /// and removes what was prepared for one that was not.
    ///
    /// # Errors
    /// The file system's, or where the database cannot be asked.
    pub async fn settle(&self, cloud: &Arc<Cloud>) -> Result<(), Box<dyn Error>> {
        let prepared = self.path(PREPARED);
        let text = match fs::read_to_string(&prepared) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        let user = text.lines().find_map(|line| line.strip_prefix(MARK)).and_then(|id| id.parse().ok());
        let is_committed = match user {
            Some(user) => cloud.has_made(user).await?,
            // it was not even written to its end
            None => false,
        };
        if is_committed {
            fs::rename(&prepared, self.path(CLOUDS_YAML))?;
        } else {
            fs::remove_file(&prepared)?;
        }
        self.sync_directory()
    }

    /// Brings just the address up to date, where the file is there.
    ///
    /// # Errors
    /// The file system's.
    pub fn readdress(&self) -> Result<(), Box<dyn Error>> {
        let Ok(text) = fs::read_to_string(self.path(CLOUDS_YAML)) else { return Ok(()) };
        let lines = text.lines().map(|line| match line.split_once("auth_url: ") {
            Some((indent, _)) => format!("{indent}auth_url: {}/identity/v3\n", self.public_url),
            None => format!("{line}\n"),
        });
        let after: String = lines.collect();
        // most starts find it as it must be, and wait for no disk
        if after == text { Ok(()) } else { self.replace(&after) }
    }

    fn text(&self, logins: &[Login]) -> String {
        let mut text =
            String::from("# Written by `kilonova serve` at its first start. Whoever reads this file can log in.\n");
        if let Some(first) = logins.first() {
            text.push_str(&format!("{MARK}{}\n", first.user.as_str()));
        }
        text.push_str("clouds:\n");
        for login in logins {
            let cloud = if login.name == "admin" { "kilonova-admin" } else { "kilonova" };
            text.push_str(&format!(
                "  {cloud}:\n    region_name: {region}\n    identity_api_version: 3\n    auth:\n      auth_url: {public_url}/identity/v3\n      \
                 username: {name}\n      password: {password}\n      project_name: {name}\n      user_domain_id: default\n      project_domain_id: default\n",
                region = self.region,
                public_url = self.public_url,
                name = login.name,
                password = login.password.expose(),
            ));
        }
        text
    }

    /// Old or new, never half: written beside it and renamed. Where a crash takes the new one back, the next start writes it again.
    fn replace(&self, text: &str) -> Result<(), Box<dyn Error>> {
        const BESIDE: &str = "clouds.yaml.new";
        self.write(BESIDE, text)?;
        Ok(fs::rename(self.path(BESIDE), self.path(CLOUDS_YAML))?)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Box<dyn Error>> {
        let mut file = open_private(&self.path(name))?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        Ok(file.sync_all()?)
    }

    fn sync_directory(&self) -> Result<(), Box<dyn Error>> {
        Ok(File::open(self.directory)?.sync_all()?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

#[cfg(test)]
mod tests;
