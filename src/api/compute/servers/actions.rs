//! `POST /servers/{server_id}/action`: one row for each action, picked by the one member of the body.

use std::sync::Arc;

use http::StatusCode;

use super::create::{certs, id_of_href, metadata, owner, password, personality, plain_text};
use super::policy::{CreateWithoutDisk, deprecated};
use super::schema;
use super::view::{self, Form};
use crate::api::call::Call;
use crate::api::compute::cloud_servers;
use crate::api::endpoint::{
    Endpoint, Errand, Error, Locate, Operation, QueryRule, Reply, Route, Rule, Takes, action, errand, prove, row,
};
use crate::api::fault::Fault;
use crate::api::schema::Schema;
use crate::api::version::{Microversion, Versions};
use crate::compute::guests;
use crate::compute::server_actions::{self, Rebuild as RebuildOrder, SnapshotOrder, Whereto};
use crate::compute::servers::{self, Act};
use crate::hypervisor::DriverError;
use crate::identity::secret::Secret;
use crate::json::Json;
use crate::json_object;
use crate::model::disk_config::DiskConfig;
use crate::model::server::{LockedBy, ServerAction};
use crate::model::server_record::Server;
use crate::policy::targets::Scope;
use crate::policy::{Action, Allowed};
use crate::store::Tx;

const PATH: &str = "/servers/{server_id}/action";

/// All of them.
pub const ROWS: &[&dyn Operation] = &[
    row::<Start>(),
    row::<Stop>(),
    row::<Pause>(),
    row::<Unpause>(),
    row::<Suspend>(),
    row::<Resume>(),
    row::<Lock>(),
    row::<Unlock>(),
    row::<Rescue>(),
    row::<Unrescue>(),
    row::<Shelve>(),
    row::<ShelveOffload>(),
    row::<Unshelve>(),
    row::<Reboot>(),
    row::<Resize>(),
    row::<ConfirmResize>(),
    row::<RevertResize>(),
    row::<Rebuild>(),
    row::<CreateImage>(),
    row::<ResetState>(),
    row::<ForceDelete>(),
    row::<Restore>(),
    row::<ChangePassword>(),
    errand::<ConsoleOutput>(),
];

/// An action that needs to know nothing but which server.
macro_rules! plain {
    ($(#[$doc:meta])* $name:ident = $word:literal, $act:ident, $ok:ident, $verb:expr, $manual:literal) => {
        $(#[$doc])*
        pub struct $name;

        impl Endpoint for $name {
            const ROUTE: Route = action(PATH, $word);
            const FAULTS: &'static [u16] = &[409];
            const OK: StatusCode = StatusCode::$ok;
            const DOC: &'static str = $manual;
            type Action = policy::$name;
            type Takes = ();
            type Gives = ();

            fn run(tx: &mut dyn Tx, server: Allowed<policy::$name>, call: &Call, (): &()) -> Result<(), Error> {
                let ignores_lock = call.who()?.is_admin;
                let act = Act { action: ServerAction::$act, ignores_lock, payload: Json::Null };
                $verb(tx, call, server.into_target(), &act)
            }
        }
    };
}

fn simply(tx: &mut dyn Tx, call: &Call, mut server: Server, act: &Act) -> Result<(), Error> {
    Ok(servers::act(tx, &mut call.moment(), &mut server, act)?)
}

fn end_resize(tx: &mut dyn Tx, call: &Call, server: Server, act: &Act) -> Result<(), Error> {
    Ok(server_actions::end_resize(tx, &mut call.moment(), server, act)?)
}

fn delete(tx: &mut dyn Tx, call: &Call, server: Server, act: &Act) -> Result<(), Error> {
    Ok(servers::delete(tx, &mut call.moment(), server, act.action, act.ignores_lock)?)
}

plain!(
    /// Switches on.
    Start = "os-start", Start, ACCEPTED, simply, "Starts a server that is off."
);
plain!(
    /// Switches off.
    Stop = "os-stop", Stop, ACCEPTED, simply, "Stops a server: the guest is asked to switch itself off, and switched off if it does not."
);
plain!(
    /// Holds it in memory.
    Pause = "pause", Pause, ACCEPTED, simply, "Pauses a server: it stays in memory and does nothing."
);
plain!(
    /// Lets it run on.
    Unpause = "unpause", Unpause, ACCEPTED, simply, "Lets a paused server run on."
);
plain!(
    /// Puts its memory on disk.
    Suspend = "suspend", Suspend, ACCEPTED, simply, "Suspends a server: its memory goes to disk."
);
plain!(
    /// Takes its memory from disk.
    Resume = "resume", Resume, ACCEPTED, simply, "Resumes a suspended server."
);
plain!(
    /// Leaves the rescue image.
    Unrescue = "unrescue", Unrescue, ACCEPTED, simply, "Starts a rescued server from its own disk again."
);
plain!(
    /// Gives up the place of a shelved server.
    ShelveOffload = "shelveOffload", ShelveOffload, ACCEPTED, simply, "Frees the host of a shelved server."
);
plain!(
    /// Keeps the new flavor.
    ConfirmResize = "confirmResize", ConfirmResize, NO_CONTENT, end_resize, "Confirms a resize: the server keeps its new flavor."
);
plain!(
    /// Returns to the former flavor.
    RevertResize = "revertResize", RevertResize, ACCEPTED, end_resize, "Reverts a resize: the server gets its former flavor again."
);
plain!(
    /// Removes for good.
    ForceDelete = "forceDelete", ForceDelete, ACCEPTED, delete, "Deletes a server for good, even one that could still be restored."
);
plain!(
    /// Restores what was deleted.
    Restore = "restore", Restore, ACCEPTED, simply, "Restores a server that was deleted and is kept for a while."
);

/// The one member of the body.
fn inside<'a>(call: &'a Call, name: &str) -> &'a Json {
    static NONE: Json = Json::Null;
    call.body.get(name).unwrap_or(&NONE)
}

fn text(json: &Json, name: &str) -> Option<String> {
    json.get(name).and_then(Json::as_str).map(str::to_owned)
}

/// An endpoint's body with its schema, and what is made of it.
macro_rules! takes {
    ($name:ident, $schema:expr, |$call:ident| $make:expr) => {
        takes!($name, $schema, |_checked| Ok(()), |$call| $make);
    };
    // the third part is what a dialect checks before the schema
    ($name:ident, $schema:expr, |$checked:ident| $check:expr, |$call:ident| $make:expr) => {
        impl Takes for $name {
            fn schema(version: Microversion) -> Option<&'static Schema> {
                let schema: fn(Microversion) -> Option<&'static Schema> = $schema;
                schema(version)
            }

            fn check($checked: &Call) -> Result<(), Error> {
                let checked: Result<(), Error> = $check;
                checked?;
                Self::schema($checked.version).map_or(Ok(()), |schema| Ok(schema.check(&$checked.body)?))
            }

            fn from_body($call: &Call) -> Result<$name, Error> {
                Ok($make)
            }
        }
    };
}

/// Forbids changes to everybody but administrators.
pub struct Lock;

/// Why.
pub struct Reason(Option<String>);

takes!(Reason, schema::lock, |call| {
    let reason = text(inside(call, "lock"), "locked_reason");
    Reason(reason.filter(|_| call.version >= Microversion(73)))
});

impl Endpoint for Lock {
    const ROUTE: Route = action(PATH, "lock");
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str =
        "Locks a server: only administrators can change it. From 2.73 on `locked_reason` says why.";
    type Action = policy::Lock;
    type Takes = Reason;
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Lock>, call: &Call, reason: &Reason) -> Result<(), Error> {
        let by = locker(call, &server)?;
        Ok(server_actions::lock(tx, server.into_target(), by, reason.0.clone(), call.now)?)
    }
}

/// As what the caller locks: one of the server's project, or an administrator.
fn locker(call: &Call, server: &Server) -> Result<LockedBy, Error> {
    Ok(if call.who()?.is_in(&server.project_id) { LockedBy::Owner } else { LockedBy::Admin })
}

/// Allows changes again.
pub struct Unlock;

impl Endpoint for Unlock {
    const ROUTE: Route = action(PATH, "unlock");
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Unlocks a server. What an administrator has locked only an administrator unlocks.";
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::UnlockOverride>()];
    type Action = policy::Unlock;
    type Takes = ();
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Unlock>, call: &Call, (): &()) -> Result<(), Error> {
        let who = locker(call, &server)?;
        if server.lock.as_ref().is_some_and(|lock| !lock.opens_for(who)) {
            call.must::<policy::UnlockOverride>(&server)?;
        }
        Ok(server_actions::unlock(tx, server.into_target(), call.now)?)
    }
}

/// Starts from a rescue image.
pub struct Rescue;

/// The password, which is told once, and the image.
pub struct RescueOrder(Secret, Option<String>);

takes!(RescueOrder, |_| Some(&schema::RESCUE), |call| {
    let body = inside(call, "rescue");
    RescueOrder(password(call, body), text(body, "rescue_image_ref"))
});

impl Endpoint for Rescue {
    const ROUTE: Route = action(PATH, "rescue");
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str = "Starts a server from a rescue image, by default the one it was made from, with its own disk as the \
        second one.";
    type Action = policy::Rescue;
    type Takes = RescueOrder;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Rescue>, call: &Call, order: &RescueOrder) -> Result<Json, Error> {
        let owner = owner(call, true)?;
        server_actions::rescue(tx, &mut call.moment(), server.into_target(), order.1.as_deref(), &owner)?;
        Ok(json_object! { "adminPass": order.0.expose() }.into())
    }
}

/// Makes it an image.
pub struct Shelve;

impl Endpoint for Shelve {
    const ROUTE: Route = action(PATH, "shelve");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Shelves a server: an image is made of it, and its place is given up.";
    type Action = policy::Shelve;
    type Takes = ();
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Shelve>, call: &Call, (): &()) -> Result<(), Error> {
        let owner = owner(call, true)?;
        Ok(server_actions::shelve(tx, &mut call.moment(), server.into_target(), &owner)?)
    }
}

/// Makes it from its image again.
pub struct Unshelve;

takes!(Whereto, schema::unshelve, |call| {
    let body = inside(call, "unshelve");
    let since = |minor| call.version >= Microversion(minor);
    let zone = body.get("availability_zone").map(|zone| zone.as_str().map(str::to_owned));
    Whereto { zone: zone.filter(|_| since(77)), host: text(body, "host").filter(|_| since(91)) }
});

impl Endpoint for Unshelve {
    const ROUTE: Route = action(PATH, "unshelve");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str =
        "Makes a shelved server from its image again; from 2.77 on in a zone, from 2.91 on on a host by name.";
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::UnshelveToHost>()];
    type Action = policy::Unshelve;
    type Takes = Whereto;
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Unshelve>, call: &Call, whereto: &Whereto) -> Result<(), Error> {
        if whereto.host.is_some() {
            call.must::<policy::UnshelveToHost>(&server)?;
        }
        let ignores_lock = call.who()?.is_admin;
        Ok(server_actions::unshelve(tx, &mut call.moment(), server.into_target(), whereto, ignores_lock)?)
    }
}

/// Restarts.
pub struct Reboot;

/// SOFT or HARD.
pub struct RebootType(ServerAction);

takes!(RebootType, |_| Some(&schema::REBOOT), |call| {
    let kind = text(inside(call, "reboot"), "type").unwrap_or_default();
    RebootType(if kind.eq_ignore_ascii_case("hard") { ServerAction::RebootHard } else { ServerAction::RebootSoft })
});

impl Endpoint for Reboot {
    const ROUTE: Route = action(PATH, "reboot");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Restarts a server: SOFT asks the guest, HARD switches it off and on.";
    type Action = policy::Reboot;
    type Takes = RebootType;
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Reboot>, call: &Call, kind: &RebootType) -> Result<(), Error> {
        let act = Act { action: kind.0, ignores_lock: call.who()?.is_admin, payload: Json::Null };
        simply(tx, call, server.into_target(), &act)
    }
}

/// Another flavor.
pub struct Resize;

/// Which flavor, and what is asked of the disk.
pub struct ResizeOrder(String, Option<DiskConfig>);

takes!(ResizeOrder, |_| Some(&schema::RESIZE), |call| {
    let body = inside(call, "resize");
    let flavor = body.get("flavorRef").map(plain_text).unwrap_or_default();
    ResizeOrder(id_of_href(&flavor), text(body, "OS-DCF:diskConfig").and_then(|text| text.parse().ok()))
});

impl Endpoint for Resize {
    const ROUTE: Route = action(PATH, "resize");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Gives a server another flavor. When its status is VERIFY_RESIZE, confirm or revert it.";
    type Action = policy::Resize;
    type Takes = ResizeOrder;
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Resize>, call: &Call, order: &ResizeOrder) -> Result<(), Error> {
        let defaults = call.cloud.quota_defaults();
        let owner = owner(call, may_do_without_disk(call)?)?;
        let wanted = (order.0.as_str(), order.1);
        let server = server.into_target();
        Ok(server_actions::resize(tx, &mut call.moment(), server, wanted, (&owner, &defaults))?)
    }
}

fn may_do_without_disk(call: &Call) -> Result<bool, Error> {
    call.may::<CreateWithoutDisk>(&Scope::of(call.who()?))
}

/// Made anew from an image.
pub struct Rebuild;

/// What it becomes, and its password, which is told once.
pub struct RebuildBody(RebuildOrder, Secret);

takes!(RebuildBody, schema::rebuild, |call| check_items(call, "rebuild"), |call| {
    let body = inside(call, "rebuild");
    let text = |name: &str| text(body, name);
    let text_or_null = |name: &str| body.get(name).map(|value| value.as_str().map(str::to_owned));
    let order = RebuildOrder {
        image: text("imageRef").unwrap_or_default(),
        disk_config: text("OS-DCF:diskConfig").and_then(|text| text.parse().ok()),
        name: text("name").map(|name| name.trim().to_owned()),
        description: text_or_null("description"),
        metadata: body.get("metadata").map(|_| metadata(body)),
        key_name: text_or_null("key_name"),
        user_data: text_or_null("user_data"),
        trusted_certs: body.get("trusted_image_certificates").map(|_| certs(body)),
        hostname: text("hostname"),
        access_ipv4: text("accessIPv4"),
        access_ipv6: text("accessIPv6"),
        personality: body.get("personality").map(|_| personality(body)),
    };
    RebuildBody(order, password(call, body))
});

impl Endpoint for Rebuild {
    const ROUTE: Route = action(PATH, "rebuild");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Makes a server anew from an image. It keeps its id, its flavor and, unless others are given, its name \
        and metadata; what was on its disk is lost.";
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::RebuildWithCerts>()];
    type Action = policy::Rebuild;
    type Takes = RebuildBody;
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, server: Allowed<policy::Rebuild>, call: &Call, body: &RebuildBody) -> Result<Reply, Error> {
        if body.0.trusted_certs.is_some() {
            call.must::<policy::RebuildWithCerts>(&server)?;
        }
        let defaults = call.quota_defaults();
        let owner = owner(call, may_do_without_disk(call)?)?;
        let server = server.into_target();
        let server = server_actions::rebuild(tx, &mut call.moment(), server, &body.0, (&owner, &defaults))?;
        let mut shown = view::full(call, &server, Form::Rebuild)?;
        shown.insert("adminPass", body.1.expose());
        if call.version >= Microversion(57) {
            shown.insert("user_data", server.details.user_data.as_deref());
        }
        let location = format!("{}/{}", view::collection_url(call, "servers"), server.id);
        Ok(Reply::json(&json_object! { "server": shown }.into()).with_location(&location))
    }
}

/// Makes an image of it.
pub struct CreateImage;

/// The metadata of an action, where the dialect has its own words for what is wrong with it.
fn check_items(call: &Call, action: &str) -> Result<(), Error> {
    if call.dialect.is_cloud_servers {
        cloud_servers::check_items(inside(call, action).get("metadata"))?;
    }
    Ok(())
}

takes!(SnapshotOrder, |_| Some(&schema::CREATE_IMAGE), |call| check_items(call, "createImage"), |call| {
    let body = inside(call, "createImage");
    SnapshotOrder {
        name: text(body, "name").unwrap_or_default().trim().to_owned(),
        metadata: metadata(body),
        is_limited: call.version < Microversion(39),
        tells_disk_config: call.dialect.is_cloud_servers,
    }
});

impl Endpoint for CreateImage {
    const ROUTE: Route = action(PATH, "createImage");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Makes an image of a server, with metadata of its own. Answers the image's address in Location, from \
        2.45 on its id in the body. The image is ready when it is active.";
    type Action = policy::CreateImage;
    type Takes = SnapshotOrder;
    type Gives = Reply;

    fn run(
        tx: &mut dyn Tx,
        server: Allowed<policy::CreateImage>,
        call: &Call,
        order: &SnapshotOrder,
    ) -> Result<Reply, Error> {
        let defaults = call.quota_defaults();
        let owner = owner(call, true)?;
        let server = server.into_target();
        let id = server_actions::create_image(tx, &mut call.moment(), server, order, (&owner, &defaults))?;
        if call.version >= Microversion(45) {
            return Ok(Reply::json(&json_object! { "image_id": id.to_string() }.into()));
        }
        let location = if call.dialect.is_cloud_servers {
            format!("{}/{id}", view::collection_url(call, "images"))
        } else {
            format!("{}/image/images/{id}", call.base_url())
        };
        Ok(Reply::empty().with_location(&location))
    }
}

/// Declares it active or broken.
pub struct ResetState;

/// Which.
pub struct State(ServerAction);

takes!(State, |_| Some(&schema::RESET_STATE), |call| {
    let is_active = text(inside(call, "os-resetState"), "state").as_deref() == Some("active");
    State(if is_active { ServerAction::ResetToActive } else { ServerAction::ResetToError })
});

impl Endpoint for ResetState {
    const ROUTE: Route = action(PATH, "os-resetState");
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str =
        "Declares a server active or in error, whatever it is. What was being done to it no longer counts.";
    type Action = policy::ResetState;
    type Takes = State;
    type Gives = ();

    fn run(tx: &mut dyn Tx, server: Allowed<policy::ResetState>, call: &Call, state: &State) -> Result<(), Error> {
        simply(tx, call, server.into_target(), &Act { action: state.0, ignores_lock: true, payload: Json::Null })
    }
}

/// Another password.
pub struct ChangePassword;

/// The body is checked, and goes nowhere: no driver can set a password.
pub struct NewPassword;

takes!(NewPassword, |_| Some(&schema::CHANGE_PASSWORD), |_call| NewPassword);

impl Endpoint for ChangePassword {
    const ROUTE: Route = action(PATH, "changePassword");
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Changes the administrator's password in the guest, where the driver can. None of this release can: \
        409 then.";
    type Action = policy::ChangePassword;
    type Takes = NewPassword;
    type Gives = ();

    fn run(_: &mut dyn Tx, server: Allowed<policy::ChangePassword>, call: &Call, _: &NewPassword) -> Result<(), Error> {
        servers::permit(&server, ServerAction::ChangePassword, call.who()?.is_admin)?;
        Err(Fault::conflict("Set admin password is not supported").into())
    }
}

/// What it has printed.
pub struct ConsoleOutput;

/// So many lines; `None`: all.
pub struct Lines(Option<usize>);

takes!(Lines, |_| Some(&schema::CONSOLE_OUTPUT), |call| {
    let length = inside(call, "os-getConsoleOutput").get("length").map(plain_text);
    // -1 is any number
    Lines(length.and_then(|text| text.trim().parse().ok()))
});

impl Errand for ConsoleOutput {
    const ROUTE: Route = action(PATH, "os-getConsoleOutput");
    const FAULTS: &'static [u16] = &[409, 501];
    const VERSIONS: Versions = Versions::ALL;
    const DOC: &'static str =
        "Shows what the server has printed on its console: the last `length` lines, or all that is kept.";
    const QUERY: QueryRule = QueryRule::Ignored;
    type Action = policy::ConsoleOutput;
    type Takes = Lines;
    type Gives = Json;

    async fn run(call: Arc<Call>, lines: Lines) -> Result<Json, Error> {
        let asking = call.clone();
        let script = move |tx: &mut dyn Tx| {
            let server = prove::<policy::ConsoleOutput>(&asking, Server::locate(tx, &asking)?)?;
            servers::permit(&server, ServerAction::ConsoleOutput, true)?;
            Ok::<_, Error>(server.into_target())
        };
        let server = call.cloud.store.read(script).await?;
        if server.details.host.is_some() {
            // this process may not have seen it yet
            guests::find_again(call.cloud.tools(), &server).await;
        }
        match call.cloud.driver.console(server.id, lines.0).await {
            Ok(bytes) => Ok(json_object! { "output": printable(&bytes) }.into()),
            Err(DriverError::Unsupported(_)) => {
                let message = "The requested functionality is not supported.";
                Err(Fault::new(StatusCode::NOT_IMPLEMENTED, message).into())
            }
            Err(error @ (DriverError::NoGuest(_) | DriverError::Failed { .. })) => {
                tracing::warn!(request_id = %call.request_id, %error, "a console could not be read");
                Err(Fault::not_found("Guest does not have a console available.").into())
            }
        }
    }
}

/// Without the control characters that Nova takes out.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{1f}')).collect()
}

/// The rules of actions, each with Nova's name and default.
pub mod policy {
    use super::{Action, Server, deprecated};

    macro_rules! rules {
        ($($name:ident = $rule:literal, $default:literal, $words:literal;)*) => {$(
            #[doc = $words]
            pub struct $name;

            impl Action for $name {
                const RULE: &'static str = concat!("os_compute_api:", $rule);
                const DEFAULT: &'static str = $default;
                const DEPRECATED: Option<&'static str> = deprecated($default);
                const DOC: &'static str = $words;
                type Target = Server;
            }
        )*};
    }

    rules! {
        Start = "servers:start", "rule:project_member_or_admin", "Start a server";
        Stop = "servers:stop", "rule:project_member_or_admin", "Stop a server";
        Pause = "os-pause-server:pause", "rule:project_member_or_admin", "Pause a server";
        Unpause = "os-pause-server:unpause", "rule:project_member_or_admin", "Unpause a paused server";
        Suspend = "os-suspend-server:suspend", "rule:project_member_or_admin", "Suspend server";
        Resume = "os-suspend-server:resume", "rule:project_member_or_admin", "Resume suspended server";
        Lock = "os-lock-server:lock", "rule:project_member_or_admin", "Lock a server";
        Unlock = "os-lock-server:unlock", "rule:project_member_or_admin", "Unlock a server";
        UnlockOverride = "os-lock-server:unlock:unlock_override", "rule:context_is_admin",
            "Unlock a server, regardless who locked the server";
        Rescue = "os-rescue", "rule:project_member_or_admin", "Rescue a server";
        Unrescue = "os-unrescue", "rule:project_member_or_admin", "Unrescue a server";
        Shelve = "os-shelve:shelve", "rule:project_member_or_admin", "Shelve server";
        Unshelve = "os-shelve:unshelve", "rule:project_member_or_admin", "Unshelve (restore) shelved server";
        UnshelveToHost = "os-shelve:unshelve_to_host", "rule:context_is_admin",
            "Unshelve (restore) shelve offloaded server to a specific host";
        ShelveOffload = "os-shelve:shelve_offload", "rule:context_is_admin", "Shelf-offload (remove) server";
        Reboot = "servers:reboot", "rule:project_member_or_admin", "Reboot a server";
        Resize = "servers:resize", "rule:project_member_or_admin", "Resize a server";
        ConfirmResize = "servers:confirm_resize", "rule:project_member_or_admin", "Confirm a server resize";
        RevertResize = "servers:revert_resize", "rule:project_member_or_admin", "Revert a server resize";
        Rebuild = "servers:rebuild", "rule:project_member_or_admin", "Rebuild a server";
        RebuildWithCerts = "servers:rebuild:trusted_certs", "rule:project_member_or_admin",
            "Rebuild a server with trusted image certificate IDs";
        CreateImage = "servers:create_image", "rule:project_member_or_admin", "Create an image from a server";
        ResetState = "os-admin-actions:reset_state", "rule:context_is_admin", "Reset the state of a given server";
        ForceDelete = "os-deferred-delete:force", "rule:project_member_or_admin",
            "Force delete a server before deferred cleanup";
        Restore = "os-deferred-delete:restore", "rule:project_member_or_admin", "Restore a soft deleted server";
        ChangePassword = "os-admin-password", "rule:project_member_or_admin",
            "Change the administrative password for a server";
        ConsoleOutput = "os-console-output", "rule:project_member_or_admin", "Show console output for a server";
    }
}
