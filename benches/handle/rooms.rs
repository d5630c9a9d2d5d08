//! Which room of the house, or which colleague outside it, an instruction belongs to: by the source file it was compiled from, and where
//! that is the standard library's, by the function it ended up in.

/// Functions of the C library that allocate.
const ALLOCATION: [&str; 14] = [
    "malloc",
    "free",
    "realloc",
    "calloc",
    "_int_malloc",
    "_int_free",
    "_int_realloc",
    "malloc_consolidate",
    "unlink_chunk",
    "unlink_chunk.constprop.0",
    "unlink_chunk.isra.0",
    "posix_memalign",
    "_int_memalign",
    "sysmalloc",
];

/// Rooms of ours: a part of the path of a source file, and the same of a function.
const ROOMS: [(&str, &str, &str); 12] = [
    ("json", "/src/json", "kilonova::json::"),
    ("policy", "/src/policy", "kilonova::policy::"),
    ("store", "/src/store", "kilonova::store::"),
    ("identity", "/src/identity", "kilonova::identity::"),
    ("api", "/src/api", "kilonova::api::"),
    ("compute, image", "/src/compute", "kilonova::compute::"),
    ("compute, image", "/src/image", "kilonova::image::"),
    ("model", "/src/model", "kilonova::model::"),
    ("other rooms", "/src/cloud", "kilonova::cloud::"),
    ("other rooms", "/src/config", "kilonova::config::"),
    ("other rooms", "/src/logs", "kilonova::logs"),
    ("the measuring program", "benches/handle", "handle::"),
];

/// Crates, by the name that both their directory and their functions begin with.
const CRATES: [(&str, &str); 13] = [
    ("rusqlite", "rusqlite"),
    ("rusqlite", "libsqlite3"),
    ("rusqlite", "hashlink"),
    ("rusqlite", "fallible"),
    ("http", "http"),
    ("http", "hyper"),
    ("http", "bytes"),
    ("tokio", "tokio"),
    ("tokio", "futures"),
    ("tokio", "parking_lot"),
    ("tracing", "tracing"),
    ("hash tables", "hashbrown"),
    ("chance", "getrandom"),
];

/// The room of lines of a file within a function.
pub fn room(function: &str, file: &str) -> &'static str {
    let plain = function.split('@').next().unwrap_or(function);
    if ALLOCATION.contains(&plain) || function.contains("__rust_alloc") || function.contains("__rdl_") {
        return "allocation";
    }
    if ["mem", "str", "__mem", "__str"].iter().any(|start| plain.starts_with(start)) {
        return "copying and comparing memory";
    }
    if file.ends_with("sqlite3.c") || function.starts_with("sqlite3") {
        return "sqlite";
    }
    if let Some((room, ..)) = ROOMS.iter().find(|(_, path, _)| file.contains(path) && !file.contains("/registry/")) {
        return room;
    }
    if let Some((room, _)) = CRATES.iter().find(|(_, name)| file.contains(&format!("/{name}"))) {
        return room;
    }
    // the standard library, inlined into somebody or called by generic code of somebody
    let owner = function.trim_start_matches(['<', '&']);
    if let Some((room, ..)) = ROOMS.iter().find(|(.., path)| owner.contains(path)) {
        return room;
    }
    if let Some((room, _)) = CRATES.iter().find(|(_, name)| owner.starts_with(name)) {
        return room;
    }
    if function.starts_with("pthread") || function.contains("futex") || file.contains("nptl") {
        return "threads and locks";
    }
    if file.contains("/rustc/") {
        return "standard library";
    }
    "the rest"
}
