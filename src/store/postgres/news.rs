//! How processes on one database hear that identity has changed, or that a policy was published: PostgreSQL's notifications, sent with the
//! commit that did it. While the connection they come on is down nothing can be heard, so everything remembered is forgotten again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::connection::Connection;
use super::hosts::Hosts;
use super::lost::Lost;
use super::{Listener, spawn};
use crate::store::engine::{Effect, StoreError};

/// What others are told of, each on a channel of its own: to look for a policy costs a read, so nobody does it for every token that is revoked.
pub const CHANNELS: [(Effect, &str); 2] =
    [(Effect::IdentityChanged, "kilonova_identity"), (Effect::PolicyPublished, "kilonova_policy")];
/// How often a thread that waits looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);
/// After how many looks without news the server is asked whether it is still there: a cut network says nothing, for ever.
const LOOKS_PER_QUESTION: u32 = 5;
/// How long something remembered may outlive a change while nothing can be heard.
const DEAF: Duration = Duration::from_millis(100);

/// The thread that listens. It ends within `LOOK` of being told; nobody waits for it.
pub struct Listening(Arc<AtomicBool>);

impl Listening {
    /// Tells it to end.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts to listen.
pub fn listen(hosts: Hosts, listener: Arc<OnceLock<Listener>>) -> Result<Listening, StoreError> {
    let stopped = Arc::new(AtomicBool::new(false));
    let over = stopped.clone();
    spawn("postgres-news".into(), move || {
        let tell = |effect| {
            if let Some(listener) = listener.get() {
                listener(effect);
            }
        };
        while !over.load(Ordering::Relaxed) {
            let heard =
                Connection::open_for_reading(&hosts, None).map(|connection| hear(connection, &hosts, &over, &tell));
            if heard.is_err() || !over.load(Ordering::Relaxed) {
                tell_all(&tell);
                std::thread::sleep(DEAF);
            }
        }
    })?;
    Ok(Listening(stopped))
}

/// Passes on what is heard until the connection breaks, the process is at another host, or nobody wants to hear.
fn hear(mut connection: Connection, hosts: &Hosts, over: &AtomicBool, tell: &dyn Fn(Effect)) -> Result<(), Lost> {
    for (_, channel) in CHANNELS {
        connection.plain(&format!("LISTEN {channel}"))?;
    }
    // whatever changed before was not heard
    tell_all(tell);
    let mut quiet = 0;
    while !over.load(Ordering::Relaxed) && hosts.is_at(connection.seat) {
        if let Some(on) = connection.wait_for_news(LOOK)? {
            CHANNELS.iter().filter(|(_, channel)| *channel == on).for_each(|(effect, _)| tell(*effect));
            continue;
        }
        quiet += 1;
        if quiet % LOOKS_PER_QUESTION == 0 {
            connection.plain("")?;
        }
    }
    Ok(())
}

/// That anything may have changed.
fn tell_all(tell: &dyn Fn(Effect)) {
    CHANNELS.iter().for_each(|(effect, _)| tell(*effect));
}
