//! The one list of what this server chose to do otherwise than Nova, and the page that is made of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use toml::{Table, Value};

/// The list.
#[derive(Debug)]
pub struct Differences {
    difference: Vec<Difference>,
}

/// One row of the page: what it is about, with its reason and its proof.
#[derive(Debug)]
pub struct Difference {
    /// Where one meets it.
    pub topic: String,
    nova: String,
    here: String,
    reason: String,
    /// What each of its cases answers.
    status: Vec<u16>,
    /// Ids of recorded cases.
    cases: Vec<String>,
    /// Names of tests, where no recorded case shows it, or not all of it.
    tests: Vec<String>,
}

impl Difference {
    fn read(row: &Value) -> Difference {
        let text = |name: &str| row[name].as_str().expect("text").to_owned();
        let list = |name: &str| row.get(name).and_then(Value::as_array).into_iter().flatten();
        let texts = |name: &str| list(name).map(|item| item.as_str().expect("text").to_owned()).collect();
        Difference {
            topic: text("topic"),
            nova: text("nova"),
            here: text("here"),
            reason: text("reason"),
            status: list("status")
                .map(|item| item.as_integer().expect("a status").try_into().expect("a status"))
                .collect(),
            cases: texts("cases"),
            tests: texts("tests"),
        }
    }

    /// Whether this is a status that the row promises.
    pub fn answers(&self, status: u16) -> bool {
        self.status.contains(&status)
    }
}

impl Differences {
    /// Reads the list; every row has a proof, and no case stands in two.
    pub fn load() -> Differences {
        let list: Table = include_str!("differences.toml").parse().expect("the list is TOML");
        let rows = list["difference"].as_array().expect("rows").iter();
        let differences = Differences { difference: rows.map(Difference::read).collect() };
        let mut rows = BTreeMap::new();
        for row in &differences.difference {
            assert!(!row.cases.is_empty() || !row.tests.is_empty(), "nothing proves {:?}", row.topic);
            assert_eq!(
                row.cases.is_empty(),
                row.status.is_empty(),
                "{:?} has cases and their statuses, or neither",
                row.topic
            );
            for case in &row.cases {
                let before = rows.insert(case, &row.topic);
                assert!(before.is_none(), "{case} stands under {:?} and {before:?}", row.topic);
            }
        }
        differences
    }

    /// The row of a case.
    pub fn of(&self, case: &str) -> Option<&Difference> {
        self.difference.iter().find(|row| row.cases.iter().any(|known| known == case))
    }

    /// All cases.
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        self.difference.iter().flat_map(|row| &row.cases).map(String::as_str)
    }

    /// What the rows are about.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.difference.iter().map(|row| row.topic.as_str())
    }

    fn page(&self) -> String {
        let mut page = String::from(
            "# Where this server differs from Nova\n\n\
             Made by `UPDATE=1 cargo test` from `tests/it/conformance/differences.toml`; do not edit it here.\n\n\
             Everything a client can see is as Nova 34 does it: statuses, fault names, sentences, headers, the bytes of JSON. The test\n\
             `conformance` asks this server the 299 requests whose answers a real Nova 34.0.0 (with Keystone 30 and Glance 33) has been\n\
             recorded giving, and fails on every difference that is not in this table, as well as on every row of it that is no longer true.\n\n\
             | where | Nova 34 | here | why | proof |\n|---|---|---|---|---|\n",
        );
        for row in &self.difference {
            let cell = |text: &str| text.trim().replace('|', "\\|").replace('\n', " ");
            let proofs: Vec<String> =
                [&row.tests, &row.cases].into_iter().flatten().map(|id| format!("`{id}`")).collect();
            writeln!(
                page,
                "| {} | {} | {} | {} | {} |",
                cell(&row.topic),
                cell(&row.nova),
                cell(&row.here),
                cell(&row.reason),
                proofs.join(", ")
            )
            .expect("text can be written to");
        }
        page
    }
}

#[test]
fn the_page_of_differences_is_the_list() {
    crate::pages::fresh("docs/compatibility.md", &Differences::load().page());
}

#[test]
fn every_test_that_proves_a_difference_exists() {
    let sources = crate::pages::sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    for name in Differences::load().difference.iter().flat_map(|row| &row.tests) {
        let function = format!("fn {}(", name.rsplit("::").next().unwrap_or(name));
        assert!(sources.iter().any(|(_, text)| text.contains(&function)), "there is no test {name}");
    }
}
