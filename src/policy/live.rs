//! The rules in force, in three layers: the defaults of the code, the policy that was published for every process of the database, and the
//! files of this host, which count over it. Each layer is taken anew when it has changed; one that cannot be taken changes nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use arc_swap::ArcSwap;

use super::file::{FileError, Overrides, PolicyFiles, Snapshot, parse_published};
use super::rules::Rules;
use crate::model::time::Timestamp;

/// How long a published policy may be: a row of the database, which is also a line of an export.
pub const PUBLISHED_BYTES_MAX: usize = 1024 * 1024;

/// A policy as it was published for all processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Which one it is.
    pub edition: Edition,
    /// As in a policy file; empty where the policy was withdrawn.
    pub text: String,
}

/// What tells a published policy from every other. Its number alone does not: where a database has lost its newest revisions, in a failover
/// or by a restore, their numbers are given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Counts from 1.
    pub revision: i64,
    /// When it was published.
    pub published_at: Timestamp,
}

/// The rules in force, and what they come from.
pub struct LiveRules {
    files: PolicyFiles,
    build: Box<dyn Fn(Overrides) -> Rules + Send + Sync>,
    current: ArcSwap<Rules>,
    layers: Mutex<Layers>,
}

/// What was taken last.
#[derive(Default)]
struct Layers {
    /// What was last looked at of the files, taken or not, so that a broken file is told once and not at every look.
    seen: Option<Snapshot>,
    of_files: Overrides,
    published: Overrides,
    /// Of the published policy in force.
    edition: Option<Edition>,
    /// The newest one that was looked at, taken or not.
    edition_seen: Option<Edition>,
    /// What could not be taken at the last look, so that it is told once.
    refused: Vec<Edition>,
}

/// What a reload brought.
#[derive(Debug)]
pub struct Reloaded {
    /// The rules now in force.
    pub rules: Arc<Rules>,
    /// Files which are gone, and their rules with them.
    pub gone: Vec<PathBuf>,
}

/// What became of published policies that were looked at.
#[derive(Debug, Default)]
pub struct Taken {
    /// The revision that is in force from now on, where it is another policy than before; 0 where nothing is published any more.
    pub revision: Option<i64>,
    /// Why newer ones are not; each is told once.
    pub refused: Vec<FileError>,
}

impl LiveRules {
    /// Loads the files. `build` joins what they say with the defaults of the code.
    ///
    /// # Errors
    /// The first file that cannot be taken.
    pub fn load(
        files: PolicyFiles,
        build: impl Fn(Overrides) -> Rules + Send + Sync + 'static,
    ) -> Result<LiveRules, FileError> {
        // Before reading, so that what is written in between is noticed at the next look.
        let seen = files.snapshot()?;
        let layers = Layers { seen: Some(seen), of_files: files.load()?, ..Layers::default() };
        let current = ArcSwap::from_pointee(build(layers.joined()));
        Ok(LiveRules { files, build: Box::new(build), current, layers: Mutex::new(layers) })
    }

    /// The rules in force. Whoever holds them keeps them, whatever is reloaded meanwhile.
    pub fn current(&self) -> Arc<Rules> {
        self.current.load_full()
    }

    /// Which published policy is in force, if one is.
    pub fn edition(&self) -> Option<Edition> {
        self.layers().edition
    }

    /// Its revision; 0 where there is none.
    pub fn revision(&self) -> i64 {
        self.edition().map_or(0, |edition| edition.revision)
    }

    /// The newest published policy that was looked at, whether it could be taken or not.
    pub fn edition_seen(&self) -> Option<Edition> {
        self.layers().edition_seen
    }

    /// Rules of the published policy that the files of this host replace by something else, by name.
    pub fn replaced(&self) -> Vec<String> {
        let layers = self.layers();
        let differs = |name: &str| {
            last_of(&layers.of_files, name).is_some_and(|own| last_of(&layers.published, name) != Some(own))
        };
        let names: BTreeSet<&str> = layers.published.iter().map(|(name, _)| name.as_str()).collect();
        names.into_iter().filter(|name| differs(name)).map(str::to_owned).collect()
    }

    /// Looks whether a file has changed, appeared or gone, and if so puts all rules in force anew, at once.
    ///
    /// # Errors
    /// The first file that cannot be taken: the old rules stay in force, and the same files are not tried again until they change.
    pub fn reload_if_changed(&self) -> Result<Option<Reloaded>, FileError> {
        let mut layers = match self.layers.try_lock() {
            Ok(layers) => layers,
            // Somebody else is looking right now; nobody waits for that.
            Err(TryLockError::WouldBlock) => return Ok(None),
            // What is behind the lock is whole at every moment, so a panic of another holder is no reason not to go on.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        let now = match self.files.snapshot() {
            Ok(now) => now,
            Err(_) if layers.seen.is_none() => return Ok(None),
            Err(error) => {
                layers.seen = None;
                return Err(error);
            }
        };
        if layers.seen.as_ref() == Some(&now) {
            return Ok(None);
        }
        let before = layers.seen.replace(now.clone()).unwrap_or_default();
        layers.of_files = self.files.load()?;
        let rules = self.put_in_force(&layers);
        Ok(Some(Reloaded { rules, gone: before.without(&now) }))
    }

    /// Puts the newest of those that the database has in force, if it can be taken, or else the newest that can. Where none can be, what was
    /// in force stays; where none are, nothing published is in force.
    pub fn take(&self, mut kept: Vec<Published>) -> Taken {
        let mut layers = self.layers();
        kept.sort_by_key(|published| std::cmp::Reverse(published.edition.revision));
        layers.edition_seen = kept.first().map(|newest| newest.edition);
        let told = std::mem::take(&mut layers.refused);
        let mut taken = Taken::default();
        let has_any = !kept.is_empty();
        for Published { edition, text } in kept {
            if layers.edition == Some(edition) {
                return taken;
            }
            match parse_published(edition.revision, &text) {
                Ok(overrides) => {
                    (layers.edition, layers.published) = (Some(edition), overrides);
                    self.put_in_force(&layers);
                    taken.revision = Some(edition.revision);
                    return taken;
                }
                Err(error) => {
                    layers.refused.push(edition);
                    if !told.contains(&edition) {
                        taken.refused.push(error);
                    }
                }
            }
        }
        if !has_any && layers.edition.take().is_some() {
            layers.published = Overrides::default();
            self.put_in_force(&layers);
            taken.revision = Some(0);
        }
        taken
    }

    fn put_in_force(&self, layers: &Layers) -> Arc<Rules> {
        let rules = Arc::new((self.build)(layers.joined()));
        self.current.store(Arc::clone(&rules));
        rules
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layers {
    /// The published policy, and over it the files of this host.
    fn joined(&self) -> Overrides {
        self.published.iter().chain(&self.of_files).cloned().collect()
    }
}

/// What counts of a name.
fn last_of<'a>(overrides: &'a Overrides, name: &str) -> Option<&'a super::rule::RuleText> {
    overrides.iter().rev().find(|(known, _)| known == name).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::file::tests::{check_of_a, folder, write};
    use super::super::rules::{RuleDefault, Settings};
    use super::*;

    fn live(files: &PolicyFiles) -> LiveRules {
        let build = |overrides| {
            let defaults = [RuleDefault { name: "a", check: "role:code", ..RuleDefault::default() }];
            Rules::new(overrides, &defaults, &Settings::default())
        };
        LiveRules::load(files.clone(), build).expect("files that can be taken")
    }

    #[test]
    fn unchanged_files_are_not_read_again() {
        let (_folder, files) = folder();
        write(&files.policy_file, "a: role:x");
        assert!(live(&files).reload_if_changed().expect("good files").is_none());
    }

    #[test]
    fn a_change_comes_into_force_and_earlier_holders_keep_theirs() {
        let (_folder, files) = folder();
        let live = live(&files);
        let earlier = live.current();
        write(&files.policy_file, "a: role:file");
        assert!(live.reload_if_changed().expect("good files").is_some());
        assert_eq!(check_of_a(&live.current()), "role:file");
        assert_eq!(check_of_a(&earlier), "role:code");
    }

    #[test]
    fn a_change_of_the_same_length_is_noticed() {
        let (folder, files) = folder();
        write(&files.policy_file, "a: role:x");
        let live = live(&files);
        let other = folder.path().join("other");
        write(&other, "a: role:y");
        fs::rename(&other, &files.policy_file).expect("a renamed file");
        live.reload_if_changed().expect("good files");
        assert_eq!(check_of_a(&live.current()), "role:y");
    }

    #[test]
    fn a_new_file_in_the_directory_is_noticed() {
        let (_folder, files) = folder();
        let live = live(&files);
        write(&files.policy_dirs[0].join("1.yaml"), "a: role:d");
        live.reload_if_changed().expect("good files");
        assert_eq!(check_of_a(&live.current()), "role:d");
    }

    #[test]
    fn a_file_that_goes_takes_its_rules_with_it_and_is_named() {
        let (_folder, files) = folder();
        write(&files.policy_file, "a: role:file");
        let live = live(&files);
        fs::remove_file(&files.policy_file).expect("a removed file");
        let reloaded = live.reload_if_changed().expect("no files").expect("a change");
        assert_eq!(reloaded.gone, [files.policy_file]);
        assert_eq!(check_of_a(&reloaded.rules), "role:code");
    }

    #[test]
    fn a_file_that_breaks_is_told_once_and_changes_nothing() {
        let (_folder, files) = folder();
        write(&files.policy_file, "a: role:file");
        let live = live(&files);
        write(&files.policy_file, "a: [");
        assert!(live.reload_if_changed().is_err());
        assert!(live.reload_if_changed().expect("told already").is_none());
        assert_eq!(check_of_a(&live.current()), "role:file");
        write(&files.policy_file, "a: role:mended");
        assert!(live.reload_if_changed().expect("a good file").is_some());
        assert_eq!(check_of_a(&live.current()), "role:mended");
    }

    fn published(revision: i64, text: &str) -> Published {
        published_at(revision, 0, text)
    }

    fn published_at(revision: i64, at: i64, text: &str) -> Published {
        let edition = Edition { revision, published_at: Timestamp::from_microseconds(at) };
        Published { edition, text: text.to_owned() }
    }

    #[test]
    fn files_count_over_what_is_published_and_that_over_the_code() {
        let (_folder, files) = folder();
        let live = live(&files);
        assert_eq!(check_of_a(&live.current()), "role:code");
        assert_eq!(live.take(vec![published(1, "a: role:published")]).revision, Some(1));
        assert_eq!((check_of_a(&live.current()), live.replaced()), ("role:published".to_owned(), vec![]));
        write(&files.policy_file, "a: role:file");
        live.reload_if_changed().expect("good files");
        assert_eq!((check_of_a(&live.current()), live.replaced()), ("role:file".to_owned(), vec!["a".to_owned()]));
        // also after the published one has changed
        live.take(vec![published(2, "a: role:other")]);
        assert_eq!(check_of_a(&live.current()), "role:file");
        fs::remove_file(&files.policy_file).expect("a removed file");
        live.reload_if_changed().expect("no files");
        assert_eq!(check_of_a(&live.current()), "role:other");
    }

    #[test]
    fn what_is_withdrawn_no_longer_counts() {
        let (_folder, files) = folder();
        let live = live(&files);
        live.take(vec![published(1, "a: role:published")]);
        assert_eq!(live.take(vec![published(2, "")]).revision, Some(2));
        assert_eq!(check_of_a(&live.current()), "role:code");
    }

    #[test]
    fn a_published_policy_that_is_broken_is_told_once_and_changes_nothing() {
        let (_folder, files) = folder();
        let live = live(&files);
        live.take(vec![published(1, "a: role:good")]);
        let taken = live.take(vec![published(2, "a: role:x\nb: [")]);
        assert_eq!((taken.revision, live.revision()), (None, 1));
        assert_eq!(live.edition_seen().map(|seen| seen.revision), Some(2));
        let told = taken.refused.first().expect("a reason").to_string();
        assert!(told.starts_with("published policy, revision 2:"), "{told}");
        assert!(live.take(vec![published(2, "a: role:x\nb: [")]).refused.is_empty());
        assert_eq!(check_of_a(&live.current()), "role:good");
        // nor do files bring it in force
        write(&files.policy_file, "b: role:file");
        live.reload_if_changed().expect("good files");
        assert_eq!(check_of_a(&live.current()), "role:good");
        assert_eq!(live.take(vec![published(3, "a: role:mended")]).revision, Some(3));
        assert_eq!(check_of_a(&live.current()), "role:mended");
    }

    #[test]
    fn whoever_knows_none_takes_the_newest_that_can_be_taken() {
        let (_folder, files) = folder();
        let live = live(&files);
        let all = vec![published(7, "a: role:seven"), published(9, "- a"), published(8, "a: role:eight")];
        let taken = live.take(all);
        assert_eq!((taken.revision, taken.refused.len()), (Some(8), 1));
        assert_eq!(check_of_a(&live.current()), "role:eight");
        // what was told is not told again, and what is in force is not taken again
        let all = vec![published(10, "- a"), published(9, "- a"), published(8, "a: role:eight")];
        let taken = live.take(all);
        assert_eq!((taken.revision, taken.refused.len()), (None, 1));
    }

    #[test]
    fn what_the_database_has_lost_is_in_force_no_longer_also_where_its_number_is_given_again() {
        let (_folder, files) = folder();
        let live = live(&files);
        let first = published_at(1, 10, "a: role:first");
        live.take(vec![published_at(2, 20, "a: role:lost"), first.clone()]);
        assert_eq!(live.take(vec![published_at(2, 30, "a: role:again"), first.clone()]).revision, Some(2));
        assert_eq!(check_of_a(&live.current()), "role:again");
        assert_eq!(live.take(vec![first]).revision, Some(1));
        assert_eq!(check_of_a(&live.current()), "role:first");
        assert_eq!(live.take(vec![]).revision, Some(0));
        assert_eq!((check_of_a(&live.current()), live.edition_seen()), ("role:code".to_owned(), None));
        assert_eq!(live.take(vec![]).revision, None);
    }

    #[test]
    fn a_broken_file_does_not_keep_a_published_policy_out() {
        let (_folder, files) = folder();
        write(&files.policy_file, "b: role:file");
        let live = live(&files);
        write(&files.policy_file, "b: [");
        assert!(live.reload_if_changed().is_err());
        live.take(vec![published(1, "a: role:published\nb: role:published")]);
        assert_eq!((check_of_a(&live.current()), live.replaced()), ("role:published".to_owned(), vec!["b".to_owned()]));
    }
}
