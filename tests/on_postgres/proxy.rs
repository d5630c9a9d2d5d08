//! A network between the server and its database that can be cut at a chosen message.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// What was being sent does not arrive.
    Before,
    /// It arrives, and its answer does not come back.
    After,
    /// Half of it arrives.
    Within,
}

/// What passes on all that comes, until it is told to cut.
pub struct Proxy {
    pub address: SocketAddr,
    plan: Arc<Plan>,
}

struct Plan {
    how: Mutex<Cut>,
    /// So many pieces of what is asked pass until the cut; fewer than none: no cut.
    left: AtomicI64,
}

impl Proxy {
    /// To a server at this port of this machine.
    pub async fn to(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let plan = Arc::new(Plan { how: Mutex::new(Cut::Before), left: AtomicI64::new(-1) });
        let known = plan.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, port, known.clone()));
            }
        });
        Proxy { address, plan }
    }

    /// Cuts the connection on which the piece of this number, from 0, is asked.
    pub fn cut(&self, piece: i64, how: Cut) {
        *self.plan.how.lock().expect("nobody panics with it in hand") = how;
        self.plan.left.store(piece + 1, Ordering::SeqCst);
    }

    /// Cuts nothing any more; says whether anything was cut.
    pub fn mend(&self) -> bool {
        self.plan.left.swap(-1, Ordering::SeqCst) <= 0
    }
}

impl Plan {
    /// Whether this is where to cut.
    fn is_here(&self) -> Option<Cut> {
        let is_counting = |left: i64| (left > 0).then(|| left - 1);
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_counting);
        (before == Ok(1)).then(|| *self.how.lock().expect("nobody panics with it in hand"))
    }
}

async fn pass(client: TcpStream, port: u16, plan: Arc<Plan>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // from when on nothing comes back
    let deaf = Arc::new(Notify::new());
    let is_deaf = deaf.clone();
    let back = tokio::spawn(async move {
        tokio::select! {
            biased;
            () = is_deaf.notified() => {}
            _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
        }
        // what the server still says is read, so that it does all that it was asked for, and told to nobody
        drop(to_client);
        let mut rest = Vec::new();
        let _ = from_server.read_to_end(&mut rest).await;
    });
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from_client.read(&mut piece).await {
        let cut = plan.is_here();
        let arrives = match cut {
            None | Some(Cut::After) => length,
            Some(Cut::Within) => length / 2,
            Some(Cut::Before) => 0,
        };
        if cut.is_some() {
            deaf.notify_one();
        }
        if to_server.write_all(&piece[..arrives]).await.is_err() || cut.is_some() {
            break;
        }
    }
    // both sides see the end: the client by what it reads, the server by what it does not
    drop((from_client, to_server));
    let _ = back.await;
}
