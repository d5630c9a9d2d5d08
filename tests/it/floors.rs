//! The floors of the house: a room names rooms on its own floor or below, and a guarded thing is opened by its policy only.

use std::path::Path;

use crate::pages::sources;

/// Each room with its floor, and what the floor is for: the reason why an arrow may not point up from it.
const FLOORS: [(&[&str], &str); 6] = [
    (&["model", "json", "config", "backlog"], "the nouns are pure: no I/O, no HTTP, nothing that decides"),
    (&["policy"], "the locks decide by what they are told, and ask nobody"),
    (&["store", "hypervisor", "blobs"], "the machines do as they are told, and know neither verbs nor HTTP"),
    (&["identity", "compute", "image", "network"], "the verbs know no HTTP: only the doors know codes and dialects"),
    (&["api", "cloud", "guest"], "the doors know no sockets: tests call them in process"),
    (&["cli", "serve", "logs", "main", "lib"], "the street is the only place that knows tokio and sockets"),
];

/// Every place where the server opens a guarded thing for an errand of its own, with the reason it gives.
/// A new one belongs here only if no caller stands behind it whose rights could be asked.
const ERRANDS: &[(&str, &str)] = &[
    ("api/compute/servers/list.rs", "a list shows what its proof, for the project or for all, lets see"),
    ("compute/guests.rs", "a restarted process looks for its guests"),
    ("compute/guests.rs", "a restarted process notes what its guests do"),
    ("compute/work.rs", "a worker does what was allowed when its task was recorded"),
    ("compute/work.rs", "a worker does what was allowed when its task was recorded"),
    ("image/data.rs", "an upload ends in the name of whoever was allowed to begin it"),
];

#[test]
fn no_arrow_points_up() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&source()) {
        let from = room_of(&path);
        for to in named_rooms(&text) {
            let (own, other) = (floor(&from), floor(&to));
            if other > own {
                let why = FLOORS[own].1;
                wrong.push(format!(
                    "{}: `{from}` (floor {own}) names `{to}` (floor {other}), but {why}",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_errand_of_the_server_itself_is_known() {
    let mut found: Vec<(String, String)> = Vec::new();
    for (path, text) in sources(&source()) {
        let path = path.strip_prefix(source()).expect("sources are below src").display().to_string();
        let calls = text.split(".for_system(").skip(1).chain(text.split("::for_system(").skip(1));
        found.extend(calls.map(|call| (path.clone(), call.split('"').nth(1).unwrap_or_default().to_owned())));
    }
    let known: Vec<(String, String)> = ERRANDS.iter().map(|(path, why)| ((*path).into(), (*why).into())).collect();
    assert_eq!(found, known, "`Guarded::for_system` goes around the policy: say in ERRANDS why that is right");
}

fn source() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn floor(room: &str) -> usize {
    let floor = FLOORS.iter().position(|(rooms, _)| rooms.contains(&room));
    floor.unwrap_or_else(|| panic!("`{room}` is on no floor: give it one in FLOORS"))
}

/// `src/api/mod.rs` is in `api`, `src/cloud.rs` in `cloud`.
fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(source()).expect("sources are below src");
    let first = inside.components().next().expect("a file has a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that the code of a file names with `crate::…`, in `use` lines and elsewhere. Macros belong to no room.
fn named_rooms(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => {
                rooms.extend(list.split('}').next().into_iter().flat_map(|list| list.split(',')).map(first_name))
            }
            None => rooms.push(first_name(after)),
        }
    }
    rooms.retain(|room| !room.is_empty() && !MACROS.contains(&room.as_str()));
    rooms
}

/// Macros stand at the root of the crate, whichever room they are in.
const MACROS: [&str; 1] = ["json_object"];

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
