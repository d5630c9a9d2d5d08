//! A thread of the engine: takes scripts as they come, has them run in batches or alone, runs again what conflicts, and finds out what became
//! of a commit that was not answered. Not here: what a transaction is (`batch`), or what is said to the server (`connection`).

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::Listener;
use super::batch::{self, Kept, Undoing};
use super::connection::{Connection, Mark};
use super::hosts::Hosts;
use super::lost::Lost;
use super::reach::Reach;
use crate::store::engine::{Script, StoreError};
use crate::store::turns::Turns;

/// As many scripts as one commit may carry.
pub const BATCH_MAX: usize = 256;
/// How long a script may be run again before its caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a connection is tried for, where others have one meanwhile.
const OPENING_MAX: u32 = 3;
/// How long to wait before a server is asked again what became of a commit.
const OUTCOME_PAUSE: Duration = Duration::from_millis(50);

/// Connects, by a moment if there is one.
type Open = fn(&Hosts, Option<Instant>) -> Result<Connection, StoreError>;

/// A thread's connection, made when it is needed and again when it is lost.
pub struct Lane {
    hosts: Hosts,
    open: Open,
    connection: Option<Connection>,
    /// How long a turn may take; nothing bounds what reads or changes all there is.
    turn: Option<Duration>,
    /// When whoever has their turn is to be answered.
    end: Option<Instant>,
    /// Whether those who need the same reach the server.
    reach: Arc<Reach>,
    /// The same of those who need less: they reach it where this one does.
    lesser: Option<Arc<Reach>>,
    listener: Arc<OnceLock<Listener>>,
}

/// Why a batch was not kept.
enum Failure {
    /// Nothing of it was kept: it may be run again.
    Again(StoreError),
    /// Nothing of it was kept because of one of its scripts, or because it took too long; the others may be luckier alone.
    Spoilt(StoreError),
    /// Nothing of it was kept as far as is known, and running it again would not help.
    Final(StoreError),
}

impl Lane {
    /// Not connected yet.
    pub fn new(hosts: &Hosts, open: Open, reach: &Arc<Reach>, listener: &Arc<OnceLock<Listener>>) -> Lane {
        let (reach, lesser) = (reach.clone(), None);
        let listener = listener.clone();
        Lane { hosts: hosts.clone(), open, connection: None, turn: None, end: None, reach, lesser, listener }
    }

    /// One that answers whoever has their turn within a time, if there is one.
    pub fn within(self, turn: Option<Duration>) -> Lane {
        Lane { turn, ..self }
    }

    /// One whose connection shows others, who need less, that they reach the server.
    pub fn and_shows(self, lesser: &Arc<Reach>) -> Lane {
        Lane { lesser: Some(lesser.clone()), ..self }
    }

    /// Writes what comes, until nobody can send any more.
    pub fn write_batches(mut self, turns: &Turns) {
        while let Some(batch) = turns.take(BATCH_MAX) {
            if !batch.is_empty() {
                let deadline = self.begins();
                self.write_patiently(batch, deadline);
            }
        }
    }

    /// Reads what comes, beside others, until nobody can send any more.
    pub fn read_each(mut self, turns: &Turns) {
        while let Some(taken) = turns.take(1) {
            // none where it has waited too long
            let Some(mut script) = taken.into_iter().next() else { continue };
            let deadline = self.begins();
            let outcome = loop {
                match self.read_once(script.as_mut()) {
                    Err(Failure::Again(_)) if Instant::now() < deadline => {}
                    Err(Failure::Again(error) | Failure::Spoilt(error) | Failure::Final(error)) => break Err(error),
                    Ok(()) => break Ok(()),
                }
            };
            let is_open = outcome.is_ok();
            script.finish(outcome);
            // whoever waits need not wait for this
            if is_open && self.connection.as_mut().is_some_and(|connection| connection.rollback().is_err()) {
                self.connection = None;
            }
        }
    }

    /// Somebody's turn begins: says until when what they want may be begun again.
    fn begins(&mut self) -> Instant {
        let now = Instant::now();
        self.end = self.turn.map(|turn| now + turn);
        // the rest is for what is under way then
        now + self.turn.map_or(PATIENCE, |turn| PATIENCE.min(turn / 2))
    }

    /// Whether there is time left for whoever has their turn. Where there is none, what is not answered says nothing about the server.
    fn has_time(&self) -> bool {
        self.end.is_none_or(|end| Instant::now() < end)
    }

    /// Runs a batch until it is kept. One that conflicts, or that one of its scripts spoils, is run in halves, so that one script does
    /// not hold up the others.
    fn write_patiently(&mut self, mut batch: Vec<Box<dyn Script>>, deadline: Instant) {
        loop {
            match self.write_once(&mut batch, deadline) {
                Ok(panicked) => {
                    let rest = batch.split_off(panicked.len());
                    finish_all(batch, &panicked);
                    return self.write_rest(rest, deadline);
                }
                Err(Failure::Again(StoreError::Conflict(_)) | Failure::Spoilt(_))
                    if batch.len() > 1 && Instant::now() < deadline =>
                {
                    let rest = batch.split_off(batch.len() / 2);
                    self.write_patiently(batch, deadline);
                    return self.write_rest(rest, deadline);
                }
                Err(Failure::Again(_)) if Instant::now() < deadline => {}
                Err(Failure::Again(error) | Failure::Spoilt(error) | Failure::Final(error)) => {
                    batch.into_iter().for_each(|script| script.finish(Err(error.clone())));
                    return;
                }
            }
        }
    }

    /// Goes on with those for whom there was no place in the transaction before, unless it is too late to begin.
    fn write_rest(&mut self, rest: Vec<Box<dyn Script>>, deadline: Instant) {
        if !rest.is_empty() && Instant::now() < deadline {
            return self.write_patiently(rest, deadline);
        }
        rest.into_iter().for_each(|script| script.finish(Err(StoreError::Overloaded)));
    }

    /// Runs a batch, or as much of it as there is time for, and commits it; gives what became of each script that was run.
    fn write_once(&mut self, batch: &mut [Box<dyn Script>], until: Instant) -> Result<Vec<bool>, Failure> {
        let mut kept = Kept::default();
        let mut outcome = batch::write(self.connected()?, batch, (Undoing::All, until), &mut kept);
        if matches!(outcome, Err(Lost::Undone)) {
            kept = Kept::default();
            outcome = self.connected()?.rollback();
            if outcome.is_ok() {
                outcome = batch::write(self.connected()?, batch, (Undoing::Each, until), &mut kept);
            }
        }
        match outcome {
            Ok(()) => {}
            Err(Lost::Commit { mark, text }) => self.hear_of_commit(&mark, text)?,
            Err(lost) => return Err(self.recover(lost)),
        }
        if let Some(listener) = self.listener.get() {
            kept.effects.into_iter().for_each(listener);
        }
        Ok(kept.panicked)
    }

    fn read_once(&mut self, script: &mut dyn Script) -> Result<(), Failure> {
        let connection = self.connected()?;
        let outcome = batch::read(connection, script);
        outcome.map_err(|lost| self.recover(lost))
    }

    fn connected(&mut self) -> Result<&mut Connection, Failure> {
        // between two transactions: the process may be at another host by now
        if self.connection.as_ref().is_some_and(|connection| !self.hosts.is_at(connection.seat)) {
            self.connection = None;
        }
        if self.connection.is_none() {
            let unavailable = |why| Failure::Final(StoreError::Unavailable(why));
            self.reach.may_try(Instant::now()).map_err(unavailable)?;
            match self.opened() {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    if self.has_time() {
                        self.reach.failed(&error.to_string(), Instant::now());
                    }
                    return Err(Failure::Final(error));
                }
            }
            let now = Instant::now();
            [Some(&self.reach), self.lesser.as_ref()].into_iter().flatten().for_each(|reach| reach.succeeded(now));
        }
        let connection = self.connection.as_mut().expect("it was made in the lines before");
        connection.end = self.end;
        Ok(connection)
    }

    /// Where another has reached the server while this one tried, or moved everybody, what this one met is of before.
    fn opened(&self) -> Result<Connection, StoreError> {
        let mut attempts = 0;
        loop {
            let (from, began) = (self.hosts.seat(), Instant::now());
            attempts += 1;
            let opened = (self.open)(&self.hosts, self.end);
            let is_of_before = || self.reach.was_reached_since(began) || !self.hosts.is_at(from);
            if opened.is_ok() || attempts == OPENING_MAX || !is_of_before() {
                return opened;
            }
        }
    }

    /// Puts the connection into a usable state, or gives it up; and finds out what became of a commit that was not answered.
    fn recover(&mut self, lost: Lost) -> Failure {
        match lost {
            Lost::Conflict(text) => self.rolled_back(Failure::Again(StoreError::Conflict(text))),
            Lost::Refused(error) | Lost::Earlier(error) => self.rolled_back(Failure::Spoilt(error)),
            Lost::Undone => self.rolled_back(Failure::Spoilt(lost.as_error())),
            Lost::Connection(text) => {
                self.lose();
                Failure::Again(StoreError::Unavailable(text))
            }
            Lost::Commit { text, .. } => Failure::Final(StoreError::Unavailable(text)),
        }
    }

    /// The connection broke while a commit was under way: asks the server that answers next what became of it.
    fn hear_of_commit(&mut self, mark: &Mark, text: String) -> Result<(), Failure> {
        self.lose();
        let unknown = || {
            let sentence = format!("the connection was lost during a commit, and its outcome is not known: {text}");
            Failure::Final(StoreError::Unavailable(sentence))
        };
        let deadline = Instant::now() + PATIENCE;
        while self.has_time() && Instant::now() < deadline {
            // a server that restarts, or a standby that takes over, needs a moment
            let Ok(next) = self.connected() else {
                std::thread::sleep(OUTCOME_PAUSE);
                continue;
            };
            match next.was_committed(mark) {
                Ok(Some(true)) => return Ok(()),
                Ok(Some(false)) => return Err(Failure::Again(StoreError::Unavailable(text))),
                Ok(None) => return Err(unknown()),
                Err(_) => {
                    self.lose();
                    std::thread::sleep(OUTCOME_PAUSE);
                }
            }
        }
        Err(unknown())
    }

    /// The host is not to be asked again before the others are.
    fn lose(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.has_time()
        {
            self.hosts.leave(connection.seat);
        }
    }

    fn rolled_back(&mut self, failure: Failure) -> Failure {
        let is_usable = self.connection.as_mut().is_some_and(|connection| connection.rollback().is_ok());
        if !is_usable {
            self.connection = None;
        }
        failure
    }
}

fn finish_all(batch: Vec<Box<dyn Script>>, panicked: &[bool]) {
    for (script, panicked) in batch.into_iter().zip(panicked) {
        script.finish(if *panicked { Err(StoreError::Defect("a script panicked".into())) } else { Ok(()) });
    }
}
