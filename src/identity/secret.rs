//! Text that must not be seen: never printed, wiped when it goes. No hashing here.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroize;

use super::random::Random;

/// Bytes of randomness in a generated password: 192 bits, which make 32 characters.
const GENERATED_BYTES: usize = 24;

/// A password, an API key, the secret of an application credential. `Debug` prints `***`; the memory is wiped on drop.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps what a client or a file has said. Pass a `String` to leave no second copy behind.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself. Every call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A new password of 32 URL-safe characters (192 bits), for the first start and for whoever has none.
pub fn generate_password(random: Random<'_>) -> Secret {
    let mut bytes = [0; GENERATED_BYTES];
    random(&mut bytes);
    let password = Secret(URL_SAFE_NO_PAD.encode(bytes));
    bytes.zeroize();
    password
}

#[cfg(test)]
mod tests {
    use super::super::random::os_random;
    use super::*;

    #[test]
    fn debug_does_not_print_a_secret() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(***)");
    }

    #[test]
    fn a_generated_password_is_url_safe_and_has_192_bits() {
        let password = generate_password(&mut os_random);
        assert_eq!(password.expose().len(), 32);
        assert!(password.expose().bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
    }

    #[test]
    fn a_generated_password_is_what_was_drawn() {
        assert_eq!(generate_password(&mut |bytes| bytes.fill(0)).expose(), "A".repeat(32));
    }
}
