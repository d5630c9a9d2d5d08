//! The people, images and servers that the cases ask about.

use std::collections::BTreeMap;

use super::normal::Names;
use crate::house::{Client, House, id_of};
use crate::stage::{self, Actor};
use kilonova::model::image::Visibility;

/// A house with everything in it.
pub struct Seeded {
    pub house: House,
    pub people: BTreeMap<&'static str, Client>,
    pub names: Names,
}

pub async fn seeded() -> Seeded {
    let house = House::new().await;
    let mut people = BTreeMap::new();
    for (who, role, project) in [
        ("demo", "member", "conf-demo"),
        ("reader", "reader", "conf-demo"),
        ("other", "member", "conf-other"),
        ("admin", "admin", "conf-admin"),
    ] {
        people.insert(who, house.person(role, project).await);
    }
    let mut names = BTreeMap::new();
    names.insert("project_id".to_owned(), id_of("conf-demo"));
    names.insert("other_project_id".to_owned(), id_of("conf-other"));
    names.insert("admin_project_id".to_owned(), id_of("conf-admin"));
    let ids = [
        ("server_id", "6f9c6b2e-0000-4000-8000-000000000001", "active"),
        ("locked_server_id", "6f9c6b2e-0000-4000-8000-000000000002", "active"),
        ("stopped_server_id", "6f9c6b2e-0000-4000-8000-000000000003", "stopped"),
        ("paused_server_id", "6f9c6b2e-0000-4000-8000-000000000004", "paused"),
        ("suspended_server_id", "6f9c6b2e-0000-4000-8000-000000000005", "suspended"),
        ("rescued_server_id", "6f9c6b2e-0000-4000-8000-000000000006", "rescued"),
        ("shelved_server_id", "6f9c6b2e-0000-4000-8000-000000000007", "shelved_offloaded"),
        ("error_server_id", "6f9c6b2e-0000-4000-8000-000000000008", "error"),
        ("other_server_id", "6f9c6b2e-0000-4000-8000-000000000009", "active"),
        ("deleted_server_id", "6f9c6b2e-0000-4000-8000-00000000000a", "deleted"),
    ];
    for (name, id, vm_state) in ids {
        let project = if name == "other_server_id" { "conf-other" } else { "conf-demo" };
        let (locked, deleted) = (name == "locked_server_id", name == "deleted_server_id");
        let items = r#"{"k1": "v1"}"#.into();
        Actor { project, vm_state: vm_state.into(), locked, deleted, items, ..Actor::new(id) }.enters(&house).await;
        names.insert(name.to_owned(), id.to_owned());
    }
    for (number, (name, project, visibility)) in [
        ("image_id", "conf-demo", Visibility::Shared),
        ("protected_image_id", "conf-demo", Visibility::Shared),
        ("other_image_id", "conf-other", Visibility::Shared),
        ("public_image_id", "conf-admin", Visibility::Public),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("6f9c6b2e-0000-4000-9000-00000000000{number}");
        stage::image(&house, &id, project, visibility, &[("k1", "v1")]).await;
        names.insert(name.to_owned(), id);
    }
    names.insert("deleted_image_id".to_owned(), "6f9c6b2e-0000-4000-9000-00000000000f".to_owned());
    Seeded { house, people, names: Names(names) }
}
