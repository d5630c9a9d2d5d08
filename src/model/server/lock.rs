//! The lock which keeps everyone but administrators from changing a server. Which actions it stops is in `action`.

use std::fmt;
use std::str::FromStr;

use super::state::{UnknownState, named};

named!(
    /// Who has locked a server.
    LockedBy {
        /// Someone of its own project.
        Owner = "owner",
        /// Someone else, who may.
        Admin = "admin",
    }
);

/// A lock, once there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Who has locked.
    pub by: LockedBy,
    /// Why, where someone has said so (microversion 2.73).
    pub reason: Option<String>,
}

impl Lock {
    /// The lock after someone locks. One of the own project changes nothing about a lock that is there; a reason
    /// that is not given, or empty, leaves the former reason.
    pub fn after(former: Option<Lock>, by: LockedBy, reason: Option<String>) -> Lock {
        match (former, by) {
            (Some(former), LockedBy::Owner) => former,
            (former, by) => {
                let former_reason = former.and_then(|lock| lock.reason);
                Lock { by, reason: reason.filter(|reason| !reason.is_empty()).or(former_reason) }
            }
        }
    }

    /// Whether someone may unlock without the right to override: an owner's lock is for owners, an administrator's for
    /// administrators of another project.
    pub fn opens_for(&self, who: LockedBy) -> bool {
        self.by == who
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_changes_nothing_about_a_lock_that_is_there() {
        let lock = Lock { by: LockedBy::Admin, reason: Some("audit".to_owned()) };
        assert_eq!(Lock::after(Some(lock.clone()), LockedBy::Owner, Some("mine".to_owned())), lock);
    }

    #[test]
    fn an_administrator_takes_an_owners_lock_over() {
        let lock = Lock { by: LockedBy::Owner, reason: Some("mine".to_owned()) };
        let taken = Lock::after(Some(lock), LockedBy::Admin, None);
        assert_eq!(taken, Lock { by: LockedBy::Admin, reason: Some("mine".to_owned()) });
    }

    #[test]
    fn a_lock_opens_for_those_who_made_it() {
        let lock = Lock::after(None, LockedBy::Owner, None);
        assert!(lock.opens_for(LockedBy::Owner));
        assert!(!lock.opens_for(LockedBy::Admin));
    }
}
