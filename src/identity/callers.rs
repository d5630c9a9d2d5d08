//! From the text of a token to the caller it proves. What was found out once is remembered until anything about identity
//! changes, so that a request on the hot path reads no database; a change forgets everything, before it is answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use super::standing::standing;
use super::token::Token;
use super::token_keys::TokenKeys;
use crate::model::ids::DomainId;
use crate::policy::Caller;
use crate::policy::evaluate::Verdicts;
use crate::policy::rules::Rules;
use crate::policy::{Asked, Policy, Refused};
use crate::store::{Store, StoreError, Tx};

/// As many tokens are remembered; beyond it all are forgotten and looked up again.
const REMEMBERED_MAX: usize = 20_000;

/// Callers by the text of their tokens.
#[derive(Default)]
pub struct Callers {
    /// Grows with every change of identity; what was found before it does not count.
    generation: AtomicU64,
    known: RwLock<HashMap<String, Known>>,
}

struct Known {
    generation: u64,
    /// The rules under which `is_admin` was decided.
    rules: Arc<Rules>,
    caller: Arc<Caller>,
}

/// Why a token proves nobody.
#[derive(Debug)]
pub enum NoCaller {
    /// It is forged, expired, revoked, or for somebody or something that is gone: which one is nobody's business.
    Unknown,
    /// The database did not say.
    Store(StoreError),
    /// The rule `context_is_admin` asks another server.
    Ask(Caller, Box<Asked>),
}

impl From<StoreError> for NoCaller {
    fn from(error: StoreError) -> Self {
        NoCaller::Store(error)
    }
}

impl Callers {
    /// Forgets everything: something about identity has changed.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// The caller that a token proves at a moment, in seconds since the epoch.
    ///
    /// # Errors
    /// As `NoCaller` says.
    pub async fn caller(
        &self,
        store: &Store,
        keys: impl FnOnce() -> Arc<TokenKeys>,
        rules: &Arc<Rules>,
        text: &str,
        now: i64,
    ) -> Result<Arc<Caller>, NoCaller> {
        if let Some(caller) = self.remembered(text, now, rules) {
            return Ok(caller);
        }
        // before anything is asked, the keys too: what changes from here on makes the answer one that does not count
        let generation = self.generation.load(Ordering::SeqCst);
        let token = keys().open(text, now).map_err(|_| NoCaller::Unknown)?;
        let found = store.read(move |tx| bearer(tx, &token)).await?;
        let mut caller = found.ok_or(NoCaller::Unknown)?;
        let decided = Policy::new(rules.clone()).is_admin(&caller, &Verdicts::none());
        caller.is_admin = match decided {
            Ok(is_admin) => is_admin,
            Err(Refused::Ask(asked)) => return Err(NoCaller::Ask(caller, asked)),
            Err(Refused::Hidden | Refused::Forbidden(_)) => false,
        };
        let caller = Arc::new(caller);
        self.remember(text, Known { generation, rules: rules.clone(), caller: caller.clone() });
        Ok(caller)
    }

    /// The caller that a token proves, if that is remembered and still so.
    pub fn remembered(&self, text: &str, now: i64, rules: &Arc<Rules>) -> Option<Arc<Caller>> {
        let known = self.known.read().expect("nobody panics while holding the callers");
        let known = known.get(text)?;
        let holds = known.generation == self.generation.load(Ordering::SeqCst) && Arc::ptr_eq(&known.rules, rules);
        (holds && known.caller.expires_at_seconds > now).then(|| known.caller.clone())
    }

    fn remember(&self, text: &str, caller: Known) {
        let mut known = self.known.write().expect("nobody panics while holding the callers");
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(text.to_owned(), caller);
    }
}

/// Whom a token proves, if all it names is still there, enabled, and granted; `is_admin` is not decided yet.
///
/// # Errors
/// The store's.
pub fn bearer(tx: &mut dyn Tx, token: &Token) -> Result<Option<Caller>, StoreError> {
    standing(tx, token)?.map(|standing| standing.into_caller(token)).transpose()
}

/// The domain every cloud has.
pub fn default_domain() -> DomainId {
    "default".parse().expect("`default` is an id")
}
