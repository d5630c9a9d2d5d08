//! A driver without machines: it remembers which guests there are and what they would be doing. Deterministic, so that
//! tests, demonstrations and hosts without a hypervisor see the same every time.

use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream;

use super::{Doing, Driver, DriverError, Op, PowerOp, Snapshot, Spec};
use crate::model::disk_config::DiskConfig;
use crate::model::ids::{ImageId, ServerId};
use crate::model::server::PowerState;

/// The driver; see the module.
#[derive(Debug, Default)]
pub struct Fake {
    // std mutex: nothing awaits while it is held
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    guests: HashMap<ServerId, Guest>,
    failing: HashSet<Op>,
    panicking: HashSet<Op>,
}

#[derive(Debug)]
struct Guest {
    spec: Spec,
    power: PowerState,
    rescued: bool,
}

impl Guest {
    fn boot(&mut self, rescued: bool) -> PowerState {
        self.rescued = rescued;
        self.power = PowerState::Running;
        self.power
    }

    fn change(&mut self, op: PowerOp) -> PowerState {
        self.power = match op {
            PowerOp::SoftOff | PowerOp::HardOff => PowerState::Shutdown,
            PowerOp::SoftReboot | PowerOp::HardReboot | PowerOp::Unpause | PowerOp::Resume => PowerState::Running,
            PowerOp::Pause => PowerState::Paused,
            PowerOp::Suspend => PowerState::Suspended,
        };
        self.power
    }

    fn console(&self) -> String {
        let Spec { id, name, memory_mb, vcpus, .. } = &self.spec;
        let root = if self.rescued { "rescue image" } else { "root disk" };
        format!("Booting {name} from its {root}\n{memory_mb} MiB, {vcpus} vCPU, {id}\n{name} login: \n")
    }

    /// Not a disk, but the same bytes for the same guest, and others for another.
    fn disk(&self) -> Bytes {
        let image = self.spec.image.map(|image| image.to_string()).unwrap_or_default();
        let line = format!("kilonova fake disk of {} from {image}\n", self.spec.id);
        line.repeat(8).into()
    }
}

impl Fake {
    /// A driver without guests.
    pub fn new() -> Fake {
        Fake::default()
    }

    /// A driver which fails whenever it is asked for this.
    pub fn failing(op: Op) -> Fake {
        let fake = Fake::new();
        fake.fail(op);
        fake
    }

    /// From now on this panics, as a driver with a defect may.
    pub fn panic(&self, op: Op) {
        self.inside().panicking.insert(op);
    }

    /// From now on this fails.
    pub fn fail(&self, op: Op) {
        self.inside().failing.insert(op);
    }

    /// From now on this works again.
    pub fn heal(&self, op: Op) {
        self.inside().failing.remove(&op);
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Every change is one assignment, so whoever panicked while holding it left nothing half done.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unless_failing<T>(&self, op: Op, id: ServerId, act: impl FnOnce(&mut Inside) -> T) -> Result<T, DriverError> {
        let mut inside = self.inside();
        if inside.panicking.contains(&op) {
            // not while others wait for the lock
            drop(inside);
            panic!("a test wants it to panic");
        }
        if inside.failing.contains(&op) {
            return Err(DriverError::Failed { op, id, reason: "a test wants it to fail".to_owned() });
        }
        Ok(act(&mut inside))
    }

    fn on_guest<'a, T>(&'a self, op: Op, id: ServerId, act: impl FnOnce(&mut Guest) -> T) -> Doing<'a, T>
    where
        T: Send + 'a,
    {
        let done = self.unless_failing(op, id, |inside| inside.guests.get_mut(&id).map(act));
        Box::pin(ready(done.and_then(|answer| answer.ok_or(DriverError::NoGuest(id)))))
    }
}

impl Driver for Fake {
    fn hypervisor_type(&self) -> &'static str {
        "fake"
    }

    /// What nobody has asked for since the start need not be remembered: it is what the caller last knew.
    fn outlives_process(&self) -> bool {
        false
    }

    fn build<'a>(&'a self, spec: &'a Spec) -> Doing<'a, ()> {
        Box::pin(ready(self.unless_failing(Op::Build, spec.id, |inside| {
            let new = || Guest { spec: spec.clone(), power: PowerState::Shutdown, rescued: false };
            inside.guests.entry(spec.id).or_insert_with(new).spec = spec.clone();
        })))
    }

    fn start(&self, id: ServerId) -> Doing<'_, PowerState> {
        self.on_guest(Op::Start, id, |guest| guest.boot(guest.rescued))
    }

    /// After a restart nothing is remembered: what the caller last knew becomes true again.
    fn attach<'a>(&'a self, spec: &'a Spec) -> Doing<'a, Option<PowerState>> {
        Box::pin(ready(self.unless_failing(Op::Attach, spec.id, |inside| {
            if spec.power != PowerState::NoState {
                let fresh = || Guest { spec: spec.clone(), power: spec.power, rescued: false };
                inside.guests.entry(spec.id).or_insert_with(fresh);
            }
            inside.guests.get(&spec.id).map(|guest| guest.power)
        })))
    }

    fn power(&self, id: ServerId, op: PowerOp) -> Doing<'_, PowerState> {
        self.on_guest(Op::Power(op), id, |guest| guest.change(op))
    }

    fn snapshot(&self, id: ServerId) -> Doing<'_, Snapshot> {
        self.on_guest(Op::Snapshot, id, |guest| {
            let disk = guest.disk();
            let bytes = Some(disk.len() as u64);
            Snapshot { disk_format: "raw", bytes, chunks: Box::pin(stream::iter([Ok(disk)])) }
        })
    }

    fn resize_disk(&self, id: ServerId, _bytes: u64, disk_config: DiskConfig) -> Doing<'_, ()> {
        self.on_guest(Op::ResizeDisk, id, |guest| guest.spec.disk_config = disk_config)
    }

    fn rescue(&self, id: ServerId, _image: Option<ImageId>) -> Doing<'_, PowerState> {
        self.on_guest(Op::Rescue, id, |guest| guest.boot(true))
    }

    fn unrescue(&self, id: ServerId) -> Doing<'_, PowerState> {
        self.on_guest(Op::Unrescue, id, |guest| guest.boot(false))
    }

    fn console(&self, id: ServerId, lines: Option<usize>) -> Doing<'_, Vec<u8>> {
        self.on_guest(Op::Console, id, |guest| {
            let text = guest.console();
            let all: Vec<&str> = text.split_inclusive('\n').collect();
            let first = all.len().saturating_sub(lines.unwrap_or(usize::MAX));
            all[first..].concat().into_bytes()
        })
    }

    fn destroy(&self, id: ServerId) -> Doing<'_, ()> {
        Box::pin(ready(self.unless_failing(Op::Destroy, id, |inside| {
            inside.guests.remove(&id);
        })))
    }
}

#[cfg(test)]
mod tests;
