//! What the clients do: the metadata operations, with values that are never the same twice.

use std::io::Write;
use std::sync::Arc;

use super::load::Requests;
use super::target::Target;

/// One thing a client does over and over.
pub struct Operation {
    /// In the words of tables.
    pub name: &'static str,
    /// The same as a figure of processor time.
    pub cost_name: &'static str,
    method: &'static str,
    /// Whose metadata: `servers` or `images`.
    of: &'static str,
    /// Whether it is about one item.
    is_item: bool,
    /// Of a request's number, and of how many items each has.
    body: fn(u64, u64) -> String,
}

impl Operation {
    /// Whether it waits for a commit.
    pub fn writes(&self) -> bool {
        self.method != "GET"
    }

    /// Requests of it about everything that the target has.
    pub fn requests(&'static self, target: &Arc<Target>) -> Requests {
        let target = target.clone();
        Arc::new(move |number, out| {
            let ids = if self.of == "servers" { &target.servers } else { &target.images };
            let id = &ids[spread(number, ids.len())];
            let item = if self.is_item { format!("/key{}", number % target.items_each) } else { String::new() };
            request(
                &target,
                self.method,
                &format!("/v2.1/{}/{id}/metadata{item}", self.of),
                &(self.body)(number, target.items_each),
                out,
            );
        })
    }
}

/// Knuth's multiplicative hash: spreads consecutive numbers over all rows.
pub fn spread(number: u64, among: usize) -> usize {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % among
}

/// The bytes of a request of the member's.
pub fn request(target: &Target, method: &str, path: &str, body: &str, out: &mut Vec<u8>) {
    let token = &target.token;
    let written = if body.is_empty() {
        write!(
            out,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Auth-Token: {token}\r\nAccept: application/json\r\n\r\n",
            target.address
        )
    } else {
        write!(
            out,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Auth-Token: {token}\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            target.address,
            body.len()
        )
    };
    written.expect("memory can be written");
}

fn nothing(_: u64, _: u64) -> String {
    String::new()
}

fn value(number: u64) -> String {
    format!("value-{:010}", number % 10_000_000_000)
}

fn item(number: u64, items_each: u64) -> String {
    format!("{{\"meta\": {{\"key{}\": \"{}\"}}}}", number % items_each, value(number))
}

fn items<const COUNT: u64>(number: u64, items_each: u64) -> String {
    let items: Vec<String> =
        (0..COUNT).map(|key| format!("\"key{}\": \"{}\"", (number + key) % items_each, value(number + key))).collect();
    format!("{{\"metadata\": {{{}}}}}", items.join(", "))
}

/// All that are measured.
pub static OPERATIONS: [Operation; 7] = [
    Operation {
        name: "GET server metadata",
        cost_name: "GET server metadata, CPU µs",
        method: "GET",
        of: "servers",
        is_item: false,
        body: nothing,
    },
    Operation {
        name: "GET server item",
        cost_name: "GET server item, CPU µs",
        method: "GET",
        of: "servers",
        is_item: true,
        body: nothing,
    },
    Operation {
        name: "PUT server item",
        cost_name: "PUT server item, CPU µs",
        method: "PUT",
        of: "servers",
        is_item: true,
        body: item,
    },
    Operation {
        name: "POST server metadata, 1 item",
        cost_name: "POST server metadata, 1 item, CPU µs",
        method: "POST",
        of: "servers",
        is_item: false,
        body: items::<1>,
    },
    Operation {
        name: "GET image metadata",
        cost_name: "GET image metadata, CPU µs",
        method: "GET",
        of: "images",
        is_item: false,
        body: nothing,
    },
    Operation {
        name: "PUT image item",
        cost_name: "PUT image item, CPU µs",
        method: "PUT",
        of: "images",
        is_item: true,
        body: item,
    },
    // last, because it makes the maps smaller
    Operation {
        name: "PUT server metadata, 5 items",
        cost_name: "PUT server metadata, 5 items, CPU µs",
        method: "PUT",
        of: "servers",
        is_item: false,
        body: items::<5>,
    },
];

/// The operation of this name.
pub fn operation(name: &str) -> &'static Operation {
    OPERATIONS.iter().find(|operation| operation.name == name).unwrap_or_else(|| panic!("no such operation: {name}"))
}
