//! The SQL of tasks: what a committed change still asks of the world, and who is at it.

use super::{Effect, StoreError, Tx};
use crate::json::{self, Json};
use crate::model::ids::ServerId;
use crate::model::moment::Moment;
use crate::model::server::ServerAction;

/// A task about a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Which.
    pub id: String,
    /// What is to be done.
    pub action: ServerAction,
    /// To which server.
    pub server: ServerId,
    /// What else there is to know.
    pub payload: Json,
    /// How often it was begun, this time included.
    pub attempts: i64,
}

/// A worker's hold on a task.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// Who.
    pub owner: &'a str,
    /// Now, in microseconds.
    pub now: i64,
    /// Until when nobody else takes it.
    pub until: i64,
}

/// Records a task, to be done after those that the server has already.
///
/// # Errors
/// The engine's.
pub fn record(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    server: ServerId,
    action: ServerAction,
    payload: &Json,
) -> Result<(), StoreError> {
    let (id, server) = (ServerId::from_random(moment.id()).to_string(), server.to_string());
    let payload = payload.to_string();
    tx.change(
        "INSERT INTO tasks (id, kind, subject_id, turn, payload, created_at, attempts, lease_until) VALUES ($1, $2, $3, \
         (SELECT coalesce(max(turn), 0) + 1 FROM tasks WHERE subject_id = $3), $4, $5, 0, 0)",
        &[
            id.as_str().into(),
            kind(action).into(),
            server.as_str().into(),
            payload.as_str().into(),
            moment.now.microseconds().into(),
        ],
    )?;
    tx.announce(Effect::TasksRecorded);
    Ok(())
}

/// Takes the oldest task that nobody is at and whose turn it is.
///
/// # Errors
/// The engine's.
pub fn claim(tx: &mut dyn Tx, lease: Lease<'_>) -> Result<Option<Task>, StoreError> {
    let found = tx.first(
        "SELECT id, kind, subject_id, payload, attempts FROM tasks WHERE lease_until <= $1 AND NOT EXISTS \
         (SELECT 1 FROM tasks AS earlier WHERE earlier.subject_id = tasks.subject_id AND earlier.turn < tasks.turn) \
         ORDER BY created_at, id LIMIT 1",
        &[lease.now.into()],
        |row| {
            let damaged = || StoreError::Damaged("a task is not one of ours".into());
            Ok(Task {
                id: row.text(0)?.to_owned(),
                action: action(row.text(1)?).ok_or_else(damaged)?,
                server: row.text(2)?.parse().map_err(|_| damaged())?,
                payload: json::parse(row.text(3)?.as_bytes()).map_err(|_| damaged())?,
                attempts: row.int(4)? + 1,
            })
        },
    )?;
    if let Some(task) = &found {
        tx.change(
            "UPDATE tasks SET lease_owner = $1, lease_until = $2, attempts = attempts + 1 WHERE id = $3",
            &[lease.owner.into(), lease.until.into(), task.id.as_str().into()],
        )?;
    }
    Ok(found)
}

/// Whether this worker still has the task. Another may have taken it over, or finished it.
///
/// # Errors
/// The engine's.
pub fn is_held(tx: &mut dyn Tx, id: &str, owner: &str) -> Result<bool, StoreError> {
    let count =
        tx.number("SELECT count(*) FROM tasks WHERE id = $1 AND lease_owner = $2", &[id.into(), owner.into()])?;
    Ok(count > 0)
}

/// Keeps a task for longer.
///
/// # Errors
/// The engine's.
pub fn renew(tx: &mut dyn Tx, id: &str, owner: &str, until: i64) -> Result<(), StoreError> {
    let sql = "UPDATE tasks SET lease_until = $1 WHERE id = $2 AND lease_owner = $3";
    tx.change(sql, &[until.into(), id.into(), owner.into()])
}

/// Notes that the image which a task makes is there, although the task is not done yet.
///
/// # Errors
/// The engine's.
pub fn note_image(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    let text = tx.first("SELECT payload FROM tasks WHERE id = $1", &[id.into()], |row| Ok(row.text(0)?.to_owned()))?;
    let payload = text.and_then(|text| json::parse(text.as_bytes()).ok()).and_then(Json::into_object);
    let mut payload = payload.ok_or_else(|| StoreError::Damaged("a task is not one of ours".into()))?;
    payload.insert(HAS_IMAGE, true);
    let payload = Json::from(payload).to_string();
    tx.execute("UPDATE tasks SET payload = $1 WHERE id = $2", &[payload.as_str().into(), id.into()]).map(|_| ())
}

/// Whether that was noted when the task was taken.
pub fn has_image(task: &Task) -> bool {
    task.payload.get(HAS_IMAGE).and_then(Json::as_bool).unwrap_or(false)
}

/// What `note_image` leaves in the payload.
const HAS_IMAGE: &str = "has_image";

/// Removes a task: it is done.
///
/// # Errors
/// The engine's.
pub fn remove(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    tx.change("DELETE FROM tasks WHERE id = $1", &[id.into()])
}

/// Gives back what a worker holds: it has died.
///
/// # Errors
/// The engine's.
pub fn release(tx: &mut dyn Tx, owner: &str) -> Result<(), StoreError> {
    tx.change("UPDATE tasks SET lease_until = 0 WHERE lease_owner = $1", &[owner.into()])
}

/// Whether anything remains to be done about a server.
///
/// # Errors
/// The engine's.
pub fn any_for(tx: &mut dyn Tx, server: ServerId) -> Result<bool, StoreError> {
    let server = server.to_string();
    Ok(tx.number("SELECT count(*) FROM tasks WHERE subject_id = $1", &[server.as_str().into()])? > 0)
}

fn action(kind_text: &str) -> Option<ServerAction> {
    ServerAction::ALL.iter().copied().find(|action| kind(*action) == kind_text)
}

/// The name of an action in the database.
fn kind(action: ServerAction) -> &'static str {
    use ServerAction as A;
    match action {
        A::RebootSoft => "reboot-soft",
        A::RebootHard => "reboot-hard",
        A::ResetToActive => "reset-to-active",
        A::ResetToError => "reset-to-error",
        A::SoftDelete => "soft-delete",
        A::UpdateMetadata
        | A::DeleteMetadata
        | A::Create
        | A::Update
        | A::Start
        | A::Stop
        | A::Pause
        | A::Unpause
        | A::Suspend
        | A::Resume
        | A::Lock
        | A::Unlock
        | A::Rescue
        | A::Unrescue
        | A::Shelve
        | A::ShelveOffload
        | A::Unshelve
        | A::Resize
        | A::ConfirmResize
        | A::RevertResize
        | A::Rebuild
        | A::CreateImage
        | A::CreateBackup
        | A::ChangePassword
        | A::Delete
        | A::ForceDelete
        | A::Restore
        | A::ConsoleOutput => action.rule().word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_found_by_its_name() {
        for wanted in ServerAction::ALL {
            assert_eq!(action(kind(*wanted)), Some(*wanted));
        }
    }
}
