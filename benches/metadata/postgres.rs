//! PostgreSQL under the server, and bare: the same statements on the same rows, in the batches and on as many connections as the engine
//! has, without HTTP and without scripts.

use std::sync::mpsc;

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use super::cluster::Cluster;
use super::floors::{Waiting, batch, map, press};
use super::target::copies;

/// As many connections write as in the engine, and as many changes make a batch.
const LANES: usize = 2;
const BATCH_MAX: usize = 256;

/// Copies a row many times; the ids are those of `copies`.
pub fn copy(cluster: &Cluster, table: &str, id: &str, count: u64) {
    let columns = cluster.sql(&format!(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns WHERE table_name = '{table}' AND column_name <> 'id'"
    ));
    let others = columns.trim();
    cluster.sql(&format!(
        "INSERT INTO {table} (id, {others}) SELECT lpad(to_hex((number * 2654435769) & 4294967295), 8, '0') \
         || '-0000-4000-8000-' || lpad(to_hex(number), 12, '0'), {others} \
         FROM generate_series(1::bigint, {}) AS number, {table} WHERE id = '{id}'",
        count - 1
    ));
    cluster.sql(&format!("VACUUM ANALYZE {table}"));
}

/// `--floor-postgres URL FIRST-ID ROWS CLIENTS SECONDS`: commits changes of rows in groups, and prints changes per second and processor
/// microseconds of this process for each.
pub fn commit_rows(arguments: &[String]) {
    let [url, first, rows, clients, seconds] = arguments else {
        panic!("--floor-postgres URL FIRST-ID ROWS CLIENTS SECONDS")
    };
    let ids = std::sync::Arc::new(copies(first, rows.parse().expect("rows")));
    let lane = |number: usize| {
        let (queue, waiting) = mpsc::sync_channel(8192);
        let (url, ids) = (url.clone(), ids.clone());
        (queue, std::thread::spawn(move || Lane::new(&url, number).commit_in_groups(&waiting, &ids)))
    };
    let (queues, lanes): (Vec<_>, Vec<_>) = (0..LANES).map(lane).unzip();
    press(queues, clients.parse().expect("clients"), seconds.parse().expect("seconds"));
    lanes.into_iter().for_each(|lane| lane.join().expect("a lane ends when nobody waits"));
}

struct Lane {
    runtime: Runtime,
    client: Client,
    name: String,
    read: Statement,
    write: Statement,
    mark: Statement,
}

impl Lane {
    fn new(url: &str, number: usize) -> Lane {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let name = format!("floor{number}");
        let made = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute("SET jit = off; SET enable_seqscan = off; SET lock_timeout = '20ms'").await?;
            client.execute("INSERT INTO commit_marks VALUES ($1, 0) ON CONFLICT DO NOTHING", &[&name]).await?;
            let read = client
                .prepare(
                    "SELECT project_id, vm_state, task_state, launched_at, locked, metadata FROM servers \
                     WHERE id = $1 AND deleted = 0",
                )
                .await?;
            let write = client.prepare("UPDATE servers SET metadata = $1, updated_at = $2 WHERE id = $3").await?;
            let mark =
                client.prepare("UPDATE commit_marks SET number = $1, seen = now() WHERE connection = $2").await?;
            Ok::<_, tokio_postgres::Error>((client, read, write, mark))
        });
        let (client, read, write, mark) = made.unwrap_or_else(|error| panic!("a connection: {error}"));
        Lane { runtime, client, name, read, write, mark }
    }

    fn commit_in_groups(&self, waiting: &mpsc::Receiver<Waiting>, ids: &[String]) {
        let mut number = 0;
        while let Some(batch) = batch(waiting, BATCH_MAX) {
            number += 1;
            self.keep(&batch, ids, number);
            for (_, reply) in batch {
                let _ = reply.send(());
            }
        }
    }

    /// In halves where it conflicts with the other lane, as the engine does.
    fn keep(&self, batch: &[Waiting], ids: &[String], number: i64) {
        while let Err(error) = self.runtime.block_on(self.commit(batch, ids, number)) {
            let code = error.code().map_or("", |code| code.code()).to_owned();
            assert!(["40001", "40P01", "55P03"].contains(&code.as_str()), "{error}");
            self.runtime.block_on(self.client.batch_execute("ROLLBACK")).expect("a transaction can be ended");
            if batch.len() > 1 {
                let (one, other) = batch.split_at(batch.len() / 2);
                self.keep(one, ids, number);
                return self.keep(other, ids, number);
            }
        }
    }

    async fn commit(&self, batch: &[Waiting], ids: &[String], number: i64) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE").await?;
        for (value, _) in batch {
            let id = &ids[(value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % ids.len()];
            let before: String = self.client.query_one(&self.read, &[id]).await?.get(5);
            std::hint::black_box(before.len());
            self.client.execute(&self.write, &[&map(*value), &(*value as i64), id]).await?;
        }
        self.client.execute(&self.mark, &[&number, &self.name]).await?;
        self.client.batch_execute("COMMIT").await
    }
}
