//! The shapes that many requests share, as `nova/api/validation/parameter_types.py` has them, with their rules in the same order,
//! and the bodies of the metadata resources. Not here: the body of any other request; that stands beside its endpoint.

use super::{Literal, Rule, Schema, Type, format, pattern};

const STRING: Rule = Rule::Type(&[Type::String]);
const OBJECT: Rule = Rule::Type(&[Type::Object]);
const INTEGER_OR_STRING: Rule = Rule::Type(&[Type::Integer, Type::String]);
/// The width of a database column.
const AT_MOST_255: Rule = Rule::MaxLength(255);
const NOT_EMPTY: Rule = Rule::MinLength(1);

/// Any string.
pub static ANY_STRING: Schema = Schema::new(&[STRING]);

/// A name of a server, flavor, aggregate…
pub static NAME: Schema = Schema::new(&[STRING, Rule::Format(&format::NAME), NOT_EMPTY, AT_MOST_255]);

/// A name, for `/v2`.
pub static NAME_WITH_SPACES: Schema =
    Schema::new(&[STRING, Rule::Format(&format::NAME_WITH_SPACES), NOT_EMPTY, AT_MOST_255]);

/// The name of an availability zone.
pub static AZ_NAME: Schema = Schema::new(&[STRING, Rule::Format(&format::AZ_NAME), NOT_EMPTY, AT_MOST_255]);

/// The name of an availability zone, for `/v2`.
pub static AZ_NAME_WITH_SPACES: Schema =
    Schema::new(&[STRING, Rule::Format(&format::AZ_NAME_WITH_SPACES), NOT_EMPTY, AT_MOST_255]);

/// A name or `null`.
pub static NAME_OR_NULL: Schema =
    Schema::new(&[Rule::OneOf(&[&Schema::new(&[STRING, NOT_EMPTY, AT_MOST_255]), &NULL])]);

/// Nothing but `null`.
pub static NULL: Schema = Schema::new(&[Rule::Type(&[Type::Null])]);

/// The name of a key pair before 2.92.
pub static KEYPAIR_NAME: Schema = Schema::new(&[Rule::AllOf(&[
    &NAME,
    &Schema::new(&[STRING, Rule::Pattern(&pattern::KEYPAIR_NAME), NOT_EMPTY, AT_MOST_255]),
])]);

/// The name of a key pair since 2.92.
pub static KEYPAIR_NAME_V292: Schema = Schema::new(&[Rule::AllOf(&[
    &NAME,
    &Schema::new(&[STRING, Rule::Pattern(&pattern::KEYPAIR_NAME_V292), NOT_EMPTY, AT_MOST_255]),
])]);

/// A description, or `null`.
pub static DESCRIPTION: Schema = Schema::new(&[
    Rule::Type(&[Type::String, Type::Null]),
    Rule::Pattern(&pattern::DESCRIPTION),
    Rule::MinLength(0),
    AT_MOST_255,
]);

/// A truth value in any of the ways Nova reads one.
pub static BOOLEAN: Schema = Schema::new(&[
    Rule::Type(&[Type::Boolean, Type::String]),
    Rule::Enum(&[
        Literal::Bool(true),
        Literal::Str("True"),
        Literal::Str("TRUE"),
        Literal::Str("true"),
        Literal::Str("1"),
        Literal::Str("ON"),
        Literal::Str("On"),
        Literal::Str("on"),
        Literal::Str("YES"),
        Literal::Str("Yes"),
        Literal::Str("yes"),
        Literal::Bool(false),
        Literal::Str("False"),
        Literal::Str("FALSE"),
        Literal::Str("false"),
        Literal::Str("0"),
        Literal::Str("OFF"),
        Literal::Str("Off"),
        Literal::Str("off"),
        Literal::Str("NO"),
        Literal::Str("No"),
        Literal::Str("no"),
    ]),
]);

/// An integer from 1, perhaps as a string.
pub static POSITIVE_INTEGER: Schema =
    Schema::new(&[INTEGER_OR_STRING, Rule::Pattern(&pattern::DIGITS_OR_NOTHING), Rule::Minimum(1), NOT_EMPTY]);

/// An integer from 0, perhaps as a string.
pub static NON_NEGATIVE_INTEGER: Schema =
    Schema::new(&[INTEGER_OR_STRING, Rule::Pattern(&pattern::DIGITS_OR_NOTHING), Rule::Minimum(0), NOT_EMPTY]);

/// The size of a volume in GiB, and other integers of a flavor that must not be 0.
pub static VOLUME_SIZE: Schema =
    Schema::new(&[INTEGER_OR_STRING, Rule::Pattern(&pattern::DIGITS), Rule::Minimum(1), Rule::Maximum(0x7fff_ffff)]);

/// Integers of a flavor that may be 0.
pub static FLAVOR_PARAM_NON_NEGATIVE: Schema =
    Schema::new(&[INTEGER_OR_STRING, Rule::Pattern(&pattern::DIGITS), Rule::Minimum(0), Rule::Maximum(0x7fff_ffff)]);

/// A UUID: of a server, image, volume, port…
pub static UUID: Schema = Schema::new(&[STRING, Rule::Format(&format::UUID)]);

/// A UUID, or `null`.
pub static UUID_OR_NULL: Schema = Schema::new(&[Rule::Type(&[Type::String, Type::Null]), Rule::Format(&format::UUID)]);

/// An image's UUID, or the empty string of a server that boots from a volume.
pub static IMAGE_ID_OR_EMPTY: Schema =
    Schema::new(&[Rule::OneOf(&[&UUID, &Schema::new(&[STRING, Rule::MaxLength(0)])])]);

/// A flavor's id, which may be an integer, or its URL.
pub static FLAVOR_REF: Schema = Schema::new(&[Rule::Type(&[Type::String, Type::Integer]), NOT_EMPTY]);

/// One label of a host name.
pub static HOSTNAME: Schema =
    Schema::new(&[STRING, Rule::Pattern(&pattern::HOSTNAME), Rule::MinLength(2), Rule::MaxLength(63)]);

/// A host name with its domain.
pub static FQDN: Schema = Schema::new(&[STRING, Rule::Pattern(&pattern::FQDN), NOT_EMPTY, AT_MOST_255]);

/// The id of a project or user.
pub static PROJECT_ID: Schema = Schema::new(&[STRING, Rule::Pattern(&pattern::PROJECT_ID), NOT_EMPTY, AT_MOST_255]);

/// A hardware address.
pub static MAC_ADDRESS: Schema = Schema::new(&[STRING, Rule::Pattern(&pattern::MAC_ADDRESS)]);

/// An IPv4 address.
pub static IPV4: Schema = Schema::new(&[STRING, Rule::Format(&format::IPV4)]);

/// An IPv6 address.
pub static IPV6: Schema = Schema::new(&[STRING, Rule::Format(&format::IPV6)]);

/// An address of either kind.
pub static IP_ADDRESS: Schema = Schema::new(&[
    STRING,
    Rule::OneOf(&[&Schema::new(&[Rule::Format(&format::IPV4)]), &Schema::new(&[Rule::Format(&format::IPV6)])]),
]);

/// `OS-DCF:diskConfig`.
pub static DISK_CONFIG: Schema = Schema::new(&[STRING, Rule::Enum(&[Literal::Str("AUTO"), Literal::Str("MANUAL")])]);

/// A tag.
pub static TAG: Schema = Schema::new(&[STRING, Rule::Pattern(&pattern::TAG), NOT_EMPTY, Rule::MaxLength(60)]);

/// A volume's type, or `null`.
pub static VOLUME_TYPE: Schema =
    Schema::new(&[Rule::Type(&[Type::String, Type::Null]), Rule::MinLength(0), AT_MOST_255]);

/// Data for a server in base64.
pub static USER_DATA: Schema = Schema::new(&[STRING, Rule::Format(&format::BASE64), Rule::MaxLength(65535)]);

/// Files to put into a server.
pub static PERSONALITY: Schema = Schema::new(&[
    Rule::Type(&[Type::Array]),
    Rule::Items(&Schema::new(&[
        OBJECT,
        Rule::Properties(&[
            ("path", &ANY_STRING),
            ("contents", &Schema::new(&[STRING, Rule::Format(&format::BASE64)])),
        ]),
        Rule::AdditionalProperties(false),
    ])),
]);

/// Ids of certificates an image must be signed with, or `null`.
pub static TRUSTED_CERTS: Schema = Schema::new(&[
    Rule::Type(&[Type::Array, Type::Null]),
    Rule::MinItems(1),
    Rule::MaxItems(50),
    Rule::UniqueItems,
    Rule::Items(&Schema::new(&[STRING, NOT_EMPTY])),
]);

/// A map of metadata: of a server, an image to be made, a server to be rebuilt.
pub static METADATA: Schema = Schema::new(&[OBJECT, METADATA_MEMBERS, Rule::AdditionalProperties(false)]);

const METADATA_MEMBERS: Rule = Rule::PatternProperties(&[(&pattern::METADATA_KEY, &METADATA_VALUE)]);

static METADATA_VALUE: Schema = Schema::new(&[STRING, AT_MOST_255]);

/// A map of metadata where `null` stands for taking a key away: aggregates.
pub static METADATA_WITH_NULL: Schema = Schema::new(&[
    OBJECT,
    Rule::PatternProperties(&[(
        &pattern::METADATA_KEY,
        &Schema::new(&[Rule::Type(&[Type::String, Type::Null]), AT_MOST_255]),
    )]),
    Rule::AdditionalProperties(false),
]);

static METADATA_OF_ONE: Schema = Schema::new(&[
    OBJECT,
    METADATA_MEMBERS,
    Rule::AdditionalProperties(false),
    Rule::MinProperties(1),
    Rule::MaxProperties(1),
]);

/// The body of POST and PUT `/servers/{server_id}/metadata` and of the same for images.
pub static METADATA_COLLECTION: Schema = Schema::new(&[
    OBJECT,
    Rule::Properties(&[("metadata", &METADATA)]),
    Rule::Required(&["metadata"]),
    Rule::AdditionalProperties(false),
]);

/// The body of PUT `/servers/{server_id}/metadata/{key}` and of the same for images.
pub static METADATA_ITEM: Schema = Schema::new(&[
    OBJECT,
    Rule::Properties(&[("meta", &METADATA_OF_ONE)]),
    Rule::Required(&["meta"]),
    Rule::AdditionalProperties(false),
]);
