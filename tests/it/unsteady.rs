//! A database that fails when a test wants it to.

use std::path::Path;
use std::sync::Mutex;

use kilonova::store::engine::{Effect, Engine, Script, StoreError};
use kilonova::store::sqlite::Sqlite;

/// The embedded engine, with a switch.
pub struct Unsteady {
    engine: Sqlite,
    fault: Mutex<Option<StoreError>>,
}

impl Unsteady {
    pub fn open(directory: &Path) -> Unsteady {
        let engine = Sqlite::open(&directory.join("kilonova.db")).expect("a fresh database opens");
        Unsteady { engine, fault: Mutex::new(None) }
    }

    /// From now on every script ends with this.
    pub fn fail(&self, error: StoreError) {
        *self.fault.lock().expect("nobody panics with the switch in hand") = Some(error);
    }

    fn fault(&self) -> Option<StoreError> {
        self.fault.lock().expect("nobody panics with the switch in hand").clone()
    }
}

impl Engine for Unsteady {
    fn read(&self, script: Box<dyn Script>) {
        match self.fault() {
            Some(error) => script.finish(Err(error)),
            None => self.engine.read(script),
        }
    }

    fn write(&self, script: Box<dyn Script>) {
        match self.fault() {
            Some(error) => script.finish(Err(error)),
            None => self.engine.write(script),
        }
    }

    fn on_effect(&self, listener: Box<dyn Fn(Effect) + Send + Sync>) {
        self.engine.on_effect(listener);
    }

    fn close(&self) {
        self.engine.close();
    }
}
