//! Identifiers: a different type for every kind of thing, so that one cannot be taken for another.
//! What an id names is found elsewhere; here is only how one is made, read and printed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::time::Timestamp;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnId {
    /// Not a UUID in its canonical form: 36 characters, lower case, with hyphens.
    #[error("not a canonical UUID")]
    NotCanonical,
    /// Nothing at all.
    #[error("an id has at least one character")]
    Empty,
    /// More characters than an id of this kind may have.
    #[error("an id of this kind has at most {0} characters")]
    TooLong(usize),
    /// Characters which an id of this kind does not have.
    #[error("an id of this kind does not have such characters")]
    BadCharacter,
}

const HEX: &[u8; 16] = b"0123456789abcdef";
/// Where the hyphens of a canonical UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Sets the version (4) and variant bits that make 16 random bytes a UUID (RFC 9562 §5.4).
const fn version_four(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn canonical(bytes: &[u8; 16]) -> [u8; 36] {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in bytes {
        at += usize::from(HYPHENS.contains(&at));
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    text
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn from_canonical(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if HYPHENS.iter().any(|&at| text[at] != b'-') {
        return None;
    }
    let mut bytes = [0; 16];
    let mut at = 0;
    for byte in &mut bytes {
        at += usize::from(HYPHENS.contains(&at));
        *byte = nibble(text[at])? << 4 | nibble(text[at + 1])?;
        at += 2;
    }
    Some(bytes)
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Read and printed as a canonical UUID only: another spelling of the same number is another, unknown, name
        /// to clients, as it is to Nova.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new id made from 16 random bytes (UUID version 4).
            pub const fn from_random(bytes: [u8; 16]) -> $name {
                $name(version_four(bytes))
            }

            /// The id whose 16 bytes are these, as `bytes` gave them.
            pub const fn from_bytes(bytes: [u8; 16]) -> $name {
                $name(bytes)
            }

            /// The 16 bytes of the id, as it is stored.
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(std::str::from_utf8(&canonical(&self.0)).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<$name, NotAnId> {
                from_canonical(text).map($name).ok_or(NotAnId::NotCanonical)
            }
        }
    };
}

/// The id of a request, as clients read it and logs repeat it: `req-` and a UUID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 40]);

impl RequestId {
    /// A new id made from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> RequestId {
        RequestId::of(version_four(bytes))
    }

    fn of(uuid: [u8; 16]) -> RequestId {
        let mut text = *b"req-????????????????????????????????????";
        text[4..].copy_from_slice(&canonical(&uuid));
        RequestId(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("`from_random` writes ASCII")
    }
}

impl FromStr for RequestId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<RequestId, NotAnId> {
        let uuid = text.strip_prefix("req-").and_then(from_canonical);
        uuid.map(RequestId::of).ok_or(NotAnId::NotCanonical)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $characters_max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters such an id has.
            pub const CHARACTERS_MAX: usize = $characters_max;

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! identity_id {
    ($(#[$doc:meta])* $name:ident) => {
        text_id!(
            $(#[$doc])*
            ///
            /// Usually 32 hexadecimal digits; any text of 1 to 64 characters, since an operator may bring ids along
            /// (`default`, numeric tenants).
            $name, 64
        );

        impl $name {
            /// A new id made from 16 random bytes: a UUID version 4 without hyphens, as Keystone makes them.
            pub fn from_random(bytes: [u8; 16]) -> $name {
                $name(hexadecimal(&version_four(bytes)).into())
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<$name, NotAnId> {
                fits(text, $name::CHARACTERS_MAX).map(|()| $name(text.into()))
            }
        }
    };
}

fn hexadecimal(bytes: &[u8; 16]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(HEX[usize::from(digit)])).collect()
}

fn fits(text: &str, characters_max: usize) -> Result<(), NotAnId> {
    if text.is_empty() {
        return Err(NotAnId::Empty);
    }
    if text.chars().count() > characters_max {
        return Err(NotAnId::TooLong(characters_max));
    }
    Ok(())
}

uuid_id!(
    /// Which server.
    ServerId
);
uuid_id!(
    /// Which image.
    ImageId
);

/// The four bits of a UUID's first eight bytes that are its version: between the time, of version 7, and the twelve bits behind it.
const VERSION: u64 = 0xf << 12;

/// How many bits of a server's number follow the milliseconds.
const NUMBER_TAIL_BITS: u32 = 12;

impl ServerId {
    /// A new id for a server made now, from 16 random bytes: a UUID of version 7 (RFC 9562 §5.7). Such ids rise with time, in
    /// milliseconds, so that servers made together are stored together.
    pub fn at(now: Timestamp, random: [u8; 16]) -> ServerId {
        // no cloud is older than 1970, and 48 bits of milliseconds last until the year 10889
        let milliseconds = u64::try_from(now.microseconds() / 1000).unwrap_or(0);
        let mut id = ServerId(version_four(random));
        let tail = id.front() & 0xfff;
        id.set_front(milliseconds << 16 | 7 << 12 | tail);
        id
    }

    /// The number by which a server is stored and found: the first 60 bits of its id but for the version. Two servers of one cloud
    /// never have the same.
    pub fn number(&self) -> i64 {
        let front = self.front();
        i64::try_from(front >> 16 << NUMBER_TAIL_BITS | front & 0xfff).expect("60 bits")
    }

    /// The id with the next number, for where this one's is taken.
    pub fn next(&self) -> ServerId {
        let number = self.number().unsigned_abs() + 1;
        let mut id = *self;
        id.set_front(number >> NUMBER_TAIL_BITS << 16 | self.front() & VERSION | number & 0xfff);
        id
    }

    fn front(&self) -> u64 {
        u64::from_be_bytes(self.0[..8].try_into().expect("eight bytes"))
    }

    fn set_front(&mut self, front: u64) {
        self.0[..8].copy_from_slice(&front.to_be_bytes());
    }
}

identity_id!(
    /// Which project (tenant).
    ProjectId
);
identity_id!(
    /// Which user.
    UserId
);
identity_id!(
    /// Which domain of users and projects.
    DomainId
);
identity_id!(
    /// Which role.
    RoleId
);
text_id!(
    /// Which flavor, by the id that clients use (`flavorid` in Nova): letters, digits, `.`, `_`, `-` and spaces, no
    /// space first or last.
    FlavorId,
    255
);

impl FlavorId {
    /// A new id made from 16 random bytes: a canonical UUID, as Nova makes one when the client names none.
    pub fn from_random(bytes: [u8; 16]) -> FlavorId {
        FlavorId(ServerId::from_random(bytes).to_string().into())
    }
}

impl FromStr for FlavorId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<FlavorId, NotAnId> {
        fits(text, FlavorId::CHARACTERS_MAX)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b". _-".contains(&byte);
        if !text.bytes().all(allowed) || text.starts_with(' ') || text.ends_with(' ') {
            return Err(NotAnId::BadCharacter);
        }
        Ok(FlavorId(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "01234567-89ab-4def-8123-456789abcdef";

    #[test]
    fn a_canonical_id_is_read_and_printed_alike() {
        assert_eq!(TEXT.parse::<ServerId>().unwrap().to_string(), TEXT);
    }

    #[test]
    fn another_spelling_is_no_id() {
        let upper = TEXT.to_uppercase();
        let bare = TEXT.replace('-', "");
        let shifted = "0123456-789ab-4def-8123-456789abcdef";
        let signed = "+1234567-89ab-4def-8123-456789abcdef";
        for text in [&upper, &bare, shifted, signed, "", "é", &format!("{TEXT} "), &format!("{{{TEXT}}}")] {
            assert_eq!(text.parse::<ServerId>(), Err(NotAnId::NotCanonical), "{text}");
        }
    }

    #[test]
    fn random_bytes_become_a_version_four_uuid() {
        assert_eq!(ImageId::from_random([0xff; 16]).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(ImageId::from_random([0; 16]).to_string(), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn a_servers_id_is_a_version_seven_uuid_of_its_moment() {
        let now = Timestamp::from_microseconds(0x0123_4567_89ab * 1000 + 999);
        let id = ServerId::at(now, [0xff; 16]);
        assert_eq!(id.to_string(), "01234567-89ab-7fff-bfff-ffffffffffff");
        assert_eq!(id.number(), 0x0012_3456_789a_bfff);
        assert_eq!(id.next().to_string(), "01234567-89ac-7000-bfff-ffffffffffff");
        assert_eq!(ServerId::at(Timestamp::EPOCH, [0; 16]).to_string(), "00000000-0000-7000-8000-000000000000");
    }

    #[test]
    fn identity_ids_are_made_without_hyphens() {
        assert_eq!(ProjectId::from_random([0; 16]).as_str(), "00000000000040008000000000000000");
    }

    #[test]
    fn an_identity_id_may_be_any_short_text() {
        assert_eq!("default".parse::<DomainId>().unwrap().as_str(), "default");
        assert_eq!("".parse::<UserId>(), Err(NotAnId::Empty));
        assert_eq!("é".repeat(65).parse::<UserId>(), Err(NotAnId::TooLong(64)));
        assert!("é".repeat(64).parse::<UserId>().is_ok());
    }

    #[test]
    fn a_flavor_id_follows_novas_pattern() {
        for text in ["1", "m1.small", "a b", "performance1-1", "_"] {
            assert_eq!(text.parse::<FlavorId>().unwrap().as_str(), text);
        }
        for text in [" a", "a ", "a/b", "é", "a\n"] {
            assert_eq!(text.parse::<FlavorId>(), Err(NotAnId::BadCharacter), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_id_survives_its_text(bytes in any::<[u8; 16]>()) {
            let id = ServerId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<ServerId>(), Ok(id));
            prop_assert_eq!(id.to_string().len(), 36);
        }

        #[test]
        fn the_next_id_has_the_next_number_and_the_rest_stays(bytes in any::<[u8; 16]>()) {
            let id = ServerId::from_bytes(bytes);
            prop_assume!(id.number() < (1 << 60) - 1);
            let next = id.next();
            prop_assert_eq!(next.number(), id.number() + 1);
            prop_assert_eq!(next.bytes()[6] >> 4, bytes[6] >> 4);
            prop_assert_eq!(&next.bytes()[8..], &bytes[8..]);
        }

        #[test]
        fn whatever_is_read_is_printed_as_it_was(text in "[0-9a-f-]{36}|\\PC*") {
            if let Ok(id) = text.parse::<ServerId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
