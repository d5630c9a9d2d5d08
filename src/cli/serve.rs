//! `kilonova serve`: settings, logs, the lock on the data directory, then the street with whoever answers.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;

use super::clouds_yaml::CLOUDS_YAML;
use super::settings::SettingFlags;
use super::start;
use crate::api;
use crate::api::fault::{Fault, RETRY_AFTER_SECONDS};
use crate::api::message::{Request, Response};
use crate::cloud::Cloud;
use crate::config::{Loaded, Settings};
use crate::logs;
use crate::model::ids::RequestId;
use crate::serve::{self, Answer, DataDirLock, Ended, NoAnswer};

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: SettingFlags,
}

impl Serve {
    pub(super) fn run(self) -> ExitCode {
        let loaded = match self.settings.load() {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let _logs = logs::install(loaded.settings.log_format, loaded.settings.log_level);
        match served(&loaded) {
            Ok(Ended::Drained | Ended::CutOff(_)) => ExitCode::SUCCESS,
            Ok(Ended::Interrupted) => ExitCode::FAILURE,
            Err(cause) => {
                tracing::error!(%cause, "cannot serve");
                ExitCode::FAILURE
            }
        }
    }
}

fn served(loaded: &Loaded) -> Result<Ended, Box<dyn std::error::Error>> {
    let settings = &loaded.settings;
    for name in &loaded.unknown_environment {
        tracing::warn!(name, "this environment variable sets nothing");
    }
    let _lock = DataDirLock::acquire(&settings.data_dir)?;
    let began = SystemTime::now();
    let mut opened = None;
    let ended = serve::run(settings, async |bound| {
        let public_url = settings.public_url_at(bound);
        let (cloud, _) = start::open(settings.clone(), public_url).await?;
        start::keep_going(&cloud, began);
        super::print(&ready(settings, cloud.public_url()));
        opened = Some(cloud.clone());
        Ok(Doors(cloud))
    })?;
    if let Some(cloud) = opened {
        // what was accepted is written before the process ends
        cloud.store.close();
    }
    Ok(ended)
}

/// What is printed when clients can connect.
fn ready(settings: &Settings, public_url: &str) -> String {
    let clouds = settings.data_dir.join(CLOUDS_YAML);
    if !clouds.exists() {
        return format!(
            "Kilonova is ready at {public_url}\n\n\
             Another process made this cloud, and its passwords: they are in {CLOUDS_YAML} of that one's data directory.\n\
             Tokens of one are valid at the other where both have the same files in token-keys/ of their data directories.\n"
        );
    }
    format!(
        "Kilonova is ready at {public_url}\n\n\
         Try it:\n  export OS_CLIENT_CONFIG_FILE={} OS_CLOUD=kilonova\n  \
         openstack server create --image kilonova-test --flavor m1.tiny --property color=red --wait first\n  \
         openstack server set --property owner=me first\n  openstack server show first -c properties\n\n\
         Passwords are in that file; `kilonova-admin` is the administrator's cloud. Stop with Ctrl-C.\n",
        clouds.display()
    )
}

/// The doors of the API, where the street meets them.
pub struct Doors(pub Arc<Cloud>);

impl Answer for Doors {
    async fn answer(&self, request: Request) -> Response {
        let request_id = self.0.fresh_request_id();
        logs::name_request(request_id);
        let response = api::handle_as(&self.0, request_id, request).await;
        if let Some(project) = &response.project_id {
            logs::name_project(project);
        }
        response
    }

    fn without_answer(&self, why: NoAnswer, path: &str, request_id: Option<RequestId>) -> Response {
        let fault = match why {
            NoAnswer::Panicked => Fault::defect(),
            NoAnswer::Overloaded => Fault::unavailable(RETRY_AFTER_SECONDS),
        };
        fault.response_at(path, request_id.unwrap_or_else(|| self.0.fresh_request_id()))
    }
}
