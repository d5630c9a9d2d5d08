//! Everything that outlives a request, in one place: the store, the rules, the keys, the clock. Handed to `api::handle`, so that a
//! test can have as many clouds as it likes. What a first start makes is in `first`, what crashes leave is cleared up in `tidy`,
//! what policy was published is taken in `policy`.

mod first;
mod policy;
mod tidy;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::api::call::Call;
use crate::api::dialect::{Dialect, OPENSTACK};
use crate::api::endpoint::Error;
use crate::api::fault::{self, Fault, RETRY_AFTER_SECONDS};
use crate::api::rate::Rates;
use crate::api::router::Router;
use crate::api::table;
use crate::blobs::Blobs;
use crate::compute::limits::Defaults;
use crate::compute::work::Tools;
use crate::config::{Database, Settings};
use crate::hypervisor::Driver;
use crate::identity::callers::{Callers, NoCaller};
use crate::identity::live_keys::LiveKeys;
use crate::identity::password::PasswordPool;
use crate::identity::token_keys::KeysError;
use crate::image::uploads::Receiving;
use crate::model::ids::{RequestId, ServerId};
use crate::model::server_record::HOST;
use crate::model::time::Timestamp;
use crate::policy::live::LiveRules;
use crate::policy::remote::{ContentType, Remote, RemoteSettings};
use crate::policy::rules::Rules;
use crate::policy::{Asked, Caller};
use crate::store::{Effect, Store};

pub use first::Beginning;

/// How long a question to another server may wait for its turn.
const QUESTION_WAIT: Duration = Duration::from_secs(1);

/// Reads the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Fills bytes with chance.
pub type Chance = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// A cloud.
pub struct Cloud {
    /// The settings it was started with.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// Image data.
    pub blobs: Blobs,
    /// What runs servers.
    pub driver: Arc<dyn Driver>,
    /// What makes and opens tokens.
    pub keys: LiveKeys,
    /// What is remembered of tokens.
    pub callers: Callers,
    /// Hashes passwords, off the threads that serve requests.
    pub passwords: PasswordPool,
    /// All endpoints.
    pub router: Router,
    /// The rate limits of Cloud Servers, where the settings have any.
    pub rates: Option<Rates>,
    /// Woken when a commit has recorded tasks.
    pub work: tokio::sync::Notify,
    /// Woken when a policy was published, here or elsewhere, or when that may have been missed.
    pub policy_news: tokio::sync::Notify,
    /// The uploads that this process is receiving.
    pub receiving: Arc<Receiving>,
    /// One permit for each upload and download of image data.
    pub transfers: Arc<Semaphore>,
    worker: String,
    rules: LiveRules,
    remote: Remote,
    /// One permit for each question to another server: they hold threads, which image data needs too.
    questions: Arc<Semaphore>,
    clock: Clock,
    chance: Chance,
    public_url: String,
}

/// What a cloud is made of, where tests choose otherwise than `serve`.
pub struct Parts {
    /// Settings.
    pub settings: Settings,
    /// The database, already brought up to date.
    pub store: Store,
    /// What runs servers.
    pub driver: Arc<dyn Driver>,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub chance: Chance,
    /// Where clients reach us, without a slash at the end.
    pub public_url: String,
}

impl Cloud {
    /// Puts a cloud together in its data directory: token keys and image data are made there if they are missing.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(directory: &Path, parts: Parts) -> Result<Arc<Cloud>, String> {
        let Parts { settings, store, driver, clock, chance, public_url } = parts;
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let blobs = Blobs::local(&directory.join("images")).map_err(|error| text(&error))?;
        let keys = LiveKeys::load_or_create(&directory.join("token-keys"), &mut |bytes| chance(bytes));
        let rounds = crate::identity::password::Rounds::new(settings.password_hash_rounds)
            .ok_or("password_hash_rounds is out of range")?;
        let worker = match &settings.database {
            Database::Embedded => HOST.to_owned(),
            // others work on it too: each signs with a name of its own, and takes back after a restart what it had begun
            Database::Postgres(_) => worker_name(directory, &chance).map_err(|error| text(&error))?,
        };
        let cloud = Arc::new(Cloud {
            worker,
            blobs,
            keys: keys.map_err(|error| text(&error))?,
            callers: Callers::default(),
            passwords: PasswordPool::for_this_machine(rounds).map_err(|error| text(&error))?,
            router: Router::new(table::all()),
            rates: Rates::new(&settings.cloud_servers.rate_limits, &clock),
            work: tokio::sync::Notify::new(),
            policy_news: tokio::sync::Notify::new(),
            receiving: Arc::default(),
            transfers: Arc::new(Semaphore::new(settings.image_transfers_max as usize)),
            questions: Arc::new(Semaphore::new(settings.policy_remote.questions_max as usize)),
            rules: table::live_rules(directory, &settings).map_err(|error| text(&error))?,
            remote: Remote::new(&remote_settings(&settings)?).map_err(|error| text(&error))?,
            settings,
            store,
            driver,
            clock,
            chance,
            public_url,
        });
        let listener = Arc::downgrade(&cloud);
        cloud.store.on_effect(move |effect| {
            let Some(cloud) = listener.upgrade() else { return };
            match effect {
                Effect::TasksRecorded => cloud.work.notify_one(),
                Effect::IdentityChanged => cloud.callers.forget(),
                Effect::PolicyPublished => cloud.policy_news.notify_one(),
            }
        });
        Ok(cloud)
    }

    /// The name this process signs its leases with: the same after a restart.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// What work on servers is done with.
    pub fn tools(&self) -> Tools<'_> {
        Tools {
            store: &self.store,
            worker: &self.worker,
            driver: self.driver.as_ref(),
            blobs: &self.blobs,
            clock: self.clock.as_ref(),
            image_bytes_max: self.settings.image_bytes_max,
        }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Random bits for a request's ids.
    pub fn fresh_seed(&self) -> [u8; 16] {
        let mut seed = [0; 16];
        (self.chance)(&mut seed);
        seed
    }

    /// Fills bytes with chance that is good enough for secrets.
    pub fn fill_with_chance(&self, bytes: &mut [u8]) {
        (self.chance)(bytes);
    }

    /// An id for a request that has just arrived.
    pub fn fresh_request_id(&self) -> RequestId {
        RequestId::from_random(self.fresh_seed())
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.current()
    }

    /// The rules with their files, for reloading.
    pub fn live_rules(&self) -> &LiveRules {
        &self.rules
    }

    /// Looks whether the token keys were rotated, and takes the new ones; says whether it has.
    ///
    /// # Errors
    /// Where they cannot be read: those in force stay.
    pub fn take_token_keys(&self) -> Result<bool, KeysError> {
        let has_others = self.keys.reload_if_changed()?;
        if has_others {
            // of what a key has sealed that is gone, nobody remembers anything either
            self.callers.forget();
        }
        Ok(has_others)
    }

    /// Where clients reach us, without a slash at the end.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// `http` or `https`, as clients see it.
    pub fn scheme(&self) -> &str {
        self.public_url.split_once("://").map_or("http", |(scheme, _)| scheme)
    }

    /// The quotas that apply where nobody has set any.
    pub fn quota_defaults(&self) -> QuotaDefaults<'_> {
        self.quota_defaults_at(&OPENSTACK)
    }

    /// As `quota_defaults`, at one door.
    pub fn quota_defaults_at(&self, dialect: &'static Dialect) -> QuotaDefaults<'_> {
        QuotaDefaults { settings: &self.settings, dialect }
    }

    /// Asks another server what a rule wants to know, and notes its answer for this call.
    ///
    /// # Errors
    /// 500, with the cause in the log, where the other server does not answer (as oslo.policy); 503 where too many ask.
    pub async fn ask(self: &Arc<Self>, call: &Arc<Call>, asked: Asked) -> Result<(), Error> {
        let allowed = self.ask_for(call.caller.clone(), asked.clone(), call.request_id).await?;
        let mut verdicts = call.verdicts.lock().expect("nobody panics while holding the verdicts");
        Arc::make_mut(&mut verdicts).note(asked.question, allowed);
        Ok(())
    }

    /// Whom a token proves, by the rules of the request that it came with.
    ///
    /// # Errors
    /// As `NotKnown` says.
    pub async fn caller(
        self: &Arc<Self>,
        token: &str,
        request_id: RequestId,
        rules: &Arc<Rules>,
    ) -> Result<Arc<Caller>, NotKnown> {
        let now = self.now().microseconds() / 1_000_000;
        if let Some(caller) = self.callers.remembered(token, now, rules) {
            return Ok(caller);
        }
        // kept apart, so that what nearly every request waits for stays small
        Box::pin(self.caller_looked_up(token, request_id, now, rules)).await
    }

    async fn caller_looked_up(
        self: &Arc<Self>,
        token: &str,
        request_id: RequestId,
        now: i64,
        rules: &Arc<Rules>,
    ) -> Result<Arc<Caller>, NotKnown> {
        match self.callers.caller(&self.store, || self.keys.current(), rules, token, now).await {
            Ok(caller) => Ok(caller),
            Err(NoCaller::Unknown) => Err(NotKnown::Unauthenticated),
            Err(NoCaller::Store(error)) => {
                tracing::error!(%request_id, %error, "a token could not be looked up");
                Err(NotKnown::Fault(fault::store(&error)))
            }
            Err(NoCaller::Ask(mut caller, asked)) => {
                let asking = self.ask_for(Some(Arc::new(caller.clone())), *asked, request_id);
                caller.is_admin = asking.await.map_err(NotKnown::Fault)?;
                Ok(Arc::new(caller))
            }
        }
    }

    async fn ask_for(
        self: &Arc<Self>,
        caller: Option<Arc<Caller>>,
        asked: Asked,
        request_id: RequestId,
    ) -> Result<bool, Fault> {
        let turn = tokio::time::timeout(QUESTION_WAIT, self.questions.clone().acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            tracing::warn!(%request_id, url = asked.question.url, "too many policy rules wait for other servers");
            return Err(Fault::unavailable(RETRY_AFTER_SECONDS));
        };
        let cloud = self.clone();
        let asking = tokio::task::spawn_blocking(move || {
            // kept to the end of the question, even where whoever asked has gone away
            let _turn = turn;
            match caller {
                Some(caller) => cloud.remote.ask(&asked.question, caller.as_ref(), &asked),
                None => cloud.remote.ask(&asked.question, &(), &asked),
            }
        });
        let answer = asking.await.map_err(|error| error.to_string());
        answer.and_then(|answer| answer.map_err(|error| error.to_string())).map_err(|error| {
            tracing::error!(%request_id, error, "a policy rule could not be decided");
            Fault::defect()
        })
    }
}

/// The name that a data directory's process signs its leases with: made once, and kept there. The directory has one process at a time.
fn worker_name(directory: &Path, chance: &Chance) -> std::io::Result<String> {
    let path = directory.join("worker");
    if let Ok(name) = std::fs::read_to_string(&path)
        && !name.is_empty()
    {
        return Ok(name);
    }
    let mut id = [0; 16];
    chance(&mut id);
    let name = format!("{HOST}-{}", ServerId::from_random(id));
    // whoever dies before the end of the next line has signed nothing yet
    let beside = directory.join("worker.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?.write_all(name.as_bytes())?;
    std::fs::rename(&beside, &path)?;
    Ok(name)
}

/// How rules ask other servers, as the policy room wants it.
fn remote_settings(settings: &Settings) -> Result<RemoteSettings, String> {
    let given = &settings.policy_remote;
    let client_files = match (&given.client_certificate_file, &given.client_key_file) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        _ => return Err("policy_remote.client_certificate_file and policy_remote.client_key_file go together".into()),
    };
    Ok(RemoteSettings {
        content_type: if given.content_type == "application/json" { ContentType::Json } else { ContentType::Form },
        timeout: Duration::from_secs(given.timeout_seconds),
        verify_server: given.verify_server,
        ca_file: given.ca_file.clone(),
        client_files,
    })
}

/// Why a token was not taken.
#[derive(Debug)]
pub enum NotKnown {
    /// It proves nobody: 401.
    Unauthenticated,
    /// It could not be looked up.
    Fault(Fault),
}

/// The settings of group `quota` by the names of Nova's resources.
pub struct QuotaDefaults<'a> {
    settings: &'a Settings,
    dialect: &'static Dialect,
}

impl Defaults for QuotaDefaults<'_> {
    fn default_of(&self, resource: &str) -> i64 {
        let quota = &self.settings.quota;
        match resource {
            "metadata_items" if self.dialect.is_cloud_servers => self.settings.cloud_servers.metadata_items,
            "metadata_items" => quota.metadata_items,
            "instances" => quota.instances,
            "cores" => quota.cores,
            "ram" => quota.ram,
            "key_pairs" => quota.key_pairs,
            "server_groups" => quota.server_groups,
            "server_group_members" => quota.server_group_members,
            "injected_files" => quota.injected_files,
            "injected_file_content_bytes" => quota.injected_file_content_bytes,
            "injected_file_path_bytes" => quota.injected_file_path_length,
            _ => -1,
        }
    }
}
