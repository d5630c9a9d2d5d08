//! Hashing and checking passwords on a few threads of its own, so that bcrypt (a quarter of a second at 12 rounds)
//! never holds up a request that needs none. Secrets of application credentials and API keys go the same way.
//! Not here: which user, which hash, and what a wrong password means.
//!
//! As in Keystone (`keystone/common/password_hashing.py`, defaults `password_hash_algorithm = bcrypt`,
//! `strict_password_check = false`): a password is cut at 72 bytes of UTF-8, for bcrypt reads no more, and hashes
//! have the prefix `$2b$`. Hashes of a Keystone's database with `$2a$`, `$2b$`, `$2x$`, `$2y$` are understood; its
//! other algorithms (bcrypt_sha256, scrypt, pbkdf2_sha512) are not: `BadHash`.
//! Whoever wants `strict_password_check` compares with `PASSWORD_BYTES_MAX` before coming here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use super::random::Random;
use super::secret::Secret;
use crate::backlog::{Backlog, Bounds, Share};

/// How many bytes of a password count.
pub const PASSWORD_BYTES_MAX: usize = 72;

/// How many passwords may wait per thread in a burst: about two seconds of work at 12 rounds.
const QUEUED_PER_THREAD: usize = 8;
/// How many wait at least, per thread, where the threads do not catch up: one that is ready to be begun. Another would have all
/// who are let in wait for one password more, and the threads would do no more.
const QUEUED_PER_THREAD_STANDING: usize = 1;

/// The cost of a bcrypt hash: 2^rounds turns. One more doubles the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds(u32);

impl Rounds {
    /// The fewest that bcrypt knows: for tests.
    pub const MIN: Rounds = Rounds(4);
    /// What Keystone uses unless told otherwise.
    pub const DEFAULT: Rounds = Rounds(12);

    /// So many rounds, if there are 4 to 31.
    pub fn new(rounds: u32) -> Option<Rounds> {
        (4..=31).contains(&rounds).then_some(Rounds(rounds))
    }
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait already: come again later (503).
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// The stored hash is not one of bcrypt's.
    #[error("a stored password hash is malformed or of an unknown algorithm")]
    BadHash,
    /// Hashing or checking this one failed in a way that nobody expected.
    #[error("a password could not be worked on")]
    Defect,
}

/// A few threads that do nothing but bcrypt, with a bounded queue. Dropping it ends them after the work at hand.
// Threads and a queue rather than spawn_blocking and a semaphore: bcrypt would otherwise compete with disk reads
// for the runtime's blocking threads, and the work of callers who have gone away could not be skipped.
pub struct PasswordPool {
    queue: SyncSender<Job>,
    backlog: Arc<Backlog>,
    rounds: Rounds,
    absent: Arc<str>,
    hashes: Arc<AtomicU64>,
}

struct Job {
    share: Share,
    work: Box<dyn FnOnce() + Send>,
}

impl PasswordPool {
    /// Threads for half of this machine's cores, at least one.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn for_this_machine(rounds: Rounds) -> std::io::Result<PasswordPool> {
        let threads = (thread::available_parallelism().map_or(1, usize::from) / 2).max(1);
        PasswordPool::new(rounds, threads, threads * QUEUED_PER_THREAD)
    }

    /// So many threads (at least one), and at most `queued_max` (at least one) passwords waiting for them.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn new(rounds: Rounds, threads: usize, queued_max: usize) -> std::io::Result<PasswordPool> {
        let threads = threads.max(1);
        let bounds =
            Bounds { burst_max: queued_max, standing_min: QUEUED_PER_THREAD_STANDING * threads, hands: threads };
        let backlog = Arc::new(Backlog::new(bounds));
        let (queue, jobs) = sync_channel(backlog.places());
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads {
            let (jobs, backlog) = (Arc::clone(&jobs), Arc::clone(&backlog));
            thread::Builder::new().name("password".to_owned()).spawn(move || work(&jobs, &backlog))?;
        }
        Ok(PasswordPool { queue, backlog, rounds, absent: absent_hash(rounds).into(), hashes: Arc::default() })
    }

    /// The hash to store: 60 characters, `$2b$…`. The salt is drawn at once, not when the future is first polled.
    ///
    /// # Errors
    /// `Busy`, `Defect`.
    pub fn hash(
        &self,
        share: Share,
        password: Secret,
        random: Random<'_>,
    ) -> impl Future<Output = Result<String, PasswordError>> + Send + use<> {
        let mut salt = [0; 16];
        random(&mut salt);
        let rounds = self.rounds.0;
        let done =
            self.run(share, move || bcrypt::hash_with_salt(cut(&password), rounds, salt).map(|hash| hash.to_string()));
        async move { done?.await.map_err(|_| PasswordError::Defect)?.map_err(|_| PasswordError::BadHash) }
    }

    /// Whether `hash` was made from this password.
    ///
    /// # Errors
    /// `Busy`, `Defect`; `BadHash` where the hash is none of bcrypt's.
    pub fn verify(
        &self,
        share: Share,
        password: Secret,
        hash: &str,
    ) -> impl Future<Output = Result<bool, PasswordError>> + Send + use<> {
        let hash = hash.to_owned();
        let hashes = Arc::clone(&self.hashes);
        let done = self.run(share, move || {
            let fits = bcrypt::verify(cut(&password), &hash);
            // a malformed hash is refused before any work
            hashes.fetch_add(u64::from(fits.is_ok()), Ordering::Relaxed);
            fits
        });
        async move { done?.await.map_err(|_| PasswordError::Defect)?.map_err(|_| PasswordError::BadHash) }
    }

    /// Takes as long as `verify` does and says no: for a user who does not exist, is disabled, or has no password, so that
    /// the time of an answer does not tell which.
    ///
    /// # Errors
    /// `Busy`, `Defect`.
    pub async fn verify_absent(&self, share: Share, password: Secret) -> Result<bool, PasswordError> {
        // The very same path, so the very same cost. Should the password happen to fit, the answer is no all the same.
        self.verify(share, password, &self.absent).await.map(|_fits| false)
    }

    /// How many hashes were made so far to check passwords, those of nobody included: what answers have cost, for tests and metrics.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    fn run<T: Send + 'static>(
        &self,
        share: Share,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, PasswordError> {
        let (answer, done) = oneshot::channel();
        let job = move || {
            // Whoever asked may have hung up while waiting: then there is nothing to do.
            if !answer.is_closed() {
                let _gone = answer.send(work());
            }
        };
        if !self.backlog.enter(share) {
            return Err(PasswordError::Busy);
        }
        self.queue.try_send(Job { share, work: Box::new(job) }).map_err(|refused| {
            self.backlog.leave(share);
            match refused {
                TrySendError::Full(_) => PasswordError::Busy,
                TrySendError::Disconnected(_) => PasswordError::Defect,
            }
        })?;
        Ok(done)
    }
}

/// Does jobs until the pool is dropped.
fn work(jobs: &Mutex<Receiver<Job>>, backlog: &Backlog) {
    loop {
        // The lock is held while waiting for a job, not while doing it. Nothing in between can panic and poison it.
        let job = match jobs.lock() {
            Ok(jobs) => jobs.try_recv().or_else(|_| {
                backlog.ran_empty();
                jobs.recv()
            }),
            Err(_) => return,
        };
        let Ok(Job { share, work }) = job else { return };
        backlog.leave(share);
        backlog.taken(1, Instant::now());
        // A panic is the affair of whoever asked, who hears of it because the answer is dropped; the thread has others to serve.
        let _panicked = catch_unwind(AssertUnwindSafe(work));
    }
}

/// The bytes that count.
fn cut(password: &Secret) -> &[u8] {
    let bytes = password.expose().as_bytes();
    &bytes[..bytes.len().min(PASSWORD_BYTES_MAX)]
}

/// A well-formed hash of this cost that nobody's password has made.
fn absent_hash(rounds: Rounds) -> String {
    format!("$2b${:02}${}", rounds.0, ".".repeat(53))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::random::os_random;
    use super::*;

    #[tokio::test]
    async fn a_panic_harms_nobody_but_its_own_caller() {
        let pool = PasswordPool::new(Rounds::MIN, 1, 8).expect("a thread");
        let broken = pool.run(Share::OWN, || -> bool { panic!("as the test wants it") }).expect("room");
        assert!(broken.await.is_err());
        assert_eq!(pool.verify_absent(Share::OWN, secret("p")).await, Ok(false));
    }

    fn pool() -> PasswordPool {
        PasswordPool::new(Rounds::MIN, 1, 8).expect("a thread")
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    async fn hash(pool: &PasswordPool, text: &str) -> String {
        pool.hash(Share::OWN, secret(text), &mut os_random).await.expect("a hash")
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash() {
        let pool = pool();
        let hash = hash(&pool, "correct horse").await;
        assert_eq!(pool.verify(Share::OWN, secret("correct horse"), &hash).await, Ok(true));
    }

    #[tokio::test]
    async fn another_password_does_not_fit() {
        let pool = pool();
        let hash = hash(&pool, "correct horse").await;
        assert_eq!(pool.verify(Share::OWN, secret("correct horsf"), &hash).await, Ok(false));
    }

    #[tokio::test]
    async fn a_hash_says_its_rounds_and_version() {
        let pool = PasswordPool::new(Rounds::new(5).expect("allowed"), 1, 1).expect("a thread");
        assert!(hash(&pool, "p").await.starts_with("$2b$05$"));
    }

    #[tokio::test]
    async fn one_password_has_many_hashes() {
        let pool = pool();
        assert_ne!(hash(&pool, "p").await, hash(&pool, "p").await);
    }

    #[tokio::test]
    async fn bytes_beyond_72_do_not_count_as_in_keystone() {
        let pool = pool();
        let hash = hash(&pool, &"x".repeat(72)).await;
        assert_eq!(pool.verify(Share::OWN, secret(&("x".repeat(72) + "tail")), &hash).await, Ok(true));
    }

    #[tokio::test]
    async fn the_72nd_byte_counts() {
        let pool = pool();
        let hash = hash(&pool, &"x".repeat(72)).await;
        assert_eq!(pool.verify(Share::OWN, secret(&"x".repeat(71)), &hash).await, Ok(false));
    }

    #[tokio::test]
    async fn a_cut_in_the_middle_of_a_character_is_no_harm() {
        let pool = pool();
        let long = "x".repeat(71) + "é";
        let hash = hash(&pool, &long).await;
        assert_eq!(pool.verify(Share::OWN, secret(&long), &hash).await, Ok(true));
    }

    #[tokio::test]
    async fn a_hash_made_by_another_bcrypt_is_understood() {
        // Both made by libxcrypt's crypt(3).
        for (password, hash) in [
            ("correct horse", "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"),
            ("pässword", "$2y$05$abcdefghijklmnopqrstuucZGbUxuMlEqps0qcu2pjhO7vaatQZIC"),
        ] {
            assert_eq!(pool().verify(Share::OWN, secret(password), hash).await, Ok(true), "{hash}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_another_algorithm_is_an_error_and_not_a_no() {
        for hash in ["", "plain", "$scrypt$ln=16,r=8,p=1$x$y", "$bcrypt-sha256$v=2,t=2b,r=12$s$d", "é$2b$12$"] {
            assert_eq!(pool().verify(Share::OWN, secret("p"), hash).await, Err(PasswordError::BadHash), "{hash}");
        }
    }

    #[tokio::test]
    async fn nobody_has_the_absent_password() {
        for text in ["", "p", "................................"] {
            assert_eq!(pool().verify_absent(Share::OWN, secret(text)).await, Ok(false));
        }
    }

    #[test]
    fn the_absent_hash_is_well_formed_and_costs_what_others_cost() {
        for rounds in [4, 12, 31] {
            let hash = absent_hash(Rounds::new(rounds).expect("allowed"));
            let parts: bcrypt::HashParts = hash.parse().expect("well-formed");
            assert_eq!(parts.get_cost(), rounds);
        }
    }

    #[test]
    fn rounds_are_4_to_31() {
        assert_eq!([3, 4, 31, 32].map(|n| Rounds::new(n).is_some()), [false, true, true, false]);
    }

    /// A pool of one thread that is at work until the sender is dropped.
    fn occupied(queued_max: usize) -> (PasswordPool, mpsc::Sender<()>) {
        let pool = PasswordPool::new(Rounds::MIN, 1, queued_max).expect("a thread");
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let done = pool.run(Share::OWN, move || {
            begun.send(()).expect("the test waits");
            let _dropped = released.recv();
        });
        has_begun.recv().expect("the thread is at work");
        // Nobody waits for this answer; it must not be skipped either, so it has begun before its receiver goes.
        drop(done);
        (pool, release)
    }

    #[tokio::test]
    async fn beyond_the_queue_it_is_busy() {
        let (pool, _release) = occupied(1);
        let _waiting = pool.verify(Share::OWN, secret("p"), "");
        assert_eq!(pool.verify(Share::OWN, secret("p"), "").await, Err(PasswordError::Busy));
    }

    #[tokio::test]
    async fn a_flood_for_one_user_leaves_a_place_for_another() {
        let (pool, release) = occupied(4);
        let [flood, other] = [1, 2].map(Share::numbered);
        let _waiting: Vec<_> = (0..4).map(|_| pool.verify(flood, secret("p"), "")).collect();
        assert_eq!(pool.verify(flood, secret("p"), "").await, Err(PasswordError::Busy));
        let waiting = pool.verify_absent(other, secret("p"));
        drop(release);
        assert_eq!(waiting.await, Ok(false));
    }

    #[tokio::test]
    async fn who_waits_in_the_queue_is_served() {
        let (pool, release) = occupied(1);
        let waiting = pool.verify_absent(Share::OWN, secret("p"));
        drop(release);
        assert_eq!(waiting.await, Ok(false));
    }

    #[test]
    fn work_for_a_caller_who_has_gone_is_skipped() {
        let (pool, release) = occupied(2);
        let (did, done) = mpsc::channel();
        drop(pool.run(Share::OWN, move || did.send(())));
        drop(release);
        assert!(done.recv().is_err(), "the job was dropped without being done");
    }

    #[tokio::test]
    #[ignore = "a measurement: cargo test --release -- --ignored --nocapture"]
    async fn measure_a_password_of_12_rounds() {
        let pool = PasswordPool::for_this_machine(Rounds::DEFAULT).expect("threads");
        let began = std::time::Instant::now();
        for _ in 0..4 {
            let _no = pool.verify_absent(Share::OWN, secret("p")).await;
        }
        println!("verify, 12 rounds: {:?}", began.elapsed() / 4);
    }
}
