//! What a driver is asked to do for each action, and how that ended. What becomes of the server then is recorded by `work`.

use super::{Tools, blob_key, image_of};
use crate::blobs::Written;
use crate::compute::guests;
use crate::hypervisor::{Driver, DriverError, PowerOp, Spec};
use crate::json::Json;
use crate::model::disk_config::DiskConfig;
use crate::model::server::{PowerState, ServerAction, VmState};
use crate::model::server_record::Server;
use crate::store::tasks::{self, Task};
use crate::store::{StoreError, Tx, snapshots};

/// How a driver's part ended.
pub(super) struct Done {
    pub(super) power: PowerState,
    pub(super) image: Option<(Written, &'static str)>,
}

impl From<PowerState> for Done {
    fn from(power: PowerState) -> Done {
        Done { power, image: None }
    }
}

/// Why it did not end well.
pub(super) enum Failure {
    /// It cannot be done; for administrators and the log.
    OfDriver(String),
    /// It is not known how far it has come: the task remains, and is done again.
    OfStore(StoreError),
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Failure {
        Failure::OfDriver(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::OfStore(error)
    }
}

/// Has the driver do it. Every call can be made again.
pub(super) async fn perform(tools: Tools<'_>, task: &Task, server: &Server) -> Result<Done, Failure> {
    use ServerAction as A;
    let (driver, id) = (tools.driver, server.id);
    if expects_guest(task, server) {
        // this process may not have seen it yet
        guests::find_again(tools, server).await;
    }
    let power = |op| driver.power(id, op);
    let power = match task.action {
        A::Create => build_and_start(driver, &spec(server)).await?,
        A::Start => driver.start(id).await?,
        A::Stop => power(PowerOp::SoftOff).await?,
        A::Pause => power(PowerOp::Pause).await?,
        A::Unpause => power(PowerOp::Unpause).await?,
        A::Suspend => power(PowerOp::Suspend).await?,
        A::Resume => power(PowerOp::Resume).await?,
        A::RebootSoft => power(PowerOp::SoftReboot).await?,
        A::RebootHard => power(PowerOp::HardReboot).await?,
        A::Rescue => {
            let image = task.payload.get("image_id").and_then(Json::as_str).and_then(|id| id.parse().ok());
            driver.rescue(id, image).await?
        }
        A::Unrescue => driver.unrescue(id).await?,
        A::Delete | A::ForceDelete => {
            driver.destroy(id).await?;
            PowerState::NoState
        }
        A::SoftDelete => power(PowerOp::SoftOff).await?,
        A::Restore => driver.start(id).await?,
        A::Shelve => return shelve(tools, task, server).await,
        A::ShelveOffload => {
            driver.destroy(id).await?;
            PowerState::Shutdown
        }
        A::Unshelve => {
            let image = server.details.shelved_image.or(server.image_id);
            build_and_start(driver, &Spec { image, ..spec(server) }).await?
        }
        A::Resize | A::RevertResize => resize(driver, server, &other_spec(task, server)).await?,
        A::ConfirmResize => server.state.power_state,
        A::Rebuild => {
            driver.destroy(id).await?;
            let was_off = server.state.vm_state == VmState::Stopped;
            driver.build(&spec(server)).await?;
            if was_off { PowerState::Shutdown } else { driver.start(id).await? }
        }
        A::CreateImage | A::CreateBackup => {
            let image = snapshot(tools, task).await?;
            return Ok(Done { power: server.state.power_state, image: Some(image) });
        }
        // none of these has steps, so none of them is ever recorded as a task
        A::ChangePassword | A::Update | A::UpdateMetadata | A::DeleteMetadata | A::Lock | A::Unlock => {
            server.state.power_state
        }
        A::ResetToActive | A::ResetToError | A::ConsoleOutput => server.state.power_state,
    };
    Ok(power.into())
}

/// Whether what is done is done to a guest that is there already.
fn expects_guest(task: &Task, server: &Server) -> bool {
    server.details.host.is_some() && !matches!(task.action, ServerAction::Create | ServerAction::Unshelve)
}

async fn build_and_start(driver: &dyn Driver, spec: &Spec) -> Result<PowerState, DriverError> {
    driver.build(spec).await?;
    driver.start(spec.id).await
}

/// Off, the new size, the larger disk, and on again if it was on.
async fn resize(driver: &dyn Driver, server: &Server, spec: &Spec) -> Result<PowerState, DriverError> {
    let was_off = match server.state.old_vm_state {
        Some(state) => state == VmState::Stopped,
        None => server.state.vm_state == VmState::Stopped,
    };
    driver.power(server.id, PowerOp::SoftOff).await?;
    driver.build(spec).await?;
    if spec.root_gb > 0 {
        driver.resize_disk(server.id, u64::from(spec.root_gb) << 30, spec.disk_config).await?;
    }
    if was_off { Ok(PowerState::Shutdown) } else { driver.start(server.id).await }
}

/// What the guest is with the other flavor of a resize.
fn other_spec(task: &Task, server: &Server) -> Spec {
    let flavor = server.details.other_flavor.as_ref().unwrap_or(&server.flavor).clone();
    let spec = spec(&Server { flavor, ..server.clone() });
    let disk_config = disk_config(task).unwrap_or(spec.disk_config);
    Spec { disk_config, ..spec }
}

/// How a resize shall have the disk configured, if it says so.
pub(super) fn disk_config(task: &Task) -> Option<DiskConfig> {
    task.payload.get("disk_config")?.as_str()?.parse().ok()
}

/// An image of it first. Only when that is safe, and known to be, is the guest given up: whoever begins the task again after that has no
/// guest to make an image of.
async fn shelve(tools: Tools<'_>, task: &Task, server: &Server) -> Result<Done, Failure> {
    if !tasks::has_image(task) {
        tools.driver.power(server.id, PowerOp::SoftOff).await?;
        let image = snapshot(tools, task).await?;
        if !keep_image(tools, task, image).await? {
            return Err(Failure::OfDriver("its image was deleted before it was finished".to_owned()));
        }
    }
    tools.driver.destroy(server.id).await?;
    Ok(PowerState::Shutdown.into())
}

/// Makes the image of a task active before the task is done; false where it is gone.
async fn keep_image(
    tools: Tools<'_>,
    task: &Task,
    (written, disk_format): (Written, &'static str),
) -> Result<bool, Failure> {
    let (Some(image), Some(key)) = (image_of(task), blob_key(task)) else { return Ok(false) };
    let (id, worker, now, blob) = (task.id.clone(), tools.worker.to_owned(), (tools.clock)(), key.clone());
    let script = move |tx: &mut dyn Tx| {
        if !tasks::is_held(tx, &id, &worker)? {
            return Err(StoreError::Conflict("another worker has taken the task over".into()));
        }
        tasks::note_image(tx, &id)?;
        snapshots::active(tx, image, (&blob, &written, disk_format), now)
    };
    let kept = tools.store.write(script).await?;
    if !kept {
        // a blob that is not removed here is removed by the sweep
        let _ = tools.blobs.delete(&key).await;
    }
    Ok(kept)
}

async fn snapshot(tools: Tools<'_>, task: &Task) -> Result<(Written, &'static str), Failure> {
    let key = blob_key(task).ok_or_else(|| Failure::OfDriver("the task names no image".to_owned()))?;
    let snapshot = tools.driver.snapshot(task.server).await?;
    let written = tools.blobs.write(&key, snapshot.chunks, tools.image_bytes_max).await;
    match written {
        Ok(written) => Ok((written, snapshot.disk_format)),
        Err(error) => Err(Failure::OfDriver(error.to_string())),
    }
}

/// What the guest of a server is.
pub fn spec(server: &Server) -> Spec {
    let flavor = &server.flavor;
    Spec {
        id: server.id,
        name: server.name.clone(),
        image: server.image_id,
        memory_mb: flavor.memory_mb,
        vcpus: flavor.vcpus,
        root_gb: flavor.root_gb,
        ephemeral_gb: flavor.ephemeral_gb,
        swap_mb: flavor.swap,
        disk_config: server.details.disk_config,
        power: server.state.power_state,
    }
}
