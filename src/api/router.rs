//! From method and path to rows of the table: a tree of segments for each API, built once.

use std::collections::BTreeMap;

use http::Method;

use super::dialect::Api;
use super::endpoint::Operation;

/// The rows of one method at one path: versions of the same thing, or the actions of one server.
pub type Rows = Vec<&'static dyn Operation>;

/// The values of a route's `{names}`, in order.
pub type Values = Vec<(&'static str, String)>;

/// All routes.
pub struct Router {
    trees: BTreeMap<Api, Node>,
}

#[derive(Default)]
struct Node {
    literal: BTreeMap<&'static str, Node>,
    capture: Option<(&'static str, Box<Node>)>,
    rows: Vec<(Method, Rows)>,
}

/// What is at a path.
pub enum Found<'a> {
    /// The rows of this method, and the values of the route's names.
    Rows(&'a Rows, Values),
    /// The path exists; these are its methods.
    OtherMethods(Vec<Method>),
    /// Nothing.
    Nothing,
}

impl Router {
    /// A router of the whole table.
    pub fn new(table: impl IntoIterator<Item = (Api, &'static dyn Operation)>) -> Router {
        let mut router = Router { trees: BTreeMap::new() };
        for (api, operation) in table {
            router.trees.entry(api).or_default().add(operation);
        }
        router
    }

    /// Finds what is at a path below a door. `head_is_get` lets HEAD find what GET finds.
    pub fn find(&self, api: Api, method: &Method, path: &[&str], head_is_get: bool) -> Found<'_> {
        let mut values = Vec::new();
        let Some(node) = self.trees.get(&api).and_then(|tree| tree.walk(path, &mut values)) else {
            return Found::Nothing;
        };
        let rows = |wanted: &Method| node.rows.iter().find(|(known, _)| known == wanted).map(|(_, rows)| rows);
        match rows(method).or_else(|| rows(&Method::GET).filter(|_| head_is_get && method == Method::HEAD)) {
            Some(rows) => Found::Rows(rows, values),
            None => Found::OtherMethods(node.rows.iter().map(|(known, _)| known.clone()).collect()),
        }
    }
}

impl Node {
    fn add(&mut self, operation: &'static dyn Operation) {
        let route = operation.route();
        let mut node = self;
        for segment in segments(route.path) {
            node = match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                None => node.literal.entry(segment).or_default(),
                // one node may stand under several names: the row that answers knows its own
                Some(name) => &mut node.capture.get_or_insert_with(|| (name, Box::default())).1,
            };
        }
        match node.rows.iter_mut().find(|(method, _)| *method == route.method) {
            Some((_, rows)) => rows.push(operation),
            None => node.rows.push((route.method.clone(), vec![operation])),
        }
    }

    /// Literal segments first; a name where none fits.
    fn walk<'a>(&'a self, path: &[&str], values: &mut Vec<(&'static str, String)>) -> Option<&'a Node> {
        let Some((segment, rest)) = path.split_first() else {
            return (!self.rows.is_empty()).then_some(self);
        };
        let literal = self.literal.get(*segment);
        if let Some(found) = literal.and_then(|node| node.walk(rest, values)) {
            return Some(found);
        }
        let (name, node) = self.capture.as_ref().filter(|_| !segment.is_empty())?;
        values.push((name, (*segment).to_owned()));
        let found = node.walk(rest, values);
        if found.is_none() {
            values.pop();
        }
        found
    }
}

/// The segments of a path: doubled slashes count once, a slash at the end is an empty segment of its own.
pub fn segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::with_capacity(8);
    segments.extend(path.split('/').filter(|segment| !segment.is_empty()));
    if path.len() > 1 && path.ends_with('/') {
        segments.push("");
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_slashes_count_once_and_the_last_one_counts() {
        assert_eq!(segments("//servers//s1/metadata"), ["servers", "s1", "metadata"]);
        assert_eq!(segments("/servers/"), ["servers", ""]);
        assert_eq!(segments("/"), Vec::<&str>::new());
        assert_eq!(segments(""), Vec::<&str>::new());
    }
}
