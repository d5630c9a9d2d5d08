//! Where randomness comes from: an argument everywhere, the operating system at the street.

/// Fills a buffer with random bytes. An argument, so that a test can say what is drawn.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Random bytes from the operating system, fit for keys. Only the street passes it on.
pub fn os_random(bytes: &mut [u8]) {
    // Without randomness no key, salt or id can be made; there is nothing to fall back on.
    getrandom::fill(bytes).expect("an operating system that runs this process gives random bytes");
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
}
