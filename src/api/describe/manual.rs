//! The manual: every operation with what it does, takes and answers, for someone with curl and no patience.

use std::fmt::Write;

use super::shape::shape;
use super::{Place, bodies, places, row_title, versions_text};
use crate::api::dialect::Api;
use crate::api::endpoint::Operation;
use crate::api::version::Versions;

const HEAD: &str = "\
# Operations

Made from the table of endpoints by `UPDATE=1 cargo test`; do not edit it here. The same for programs is `openapi.json`; faults are
explained in `faults.md`, rules in `policy.yaml`.

    curl -s -H \"X-Auth-Token: $TOKEN\" -H 'Content-Type: application/json' \\
         -X PUT -d '{\"meta\": {\"color\": \"red\"}}' http://127.0.0.1:8774/v2.1/servers/$SERVER/metadata/color

A project may stand behind `/v2.1`, as in `/v2.1/{project_id}/servers`. Everything below `/v2.1` is below `/v2` as well, as Cloud Servers
v2 has it: without microversions, as 2.1, and where Rackspace's documents say otherwise than Nova, so as they say (`compatibility.md`).
Bodies are shown as shapes: `KEY` is a name of your own, `?` marks what may be left out.
";

/// The whole manual, as Markdown.
pub fn manual() -> String {
    let mut out = String::from(HEAD);
    let places = places();
    for api in Api::ALL {
        let mut own = places.iter().filter(|place| place.api == api).peekable();
        if own.peek().is_some() {
            writeln!(out, "\n## {} (`{}`)", api.title(), api.prefix()).expect("writing to a String cannot fail");
        }
        own.for_each(|place| write_place(place, &mut out).expect("writing to a String cannot fail"));
    }
    out
}

fn write_place(place: &Place, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n### {} `{}`", place.method, place.path)?;
    for row in &place.rows {
        let title = row_title(place.api, *row);
        if place.rows.len() > 1 && !title.is_empty() {
            writeln!(out, "\n**{title}**")?;
        }
        write_row(place, *row, out)?;
    }
    Ok(())
}

fn write_row(place: &Place, row: &dyn Operation, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n{}\n", row.doc())?;
    if let Some(versions) = versions_text(place.api, row.versions()).filter(|_| place.rows.len() == 1) {
        writeln!(out, "* Versions: {versions}")?;
    }
    for (versions, schema) in bodies(place.api, row) {
        write_body(place.api, row.versions(), versions, &shape(&schema.describe()), out)?;
    }
    let faults: Vec<String> = row.faults().iter().map(u16::to_string).collect();
    write!(out, "* Answers: {}", row.ok().as_u16())?;
    if !faults.is_empty() {
        write!(out, "; of its own also {}", faults.join(", "))?;
    }
    writeln!(out)?;
    let rule = row.rule();
    match (rule.is_open, rule.name) {
        (true, _) => writeln!(out, "* Needs no token"),
        (false, "") => writeln!(out, "* Every token will do"),
        (false, name) => writeln!(out, "* Rule: `{name}`, by default `{}`", rule.default),
    }?;
    let more: Vec<String> = row.more_rules().iter().map(|rule| format!("`{}`", rule.name)).collect();
    if more.is_empty() { Ok(()) } else { writeln!(out, "* Further rules: {}", more.join(", ")) }
}

fn write_body(api: Api, row: Versions, body: Versions, shape: &str, out: &mut String) -> std::fmt::Result {
    let versions = if row == body { None } else { versions_text(api, body).or(Some("up to here".to_owned())) };
    let versions = versions.map_or(String::new(), |versions| format!(" ({versions})"));
    if shape.contains('\n') {
        writeln!(out, "* Body{versions}:\n\n  ```\n  {}\n  ```\n", shape.replace('\n', "\n  "))
    } else {
        writeln!(out, "* Body{versions}: `{shape}`")
    }
}
