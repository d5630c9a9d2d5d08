//! What the requests are about: one thing of each kind, all of the project `blue`. It is set up once, a copy of every table is kept,
//! and whatever a request has changed is put back from there.

use kilonova::model::image::Visibility;
use kilonova::store::{StoreError, Tx};

use super::people::PEOPLE;
use crate::house::{House, id_of};
use crate::stage::{self, Actor};

pub const SERVER: &str = "6f9c6b2e-0000-4000-8000-000000000001";
/// Private to `blue`, with data.
pub const IMAGE: &str = "6f9c6b2e-0000-4000-8000-000000000002";
/// Public, of a project that nobody here is in.
pub const OPEN_IMAGE: &str = "6f9c6b2e-0000-4000-8000-000000000003";

/// Every table, those that others refer to first.
const TABLES: &[&str] = &[
    "domains",
    "projects",
    "users",
    "roles",
    "implied_roles",
    "grants",
    "application_credentials",
    "revoked_tokens",
    "regions",
    "services",
    "endpoints",
    "images",
    "image_members",
    "flavors",
    "flavor_access",
    "servers",
    "quotas",
    "quota_classes",
    "tasks",
    "key_pairs",
];

/// A house with all the things and people in it.
pub async fn furnished() -> House {
    let house = House::new().await;
    let blue = [("blue", "default"), ("green", "default"), ("violet", "default"), ("polar", "north")];
    write(&house, move |tx| {
        tx.execute("INSERT INTO domains (id, name, description, enabled, extra) VALUES ('north', 'north', '', 1, '{}')", &[])?;
        for (project, domain) in blue {
            let sql = "INSERT INTO projects (id, domain_id, name, description, enabled, parent_id, tags, extra) \
                       VALUES ($1, $2, $3, '', 1, $4, '[]', '{}')";
            tx.execute(sql, &[id_of(project).as_str().into(), domain.into(), project.into(), domain.into()])?;
        }
        PEOPLE.iter().try_for_each(|person| person.enter(tx))
    })
    .await;
    let password = house.cloud.passwords.hash(kilonova::backlog::Share::OWN, kilonova::identity::secret::Secret::new("first"), &mut |bytes: &mut [u8]| house.cloud.fill_with_chance(bytes));
    let hash = password.await.expect("a password can be hashed");
    Actor { project: "blue", ..Actor::new(SERVER) }.enters(&house).await;
    stage::image(&house, IMAGE, "blue", Visibility::Private, &[("a", "0")]).await;
    stage::image(&house, OPEN_IMAGE, "violet", Visibility::Public, &[]).await;
    write(&house, move |tx| things(tx, &hash)).await;
    write(&house, |tx| {
        for table in TABLES {
            tx.execute(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"), &[])?;
        }
        Ok(())
    })
    .await;
    house
}

fn things(tx: &mut dyn Tx, hash: &str) -> Result<(), StoreError> {
    let (member, blue) = (id_of("member"), id_of("blue"));
    tx.execute("UPDATE users SET password_hash = $1 WHERE id = $2", &[hash.into(), member.as_str().into()])?;
    tx.execute("UPDATE servers SET user_id = $1 WHERE number = $2", &[member.as_str().into(), stage::number_of(SERVER).into()])?;
    tx.execute("UPDATE images SET protected = 0, tags = '[\"t\"]' WHERE id = $1", &[IMAGE.into()])?;
    for (id, is_public) in [("open", 1), ("private", 0)] {
        let sql = "INSERT INTO flavors (id, name, memory_mb, vcpus, root_gb, ephemeral_gb, swap_mb, rxtx_factor, is_public, disabled, \
                   extra_specs, created_at) VALUES ($1, $2, 512, 1, 1, 0, 0, '1.0', $3, 0, '{\"a\": \"1\"}', 0)";
        tx.execute(sql, &[id.into(), id.into(), is_public.into()])?;
    }
    tx.execute("INSERT INTO flavor_access (flavor_id, project_id) VALUES ('private', $1)", &[blue.as_str().into()])?;
    for (number, person) in (1..).zip(PEOPLE) {
        let sql = "INSERT INTO key_pairs (user_id, name, number, type, public_key, fingerprint, created_at) \
                   VALUES ($1, 'pair', $2, 'ssh', 'ssh-ed25519 AAAA', '00', 0)";
        tx.execute(sql, &[person.user_id().as_str().into(), i64::into(number)])?;
    }
    tx.execute("INSERT INTO roles (id, domain_id, name, extra) VALUES ('painter', '', 'painter', '{}')", &[])?;
    tx.execute(
        "INSERT INTO implied_roles (prior_role_id, implied_role_id) SELECT 'painter', id FROM roles WHERE name = 'reader'",
        &[],
    )?;
    for (kind, target) in [("domain", "default"), ("system", "all")] {
        let sql = "INSERT INTO grants (user_id, target_kind, target_id, role_id) SELECT $1, $2, $3, id FROM roles WHERE name = 'reader'";
        // to somebody who does not ask anything: a role on more than one ground is more than a column says
        tx.execute(sql, &[id_of("nobody").as_str().into(), kind.into(), target.into()])?;
    }
    let sql = "INSERT INTO application_credentials (id, user_id, project_id, name, secret_hash, role_ids, unrestricted) \
               VALUES ('credential', $1, $2, 'credential', $3, '[]', 0)";
    tx.execute(sql, &[member.as_str().into(), blue.as_str().into(), hash.into()])?;
    tx.execute("INSERT INTO regions (id, description, extra) VALUES ('region', '', '{}')", &[])?;
    let sql = "INSERT INTO services (id, type, name, description, enabled, extra) VALUES ('service', 't', 'n', '', 1, '{}')";
    tx.execute(sql, &[])?;
    let sql = "INSERT INTO endpoints (id, service_id, interface, url, region_id, enabled, name, extra) \
               VALUES ('endpoint', 'service', 'public', 'http://e', 'region', 1, '', '{}')";
    tx.execute(sql, &[])?;
    Ok(())
}

/// Puts everything back as it was, then what one row needs otherwise.
pub async fn put_back(house: &House, given: &'static [&'static str]) {
    write(house, move |tx| {
        for table in TABLES.iter().rev() {
            tx.execute(&format!("DELETE FROM {table}"), &[])?;
        }
        for table in TABLES {
            tx.execute(&format!("INSERT INTO {table} SELECT * FROM kept_{table}"), &[])?;
        }
        for sql in given {
            tx.execute(sql, &[])?;
        }
        Ok(())
    })
    .await;
    house.cloud.callers.forget();
}

async fn write(house: &House, script: impl Fn(&mut dyn Tx) -> Result<(), StoreError> + Send + 'static) {
    house.cloud.store.write(script).await.expect("the stage can be set");
}
