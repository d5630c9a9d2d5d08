//! What requests about servers look like, version by version (nova/api/openstack/compute/schemas/servers.py).

use crate::api::schema::format;
use crate::api::schema::parameter_types::{
    ANY_STRING, BOOLEAN, DESCRIPTION, DISK_CONFIG, FLAVOR_REF, FQDN, HOSTNAME, IMAGE_ID_OR_EMPTY, IP_ADDRESS, IPV4,
    IPV6, METADATA, NAME, NAME_OR_NULL, PERSONALITY, POSITIVE_INTEGER, TAG, TRUSTED_CERTS, USER_DATA, UUID,
    UUID_OR_NULL, VOLUME_SIZE, VOLUME_TYPE,
};
use crate::api::schema::{Literal, Rule, Schema, Type, pattern};
use crate::api::version::Microversion;

const OBJECT: Rule = Rule::Type(&[Type::Object]);
const STRING: Rule = Rule::Type(&[Type::String]);
const ARRAY: Rule = Rule::Type(&[Type::Array]);
const NO_OTHERS: Rule = Rule::AdditionalProperties(false);

/// A text of at most 255 characters.
static TEXT_255: Schema = Schema::new(&[STRING, Rule::MaxLength(255)]);

static DEVICE_NAME: Schema =
    Schema::new(&[STRING, Rule::MinLength(1), Rule::MaxLength(255), Rule::Pattern(&pattern::DEVICE_NAME)]);
static CONNECTION: Schema = Schema::new(&[STRING, Rule::MaxLength(16_777_215)]);
static SOURCE_TYPE: Schema = Schema::new(&[
    STRING,
    Rule::Enum(&[Literal::Str("volume"), Literal::Str("image"), Literal::Str("snapshot"), Literal::Str("blank")]),
]);
static BLOCK_UUID: Schema =
    Schema::new(&[STRING, Rule::MinLength(1), Rule::MaxLength(255), Rule::Pattern(&pattern::BLOCK_DEVICE_UUID)]);
static DESTINATION_TYPE: Schema = Schema::new(&[STRING, Rule::Enum(&[Literal::Str("local"), Literal::Str("volume")])]);
static BOOT_INDEX: Schema =
    Schema::new(&[Rule::Type(&[Type::Integer, Type::String, Type::Null]), Rule::Pattern(&pattern::SIGNED_DIGITS)]);

macro_rules! block_device {
    ($($more:expr,)*) => {
        Schema::new(&[
            OBJECT,
            Rule::Properties(&[
                ("virtual_name", &TEXT_255),
                ("volume_id", &UUID),
                ("snapshot_id", &UUID),
                ("volume_size", &VOLUME_SIZE),
                ("device_name", &DEVICE_NAME),
                ("delete_on_termination", &BOOLEAN),
                ("no_device", &Schema::ANY),
                ("connection_info", &CONNECTION),
                $($more,)*
            ]),
            NO_OTHERS,
        ])
    };
}

macro_rules! block_device_v2 {
    ($($more:expr,)*) => {
        block_device!(
            ("source_type", &SOURCE_TYPE),
            ("uuid", &BLOCK_UUID),
            ("image_id", &UUID),
            ("destination_type", &DESTINATION_TYPE),
            ("guest_format", &TEXT_255),
            ("device_type", &TEXT_255),
            ("disk_bus", &TEXT_255),
            ("boot_index", &BOOT_INDEX),
            $($more,)*
        )
    };
}

macro_rules! list_of {
    ($item:expr) => {
        Schema::new(&[ARRAY, Rule::Items($item)])
    };
}

static BLOCK_DEVICES: Schema = list_of!(&block_device!());
static BLOCK_DEVICES_V2: Schema = list_of!(&block_device_v2!());
static BLOCK_DEVICES_V2_TAG: Schema = list_of!(&block_device_v2!(("tag", &TAG),));
static BLOCK_DEVICES_V2_TYPE: Schema = list_of!(&block_device_v2!(("tag", &TAG), ("volume_type", &VOLUME_TYPE),));

macro_rules! network {
    ($uuid:expr $(, $more:expr)*) => {
        Schema::new(&[
            OBJECT,
            Rule::Properties(&[("fixed_ip", &IP_ADDRESS), ("port", &UUID_OR_NULL), ("uuid", $uuid) $(, $more)*]),
            NO_OTHERS,
        ])
    };
}

macro_rules! networks_or_word {
    ($item:expr) => {
        Schema::new(&[Rule::OneOf(&[
            &list_of!($item),
            &Schema::new(&[STRING, Rule::Enum(&[Literal::Str("none"), Literal::Str("auto")])]),
        ])])
    };
}

static NETWORKS: Schema = list_of!(&network!(&ANY_STRING));
static NETWORKS_TAG: Schema = list_of!(&network!(&ANY_STRING, ("tag", &TAG)));
static NETWORKS_V237: Schema = networks_or_word!(&network!(&UUID));
static NETWORKS_V242: Schema = networks_or_word!(&network!(&UUID, ("tag", &TAG)));

static SECURITY_GROUPS: Schema = list_of!(&Schema::new(&[OBJECT, Rule::Properties(&[("name", &NAME)]), NO_OTHERS]));
static TAGS: Schema = Schema::new(&[ARRAY, Rule::Items(&TAG), Rule::MaxItems(50)]);

static UUIDS: Schema = list_of!(&UUID);
static HINTS: Schema = Schema::new(&[
    OBJECT,
    Rule::Properties(&[
        ("group", &Schema::new(&[Rule::OneOf(&[&UUIDS, &UUID])])),
        ("different_host", &Schema::new(&[Rule::OneOf(&[&UUID, &UUIDS])])),
        ("same_host", &Schema::new(&[Rule::Type(&[Type::String, Type::Array]), Rule::Items(&UUID)])),
        ("query", &Schema::new(&[Rule::Type(&[Type::String, Type::Object])])),
        ("target_cell", &NAME),
        ("different_cell", &Schema::new(&[Rule::Type(&[Type::String, Type::Array]), Rule::Items(&ANY_STRING)])),
        ("build_near_host_ip", &IP_ADDRESS),
        ("cidr", &Schema::new(&[STRING, Rule::Pattern(&pattern::HINT_CIDR)])),
    ]),
    Rule::AdditionalProperties(true),
]);

macro_rules! create {
    ($networks:expr, $blocks:expr, $required:expr, [$($personality:expr)?], $($more:expr,)*) => {
        Schema::new(&[
            OBJECT,
            Rule::Properties(&[
                ("server", &Schema::new(&[
                    OBJECT,
                    Rule::Properties(&[
                        ("name", &NAME),
                        ("imageRef", &IMAGE_ID_OR_EMPTY),
                        ("flavorRef", &FLAVOR_REF),
                        ("adminPass", &ANY_STRING),
                        ("metadata", &METADATA),
                        ("networks", $networks),
                        ("OS-DCF:diskConfig", &DISK_CONFIG),
                        ("accessIPv4", &IPV4),
                        ("accessIPv6", &IPV6),
                        $(("personality", $personality),)?
                        ("availability_zone", &NAME),
                        ("block_device_mapping", &BLOCK_DEVICES),
                        ("block_device_mapping_v2", $blocks),
                        ("config_drive", &BOOLEAN),
                        ("key_name", &NAME),
                        ("min_count", &POSITIVE_INTEGER),
                        ("max_count", &POSITIVE_INTEGER),
                        ("return_reservation_id", &BOOLEAN),
                        ("security_groups", &SECURITY_GROUPS),
                        ("user_data", &USER_DATA),
                        $($more,)*
                    ]),
                    Rule::Required($required),
                    NO_OTHERS,
                ])),
                ("os:scheduler_hints", &HINTS),
                ("OS-SCH-HNT:scheduler_hints", &HINTS),
            ]),
            Rule::Required(&["server"]),
            NO_OTHERS,
        ])
    };
}

const REQUIRED: &[&str] = &["name", "flavorRef"];
const REQUIRED_V237: &[&str] = &["name", "flavorRef", "networks"];

static CREATE: Schema = create!(&NETWORKS, &BLOCK_DEVICES_V2, REQUIRED, [&PERSONALITY],);
static CREATE_V219: Schema =
    create!(&NETWORKS, &BLOCK_DEVICES_V2, REQUIRED, [&PERSONALITY], ("description", &DESCRIPTION),);
static CREATE_V232: Schema =
    create!(&NETWORKS_TAG, &BLOCK_DEVICES_V2_TAG, REQUIRED, [&PERSONALITY], ("description", &DESCRIPTION),);
static CREATE_V233: Schema =
    create!(&NETWORKS_TAG, &BLOCK_DEVICES_V2, REQUIRED, [&PERSONALITY], ("description", &DESCRIPTION),);
static CREATE_V237: Schema =
    create!(&NETWORKS_V237, &BLOCK_DEVICES_V2, REQUIRED_V237, [&PERSONALITY], ("description", &DESCRIPTION),);
static CREATE_V242: Schema =
    create!(&NETWORKS_V242, &BLOCK_DEVICES_V2_TAG, REQUIRED_V237, [&PERSONALITY], ("description", &DESCRIPTION),);
static CREATE_V252: Schema = create!(
    &NETWORKS_V242,
    &BLOCK_DEVICES_V2_TAG,
    REQUIRED_V237,
    [&PERSONALITY],
    ("description", &DESCRIPTION),
    ("tags", &TAGS),
);

macro_rules! create_v257 {
    ($blocks:expr, $($more:expr,)*) => {
        create!(&NETWORKS_V242, $blocks, REQUIRED_V237, [], ("description", &DESCRIPTION), ("tags", &TAGS), $($more,)*)
    };
}

static CREATE_V257: Schema = create_v257!(&BLOCK_DEVICES_V2_TAG,);
static CREATE_V263: Schema = create_v257!(&BLOCK_DEVICES_V2_TAG, ("trusted_image_certificates", &TRUSTED_CERTS),);
static CREATE_V267: Schema = create_v257!(&BLOCK_DEVICES_V2_TYPE, ("trusted_image_certificates", &TRUSTED_CERTS),);

macro_rules! create_v274 {
    ($($more:expr,)*) => {
        create_v257!(
            &BLOCK_DEVICES_V2_TYPE,
            ("trusted_image_certificates", &TRUSTED_CERTS),
            ("host", &FQDN),
            ("hypervisor_hostname", &FQDN),
            $($more,)*
        )
    };
}

static CREATE_V274: Schema = create_v274!();
static CREATE_V290: Schema = create_v274!(("hostname", &HOSTNAME),);
static CREATE_V294: Schema = create_v274!(("hostname", &FQDN),);

/// The last entry that is not newer than the version.
fn of_version(table: &[(u16, &'static Schema)], version: Microversion) -> Option<&'static Schema> {
    table.iter().rev().find(|(since, _)| Microversion(*since) <= version).map(|(_, schema)| *schema)
}

/// The body of `POST /servers`.
pub fn create(version: Microversion) -> Option<&'static Schema> {
    const TABLE: &[(u16, &Schema)] = &[
        (1, &CREATE),
        (19, &CREATE_V219),
        (32, &CREATE_V232),
        (33, &CREATE_V233),
        (37, &CREATE_V237),
        (42, &CREATE_V242),
        (52, &CREATE_V252),
        (57, &CREATE_V257),
        (63, &CREATE_V263),
        (67, &CREATE_V267),
        (74, &CREATE_V274),
        (90, &CREATE_V290),
        (94, &CREATE_V294),
    ];
    of_version(TABLE, version)
}

macro_rules! in_envelope {
    ($name:literal, [$($required:literal),*], $($member:expr,)*) => {
        Schema::new(&[
            OBJECT,
            Rule::Properties(&[(
                $name,
                &Schema::new(&[OBJECT, Rule::Properties(&[$($member,)*]), Rule::Required(&[$($required),*]), NO_OTHERS]),
            )]),
            Rule::Required(&[$name]),
            NO_OTHERS,
        ])
    };
}

macro_rules! update {
    ($($more:expr,)*) => {
        in_envelope!(
            "server",
            [],
            ("name", &NAME),
            ("OS-DCF:diskConfig", &DISK_CONFIG),
            ("accessIPv4", &IPV4),
            ("accessIPv6", &IPV6),
            $($more,)*
        )
    };
}

static UPDATE: Schema = update!();
static UPDATE_V219: Schema = update!(("description", &DESCRIPTION),);
static UPDATE_V290: Schema = update!(("description", &DESCRIPTION), ("hostname", &HOSTNAME),);
static UPDATE_V294: Schema = update!(("description", &DESCRIPTION), ("hostname", &FQDN),);
static UPDATE_V2104: Schema =
    update!(("description", &DESCRIPTION), ("hostname", &FQDN), ("pinned_availability_zone", &NAME_OR_NULL),);

/// The body of `PUT /servers/{id}`.
pub fn update(version: Microversion) -> Option<&'static Schema> {
    const TABLE: &[(u16, &Schema)] =
        &[(1, &UPDATE), (19, &UPDATE_V219), (90, &UPDATE_V290), (94, &UPDATE_V294), (104, &UPDATE_V2104)];
    of_version(TABLE, version)
}

static USER_DATA_OR_NULL: Schema =
    Schema::new(&[Rule::Type(&[Type::String, Type::Null]), Rule::Format(&format::BASE64), Rule::MaxLength(65535)]);

macro_rules! rebuild {
    ([$($personality:expr)?], $($more:expr,)*) => {
        in_envelope!(
            "rebuild",
            ["imageRef"],
            ("name", &NAME),
            ("imageRef", &UUID),
            ("adminPass", &ANY_STRING),
            ("metadata", &METADATA),
            ("preserve_ephemeral", &BOOLEAN),
            ("OS-DCF:diskConfig", &DISK_CONFIG),
            ("accessIPv4", &IPV4),
            ("accessIPv6", &IPV6),
            $(("personality", $personality),)?
            $($more,)*
        )
    };
}

static REBUILD: Schema = rebuild!([&PERSONALITY],);
static REBUILD_V219: Schema = rebuild!([&PERSONALITY], ("description", &DESCRIPTION),);
static REBUILD_V254: Schema = rebuild!([&PERSONALITY], ("description", &DESCRIPTION), ("key_name", &NAME_OR_NULL),);

macro_rules! rebuild_v257 {
    ($($more:expr,)*) => {
        rebuild!(
            [],
            ("description", &DESCRIPTION),
            ("key_name", &NAME_OR_NULL),
            ("user_data", &USER_DATA_OR_NULL),
            $($more,)*
        )
    };
}

static REBUILD_V257: Schema = rebuild_v257!();
static REBUILD_V263: Schema = rebuild_v257!(("trusted_image_certificates", &TRUSTED_CERTS),);
static REBUILD_V290: Schema = rebuild_v257!(("trusted_image_certificates", &TRUSTED_CERTS), ("hostname", &HOSTNAME),);
static REBUILD_V294: Schema = rebuild_v257!(("trusted_image_certificates", &TRUSTED_CERTS), ("hostname", &FQDN),);

/// The body of the action `rebuild`.
pub fn rebuild(version: Microversion) -> Option<&'static Schema> {
    const TABLE: &[(u16, &Schema)] = &[
        (1, &REBUILD),
        (19, &REBUILD_V219),
        (54, &REBUILD_V254),
        (57, &REBUILD_V257),
        (63, &REBUILD_V263),
        (90, &REBUILD_V290),
        (94, &REBUILD_V294),
    ];
    of_version(TABLE, version)
}

/// The body of the action `resize`.
pub static RESIZE: Schema =
    in_envelope!("resize", ["flavorRef"], ("flavorRef", &FLAVOR_REF), ("OS-DCF:diskConfig", &DISK_CONFIG),);

/// The body of the action `createImage`.
pub static CREATE_IMAGE: Schema = in_envelope!("createImage", ["name"], ("name", &NAME), ("metadata", &METADATA),);

static UNSHELVE_V277: Schema = Schema::new(&[
    OBJECT,
    Rule::Properties(&[(
        "unshelve",
        &Schema::new(&[
            Rule::Type(&[Type::Object, Type::Null]),
            Rule::Properties(&[("availability_zone", &NAME)]),
            Rule::Required(&["availability_zone"]),
            NO_OTHERS,
        ]),
    )]),
    Rule::Required(&["unshelve"]),
    NO_OTHERS,
]);
static UNSHELVE_V291: Schema = Schema::new(&[
    OBJECT,
    Rule::Properties(&[(
        "unshelve",
        &Schema::new(&[
            Rule::Type(&[Type::Object, Type::Null]),
            Rule::Properties(&[
                ("availability_zone", &Schema::new(&[Rule::Type(&[Type::String, Type::Null])])),
                ("host", &ANY_STRING),
            ]),
            NO_OTHERS,
        ]),
    )]),
    Rule::Required(&["unshelve"]),
    NO_OTHERS,
]);

/// The body of the action `unshelve`; before 2.77 anything goes.
pub fn unshelve(version: Microversion) -> Option<&'static Schema> {
    of_version(&[(77, &UNSHELVE_V277), (91, &UNSHELVE_V291)], version)
}

static LOCK_V273: Schema = Schema::new(&[
    OBJECT,
    Rule::Properties(&[(
        "lock",
        &Schema::new(&[
            Rule::Type(&[Type::Object, Type::Null]),
            Rule::Properties(&[("locked_reason", &Schema::new(&[STRING, Rule::MinLength(1), Rule::MaxLength(255)]))]),
            NO_OTHERS,
        ]),
    )]),
    Rule::Required(&["lock"]),
    NO_OTHERS,
]);

/// The body of the action `lock`; before 2.73 anything goes.
pub fn lock(version: Microversion) -> Option<&'static Schema> {
    of_version(&[(73, &LOCK_V273)], version)
}

static REBOOT_TYPE: Schema = Schema::new(&[
    STRING,
    Rule::Enum(&[
        Literal::Str("HARD"),
        Literal::Str("Hard"),
        Literal::Str("hard"),
        Literal::Str("SOFT"),
        Literal::Str("Soft"),
        Literal::Str("soft"),
    ]),
]);

/// The body of the action `reboot`.
pub static REBOOT: Schema = in_envelope!("reboot", ["type"], ("type", &REBOOT_TYPE),);

static STATE: Schema = Schema::new(&[STRING, Rule::Enum(&[Literal::Str("active"), Literal::Str("error")])]);

/// The body of the action `os-resetState`.
pub static RESET_STATE: Schema = in_envelope!("os-resetState", ["state"], ("state", &STATE),);

/// The body of the action `changePassword`.
pub static CHANGE_PASSWORD: Schema = in_envelope!("changePassword", ["adminPass"], ("adminPass", &ANY_STRING),);

static LENGTH: Schema = Schema::new(&[
    Rule::Type(&[Type::Integer, Type::String, Type::Null]),
    Rule::Pattern(&pattern::SIGNED_DIGITS),
    Rule::Minimum(-1),
]);

/// The body of the action `os-getConsoleOutput`.
pub static CONSOLE_OUTPUT: Schema = in_envelope!("os-getConsoleOutput", [], ("length", &LENGTH),);

/// The body of the action `rescue`.
pub static RESCUE: Schema = Schema::new(&[
    OBJECT,
    Rule::Properties(&[(
        "rescue",
        &Schema::new(&[
            Rule::Type(&[Type::Object, Type::Null]),
            Rule::Properties(&[("adminPass", &ANY_STRING), ("rescue_image_ref", &UUID)]),
            NO_OTHERS,
        ]),
    )]),
    Rule::Required(&["rescue"]),
    NO_OTHERS,
]);
