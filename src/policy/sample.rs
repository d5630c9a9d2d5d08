//! The sample policy file: every rule of the code with its description, commented out, as `oslopolicy-sample-generator` writes it.

use std::fmt::Write;

use super::rules::{Deprecated, RuleDefault};

/// Where prose is wrapped, in characters, the `# ` before it included.
const LINE_CHARS_MAX: usize = 70;

/// The text of the sample. Lines which begin with `#"` are rules; to change one, take the `#` away.
pub fn sample(defaults: &[RuleDefault<'_>]) -> String {
    let mut out = String::new();
    for default in defaults {
        write_rule(&mut out, default).expect("writing to a String cannot fail");
    }
    out
}

fn write_rule(out: &mut String, default: &RuleDefault<'_>) -> std::fmt::Result {
    write_prose(out, default.description)?;
    for (method, path) in &default.operations {
        writeln!(out, "# {method}  {path}")?;
    }
    if !default.scopes.is_empty() {
        writeln!(out, "# Intended scope(s): {}", default.scopes.join(", "))?;
    }
    writeln!(out, "#{}: {}\n", quoted(default.name), quoted(default.check))?;
    match &default.deprecated {
        Some(deprecated) => write_deprecated(out, default, deprecated),
        None => Ok(()),
    }
}

fn write_deprecated(out: &mut String, default: &RuleDefault<'_>, deprecated: &Deprecated<'_>) -> std::fmt::Result {
    writeln!(out, "# DEPRECATED")?;
    let since = if deprecated.since.is_empty() { String::new() } else { format!(" since {}", deprecated.since) };
    let replaced = format!(
        "{}:{} has been deprecated{since} in favor of {}:{}.",
        quoted(deprecated.name),
        quoted(deprecated.check),
        quoted(default.name),
        quoted(default.check)
    );
    write_prose(out, &replaced)?;
    write_prose(out, deprecated.reason)?;
    if deprecated.name != default.name {
        let alias = format!("rule:{}", default.name);
        writeln!(out, "# The name has changed; the old one can go on as another name of the new one:")?;
        writeln!(out, "# {}: {}", quoted(deprecated.name), quoted(&alias))?;
    }
    writeln!(out)
}

/// Paragraphs as wrapped comment lines.
fn write_prose(out: &mut String, prose: &str) -> std::fmt::Result {
    let mut line = String::from("#");
    for text in prose.trim().lines() {
        if text.trim().is_empty() {
            writeln!(out, "{line}\n#")?;
            line.truncate(1);
        }
        for word in text.split_whitespace() {
            if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > LINE_CHARS_MAX {
                writeln!(out, "{line}")?;
                line.truncate(1);
            }
            line.push(' ');
            line.push_str(word);
        }
    }
    if line.len() > 1 { writeln!(out, "{line}") } else { Ok(()) }
}

/// A YAML string in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::super::file::PolicyFiles;
    use super::*;

    fn defaults() -> [RuleDefault<'static>; 2] {
        let deprecated = Deprecated { name: "old", check: "role:o", reason: "Too wide.", since: "21.0.0" };
        [
            RuleDefault {
                name: "os_compute_api:server-metadata:show",
                check: "'x':%(a)s or kind:\"q\"",
                deprecated: None,
                description: "Show metadata for a server, which takes a long sentence to wrap it\nsomewhere.\n\nTwice.",
                operations: vec![("GET", "/servers/{server_id}/metadata/{key}".to_owned())],
                scopes: &["project"],
            },
            RuleDefault { name: "new", check: "role:n", deprecated: Some(deprecated), ..RuleDefault::default() },
        ]
    }

    #[test]
    fn a_sample_documents_each_rule() {
        let expected = r##"# Show metadata for a server, which takes a long sentence to wrap it
# somewhere.
#
# Twice.
# GET  /servers/{server_id}/metadata/{key}
# Intended scope(s): project
#"os_compute_api:server-metadata:show": "'x':%(a)s or kind:\"q\""

#"new": "role:n"

# DEPRECATED
# "old":"role:o" has been deprecated since 21.0.0 in favor of
# "new":"role:n".
# Too wide.
# The name has changed; the old one can go on as another name of the new one:
# "old": "rule:new"

"##;
        assert_eq!(sample(&defaults()), expected);
    }

    #[test]
    fn a_sample_is_a_policy_file_that_changes_nothing_and_uncommented_says_what_the_code_says() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let files = PolicyFiles { policy_file: folder.path().join("p"), ..PolicyFiles::default() };
        let load = |content: &str| {
            std::fs::write(&files.policy_file, content).expect("a written file");
            files.load().expect("a good file")
        };
        assert_eq!(load(&sample(&defaults())), vec![]);
        let expected: Vec<_> = defaults()
            .map(|default| (default.name.to_owned(), super::super::rule::RuleText::Text(default.check.to_owned())))
            .into();
        assert_eq!(load(&sample(&defaults()).replace("\n#\"", "\n\"")), expected);
    }
}
