//! What a driver is asked to do for servers, after the transaction that decided it. A task is taken by a lease, worked on outside of
//! any transaction, and removed in the transaction that records the outcome; so a crash at any point leaves a task that is done
//! again from its beginning, and every call of a driver can be made again. Which calls those are is in `perform`.

mod perform;

pub use perform::spec;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use self::perform::{Done, Failure, disk_config, perform};
use crate::blobs::{BlobKey, Blobs};
use crate::hypervisor::Driver;
use crate::model::ids::ImageId;
use crate::model::server::{Outcome, PowerState, ServerAction, advance, finish};
use crate::model::server_record::{HOST, Server, ServerFault};
use crate::model::time::Timestamp;
use crate::store::tasks::{self, Lease, Task};
use crate::store::{Store, StoreError, Tx, servers, snapshots};

/// How long a worker may be silent before somebody else begins its task again.
const LEASE_SECONDS: i64 = 60;

/// What work is done with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// Where tasks and servers are.
    pub store: &'a Store,
    /// How this process signs its leases: the same after a restart where no other process works on the database.
    pub worker: &'a str,
    /// What runs guests.
    pub driver: &'a dyn Driver,
    /// Image data.
    pub blobs: &'a Blobs,
    /// The time.
    pub clock: &'a (dyn Fn() -> Timestamp + Send + Sync),
    /// The largest image.
    pub image_bytes_max: u64,
}

/// Does one task, if there is one that nobody is at; says whether there was.
///
/// # Errors
/// The store's; the task then remains.
pub async fn take_one(tools: Tools<'_>) -> Result<bool, StoreError> {
    let Some(job) = claim(tools).await? else { return Ok(false) };
    finish_job(tools, job).await?;
    Ok(true)
}

/// Does a task that was taken.
///
/// # Errors
/// The store's; the task then remains.
pub async fn finish_job(tools: Tools<'_>, job: Job) -> Result<(), StoreError> {
    let Some(server) = job.server else { return Ok(()) };
    // A driver is other people's code. Its panic is a failure of this task, or every worker would meet it in turn and end.
    let performed = AssertUnwindSafe(perform(tools, &job.task, &server)).catch_unwind().await;
    let ended = match performed.unwrap_or_else(|_| Err(Failure::OfDriver("the driver panicked".to_owned()))) {
        Ok(done) => Ok(done),
        Err(Failure::OfDriver(reason)) => Err(reason),
        Err(Failure::OfStore(error)) => return Err(error),
    };
    conclude(tools, job.task, server.state.power_state, ended).await
}

/// A task that was taken; the server is `None` where there is nothing to do any more.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task.
    pub task: Task,
    /// The server as it stands now.
    pub server: Option<Server>,
}

/// Takes a task, and shows on the server that work has begun.
///
/// # Errors
/// The store's.
pub async fn claim(tools: Tools<'_>) -> Result<Option<Job>, StoreError> {
    let (now, worker) = ((tools.clock)(), tools.worker.to_owned());
    tools.store.write(move |tx| claim_in(tx, &worker, now)).await
}

/// Keeps a task that is still being worked on.
///
/// # Errors
/// The store's.
pub async fn renew(tools: Tools<'_>, task: &Task) -> Result<(), StoreError> {
    let (worker, id) = (tools.worker.to_owned(), task.id.clone());
    let until = (tools.clock)().plus_seconds(LEASE_SECONDS).microseconds();
    tools.store.write(move |tx| tasks::renew(tx, &id, &worker, until)).await
}

fn claim_in(tx: &mut dyn Tx, worker: &str, now: Timestamp) -> Result<Option<Job>, StoreError> {
    let until = now.plus_seconds(LEASE_SECONDS).microseconds();
    let lease = Lease { owner: worker, now: now.microseconds(), until };
    let Some(task) = tasks::claim(tx, lease)? else { return Ok(None) };
    let found = servers::find(tx, task.server)?
        .map(|server| server.for_system("a worker does what was allowed when its task was recorded"));
    let Some(mut server) = found.filter(|server| advance(task.action, &mut server.state.clone()).is_ok()) else {
        tasks::remove(tx, &task.id)?;
        if let Some(image) = image_of(&task).filter(|_| !tasks::has_image(&task)) {
            // nobody is going to make it any more; what an earlier attempt has left of its data is removed by the sweep
            snapshots::remove(tx, image)?;
        }
        return Ok(Some(Job { task, server: None }));
    };
    if !is_snapshot(task.action) {
        to_last_step(task.action, &mut server);
    }
    if matches!(task.action, ServerAction::Create | ServerAction::Unshelve) {
        server.details.host = Some(HOST.to_owned());
    }
    if let (Some(image), Some(key)) = (image_of(&task), blob_key(&task)) {
        snapshots::saving(tx, image, &key, now)?;
    }
    servers::save(tx, &server)?;
    Ok(Some(Job { task, server: Some(server) }))
}

fn is_snapshot(action: ServerAction) -> bool {
    matches!(action, ServerAction::Shelve | ServerAction::CreateImage | ServerAction::CreateBackup)
}

fn to_last_step(action: ServerAction, server: &mut Server) {
    for _ in action.rule().steps {
        // the caller has seen that the action still has the server
        let _ = advance(action, &mut server.state);
    }
}

/// The image that a task makes, if it makes one.
fn image_of(task: &Task) -> Option<ImageId> {
    is_snapshot(task.action).then(|| task.payload.get("image_id")?.as_str()?.parse().ok()).flatten()
}

/// Another key at every attempt, because blobs are never written twice.
fn blob_key(task: &Task) -> Option<BlobKey> {
    format!("{}-{}", image_of(task)?, task.attempts).parse().ok()
}

async fn conclude(
    tools: Tools<'_>,
    task: Task,
    power_before: PowerState,
    ended: Result<Done, String>,
) -> Result<(), StoreError> {
    let now = (tools.clock)();
    if let Err(reason) = &ended {
        tracing::warn!(server = %task.server, action = task.action.rule().word, reason, "a driver failed");
    }
    let worker = tools.worker.to_owned();
    let script = move |tx: &mut dyn Tx| {
        if !tasks::is_held(tx, &task.id, &worker)? {
            return Ok(Vec::new());
        }
        conclude_in(tx, &task, power_before, &ended, now)
    };
    for key in tools.store.write(script).await? {
        // a blob that is not removed here is removed by the sweep
        let _ = tools.blobs.delete(&key).await;
    }
    Ok(())
}

/// Records the outcome, once; gives the keys of data that nobody needs any more.
fn conclude_in(
    tx: &mut dyn Tx,
    task: &Task,
    power_before: PowerState,
    ended: &Result<Done, String>,
    now: Timestamp,
) -> Result<Vec<BlobKey>, StoreError> {
    tasks::remove(tx, &task.id)?;
    let mut unneeded = Vec::new();
    if let Some(image) = image_of(task) {
        unneeded.extend(settle_image(tx, task, image, ended, now)?);
    }
    let Some(server) = servers::find(tx, task.server)? else { return Ok(unneeded) };
    let mut server = server.for_system("a worker does what was allowed when its task was recorded");
    let outcome = match ended {
        Ok(done) => Outcome::Done(done.power),
        Err(_) => Outcome::Failed(power_before),
    };
    if finish(task.action, &mut server.state, outcome, now).is_err() {
        return Ok(unneeded);
    }
    match ended {
        Ok(_) => unneeded.extend(after_success(tx, task, &mut server)?),
        Err(reason) => after_failure(task, &mut server, reason, now),
    }
    server.updated_at = now;
    servers::save(tx, &server)?;
    Ok(unneeded)
}

fn settle_image(
    tx: &mut dyn Tx,
    task: &Task,
    image: ImageId,
    ended: &Result<Done, String>,
    now: Timestamp,
) -> Result<Option<BlobKey>, StoreError> {
    match (ended, blob_key(task)) {
        (Ok(Done { image: Some((written, disk_format)), .. }), Some(key)) => {
            let kept = snapshots::active(tx, image, (&key, written, disk_format), now)?;
            Ok((!kept).then_some(key))
        }
        // it is kept already
        (Ok(_), _) => Ok(None),
        // Nova, too, deletes the image of a snapshot that failed
        _ => snapshots::remove(tx, image),
    }
}

fn after_success(tx: &mut dyn Tx, task: &Task, server: &mut Server) -> Result<Option<BlobKey>, StoreError> {
    use ServerAction as A;
    let details = &mut server.details;
    match task.action {
        A::Delete | A::ForceDelete => server.deleted = true,
        A::Shelve | A::ShelveOffload => details.host = None,
        A::Unshelve => {
            if let Some(image) = details.shelved_image.take() {
                return snapshots::remove(tx, image);
            }
        }
        A::Resize => {
            if let Some(flavor) = details.other_flavor.as_mut() {
                std::mem::swap(flavor, &mut server.flavor);
            }
            details.disk_config = disk_config(task).unwrap_or(details.disk_config);
        }
        A::ConfirmResize => details.other_flavor = None,
        A::RevertResize => {
            if let Some(flavor) = details.other_flavor.take() {
                server.flavor = flavor;
            }
        }
        _ => {}
    }
    Ok(None)
}

fn after_failure(task: &Task, server: &mut Server, reason: &str, now: Timestamp) {
    let id = server.id;
    let message = match task.action {
        ServerAction::Create => {
            server.details.host = None;
            format!(
                "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures for instance {id}."
            )
        }
        action => format!("Action '{}' on instance {id} failed.", action.rule().word),
    };
    match task.action {
        ServerAction::Resize => server.details.other_flavor = None,
        ServerAction::Unshelve => server.details.host = None,
        ServerAction::Shelve => server.details.shelved_image = None,
        _ => {}
    }
    server.details.fault = Some(ServerFault { code: 500, message, details: Some(reason.to_owned()), created_at: now });
}

/// After a start of the process: takes back what it had begun. Before any of its workers takes a task.
///
/// # Errors
/// The store's.
pub async fn take_back(tools: Tools<'_>) -> Result<(), StoreError> {
    let worker = tools.worker.to_owned();
    tools.store.write(move |tx| tasks::release(tx, &worker)).await
}
