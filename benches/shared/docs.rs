//! Parts of `docs/performance.md` that programs write: what stands between `<!-- NAME begins -->` and `<!-- NAME ends -->`.

use std::fs;
use std::path::Path;

/// Puts a text between the marks of this name.
pub fn write(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let page = fs::read_to_string(&path).expect("the page can be read");
    let (begins, ends) = (format!("<!-- {name} begins -->\n"), format!("<!-- {name} ends -->"));
    let (before, rest) = page.split_once(&begins).unwrap_or_else(|| panic!("{begins:?} is not in the page"));
    let (_, after) = rest.split_once(&ends).unwrap_or_else(|| panic!("{ends:?} is not in the page"));
    let page = format!("{before}{begins}\n{}\n\n{ends}{after}", text.trim());
    fs::write(&path, page).expect("the page can be written");
}
