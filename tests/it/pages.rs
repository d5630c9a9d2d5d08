//! Pages that are made from code, and the code itself as text.

use std::path::{Path, PathBuf};

/// Compares a page that is made from code with what stands in the repository; `UPDATE=1` writes it.
#[track_caller]
pub fn fresh(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a page is in a directory")).expect("the directory can be made");
        std::fs::write(&path, text).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{} is stale: run `UPDATE=1 cargo test` and read the diff", path.display());
}

/// Every Rust file below a directory, with its text, in order of path.
pub fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory of ours can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source can be read");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}
