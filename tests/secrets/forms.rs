//! Secrets, and the forms in which they could lie hidden in a text.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// What is secret of what this test says, each different from all else: a text that is found says where it came from.
pub const RIGHT: &str = "SecretRightPassword01";
pub const WRONG: &str = "SecretWrongPassword02";
pub const CHANGED: &str = "SecretChangedPassword03";
pub const CREDENTIAL: &str = "SecretOfACredential04";
pub const ADMIN_PASS: &str = "SecretAdminPass05";
pub const USER_DATA: &str = "SecretUserData06 #cloud-config password";
pub const PERSONALITY: &str = "SecretPersonality07";
pub const EXTRA: &str = "SecretExtraMember08";
pub const REMOTE: &str = "SecretOfARemoteCheck09";
pub const DATABASE: &str = "SecretOfTheDatabase10";
pub const METADATA: &str = "SecretInMetadata11";
pub const QUERY: &str = "SecretInAQuery12";
pub const HEADER: &str = "SecretInAHeader13";
pub const IDENTITY: &str = "SecretInAnId14";
pub const SAID: &[&str] = &[
    RIGHT,
    WRONG,
    CHANGED,
    CREDENTIAL,
    ADMIN_PASS,
    USER_DATA,
    PERSONALITY,
    EXTRA,
    REMOTE,
    DATABASE,
    METADATA,
    QUERY,
    HEADER,
    IDENTITY,
];

/// A secret, and the forms in which it could lie hidden.
fn forms(secret: &str) -> Vec<String> {
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    // the middle of a base64 text is the same wherever it begins, but for three ways of falling into groups
    let groups = |shift: usize| {
        let text = STANDARD.encode(&secret.as_bytes()[shift..]);
        text[..text.len() / 4 * 4 - 4].to_owned()
    };
    let mut forms = vec![secret.to_owned(), percent.to_lowercase(), percent, hexadecimal];
    forms.extend([groups(0), groups(1), groups(2), URL_SAFE_NO_PAD.encode(secret)]);
    forms.push(secret.chars().rev().collect());
    forms
}

#[track_caller]
pub fn has_none(what: &str, said: &str, secrets: &[String]) {
    for secret in secrets {
        for form in forms(secret) {
            let place = said.find(&form);
            let line = place.map(|place| said[..place].rfind('\n').map_or(said, |start| &said[start..]));
            assert!(
                place.is_none(),
                "{what} has {secret} as {form}: {}",
                line.unwrap_or_default().lines().take(2).collect::<String>()
            );
        }
    }
    // hashes are no secrets, but nobody's business either
    assert!(!said.contains("$2b$"), "{what} has the hash of a password");
}
