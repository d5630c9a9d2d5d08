//! Puts a cloud together for this process: the real clock, the machine's chance, the database of the settings.
//! Then what goes on beside the requests.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;

use super::clouds_yaml::CloudsYaml;
use crate::cloud::{Cloud, Parts};
use crate::compute::{guests, work};
use crate::config::{Database, Settings};
use crate::hypervisor::fake::Fake;
use crate::identity::bootstrap::Login;
use crate::identity::random::buffered_random;
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// Where a process keeps its token keys.
pub(super) const TOKEN_KEYS: &str = "token-keys";
/// How often policy files are looked at.
const POLICY_LOOK: Duration = Duration::from_secs(1);
/// How often token keys are looked at.
const KEYS_LOOK: Duration = Duration::from_secs(1);
/// How often tasks are looked for that nobody has announced.
const WORK_LOOK: Duration = Duration::from_secs(5);
/// How often a worker says that it is still at its task; well below what a lease lasts.
const LEASE_RENEWAL: Duration = Duration::from_secs(20);
/// How often a process says that it still receives its uploads, and looks for those that nobody receives.
const UPLOADS_LOOK: Duration = Duration::from_secs(20);
/// How many tasks are done at once.
const WORKERS: usize = 4;

/// Puts the cloud of these settings together. On the first start it also makes those who can log in, leaves their passwords in
/// `clouds.yaml`, and gives them. Nothing here takes longer where there are more servers, images or tasks.
pub async fn open(settings: Settings, public_url: String) -> Result<(Arc<Cloud>, Vec<Login>), Box<dyn Error>> {
    let had_keys = settings.data_dir.join(TOKEN_KEYS).exists();
    let cloud = put_together(settings, public_url).await?;
    let way_in = CloudsYaml::new(&cloud.settings.data_dir, cloud.public_url(), &cloud.settings.region);
    let mut logins = Vec::new();
    if let Some(beginning) = cloud.beginning().await? {
        way_in.prepare(beginning.logins())?;
        logins = beginning.logins().to_vec();
        if !cloud.begin_with(beginning).await? {
            logins.clear();
        }
    }
    // also what an earlier start has prepared and could not finish
    way_in.settle(&cloud).await?;
    way_in.readdress()?;
    if !had_keys && logins.is_empty() && cloud.settings.database != Database::Embedded {
        tracing::warn!(
            directory = %cloud.settings.data_dir.join(TOKEN_KEYS).display(),
            "new token keys were made for a cloud that other processes serve: the tokens of one are forgeries at the other until they have \
             the same keys; copy those of a process that had them before, and start this one again"
        );
    }
    Ok((cloud, logins))
}

/// Opens the database and everything around it.
pub(super) async fn put_together(settings: Settings, public_url: String) -> Result<Arc<Cloud>, Box<dyn Error>> {
    let directory = settings.data_dir.clone();
    let store = match &settings.database {
        Database::Embedded => Store::embedded(&directory).await?,
        Database::Postgres(url) => Store::postgres(url).await?,
    };
    let parts = Parts {
        settings,
        store,
        driver: Arc::new(Fake::new()),
        clock: Arc::new(now),
        chance: Arc::new(buffered_random),
        public_url,
    };
    let cloud = Cloud::new(&directory, parts)?;
    cloud.begin_with_published_policy().await?;
    Ok(cloud)
}

/// The time of this machine.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_microseconds(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Starts what goes on beside the requests. `began` is when this process did.
pub fn keep_going(cloud: &Arc<Cloud>, began: SystemTime) {
    tokio::spawn(keep_tasks(cloud.clone()));
    let (uploads, policy) = (cloud.clone(), cloud.clone());
    tokio::spawn(for_ever("uploads", move || keep_uploads(uploads.clone(), began)));
    tokio::spawn(for_ever("policy", move || keep_policy(policy.clone())));
    let keys = cloud.clone();
    tokio::spawn(for_ever("token keys", move || keep_keys(keys.clone())));
}

/// Does what never ends, and begins it again a while after a panic: nobody waits for these, so nobody would notice that one is gone.
async fn for_ever<F: Future<Output = ()>>(what: &'static str, mut begin: impl FnMut() -> F) {
    while AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
        tracing::error!(what, "this had to be begun again");
        tokio::time::sleep(WORK_LOOK).await;
    }
}

/// Has tasks done, and looks after guests.
async fn keep_tasks(cloud: Arc<Cloud>) {
    // nobody begins a task before those that were under way are taken back
    while let Err(error) = work::take_back(cloud.tools()).await {
        tracing::error!(%error, "tasks cannot be done yet");
        tokio::time::sleep(WORK_LOOK).await;
    }
    for _ in 0..WORKERS {
        let cloud = cloud.clone();
        tokio::spawn(for_ever("worker", move || keep_working(cloud.clone())));
    }
    while let Err(error) = guests::look_at_all(cloud.tools()).await {
        tracing::error!(%error, "the guests cannot be looked after yet");
        tokio::time::sleep(WORK_LOOK).await;
    }
}

/// Gives up uploads that are cut off; and, once, removes image data that is nobody's.
async fn keep_uploads(cloud: Arc<Cloud>, began: SystemTime) {
    let mut is_swept = false;
    loop {
        if let Err(error) = cloud.keep_uploads().await {
            tracing::error!(%error, "uploads that were cut off cannot be looked for now");
        } else if !is_swept {
            is_swept = true;
            if let Err(error) = cloud.sweep_blobs(began).await {
                tracing::error!(
                    error,
                    "image data that is nobody's was not looked for to the end; the next start tries again"
                );
            }
        }
        tokio::time::sleep(UPLOADS_LOOK).await;
    }
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

/// Looks for changed policy files again and again; and for a published policy, when there is news of one.
async fn keep_policy(cloud: Arc<Cloud>) {
    // it may have changed between the start and now
    let mut is_news = true;
    loop {
        if is_news && let Err(error) = cloud.take_published_policy().await {
            tracing::debug!(%error, "whether another policy was published is not known; asked again soon");
        } else {
            is_news = false;
        }
        is_news |= tokio::time::timeout(POLICY_LOOK, cloud.policy_news.notified()).await.is_ok();
        match cloud.live_rules().reload_if_changed() {
            Ok(None) => {}
            Ok(Some(reloaded)) => {
                for path in &reloaded.gone {
                    tracing::error!(path = %path.display(), "a policy file is gone, and its rules with it");
                }
                tracing::info!("policy reloaded");
                cloud.tell_replaced();
            }
            Err(error) => tracing::error!(%error, "policy not reloaded; the old rules stay in force"),
        }
    }
}

/// Looks for rotated token keys.
async fn keep_keys(cloud: Arc<Cloud>) {
    loop {
        tokio::time::sleep(KEYS_LOOK).await;
        match cloud.take_token_keys() {
            Ok(false) => {}
            Ok(true) => tracing::debug!("token keys loaded"),
            Err(error) => tracing::error!(%error, "token keys not loaded; those in force stay"),
        }
    }
}
