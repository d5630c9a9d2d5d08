//! The two hashes of an image, computed as it passes. No I/O here.

use bytes::Bytes;
use md5::{Digest, Md5};
use sha2::Sha512;

/// From how many bytes on hashing is left to other threads. Both hashes take about 3 µs per KiB together, and a task should
/// not hold up its thread for longer than some 0.2 ms.
const ELSEWHERE_BYTES: usize = 64 << 10;

/// MD5 and SHA-512 of all that has been seen.
#[derive(Default)]
pub(super) struct Digests {
    md5: Md5,
    sha512: Sha512,
}

impl Digests {
    /// These, with more data seen. A large part is hashed on two other threads at once.
    pub(super) async fn with(mut self, part: Bytes) -> Result<Digests, object_store::Error> {
        if part.len() < ELSEWHERE_BYTES {
            self.md5.update(&part);
            self.sha512.update(&part);
            return Ok(self);
        }
        let Digests { mut md5, mut sha512 } = self;
        let same = part.clone();
        let one = tokio::task::spawn_blocking(move || {
            md5.update(same);
            md5
        });
        let other = tokio::task::spawn_blocking(move || {
            sha512.update(part);
            sha512
        });
        // Such a thread fails only when the runtime is being shut down.
        Ok(Digests { md5: one.await?, sha512: other.await? })
    }

    /// Both, in hexadecimal.
    pub(super) fn hex(self) -> (String, String) {
        (hex(&self.md5.finalize()), hex(&self.sha512.finalize()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hashes(lengths: &[usize]) -> (String, String) {
        let mut digests = Digests::default();
        for length in lengths {
            digests = digests.with(Bytes::from(vec![7; *length])).await.expect("a runtime that lives");
        }
        digests.hex()
    }

    #[tokio::test]
    async fn what_is_hashed_here_and_elsewhere_is_one_hash() {
        let small = vec![ELSEWHERE_BYTES / 2; 8];
        assert_eq!(hashes(&small).await, hashes(&[4 * ELSEWHERE_BYTES]).await);
    }

    #[test]
    #[ignore = "a measurement: cargo test --release -- --ignored --nocapture"]
    fn measure_hashing() {
        let bytes = vec![7; 64 << 20];
        let began = std::time::Instant::now();
        std::hint::black_box(Md5::digest(&bytes));
        println!("md5: {:.2} µs per KiB", began.elapsed().as_secs_f64() * 1e6 / 65536.0);
        let began = std::time::Instant::now();
        std::hint::black_box(Sha512::digest(&bytes));
        println!("sha512: {:.2} µs per KiB", began.elapsed().as_secs_f64() * 1e6 / 65536.0);
    }
}
