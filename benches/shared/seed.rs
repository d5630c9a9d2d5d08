//! A data directory with very many servers and images in it, made in minutes: one of each is written as the server writes it, and copied row
//! by row in the embedded database. For the measurements that ask what a large cloud costs.

use std::path::Path;

use kilonova::json::{Json, Object};
use kilonova::model::disk_config::DiskConfig;
use kilonova::model::flavor::Flavor;
use kilonova::model::ids::{ImageId, ProjectId, ServerId, UserId};
use kilonova::model::image::{Image, ImageStatus, Properties, Property, Visibility};
use kilonova::model::metadata::Metadata;
use kilonova::model::server::{PowerState, ServerState, VmState};
use kilonova::model::server_record::{Details, HOST, Server};
use kilonova::model::time::Timestamp;
use kilonova::store::{Store, StoreError, Tx, Value, identity, images, items, migrate, servers};

/// So many rows are committed at once.
const BATCH: u64 = 10_000;
/// When the first of them was made: 2025-01-01T00:00:00Z, in microseconds. Each is a millisecond younger than the one before.
const FIRST_MADE: i64 = 1_735_689_600_000_000;

/// The id of the server of this number, from 0, as the server makes one at the time when it was made.
pub fn server_id(number: u64) -> String {
    ServerId::at(made(number), bits(0x5e, number)).to_string()
}

/// The id of the image of this number, from 0. They are spread like random ones.
pub fn image_id(number: u64) -> String {
    ImageId::from_random(bits(0x1a, number)).to_string()
}

fn made(number: u64) -> Timestamp {
    Timestamp::from_microseconds(FIRST_MADE + 1000 * number as i64)
}

fn bits(kind: u8, number: u64) -> [u8; 16] {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let mut bits = [kind; 16];
    bits[..6].copy_from_slice(&spread[..6]);
    bits[10..].copy_from_slice(&number.to_be_bytes()[2..]);
    bits
}

/// Puts so many servers that are up, with so many metadata items each (`key0`, `key1` …), and so many images with the same as properties
/// into the data directory of a cloud that was started once and is stopped. They belong to the project `demo`. What is there already
/// from an earlier call stays.
pub async fn seed(directory: &Path, servers: u64, items_each: usize, images: u64) {
    let store = Store::embedded(directory).await.expect("the database of a server that is stopped");
    let (user, project) = store.read(demo).await.expect("the first start makes demo");
    let items = (0..items_each).map(|key| (format!("key{key}"), format!("value-{key:010}"))).collect::<Vec<_>>();
    let (server, image) = (server(&project, &user, &items), image(&project, &items));
    let first = move |tx: &mut dyn Tx| {
        if servers > 0 && servers::place(tx, &server.id.to_string(), None)?.is_none() {
            servers::insert(tx, &server)?;
        }
        if images > 0 && images::find(tx, image.id, None)?.is_none() {
            images::insert(tx, &image)?;
        }
        Ok::<_, StoreError>(())
    };
    store.write(first).await.expect("one of each");
    let number_of = |id: &str| id.parse::<ServerId>().expect("an id").number();
    copy(&store, "servers", server_id, Some(number_of), servers).await;
    copy(&store, "images", image_id, None, images).await;
    store.close();
}

fn demo(tx: &mut dyn Tx) -> Result<(UserId, ProjectId), StoreError> {
    let missing = || StoreError::Damaged("there is no demo".into());
    let user = identity::active_user_named(tx, "demo", "default")?.ok_or_else(missing)?;
    let project = identity::active_project_named(tx, "demo", "default")?.ok_or_else(missing)?;
    Ok((user.id, project.id))
}

fn server(project_id: &ProjectId, user_id: &UserId, items: &[(String, String)]) -> Server {
    let items: Vec<String> = items.iter().map(|(key, value)| format!("\"{key}\": \"{value}\"")).collect();
    let made = Timestamp::from_microseconds(FIRST_MADE);
    Server {
        id: server_id(0).parse().expect("an id"),
        project_id: project_id.clone(),
        user_id: user_id.clone(),
        name: "seeded".into(),
        state: ServerState {
            vm_state: VmState::Active,
            task_state: None,
            power_state: PowerState::Running,
            progress: 0,
            old_vm_state: None,
            launched_at: Some(made),
            terminated_at: None,
            deleted_at: None,
        },
        lock: None,
        deleted: false,
        image_id: None,
        flavor: flavor(),
        metadata: items::map(&format!("{{{}}}", items.join(", "))).expect("a map"),
        created_at: made,
        updated_at: made,
        details: details(),
    }
}

fn flavor() -> Flavor {
    Flavor {
        flavorid: "1".parse().expect("an id"),
        name: "m1.tiny".into(),
        memory_mb: 512,
        vcpus: 1,
        root_gb: 1,
        ephemeral_gb: 0,
        swap: 0,
        rxtx_factor: 1.0,
        is_public: true,
        disabled: false,
        description: None,
        extra_specs: Metadata::new(),
        projects: Vec::new(),
    }
}

fn details() -> Details {
    Details {
        description: None,
        access_ipv4: None,
        access_ipv6: None,
        key_name: None,
        public_key: None,
        user_data: None,
        config_drive: false,
        pinned_zone: None,
        host: Some(HOST.into()),
        hostname: "seeded".into(),
        tags: Vec::new(),
        scheduler_hints: Object::new(),
        fault: None,
        other_flavor: None,
        disk_config: DiskConfig::Manual,
        trusted_certs: None,
        reservation_id: "r-seeded00".into(),
        launch_index: 0,
        image_properties: Object::new(),
        shelved_image: None,
        personality: Vec::new(),
        networks: Json::Null,
    }
}

fn image(project: &ProjectId, items: &[(String, String)]) -> Image {
    let made = Timestamp::from_microseconds(FIRST_MADE);
    let property = |(name, value): &(String, String)| Property { name: name.clone(), value: Some(value.clone()) };
    Image {
        id: image_id(0).parse::<ImageId>().expect("an id"),
        owner: project.clone(),
        name: Some("seeded".into()),
        status: ImageStatus::Queued,
        visibility: Visibility::Private,
        protected: false,
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
        properties: items.iter().map(property).collect::<Properties>(),
        created_at: made,
        updated_at: made,
        member: None,
    }
}

/// Copies the row of number 0 to all other numbers below `count` that are not there yet. `key` is what the table's `number` is for an id,
/// if it has one.
async fn copy(store: &Store, table: &'static str, id: fn(u64) -> String, key: Option<fn(&str) -> i64>, count: u64) {
    let columns = migrate::tables().into_iter().find(|known| known.name == table).expect("a table of ours").columns;
    let names: Vec<String> = columns.into_iter().map(|column| column.name).collect();
    let others: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !["id", "number", "created_at"].contains(name)).collect();
    let others = others.join(", ");
    let (number, value, first) = if key.is_some() { ("number, ", "$3, ", "$4") } else { ("", "", "$3") };
    let sql = format!(
        "INSERT INTO {table} (id, created_at, {number}{others}) SELECT $1, $2, {value}{others} FROM {table} WHERE id = {first} LIMIT 1 \
         ON CONFLICT DO NOTHING"
    );
    let last = id(count.saturating_sub(1));
    let looking = store.read(move |tx: &mut dyn Tx| {
        tx.number(&format!("SELECT count(*) FROM {table} WHERE id = $1"), &[last.as_str().into()])
    });
    if looking.await.expect("a number") > 0 {
        return;
    }
    for from in (1..count).step_by(BATCH as usize) {
        let (sql, until) = (sql.clone(), count.min(from + BATCH));
        let script = move |tx: &mut dyn Tx| {
            for number in from..until {
                let made = FIRST_MADE + 1000 * number as i64;
                let (id, first) = (id(number), id(0));
                let mut values = vec![Value::from(id.as_str()), made.into()];
                values.extend(key.map(|key| Value::from(key(&id))));
                values.push(first.as_str().into());
                tx.execute(&sql, &values)?;
            }
            Ok::<_, StoreError>(())
        };
        store.write(script).await.expect("copies");
    }
}
