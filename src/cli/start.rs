//! Puts a cloud together for this process: the real clock, the machine's chance, the database of the settings; and what a first
//! start leaves for clients to log in with.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cloud::{Cloud, Parts};
use crate::compute::work;
use crate::config::{Database, Settings};
use crate::hypervisor::fake::Fake;
use crate::identity::bootstrap::Login;
use crate::identity::random::buffered_random;
use crate::model::time::Timestamp;
use crate::serve::open_private;
use crate::store::{Store, StoreError};

/// Where clients find their cloud and their password.
pub const CLOUDS_YAML: &str = "clouds.yaml";
/// How often policy files are looked at.
const POLICY_LOOK: Duration = Duration::from_secs(1);
/// How often tasks are looked for that nobody has announced.
const WORK_LOOK: Duration = Duration::from_secs(5);
/// How often a worker says that it is still at its task; well below what a lease lasts.
const LEASE_RENEWAL: Duration = Duration::from_secs(20);
/// How many tasks are done at once.
const WORKERS: usize = 4;

/// Opens the database and everything around it; on the first start it also makes those who can log in.
pub async fn open(settings: Settings, public_url: String) -> Result<(Arc<Cloud>, Vec<Login>), Box<dyn Error>> {
    let directory = settings.data_dir.clone();
    let store = match &settings.database {
        Database::Embedded => Store::embedded(&directory).await?,
        Database::Postgres(url) => Store::postgres(url).await?,
    };
    let is_alone = settings.database == Database::Embedded;
    let parts = Parts {
        settings,
        store,
        driver: Arc::new(Fake::new()),
        clock: Arc::new(now),
        chance: Arc::new(buffered_random),
        public_url,
    };
    let began = SystemTime::now();
    let cloud = Cloud::new(&directory, parts)?;
    // where several processes share a database, what looks unfinished may be under way in another
    if is_alone && let Err(error) = cloud.tidy(began).await {
        // the rest can be served all the same
        tracing::error!(error, "image data that is nobody's was not looked for");
    }
    let logins = cloud.begin().await?;
    Ok((cloud, logins))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_microseconds(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Starts what goes on beside the requests.
pub fn keep_going(cloud: &Arc<Cloud>) {
    let workers = cloud.clone();
    tokio::spawn(async move {
        // nobody begins a task before those that were under way are taken back
        while let Err(error) = work::resume(workers.tools()).await {
            tracing::error!(%error, "the guests cannot be looked after yet");
            tokio::time::sleep(WORK_LOOK).await;
        }
        for _ in 0..WORKERS {
            tokio::spawn(keep_working(workers.clone()));
        }
    });
    keep_policy(cloud);
}

/// Does tasks as they come.
async fn keep_working(cloud: Arc<Cloud>) {
    loop {
        let done = match work::claim(cloud.tools()).await {
            Ok(Some(job)) => {
                // there may be more than one worker can do
                cloud.work.notify_one();
                keep_at(&cloud, job).await
            }
            Ok(None) => {
                // looked at now and then as well: a lease may have run out
                let _ = tokio::time::timeout(WORK_LOOK, cloud.work.notified()).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::error!(%error, "a task could not be finished");
            tokio::time::sleep(WORK_LOOK).await;
        }
    }
}

/// Does a task, and says so from time to time while it lasts.
async fn keep_at(cloud: &Cloud, job: work::Job) -> Result<(), StoreError> {
    let task = job.task.clone();
    let mut doing = std::pin::pin!(work::finish_job(cloud.tools(), job));
    loop {
        tokio::select! {
            done = &mut doing => return done,
            () = tokio::time::sleep(LEASE_RENEWAL) => work::renew(cloud.tools(), &task).await?,
        }
    }
}

fn keep_policy(cloud: &Arc<Cloud>) {
    let cloud = cloud.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(POLICY_LOOK).await;
            match cloud.live_rules().reload_if_changed() {
                Ok(None) => {}
                Ok(Some(reloaded)) => {
                    for path in &reloaded.gone {
                        tracing::error!(path = %path.display(), "a policy file is gone, and its rules with it");
                    }
                    tracing::info!("policy reloaded");
                }
                Err(error) => tracing::error!(%error, "policy not reloaded; the old rules stay in force"),
            }
        }
    });
}

/// Writes the way in, once: passwords exist in this file only. On later starts just the address is brought up to date.
pub fn write_clouds_yaml(
    directory: &Path,
    public_url: &str,
    region: &str,
    logins: &[Login],
) -> Result<(), Box<dyn Error>> {
    let path = directory.join(CLOUDS_YAML);
    if logins.is_empty() {
        return readdress(&path, public_url);
    }
    let mut text = String::from(
        "# Written by `kilonova serve` at its first start. Whoever reads this file can log in.\nclouds:\n",
    );
    for login in logins {
        let cloud = if login.name == "admin" { "kilonova-admin" } else { "kilonova" };
        text.push_str(&format!(
            "  {cloud}:\n    region_name: {region}\n    identity_api_version: 3\n    auth:\n      auth_url: {public_url}/identity/v3\n      \
             username: {name}\n      password: {password}\n      project_name: {name}\n      user_domain_id: default\n      project_domain_id: default\n",
            name = login.name,
            password = login.password.expose(),
        ));
    }
    replace(&path, &text)
}

fn readdress(path: &Path, public_url: &str) -> Result<(), Box<dyn Error>> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(()) };
    let lines = text.lines().map(|line| match line.split_once("auth_url: ") {
        Some((indent, _)) => format!("{indent}auth_url: {public_url}/identity/v3\n"),
        None => format!("{line}\n"),
    });
    let after: String = lines.collect();
    if after == text { Ok(()) } else { replace(path, &after) }
}

/// Old or new, never half: written beside it and renamed.
fn replace(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let beside = path.with_extension("yaml.new");
    let mut file = open_private(&beside)?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(std::fs::rename(&beside, path)?)
}
