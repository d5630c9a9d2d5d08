//! What a token says, and the bytes that say it. Not here: the keys that seal them (`token_keys`), clocks, revocation, the store.
//!
//! The bytes are our own, fewer than Keystone's msgpack: one version byte, then
//! `flags` (scope in bits 0-1, application credential in bit 2, methods from bit 3 on), the user id, the scope's id, the
//! lifetime as a zigzag varint of seconds, the number of audit ids and the ids, the application credential's id.
//! The time of issue is Fernet's own timestamp. A text is a varint `length << 2 | packing` and its bytes, where ids in
//! hexadecimal or base64url are packed to what they stand for: 16 bytes for the usual 32 or 22 characters.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a token says. All times are seconds since 1970, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub user_id: String,
    /// What it is good for.
    pub scope: Scope,
    /// How the user has proven who they are.
    pub methods: Methods,
    /// When it was issued.
    pub issued_at: i64,
    /// The first second at which it is no longer good.
    pub expires_at: i64,
    /// Its own audit id, then that of the token at the start of the chain, if there is one. 22 characters of base64url each.
    pub audit_ids: Vec<String>,
    /// The application credential it was got with.
    pub application_credential_id: Option<String>,
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For choosing a scope.
    Unscoped,
    /// A project, by id.
    Project(String),
    /// A domain, by id; `default` is one.
    Domain(String),
    /// The whole system.
    System,
}

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A password.
    Password,
    /// Another token.
    Token,
    /// An application credential.
    ApplicationCredential,
}

impl Method {
    /// All, in the order in which Keystone lists them: that of its configuration, last one first.
    const LISTED: [Method; 3] = [Method::ApplicationCredential, Method::Token, Method::Password];

    /// The name in requests and answers.
    pub fn name(self) -> &'static str {
        match self {
            Method::Password => "password",
            Method::Token => "token",
            Method::ApplicationCredential => "application_credential",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Method::Password => 1,
            Method::Token => 2,
            Method::ApplicationCredential => 4,
        }
    }
}

/// A set of methods.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    /// These and one more.
    #[must_use]
    pub fn with(self, method: Method) -> Methods {
        Methods(self.0 | method.bit())
    }

    /// Whether this one was used.
    pub fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// The methods in Keystone's order, e.g. `token`, `password`.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::LISTED.into_iter().filter(move |method| self.contains(*method))
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Methods {
        methods.into_iter().fold(Methods::default(), Methods::with)
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Token {
    /// Whether its time is over.
    pub fn expired(&self, now: i64) -> bool {
        self.expires_at <= now
    }
}

/// Why a text is not a good token. Clients hear the same in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Not the form of a token, or sealed with our key but not by this version.
    #[error("the text is not a token")]
    Malformed,
    /// The form of a token, but none of our keys has sealed it.
    #[error("no key of ours has sealed the token")]
    Forged,
    /// A good token whose time is over.
    #[error("the token has expired")]
    Expired,
}

const VERSION: u8 = 1;
const SCOPE_BITS: u8 = 0b11;
const CREDENTIAL_BIT: u8 = 0b100;
const METHODS_SHIFT: u32 = 3;

/// What a token says as bytes, but for when it was issued.
pub(super) fn write_token(out: &mut Vec<u8>, token: &Token) {
    let (scope, scope_id) = match &token.scope {
        Scope::Unscoped => (0, None),
        Scope::Project(id) => (1, Some(id)),
        Scope::Domain(id) => (2, Some(id)),
        Scope::System => (3, None),
    };
    let credential = token.application_credential_id.as_ref().map_or(0, |_| CREDENTIAL_BIT);
    out.extend([VERSION, scope | credential | token.methods.0 << METHODS_SHIFT]);
    write_text(out, &token.user_id);
    scope_id.iter().for_each(|id| write_text(out, id));
    let life = token.expires_at.wrapping_sub(token.issued_at);
    write_varint(out, (life << 1 ^ life >> 63) as u64); // zigzag: small whatever its sign
    write_varint(out, token.audit_ids.len() as u64);
    token.audit_ids.iter().for_each(|id| write_text(out, id));
    token.application_credential_id.iter().for_each(|id| write_text(out, id));
}

/// The token of these bytes, issued then.
pub(super) fn read_token(bytes: &[u8], issued_at: i64) -> Option<Token> {
    let mut rest = bytes;
    if take(&mut rest, 1)? != [VERSION] {
        return None;
    }
    let flags = take(&mut rest, 1)?[0];
    let methods = Methods(flags >> METHODS_SHIFT);
    if methods != methods.iter().collect() {
        return None; // a method of a later version
    }
    let user_id = read_text(&mut rest)?;
    let scope = match flags & SCOPE_BITS {
        0 => Scope::Unscoped,
        1 => Scope::Project(read_text(&mut rest)?),
        2 => Scope::Domain(read_text(&mut rest)?),
        _ => Scope::System, // two bits: 3
    };
    let life = read_varint(&mut rest)?;
    let expires_at = issued_at.wrapping_add((life >> 1) as i64 ^ -((life & 1) as i64));
    let audit_ids = (0..read_varint(&mut rest)?).map(|_| read_text(&mut rest)).collect::<Option<_>>()?;
    let application_credential_id = match flags & CREDENTIAL_BIT {
        0 => None,
        _ => Some(read_text(&mut rest)?),
    };
    rest.is_empty().then_some(Token {
        user_id,
        scope,
        methods,
        issued_at,
        expires_at,
        audit_ids,
        application_credential_id,
    })
}

const PLAIN: u64 = 0;
const HEX: u64 = 1;
const BASE64URL: u64 = 2;

fn write_text(out: &mut Vec<u8>, text: &str) {
    let (packing, bytes) = match (from_hex(text), from_audit_id(text)) {
        (Some(bytes), _) => (HEX, bytes),
        (None, Some(bytes)) => (BASE64URL, bytes),
        (None, None) => (PLAIN, text.as_bytes().to_vec()),
    };
    write_varint(out, (bytes.len() as u64) << 2 | packing);
    out.extend(bytes);
}

fn read_text(rest: &mut &[u8]) -> Option<String> {
    let head = read_varint(rest)?;
    let bytes = take(rest, usize::try_from(head >> 2).ok()?)?;
    match head & 0b11 {
        PLAIN => String::from_utf8(bytes.to_vec()).ok(),
        HEX => Some(to_hex(bytes)),
        BASE64URL => Some(URL_SAFE_NO_PAD.encode(bytes)),
        _ => None,
    }
}

/// The bytes of lower-case hexadecimal; nothing else comes back the same.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The bytes of a text that has the form of an audit id.
fn from_audit_id(text: &str) -> Option<Vec<u8>> {
    // The decoder refuses stray bits at the end, so the text comes back the same.
    if text.len() == 22 { URL_SAFE_NO_PAD.decode(text).ok() } else { None }
}

fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
pub(super) mod tests;
