//! Images, and servers in any state, put into the store directly: the API leads to some states only by accident (no `launched_at`), and to
//! others by a long way.

use kilonova::model::ids::ServerId;
use kilonova::model::image::{Image, ImageStatus, Properties, Property, Visibility};
use kilonova::model::time::Timestamp;
use kilonova::store::{StoreError, Tx, images};

use crate::house::{House, id_of};

/// A server's row, as far as what it permits depends on it.
#[derive(Debug, Clone)]
pub struct Actor {
    pub id: &'static str,
    pub project: &'static str,
    pub vm_state: String,
    pub task_state: Option<String>,
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
            vm_state: "active".into(),
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
            tx.execute("DELETE FROM servers WHERE number = $1", &[number_of(self.id).into()])?;
            tx.execute(
                "INSERT INTO servers (id, project_id, user_id, name, vm_state, task_state, power_state, locked, deleted, \
                 flavor_id, vcpus, memory_mb, metadata, details, created_at, updated_at, launched_at, number) \
                 VALUES ($1, $2, 'u', 's', $3, $4, 1, $5, $6, '1', 1, 512, $7, '{\"flavor\": {\"id\": \"1\", \"name\": \"m1.tiny\", \"memory_mb\": 512, \"vcpus\": 1, \"root_gb\": 1, \"ephemeral_gb\": 0, \"swap\": 0, \"rxtx_factor\": 1.0, \"is_public\": true, \"disabled\": false, \"extra_specs\": {}}}', 0, 0, $8, $9)",
                &[
                    self.id.into(),
                    project.as_str().into(),
                    self.vm_state.as_str().into(),
                    self.task_state.as_deref().into(),
                    self.locked.into(),
                    self.deleted.into(),
                    self.items.as_str().into(),
                    self.launched.then_some(0).into(),
                    number_of(self.id).into(),
                ],
            )?;
            Ok::<_, StoreError>(())
        };
        house.cloud.store.write(script).await.expect("a server can be put on the stage");
    }
}

/// The number by which a server is found.
pub fn number_of(id: &str) -> i64 {
    id.parse::<ServerId>().expect("a UUID").number()
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
    };
    house.cloud.store.write(script).await.expect("a limit can be set");
}

/// Sets a limit for everybody who has none of their own.
pub async fn default_class_limit(house: &House, resource: &'static str, limit: i64) {
    let script = move |tx: &mut dyn Tx| {
        tx.execute(
            "INSERT INTO quota_classes (class, resource, hard_limit) VALUES ('default', $1, $2)",
            &[resource.into(), limit.into()],
        )
    };
    house.cloud.store.write(script).await.expect("a limit can be set");
}

/// Takes all limits away.
pub async fn no_limits(house: &House) {
    let script = |tx: &mut dyn Tx| {
        tx.execute("DELETE FROM quotas", &[])?;
        tx.execute("DELETE FROM quota_classes", &[])
    };
    house.cloud.store.write(script).await.expect("limits can be taken away");
}

/// An image with these properties.
pub async fn image(house: &House, id: &str, project: &str, visibility: Visibility, properties: &[(&str, &str)]) {
    let property = |(name, value): &(&str, &str)| Property { name: (*name).into(), value: Some((*value).into()) };
    let image = Image {
        id: id.parse().expect("an id"),
        owner: id_of(project).parse().expect("an id"),
        name: Some("oracle".into()),
        status: ImageStatus::Active,
        visibility,
        protected: true,
        os_hidden: false,
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        min_ram_mb: 0,
        min_disk_gb: 0,
        size: None,
        virtual_size: None,
        checksum: None,
        os_hash_algo: None,
        os_hash_value: None,
        blob: None,
        tags: Vec::new(),
        properties: properties.iter().map(property).collect::<Properties>(),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        member: None,
    };
    let script = move |tx: &mut dyn Tx| images::insert(tx, &image);
    house.cloud.store.write(script).await.expect("an image can be put on the stage");
}
