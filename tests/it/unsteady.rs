//! A database and a driver that fail, or whose process dies, exactly where a test wants it.

use std::collections::HashSet;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{StreamExt, stream};
use kilonova::hypervisor::fake::Fake;
use kilonova::hypervisor::{Doing, Driver, PowerOp, Snapshot, Spec};
use kilonova::model::disk_config::DiskConfig;
use kilonova::model::ids::{ImageId, ServerId};
use kilonova::model::server::PowerState;
use kilonova::store::engine::{Effect, Engine, Script, StoreError, Verdict};
use kilonova::store::{Row, Tx, Value};
use tokio::sync::Notify;

/// What happens at a step: a write, a call of the driver, a piece of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before it.
    DiesBefore,
    /// The process dies after it, and has not heard of it.
    DiesAfter,
    /// A write is not done, and its caller is told so.
    Refused,
    /// A write is done, and its caller is told that it was not.
    Unknown,
    /// A write fails in the middle of its script, as on a full disk.
    Halfway,
}

impl Fault {
    pub const ALL: [Fault; 5] =
        [Fault::DiesBefore, Fault::DiesAfter, Fault::Refused, Fault::Unknown, Fault::Halfway];

    fn is_death(self) -> bool {
        matches!(self, Fault::DiesBefore | Fault::DiesAfter)
    }
}

/// The faults of one test, shared by its engine and its driver.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<Plan>,
    died: Notify,
}

#[derive(Default)]
struct Plan {
    /// Every script ends with this.
    broken: Option<StoreError>,
    /// Every script that writes ends with this.
    unwritable: Option<StoreError>,
    /// Every reader panics, in the middle of its request.
    panics: bool,
    /// The step, counted from 0, and what happens there.
    at: Option<(usize, Fault)>,
    seen: usize,
    has_struck: bool,
    /// Tasks that were removed by a commit.
    concluded: u64,
    /// Scripts of processes that have died: nobody hears of them.
    unheard: Vec<Box<dyn Script>>,
}

impl Faults {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("nobody panics with the plan in hand")
    }

    /// From now on every script ends with this, or with nothing unusual again.
    pub fn fail(&self, error: impl Into<Option<StoreError>>) {
        self.plan().broken = error.into();
    }

    /// From now on every script that writes ends with this, or with nothing unusual again.
    pub fn fail_writes(&self, error: impl Into<Option<StoreError>>) {
        self.plan().unwritable = error.into();
    }

    /// Whether every reader panics from now on, in the middle of its request.
    pub fn panic(&self, panics: bool) {
        self.plan().panics = panics;
    }

    /// From now on steps are counted, and this happens at one of them.
    pub fn arm(&self, step: usize, fault: Fault) {
        let mut plan = self.plan();
        (plan.at, plan.seen, plan.has_struck, plan.concluded) = (Some((step, fault)), 0, false, 0);
    }

    /// Nothing happens any more; says whether anything did.
    pub fn disarm(&self) -> bool {
        let mut plan = self.plan();
        plan.at = None;
        plan.has_struck
    }

    /// How many tasks were concluded since `arm`.
    pub fn concluded(&self) -> u64 {
        self.plan().concluded
    }

    /// Comes back when the process has died.
    pub async fn death(&self) {
        self.died.notified().await;
    }

    /// What happens at this step, if anything does. Only writes can be refused, and the like.
    fn step(&self, is_write: bool) -> Option<Fault> {
        let mut plan = self.plan();
        let (at, fault) = plan.at?;
        if !is_write && !fault.is_death() {
            return None;
        }
        let step = plan.seen;
        plan.seen += 1;
        plan.has_struck |= step == at;
        (step == at).then_some(fault)
    }

    fn die(&self) {
        self.died.notify_one();
    }
}

/// An engine with faults.
pub struct Unsteady {
    engine: Arc<dyn Engine>,
    faults: Arc<Faults>,
}

impl Unsteady {
    pub fn new(engine: Arc<dyn Engine>, faults: Arc<Faults>) -> Unsteady {
        Unsteady { engine, faults }
    }
}

impl Engine for Unsteady {
    fn read(&self, script: Box<dyn Script>) {
        let (panics, broken) = {
            let plan = self.faults.plan();
            (plan.panics, plan.broken.clone())
        };
        assert!(!panics, "a test wants it to panic");
        match broken {
            Some(error) => script.finish(Err(error)),
            None => self.engine.read(script),
        }
    }

    fn write(&self, script: Box<dyn Script>) {
        let (broken, unwritable) = {
            let plan = self.faults.plan();
            (plan.broken.clone(), plan.unwritable.clone())
        };
        if let Some(error) = broken.or(unwritable) {
            return script.finish(Err(error));
        }
        let fault = self.faults.step(true);
        match fault {
            Some(Fault::DiesBefore) => {
                self.faults.plan().unheard.push(script);
                self.faults.die();
            }
            Some(Fault::Refused) => script.finish(Err(unavailable())),
            _ => {
                let faults = self.faults.clone();
                self.engine.write(Box::new(Watched { script, faults, fault, removed: 0 }));
            }
        }
    }

    fn on_effect(&self, listener: Box<dyn Fn(Effect) + Send + Sync>) {
        self.engine.on_effect(listener);
    }

    fn close(&self) {
        self.engine.close();
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("a test wants it to fail".into())
}

/// A script on its way through an engine with faults.
struct Watched {
    script: Box<dyn Script>,
    faults: Arc<Faults>,
    fault: Option<Fault>,
    /// Tasks that the last run has removed.
    removed: u64,
}

impl Script for Watched {
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        let left = (self.fault == Some(Fault::Halfway)).then_some(1);
        let mut watched = WatchedTx { tx, removed: 0, left };
        let verdict = self.script.run(&mut watched);
        self.removed = if verdict == Verdict::Commit { watched.removed } else { 0 };
        verdict
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Watched { script, faults, fault, removed } = *self;
        if outcome.is_ok() {
            faults.plan().concluded += removed;
        }
        match fault {
            Some(Fault::DiesAfter) => {
                faults.plan().unheard.push(script);
                faults.die();
            }
            Some(Fault::Unknown) => script.finish(Err(unavailable())),
            Some(Fault::DiesBefore | Fault::Refused | Fault::Halfway) | None => script.finish(outcome),
        }
    }
}

struct WatchedTx<'a> {
    tx: &'a mut dyn Tx,
    removed: u64,
    /// So many changes until the disk is full.
    left: Option<u64>,
}

impl Tx for WatchedTx<'_> {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.tx.query(sql, parameters, each)
    }

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or_else(unavailable)?;
        }
        let changed = self.tx.execute(sql, parameters)?;
        if sql.starts_with("DELETE FROM tasks") {
            self.removed += changed;
        }
        Ok(changed)
    }

    fn announce(&mut self, effect: Effect) {
        self.tx.announce(effect);
    }

    fn merges_in_order(&self) -> bool {
        self.tx.merges_in_order()
    }
}

/// A driver whose guests outlive the process: what it does not find it does not make up. Each call is a step.
pub struct Outliving {
    fake: Arc<Fake>,
    faults: Arc<Faults>,
    guests: Mutex<HashSet<ServerId>>,
}

impl Outliving {
    pub fn new(fake: Arc<Fake>, faults: Arc<Faults>) -> Outliving {
        Outliving { fake, faults, guests: Mutex::default() }
    }

    pub fn has(&self, id: ServerId) -> bool {
        self.guests.lock().expect("nobody panics with the guests in hand").contains(&id)
    }

    fn set(&self, id: ServerId, is_there: bool) {
        let mut guests = self.guests.lock().expect("nobody panics with the guests in hand");
        if is_there { guests.insert(id) } else { guests.remove(&id) };
    }

    fn step<'a, T: 'a>(&'a self, call: impl FnOnce() -> Doing<'a, T> + Send + 'a) -> Doing<'a, T> {
        Box::pin(async move {
            match self.faults.step(false) {
                Some(Fault::DiesBefore) => self.dead().await,
                Some(_) => {
                    // whatever it answers, nobody hears
                    drop(call().await);
                    self.dead().await
                }
                None => call().await,
            }
        })
    }

    async fn dead<T>(&self) -> T {
        self.faults.die();
        pending().await
    }
}

impl Driver for Outliving {
    fn hypervisor_type(&self) -> &'static str {
        "fake"
    }

    fn outlives_process(&self) -> bool {
        true
    }

    fn build<'a>(&'a self, spec: &'a Spec) -> Doing<'a, ()> {
        self.step(move || {
            self.set(spec.id, true);
            self.fake.build(spec)
        })
    }

    fn start(&self, id: ServerId) -> Doing<'_, PowerState> {
        self.step(move || self.fake.start(id))
    }

    fn attach<'a>(&'a self, spec: &'a Spec) -> Doing<'a, Option<PowerState>> {
        self.step(move || {
            if self.has(spec.id) { self.fake.attach(spec) } else { Box::pin(std::future::ready(Ok(None))) }
        })
    }

    fn power(&self, id: ServerId, op: PowerOp) -> Doing<'_, PowerState> {
        self.step(move || self.fake.power(id, op))
    }

    fn snapshot(&self, id: ServerId) -> Doing<'_, Snapshot> {
        self.step(move || {
            Box::pin(async move {
                let Snapshot { disk_format, bytes, chunks } = self.fake.snapshot(id).await?;
                let faults = self.faults.clone();
                // a step before each piece, and one before the end
                let pieces = chunks.map(Some).chain(stream::iter([None])).then(move |piece| {
                    let faults = faults.clone();
                    async move {
                        if faults.step(false).is_some() {
                            faults.die();
                            pending::<()>().await;
                        }
                        piece
                    }
                });
                Ok(Snapshot { disk_format, bytes, chunks: Box::pin(pieces.filter_map(std::future::ready).fuse()) })
            })
        })
    }

    fn resize_disk(&self, id: ServerId, bytes: u64, disk_config: DiskConfig) -> Doing<'_, ()> {
        self.step(move || self.fake.resize_disk(id, bytes, disk_config))
    }

    fn rescue(&self, id: ServerId, image: Option<ImageId>) -> Doing<'_, PowerState> {
        self.step(move || self.fake.rescue(id, image))
    }

    fn unrescue(&self, id: ServerId) -> Doing<'_, PowerState> {
        self.step(move || self.fake.unrescue(id))
    }

    fn console(&self, id: ServerId, lines: Option<usize>) -> Doing<'_, Vec<u8>> {
        self.step(move || self.fake.console(id, lines))
    }

    fn destroy(&self, id: ServerId) -> Doing<'_, ()> {
        self.step(move || {
            self.set(id, false);
            self.fake.destroy(id)
        })
    }
}
