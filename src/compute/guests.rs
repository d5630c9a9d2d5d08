//! Guests after a restart of the process. A worker finds the guest of its task again before it asks anything of it, so nothing waits until all
//! guests have been looked at. That happens beside the requests, page by page, and only for drivers whose guests do something while no
//! process looks.
//!
//! What a request sees meanwhile: a server stands as it stood at the crash. A guest that stopped by itself is shown as running until its
//! page has come. A request that changes a server is served at once, and what is seen of its guest is then noted by nobody but the
//! worker of its task: what was seen before the change is thrown away and looked at again.

use super::work::{Tools, spec};
use crate::model::server::PowerState;
use crate::model::server_record::Server;
use crate::store::servers::{Existing, Place, Selection};
use crate::store::{StoreError, Tx, servers, tasks};

/// So many servers are read at once; their reading holds up one thread of those that serve requests, for a few milliseconds.
const PAGE: usize = 50;
/// How often a guest is looked at whose server changes all the time. Whoever changes it knows what it does.
const LOOKS: usize = 3;

/// Finds a guest again; gives what it is doing now. `None` where the driver cannot say.
pub async fn find_again(tools: Tools<'_>, server: &Server) -> Option<PowerState> {
    match tools.driver.attach(&spec(server)).await {
        Ok(seen) => Some(seen.unwrap_or(PowerState::NoState)),
        Err(error) => {
            tracing::warn!(server = %server.id, %error, "a guest could not be found again");
            None
        }
    }
}

/// Looks at every guest there was when this began.
///
/// # Errors
/// The store's.
pub async fn look_at_all(tools: Tools<'_>) -> Result<(), StoreError> {
    if !tools.driver.outlives_process() {
        return Ok(());
    }
    let mut after = None;
    loop {
        let begins = after.clone();
        let (page, next) = tools.store.read(move |tx: &mut dyn Tx| page(tx, begins.clone())).await?;
        for server in page {
            look_at(tools, server).await?;
        }
        match next {
            Some(place) => after = Some(place),
            None => return Ok(()),
        }
        // requests first
        tokio::task::yield_now().await;
    }
}

/// The servers behind a place that may have guests, and where the next page begins. A transaction for each page: a longer one would keep
/// the write-ahead log from being begun anew.
fn page(tx: &mut dyn Tx, after: Option<Place>) -> Result<(Vec<Server>, Option<Place>), StoreError> {
    let selection = Selection { existing: Existing::AliveOrRestorable, ascending: true, after, ..Selection::default() };
    let found = servers::page(tx, &selection, PAGE)?.into_iter();
    let mut page: Vec<Server> =
        found.map(|server| server.for_system("a restarted process looks for its guests")).collect();
    let next = (page.len() == PAGE).then(|| page.last().map(Place::of)).flatten();
    page.retain(has_guest);
    Ok((page, next))
}

/// Looks at one guest, and notes what it does unless a task is about to change that anyway.
async fn look_at(tools: Tools<'_>, mut server: Server) -> Result<(), StoreError> {
    for _ in 0..LOOKS {
        let Some(seen) = find_again(tools, &server).await else { return Ok(()) };
        let looked_at = server.clone();
        match tools.store.read(move |tx: &mut dyn Tx| compare(tx, &looked_at)).await? {
            Now::Gone => return Ok(()),
            Now::Changed(other) => server = *other,
            Now::Unchanged if seen == server.state.power_state => return Ok(()),
            Now::Unchanged => {
                let noted = tools.store.write(move |tx: &mut dyn Tx| note(tx, &server, seen)).await?;
                match noted {
                    Some(other) => server = other,
                    None => return Ok(()),
                }
            }
        }
    }
    Ok(())
}

fn has_guest(server: &Server) -> bool {
    server.details.host.is_some()
}

/// How a server stands beside what was read of it.
enum Now {
    Unchanged,
    Changed(Box<Server>),
    /// It has no guest any more.
    Gone,
}

fn compare(tx: &mut dyn Tx, before: &Server) -> Result<Now, StoreError> {
    let found = servers::find(tx, before.id)?;
    let found = found.map(|server| server.for_system("a restarted process notes what its guests do"));
    let Some(found) = found.filter(has_guest) else { return Ok(Now::Gone) };
    let is_same = found.state == before.state && found.updated_at == before.updated_at;
    Ok(if is_same { Now::Unchanged } else { Now::Changed(Box::new(found)) })
}

/// Notes what a guest does; gives the server where it has changed meanwhile and is to be looked at again.
fn note(tx: &mut dyn Tx, before: &Server, seen: PowerState) -> Result<Option<Server>, StoreError> {
    match compare(tx, before)? {
        Now::Gone => Ok(None),
        Now::Changed(found) => Ok(Some(*found)),
        Now::Unchanged if before.state.task_state.is_some() || tasks::any_for(tx, before.id)? => Ok(None),
        Now::Unchanged => {
            let mut server = before.clone();
            server.state.power_state = seen;
            servers::save(tx, &server)?;
            Ok(None)
        }
    }
}
