//! Connections that are lost: at each piece of what one write says to the server, and again and again under load. Each write is done exactly once
//! where it was acknowledged.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kilonova::store::{Store, StoreError, Tx};

use crate::cluster::{Cluster, Plan};
use crate::failing::Cloud;
use crate::proxy::{Cut, Proxy};

fn with_tcp() -> (Cluster, u16) {
    // nobody else is given it soon
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let settings = format!("{} -c listen_addresses=127.0.0.1", Plan::default().settings);
    (Cluster::with(Plan { settings, ports: [port, port], ..Plan::default() }), port)
}

/// Notes a number; nothing keeps it from being noted twice.
async fn note(store: &Store, number: i64) -> Result<(), StoreError> {
    let script = move |tx: &mut dyn Tx| {
        // a question, a change that is not waited for, and the commit
        tx.number("SELECT count(*) FROM noted WHERE number = $1", &[number.into()])?;
        tx.change("INSERT INTO noted (number) VALUES ($1)", &[number.into()])?;
        tx.change("UPDATE noted SET number = number WHERE number = $1", &[number.into()])
    };
    store.write(script).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_connection_is_cut_at_any_piece_is_done_once() {
    let (cluster, port) = with_tcp();
    let proxy = Proxy::to(port).await;
    let url = format!("postgres://postgres@{}/kilonova", proxy.address);
    let store = Store::postgres(&url).await.expect("it is reached through the proxy");
    cluster.sql("CREATE TABLE noted (number BIGINT NOT NULL)");
    let mut noted = 0;
    for how in [Cut::Before, Cut::Within, Cut::After] {
        let mut cuts = 0;
        for piece in 0.. {
            // a connection that is there, with its statements prepared, unless this is about how it is made
            note(&store, 1000).await.expect("nothing is cut");
            proxy.cut(piece, how);
            noted += 1;
            let outcome = note(&store, noted).await;
            let was_cut = proxy.mend();
            outcome.unwrap_or_else(|error| panic!("{how:?} at piece {piece}: {error}"));
            let count = cluster.sql(&format!("SELECT count(*) FROM noted WHERE number = {noted}"));
            assert_eq!(count.trim(), "1", "{how:?} at piece {piece}");
            if !was_cut {
                break;
            }
            cuts += 1;
        }
        assert!(cuts >= 2, "{how:?}: a question and a commit at least: {cuts}");
    }
}

/// How many changes each client makes.
const CHANGES: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_are_cancelled_and_connections_that_are_ended_lose_nothing() {
    let cluster = Cluster::start();
    let url = cluster.url();
    let cloud = Arc::new(Cloud::on(cluster, &url).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let (ending, over) = (cloud.clone(), is_over.clone());
    let harm = tokio::task::spawn_blocking(move || {
        let mut rounds = 0;
        while !over.load(Ordering::SeqCst) {
            for harm in ["pg_terminate_backend", "pg_cancel_backend"] {
                ending
                    .cluster
                    .sql(&format!("SELECT {harm}(pid) FROM pg_stat_activity WHERE application_name = 'kilonova'"));
            }
            rounds += 1;
        }
        rounds
    });
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let cloud = cloud.clone();
            tokio::spawn(async move {
                let mut kept = Vec::new();
                for change in 0..CHANGES {
                    let key = format!("c{client}-{change}");
                    let body = format!(r#"{{"meta": {{"{key}": "v"}}}}"#);
                    let reply = cloud.member.put(&format!("{}/{key}", cloud.path), &body).await;
                    match reply.status {
                        200 => kept.push(key),
                        // who is refused before anybody knows who it is hears it from Identity; all say when to come back
                        503 => assert!(reply.header("retry-after").is_some(), "{}", reply.text()),
                        status => panic!("{status}: {}", reply.text()),
                    }
                }
                kept
            })
        })
        .collect();
    let mut kept = Vec::new();
    for client in clients {
        kept.extend(client.await.expect("each answer is 200 or 503"));
    }
    is_over.store(true, Ordering::SeqCst);
    let rounds: u32 = harm.await.expect("the server is there all the time");
    cloud.recovers().await;
    let there = cloud.member.get(&cloud.path).await.is(200).at("metadata");
    let lost: Vec<_> = kept.iter().filter(|key| there.get(key).is_none()).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(rounds > 0 && !kept.is_empty(), "{rounds} rounds, {} kept", kept.len());
}
