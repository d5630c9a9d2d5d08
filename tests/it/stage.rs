//! Servers in any state, put into the store directly: the API leads to some states only by accident (no `launched_at`), and to
//! others by a long way.

use kilonova::store::{StoreError, Tx};

use crate::house::{House, id_of};

/// A server's row, as far as what it permits depends on it.
#[derive(Debug, Clone)]
pub struct Actor {
    pub id: &'static str,
    pub project: &'static str,
    pub vm_state: &'static str,
    pub task_state: Option<&'static str>,
    pub locked: bool,
    pub deleted: bool,
    pub launched: bool,
    /// The metadata, as JSON.
    pub items: String,
}

impl Actor {
    /// A server of the project `blue` that is up, with one item.
    pub fn new(id: &'static str) -> Actor {
        Actor {
            id,
            project: "blue",
            vm_state: "active",
            task_state: None,
            locked: false,
            deleted: false,
            launched: true,
            items: r#"{"a": "1"}"#.into(),
        }
    }

    /// So many items: `k0` … `kN`, each `v`.
    pub fn with_items(self, count: usize) -> Actor {
        Actor { items: items(count), ..self }
    }

    /// Puts it into the house, in place of one of the same id.
    pub async fn enters(self, house: &House) {
        let project = id_of(self.project);
        let script = move |tx: &mut dyn Tx| {
            tx.execute("DELETE FROM servers WHERE id = $1", &[self.id.into()])?;
            tx.execute(
                "INSERT INTO servers (id, project_id, user_id, name, vm_state, task_state, power_state, locked, deleted, \
                 flavor_id, metadata, details, created_at, updated_at, launched_at) \
                 VALUES ($1, $2, 'u', 's', $3, $4, 1, $5, $6, '1', $7, '{}', 0, 0, $8)",
                &[
                    self.id.into(),
                    project.as_str().into(),
                    self.vm_state.into(),
                    self.task_state.into(),
                    self.locked.into(),
                    self.deleted.into(),
                    self.items.as_str().into(),
                    self.launched.then_some(0).into(),
                ],
            )?;
            Ok::<_, StoreError>(())
        };
        house.cloud.store.write(script).await.expect("a server can be put on the stage");
    }
}

/// `{"k0": "v", …}`.
pub fn items(count: usize) -> String {
    let items: Vec<String> = (0..count).map(|index| format!(r#""k{index}": "v""#)).collect();
    format!("{{{}}}", items.join(", "))
}

/// Sets a limit of a project (`user` empty), or of one of its users.
pub async fn limit(house: &House, project: &str, user: &str, resource: &'static str, limit: i64) {
    let (project, user) = (id_of(project), if user.is_empty() { String::new() } else { id_of(user) });
    let script = move |tx: &mut dyn Tx| {
        tx.execute(
            "INSERT INTO quotas (project_id, user_id, resource, hard_limit) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (project_id, user_id, resource) DO UPDATE SET hard_limit = excluded.hard_limit",
            &[project.as_str().into(), user.as_str().into(), resource.into(), limit.into()],
        )
        .map_err(StoreError::from)
    };
    house.cloud.store.write(script).await.expect("a limit can be set");
}
