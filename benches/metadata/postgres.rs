//! PostgreSQL under the server, and bare: the same statements on the same rows, in such batches and on one connection as the engine has, sent
//! as it sends them, without HTTP and without scripts.

use std::sync::mpsc;

use kilonova::model::ids::ServerId;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use super::cluster::Cluster;
use super::floors::{Waiting, batch, map, press};
use super::target::copies;

/// As many changes make a batch as in the engine.
const BATCH_MAX: usize = 256;

/// Copies a row many times; the ids are those of `copies`.
pub fn copy(cluster: &Cluster, table: &str, id: &str, count: u64) {
    let columns = cluster.sql(&format!(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns WHERE table_name = '{table}' AND column_name NOT IN ('id', 'number')"
    ));
    let others = columns.trim();
    let begins = "((copy * 2654435769) & 4294967295)";
    // a server's number is its id's first 60 bits without the version: behind these 32 all are zero
    let (number, value) =
        if table == "servers" { ("number, ", format!("{begins} << 28, ")) } else { ("", String::new()) };
    cluster.sql(&format!(
        "INSERT INTO {table} ({number}id, {others}) SELECT {value}lpad(to_hex({begins}), 8, '0') \
         || '-0000-4000-8000-' || lpad(to_hex(copy), 12, '0'), {others} \
         FROM generate_series(1::bigint, {}) AS copy, {table} WHERE id = '{id}'",
        count - 1
    ));
    cluster.sql(&format!("VACUUM ANALYZE {table}"));
}

fn number_of(id: &str) -> i64 {
    id.parse::<ServerId>().expect("the id of a server").number()
}

/// `--floor-postgres URL FIRST-ID ROWS CLIENTS SECONDS`: commits changes of rows in groups, and prints changes per second, processor
/// microseconds of this process for each, and in how many milliseconds 99 of 100 are done.
pub fn commit_rows(arguments: &[String]) {
    let [url, first, rows, clients, seconds] = arguments else {
        panic!("--floor-postgres URL FIRST-ID ROWS CLIENTS SECONDS")
    };
    let ids = copies(first, rows.parse().expect("rows"));
    let (queue, waiting) = mpsc::sync_channel(8192);
    let url = url.clone();
    let (ready, is_ready) = mpsc::sync_channel(1);
    let lane = std::thread::spawn(move || {
        let lane = Lane::new(&url);
        ready.send(()).expect("somebody waits for it");
        lane.commit_in_groups(&waiting, &ids);
    });
    is_ready.recv().expect("a lane");
    press(queue, clients.parse().expect("clients"), seconds.parse().expect("seconds"));
    lane.join().expect("the lane ends when nobody waits");
}

struct Lane {
    runtime: Runtime,
    client: Client,
    read: Statement,
    write: Statement,
    mark: Statement,
}

impl Lane {
    fn new(url: &str) -> Lane {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let made = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute("SET jit = off; SET enable_seqscan = off; SET lock_timeout = '20ms'").await?;
            client.batch_execute("INSERT INTO commit_marks VALUES ('floor', 0) ON CONFLICT DO NOTHING").await?;
            let read = client
                .prepare(
                    "SELECT project_id, vm_state, task_state, launched_at, locked, metadata FROM servers \
                     WHERE number = $1 AND id = $2 AND deleted = 0",
                )
                .await?;
            let write = client.prepare("UPDATE servers SET metadata = $1, updated_at = $2 WHERE number = $3").await?;
            let mark =
                client.prepare("UPDATE commit_marks SET number = $1, seen = now() WHERE connection = 'floor'").await?;
            Ok::<_, tokio_postgres::Error>((client, read, write, mark))
        });
        let (client, read, write, mark) = made.unwrap_or_else(|error| panic!("a connection: {error}"));
        Lane { runtime, client, read, write, mark }
    }

    fn commit_in_groups(&self, waiting: &mpsc::Receiver<Waiting>, ids: &[String]) {
        let mut number = 0;
        while let Some(batch) = batch(waiting, BATCH_MAX) {
            number += 1;
            self.runtime.block_on(self.commit(&batch, ids, number)).expect("nobody is in the way");
            for (_, reply) in batch {
                let _ = reply.send(());
            }
        }
    }

    /// What is written is sent together with what is read next, and the last with the commit.
    async fn commit(&self, batch: &[Waiting], ids: &[String], number: i64) -> Result<(), tokio_postgres::Error> {
        let mut last = None;
        for (value, _) in batch {
            let id = &ids[(value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % ids.len()];
            let (written, found) = tokio::join!(biased; self.before(last.as_ref()), async { self.client.query_one(&self.read, &[&number_of(id), id]).await });
            written?;
            let before: String = found?.get(5);
            std::hint::black_box(before.len());
            last = Some((map(*value), *value as i64, id));
        }
        let (written, marked, committed) = tokio::join!(
            biased;
            self.before(last.as_ref()),
            async { self.client.execute(&self.mark, &[&number]).await },
            self.client.batch_execute("COMMIT")
        );
        written.and(marked.map(|_| ())).and(committed)
    }

    /// The change that is still to be sent; at first, the beginning.
    async fn before(&self, last: Option<&(String, i64, &String)>) -> Result<(), tokio_postgres::Error> {
        match last {
            None => self.client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE").await,
            Some((map, now, id)) => self.client.execute(&self.write, &[map, now, &number_of(id)]).await.map(|_| ()),
        }
    }
}
