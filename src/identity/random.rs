//! Where randomness comes from: an argument everywhere, the operating system at the street.

use std::cell::RefCell;

/// Fills a buffer with random bytes. An argument, so that a test can say what is drawn.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Random bytes from the operating system, fit for keys. Only the street passes it on.
pub fn os_random(bytes: &mut [u8]) {
    // Without randomness no key, salt or id can be made; there is nothing to fall back on.
    getrandom::fill(bytes).expect("an operating system that runs this process gives random bytes");
}

/// As many bytes as are fetched from the operating system at once.
const BUFFER_BYTES: usize = 1024;

thread_local! {
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer { bytes: [0; BUFFER_BYTES], used: BUFFER_BYTES }) };
}

struct Buffer {
    bytes: [u8; BUFFER_BYTES],
    used: usize,
}

/// Fills bytes with the operating system's chance, fetched in larger pieces: every request draws two ids, and a system call each would
/// cost as much as looking up its token. No byte is given away twice, and given bytes are wiped.
pub fn buffered_random(bytes: &mut [u8]) {
    if bytes.len() > BUFFER_BYTES {
        return os_random(bytes);
    }
    BUFFER.with_borrow_mut(|buffer| {
        if BUFFER_BYTES - buffer.used < bytes.len() {
            os_random(&mut buffer.bytes);
            buffer.used = 0;
        }
        let given = &mut buffer.bytes[buffer.used..][..bytes.len()];
        bytes.copy_from_slice(given);
        given.fill(0);
        buffer.used += bytes.len();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operating_system_does_not_repeat_itself() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        os_random(&mut one);
        os_random(&mut two);
        assert_ne!(one, two);
    }

    #[test]
    fn no_draw_repeats_another() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut id = [0; 16];
            buffered_random(&mut id);
            assert!(seen.insert(id), "{id:?} was drawn twice");
        }
    }

    #[test]
    fn more_than_the_buffer_holds_is_drawn_too() {
        let mut bytes = vec![0; BUFFER_BYTES * 3];
        buffered_random(&mut bytes);
        assert!(bytes.chunks(16).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
    }
}
