//! Policy files: `policy.yaml` (or `policy.json`, which is read as YAML too) and the files of `policy.d`, read whole and under limits.
//! When they are read again is in `live`, what the rules in them mean in `rule` and `rules`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use super::rule::RuleText;

/// How long one policy file may be.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How many files one policy directory may hold.
pub const FILES_MAX: usize = 1_000;

/// Rules as files give them, in order; of two with one name the last counts.
pub type Overrides = Vec<(String, RuleText)>;

/// Where policies are written.
#[derive(Clone, Debug, Default)]
pub struct PolicyFiles {
    /// `policy_file`. It need not exist.
    pub policy_file: PathBuf,
    /// Read in its place while it does not exist: `policy.json`, the default of older releases.
    pub fallback_file: Option<PathBuf>,
    /// `policy_dirs`: each file in them, by name, counts over the policy file. They need not exist.
    pub policy_dirs: Vec<PathBuf>,
}

/// Where a rule is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.path.display(), self.line)
    }
}

/// Why the files cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system does not let us read it.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Neither a plain file where one is due, nor a directory where one is due.
    #[error("{}: is not a {expected}", path.display())]
    WrongKind {
        /// Which.
        path: PathBuf,
        /// `file` or `directory`.
        expected: &'static str,
    },
    /// Longer than `FILE_BYTES_MAX`.
    #[error("{}: is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// More than `FILES_MAX` files.
    #[error("{}: holds more than {FILES_MAX} files", path.display())]
    TooMany {
        /// Which directory.
        path: PathBuf,
    },
    /// Not UTF-8, not YAML, or not a mapping of names to checks.
    #[error("{}:{line}: {sentence}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        sentence: String,
    },
}

/// What the file system says about the files: when none of it has changed, neither have the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Stamp>);

/// Enough to notice a change, also one within a tick of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: (u64, u64, i64, i64),
}

impl Stamp {
    #[cfg(unix)]
    fn of(metadata: &fs::Metadata) -> Stamp {
        use std::os::unix::fs::MetadataExt;
        let inode = (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
        Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), inode }
    }

    #[cfg(not(unix))]
    fn of(metadata: &fs::Metadata) -> Stamp {
        Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), inode: (0, 0, 0, 0) }
    }
}

impl Snapshot {
    /// The files that are not in another one.
    pub(super) fn without(self, other: &Snapshot) -> Vec<PathBuf> {
        self.0.into_keys().filter(|path| !other.0.contains_key(path)).collect()
    }
}

impl PolicyFiles {
    /// Reads every file. None at all means no overrides.
    ///
    /// # Errors
    /// The first file that cannot be taken.
    pub fn load(&self) -> Result<Overrides, FileError> {
        let mut overrides = Vec::new();
        for path in self.paths()? {
            if let Some(text) = read(&path)? {
                overrides.extend(parse_file(&path, &text)?);
            }
        }
        Ok(overrides)
    }

    /// What the file system says now. One `stat` per file; nothing is read.
    ///
    /// # Errors
    /// A directory that cannot be listed.
    pub fn snapshot(&self) -> Result<Snapshot, FileError> {
        let mut stamps = BTreeMap::new();
        let fallback = self.fallback_file.iter().cloned();
        for path in self.paths()?.into_iter().chain(fallback).chain(self.policy_dirs.iter().cloned()) {
            if let Some(metadata) = present(&path, fs::metadata(&path))? {
                stamps.insert(path, Stamp::of(&metadata));
            }
        }
        Ok(Snapshot(stamps))
    }

    /// The line of each rule in the files, by name; of two with one name the last counts.
    ///
    /// # Errors
    /// The first file that cannot be taken.
    pub fn places(&self) -> Result<HashMap<String, Place>, FileError> {
        let mut places = HashMap::new();
        for path in self.paths()? {
            places.extend(read(&path)?.iter().flat_map(|text| places_in(&path, text)));
        }
        Ok(places)
    }

    /// The files that there are, in the order in which they count.
    ///
    /// # Errors
    /// The first directory that cannot be read.
    pub fn present(&self) -> Result<Vec<PathBuf>, FileError> {
        Ok(self.paths()?.into_iter().filter(|path| path.exists()).collect())
    }

    /// The files in the order in which they count, the policy file first whether it exists or not.
    fn paths(&self) -> Result<Vec<PathBuf>, FileError> {
        let first = match &self.fallback_file {
            Some(fallback) if !self.policy_file.exists() => fallback,
            Some(_) | None => &self.policy_file,
        };
        let mut paths = vec![first.clone()];
        for directory in &self.policy_dirs {
            paths.extend(files_in(directory)?);
        }
        Ok(paths)
    }
}

/// The line of each rule in the text of a file, in order.
pub fn places_in(path: &Path, text: &str) -> impl Iterator<Item = (String, Place)> {
    keys(text).into_iter().map(|(name, line)| (name, Place { path: path.to_owned(), line }))
}

/// The files of a directory by name, without hidden ones and subdirectories.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let Some(metadata) = present(directory, fs::metadata(directory))? else { return Ok(Vec::new()) };
    if !metadata.is_dir() {
        return Err(FileError::WrongKind { path: directory.to_owned(), expected: "directory" });
    }
    let mut paths = Vec::new();
    for entry in present(directory, fs::read_dir(directory))?.into_iter().flatten() {
        let entry = entry.map_err(|cause| FileError::Unreadable { path: directory.to_owned(), cause })?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") || path.is_dir() {
            continue;
        }
        if paths.len() == FILES_MAX {
            return Err(FileError::TooMany { path: directory.to_owned() });
        }
        paths.push(path);
    }
    paths.sort();
    Ok(paths)
}

/// What the system gave, or nothing where there is nothing.
fn present<T>(path: &Path, got: io::Result<T>) -> Result<Option<T>, FileError> {
    match got {
        Ok(it) => Ok(Some(it)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(FileError::Unreadable { path: path.to_owned(), cause }),
    }
}

/// A file as it stands; none where there is none.
///
/// # Errors
/// Where it is no file, too long, or not text.
pub fn read(path: &Path) -> Result<Option<String>, FileError> {
    // Asked before opening, because opening a pipe would wait for its writer.
    let Some(metadata) = present(path, fs::metadata(path))? else { return Ok(None) };
    if !metadata.is_file() {
        return Err(FileError::WrongKind { path: path.to_owned(), expected: "file" });
    }
    let Some(file) = present(path, fs::File::open(path))? else { return Ok(None) };
    let mut bytes = Vec::new();
    let length = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    let length = length.map_err(|cause| FileError::Unreadable { path: path.to_owned(), cause })?;
    if length as u64 > FILE_BYTES_MAX {
        return Err(FileError::TooLong { path: path.to_owned() });
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count() as u64;
        FileError::Content { path: path.to_owned(), line, sentence: "it is not UTF-8".to_owned() }
    })
}

/// What the text of a file says.
///
/// # Errors
/// Where it is no policy, with the file's name and the line.
pub fn parse_file(path: &Path, text: &str) -> Result<Overrides, FileError> {
    parse_text(text).map_err(|(line, sentence)| FileError::Content { path: path.to_owned(), line, sentence })
}

/// Reads a policy that is no file of this host.
///
/// # Errors
/// As for a file, which is named after the revision.
pub fn parse_published(revision: i64, text: &str) -> Result<Overrides, FileError> {
    parse_file(Path::new(&format!("published policy, revision {revision}")), text)
}

/// Reads one file's text; an error is a line and a sentence.
fn parse_text(text: &str) -> Result<Overrides, (u64, String)> {
    let overrides = parse_yaml(text)?;
    match bare_tag(text) {
        Some(line) => {
            Err((line, format!("a value begins with `!` outside quotes, which YAML takes for a tag; {NO_VALUE}")))
        }
        None => Ok(overrides),
    }
}

const NO_VALUE: &str = "a rule has no value; write \"\" for everybody or \"!\" for nobody, with the quotes";

/// The line of the first tag without a value, like an unquoted `!` or `!role:x`. Its author wanted to deny; YAML takes it for an
/// empty text, which would allow everybody.
fn bare_tag(text: &str) -> Option<u64> {
    let mut events = Parser::new_from_str(text).map_while(Result::ok);
    events.find_map(|(event, span)| match event {
        Event::Scalar(value, ScalarStyle::Plain, _, Some(_)) if value.is_empty() => Some(span.start.line() as u64),
        _ => None,
    })
}

/// The keys of the outermost mapping with their lines, in order. What is not a mapping has none.
fn keys(text: &str) -> Vec<(String, u64)> {
    let (mut keys, mut depth, mut is_key) = (Vec::new(), 0_u32, true);
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let ends_node = match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                depth += 1;
                false
            }
            Event::MappingEnd | Event::SequenceEnd => {
                depth = depth.saturating_sub(1);
                true
            }
            Event::Scalar(name, ..) => {
                if depth == 1 && is_key {
                    keys.push((name.into_owned(), span.start.line() as u64));
                }
                true
            }
            Event::Alias(..) => true,
            _ => false,
        };
        if ends_node && depth == 1 {
            is_key = !is_key;
        }
    }
    keys
}

fn parse_yaml(text: &str) -> Result<Overrides, (u64, String)> {
    let options = serde_saphyr::options! {
        // As PyYAML has it.
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Option<Document>>(text, options)
        .map(|document| document.map_or_else(Vec::new, |document| document.0))
        .map_err(|error| (error.location().map_or(1, |location| location.line()), error.without_snippet().to_string()))
}

/// A whole file: a mapping, or nothing.
struct Document(Overrides);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Document, D::Error> {
        from.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a mapping of rule names to checks")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Document, E> {
        Ok(Document(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Document, A::Error> {
        match seq.next_element::<de::IgnoredAny>()? {
            None => Ok(Document(Vec::new())),
            Some(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut overrides = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            overrides.push((name, map.next_value::<RuleText>()?));
        }
        Ok(Document(overrides))
    }
}

impl<'de> Deserialize<'de> for RuleText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RuleText, D::Error> {
        from.deserialize_any(RuleTextVisitor)
    }
}

struct RuleTextVisitor;

impl<'de> Visitor<'de> for RuleTextVisitor {
    type Value = RuleText;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a check in quotes, or a list of lists of checks")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RuleText, E> {
        Ok(RuleText::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<RuleText, E> {
        Ok(RuleText::Text(text))
    }

    /// The original allows everybody where a value is missing. That is not guessed here.
    fn visit_unit<E: de::Error>(self) -> Result<RuleText, E> {
        Err(E::custom(NO_VALUE))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RuleText, A::Error> {
        let mut alternatives = Vec::new();
        while let Some(Alternative(checks)) = seq.next_element()? {
            alternatives.push(checks);
        }
        Ok(RuleText::List(alternatives))
    }
}

/// One element of the outer list: a list, or a bare check. An empty text counts as an empty list.
struct Alternative(Vec<String>);

impl<'de> Deserialize<'de> for Alternative {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Alternative, D::Error> {
        from.deserialize_any(AlternativeVisitor)
    }
}

struct AlternativeVisitor;

impl<'de> Visitor<'de> for AlternativeVisitor {
    type Value = Alternative;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a check in quotes, or a list of checks")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Alternative, E> {
        Ok(Alternative(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Alternative, A::Error> {
        let mut checks = Vec::new();
        while let Some(check) = seq.next_element()? {
            checks.push(check);
        }
        Ok(Alternative(checks))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::rules::{Rules, Settings};
    use super::*;

    fn text(of: &str) -> RuleText {
        RuleText::Text(of.to_owned())
    }

    fn list(alternatives: &[&[&str]]) -> RuleText {
        RuleText::List(alternatives.iter().map(|all| all.iter().map(|&text| text.to_owned()).collect()).collect())
    }

    pub(in crate::policy) fn folder() -> (tempfile::TempDir, PolicyFiles) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let files = PolicyFiles {
            policy_file: folder.path().join("policy.yaml"),
            fallback_file: Some(folder.path().join("policy.json")),
            policy_dirs: vec![folder.path().join("policy.d")],
        };
        (folder, files)
    }

    pub(in crate::policy) fn write(path: &Path, content: &str) {
        fs::create_dir_all(path.parent().expect("a file in a directory")).expect("a directory");
        fs::write(path, content).expect("a written file");
    }

    pub(in crate::policy) fn check_of_a(rules: &Rules) -> String {
        rules
            .list()
            .iter()
            .find(|listed| listed.name == "a")
            .map_or_else(String::new, |listed| listed.check.to_string())
    }

    #[test]
    fn yaml_and_json_give_rules() {
        let expected = vec![("a:b".to_owned(), text("role:x and y:%(z)s")), ("c".to_owned(), text(""))];
        assert_eq!(parse_text("# hello\n\"a:b\": \"role:x and y:%(z)s\"\nc: ''\n"), Ok(expected.clone()));
        assert_eq!(parse_text("{\"a:b\": \"role:x and y:%(z)s\",\n \"c\": \"\"}"), Ok(expected));
        assert_eq!(parse_text("a: role:x or\n   role:y # why\n"), Ok(vec![("a".to_owned(), text("role:x or role:y"))]));
    }

    #[test]
    fn the_list_form_is_read() {
        let expected = list(&[&["role:a"], &["role:b", "x:1"], &[], &[]]);
        assert_eq!(parse_text("a: [role:a, [role:b, 'x:1'], [], '']"), Ok(vec![("a".to_owned(), expected)]));
        assert_eq!(parse_text("a: []"), Ok(vec![("a".to_owned(), list(&[]))]));
    }

    #[test]
    fn a_file_without_rules_overrides_nothing() {
        for empty in ["", "# nothing\n", "---\n", "{}", "[]", "null", "\n\n"] {
            assert_eq!(parse_text(empty), Ok(vec![]), "{empty:?}");
        }
    }

    #[test]
    fn the_last_of_two_values_of_one_rule_counts() {
        let overrides = parse_text("a: role:x\nb: '!'\na: role:y\n").expect("duplicate keys are read");
        let rules = Rules::new(overrides, &[], &Settings::default());
        assert_eq!(check_of_a(&rules), "role:y");
    }

    #[test]
    fn what_is_no_mapping_of_checks_is_refused_with_its_line() {
        let table = [
            ("- a\n", 1),
            ("just words", 1),
            ("a: role:x\nb: true\n", 2),
            ("a: role:x\nb: 5\n", 2),
            ("a: role:x\nb:\n", 2),
            ("a: role:x\nb: !\n", 2),
            ("a: role:x\nb: !role:y\n", 2),
            ("a: role:x\nb: [[! ]]\n", 2),
            ("a: role:x\nb: {c: d}\n", 2),
            ("a: role:x\nb: @\n", 2),
            ("a: 'role:x\n", 1),
            ("a: b\n---\nc: d\n", 2),
        ];
        for (content, line) in table {
            let refused = parse_text(content).expect_err(content);
            assert!(refused.0 >= line && !refused.1.is_empty() && !refused.1.contains('\n'), "{content:?} {refused:?}");
        }
    }

    #[test]
    fn hostile_yaml_is_refused_or_read_but_never_fatal() {
        let deep = "[".repeat(100_000);
        let laughs: String = (1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)).collect();
        for content in [format!("a: {deep}"), format!("a0: &a0 [x, x]\n{laughs}"), "? ".repeat(50_000)] {
            assert!(parse_text(&content).is_err());
        }
    }

    #[test]
    fn missing_files_are_no_overrides() {
        assert_eq!(folder().1.load().expect("nothing to read"), vec![]);
    }

    #[test]
    fn files_of_the_directory_count_in_order_over_the_policy_file() {
        let (_folder, files) = folder();
        write(&files.policy_file, "a: role:main");
        write(&files.policy_dirs[0].join("20.yaml"), "a: role:twenty");
        write(&files.policy_dirs[0].join("10.yaml"), "a: role:ten");
        write(&files.policy_dirs[0].join(".hidden"), "a: role:hidden");
        write(&files.policy_dirs[0].join("sub/30.yaml"), "a: role:sub");
        let values: Vec<RuleText> = files.load().expect("good files").into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [text("role:main"), text("role:ten"), text("role:twenty")]);
    }

    #[test]
    fn an_error_names_file_and_line() {
        let (_folder, files) = folder();
        write(&files.policy_file, "a: role:x\nb: [\n");
        let error = files.load().expect_err("a list that does not end").to_string();
        assert!(error.contains("policy.yaml:"), "{error}");
    }

    #[test]
    fn a_file_too_long_or_not_text_is_refused() {
        let (_folder, files) = folder();
        fs::write(&files.policy_file, vec![b'#'; FILE_BYTES_MAX as usize + 1]).expect("a written file");
        assert!(matches!(files.load(), Err(FileError::TooLong { .. })));
        fs::write(&files.policy_file, b"a: b\nc: \xff\n").expect("a written file");
        assert!(matches!(files.load(), Err(FileError::Content { line: 2, .. })));
    }

    #[test]
    fn a_file_where_a_directory_is_due_is_refused_and_the_other_way_round() {
        let (_folder, mut files) = folder();
        write(&files.policy_file, "");
        files.policy_dirs = vec![files.policy_file.clone()];
        assert!(matches!(files.load(), Err(FileError::WrongKind { expected: "directory", .. })));
        files = PolicyFiles { policy_file: _folder.path().to_owned(), ..PolicyFiles::default() };
        assert!(matches!(files.load(), Err(FileError::WrongKind { expected: "file", .. })));
    }

    #[test]
    fn the_older_name_counts_only_while_there_is_no_policy_file() {
        let (_folder, files) = folder();
        let json = files.fallback_file.clone().expect("there is one");
        write(&json, r#"{"a": "role:json"}"#);
        assert_eq!(files.load().expect("a good file"), [("a".to_owned(), text("role:json"))]);
        let before = files.snapshot().expect("a snapshot");
        write(&files.policy_file, "a: role:yaml");
        assert_eq!(files.load().expect("a good file"), [("a".to_owned(), text("role:yaml"))]);
        assert_ne!(files.snapshot().expect("a snapshot"), before);
    }

    #[test]
    fn every_rule_has_its_place_and_the_last_one_counts() {
        let (_folder, files) = folder();
        write(&files.policy_file, "# first\na: role:x\n\"b\":\n  - [role:y]\n  - role:z\nc: !!str role:c\na: role:w\n");
        write(&files.policy_dirs[0].join("1.json"), "{\n\"b\": \"!\"}");
        let places = files.places().expect("good files");
        let line = |name: &str| (places[name].path.file_name().and_then(|name| name.to_str()), places[name].line);
        assert_eq!(line("a"), (Some("policy.yaml"), 7));
        assert_eq!(line("b"), (Some("1.json"), 2));
        assert_eq!(line("c"), (Some("policy.yaml"), 6));
        assert_eq!(places.len(), 3);
    }
}
